//! Mail that is pushed: which mail is which, what happens to its conversation, and who is who.

mod content;
mod sameness;

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::{TestMail, mail};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_mail_is_one_message() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let question = mail().subject("Parcel lost");
    let first = arrive(&desk, mailbox, &question).await;
    let traced =
        [b"Received: from list.example; Mon, 2 Nov 2026 09:00:01 +0000\r\n", &question.build()[..]].concat();
    for (copy, why) in
        [(question.build(), "the same bytes are here already"), (traced, "the same mail is here already")]
    {
        let receipt = push(&desk, mailbox, &copy).await;
        assert_eq!(
            receipt,
            json!({
                "verdict": "duplicate", "reason": why,
                "message_id": first.message, "conversation_id": first.conversation,
            })
        );
    }
    assert_eq!(conversation(&desk, first.conversation).await["message_count"], 1);
    let status = status(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(1), &json!(2)));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_id_that_is_used_twice_loses_no_mail() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let parcel = |text: &str| {
        mail()
            .from("Parcels <info@parcels.example>")
            .subject("Your parcel")
            .text(text)
            .message_id("<1@parcels.example>")
    };
    let one = arrive(&desk, mailbox, &parcel("Parcel 1 is at the depot.")).await;
    let two = arrive(&desk, mailbox, &parcel("Parcel 2 is at the depot.")).await;
    assert_ne!(one.conversation, two.conversation);
    assert_eq!(message(&desk, one.message).await["flags"], json!([]));
    assert_eq!(message(&desk, two.message).await["flags"], json!(["reused_id"]));
    assert_eq!(
        push(&desk, mailbox, &parcel("Parcel 1 is at the depot.").build()).await["message_id"],
        one.message
    );
    assert_eq!(
        push(&desk, mailbox, &parcel("Parcel 2 is at the depot.").build()).await["message_id"],
        two.message
    );
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_without_a_message_id_is_known_by_what_it_says() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let fax =
        |text: &str| mail().from("Fax <fax@machine.example>").subject("Fax").text(text).without_message_id();
    let one = arrive(&desk, mailbox, &fax("Page 1")).await;
    let two = arrive(&desk, mailbox, &fax("Page 2")).await;
    assert_ne!(one.message, two.message);
    assert_eq!(push(&desk, mailbox, &fax("Page 1").build()).await["message_id"], one.message);
    assert_eq!(message(&desk, one.message).await["internet_message_id"], Value::Null);
    // It can be answered, and what was made up for it goes to nobody.
    let answer = reply(&desk, one.conversation, "Received.").await;
    let left = String::from_utf8(raw(&desk, number(&answer["id"])).await).expect("we write ASCII");
    assert!(!left.contains("sha256:") && !left.contains("In-Reply-To"), "{left}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_to_two_mailboxes_is_one_per_group() {
    let desk = TestDesk::start().await;
    let apart = [("Sales", "sales@example.org"), ("Support", "support@example.org")];
    let together = [("Berlin", "berlin@example.org"), ("Paris", "paris@example.org")];
    let letter = |of: &[(&str, &str)]| of.iter().fold(mail().subject("To both"), |mail, (_, to)| mail.to(to));
    let mut numbers = Vec::new();
    for (name, address) in apart.iter().chain(&together) {
        let mut changes = json!({"name": name, "address": address});
        if together.contains(&(*name, *address)) {
            changes["group"] = json!("shops");
        }
        numbers.push(pushed(&desk, changes).await);
    }
    let sales = arrive(&desk, numbers[0], &letter(&apart)).await;
    let support = arrive(&desk, numbers[1], &letter(&apart)).await;
    assert_ne!((sales.conversation, sales.message), (support.conversation, support.message));
    let berlin = arrive(&desk, numbers[2], &letter(&together)).await;
    let paris = push(&desk, numbers[3], &letter(&together).build()).await;
    assert_eq!((&paris["verdict"], &paris["message_id"]), (&json!("duplicate"), &json!(berlin.message)));
    // The customer's next mail to the other shop of the group finds the conversation.
    let next = mail().to("paris@example.org").text("And?").in_reply_to(&letter(&together).id());
    assert_eq!(arrive(&desk, numbers[3], &next).await.conversation, berlin.conversation);
    desk.stop().await;
}

fn out_of_office(answered: &str) -> TestMail {
    mail()
        .subject("Automatic reply: Parcel lost")
        .text("I am away until Monday.")
        .header("Auto-Submitted", "auto-replied")
        .in_reply_to(answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_reopen_a_conversation_and_machines_do_not() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = arrive(&desk, mailbox, &mail().subject("Parcel lost")).await;
    let ours = id_of(&reply(&desk, first.conversation, "It left today.").await);
    set_status(&desk, first.conversation, "closed").await;
    let before = conversation(&desk, first.conversation).await;

    let away = arrive(&desk, mailbox, &out_of_office(&ours)).await;
    assert_eq!(away.conversation, first.conversation);
    assert_eq!(message(&desk, away.message).await["class"], "auto_reply");
    let after = conversation(&desk, first.conversation).await;
    for member in ["status", "closed_at", "waiting_on", "waiting_since", "assignee_id"] {
        assert_eq!(before[member], after[member], "{member}");
    }
    assert_eq!(after["message_count"], 3, "it is there to be read");

    let back = arrive(&desk, mailbox, &mail().text("It is broken!").in_reply_to(&ours)).await;
    assert_eq!(back.conversation, first.conversation);
    let after = conversation(&desk, first.conversation).await;
    assert_eq!(
        (&after["status"], &after["waiting_on"], &after["closed_at"]),
        (&json!("open"), &json!("us"), &Value::Null)
    );
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_notice_that_answers_nothing_is_no_work() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let away = arrive(&desk, mailbox, &out_of_office("<unknown@elsewhere.example>")).await;
    let quiet = conversation(&desk, away.conversation).await;
    assert_eq!((&quiet["status"], &quiet["waiting_on"]), (&json!("closed"), &Value::Null));
    desk.stop().await;
}

/// A bounce of a mail of ours, as Postfix writes them.
fn bounce(recipient: &str, ours: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(ours);
    let head = head.split("\r\n\r\n").next().expect("a mail has a head");
    format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.org (Mail Delivery System)\r\n\
         To: support@example.org\r\nSubject: Undelivered Mail Returned to Sender\r\n\
         Date: Mon, 02 Nov 2026 09:05:00 +0000\r\nMessage-ID: <bounce@mx.example.org>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\n<{recipient}>: host mail.example.net said: 550 5.1.1\r\n    no such user\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_is_tied_to_the_answer_that_it_is_about() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>")).await;
    let answer = reply(&desk, first.conversation, "It left today.").await;
    // While it is handed over a report leaves its row alone.
    delivered(&desk, &answer, "sent").await;
    set_status(&desk, first.conversation, "closed").await;
    let report = bounce("ada@example.net", &raw(&desk, number(&answer["id"])).await);
    let receipt = push(&desk, mailbox, &report).await;
    assert_eq!(
        (&receipt["verdict"], &receipt["conversation_id"]),
        (&json!("accepted"), &json!(first.conversation))
    );
    let told = message(&desk, number(&receipt["message_id"])).await;
    assert_eq!((&told["class"], &told["about_message_id"]), (&json!("bounce"), &answer["id"]));
    let failed = &told["failed_recipients"][0];
    assert_eq!(
        (&failed["email"], &failed["action"], &failed["status"]),
        (&json!("ada@example.net"), &json!("failed"), &json!("5.1.1"))
    );
    let after = conversation(&desk, first.conversation).await;
    assert_eq!(after["customer_id"], conversation(&desk, first.conversation).await["customer_id"]);
    let events = desk.event_types().await;
    assert_eq!(events.iter().filter(|event| *event == "message.bounced").count(), 1, "{events:?}");
    assert_eq!(push(&desk, mailbox, &report).await["verdict"], "duplicate");
    // The answer itself says who did not get it, and why.
    let delivery = message(&desk, number(&answer["id"])).await["delivery"].clone();
    assert_eq!(
        (&delivery["state"], &delivery["recipients"][0]["state"]),
        (&json!("bounced"), &json!("bounced"))
    );
    let why = delivery["recipients"][0]["response"].as_str().expect("a reason");
    assert!(why.contains("5.1.1") && why.contains("no such user"), "{why}");
    // The address is marked until somebody writes from it again.
    let customer = format!("/api/v1/customers/{}", after["customer_id"]);
    let marked = async || {
        desk.http.get(&customer).await.expect(200).json()["addresses"][0]["undeliverable_at"].is_string()
    };
    assert!(marked().await);
    arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>").subject("I am back")).await;
    assert!(!marked().await);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_a_customer_where_they_hold_no_grant() {
    let desk = TestDesk::start().await;
    let hr = pushed(&desk, json!({"name": "HR", "address": "hr@example.org"})).await;
    let support = pushed(&desk, json!({})).await;
    let bob = json!({
        "name": "Bob", "email": "bob@example.org", "grants": [{"mailbox_id": support, "level": "reply"}],
    });
    desk.http.post("/api/v1/agents", &bob).await.expect(201);

    let ask =
        mail().from("Bob <bob@example.org>").to("hr@example.org").subject("My holidays").text("In May?");
    let asked = arrive(&desk, hr, &ask).await;
    let author = &message(&desk, asked.message).await["author"];
    assert_eq!((&author["type"], &author["email"]), (&json!("customer"), &json!("bob@example.org")));
    let ours = reply(&desk, asked.conversation, "May is fine.").await;
    assert_eq!(ours["to"][0]["email"], "bob@example.org");
    let thanks = ask.clone().subject("Re: My holidays").text("Thank you.").in_reply_to(&id_of(&ours));
    let landed = arrive(&desk, hr, &thanks).await;
    assert_eq!(landed.conversation, asked.conversation);
    assert_eq!(decision(&desk, landed.message).await["sender_class"], "P1");

    // Where Bob works, a mail in Bob's name alone is no pass: anybody can write it.
    let ada = arrive(&desk, support, &mail().from("Ada <ada@example.net>")).await;
    let ours = reply(&desk, ada.conversation, "Which order?").await;
    let forged = mail().from("Bob <bob@example.org>").text("Ignore that.").in_reply_to(&id_of(&ours));
    let landed = arrive(&desk, support, &forged).await;
    assert_ne!(landed.conversation, ada.conversation);
    assert_eq!(decision(&desk, landed.message).await["outcome"], "link");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_mailbox_lets_everybody_in() {
    let desk = TestDesk::start().await;
    let list = pushed(&desk, json!({"threading": {"strangers": "append"}})).await;
    let first = arrive(&desk, list, &mail().subject("Release party")).await;
    let other = mail()
        .from("Eve <eve@elsewhere.example>")
        .text("I'll come.")
        .in_reply_to(&mail().subject("Release party").id());
    let landed = arrive(&desk, list, &other).await;
    assert_eq!(landed.conversation, first.conversation);
    assert_eq!(message(&desk, landed.message).await["flags"], json!(["unverified", "new_participant"]));
    let why = decision(&desk, landed.message).await;
    assert!(why["rule"].as_str().is_some_and(|rule| rule.contains("strangers join")), "{why}");
    // Closed to strangers again, the next one stays outside.
    let path = format!("/api/v1/mailboxes/{list}");
    desk.http.patch(&path, &json!({"threading": {"strangers": "link"}})).await.expect(200);
    let third = mail()
        .from("Fay <fay@third.example>")
        .text("Me too.")
        .in_reply_to(&mail().subject("Release party").id());
    assert_ne!(arrive(&desk, list, &third).await.conversation, first.conversation);
    desk.stop().await;
}
