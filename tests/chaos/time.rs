//! F-50: the wall clock jumps while there is work. Nothing storms, nothing stalls, nothing is lost. The
//! clock is libfaketime's, which the whole program sees; that for waiting (monotonic) stays true.

use crate::crashes::{clean, parts, usual_or_long};
use crate::plan::{Plan, say, seed};
use crate::rig::{Caller, PATIENCE, Post, Rig, imap};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use support::smtp::{Phase, SmtpSink};
use support::workdir::WorkDir;

/// Where Debian's package `libfaketime` puts its library.
const LIBRARY: &str = "/usr/lib/*/faketime/libfaketime.so.1";

/// The wall clock at each step, against the true one: an hour and 30 days ahead and behind, and back.
const STEPS: [&str; 8] = ["+1h", "+0", "-1h", "+0", "+30d", "+0", "-30d", "+0"];

fn library() -> String {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    let found = found.find(|library| library.is_file());
    found.unwrap_or_else(|| panic!("{LIBRARY} is missing; tests/run installs it")).display().to_string()
}

/// What a program is run under whose wall clock differs from the true one for good.
pub fn fake(offset: &str) -> [String; 4] {
    [
        "env".to_owned(),
        format!("LD_PRELOAD={}", library()),
        format!("FAKETIME={offset}"),
        // Without it no timer of the program ever ends.
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ]
}

/// The same where the clock can be set while it runs, by [`set`].
fn settable(file: &Path) -> [String; 5] {
    [
        "env".to_owned(),
        format!("LD_PRELOAD={}", library()),
        format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ]
}

fn set(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    fs::write(&new, offset).expect("the folder is our own");
    // At once: half a line would be another time.
    fs::rename(new, file).expect("the folder is our own");
}

/// A mailbox beside the first: an empty folder, and a mail server for what leaves.
fn second(caller: &Caller, folder: &Path, smtp: &SmtpSink) -> i64 {
    let body = json!({
        "name": "Sales", "address": "sales@example.org", "poll_interval_seconds": 86_400,
        "source": {"type": "maildir", "path": folder},
        "delivery": {"type": "smtp", "host": "127.0.0.1", "port": smtp.port, "security": "none"},
    });
    let made = caller.post("/api/v1/mailboxes", &body).expect("it is answered").expect(201);
    made.json()["id"].as_i64().expect("a number")
}

/// How far an answer is.
fn state(caller: &Caller, message: i64) -> Value {
    caller.get(&format!("/api/v1/messages/{message}"))["delivery"]["state"].clone()
}

/// Has the daemon look at all that may be due, by a poll of a mailbox in which there is never anything.
fn look(caller: &Caller, mailbox: i64) {
    let path = format!("/api/v1/mailboxes/{mailbox}");
    caller.post(&format!("{path}/sync"), &json!(null)).expect("it is answered").expect(202);
    let deadline = Instant::now() + PATIENCE;
    while caller.get(&format!("{path}/status"))["syncing"] != false {
        assert!(Instant::now() < deadline, "it does not poll");
        thread::sleep(Duration::from_millis(20));
    }
}

/// F-50
#[test]
fn the_clock_jumps_amid_the_work() {
    let seed = seed("F-50");
    let turns = usual_or_long(1, 4);
    let steps: Vec<&str> = (0..turns).flat_map(|_| STEPS).collect();
    let mut plan = Plan::new(seed, (steps.len() + 1) * 10);
    let (post, smtp) = (Post::start(), SmtpSink::start());
    let mut rig = Rig::new(&imap(post.port, "support", "{ type = \"leave\" }"));
    // Every login is a poll.
    rig.set("POSTROOM__INGEST__IDLE", "false");
    let (folder, clock) = (WorkDir::new("maildir"), rig.dir.join("clock"));
    support::maildir::make(folder.path(), None);
    set(&clock, "+0");
    let parts: Vec<_> = parts(&plan, steps.len() + 1).into_iter().map(<[_]>::to_vec).collect();
    post.deliver("support", &parts[0]);
    let running = rig.start(&settable(&clock).each_ref().map(String::as_str));
    let caller = running.caller().expect("it starts");
    let distinct = |count: usize| {
        let mails = parts.iter().take(count).flatten().cloned().collect();
        Plan { mails, written: Vec::new() }.distinct()
    };
    caller.until_accepted(distinct(1)).expect("the first mails come in");
    let sales = second(&caller, folder.path(), &smtp);
    let mut most_polls = 1;
    for (number, step) in steps.iter().enumerate() {
        // An answer that the next server does not take just now, and mail that nobody has asked for.
        smtp.fail_next(Phase::Mail, "451 4.3.0 Try later");
        let tried = smtp.connections();
        let text = format!("It left today, says answer {number}.");
        let body = json!({"mailbox_id": sales, "subject": "Your order",
            "customer": {"email": "ada@example.org"}, "message": {"kind": "reply", "text": text}});
        let made = caller.post("/api/v1/conversations", &body).expect("it is answered").expect(201);
        plan.written.push(text);
        let conversation = made.json()["id"].clone();
        let messages = caller.list(&format!("/api/v1/conversations/{conversation}/messages"));
        let message = messages[0]["id"].as_i64().expect("a number");
        let deadline = Instant::now() + PATIENCE;
        while state(&caller, message) != "deferred" {
            assert!(Instant::now() < deadline, "it is not tried: {}", state(&caller, message));
            thread::sleep(Duration::from_millis(20));
        }
        post.deliver("support", &parts[number + 1]);
        let polls = post.server().logged("Login: user=<support>");
        set(&clock, step);
        loop {
            look(&caller, sales);
            let status = caller.mailbox().and_then(|mailbox| caller.status(&mailbox)).expect("it is there");
            if status["accepted"] == distinct(number + 2) && state(&caller, message) == "sent" {
                break;
            }
            let told = format!("{step}: a stall: {status}, the answer is {}", state(&caller, message));
            assert!(Instant::now() < deadline + PATIENCE, "{told}\n{}", running.log().join("\n"));
        }
        // Were there a storm, it would go on.
        (0..5).for_each(|_| look(&caller, sales));
        let polls = post.server().logged("Login: user=<support>") - polls;
        assert!(polls <= 2, "{step}: {polls} polls, one of them was due");
        most_polls = most_polls.max(polls);
        let tries = smtp.connections() - tried;
        assert!(tries <= 4, "{step}: tried {tries} times, and two were due");
    }
    say(&format!("F-50: {} jumps, {most_polls} polls for each at the most", steps.len()));
    assert_eq!(smtp.mails().len(), steps.len(), "each answer left once");
    let mut findings = crate::oracle::judge(&caller, &plan);
    rig.end(running, &mut findings);
    clean("F-50", &findings);
}
