//! F-28, F-29 and F-32: the database is held by somebody else, goes away and comes back, breaks off in
//! the midst of a commit; and a daemon stands still until another has its mailbox.

use crate::crashes::{clean, parts, usual_or_long};
use crate::plan::{Plan, Random, say, seed};
use crate::rig::{Caller, PATIENCE, Post, Rig, Running, imap, maildir};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::database::{self, Kind};
use support::http::Answer;
use support::leash;
use support::postgres::Postgres;
use support::proxy::{Commit, Proxy};
use support::workdir::WorkDir;

const LEAVE: &str = "{ type = \"leave\" }";

/// Whether this run is for the other database.
pub fn is_not_for(kind: Kind) -> bool {
    let is_other = database::kind() != kind;
    if is_other {
        println!("skipped: this is about {kind:?}");
    }
    is_other
}

/// The path of the messages of the one conversation that the cases write into.
fn conversation(caller: &Caller) -> String {
    let all = caller.list("/api/v1/conversations?sort=id");
    let id = all.first().expect("the first mails have come in")["id"].as_i64().expect("a number");
    format!("/api/v1/conversations/{id}/messages")
}

/// Something to write. Every third one is an answer, which leaves through the sink.
fn writing(number: usize) -> (String, Value) {
    let text = format!("Written as number {number}");
    let kind = if number.is_multiple_of(3) { "reply" } else { "note" };
    let body = json!({"kind": kind, "text": text});
    (text, body)
}

/// Whether it was done. What is not must say that it may be tried again.
#[track_caller]
fn is_written(answer: &Answer) -> bool {
    if [200, 201].contains(&answer.status) {
        return true;
    }
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    false
}

/// Writes one thing after the other until it is told to stop, each as often as it takes. What was
/// written, and how often it was refused.
fn write_on(running: &Running, path: &str, first: usize, stop: &AtomicBool) -> (Vec<String>, usize) {
    let caller = running.caller().expect("it runs");
    let patience = Instant::now() + PATIENCE * 2;
    let (mut written, mut refused) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let number = first + written.len();
        let (text, body) = writing(number);
        loop {
            let answer = caller.post_once(path, &format!("key {number}"), &body);
            let answer = answer.expect("the daemon is there all the while");
            if is_written(&answer) {
                break;
            }
            refused += 1;
            assert!(Instant::now() < patience, "number {number} can't be written: {}", answer.text());
            thread::sleep(Duration::from_millis(20));
        }
        written.push(text);
        thread::sleep(Duration::from_millis(10));
    }
    (written, refused)
}

/// Mails are here, and the answers have left.
#[track_caller]
fn at_rest(case: &str, running: &Running, mails: usize) {
    let caller = running.caller().expect("it runs");
    if let Err(said) = caller.until_accepted(mails) {
        panic!("{case}: {mails} mails do not come in by themselves: {said}\n{}", running.log().join("\n"));
    }
    // Whoever lost the database amid a mail tries it again after a minute.
    let deadline = Instant::now() + PATIENCE * 2;
    let path = conversation(&caller);
    loop {
        let messages = caller.list(&path);
        let waits = messages
            .iter()
            .find(|message| message["kind"] == "reply" && message["delivery"]["state"] != "sent");
        let Some(waits) = waits else { return };
        assert!(Instant::now() < deadline, "{case}: an answer does not leave: {waits}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The different mails up to the end of this part.
fn distinct(plan: &Plan, parts: usize, count: usize) -> usize {
    let mails = self::parts(plan, parts).into_iter().take(count).flatten().cloned().collect();
    Plan { mails, written: Vec::new() }.distinct()
}

fn end(case: &str, rig: &Rig, running: Running, plan: &Plan) {
    let caller = running.caller().expect("it runs");
    let mut findings = crate::oracle::judge(&caller, plan);
    rig.end(running, &mut findings);
    clean(case, &findings);
}

/// F-28
#[test]
fn another_process_holds_the_file() {
    if is_not_for(Kind::Sqlite) {
        return;
    }
    let seed = seed("F-28");
    let mut plan = Plan::new(seed, 90);
    let post = Post::start();
    let rig = Rig::new(&imap(post.port, "support", LEAVE));
    let parts: Vec<_> = parts(&plan, 3).into_iter().map(<[_]>::to_vec).collect();
    post.deliver("support", &parts[0]);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    caller.until_accepted(distinct(&plan, 3, 1)).expect("the first mails come in");
    let path = conversation(&caller);
    let DatabaseUrl::Sqlite(file) = rig.database() else { unreachable!("this is SQLite") };
    let mut other = SqliteConnection::establish(&file.to_string_lossy()).expect("the file is there");
    other
        .batch_execute("PRAGMA busy_timeout = 60000; UPDATE tokens SET last_used_at = 0")
        .expect("it is ours");

    // Three seconds: whoever writes waits.
    other.batch_execute("BEGIN EXCLUSIVE").expect("it is free in time");
    post.deliver("support", &parts[1]);
    let (text, body) = writing(0);
    let answered = thread::scope(|scope| {
        let asking = scope.spawn(|| running.caller().expect("it runs").post_once(&path, "first", &body));
        thread::sleep(Duration::from_secs(3));
        other.batch_execute("ROLLBACK").expect("it was begun");
        asking.join().expect("it ends")
    });
    assert_eq!(answered.expect("it is answered").status, 201);
    plan.written.push(text);
    caller.until_accepted(distinct(&plan, 3, 2)).expect("intake waits");

    // Longer than anybody waits: until they have said so.
    other.batch_execute("UPDATE tokens SET last_used_at = 0; BEGIN EXCLUSIVE").expect("it is free in time");
    post.deliver("support", &parts[2]);
    let (text, body) = writing(1);
    let answered = caller.post_once(&path, "second", &body).expect("it is answered");
    assert!(!is_written(&answered), "{answered:?}");
    caller.get(&path);
    other.batch_execute("ROLLBACK").expect("it was begun");
    let answered = caller.post_once(&path, "second", &body).expect("it is answered");
    assert_eq!(answered.status, 201, "{}", answered.text());
    plan.written.push(text);
    at_rest("F-28", &running, plan.distinct());
    end("F-28", &rig, running, &plan);
}

/// F-29
#[test]
fn the_server_goes_away_and_comes_back() {
    if is_not_for(Kind::Postgres) {
        return;
    }
    let seed = seed("F-29");
    let mut random = Random::new(seed);
    let rounds = usual_or_long(1, 8);
    let faults = ["restart", "kill", "terminate"];
    let steps = rounds * faults.len() + 1;
    let mut plan = Plan::new(seed, steps * 30);
    let mut server = Postgres::start();
    let post = Post::start();
    let rig = Rig::on(&server, server.address(), &imap(post.port, "support", LEAVE));
    let parts: Vec<_> = parts(&plan, steps).into_iter().map(<[_]>::to_vec).collect();
    post.deliver("support", &parts[0]);
    let running = rig.start(&[]);
    running.caller().expect("it starts").until_accepted(distinct(&plan, steps, 1)).expect("mails come in");
    let path = conversation(&running.caller().expect("it runs"));
    for (number, part) in parts.iter().enumerate().skip(1) {
        let fault = faults[number % faults.len()];
        let stop = AtomicBool::new(false);
        let (written, refused) = thread::scope(|scope| {
            let writer = scope.spawn(|| write_on(&running, &path, number * 10_000, &stop));
            post.deliver("support", part);
            thread::sleep(Duration::from_millis(20 + random.below(400) as u64));
            match fault {
                "restart" => {
                    server.shut_down();
                    server.start_again();
                }
                "kill" => {
                    server.kill();
                    // Whoever asks now is told to come again.
                    let caller = running.caller().expect("it runs");
                    assert!(!is_written(&caller.ask("/api/v1/conversations")));
                    server.start_again();
                }
                _ => {
                    for _ in 0..usual_or_long(15, 60) {
                        server.disconnect(url(&rig));
                        thread::sleep(Duration::from_millis(20 + random.below(150) as u64));
                    }
                }
            }
            thread::sleep(Duration::from_millis(100));
            stop.store(true, Ordering::Relaxed);
            writer.join().expect("all is written in the end")
        });
        say(&format!("F-29 {fault}: {} written, {refused} refused meanwhile", written.len()));
        plan.written.extend(written);
        at_rest(fault, &running, distinct(&plan, steps, number + 1));
    }
    end("F-29", &rig, running, &plan);
}

fn url(rig: &Rig) -> &str {
    let DatabaseUrl::Postgres(url) = rig.database() else { unreachable!("this is PostgreSQL") };
    url
}

/// F-29
#[test]
fn a_connection_breaks_at_a_commit() {
    if is_not_for(Kind::Postgres) {
        return;
    }
    let seed = seed("F-29 commit");
    let steps = usual_or_long(4, 40);
    let mut plan = Plan::new(seed, steps * 30);
    let server = Postgres::shared();
    let cuts = Arc::new(AtomicUsize::new(0));
    let (random, left) = (Mutex::new(Random::new(seed)), Arc::clone(&cuts));
    let proxy = Proxy::start(server.address(), move || {
        let lot = random.lock().expect("nobody panics with it").below(6);
        let cut = match lot {
            0 => Commit::CutBefore,
            1 | 2 => Commit::CutAfter,
            _ => return Commit::Passes,
        };
        let spent = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if spent.is_ok() { cut } else { Commit::Passes }
    });
    let post = Post::start();
    let rig = Rig::on(server, proxy.address(), &imap(post.port, "support", LEAVE));
    let parts: Vec<_> = parts(&plan, steps).into_iter().map(<[_]>::to_vec).collect();
    post.deliver("support", &parts[0]);
    let running = rig.start(&[]);
    running.caller().expect("it starts").until_accepted(distinct(&plan, steps, 1)).expect("mails come in");
    let path = conversation(&running.caller().expect("it runs"));
    for (number, part) in parts.iter().enumerate().skip(1) {
        let stop = AtomicBool::new(false);
        let (written, refused) = thread::scope(|scope| {
            let writer = scope.spawn(|| write_on(&running, &path, number * 10_000, &stop));
            cuts.store(6, Ordering::Relaxed);
            post.deliver("support", part);
            let deadline = Instant::now() + PATIENCE;
            while cuts.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(10));
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().expect("all is written in the end")
        });
        assert_eq!(cuts.load(Ordering::Relaxed), 0, "nothing was written");
        say(&format!("F-29 commit: {} written, {refused} refused meanwhile", written.len()));
        plan.written.extend(written);
        at_rest("F-29 commit", &running, distinct(&plan, steps, number + 1));
    }
    end("F-29 commit", &rig, running, &plan);
    server.remove(url(&rig));
}

/// Ten minutes ahead of everybody else; the clock for waiting stays true (without it nothing wakes).
fn ahead() -> [String; 4] {
    crate::time::fake("+10m")
}

/// F-32, G-10
#[test]
fn a_daemon_that_stood_still_writes_nothing_any_more() {
    if is_not_for(Kind::Postgres) {
        return;
    }
    let seed = seed("F-32");
    let mut random = Random::new(seed);
    let rounds = usual_or_long(2, 20);
    // The last of it comes when all is over: see points.rs.
    let plan = Plan::new(seed, rounds * 150 + 1);
    let (amid, late) = plan.mails.split_at(rounds * 150);
    let amid = Plan { mails: amid.to_vec(), written: Vec::new() };
    let post = Post::start();
    let rig = Rig::new(&imap(post.port, "support", "{ type = \"move\", folder = \"Done\" }"));
    post.server().make_folder("support", "Done");
    let mut refused = 0;
    for (number, part) in parts(&amid, rounds).into_iter().enumerate() {
        post.deliver("support", part);
        let still = rig.start(&[]);
        still.address().expect("it starts");
        let mut admin = PgConnection::establish(url(&rig)).expect("the server runs");
        wait_for_pending(&mut admin);
        thread::sleep(Duration::from_millis(random.below(300) as u64));
        leash::signal("STOP", &[still.pid()]);
        take_away(&mut admin);
        let is_amid = pending(&mut admin) > 0;
        // The next one's clock is another.
        let ahead = ahead();
        let ahead: Vec<&str> = ahead.iter().map(String::as_str).collect();
        let next = rig.start_beside(if number % 2 == 0 { &ahead } else { &[] });
        let caller = next.caller().expect("it starts");
        caller.until_accepted(distinct(&amid, rounds, number + 1)).expect("the other goes on");
        leash::signal("CONT", &[still.pid()]);
        let deadline = Instant::now() + PATIENCE;
        let noticed = |line: &String| line.contains("another daemon has");
        while is_amid && !still.log().iter().any(noticed) {
            assert!(Instant::now() < deadline, "it goes on regardless: {}", still.log().join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
        refused += usize::from(is_amid);
        assert_eq!(still.stop(), Some(0));
        assert_eq!(next.stop(), Some(0));
    }
    say(&format!("F-32: in {refused} of {rounds} rounds it stood still amid its work"));
    assert!(refused > 0, "it never stood still amid its work");
    post.deliver("support", late);
    clean("F-32", &rig.judge(&plan));
    assert_eq!(post.stored("support", "Done").len(), plan.mails.len());
}

/// F-32
#[test]
fn clocks_that_differ_give_no_mailbox_to_two() {
    if is_not_for(Kind::Postgres) {
        return;
    }
    let seed = seed("F-32 clocks");
    let rounds = usual_or_long(4, 20);
    let plan = Plan::new(seed, rounds * 20);
    let folder = WorkDir::new("maildir");
    support::maildir::make(folder.path(), None);
    let rig = Rig::new(&maildir(folder.path()));
    let first = rig.start(&[]);
    first.caller().expect("it starts").settle().expect("there is nothing to do");
    let ahead = ahead();
    let second = rig.start_beside(&ahead.each_ref().map(String::as_str));
    let mut admin = PgConnection::establish(url(&rig)).expect("the server runs");
    for (number, part) in parts(&plan, rounds).into_iter().enumerate() {
        for mail in part {
            support::maildir::deliver(folder.path(), &mail.raw, None);
        }
        // Each daemon looks whenever it is asked; one of them does the work.
        let asked = if number % 2 == 0 { &second } else { &first };
        asked.caller().expect("it starts").settle().expect("it is done");
    }
    let fences = numbers(&mut admin, "SELECT fence AS number FROM leases");
    assert_eq!(fences, [1], "the first to come has it for good");
    assert_eq!(second.stop(), Some(0));
    end("F-32 clocks", &rig, first, &plan);
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

fn numbers(conn: &mut PgConnection, query: &str) -> Vec<i64> {
    let rows: Vec<Number> = sql_query(query).load(conn).unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.into_iter().map(|row| row.number).collect()
}

fn pending(conn: &mut PgConnection) -> i64 {
    numbers(conn, "SELECT count(*) AS number FROM pending_mails")[0]
}

fn wait_for_pending(conn: &mut PgConnection) {
    let deadline = Instant::now() + PATIENCE;
    while pending(conn) == 0 {
        assert!(Instant::now() < deadline, "nothing is ever planned");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What 30 s of standing still do: the server ends the transaction that nobody goes on with (after 25)
/// and the leases run out.
fn take_away(conn: &mut PgConnection) {
    let held = "SELECT pid::bigint AS number FROM pg_stat_activity WHERE datname = current_database() \
                AND state = 'idle in transaction' AND pid <> pg_backend_pid()";
    let deadline = Instant::now() + PATIENCE;
    // A statement that the daemon had sent before is done first.
    let busy = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() \
                AND state = 'active' AND pid <> pg_backend_pid()";
    while numbers(conn, busy)[0] > 0 {
        assert!(Instant::now() < deadline, "the server does not come to rest");
        thread::sleep(Duration::from_millis(5));
    }
    for pid in numbers(conn, held) {
        conn.batch_execute(&format!("SELECT pg_terminate_backend({pid})")).expect("it is our own server");
    }
    conn.batch_execute("UPDATE leases SET expires_at = 0").expect("nobody holds it");
}
