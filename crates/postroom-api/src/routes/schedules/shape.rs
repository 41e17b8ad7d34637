//! What is said of schedules.

use crate::links::Links;
use crate::patch::given;
use postroom_core::id::ScheduleId;
use postroom_core::schedule::clock::Date;
use postroom_core::schedule::opening::{Because, Opening, Timetable};
use postroom_core::schedule::{Holiday, Schedule, WeeklyHours};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What is shown to the public of what is to come.
const AHEAD: Duration = Duration::from_secs(366 * 86_400);

/// When somebody is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub struct ScheduleView {
    /// Its number.
    id: ScheduleId,
    /// Counts changes.
    version: i64,
    /// Its name; unique.
    name: String,
    /// The time zone of all its times of day: a name of the IANA's database.
    time_zone: String,
    /// When somebody is there every week, in order.
    hours: Vec<WeeklyHours>,
    /// Days on which that does not count. The first in the list that covers a day decides about it.
    holidays: Vec<Holiday>,
    /// Up to when its calendar was read; `null`: it has none.
    calendar_until: Option<Timestamp>,
    /// Anybody with the key may read it.
    is_public: bool,
    /// The key; `null` while it is not public. Made public again, it has another.
    public_key: Option<String>,
    /// Where it is to be read without a token; `null` while it is not public.
    public_url: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl ScheduleView {
    pub fn of(links: &Links, schedule: Schedule) -> Self {
        let key = schedule.public_key;
        Self {
            id: schedule.id,
            version: schedule.version,
            name: schedule.name,
            time_zone: schedule.time_zone,
            hours: schedule.hours.into_inner(),
            holidays: schedule.holidays.into_inner(),
            calendar_until: schedule.calendar_until,
            is_public: key.is_some(),
            public_url: key.as_ref().map(|key| links.to(&format!("/api/v1/public/schedules/{key}"))),
            public_key: key,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

/// A schedule to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSchedule)]
pub struct NewScheduleBody {
    /// Its name; unique.
    #[schema(max_length = 200)]
    pub name: String,
    /// The time zone of all its times of day: a name of the IANA's database, such as `Europe/Berlin`.
    pub time_zone: String,
    /// When somebody is there every week. Several rows of one day must not overlap.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub hours: Vec<WeeklyHours>,
    /// Days on which that does not count. The first in the list that covers a day decides about it.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub holidays: Vec<Holiday>,
    /// Anybody with its key may read it.
    #[serde(default)]
    pub is_public: bool,
}

/// What is to change of a schedule; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SchedulePatch {
    /// Its name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    pub name: Option<String>,
    /// Its time zone.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub time_zone: Option<String>,
    /// All of its weekly hours.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 50)]
    pub hours: Option<Vec<WeeklyHours>>,
    /// All of its holidays.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 1000)]
    pub holidays: Option<Vec<Holiday>>,
    /// Anybody with its key may read it. Taken back, the key opens nothing any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub is_public: Option<bool>,
}

/// A time that an event of the calendar closes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClosedTime)]
pub struct ClosedView {
    /// What the event is called.
    name: String,
    /// From when.
    from: Timestamp,
    /// Until when.
    to: Timestamp,
}

fn closed(timetable: &Timetable, from: Timestamp, to: Timestamp) -> Vec<ClosedView> {
    let closed = timetable.closed(from, to);
    closed.map(|(from, to, name)| ClosedView { name: name.clone(), from: *from, to: *to }).collect()
}

/// What a schedule's calendar closes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClosedCalendar)]
pub struct CalendarView {
    /// Up to when it was read; `null`: there is no calendar.
    until: Option<Timestamp>,
    /// What it closes, in order.
    closed: Vec<ClosedView>,
}

impl CalendarView {
    pub fn of(schedule: &Schedule, timetable: &Timetable) -> Self {
        Self {
            until: schedule.calendar_until,
            closed: closed(timetable, Timestamp(i64::MIN), Timestamp(i64::MAX)),
        }
    }
}

/// How things are at a moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Opening)]
pub struct OpeningView {
    /// The moment.
    at: Timestamp,
    /// Somebody is there.
    is_open: bool,
    /// When it next opens after having been closed; `null`: not within 400 days.
    next_opening: Option<Timestamp>,
    /// When it next closes after having been open; `null`: not within 400 days.
    next_closing: Option<Timestamp>,
    /// What decides.
    because: Because,
    /// The holiday, or the event of the calendar, that decides.
    name: Option<String>,
}

impl OpeningView {
    pub fn of(at: Timestamp, opening: Opening) -> Self {
        let Opening { is_open, next_opening, next_closing, because, name } = opening;
        Self { at, is_open, next_opening, next_closing, because, name }
    }
}

/// What everybody may know of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PublicSchedule)]
pub struct PublicScheduleView {
    /// Its name.
    name: String,
    /// The time zone of all its times of day.
    time_zone: String,
    /// When somebody is there every week, in order.
    hours: Vec<WeeklyHours>,
    /// Days of the year ahead on which that does not count. The first that covers a day decides about it.
    holidays: Vec<Holiday>,
    /// What a calendar closes in the year ahead.
    closed: Vec<ClosedView>,
    /// How things are now.
    now: OpeningView,
}

impl PublicScheduleView {
    pub fn of((schedule, timetable, opening): (Schedule, Timetable, Opening), now: Timestamp) -> Self {
        let end = now.plus(AHEAD);
        let days: Option<(Date, Date)> = timetable.day(now).zip(timetable.day(end));
        let is_near =
            |holiday: &Holiday| days.is_none_or(|(from, to)| holiday.last() >= from && holiday.date <= to);
        Self {
            name: schedule.name,
            time_zone: schedule.time_zone,
            hours: schedule.hours.into_inner(),
            holidays: schedule.holidays.into_inner().into_iter().filter(is_near).collect(),
            closed: closed(&timetable, now, end),
            now: OpeningView::of(now, opening),
        }
    }
}
