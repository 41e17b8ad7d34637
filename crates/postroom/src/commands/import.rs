//! `postroom import`: mail from elsewhere comes in as history. It can be stopped and run again: what
//! is in the ledger is not taken in twice.

mod imap;
mod maildir;
mod mbox;
mod report;

use super::{Output, Refusal, mailbox, patiently, table, with_desk};
use crate::config::Config;
use crate::work::batch::{BATCH_BYTES, BATCH_MAILS, HEAD_BYTES};
use anyhow::Context;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::intake::{Arrival, Batch, History, Verdict};
use postroom_core::mailbox::{FolderRole, Mailbox};
use postroom_core::operations::ledger;
use postroom_core::ports::ReadContext;
use postroom_core::time::Timestamp;
use report::{Line, Report};
use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A terminal is told this often.
const TOLD_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// From mbox files.
    Mbox(mbox::Arguments),
    /// From Maildirs.
    Maildir(maildir::Arguments),
    /// From folders of an IMAP server.
    Imap(Box<imap::Arguments>),
}

/// What is the same wherever mail comes from.
#[derive(Debug, clap::Args)]
struct Common {
    /// The mailbox it comes into: its name, its number or one of its addresses.
    #[arg(long)]
    mailbox: String,
    /// Leave its conversations open, as work to be done. Without it they are closed.
    #[arg(long)]
    open: bool,
    /// Write a line for every mail to this file: CSV if its name ends in .csv, else NDJSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn run(config: &Config, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Mbox(from) => import(config, &from.common, "import:mbox", |importer| from.read(importer)),
        Command::Maildir(from) => {
            import(config, &from.common, "import:maildir", |importer| from.read(importer))
        }
        Command::Imap(from) => {
            let password = from.password()?;
            import(config, &from.common, "import:imap", |importer| from.read(importer, &password))
        }
    }
}

fn import(
    config: &Config,
    common: &Common,
    folder: &'static str,
    read: impl FnOnce(&mut Importer<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut report = common.report.as_deref().map(Report::create).transpose()?;
    with_desk(config, |desk| {
        let mailbox = mailbox::named(desk, &common.mailbox).map_err(Refusal::into_error)?;
        let mut importer = Importer {
            desk,
            mailbox: &mailbox,
            folder,
            history: History { open: common.open },
            report: report.as_mut(),
            counts: BTreeMap::new(),
            told_at: None,
        };
        let outcome = read(&mut importer);
        importer.done(common.output)?;
        outcome?;
        Ok(if importer.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// A mail as it was found.
struct Found {
    /// Its place in the ledger.
    location: String,
    /// Its place as people know it: a file and what is behind it.
    name: String,
    /// The server's number.
    uid: Option<i64>,
    /// Bytes of the whole mail.
    size: u64,
    /// The mail, or its beginning where it is larger than what is taken in.
    raw: Vec<u8>,
    /// When it was received, unless its Date says it.
    received: Received,
}

/// What tells when a mail was received.
#[derive(Clone, Copy)]
enum Received {
    /// The server knows.
    At(Timestamp),
    /// The mail's own Date; else this, where there is anything.
    Dated(Option<Timestamp>),
}

/// Takes mail in, and keeps count.
struct Importer<'a> {
    desk: &'a Desk,
    mailbox: &'a Mailbox,
    folder: &'static str,
    history: History,
    report: Option<&'a mut Report>,
    /// Mails by what became of them.
    counts: BTreeMap<&'static str, u64>,
    told_at: Option<Instant>,
}

impl Importer<'_> {
    fn most(&self) -> usize {
        self.desk.settings().mail_bytes
    }

    /// Which of these places are in the ledger, with what became of the mails there.
    fn known(&self, locations: &[&str]) -> anyhow::Result<HashMap<String, Line>> {
        let (id, folder) = (self.mailbox.id, self.folder);
        let entries = self
            .desk
            .read_here(&Actor::system(), |cx| ledger::taken_in(cx, id, folder, locations))
            .map_err(super::failed)?;
        Ok(entries
            .into_iter()
            .map(|entry| {
                let line = Line {
                    source: String::new(),
                    verdict: entry.verdict.as_str(),
                    before: true,
                    message_id: entry.message_id,
                    conversation_id: entry.conversation_id,
                    reason: entry.reason,
                };
                (entry.location, line)
            })
            .collect())
    }

    /// Takes a batch in.
    fn take(&mut self, batch: Vec<Found>) -> anyhow::Result<()> {
        let locations: Vec<&str> = batch.iter().map(|mail| mail.location.as_str()).collect();
        let mut lines = self.known(&locations)?;
        let context = ReadContext { trusted_authserv_ids: self.mailbox.trusted_authserv_ids.clone() };
        let mut named = Vec::with_capacity(batch.len());
        let mut arrivals = Vec::new();
        for mut mail in batch {
            named.push((mail.location.clone(), mail.name));
            if lines.contains_key(&mail.location) {
                continue;
            }
            let oversized = mail.size > self.most() as u64;
            if oversized {
                mail.raw.truncate(HEAD_BYTES as usize);
            }
            let read = self.desk.ports().reader.read(&mail.raw, &context);
            let received = match mail.received {
                Received::At(at) => Some(at),
                Received::Dated(other) => read.date.or(other),
            };
            arrivals.push(Arrival {
                location: mail.location,
                uid: mail.uid,
                internal_date: received.map(|at| at.min(self.desk.now())),
                size: i64::try_from(mail.size).unwrap_or(i64::MAX),
                mail: read,
                raw: self.desk.keep_here(&mail.raw).context("a mail can't be kept")?,
                oversized,
                is_history: true,
                asked_for: false,
            });
        }
        if !arrivals.is_empty() {
            let batch = Batch {
                mailbox_id: self.mailbox.id,
                lease: None,
                folder: self.folder.to_owned(),
                uidvalidity: None,
                role: FolderRole::Inbox,
                history: Some(self.history),
                arrivals,
            };
            let receipts = patiently(|| self.desk.receive_here(&batch)).context("mail can't be taken in")?;
            let odd: Vec<&str> = receipts
                .iter()
                .filter(|receipt| receipt.verdict != Verdict::Accepted)
                .map(|receipt| receipt.location.as_str())
                .collect();
            // Only the ledger has the reasons.
            let mut odd = self.known(&odd)?;
            for receipt in receipts {
                let reason = odd.remove(&receipt.location).and_then(|line| line.reason);
                let line = Line {
                    source: String::new(),
                    verdict: receipt.verdict.as_str(),
                    before: false,
                    message_id: receipt.message_id,
                    conversation_id: receipt.conversation_id,
                    reason,
                };
                lines.insert(receipt.location, line);
            }
        }
        // The same bytes twice in one source have one place.
        for (location, name) in named {
            if let Some(line) = lines.get_mut(&location) {
                self.note(Line { source: name, ..line.clone() })?;
                line.before = true;
            }
        }
        Ok(())
    }

    /// Counts a mail and writes its line.
    fn note(&mut self, line: Line) -> anyhow::Result<()> {
        let word = if line.before { "before" } else { line.verdict };
        *self.counts.entry(word).or_default() += 1;
        if let Some(report) = &mut self.report {
            report.write(&line)?;
        }
        Ok(())
    }

    /// Notes a mail that there is no place for in the ledger, and why.
    fn leave(&mut self, name: String, verdict: Verdict, reason: &str) -> anyhow::Result<()> {
        self.note(Line {
            source: name,
            verdict: verdict.as_str(),
            before: false,
            message_id: None,
            conversation_id: None,
            reason: Some(reason.to_owned()),
        })
    }

    /// Tells a terminal how far it is.
    fn tell(&mut self, place: &str, percent: Option<u64>) {
        let is_due = self.told_at.is_none_or(|told_at| told_at.elapsed() >= TOLD_EVERY);
        let mut screen = std::io::stderr();
        if !is_due || !screen.is_terminal() {
            return;
        }
        self.told_at = Some(Instant::now());
        let all: u64 = self.counts.values().sum();
        let percent = percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
        let line = format!("\r\x1b[K{place}:{percent} {all} mails");
        // Nobody is worse off for a progress that could not be shown.
        let _shown = screen.write_all(line.as_bytes());
    }

    fn is_complete(&self) -> bool {
        ["quarantined", "failed"].iter().all(|word| !self.counts.contains_key(word))
    }

    /// Says what became of all the mails.
    fn done(&mut self, output: Output) -> anyhow::Result<()> {
        if self.told_at.is_some() {
            eprint!("\r\x1b[K");
        }
        if let Some(report) = &mut self.report {
            report.finish()?;
        }
        match output {
            Output::Json => println!("{}", serde_json::json!(self.counts)),
            Output::Table => {
                let rows: Vec<Vec<String>> = self
                    .counts
                    .iter()
                    .map(|(word, count)| vec![(*word).to_owned(), count.to_string()])
                    .collect();
                print!("{}", table::lay_out(&["verdict", "mails"], &rows));
            }
        }
        Ok(())
    }
}

/// Mails on their way into one transaction.
#[derive(Default)]
struct Gathering {
    mails: Vec<Found>,
    bytes: usize,
}

impl Gathering {
    /// Adds a mail; what is full is to be taken in.
    fn add(&mut self, mail: Found) -> Option<Vec<Found>> {
        self.bytes += mail.raw.len();
        self.mails.push(mail);
        let is_full = self.mails.len() >= BATCH_MAILS || self.bytes as u64 >= BATCH_BYTES.unsigned_abs();
        is_full.then(|| self.rest())
    }

    fn rest(&mut self) -> Vec<Found> {
        self.bytes = 0;
        std::mem::take(&mut self.mails)
    }
}
