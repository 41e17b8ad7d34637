//! Who has a mail to itself, and for how long: a server that takes its time, a daemon that stands still with
//! its host, and two daemons on one PostgreSQL, one of which is killed (F-30).

use crate::plan::say;
use crate::rig::{Caller, PATIENCE, Rig, Running, maildir};
use crate::sender::{execute, until};
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use support::database::{Kind, kind};
use support::smtp::{Phase, SmtpSink};
use support::workdir::WorkDir;

/// How long a claim lasts here, in milliseconds: long enough for a busy machine to renew it in time.
const CLAIM_MS: i64 = 4_000;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// A number out of the database.
fn number(rig: &Rig, expression: &str) -> i64 {
    let query = sql_query(format!("SELECT CAST(({expression}) AS BIGINT) AS value"));
    let found: Number = match rig.database() {
        DatabaseUrl::Sqlite(file) => {
            let mut conn =
                SqliteConnection::establish(&file.to_string_lossy()).expect("the database is there");
            query.get_result(&mut conn).expect("it answers")
        }
        DatabaseUrl::Postgres(url) => {
            let mut conn = PgConnection::establish(url).expect("the server runs");
            query.get_result(&mut conn).expect("it answers")
        }
    };
    found.value
}

#[track_caller]
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn new_rig(none: &WorkDir) -> Rig {
    support::maildir::make(none.path(), None);
    let mut rig = Rig::new(&maildir(none.path()));
    rig.set("POSTROOM_CHAOS_CLAIM_MS", &CLAIM_MS.to_string());
    rig
}

/// A mailbox whose answers go to the receiver.
fn mailbox(caller: &Caller, sink: &SmtpSink) -> Value {
    let mailbox = json!({
        "name": "Sales", "address": "sales@example.org", "source": {"type": "push"},
        "delivery": {"type": "smtp", "host": "127.0.0.1", "port": sink.port, "security": "none"},
    });
    caller.post("/api/v1/mailboxes", &mailbox).expect("it answers").expect(201).json()["id"].clone()
}

fn first_answer(mailbox: &Value, number: usize) -> Value {
    json!({
        "mailbox_id": mailbox, "subject": format!("Your order {number}"),
        "customer": {"email": format!("ada{number}@example.net")},
        "message": {"kind": "reply", "text": "It left today."},
    })
}

/// Begins a conversation with an answer. The path of that.
fn answer(caller: &Caller, mailbox: &Value) -> String {
    let begun = caller.post("/api/v1/conversations", &first_answer(mailbox, 0)).expect("it answers");
    let path = format!("/api/v1/conversations/{}/messages", begun.expect(201).json()["id"]);
    format!("/api/v1/messages/{}", caller.list(&path)[0]["id"])
}

fn uncertain(caller: &Caller) -> usize {
    caller.events().iter().filter(|event| event["type"] == "message.uncertain").count()
}

/// Has whoever is to look at the outbox look.
fn wake(caller: &Caller, mailbox: &Value) {
    let note = json!({
        "mailbox_id": mailbox, "subject": "Nothing", "customer": {"email": "bob@example.net"},
        "message": {"kind": "note", "text": "Nothing."},
    });
    caller.post("/api/v1/conversations", &note).expect("it answers").expect(201);
}

#[test]
fn a_server_that_takes_longer_than_a_claim_is_waited_for() {
    let (none, sink) = (WorkDir::new("maildir"), SmtpSink::start());
    let rig = new_rig(&none);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    let mailbox = mailbox(&caller, &sink);
    sink.hold_next(Phase::Dot);
    let message = answer(&caller, &mailbox);
    wait("the mail is there", || sink.mails().len() == 1);
    let until_when = || number(&rig, "SELECT MAX(claimed_until) FROM outbox");
    let first = until_when();
    // Three times as long as one claim lasts; who looks for the dead looks all the while.
    wait("the claim is renewed", || {
        wake(&caller, &mailbox);
        until_when() > first + 3 * CLAIM_MS * 1_000
    });
    assert_eq!(caller.get(&message)["delivery"]["state"], "sending");
    sink.let_go();
    let sent = until(&caller, &message, &["sent"]);
    assert_eq!((sent["delivery"]["may_be_double"].as_bool(), uncertain(&caller)), (Some(false), 0));
    assert_eq!(sink.mails().len(), 1);
    assert_eq!(running.stop(), Some(0));
}

fn signal(running: &Running, signal: &str) {
    let done = Command::new("kill").args([signal, &running.pid().to_string()]).status();
    assert!(done.expect("there is a kill").success());
}

/// The host of one of two daemons sleeps while it hands a mail over.
fn sleeps(phase: Phase) -> Option<(usize, Value, usize)> {
    if kind() != Kind::Postgres {
        return None;
    }
    let (none, sink) = (WorkDir::new("maildir"), SmtpSink::start());
    let rig = new_rig(&none);
    let running = rig.start(&[]);
    let mailbox = mailbox(&running.caller().expect("it starts"), &sink);
    sink.hold_next(phase);
    let message = answer(&running.caller().expect("it runs"), &mailbox);
    wait("it is at the server", || sink.held() == 1);
    signal(&running, "-STOP");

    let other = rig.start_beside(&[]);
    let caller = other.caller().expect("it starts");
    let end = if phase == Phase::Dot { "uncertain" } else { "sent" };
    wait("the other daemon has it", || {
        wake(&caller, &mailbox);
        caller.get(&message)["delivery"]["state"] == end
    });
    sink.let_go();
    signal(&running, "-CONT");
    if phase != Phase::Dot {
        running.wait_for_line("another worker has this mail now").expect("it says that it gave up");
    }
    let seen = until(&running.caller().expect("it is awake"), &message, &["sent"]);
    assert_eq!(running.stop(), Some(0));
    let told = uncertain(&caller);
    assert_eq!(other.stop(), Some(0));
    Some((sink.mails().len(), seen, told))
}

#[test]
fn who_sleeps_over_a_mail_before_its_bytes_go_does_not_send_it() {
    let Some((mails, seen, uncertain)) = sleeps(Phase::Data) else { return };
    assert_eq!((mails, uncertain), (1, 0), "{seen}");
    assert_eq!(seen["delivery"]["may_be_double"], false, "{seen}");
}

#[test]
fn who_wakes_to_hear_the_answer_settles_what_was_uncertain() {
    let Some((mails, seen, uncertain)) = sleeps(Phase::Dot) else { return };
    assert_eq!((mails, uncertain), (1, 1), "{seen}");
    assert_eq!(seen["delivery"]["may_be_double"], false, "{seen}");
}

/// Writes answers by turns, and goes on with the other daemon where one is dead: under its key each is
/// written once.
fn write(callers: &[Caller; 2], mailbox: &Value, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let (key, body) = (format!("answer {number}"), first_answer(mailbox, number));
        let first = callers[number % 2].post_once("/api/v1/conversations", &key, &body);
        let answer = match first {
            Some(answer) => answer,
            None => callers[1].post_once("/api/v1/conversations", &key, &body).expect("this one lives"),
        };
        assert!([200, 201].contains(&answer.status), "{number}: {}", answer.text());
    }
}

#[test]
fn two_daemons_send_each_answer_once_though_one_is_killed() {
    const ANSWERS: usize = 40;
    if kind() != Kind::Postgres {
        return;
    }
    let (none, sink) = (WorkDir::new("maildir"), SmtpSink::start());
    let rig = new_rig(&none);
    let first = rig.start(&[]);
    let mailbox = mailbox(&first.caller().expect("it starts"), &sink);
    // While it is alone: the one that will be killed has a mail of its own at the server, whole and without an
    // answer.
    sink.hold_next(Phase::Dot);
    let alone = [first.caller().expect("it runs"), first.caller().expect("it runs")];
    write(&alone, &mailbox, 0..1);
    wait("the first is under way", || sink.held() == 1);
    let second = rig.start_beside(&[]);
    let callers = [first.caller().expect("it runs"), second.caller().expect("it starts")];
    // More are there when it happens, of either: named, or whole.
    for phase in [Phase::Data, Phase::Dot, Phase::Data] {
        sink.hold_next(phase);
    }
    write(&callers, &mailbox, 1..ANSWERS / 2);
    wait("some are under way", || sink.held() == 4);
    first.kill();
    write(&callers, &mailbox, ANSWERS / 2..ANSWERS);
    sink.let_go();
    let caller = &callers[1];
    let left = |states: &str| number(&rig, &format!("SELECT COUNT(*) FROM outbox WHERE state IN ({states})"));
    wait("nothing is left that is being sent", || {
        wake(caller, &mailbox);
        left("'queued', 'sending', 'deferred'") == 0
    });
    let doubtful = left("'uncertain'");
    assert!(doubtful > 0, "what the killed one had under way is uncertain");
    // The time for evidence is up, and there is none.
    execute(&rig, "UPDATE outbox SET next_attempt_at = 0 WHERE state = 'uncertain'");
    wait("all are sent", || {
        wake(caller, &mailbox);
        left("'sent'") == ANSWERS as i64
    });
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for mail in sink.mails() {
        *arrived.entry(mail.to.join(" ")).or_default() += 1;
    }
    let double = number(&rig, "SELECT COUNT(*) FROM outbox WHERE may_be_double");
    let twice = arrived.values().filter(|count| **count == 2).count();
    say(&format!("F-30: {doubtful} uncertain, {twice} arrived twice"));
    assert_eq!(arrived.len(), ANSWERS, "{arrived:?}");
    assert!(arrived.values().all(|count| *count <= 2), "{arrived:?}");
    assert_eq!(double, doubtful, "whatever may be there twice is marked");
    assert!(twice as i64 <= doubtful, "{arrived:?}");
    assert_eq!(second.stop(), Some(0));
}
