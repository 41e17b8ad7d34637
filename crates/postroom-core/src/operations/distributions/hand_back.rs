//! What goes back to its team: whose owner has stopped, or is away and leaves it to others.

use super::Move;
use crate::conversation::{Conversation, Status};
use crate::cx::Cx;
use crate::id::AgentId;
use crate::{Error, store};

/// What whoever stopped leaves behind.
const LEFT: &[Status] = &[Status::Open, Status::Pending, Status::Snoozed];
/// What whoever is away leaves to others. The rest goes back when it opens again.
const URGENT: &[Status] = &[Status::Open];

/// So much of it.
pub(super) fn plan(cx: &mut Cx<'_>, limit: usize) -> Result<Vec<Move>, Error> {
    let stopped = store::availabilities::stopped(cx.conn)?;
    let mut moves = of(cx, &stopped, LEFT, "agent_disabled", limit)?;
    if moves.len() < limit {
        let away = store::availabilities::handing_back(cx.conn, cx.now)?;
        let away: Vec<AgentId> = away.into_iter().filter(|agent| !stopped.contains(agent)).collect();
        moves.extend(of(cx, &away, URGENT, "agent_away", limit - moves.len())?);
    }
    Ok(moves)
}

fn of(
    cx: &mut Cx<'_>,
    agents: &[AgentId],
    states: &'static [Status],
    reason: &'static str,
    limit: usize,
) -> Result<Vec<Move>, Error> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let left = store::distributions::list_owned(cx.conn, agents, states, most)?;
    let mut moves = Vec::with_capacity(left.len());
    for before in left {
        let team_id = match before.team_id {
            Some(team) => Some(team),
            None => store::mailbox_routing::team_of(cx.conn, before.mailbox_id)?,
        };
        let after = Conversation { assignee_id: None, team_id, ..before.clone() };
        moves.push(Move { before, after, reason, turn: None });
    }
    Ok(moves)
}
