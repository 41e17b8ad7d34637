//! F-09: the power fails. One daemon's life, and the next one's, are recorded by strace; what they did up to
//! some call is done again on a disk that keeps only what was made safe (`disk_model.rs`), and a daemon is started
//! on what that leaves. Who was told that a mail is taken in has forgotten it; all else comes again.

use crate::crashes::{clean, usual_or_long};
use crate::database::is_not_for;
use crate::disk_model::{Disk, Rest, Tree, read_tree, write_tree};
use crate::oracle::{self, Findings};
use crate::plan::{Placed, Plan, Random, say, seed};
use crate::points::place;
use crate::record::{self, Step};
use crate::rig::{Caller, Rig, Running, maildir};
use std::fs;
use std::sync::OnceLock;
use support::database::Kind;
use support::leash;
use support::workdir::WorkDir;

/// Mails that lie in a folder, where they stay.
const LYING: usize = 20;
/// Mails that are pushed in during the last life.
const LAST: usize = 30;

/// Mails that are pushed in during each life. In the long run's first one SQLite's WAL grows so long (4,000
/// pages) that it is written back amid the work, and not only at the end.
fn lives() -> [usize; 2] {
    [usual_or_long(50, 220), LAST]
}

/// What is asked to be safe and nevertheless is not.
type Deaf = fn(&str) -> bool;

struct Recording {
    seed: u64,
    plan: Plan,
    mail: WorkDir,
    /// The data folder before.
    start: Tree,
    steps: Vec<Step>,
}

/// One for all cases.
fn recording() -> &'static Recording {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    RECORDING.get_or_init(Recording::make)
}

fn is_acknowledged(step: &Step) -> bool {
    matches!(step, Step::Acknowledged)
}

/// A large file gets its name.
fn is_large(step: &Step) -> bool {
    matches!(step, Step::Renamed { to, .. } if to.starts_with("objects/"))
}

/// What was committed goes from the WAL into the database.
fn is_back(step: &Step) -> bool {
    matches!(step, Step::Wrote { path, .. } if path == "postroom.db")
}

impl Recording {
    fn make() -> Self {
        let seed = seed("F-09");
        let plan = Plan::new(seed, LYING + lives().iter().sum::<usize>());
        let mail = WorkDir::new("maildir");
        let (lying, mut waiting) = plan.mails.split_at(LYING);
        place(mail.path(), lying);
        let rig = Rig::new(&maildir(mail.path()));
        let data = fs::canonicalize(rig.dir.join("data")).expect("the rig has its data");
        let start = read_tree(&data);
        let mut steps = Vec::new();
        for (life, count) in lives().into_iter().enumerate() {
            let (pushed, later) = waiting.split_at(count);
            waiting = later;
            let trace = rig.dir.join(format!("trace{life}"));
            let strace = record::strace(&trace.display().to_string());
            let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
            let running = rig.start(&strace);
            let caller = running.caller().expect("it starts");
            caller.settle().expect("strace (ptrace) works here, and nothing is wrong");
            push(&caller, pushed).expect("mail is taken in");
            // strace shall see the daemon out.
            let daemon: Vec<u32> =
                leash::descendants(running.pid()).into_iter().map(|(pid, _)| pid).collect();
            leash::signal("TERM", &daemon);
            assert_eq!(running.ended(), Some(0));
            let text = fs::read_to_string(trace).expect("strace wrote what it saw");
            steps.extend(record::read(&text, &data));
        }
        // Every byte is accounted for: with nothing lost, the disk is what the daemon left.
        let mut disk = Disk::new(&start);
        disk.play(&steps, |_| false);
        assert!(disk.left(Rest::All) == read_tree(&data), "the record is not whole");
        assert_eq!(disk.acknowledged, plan.mails.len() - LYING, "answers were overlooked");
        let recording = Self { seed, plan, mail, start, steps };
        let (large, back) = (recording.after(is_large).len(), recording.after(is_back).len());
        let calls = recording.steps.len();
        say(&format!("F-09: {calls} calls recorded, {large} large files, {back} pages written back"));
        assert!(large > 0 && back > 0, "there is not enough to lose");
        recording
    }

    /// Where the record stands just after each of these.
    fn after(&self, which: fn(&Step) -> bool) -> Vec<usize> {
        let all = self.steps.iter().enumerate().filter(|(_, step)| which(step));
        all.map(|(step, _)| step + 1).collect()
    }

    /// Lets the power fail after so many calls, and judges who comes back.
    fn cut(&self, calls: usize, part: Option<&mut Random>, deaf: Deaf) -> Findings {
        let mut disk = Disk::new(&self.start);
        disk.play(&self.steps[..calls], deaf);
        let kept = if part.is_some() { "some" } else { "nothing" };
        let left = disk.left(part.map_or(Rest::Nothing, Rest::Part));
        let (all, acknowledged) = (self.steps.len(), disk.acknowledged);
        say(&format!(
            "F-09: power fails after call {calls} of {all}, {acknowledged} mails acknowledged, {kept} left of the rest"
        ));
        let rig = Rig::new(&maildir(self.mail.path()));
        let data = rig.dir.join("data");
        fs::remove_dir_all(&data).expect("the rig's folder is our own");
        write_tree(&left, &data);
        let running = rig.start(&[]);
        match self.come_back(&running, acknowledged) {
            Ok(mut findings) => {
                rig.end(running, &mut findings);
                findings
            }
            Err(said) => Findings { others: vec![said], ..Findings::default() },
        }
    }

    fn come_back(&self, running: &Running, acknowledged: usize) -> Result<Findings, String> {
        let caller = running.caller()?;
        caller.settle()?;
        push(&caller, &self.plan.mails[LYING + acknowledged..])?;
        Ok(oracle::judge(&caller, &self.plan))
    }
}

/// Pushes mails in, one after the other.
fn push(caller: &Caller, mails: &[Placed]) -> Result<(), String> {
    let path = format!("{}/inbound", caller.mailbox().ok_or("there is no mailbox")?);
    for mail in mails {
        let answer = caller.send("POST", &path, "message/rfc822", &mail.raw).ok_or("nobody answers")?;
        if !matches!(answer.status, 200 | 201) {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
    }
    Ok(())
}

/// F-09: in the moment in which a mail is acknowledged, while the WAL is written back, at any time.
#[test]
fn what_was_acknowledged_survives_a_power_loss() {
    if is_not_for(Kind::Sqlite) {
        return;
    }
    let recording = recording();
    let mut random = Random::new(recording.seed);
    let moments: [fn(&Step) -> bool; 3] = [is_acknowledged, is_back, |_| true];
    for round in 0..usual_or_long(6, 50) {
        let moments = recording.after(moments[round % 3]);
        let calls = moments[random.below(moments.len())];
        let mut part = Random::new(random.next());
        let part = (round % 2 == 1).then_some(&mut part);
        clean("F-09", &recording.cut(calls, part, |_| false));
    }
}

/// The measure itself is tried: a disk that is not asked to keep what is acknowledged must be found out.
#[track_caller]
fn found_out(what: &str, deaf: Deaf) {
    if is_not_for(Kind::Sqlite) {
        return;
    }
    let recording = recording();
    let last = recording.after(is_acknowledged).pop().expect("mails are acknowledged");
    let findings = recording.cut(last, None, deaf);
    say(&format!("F-09, {what} not made safe: {} lost", findings.lost));
    assert!(findings.lost > 0, "{what}: it goes unnoticed: {findings:#?}");
}

/// As with `synchronous = NORMAL`, where a commit does not wait for the disk.
#[test]
fn a_commit_that_does_not_wait_for_the_disk_is_found_out() {
    found_out("commits", |path| path.ends_with("-wal"));
}

#[test]
fn a_large_file_that_is_not_made_safe_is_found_out() {
    found_out("large files", |path| path.contains(".draft-"));
}

#[test]
fn a_large_files_name_that_is_not_made_safe_is_found_out() {
    found_out("names of large files", |path| path.starts_with("objects") && !path.contains(".draft-"));
}
