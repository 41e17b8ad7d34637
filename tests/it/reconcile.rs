//! What the server has, held against the ledger: nothing is missing unless it is, and what is missing
//! comes in once.

use crate::mailing::*;
use crate::poison;
use crate::problems::problem;
use crate::program::Shell;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::mail;
use support::maildir;

fn sink() -> Value {
    json!({"type": "sink"})
}

fn deliver(dovecot: &Dovecot, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        dovecot.deliver("support", "INBOX", mail().subject(&format!("Order {number}")).build());
    }
}

async fn reconcile(desk: &TestDesk, mailbox: i64, body: Value) -> Value {
    desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/reconcile"), &body).await.expect(200).json()
}

/// The counts of the first folder: on the server, known, waiting, unread, not wanted, missing, gone.
fn counts(report: &Value) -> [i64; 7] {
    ["on_server", "known", "waiting", "unread", "not_wanted", "missing", "gone"]
        .map(|name| number(&report["folders"][0][name]))
}

/// Takes a mail's row out of the ledger, and where `wholly` all that it became.
fn lose(desk: &TestDesk, row: &Value, wholly: bool) {
    let of_ledger = format!("DELETE FROM ledger WHERE id = {};", row["id"]);
    let all = format!(
        "{of_ledger} DELETE FROM messages WHERE id = {}; DELETE FROM conversations WHERE id = {};",
        row["message_id"], row["conversation_id"]
    );
    poison::run(&poison::of(desk), if wholly { &all } else { &of_ledger });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_and_comes_in_once() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..5);
    let desk = TestDesk::start_fixed().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    sync(&desk, mailbox).await;
    let report = reconcile(&desk, mailbox, json!({})).await;
    assert_eq!((counts(&report), &report["complete"]), ([5, 5, 0, 0, 0, 0, 0], &json!(true)), "{report}");
    deliver(&dovecot, 5..7);
    let report = reconcile(&desk, mailbox, json!({"repair": true})).await;
    assert_eq!((counts(&report), &report["planned"]), ([7, 5, 0, 2, 0, 0, 0], &json!(0)), "the next poll's");
    sync(&desk, mailbox).await;

    let rows = ledger(&desk, mailbox, "accepted").await;
    lose(&desk, &rows[1], false);
    lose(&desk, &rows[3], true);
    assert_eq!(sync(&desk, mailbox).await["accepted"], 7, "no poll looks back");
    let shell = Shell::of(desk.config());
    let told = shell.run(&["mailbox", "reconcile", "Support"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let (one, other) = (rows[3]["location"].as_str().unwrap(), rows[1]["location"].as_str().unwrap());
    for (place, subject) in [(one, "Order 3"), (other, "Order 5")] {
        let line = format!("missing in INBOX: {place} Ada <ada@example.org> about {subject}\n");
        assert!(told.out.contains(&line), "{told:?}");
    }
    let report = reconcile(&desk, mailbox, json!({})).await;
    assert_eq!((counts(&report), &report["complete"]), ([7, 5, 0, 0, 0, 2, 0], &json!(false)), "{report}");
    assert_eq!(report["folders"][0]["missing_mails"][0]["uid"], rows[3]["uid"], "{report}");
    let status = status(&desk, mailbox).await;
    assert_eq!((&status["missing"], &status["reconciled_at"]), (&json!(2), &report["reconciled_at"]));

    let told = shell.run(&["mailbox", "reconcile", "Support", "--repair", "-o", "json"]);
    let repaired: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!((told.code, &repaired["planned"]), (Some(1), &json!(2)), "{told:?}");
    // Asked for twice, it is planned once.
    let again = reconcile(&desk, mailbox, json!({"repair": true})).await;
    assert_eq!(again["planned"], 0, "{again}");
    sync(&desk, mailbox).await;
    let told = shell.run(&["mailbox", "reconcile", "Support"]).well();
    assert!(told.out.contains("INBOX"), "{told:?}");
    let report = reconcile(&desk, mailbox, json!({})).await;
    assert_eq!(counts(&report), [7, 7, 0, 0, 0, 0, 0], "{report}");
    let all = conversations(&desk).await;
    let mut subjects: Vec<&str> = all.iter().filter_map(|row| row["subject"].as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, (0..7).map(|number| format!("Order {number}")).collect::<Vec<_>>());
    assert!(all.iter().all(|row| row["message_count"] == 1), "{all:?}");
    let events = list(&desk, "/api/v1/events?after=0&limit=100&types=mailbox.reconciled").await;
    assert!(events.len() >= 6 && events[0]["data"]["missing"] == 0, "{events:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_go_on_make_nothing_missing() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    sync(&desk, mailbox).await;
    let feeding = async {
        for round in 0..10 {
            deliver(&dovecot, round * 20..(round + 1) * 20);
            sync(&desk, mailbox).await;
        }
    };
    let looking = async {
        for _ in 0..20 {
            let report = reconcile(&desk, mailbox, json!({"repair": true})).await;
            let [on_server, known, waiting, unread, ..] = counts(&report);
            assert_eq!((&report["missing"], &report["planned"]), (&json!(0), &json!(0)), "{report}");
            assert_eq!((on_server, counts(&report)[6]), (known + waiting + unread, 0), "{report}");
        }
    };
    tokio::join!(feeding, looking);
    assert_eq!(counts(&reconcile(&desk, mailbox, json!({})).await), [200, 200, 0, 0, 0, 0, 0]);
    assert_eq!(status(&desk, mailbox).await["duplicates"], 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rule_leaves_out_and_what_left_the_server_is_not_missing() {
    let dovecot = Dovecot::start();
    for user in ["since", "none"] {
        dovecot.add_user(user);
        for number in 0..4 {
            dovecot.deliver(user, "INBOX", mail().subject(&format!("{user} {number}")).build());
        }
        let folder = dovecot.maildir(user, "INBOX").join("new");
        let stored = dovecot.stored(user, "INBOX");
        for (number, kept) in stored.iter().enumerate() {
            let day = if number < 2 { 20_400 } else { 20_513 };
            let file = File::options().write(true).open(folder.join(&kept.name)).expect("it is our own");
            let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400 + 43_200);
            file.set_modified(noon).expect("it is our own");
        }
    }
    let desk = TestDesk::start_fixed().await;
    for (user, import, expected) in [
        ("since", json!({"type": "since", "date": "2026-03-01"}), [4, 2, 0, 0, 2, 0, 0]),
        ("none", json!({"type": "none"}), [4, 0, 0, 0, 4, 0, 0]),
    ] {
        let source = with(imap(&dovecot), json!({"username": user, "import": import}));
        let address = format!("{user}@example.org");
        let body = json!({"name": user, "address": address, "source": source, "delivery": sink()});
        let mailbox = add_with(&desk, body).await;
        sync(&desk, mailbox).await;
        let report = reconcile(&desk, mailbox, json!({"repair": true})).await;
        assert_eq!((counts(&report), &report["complete"]), (expected, &json!(true)), "{user}: {report}");
        // What came after that and is lost is missing by any rule.
        dovecot.deliver(user, "INBOX", mail().subject("later").build());
        let late = dovecot.stored(user, "INBOX").pop().expect("it is there").name;
        let file = dovecot.maildir(user, "INBOX").join("new").join(late);
        let file = File::options().write(true).open(file).expect("it is our own");
        // A day after the desk's clock began.
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800)).expect("our own");
        sync(&desk, mailbox).await;
        let row = ledger(&desk, mailbox, "accepted").await.remove(0);
        lose(&desk, &row, false);
        let report = reconcile(&desk, mailbox, json!({"repair": true})).await;
        assert_eq!((&report["missing"], &report["planned"]), (&json!(1), &json!(1)), "{user}: {report}");
        sync(&desk, mailbox).await;
        assert_eq!(reconcile(&desk, mailbox, json!({})).await["complete"], true, "{user}");
        // Somebody deletes it there.
        for kept in fs::read_dir(dovecot.maildir(user, "INBOX").join("cur")).expect("it is our own").flatten()
        {
            fs::remove_file(kept.path()).expect("it is our own");
        }
        for kept in fs::read_dir(dovecot.maildir(user, "INBOX").join("new")).expect("it is our own").flatten()
        {
            fs::remove_file(kept.path()).expect("it is our own");
        }
        let report = reconcile(&desk, mailbox, json!({})).await;
        let taken_in = expected[1] + 1;
        assert_eq!(
            (counts(&report), &report["complete"]),
            ([0, 0, 0, 0, 0, 0, taken_in], &json!(true)),
            "{report}"
        );
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maildir_is_held_against_the_ledger_too() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    maildir::make(&path, None);
    for number in 0..3 {
        maildir::deliver(&path, &mail().subject(&format!("Order {number}")).build(), None);
    }
    let mailbox = add(&desk, json!({"type": "maildir", "path": path}), sink()).await;
    // A poll that began well after the files came: file systems tell time in steps.
    let newest = fs::read_dir(path.join("new")).expect("it is our own").flatten();
    let newest = newest.map(|file| file.metadata().expect("it is there").ctime()).max().expect("three");
    let after = postroom_core::time::Timestamp::from_seconds(newest + 3);
    loop {
        let began = sync(&desk, mailbox).await["last_attempt_at"].as_str().expect("a time").to_owned();
        if postroom_core::time::Timestamp::parse(&began) > Some(after) {
            break;
        }
    }
    let report = reconcile(&desk, mailbox, json!({})).await;
    assert_eq!((counts(&report), &report["complete"]), ([3, 3, 0, 0, 0, 0, 0], &json!(true)), "{report}");
    let row = ledger(&desk, mailbox, "accepted").await.remove(0);
    lose(&desk, &row, true);
    let report = reconcile(&desk, mailbox, json!({})).await;
    assert_eq!((counts(&report)[5], &report["complete"]), (1, &json!(false)), "{report}");
    assert_eq!(report["folders"][0]["missing_mails"][0]["location"], row["location"], "{report}");
    // Its polls look at every file, so that the next one mends it.
    sync(&desk, mailbox).await;
    assert_eq!(reconcile(&desk, mailbox, json!({})).await["complete"], true);
    assert_eq!(conversations(&desk).await.len(), 3);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_found_out_is_said() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    let desk = TestDesk::start().await;
    let push = pushed(&desk, json!({"name": "Pushed", "address": "pushed@example.org"})).await;
    let path = |mailbox: i64| format!("/api/v1/mailboxes/{mailbox}/reconcile");
    problem(&desk.http.post(&path(push), &json!({})).await, 409, "state_conflict");
    let source = with(imap(&dovecot), json!({"folders": ["INBOX", "Not there"]}));
    let mailbox = add(&desk, source, sink()).await;
    sync(&desk, mailbox).await;
    let report = reconcile(&desk, mailbox, json!({})).await;
    assert_eq!((&report["complete"], &report["missing"]), (&json!(false), &json!(0)), "{report}");
    assert!(report["folders"][1]["error"].as_str().is_some_and(|why| why.contains("Not there")), "{report}");
    let shell = Shell::of(desk.config());
    assert_eq!(shell.run(&["mailbox", "reconcile", "Support"]).code, Some(2));
    assert_eq!(shell.run(&["mailbox", "reconcile", "Pushed"]).code, Some(2));
    assert_eq!(shell.run(&["mailbox", "reconcile", "Nobody's"]).code, Some(2));
    drop(dovecot);
    problem(&desk.http.post(&path(mailbox), &json!({})).await, 502, "mail_server_failed");
    assert_eq!(shell.run(&["mailbox", "reconcile", "Support"]).code, Some(2));

    let narrow = desk.client(Scope::ALL, &[push]).await;
    problem(&narrow.post(&path(mailbox), &json!({})).await, 404, "not_found");
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&reader.post(&path(mailbox), &json!({})).await, 403, "insufficient_scope");
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "agent",
        "grants": [{"mailbox_id": mailbox, "level": "read"}]});
    let agent = number(&desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"]);
    let answer = desk.client_of_agent(agent).await.post(&path(mailbox), &json!({})).await;
    problem(&answer, 403, "forbidden");
    desk.stop().await;
}
