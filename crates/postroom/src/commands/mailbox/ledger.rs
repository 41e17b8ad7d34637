//! `postroom mailbox ledger` and `postroom mailbox retry`: what became of every mail, and another try.

use super::named;
use crate::commands::{Output, Refusal, failed, table};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::LedgerId;
use postroom_core::intake::Verdict;
use postroom_core::operations::ledger::{self, LedgerCard};
use postroom_core::page::PageRequest;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// The mailbox: its name, its number or one of its addresses.
    mailbox: String,
    /// Only with this verdict, again for each.
    #[arg(long = "verdict")]
    verdicts: Vec<Verdict>,
    /// The most rows.
    #[arg(long, default_value_t = 50)]
    limit: u16,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Retry {
    /// The mailbox: its name, its number or one of its addresses.
    mailbox: String,
    /// The row of its ledger.
    row: i64,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

impl Arguments {
    pub(super) fn run(&self, desk: &Desk) -> anyhow::Result<ExitCode> {
        let id = named(desk, &self.mailbox).map_err(Refusal::into_error)?.id;
        let request = PageRequest { limit: self.limit, after: None, count: false };
        let page = desk
            .read_here(&Actor::system(), |cx| ledger::list(cx, id, &self.verdicts, request))
            .map_err(failed)?;
        show(&page.items, self.output);
        Ok(ExitCode::SUCCESS)
    }
}

impl Retry {
    /// A mail that fails again is exit code 1; one that waits for the next poll is not, nor is one that
    /// is here already.
    pub(super) fn run(&self, desk: &Desk) -> anyhow::Result<ExitCode> {
        let id = named(desk, &self.mailbox).map_err(Refusal::into_error)?.id;
        let (system, row) = (Actor::system(), LedgerId(self.row));
        let before = desk.read_here(&system, |cx| ledger::find(cx, id, row)).map_err(failed)?.entry.verdict;
        let card = desk.retry_here(&system, id, row).map_err(failed)?;
        if matches!(before, Verdict::Accepted | Verdict::Duplicate) {
            eprintln!("postroom: nothing was done: this mail is here already ({before})");
        }
        let failed_again = card.entry.verdict == Verdict::Quarantined;
        show(&[card], self.output);
        Ok(if failed_again { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn show(cards: &[LedgerCard], output: Output) {
    if output == Output::Json {
        let rows: Vec<Value> = cards.iter().map(row).collect();
        println!("{}", Value::Array(rows));
        return;
    }
    let rows: Vec<Vec<String>> = cards
        .iter()
        .map(|LedgerCard { entry, conversation_id }| {
            vec![
                entry.id.to_string(),
                entry.created_at.to_string()[..19].to_owned(),
                entry.folder.clone(),
                entry.location.clone(),
                entry.verdict.to_string(),
                entry.size.to_string(),
                conversation_id.map(|id| id.to_string()).unwrap_or_default(),
                entry.next_try_at.map(|at| at.to_string()[..19].to_owned()).unwrap_or_default(),
                entry.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let headings =
        ["row", "seen", "folder", "location", "verdict", "bytes", "conversation", "next try", "reason"];
    print!("{}", table::lay_out(&headings, &rows));
}

fn row(LedgerCard { entry, conversation_id }: &LedgerCard) -> Value {
    json!({
        "id": entry.id, "folder": entry.folder, "location": entry.location, "uid": entry.uid,
        "verdict": entry.verdict, "reason": entry.reason, "message_id": entry.message_id,
        "conversation_id": conversation_id, "has_raw": entry.raw_hash.is_some(), "size": entry.size,
        "received_at": entry.internal_date, "next_try_at": entry.next_try_at, "created_at": entry.created_at,
    })
}
