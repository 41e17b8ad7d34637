//! Points in time, and the one place they come from.

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::BigInt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = BigInt)]
pub struct Timestamp(pub i64);

crate::store::types::as_bigint!(Timestamp);

/// The years that a [`Timestamp`] is kept within: RFC 3339 knows four digits, and every offset
/// must still fit (9999-12-30T21:59:59.999999Z).
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_207_199_999_999;

impl Timestamp {
    /// From whole seconds since the epoch, held within the years 1 to 9999.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000).clamp(EARLIEST, LATEST))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This much later.
    pub fn plus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).clamp(EARLIEST, LATEST))
    }

    /// This much earlier.
    pub fn minus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).clamp(EARLIEST, LATEST))
    }

    /// How long it is since `earlier`; nothing where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339, any offset. `None` where it is not a time.
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Self(at.as_microsecond().clamp(EARLIEST, LATEST)))
    }
}

/// RFC 3339 in UTC with microseconds: `2026-11-22T08:00:00.123456Z`.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = self.0.clamp(EARLIEST, LATEST);
        match jiff::Timestamp::from_microsecond(kept) {
            Ok(at) => write!(f, "{at:.6}"),
            Err(_) => write!(f, "{kept}"),
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("not a time; write RFC 3339, such as 2026-11-22T08:00:00Z")
        })
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, microseconds"))
            .examples([serde_json::json!("2026-11-22T08:00:00.123456Z")])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

/// Where the time comes from. Nothing but [`crate::desk::Desk`] reads it.
#[derive(Debug)]
pub enum Clock {
    /// The machine's own.
    System,
    /// One that a test sets and moves: microseconds since the epoch.
    Fixed(AtomicI64),
}

impl Clock {
    /// A clock that stands still until it is moved.
    pub fn fixed(at: Timestamp) -> Self {
        Self::Fixed(AtomicI64::new(at.0))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(now.as_micros()).unwrap_or(LATEST))
            }
            Self::Fixed(at) => Timestamp(at.load(Ordering::Relaxed)),
        }
    }

    /// Moves a fixed clock on; the system's own can't be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Fixed(at) = self {
            let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            at.fetch_add(micros, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_rfc_3339() {
        let at = Timestamp(1_795_334_400_123_456);
        assert_eq!(at.to_string(), "2026-11-22T08:00:00.123456Z");
        assert_eq!(Timestamp::parse("2026-11-22T10:00:00.123456+02:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::from_seconds(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn the_ends_of_time_can_be_written() {
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-30T21:59:59.999999Z");
        assert_eq!(Timestamp::from_seconds(i64::MIN).0, EARLIEST);
    }
}
