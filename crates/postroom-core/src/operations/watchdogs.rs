//! Watchdogs: set up, looked at, acknowledged.

mod look;

pub use look::{Turn, look, next_step, overdue, turn, waits_since};

use super::tokens::require_whole_sight;
use super::{custom_fields, overtaken, require_version};
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{ScheduleId, WatchdogId};
use crate::query::{Condition, Query};
use crate::watchdog::{EscalationStep, Form, NAME_CHARS, Overdue, TOLD, WATCHDOGS, Watchdog, WatchdogState};
use crate::{Error, store};

/// A watchdog with what it sees just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchdogCard {
    /// The watchdog.
    pub watchdog: Watchdog,
    /// What waits too long; `None` where it does not look, or can't: then `broken` says why.
    pub overdue: Option<Overdue>,
    /// Why it can't look: a field that it asks for is gone, or its schedule's time zone.
    pub broken: Option<String>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchdogChange {
    /// What people call it.
    pub name: Option<String>,
    /// Of which conversations.
    pub query: Option<String>,
    /// How long one may wait.
    pub wait_seconds: Option<i32>,
    /// Only while this is open.
    pub schedule_id: Option<Option<ScheduleId>>,
    /// Who is told, and when.
    pub steps: Option<Vec<EscalationStep>>,
    /// It looks.
    pub enabled: Option<bool>,
}

/// Every watchdog. They tell of conversations everywhere, so that it takes the sight of the whole desk.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<WatchdogCard>, Error> {
    require_read(cx)?;
    let all = store::watchdogs::list(cx.conn)?;
    all.into_iter().map(|watchdog| card(cx, watchdog)).collect()
}

/// One watchdog.
pub fn find(cx: &mut Cx<'_>, id: WatchdogId) -> Result<WatchdogCard, Error> {
    require_read(cx)?;
    let watchdog = existing(cx, id)?;
    card(cx, watchdog)
}

fn require_read(cx: &Cx<'_>) -> Result<(), Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)
}

fn require_set_up(cx: &Cx<'_>) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)
}

fn existing(cx: &mut Cx<'_>, id: WatchdogId) -> Result<Watchdog, Error> {
    store::watchdogs::find(cx.conn, id)?.ok_or(Error::NotFound("watchdog"))
}

fn card(cx: &mut Cx<'_>, watchdog: Watchdog) -> Result<WatchdogCard, Error> {
    if !watchdog.enabled {
        return Ok(WatchdogCard { watchdog, overdue: None, broken: None });
    }
    match overdue(cx, &watchdog) {
        Ok(overdue) => Ok(WatchdogCard { watchdog, overdue: Some(overdue), broken: None }),
        Err(Error::BadQuery(error)) => {
            Ok(WatchdogCard { watchdog, overdue: None, broken: Some(error.to_string()) })
        }
        Err(Error::StateConflict(why)) => Ok(WatchdogCard { watchdog, overdue: None, broken: Some(why) }),
        Err(error) => Err(error),
    }
}

/// Makes a watchdog.
pub fn create(cx: &mut Cx<'_>, form: Form) -> Result<WatchdogCard, Error> {
    require_set_up(cx)?;
    let form = checked(cx, form)?;
    require_free_name(cx, &form.name, None)?;
    if store::watchdogs::count(cx.conn)? >= i64::try_from(WATCHDOGS).unwrap_or(i64::MAX) {
        return Err(Error::StateConflict(format!(
            "there are {WATCHDOGS} watchdogs already: delete one first"
        )));
    }
    let watchdog = store::watchdogs::insert(cx.conn, &form, cx.now)?;
    cx.tell(about(EventType::WatchdogCreated, &watchdog));
    card(cx, watchdog)
}

/// Sets a watchdog up otherwise. What it is alarmed about is looked at anew at once.
pub fn update(
    cx: &mut Cx<'_>,
    id: WatchdogId,
    expected: Option<&str>,
    change: WatchdogChange,
) -> Result<WatchdogCard, Error> {
    require_set_up(cx)?;
    let before = existing(cx, id)?;
    require_version("watchdog", expected, before.etag())?;
    let had = Form::of(&before);
    let form = Form {
        name: change.name.unwrap_or_else(|| had.name.clone()),
        query: change.query.unwrap_or_else(|| had.query.clone()),
        wait_seconds: change.wait_seconds.unwrap_or(had.wait_seconds),
        schedule_id: change.schedule_id.unwrap_or(had.schedule_id),
        steps: change.steps.unwrap_or_else(|| had.steps.clone()),
        enabled: change.enabled.unwrap_or(had.enabled),
    };
    let form = checked(cx, form)?;
    if form == had {
        return card(cx, before);
    }
    require_free_name(cx, &form.name, Some(id))?;
    let mut changes = Changes::default();
    changes.note("name", &had.name, &form.name);
    changes.note("q", &had.query, &form.query);
    changes.note("wait_seconds", &had.wait_seconds, &form.wait_seconds);
    changes.note("schedule_id", &had.schedule_id, &form.schedule_id);
    changes.note("steps", &had.steps, &form.steps);
    changes.note("enabled", &had.enabled, &form.enabled);
    let after = store::watchdogs::update(cx.conn, &before, &form, cx.now)?.ok_or_else(overtaken)?;
    cx.tell(about(EventType::WatchdogUpdated, &after).changing(changes));
    card(cx, after)
}

/// Has all watchdogs whose query `reword` finds other words for ask by those.
pub(super) fn reword(
    cx: &mut Cx<'_>,
    reword: &impl Fn(&str) -> Result<Option<String>, Error>,
) -> Result<(), Error> {
    for before in store::watchdogs::list(cx.conn)? {
        let Some(query) = reword(&before.query)? else { continue };
        let mut changes = Changes::default();
        changes.note("q", &before.query, &query);
        let form = Form { query, ..Form::of(&before) };
        let after = store::watchdogs::update(cx.conn, &before, &form, cx.now)?.ok_or_else(overtaken)?;
        cx.tell(about(EventType::WatchdogUpdated, &after).changing(changes));
    }
    Ok(())
}

/// Removes a watchdog.
pub fn delete(cx: &mut Cx<'_>, id: WatchdogId, expected: Option<&str>) -> Result<(), Error> {
    require_set_up(cx)?;
    let before = existing(cx, id)?;
    require_version("watchdog", expected, before.etag())?;
    if !store::watchdogs::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    cx.tell(about(EventType::WatchdogDeleted, &before));
    Ok(())
}

/// Says that somebody knows: until all is answered, nobody else is told. One that is acknowledged stays so.
pub fn acknowledge(cx: &mut Cx<'_>, id: WatchdogId) -> Result<WatchdogCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    require_read(cx)?;
    let before = existing(cx, id)?;
    match before.state {
        WatchdogState::Quiet => {
            return Err(Error::StateConflict("this watchdog is quiet: there is nothing to know".to_owned()));
        }
        WatchdogState::Acknowledged => return card(cx, before),
        WatchdogState::Alarmed => {}
    }
    let by = cx.actor.name.clone();
    let after = Watchdog { state: WatchdogState::Acknowledged, acknowledged_by: Some(by), ..before.clone() };
    let after = store::watchdogs::turn(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    cx.tell(about(EventType::WatchdogAcknowledged, &after));
    card(cx, after)
}

pub(super) fn about(kind: EventType, watchdog: &Watchdog) -> NewEvent {
    NewEvent::new(kind, About::default())
        .with("watchdog_id", watchdog.id.0)
        .with("name", watchdog.name.clone())
}

fn require_free_name(cx: &mut Cx<'_>, name: &str, own: Option<WatchdogId>) -> Result<(), Error> {
    match store::watchdogs::find_by_name(cx.conn, name)? {
        Some(other) if Some(other.id) != own => Err(Error::AlreadyExists {
            detail: "another watchdog has this name".to_owned(),
            existing_id: Some(other.id.0),
        }),
        _ => Ok(()),
    }
}

fn checked(cx: &mut Cx<'_>, mut form: Form) -> Result<Form, Error> {
    let mut faults = Faults::default();
    form.check(&mut faults);
    match form.query.parse::<Query>() {
        Err(error) => faults.add("/q", "bad_query", error.to_string()),
        Ok(query) if is_somebodys(&query) => {
            faults.add("/q", "not_allowed", "\"me\" and is:unread are nobody: a watchdog looks for the desk");
        }
        Ok(query) => match custom_fields::settle_query(cx, query) {
            Err(Error::BadQuery(error)) => faults.add("/q", "bad_query", error.to_string()),
            other => other.map(drop)?,
        },
    }
    if let Some(schedule) = form.schedule_id
        && store::schedules::find(cx.conn, schedule)?.is_none()
    {
        faults.add("/schedule_id", "not_found", "there is no such schedule");
    }
    for (index, step) in form.steps.iter().enumerate().filter(|(_, step)| step.agent_ids.len() <= TOLD) {
        let known = store::people::agents_of(cx.conn, &step.agent_ids)?;
        for (place, agent) in step.agent_ids.iter().enumerate() {
            if !known.iter().any(|one| one.id == *agent) {
                faults.add(
                    format!("/steps/{index}/agent_ids/{place}"),
                    "not_found",
                    "there is no such agent",
                );
            }
        }
    }
    faults.check()?;
    form.name = crate::text::one_line(&form.name, NAME_CHARS);
    Ok(form)
}

fn is_somebodys(query: &Query) -> bool {
    query.asks_for_me() || query.terms.iter().any(|term| matches!(term.condition, Condition::Unread))
}
