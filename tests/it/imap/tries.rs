//! Mail that does not come: whose fault that is, when it is tried again, and that it is never given up.

use super::odd::poison;
use super::{deliver, sink};
use crate::mailing::*;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::dovecot::Dovecot;

const HOUR: Duration = Duration::from_hours(1);

async fn desk(tries: i32) -> TestDesk {
    TestDesk::start_with(Clock::fixed(BEGINNING), |config| config.limits.ingest_tries = tries).await
}

async fn told(desk: &TestDesk) -> usize {
    list(desk, "/api/v1/events?after=0&limit=100&types=mail.quarantined").await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_breaks_every_connection_alone_is_put_aside_after_three_times_as_many_tries() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    poison(&dovecot, true);
    let desk = desk(2).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    for number in 0..6 {
        let status = sync(&desk, mailbox).await;
        let aside = i64::from(number == 5);
        assert_eq!((&status["failed"], &status["pending"]), (&json!(aside), &json!(1 - aside)), "{status}");
        assert_eq!(status["retrying"], 1 - aside, "{status}");
        assert!(status["next_try_at"].is_string(), "{status}");
        desk.desk().advance_clock(HOUR);
    }
    assert_eq!(told(&desk).await, 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_is_tried_daily_and_comes_in_by_itself() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    let locked = poison(&dovecot, true);
    deliver(&dovecot, 1..2);
    let desk = desk(1).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "quarantined").await.remove(0);
    let status = status(&desk, mailbox).await;
    assert_eq!(status["next_try_at"], row["next_try_at"], "{status}");
    // Not before its time, also where somebody asks for a poll.
    assert_eq!(sync(&desk, mailbox).await["failed"], 1);
    assert_eq!(ledger(&desk, mailbox, "quarantined").await, std::slice::from_ref(&row));

    // In vain, and nobody is told again.
    desk.desk().advance_clock(HOUR * 24);
    let status = sync(&desk, mailbox).await;
    assert_eq!(
        (&status["failed"], &status["pending"], &status["retrying"]),
        (&json!(1), &json!(0), &json!(0))
    );
    let again = ledger(&desk, mailbox, "quarantined").await.remove(0);
    assert_eq!((&again["id"], &again["created_at"]), (&row["id"], &row["created_at"]));
    assert!(again["next_try_at"].as_str() > row["next_try_at"].as_str(), "{again}");
    assert_eq!(told(&desk).await, 1);
    let tries = list(&desk, "/api/v1/events?after=0&limit=100&types=mail.retried").await;
    assert_eq!(tries.len(), 0, "nobody asked: {tries:?}");

    fs::set_permissions(&locked, Permissions::from_mode(0o644)).expect("the mail is our own");
    desk.desk().advance_clock(HOUR * 24);
    let status = sync(&desk, mailbox).await;
    assert_eq!(
        (&status["failed"], &status["accepted"], &status["next_try_at"], &status["state"]),
        (&json!(0), &json!(2), &Value::Null, &json!("ok")),
        "{status}"
    );
    let done = desk.http.get(&format!("/api/v1/mailboxes/{mailbox}/ingest/{}", row["id"])).await.expect(200);
    assert_eq!(done.json()["verdict"], "accepted");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_ran_ahead_keeps_no_mail_waiting() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    let locked = poison(&dovecot, true);
    deliver(&dovecot, 1..2);
    let desk = desk(1).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    assert_eq!(sync(&desk, mailbox).await["failed"], 1);
    fs::set_permissions(&locked, Permissions::from_mode(0o644)).expect("the mail is our own");
    let year = format!("{}", HOUR.as_micros() * 24 * 365);
    let later = format!("UPDATE ledger SET next_try_at = next_try_at + {year} WHERE next_try_at IS NOT NULL");
    crate::poison::run(&crate::poison::of(&desk), &later);
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["failed"], &status["accepted"]), (&json!(0), &json!(2)), "{status}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_numbers_end_the_tries_under_the_old_ones() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    let locked = poison(&dovecot, true);
    deliver(&dovecot, 1..2);
    let desk = desk(1).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "quarantined").await.remove(0);
    fs::set_permissions(&locked, Permissions::from_mode(0o644)).expect("the mail is our own");
    dovecot.lose_uidvalidity("support", "INBOX");
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["next_try_at"]), (&json!(2), &Value::Null), "{status}");
    let old = desk.http.get(&format!("/api/v1/mailboxes/{mailbox}/ingest/{}", row["id"])).await.expect(200);
    assert_eq!((&old.json()["verdict"], &old.json()["next_try_at"]), (&json!("quarantined"), &Value::Null));
    assert_eq!(conversations(&desk).await.len(), 2);
    desk.stop().await;
}
