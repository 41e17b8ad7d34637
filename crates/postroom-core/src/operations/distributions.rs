//! How teams' conversations are given out: set up, and looked at.

mod give;
mod hand_back;

use super::tokens::require_whole_sight;
use super::{availabilities, overtaken, require_version};
use crate::access::Scope;
use crate::availability::Unavailable;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::distribution::{Distribution, DistributionMember, DistributionMethod, Passed};
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{AgentId, TeamId};
use crate::people::Agent;
use crate::time::Timestamp;
use crate::{Error, store};

/// How a team's conversations are given out, and how that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionCard {
    /// How.
    pub distribution: Distribution,
    /// Open conversations of the team that are nobody's.
    pub waiting: i64,
    /// How each member stands.
    pub members: Vec<DistributionMember>,
    /// Who gets the next one that they may see; `None`: nobody does.
    pub next: Option<AgentId>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DistributionChange {
    /// To whom.
    pub method: Option<DistributionMethod>,
    /// How many open ones a member has at the most; `Some(None)` is any number.
    pub open_limit: Option<Option<i32>>,
}

/// How a team's are given out. It tells of conversations everywhere, so that it takes the sight of the whole desk.
pub fn find(cx: &mut Cx<'_>, id: TeamId) -> Result<DistributionCard, Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)?;
    store::people::find_team(cx.conn, id)?.ok_or(Error::NotFound("team"))?;
    let distribution = known(cx, id)?;
    card(cx, distribution)
}

fn known(cx: &mut Cx<'_>, id: TeamId) -> Result<Distribution, Error> {
    Ok(store::distributions::find(cx.conn, id)?.unwrap_or_else(|| Distribution::unchanged(id)))
}

fn card(cx: &mut Cx<'_>, distribution: Distribution) -> Result<DistributionCard, Error> {
    let waiting = store::distributions::count_waiting(cx.conn, distribution.team_id)?;
    let members: Vec<DistributionMember> =
        members(cx, &distribution)?.into_iter().map(|(_, member)| member).collect();
    let free = members.iter().filter(|member| member.passed.is_none());
    let next = distribution.method.next(free).map(|member| member.agent_id);
    Ok(DistributionCard { distribution, waiting, members, next })
}

/// Changes how a team's are given out. What waits is given out at once.
pub fn update(
    cx: &mut Cx<'_>,
    id: TeamId,
    expected: Option<&str>,
    change: DistributionChange,
) -> Result<DistributionCard, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    store::people::find_team(cx.conn, id)?.ok_or(Error::NotFound("team"))?;
    let before = known(cx, id)?;
    require_version("distribution", expected, before.etag())?;
    let mut faults = Faults::default();
    availabilities::limit(&mut faults, change.open_limit.flatten());
    faults.check()?;
    let mut after = before.clone();
    after.method = change.method.unwrap_or(after.method);
    after.open_limit = change.open_limit.unwrap_or(after.open_limit);
    if after == before {
        return card(cx, before);
    }
    (after.version, after.updated_at) = (before.version + 1, cx.now);
    if !store::distributions::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    let mut changes = Changes::default();
    changes.note("method", &before.method, &after.method);
    changes.note("open_limit", &before.open_limit, &after.open_limit);
    let event = NewEvent::new(EventType::TeamDistributionChanged, About::default())
        .with("team_id", id.0)
        .changing(changes);
    cx.tell(event);
    card(cx, after)
}

/// The members of a team, and how each stands.
fn members(cx: &mut Cx<'_>, distribution: &Distribution) -> Result<Vec<(Agent, DistributionMember)>, Error> {
    let team = distribution.team_id;
    let ids = store::people::members(cx.conn, &[team])?.remove(&team).unwrap_or_default().all;
    let agents = store::people::agents_of(cx.conn, &ids)?;
    let standings = availabilities::of(cx, &agents)?;
    let loads = store::distributions::loads(cx.conn, &ids)?;
    let turns = store::distributions::turns(cx.conn, team)?;
    let member = |(agent, standing): (Agent, availabilities::Standing)| {
        let open = loads.get(&agent.id).copied().unwrap_or(0);
        let open_limit = standing.availability.open_limit.or(distribution.open_limit);
        let passed = match standing.unavailable {
            Some(Unavailable::Disabled) => Some(Passed::Disabled),
            Some(Unavailable::Away) => Some(Passed::Away),
            Some(Unavailable::Absent) => Some(Passed::Absent),
            Some(Unavailable::OutOfHours) => Some(Passed::OutOfHours),
            None => is_full(open, open_limit).then_some(Passed::Full),
        };
        let last_given_at = turns.get(&agent.id).copied();
        let member = DistributionMember { agent_id: agent.id, open, open_limit, last_given_at, passed };
        (agent, member)
    };
    Ok(agents.into_iter().zip(standings).map(member).collect())
}

fn is_full(open: i64, limit: Option<i32>) -> bool {
    limit.is_some_and(|limit| open >= i64::from(limit))
}

/// A conversation that changes hands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    before: Conversation,
    after: Conversation,
    reason: &'static str,
    /// Whose turn it was, as members of which team.
    turn: Option<(TeamId, AgentId, Timestamp)>,
}

/// What is to be done now, so much at once: first what goes back, then what is given out.
fn plan(cx: &mut Cx<'_>, limit: usize) -> Result<Vec<Move>, Error> {
    let back = hand_back::plan(cx, limit)?;
    if back.is_empty() { give::plan(cx, limit) } else { Ok(back) }
}

/// Whether anything is to be done now, and when something may be by itself.
pub fn look(cx: &mut Cx<'_>) -> Result<(bool, Option<Timestamp>), Error> {
    let is_due = !plan(cx, 1)?.is_empty();
    Ok((is_due, if is_due { None } else { availabilities::next_change(cx)? }))
}

/// Does so much of what is to be done. Says how many conversations changed hands.
///
/// Whatever somebody else changes meanwhile stays as they left it.
pub fn step(cx: &mut Cx<'_>, limit: usize) -> Result<usize, Error> {
    store::conn::lock_distribution(cx.conn)?;
    let moves = plan(cx, limit)?;
    let mut done = 0;
    for Move { before, after, reason, turn } in moves {
        let Some(written) = store::conversations::update(cx.conn, &before, &after, cx.now)? else { continue };
        super::conversations::tell_assigned(cx, &before, &written, reason);
        if let Some((team, agent, at)) = turn {
            store::distributions::put_turn(cx.conn, team, agent, at)?;
        }
        done += 1;
    }
    Ok(done)
}
