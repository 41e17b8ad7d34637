//! A desk's data, new and empty, and the program as it is installed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::database::{self, Kind};
use support::workdir::WorkDir;

/// Where a desk is, whether its daemon runs or not: a folder, and the database that
/// `POSTROOM_TEST_DATABASE` says.
pub struct Place {
    /// Name and value of each variable that leads a program here.
    pub settings: Vec<(&'static str, String)>,
    dir: WorkDir,
}

impl Place {
    /// A new one, in which there is nothing yet.
    pub fn new() -> Self {
        let dir = WorkDir::new("bench");
        let mut settings = vec![("POSTROOM__STORAGE__DATA_DIR", dir.join("data").display().to_string())];
        settings.push(("POSTROOM__LIMITS__REQUESTS_PER_MINUTE", "0".to_owned()));
        if database::kind() == Kind::Postgres {
            settings.push(("POSTROOM__DATABASE__URL", database::fresh(&dir)));
        }
        Self { settings, dir }
    }

    /// A folder that goes away with it; its data are in `data`.
    pub fn dir(&self) -> &WorkDir {
        &self.dir
    }

    /// One of the program's commands, on these data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What one of the program's commands says, after its end.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the daemon's program can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the program writes text")
    }
}

/// The program that is measured: `POSTROOM_BENCH_PROGRAM`, else the one built beside this.
pub fn program() -> PathBuf {
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
