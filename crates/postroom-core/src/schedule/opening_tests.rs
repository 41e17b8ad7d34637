//! Openings held against a clock that is looked at every minute.

use super::*;
use crate::schedule::clock::TimeOfDay;
use crate::schedule::closing::ClosedTime;
use proptest::prelude::*;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    // Changes at midnight: the day begins at 01:00, or 23:00 comes twice.
    "America/Santiago",
    "Africa/Cairo",
    // By half an hour.
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn daily(from: &str, to: &str) -> Vec<WeeklyHours> {
    Weekday::ALL.iter().map(|day| WeeklyHours { weekday: *day, from: time(from), to: time(to) }).collect()
}

fn table(name: &str, hours: Vec<WeeklyHours>) -> Timetable {
    Timetable::new(zone(name).unwrap().1, hours, Vec::new(), &[])
}

fn at_times(opening: &Opening) -> (bool, Option<String>, Option<String>) {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string().replace(".000000Z", "Z"));
    (opening.is_open, text(opening.next_opening), text(opening.next_closing))
}

fn said(is_open: bool, opening: &str, closing: &str) -> (bool, Option<String>, Option<String>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (is_open, some(opening), some(closing))
}

#[test]
fn it_opens_and_closes_to_the_microsecond() {
    let office = table("Europe/Berlin", daily("09:00", "17:00"));
    let before = office.opening(Timestamp(at("2026-11-23T08:00:00Z").0 - 1));
    assert_eq!(at_times(&before), said(false, "2026-11-23T08:00:00Z", "2026-11-23T16:00:00Z"));
    let opened = office.opening(at("2026-11-23T08:00:00Z"));
    assert_eq!(at_times(&opened), said(true, "2026-11-24T08:00:00Z", "2026-11-23T16:00:00Z"));
    assert!(office.is_open(Timestamp(at("2026-11-23T16:00:00Z").0 - 1)));
    assert!(!office.is_open(at("2026-11-23T16:00:00Z")));
}

#[test]
fn an_hour_that_the_clocks_leave_out_is_never_open() {
    // 2026-03-29 02:00 is 03:00 in Berlin.
    let within = table("Europe/Berlin", daily("02:15", "02:45"));
    let told = within.opening(at("2026-03-28T12:00:00Z"));
    assert_eq!(at_times(&told), said(false, "2026-03-30T00:15:00Z", "2026-03-30T00:45:00Z"));
    let into = table("Europe/Berlin", daily("02:30", "10:00"));
    let told = into.opening(at("2026-03-29T00:59:00Z"));
    assert_eq!(at_times(&told), said(false, "2026-03-29T01:00:00Z", "2026-03-29T08:00:00Z"));
    let day = table("Europe/Berlin", daily("00:00", "24:00"));
    let hours = |from: &str, to: &str| day.open_between(at(from), at(to)).as_secs() / 3_600;
    assert_eq!(hours("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), 23);
}

#[test]
fn an_hour_that_comes_twice_is_open_twice() {
    // 2026-10-25 03:00 is 02:00 again in Berlin.
    let night = table("Europe/Berlin", daily("02:15", "02:45"));
    let told = night.opening(at("2026-10-25T00:00:00Z"));
    assert_eq!(at_times(&told), said(false, "2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z"));
    let told = night.opening(at("2026-10-25T00:45:00Z"));
    assert_eq!(at_times(&told), said(false, "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z"));
    let day = table("Europe/Berlin", daily("00:00", "24:00"));
    let long = day.open_between(at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z"));
    assert_eq!(long.as_secs() / 3_600, 25);
}

#[test]
fn never_and_always_have_no_change_to_name() {
    let never = table("Europe/Berlin", Vec::new()).opening(at("2026-11-23T08:00:00Z"));
    assert_eq!(at_times(&never), said(false, "", ""));
    let always = table("Europe/Berlin", daily("00:00", "24:00")).opening(at("2026-11-23T08:00:00Z"));
    assert_eq!(at_times(&always), said(true, "", ""));
    assert_eq!(always.because, Because::Hours);
}

#[test]
fn the_next_opening_is_looked_for_over_400_days() {
    let far = |days: i64| {
        let last = day("2026-01-01").civil().checked_add(jiff::Span::new().days(days)).unwrap();
        let holiday = Holiday {
            date: day("2026-01-01"),
            until: Date::new(last),
            name: "Sabbatical".into(),
            hours: Vec::new(),
        };
        let utc = zone("UTC").unwrap().1;
        Timetable::new(utc, daily("00:00", "24:00"), vec![holiday], &[])
            .next_opening(at("2026-01-01T00:00:00Z"))
    };
    assert_eq!(far(398), Some(at("2027-02-04T00:00:00Z")));
    assert_eq!(far(399), None);
}

#[test]
fn holidays_and_calendars_say_that_it_is_them() {
    let short = Holiday {
        date: day("2026-12-24"),
        until: None,
        name: "Christmas Eve".into(),
        hours: vec![Span { from: time("09:00"), to: time("12:00") }],
    };
    let closed = Holiday {
        date: day("2026-12-24"),
        until: Some(day("2026-12-26")),
        name: "Christmas".into(),
        hours: Vec::new(),
    };
    let leap =
        Closing { name: "Leap day".into(), time: ClosedTime::days(day("2028-02-29"), day("2028-02-29")) };
    let noon = Closing {
        name: "Assembly".into(),
        time: ClosedTime::Instants { from: at("2026-11-23T10:00:00Z"), to: at("2026-11-23T11:00:00Z") },
    };
    let office = Timetable::new(
        zone("Europe/Berlin").unwrap().1,
        daily("09:00", "17:00"),
        vec![short, closed],
        &[leap, noon],
    );
    let why = |text: &str| {
        let opening = office.opening(at(text));
        (opening.is_open, opening.because, opening.name.unwrap_or_default())
    };
    assert_eq!(why("2026-12-24T10:00:00Z"), (true, Because::Holiday, "Christmas Eve".into()));
    assert_eq!(why("2026-12-24T11:00:00Z"), (false, Because::Holiday, "Christmas Eve".into()));
    assert_eq!(why("2026-12-26T10:00:00Z"), (false, Because::Holiday, "Christmas".into()));
    assert_eq!(why("2026-12-27T10:00:00Z"), (true, Because::Hours, String::new()));
    assert_eq!(why("2028-02-29T10:00:00Z"), (false, Because::Calendar, "Leap day".into()));
    assert_eq!(why("2028-02-28T23:00:00Z"), (false, Because::Calendar, "Leap day".into()));
    assert!(why("2028-03-01T10:00:00Z").0);
    assert_eq!(why("2026-11-23T10:30:00Z"), (false, Because::Calendar, "Assembly".into()));
    let during = office.opening(at("2026-11-23T10:30:00Z"));
    assert_eq!(at_times(&during), said(false, "2026-11-23T11:00:00Z", "2026-11-23T16:00:00Z"));
    assert_eq!(office.next_opening(at("2026-12-24T11:00:00Z")), Some(at("2026-12-27T08:00:00Z")));
}

#[test]
fn the_ends_of_time_are_no_end_of_us() {
    let office = table("America/New_York", daily("09:00", "17:00"));
    for far in [Timestamp(i64::MIN), Timestamp::from_seconds(i64::MIN), Timestamp(i64::MAX)] {
        office.opening(far);
    }
    let (from, to) = (at("2026-11-23T10:00:00Z"), at("2026-11-22T10:00:00Z"));
    assert_eq!(office.open_between(from, to), Duration::ZERO);
}

/// What the rule says, word for word.
fn is_open_by_the_clock(table: &Timetable, at: Timestamp) -> bool {
    let shown = table.zone.to_datetime(moment(at));
    let minute = u16::try_from(shown.hour()).unwrap() * 60 + u16::try_from(shown.minute()).unwrap();
    let holiday = Date::new(shown.date()).and_then(|day| table.holiday(day));
    let rows: Vec<(u16, u16)> = if let Some(holiday) = holiday {
        holiday.hours.iter().map(|row| (row.from.minutes(), row.to.minutes())).collect()
    } else {
        let weekday = Weekday::from(shown.date().weekday());
        let rows = table.hours.iter().filter(|row| row.weekday == weekday);
        rows.map(|row| (row.from.minutes(), row.to.minutes())).collect()
    };
    let is_shut = table.closed.iter().any(|(from, to, _)| *from <= at && at < *to);
    !is_shut && rows.iter().any(|(from, to)| (*from..*to).contains(&minute))
}

fn rows() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::btree_set(0_u16..=96, 0..=6).prop_map(|edges| {
        let edges: Vec<u16> = edges.into_iter().map(|edge| edge * 15).collect();
        edges.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    })
}

fn of_minutes(minutes: u16) -> TimeOfDay {
    TimeOfDay::new(minutes / 60, minutes % 60).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Four days around a change of the clocks, or any other.
    #[test]
    fn every_minute_is_as_a_clock_shows_it(
        name in prop::sample::select(&ZONES[..]),
        year in 2009_i64..2030,
        change in 0_usize..4,
        week in prop::collection::vec(rows(), 7),
        holiday in prop::option::of((0_i64..4, 0_i64..2, rows())),
        closed in prop::collection::vec((0_i64..5_760, 1_i64..900), 0..4),
    ) {
        let (_, zone) = zone(name).unwrap();
        let new_year = jiff::civil::date(i16::try_from(year).unwrap(), 1, 1).at(0, 0, 0, 0);
        let new_year = zone.to_timestamp(new_year).unwrap();
        let near = zone.following(new_year).nth(change).map_or(new_year, |change| change.timestamp());
        let begin = Timestamp((near.as_second().div_euclid(60) - 2 * 1_440) * MINUTE);
        let hours = Weekday::ALL.iter().zip(&week).flat_map(|(day, rows)| {
            rows.iter().map(|(from, to)| WeeklyHours { weekday: *day, from: of_minutes(*from), to: of_minutes(*to) })
        });
        let first = zone.to_datetime(moment(begin)).date();
        let later = |days: i64| Date::new(first.checked_add(jiff::Span::new().days(days)).unwrap()).unwrap();
        let holidays = holiday.into_iter().map(|(after, long, rows)| Holiday {
            date: later(after),
            until: Some(later(after + long)),
            name: "A holiday".into(),
            hours: rows.iter().map(|(from, to)| Span { from: of_minutes(*from), to: of_minutes(*to) }).collect(),
        });
        let minutes = |count: i64| Timestamp(begin.0 + count * MINUTE);
        let closings: Vec<Closing> = closed.iter().map(|(from, long)| Closing {
            name: "An event".into(),
            time: ClosedTime::Instants { from: minutes(*from), to: minutes(from + long) },
        }).collect();
        let table = Timetable::new(zone.clone(), hours.collect(), holidays.collect(), &closings);

        let walked: Vec<bool> = (0..4 * 1_440).map(|minute| is_open_by_the_clock(&table, minutes(minute))).collect();
        let end = minutes(4 * 1_440);
        let mut reckoned = vec![false; walked.len()];
        for (from, to) in table.open(begin, end) {
            prop_assert!(from < to);
            let index = |at: Timestamp| usize::try_from((at.0 - begin.0) / MINUTE).unwrap();
            reckoned[index(from)..index(to)].fill(true);
        }
        let other = (0..walked.len()).find(|minute| walked[*minute] != reckoned[*minute]);
        prop_assert_eq!(other.map(|minute| (minutes(minute as i64), walked[minute])), None);
        let open = walked.iter().filter(|open| **open).count();
        prop_assert_eq!(table.open_between(begin, end), Duration::from_secs(open as u64 * 60));
        for open in [1, 59, 600].map(|minutes| Duration::from_secs(minutes * 60)) {
            if let Some(since) = table.open_since(end, open) {
                prop_assert_eq!(table.open_between(since, end), open);
                prop_assert!(table.open_between(Timestamp(since.0 + 1), end) < open);
            }
        }
        for from in (0..walked.len() - 1).step_by(97) {
            let told = table.opening(minutes(from as i64));
            prop_assert_eq!(told.is_open, walked[from]);
            let change = |to: bool| walked[from..].windows(2).position(|pair| pair[0] != to && pair[1] == to);
            for (next, to) in [(told.next_opening, true), (told.next_closing, false)] {
                let walked = change(to).map(|after| minutes((from + after + 1) as i64));
                match walked {
                    Some(_) => prop_assert_eq!(next, walked),
                    None => prop_assert!(next.is_none_or(|next| next >= end)),
                }
            }
        }
    }
}
