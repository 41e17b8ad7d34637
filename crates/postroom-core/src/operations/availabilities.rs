//! Whether agents take work: what they say, their hours, their absences.

use super::tokens::require_whole_sight;
use super::{overtaken, require_version, schedules};
use crate::access::Scope;
use crate::availability::{
    ABSENCES, Absence, Availability, AvailabilityState, NOTE_CHARS, OPEN_LIMIT, Unavailable,
};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{AbsenceId, AgentId, ScheduleId};
use crate::page::Page;
use crate::people::Agent;
use crate::schedule::opening::Opening;
use crate::time::Timestamp;
use crate::{Error, store};
use std::collections::HashMap;
use std::time::Duration;

/// The longest absence: two years.
const LONGEST: Duration = Duration::from_hours(2 * 366 * 24);

/// Whether an agent takes work just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is written down.
    pub availability: Availability,
    /// What they say just now: what held for a time may be over.
    pub state: AvailabilityState,
    /// Why they get nothing new; `None`: they do.
    pub unavailable: Option<Unavailable>,
    /// When that is over, as far as it is known.
    pub available_at: Option<Timestamp>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AvailabilityChange {
    /// What they say.
    pub state: Option<AvailabilityState>,
    /// Until when; `Some(None)`: until they say otherwise. With another state and without this, it ends.
    pub until: Option<Option<Timestamp>>,
    /// Their hours.
    pub schedule_id: Option<Option<ScheduleId>>,
    /// How many open conversations they have at the most.
    pub open_limit: Option<Option<i32>>,
}

/// An absence to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAbsence {
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Whether what is open goes back meanwhile.
    pub reassign: bool,
    /// What for.
    pub note: Option<String>,
}

/// A page of how all agents stand, which `cut` takes out of all of them.
pub fn page(cx: &mut Cx<'_>, cut: impl FnOnce(Vec<Agent>) -> Page<Agent>) -> Result<Page<Standing>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let Page { items, next, total } = cut(store::people::agents(cx.conn)?);
    Ok(Page { items: of(cx, &items)?, next, total })
}

/// How an agent stands.
pub fn find(cx: &mut Cx<'_>, id: AgentId) -> Result<Standing, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let agent = agent(cx, id)?;
    one(cx, &agent)
}

fn agent(cx: &mut Cx<'_>, id: AgentId) -> Result<Agent, Error> {
    store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))
}

fn one(cx: &mut Cx<'_>, agent: &Agent) -> Result<Standing, Error> {
    of(cx, std::slice::from_ref(agent))?.pop().ok_or(Error::NotFound("agent"))
}

/// How these agents stand, in their order.
pub(super) fn of(cx: &mut Cx<'_>, agents: &[Agent]) -> Result<Vec<Standing>, Error> {
    let ids: Vec<AgentId> = agents.iter().map(|agent| agent.id).collect();
    let mut known = store::availabilities::of(cx.conn, &ids)?;
    let absent = store::availabilities::absent(cx.conn, &ids, cx.now)?;
    let mut openings = HashMap::new();
    let mut all = Vec::with_capacity(agents.len());
    for agent in agents {
        let availability = known.remove(&agent.id).unwrap_or_else(|| Availability::unchanged(agent.id));
        let hours = match availability.schedule_id {
            Some(id) => opening(cx, &mut openings, id)?,
            None => None,
        };
        let back = absent.get(&agent.id).copied();
        all.push(standing(agent, availability, back, hours.as_ref(), cx.now));
    }
    Ok(all)
}

/// How a schedule stands, looked up once. A schedule that can't be asked (its time zone is gone from this machine)
/// keeps nobody away.
fn opening(
    cx: &mut Cx<'_>,
    known: &mut HashMap<ScheduleId, Option<Opening>>,
    id: ScheduleId,
) -> Result<Option<Opening>, Error> {
    if let Some(opening) = known.get(&id) {
        return Ok(opening.clone());
    }
    let found = store::schedules::find(cx.conn, id)?;
    let opening = match found.map(|schedule| schedules::timetable(&schedule)) {
        Some(Ok(timetable)) => Some(timetable.opening(cx.now)),
        Some(Err(error)) => {
            tracing::warn!(%error, schedule = %id, "an agent's hours are not looked at");
            None
        }
        None => None,
    };
    known.insert(id, opening.clone());
    Ok(opening)
}

fn standing(
    agent: &Agent,
    availability: Availability,
    back: Option<Timestamp>,
    hours: Option<&Opening>,
    now: Timestamp,
) -> Standing {
    let state = availability.state_at(now);
    let (unavailable, available_at) = if agent.disabled_at.is_some() {
        (Some(Unavailable::Disabled), None)
    } else if state != AvailabilityState::Online {
        (Some(Unavailable::Away), availability.until)
    } else if back.is_some() {
        (Some(Unavailable::Absent), back)
    } else if let Some(hours) = hours.filter(|hours| !hours.is_open) {
        (Some(Unavailable::OutOfHours), hours.next_opening)
    } else {
        (None, None)
    };
    Standing { availability, state, unavailable, available_at }
}

/// Whoever is meant, or sets the desk up.
fn require_own(cx: &Cx<'_>, id: AgentId) -> Result<(), Error> {
    if cx.actor.agent_id == Some(id) {
        return cx.access().require(Scope::NotesWrite);
    }
    require_admin(cx)
}

fn require_admin(cx: &Cx<'_>) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)
}

/// Changes whether an agent takes work. Agents say for themselves whether they are there; hours and limits are set
/// by those who set the desk up.
pub fn update(
    cx: &mut Cx<'_>,
    id: AgentId,
    expected: Option<&str>,
    change: &AvailabilityChange,
) -> Result<Standing, Error> {
    require_own(cx, id)?;
    if change.schedule_id.is_some() || change.open_limit.is_some() {
        require_admin(cx)?;
    }
    let agent = agent(cx, id)?;
    let before = store::availabilities::of(cx.conn, &[id])?.remove(&id);
    let before = before.unwrap_or_else(|| Availability::unchanged(id));
    require_version("availability", expected, before.etag())?;
    let after = changed(&before, change);
    check(cx, &after, change)?;
    let mut changes = Changes::default();
    changes.note("state", &before.state, &after.state);
    changes.note("until", &before.until, &after.until);
    changes.note("schedule_id", &before.schedule_id, &after.schedule_id);
    changes.note("open_limit", &before.open_limit, &after.open_limit);
    if changes.is_empty() {
        return one(cx, &agent);
    }
    let after = Availability { version: before.version + 1, updated_at: cx.now, ..after };
    if !store::availabilities::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    tell(cx, id, |event| event.changing(changes));
    one(cx, &agent)
}

fn changed(before: &Availability, change: &AvailabilityChange) -> Availability {
    let state = change.state.unwrap_or(before.state);
    // What held for a time holds no longer once something else is said.
    let until = change.until.unwrap_or(if state == before.state { before.until } else { None });
    Availability {
        state,
        until,
        schedule_id: change.schedule_id.unwrap_or(before.schedule_id),
        open_limit: change.open_limit.unwrap_or(before.open_limit),
        ..before.clone()
    }
}

fn check(cx: &mut Cx<'_>, after: &Availability, change: &AvailabilityChange) -> Result<(), Error> {
    let mut faults = Faults::default();
    if let Some(Some(until)) = change.until {
        if after.state == AvailabilityState::Online {
            faults.add(
                "/until",
                "not_allowed",
                "goes with away and away_reassign: online holds until you are not",
            );
        } else if until <= cx.now {
            faults.add("/until", "in_the_past", "must be in the future");
        }
    }
    if let Some(Some(schedule)) = change.schedule_id
        && store::schedules::find(cx.conn, schedule)?.is_none()
    {
        faults.add("/schedule_id", "not_found", "there is no such schedule");
    }
    limit(&mut faults, change.open_limit.flatten());
    faults.check()
}

/// Notes a limit of open conversations that is none.
pub(super) fn limit(faults: &mut Faults, limit: Option<i32>) {
    if limit.is_some_and(|limit| !(1..=OPEN_LIMIT).contains(&limit)) {
        faults.add("/open_limit", "out_of_range", "must be 1 to 10,000, or null for no limit");
    }
}

/// An agent's absences that are not over, the first first.
pub fn absences(cx: &mut Cx<'_>, id: AgentId) -> Result<Vec<Absence>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    agent(cx, id)?;
    Ok(store::availabilities::absences(cx.conn, id, cx.now)?)
}

/// Enters an absence.
pub fn create_absence(cx: &mut Cx<'_>, id: AgentId, new: &NewAbsence) -> Result<Absence, Error> {
    require_own(cx, id)?;
    agent(cx, id)?;
    let mut faults = Faults::default();
    if new.ends_at <= cx.now {
        faults.add("/ends_at", "in_the_past", "must be in the future");
    } else if new.ends_at <= new.starts_at {
        faults.add("/ends_at", "too_early", "must be after starts_at");
    } else if new.ends_at.since(new.starts_at) > LONGEST {
        faults.add("/ends_at", "too_late", "is at most two years after starts_at");
    }
    if let Some(note) = &new.note {
        faults.line("/note", note, NOTE_CHARS);
    }
    faults.check()?;
    if store::availabilities::absences(cx.conn, id, cx.now)?.len() >= ABSENCES {
        return Err(Error::StateConflict(format!(
            "an agent has at most {ABSENCES} absences that are not over; remove one first"
        )));
    }
    let note = new.note.as_deref().map(|note| crate::text::one_line(note, NOTE_CHARS));
    let span = (new.starts_at, new.ends_at);
    let absence =
        store::availabilities::insert_absence(cx.conn, id, span, new.reassign, note.as_deref(), cx.now)?;
    tell(cx, id, |event| event.with("absence_id", absence.id.0));
    Ok(absence)
}

/// Removes an absence.
pub fn delete_absence(cx: &mut Cx<'_>, id: AgentId, absence: AbsenceId) -> Result<(), Error> {
    require_own(cx, id)?;
    let found = store::availabilities::find_absence(cx.conn, id, absence)?;
    found.ok_or(Error::NotFound("absence"))?;
    if !store::availabilities::delete_absence(cx.conn, absence)? {
        return Err(overtaken());
    }
    tell(cx, id, |event| event.with("absence_id", absence.0));
    Ok(())
}

fn tell(cx: &mut Cx<'_>, id: AgentId, what: impl FnOnce(NewEvent) -> NewEvent) {
    let event = NewEvent::new(EventType::AgentAvailabilityChanged, About::default()).with("agent_id", id.0);
    cx.tell(what(event));
}

/// When somebody may come or go by themselves, if that is known.
pub(super) fn next_change(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    let mut next = store::availabilities::next_change(cx.conn, cx.now)?;
    let mut openings = HashMap::new();
    for id in store::availabilities::schedules(cx.conn)? {
        let hours = opening(cx, &mut openings, id)?;
        let turns =
            hours.and_then(|hours| if hours.is_open { hours.next_closing } else { hours.next_opening });
        next = [next, turns].into_iter().flatten().min();
    }
    Ok(next)
}
