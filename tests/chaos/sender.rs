//! F-05: the daemon dies inside of the sender. What was not handed over leaves once; what may have been is
//! uncertain and says so, and goes once more at the most, with the same Message-ID, marked as what may be
//! there twice.

use crate::plan::say;
use crate::rig::{Caller, PATIENCE, Rig, maildir};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};
use support::smtp::SmtpSink;
use support::workdir::WorkDir;

/// Where it dies, and whether the receiver may have the mail then.
const POINTS: [(&str, bool); 5] = [
    ("after-claim", false),
    ("after-rcpt", false),
    ("before-dot", true),
    ("after-dot", true),
    ("before-sent", true),
];

pub fn execute(rig: &Rig, statement: &str) {
    match rig.database() {
        DatabaseUrl::Sqlite(file) => {
            let mut conn =
                SqliteConnection::establish(&file.to_string_lossy()).expect("the database is there");
            conn.batch_execute(statement).expect("the database takes it");
        }
        DatabaseUrl::Postgres(url) => {
            let mut conn = PgConnection::establish(url).expect("the server runs");
            conn.batch_execute(statement).expect("the server takes it");
        }
    }
}

/// The message once it is in one of these states.
pub fn until(caller: &Caller, message: &str, states: &[&str]) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = caller.get(message);
        if shown["delivery"]["state"].as_str().is_some_and(|state| states.contains(&state)) {
            return shown;
        }
        assert!(Instant::now() < deadline, "none of {states:?}: {}", shown["delivery"]);
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a daemon that dies at a point, has it answer somebody, and waits until it is dead. The path of the
/// answer.
fn die(rig: &mut Rig, sink: &SmtpSink, point: &str) -> String {
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    let mailbox = json!({
        "name": "Sales", "address": "sales@example.org", "source": {"type": "push"},
        "delivery": {"type": "smtp", "host": "127.0.0.1", "port": sink.port, "security": "none"},
    });
    let mailbox = caller.post("/api/v1/mailboxes", &mailbox).expect("it answers").expect(201).json();
    assert_eq!(running.stop(), Some(0));

    rig.set("POSTROOM_CHAOS", &format!("die-{point}"));
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    let begun = json!({
        "mailbox_id": mailbox["id"], "subject": "Your order", "customer": {"email": "ada@example.net"},
        "message": {"kind": "note", "text": "She asked by telephone."},
    });
    let begun = caller.post("/api/v1/conversations", &begun).expect("it answers").expect(201).json();
    let answer = json!({"kind": "reply", "text": "It left today.", "cc": [{"email": "bob@example.net"}]});
    let path = format!("/api/v1/conversations/{}/messages", begun["id"]);
    // It may be dead before it has answered: the key says which answer is meant afterwards.
    let key = format!("answer-{point}");
    caller.post_once(&path, &key, &answer);
    assert!(running.ended().is_some_and(|code| code != 0), "{point}: it dies there");
    rig.unset_all();
    // What two minutes of waiting do where another daemon might have the mail.
    execute(rig, "UPDATE outbox SET claimed_until = 0 WHERE state = 'sending'");

    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts again");
    let again = caller.post_once(&path, &key, &answer).expect("it answers").expect(201).json();
    let message = format!("/api/v1/messages/{}", again["id"]);
    until(&caller, &message, &["sent", "uncertain"]);
    assert_eq!(running.stop(), Some(0));
    message
}

#[test]
fn whoever_dies_while_sending_sends_once_or_says_that_it_does_not_know() {
    for (point, may_have_it) in POINTS {
        let (none, sink) = (WorkDir::new("maildir"), SmtpSink::start());
        support::maildir::make(none.path(), None);
        let mut rig = Rig::new(&maildir(none.path()));
        let message = die(&mut rig, &sink, point);
        let first = sink.mails().len();

        // The time for evidence is up, and there is none.
        execute(&rig, "UPDATE outbox SET next_attempt_at = 0 WHERE state = 'uncertain'");
        let running = rig.start(&[]);
        let caller = running.caller().expect("it starts");
        let shown = until(&caller, &message, &["sent"]);
        let mails = sink.mails();
        assert_eq!(shown["delivery"]["may_be_double"], may_have_it, "{point}: {}", shown["delivery"]);
        let most = if may_have_it { 2 } else { 1 };
        assert!((1..=most).contains(&mails.len()), "{point}: {} mails", mails.len());
        let ids: HashSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
        assert_eq!(ids.len(), 1, "{point}: one Message-ID");
        assert!(mails.iter().all(|mail| mail.raw == mails[0].raw && mail.to.len() == 2), "{point}");
        let told: Vec<Value> =
            caller.events().into_iter().filter(|event| event["type"] == "message.uncertain").collect();
        assert_eq!(told.is_empty(), !may_have_it, "{point}: {told:?}");
        assert_eq!(running.stop(), Some(0));
        say(&format!("F-05 {point}: {first} mails at its death, {} in the end", mails.len()));

        // A third one never leaves.
        let running = rig.start(&[]);
        let caller = running.caller().expect("it starts");
        until(&caller, &message, &["sent"]);
        assert_eq!((running.stop(), sink.mails().len()), (Some(0), mails.len()), "{point}");
    }
}
