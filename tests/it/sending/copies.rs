//! Copies in the Sent folder, on a real Dovecot: one of each answer, as it was sent, and never a message
//! of its own when the folder is read.

use super::path;
use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::mail;
use support::smtp::SmtpSink;

/// A mailbox that is read from a Dovecot and sends through a receiver, and a conversation in it.
async fn mailbox(desk: &TestDesk, dovecot: &Dovecot, sink: &SmtpSink, changes: Value) -> (i64, i64) {
    let source = with(imap(dovecot), json!({"sent_folder": "Sent"}));
    let body = json!({"name": "Support", "address": "support@example.org", "source": source,
                      "delivery": smtp(sink)});
    let mailbox = add_with(desk, with(body, changes)).await;
    dovecot.deliver("support", "INBOX", mail().from("Ada <ada@example.net>").build());
    sync(desk, mailbox).await;
    (mailbox, number(&conversations(desk).await[0]["id"]))
}

/// Waits until the copy of an answer has got somewhere.
async fn copied(desk: &TestDesk, answer: &Value, state: &str) -> Value {
    let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
    desk.until(|| async {
        let now = desk.http.get(&path).await.expect(200).json();
        (now["sent_copy"] == state).then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lies_in_the_sent_folder_once_and_is_no_new_mail() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start_fixed().await;
    dovecot.make_folder("support", "Sent");
    let (mailbox, conversation) = mailbox(&desk, &dovecot, &sink, json!({})).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "sent").await;
    copied(&desk, &answer, "done").await;
    let stored = dovecot.stored("support", "Sent");
    assert_eq!(stored.len(), 1);
    // Dovecot keeps lines as its system does.
    let kept = String::from_utf8_lossy(&stored[0].raw).replace('\n', "\r\n");
    assert!(kept == sink.mails()[0].text(), "as it was sent: {kept}");
    assert!(stored[0].flags.contains('S'), "{:?}", stored[0].flags);
    // The mailbox reads the folder: it is known.
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["duplicates"], 1, "{status}");
    assert_eq!(messages(&desk, conversation).await.len(), 2);
    pass(&desk, days(3)).await;
    let other = reply(&desk, conversation, "And this.").await;
    copied(&desk, &other, "done").await;
    assert_eq!(dovecot.stored("support", "Sent").len(), 2, "each once");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lies_there_is_not_put_there_again() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start_fixed().await;
    // The folder is not there yet: nothing can be put into it, and what is sent is not kept waiting.
    let (_, conversation) = mailbox(&desk, &dovecot, &sink, json!({"sent_copy": "append"})).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "sent").await;
    let waits = desk
        .until(|| async {
            let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
            let now = desk.http.get(&path).await.expect(200).json();
            now["sent_copy_error"].is_string().then_some(now)
        })
        .await;
    assert_eq!((&waits["state"], &waits["sent_copy"]), (&json!("sent"), &json!("wanted")), "{waits}");
    // Somebody else has put it there meanwhile, or we had and were not told.
    dovecot.make_folder("support", "Sent");
    dovecot.deliver("support", "Sent", &sink.mails()[0].raw);
    pass(&desk, Duration::from_secs(61)).await;
    let done = copied(&desk, &answer, "done").await;
    assert_eq!(done["sent_copy_error"], Value::Null, "{done}");
    assert_eq!(dovecot.stored("support", "Sent").len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_copied_is_given_up_in_words() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start_fixed().await;
    let (_, conversation) = mailbox(&desk, &dovecot, &sink, json!({})).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "sent").await;
    let path = format!("/api/v1/messages/{}", answer["id"]);
    let shown = async || {
        let shown = desk.http.get(&path).await.expect(200);
        (shown.header("etag").map(str::to_owned), shown.json()["delivery"].clone())
    };
    let mut given_up = Value::Null;
    for _ in 0..40 {
        let (before, delivery) = shown().await;
        if delivery["sent_copy"] == "given_up" {
            given_up = delivery;
            break;
        }
        // Each try is seen in the ETag, as much as any other change.
        desk.until(|| async {
            let is_changed = shown().await.0 != before;
            if !is_changed {
                pass(&desk, Duration::from_secs(6 * 60 * 60 + 1)).await;
            }
            is_changed.then_some(())
        })
        .await;
    }
    assert!(given_up["sent_copy_error"].as_str().is_some_and(|why| why.contains("Sent")), "{given_up}");
    assert_eq!(given_up["state"], "sent");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_copy_is_wanted_none_is_made() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start_fixed().await;
    dovecot.make_folder("support", "Sent");
    let (mailbox, conversation) = mailbox(&desk, &dovecot, &sink, json!({"sent_copy": "none"})).await;
    let answer = desk
        .http
        .post(&path(conversation), &json!({"kind": "reply", "text": "It left today."}))
        .await
        .expect(201)
        .json();
    assert_eq!(delivered(&desk, &answer, "sent").await["sent_copy"], Value::Null);
    desk.http
        .patch(&format!("/api/v1/mailboxes/{mailbox}"), &json!({"sent_copy": "append"}))
        .await
        .expect(200);
    let other = reply(&desk, conversation, "And this.").await;
    copied(&desk, &other, "done").await;
    assert_eq!(dovecot.stored("support", "Sent").len(), 1, "only from then on");
    desk.stop().await;
}
