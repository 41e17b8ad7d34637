//! `postroom mailbox`: mailboxes from the operator's shell.

mod add;
mod change;
mod ledger;
mod reconcile;

use super::{Output, Refusal, failed, table, with_desk, with_desk_from};
use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{Mailbox, MailboxState};
use postroom_core::operations::mailboxes;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a mailbox and print its number. The running daemon polls it at once.
    Add(Box<add::Add>),
    /// Change a mailbox that was not set up in the configuration file. What is not named stays.
    Set(change::Set),
    /// Remove a mailbox that nothing ever came into; others can be paused.
    Remove {
        /// Its name, its number or its address.
        mailbox: String,
    },
    /// Show all mailboxes and how they are doing.
    List {
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Authorize a mailbox that logs in by token (OAuth 2). See deploy/OAUTH.md.
    Authorize(super::authorize::Authorize),
    /// Show what became of every mail that was ever seen, newest first.
    Ledger(ledger::Arguments),
    /// Try a mail again that did not come in, by its row in the ledger.
    Retry(ledger::Retry),
    /// Hold what the server has against the ledger. Exit code 1: something is missing; 2: it could not
    /// be found out.
    Reconcile(reconcile::Arguments),
    /// Log in to both ends of a mailbox. Exit code 1: something is wrong.
    Test {
        /// Its name or number.
        mailbox: String,
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
}

pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(add) => {
            let new = add.resolve()?;
            with_desk_from(config, true, |desk| {
                let made =
                    desk.write_here(&Actor::system(), |cx| mailboxes::create(cx, &new)).map_err(failed)?;
                println!("{}", made.id);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Set(set) => with_desk(config, |desk| set.run(desk)),
        Command::Remove { mailbox } => with_desk(config, |desk| {
            let id = find(desk, &mailbox)?;
            desk.write_here(&Actor::system(), |cx| mailboxes::delete(cx, id, None)).map_err(failed)?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::List { output } => with_desk(config, |desk| list(desk, output)),
        Command::Authorize(asked) => with_desk(config, |desk| {
            let id = find(desk, &asked.mailbox)?;
            super::authorize::run(config, desk, id, asked)
        }),
        Command::Ledger(arguments) => with_desk(config, |desk| arguments.run(desk)),
        Command::Retry(arguments) => with_desk(config, |desk| arguments.run(desk)),
        Command::Reconcile(arguments) => Ok(arguments.run(config)),
        Command::Test { mailbox, output } => with_desk(config, |desk| test(desk, &mailbox, output)),
    }
}

/// A password from a file or from standard input: never from the command line, where every user of
/// the machine could read it.
pub(super) fn read_password(file: Option<&Path>) -> anyhow::Result<String> {
    let text = if let Some(file) = file {
        std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?
    } else {
        if std::io::stdin().is_terminal() {
            eprintln!("Password (it will be shown; better use --password-file):");
        }
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("standard input can't be read")?;
        line
    };
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        bail!("the password is empty; give it by --password-file or on standard input");
    }
    Ok(password)
}

/// The mailbox of a name, a number, or an address that no other has.
pub(super) fn named(desk: &Desk, named: &str) -> Result<Mailbox, Refusal> {
    let mut all = desk.read_here(&Actor::system(), mailboxes::list).map_err(Refusal::Failed)?;
    let is_named = |mailbox: &Mailbox| mailbox.name == named || mailbox.id.to_string() == named;
    if let Some(index) = all.iter().position(is_named) {
        return Ok(all.swap_remove(index));
    }
    let folded = postroom_core::text::fold_address(named);
    all.retain(|mailbox| mailbox.own_addresses().any(|address| address == folded));
    if all.len() > 1 {
        let names: Vec<String> = all.iter().map(|mailbox| format!("{:?}", mailbox.name)).collect();
        let names = names.join(" and ");
        return Err(Refusal::Ambiguous(anyhow!("{named} is an address of the mailboxes {names}; name one")));
    }
    all.pop().ok_or_else(|| Refusal::Unknown(anyhow!("there is no mailbox {named:?}")))
}

fn list(desk: &Desk, output: Output) -> anyhow::Result<ExitCode> {
    let system = Actor::system();
    let all = desk
        .read_here(&system, |cx| {
            mailboxes::list(cx)?
                .into_iter()
                .map(|mailbox| {
                    let status = mailboxes::status(cx, mailbox.id)?;
                    Ok((mailbox, status))
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(failed)?;
    if output == Output::Json {
        let rows: Vec<_> = all
            .iter()
            .map(|(mailbox, status)| {
                serde_json::json!({
                    "id": mailbox.id, "name": mailbox.name, "address": mailbox.address, "status": status,
                })
            })
            .collect();
        println!("{}", serde_json::Value::Array(rows));
        return Ok(ExitCode::SUCCESS);
    }
    for (mailbox, status) in &all {
        if status.state == MailboxState::NeedsAuthorization {
            let why = status.last_error.as_deref().unwrap_or_default();
            eprintln!("{} needs authorization: {why}", mailbox.name);
        }
    }
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|(mailbox, status)| {
            vec![
                mailbox.id.to_string(),
                mailbox.name,
                mailbox.address,
                status.state.to_string(),
                status.accepted.to_string(),
                status.pending.to_string(),
                status.last_error.unwrap_or_default(),
            ]
        })
        .collect();
    print!(
        "{}",
        table::lay_out(&["id", "name", "address", "state", "accepted", "pending", "last error"], &rows)
    );
    Ok(ExitCode::SUCCESS)
}

fn find(desk: &Desk, name: &str) -> anyhow::Result<MailboxId> {
    Ok(named(desk, name).map_err(Refusal::into_error)?.id)
}

fn test(desk: &Desk, named: &str, output: Output) -> anyhow::Result<ExitCode> {
    let system = Actor::system();
    let id = find(desk, named)?;
    let tested = tokio::runtime::Handle::current().block_on(desk.test_mailbox(&system, id));
    let (source, delivery) = tested.map_err(failed)?;
    let good = source.ok && delivery.ok;
    match output {
        Output::Json => println!("{}", serde_json::json!({ "source": source, "delivery": delivery })),
        Output::Table => {
            for (name, probe) in [("source", &source), ("delivery", &delivery)] {
                println!("{name}: {}: {}", if probe.ok { "ok" } else { "failed" }, probe.detail);
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
