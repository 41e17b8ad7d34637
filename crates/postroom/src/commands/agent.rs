//! `postroom agent`: the people who answer, from the operator's shell.

use super::{Output, failed, table, with_desk_from};
use crate::config::Config;
use postroom_core::access::{Grant, Level, Role};
use postroom_core::actor::Actor;
use postroom_core::id::{AgentId, MailboxId, RoleId};
use postroom_core::listing::Words;
use postroom_core::operations::agents::{self, NewAgent};
use postroom_core::operations::passwords;
use postroom_core::people::AgentCard;
use postroom_core::role::RoleChoice;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add an agent and print the number.
    Create {
        /// The name customers see.
        #[arg(long)]
        name: String,
        /// Where the desk reaches them.
        #[arg(long)]
        email: String,
        /// owner, admin, supervisor, agent or light_agent; or the number of a role (GET /roles).
        #[arg(long, default_value = "agent", value_parser = role)]
        role: RoleChoice,
        /// A mailbox they may answer in, by number; again for each. Roles that open all need none.
        #[arg(long = "mailbox", value_name = "ID")]
        mailboxes: Vec<i64>,
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Invite an agent who has no password yet, by mail if a mailbox can send, and print what sets their first
    /// password: it works once and for a week.
    Invite {
        /// The agent's number.
        id: i64,
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Show all agents.
    List {
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
}

pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<ExitCode> {
    let system = Actor::system();
    let begins = matches!(command, Command::Create { .. });
    with_desk_from(config, begins, |desk| {
        match command {
            Command::Create { name, email, role, mailboxes, output } => {
                let grant = |id| Grant {
                    mailbox_id: MailboxId(id),
                    category_id: None,
                    assigned_only: false,
                    level: Level::Reply,
                };
                let new = NewAgent { name, email, role, grants: mailboxes.into_iter().map(grant).collect() };
                let card = desk.write_here(&system, |cx| agents::create(cx, &new)).map_err(failed)?;
                match output {
                    Output::Json => println!("{}", json(&card)),
                    Output::Table => println!("{}", card.agent.id),
                }
            }
            Command::Invite { id, output } => {
                let made =
                    desk.write_here(&system, |cx| passwords::invite(cx, AgentId(id))).map_err(failed)?;
                match output {
                    Output::Json => println!(
                        "{}",
                        serde_json::json!({
                            "agent_id": id, "token": made.secret, "mailed": made.mailed,
                            "expires_at": made.expires_at,
                        })
                    ),
                    Output::Table => println!("{}", made.secret),
                }
            }
            Command::List { output } => {
                let all =
                    desk.read_here(&system, |cx| agents::list(cx, &Words::default())).map_err(failed)?;
                match output {
                    Output::Json => println!("{}", serde_json::Value::Array(all.iter().map(json).collect())),
                    Output::Table => print!(
                        "{}",
                        table::lay_out(&["id", "name", "email", "role", "mailboxes"], &rows(&all))
                    ),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A role by its word or its number.
fn role(text: &str) -> Result<RoleChoice, String> {
    if let Ok(number) = text.parse().map(RoleId) {
        return Ok(Role::of_id(number).map_or(RoleChoice::Custom(number), RoleChoice::BuiltIn));
    }
    match text.parse()? {
        Role::Custom => Err("say which one, by its number".to_owned()),
        role => Ok(RoleChoice::BuiltIn(role)),
    }
}

fn json(card: &AgentCard) -> serde_json::Value {
    serde_json::json!({
        "id": card.agent.id, "name": card.agent.name, "email": card.agent.email, "role": card.agent.role,
        "role_id": card.agent.custom_role_id.or_else(|| card.agent.role.id()),
        "disabled": card.agent.disabled_at.is_some(),
        "mailbox_ids": card.grants.iter().map(|grant| grant.mailbox_id).collect::<Vec<_>>(),
    })
}

fn rows(all: &[AgentCard]) -> Vec<Vec<String>> {
    let mailboxes = |card: &AgentCard| match card.agent.role {
        Role::Agent | Role::LightAgent | Role::Custom => {
            card.grants.iter().map(|g| g.mailbox_id.to_string()).collect::<Vec<_>>().join(" ")
        }
        _ => "all".to_owned(),
    };
    all.iter()
        .map(|card| {
            vec![
                card.agent.id.to_string(),
                card.agent.name.clone(),
                card.agent.email.clone(),
                card.agent.role.to_string(),
                mailboxes(card),
            ]
        })
        .collect()
}
