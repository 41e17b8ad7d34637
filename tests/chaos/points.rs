//! F-01 and F-02: the daemon is killed at its N-th write, for every N of a run that takes fifty mails
//! in, and started again. Nothing may be lost, doubled or misplaced, whichever N. One more mail comes
//! while nobody runs: in a folder that a daemon emptied before it died, nothing else would tell the next
//! one that its work there is done.

use crate::oracle::Findings;
use crate::plan::{Placed, Plan, Random, say, seed};
use crate::rig::{Post, Rig, imap, maildir};
use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::database::{self, is_long_run};
use support::workdir::WorkDir;

/// What changes anything outside of the process. Not every machine has all of them.
const WRITES: &str = "write,writev,pwrite64,pwritev,fsync,fdatasync,?rename,?renameat,?renameat2,?unlink,\
                      unlinkat,ftruncate,fallocate,sendto,sendmsg,?link,linkat,?mkdir,mkdirat";
/// What puts files in their places, such as a large blob. strace counts by thread, and the threads
/// that keep blobs make few of all writes: counted together they would never be first.
const PLACES: &str = "?rename,?renameat,?renameat2,?link,linkat,?mkdir,mkdirat";

/// One moment to die: just before a thread's N-th call of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    calls: &'static str,
    number: usize,
}

/// Cases at the same time.
const AT_ONCE: usize = 2;
/// After so many points the run says how far it is.
const TOLD: usize = 20;
/// Mails of one run that are there before it.
const MAILS: usize = 50;

/// Where the mail is and what is done with it once it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Maildir,
    Leave,
    Move,
    Delete,
}

impl Kind {
    fn after_ingest(self) -> &'static str {
        match self {
            Self::Maildir | Self::Leave => "{ type = \"leave\" }",
            Self::Move => "{ type = \"move\", folder = \"Done\" }",
            Self::Delete => "{ type = \"delete\", after_days = 0 }",
        }
    }
}

/// One series of points.
pub struct Series {
    pub kind: Kind,
    /// How many points are tried.
    pub points: usize,
    /// The fault switch that is on, if one is.
    pub broken: Option<&'static str>,
    pub seed: u64,
    /// Ends with the first mail that is lost.
    pub until_loss: bool,
}

/// What came of a series.
#[derive(Debug, Default)]
pub struct Table {
    /// Runs that were killed.
    pub points: usize,
    /// Runs that were over before their N-th write.
    pub finished: usize,
    pub lost: usize,
    pub doubled: usize,
    pub misplaced: usize,
    /// What was wrong, by point.
    pub wrong: Vec<(Point, Findings)>,
}

impl Table {
    fn add(&mut self, point: Point, killed: bool, findings: Findings) {
        self.points += usize::from(killed);
        self.finished += usize::from(!killed);
        self.lost += findings.lost;
        self.doubled += findings.doubled;
        self.misplaced += findings.misplaced;
        if !findings.is_clean() {
            self.wrong.push((point, findings));
        }
    }
}

impl Series {
    pub fn run(&self) -> Table {
        let post = (self.kind != Kind::Maildir).then(Post::start);
        let (writes, places) = self.calibrate(post.as_ref());
        let points = self.spread(writes, places);
        let (next, table) = (AtomicUsize::new(0), Mutex::new(Table::default()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(point) = points.get(index) else { break };
                        if self.kill_at(index, *point, post.as_ref(), &table) && self.until_loss {
                            break;
                        }
                        if (index + 1).is_multiple_of(TOLD) {
                            say(&format!("{:?}: {} of {} points", self.kind, index + 1, points.len()));
                        }
                    }
                });
            }
        });
        let table = table.into_inner().expect("no point panicked");
        let Table { points, finished, lost, doubled, misplaced, .. } = &table;
        let (kind, database) = (self.kind, database::kind());
        let broken = self.broken.map(|broken| format!(", broken: {broken}")).unwrap_or_default();
        say(&format!(
            "{database:?} {kind:?}{broken}: points {points} (of {writes} writes, {places} places; {finished} more ran to their end), lost {lost}, \
             doubled {doubled}, misplaced {misplaced}"
        ));
        table
    }

    /// One number in each stretch of a run, another one with another seed; one point in five is a
    /// file's.
    fn spread(&self, writes: usize, places: usize) -> Vec<Point> {
        let mut random = Random::new(self.seed);
        let mut points = Vec::with_capacity(self.points);
        let files = if places == 0 { 0 } else { self.points / 5 };
        for (calls, count, calls_there_are) in
            [(PLACES, files, places), (WRITES, self.points - files, writes)]
        {
            let step = calls_there_are as f64 / count as f64;
            points.extend((0..count).map(|index| {
                let number = 1 + (index as f64 * step) as usize + random.below((step as usize).max(1));
                Point { calls, number }
            }));
        }
        random.shuffle(&mut points);
        points
    }

    /// Tries a point, and an earlier one where the run was over before it: it is a point only when it
    /// kills. Whether mail was lost so far.
    fn kill_at(&self, index: usize, point: Point, post: Option<&Post>, table: &Mutex<Table>) -> bool {
        let mut random = Random::new(self.seed ^ index as u64);
        let mut point = point;
        for attempt in 0.. {
            let (killed, findings) = self.point(&format!("user{index}-{attempt}"), index, point, post);
            let mut table = table.lock().expect("no point panics here");
            table.add(point, killed, findings);
            if killed || point.number == 1 {
                return table.lost > 0;
            }
            point.number = 1 + random.below(point.number - 1);
        }
        false
    }

    fn plan(&self, index: usize) -> Plan {
        Plan::new(self.seed.wrapping_add(index as u64), MAILS + 1)
    }

    fn rig(&self, name: &str, plan: &Plan, post: Option<&Post>) -> (Rig, Option<WorkDir>) {
        let early = &plan.mails[..MAILS];
        let (mut rig, mail) = if let Some(post) = post {
            post.user(name, early);
            (Rig::new(&imap(post.port, name, self.kind.after_ingest())), None)
        } else {
            let dir = WorkDir::new("maildir");
            place(dir.path(), early);
            (Rig::new(&maildir(dir.path())), Some(dir))
        };
        if let Some(broken) = self.broken {
            rig.set("POSTROOM_CHAOS", broken);
        }
        (rig, mail)
    }

    /// How many writes, and places for files, the busiest thread makes in a run that nobody kills.
    fn calibrate(&self, post: Option<&Post>) -> (usize, usize) {
        let plan = self.plan(0);
        let (rig, _mail) = self.rig("calibrate", &plan, post);
        let trace = rig.dir.join("trace");
        let out = trace.display().to_string();
        let only = format!("trace={WRITES}");
        let running = rig.start(&["strace", "-f", "-qq", "-o", &out, "-e", &only]);
        assert!(!running.is_ended_by_fault(), "strace (ptrace) does not work here: {:?}", running.log());
        running.kill();
        let text = fs::read_to_string(&trace).expect("strace wrote what it saw");
        (busiest(&text, WRITES), busiest(&text, PLACES))
    }

    fn point(&self, name: &str, index: usize, point: Point, post: Option<&Post>) -> (bool, Findings) {
        let plan = self.plan(index);
        let (mut rig, mail) = self.rig(name, &plan, post);
        let Point { calls, number } = point;
        let inject = format!("inject={calls}:signal=KILL:when={number}");
        let only = format!("trace={calls}");
        // No --seccomp-bpf: with it strace 6.1 injects nothing.
        let running = rig.start(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &only, "-e", &inject]);
        let killed = running.is_ended_by_fault();
        running.kill();
        rig.unset_all();
        let late = &plan.mails[MAILS..];
        match (post, &mail) {
            (Some(post), _) => post.deliver(name, late),
            (None, Some(dir)) => deliver(dir.path(), late),
            (None, None) => unreachable!("mail is on a server or in a folder"),
        }
        let mut findings = rig.judge(&plan);
        if let Some(post) = post {
            self.judge_server(post, name, &plan, &mut findings);
        }
        (killed, findings)
    }

    /// What is left on the server is what the mailbox's set-up says.
    fn judge_server(&self, post: &Post, user: &str, plan: &Plan, findings: &mut Findings) {
        let mut placed: Vec<Vec<u8>> = plan.mails.iter().map(|mail| mail.raw.clone()).collect();
        placed.sort_unstable();
        let (mut inbox, mut done) = (post.stored(user, "INBOX"), post.stored(user, "Done"));
        inbox.sort_unstable();
        done.sort_unstable();
        let well = match self.kind {
            Kind::Maildir => true,
            Kind::Leave => inbox == placed && done.is_empty(),
            Kind::Move => inbox.is_empty() && done == placed,
            Kind::Delete => inbox.is_empty() && done.is_empty(),
        };
        if !well {
            findings.others.push(format!("the server has {} in INBOX, {} in Done", inbox.len(), done.len()));
        }
    }
}

/// How many of these calls the thread makes that makes most of them.
fn busiest(trace: &str, calls: &str) -> usize {
    let calls: Vec<&str> = calls.split(',').map(|call| call.trim().trim_start_matches('?')).collect();
    let mut by_thread: HashMap<&str, usize> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let call = rest.trim_start().split('(').next().unwrap_or_default();
        *by_thread.entry(thread).or_default() += usize::from(calls.contains(&call));
    }
    by_thread.into_values().max().unwrap_or(0)
}

/// Makes a Maildir and delivers into it.
pub fn place(path: &Path, mails: &[Placed]) {
    support::maildir::make(path, None);
    deliver(path, mails);
}

/// Delivers into a Maildir that there is.
pub fn deliver(path: &Path, mails: &[Placed]) {
    for mail in mails {
        support::maildir::deliver(path, &mail.raw, None);
    }
}

/// As many points as this run can afford; `CHAOS_POINTS` says how many for each kind instead.
fn points(usual: usize) -> usize {
    let asked = env::var("CHAOS_POINTS").ok();
    let asked = asked.map(|count| count.parse().expect("CHAOS_POINTS is a number"));
    asked.unwrap_or(if is_long_run() { usual * 10 } else { usual })
}

#[track_caller]
fn unharmed(kind: Kind, usual: usize) {
    let seed = seed(&format!("{kind:?}"));
    let table = Series { kind, points: points(usual), broken: None, seed, until_loss: false }.run();
    for (point, findings) in table.wrong.iter().take(5) {
        say(&format!("{kind:?} killed at {point:?} (seed {seed}): {findings:?}"));
    }
    assert!(table.wrong.is_empty(), "{} points of {} went wrong", table.wrong.len(), table.points);
    assert_eq!(table.points, points(usual), "{} runs were not killed", table.finished);
}

#[test]
fn killed_at_any_write_of_an_intake_from_imap() {
    unharmed(Kind::Leave, 40);
}

#[test]
fn killed_at_any_write_of_an_intake_that_moves() {
    unharmed(Kind::Move, 25);
}

#[test]
fn killed_at_any_write_of_an_intake_that_deletes() {
    unharmed(Kind::Delete, 25);
}

#[test]
fn killed_at_any_write_of_an_intake_from_a_folder() {
    unharmed(Kind::Maildir, 20);
}

/// The measure itself is tried: a daemon that works in the wrong order must be found out.
#[track_caller]
fn found_out(broken: &'static str) {
    let seed = seed(broken);
    let table = Series { kind: Kind::Delete, points: 20, broken: Some(broken), seed, until_loss: true }.run();
    assert!(table.lost > 0, "{broken} goes unnoticed: {table:?}");
}

#[test]
fn a_daemon_that_deletes_before_the_commit_is_found_out() {
    found_out("delete-first");
}

#[test]
fn a_daemon_that_moves_the_cursor_before_the_rows_is_found_out() {
    found_out("cursor-first");
}

#[test]
fn a_daemon_that_commits_before_the_blob_is_found_out() {
    found_out("blob-last");
}
