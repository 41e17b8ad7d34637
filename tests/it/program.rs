//! The real command, as a person runs it: in a process of its own, with an environment that holds
//! nothing but what the test says.

use postroom_core::store::conn::DatabaseUrl;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::{env, thread};
use support::program::program;
use support::workdir::WorkDir;
use support::{database, leash};

/// How a command ended.
#[derive(Debug)]
pub struct Told {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Told {
    /// This, if it ended well.
    #[track_caller]
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The one line on standard error of a command that was refused with exit code 1.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:?}");
        // The suite may run as root, which `serve` warns of.
        let mut lines = self.err.lines().filter(|line| !line.contains("postroom runs as root"));
        let (Some(line), None) = (lines.next(), lines.next()) else { panic!("one clear line: {self:?}") };
        assert!(line.starts_with("postroom: "), "{self:?}");
        assert_eq!(self.out, "", "a refusal stands on standard error alone");
        line
    }

    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the command speaks UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Somebody's shell: a data folder, a database, and the settings that lead there.
pub struct Shell {
    settings: Vec<(String, String)>,
    /// Where commands are run from, and what goes away with the test.
    pub dir: WorkDir,
}

impl Shell {
    /// With a database of this run's kind.
    pub fn new() -> Self {
        let dir = WorkDir::new("shell");
        let data = dir.join("data");
        let mut shell = Self { settings: Vec::new(), dir };
        shell.set("POSTROOM__STORAGE__DATA_DIR", data);
        shell.set("POSTROOM__SERVER__LISTEN", "127.0.0.1:0");
        if database::kind() == database::Kind::Postgres {
            let url = database::fresh(&shell.dir);
            shell.set("POSTROOM__DATABASE__URL", url);
        }
        shell
    }

    /// With the data folder and the database of a daemon that runs elsewhere.
    pub fn of(config: &postroom::Config) -> Self {
        let mut shell = Self { settings: Vec::new(), dir: WorkDir::new("shell") };
        shell.set("POSTROOM__STORAGE__DATA_DIR", &config.storage.data_dir);
        shell.set("POSTROOM__SERVER__LISTEN", "127.0.0.1:0");
        if let Some(url) = &config.database.url {
            shell.set("POSTROOM__DATABASE__URL", url);
        }
        shell
    }

    /// With no settings at all.
    pub fn bare() -> Self {
        Self { settings: Vec::new(), dir: WorkDir::new("shell") }
    }

    /// Sets a variable of the environment.
    pub fn set(&mut self, name: &str, value: impl AsRef<Path>) {
        self.unset(name);
        let value = value.as_ref().to_str().expect("test values are UTF-8").to_owned();
        self.settings.push((name.to_owned(), value));
    }

    /// Takes a variable away.
    pub fn unset(&mut self, name: &str) {
        self.settings.retain(|(known, _)| known != name);
    }

    /// Where the data is.
    pub fn data(&self) -> PathBuf {
        let found = self.settings.iter().find(|(name, _)| name == "POSTROOM__STORAGE__DATA_DIR");
        found.map(|(_, value)| PathBuf::from(value)).expect("this shell has a data folder")
    }

    /// Where the database is.
    pub fn database(&self) -> DatabaseUrl {
        match self.settings.iter().find(|(name, _)| name == "POSTROOM__DATABASE__URL") {
            Some((_, url)) => DatabaseUrl::parse(url).expect("the test's URL is one"),
            None => DatabaseUrl::Sqlite(self.data().join("postroom.db")),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.under(Command::new(program()), arguments)
    }

    fn under(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).env_clear().current_dir(self.dir.path());
        command.env("TMPDIR", self.dir.path()).env("PATH", env::var_os("PATH").unwrap_or_default());
        command.envs(self.settings.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `postroom ARGUMENTS` to its end.
    pub fn run(&self, arguments: &[&str]) -> Told {
        Told::of(self.command(arguments).output().expect("the program can be started"))
    }

    /// Starts `postroom ARGUMENTS`, for a test that does not wait for its end.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program can be started")
    }

    /// [`Shell::run`] with something on standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Told {
        feed(self.command(arguments), input)
    }

    /// [`Shell::run_with_input`] by somebody who may read no file but by its mode: root without what
    /// makes it root (util-linux' setpriv), or whoever runs the test.
    pub fn run_unprivileged(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Told {
        if !leash::is_root() {
            return self.run_with_input(arguments, input);
        }
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(program());
        feed(self.under(command, arguments), input)
    }

    /// [`Shell::run`] with this as standard input.
    pub fn run_with_stdin(&self, arguments: &[&str], stdin: impl Into<Stdio>) -> Told {
        Told::of(self.command(arguments).stdin(stdin).output().expect("the program can be started"))
    }

    /// Starts `postroom serve` and waits until it says where it listens.
    pub fn serve(&self) -> Served {
        let mut child = self.command(&["serve"]).spawn().expect("the program can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        let mut log = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else {
                let status = child.wait().expect("the program ends");
                panic!("postroom serve ended ({status}):\n{}", log.join("\n"));
            };
            let line = line.expect("the log is UTF-8");
            log.push(line.clone());
            if let Some((_, address)) = line.split_once("listens on http://") {
                break address.trim().parse().expect("an address and a port");
            }
        };
        // Whoever lets a pipe fill up stops the one who writes.
        let reader = thread::spawn(move || {
            log.extend(lines.map_while(Result::ok));
            log
        });
        Served { child, address, reader: Some(reader) }
    }
}

/// Runs a command with something on standard input.
fn feed(mut command: Command, input: impl AsRef<[u8]>) -> Told {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program can be started");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(input.as_ref()).expect("the command reads its input");
    drop(stdin);
    Told::of(child.wait_with_output().expect("the program ends"))
}

/// A daemon in a process of its own; killed on drop unless it was ended before.
pub struct Served {
    child: Child,
    /// Where the API listens.
    pub address: std::net::SocketAddr,
    reader: Option<thread::JoinHandle<Vec<String>>>,
}

impl Served {
    /// Sends a signal (`TERM`, `INT`, `KILL`) and waits for the end. Returns the exit code and
    /// the log.
    pub fn end(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        leash::signal(signal, &[self.child.id()]);
        let status = self.child.wait().expect("the daemon ends");
        let reader = self.reader.take().expect("ended once");
        (status.code(), reader.join().expect("the reader ends with the pipe"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.reader.is_some() {
            // It may be gone already, which is all that is wanted.
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}
