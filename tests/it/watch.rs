//! When a mailbox is polled: on news, after pauses that grow, and what becomes known of one that
//! fails for long, and when.

use crate::mailing::*;
use postroom_core::time::{Clock, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::mail;
use support::maildir;
use support::smtp::SmtpSink;

fn hourly(source: Value) -> Value {
    json!({"name": "Support", "address": "support@example.org", "poll_interval_seconds": 3600,
        "source": source, "delivery": {"type": "sink"}})
}

async fn until_accepted(desk: &TestDesk, mailbox: i64, count: i64) {
    desk.until(|| async { (status(desk, mailbox).await["accepted"] == count).then_some(()) }).await;
}

/// Sessions on the server: a watched folder has one, an idle mailbox has no other.
async fn until_sessions(desk: &TestDesk, dovecot: &Dovecot, count: usize) {
    desk.until(|| async { (dovecot.sessions() == count).then_some(()) }).await;
}

fn order(number: usize) -> Vec<u8> {
    mail().subject(&format!("Order {number}")).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn news_wake_a_mailbox_that_is_polled_once_an_hour() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start_with(Clock::System, |config| config.ingest.idle = true).await;
    let mailbox = add_with(&desk, hourly(imap(&dovecot))).await;
    let path = format!("/api/v1/mailboxes/{mailbox}");
    sync(&desk, mailbox).await;
    until_sessions(&desk, &dovecot, 1).await;
    dovecot.deliver("support", "INBOX", order(1));
    until_accepted(&desk, mailbox, 1).await;

    // Whose connection breaks looks for what came meanwhile.
    until_sessions(&desk, &dovecot, 1).await;
    assert_eq!(dovecot.kill_sessions(), 1);
    dovecot.deliver("support", "INBOX", order(2));
    until_accepted(&desk, mailbox, 2).await;

    // At rest, nobody waits there; awake again, somebody does.
    desk.http.patch(&path, &json!({"paused": true})).await.expect(200);
    until_sessions(&desk, &dovecot, 0).await;
    dovecot.deliver("support", "INBOX", order(3));
    desk.http.patch(&path, &json!({"paused": false})).await.expect(200);
    until_accepted(&desk, mailbox, 3).await;
    until_sessions(&desk, &dovecot, 1).await;
    dovecot.deliver("support", "INBOX", order(4));
    until_accepted(&desk, mailbox, 4).await;

    // A changed mailbox is watched anew, where it is now.
    desk.http
        .patch(&path, &json!({"source": with(imap(&dovecot), json!({"folders": ["INBOX", "Sales"]}))}))
        .await;
    dovecot.deliver("support", "Sales", order(5));
    until_accepted(&desk, mailbox, 5).await;
    until_sessions(&desk, &dovecot, 2).await;
    desk.stop().await;
    while dovecot.sessions() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_it_is_not_watched() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = add_with(&desk, hourly(imap(&dovecot))).await;
    dovecot.deliver("support", "INBOX", order(1));
    sync(&desk, mailbox).await;
    until_sessions(&desk, &dovecot, 0).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 1);
    until_sessions(&desk, &dovecot, 0).await;
    desk.stop().await;
}

/// A mailbox that is always well; a poll of it shows that all others were looked at.
async fn healthy(desk: &TestDesk) -> i64 {
    let path = desk.dir().join("Maildir");
    maildir::make(&path, None);
    let body = json!({"name": "Well", "address": "well@example.org", "poll_interval_seconds": 86_400,
        "source": {"type": "maildir", "path": path}, "delivery": {"type": "sink"}});
    add_with(desk, body).await
}

fn seconds(from: &Value, to: &Value) -> i64 {
    let at = |time: &Value| {
        let text = time.as_str().unwrap_or_else(|| panic!("{time} is no time"));
        Timestamp::parse(text).expect("RFC 3339").0
    };
    (at(to) - at(from)) / 1_000_000
}

async fn count(desk: &TestDesk, word: &str) -> usize {
    desk.event_types().await.iter().filter(|event| *event == word).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_six_times_an_hour_and_made_known_after_fifteen_minutes() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start_fixed().await;
    let well = healthy(&desk).await;
    for (name, email, role) in [
        ("Ada", "ada@example.net", "owner"),
        ("Bob", "bob@example.net", "admin"),
        ("Cleo", "cleo@example.net", "agent"),
    ] {
        desk.http
            .post("/api/v1/agents", &json!({"name": name, "email": email, "role": role}))
            .await
            .expect(201);
    }
    // What notices leave through; its own mail is pushed.
    let body = json!({"name": "Notices", "address": "notices@example.org", "source": {"type": "push"}, "delivery": smtp(&sink)});
    add_with(&desk, body).await;
    let source = with(imap(&dovecot), json!({"password": "wrong"}));
    let mailbox = add_with(&desk, hourly(source)).await;
    let path = format!("/api/v1/mailboxes/{mailbox}");
    let mut last = desk
        .until(|| async {
            let status = status(&desk, mailbox).await;
            (status["state"] == "failing").then_some(status)
        })
        .await;
    let first = last["last_attempt_at"].clone();
    let mut attempts = 1;
    let mut elapsed = 0;
    while elapsed < 3600 {
        let pause = seconds(&first, &last["retry_at"]) - elapsed;
        assert!((120..=900).contains(&pause), "{pause} s: {last}");
        // A second before the time nothing happens.
        if elapsed < 900 {
            let early = u64::try_from(pause - 1).expect("positive");
            pass(&desk, Duration::from_secs(early)).await;
            desk.sync(well).await;
            assert_eq!(status(&desk, mailbox).await["last_attempt_at"], last["last_attempt_at"]);
            pass(&desk, Duration::from_secs(2)).await;
            elapsed += pause + 1;
        } else {
            pass(&desk, Duration::from_secs(u64::try_from(pause + 1).expect("positive"))).await;
            elapsed += pause + 1;
        }
        let known = count(&desk, "mailbox.error").await;
        assert!(known == 0 || elapsed >= 900, "too early, after {elapsed} s");
        last = desk
            .until(|| async {
                let status = status(&desk, mailbox).await;
                (status["retry_at"] != last["retry_at"] && status["syncing"] == json!(false))
                    .then_some(status)
            })
            .await;
        if elapsed < 3600 {
            attempts += 1;
        }
    }
    assert!((4..=6).contains(&attempts), "{attempts} logins in an hour");
    assert_eq!(last["state"], "failing");
    assert!(last["last_error"].as_str().is_some_and(|why| why.contains("password")), "{last}");

    let told = sink.next().await;
    assert_eq!(count(&desk, "mailbox.error").await, 1, "once");
    assert_eq!(told.to, ["ada@example.net", "bob@example.net"]);
    let text = String::from_utf8_lossy(&told.raw).into_owned();
    for words in
        ["Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: All", "Support", "can't be read"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let ready = desk.http.get("/api/v1/health/ready").await.expect(200).json();
    assert_eq!(
        ready["mailboxes"],
        json!({"new": 0, "ok": 2, "degraded": 0, "failing": 1, "needs_authorization": 0, "paused": 0}),
        "{ready}"
    );

    desk.http.patch(&path, &json!({"source": {"password": support::dovecot::PASSWORD}})).await.expect(200);
    desk.until(|| async { (status(&desk, mailbox).await["state"] == "ok").then_some(()) }).await;
    let told = sink.next().await;
    assert!(told.header("Subject").is_some_and(|subject| subject.contains("can be read again")));
    assert_eq!(sink.mails().len(), 2, "each is told once");
    assert_eq!((count(&desk, "mailbox.error").await, count(&desk, "mailbox.recovered").await), (1, 1));
    desk.stop().await;
}
