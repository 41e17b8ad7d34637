//! Days and times of day as people write them: `2026-12-25`, `09:00`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

/// A time of day to the minute, in whole minutes since midnight; `24:00` is the day's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// `00:00`.
    pub const MIDNIGHT: Self = Self(0);
    /// `24:00`.
    pub const END: Self = Self(24 * 60);

    /// Hours from 0 to 24 and minutes from 0 to 59; `None` past `24:00`.
    pub fn new(hour: u16, minute: u16) -> Option<Self> {
        let at = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && at <= Self::END.0).then_some(Self(at))
    }

    /// Whole minutes since midnight: 0 to 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for TimeOfDay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if !two(hour) || !two(minute) {
                return None;
            }
            Self::new(hour.parse().ok()?, minute.parse().ok()?)
        };
        read().ok_or("not a time of day; write 00:00 to 24:00, such as 09:00")
    }
}

/// A day of the calendar, from 1900 to 2200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(jiff::civil::Date);

impl Date {
    /// `None` outside of the years 1900 to 2200.
    pub fn new(date: jiff::civil::Date) -> Option<Self> {
        (1900..=2200).contains(&date.year()).then_some(Self(date))
    }

    /// For reckoning with.
    pub fn civil(self) -> jiff::civil::Date {
        self.0
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Date {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        let shaped = text.len() == 10 && text.bytes().enumerate().all(shape);
        let read = || if shaped { Self::new(text.parse().ok()?) } else { None };
        read().ok_or("not a day from 1900 to 2200; write such as 2026-12-25")
    }
}

macro_rules! as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}
as_text!(TimeOfDay, Date);

impl utoipa::PartialSchema for TimeOfDay {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"))
            .description(Some("A time of day to the minute, on the clock of the schedule's time zone; `24:00` is the day's end"))
            .examples([serde_json::json!("09:00")])
            .into()
    }
}

impl utoipa::PartialSchema for Date {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .description(Some("A day of the calendar, from 1900 to 2200"))
            .examples([serde_json::json!("2026-12-25")])
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_written_one_way() {
        for time in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(time.parse::<TimeOfDay>().unwrap().to_string(), time);
        }
        for none in
            ["", "9:00", "24:01", "25:00", "09:60", "09:0", "+9:00", "09:00:00", " 09:00", "0900", "09:-1"]
        {
            assert!(none.parse::<TimeOfDay>().is_err(), "{none}");
        }
    }

    #[test]
    fn days_are_written_one_way() {
        for day in ["1900-01-01", "2200-12-31", "2028-02-29"] {
            assert_eq!(day.parse::<Date>().unwrap().to_string(), day);
        }
        for none in
            ["", "1899-12-31", "2201-01-01", "2027-02-29", "20261225", "2026-12-25T00:00:00", "2026-1-01"]
        {
            assert!(none.parse::<Date>().is_err(), "{none}");
        }
    }
}
