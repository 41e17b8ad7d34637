//! Language tags, and how the moment of an opening is written in a language.

use crate::time::Timestamp;
use jiff::tz::TimeZone;

/// The longest tag that is taken, in bytes.
pub const TAG_BYTES: usize = 35;

/// A tag (RFC 5646 section 2.1) as it is compared: `de`, `pt-BR`, `zh-Hant`. `None` where it is none.
pub fn canonical(tag: &str) -> Option<String> {
    let mut parts = tag.split('-');
    let first = parts.next()?;
    let is_language = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if !is_language || tag.len() > TAG_BYTES {
        return None;
    }
    let mut written = first.to_ascii_lowercase();
    for part in parts {
        if !(1..=8).contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let is_word = part.bytes().all(|b| b.is_ascii_alphabetic());
        let part = part.to_ascii_lowercase();
        written.push('-');
        match (part.len(), is_word) {
            (2, true) => written.push_str(&part.to_ascii_uppercase()),
            (4, true) => {
                let (head, tail) = part.split_at(1);
                written.push_str(&head.to_ascii_uppercase());
                written.push_str(tail);
            }
            _ => written.push_str(&part),
        }
    }
    Some(written)
}

/// The language of a tag without region and script.
pub fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

const DAYS: [(&str, [&str; 7]); 4] = [
    ("en", ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]),
    ("de", ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"]),
    ("fr", ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"]),
    ("es", ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"]),
];

const MONTHS: [(&str, [&str; 12]); 4] = [
    (
        "en",
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
    ),
    (
        "de",
        [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
    ),
    (
        "fr",
        [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
    ),
    (
        "es",
        [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
    ),
];

/// When it opens, as it stands behind "we are back": on the clock of the time zone, which is named. In a
/// language without words of ours it is numbers.
pub fn opening(language: &str, zone: &TimeZone, at: Option<Timestamp>) -> String {
    let language = primary(language);
    let Some(at) = at else {
        return match language {
            "de" => "so bald wie möglich",
            "fr" => "dès que possible",
            "es" => "lo antes posible",
            _ => "as soon as possible",
        }
        .to_owned();
    };
    // Both keep to the years 1 to 9999; `Timestamp` ends first.
    let moment = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    let local = zone.to_datetime(moment);
    let name = zone.iana_name().unwrap_or("UTC");
    let word = |table: &[(&str, &'static str)]| {
        table.iter().find_map(|(known, word)| (*known == language).then_some(*word))
    };
    let index = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    let month = usize::from(local.month().unsigned_abs()).saturating_sub(1);
    let days: Vec<_> = DAYS.iter().filter_map(|(l, days)| Some((*l, *days.get(index)?))).collect();
    let months: Vec<_> = MONTHS.iter().filter_map(|(l, all)| Some((*l, *all.get(month)?))).collect();
    let (day, year, hour, minute) = (local.day(), local.year(), local.hour(), local.minute());
    match (language, word(&days), word(&months)) {
        ("en", Some(weekday), Some(month)) => {
            format!("on {weekday}, {day} {month} {year} at {hour:02}:{minute:02} ({name})")
        }
        ("de", Some(weekday), Some(month)) => {
            format!("am {weekday}, {day}. {month} {year} um {hour}:{minute:02} Uhr ({name})")
        }
        ("fr", Some(weekday), Some(month)) => {
            let day = if day == 1 { "1er".to_owned() } else { day.to_string() };
            format!("le {weekday} {day} {month} {year} à {hour:02}:{minute:02} ({name})")
        }
        ("es", Some(weekday), Some(month)) => {
            format!("el {weekday} {day} de {month} de {year} a las {hour}:{minute:02} ({name})")
        }
        _ => {
            let month = local.month();
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} ({name})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_one_way() {
        for (given, written) in
            [("DE", "de"), ("pt-br", "pt-BR"), ("ZH-hant-tw", "zh-Hant-TW"), ("es-419", "es-419")]
        {
            assert_eq!(canonical(given).as_deref(), Some(written));
        }
        for none in ["", "d", "deutsch", "de_DE", "de-", "1a", "de-abcdefghi", "x-klingon", "dé"] {
            assert_eq!(canonical(none), None, "{none}");
        }
        assert!(canonical(&format!("de{}", "-a1b2c3d4".repeat(3))).is_some());
        assert_eq!(canonical(&format!("de{}", "-a1b2c3d4".repeat(4))), None);
        assert_eq!((primary("pt-BR"), primary("de")), ("pt", "de"));
    }

    #[test]
    fn an_opening_stands_in_the_words_of_the_language_and_on_the_clock_of_the_schedule() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // Monday, 1 March 2027, 08:00 UTC
        let at = Some(Timestamp(1_803_888_000_000_000));
        for (language, words) in [
            ("en-GB", "on Monday, 1 March 2027 at 09:00 (Europe/Berlin)"),
            ("de", "am Montag, 1. März 2027 um 9:00 Uhr (Europe/Berlin)"),
            ("fr", "le lundi 1er mars 2027 à 09:00 (Europe/Berlin)"),
            ("es", "el lunes 1 de marzo de 2027 a las 9:00 (Europe/Berlin)"),
            ("nl", "2027-03-01 09:00 (Europe/Berlin)"),
        ] {
            assert_eq!(opening(language, &berlin, at), words);
        }
        assert_eq!(opening("de", &berlin, None), "so bald wie möglich");
        assert_eq!(opening("nl", &berlin, None), "as soon as possible");
    }
}
