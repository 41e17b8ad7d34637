//! Servers that give their mails other numbers, with and without saying so: nothing is lost,
//! nothing is doubled, and what is known is not fetched again.

use super::{deliver, numbered, sink};
use crate::mailing::*;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::mail;

/// The mails of INBOX, each with when it came.
fn stamps(dovecot: &Dovecot) -> Vec<(PathBuf, SystemTime)> {
    let folders = ["new", "cur"].map(|part| dovecot.maildir("support", "INBOX").join(part));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a Maildir has both").flatten());
    let stamp =
        |file: &fs::DirEntry| file.metadata().and_then(|data| data.modified()).expect("it is our own");
    files.map(|file| (file.path(), stamp(&file))).collect()
}

/// Lets all mail of INBOX have come some days ago.
fn age(dovecot: &Dovecot, by: u64) {
    for (path, _) in stamps(dovecot) {
        let file = fs::File::options().write(true).open(path).expect("it is our own");
        file.set_modified(SystemTime::now() - days(by)).expect("it is our own");
    }
}

/// Restores the folder from a backup in which it held its first mails only.
fn restore(dovecot: &Dovecot, keep: usize) {
    dovecot.kill_sessions();
    let folder = dovecot.maildir("support", "INBOX");
    let list = fs::read_to_string(folder.join("dovecot-uidlist")).expect("Dovecot has read it");
    let mut lines = list.lines();
    let header: Vec<String> = lines
        .next()
        .expect("it has a header")
        .split(' ')
        .map(|word| if word.starts_with('N') { format!("N{}", keep + 1) } else { word.to_owned() })
        .collect();
    let (kept, lost): (Vec<&str>, Vec<&str>) = lines.partition(|line| {
        let uid = line.split(' ').next().and_then(|uid| uid.parse::<usize>().ok());
        uid.is_some_and(|uid| uid <= keep)
    });
    for line in lost {
        let name = line.split_once(':').expect("it names a file").1;
        for part in ["new", "cur"] {
            for entry in fs::read_dir(folder.join(part)).expect("a Maildir has both").flatten() {
                if entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with(name.split([',', ':']).next().unwrap_or(name))
                {
                    fs::remove_file(entry.path()).expect("it is our own");
                }
            }
        }
    }
    let all =
        [&[header.join(" ")][..], &kept.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()].concat();
    fs::write(folder.join("dovecot-uidlist"), all.join("\n") + "\n").expect("it is our own");
    for entry in fs::read_dir(&folder).expect("it is there").flatten() {
        if entry.file_name().to_string_lossy().starts_with("dovecot.index") {
            fs::remove_file(entry.path()).expect("it is our own");
        }
    }
}

async fn told(desk: &TestDesk) -> Vec<Value> {
    let events = list(desk, "/api/v1/events?after=0&limit=100&types=mailbox.renumbered").await;
    events.into_iter().map(|event| event["data"].clone()).collect()
}

async fn subjects(desk: &TestDesk) -> Vec<String> {
    let all = conversations(desk).await;
    assert!(all.iter().all(|conversation| conversation["message_count"] == 1), "{all:?}");
    let mut subjects: Vec<String> =
        all.iter().map(|one| one["subject"].as_str().unwrap_or_default().to_owned()).collect();
    subjects.sort();
    subjects
}

fn orders(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("Order {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_not_fetched_again() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..5);
    age(&dovecot, 1);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 5);
    // Three times in a row, as a server does that is moved and moved back.
    for round in 1..=3 {
        dovecot.lose_uidvalidity("support", "INBOX");
        // Its Date must not make it history: no clock is ahead of this one.
        let new = numbered(4 + round).date("01 Jan 2099 08:00:00 +0000");
        dovecot.deliver("support", "INBOX", new.build());
        let status = sync(&desk, mailbox).await;
        assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(5 + round)), "{status}");
        assert_eq!(
            (&status["pending"], &status["folders"][0]["generation"]),
            (&json!(0), &json!(round)),
            "{status}"
        );
        let event = told(&desk).await.pop().expect("it is told");
        assert_eq!(event["reason"], "uidvalidity", "{event}");
        assert_eq!((&event["known"], &event["unknown"]), (&json!(4 + round), &json!(1)), "{event}");
        assert_eq!(event["doubtful"], json!(false), "{event}");
    }
    assert_eq!(subjects(&desk).await, orders(0..8));
    let copies = ledger(&desk, mailbox, "duplicate").await;
    assert_eq!(copies.len(), 5 + 6 + 7);
    let unfetched = |row: &&Value| row["reason"] == "it was here before the server numbered its mail anew";
    assert_eq!(copies.iter().filter(unfetched).count(), copies.len(), "{copies:?}");
    // The mails that are new come in as such, and what was found late as history.
    let received = list(&desk, "/api/v1/events?after=0&limit=100&types=message.received").await;
    let quiet: Vec<bool> = received.iter().map(|event| event["data"]["quiet"] == json!(true)).collect();
    assert_eq!(quiet, [true, true, true, true, true, false, false, false]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_look_alike_are_looked_at() {
    let dovecot = Dovecot::start();
    let parcel = |number: usize| {
        mail()
            .from("info@parcels.example")
            .subject("Parcel")
            .text(&format!("Parcel {number}"))
            .message_id("<1@parcels.example>")
    };
    dovecot.deliver("support", "INBOX", parcel(1).build());
    age(&dovecot, 1);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 1);
    // Another one with the same Message-ID, of the same second and size, came before the server moved.
    let stamp = stamps(&dovecot).pop().expect("the first mail is there").1;
    dovecot.deliver("support", "INBOX", parcel(2).build());
    for (path, _) in stamps(&dovecot) {
        let file = fs::File::options().write(true).open(path).expect("it is our own");
        file.set_modified(stamp).expect("it is our own");
    }
    dovecot.lose_uidvalidity("support", "INBOX");
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(2), &json!(1)), "{status}");
    let event = told(&desk).await.pop().expect("it is told");
    assert_eq!((&event["unknown"], &event["doubtful"]), (&json!(2), &json!(true)), "{event}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_server_loses_nothing() {
    for came_since in [1, 2, 3] {
        let dovecot = Dovecot::start();
        deliver(&dovecot, 0..5);
        age(&dovecot, 2);
        let desk = TestDesk::start().await;
        let mailbox = add(&desk, imap(&dovecot), sink()).await;
        assert_eq!(sync(&desk, mailbox).await["accepted"], 5);
        // Its next number is then below, at, or above the one that we stand at.
        restore(&dovecot, 3);
        for number in 5..5 + came_since {
            let long = mail().subject(&format!("Order {number}")).text(&"Where is it? ".repeat(number));
            dovecot.deliver("support", "INBOX", long.build());
        }
        let status = sync(&desk, mailbox).await;
        assert_eq!(
            (&status["state"], &status["accepted"]),
            (&json!("ok"), &json!(5 + came_since)),
            "{came_since}: {status}"
        );
        assert_eq!(subjects(&desk).await, orders(0..5 + came_since), "{came_since}");
        let event = told(&desk).await.pop().expect("it is told");
        assert_eq!((&event["reason"], &event["known"]), (&json!("restored"), &json!(3)), "{event}");
        // Once is enough.
        assert_eq!(sync(&desk, mailbox).await["folders"][0]["generation"], 1);
        assert_eq!(told(&desk).await.len(), 1);
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_still_to_be_done_is_done_under_the_new_numbers() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..2);
    age(&dovecot, 1);
    let desk = TestDesk::start_fixed().await;
    let after = json!({"after_ingest": {"type": "delete", "after_days": 3}});
    let mailbox = add(&desk, with(imap(&dovecot), after), sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 2);
    desk.desk().advance_clock(days(2));
    dovecot.lose_uidvalidity("support", "INBOX");
    assert_eq!(sync(&desk, mailbox).await["duplicates"], 2);
    assert_eq!(dovecot.stored("support", "INBOX").len(), 2, "two days are not three");
    desk.desk().advance_clock(days(1));
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["state"], "ok", "{status}");
    assert!(dovecot.stored("support", "INBOX").is_empty(), "its three days have run on");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_numbers_in_the_middle_of_it_lose_nothing() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..350);
    age(&dovecot, 1);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    // The first batches are here, the others are being fetched.
    desk.until(|| async {
        let accepted = status(&desk, mailbox).await["accepted"].clone();
        (number(&accepted) >= 100).then_some(())
    })
    .await;
    dovecot.lose_uidvalidity("support", "INBOX");
    for _ in 0..3 {
        sync(&desk, mailbox).await;
    }
    let status = status(&desk, mailbox).await;
    assert_eq!(
        (&status["state"], &status["accepted"], &status["pending"], &status["failed"]),
        (&json!("ok"), &json!(350), &json!(0), &json!(0)),
        "{status}"
    );
    let counted = desk.http.get("/api/v1/conversations?count=true&limit=1").await.expect(200).json();
    assert_eq!(counted["page"]["total"], 350);
    desk.stop().await;
}
