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

async fn move_to(desk: &TestDesk, message: &Value, to: Value) -> Value {
    let path = format!("/api/v1/messages/{message}/move");
    desk.http.post(&path, &json!({"to": to})).await.expect(201).json()
}

async fn undo(desk: &TestDesk, transfer: &Value) {
    desk.http.post(&format!("/api/v1/transfers/{}/undo", transfer["id"]), &Value::Null).await.expect(200);
}

/// What the depot says to a forward. Returns where that landed, and in which side.
async fn depot(desk: &TestDesk, mailbox: i64, to: &Value, text: &str) -> (i64, Value) {
    let answer = mail().from("Depot <depot@carrier.example>").subject("Re: Fwd: Parcel lost").text(text);
    let landed = arrive(desk, mailbox, &answer.in_reply_to(&id_of(to))).await;
    (landed.conversation, message(desk, landed.message).await["side_id"].clone())
}

/// A desk with a conversation of Ada's, out of which the depot was asked, and one of Bob's.
async fn asked() -> (TestDesk, SmtpSink, i64, [i64; 2], Value) {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let ada = mail().from("Ada <ada@example.net>").subject("Parcel lost").message_id("<one@example.net>");
    let ada = arrive(&desk, mailbox, &ada).await.conversation;
    let bob =
        arrive(&desk, mailbox, &mail().from("Bob <bob@example.com>").subject("My parcel")).await.conversation;
    let asked = forward(&desk, ada, json!({"to": [{"email": "depot@carrier.example"}]})).await;
    delivered(&desk, &asked, "sent").await;
    sink.next().await;
    let asked = message(&desk, number(&asked["id"])).await;
    (desk, sink, mailbox, [ada, bob], asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_third_party_answers_follows_a_forward_that_was_moved() {
    let (desk, sink, mailbox, [ada, bob], asked) = asked().await;
    let moved = move_to(&desk, &asked["id"], json!(bob)).await;
    assert_eq!(moved["invited"], json!(["depot@carrier.example"]));
    // Taken back, it is as it was.
    undo(&desk, &moved).await;
    assert_eq!(depot(&desk, mailbox, &asked, "One.").await, (ada, asked["id"].clone()));
    move_to(&desk, &asked["id"], json!(bob)).await;
    assert_eq!(depot(&desk, mailbox, &asked, "Two.").await, (bob, asked["id"].clone()));
    // The forward lets nobody else in, whoever names it.
    let eve =
        mail().from("eve@elsewhere.example").subject("Re: Fwd: Parcel lost").in_reply_to(&id_of(&asked));
    let eve = arrive(&desk, mailbox, &eve).await.conversation;
    assert!(eve != ada && eve != bob);
    let ada_again =
        mail().from("ada@example.net").subject("Re: Fwd: Parcel lost").in_reply_to(&id_of(&asked));
    assert_ne!(arrive(&desk, mailbox, &ada_again).await.conversation, bob, "no customer's mail in another's");
    // It goes on there, and Bob is told nothing of it.
    let more = forward(&desk, bob, json!({"side_id": asked["id"], "text": "Send it back."})).await;
    delivered(&desk, &more, "sent").await;
    assert_eq!(field(&sink.next().await.text(), "To"), "depot@carrier.example");
    let reply = reply(&desk, bob, "It is in Leeds.").await;
    delivered(&desk, &reply, "sent").await;
    let out = sink.next().await.text();
    assert!(field(&out, "To").contains("bob@example.com") && !out.contains("carrier.example"), "{out}");
    assert!(!out.contains(id_of(&asked).as_str()), "{out}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_a_side_that_was_split_goes_on() {
    let (desk, sink, mailbox, [ada, _], asked) = asked().await;
    let more = forward(&desk, ada, json!({"side_id": asked["id"], "text": "Well?"})).await;
    delivered(&desk, &more, "sent").await;
    sink.next().await;
    let more = message(&desk, number(&more["id"])).await;
    let moved = move_to(&desk, &asked["id"], json!("new")).await;
    let new = number(&moved["to_id"]);
    assert_eq!(depot(&desk, mailbox, &asked, "One.").await.0, new);
    assert_eq!(depot(&desk, mailbox, &more, "Two.").await, (ada, asked["id"].clone()));
    for at in [ada, new] {
        let again = forward(&desk, at, json!({"side_id": asked["id"], "text": "And?"})).await;
        assert_eq!(again["to"][0]["email"], "depot@carrier.example", "{again}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_with_a_conversation_of_its_own_is_its_customer() {
    let (desk, sink, mailbox, [ada, _], asked) = asked().await;
    let answer = mail()
        .from("Depot <depot@carrier.example>")
        .subject("Another matter")
        .message_id("<d@carrier.example>");
    let landed = arrive(&desk, mailbox, &answer.in_reply_to(&id_of(&asked))).await;
    assert_eq!(landed.conversation, ada);
    let moved = move_to(&desk, &json!(landed.message), json!("new")).await;
    let own = number(&moved["to_id"]);
    assert_eq!(message(&desk, landed.message).await["side_id"], Value::Null);
    let reply = reply(&desk, own, "We see.").await;
    delivered(&desk, &reply, "sent").await;
    let out = sink.next().await.text();
    assert_eq!(
        (field(&out, "In-Reply-To").as_str(), field(&out, "Subject").as_str()),
        ("<d@carrier.example>", "Re: Another matter")
    );
    // Another one, moved and brought back, is part of the side again.
    let (_, side) = depot(&desk, mailbox, &asked, "One.").await;
    assert_eq!(side, asked["id"]);
    let last = messages(&desk, ada).await.pop().expect("a message");
    let moved = move_to(&desk, &last["id"], json!("new")).await;
    assert_eq!(message(&desk, number(&last["id"])).await["side_id"], Value::Null);
    undo(&desk, &moved).await;
    assert_eq!(message(&desk, number(&last["id"])).await["side_id"], asked["id"]);
    desk.stop().await;
}
