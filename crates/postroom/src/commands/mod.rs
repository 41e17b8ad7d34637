//! The commands, one a file. People get tables, scripts get JSON and exit codes: 0 is done, 1 is
//! not done, 2 is a command line that makes no sense. `api` and `deliver` have more of them.

mod agent;
mod api;
mod audit;
mod authorize;
mod backup;
mod check;
mod deliver;
mod demo;
mod doctor;
mod import;
mod mailbox;
mod message;
mod migrate;
mod openapi;
mod progress;
mod restore;
mod serve;
mod table;
mod token;
mod watch;

use crate::config::Config;
use clap::{Parser, Subcommand, ValueEnum};
use postroom_core::desk::Desk;
use postroom_core::store::StoreError;
use std::path::PathBuf;
use std::process::ExitCode;

/// Self-hosted shared-inbox help desk with a REST API.
#[derive(Debug, Parser)]
#[command(name = "postroom", version, about, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file; POSTROOM__SECTION__KEY in the environment goes over it.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve,
    /// Try everything in a temporary folder, with mail that comes along. Neither a configuration file nor
    /// the environment is read.
    Demo(demo::Arguments),
    /// Bring the database up to date, or take the last migration back.
    Migrate(migrate::Arguments),
    /// Check the configuration and the database, and change nothing.
    Check,
    /// Save the desk to a folder, while everything runs.
    Backup(backup::Arguments),
    /// Make a backup a desk again, in an empty place.
    Restore(restore::Arguments),
    /// Read all that the desk remembers and look whether it is whole.
    Doctor(doctor::Arguments),
    /// Print the OpenAPI document.
    Openapi,
    /// Ask a desk that runs somewhere, by its API: for scripts.
    Api(api::Arguments),
    /// Make, list and revoke access tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Create and list agents.
    #[command(subcommand)]
    Agent(agent::Command),
    /// Have watchdogs look now, whether the daemon runs or not. The exit code is 1 where something waits too long.
    Watch(watch::Arguments),
    /// Show the audit log, and check that nobody has touched it.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Add, change, list, test and reconcile mailboxes, and see what became of their mail.
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// Read kept mail anew, after an upgrade that reads mail better.
    #[command(subcommand)]
    Message(message::Command),
    /// Take mail from elsewhere in as history: nobody is told or answered. It may be run again.
    #[command(subcommand)]
    Import(import::Command),
    /// Take one mail from standard input, for a mail server's pipe. Exit codes are those of sysexits.
    Deliver(deliver::Arguments),
}

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    Table,
    /// JSON.
    Json,
}

/// What a mail server takes for a command line that makes no sense (sysexits.h).
const EX_USAGE: u8 = 64;

impl Arguments {
    /// Reads the command line. Where it makes no sense, or only asks for help, the answer is printed
    /// and the exit code returned.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // Standard output may be closed already, and there is nobody else to tell.
            let _printed = error.print();
            let delivers = crate::config::is_on_command_line("deliver");
            match error.exit_code() {
                0 => ExitCode::SUCCESS,
                _ if delivers => ExitCode::from(EX_USAGE),
                _ => ExitCode::from(2),
            }
        })
    }

    /// Runs the command and says how it went.
    pub fn run(self) -> ExitCode {
        let done = self.command();
        crate::log::flush();
        done.unwrap_or_else(|error| {
            eprintln!("postroom: {}", chain(&error));
            ExitCode::FAILURE
        })
    }

    fn command(self) -> anyhow::Result<ExitCode> {
        crate::daemon::install_crypto();
        let config = || Config::load(self.config.as_deref());
        match self.command {
            Command::Openapi => openapi::run(),
            Command::Api(arguments) => Ok(api::run(&arguments)),
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Serve => serve::run(config()?),
            Command::Migrate(arguments) => migrate::run(&config()?, &arguments),
            Command::Check => check::run(&config()?),
            Command::Backup(arguments) => backup::run(&config()?, &arguments),
            Command::Restore(arguments) => restore::run(&config()?, &arguments),
            Command::Doctor(arguments) => doctor::run(&config()?, &arguments),
            Command::Token(command) => token::run(&config()?, command),
            Command::Agent(command) => agent::run(&config()?, command),
            Command::Watch(arguments) => watch::run(&config()?, &arguments),
            Command::Audit(command) => audit::run(&config()?, command),
            Command::Mailbox(command) => mailbox::run(&config()?, command),
            Command::Message(command) => message::run(&config()?, &command),
            Command::Import(command) => import::run(&config()?, &command),
            Command::Deliver(arguments) => Ok(deliver::run(self.config.as_deref(), &arguments)),
        }
    }
}

/// One line with every cause, none said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = one_line(&cause.to_string());
        if !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    line
}

/// A message of several lines as one. The excerpt that a TOML error draws is left out: it shows
/// whatever stands in that line of the file, and that may be a password.
fn one_line(text: &str) -> String {
    let is_excerpt =
        |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    let lines: Vec<&str> = text.lines().filter(|line| !is_excerpt(line)).map(str::trim).collect();
    lines.join(": ")
}

/// What went wrong with an operation, with every fault of the input named.
pub(crate) fn sentence(error: &postroom_core::Error) -> String {
    match error {
        postroom_core::Error::Invalid(faults) => {
            let all: Vec<String> = faults
                .iter()
                .map(|fault| format!("{}: {}", fault.pointer.trim_start_matches('/'), fault.detail))
                .collect();
            all.join("; ")
        }
        other => {
            let mut line = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(inner) = cause {
                line.push_str(": ");
                line.push_str(&inner.to_string());
                cause = inner.source();
            }
            line
        }
    }
}

/// Why something could not be found by the name that was given.
enum Refusal {
    /// There is nothing of this name.
    Unknown(anyhow::Error),
    /// There are several of this name.
    Ambiguous(anyhow::Error),
    /// It could not be looked for.
    Failed(postroom_core::Error),
}

impl Refusal {
    fn into_error(self) -> anyhow::Error {
        match self {
            Self::Unknown(error) | Self::Ambiguous(error) => error,
            Self::Failed(error) => failed(error),
        }
    }
}

/// How often a database that others hold is waited for, some seconds each time.
const PATIENCE: usize = 6;

/// Does something beside a daemon that may hold the database for a while. What is done must be the
/// same twice as once.
fn patiently<T>(
    mut work: impl FnMut() -> Result<T, postroom_core::Error>,
) -> Result<T, postroom_core::Error> {
    let mut tries = 1;
    loop {
        match work() {
            Err(
                postroom_core::Error::Busy
                | postroom_core::Error::Store { source: StoreError::Busy | StoreError::Again, .. },
            ) if tries < PATIENCE => tries += 1,
            outcome => return outcome,
        }
    }
}

/// An operation's error as a command's.
fn failed(error: postroom_core::Error) -> anyhow::Error {
    anyhow::Error::msg(sentence(&error))
}

/// Runs something on a small runtime of its own, where the desk may block. Where there is no desk it
/// fails and makes none.
fn with_desk<T>(config: &Config, work: impl FnOnce(&Desk) -> anyhow::Result<T>) -> anyhow::Result<T> {
    with_desk_from(config, false, work)
}

/// [`with_desk`]; a command that a desk may begin with makes one where there is none.
fn with_desk_from<T>(
    config: &Config,
    begins: bool,
    work: impl FnOnce(&Desk) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    quiet_log(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _entered = runtime.enter();
    let desk = if begins { crate::open_desk(config)? } else { crate::open::open_existing_desk(config)? };
    work(&desk)
}

/// Commands speak for themselves; of the log only what went wrong is shown, on standard error. What
/// is wrong with a certificate they say in words.
fn quiet_log(config: &Config) {
    let level = "warn,rustls_platform_verifier=off".to_owned();
    let quiet = crate::config::Log { level, ..config.log.clone() };
    crate::log::start(&quiet);
}
