//! A daemon that stops, in good order or not, loses no answer and sends none twice.

use super::{sending, with_ada};
use crate::mailing::*;
use postroom_core::id::MailboxId;
use postroom_core::operations::mailboxes::{self, MailboxChange};
use postroom_core::operations::outbox::{self, Slots};
use serde_json::{Value, json};
use std::time::Duration;
use support::database;
use support::desk::TestDesk;
use support::smtp::{Phase, SmtpSink};

async fn pause(desk: &TestDesk, mailbox: i64, paused: bool) {
    let path = format!("/api/v1/mailboxes/{mailbox}");
    desk.http.patch(&path, &json!({"paused": paused})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_the_daemon_stops_leaves_once_when_it_is_back() {
    let (mut desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    pause(&desk, mailbox, true).await;
    let answers = [
        reply(&desk, conversation, "It left today.").await,
        reply(&desk, conversation, "And this too.").await,
    ];
    assert_eq!(answers[0]["delivery"]["state"], "queued");
    let path = format!("/api/v1/messages/{}", answers[0]["id"]);
    let waiting = desk.http.get(&path).await.expect(200);
    let delivery = &waiting.json()["delivery"];
    assert_eq!(
        (&delivery["held_up_by"], &delivery["next_attempt_at"]),
        (&json!("mailbox_paused"), &json!(null))
    );
    desk.restart().await;
    for answer in &answers {
        delivered(&desk, answer, "queued").await;
    }
    assert!(sink.mails().is_empty(), "nothing leaves from a mailbox at rest");
    pause(&desk, mailbox, false).await;
    let now = desk.http.get(&path).await.expect(200);
    assert_ne!(now.header("etag"), waiting.header("etag"), "what holds it up is part of what is shown");
    for answer in &answers {
        assert_eq!(delivered(&desk, answer, "sent").await["attempts"], 1);
    }
    desk.restart().await;
    let last = reply(&desk, conversation, "Anything else?").await;
    delivered(&desk, &last, "sent").await;
    assert_eq!(sink.mails().len(), 3, "each once");
    desk.stop().await;
}

/// Takes a queued mail as a worker does who then dies: before its bytes went, or after.
async fn claim_and_die(desk: &TestDesk, mailbox: i64, bytes_went: bool) {
    desk.write(move |cx| {
        let wake = MailboxChange { paused: Some(false), ..MailboxChange::default() };
        mailboxes::update(cx, MailboxId(mailbox), None, &wake)?;
        for claimed in outbox::claim(cx, &Slots::new(10))? {
            if bytes_went {
                outbox::data_goes(cx, &claimed, "support@example.org", &[])?;
            }
        }
        Ok(())
    })
    .await;
}

async fn queued(desk: &TestDesk, sink: &SmtpSink) -> (i64, i64, Value) {
    let mailbox = sending(desk, sink).await;
    let conversation = with_ada(desk, mailbox).await;
    pause(desk, mailbox, true).await;
    let answer = reply(desk, conversation, "It left today.").await;
    (mailbox, conversation, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_is_replaced() {
    for bytes_went in [false, true] {
        let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
        let (mailbox, conversation, answer) = queued(&desk, &sink).await;
        claim_and_die(&desk, mailbox, bytes_went).await;
        delivered(&desk, &answer, "sending").await;
        // The claim runs out.
        sql(desk.config(), "UPDATE outbox SET claimed_until = claimed_until - 121000000");
        pass(&desk, Duration::from_secs(1)).await;
        let expected = if bytes_went { "uncertain" } else { "sent" };
        delivered(&desk, &answer, expected).await;
        let next = reply(&desk, conversation, "Did you get it?").await;
        delivered(&desk, &next, "sent").await;
        assert_eq!(sink.mails().len(), if bytes_went { 1 } else { 2 });
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_died_over_a_mail_settles_it_when_it_is_back() {
    if database::kind() == database::Kind::Postgres {
        // There another daemon may be at work on the mail: it is settled when its claim runs out.
        return;
    }
    for bytes_went in [false, true] {
        let (mut desk, sink) = (TestDesk::start().await, SmtpSink::start());
        let (mailbox, conversation, answer) = queued(&desk, &sink).await;
        claim_and_die(&desk, mailbox, bytes_went).await;
        desk.restart().await;
        let expected = if bytes_went { "uncertain" } else { "sent" };
        delivered(&desk, &answer, expected).await;
        let next = reply(&desk, conversation, "Did you get it?").await;
        delivered(&desk, &next, "sent").await;
        assert_eq!(sink.mails().len(), if bytes_went { 1 } else { 2 });
        desk.stop().await;
    }
}

/// A server may take ten minutes to say that it has a mail; whoever stops the daemon does not wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_waits_for_no_silent_server() {
    let (mut desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.hold_next(Phase::Dot);
    let answer = reply(&desk, conversation, "It left today.").await;
    desk.until(|| async { (sink.held() == 1).then_some(()) }).await;
    // It would wait for ten minutes, and the test for two.
    desk.restart().await;
    let delivery = delivered(&desk, &answer, "uncertain").await;
    assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains("stopped")), "{delivery}");
    sink.let_go();
    desk.stop().await;
}
