//! Servers that show less than they have, for a moment or for good, and that do only half of what they
//! are asked to: nothing is given up for it, and nothing is done twice.

use super::{numbered, sink};
use crate::mailing::*;
use crate::poison;
use crate::program::Shell;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::imap::ImapServer;
use support::mail::mail;

/// A mailbox on it that differs from the usual one.
async fn on(desk: &TestDesk, server: &ImapServer, changes: Value) -> i64 {
    let source = json!({
        "type": "imap", "host": "127.0.0.1", "port": server.port, "security": "none",
        "username": "support", "password": "correct-horse",
    });
    add(desk, with(source, changes), sink()).await
}

fn deliver(server: &ImapServer, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        server.deliver(&numbered(number).build());
    }
}

async fn reconcile(desk: &TestDesk, mailbox: i64, repair: bool) -> Value {
    let path = format!("/api/v1/mailboxes/{mailbox}/reconcile");
    desk.http.post(&path, &json!({"repair": repair})).await.expect(200).json()
}

async fn subjects(desk: &TestDesk) -> Vec<String> {
    let all = conversations(desk).await;
    assert!(all.iter().all(|conversation| conversation["message_count"] == 1), "{all:?}");
    let mut subjects: Vec<String> =
        all.iter().map(|one| one["subject"].as_str().unwrap_or_default().to_owned()).collect();
    subjects.sort();
    subjects
}

/// Whether each `message.received` says that nothing automatic may follow, in order.
async fn quiet(desk: &TestDesk) -> Vec<bool> {
    let told = list(desk, "/api/v1/events?after=0&limit=100&types=message.received").await;
    told.iter().map(|event| event["data"]["quiet"] == json!(true)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_gone_when_two_polls_miss_it_and_comes_back_by_a_repair() {
    let server = ImapServer::by_password();
    deliver(&server, 1..3);
    let desk = TestDesk::start_fixed().await;
    let mailbox = on(&desk, &server, json!({})).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 2);
    deliver(&server, 3..4);
    server.change(|server| (server.withheld, server.not_found) = (vec![3], true));
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["pending"], &status["state"]), (&json!(1), &json!("ok")), "{status}");
    assert_eq!(ledger(&desk, mailbox, "expunged").await.len(), 0, "one poll may be wrong");
    server.change(|server| server.withheld.clear());
    assert_eq!(sync(&desk, mailbox).await["accepted"], 3);

    deliver(&server, 4..5);
    server.change(|server| server.withheld = vec![4]);
    assert_eq!(sync(&desk, mailbox).await["pending"], 1);
    assert_eq!(sync(&desk, mailbox).await["pending"], 0);
    let row = ledger(&desk, mailbox, "expunged").await.remove(0);
    // It was there all the time.
    server.change(|server| server.withheld.clear());
    let report = reconcile(&desk, mailbox, true).await;
    assert_eq!(
        (&report["complete"], &report["missing"], &report["planned"]),
        (&json!(false), &json!(1), &json!(1)),
        "{report}"
    );
    let missing = &report["folders"][0]["missing_mails"][0];
    assert_eq!((&missing["uid"], &missing["subject"]), (&json!(4), &json!("Order 4")), "{report}");
    assert!(missing["from"].as_str().is_some_and(|from| from.contains('@')), "{report}");
    sync(&desk, mailbox).await;
    let back = desk.http.get(&format!("/api/v1/mailboxes/{mailbox}/ingest/{}", row["id"])).await.expect(200);
    assert_eq!(back.json()["verdict"], "accepted");
    assert_eq!(reconcile(&desk, mailbox, false).await["complete"], true);
    assert_eq!(subjects(&desk).await, ["Order 1", "Order 2", "Order 3", "Order 4"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_came_and_what_no_poll_looks_at_is_not_complete() {
    let server = ImapServer::by_password();
    deliver(&server, 1..4);
    let clock = Clock::fixed(BEGINNING);
    let desk = TestDesk::start_with(clock, |config| config.limits.ingest_tries = 1).await;
    server.change(|server| server.withheld = vec![2]);
    let mailbox = on(&desk, &server, json!({})).await;
    sync(&desk, mailbox).await;
    assert_eq!(ledger(&desk, mailbox, "quarantined").await.len(), 1);
    let report = reconcile(&desk, mailbox, false).await;
    let folder = &report["folders"][0];
    assert_eq!((&folder["known"], &folder["put_aside"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!((&report["complete"], &report["missing"]), (&json!(false), &json!(0)), "{report}");
    let told = Shell::of(desk.config()).run(&["mailbox", "reconcile", "Support"]);
    assert_eq!(told.code, Some(1), "{told:?}");

    let rest = json!({"paused": true});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &rest).await.expect(200);
    // Nor is what a poll was through with and did not look at, ten minutes after it came.
    poison::run(&poison::of(&desk), "DELETE FROM ledger; UPDATE folders SET last_uid = 1");
    for (pause, overdue) in [(Duration::from_secs(1), 0), (Duration::from_secs(598), 2)] {
        desk.desk().advance_clock(pause);
        let at = desk.desk().now();
        let polled = format!("UPDATE mailbox_states SET last_attempt_at = {0}, last_success_at = {0}", at.0);
        poison::run(&poison::of(&desk), &polled);
        let report = reconcile(&desk, mailbox, false).await;
        let folder = &report["folders"][0];
        assert_eq!((&folder["unread"], &folder["overdue"]), (&json!(2), &json!(overdue)), "{at}: {report}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_copied_and_can_not_be_deleted_is_copied_once() {
    let server = ImapServer::by_password();
    deliver(&server, 1..3);
    let desk = TestDesk::start_fixed().await;
    server.change(|server| server.refuses_marks = true);
    let after = json!({"after_ingest": {"type": "move", "folder": "Done"}});
    let mailbox = on(&desk, &server, after).await;
    for _ in 0..3 {
        let status = sync(&desk, mailbox).await;
        assert_eq!((&status["accepted"], &status["state"]), (&json!(2), &json!("degraded")), "{status}");
        let conduct = server.conduct();
        assert_eq!((conduct.copied, conduct.deleted.len()), (2, 0));
    }
    server.change(|server| server.refuses_marks = false);
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["state"], "ok", "{status}");
    let conduct = server.conduct();
    assert_eq!((conduct.copied, conduct.deleted), (2, vec![1, 2]));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_for_a_while_ends_nothing_that_was_to_be_done() {
    for elsewhere in [1, 9] {
        let server = ImapServer::by_password();
        deliver(&server, 1..3);
        let desk = TestDesk::start_fixed().await;
        let after = json!({"after_ingest": {"type": "delete", "after_days": 3}});
        let mailbox = on(&desk, &server, after).await;
        assert_eq!(sync(&desk, mailbox).await["accepted"], 2);
        server.change(|server| (server.empty, server.uidvalidity) = (true, elsewhere));
        for _ in 0..2 {
            sync(&desk, mailbox).await;
            // Long enough for it to be due.
            desk.desk().advance_clock(days(2));
        }
        assert_eq!(server.conduct().deleted.len(), 0);
        server.change(|server| (server.empty, server.uidvalidity) = (false, 1));
        sync(&desk, mailbox).await;
        if elsewhere == 1 {
            // There its mails have new numbers without anybody saying so: they came just now.
            desk.desk().advance_clock(days(3));
        }
        let status = sync(&desk, mailbox).await;
        assert_eq!(status["accepted"], 2, "{elsewhere}: {status}");
        assert_eq!(server.conduct().deleted, [1, 2], "{elsewhere}");
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_here_in_part_stays_one_whatever_goes_wrong() {
    let server = ImapServer::by_password();
    let large = mail().subject("Much").text("See the file.").attachment("a.bin", "x/y", &noise(1 << 20));
    server.deliver(&large.build());
    let mut desk = TestDesk::start_with(Clock::System, |config| {
        (config.limits.mail_mib, config.limits.ingest_tries) = (1, 1);
    })
    .await;
    let mailbox = on(&desk, &server, json!({})).await;
    sync(&desk, mailbox).await;
    let first = ledger(&desk, mailbox, "oversized").await.remove(0);
    // The server gives it a new number: it is still in part.
    server.change(|server| server.uidvalidity = 2);
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "oversized").await.remove(0);
    assert_eq!((&row["location"], &row["message_id"]), (&json!("2.1/1"), &first["message_id"]), "{row}");

    desk.restart_with(|config| config.limits.mail_mib = 4).await;
    let retry = format!("/api/v1/mailboxes/{mailbox}/ingest/{}/retry", row["id"]);
    // In vain at first.
    server.change(|server| server.withheld = vec![1]);
    desk.http.post(&retry, &Value::Null).await.expect(200);
    let aside = desk.until(|| async { ledger(&desk, mailbox, "quarantined").await.pop() }).await;
    assert_eq!((&aside["id"], &aside["message_id"]), (&row["id"], &row["message_id"]), "{aside}");
    assert_eq!(aside["has_raw"], false, "its beginning is not the mail: {aside}");
    server.change(|server| server.withheld.clear());
    desk.http.post(&retry, &Value::Null).await.expect(200);
    let done = desk.until(|| async { ledger(&desk, mailbox, "accepted").await.pop() }).await;
    assert_eq!((&done["id"], &done["message_id"]), (&row["id"], &row["message_id"]), "{done}");
    assert!(raw(&desk, number(&done["message_id"])).await == large.build());
    assert_eq!(subjects(&desk).await, ["Much"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_when_its_mail_came_brings_it_quietly() {
    let server = ImapServer::by_password();
    let desk = TestDesk::start_fixed().await;
    let old = |number: usize| numbered(number).date("01 Nov 2021 08:00:00 +0000").build();
    server.deliver(&old(1));
    server.deliver(&old(2));
    let mailbox = on(&desk, &server, json!({"import": {"type": "none"}})).await;
    sync(&desk, mailbox).await;
    server.change(|server| server.received = "22-Nov-2026 08:30:00 +0000".to_owned());
    desk.desk().advance_clock(Duration::from_hours(1));
    server.deliver(&numbered(3).date("22 Nov 2026 08:29:00 +0000").build());
    assert_eq!(sync(&desk, mailbox).await["accepted"], 1);
    // Moved, with everything received at the same moment.
    server.change(|server| {
        (server.uidvalidity, server.received) = (2, "22-Nov-2026 08:59:00 +0000".to_owned());
    });
    assert_eq!(sync(&desk, mailbox).await["accepted"], 3);
    assert_eq!(quiet(&desk).await, [false, true, true], "one is news, two are history");
    // What comes later is news, whatever it says of itself.
    server.deliver(&old(4));
    assert_eq!(sync(&desk, mailbox).await["accepted"], 4);
    assert_eq!(quiet(&desk).await, [false, true, true, false]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_was_put_aside_comes_in_as_history() {
    let server = ImapServer::by_password();
    let desk = TestDesk::start_fixed().await;
    poison::poison(&poison::of(&desk));
    server.deliver(&mail().subject(poison::SUBJECT).build());
    server.change(|server| server.received = "21-Nov-2026 08:00:00 +0000".to_owned());
    let mailbox = on(&desk, &server, json!({})).await;
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "quarantined").await.remove(0);
    poison::cure(&poison::of(&desk));
    let retry = format!("/api/v1/mailboxes/{mailbox}/ingest/{}/retry", row["id"]);
    assert_eq!(desk.http.post(&retry, &Value::Null).await.expect(200).json()["verdict"], "accepted");
    assert_eq!(quiet(&desk).await, [true]);
    // Once more there is nothing to do, and that is said.
    let again = ["mailbox", "retry", "Support", &row["id"].to_string()];
    let told = Shell::of(desk.config()).run(&again).well();
    assert!(told.err.contains("nothing was done"), "{told:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_an_import_read_first_is_news() {
    let server = ImapServer::by_password();
    let desk = TestDesk::start_fixed().await;
    server.deliver(&mail().from("ada@example.org").subject("Long ago").build());
    server.change(|server| server.received = "21-Nov-2026 08:00:00 +0000".to_owned());
    let mailbox = on(&desk, &server, json!({})).await;
    sync(&desk, mailbox).await;
    server.deliver(&mail().from("bob@example.org").subject("Fresh, urgent").build());
    server.change(|server| server.received = "22-Nov-2026 08:00:00 +0000".to_owned());
    let mut shell = Shell::of(desk.config());
    shell.set("POSTROOM_IMPORT_PASSWORD", "correct-horse");
    let port = server.port.to_string();
    let import = ["import", "imap", "--mailbox", "Support", "--host", "127.0.0.1", "--port", &port];
    shell.run(&[&import[..], &["--security", "none", "--username", "support"]].concat()).well();
    let fresh = || async {
        conversations(&desk)
            .await
            .into_iter()
            .find(|row| row["subject"] == "Fresh, urgent")
            .expect("it is here")
    };
    assert_eq!(fresh().await["status"], "closed");
    let before = list(&desk, "/api/v1/events?after=0&limit=100").await.len();
    assert_eq!(sync(&desk, mailbox).await["duplicates"], 2, "the import's copy of the old mail is one too");
    let now = fresh().await;
    assert_eq!((&now["status"], &now["waiting_on"]), (&json!("open"), &json!("us")), "{now}");
    let told = list(&desk, "/api/v1/events?after=0&limit=100").await.split_off(before);
    let received: Vec<&Value> = told.iter().filter(|event| event["type"] == "message.received").collect();
    assert_eq!(received.len(), 1, "{told:?}");
    let data = &received[0]["data"];
    assert!(data["quiet"].is_null() && data["history"].is_null(), "{told:?}");
    // Another copy of it is one.
    server.change(|server| server.uidvalidity = 2);
    sync(&desk, mailbox).await;
    assert_eq!(list(&desk, "/api/v1/events?after=0&limit=100&types=message.received").await.len(), 3);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inbox_is_one_folder_in_any_case() {
    let server = ImapServer::by_password();
    deliver(&server, 1..2);
    let desk = TestDesk::start_fixed().await;
    let source = json!({
        "type": "imap", "host": "127.0.0.1", "port": server.port, "security": "none",
        "username": "support", "password": "correct-horse",
    });
    for (changes, pointer) in [
        (json!({"after_ingest": {"type": "move", "folder": "inbox"}}), "/source/after_ingest/folder"),
        (json!({"sent_folder": "Inbox"}), "/source/sent_folder"),
        (json!({"folders": ["INBOX", "inBox"]}), "/source/folders/1"),
        (json!({"folders": ["a", "a"]}), "/source/folders/1"),
    ] {
        let body = json!({
            "name": "Support", "address": "support@example.org", "delivery": sink(),
            "source": with(source.clone(), changes),
        });
        let refused = desk.http.post("/api/v1/mailboxes", &body).await.expect(422).json();
        assert!(refused.to_string().contains(&format!("\"{pointer}\"")), "{refused}");
    }
    let mailbox = on(&desk, &server, json!({"folders": ["inbox"]})).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!(
        (&status["accepted"], &status["folders"][0]["name"]),
        (&json!(1), &json!("INBOX")),
        "{status}"
    );
    assert_eq!(reconcile(&desk, mailbox, false).await["complete"], true);
    desk.stop().await;
}
