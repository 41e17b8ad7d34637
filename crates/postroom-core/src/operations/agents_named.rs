//! What still names an agent: for whoever is about to let somebody go.

use super::tokens::require_whole_sight;
use crate::access::Scope;
use crate::conversation::Status;
use crate::cx::Cx;
use crate::id::AgentId;
use crate::people::Team;
use crate::query::{Condition, Query, Whom};
use crate::view::{View, Visibility};
use crate::watchdog::Watchdog;
use crate::{Error, store};

/// What names an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBy {
    /// Open, pending and snoozed conversations of theirs.
    pub conversations: i64,
    /// Teams that they are in.
    pub teams: Vec<Team>,
    /// Views that are shared and ask for them.
    pub views: Vec<View>,
    /// Watchdogs that tell them, or ask for what is theirs.
    pub watchdogs: Vec<Watchdog>,
}

/// What names an agent.
pub fn find(cx: &mut Cx<'_>, id: AgentId) -> Result<NamedBy, Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)?;
    store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    let mut views = store::views::all(cx.conn)?;
    // What somebody keeps for themselves is nobody else's to read.
    views.retain(|view| view.visibility != Visibility::Me && asks_for(&view.query, id));
    let mut watchdogs = store::watchdogs::list(cx.conn)?;
    watchdogs.retain(|watchdog| {
        asks_for(&watchdog.query, id) || watchdog.steps.iter().any(|step| step.agent_ids.contains(&id))
    });
    Ok(NamedBy {
        conversations: store::distributions::count_owned(
            cx.conn,
            id,
            &[Status::Open, Status::Pending, Status::Snoozed],
        )?,
        teams: store::people::teams_with(cx.conn, id)?,
        views,
        watchdogs,
    })
}

fn asks_for(query: &str, id: AgentId) -> bool {
    let names = |condition: &Condition| match condition {
        Condition::Assignee(all) | Condition::Follower(all) => all.contains(&Whom::Agent(id)),
        _ => false,
    };
    query.parse::<Query>().is_ok_and(|query| query.terms.iter().any(|term| names(&term.condition)))
}
