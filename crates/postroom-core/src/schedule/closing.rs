//! What an event of a calendar closes: days or hours on the schedule's own clock, or a time that is
//! the same everywhere.

use super::clock::{Date, TimeOfDay};
use crate::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// One time that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// What the event is called.
    pub name: String,
    /// When.
    pub time: ClosedTime,
}

/// When it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedTime {
    /// On the clock of the schedule's time zone, whichever that is.
    Clock {
        /// The first day.
        date: Date,
        /// From when on that day.
        from: TimeOfDay,
        /// The last day, itself included.
        last: Date,
        /// Until when on that day.
        to: TimeOfDay,
    },
    /// The same everywhere.
    Instants {
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
}

impl ClosedTime {
    /// Whole days, both included.
    pub fn days(date: Date, last: Date) -> Self {
        Self::Clock { date, from: TimeOfDay::MIDNIGHT, last, to: TimeOfDay::END }
    }

    /// It is whole days.
    pub fn is_whole_days(self) -> bool {
        matches!(self, Self::Clock { from: TimeOfDay::MIDNIGHT, to: TimeOfDay::END, .. })
    }

    /// From when until when in a time zone. A time that the clocks leave out is as much later; of one
    /// that they show twice it is the first.
    pub fn instants(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        match self {
            Self::Instants { from, to } => (from, to),
            Self::Clock { date, from, last, to } => (at(date, from, zone), at(last, to, zone)),
        }
    }
}

fn at(date: Date, time: TimeOfDay, zone: &TimeZone) -> Timestamp {
    let midnight = date.civil().to_datetime(jiff::civil::Time::midnight());
    let minutes = jiff::Span::new().minutes(i64::from(time.minutes()));
    let shown = midnight.checked_add(minutes).expect("a day after 2200-12-31 is far within the calendar");
    instant(shown, zone).expect("the years 1900 to 2201 are far within the calendar")
}

/// The moment at which the clocks of a zone show this. `None` at the end of the calendar.
pub(super) fn instant(shown: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let moment = zone.to_ambiguous_timestamp(shown).compatible().ok()?;
    Some(Timestamp(moment.as_microsecond()))
}
