//! The lines of a calendar, before anything is made of them: each is a property, what begins ends, and
//! rules say what they may. The parser passes over what it can't read, and over a file that was cut off.

use super::{CalendarError, repeat};

/// Nothing of iCalendar lies deeper.
const DEPTH: usize = 8;

/// Fails at the first line that is none. Gives the numbers of the lines at which events begin.
pub fn check(text: &str) -> Result<Vec<usize>, CalendarError> {
    let mut inside: Vec<(String, usize)> = Vec::new();
    let mut events = Vec::new();
    let mut any = false;
    let mut rule: Option<(usize, String)> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let wrong = |why: String| CalendarError::Line { line: line_number, why };
        // RFC 5545 section 3.1: a line goes on after a break and a blank.
        if line.trim().is_empty() {
            continue;
        }
        if any && line.starts_with([' ', '\t']) {
            if let Some((_, value)) = &mut rule {
                value.push_str(&line[1..]);
            }
            continue;
        }
        rule_ends(&mut rule)?;
        let Some((name, value)) = line.split_once(':') else {
            return Err(wrong(format!(
                "“{}” is not a line of iCalendar (name:value)",
                crate::text::one_line(line, 60)
            )));
        };
        any = true;
        let property = name.split(';').next().unwrap_or_default();
        let is_in_event = inside.last().is_some_and(|(open, _)| open == "VEVENT");
        if is_in_event && property.eq_ignore_ascii_case("RRULE") {
            rule = Some((line_number, value.to_owned()));
        }
        let value = value.trim().to_ascii_uppercase();
        if name.eq_ignore_ascii_case("BEGIN") {
            if inside.is_empty() && value != "VCALENDAR" {
                return Err(wrong("the calendar must begin with BEGIN:VCALENDAR".to_owned()));
            }
            if inside.len() == DEPTH {
                return Err(wrong(format!("at most {DEPTH} components lie in each other")));
            }
            if value == "VEVENT" {
                events.push(line_number);
            }
            inside.push((value, line_number));
        } else if name.eq_ignore_ascii_case("END") {
            match inside.pop() {
                Some((open, _)) if open == value => {}
                Some((open, at)) => {
                    return Err(wrong(format!(
                        "END:{} where END:{open} is due (begun at line {at})",
                        crate::text::one_line(&value, 60)
                    )));
                }
                None => return Err(wrong("END without a BEGIN".to_owned())),
            }
        } else if inside.is_empty() {
            return Err(wrong("the calendar must begin with BEGIN:VCALENDAR".to_owned()));
        }
    }
    match inside.pop() {
        Some((open, line)) => Err(CalendarError::Line {
            line,
            why: format!("BEGIN:{} has no END", crate::text::one_line(&open, 60)),
        }),
        None => Ok(events),
    }
}

/// Fails where the rule that ends here says what it may not.
fn rule_ends(rule: &mut Option<(usize, String)>) -> Result<(), CalendarError> {
    let Some((line, value)) = rule.take() else { return Ok(()) };
    repeat::check(&value).map_err(|why| CalendarError::Line { line, why })
}
