//! Side conversations: what a third party is asked and answers stays inside, and the customer is told
//! nothing of it.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

async fn forward(desk: &TestDesk, id: i64, changes: Value) -> Value {
    let body = with(json!({"kind": "forward", "text": "Where is parcel 881?"}), changes);
    desk.http.post(&format!("/api/v1/conversations/{id}/messages"), &body).await.expect(201).json()
}

/// A field of a mail that left, unfolded.
fn field(mail: &str, name: &str) -> String {
    let unfolded = mail.replace("\r\n ", " ");
    let line = unfolded.lines().find(|line| line.starts_with(&format!("{name}: ")));
    line.map(|line| line[name.len() + 2..].to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_third_party_says_never_reaches_the_customer() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let ada = mail().from("Ada <ada@example.net>").subject("Parcel lost").message_id("<one@example.net>");
    let id = arrive(&desk, mailbox, &ada).await.conversation;

    let body = json!({"kind": "forward", "text": "Where is it?"});
    let told =
        desk.http.post(&format!("/api/v1/conversations/{id}/messages"), &body).await.expect(422).json();
    assert_eq!(told["errors"][0]["pointer"], "/to");
    let asked = forward(&desk, id, json!({"to": [{"email": "depot@carrier.example"}]})).await;
    assert_eq!((&asked["side_id"], &asked["subject"]), (&asked["id"], &json!("Fwd: Parcel lost")));
    delivered(&desk, &asked, "sent").await;
    let out = sink.next().await.text();
    assert!(!out.contains("one@example.net"), "the customer's mails are none of theirs: {out}");
    assert_eq!(field(&out, "References"), field(&out, "Message-ID"), "nothing leads to the other side");
    assert_eq!(conversation(&desk, id).await["waiting_on"], "third_party");

    let own = field(&out, "Message-ID");
    let answer = mail()
        .from("Depot <depot@carrier.example>")
        .subject("Re: Fwd: Parcel lost")
        .message_id("<depot@carrier.example>")
        .in_reply_to(&own);
    let landed = arrive(&desk, mailbox, &answer).await;
    assert_eq!(landed.conversation, id);
    let answer = message(&desk, landed.message).await;
    assert_eq!(answer["side_id"], asked["id"]);
    assert_eq!(conversation(&desk, id).await["waiting_on"], "us");

    // The customer's answer goes to the customer, in the customer's line.
    let reply = reply(&desk, id, "It is in Leeds.").await;
    assert_eq!((&reply["side_id"], &reply["to"][0]["email"]), (&Value::Null, &json!("ada@example.net")));
    delivered(&desk, &reply, "sent").await;
    let out = sink.next().await.text();
    assert_eq!(field(&out, "Subject"), "Re: Parcel lost");
    assert_eq!(field(&out, "In-Reply-To"), "<one@example.net>");
    assert!(!out.contains("carrier.example") && !out.contains(own.as_str()), "{out}");

    // The side conversation goes on with those it began with, in its own line.
    let more = forward(&desk, id, json!({"side_id": asked["id"], "text": "Send it back."})).await;
    delivered(&desk, &more, "sent").await;
    let out = sink.next().await.text();
    assert_eq!(field(&out, "To"), "depot@carrier.example");
    assert_eq!(field(&out, "In-Reply-To"), "<depot@carrier.example>");
    assert_eq!(field(&out, "Subject"), "Re: Parcel lost");
    assert!(!out.contains("one@example.net"), "{out}");
    // What Ada writes belongs to the customer's line.
    let ada = mail().from("Ada <ada@example.net>").subject("Re: Parcel lost").message_id("<two@example.net>");
    let landed = arrive(&desk, mailbox, &ada.in_reply_to("<one@example.net>")).await;
    assert_eq!((landed.conversation, &message(&desk, landed.message).await["side_id"]), (id, &Value::Null));
    // A reply is no part of a side conversation, nor is one of another conversation.
    let wrong = json!({"kind": "forward", "text": "x", "side_id": landed.message});
    let path = format!("/api/v1/conversations/{id}/messages");
    assert_eq!(desk.http.post(&path, &wrong).await.expect(422).json()["errors"][0]["pointer"], "/side_id");
    desk.stop().await;
}
