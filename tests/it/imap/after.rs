//! What is done to a mail on the server once it is safely here, and nothing before.

use super::{deliver, numbered, sink};
use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::dovecot::Dovecot;

fn and_then(dovecot: &Dovecot, after: Value) -> Value {
    with(imap(dovecot), json!({"after_ingest": after}))
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_marked_as_read() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..3);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "seen"})), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(3)), "{status}");
    let flags: Vec<String> = dovecot.stored("support", "INBOX").into_iter().map(|mail| mail.flags).collect();
    assert_eq!(flags, ["S", "S", "S"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_moved() {
    let dovecot = Dovecot::start();
    dovecot.make_folder("support", "Done");
    deliver(&dovecot, 0..3);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "move", "folder": "Done"})), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(3)), "{status}");
    assert!(dovecot.stored("support", "INBOX").is_empty());
    let moved: Vec<Vec<u8>> = dovecot.stored("support", "Done").into_iter().map(|mail| mail.raw).collect();
    assert_eq!(moved.len(), 3);
    assert!((0..3).all(|number| moved.contains(&numbered(number).build())));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_can_not_be_moved_stays_and_is_moved_later() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..2);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "move", "folder": "Done"})), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["accepted"], 2, "it is here all the same: {status}");
    assert_eq!(status["state"], "degraded", "it goes on being polled as often: {status}");
    let why = status["last_error"].as_str().unwrap_or_default();
    assert!(why.contains("\"Done\""), "{why}");
    assert_eq!(dovecot.stored("support", "INBOX").len(), 2);
    dovecot.make_folder("support", "Done");
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["last_error"]), (&json!("ok"), &Value::Null), "{status}");
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(2), &json!(0)));
    assert!(dovecot.stored("support", "INBOX").is_empty());
    assert_eq!(dovecot.stored("support", "Done").len(), 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_deleted_at_once() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..3);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "delete", "after_days": 0})), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(3)), "{status}");
    assert!(dovecot.stored("support", "INBOX").is_empty());
    let all = conversations(&desk).await;
    let kept = messages(&desk, number(&all[0]["id"])).await;
    assert_eq!(raw(&desk, number(&kept[0]["id"])).await, numbered(0).build());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_deleted_after_its_days() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..2);
    let desk = TestDesk::start_fixed().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "delete", "after_days": 3})), sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 2);
    desk.desk().advance_clock(days(2));
    deliver(&dovecot, 2..3);
    assert_eq!(sync(&desk, mailbox).await["accepted"], 3);
    assert_eq!(dovecot.stored("support", "INBOX").len(), 3, "two days are not three");
    desk.desk().advance_clock(days(1));
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["state"], "ok", "{status}");
    let left: Vec<Vec<u8>> = dovecot.stored("support", "INBOX").into_iter().map(|mail| mail.raw).collect();
    assert_eq!(left, [numbered(2).build()], "each has its own three days");
    assert_eq!(conversations(&desk).await.len(), 3);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_before_the_end_is_done_after_it() {
    let mut dovecot = Dovecot::start();
    deliver(&dovecot, 0..3);
    let mut desk = TestDesk::start().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "move", "folder": "Done"})), sink()).await;
    // It is here and committed; what was to follow on the server could not.
    assert_eq!(sync(&desk, mailbox).await["state"], "degraded");
    dovecot.kill();
    desk.restart().await;
    assert_eq!(sync(&desk, mailbox).await["state"], "failing");
    dovecot.start_again();
    dovecot.make_folder("support", "Done");
    // One is gone meanwhile: that does not matter to the others.
    let gone = dovecot.stored("support", "INBOX")[1].name.clone();
    let folder = dovecot.maildir("support", "INBOX");
    for part in ["new", "cur"] {
        for entry in std::fs::read_dir(folder.join(part)).expect("a Maildir has both").flatten() {
            if entry.file_name().to_string_lossy().starts_with(&gone) {
                std::fs::remove_file(entry.path()).expect("it is our own");
            }
        }
    }
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(3)), "{status}");
    assert!(dovecot.stored("support", "INBOX").is_empty());
    assert_eq!(dovecot.stored("support", "Done").len(), 2);
    desk.stop().await;
}

/// What is to be done to mail later is forgotten where it is to be done no more, not with every edit.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_deleted_outlives_an_edit_of_something_else() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..2);
    let desk = TestDesk::start_fixed().await;
    let mailbox = add(&desk, and_then(&dovecot, json!({"type": "delete", "after_days": 2})), sink()).await;
    sync(&desk, mailbox).await;
    dovecot.make_folder("support", "More");
    let path = format!("/api/v1/mailboxes/{mailbox}");
    desk.http.patch(&path, &json!({"source": {"folders": ["INBOX", "More"]}})).await.expect(200);
    pass(&desk, days(3)).await;
    sync(&desk, mailbox).await;
    assert!(dovecot.stored("support", "INBOX").is_empty());
    desk.stop().await;
}
