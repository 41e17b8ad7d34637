//! Mail from a real Dovecot: every way in, what is done to it afterwards, and what is not done
//! twice.

mod after;
mod copies;
mod faults;
mod glitches;
mod numbers;
mod odd;
mod scripted;
mod special;
mod tries;

use crate::mailing::*;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::{TestMail, mail};

/// A mail like many.
fn numbered(number: usize) -> TestMail {
    mail().subject(&format!("Order {number}")).text(&format!("Where is order {number}?"))
}

fn deliver(dovecot: &Dovecot, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        dovecot.deliver("support", "INBOX", numbered(number).build());
    }
}

fn sink() -> Value {
    json!({"type": "sink"})
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_in_however_the_connection_is_secured() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..2);
    let desk = TestDesk::start().await;
    for (name, port, security, host) in [
        ("By TLS", dovecot.imaps, "tls", "localhost"),
        ("By STARTTLS", dovecot.imap, "starttls", "127.0.0.1"),
        ("Plain", dovecot.imap, "none", "127.0.0.1"),
    ] {
        let source = with(imap(&dovecot), json!({"port": port, "security": security, "host": host}));
        let body =
            json!({"name": name, "address": "support@example.org", "source": source, "delivery": sink()});
        let mailbox = add_with(&desk, body).await;
        let tried = desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/test"), &Value::Null).await;
        assert_eq!(tried.expect(200).json()["source"]["ok"], true, "{name}");
        let status = sync(&desk, mailbox).await;
        assert_eq!(
            (&status["state"], &status["accepted"], &status["last_error"]),
            (&json!("ok"), &json!(2), &Value::Null),
            "{name}: {status}"
        );
        let found = list(&desk, &format!("/api/v1/conversations?mailbox_id={mailbox}")).await;
        assert_eq!(found.len(), 2, "{name}: a mailbox of its own has conversations of its own");
        // The next one is of the same account, which only one at a time may read.
        let rests = json!({"paused": true});
        desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &rests).await.expect(200);
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_folders_are_read() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    dovecot.deliver("support", "Orders/Late", numbered(1).build());
    dovecot.deliver("support", "Not asked for", numbered(2).build());
    let desk = TestDesk::start().await;
    let source = with(imap(&dovecot), json!({"folders": ["INBOX", "Orders/Late"]}));
    let mailbox = add(&desk, source, sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(2)), "{status}");
    let folders: Vec<_> = status["folders"].as_array().into_iter().flatten().collect();
    let names: Vec<_> = folders.iter().filter_map(|folder| folder["name"].as_str()).collect();
    assert_eq!(names, ["INBOX", "Orders/Late"]);
    assert!(folders.iter().all(|folder| folder["last_uid"] == 1), "{folders:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_twice_and_nothing_is_touched() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..3);
    let mut desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 3);
    sync(&desk, mailbox).await;
    desk.restart().await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(3), &json!(0)), "{status}");
    // What comes after is found all the same.
    deliver(&dovecot, 3..5);
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(5), &json!(0)), "{status}");
    assert_eq!(conversations(&desk).await.len(), 5);
    let left = dovecot.stored("support", "INBOX");
    assert_eq!(left.len(), 5);
    assert!(left.iter().all(|mail| mail.flags.is_empty()), "{left:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_mailbox_comes_in_at_once() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..250);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!(
        (&status["state"], &status["accepted"], &status["pending"], &status["failed"]),
        (&json!("ok"), &json!(250), &json!(0), &json!(0)),
        "{status}"
    );
    let mut subjects = Vec::new();
    let mut path = "/api/v1/conversations?sort=id&limit=100".to_owned();
    loop {
        let page = desk.http.get(&path).await.expect(200).json();
        let rows = page["data"].as_array().expect("a list");
        subjects.extend(rows.iter().map(|row| row["subject"].as_str().expect("a subject").to_owned()));
        let Some(cursor) = page["page"]["next_cursor"].as_str() else { break };
        path = format!("/api/v1/conversations?sort=id&limit=100&cursor={cursor}");
    }
    let expected: Vec<String> = (0..250).map(|number| format!("Order {number}")).collect();
    assert_eq!(subjects, expected, "each once, in the order of delivery");
    desk.stop().await;
}

/// Sets the day on which the server got the mails of a user that are dated otherwise.
fn date(dovecot: &Dovecot, user: &str, day: u64, is_wanted: impl Fn(&Path) -> bool) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400 + 43_200);
    let folder = dovecot.maildir(user, "INBOX").join("new");
    for entry in fs::read_dir(folder).expect("a Maildir has new").flatten() {
        if is_wanted(&entry.path()) {
            let file = File::options().write(true).open(entry.path()).expect("the mail is our own");
            file.set_modified(at).expect("the mail is our own");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mail_comes_in_as_far_as_it_is_wanted() {
    // Days since 1970-01-01: 2026-03-01 is the second one.
    const OLD: u64 = 20_400;
    const NEW: u64 = 20_513;
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    // All at once and before anybody logs in: Dovecot reads its users once a second at the most.
    for user in ["everything", "nothing", "some"] {
        dovecot.add_user(user);
    }
    for (user, import, expected) in [
        ("everything", json!({"type": "all"}), 3),
        ("nothing", json!({"type": "none"}), 0),
        ("some", json!({"type": "since", "date": "2026-03-01"}), 1),
    ] {
        for number in 0..3 {
            dovecot.deliver(user, "INBOX", numbered(number).build());
        }
        let third = dovecot.stored(user, "INBOX")[2].name.clone();
        date(&dovecot, user, OLD, |path| !path.ends_with(&third));
        date(&dovecot, user, NEW, |path| path.ends_with(&third));

        let source = with(imap(&dovecot), json!({"username": user, "import": import}));
        let body =
            json!({"name": user, "address": "support@example.org", "source": source, "delivery": sink()});
        let mailbox = add_with(&desk, body).await;
        let status = sync(&desk, mailbox).await;
        assert_eq!(
            (&status["state"], &status["accepted"]),
            (&json!("ok"), &json!(expected)),
            "{user}: {status}"
        );
        // New mail comes in whatever was wanted of the old.
        dovecot.deliver(user, "INBOX", numbered(3).build());
        let status = sync(&desk, mailbox).await;
        assert_eq!(status["accepted"], expected + 1, "{user}: {status}");
        assert_eq!(sync(&desk, mailbox).await["accepted"], expected + 1, "{user}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_numbers_its_mail_anew_makes_no_copies() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..3);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    let before = sync(&desk, mailbox).await;
    assert_eq!(before["accepted"], 3);
    dovecot.lose_uidvalidity("support", "INBOX");
    deliver(&dovecot, 3..4);
    let after = sync(&desk, mailbox).await;
    assert_eq!(
        (&after["state"], &after["accepted"], &after["duplicates"], &after["pending"]),
        (&json!("ok"), &json!(4), &json!(3), &json!(0)),
        "{after}"
    );
    assert_ne!(before["folders"][0]["uidvalidity"], after["folders"][0]["uidvalidity"]);
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|conversation| conversation["message_count"] == 1), "{all:?}");
    assert_eq!(sync(&desk, mailbox).await["duplicates"], 3, "the new numbers are known now");
    assert_eq!(ledger(&desk, mailbox, "accepted").await.len(), 4);
    let copies = ledger(&desk, mailbox, "duplicate").await;
    assert!(copies.len() == 3 && copies.iter().all(|copy| copy["message_id"].is_i64()), "{copies:?}");
    desk.stop().await;
}
