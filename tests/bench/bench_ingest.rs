//! How much mail the daemon takes in with how little: from a real Dovecot to its database, in its own
//! process, beside the least that it can cost. Prints figures; asserts only that all mail came in.

mod corpus;
mod floor;
mod place;
mod poll;
mod process;
mod usage;

use corpus::{Corpus, Kind};
use floor::Took;
use place::Place;
use poll::Poll;
use process::Running;
use std::env;
use support::database;
use support::dovecot::{Dovecot, PASSWORD};
use usage::MIB;

fn main() {
    let count = number("POSTROOM_BENCH_MAILS", 2_000);
    let rounds = number("POSTROOM_BENCH_ROUNDS", 3);
    println!("{:?}; CPU seconds per 1,000 mails (user + system)", database::kind());
    for kind in Kind::wanted() {
        measure(kind, count, rounds);
    }
    println!(
        "target: usual: daemon at most 1.00, ratio at most 2.00, peak under 150 MiB; \
         mails/s: small at least 1500, office at least 500"
    );
}

fn measure(kind: Kind, count: usize, rounds: usize) {
    let mails: Vec<Vec<u8>> = Corpus::new(kind).take(count).collect();
    let bytes: usize = mails.iter().map(Vec::len).sum();
    println!(
        "{}: {count} mails, {:.1} MB, mean {:.1} KiB",
        kind.name(),
        bytes as f64 / 1e6,
        bytes as f64 / 1024.0 / count as f64
    );
    let dovecot = Dovecot::start();
    for mail in &mails {
        dovecot.deliver("support", "INBOX", mail);
    }
    // Dovecot reads its folder anew once; that is not the daemon's time.
    floor::fetch(&dovecot, &mails);
    println!("round   fetch   parse  insert   floor  daemon  ratio    mails/s  floor/s  peak MiB  load");
    for round in 1..=rounds {
        let parts = [floor::fetch(&dovecot, &mails), floor::parse(&mails), floor::insert(&mails)];
        let (daemon, peak) = daemon(&dovecot, count);
        print_round(round, count, parts, daemon, peak);
    }
}

/// Lets a daemon with an empty database read the whole mailbox: what it took, and the most that
/// it had in memory.
fn daemon(dovecot: &Dovecot, count: usize) -> (Took, f64) {
    let running = Running::start(Place::new());
    let before = running.cpu();
    let port = dovecot.imap.to_string();
    let password = running.desk().dir().write("password", PASSWORD);
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
        "--password-file",
        &password.to_string_lossy(),
    ];
    running.desk().run(&arguments);
    let poll = Poll::wait(running.desk(), "1 = 1");
    assert_eq!(usize::try_from(poll.messages), Ok(count), "every mail is a message");
    (Took { cpu: running.cpu() - before, wall: poll.seconds }, running.memory("VmHWM"))
}

fn print_round(round: usize, count: usize, parts: [Took; 3], daemon: Took, peak: f64) {
    let per_thousand = |cpu: f64| cpu * 1000.0 / count as f64;
    let floor = parts.iter().map(|part| part.cpu).sum::<f64>();
    let wall = parts.iter().map(|part| part.wall).sum::<f64>();
    let [fetch, parse, insert] = parts.map(|part| per_thousand(part.cpu));
    println!(
        "{round:>5} {fetch:>7.3} {parse:>7.3} {insert:>7.3} {:>7.3} {:>7.3} {:>6.2} {:>10.0} {:>8.0} {:>9.1} {:>5}",
        per_thousand(floor),
        per_thousand(daemon.cpu),
        daemon.cpu / floor,
        count as f64 / daemon.wall,
        count as f64 / wall,
        peak / MIB,
        usage::load(),
    );
}

/// A setting from the environment.
fn number(name: &str, usual: usize) -> usize {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}
