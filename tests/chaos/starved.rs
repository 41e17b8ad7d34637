//! F-60: the daemon gets less than it would like: nobody reads its log, or the log's disk is full, few
//! files may be open, memory is short. It goes on.

use crate::crashes::clean;
use crate::plan::{Plan, seed};
use crate::points::place;
use crate::rig::{Rig, Running, maildir};
use serde_json::json;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use support::ports;
use support::workdir::WorkDir;

/// What Linux puts into a pipe as one, or not at all (pipe(7), `PIPE_BUF`).
const AS_ONE: usize = 4096;
/// Requests that each leave several lines in a log that keeps everything: far more than a pipe holds.
const REQUESTS: usize = 300;

/// Takes mail in under these circumstances, is asked a few hundred things, is looked at, and is judged.
fn goes_on(case: &str, settings: &[(&str, &str)], wrapper: &[&str], amid: impl FnOnce(&Running)) {
    let plan = Plan::new(seed(case), 30);
    let mail = WorkDir::new("maildir");
    place(mail.path(), &plan.mails);
    let mut rig = Rig::new(&maildir(mail.path()));
    for (name, value) in settings {
        rig.set(name, value);
    }
    // Its log may be out of reach: it is asked at an address that was agreed on.
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    rig.set("POSTROOM__SERVER__LISTEN", &address.to_string());
    let running = rig.start(wrapper);
    let caller = rig.caller_at(address).unwrap_or_else(|said| panic!("{case}: {said}: {:?}", running.log()));
    caller.settle().unwrap_or_else(|said| panic!("{case}: {said}: {:?}", running.log()));
    for _ in 0..REQUESTS {
        let refused = caller.post("/api/v1/tags", &json!({"name": ""})).map(|answer| answer.status);
        assert_eq!(refused, Some(422), "{case}: {:?}", running.log());
    }
    amid(&running);
    running.kill();
    rig.unset_all();
    clean(case, &rig.judge(&plan));
}

fn has_not_panicked(running: &Running) {
    let log = running.log();
    assert!(!log.is_empty() && !log.iter().any(|line| line.contains("panicked")), "{log:?}");
}

/// No room is left in the pipe for what goes into it as one.
fn is_full(fifo: &str) -> bool {
    /// `O_NONBLOCK` of Linux: a full pipe is told instead of waited for.
    const NONBLOCK: i32 = 0o4000;
    let mut pipe = File::options()
        .write(true)
        .custom_flags(NONBLOCK)
        .open(fifo)
        .expect("it is read, as far as it knows");
    pipe.write(&[b'.'; AS_ONE]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

const TALKATIVE: (&str, &str) = ("POSTROOM__LOG__LEVEL", "trace");

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    // The other end of the pipe is open, and nobody reads.
    let unread = r#"mkfifo "$1"; exec 9<>"$1"; shift; exec "$@" 2>&9 >&9"#;
    let folder = WorkDir::new("fifo");
    let fifo = folder.join("log").display().to_string();
    goes_on("F-60 unread", &[TALKATIVE], &["sh", "-c", unread, "sh", &fifo], |_| {
        assert!(is_full(&fifo), "the daemon had room for all it said");
    });
}

#[test]
fn a_log_on_a_full_disk_and_a_closed_output_hold_nothing_up() {
    goes_on("F-60 full", &[TALKATIVE], &["sh", "-c", r#"exec "$@" >&- 2>/dev/full"#, "sh"], |_| {});
}

#[test]
fn few_open_files_are_enough() {
    goes_on("F-60 files", &[], &["sh", "-c", r#"ulimit -n 64; exec "$@""#, "sh"], has_not_panicked);
}

#[test]
fn little_memory_is_enough() {
    goes_on("F-60 memory", &[], &["sh", "-c", r#"ulimit -v 2000000; exec "$@""#, "sh"], has_not_panicked);
}
