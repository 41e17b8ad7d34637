//! Query parameters, strictly: what is not known, not well-formed or given twice is refused,
//! because a filter that is ignored shows more than was asked for.

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use postroom_core::listing::Words;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_path_to_error::Segment;
use std::future::{Ready, ready};

/// Typed parameters. That there are no others is [`crate::routing::gate`]'s business, which
/// knows all that an operation documents.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(pairs(req.query_string())).map(Self))
    }
}

/// The decoded names and values of a query, in order.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The words of a `q` that looks for names; none where there is no `q`.
pub fn words(q: Option<&str>) -> Result<Words, Problem> {
    let q = q.unwrap_or_default();
    if q.chars().count() > 200 || q.split_whitespace().count() > Words::MOST {
        let told = format!("q: has at most 200 characters and {} words", Words::MOST);
        return Err(Problem::bad_parameter(told));
    }
    Ok(Words::of(q))
}

/// Reads parameters into a type; others are passed over.
pub fn parse<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Problem> {
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Problem::bad_parameter(format!("{name}: must not hold U+0000")));
    }
    let fields = MapDeserializer::new(pairs.into_iter().map(|(name, value)| (name, Text(value))));
    serde_path_to_error::deserialize(fields).map_err(|error| {
        let name = match error.path().iter().next() {
            Some(Segment::Map { key }) => key.clone(),
            _ => "query".to_owned(),
        };
        Problem::bad_parameter(format!("{name}: {}", error.into_inner()))
    })
}

/// One value, read as whatever its place asks for. Lists are separated by commas.
struct Text(String);

impl IntoDeserializer<'_, Error> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! whole_number {
    ($($method:ident $visit:ident $type:ty),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(de::Error::custom(format_args!("{:?} is not a whole number that fits", self.0))),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Text {
    type Error = Error;

    whole_number!(
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_empty() {
            return Err(de::Error::custom("must not be empty"));
        }
        visitor.visit_string(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(de::Error::custom(format_args!("{other:?} is neither true nor false"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.split(',').any(str::is_empty) {
            return Err(de::Error::custom("a list has no empty members"));
        }
        let members: Vec<Text> = self.0.split(',').map(|member| Text(member.to_owned())).collect();
        visitor.visit_seq(SeqDeserializer::new(members.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::conversation::Status;
    use postroom_core::id::MailboxId;
    use postroom_core::time::Timestamp;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample {
        #[serde(default)]
        status: Vec<Status>,
        #[serde(default)]
        mailbox_id: Vec<MailboxId>,
        limit: Option<u16>,
        count: Option<bool>,
        since: Option<Timestamp>,
        name: Option<String>,
    }

    fn read(query: &str) -> Result<Sample, String> {
        parse(pairs(query)).map_err(|problem: Problem| problem.to_string())
    }

    #[test]
    fn values_are_read_as_what_they_are() {
        let sample = read(
            "status=open,pending&mailbox_id=3,4&limit=7&count=true&since=2026-11-22T08:00:00Z&name=a%2Cb+c",
        )
        .unwrap();
        assert_eq!(sample.status, [Status::Open, Status::Pending]);
        assert_eq!(sample.mailbox_id, [MailboxId(3), MailboxId(4)]);
        assert_eq!(sample.limit, Some(7));
        assert_eq!(sample.count, Some(true));
        assert_eq!(sample.since, Timestamp::parse("2026-11-22T08:00:00Z"));
        assert_eq!(sample.name.as_deref(), Some("a,b c"));
        assert_eq!(read("").unwrap().limit, None);
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (query, name) in [
            ("status=new", "status: unknown variant `new`, expected one of `open`"),
            ("status=open,", "status: a list has no empty members"),
            ("status=", "status: a list has no empty members"),
            ("mailbox_id=x", "mailbox_id: \"x\" is not a whole number"),
            ("limit=70000", "limit: \"70000\" is not a whole number"),
            ("limit=", "limit: \"\" is not a whole number"),
            ("count=yes", "count: \"yes\" is neither true nor false"),
            ("since=today", "since: not a time"),
            ("name=", "name: must not be empty"),
            ("name=a%00b", "name: must not hold U+0000"),
        ] {
            let told = read(query).unwrap_err();
            assert!(told.starts_with(&format!("400 bad_parameter: {name}")), "{query}: {told}");
        }
    }
}
