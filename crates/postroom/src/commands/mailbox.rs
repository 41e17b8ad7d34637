//! `postroom mailbox`: mailboxes from the operator's shell.

mod ledger;
mod reconcile;

use super::{Output, Refusal, failed, table, with_desk};
use crate::config::Config;
use anyhow::{Context, bail};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{
    AfterIngest, AuthMethod, Delivery, Import, Mailbox, MailboxState, Security, Source, Strangers,
};
use postroom_core::operations::mailboxes::{self, NewMailbox};
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a mailbox and print its number. The running daemon polls it at once.
    Add(Box<Add>),
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

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// What people call it.
    #[arg(long)]
    name: String,
    /// The address customers write to.
    #[arg(long)]
    address: String,
    /// The login name, for IMAP and SMTP; the address if not given.
    #[arg(long)]
    username: Option<String>,
    /// Log in by token (OAuth 2) to IMAP and SMTP; `mailbox authorize` comes next.
    #[arg(long, conflicts_with = "password_file")]
    oauth2: bool,
    /// A file with the password, for IMAP and SMTP. Without it the first line of standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The IMAP server: mail is fetched from there.
    #[arg(long, value_name = "HOST", conflicts_with_all = ["maildir", "push"])]
    imap: Option<String>,
    /// Its port; 993, or 143 without --imap-security tls.
    #[arg(long)]
    imap_port: Option<u16>,
    /// tls, starttls, or none (this very machine alone).
    #[arg(long, default_value = "tls")]
    imap_security: Security,
    /// A folder to read, again for each.
    #[arg(long = "folder", default_value = "INBOX")]
    folders: Vec<String>,
    /// The folder with what agents send with other programs; `auto`: the one that the server names so.
    #[arg(long, value_name = "FOLDER")]
    sent_folder: Option<String>,
    /// The folder with what the server takes for junk, or `auto`.
    #[arg(long, value_name = "FOLDER")]
    junk_folder: Option<String>,
    /// Only mail that comes from now on.
    #[arg(long)]
    only_new: bool,
    /// A Maildir that a mail server on this machine delivers to.
    #[arg(long, value_name = "FOLDER", conflicts_with = "push")]
    maildir: Option<String>,
    /// Mail is pushed through the API.
    #[arg(long)]
    push: bool,
    /// The SMTP server: answers leave there. Without it they are captured, and nothing leaves.
    #[arg(long, value_name = "HOST")]
    smtp: Option<String>,
    /// Its port; 587, or 465 with --smtp-security tls.
    #[arg(long)]
    smtp_port: Option<u16>,
    /// tls, starttls, or none (this very machine alone).
    #[arg(long, default_value = "starttls")]
    smtp_security: Security,
    /// The SMTP server wants no login.
    #[arg(long)]
    smtp_without_login: bool,
    /// PEM file of a certificate authority of one's own, for both servers.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// Seconds between two polls.
    #[arg(long, default_value_t = 60)]
    poll_interval: i32,
}

pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(add) => {
            let new = add.resolve()?;
            with_desk(config, |desk| {
                let made =
                    desk.write_here(&Actor::system(), |cx| mailboxes::create(cx, &new)).map_err(failed)?;
                println!("{}", made.id);
                Ok(ExitCode::SUCCESS)
            })
        }
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

impl Add {
    fn resolve(self) -> anyhow::Result<NewMailbox> {
        let smtp_login = self.smtp.is_some() && !self.smtp_without_login;
        let is_needed = (self.imap.is_some() || smtp_login) && !self.oauth2;
        let password = if is_needed { Some(self.password()?) } else { None };
        let auth = if self.oauth2 { AuthMethod::Oauth2 } else { AuthMethod::Password };
        let username = self.username.clone().unwrap_or_else(|| self.address.clone());
        let source = match (&self.imap, &self.maildir, self.push) {
            (Some(host), _, _) => Source::Imap {
                host: host.clone(),
                port: self.imap_port.unwrap_or(if self.imap_security == Security::Tls { 993 } else { 143 }),
                security: self.imap_security,
                username: username.clone(),
                auth,
                folders: self.folders.clone(),
                after_ingest: AfterIngest::Leave,
                import: if self.only_new { Import::None } else { Import::All },
                sent_folder: self.sent_folder.clone(),
                junk_folder: self.junk_folder.clone(),
                ca_file: self.ca_file.clone(),
            },
            (None, Some(path), _) => Source::Maildir { path: absolute(path)? },
            (None, None, true) => Source::Push {},
            (None, None, false) => {
                bail!("say where mail comes from: --imap HOST, --maildir FOLDER or --push")
            }
        };
        let delivery = match &self.smtp {
            Some(host) => Delivery::Smtp {
                host: host.clone(),
                port: self.smtp_port.unwrap_or(if self.smtp_security == Security::Tls { 465 } else { 587 }),
                security: self.smtp_security,
                // Without a login there is none by token either.
                auth: if smtp_login { auth } else { AuthMethod::Password },
                username: smtp_login.then_some(username),
                ca_file: self.ca_file.clone(),
            },
            None => Delivery::Sink {},
        };
        Ok(NewMailbox {
            name: self.name,
            address: self.address,
            aliases: Vec::new(),
            group: None,
            poll_interval_seconds: self.poll_interval,
            source_password: self.imap.is_some().then(|| password.clone()).flatten(),
            source,
            delivery_password: smtp_login.then_some(password).flatten(),
            delivery,
            strangers: Strangers::Link,
            trusted_authserv_ids: Vec::new(),
            relay_addresses: Vec::new(),
            paused: false,
        })
    }

    fn password(&self) -> anyhow::Result<String> {
        read_password(self.password_file.as_deref())
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

/// The mailbox of a name, a number, or an address.
pub(super) fn named(desk: &Desk, named: &str) -> Result<Mailbox, Refusal> {
    let all = desk.read_here(&Actor::system(), mailboxes::list).map_err(Refusal::Failed)?;
    let by_name = |mailbox: &&Mailbox| mailbox.name == named || mailbox.id.to_string() == named;
    let folded = postroom_core::text::fold_address(named);
    let by_address = |mailbox: &&Mailbox| mailbox.own_addresses().any(|address| address == folded);
    let found = all.iter().find(by_name).or_else(|| all.iter().find(by_address));
    found.cloned().ok_or_else(|| Refusal::Unknown(anyhow::anyhow!("there is no mailbox {named:?}")))
}

fn absolute(path: &str) -> anyhow::Result<String> {
    let full = std::fs::canonicalize(path).with_context(|| format!("the Maildir {path} can't be found"))?;
    full.into_os_string().into_string().map_err(|_| anyhow::anyhow!("the Maildir's path is not UTF-8"))
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
