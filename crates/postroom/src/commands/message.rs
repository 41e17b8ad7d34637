//! `postroom message`: messages from the operator's shell.

use super::progress::Progress;
use super::{Output, Refusal, mailbox, patiently, sentence, table, with_desk};
use crate::config::Config;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::cx::Cx;
use postroom_core::desk::Desk;
use postroom_core::id::{MailboxId, MessageId};
use postroom_core::message::ReadField;
use postroom_core::operations::messages::reparse;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Messages between two bookmarks.
const PAGE: usize = 200;
/// The most messages and failures that JSON names each; the counts are of all.
const NAMED: usize = 1000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read kept mail anew and mend what its messages say. Nobody is told or answered, and nothing is
    /// put elsewhere. Exit code 1: some could not be read.
    ///
    /// A mailbox that was stopped in the middle goes on there when it is run again.
    Reparse(Reparse),
}

#[derive(Debug, clap::Args)]
pub(super) struct Reparse {
    /// The numbers of messages.
    #[arg(required_unless_present = "mailbox", conflicts_with = "mailbox",
        value_parser = clap::value_parser!(i64).range(1..))]
    messages: Vec<i64>,
    /// All of a mailbox: its name, its number or one of its addresses.
    #[arg(long)]
    mailbox: Option<String>,
    /// Begin the mailbox anew, though it was stopped in the middle.
    #[arg(long, requires = "mailbox")]
    from_start: bool,
    /// Only tell what would change.
    #[arg(long)]
    dry_run: bool,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn run(config: &Config, command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Reparse(asked) = command;
    with_desk(config, |desk| {
        let of = asked.mailbox.as_deref().map(|name| mailbox::named(desk, name)).transpose();
        let of = of.map_err(Refusal::into_error)?.map(|mailbox| mailbox.id);
        let mut reparser = Reparser {
            desk,
            dry_run: asked.dry_run,
            report: Report::default(),
            progress: Progress::new("messages read anew"),
        };
        let outcome = match of {
            Some(mailbox) => reparser.mailbox(mailbox, asked.from_start),
            None => asked.messages.iter().try_for_each(|id| reparser.message(MessageId(*id))),
        };
        let Reparser { report, progress, .. } = reparser;
        progress.end();
        report.show(asked);
        outcome.map_err(super::failed)?;
        Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Reads one message after the other, and keeps count.
struct Reparser<'a> {
    desk: &'a Desk,
    dry_run: bool,
    report: Report,
    progress: Progress,
}

impl Reparser<'_> {
    /// Reads all mail of a mailbox, from where it was stopped.
    fn mailbox(&mut self, id: MailboxId, from_start: bool) -> Result<(), Error> {
        let system = Actor::system();
        let mut after = MessageId(0);
        if !from_start && !self.dry_run {
            let stopped = self.desk.read_here(&system, |cx| reparse::stopped_after(cx, id))?;
            self.report.resumed_after = stopped;
            after = stopped.unwrap_or(after);
        }
        loop {
            let next = self.desk.read_here(&system, |cx| reparse::mails_after(cx, id, after, PAGE as i64))?;
            for message in &next {
                self.message(*message)?;
            }
            let last = next.last().copied().filter(|_| next.len() == PAGE);
            if !self.dry_run {
                let note = |cx: &mut Cx<'_>| reparse::note_progress(cx, id, last);
                patiently(|| self.desk.write_here(&system, note))?;
            }
            let Some(last) = last else { return Ok(()) };
            after = last;
        }
    }

    /// Reads one. What is wrong with it alone keeps nobody from the next.
    fn message(&mut self, id: MessageId) -> Result<(), Error> {
        let system = Actor::system();
        match patiently(|| self.desk.reparse_here(&system, id, None, self.dry_run)) {
            Ok(reparsed) => self.report.read(id, reparsed.changed),
            Err(error @ (Error::StateConflict(_) | Error::NotFound(_) | Error::Stale { .. })) => {
                self.report.fail(id, sentence(&error));
            }
            Err(error) => return Err(error),
        }
        self.progress.at(self.report.all());
        Ok(())
    }
}

/// What became of them.
#[derive(Default)]
struct Report {
    resumed_after: Option<MessageId>,
    unchanged: usize,
    changed: usize,
    failed: usize,
    fields: BTreeMap<ReadField, usize>,
    messages: Vec<(MessageId, Vec<ReadField>)>,
    failures: Vec<(MessageId, String)>,
}

impl Report {
    fn all(&self) -> usize {
        self.unchanged + self.changed + self.failed
    }

    fn read(&mut self, id: MessageId, changed: Vec<ReadField>) {
        if changed.is_empty() {
            self.unchanged += 1;
            return;
        }
        self.changed += 1;
        for field in &changed {
            *self.fields.entry(*field).or_default() += 1;
        }
        if self.messages.len() < NAMED {
            self.messages.push((id, changed));
        }
    }

    fn fail(&mut self, id: MessageId, reason: String) {
        self.failed += 1;
        if self.failures.len() < NAMED {
            self.failures.push((id, reason));
        }
    }

    fn show(&self, asked: &Reparse) {
        if asked.output == Output::Json {
            let messages: Vec<_> = self
                .messages
                .iter()
                .map(|(id, changed)| serde_json::json!({"message_id": id, "changed": changed}))
                .collect();
            let failures: Vec<_> = self
                .failures
                .iter()
                .map(|(id, reason)| serde_json::json!({"message_id": id, "reason": reason}))
                .collect();
            let report = serde_json::json!({
                "dry_run": asked.dry_run, "resumed_after": self.resumed_after,
                "changed": self.changed, "unchanged": self.unchanged, "failed": self.failed,
                "fields": self.fields, "messages": messages, "failures": failures,
            });
            println!("{report}");
            return;
        }
        if let Some(after) = self.resumed_after {
            println!("went on after message {after}");
        }
        let changed = if asked.dry_run { "would change" } else { "changed" };
        let counts = [(changed, self.changed), ("unchanged", self.unchanged), ("failed", self.failed)];
        let mut rows: Vec<Vec<String>> =
            counts.iter().map(|(word, count)| vec![(*word).to_owned(), count.to_string()]).collect();
        rows.extend(self.fields.iter().map(|(field, count)| vec![format!("  {field}"), count.to_string()]));
        print!("{}", table::lay_out(&["outcome", "messages"], &rows));
        for (id, reason) in &self.failures {
            println!("message {id}: {reason}");
        }
    }
}
