//! Members of a JSON merge patch (RFC 7396): left out, taken away, or given.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A member that may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Left out: it stays.
    #[default]
    Absent,
    /// `null`: it is taken away.
    Null,
    /// It becomes this.
    Value(T),
}

impl<T> Patch<T> {
    /// As the core says it: `None` stays, `Some(None)` is taken away.
    #[expect(clippy::option_option, reason = "three states, as the core's changes have them")]
    pub fn change(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    /// It was left out: for `skip_serializing_if`, without which it could not be told from null.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Null => serializer.serialize_none(),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// A member that can't be null: left out it stays, and `null` is a fault.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A member that may be null and must stand there.
pub fn stated<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        #[serde(default)]
        assignee_id: Patch<i64>,
        #[serde(default, deserialize_with = "given")]
        subject: Option<String>,
    }

    #[test]
    fn absent_null_and_given_are_three_things() {
        let read = |json| serde_json::from_str::<Change>(json).unwrap();
        assert_eq!(read("{}"), Change { assignee_id: Patch::Absent, subject: None });
        assert_eq!(read(r#"{"assignee_id":null}"#).assignee_id, Patch::Null);
        let both = read(r#"{"assignee_id":7,"subject":"x"}"#);
        assert_eq!(both, Change { assignee_id: Patch::Value(7), subject: Some("x".into()) });
        assert_eq!(Patch::<i64>::Absent.change(), None);
        assert_eq!(Patch::<i64>::Null.change(), Some(None));
        assert_eq!(Patch::Value(7).change(), Some(Some(7)));
    }

    #[test]
    fn null_is_a_fault_where_it_means_nothing() {
        let told = serde_json::from_str::<Change>(r#"{"subject":null}"#).unwrap_err().to_string();
        assert!(told.starts_with("invalid type: null"), "{told}");
    }
}
