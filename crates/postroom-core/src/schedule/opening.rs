//! When it is open, reckoned without a database: it is open whenever the clocks of the schedule's
//! time zone show a time within the day's hours, and no calendar closes it. An hour that the clocks
//! leave out is thereby never open, and one that they show twice is open twice.

use super::clock::Date;
use super::closing::Closing;
use super::{Holiday, Schedule, Span, Weekday, WeeklyHours, zone};
use crate::time::Timestamp;
use crate::word::words;
use jiff::tz::TimeZone;
use std::time::Duration;

/// How far ahead the next opening and closing are looked for.
pub const AHEAD: Duration = Duration::from_secs(400 * 86_400);

const MINUTE: i64 = 60_000_000;

/// A schedule ready to be asked.
#[derive(Debug, Clone)]
pub struct Timetable {
    zone: TimeZone,
    hours: Vec<WeeklyHours>,
    holidays: Vec<Holiday>,
    /// By their beginning, with the names of what closes.
    closed: Vec<(Timestamp, Timestamp, String)>,
    /// The same without names, none overlapping another.
    shut: Vec<(Timestamp, Timestamp)>,
}

/// How things are at a moment, and what changes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Somebody is there.
    pub is_open: bool,
    /// When it next opens after having been closed; `None`: not within 400 days.
    pub next_opening: Option<Timestamp>,
    /// When it next closes after having been open; `None`: not within 400 days.
    pub next_closing: Option<Timestamp>,
    /// What decides about this moment.
    pub because: Because,
    /// The holiday or the event of the calendar that decides.
    pub name: Option<String>,
}

words! {
    /// What decides whether somebody is there.
    pub enum Because {
        /// The weekly hours.
        Hours = "hours",
        /// A holiday that was entered by hand.
        Holiday = "holiday",
        /// An event of the calendar.
        Calendar = "calendar",
    }
}

impl Timetable {
    /// `None` where this machine does not know the time zone.
    pub fn of(schedule: &Schedule) -> Option<Self> {
        let (_, zone) = zone(&schedule.time_zone)?;
        Some(Self::new(zone, schedule.hours.to_vec(), schedule.holidays.to_vec(), &schedule.closings))
    }

    /// Hours must be in order, as [`super::check_hours`] leaves them.
    pub fn new(
        zone: TimeZone,
        hours: Vec<WeeklyHours>,
        holidays: Vec<Holiday>,
        closings: &[Closing],
    ) -> Self {
        let moments = closings.iter().map(|closing| {
            let (from, to) = closing.time.instants(&zone);
            (from, to, closing.name.clone())
        });
        let mut closed: Vec<_> = moments.collect();
        closed.sort_by_key(|(from, to, _)| (*from, *to));
        let mut shut = Vec::new();
        for (from, to, _) in &closed {
            extend(&mut shut, *from, *to);
        }
        Self { zone, hours, holidays, closed, shut }
    }

    /// Whether somebody is there.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.opening(at).is_open
    }

    /// When it next opens after having been closed, looked for over [`AHEAD`].
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        self.opening(at).next_opening
    }

    /// When it next closes after having been open, looked for over [`AHEAD`].
    pub fn next_closing(&self, at: Timestamp) -> Option<Timestamp> {
        self.opening(at).next_closing
    }

    /// Everything about one moment.
    pub fn opening(&self, at: Timestamp) -> Opening {
        let end = at.plus(AHEAD);
        let open = self.open(at, end);
        let is_open = open.first().is_some_and(|(from, _)| *from == at);
        let next_closing = open.first().map(|(_, to)| *to).filter(|to| *to < end);
        let next_opening = open.get(usize::from(is_open)).map(|(from, _)| *from);
        let (because, name) = self.because(at, is_open);
        Opening { is_open, next_opening, next_closing, because, name }
    }

    /// How long it is open from one moment to another. Before and after what its calendar was read
    /// for, nothing of the calendar counts.
    pub fn open_between(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.open(from, to).into_iter().map(|(from, to)| to.since(from)).sum()
    }

    /// The last moment since which it was open for so long; `None`: not within [`AHEAD`] before.
    pub fn open_since(&self, at: Timestamp, time: Duration) -> Option<Timestamp> {
        let mut left = time;
        for (from, to) in self.open(at.minus(AHEAD), at).into_iter().rev() {
            let open = to.since(from);
            if open >= left {
                return Some(to.minus(left));
            }
            left -= open;
        }
        None
    }

    /// The day that the clocks of its time zone show.
    pub fn day(&self, at: Timestamp) -> Option<Date> {
        Date::new(self.zone.to_datetime(moment(at)).date())
    }

    /// What it is closed for from one moment to another, beginning with the first: what the event is
    /// called, from when and until when.
    pub fn closed(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &(Timestamp, Timestamp, String)> {
        self.closed.iter().filter(move |closed| closed.1 > from && closed.0 < to)
    }

    fn because(&self, at: Timestamp, is_open: bool) -> (Because, Option<String>) {
        let closes = |closed: &&(Timestamp, Timestamp, String)| !is_open && closed.0 <= at && at < closed.1;
        if let Some((_, _, name)) = self.closed.iter().find(closes) {
            return (Because::Calendar, Some(name.clone()));
        }
        let holiday = self.day(at).and_then(|day| self.holiday(day));
        match holiday {
            Some(holiday) => (Because::Holiday, Some(holiday.name.clone())),
            None => (Because::Hours, None),
        }
    }

    /// The first in the list decides.
    fn holiday(&self, day: Date) -> Option<&Holiday> {
        self.holidays.iter().find(|holiday| holiday.covers(day))
    }

    /// When it is open on a day by its hours alone, in order.
    fn spans(&self, day: jiff::civil::Date) -> Vec<Span> {
        if let Some(holiday) = Date::new(day).and_then(|day| self.holiday(day)) {
            return holiday.hours.clone();
        }
        let weekday = Weekday::from(day.weekday());
        let rows = self.hours.iter().filter(|row| row.weekday == weekday);
        rows.map(|row| Span { from: row.from, to: row.to }).collect()
    }

    /// When it is open from one moment to another: in order, and no two touch.
    fn open(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut open = Vec::new();
        if from < to && (!self.hours.is_empty() || !self.holidays.is_empty()) {
            self.by_hours(from, to, &mut open);
        }
        self.without_closed(open)
    }

    /// Between two changes of the clocks all of them run evenly: each such stretch is gone through day
    /// by day.
    fn by_hours(&self, from: Timestamp, to: Timestamp, open: &mut Vec<(Timestamp, Timestamp)>) {
        let mut begin = from;
        let mut offset = self.zone.to_offset(moment(from));
        let changes = self.zone.following(moment(from));
        let changes = changes.map(|change| (Timestamp(change.timestamp().as_microsecond()), change.offset()));
        for (end, next) in changes.take_while(|(at, _)| *at < to).chain([(to, offset)]) {
            let mut day = offset.to_datetime(moment(begin)).date();
            loop {
                let Ok(midnight) = offset.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())) else {
                    break;
                };
                let midnight = midnight.as_microsecond();
                if midnight >= end.0 {
                    break;
                }
                for span in self.spans(day) {
                    let a = (midnight + i64::from(span.from.minutes()) * MINUTE).max(begin.0);
                    let b = (midnight + i64::from(span.to.minutes()) * MINUTE).min(end.0);
                    if a < b {
                        extend(open, Timestamp(a), Timestamp(b));
                    }
                }
                let Ok(tomorrow) = day.tomorrow() else { break };
                day = tomorrow;
            }
            begin = end;
            offset = next;
        }
    }

    fn without_closed(&self, open: Vec<(Timestamp, Timestamp)>) -> Vec<(Timestamp, Timestamp)> {
        let mut left = Vec::with_capacity(open.len());
        for (mut from, to) in open {
            let over = self.shut.partition_point(|(_, shut_to)| *shut_to <= from);
            for (closed_from, closed_to) in self.shut.iter().skip(over) {
                if *closed_from >= to {
                    break;
                }
                if from < *closed_from {
                    left.push((from, *closed_from));
                }
                from = *closed_to;
            }
            if from < to {
                left.push((from, to));
            }
        }
        left
    }
}

/// Adds a time, to the last one where it follows without a gap.
fn extend(open: &mut Vec<(Timestamp, Timestamp)>, from: Timestamp, to: Timestamp) {
    match open.last_mut() {
        Some((_, end)) if *end >= from => *end = to.max(*end),
        _ => open.push((from, to)),
    }
}

fn moment(at: Timestamp) -> jiff::Timestamp {
    // Both keep to the years 1 to 9999; `Timestamp` ends first.
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
