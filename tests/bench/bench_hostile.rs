//! What mail costs that was made to do harm. Each shape is read and shown in a process of its own, and
//! then comes to a whole desk, whose daemon is new each time, in front of another mail: how much
//! later is that one there? Prints figures; asserts only that the next mail came in.

mod place;
mod poll;
mod process;
mod usage;

use place::Place;
use poll::Poll;
use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};
use postroom_ingest::reader::Reader;
use process::Running;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};
use support::bombs;
use support::database;
use support::mail::mail;
use support::maildir;
use support::workdir::WorkDir;
use usage::MIB;

/// Times each is tried; of times the least counts, since others run on the machine too, of memory the
/// most.
const TRIES: usize = 3;
/// Tells this program, started by itself, what to do with the mail in a file.
const STEP: &str = "POSTROOM_BENCH_STEP";
/// That file.
const FILE: &str = "POSTROOM_BENCH_FILE";

fn main() {
    if let (Ok(step), Some(file)) = (env::var(STEP), env::var_os(FILE)) {
        return alone(&step, Path::new(&file));
    }
    println!(
        "{:?}; ms and MiB; read, html: times and memory of a process of its own; delay, cpu, +MiB: a daemon's, \
         [shape, mail] without [mail, mail]; harmless: the same with a file as large; load {}",
        database::kind(),
        usage::load(),
    );
    println!(
        "{:<42} {:>6} {:>7} {:>6} {:>7} {:>6} {:>7} {:>7} {:>6} {:>6} {:>9} {:>6}",
        "shape", "MiB", "read", "+MiB", "html", "+MiB", "x floor", "delay", "cpu", "+MiB", "harmless", "+MiB"
    );
    let plain = least(|| at_desk(b"From: eve@x.example\nSubject: first\n\nHello\n"));
    let [mut slowest, mut largest, mut longest, mut heaviest] = [0.0_f64; 4];
    for (name, raw) in wanted() {
        // The floor: every byte looked at twice, as anything that reads it must.
        let floor = milliseconds(|| {
            let all = raw.iter().fold(0_u8, |all, byte| all ^ byte);
            black_box((all, raw.clone()));
        });
        let dir = WorkDir::new("hostile");
        let file = dir.write("mail", &raw);
        let [(read, read_grown), (html, html_grown)] = ["read", "html"].map(|step| in_child(step, &file));
        let desk = least(|| at_desk(&raw)).without(plain);
        let harmless = least(|| at_desk(&harmless(raw.len()))).without(plain);
        slowest = slowest.max(read).max(html);
        largest = largest.max(read_grown).max(html_grown);
        longest = longest.max(desk.wall);
        heaviest = heaviest.max(desk.memory);
        println!(
            "{name:<42} {:>6.1} {read:>7.1} {read_grown:>6.1} {html:>7.1} {html_grown:>6.1} {:>7.1} \
             {:>7.1} {:>6.0} {:>6.1} {:>9.1} {:>6.1}",
            raw.len() as f64 / MIB,
            (read + html) / floor.max(0.01),
            desk.wall,
            desk.cpu,
            desk.memory,
            harmless.wall,
            harmless.memory,
        );
    }
    println!(
        "slowest {slowest:.1} ms (target: at most 300), most memory {largest:.1} MiB (at most 64); \
         next mail {longest:.1} ms later (at most 2000), the daemon {heaviest:.1} MiB larger; \
         [mail, mail] {:.1} ms, {:.1} MiB; load {}",
        plain.wall,
        plain.memory,
        usage::load(),
    );
}

/// The shapes whose name has the words of `POSTROOM_BENCH_SHAPE`.
fn wanted() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let words = env::var("POSTROOM_BENCH_SHAPE").unwrap_or_default();
    bombs::all().into_iter().filter(move |(name, _)| name.contains(&words))
}

/// A mail of this size with a file, as anybody sends it.
fn harmless(bytes: usize) -> Vec<u8> {
    // Bytes that don't get smaller: a sequence without a period.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let file: Vec<u8> = (0..bytes / 4 * 3).map(|_| next()).collect();
    mail().subject("first").attachment("photo.jpg", "image/jpeg", &file).build()
}

/// Milliseconds that something took at least, of several times.
fn milliseconds(mut work: impl FnMut()) -> f64 {
    let one = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64() * 1e3
    };
    (0..TRIES).map(one).fold(f64::INFINITY, f64::min)
}

/// What a step with a mail takes in a process of its own: milliseconds, and MiB at the most.
fn in_child(step: &str, file: &Path) -> (f64, f64) {
    let program = env::current_exe().expect("a program knows where it is");
    let output = Command::new(program).env(STEP, step).env(FILE, file).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let mut figures = said.split_whitespace().map(|word| word.parse().expect("it says figures"));
    let mut next = || figures.next().expect("it says two figures");
    (next(), next())
}

/// In the process of its own: prints the two figures.
fn alone(step: &str, file: &Path) {
    let work = |raw: &[u8]| {
        let reader = Reader::default();
        match step {
            "read" => drop(black_box(reader.read(raw, &ReadContext::default()))),
            _ => drop(black_box(reader.html(raw, &ShowHtml { remote_images: true, ..ShowHtml::default() }))),
        }
    };
    // Tables that are made once are not the mail's to pay for.
    work(b"From: ada@x.example\nSubject: next\nContent-Type: text/html\n\n<p>Hello</p>\n");
    let raw = fs::read(file).expect("the mail is there");
    let peak = || usage::memory("self", "VmHWM").expect("Linux says what a process has in memory");
    let before = peak();
    let took = milliseconds(|| work(&raw));
    println!("{took} {}", (peak() - before) / MIB);
}

/// What two mails took of a daemon, the second of them always the same.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Milliseconds from the beginning of the poll to its end.
    wall: f64,
    /// Milliseconds of processor time from its start to then.
    cpu: f64,
    /// MiB that it had in memory at the most.
    memory: f64,
}

impl Cost {
    fn without(self, other: Self) -> Self {
        Self { wall: self.wall - other.wall, cpu: self.cpu - other.cpu, memory: self.memory - other.memory }
    }
}

/// The least time and the most memory of several tries.
fn least(one: impl Fn() -> Cost) -> Cost {
    let all = (0..TRIES).map(|_| one());
    let first = Cost { wall: f64::INFINITY, cpu: f64::INFINITY, memory: 0.0 };
    all.fold(first, |least, cost| Cost {
        wall: least.wall.min(cost.wall),
        cpu: least.cpu.min(cost.cpu),
        memory: least.memory.max(cost.memory),
    })
}

/// Lets a daemon with an empty database read a Maildir with this mail and a plain one behind it.
fn at_desk(raw: &[u8]) -> Cost {
    let desk = Place::new();
    let folder = desk.dir().join("Maildir");
    maildir::make(&folder, None);
    maildir::deliver(&folder, raw, None);
    maildir::deliver(&folder, b"From: ada@x.example\nSubject: next\n\nHello\n", None);
    let folder = folder.to_string_lossy();
    let arguments = ["mailbox", "add", "--name", "Support", "--address", "support@example.org"];
    desk.run(&[&arguments[..], &["--poll-interval", "3600", "--maildir", &folder]].concat());
    let running = Running::start(desk);
    let poll = Poll::wait(running.desk(), "subject = 'next'");
    assert_eq!(poll.messages, 1, "the next mail is a message");
    Cost { wall: poll.seconds * 1e3, cpu: running.cpu() * 1e3, memory: running.memory("VmHWM") / MIB }
}
