//! Servers that end with the test process, however it ends.
//!
//! A server is started by a small shell that waits for its standard input to close, which happens
//! when the [`Leash`] is dropped, and just as well when the test process is killed. Then the shell
//! stops the server. No server outlives its test, and none is ever looked
//! for by name.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Lines of a server's log that are kept for a failing test's message.
const KEPT_LINES: usize = 400;

/// $1 the signal that stops it, then the command.
const SHELL: &str = r#"
signal=$1; shift
"$@" </dev/null &
server=$!
echo "$server"
exec >/dev/null 2>&1
read -r _
kill -s "$signal" "$server"
(nap=; trap 'kill $nap; exit' TERM; sleep 10 & nap=$!; wait "$nap"; kill -s KILL "$server") &
watch=$!
wait "$server"
code=$?
kill "$watch"
exit "$code"
"#;

/// A user of this machine, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Id of the user's own group.
    pub gid: u32,
}

impl Owner {
    /// Who runs this process, as `/proc` tells.
    ///
    /// # Panics
    /// Where there is no `/proc/self/status`.
    pub fn me() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells about this process");
        let number = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
                .expect("/proc/self/status has Uid and Gid lines")
        };
        Self { uid: number("Uid:"), gid: number("Gid:") }
    }

    /// A user by name, from `/etc/passwd`.
    pub fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.first() == Some(&name)).then(|| {
                Some(Self { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
            })?
        })
    }

    /// The name of the user and of its own group, for configuration files.
    pub fn names(self) -> Option<(String, String)> {
        let name_of = |file: &str, id: u32| {
            let text = fs::read_to_string(file).ok()?;
            text.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                (fields.get(2)?.parse() == Ok(id)).then(|| (*fields.first().unwrap_or(&"")).to_owned())
            })
        };
        Some((name_of("/etc/passwd", self.uid)?, name_of("/etc/group", self.gid)?))
    }

    /// Gives a file or folder to `owner`; nobody in particular means: leave it as it is.
    ///
    /// # Panics
    /// If this process may not.
    pub fn give(owner: Option<Self>, path: &Path) {
        if let Some(owner) = owner {
            chown(path, Some(owner.uid), Some(owner.gid)).expect("root may give files away");
        }
    }
}

/// This process runs as root.
pub fn is_root() -> bool {
    Owner::me().uid == 0
}

#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<String>,
    /// Of the two outputs, how many are closed: both when the server and its children have ended.
    closed: u8,
}

/// A running server, stopped on drop.
#[derive(Debug)]
pub struct Leash {
    name: String,
    shell: Child,
    pid: u32,
    log: Arc<(Mutex<Log>, Condvar)>,
}

impl Leash {
    /// Starts `command`. `stop` is the signal that ends it (`TERM`, `INT`, `QUIT`), `owner` whom it
    /// runs as.
    ///
    /// # Panics
    /// If there is no `sh`, or it can't be started as `owner`.
    pub fn start(name: &str, command: &[&str], stop: &str, owner: Option<Owner>) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SHELL, name, stop]).args(command);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Out of the terminal's group: Ctrl-C ends the tests, and that ends the servers in order.
        shell.process_group(0);
        shell.current_dir("/");
        if let Some(owner) = owner {
            shell.uid(owner.uid).gid(owner.gid);
        }
        let mut shell = shell.spawn().unwrap_or_else(|error| panic!("can't start {name}: {error}"));
        let mut out = BufReader::new(shell.stdout.take().expect("stdout is a pipe"));
        let mut first = String::new();
        out.read_line(&mut first).expect("the shell's output can be read");
        let pid = first.trim().parse().unwrap_or_else(|_| panic!("no process id of {name}: {first:?}"));
        let log = Arc::default();
        follow(out, Arc::clone(&log));
        follow(BufReader::new(shell.stderr.take().expect("stderr is a pipe")), Arc::clone(&log));
        Self { name: name.to_owned(), shell, pid, log }
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the server's log has a line with `words` in it; else says what it logged.
    pub fn wait_for_line(&self, words: &str) -> Result<(), String> {
        let (lock, changed) = &*self.log;
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut log = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if log.lines.iter().any(|line| line.contains(words)) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || log.closed == 2 {
                let lines: Vec<&str> = log.lines.iter().map(String::as_str).collect();
                return Err(format!("{} did not say {words:?}. Its log:\n{}", self.name, lines.join("\n")));
            }
            log = changed.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The last lines the server logged.
    pub fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    /// Ends the server and what it started at once (SIGKILL), as a crash would, and waits until all are gone.
    pub fn kill(&mut self) {
        kill_family(self.pid);
        self.end();
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(&mut self) {
        self.end();
    }

    /// Whether the server and all it started have ended.
    pub fn has_ended(&self) -> bool {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).closed == 2
    }

    /// Stops the server if it still runs, and answers its exit code: that of a shell, which is 128 and
    /// the signal's number where a signal ended it. `None` where nobody knows.
    pub fn exit_code(mut self) -> Option<i32> {
        self.end()
    }

    fn end(&mut self) -> Option<i32> {
        drop(self.shell.stdin.take());
        match self.shell.wait() {
            Ok(status) => status.code(),
            Err(error) => {
                eprintln!("{} may still run: {error}", self.name);
                None
            }
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a process and everything below it at once and waits until none of them holds a port or a
/// file any more.
pub fn kill_family(parent: u32) {
    // Stopped, it starts no new ones in the place of those that die.
    signal("STOP", &[parent]);
    wait_for_states(&[parent], "TZX");
    let mut all: Vec<u32> = descendants(parent).into_iter().map(|(pid, _)| pid).collect();
    all.push(parent);
    signal("KILL", &all);
    wait_for_states(&all, "ZX");
}

/// Waits until each of these processes is in one of these states (proc(5)) or gone. They are not
/// this process' children, so that there is nothing to wait on but the time.
fn wait_for_states(pids: &[u32], states: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    for pid in pids {
        while !threads_are(*pid, states) {
            assert!(Instant::now() < deadline, "process {pid} does not stop");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether all threads of a process are in one of these states, or gone. The first one is dead
/// before the others are, who hold its files.
fn threads_are(pid: u32, states: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states_now = threads.filter_map(|thread| state(&thread.path().join("stat")));
    states_now.all(|(_, state, _)| states.contains(state))
}

/// Sends a signal to processes, all of them children of the caller's servers.
pub fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    // The shell's own `kill`: the program of that name is not on every machine. A process that has
    // ended meanwhile is what the caller wanted.
    let sent = Command::new("/bin/sh")
        .args(["-c", r#"signal=$1; shift; kill -s "$signal" "$@" 2>/dev/null; true"#, "sh", name])
        .args(&pids)
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "could not signal {pids:?}");
}

/// The processes below `parent`, at any depth, with the names of their commands.
pub fn descendants(parent: u32) -> Vec<(u32, String)> {
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse::<u32>().ok());
        if let Some((pid, (command, _, of))) = pid.and_then(|pid| Some((pid, stat(pid)?))) {
            others.push((pid, command, of));
        }
    }
    let mut found: Vec<(u32, String)> = Vec::new();
    loop {
        let below = |of| of == parent || found.iter().any(|(pid, _)| *pid == of);
        let (more, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, _, of)| below(*of));
        if more.is_empty() {
            return found;
        }
        found.extend(more.into_iter().map(|(pid, command, _)| (pid, command)));
        others = rest;
    }
}

/// Command, state and parent of a process (proc(5)); the command stands in brackets and may hold any byte.
fn stat(pid: u32) -> Option<(String, char, u32)> {
    state(Path::new(&format!("/proc/{pid}/stat")))
}

fn state(file: &Path) -> Option<(String, char, u32)> {
    let text = fs::read_to_string(file).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let mut fields = tail.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((head.split_once('(')?.1.to_owned(), state, parent))
}

fn follow(out: BufReader<impl Read + Send + 'static>, log: Arc<(Mutex<Log>, Condvar)>) {
    thread::spawn(move || {
        for line in out.split(b'\n') {
            let Ok(line) = line else { break };
            let mut log_now = log.0.lock().unwrap_or_else(PoisonError::into_inner);
            if log_now.lines.len() == KEPT_LINES {
                log_now.lines.pop_front();
            }
            log_now.lines.push_back(String::from_utf8_lossy(&line).into_owned());
            log.1.notify_all();
        }
        log.0.lock().unwrap_or_else(PoisonError::into_inner).closed += 1;
        log.1.notify_all();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_leash_stops_the_server() {
        let leash = Leash::start("sleeper", &["sleep", "600"], "TERM", None);
        let pid = leash.pid();
        assert!(stat(pid).is_some());
        drop(leash);
        assert_eq!(stat(pid), None);
    }

    #[test]
    fn a_server_that_ends_is_told_with_its_log() {
        let leash = Leash::start("brief", &["sh", "-c", "echo all went wrong >&2"], "TERM", None);
        let said = leash.wait_for_line("ready").unwrap_err();
        assert!(said.contains("all went wrong"), "{said}");
        assert!(leash.wait_for_line("wrong").is_ok());
    }

    #[test]
    fn the_exit_code_is_the_servers() {
        let leash = Leash::start("code", &["sh", "-c", "exit 70"], "TERM", None);
        let _said = leash.wait_for_line("never");
        assert!(leash.has_ended());
        assert_eq!(leash.exit_code(), Some(70));
        assert_eq!(Leash::start("sleeper", &["sleep", "600"], "TERM", None).exit_code(), Some(128 + 15));
    }

    #[test]
    fn only_children_are_found() {
        let leash = Leash::start("family", &["sh", "-c", "sleep 600 & wait"], "KILL", None);
        // `sh` runs `sleep` when it gets to it; nothing tells when.
        let sleeping = || descendants(leash.pid()).iter().any(|(_, command)| command == "sleep");
        let deadline = Instant::now() + Duration::from_mins(1);
        while !sleeping() && Instant::now() < deadline {
            thread::yield_now();
        }
        let children: Vec<u32> = descendants(leash.pid()).into_iter().map(|(pid, _)| pid).collect();
        assert_eq!(children.len(), 1);
        signal("KILL", &children);
    }
}
