//! How much mail the daemon takes in with how little: real Dovecot to SQLite, in its own process,
//! beside the least that it can cost. Prints figures; asserts only that all mail came in.

mod corpus;
mod floor;
mod process;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel::sqlite::SqliteConnection;
use floor::Took;
use process::{MIB, Running};
use std::time::Duration;
use std::{env, thread};
use support::dovecot::{Dovecot, PASSWORD};

/// Between two looks at how far the daemon is; the times themselves are the daemon's own.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, QueryableByName)]
struct State {
    #[diesel(sql_type = BigInt)]
    accepted: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    began: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    ended: Option<i64>,
}

fn main() {
    let count = number("POSTROOM_BENCH_MAILS", 2_000);
    let rounds = number("POSTROOM_BENCH_ROUNDS", 3);
    let mails = corpus::mails(count);
    let bytes: usize = mails.iter().map(Vec::len).sum();
    println!(
        "{count} mails, {:.1} MB, mean {:.1} KiB",
        bytes as f64 / 1e6,
        bytes as f64 / 1024.0 / count as f64
    );
    let dovecot = Dovecot::start();
    for mail in &mails {
        dovecot.deliver("support", "INBOX", mail);
    }
    // Dovecot reads its folder anew once; that is not the daemon's time.
    floor::fetch(&dovecot, &mails);
    println!("CPU seconds per 1,000 mails (user + system):");
    println!("round   fetch   parse  insert   floor  daemon  ratio    mails/s  floor/s  peak MiB");
    for round in 1..=rounds {
        let parts = [floor::fetch(&dovecot, &mails), floor::parse(&mails), floor::insert(&mails)];
        let (daemon, peak) = daemon(&dovecot, count);
        print_round(round, count, parts, daemon, peak);
    }
    println!("target: daemon at most 1.00, ratio at most 2.00, peak under 150 MiB");
}

/// Lets a daemon with an empty database read the whole mailbox: what it took, and the most that
/// it had in memory.
fn daemon(dovecot: &Dovecot, count: usize) -> (Took, f64) {
    let running = Running::start();
    let before = running.cpu();
    let port = dovecot.imap.to_string();
    let arguments = [
        "mailbox",
        "add",
        "--name",
        "Support",
        "--address",
        "support@example.org",
        "--username",
        "support",
        "--imap",
        "127.0.0.1",
        "--imap-port",
        &port,
        "--imap-security",
        "none",
        "--poll-interval",
        "3600",
    ];
    running.run(&arguments, PASSWORD);
    let mut conn = SqliteConnection::establish(&running.dir().join("data/postroom.db").to_string_lossy())
        .expect("the daemon has made its database");
    let state = loop {
        thread::sleep(LOOK);
        // Looking costs the daemon nothing: readers of a WAL hold up nobody.
        let states: Vec<State> = diesel::sql_query(
            "SELECT accepted, last_attempt_at AS began, last_success_at AS ended FROM mailbox_states",
        )
        .load(&mut conn)
        .expect("the daemon's tables are there");
        if let Some(state) = states.into_iter().find(|state| state.ended.is_some()) {
            break state;
        }
    };
    assert_eq!(usize::try_from(state.accepted), Ok(count), "every mail is a message");
    let wall = (state.ended.unwrap_or(0) - state.began.unwrap_or(0)) as f64 / 1e6;
    (Took { cpu: running.cpu() - before, wall }, running.memory("VmHWM"))
}

fn print_round(round: usize, count: usize, parts: [Took; 3], daemon: Took, peak: f64) {
    let per_thousand = |cpu: f64| cpu * 1000.0 / count as f64;
    let floor = parts.iter().map(|part| part.cpu).sum::<f64>();
    let wall = parts.iter().map(|part| part.wall).sum::<f64>();
    let [fetch, parse, insert] = parts.map(|part| per_thousand(part.cpu));
    println!(
        "{round:>5} {fetch:>7.3} {parse:>7.3} {insert:>7.3} {:>7.3} {:>7.3} {:>6.2} {:>10.0} {:>8.0} {:>9.1}",
        per_thousand(floor),
        per_thousand(daemon.cpu),
        daemon.cpu / floor,
        count as f64 / daemon.wall,
        count as f64 / wall,
        peak / MIB,
    );
}

/// A setting from the environment.
fn number(name: &str, usual: usize) -> usize {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}
