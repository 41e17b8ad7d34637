//! `after_ingest` of a source, read so that a fault names the member that it is in.

use crate::body::{parse_value, placed};
use crate::problem::Fault;
use postroom_core::mailbox::AfterIngest;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Days at the most after which a mail is deleted.
const DAYS: std::ops::RangeInclusive<i64> = 0..=3_650;

/// One kind alone, of which serde knows the members' places.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    #[serde(rename = "folder")]
    _folder: String,
}

/// See [`Move`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    after_days: i64,
}

/// For a member of this name.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AfterIngest, D::Error> {
    let value = Value::deserialize(deserializer)?;
    checked(value).map_err(|fault| placed("after_ingest", &fault))
}

/// [`read`] for a member that may be left out.
pub fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AfterIngest>, D::Error> {
    read(deserializer).map(Some)
}

fn checked(value: Value) -> Result<AfterIngest, Fault> {
    match value.get("type").and_then(Value::as_str) {
        Some("move") => {
            parse_value::<Move>(value.clone(), "")?;
        }
        Some("delete") => {
            let delete: Delete = parse_value(value.clone(), "")?;
            if !DAYS.contains(&delete.after_days) {
                return Err(Fault {
                    pointer: "/after_days".to_owned(),
                    code: "out_of_range",
                    detail: "must be 0 to 3650".to_owned(),
                });
            }
        }
        _ => {}
    }
    parse_value(value, "")
}
