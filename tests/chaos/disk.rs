//! F-06, F-07 and F-08: there is no room to write, for a while or for one write, or the disk does not keep
//! what it was given.

use crate::oracle;
use crate::plan::{Plan, Random, say, seed};
use crate::points::place;
use crate::rig::{Caller, PATIENCE, Rig, Running, maildir};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use support::database::{self, Kind, is_long_run};
use support::leash::Leash;
use support::workdir::WorkDir;

/// Mounts a small disk and takes it away when its input closes, however this process ends.
const MOUNT: &str = r#"mount -t tmpfs -o size="$1" tmpfs "$2" || exit 1
trap 'umount -l "$2"; exit' TERM
echo mounted
while :; do sleep 1 & wait "$!"; done"#;

/// A disk of its own under a folder.
struct Disk {
    path: PathBuf,
    _mount: Leash,
}

impl Disk {
    /// `None`, and a word, where nobody may mount.
    fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("the work folder can be written to");
        let target = path.display().to_string();
        let mount = Leash::start("mount", &["sh", "-c", MOUNT, "sh", size, &target], "TERM", None);
        match mount.wait_for_line("mounted") {
            Ok(()) => Some(Self { path: path.to_owned(), _mount: mount }),
            Err(log) => {
                say(&format!("no disk of its own can be mounted here: {log}"));
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let target = self.path.display().to_string();
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{options}"), &target]);
        assert!(mount.status().is_ok_and(|status| status.success()), "remount,{options}");
    }

    /// Writes to it until `left` bytes are free.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.path.join("filler");
        let mut file = File::options().create(true).append(true).open(&path).expect("there is a disk");
        while self.free() > left {
            if file.write_all(&[1; 4096]).is_err() {
                break;
            }
        }
        path
    }

    fn free(&self) -> u64 {
        let out = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.path).output();
        let out = out.expect("stat is on every Linux").stdout;
        let text = String::from_utf8(out).expect("numbers");
        text.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).product()
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn accepted(caller: &Caller) -> Value {
    let mailbox = caller.mailbox().expect("the configuration has one");
    caller.get(&format!("{mailbox}/status"))["accepted"].clone()
}

fn storage(caller: &Caller) -> Value {
    caller.get("/api/v1/health/ready")["storage"].clone()
}

/// Nothing can be written, and that is said; everything can be read.
fn only_reads(caller: &Caller) {
    let new = json!({"name": "nobody"});
    let refused = caller.post("/api/v1/tags", &new).expect("it answers").expect(507);
    assert_eq!(refused.header("Content-Type"), Some("application/problem+json"));
    assert_eq!(refused.json()["code"], "storage_full", "{}", refused.text());
    let mailbox = caller.mailbox().expect("it is read");
    let mail = b"From: a@b.example\r\n\r\nHello";
    let raw = caller.send("POST", &format!("{mailbox}/inbound"), "message/rfc822", mail);
    assert_eq!(raw.map(|answer| answer.status), Some(507), "no mail is taken");
    let all = caller.list("/api/v1/conversations?sort=id");
    let id = &all.first().expect("mail came in before")["id"];
    caller.get(&format!("/api/v1/conversations/{id}"));
    caller.get(&format!("/api/v1/conversations/{id}/messages"));
}

fn events(caller: &Caller, kind: &str) -> usize {
    caller.events().iter().filter(|event| event["type"] == kind).count()
}

/// F-06: half of the mail comes in, then the disk fills, then it has room again.
fn a_shortage(rig: &Rig, mails: &Path, plan: &Plan, shrink: impl Fn(), grow: impl Fn()) {
    let (first, second) = plan.mails.split_at(plan.mails.len() / 2);
    place(mails, first);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    caller.settle().expect("there is room for the first half");
    let before = accepted(&caller);
    shrink();
    wait_until("it notices", || storage(&caller) == "full");
    assert_eq!(caller.get("/api/v1/health/ready")["status"], "degraded");
    for mail in second {
        support::maildir::deliver(mails, &mail.raw, None);
    }
    only_reads(&caller);
    let sync = caller.post(&format!("{}/sync", caller.mailbox().expect("one")), &json!(null));
    assert_eq!(sync.map(|answer| answer.status), Some(507));
    // A restart does not take more either.
    assert_eq!(running.stop(), Some(0));
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts without room for mail");
    wait_until("it tells", || events(&caller, "storage.full") > 0);
    only_reads(&caller);
    assert_eq!(accepted(&caller), before, "something was taken in");
    grow();
    // By itself: nobody asks for a poll.
    wait_until("it goes on", || accepted(&caller) == plan.distinct());
    wait_until("it tells", || events(&caller, "storage.recovered") > 0);
    assert_eq!(caller.get("/api/v1/health/ready")["status"], "ok");
    finish(rig, running, &caller, plan);
}

#[track_caller]
fn finish(rig: &Rig, running: Running, caller: &Caller, plan: &Plan) {
    caller.settle().expect("everything is well again");
    let mut findings = oracle::judge(caller, plan);
    rig.end(running, &mut findings);
    assert!(findings.is_clean(), "{findings:#?}");
}

#[test]
fn a_low_disk_pauses_what_comes_in_and_nothing_else() {
    let plan = Plan::new(seed("F-06 fed"), 30);
    let mail = WorkDir::new("maildir");
    let mut rig = Rig::new(&maildir(mail.path()));
    let free = rig.dir.write("free", "1000000000");
    rig.set("POSTROOM_CHAOS_FREE", &free.display().to_string());
    let tell = |bytes: u64| fs::write(&free, bytes.to_string()).expect("the work folder is ours");
    // Just below the mark of 256 MiB, and a sixteenth above it.
    a_shortage(&rig, mail.path(), &plan, || tell(256 * 1024 * 1024 - 1), || tell(272 * 1024 * 1024));
}

#[test]
fn a_small_disk_pauses_what_comes_in_and_nothing_else() {
    let plan = Plan::new(seed("F-06"), 60);
    let (mail, place) = (WorkDir::new("maildir"), WorkDir::new("disk"));
    let Some(disk) = Disk::mount(&place.join("disk"), "24m") else { return };
    let mut rig = Rig::with_data(&maildir(mail.path()), |_| disk.path.join("data"));
    rig.set("POSTROOM__STORAGE__LOW_WATER_MIB", "4");
    let filler = disk.path.join("filler");
    let empty = || fs::remove_file(&filler).expect("it was filled");
    a_shortage(&rig, mail.path(), &plan, || drop(disk.fill(3 * 1024 * 1024)), empty);
}

/// F-06: without a mark everything is written until the disk takes no more.
#[test]
fn a_disk_that_is_full_to_its_end_loses_nothing() {
    let plan = Plan::new(seed("F-06 full"), 200);
    let (mail, folder) = (WorkDir::new("maildir"), WorkDir::new("disk"));
    let Some(disk) = Disk::mount(&folder.join("disk"), "64m") else { return };
    let mut rig = Rig::with_data(&maildir(mail.path()), |_| disk.path.join("data"));
    rig.set("POSTROOM__STORAGE__LOW_WATER_MIB", "0");
    // So much is left that some of it comes in.
    let left = if database::kind() == Kind::Sqlite { 256 * 1024 } else { 64 * 1024 };
    place(mail.path(), &plan.mails[..20]);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    caller.settle().expect("there is room for some");
    let filler = disk.fill(left);
    for mail_ in &plan.mails[20..] {
        support::maildir::deliver(mail.path(), &mail_.raw, None);
    }
    let mailbox = caller.mailbox().expect("one");
    wait_until("the disk is full", || {
        let asked = caller.post(&format!("{mailbox}/sync"), &json!(null));
        let failed = caller.get(&format!("{mailbox}/status"))["state"] != "ok";
        failed || asked.is_some_and(|answer| answer.status == 507)
    });
    let taken = accepted(&caller);
    say(&format!("F-06: {taken} of {} came in before the disk was full", plan.distinct()));
    assert!(taken.as_u64() < Some(plan.distinct() as u64), "it never was full");
    // To the last byte.
    disk.fill(0);
    let all = caller.list("/api/v1/conversations?sort=id");
    caller.get(&format!("/api/v1/conversations/{}/messages", all[0]["id"]));
    let note = json!({"kind": "note", "text": "x".repeat(60_000)});
    let id = &all[0]["id"];
    if database::kind() == Kind::Sqlite {
        let refused = caller.post(&format!("/api/v1/conversations/{id}/messages"), &note);
        assert_eq!(refused.expect("it answers").expect(507).json()["code"], "storage_full");
    }
    fs::remove_file(filler).expect("it is ours");
    wait_until("it goes on", || accepted(&caller) == plan.distinct());
    finish(&rig, running, &caller, &plan);
}

/// F-10: a data folder that can only be read is named, and nothing is harmed.
#[test]
fn a_read_only_data_folder_is_told() {
    let plan = Plan::new(seed("F-10 read-only"), 10);
    let (mail, folder) = (WorkDir::new("maildir"), WorkDir::new("disk"));
    let Some(disk) = Disk::mount(&folder.join("disk"), "24m") else { return };
    let mut rig = Rig::with_data(&maildir(mail.path()), |_| disk.path.join("data"));
    rig.set("POSTROOM__STORAGE__LOW_WATER_MIB", "0");
    place(mail.path(), &plan.mails);
    let running = rig.start(&[]);
    running.caller().expect("it starts").settle().expect("nothing is wrong yet");
    assert_eq!(running.stop(), Some(0));
    disk.remount("ro");
    let running = rig.start(&[]);
    if database::kind() == Kind::Sqlite {
        // Without its lock and its database it can't begin.
        let log = running.address().expect_err("it can't start");
        assert!(log.contains("Read-only file system") && log.contains("data"), "{log}");
        assert_eq!(running.ended(), Some(1));
        disk.remount("rw");
    } else {
        let caller = running.caller().expect("the database is elsewhere");
        assert_eq!(storage(&caller), "full");
        only_reads(&caller);
        disk.remount("rw");
        wait_until("it goes on", || storage(&caller) == "ok");
        assert_eq!(running.stop(), Some(0));
    }
    let findings = rig.judge(&plan);
    assert!(findings.is_clean(), "{findings:#?}");
}

/// F-07
#[test]
fn a_write_that_finds_no_room_leaves_nothing_half() {
    let seed = seed("F-07");
    let mut random = Random::new(seed);
    let points: Vec<usize> = if is_long_run() {
        (1..=100).collect()
    } else {
        (0..3).map(|step| 2 + step * 12 + random.below(12)).collect()
    };
    let mut surfaced = 0;
    for number in &points {
        let plan = Plan::new(seed + *number as u64, 30);
        let mail = WorkDir::new("maildir");
        place(mail.path(), &plan.mails);
        let rig = Rig::new(&maildir(mail.path()));
        // Files are written by this call alone, and nothing else is.
        let inject = format!("inject=pwrite64:error=ENOSPC:when={number}");
        let running =
            rig.start(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject]);
        let says_so = || running.log().iter().any(|line| line.contains("full") || line.contains("room"));
        let is_at_rest = || running.caller().is_ok_and(|caller| caller.is_at_rest());
        // strace counts the writes of each thread by itself, so that every new thread's may fail: that it
        // goes on by itself where one fails is another case's (F-06).
        wait_until("a write fails, or all is in", || running.has_ended() || says_so() || is_at_rest());
        surfaced += usize::from(running.has_ended() || says_so());
        let log = running.log().join("\n");
        running.kill();
        let findings = rig.judge(&plan);
        assert!(findings.is_clean(), "ENOSPC at write {number} (seed {seed}): {findings:#?}\n{log}");
    }
    say(&format!("F-07: {} points, {surfaced} surfaced", points.len()));
    assert!(surfaced > 0, "no write ever failed");
}

/// Makes one call of a daemon that runs fail, the first that comes.
fn fail_next(running: &Running, call: &str, only: Option<&Path>) -> Leash {
    let pid = running.pid().to_string();
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=EIO:when=1"));
    let path = only.map(|path| path.display().to_string());
    let mut words = vec!["strace", "-f", "-p", &pid, "-e", &trace, "-e", &inject];
    if let Some(path) = &path {
        words.extend(["-P", path.as_str()]);
    }
    let strace = Leash::start("strace", &words, "TERM", None);
    strace.wait_for_line("attached").expect("strace (ptrace) works here");
    strace
}

/// F-08: a write whose fsync fails is not acknowledged, the daemon ends with 70, and starts again.
#[track_caller]
fn fsync_fails(
    case: &str,
    call: &str,
    only: impl Fn(&Rig) -> Option<PathBuf>,
    write: impl Fn(&Caller) -> Option<u16>,
) {
    let plan = Plan::new(seed(case), 20);
    let mail = WorkDir::new("maildir");
    place(mail.path(), &plan.mails);
    let rig = Rig::new(&maildir(mail.path()));
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    caller.settle().expect("nothing is wrong yet");
    let strace = fail_next(&running, call, only(&rig).as_deref());
    let status = write(&caller);
    assert!(status.is_none_or(|status| status >= 500), "{case}: acknowledged with {status:?}");
    running.wait_for_line("ends with 70").expect("it says so in one line");
    assert_eq!(running.ended(), Some(70), "{case}");
    drop(strace);
    let findings = rig.judge(&plan);
    assert!(findings.is_clean(), "{case}: {findings:#?}");
}

#[test]
fn a_large_file_that_is_not_safe_ends_the_daemon() {
    // Bytes without order: they stay above the limit of what lies in the database.
    let mut random = Random::new(8);
    let large: String = (0..40_000).map(|_| char::from(b'!' + random.below(90) as u8)).collect();
    fsync_fails(
        "F-08 file",
        "fdatasync",
        |_| None,
        |caller| {
            let mailbox = caller.mailbox().expect("one");
            let mail = format!("From: c@customer.example\r\nSubject: large\r\n\r\n{large}");
            caller
                .send("POST", &format!("{mailbox}/inbound"), "message/rfc822", mail.as_bytes())
                .map(|answer| answer.status)
        },
    );
}

#[test]
fn a_commit_that_is_not_safe_ends_the_daemon() {
    if database::kind() == Kind::Postgres {
        // PostgreSQL ends its server itself; what is left of it here is a connection that broke.
        return;
    }
    let wal = |rig: &Rig| Some(rig.dir.join("data/postroom.db-wal"));
    fsync_fails("F-08 commit", "fsync", wal, |caller| {
        caller.post("/api/v1/tags", &json!({"name": "nobody"})).map(|answer| answer.status)
    });
}
