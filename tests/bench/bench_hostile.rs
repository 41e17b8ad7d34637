//! What mail costs that was made to do harm: time and memory of reading it and of making its HTML
//! safe, and how long the next mail takes. Prints figures, asserts nothing.

use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};
use postroom_ingest::reader::Reader;
use std::fs;
use std::hint::black_box;
use std::time::Instant;
use support::bombs;

/// One MiB.
const MIB: f64 = 1024.0 * 1024.0;
/// Times each is tried; the least counts, since others run on the machine too.
const TRIES: usize = 3;

/// Bytes of a line of `/proc/self/status`.
fn memory(line: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.expect("Linux says what a process has in memory") * 1024.0
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

fn main() {
    let reader = Reader::default();
    let context = ReadContext::default();
    let plain = b"From: ada@x.example\nSubject: next\n\nHello\n";
    black_box(reader.read(plain, &context));
    println!("{:<42} {:>7} {:>9} {:>9} {:>9} {:>9}", "shape", "MiB", "read ms", "html ms", "x floor", "+MiB");
    let (mut slowest, mut largest) = (0.0_f64, 0.0_f64);
    for (name, raw) in bombs::all() {
        // The floor: every byte looked at twice, as anything that reads it must.
        let floor = milliseconds(|| {
            let all = raw.iter().fold(0_u8, |all, byte| all ^ byte);
            black_box((all, raw.clone()));
        });
        // proc(5): 5 sets the high-water mark back to what is resident now.
        let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
        let before = memory("VmRSS");
        let read = milliseconds(|| drop(black_box(reader.read(&raw, &context))));
        let html = milliseconds(|| {
            drop(black_box(reader.html(&raw, &ShowHtml { remote_images: true, ..ShowHtml::default() })));
        });
        let grown = if is_reset { (memory("VmHWM") - before) / MIB } else { f64::NAN };
        slowest = slowest.max(read).max(html);
        largest = largest.max(grown);
        println!(
            "{name:<42} {:>7.1} {read:>9.1} {html:>9.1} {:>9.1} {grown:>9.1}",
            raw.len() as f64 / MIB,
            (read + html) / floor.max(0.01),
        );
    }
    let next = milliseconds(|| drop(black_box(reader.read(plain, &context))));
    println!(
        "slowest {slowest:.1} ms (target: at most 300), most memory {largest:.1} MiB (at most 64), next mail {next:.3} ms"
    );
}
