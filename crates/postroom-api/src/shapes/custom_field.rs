//! Values of custom fields in the document: which types there are hangs on the desk's own fields.

use postroom_core::custom_field::{CHOICES, FIELDS, TEXT_CHARS};
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Values of custom fields by their keys.
pub struct CustomFieldValues;

/// Values of custom fields by their keys, each of which `null` takes away.
pub struct CustomFieldChanges;

const TOLD: &str = "Values of custom fields by their keys: text for `text`, `date` (`2026-01-31`) and `choice` (its \
                    key), a number for `number`, a list of keys for `multi_choice`, true or false for `checkbox`.";

fn values(told: &str, may_be_null: bool) -> RefOr<Schema> {
    let of = |kind: Type| ObjectBuilder::new().schema_type(kind);
    let keys = ArrayBuilder::new().items(of(Type::String)).max_items(Some(CHOICES));
    let mut one = OneOfBuilder::new()
        .item(of(Type::String).max_length(Some(TEXT_CHARS)))
        .item(of(Type::Number))
        .item(of(Type::Boolean))
        .item(keys);
    if may_be_null {
        one = one.item(of(Type::Null));
    }
    let any: RefOr<Schema> = Schema::OneOf(one.build()).into();
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(told))
        .additional_properties(Some(AdditionalProperties::RefOr(any)))
        .max_properties(Some(FIELDS))
        .into()
}

impl PartialSchema for CustomFieldValues {
    fn schema() -> RefOr<Schema> {
        values(TOLD, false)
    }
}

impl ToSchema for CustomFieldValues {}

impl PartialSchema for CustomFieldChanges {
    fn schema() -> RefOr<Schema> {
        values(&format!("{TOLD} What is left out stays, and `null` takes a value away."), true)
    }
}

impl ToSchema for CustomFieldChanges {}
