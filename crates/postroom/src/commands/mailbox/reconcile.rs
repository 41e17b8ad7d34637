//! `postroom mailbox reconcile`: is every mail accounted for? The exit code tells.

use super::named;
use crate::commands::{Output, Refusal, chain, failed, table, with_desk};
use crate::config::Config;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::reconcile::Reconciliation;
use std::process::ExitCode;

/// It could not be found out.
const UNKNOWN: u8 = 2;
/// Missing mails that a table names.
const NAMED: usize = 20;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// The mailbox: its name, its number or one of its addresses.
    mailbox: String,
    /// Have the next poll of the running daemon fetch what is missing.
    #[arg(long)]
    repair: bool,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

impl Arguments {
    pub(super) fn run(&self, config: &Config) -> ExitCode {
        match with_desk(config, |desk| self.reconcile(desk)) {
            Ok(report) if report.lacks() => ExitCode::FAILURE,
            Ok(report) if report.complete => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(UNKNOWN),
            Err(error) => {
                eprintln!("postroom: {}", chain(&error));
                ExitCode::from(UNKNOWN)
            }
        }
    }

    fn reconcile(&self, desk: &Desk) -> anyhow::Result<Reconciliation> {
        let id = named(desk, &self.mailbox).map_err(Refusal::into_error)?.id;
        let report = desk.reconcile_here(&Actor::system(), id, self.repair).map_err(failed)?;
        match self.output {
            Output::Json => println!("{}", serde_json::json!(report)),
            Output::Table => show(&report),
        }
        Ok(report)
    }
}

fn show(report: &Reconciliation) {
    let rows: Vec<Vec<String>> = report
        .folders
        .iter()
        .map(|folder| {
            let counts = [
                folder.on_server,
                folder.known,
                folder.put_aside,
                folder.waiting,
                folder.unread,
                folder.overdue,
                folder.not_wanted,
                folder.missing,
                folder.gone,
            ];
            let mut row = vec![folder.folder.clone()];
            row.extend(counts.iter().map(i64::to_string));
            row.push(folder.error.clone().unwrap_or_default());
            row
        })
        .collect();
    let headings = [
        "folder",
        "on server",
        "known",
        "put aside",
        "waiting",
        "unread",
        "overdue",
        "not wanted",
        "missing",
        "gone",
        "error",
    ];
    print!("{}", table::lay_out(&headings, &rows));
    for folder in report.folders.iter().filter(|folder| folder.missing > 0) {
        for mail in folder.missing_mails.iter().take(NAMED) {
            let about = [("", mail.from.as_deref()), ("about ", mail.subject.as_deref())];
            let about = about.iter().filter_map(|(word, line)| Some(format!(" {word}{}", line.as_ref()?)));
            println!("missing in {}: {}{}", folder.folder, mail.location, about.collect::<String>());
        }
        let named = folder.missing_mails.len().min(NAMED);
        let more = usize::try_from(folder.missing).unwrap_or(usize::MAX).saturating_sub(named);
        if more > 0 {
            println!("missing in {}: {more} more", folder.folder);
        }
    }
    if report.folders.iter().any(|folder| folder.put_aside > 0) {
        println!(
            "what was put aside is tried again by itself: postroom mailbox ledger --verdict quarantined"
        );
    }
    if report.planned > 0 {
        println!("{} are fetched by the next poll", report.planned);
    }
}
