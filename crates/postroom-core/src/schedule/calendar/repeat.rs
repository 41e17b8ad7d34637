//! Events that repeat (RRULE): the days of the rule, gone through no further than is asked for.
//! Rules are reckoned on the event's own clock, so that none of them knows of time zones.

use super::event::civil;
use crate::time::Timestamp;
use calcard::common::PartialDateTime;
use calcard::common::timezone::Tz;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarEntry, ICalendarFrequency,
    ICalendarProperty, ICalendarRecurrenceRule, ICalendarValue,
};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// What a number in a rule may be (RFC 5545 section 3.3.10), negative ones where they count from the end. The
/// largest COUNT and INTERVAL are ours: no calendar of holidays comes near.
const NUMBERS: [(&str, i64, bool); 7] = [
    ("INTERVAL", 1_000, false),
    ("COUNT", 50_000, false),
    ("BYMONTH", 12, false),
    ("BYMONTHDAY", 31, true),
    ("BYYEARDAY", 366, true),
    ("BYWEEKNO", 53, true),
    ("BYSETPOS", 366, true),
];
/// The rest of what stands in a rule.
const OTHERS: [&str; 9] =
    ["FREQ", "UNTIL", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "WKST", "RSCALE", "SKIP"];

/// Looks at a rule as it was written: the parser leaves out what it does not know, takes a number that is too
/// large for another one, and 0 for nothing.
pub fn check(rule: &str) -> Result<(), String> {
    let mut seen = HashSet::new();
    for part in rule.trim().split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim().to_ascii_uppercase();
        let shown = crate::text::one_line(&name, 60);
        if !seen.insert(name.clone()) {
            return Err(format!("RRULE has {shown} twice"));
        }
        let number = NUMBERS.iter().find(|(known, ..)| *known == name);
        let Some((_, most, may_be_negative)) = number else {
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            return Err(format!("RRULE: “{shown}” is not known"));
        };
        for one in value.split(',') {
            let number = one.trim().parse::<i64>().unwrap_or(0);
            let is_taken = if *may_be_negative { number.abs() } else { number };
            if !(1..=*most).contains(&is_taken) {
                let from_end = if *may_be_negative { format!(", or -{most} to -1") } else { String::new() };
                return Err(format!("RRULE: {name} must be 1 to {most}{from_end}"));
            }
        }
    }
    Ok(())
}

/// A rule that can be followed at little cost, its end on the event's own clock. `zone` is that of an
/// event with one of its own.
pub fn checked(
    rule: &ICalendarRecurrenceRule,
    start: DateTime,
    zone: Option<&TimeZone>,
) -> Result<ICalendarRecurrenceRule, String> {
    use ICalendarFrequency::{Hourly, Minutely, Secondly};
    let mut rule = rule.clone();
    let is_often = matches!(rule.freq, Hourly | Minutely | Secondly);
    if is_often || !(rule.byhour.is_empty() && rule.byminute.is_empty() && rule.bysecond.is_empty()) {
        return Err("RRULE repeats more than daily, which is not taken".to_owned());
    }
    if rule.rscale.is_some() || rule.skip.is_some() {
        return Err("RRULE: RSCALE and SKIP are not understood".to_owned());
    }
    if rule.count.is_some() && rule.until.is_some() {
        return Err("RRULE has both COUNT and UNTIL".to_owned());
    }
    if let Some(until) = rule.until.as_ref() {
        let last = civil(until).ok_or(
            "RRULE: UNTIL is not a day or a time between 1900 and 2200; without it the event repeats for ever",
        )?;
        let last = match zone {
            _ if !until.has_time() => end_of(last),
            Some(zone) if until.has_zone() => {
                let moment = TimeZone::UTC.to_ambiguous_timestamp(last).compatible();
                zone.to_datetime(moment.map_err(|error| error.to_string())?)
            }
            _ => last,
        };
        if last < start {
            return Err("RRULE: UNTIL is before DTSTART".to_owned());
        }
        rule.until = Some(written(last));
    }
    Ok(rule)
}

fn end_of(day: DateTime) -> DateTime {
    day.date().at(23, 59, 59, 0)
}

/// As a time without a zone.
fn written(at: DateTime) -> PartialDateTime {
    let part = |value: i8| u8::try_from(value).ok();
    PartialDateTime {
        year: u16::try_from(at.year()).ok(),
        month: part(at.month()),
        day: part(at.day()),
        hour: part(at.hour()),
        minute: part(at.minute()),
        second: part(at.second()),
        ..PartialDateTime::default()
    }
}

/// Each time that the rule names until `end`, as if it were UTC.
pub fn starts(
    rule: &ICalendarRecurrenceRule,
    start: DateTime,
    end: Timestamp,
    steps: &mut usize,
) -> Result<Vec<DateTime>, String> {
    let shown = |seconds: i64| {
        let at = jiff::Timestamp::from_second(seconds).map_err(|error| error.to_string())?;
        Ok::<_, String>(TimeZone::UTC.to_datetime(at))
    };
    let end = shown(end.as_seconds())?;
    if start > end {
        return Ok(Vec::new());
    }
    let mut rule = rule.clone();
    let until = rule.until.as_ref().and_then(civil).map_or(end, |until| until.min(end));
    rule.until = Some(written(until));
    let expanded = alone(start, rule).expand_dates(Tz::Floating, *steps);
    if let Some(error) = expanded.errors.first() {
        return Err(error.error.to_string());
    }
    // RFC 5545 section 3.8.5.3: DTSTART is the first of them. A rule that names nothing is not meant, and
    // a calendar full of them is costly to go through.
    if expanded.events.is_empty() {
        return Err("RRULE does not name even the day of DTSTART".to_owned());
    }
    *steps = steps
        .checked_sub(expanded.events.len())
        .filter(|left| *left > 0)
        .ok_or("RRULE: the calendar's events repeat too often to go through")?;
    expanded.events.iter().map(|event| shown(event.start.timestamp())).collect()
}

/// A calendar of one event without a zone, for it is calendars that can be gone through.
fn alone(start: DateTime, rule: ICalendarRecurrenceRule) -> ICalendar {
    let entry = |name, value| ICalendarEntry { name, params: Vec::new(), values: vec![value] };
    let event = ICalendarComponent {
        component_type: ICalendarComponentType::VEvent,
        entries: vec![
            entry(ICalendarProperty::Dtstart, ICalendarValue::PartialDateTime(Box::new(written(start)))),
            entry(ICalendarProperty::Rrule, ICalendarValue::RecurrenceRule(Box::new(rule))),
        ],
        component_ids: Vec::new(),
    };
    ICalendar { components: vec![event] }
}
