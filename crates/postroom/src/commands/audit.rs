//! `postroom audit`: the audit log from the operator's shell, and whether it is what was written.

use super::{Output, failed, table, with_desk_from};
use crate::config::Config;
use postroom_core::actor::Actor;
use postroom_core::audit::AuditRow;
use postroom_core::operations::audit;
use postroom_core::page::{PageRequest, Position};
use postroom_core::store::audit::AuditFilter;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Hold the whole log against itself. The exit code is 1 where a row was changed, removed or slipped in.
    Verify {
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Show the newest rows, newest first.
    List {
        /// Of this kind, again for each: sign_in.failed, token.created …
        #[arg(long = "kind", value_name = "KIND")]
        kinds: Vec<String>,
        /// Rows at the most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
}

pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<ExitCode> {
    let system = Actor::system();
    with_desk_from(config, false, |desk| match command {
        Command::Verify { output } => {
            let seen = desk.read_here(&system, audit::verify).map_err(failed)?;
            match output {
                Output::Json => println!("{}", serde_json::to_string(&seen)?),
                Output::Table => {
                    println!("{} rows were read, of which {} are redacted", seen.rows, seen.redacted);
                    match (&seen.fault, &seen.head) {
                        (Some(fault), _) => println!("row {}: {}", fault.id, fault.what),
                        (None, Some(head)) => println!("the log is whole; its last hash is {head}"),
                        (None, None) => println!("the log is empty"),
                    }
                }
            }
            Ok(if seen.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::List { kinds, limit, output } => {
            let filter = AuditFilter { kinds, ..AuditFilter::default() };
            let mut rows = Vec::new();
            let mut after: Option<Position> = None;
            while rows.len() < limit {
                let left = u16::try_from(limit - rows.len()).unwrap_or(PageRequest::MAX);
                let request = PageRequest { limit: left.min(PageRequest::MAX), after, count: false };
                let page = desk.read_here(&system, |cx| audit::list(cx, &filter, request)).map_err(failed)?;
                rows.extend(page.items);
                after = page.next.and_then(|at| at.number());
                if after.is_none() {
                    break;
                }
            }
            match output {
                Output::Json => println!("{}", serde_json::Value::Array(rows.iter().map(json).collect())),
                Output::Table => {
                    let lines: Vec<_> = rows.iter().map(line).collect();
                    print!("{}", table::lay_out(&["id", "time", "kind", "by", "from", "data"], &lines));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    })
}

fn json(row: &AuditRow) -> serde_json::Value {
    let details = row.details();
    serde_json::json!({
        "id": row.id, "kind": row.kind, "created_at": row.created_at,
        "actor": {"type": row.actor_type, "id": row.actor_id, "name": details.actor_name,
            "token_id": details.token_id},
        "address": details.address, "user_agent": details.user_agent, "data": details.data,
        "redacted": row.details.is_none(), "hash": row.hash,
    })
}

fn line(row: &AuditRow) -> Vec<String> {
    let details = row.details();
    let data = serde_json::Value::Object(details.data).to_string();
    vec![
        row.id.to_string(),
        row.created_at.to_string()[..19].to_owned(),
        row.kind.clone(),
        details.actor_name.unwrap_or_else(|| row.actor_type.to_string()),
        details.address.unwrap_or_default(),
        data,
    ]
}
