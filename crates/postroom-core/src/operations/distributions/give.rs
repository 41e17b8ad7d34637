//! Who gets what waits.

use super::{Move, is_full, members};
use crate::access::{Access, Level};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::distribution::{Distribution, DistributionMember, Passed};
use crate::id::{AgentId, ConversationId};
use crate::operations::roles;
use crate::time::Timestamp;
use crate::{Error, store};
use std::collections::HashMap;

/// Conversations of a team that are looked at in one go: of those that nobody may see who is free, no more are
/// stepped over.
const LOOKED_AT: usize = 1_000;
/// As many are read at once.
const PIECE: i64 = 100;

/// What is given out now, so much at once.
pub(super) fn plan(cx: &mut Cx<'_>, limit: usize) -> Result<Vec<Move>, Error> {
    let mut moves = Vec::new();
    let mut given: HashMap<AgentId, i64> = HashMap::new();
    for distribution in store::distributions::active(cx.conn)? {
        if moves.len() >= limit {
            break;
        }
        of_team(cx, &distribution, limit, &mut given, &mut moves)?;
    }
    Ok(moves)
}

/// A member with what they may see.
struct Taker {
    member: DistributionMember,
    access: Access,
}

fn of_team(
    cx: &mut Cx<'_>,
    distribution: &Distribution,
    limit: usize,
    given: &mut HashMap<AgentId, i64>,
    moves: &mut Vec<Move>,
) -> Result<(), Error> {
    let team = distribution.team_id;
    let mut waiting = store::distributions::waiting(cx.conn, team, ConversationId(0), PIECE)?;
    if waiting.is_empty() {
        return Ok(());
    }
    let mut takers = takers(cx, distribution, given)?;
    let mut looked_at = 0;
    while let Some(last) = waiting.last().map(|conversation| conversation.id) {
        for before in waiting {
            if moves.len() >= limit || takers.iter().all(|taker| taker.member.passed.is_some()) {
                return Ok(());
            }
            let Some(taker) = next(distribution, &mut takers, &before) else { continue };
            let at = turn(&taker.member, cx.now);
            let agent = taker.member.agent_id;
            taker.member.last_given_at = Some(at);
            taker.member.open += 1;
            *given.entry(agent).or_default() += 1;
            if is_full(taker.member.open, taker.member.open_limit) {
                taker.member.passed = Some(Passed::Full);
            }
            let after = Conversation { assignee_id: Some(agent), ..before.clone() };
            moves.push(Move { before, after, reason: "distributed", turn: Some((team, agent, at)) });
        }
        looked_at += usize::try_from(PIECE).unwrap_or(usize::MAX);
        if looked_at >= LOOKED_AT {
            return Ok(());
        }
        waiting = store::distributions::waiting(cx.conn, team, last, PIECE)?;
    }
    Ok(())
}

/// Whoever gets this one, of those who are free and may answer it.
fn next<'t>(
    distribution: &Distribution,
    takers: &'t mut [Taker],
    conversation: &Conversation,
) -> Option<&'t mut Taker> {
    let may = |taker: &&Taker| {
        let owner = Some(taker.member.agent_id);
        taker.access.level(conversation.mailbox_id, conversation.category_id, owner) >= Some(Level::Reply)
    };
    let free = takers.iter().filter(|taker| taker.member.passed.is_none());
    let agent = distribution.method.next(free.filter(may).map(|taker| &taker.member))?.agent_id;
    takers.iter_mut().find(|taker| taker.member.agent_id == agent)
}

/// A turn is later than the one before it, be it in the same microsecond or before a clock that was set back.
fn turn(member: &DistributionMember, now: Timestamp) -> Timestamp {
    member.last_given_at.map_or(now, |last| now.max(Timestamp(last.0 + 1)))
}

/// The members who may get something, with what they may see and what other teams gave them meanwhile.
fn takers(
    cx: &mut Cx<'_>,
    distribution: &Distribution,
    given: &HashMap<AgentId, i64>,
) -> Result<Vec<Taker>, Error> {
    let mut takers = Vec::new();
    for (agent, mut member) in members(cx, distribution)? {
        member.open += given.get(&agent.id).copied().unwrap_or(0);
        if member.passed.is_none() && is_full(member.open, member.open_limit) {
            member.passed = Some(Passed::Full);
        }
        if member.passed.is_none() {
            let access = roles::access_of(cx, &agent)?;
            takers.push(Taker { member, access });
        }
    }
    Ok(takers)
}
