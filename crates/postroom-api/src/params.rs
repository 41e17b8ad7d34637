//! How the parameters that many operations share stand in the document.

use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Id, PathId, Row};
use crate::idempotency::{IdempotencyKey, KEY_CHARS};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Required, Schema};
use utoipa::{IntoParams, PartialSchema};

fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn header(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text()))
        .build()
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "If-Match",
            "The `ETag` of the version that may be changed, or `*`. With another version there is \
             nothing changed and 412 answered. May be left out.",
        )]
    }
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header("If-None-Match", "The `ETag` of what is held already: 304 where it is still so.")]
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameter = header(
            "Idempotency-Key",
            "A name of the caller's own for this request. Sent again with the same name within 24 hours, it \
             is not done again: the answer is that of the first time, byte for byte, with \
             `Idempotency-Replayed: true`. May be left out.",
        );
        let shape =
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(KEY_CHARS));
        parameter.schema = Some(Schema::from(shape).into());
        vec![parameter]
    }
}

fn in_path<T: PathId + PartialSchema>(name: &str) -> Vec<Parameter> {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(format!("Which {}.", T::NOUN)))
        .schema(Some(T::schema()))
        .build();
    vec![parameter]
}

impl<T: PathId + PartialSchema> IntoParams for Id<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        in_path::<T>("id")
    }
}

impl<T: PathId + PartialSchema> IntoParams for Row<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        in_path::<T>("row")
    }
}
