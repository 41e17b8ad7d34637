//! How teams' conversations are given out, and whose turn it is.

use crate::conversation::{Conversation, Status};
use crate::distribution::{Distribution, DistributionMethod};
use crate::id::{AgentId, ConversationId, TeamId};
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{conversations, distribution_turns, distributions};
use crate::store::{StoreError, put_one};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// How a team's are given out; `None`: nobody has said so yet.
pub fn find(conn: &mut Conn, id: TeamId) -> Result<Option<Distribution>, StoreError> {
    Ok(distributions::table.find(id).select(Distribution::as_select()).first(conn).optional()?)
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(conn: &mut Conn, before: &Distribution, after: &Distribution) -> Result<bool, StoreError> {
    put_one!(conn, distributions, team_id, before, after)
}

/// Those that give out by themselves.
pub fn active(conn: &mut Conn) -> Result<Vec<Distribution>, StoreError> {
    Ok(distributions::table
        .filter(distributions::method.ne(DistributionMethod::Manual))
        .order(distributions::team_id.asc())
        .select(Distribution::as_select())
        .load(conn)?)
}

/// Conversations of a team that are open and nobody's, behind one of them, the oldest first.
pub fn waiting(
    conn: &mut Conn,
    team: TeamId,
    after: ConversationId,
    limit: i64,
) -> Result<Vec<Conversation>, StoreError> {
    Ok(in_turn(team, after, limit).select(Conversation::as_select()).load(conn)?)
}

/// [`waiting`] as a query; a test asks EXPLAIN about it.
pub fn in_turn<'q>(
    team: TeamId,
    after: ConversationId,
    limit: i64,
) -> conversations::BoxedQuery<'q, MultiBackend> {
    queue(team).filter(conversations::id.gt(after)).order(conversations::id.asc()).limit(limit)
}

/// How many wait.
pub fn count_waiting(conn: &mut Conn, team: TeamId) -> Result<i64, StoreError> {
    Ok(queue(team).count().get_result(conn)?)
}

/// In the words of the index.
fn queue<'q>(team: TeamId) -> conversations::BoxedQuery<'q, MultiBackend> {
    conversations::table
        .into_boxed()
        .filter(conversations::team_id.assume_not_null().eq(team))
        .filter(conversations::status.eq(Status::Open))
        .filter(conversations::assignee_id.is_null())
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::merged_into.is_null())
}

/// Conversations of these agents in these states that nobody has put away.
pub fn owned<'q>(
    agents: &[AgentId],
    states: &'static [Status],
) -> conversations::BoxedQuery<'q, MultiBackend> {
    conversations::table
        .into_boxed()
        .filter(conversations::assignee_id.is_not_null())
        .filter(conversations::assignee_id.assume_not_null().eq_any(agents.to_vec()))
        .filter(conversations::status.eq_any(states))
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::merged_into.is_null())
}

/// So many of [`owned`].
pub fn list_owned(
    conn: &mut Conn,
    agents: &[AgentId],
    states: &'static [Status],
    limit: i64,
) -> Result<Vec<Conversation>, StoreError> {
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    Ok(owned(agents, states).limit(limit).select(Conversation::as_select()).load(conn)?)
}

/// How many of [`owned`] one agent has.
pub fn count_owned(conn: &mut Conn, agent: AgentId, states: &'static [Status]) -> Result<i64, StoreError> {
    Ok(owned(&[agent], states).count().get_result(conn)?)
}

/// How many open conversations each of these has; who has none is left out.
pub fn loads(conn: &mut Conn, agents: &[AgentId]) -> Result<HashMap<AgentId, i64>, StoreError> {
    if agents.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Option<AgentId>, i64)> = conversations::table
        .filter(conversations::assignee_id.is_not_null())
        .filter(conversations::assignee_id.assume_not_null().eq_any(agents))
        .filter(conversations::status.eq(Status::Open))
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::merged_into.is_null())
        .group_by(conversations::assignee_id)
        .select((conversations::assignee_id, diesel::dsl::count_star()))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(agent, count)| Some((agent?, count))).collect())
}

/// When the members of a team last got something.
pub fn turns(conn: &mut Conn, team: TeamId) -> Result<HashMap<AgentId, Timestamp>, StoreError> {
    let rows: Vec<(AgentId, Timestamp)> = distribution_turns::table
        .filter(distribution_turns::team_id.eq(team))
        .select((distribution_turns::agent_id, distribution_turns::given_at))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Notes that a member got something.
pub fn put_turn(conn: &mut Conn, team: TeamId, agent: AgentId, at: Timestamp) -> Result<(), StoreError> {
    let row = (
        distribution_turns::team_id.eq(team),
        distribution_turns::agent_id.eq(agent),
        distribution_turns::given_at.eq(at),
    );
    each_backend!(conn => diesel::insert_into(distribution_turns::table)
        .values(row)
        .on_conflict((distribution_turns::team_id, distribution_turns::agent_id))
        .do_update()
        .set(distribution_turns::given_at.eq(at))
        .execute(conn))?;
    Ok(())
}
