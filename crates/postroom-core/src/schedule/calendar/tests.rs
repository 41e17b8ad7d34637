//! Calendars as they come, and such as nobody should send.

use super::*;
use crate::schedule::clock::Date;
use jiff::tz::TimeZone;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T16:00:00Z").unwrap()
}

fn calendar(events: &[&str]) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n".to_owned();
    for event in events {
        text.extend(["BEGIN:VEVENT\r\n", &event.replace('\n', "\r\n"), "\r\nEND:VEVENT\r\n"]);
    }
    text + "END:VCALENDAR\r\n"
}

fn of(events: &[&str]) -> Vec<Closing> {
    read(&calendar(events), now()).unwrap().closings
}

/// The days on which whole days begin.
fn days(events: &[&str]) -> Vec<String> {
    let first = of(events).into_iter().map(|closing| match closing.time {
        ClosedTime::Clock { date, .. } if closing.time.is_whole_days() => date.to_string(),
        other => panic!("{other:?}"),
    });
    first.collect()
}

fn times(zone: &str, events: &[&str]) -> Vec<(String, String)> {
    let zone = TimeZone::get(zone).unwrap();
    let short = |at: Timestamp| at.to_string().replace(":00.000000Z", "Z");
    let times = of(events).into_iter().map(|closing| closing.time.instants(&zone));
    times.map(|(from, to)| (short(from), short(to))).collect()
}

fn refused(text: &str) -> String {
    read(text, now()).unwrap_err().to_string()
}

#[test]
fn an_all_day_event_ends_before_its_end() {
    let xmas = of(&[
        "SUMMARY:Weihnach\n ten\\, 1. und 2. Tag\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227",
    ]);
    let day = |text: &str| text.parse::<Date>().unwrap();
    let time = ClosedTime::days(day("2026-12-25"), day("2026-12-26"));
    assert_eq!(xmas, [Closing { name: "Weihnachten, 1. und 2. Tag".into(), time }]);
    for one in ["", "\nDTEND;VALUE=DATE:20261225", "\nDTEND;VALUE=DATE:20261226", "\nDURATION:P1D"] {
        let found = of(&[&format!("DTSTART;VALUE=DATE:20261225{one}")]);
        assert_eq!(found[0].time, ClosedTime::days(day("2026-12-25"), day("2026-12-25")), "{one}");
    }
}

#[test]
fn public_holidays_repeat_as_their_rules_say() {
    for (rule, expected) in [
        ("20200101\nRRULE:FREQ=YEARLY", vec!["2026-01-01", "2027-01-01", "2028-01-01"]),
        ("20200101\nRRULE:FREQ=YEARLY;COUNT=8", vec!["2026-01-01", "2027-01-01"]),
        ("20200101\nRRULE:FREQ=YEARLY;UNTIL=20270101", vec!["2026-01-01", "2027-01-01"]),
        ("20200101\nRRULE:FREQ=YEARLY;UNTIL=20261231T230000Z", vec!["2026-01-01"]),
        ("20200101\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20270101", vec!["2026-01-01", "2028-01-01"]),
        // Thanksgiving, Memorial Day and an election every four years.
        (
            "20201126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            vec!["2025-11-27", "2026-11-26", "2027-11-25", "2028-11-23"],
        ),
        ("20200525\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO", vec!["2026-05-25", "2027-05-31", "2028-05-29"]),
        (
            "20201103\nRRULE:FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            vec!["2028-11-07"],
        ),
        ("20240229\nRRULE:FREQ=YEARLY", vec!["2028-02-29"]),
        (
            "20261231\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3",
            vec!["2026-12-31", "2027-01-31", "2027-02-28"],
        ),
        ("20261201\nRDATE;VALUE=DATE:20261203,20261205", vec!["2026-12-01", "2026-12-03", "2026-12-05"]),
    ] {
        let found = days(&[&format!("DTSTART;VALUE=DATE:{rule}")]);
        let near: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(near, expected, "{rule}");
    }
}

#[test]
fn only_the_time_around_now_is_taken() {
    let weekly = days(&["DTSTART;VALUE=DATE:19990103\nRRULE:FREQ=WEEKLY"]);
    let zone = TimeZone::UTC;
    let span = (now().minus(BEHIND), now().plus(AHEAD));
    assert!(weekly.len() > 158 && weekly.len() < 164, "{}", weekly.len());
    for closing in of(&["DTSTART;VALUE=DATE:19990103\nRRULE:FREQ=WEEKLY"]) {
        let (from, to) = closing.time.instants(&zone);
        assert!(to.plus(DAY) > span.0 && from < span.1.plus(DAY));
    }
    assert_eq!(of(&["DTSTART;VALUE=DATE:20010911", "DTSTART;VALUE=DATE:21000101"]), []);
}

#[test]
fn timed_events_go_by_their_own_clock() {
    let at = |start: &str, rest: &str| times("Europe/Berlin", &[&format!("DTSTART{start}{rest}")]);
    let hour = [("2026-12-01T13:00Z".to_owned(), "2026-12-01T14:00Z".to_owned())];
    assert_eq!(at(":20261201T130000Z", "\nDTEND:20261201T140000Z"), hour);
    assert_eq!(at(":20261201T140000", "\nDTEND:20261201T150000"), hour);
    assert_eq!(at(";TZID=America/New_York:20261201T080000", "\nDURATION:PT1H"), hour);
    assert_eq!(at(";TZID=\"Eastern Standard Time\":20261201T080000", "\nDURATION:PT1H"), hour);
    // Nine o'clock stays nine o'clock when the clocks change on 2027-03-28.
    let weekly = at(
        ";TZID=Europe/Berlin:20270322T090000",
        "\nDURATION:PT30M\nRRULE:FREQ=WEEKLY;UNTIL=20270405T070000Z",
    );
    let begins: Vec<&str> = weekly.iter().map(|(from, _)| from.as_str()).collect();
    assert_eq!(begins, ["2027-03-22T08:00Z", "2027-03-29T07:00Z", "2027-04-05T07:00Z"]);
    let without = at(
        ";TZID=Europe/Berlin:20270322T090000",
        "\nDURATION:PT30M\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE:20270329T070000Z",
    );
    assert_eq!(without.len(), 2);
}

#[test]
fn one_repetition_may_be_moved_or_cancelled() {
    let master = "UID:a@x\nDTSTART;VALUE=DATE:20270101\nRRULE:FREQ=MONTHLY;COUNT=3";
    let moved = "UID:a@x\nRECURRENCE-ID;VALUE=DATE:20270201\nDTSTART;VALUE=DATE:20270203";
    let gone = "UID:a@x\nRECURRENCE-ID;VALUE=DATE:20270301\nDTSTART;VALUE=DATE:20270301\nSTATUS:CANCELLED";
    assert_eq!(days(&[master, moved, gone]), ["2027-01-01", "2027-02-03"]);
}

#[test]
fn a_fault_names_its_line_or_its_event() {
    for (text, told) in [
        ("", "there is no event"),
        ("<html>", "line 1: “<html>” is not a line of iCalendar"),
        ("hello: world", "line 1: the calendar must begin with BEGIN:VCALENDAR"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "there is no event"),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n",
            "line 3: END:VCALENDAR where END:VEVENT is due (begun at line 2)",
        ),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:2026", "line 2: BEGIN:VEVENT has no END"),
        ("END:VEVENT", "line 1: END without a BEGIN"),
        ("BEGIN:VCALENDAR\n\n nonsense\n", "line 1: BEGIN:VCALENDAR has no END"),
    ] {
        assert!(refused(text).starts_with(told), "{text:?}: {}", refused(text));
    }
    for (event, told) in [
        ("SUMMARY:No day", "has no DTSTART"),
        ("DTSTART;VALUE=DATE:20260230", "DTSTART is not a day or a time"),
        ("DTSTART;VALUE=DATE:2026x230", "DTSTART “2026x230” is not a day or a time"),
        ("DTSTART;VALUE=DATE:18991231", "DTSTART is not a day or a time"),
        ("DTSTART:20261201T120000Z", "closes no time"),
        ("DTSTART:20261201T120000Z\nDTEND:20261201T120000Z", "must end after it begins"),
        ("DTSTART;VALUE=DATE:20261202\nDTEND;VALUE=DATE:20261201", "must end after it begins"),
        ("DTSTART;VALUE=DATE:20261202\nDTEND:20261203T000000Z", "DTSTART and DTEND must both be days"),
        (
            "DTSTART;TZID=Mars/Olympus:20261201T120000\nDURATION:PT1H",
            "DTSTART is in the time zone “Mars/Olympus”",
        ),
        ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=FOO", "RRULE can't be understood"),
        ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=HOURLY", "RRULE repeats more than daily"),
        ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;BYSECOND=1", "RRULE repeats more than daily"),
        ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;UNTIL=20261130", "RRULE: UNTIL is before DTSTART"),
        ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY\nRRULE:FREQ=DAILY", "has RRULE twice"),
        (
            "DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "RRULE does not name even the day",
        ),
    ] {
        let whole = refused(&calendar(&[
            "DTSTART;VALUE=DATE:20261101",
            &format!("SUMMARY:Odd\n{event}").replacen("SUMMARY:Odd\nSUMMARY", "SUMMARY", 1),
        ]));
        let name = if event.starts_with("SUMMARY") { "No day" } else { "Odd" };
        assert!(whole.starts_with(&format!("event 2 (“{name}”, line 7): {told}")), "{event}: {whole}");
    }
}

/// What the parser would pass over, or take for another number.
#[test]
fn a_rule_says_nothing_that_is_left_out() {
    let of = |rule: &str| {
        read(&calendar(&[&format!("DTSTART;VALUE=DATE:20261101\nRRULE:FREQ=DAILY;{rule}")]), now())
            .map_err(|error| error.to_string())
    };
    for taken in [
        "INTERVAL=1",
        "INTERVAL=1000",
        "COUNT=1",
        "COUNT=50000;",
        "interval=2;WKST=MO",
        "BYSETPOS=1;BYMONTHDAY=1,-31",
    ] {
        assert!(of(taken).is_ok(), "{taken}: {:?}", of(taken));
    }
    for (rule, told) in [
        ("INTERVAL=0", "INTERVAL must be 1 to 1000"),
        ("INTERVAL=-1", "INTERVAL must be 1 to 1000"),
        ("INTERVAL=1001", "INTERVAL must be 1 to 1000"),
        ("INTERVAL=65537", "INTERVAL must be 1 to 1000"),
        ("INTERVAL=", "INTERVAL must be 1 to 1000"),
        ("COUNT=0", "COUNT must be 1 to 50000"),
        ("COUNT=50001", "COUNT must be 1 to 50000"),
        ("COUNT=99999999999999999999", "COUNT must be 1 to 50000"),
        ("BYMONTHDAY=0", "BYMONTHDAY must be 1 to 31, or -31 to -1"),
        ("BYMONTHDAY=1,257", "BYMONTHDAY must be 1 to 31, or -31 to -1"),
        ("BYMONTH=13", "BYMONTH must be 1 to 12"),
        ("BYEASTER=0", "“BYEASTER” is not known"),
    ] {
        assert_eq!(of(rule), Err(format!("line 6: RRULE: {told}")), "{rule}");
    }
    assert_eq!(of("COUNT=1;COUNT=2"), Err("line 6: RRULE has COUNT twice".to_owned()));
    assert_eq!(of("INTER\n VAL=0"), Err("line 6: RRULE: INTERVAL must be 1 to 1000".to_owned()), "folded");
    let far = of("UNTIL=99991231T000000Z").unwrap_err();
    assert!(far.contains("between 1900 and 2200; without it the event repeats for ever"), "{far}");
}

#[test]
fn a_calendar_has_its_limits() {
    let mut text = calendar(&["DTSTART;VALUE=DATE:20261101"]);
    text.push_str(&" ".repeat(BYTES - text.len()));
    assert!(read(&text, now()).is_ok());
    text.push(' ');
    assert_eq!(read(&text, now()), Err(CalendarError::TooLarge));

    let yearly = vec!["DTSTART;VALUE=DATE:20261101\nRRULE:FREQ=YEARLY;COUNT=1"; REPEATING + 1];
    assert_eq!(of(&yearly[1..]).len(), 1, "what is the same is there once");
    assert_eq!(refused(&calendar(&yearly)), "the calendar has at most 100 events that repeat");

    let rule = |count: usize| format!("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;COUNT={count}");
    let timed =
        |count: usize| format!("DTSTART:20260101T120000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT={count}");
    let most = [rule(1_000), timed(1_000)];
    assert_eq!(of(&[&most[0], &most[1]]).len(), CLOSINGS);
    let over = refused(&calendar(&[&rule(1_000), &timed(1_001)]));
    assert_eq!(over, "the calendar closes at most 2000 times within three years");
}

/// Rules that go on for long before they come to now, or that never come to anything.
#[test]
fn what_is_costly_is_refused_after_few_steps() {
    let old = "DTSTART;VALUE=DATE:19000101\nRRULE:FREQ=DAILY;INTERVAL=40";
    assert!(read(&calendar(&[old]), now()).is_ok());
    let days = "DTSTART;VALUE=DATE:19000101\nRRULE:FREQ=DAILY";
    let told = refused(&calendar(&[days, days]));
    assert!(told.contains("event 2") && told.contains("repeat too often to go through"), "{told}");
    let never = "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;INTERVAL=7;BYDAY=TU";
    assert!(refused(&calendar(&[never; REPEATING])).starts_with("event 1 (without a name"), "at the first");
}

#[test]
fn nothing_that_is_sent_breaks_it() {
    let whole = calendar(&[
        "UID:a\nSUMMARY:é\nDTSTART;TZID=Europe/Berlin:20270322T090000\nDURATION:PT30M\nRRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO",
        "DTSTART;VALUE=DATE:20270101\nDTEND;VALUE=DATE:20270102\nEXDATE;VALUE=DATE:20270101",
    ]);
    let mut taken = 0;
    for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
        taken += usize::from(read(&whole[..cut], now()).is_ok());
        for odd in ["9", "-", ";", ":", "\r\n", "\0"] {
            let mut broken = whole.clone();
            broken.insert_str(cut, odd);
            let _either_way = read(&broken, now());
        }
    }
    // Without its last break the calendar is whole.
    assert!(taken <= 2, "{taken} calendars that were cut off were taken");
    let deep = "BEGIN:VCALENDAR\n".to_owned() + &"BEGIN:VEVENT\n".repeat(20_000);
    assert_eq!(refused(&deep), "line 9: at most 8 components lie in each other");
}
