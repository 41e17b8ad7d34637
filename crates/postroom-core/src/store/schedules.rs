//! Schedules. The text of a calendar is read apart: it may be large, and what it says stands in
//! `closings`.

use crate::id::ScheduleId;
use crate::schedule::closing::Closing;
use crate::schedule::{Holiday, Schedule, WeeklyHours};
use crate::store::conn::Conn;
use crate::store::schema::schedules;
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;

/// Every schedule, in the order of their numbers.
pub fn list(conn: &mut Conn) -> Result<Vec<Schedule>, StoreError> {
    Ok(schedules::table.order(schedules::id.asc()).select(Schedule::as_select()).load(conn)?)
}

/// One schedule.
pub fn find(conn: &mut Conn, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
    Ok(schedules::table.find(id).select(Schedule::as_select()).first(conn).optional()?)
}

/// The schedule of this name.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<Schedule>, StoreError> {
    Ok(schedules::table
        .filter(schedules::name.eq(name))
        .select(Schedule::as_select())
        .first(conn)
        .optional()?)
}

/// The schedule that anybody with this key may read.
pub fn find_public(conn: &mut Conn, key: &str) -> Result<Option<Schedule>, StoreError> {
    Ok(schedules::table
        .filter(schedules::public_key.eq(key))
        .select(Schedule::as_select())
        .first(conn)
        .optional()?)
}

/// What a person enters of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Its name.
    pub name: String,
    /// Its time zone.
    pub time_zone: String,
    /// Its weekly hours.
    pub hours: Vec<WeeklyHours>,
    /// Its holidays.
    pub holidays: Vec<Holiday>,
    /// The key under which anybody may read it.
    pub public_key: Option<String>,
}

/// Makes a schedule without a calendar.
pub fn insert(conn: &mut Conn, new: &Entered, now: Timestamp) -> Result<Schedule, StoreError> {
    Ok(diesel::insert_into(schedules::table)
        .values((
            schedules::name.eq(&new.name),
            schedules::time_zone.eq(&new.time_zone),
            schedules::hours.eq(Json::new(new.hours.clone())),
            schedules::holidays.eq(Json::new(new.holidays.clone())),
            schedules::closings.eq(Json::new(Vec::<Closing>::new())),
            schedules::public_key.eq(&new.public_key),
            schedules::version.eq(1_i64),
            schedules::created_at.eq(now),
            schedules::updated_at.eq(now),
        ))
        .returning(returning::<Schedule>())
        .get_result(conn)?)
}

/// Writes what was entered over `before`, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &Schedule,
    after: &Entered,
    now: Timestamp,
) -> Result<Option<Schedule>, StoreError> {
    let same = schedules::table.find(before.id).filter(schedules::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            schedules::name.eq(&after.name),
            schedules::time_zone.eq(&after.time_zone),
            schedules::hours.eq(Json::new(after.hours.clone())),
            schedules::holidays.eq(Json::new(after.holidays.clone())),
            schedules::public_key.eq(&after.public_key),
            schedules::version.eq(before.version + 1),
            schedules::updated_at.eq(now),
        ))
        .returning(returning::<Schedule>())
        .get_result(conn)
        .optional()?)
}

/// A calendar as it is kept: its text, what it closes, and up to when that was read.
pub type KeptCalendar<'a> = (&'a str, Vec<Closing>, Timestamp);

/// Writes a calendar over the one there is, one version on; `None` takes it away. The answer is `None`
/// where somebody else changed the schedule first.
pub fn set_calendar(
    conn: &mut Conn,
    before: &Schedule,
    calendar: Option<KeptCalendar<'_>>,
    now: Timestamp,
) -> Result<Option<Schedule>, StoreError> {
    let same = schedules::table.find(before.id).filter(schedules::version.eq(before.version));
    let (text, closings, until) = match calendar {
        Some((text, closings, until)) => (Some(text), closings, Some(until)),
        None => (None, Vec::new(), None),
    };
    Ok(diesel::update(same)
        .set((
            schedules::calendar.eq(text),
            schedules::closings.eq(Json::new(closings)),
            schedules::calendar_until.eq(until),
            schedules::version.eq(before.version + 1),
            schedules::updated_at.eq(now),
        ))
        .returning(returning::<Schedule>())
        .get_result(conn)
        .optional()?)
}

/// The text of a schedule's calendar.
pub fn calendar(conn: &mut Conn, id: ScheduleId) -> Result<Option<String>, StoreError> {
    let text: Option<Option<String>> =
        schedules::table.find(id).select(schedules::calendar).first(conn).optional()?;
    Ok(text.flatten())
}

/// The schedules whose calendars were read up to a time before this one.
pub fn read_before(conn: &mut Conn, time: Timestamp) -> Result<Vec<ScheduleId>, StoreError> {
    Ok(schedules::table
        .filter(schedules::calendar_until.lt(time))
        .order(schedules::id.asc())
        .select(schedules::id)
        .load(conn)?)
}

/// Removes a schedule. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &Schedule) -> Result<bool, StoreError> {
    let same = schedules::table.find(before.id).filter(schedules::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}
