//! Mail that is too large, or that the server can't hand out, and its neighbours.

use super::{deliver, sink};
use crate::mailing::*;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::dovecot::Dovecot;
use support::mail::mail;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_mail_comes_in_whole() {
    let dovecot = Dovecot::start();
    let film = noise(13 << 20);
    let large = mail().subject("The film").attachment("film.bin", "application/octet-stream", &film).build();
    assert!(large.len() > 16 << 20, "it is fetched in pieces");
    deliver(&dovecot, 0..1);
    dovecot.deliver("support", "INBOX", &large);
    deliver(&dovecot, 1..2);
    let mut desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(3)), "{status}");

    // It lies outside of the database, and is served byte for byte, after a restart too.
    let kept = desk.dir().join("data/objects");
    let folders = fs::read_dir(kept).expect("the object store is there").flatten();
    let objects: usize =
        folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).map(Iterator::count).sum();
    assert_eq!(objects, 1);
    desk.restart().await;
    let all = conversations(&desk).await;
    let film_mail = all.iter().find(|c| c["subject"] == "The film").expect("it is here");
    let message = messages(&desk, number(&film_mail["id"])).await.remove(0);
    assert!(raw(&desk, number(&message["id"])).await == large);
    let file = &message["attachments"][0];
    assert_eq!((&file["filename"], &file["size"]), (&json!("film.bin"), &json!(film.len())));
    let path = format!("/api/v1/attachments/{}/content", file["id"].as_str().expect("an id"));
    assert!(desk.http.get(&path).await.expect(200).body == film);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_above_the_limit_is_kept_in_part_and_left_on_the_server() {
    let dovecot = Dovecot::start();
    let large = mail().subject("Too much").text("See the file.").attachment(
        "a.bin",
        "application/zip",
        &noise(1 << 20),
    );
    deliver(&dovecot, 0..1);
    dovecot.deliver("support", "INBOX", large.build());
    deliver(&dovecot, 1..2);
    let clock = Clock::System;
    let desk = TestDesk::start_with(clock, |config| config.limits.mail_mib = 1).await;
    let after = json!({"after_ingest": {"type": "delete", "after_days": 0}});
    let mailbox = add(&desk, with(imap(&dovecot), after), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["pending"]), (&json!("ok"), &json!(0)), "{status}");
    let oversized = ledger(&desk, mailbox, "oversized").await;
    assert_eq!(oversized.len(), 1);
    assert!(oversized[0]["reason"].is_string() && oversized[0]["message_id"].is_i64(), "{oversized:?}");
    assert_eq!(ledger(&desk, mailbox, "accepted").await.len(), 2);
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 3);
    for conversation in &all {
        let message = messages(&desk, number(&conversation["id"])).await.remove(0);
        let is_large = conversation["subject"] == "Too much";
        let flags = message["flags"].as_array().expect("a list");
        assert_eq!(flags.contains(&json!("oversized")), is_large, "{message}");
        if is_large {
            assert!(message["text"].as_str().is_some_and(|text| text.contains("See the file.")), "{message}");
            let kept = raw(&desk, number(&message["id"])).await;
            assert!(large.build().starts_with(&kept) && kept.len() < 1 << 20, "{} bytes", kept.len());
        }
    }
    // Only what is here as a whole is deleted there.
    let left: Vec<Vec<u8>> = dovecot.stored("support", "INBOX").into_iter().map(|mail| mail.raw).collect();
    assert!(left == [large.build()]);
    assert_eq!(sync(&desk, mailbox).await["accepted"], status["accepted"], "it is not taken in again");
    // Its copy is known by its beginning alone, and what the rest of it says nobody has seen.
    dovecot.deliver("support", "INBOX", large.build());
    sync(&desk, mailbox).await;
    assert_eq!(ledger(&desk, mailbox, "oversized").await.len(), 2);
    assert_eq!(conversations(&desk).await.len(), 3);
    assert_eq!(dovecot.stored("support", "INBOX").len(), 2);
    desk.stop().await;
}

/// Takes from everybody, Dovecot included, the right to read the newest mail. Returns its file.
pub(super) fn poison(dovecot: &Dovecot, size_in_name: bool) -> PathBuf {
    let name = dovecot.stored("support", "INBOX").pop().expect("a mail is there").name;
    let folder = dovecot.maildir("support", "INBOX").join("new");
    let size = fs::metadata(folder.join(&name)).expect("the mail is there").len();
    // Servers that note sizes in names can list a mail that they can't read.
    let path =
        if size_in_name { folder.join(format!("{name},S={size},W={size}")) } else { folder.join(&name) };
    fs::rename(folder.join(&name), &path).expect("the mail is our own");
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("the mail is our own");
    path
}

async fn poison_stands_alone(size_in_name: bool) {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..2);
    poison(&dovecot, size_in_name);
    deliver(&dovecot, 2..4);
    let clock = Clock::fixed(BEGINNING);
    let desk = TestDesk::start_with(clock, |config| config.limits.ingest_tries = 3).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    // The others come in; the bad one is tried so often and then put aside.
    let mut status = sync(&desk, mailbox).await;
    assert_eq!(status["accepted"], 3, "{status}");
    assert_eq!(status["state"], "degraded", "{status}");
    assert!(status["last_error"].is_string(), "{status}");
    assert_eq!((&status["pending"], &status["retrying"]), (&json!(1), &json!(1)), "{status}");
    assert!(status["next_try_at"].is_string(), "{status}");
    // Asked for ahead of its time, it is tried, and that counts for nothing.
    for _ in 0..3 {
        status = sync(&desk, mailbox).await;
    }
    assert_eq!((&status["pending"], &status["failed"]), (&json!(1), &json!(0)), "{status}");
    for (number, pause) in [(4, 1), (5, 15)] {
        assert_eq!(status["failed"], 0, "{status}");
        deliver(&dovecot, [number]);
        desk.desk().advance_clock(Duration::from_mins(pause));
        status = sync(&desk, mailbox).await;
    }
    assert_eq!(
        (&status["accepted"], &status["pending"], &status["failed"]),
        (&json!(5), &json!(0), &json!(1)),
        "{status}"
    );
    assert_eq!(sync(&desk, mailbox).await["state"], "ok");
    let events = desk.event_types().await;
    assert_eq!(events.iter().filter(|event| *event == "mail.quarantined").count(), 1, "{events:?}");
    let aside = ledger(&desk, mailbox, "quarantined").await;
    assert_eq!((aside.len(), &aside[0]["uid"], &aside[0]["message_id"]), (1, &json!(2), &Value::Null));
    assert!(aside[0]["reason"].is_string(), "{aside:?}");
    // What comes later comes in.
    deliver(&dovecot, 6..7);
    assert_eq!(sync(&desk, mailbox).await["accepted"], 6);
    let all = conversations(&desk).await;
    let subjects: Vec<&Value> = all.iter().map(|conversation| &conversation["subject"]).collect();
    assert_eq!(subjects, ["Order 0", "Order 2", "Order 3", "Order 4", "Order 5", "Order 6"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_can_not_be_fetched_blocks_no_other() {
    poison_stands_alone(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_can_not_even_be_measured_blocks_no_other() {
    poison_stands_alone(false).await;
}
