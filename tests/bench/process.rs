//! The daemon as its own process, as it is installed, and what it uses of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use support::leash::Leash;
use support::ports;
use support::workdir::WorkDir;

/// Clock ticks a second in proc(5): the kernel shows every process 100, whatever it counts in.
const TICKS: f64 = 100.0;
/// One MiB.
pub const MIB: f64 = 1024.0 * 1024.0;

/// A daemon that runs on a new data folder with SQLite.
pub struct Running {
    leash: Leash,
    dir: WorkDir,
}

impl Running {
    /// Starts it and waits until it answers requests.
    pub fn start() -> Self {
        let dir = WorkDir::new("bench");
        let (program, data) = (program(), setting(&dir));
        let listen = format!("POSTROOM__SERVER__LISTEN=127.0.0.1:{}", ports::free());
        let command = ["/usr/bin/env", &data, &listen, &program.to_string_lossy(), "serve"];
        let leash = Leash::start("postroom", &command, "TERM", None);
        leash.wait_for_line("listens on").expect("the daemon starts");
        Self { leash, dir }
    }

    /// Runs one of its commands on the same data, and hands it a password in a file.
    pub fn run(&self, arguments: &[&str], password: &str) {
        let file = self.dir.write("password", password);
        let mut command = Command::new(program());
        command.args(arguments).arg("--password-file").arg(file);
        let (name, value) = ("POSTROOM__STORAGE__DATA_DIR", data_dir(&self.dir));
        let output = command.env(name, value).output().expect("the daemon's program can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A folder that goes away with it.
    pub fn dir(&self) -> &WorkDir {
        &self.dir
    }

    /// Seconds of processor time that it has used, its own and the kernel's for it.
    pub fn cpu(&self) -> f64 {
        cpu(&self.leash.pid().to_string())
    }

    /// Bytes of a line of `/proc/PID/status`: `VmRSS` (resident now), `VmHWM` (resident at most).
    pub fn memory(&self, line: &str) -> f64 {
        let path = format!("/proc/{}/status", self.leash.pid());
        let status = fs::read_to_string(path).expect("the daemon runs");
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kib.expect("Linux says what a process has in memory") * 1024.0
    }
}

/// Seconds of processor time of a process (user and system, all its threads); `self` is this one.
pub fn cpu(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name stands in brackets and may hold any byte; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(") ").expect("proc(5) has brackets");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("proc(5) has a number here");
    (ticks(11) + ticks(12)) / TICKS
}

fn data_dir(dir: &WorkDir) -> PathBuf {
    dir.join("data")
}

fn setting(dir: &WorkDir) -> String {
    format!("POSTROOM__STORAGE__DATA_DIR={}", data_dir(dir).display())
}

/// The program that is measured: `POSTROOM_BENCH_PROGRAM`, else the one built beside this.
fn program() -> PathBuf {
    let named = env::var_os("POSTROOM_BENCH_PROGRAM").map(PathBuf::from);
    let program = named.unwrap_or_else(|| {
        let own = env::current_exe().expect("a program knows where it is");
        own.ancestors().nth(2).unwrap_or(Path::new("/")).join("postroom")
    });
    assert!(
        program.is_file(),
        "{} is not there: cargo build --release -p postroom makes it",
        program.display()
    );
    program
}
