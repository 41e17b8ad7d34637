//! What the daemon uses when there is nothing to do: memory after its start, and processor time
//! while it watches one mailbox. Prints figures, asserts nothing.

mod place;
mod process;
mod usage;

use place::Place;
use process::Running;
use std::thread;
use std::time::{Duration, Instant};
use support::maildir;
use usage::MIB;

/// It is let alone for so long, twice.
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let running = Running::start(Place::new());
    println!("resident memory, MiB (target: under 60 when idle); load {}:", usage::load());
    println!("  as it answers first   {:>6.1}", running.memory("VmRSS") / MIB);
    thread::sleep(IDLE);
    println!("  {} s later            {:>6.1}", IDLE.as_secs(), running.memory("VmRSS") / MIB);
    let folder = running.desk().dir().join("Maildir");
    maildir::make(&folder, None);
    let path = folder.to_string_lossy();
    running.desk().run(&[
        "mailbox",
        "add",
        "--name",
        "Support",
        "--address",
        "a@example.org",
        "--maildir",
        &path,
    ]);
    let (cpu, began) = (running.cpu(), Instant::now());
    thread::sleep(IDLE);
    println!("  watching a mailbox    {:>6.1}", running.memory("VmRSS") / MIB);
    println!("  at the most           {:>6.1}", running.memory("VmHWM") / MIB);
    let share = (running.cpu() - cpu) / began.elapsed().as_secs_f64();
    println!("processor while idle: {:.2} %", share * 100.0);
}
