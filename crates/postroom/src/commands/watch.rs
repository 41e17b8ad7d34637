//! `postroom watch`: whether anything waits for an answer for too long, for cron and for monitoring.

use super::{Output, failed, table, with_desk_from};
use crate::config::Config;
use anyhow::bail;
use postroom_core::actor::Actor;
use postroom_core::operations::watchdogs::{self, WatchdogCard};
use std::process::ExitCode;

/// Something waits too long, or a watchdog can't look.
const ALARMED: u8 = 1;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// These watchdogs alone, by name.
    names: Vec<String>,
    /// Those whose alarm somebody has acknowledged count as quiet.
    #[arg(long)]
    unacknowledged: bool,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    with_desk_from(config, false, |desk| {
        let mut cards = desk.read_here(&Actor::system(), watchdogs::list).map_err(failed)?;
        for name in &arguments.names {
            if !cards.iter().any(|card| card.watchdog.name == *name) {
                bail!("there is no watchdog {name:?}");
            }
        }
        cards.retain(|card| arguments.names.is_empty() || arguments.names.contains(&card.watchdog.name));
        match arguments.output {
            Output::Json => println!("{}", serde_json::Value::Array(cards.iter().map(json).collect())),
            Output::Table => {
                let lines: Vec<_> = cards.iter().map(line).collect();
                let headings = ["name", "waiting too long", "longest", "since", "acknowledged by", "broken"];
                print!("{}", table::lay_out(&headings, &lines));
            }
        }
        let is_alarmed = |card: &WatchdogCard| {
            let waits = card.overdue.as_ref().is_some_and(|overdue| overdue.count > 0);
            let is_known = arguments.unacknowledged && card.watchdog.acknowledged_by.is_some();
            card.broken.is_some() || (waits && !is_known)
        };
        Ok(if cards.iter().any(is_alarmed) { ExitCode::from(ALARMED) } else { ExitCode::SUCCESS })
    })
}

fn json(card: &WatchdogCard) -> serde_json::Value {
    let overdue = card.overdue.as_ref();
    let oldest = overdue.and_then(|overdue| overdue.oldest);
    serde_json::json!({
        "id": card.watchdog.id, "name": card.watchdog.name, "enabled": card.watchdog.enabled,
        "count": overdue.map(|overdue| overdue.count), "exact": overdue.map(|overdue| overdue.is_exact),
        "oldest_conversation_id": oldest.map(|(id, _)| id), "waiting_since": oldest.map(|(_, since)| since),
        "acknowledged_by": card.watchdog.acknowledged_by, "broken": card.broken,
    })
}

fn line(card: &WatchdogCard) -> Vec<String> {
    let waiting = match &card.overdue {
        None => "-".to_owned(),
        Some(overdue) if overdue.is_exact => overdue.count.to_string(),
        Some(overdue) => format!("{} and more", overdue.count),
    };
    let oldest = card.overdue.as_ref().and_then(|overdue| overdue.oldest);
    vec![
        card.watchdog.name.clone(),
        waiting,
        oldest.map(|(id, _)| id.to_string()).unwrap_or_default(),
        oldest.map(|(_, since)| since.to_string()[..19].to_owned()).unwrap_or_default(),
        card.watchdog.acknowledged_by.clone().unwrap_or_default(),
        card.broken.clone().unwrap_or_default(),
    ]
}
