//! When somebody is there: weekly hours in a time zone, holidays entered by hand, and what an
//! iCalendar file closes. What follows from them stands in [`opening`].

pub mod calendar;
pub mod clock;
pub mod closing;
pub mod opening;

use crate::error::Faults;
use crate::id::ScheduleId;
use crate::store::schema::schedules;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use clock::{Date, TimeOfDay};
use closing::Closing;
use diesel::prelude::{Queryable, Selectable};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name of a schedule, of a holiday and of a calendar's event, in characters.
pub const NAME_CHARS: usize = 200;
/// Rows of weekly hours at the most.
pub const HOURS: usize = 50;
/// Holidays entered by hand at the most.
pub const HOLIDAYS: usize = 1_000;
/// Times of one short day at the most.
pub const SPANS: usize = 20;

words! {
    /// A day of the week.
    pub enum Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        match day {
            jiff::civil::Weekday::Monday => Self::Monday,
            jiff::civil::Weekday::Tuesday => Self::Tuesday,
            jiff::civil::Weekday::Wednesday => Self::Wednesday,
            jiff::civil::Weekday::Thursday => Self::Thursday,
            jiff::civil::Weekday::Friday => Self::Friday,
            jiff::civil::Weekday::Saturday => Self::Saturday,
            jiff::civil::Weekday::Sunday => Self::Sunday,
        }
    }
}

/// Somebody is there every week at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklyHours {
    /// On which day.
    pub weekday: Weekday,
    /// From when.
    pub from: TimeOfDay,
    /// Until when; `24:00` is the end of the day.
    pub to: TimeOfDay,
}

/// A part of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// From when.
    pub from: TimeOfDay,
    /// Until when; `24:00` is the end of the day.
    pub to: TimeOfDay,
}

/// Days on which the weekly hours do not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// The day, or the first of several.
    pub date: Date,
    /// The last of several days, itself included. Left out: it is one day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<Date>,
    /// What it is called.
    #[schema(max_length = 200)]
    pub name: String,
    /// When somebody is there on each of these days all the same; empty: at no time.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub hours: Vec<Span>,
}

impl Holiday {
    /// The last day.
    pub fn last(&self) -> Date {
        self.until.unwrap_or(self.date)
    }

    /// Whether this day is one of its days.
    pub fn covers(&self, day: Date) -> bool {
        self.date <= day && day <= self.last()
    }
}

/// When somebody is there. The text of its calendar is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = schedules)]
pub struct Schedule {
    /// The number.
    pub id: ScheduleId,
    /// Its name; unique.
    pub name: String,
    /// The time zone of all its times of day: a name of the IANA's database.
    pub time_zone: String,
    /// When somebody is there every week, in order.
    pub hours: Json<Vec<WeeklyHours>>,
    /// Days on which that does not count. The first in the list that covers a day decides about it.
    pub holidays: Json<Vec<Holiday>>,
    /// What the calendar closes, in order.
    pub closings: Json<Vec<Closing>>,
    /// Up to when the calendar was read; `None` where there is none.
    pub calendar_until: Option<Timestamp>,
    /// With it anybody may read the schedule; `None`: nobody without a token may.
    pub public_key: Option<String>,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Schedule {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("s{}-{}", self.id, self.version)
    }
}

/// The time zone of this name, as the database spells it. `None` where there is none, and for what a machine
/// has among its zones that names no place: its own clock, other countings of time, and no zone at all.
pub fn zone(name: &str) -> Option<(String, TimeZone)> {
    let folded = name.to_ascii_lowercase();
    let is_no_place = matches!(folded.as_str(), "localtime" | "posixrules" | "factory")
        || ["posix/", "right/"].iter().any(|counting| folded.starts_with(counting));
    if is_no_place {
        return None;
    }
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())?;
    let spelt = zone.iana_name()?.to_owned();
    Some((spelt, zone))
}

/// Puts weekly hours in order and notes what is wrong with them.
pub fn check_hours(hours: &mut [WeeklyHours], faults: &mut Faults) {
    if hours.len() > HOURS {
        faults.add("/hours", "too_many", format!("has at most {HOURS} rows"));
        return;
    }
    let rows = hours.iter().map(|row| (Some(row.weekday), row.from, row.to));
    check_rows("/hours", rows.collect(), faults);
    hours.sort_unstable();
}

/// Puts the hours of holidays in order and notes what is wrong with the holidays.
pub fn check_holidays(holidays: &mut [Holiday], faults: &mut Faults) {
    if holidays.len() > HOLIDAYS {
        faults.add("/holidays", "too_many", format!("has at most {HOLIDAYS} members"));
        return;
    }
    for (index, holiday) in holidays.iter_mut().enumerate() {
        let at = format!("/holidays/{index}");
        faults.line(&format!("{at}/name"), &holiday.name, NAME_CHARS);
        holiday.name = crate::text::one_line(&holiday.name, NAME_CHARS);
        if holiday.last() < holiday.date {
            faults.add(format!("{at}/until"), "invalid_range", "must not be before date");
        }
        if holiday.hours.len() > SPANS {
            faults.add(format!("{at}/hours"), "too_many", format!("has at most {SPANS} rows"));
            continue;
        }
        let rows = holiday.hours.iter().map(|span| (None, span.from, span.to));
        check_rows(&format!("{at}/hours"), rows.collect(), faults);
        holiday.hours.sort_unstable();
    }
}

/// Rows end after they begin, and no two of a day share a minute.
fn check_rows(pointer: &str, rows: Vec<(Option<Weekday>, TimeOfDay, TimeOfDay)>, faults: &mut Faults) {
    for (index, (day, from, to)) in rows.iter().enumerate() {
        if to <= from {
            faults.add(format!("{pointer}/{index}/to"), "invalid_range", "must be later than from");
        }
        let before = rows.iter().take(index);
        if before.into_iter().any(|other| other.0 == *day && other.1 < *to && *from < other.2) {
            faults.add(format!("{pointer}/{index}"), "overlap", "overlaps another row of the same day");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(weekday: Weekday, from: &str, to: &str) -> WeeklyHours {
        WeeklyHours { weekday, from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn faults_of(mut hours: Vec<WeeklyHours>) -> Vec<(String, &'static str)> {
        let mut faults = Faults::default();
        check_hours(&mut hours, &mut faults);
        match faults.check() {
            Err(crate::Error::Invalid(found)) => found.into_iter().map(|f| (f.pointer, f.code)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn rows_of_a_day_may_touch_and_not_overlap() {
        use Weekday::*;
        let noon =
            [row(Monday, "13:00", "17:00"), row(Monday, "09:00", "13:00"), row(Tuesday, "10:00", "14:00")];
        assert_eq!(faults_of(noon.to_vec()), []);
        let shared = vec![row(Monday, "09:00", "13:01"), row(Monday, "13:00", "17:00")];
        assert_eq!(faults_of(shared), [("/hours/1".to_owned(), "overlap")]);
        let empty = vec![row(Sunday, "09:00", "09:00"), row(Monday, "10:00", "09:00")];
        let wrong = faults_of(empty);
        assert_eq!(
            wrong,
            [("/hours/0/to".to_owned(), "invalid_range"), ("/hours/1/to".to_owned(), "invalid_range")]
        );
    }

    #[test]
    fn so_many_rows_and_no_more() {
        let rows = |count: u16| -> Vec<WeeklyHours> {
            let minute = |at: u16| format!("{:02}:{:02}", at / 60, at % 60);
            (0..count).map(|at| row(Weekday::Monday, &minute(at * 2), &minute(at * 2 + 1))).collect()
        };
        assert_eq!(faults_of(rows(50)), []);
        assert_eq!(faults_of(rows(51)), [("/hours".to_owned(), "too_many")]);
    }

    #[test]
    fn zones_are_those_of_the_database_in_its_spelling() {
        assert_eq!(zone("europe/berlin").unwrap().0, "Europe/Berlin");
        assert_eq!(zone("UTC").unwrap().0, "UTC");
        for none in ["localtime", "LocalTime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC"] {
            assert!(zone(none).is_none(), "{none}");
        }
        for none in ["", "Mars/Olympus", "Etc/Unknown", "+02:00", "EST5EDT,M3.2.0,M11.1.0", "../etc/passwd"] {
            assert!(zone(none).is_none(), "{none}");
        }
    }
}
