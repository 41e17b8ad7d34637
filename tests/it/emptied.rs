//! What has not left of a conversation that is emptied: it goes along, says where it comes from, and nothing
//! of it leaves unnoticed or is lost.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::{TestMail, mail};
use support::smtp::SmtpSink;

const LATER: &str = "2026-11-24T08:00:00Z";

fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@acme.example>").subject("Printer on fire").text(text)
}

fn eve(text: &str) -> TestMail {
    mail().from("Eve <eve@elsewhere.example>").subject("Her printer").text(text)
}

async fn begin() -> (TestDesk, SmtpSink, i64) {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink), "group": "front"})).await;
    (desk, sink, mailbox)
}

/// A draft, one that is held and one that is scheduled.
async fn unsent(desk: &TestDesk, id: i64) -> [Value; 3] {
    let write = async |text: &str, when: Value| {
        reply_with(desk, id, with(json!({"kind": "reply", "text": text}), when)).await
    };
    [
        write("A draft.", json!({"draft": true})).await,
        write("Held.", json!({"undo_seconds": 600})).await,
        write("Scheduled.", json!({"send_at": LATER})).await,
    ]
}

async fn move_to(desk: &TestDesk, message: i64, to: Value) -> Value {
    desk.http.post(&format!("/api/v1/messages/{message}/move"), &json!({"to": to})).await.expect(201).json()
}

async fn undo(desk: &TestDesk, transfer: &Value) {
    desk.http.post(&format!("/api/v1/transfers/{}/undo", transfer["id"]), &Value::Null).await.expect(200);
}

/// Where messages are that have not left, and how: conversation and state.
async fn standing(desk: &TestDesk, unsent: &[Value]) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for one in unsent {
        let shown = message(desk, number(&one["id"])).await;
        let state = shown["unsent"]["state"].as_str().unwrap_or("gone").to_owned();
        found.push((number(&shown["conversation_id"]), state));
    }
    found
}

fn all(at: i64, states: [&str; 3]) -> Vec<(i64, String)> {
    states.iter().map(|state| (at, (*state).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_last_message_goes_they_go_as_drafts() {
    let (desk, sink, mailbox) = begin().await;
    let there = arrive(&desk, mailbox, &ada("It burns.")).await;
    let here = arrive(&desk, mailbox, &eve("Mine, too.")).await;
    let more =
        arrive(&desk, mailbox, &eve("Hello?").in_reply_to(&id_of(&message(&desk, here.message).await))).await;
    assert_eq!(more.conversation, here.conversation);
    let waiting = unsent(&desk, here.conversation).await;
    // As long as anything is left they stay where they are.
    move_to(&desk, more.message, json!(there.conversation)).await;
    assert_eq!(standing(&desk, &waiting).await, all(here.conversation, ["draft", "held", "scheduled"]));
    let moved = move_to(&desk, here.message, json!(there.conversation)).await;
    assert_eq!(conversation(&desk, here.conversation).await["merged_into"], there.conversation);
    assert_eq!(standing(&desk, &waiting).await, all(there.conversation, ["draft", "draft", "draft"]));
    let shown = messages(&desk, there.conversation).await;
    for one in &waiting {
        assert!(shown.iter().any(|message| message["id"] == one["id"]), "it is seen there");
    }
    for one in &waiting[1..] {
        let shown = message(&desk, number(&one["id"])).await;
        let reason = shown["unsent"]["reason"].as_str().expect("a reason");
        assert!(reason.contains(&format!("conversation {}", here.conversation)), "{reason}");
    }
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM events WHERE type = 'message.cancelled'"), 2);
    pass(&desk, days(30)).await;
    // All of it back, and there again: nothing is lost by it, and nothing leaves by itself.
    undo(&desk, &moved).await;
    assert_eq!(standing(&desk, &waiting).await, all(here.conversation, ["draft", "draft", "draft"]));
    move_to(&desk, here.message, json!(there.conversation)).await;
    assert_eq!(standing(&desk, &waiting).await, all(there.conversation, ["draft", "draft", "draft"]));
    // It was written to Eve, and goes to her, not to whose conversation it is in.
    let path = format!("/api/v1/messages/{}", waiting[0]["id"]);
    let sent = desk.http.patch(&path, &json!({"draft": false})).await.expect(200).json();
    delivered(&desk, &sent, "sent").await;
    assert_eq!(sink.next().await.to, ["eve@elsewhere.example"]);
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

/// A conversation of Eve's that the desk suggests to be part of Ada's: hers, and Ada's.
async fn suggested(desk: &TestDesk, mailbox: i64, other: i64, to: &str) -> (i64, i64) {
    let question = ada("It burns.");
    let first = arrive(desk, mailbox, &question).await.conversation;
    let hers =
        arrive(desk, other, &eve("She gave me this.").to(to).in_reply_to(&question.id())).await.conversation;
    assert_ne!(first, hers);
    (hers, first)
}

async fn accept(desk: &TestDesk, from: i64, to: i64) -> Value {
    let path = format!("/api/v1/conversations/{from}/accept-link");
    desk.http.post(&path, &json!({"related_id": to})).await.expect(201).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_customers_two_that_become_one_they_go_along_and_leave_at_their_time() {
    let (desk, sink, mailbox) = begin().await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await.conversation;
    let subject = format!("Re: Printer on fire [#{first}]");
    let again = mail().from("Ada <ada@acme.example>").subject(&subject).text("Hello?");
    let hers = arrive(&desk, mailbox, &again).await.conversation;
    assert_ne!(first, hers);
    let waiting = unsent(&desk, hers).await;
    let taken = accept(&desk, hers, first).await;
    assert_eq!(standing(&desk, &waiting).await, all(first, ["draft", "held", "scheduled"]));
    undo(&desk, &taken).await;
    assert_eq!(standing(&desk, &waiting).await, all(hers, ["draft", "held", "scheduled"]));
    accept(&desk, hers, first).await;
    pass(&desk, days(3)).await;
    for one in &waiting[1..] {
        delivered(&desk, one, "sent").await;
    }
    assert_eq!(standing(&desk, &waiting[..1]).await, [(first, "draft".to_owned())]);
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|mail| mail.to == ["ada@acme.example"]), "whom they were written to");
    assert_eq!(conversation(&desk, first).await["message_count"], 4);
    desk.stop().await;
}

/// What stands around an answer, the customer's name say, is filled in when it leaves.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_name_another_customer_is_a_draft() {
    let (desk, sink, mailbox) = begin().await;
    let (hers, first) = suggested(&desk, mailbox, mailbox, "support@example.org").await;
    let waiting = unsent(&desk, hers).await;
    accept(&desk, hers, first).await;
    assert_eq!(standing(&desk, &waiting).await, all(first, ["draft", "draft", "draft"]));
    pass(&desk, days(3)).await;
    assert_eq!(sink.mails().len(), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_leave_from_another_mailbox_is_a_draft() {
    let (desk, sink, mailbox) = begin().await;
    let sales =
        json!({"name": "Sales", "address": "sales@example.org", "group": "front", "delivery": smtp(&sink)});
    let sales = pushed(&desk, sales).await;
    let (hers, first) = suggested(&desk, mailbox, sales, "sales@example.org").await;
    let waiting = unsent(&desk, hers).await;
    accept(&desk, hers, first).await;
    assert_eq!(standing(&desk, &waiting).await, all(first, ["draft", "draft", "draft"]));
    pass(&desk, days(3)).await;
    assert_eq!(sink.mails().len(), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_in_one_that_was_begun_in_vain_comes_back_with_its_message() {
    let (desk, sink, mailbox) = begin().await;
    let question = ada("It burns.");
    let here = arrive(&desk, mailbox, &question).await;
    let more = arrive(&desk, mailbox, &ada("And smokes.").in_reply_to(&question.id())).await;
    let moved = move_to(&desk, more.message, json!("new")).await;
    let waiting = unsent(&desk, number(&moved["to_id"])).await;
    undo(&desk, &moved).await;
    assert_eq!(standing(&desk, &waiting).await, all(here.conversation, ["draft", "draft", "draft"]));
    pass(&desk, days(3)).await;
    assert_eq!(sink.mails().len(), 0);
    desk.stop().await;
}
