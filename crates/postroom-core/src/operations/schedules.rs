//! Schedules: when somebody is there.

use super::tokens::require_whole_sight;
use super::{overtaken, require_version};
use crate::access::Scope;
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::ScheduleId;
use crate::schedule::calendar::{self, Calendar, CalendarError};
use crate::schedule::opening::{Opening, Timetable};
use crate::schedule::{self, Holiday, NAME_CHARS, Schedule, WeeklyHours};
use crate::store::schedules::Entered;
use crate::time::Timestamp;
use crate::{Error, store};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// A calendar that was read for less than this is read on: the next opening is looked for so far ahead,
/// and a month is left to do it in.
const READ_ON: Duration = Duration::from_secs(430 * 86_400);

/// A schedule to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// Its name; unique.
    pub name: String,
    /// Its time zone.
    pub time_zone: String,
    /// When somebody is there every week.
    pub hours: Vec<WeeklyHours>,
    /// Days on which that does not count.
    pub holidays: Vec<Holiday>,
    /// Anybody with its key may read it.
    pub is_public: bool,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// The name.
    pub name: Option<String>,
    /// The time zone.
    pub time_zone: Option<String>,
    /// All weekly hours.
    pub hours: Option<Vec<WeeklyHours>>,
    /// All holidays.
    pub holidays: Option<Vec<Holiday>>,
    /// Whether anybody with its key may read it.
    pub is_public: Option<bool>,
}

/// Every schedule.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<Schedule>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    Ok(store::schedules::list(cx.conn)?)
}

/// One schedule.
pub fn find(cx: &mut Cx<'_>, id: ScheduleId) -> Result<Schedule, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    existing(cx, id)
}

fn existing(cx: &mut Cx<'_>, id: ScheduleId) -> Result<Schedule, Error> {
    store::schedules::find(cx.conn, id)?.ok_or(Error::NotFound("schedule"))
}

/// What a schedule shows to everybody, and how things are now. No scope is asked for: the key is the
/// permission, and nothing of it is secret.
pub fn find_public(cx: &mut Cx<'_>, key: &str) -> Result<(Schedule, Timetable, Opening), Error> {
    // What can be no key is not asked for: a NUL in it is a fault of the query's to PostgreSQL.
    let found = if is_key(key) { store::schedules::find_public(cx.conn, key)? } else { None };
    let schedule = found.ok_or(Error::NotFound("schedule"))?;
    let timetable = timetable(&schedule)?;
    let opening = timetable.opening(cx.now);
    Ok((schedule, timetable, opening))
}

/// How things are at a moment; `None` is now.
pub fn opening(
    cx: &mut Cx<'_>,
    id: ScheduleId,
    at: Option<Timestamp>,
) -> Result<(Timestamp, Opening), Error> {
    let schedule = find(cx, id)?;
    let at = at.unwrap_or(cx.now);
    Ok((at, timetable(&schedule)?.opening(at)))
}

/// A schedule ready to be asked. Fails where this machine does not know its time zone any more.
pub fn timetable(schedule: &Schedule) -> Result<Timetable, Error> {
    Timetable::of(schedule).ok_or_else(|| {
        let zone = &schedule.time_zone;
        Error::StateConflict(format!("the time zone {zone} is not known to this machine; choose another"))
    })
}

/// Makes a schedule.
pub fn create(cx: &mut Cx<'_>, new: NewSchedule) -> Result<Schedule, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let public_key = new.is_public.then(fresh_key);
    let NewSchedule { name, time_zone, hours, holidays, .. } = new;
    let entered = checked(Entered { name, time_zone, hours, holidays, public_key })?;
    require_free_name(cx, &entered.name, None)?;
    let schedule = store::schedules::insert(cx.conn, &entered, cx.now)?;
    let event = NewEvent::new(EventType::ScheduleCreated, About::default())
        .with("schedule_id", schedule.id.0)
        .with("name", schedule.name.clone());
    cx.tell(event);
    Ok(schedule)
}

/// Changes a schedule. Its key goes when it is no longer public; made public again it gets another.
pub fn update(
    cx: &mut Cx<'_>,
    id: ScheduleId,
    expected: Option<&str>,
    change: ScheduleChange,
) -> Result<Schedule, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = existing(cx, id)?;
    require_version("schedule", expected, before.etag())?;
    let public_key = match change.is_public {
        None => before.public_key.clone(),
        Some(true) => Some(before.public_key.clone().unwrap_or_else(fresh_key)),
        Some(false) => None,
    };
    let after = checked(Entered {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        time_zone: change.time_zone.unwrap_or_else(|| before.time_zone.clone()),
        hours: change.hours.unwrap_or_else(|| before.hours.to_vec()),
        holidays: change.holidays.unwrap_or_else(|| before.holidays.to_vec()),
        public_key,
    })?;
    require_free_name(cx, &after.name, Some(id))?;
    let mut changes = Changes::default();
    changes.note("name", &before.name, &after.name);
    changes.note("time_zone", &before.time_zone, &after.time_zone);
    changes.note("is_public", &before.public_key.is_some(), &after.public_key.is_some());
    let (hours_changed, holidays_changed) =
        (*before.hours != after.hours, *before.holidays != after.holidays);
    if changes.is_empty() && !hours_changed && !holidays_changed {
        return Ok(before);
    }
    let schedule = store::schedules::update(cx.conn, &before, &after, cx.now)?.ok_or_else(overtaken)?;
    let event = NewEvent::new(EventType::ScheduleUpdated, About::default())
        .with("schedule_id", id.0)
        .with("hours_changed", hours_changed)
        .with("holidays_changed", holidays_changed)
        .with("calendar_changed", false)
        .changing(changes);
    cx.tell(event);
    Ok(schedule)
}

/// Removes a schedule.
pub fn delete(cx: &mut Cx<'_>, id: ScheduleId, expected: Option<&str>) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = existing(cx, id)?;
    require_version("schedule", expected, before.etag())?;
    // What goes by a schedule is asked for here: while it does, the schedule stays (`StateConflict`).
    if let Some(mailbox) = store::auto_replies::user_of(cx.conn, id)? {
        return Err(Error::StateConflict(format!(
            "the automatic answers of mailbox {mailbox} go by this schedule; give them another one first"
        )));
    }
    if let Some(watchdog) = store::watchdogs::user_of(cx.conn, id)? {
        return Err(Error::StateConflict(format!(
            "the watchdog {watchdog:?} goes by this schedule; give it another one first"
        )));
    }
    if let Some(agent) = store::availabilities::user_of(cx.conn, id)? {
        return Err(Error::StateConflict(format!(
            "this schedule is the hours of agent {agent}; give them another one first"
        )));
    }
    if !store::schedules::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    let event = NewEvent::new(EventType::ScheduleDeleted, About::default())
        .with("schedule_id", id.0)
        .with("name", before.name);
    cx.tell(event);
    Ok(())
}

impl Desk {
    /// Reads a calendar, off the thread and before any transaction: it takes its time. Gives its text back.
    pub async fn read_calendar(&self, text: String) -> Result<(String, Calendar), Error> {
        let now = self.now();
        let work = move || calendar::read(&text, now).map(|calendar| (text, calendar));
        match tokio::task::spawn_blocking(work).await {
            Ok(read) => read.map_err(|error| match error {
                CalendarError::TooLarge => Error::TooLarge(error.to_string()),
                error => Error::invalid("", "invalid_calendar", error.to_string()),
            }),
            Err(error) => {
                tracing::error!(%error, "a calendar could not be read");
                Err(Error::invalid("", "invalid_calendar", "the calendar can't be understood"))
            }
        }
    }
}

/// Fails where the caller may not change this schedule.
pub fn require_change(cx: &mut Cx<'_>, id: ScheduleId) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    existing(cx, id).map(|_| ())
}

/// Puts a calendar in the place of the one there is.
pub fn set_calendar(
    cx: &mut Cx<'_>,
    id: ScheduleId,
    expected: Option<&str>,
    text: &str,
    calendar: Calendar,
) -> Result<Schedule, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = existing(cx, id)?;
    require_version("schedule", expected, before.etag())?;
    if *before.closings == calendar.closings
        && store::schedules::calendar(cx.conn, id)?.as_deref() == Some(text)
    {
        return Ok(before);
    }
    keep_calendar(cx, &before, Some((text, calendar)))
}

/// Takes a schedule's calendar away.
pub fn remove_calendar(cx: &mut Cx<'_>, id: ScheduleId, expected: Option<&str>) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = existing(cx, id)?;
    require_version("schedule", expected, before.etag())?;
    if before.calendar_until.is_some() {
        keep_calendar(cx, &before, None)?;
    }
    Ok(())
}

fn keep_calendar(
    cx: &mut Cx<'_>,
    before: &Schedule,
    calendar: Option<(&str, Calendar)>,
) -> Result<Schedule, Error> {
    let kept = calendar.map(|(text, calendar)| (text, calendar.closings, calendar.until));
    let schedule = store::schedules::set_calendar(cx.conn, before, kept, cx.now)?.ok_or_else(overtaken)?;
    let event = NewEvent::new(EventType::ScheduleUpdated, About::default())
        .with("schedule_id", before.id.0)
        .with("hours_changed", false)
        .with("holidays_changed", false)
        .with("calendar_changed", true);
    cx.tell(event);
    Ok(schedule)
}

/// Reads on what calendars close: events repeat for ever, and each calendar was read for two years. Gives
/// the number of those that were read on; one that can't be is told in the log.
pub async fn read_on(desk: &Desk) -> Result<usize, Error> {
    let system = Actor::system();
    let due = |cx: &mut Cx<'_>| {
        cx.access().require(Scope::AdminWrite)?;
        Ok(store::schedules::read_before(cx.conn, cx.now.plus(READ_ON))?)
    };
    let mut done = 0;
    for id in desk.read(&system, due).await? {
        let kept = move |cx: &mut Cx<'_>| {
            Ok(store::schedules::find(cx.conn, id)?.zip(store::schedules::calendar(cx.conn, id)?))
        };
        let Some((before, text)) = desk.read(&system, kept).await? else { continue };
        match desk.read_calendar(text).await {
            Ok((text, calendar)) => {
                // Somebody who changed the schedule meanwhile is not written over.
                let etag = before.etag();
                let written = desk.write(&system, move |cx| {
                    require_version("schedule", Some(&etag), existing(cx, id)?.etag())?;
                    let kept = Some((text.as_str(), calendar.closings.clone(), calendar.until));
                    store::schedules::set_calendar(cx.conn, &before, kept, cx.now)?.ok_or_else(overtaken)
                });
                match written.await {
                    Ok(_) => done += 1,
                    Err(Error::Stale { .. } | Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => tracing::warn!(schedule = id.0, ?error, "a calendar can't be read on"),
        }
    }
    Ok(done)
}

/// 256 random bits.
fn fresh_key() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether this could be a key.
fn is_key(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn checked(mut entered: Entered) -> Result<Entered, Error> {
    let mut faults = Faults::default();
    faults.line("/name", &entered.name, NAME_CHARS);
    entered.name = crate::text::one_line(&entered.name, NAME_CHARS);
    match schedule::zone(&entered.time_zone) {
        Some((spelt, _)) => entered.time_zone = spelt,
        None => faults.add(
            "/time_zone",
            "unknown_time_zone",
            "must be a name of the time zone database, such as Europe/Berlin",
        ),
    }
    schedule::check_hours(&mut entered.hours, &mut faults);
    schedule::check_holidays(&mut entered.holidays, &mut faults);
    faults.check()?;
    Ok(entered)
}

fn require_free_name(cx: &mut Cx<'_>, name: &str, own: Option<ScheduleId>) -> Result<(), Error> {
    match store::schedules::find_by_name(cx.conn, name)? {
        Some(other) if Some(other.id) != own => Err(Error::AlreadyExists {
            detail: "another schedule has this name".to_owned(),
            existing_id: Some(other.id.0),
        }),
        _ => Ok(()),
    }
}
