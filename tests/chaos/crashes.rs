//! F-03, F-04 and F-12: the daemon, or an import, is killed time and again; it dies together with the
//! mail server; it is away for a month.

use crate::oracle::Findings;
use crate::plan::{Placed, Plan, Random, say, seed};
use crate::points::place;
use crate::rig::{Post, Rig, imap, maildir};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use support::database::is_long_run;
use support::program::program;
use support::workdir::WorkDir;

const LEAVE: &str = "{ type = \"leave\" }";

/// Few in every run, all in the long one.
pub fn usual_or_long(usual: usize, long: usize) -> usize {
    if is_long_run() { long } else { usual }
}

#[track_caller]
pub fn clean(case: &str, findings: &Findings) {
    let Findings { lost, doubled, misplaced, .. } = findings;
    say(&format!("{case}: lost {lost}, doubled {doubled}, misplaced {misplaced}"));
    assert!(findings.is_clean(), "{case}: {findings:#?}");
}

/// 50 to 500 ms at first. Later longer: what a slow machine does in one go must not take more than the
/// longest there is.
fn lifetime(random: &mut Random, round: u32) -> Duration {
    Duration::from_millis(50 + random.below(450) as u64).mul_f64(1.1_f64.powi(round.cast_signed()))
}

/// F-03
#[test]
fn killed_again_and_again_the_daemon_comes_to_the_end() {
    let seed = seed("F-03 daemon");
    let mut random = Random::new(seed);
    let plan = Plan::new(seed, usual_or_long(300, 2_000));
    let post = Post::start();
    let rig = Rig::new(&imap(post.port, "support", "{ type = \"move\", folder = \"Done\" }"));
    post.server().make_folder("support", "Done");
    // The last comes when the killing is over: see points.rs.
    let (early, late) = plan.mails.split_at(plan.mails.len() - 1);
    post.deliver("support", early);
    let mut kills = 0;
    loop {
        let running = rig.start(&[]);
        let caller = running.caller().expect("it starts");
        thread::sleep(lifetime(&mut random, kills));
        let is_done = caller.is_at_rest();
        running.kill();
        if is_done {
            break;
        }
        kills += 1;
        assert!(kills < 100, "it does not come to the end");
    }
    say(&format!("F-03: {} mails, killed {kills} times", plan.mails.len()));
    post.deliver("support", late);
    clean("F-03 daemon", &rig.judge(&plan));
    assert_eq!(post.stored("support", "Done").len(), plan.mails.len());
}

/// F-03
#[test]
fn killed_again_and_again_an_import_comes_to_the_end() {
    let seed = seed("F-03 import");
    let mut random = Random::new(seed);
    let plan = Plan::new(seed, usual_or_long(300, 2_000));
    let (folder, none) = (WorkDir::new("import"), WorkDir::new("maildir"));
    place(folder.path(), &plan.mails);
    support::maildir::make(none.path(), None);
    let rig = Rig::new(&maildir(none.path()));
    // The daemon makes the mailbox.
    let running = rig.start(&[]);
    running.caller().expect("it starts").settle().expect("there is nothing to do");
    assert_eq!(running.stop(), Some(0));
    let mut kills = 0;
    loop {
        let mut command = Command::new(program());
        command.args(["import", "maildir", "--mailbox", "Support", "--config", &rig.config()]);
        command.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut import = command.spawn().expect("the program can be started");
        let end = Instant::now() + lifetime(&mut random, kills);
        let status = loop {
            let status = import.try_wait().expect("it is a child of this process");
            if status.is_some() || Instant::now() >= end {
                break status;
            }
            thread::sleep(Duration::from_millis(2));
        };
        if let Some(status) = status {
            assert!(status.success(), "the import ended with {status}");
            break;
        }
        import.kill().expect("it is a child of this process");
        import.wait().expect("it is a child of this process");
        kills += 1;
        assert!(kills < 100, "it does not come to the end");
    }
    say(&format!("F-03: {} mails, the import killed {kills} times", plan.mails.len()));
    clean("F-03 import", &rig.judge(&plan));
}

fn pause(random: &mut Random, most: usize) {
    // A moment that nothing marks: what is tried is that it does not matter.
    thread::sleep(Duration::from_millis(20 + random.below(most) as u64));
}

/// The plan in as many parts, each delivered when its turn comes.
pub fn parts(plan: &Plan, count: usize) -> Vec<&[Placed]> {
    plan.mails.chunks(plan.mails.len().div_ceil(count)).collect()
}

/// F-04
#[test]
fn the_daemon_and_the_mail_server_die_at_once() {
    let seed = seed("F-04");
    let mut random = Random::new(seed);
    let rounds = usual_or_long(4, 50);
    let plan = Plan::new(seed, rounds * 30);
    let post = Post::start();
    let rig = Rig::new(&imap(post.port, "support", "{ type = \"move\", folder = \"Done\" }"));
    post.server().make_folder("support", "Done");
    let parts = parts(&plan, rounds + 1);
    let (last, amid) = parts.split_last().expect("there are some");
    for part in amid {
        post.deliver("support", part);
        let running = rig.start(&[]);
        pause(&mut random, 700);
        thread::scope(|scope| {
            scope.spawn(|| post.server().kill());
            scope.spawn(|| running.kill());
        });
        post.server().start_again();
    }
    post.deliver("support", last);
    clean("F-04", &rig.judge(&plan));
    assert_eq!(post.stored("support", "INBOX").len(), 0);
    // A server that dies between the two halves of a MOVE has copied what it did not take away, and copies it
    // again: there a mail may lie twice, and never not at all.
    let done = post.stored("support", "Done");
    assert!(done.len() >= plan.mails.len(), "{}", done.len());
    let done: BTreeSet<&[u8]> = done.iter().map(Vec::as_slice).collect();
    let placed: BTreeSet<&[u8]> = plan.mails.iter().map(|mail| mail.raw.as_slice()).collect();
    assert_eq!(done, placed);
}

/// F-12: a month's mail, some of it read by somebody else, is there when the daemon comes back.
#[test]
fn a_month_away_loses_nothing() {
    let seed = seed("F-12");
    let plan = Plan::new(seed, usual_or_long(300, 5_000));
    let post = Post::start();
    let rig = Rig::new(&imap(post.port, "support", LEAVE));
    let (before, meanwhile) = plan.mails.split_at(20);
    post.deliver("support", before);
    let running = rig.start(&[]);
    running.caller().expect("it starts").settle().expect("the first mails come in");
    running.kill();
    post.deliver("support", meanwhile);
    let inbox = post.server().maildir("support", "INBOX");
    let day = Duration::from_secs(24 * 60 * 60);
    let mut read = 0;
    for (number, entry) in fs::read_dir(inbox.join("new")).expect("a Maildir").flatten().enumerate() {
        let age = day * (number % 30) as u32;
        let file = File::options().append(true).open(entry.path()).expect("the mail is our own");
        file.set_modified(SystemTime::now() - age).expect("the mail is our own");
        if number % 3 == 0 {
            let name = format!("{}:2,S", entry.file_name().to_string_lossy());
            fs::rename(entry.path(), inbox.join("cur").join(name)).expect("the folder is our own");
            read += 1;
        }
    }
    say(&format!("F-12: {} mails waited, {read} were read by somebody else", meanwhile.len()));
    clean("F-12", &rig.judge(&plan));
}
