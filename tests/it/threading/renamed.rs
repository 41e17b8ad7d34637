//! Servers that give our mail another Message-ID: a customer's answer that names it by that alone finds its
//! conversation, and nobody gets in by naming what is not theirs.

use super::{ada, mailbox, outcome};
use crate::mailing::*;
use postroom_core::id::MailboxId;
use postroom_core::operations::mailboxes::{self, MailboxChange};
use postroom_core::operations::outbox::{self, Outcome, Slots};
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::mail;

const SES: &str = "0102018f5c3e-11aa22bb-33cc-44dd-55ee-66ff77008899-000000";

/// Takes what is queued to Amazon, as a worker does, and hears what it calls it.
async fn taken_by_amazon(desk: &TestDesk, mailbox: i64) {
    desk.write(move |cx| {
        let wake = MailboxChange { paused: Some(false), ..MailboxChange::default() };
        mailboxes::update(cx, MailboxId(mailbox), None, &wake)?;
        for claimed in outbox::claim(cx, &Slots::new(20))? {
            let goes = outbox::data_goes(cx, &claimed, &claimed.envelope_from, &[])?;
            let response = format!("250 Ok {SES}");
            outbox::finish(cx, &goes, &Outcome::Sent { response, refused: Vec::new() })?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_the_name_that_amazon_gave_finds_its_conversation() {
    let desk = TestDesk::start().await;
    // Nobody connects there: the mailbox is paused until the test has taken the mail itself.
    let delivery = json!({
        "type": "smtp", "host": "email-smtp.eu-west-1.amazonaws.com", "port": 587, "security": "starttls",
        "username": "u", "password": "p",
    });
    let mailbox = pushed(&desk, json!({"delivery": delivery, "paused": true})).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let answer = reply(&desk, first.conversation, "Water!").await;
    taken_by_amazon(&desk, mailbox).await;
    delivered(&desk, &answer, "sent").await;

    let renamed = format!("<{SES}@eu-west-1.amazonses.com>");
    let landed = arrive(&desk, mailbox, &ada("It helped.").in_reply_to(&renamed)).await;
    assert_eq!(landed.conversation, first.conversation);
    assert_eq!(decision(&desk, landed.message).await["strength"], "B'");

    // One that Amazon did not give leads nowhere, and a stranger nowhere with the true one.
    let forged = renamed.replace("-000000@", "-000001@");
    let other_region = renamed.replace("eu-west-1", "us-west-2");
    for name in [forged, other_region] {
        let landed = arrive(&desk, mailbox, &ada(&name).subject("Else").in_reply_to(&name)).await;
        assert_ne!(landed.conversation, first.conversation, "{name}");
    }
    let eve = mail().from("eve@elsewhere.example").subject("Re: Printer on fire").in_reply_to(&renamed);
    let landed = arrive(&desk, mailbox, &eve).await;
    assert_ne!(landed.conversation, first.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_outside_can_give_our_mail_another_name() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Water!").await);
    // As outlook.com writes it into the copy of what it renamed (that in our own Sent folder is believed:
    // `imap::special`), and as anybody may write it into a mail.
    for header in ["X-Microsoft-Original-Message-ID", "Resent-Message-ID"] {
        let name = format!("<{}@outlook.example>", header.to_lowercase());
        let eve = mail()
            .from("eve@elsewhere.example")
            .subject("Printer on fire")
            .message_id(&name)
            .header(header, &ours);
        let theirs = arrive(&desk, mailbox, &eve).await;
        assert_ne!(theirs.conversation, first.conversation, "{header}");
        let more = mail().from("eve@elsewhere.example").subject("More").text(header).in_reply_to(&name);
        let more = arrive(&desk, mailbox, &more).await;
        assert_eq!(more.conversation, theirs.conversation, "{header}");
        // Nor is Ada led astray: her answer to our true name is hers.
        let landed = arrive(&desk, mailbox, &ada(header).in_reply_to(&ours)).await;
        assert_eq!(landed.conversation, first.conversation, "{header}");
        assert_eq!(outcome(&desk, landed).await, "append", "{header}");
    }
    let all = messages(&desk, first.conversation).await;
    let senders = all.iter().filter(|message| message["from"]["email"] == "eve@elsewhere.example");
    assert_eq!(senders.count(), 0, "{}", Value::from(all.clone()));
    desk.stop().await;
}
