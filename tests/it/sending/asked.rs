//! What a person decides about an answer that did not arrive.

use super::*;
use std::time::Duration;
use support::smtp::Phase;

async fn by_hand(desk: &TestDesk, message: &Value, what: &str) -> support::http::Answer {
    desk.http.post(&format!("/api/v1/messages/{}/{what}", message["id"]), &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_with_the_same_bytes_and_only_for_those_it_has_not_reached() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("bob@example.net", "550 5.1.1 no such user");
    let body = json!({"kind": "reply", "text": "It left.", "cc": [{"email": "bob@example.net"}]});
    let first = reply_with(&desk, conversation, body).await;
    delivered(&desk, &first, "sent").await;
    // Somebody has it, and nothing failed as a whole.
    by_hand(&desk, &first, "cancel").await.expect(409);
    sink.fail_next(Phase::Dot, "554 5.7.1 no");
    let answer = reply(&desk, conversation, "Again.").await;
    delivered(&desk, &answer, "failed").await;
    let before = raw(&desk, number(&answer["id"])).await;
    let tried = by_hand(&desk, &answer, "retry").await.expect(200).json();
    assert_eq!(tried["delivery"]["may_be_double"], false);
    delivered(&desk, &answer, "sent").await;
    assert_eq!(raw(&desk, number(&answer["id"])).await, before);
    by_hand(&desk, &answer, "retry").await.expect(409);
    assert_eq!(sink.mails().len(), 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_never_leaves() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.fail_next(Phase::Mail, "451 4.3.0 later");
    let answer = reply(&desk, conversation, "It left.").await;
    delivered(&desk, &answer, "deferred").await;
    let stopped = by_hand(&desk, &answer, "cancel").await.expect(200).json();
    assert_eq!(stopped["delivery"]["state"], "failed");
    let why = stopped["delivery"]["last_error"].as_str().expect("a reason");
    assert!(why.contains("cancelled by test"), "{why}");
    pass(&desk, days(1)).await;
    // What leaves after it shows that the outbox was looked through.
    let next = reply(&desk, conversation, "Next.").await;
    delivered(&desk, &next, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_let_go_and_a_draft_is_not() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let held = json!({"kind": "reply", "text": "Held.", "undo_seconds": 600});
    let held = reply_with(&desk, conversation, held).await;
    by_hand(&desk, &held, "retry").await.expect(200);
    delivered(&desk, &held, "sent").await;
    let draft = reply_with(&desk, conversation, json!({"kind": "reply", "text": "x", "draft": true})).await;
    by_hand(&desk, &draft, "retry").await.expect(409);
    by_hand(&desk, &draft, "cancel").await.expect(409);
    pass(&desk, Duration::from_secs(600)).await;
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}
