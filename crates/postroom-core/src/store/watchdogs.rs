//! Watchdogs.

use crate::id::{ScheduleId, WatchdogId};
use crate::store::conn::Conn;
use crate::store::schema::watchdogs;
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use crate::watchdog::{Form, Watchdog, WatchdogState};
use diesel::prelude::*;

/// Every watchdog, in the order of their numbers: there are few.
pub fn list(conn: &mut Conn) -> Result<Vec<Watchdog>, StoreError> {
    Ok(watchdogs::table.order(watchdogs::id.asc()).select(Watchdog::as_select()).load(conn)?)
}

/// Those that look, and those that are alarmed though nobody has them look any more.
pub fn at_work(conn: &mut Conn) -> Result<Vec<Watchdog>, StoreError> {
    Ok(watchdogs::table
        .filter(watchdogs::enabled.eq(true).or(watchdogs::state.ne(WatchdogState::Quiet)))
        .order(watchdogs::id.asc())
        .select(Watchdog::as_select())
        .load(conn)?)
}

/// One watchdog.
pub fn find(conn: &mut Conn, id: WatchdogId) -> Result<Option<Watchdog>, StoreError> {
    Ok(watchdogs::table.find(id).select(Watchdog::as_select()).first(conn).optional()?)
}

/// One by its name.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<Watchdog>, StoreError> {
    Ok(watchdogs::table
        .filter(watchdogs::name.eq(name))
        .select(Watchdog::as_select())
        .first(conn)
        .optional()?)
}

/// How many there are.
pub fn count(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(watchdogs::table.count().get_result(conn)?)
}

/// The first watchdog that goes by a schedule.
pub fn user_of(conn: &mut Conn, schedule: ScheduleId) -> Result<Option<String>, StoreError> {
    Ok(watchdogs::table
        .filter(watchdogs::schedule_id.eq(schedule))
        .order(watchdogs::id.asc())
        .select(watchdogs::name)
        .first(conn)
        .optional()?)
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = watchdogs, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Written<'a> {
    name: &'a str,
    query: &'a str,
    wait_seconds: i32,
    schedule_id: Option<ScheduleId>,
    steps: Json<&'a [crate::watchdog::EscalationStep]>,
    enabled: bool,
    updated_at: Timestamp,
}

impl<'a> Written<'a> {
    fn new(form: &'a Form, now: Timestamp) -> Self {
        Self {
            name: &form.name,
            query: &form.query,
            wait_seconds: form.wait_seconds,
            schedule_id: form.schedule_id,
            steps: Json::new(&form.steps),
            enabled: form.enabled,
            updated_at: now,
        }
    }
}

/// Makes a watchdog, which is quiet.
pub fn insert(conn: &mut Conn, form: &Form, now: Timestamp) -> Result<Watchdog, StoreError> {
    Ok(diesel::insert_into(watchdogs::table)
        .values((
            Written::new(form, now),
            watchdogs::state.eq(WatchdogState::Quiet),
            watchdogs::steps_told.eq(0),
            watchdogs::turn.eq(0_i64),
            watchdogs::version.eq(1_i64),
            watchdogs::created_at.eq(now),
        ))
        .returning(returning::<Watchdog>())
        .get_result(conn)?)
}

/// Sets one up otherwise, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &Watchdog,
    form: &Form,
    now: Timestamp,
) -> Result<Option<Watchdog>, StoreError> {
    let same = watchdogs::table.find(before.id).filter(watchdogs::version.eq(before.version));
    Ok(diesel::update(same)
        .set((Written::new(form, now), watchdogs::version.eq(before.version + 1)))
        .returning(returning::<Watchdog>())
        .get_result(conn)
        .optional()?)
}

/// Writes how one is now, one turn on. `None`: somebody else was first.
pub fn turn(conn: &mut Conn, before: &Watchdog, after: &Watchdog) -> Result<Option<Watchdog>, StoreError> {
    let same = watchdogs::table
        .find(before.id)
        .filter(watchdogs::turn.eq(before.turn))
        .filter(watchdogs::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            watchdogs::state.eq(after.state),
            watchdogs::alarmed_at.eq(after.alarmed_at),
            watchdogs::acknowledged_by.eq(&after.acknowledged_by),
            watchdogs::steps_told.eq(after.steps_told),
            watchdogs::turn.eq(before.turn + 1),
        ))
        .returning(returning::<Watchdog>())
        .get_result(conn)
        .optional()?)
}

/// Removes a watchdog. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &Watchdog) -> Result<bool, StoreError> {
    let same = watchdogs::table.find(before.id).filter(watchdogs::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}
