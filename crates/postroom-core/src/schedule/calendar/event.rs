//! One event: when it is, how long, and on which days again.

use super::repeat;
use super::whole_days;
use crate::schedule::clock::{Date, TimeOfDay};
use crate::schedule::closing::{ClosedTime, instant};
use crate::time::Timestamp;
use calcard::common::PartialDateTime;
use calcard::icalendar::timezone::TzResolver;
use calcard::icalendar::{
    ICalendarComponent, ICalendarEntry, ICalendarProperty, ICalendarRecurrenceRule, ICalendarStatus,
    ICalendarValue,
};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// An event as it was written.
#[derive(Debug)]
pub struct Event {
    pub uid: Option<String>,
    pub is_cancelled: bool,
    /// It stands in place of this repetition of another event of its UID.
    pub instead_of: Option<DateTime>,
    pub rule: Option<ICalendarRecurrenceRule>,
    start: DateTime,
    clock: Clock,
    length: Length,
    further: Vec<DateTime>,
    left_out: HashSet<DateTime>,
    days_left_out: HashSet<jiff::civil::Date>,
}

/// Whose clock the event goes by.
#[derive(Debug, Clone, PartialEq)]
enum Clock {
    /// Whole days of the schedule.
    Days,
    /// The schedule's.
    Schedule,
    /// Of a time zone of its own.
    Zone(TimeZone),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Length {
    Days(i64),
    Seconds(i64),
}

/// What an event is called.
pub fn name(component: &ICalendarComponent) -> String {
    let summary = component.property(&ICalendarProperty::Summary);
    let text = summary.and_then(|entry| entry.values.first()).and_then(ICalendarValue::as_text);
    crate::text::one_line(text.unwrap_or_default(), crate::schedule::NAME_CHARS)
}

type Zones<'x> = TzResolver<&'x str>;

impl Event {
    /// Fails with a sentence.
    pub fn read(component: &ICalendarComponent, zones: &Zones<'_>) -> Result<Self, String> {
        let start = one(component, &ICalendarProperty::Dtstart)?.ok_or("has no DTSTART")?;
        let (start, clock) = time(start, "DTSTART", zones)?;
        let uid = component.uid().map(str::to_owned);
        let instead_of = match one(component, &ICalendarProperty::RecurrenceId)? {
            Some(entry) => Some(shown_by(time(entry, "RECURRENCE-ID", zones)?, &clock)?),
            None => None,
        };
        let rule = match one(component, &ICalendarProperty::Rrule)? {
            Some(entry) => match entry.values.first() {
                Some(ICalendarValue::RecurrenceRule(rule)) => {
                    Some(repeat::checked(rule, start, clock_zone(&clock).as_ref())?)
                }
                _ => return Err("RRULE can't be understood".to_owned()),
            },
            None => None,
        };
        if component.property(&ICalendarProperty::Exrule).is_some() {
            return Err("EXRULE is not understood; use EXDATE".to_owned());
        }
        let length = length(component, start, &clock, zones)?;
        let mut further = Vec::new();
        for entry in component.properties(&ICalendarProperty::Rdate) {
            for value in &entry.values {
                further.push(shown_by(moment(entry, value, "RDATE", zones)?, &clock)?);
            }
        }
        let (mut left_out, mut days_left_out) = (HashSet::new(), HashSet::new());
        for entry in component.properties(&ICalendarProperty::Exdate) {
            for value in &entry.values {
                match moment(entry, value, "EXDATE", zones)? {
                    (day, Clock::Days) => {
                        days_left_out.insert(day.date());
                    }
                    other => {
                        left_out.insert(shown_by(other, &clock)?);
                    }
                }
            }
        }
        let is_cancelled = component.status() == Some(&ICalendarStatus::Cancelled);
        Ok(Self {
            uid,
            is_cancelled,
            instead_of,
            rule,
            start,
            clock,
            length,
            further,
            left_out,
            days_left_out,
        })
    }

    /// When it begins, on its own clock: each time until `end`. Every step of a rule takes one of `steps`.
    pub fn starts(&self, end: Timestamp, steps: &mut usize) -> Result<Vec<DateTime>, String> {
        let mut starts = match &self.rule {
            None => vec![self.start],
            Some(rule) => repeat::starts(rule, self.start, end, steps)?,
        };
        starts.extend(&self.further);
        starts.retain(|start| !self.left_out.contains(start) && !self.days_left_out.contains(&start.date()));
        Ok(starts)
    }

    /// What it closes when it begins then.
    pub fn closed_at(&self, start: DateTime) -> Result<ClosedTime, String> {
        let outside = || "its times must be between 1900 and 2200".to_owned();
        match (&self.clock, self.length) {
            (Clock::Zone(zone), Length::Seconds(seconds)) => {
                let from = instant(start, zone).ok_or_else(outside)?;
                let to = Timestamp(from.0.saturating_add(seconds.saturating_mul(1_000_000)));
                if to.as_seconds() > LATEST {
                    return Err(outside());
                }
                Ok(ClosedTime::Instants { from, to })
            }
            (_, Length::Days(days)) => whole_days(start.date(), days),
            (_, Length::Seconds(seconds)) => {
                let length = jiff::Span::new().try_seconds(seconds).map_err(|_| outside())?;
                let end = start.checked_add(length).map_err(|_| outside())?;
                let split = |at: DateTime| {
                    let time = TimeOfDay::new(at.hour().try_into().ok()?, at.minute().try_into().ok()?)?;
                    Some((Date::new(at.date())?, time))
                };
                let (date, from) = split(start).ok_or_else(outside)?;
                let (last, to) = split(end).ok_or_else(outside)?;
                Ok(ClosedTime::Clock { date, from, last, to })
            }
        }
    }
}

/// 2201-01-01T00:00:00Z.
const LATEST: i64 = 7_289_654_400;

fn clock_zone(clock: &Clock) -> Option<TimeZone> {
    if let Clock::Zone(zone) = clock { Some(zone.clone()) } else { None }
}

/// The property that stands once at the most.
fn one<'c>(
    component: &'c ICalendarComponent,
    name: &'c ICalendarProperty,
) -> Result<Option<&'c ICalendarEntry>, String> {
    let mut all = component.entries.iter().filter(|entry| entry.name == *name);
    let first = all.next();
    if all.next().is_some() {
        return Err(format!("has {} twice", name.as_str()));
    }
    Ok(first)
}

fn time(entry: &ICalendarEntry, name: &str, zones: &Zones<'_>) -> Result<(DateTime, Clock), String> {
    let value = entry.values.first().ok_or_else(|| format!("{name} is empty"))?;
    moment(entry, value, name, zones)
}

fn moment(
    entry: &ICalendarEntry,
    value: &ICalendarValue,
    name: &str,
    zones: &Zones<'_>,
) -> Result<(DateTime, Clock), String> {
    let wrong = || {
        let text = value.as_text().map(|text| format!(" “{}”", crate::text::one_line(text, 60)));
        format!("{name}{} is not a day or a time", text.unwrap_or_default())
    };
    let ICalendarValue::PartialDateTime(partial) = value else { return Err(wrong()) };
    let shown = civil(partial).ok_or_else(wrong)?;
    if !partial.has_time() {
        return Ok((shown, Clock::Days));
    }
    match (partial.tz_hour, partial.tz_minute) {
        (None, _) => {}
        (Some(0), None | Some(0)) => return Ok((shown, Clock::Zone(TimeZone::UTC))),
        // RFC 5545 section 3.3.5 knows no offsets.
        _ => return Err(wrong()),
    }
    match entry.tz_id() {
        None => Ok((shown, Clock::Schedule)),
        Some(id) => {
            let known = crate::schedule::zone(id).map(|(_, zone)| zone).or_else(|| {
                let found = zones.resolve(id)?;
                crate::schedule::zone(&found.name()?).map(|(_, zone)| zone)
            });
            let zone = known.ok_or_else(|| {
                format!("{name} is in the time zone “{}”, which is not known", crate::text::one_line(id, 60))
            })?;
            Ok((shown, Clock::Zone(zone)))
        }
    }
}

/// The day or time as it is written, if there is such a day.
pub fn civil(partial: &PartialDateTime) -> Option<DateTime> {
    let part = |value: Option<u8>| i8::try_from(value.unwrap_or(0)).ok();
    let year = i16::try_from(partial.year?).ok().filter(|year| (1900..=2200).contains(year))?;
    // A leap second is the second before.
    let second = part(partial.second)?.min(59);
    DateTime::new(
        year,
        part(partial.month)?,
        part(partial.day)?,
        part(partial.hour)?,
        part(partial.minute)?,
        second,
        0,
    )
    .ok()
}

/// What the clock of the event shows at a time that may be written by another clock.
fn shown_by((shown, by): (DateTime, Clock), clock: &Clock) -> Result<DateTime, String> {
    match (by, clock) {
        (Clock::Zone(zone), Clock::Zone(own)) if zone != *own => {
            let moment =
                zone.to_ambiguous_timestamp(shown).compatible().map_err(|error| error.to_string())?;
            Ok(own.to_datetime(moment))
        }
        _ => Ok(shown),
    }
}

fn length(
    component: &ICalendarComponent,
    start: DateTime,
    clock: &Clock,
    zones: &Zones<'_>,
) -> Result<Length, String> {
    let end = one(component, &ICalendarProperty::Dtend)?;
    let lasts = one(component, &ICalendarProperty::Duration)?;
    let length = match (end, lasts) {
        (Some(_), Some(_)) => return Err("has both DTEND and DURATION".to_owned()),
        (Some(end), None) => {
            let (end, by) = time(end, "DTEND", zones)?;
            if (by == Clock::Days) != (*clock == Clock::Days) {
                return Err("DTSTART and DTEND must both be days, or both be times".to_owned());
            }
            if by == Clock::Days {
                let days = start.date().until(end.date()).map_err(|error| error.to_string())?.get_days();
                // Some programs end a day on itself.
                Length::Days(if days == 0 { 1 } else { i64::from(days) })
            } else {
                let zone = |clock: &Clock| clock_zone(clock).unwrap_or(TimeZone::UTC);
                let (from, to) = (instant(start, &zone(clock)), instant(end, &zone(&by)));
                let (from, to) = from.zip(to).ok_or("its times must be between 1900 and 2200")?;
                Length::Seconds(to.as_seconds() - from.as_seconds())
            }
        }
        (None, Some(entry)) => match entry.values.first() {
            Some(ICalendarValue::Duration(lasts))
                if *clock == Clock::Days && lasts.as_seconds() % 86_400 == 0 =>
            {
                Length::Days(lasts.as_seconds() / 86_400)
            }
            Some(ICalendarValue::Duration(lasts)) if *clock != Clock::Days => {
                Length::Seconds(lasts.as_seconds())
            }
            _ => return Err("DURATION can't be understood".to_owned()),
        },
        // RFC 5545 section 3.6.1.
        (None, None) if *clock == Clock::Days => Length::Days(1),
        (None, None) => return Err("closes no time: it has neither DTEND nor DURATION".to_owned()),
    };
    match length {
        Length::Days(count) | Length::Seconds(count) if count <= 0 => {
            Err("must end after it begins".to_owned())
        }
        length => Ok(length),
    }
}
