//! Mail from elsewhere comes in as history: once, however often it is asked for and whatever dies, and
//! nobody is told.

use crate::mailing::*;
use crate::poison;
use crate::program::{Shell, Told};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::desk::TestDesk;
use support::dovecot::{self, Dovecot};
use support::mail::{TestMail, mail};
use support::{leash, maildir, tls};

const FROM: &str = "From ada@example.org Thu Jan  1 12:34:56 2026";

fn mbox(mails: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for raw in mails {
        file.extend_from_slice(FROM.as_bytes());
        file.push(b'\n');
        file.extend_from_slice(raw);
        file.extend_from_slice(b"\n\n");
    }
    file
}

fn dated(number: usize, day: usize) -> TestMail {
    mail()
        .from(&format!("Customer {number} <customer{number}@customer.example>"))
        .subject(&format!("Order {number}"))
        .message_id(&format!("<{number}@customer.example>"))
        .date(&format!("{day:02} Mar 2024 08:00:00 +0000"))
        .text(&format!("Where is order {number}?"))
}

fn result(told: &Told) -> Value {
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error} in {told:?}"))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the report is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mbox_comes_in_once_as_history_beside_the_daemon() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let before = desk.event_types().await.len();
    let answer = dated(9, 20)
        .from("customer0@customer.example")
        .subject("Re: Order 0")
        .in_reply_to("<0@customer.example>")
        .text("From here on it is fine.\nThanks");
    let mut raws: Vec<Vec<u8>> = (0..3).map(|number| dated(number, number + 1).build()).collect();
    raws.push(raws[1].clone());
    raws.push(answer.build());
    let shell = Shell::of(desk.config());
    let file = shell.dir.join("old.mbox");
    fs::write(&file, mbox(&raws)).expect("a file");
    let (file, report) = (file.to_str().unwrap().to_owned(), shell.dir.join("report.ndjson"));
    let command =
        ["import", "mbox", "--mailbox", "Support", "--report", report.to_str().unwrap(), "-o", "json", &file];
    let told = shell.run(&command).well();
    assert_eq!(result(&told), json!({"accepted": 4, "before": 1}), "{told:?}");
    assert_eq!(told.err, "", "no progress where there is no terminal");
    let report_lines = lines(&report);
    assert_eq!(report_lines.len(), 5, "a line for every mail");
    assert!(report_lines[0]["source"].as_str().is_some_and(|source| source.ends_with("old.mbox:1")));
    assert_eq!(
        (&report_lines[3]["before"], &report_lines[3]["message_id"]),
        (&json!(true), &report_lines[1]["message_id"])
    );

    // Two months later its answer stands in the same conversation, and that is closed.
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|row| row["status"] == "closed" && row["waiting_on"] == Value::Null), "{all:?}");
    assert_eq!((&all[0]["message_count"], &all[0]["subject"]), (&json!(2), &json!("Order 0")));
    assert_eq!(all[0]["created_at"], "2024-03-01T08:00:00.000000Z");
    assert_eq!(all[0]["last_message_at"], "2024-03-20T08:00:00.000000Z");
    let first = messages(&desk, number(&all[0]["id"])).await.remove(0);
    assert_eq!(first["received_at"], "2024-03-01T08:00:00.000000Z");
    assert!(raw(&desk, number(&first["id"])).await.starts_with(b"From:"), "without the mbox's own line");
    let feed = list(&desk, "/api/v1/events?after=0&limit=100").await;
    let told_since = &feed[before..];
    assert!(told_since.iter().any(|event| event["type"] == "message.received"), "{told_since:?}");
    assert!(told_since.iter().all(|event| event["data"]["history"] == true), "{told_since:?}");

    // Again, from a file of another name: nothing is new.
    let moved = shell.dir.join("moved.mbox");
    fs::rename(&file, &moved).expect("the file is our own");
    let told = shell.run(&[
        "import",
        "mbox",
        "--mailbox",
        "support@example.org",
        "-o",
        "json",
        moved.to_str().unwrap(),
    ]);
    assert_eq!(result(&told.well()), json!({"before": 5}));
    assert_eq!(list(&desk, "/api/v1/events?after=0&limit=100").await.len(), feed.len(), "and nobody is told");
    // A mail that comes now is news, though its conversation is history.
    let news = dated(2, 1)
        .subject("Re: Order 2")
        .message_id("<new@customer.example>")
        .in_reply_to("<2@customer.example>");
    let receipt = push(&desk, mailbox, &news.date("22 Nov 2026 07:00:00 +0000").build()).await;
    assert_eq!(conversation(&desk, number(&receipt["conversation_id"])).await["status"], "open");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_is_complete_when_it_is_run_again() {
    const MAILS: usize = 3_000;
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let shell = Shell::of(desk.config());
    let file = shell.dir.join("many.mbox");
    let raws: Vec<Vec<u8>> = (0..MAILS).map(|number| dated(number, number % 28 + 1).build()).collect();
    fs::write(&file, mbox(&raws)).expect("a file");
    let command = ["import", "mbox", "--mailbox", "Support", "-o", "json", file.to_str().unwrap()];
    // Made beforehand, so that the first kill meets the import and not the compiler.
    shell.run(&["--version"]).well();
    let rows = format!("/api/v1/mailboxes/{mailbox}/ingest?count=true&limit=1");
    let taken_in = || async { number(&desk.http.get(&rows).await.expect(200).json()["page"]["total"]) };
    for _ in 0..3 {
        let before = taken_in().await;
        let mut child = shell.start(&command);
        desk.until(|| async { (taken_in().await > before).then_some(()) }).await;
        leash::signal("KILL", &[child.id()]);
        child.wait().expect("it ends");
    }
    let partly = taken_in().await;
    assert!(partly > 0 && partly < MAILS as i64, "killed in the middle: {partly}");
    let told = shell.run(&command).well();
    let result = result(&told);
    assert_eq!(number(&result["before"]) + number(&result["accepted"]), MAILS as i64, "{result}");
    assert_eq!(taken_in().await, MAILS as i64);
    let all = desk.http.get("/api/v1/conversations?count=true&limit=1").await.expect(200).json();
    assert_eq!(all["page"]["total"], MAILS, "each once");
    let status = status(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(MAILS), &json!(0)), "{status}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_mail_among_good_ones_is_put_aside() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    poison::poison(&poison::of(&desk));
    let shell = Shell::of(desk.config());
    let (file, report) = (shell.dir.join("odd.mbox"), shell.dir.join("report.csv"));
    let mut raws: Vec<Vec<u8>> = (0..4).map(|number| dated(number, 1).build()).collect();
    raws.insert(2, dated(7, 1).subject(poison::SUBJECT).build());
    raws.insert(4, b"\n".to_vec());
    raws.push(b"\xff\xfe\x00 no header at all".to_vec());
    fs::write(&file, mbox(&raws)).expect("a file");
    let command = [
        "import",
        "mbox",
        "--mailbox",
        "1",
        "--open",
        "--report",
        report.to_str().unwrap(),
        "-o",
        "json",
        file.to_str().unwrap(),
    ];
    let told = shell.run(&command);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(result(&told), json!({"accepted": 5, "quarantined": 1, "ignored": 1}), "{told:?}");
    let text = fs::read_to_string(&report).expect("the report is there");
    assert_eq!(text.lines().count(), 8, "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("odd.mbox:3,quarantined,false,,,") && line.contains("poisoned")),
        "{text}"
    );
    assert!(conversations(&desk).await.iter().all(|row| row["status"] == "open"), "as --open says");
    // It is tried again as history.
    poison::cure(&poison::of(&desk));
    let row = ledger(&desk, mailbox, "quarantined").await.remove(0);
    let told = shell.run(&["mailbox", "retry", "Support", &row["id"].to_string(), "-o", "json"]).well();
    assert_eq!(result(&told)[0]["verdict"], "accepted");
    let seven = conversations(&desk).await.into_iter().find(|row| row["subject"] == poison::SUBJECT).unwrap();
    assert_eq!(
        (&seven["status"], &seven["created_at"]),
        (&json!("closed"), &json!("2024-03-01T08:00:00.000000Z"))
    );
    let table = shell.run(&["mailbox", "ledger", "Support", "--verdict", "accepted"]).well();
    assert_eq!(table.out.lines().count(), 7, "{table:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maildir_comes_in_once_and_stays_as_it_is() {
    let desk = TestDesk::start().await;
    pushed(&desk, json!({})).await;
    let path = desk.dir().join("Maildir");
    maildir::make(&path, None);
    for number in 0..3 {
        maildir::deliver(&path, &dated(number, number + 1).build(), None);
    }
    let before = maildir::stored(&path);
    let shell = Shell::of(desk.config());
    let command = ["import", "maildir", "--mailbox", "Support", "-o", "json", path.to_str().unwrap()];
    assert_eq!(result(&shell.run(&command).well()), json!({"accepted": 3}));
    assert_eq!(result(&shell.run(&command).well()), json!({"before": 3}));
    assert_eq!(maildir::stored(&path), before);
    let all = conversations(&desk).await;
    assert_eq!(all[2]["created_at"], "2024-03-03T08:00:00.000000Z", "by its Date");
    let refused = shell.run(&["import", "maildir", "--mailbox", "Support", "/nowhere"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("no Maildir"), "{refused:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_too_large_comes_in_once_when_the_limit_is_raised() {
    for kind in ["maildir", "mbox"] {
        let mut shell = Shell::new();
        shell.set("POSTROOM__LIMITS__MAIL_MIB", "1");
        shell
            .run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"])
            .well();
        let of_size = |number, size: usize| {
            let raw = String::from_utf8(dated(number, 1).build()).expect("ASCII");
            format!("{raw}{}\n", "x".repeat(size - 1 - raw.len())).into_bytes()
        };
        let mails = [of_size(0, 1 << 20), of_size(1, (1 << 20) + 1), of_size(2, 3 << 20)];
        let path = shell.dir.join("old");
        if kind == "maildir" {
            maildir::make(&path, None);
            for mail in &mails {
                maildir::deliver(&path, mail, None);
            }
        } else {
            // There the last line's end is put behind each.
            let mails = mails.map(|mail| mail[..mail.len() - 1].to_vec());
            fs::write(&path, mbox(&mails)).expect("a file");
        }
        let path = path.to_str().expect("UTF-8").to_owned();
        let command = ["import", kind, "--mailbox", "Support", "-o", "json", &path];
        let first = result(&shell.run(&command).well());
        assert_eq!(first, json!({"accepted": 1, "oversized": 2}), "{kind}: at the limit, and above");
        let ledger = |shell: &Shell, verdict: &str| {
            let told =
                shell.run(&["mailbox", "ledger", "Support", "--verdict", verdict, "-o", "json"]).well();
            result(&told).as_array().expect("rows").clone()
        };
        let mut sizes: Vec<i64> =
            ledger(&shell, "oversized").iter().map(|row| number(&row["size"])).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [(1 << 20) + 1, 3 << 20], "of the whole mail");
        let rows: Vec<String> = ledger(&shell, "oversized").iter().map(|row| row["id"].to_string()).collect();
        shell.set("POSTROOM__LIMITS__MAIL_MIB", "2");
        // Not asked for, it stays as it is.
        assert_eq!(result(&shell.run(&command).well()), json!({"before": 3}));
        let retry = |row: &String| shell.run(&["mailbox", "retry", "Support", row, "-o", "json"]);
        let retried = rows.iter().map(retry).filter(|told| told.code == Some(0)).count();
        assert_eq!(retried, 1, "the other one is too large still");
        let again = result(&shell.run(&command).well());
        assert_eq!(again, json!({"before": 2, "accepted": 1}), "{kind}");
        let counts = ["accepted", "oversized", "failed"].map(|verdict| ledger(&shell, verdict).len());
        assert_eq!(counts, [2, 1, 0], "{kind}: no row is left over");
        assert_eq!(result(&shell.run(&command).well()), json!({"before": 3}), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_a_server_come_in_once_and_stay_as_they_are() {
    let dovecot = Dovecot::start();
    for number in 0..5 {
        dovecot.deliver("support", "INBOX", dated(number, 1).build());
    }
    dovecot.deliver("support", "Old/2024", dated(5, 1).build());
    dovecot.deliver("support", "Old/2024", dated(0, 1).build());
    let desk = TestDesk::start().await;
    pushed(&desk, json!({})).await;
    let mut shell = Shell::of(desk.config());
    let port = dovecot.imaps.to_string();
    let ca = tls::ca_file();
    let command = [
        "import",
        "imap",
        "--mailbox",
        "Support",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--username",
        "support",
        "--ca-file",
        ca.to_str().unwrap(),
        "--folder",
        "INBOX",
        "--folder",
        "Old/2024",
        "-o",
        "json",
    ];
    let told = shell.run_with_input(&command, "wrong horse\n");
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("refused the login") && !told.err.contains("wrong horse"), "{told:?}");
    shell.set("POSTROOM_IMPORT_PASSWORD", dovecot::PASSWORD);
    assert_eq!(result(&shell.run(&command).well()), json!({"accepted": 6, "duplicate": 1}));
    assert_eq!(result(&shell.run(&command).well()), json!({"before": 7}));
    assert_eq!(conversations(&desk).await.len(), 6);
    assert!(dovecot.stored("support", "INBOX").iter().all(|mail| mail.flags.is_empty()));
    // The mailbox may read the same folder later: all of it is here already.
    desk.stop().await;
}

#[test]
fn what_can_not_be_imported_is_refused_in_one_line() {
    let shell = Shell::new();
    shell.run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"]).well();
    let file = shell.dir.write("mail.eml", mail().build());
    let refused = shell.run(&["import", "mbox", "--mailbox", "Support", file.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("no mbox") && refused.err.lines().count() == 1, "{refused:?}");
    let refused = shell.run(&["import", "mbox", "--mailbox", "Nobody's", file.to_str().unwrap()]);
    assert!(refused.refusal().contains("there is no mailbox"), "{refused:?}");
    assert_eq!(shell.run(&["import", "mbox", "--mailbox", "Support"]).code, Some(2));
    assert_eq!(
        shell.run(&["import", "imap", "--mailbox", "Support", "--host", "h", "--password", "x"]).code,
        Some(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_an_import_brings_nothing_back_from_junk() {
    let desk = TestDesk::start().await;
    let dovecot = Dovecot::start();
    dovecot.make_folder("support", "Junk");
    let source = with(imap(&dovecot), json!({"junk_folder": "Junk"}));
    let mailbox = add(&desk, source, json!({"type": "sink"})).await;
    sync(&desk, mailbox).await;
    dovecot.deliver("support", "Junk", dated(0, 1).build());
    sync(&desk, mailbox).await;
    let before = list(&desk, "/api/v1/conversations?status=spam").await;
    assert_eq!(before.len(), 1);
    let shell = Shell::of(desk.config());
    let file = shell.dir.join("old.mbox");
    fs::write(&file, mbox(&[dated(0, 1).build()])).expect("a file");
    let command = ["import", "mbox", "--mailbox", "Support", "-o", "json", file.to_str().unwrap()];
    assert_eq!(result(&shell.run(&command).well()), json!({"duplicate": 1}));
    assert_eq!(list(&desk, "/api/v1/conversations?status=spam").await, before);
    desk.stop().await;
}

/// Old mail lies in one file, questions and answers together: what one of us wrote is an answer.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_answers_in_history_are_answers() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let bob = json!({"name": "Bob", "email": "bob@example.org", "grants": [{"mailbox_id": mailbox, "level": "reply"}]});
    desk.http.post("/api/v1/agents", &bob).await.expect(201);
    let question = dated(0, 1);
    let answer = dated(0, 2)
        .from("Support <support@example.org>")
        .to("customer0@customer.example")
        .subject("Re: Order 0")
        .message_id("<a@example.org>")
        .in_reply_to(&question.id());
    let bobs = answer.clone().from("Bob <bob@example.org>").message_id("<b@example.org>").text("From Bob.");
    let thanks = dated(0, 3).message_id("<t@customer.example>").in_reply_to("<a@example.org>").text("Thanks");
    let shell = Shell::of(desk.config());
    let file = shell.dir.join("old.mbox");
    fs::write(&file, mbox(&[question.build(), answer.build(), bobs.build(), thanks.build()]))
        .expect("a file");
    let command = ["import", "mbox", "--mailbox", "Support", "-o", "json", file.to_str().unwrap()];
    assert_eq!(result(&shell.run(&command).well()), json!({"accepted": 4}));
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let there = messages(&desk, number(&all[0]["id"])).await;
    let told: Vec<_> = there.iter().map(|m| (m["kind"].as_str(), m["author"]["type"].as_str())).collect();
    let expected =
        [("inbound", "customer"), ("reply", "system"), ("reply", "agent"), ("inbound", "customer")];
    assert_eq!(told, expected.map(|(kind, author)| (Some(kind), Some(author))));
    assert!(there.iter().all(|message| message["delivery"].is_null()), "nothing is sent");
    let customers = list(&desk, "/api/v1/customers").await;
    assert_eq!(customers.len(), 1, "{customers:?}");
    desk.stop().await;
}
