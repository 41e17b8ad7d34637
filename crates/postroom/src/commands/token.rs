//! `postroom token`: access tokens from the operator's shell.

use super::{Output, failed, table, with_desk_from};
use crate::config::Config;
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::id::{AgentId, MailboxId, TokenId};
use postroom_core::operations::roles;
use postroom_core::operations::tokens::{self, NewToken};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, alone, on standard output. It is shown this once.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it may be used for, again for each; without it everything.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// Only in this mailbox, by number; again for each.
        #[arg(long = "mailbox", value_name = "ID")]
        mailboxes: Vec<i64>,
        /// It speaks for this agent, by number, with what the agent may do.
        #[arg(long, value_name = "ID")]
        agent: Option<i64>,
        /// Only for callers from this network or address (192.0.2.0/24); again for each.
        #[arg(long = "network", value_name = "NETWORK")]
        networks: Vec<String>,
        /// When it ends: 90d, 12h, 30m.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// Show all tokens, without their secrets.
    List {
        /// How to answer.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// End a token at once.
    Revoke {
        /// Its id: tok_…
        id: String,
    },
}

pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<ExitCode> {
    let system = Actor::system();
    let begins = matches!(command, Command::Create { .. });
    with_desk_from(config, begins, |desk| {
        match command {
            Command::Create { name, scopes, mailboxes, agent, networks, expires } => {
                let narrowed = !scopes.is_empty();
                let allowed = match agent.map(AgentId) {
                    Some(agent) if !narrowed => {
                        desk.read_here(&system, |cx| roles::scopes_of(cx, agent)).map_err(failed)?
                    }
                    _ => Scope::ALL.to_vec(),
                };
                let new = NewToken {
                    name,
                    agent_id: agent.map(AgentId),
                    scopes: if narrowed { scopes } else { allowed },
                    mailbox_ids: (!mailboxes.is_empty())
                        .then(|| mailboxes.into_iter().map(MailboxId).collect()),
                    allowed_networks: (!networks.is_empty()).then_some(networks),
                    expires_at: expires.map(|expires| desk.now().plus(expires)),
                };
                let (_, secret) = desk.write_here(&system, |cx| tokens::create(cx, &new)).map_err(failed)?;
                println!("{secret}");
                if !narrowed {
                    eprintln!(
                        "This token may do everything. Narrow the next one with --scope and --mailbox."
                    );
                }
            }
            Command::List { output } => {
                let tokens = desk.read_here(&system, tokens::list).map_err(failed)?;
                show(&tokens, output);
            }
            Command::Revoke { id } => {
                let id = TokenId(id);
                desk.write_here(&system, |cx| tokens::revoke(cx, &id)).map_err(failed)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn show(tokens: &[postroom_core::people::Token], output: Output) {
    let time = |at: Option<postroom_core::time::Timestamp>| at.map(|at| at.to_string()[..19].to_owned());
    if output == Output::Json {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                serde_json::json!({
                    "id": token.id, "name": token.name, "agent_id": token.agent_id, "scopes": token.scopes,
                    "mailbox_ids": token.mailbox_ids, "allowed_networks": token.allowed_networks, "expires_at": token.expires_at,
                    "last_used_at": token.last_used_at, "created_at": token.created_at,
                })
            })
            .collect();
        println!("{}", serde_json::Value::Array(rows));
        return;
    }
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            vec![
                token.id.to_string(),
                token.name.clone(),
                token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
                time(token.expires_at).unwrap_or_else(|| "never".to_owned()),
                time(token.last_used_at).unwrap_or_else(|| "never".to_owned()),
            ]
        })
        .collect();
    print!("{}", table::lay_out(&["id", "name", "scopes", "expires", "last used"], &rows));
}

/// `90d`, `12h`, `30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let fault = || "write a number and d, h or m, such as 90d".to_owned();
    let unit = text.chars().last().ok_or_else(fault)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| fault())?;
    let seconds = match unit {
        'd' => 24 * 60 * 60,
        'h' => 60 * 60,
        'm' => 60,
        _ => return Err(fault()),
    };
    number.checked_mul(seconds).filter(|all| *all > 0).map(Duration::from_secs).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(12 * 3_600)));
        for wrong in ["", "d", "90", "0d", "-1d", "1w", "9999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
