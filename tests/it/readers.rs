//! A mail names no mail to somebody whom that was never for: neither in References nor in In-Reply-To.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::{TestMail, mail};
use support::smtp::SmtpSink;

/// The ids that a field of a mail names.
fn ids(mail: &str, name: &str) -> Vec<String> {
    let unfolded = mail.replace("\r\n ", " ");
    let line = unfolded.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

async fn send(desk: &TestDesk, sink: &SmtpSink, conversation: i64, body: Value) -> (String, String) {
    let body = with(json!({"kind": "reply", "text": "It left."}), body);
    let sent = reply_with(desk, conversation, body).await;
    delivered(desk, &sent, "sent").await;
    (id_of(&sent), sink.next().await.text())
}

fn from(who: &str, id: &str, to: &str) -> TestMail {
    mail().from(who).subject("Re: Parcel lost").message_id(id).in_reply_to(to)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_mail_that_was_not_theirs() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let ada = mail().from("Ada <ada@example.net>").subject("Parcel lost").message_id("<one@example.net>");
    let id = arrive(&desk, mailbox, &ada).await.conversation;

    // The boss gets a blind copy and answers it: that is between the boss and us.
    let blind = json!({"bcc": [{"email": "boss@example.org"}]});
    let (first, raw) = send(&desk, &sink, id, blind).await;
    assert_eq!(ids(&raw, "In-Reply-To"), ["<one@example.net>"]);
    assert_eq!(ids(&raw, "References").len(), 3, "the seal, what is answered and itself: {raw}");
    let boss = from("boss@example.org", "<secret@example.org>", &first);
    assert_eq!(arrive(&desk, mailbox, &boss).await.conversation, id);
    let (second, raw) = send(&desk, &sink, id, json!({})).await;
    assert!(!raw.contains("secret@example.org"), "the customer would learn of the boss: {raw}");
    assert_eq!(ids(&raw, "In-Reply-To"), ["<one@example.net>"]);
    let named = ids(&raw, "References");
    assert_eq!(named[1..], [first.clone(), "<one@example.net>".to_owned(), second.clone()]);

    // Who joins later is told of what is answered, and of nothing before it; who was there all along is.
    let more = from("Ada <ada@example.net>", "<two@example.net>", &second);
    arrive(&desk, mailbox, &more).await;
    let (third, raw) = send(&desk, &sink, id, json!({"cc": [{"email": "bob@example.com"}]})).await;
    assert_eq!(ids(&raw, "References")[1..], ["<two@example.net>".to_owned(), third.clone()]);
    let (_, raw) = send(&desk, &sink, id, json!({"to": [{"email": "bob@example.com"}]})).await;
    assert_eq!(ids(&raw, "References")[1..2], [third], "{raw}");
    assert!(ids(&raw, "In-Reply-To").is_empty(), "Bob has written nothing: {raw}");
    assert!(!raw.contains("example.net"), "{raw}");
    let (fifth, raw) = send(&desk, &sink, id, json!({"to": [{"email": "eve@example.com"}]})).await;
    assert_eq!(ids(&raw, "References")[1..], [fifth], "nothing of it was hers: {raw}");
    assert!(raw.contains("Subject: Re: Parcel lost"), "{raw}");

    // What claims to be Ada's and is not was never hers.
    let (_, raw) = send(&desk, &sink, id, json!({})).await;
    assert_eq!(ids(&raw, "In-Reply-To"), ["<two@example.net>"]);
    assert!(!raw.contains("secret@example.org"), "{raw}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_conversation_names_its_own_mails_to_those_who_were_in_it() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let ada = mail().from("Ada <ada@example.net>").subject("Parcel lost").message_id("<one@example.net>");
    let id = arrive(&desk, mailbox, &ada).await.conversation;
    let depot = json!({"kind": "forward", "to": [{"email": "depot@carrier.example"}], "quote": true});
    let asked = reply_with(&desk, id, with(json!({"text": "Where?"}), depot)).await;
    delivered(&desk, &asked, "sent").await;
    let own = ids(&sink.next().await.text(), "Message-ID").remove(0);
    let answer = mail()
        .from("Depot <depot@carrier.example>")
        .subject("Re: Fwd: Parcel lost")
        .message_id("<depot@carrier.example>")
        .in_reply_to(&own);
    arrive(&desk, mailbox, &answer).await;
    let side = asked["id"].clone();
    let again = json!({"kind": "forward", "side_id": side});
    let (_, raw) = send(&desk, &sink, id, again.clone()).await;
    assert_eq!(ids(&raw, "In-Reply-To"), ["<depot@carrier.example>"]);
    let (last, raw) =
        send(&desk, &sink, id, with(again, json!({"to": [{"email": "new@carrier.example"}]}))).await;
    assert!(ids(&raw, "In-Reply-To").is_empty(), "{raw}");
    assert_eq!(ids(&raw, "References"), [last]);
    desk.stop().await;
}
