//! How fast `postroom import mbox` reads one large file as history, and the most that it has in memory
//! at two sizes of it, in its own process, beside the least that reading can cost. Prints figures;
//! asserts only that all mail came in.

mod corpus;
mod place;
mod usage;

use corpus::{Corpus, Kind};
use place::Place;
use postroom_core::ports::{ReadContext, ReadMail};
use postroom_ingest::mbox::{Mbox, Quoting};
use postroom_ingest::reader::Reader;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{env, thread};
use support::database;
use usage::MIB;

/// Between two looks at what the command uses.
const LOOK: Duration = Duration::from_millis(20);

fn main() {
    let wanted =
        env::var("POSTROOM_BENCH_MBOX_MIB").map_or(256, |text| text.parse().expect("a number of MiB"));
    println!("{:?}", database::kind());
    println!(
        "{:<7} {:>7} {:>7} {:>9} {:>7} {:>8} {:>10} {:>9} {:>9} {:>5}",
        "mails", "MiB", "count", "seconds", "MiB/s", "mails/s", "CPU/1,000", "read/1,000", "peak MiB", "load"
    );
    for kind in Kind::wanted() {
        for mib in [wanted / 4, wanted] {
            measure(kind, mib);
        }
    }
    println!("read: the file read, cut into mails and each mail read by the house's reader, on one thread");
}

fn measure(kind: Kind, mib: usize) {
    let desk = Place::new();
    let mbox = desk.dir().join("mails.mbox");
    let count = write(&mbox, kind, mib * 1024 * 1024);
    let floor = read(&mbox, count);
    desk.run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"]);
    let path = mbox.to_string_lossy();
    let mut command = desk.command(&["import", "mbox", "--mailbox", "Support", "--output", "json", &path]);
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program can be run");
    let pid = child.id().to_string();
    let (mut cpu, mut peak) = (0.0_f64, 0.0_f64);
    let status = loop {
        // An ended program that nobody has waited for still tells its times, but no memory.
        cpu = usage::cpu(&pid).max(cpu);
        peak = usage::memory(&pid, "VmHWM").unwrap_or(peak);
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        thread::sleep(LOOK);
    };
    let seconds = began.elapsed().as_secs_f64();
    let mut said = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it says text");
    assert!(status.success(), "{said}");
    let counts: Value = serde_json::from_str(&said).expect("it answers in JSON");
    assert_eq!(counts["accepted"].as_u64(), Some(count as u64), "every mail is a message: {counts}");
    let (size, mails) = (fs::metadata(&mbox).expect("the file is there").len() as f64 / MIB, count as f64);
    println!(
        "{:<7} {size:>7.0} {count:>7} {seconds:>9.1} {:>7.1} {:>8.0} {:>10.3} {:>9.3} {:>9.1} {:>5}",
        kind.name(),
        size / seconds,
        mails / seconds,
        cpu * 1e3 / mails,
        floor * 1e3 / mails,
        peak / MIB,
        usage::load(),
    );
}

/// Writes mails as mboxrd until the file is as large as is wanted. Returns how many.
fn write(path: &Path, kind: Kind, bytes: usize) -> usize {
    let mut file = BufWriter::new(File::create(path).expect("the folder is our own"));
    let (mut count, mut written) = (0, 0);
    for mail in Corpus::new(kind) {
        file.write_all(b"From someone@customer.example Mon Nov  2 09:00:00 2026\n").expect("there is room");
        for line in mail.split_inclusive(|byte| *byte == b'\n') {
            let marks = line.iter().take_while(|byte| **byte == b'>').count();
            if line[marks..].starts_with(b"From ") {
                file.write_all(b">").expect("there is room");
            }
            file.write_all(line).expect("there is room");
        }
        file.write_all(b"\n").expect("there is room");
        (count, written) = (count + 1, written + mail.len() + 56);
        if written >= bytes {
            break;
        }
    }
    file.flush().expect("there is room");
    count
}

/// Processor seconds of reading all of it without keeping anything.
fn read(path: &Path, count: usize) -> f64 {
    let (reader, context) = (Reader::default(), ReadContext::default());
    let before = usage::cpu("self");
    let file = BufReader::with_capacity(1 << 20, File::open(path).expect("the file is there"));
    let mut read = 0;
    for mail in Mbox::new(file, Quoting::Mboxrd, usize::MAX) {
        let mail = mail.expect("the file can be read");
        read += usize::from(reader.read(&mail.raw, &context).problem.is_none());
    }
    assert_eq!(read, count, "what was written is found again");
    usage::cpu("self") - before
}
