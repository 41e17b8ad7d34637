//! Whether agents take work, and when they are absent.

use crate::availability::{Absence, Availability, AvailabilityState};
use crate::id::{AbsenceId, AgentId, ScheduleId};
use crate::store::conn::Conn;
use crate::store::schema::{absences, agents, availabilities};
use crate::store::{StoreError, put_one, returning};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::{HashMap, HashSet};

/// What is known of several agents; those who said nothing are left out.
pub fn of(conn: &mut Conn, ids: &[AgentId]) -> Result<HashMap<AgentId, Availability>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<Availability> = availabilities::table
        .filter(availabilities::agent_id.eq_any(ids))
        .select(Availability::as_select())
        .load(conn)?;
    Ok(found.into_iter().map(|one| (one.agent_id, one)).collect())
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(conn: &mut Conn, before: &Availability, after: &Availability) -> Result<bool, StoreError> {
    put_one!(conn, availabilities, agent_id, before, after)
}

/// The first agent whose hours a schedule has.
pub fn user_of(conn: &mut Conn, schedule: ScheduleId) -> Result<Option<AgentId>, StoreError> {
    Ok(availabilities::table
        .filter(availabilities::schedule_id.eq(schedule))
        .order(availabilities::agent_id.asc())
        .select(availabilities::agent_id)
        .first(conn)
        .optional()?)
}

/// Enters an absence.
pub fn insert_absence(
    conn: &mut Conn,
    agent: AgentId,
    (starts_at, ends_at): (Timestamp, Timestamp),
    reassign: bool,
    note: Option<&str>,
    now: Timestamp,
) -> Result<Absence, StoreError> {
    Ok(diesel::insert_into(absences::table)
        .values((
            absences::agent_id.eq(agent),
            absences::starts_at.eq(starts_at),
            absences::ends_at.eq(ends_at),
            absences::reassign.eq(reassign),
            absences::note.eq(note),
            absences::created_at.eq(now),
        ))
        .returning(returning::<Absence>())
        .get_result(conn)?)
}

/// An agent's absences that are not over, the first first.
pub fn absences(conn: &mut Conn, agent: AgentId, now: Timestamp) -> Result<Vec<Absence>, StoreError> {
    Ok(absences::table
        .filter(absences::agent_id.eq(agent))
        .filter(absences::ends_at.gt(now))
        .order((absences::starts_at.asc(), absences::id.asc()))
        .select(Absence::as_select())
        .load(conn)?)
}

/// One absence of an agent.
pub fn find_absence(conn: &mut Conn, agent: AgentId, id: AbsenceId) -> Result<Option<Absence>, StoreError> {
    Ok(absences::table
        .find(id)
        .filter(absences::agent_id.eq(agent))
        .select(Absence::as_select())
        .first(conn)
        .optional()?)
}

/// Removes an absence. `false`: it is gone already.
pub fn delete_absence(conn: &mut Conn, id: AbsenceId) -> Result<bool, StoreError> {
    Ok(diesel::delete(absences::table.find(id)).execute(conn)? == 1)
}

/// Who of these is absent at a moment, and when they are back.
pub fn absent(
    conn: &mut Conn,
    ids: &[AgentId],
    now: Timestamp,
) -> Result<HashMap<AgentId, Timestamp>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(AgentId, Timestamp)> = absences::table
        .filter(absences::agent_id.eq_any(ids))
        .filter(absences::ends_at.gt(now))
        .filter(absences::starts_at.le(now))
        .select((absences::agent_id, absences::ends_at))
        .load(conn)?;
    let mut back = HashMap::new();
    for (agent, ends) in rows {
        back.entry(agent).and_modify(|until: &mut Timestamp| *until = ends.max(*until)).or_insert(ends);
    }
    Ok(back)
}

/// Who has handed what is open of theirs back, for as long as they are away.
pub fn handing_back(conn: &mut Conn, now: Timestamp) -> Result<Vec<AgentId>, StoreError> {
    let said: Vec<(AgentId, Option<Timestamp>)> = availabilities::table
        .filter(availabilities::state.eq(AvailabilityState::AwayReassign))
        .select((availabilities::agent_id, availabilities::until))
        .load(conn)?;
    let absent: Vec<AgentId> = absences::table
        .filter(absences::ends_at.gt(now))
        .filter(absences::starts_at.le(now))
        .filter(absences::reassign.eq(true))
        .select(absences::agent_id)
        .load(conn)?;
    let said =
        said.into_iter().filter(|(_, until)| until.is_none_or(|until| until > now)).map(|(agent, _)| agent);
    let mut all: Vec<AgentId> = said.chain(absent).collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Who has stopped.
pub fn stopped(conn: &mut Conn) -> Result<Vec<AgentId>, StoreError> {
    Ok(agents::table.filter(agents::disabled_at.is_not_null()).select(agents::id).load(conn)?)
}

/// When the next thing changes by itself: what somebody said is over, or an absence begins or ends.
pub fn next_change(conn: &mut Conn, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let over: Option<Option<Timestamp>> = availabilities::table
        .filter(availabilities::until.assume_not_null().gt(now))
        .order(availabilities::until.asc())
        .select(availabilities::until)
        .first(conn)
        .optional()?;
    let begins: Option<Timestamp> = absences::table
        .filter(absences::starts_at.gt(now))
        .order(absences::starts_at.asc())
        .select(absences::starts_at)
        .first(conn)
        .optional()?;
    let ends: Option<Timestamp> = absences::table
        .filter(absences::ends_at.gt(now))
        .order(absences::ends_at.asc())
        .select(absences::ends_at)
        .first(conn)
        .optional()?;
    Ok([over.flatten(), begins, ends].into_iter().flatten().min())
}

/// Every schedule that some agent's hours are.
pub fn schedules(conn: &mut Conn) -> Result<HashSet<ScheduleId>, StoreError> {
    let all: Vec<Option<ScheduleId>> = availabilities::table
        .filter(availabilities::schedule_id.is_not_null())
        .select(availabilities::schedule_id)
        .distinct()
        .load(conn)?;
    Ok(all.into_iter().flatten().collect())
}
