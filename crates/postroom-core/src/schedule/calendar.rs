//! Reads iCalendar (RFC 5545): what the events of a .ics file close. An event is closed whatever it
//! says of being busy, for public calendars mark their holidays as free. What is not understood is an
//! error that names the line or the event, never a holiday that is missing.

mod event;
mod lines;
mod repeat;

use super::NAME_CHARS;
use super::closing::{ClosedTime, Closing};
use crate::time::Timestamp;
use calcard::icalendar::{ICalendar, ICalendarComponentType};
use calcard::{Entry, Parser};
use event::Event;
use jiff::civil::DateTime;
use std::collections::HashSet;
use std::time::Duration;

/// Bytes of a calendar at the most.
pub const BYTES: usize = 256 * 1024;
/// Closed times that are taken from one calendar at the most.
pub const CLOSINGS: usize = 2_000;
/// Events that repeat, at the most. Each may cost some 25 ms to find out that it never does.
pub const REPEATING: usize = 100;
/// Repetitions that are gone through in one calendar at the most, those of past years among them.
pub const STEPS: usize = 50_000;

const DAY: Duration = Duration::from_secs(86_400);
/// How far ahead events are taken from a calendar.
pub const AHEAD: Duration = Duration::from_secs(2 * 366 * 86_400);
/// How far back: what was closed a while ago is still asked for.
const BEHIND: Duration = Duration::from_secs(400 * 86_400);

/// What a calendar closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// In order.
    pub closings: Vec<Closing>,
    /// Up to when it was read.
    pub until: Timestamp,
}

/// Why a calendar is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It is larger than [`BYTES`].
    #[error("the calendar has at most {BYTES} bytes")]
    TooLarge,
    /// A line is not iCalendar.
    #[error("line {line}: {why}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// An event can't be understood.
    #[error("event {number} ({name}, line {line}): {why}")]
    Event {
        /// Which, counted from 1.
        number: usize,
        /// What it is called.
        name: String,
        /// The line that it begins at, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// There is no event in it.
    #[error("there is no event (BEGIN:VEVENT) in the calendar")]
    NoEvent,
    /// More than is taken.
    #[error("the calendar {0}")]
    TooMany(String),
}

/// Reads a calendar for the two years after `now`, and the year before.
pub fn read(text: &str, now: Timestamp) -> Result<Calendar, CalendarError> {
    if text.len() > BYTES {
        return Err(CalendarError::TooLarge);
    }
    let begins = lines::check(text)?;
    let (from, until) = (now.minus(BEHIND), now.plus(AHEAD));
    let mut found = Found { from, until, steps: STEPS, repeating: 0, closings: Vec::new() };
    let mut events = Vec::new();
    let calendars = calendars(text);
    for calendar in &calendars {
        let zones = calendar.build_tz_resolver();
        let components = calendar.components.iter();
        for component in components.filter(|one| one.component_type == ICalendarComponentType::VEvent) {
            let number = events.len() + 1;
            let name = event::name(component);
            let at = Place { number, line: begins.get(number - 1).copied().unwrap_or(1), name };
            let read = Event::read(component, &zones).map_err(|why| at.error(why))?;
            events.push((at, read));
        }
    }
    if events.is_empty() {
        return Err(CalendarError::NoEvent);
    }
    // One repetition may be told apart, under the same UID: then it is not where the rule says.
    let moved: HashSet<(&str, DateTime)> =
        events.iter().filter_map(|(_, event)| Some((event.uid.as_deref()?, event.instead_of?))).collect();
    for (at, event) in &events {
        found.take(at, event, &moved)?;
    }
    found.closings.sort_by(|a, b| order(a).cmp(&order(b)));
    found.closings.dedup();
    Ok(Calendar { closings: found.closings, until })
}

fn order(closing: &Closing) -> (Timestamp, Timestamp, &str) {
    let (from, to) = closing.time.instants(&jiff::tz::TimeZone::UTC);
    (from, to, &closing.name)
}

fn calendars(text: &str) -> Vec<ICalendar> {
    let mut parser = Parser::new(text);
    let mut found = Vec::new();
    loop {
        match parser.entry() {
            Entry::ICalendar(calendar) => found.push(calendar),
            Entry::Eof => return found,
            // `lines::check` has looked at every line and at how they nest.
            _ => {}
        }
    }
}

/// Where an event stands.
struct Place {
    number: usize,
    line: usize,
    name: String,
}

impl Place {
    fn error(&self, why: impl Into<String>) -> CalendarError {
        let name =
            if self.name.is_empty() { "without a name".to_owned() } else { format!("“{}”", self.name) };
        CalendarError::Event { number: self.number, name, line: self.line, why: why.into() }
    }
}

/// What has come of the events so far.
struct Found {
    from: Timestamp,
    until: Timestamp,
    steps: usize,
    repeating: usize,
    closings: Vec<Closing>,
}

impl Found {
    fn take(
        &mut self,
        at: &Place,
        event: &Event,
        moved: &HashSet<(&str, DateTime)>,
    ) -> Result<(), CalendarError> {
        if event.is_cancelled {
            return Ok(());
        }
        self.repeating += usize::from(event.rule.is_some());
        if self.repeating > REPEATING {
            return Err(CalendarError::TooMany(format!("has at most {REPEATING} events that repeat")));
        }
        // A day more: clocks differ.
        let end = self.until.plus(DAY);
        let starts = event.starts(end, &mut self.steps).map_err(|why| at.error(why))?;
        let uid = event.uid.as_deref().filter(|_| event.instead_of.is_none());
        for start in starts {
            if uid.is_some_and(|uid| moved.contains(&(uid, start))) {
                continue;
            }
            let time = event.closed_at(start).map_err(|why| at.error(why))?;
            let (from, to) = time.instants(&jiff::tz::TimeZone::UTC);
            if to.plus(DAY) <= self.from || from >= end {
                continue;
            }
            if self.closings.len() == CLOSINGS {
                return Err(CalendarError::TooMany(format!(
                    "closes at most {CLOSINGS} times within three years"
                )));
            }
            let name = crate::text::one_line(&at.name, NAME_CHARS);
            self.closings.push(Closing { name, time });
        }
        Ok(())
    }
}

/// Whole days, or a time.
fn whole_days(from: jiff::civil::Date, days: i64) -> Result<ClosedTime, String> {
    let outside = || "its days must be between 1900 and 2200".to_owned();
    let last = from.checked_add(jiff::Span::new().try_days(days - 1).map_err(|_| outside())?);
    let last = last.map_err(|_| outside())?;
    let day = |date| super::clock::Date::new(date).ok_or_else(outside);
    Ok(ClosedTime::days(day(from)?, day(last)?))
}

#[cfg(test)]
mod tests;
