//! What is true of every parameter of its kind, said in the document: machines go by it.

use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{ArrayItems, Object, Schema};

/// `If-Match` is one entity tag (RFC 9110 section 8.8.3) or any; so `crate::etag` reads it.
const ONE_TAG: &str = r#"^(\*|(W/)?"[!#-~]*")$"#;

/// What a key is made of; so `crate::idempotency` reads it.
const PRINTABLE: &str = "^[ -~]+$";

/// Completes the schemas of an operation's parameters.
pub fn tighten(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        match parameter.parameter_in {
            // `crate::query` takes no text that is empty.
            ParameterIn::Query => not_empty(parameter),
            ParameterIn::Header if parameter.name == "If-Match" => {
                if let Some(RefOr::T(Schema::Object(text))) = &mut parameter.schema {
                    text.pattern = Some(ONE_TAG.to_owned());
                }
            }
            ParameterIn::Header if parameter.name == "Idempotency-Key" => {
                if let Some(RefOr::T(Schema::Object(text))) = &mut parameter.schema {
                    text.pattern = Some(PRINTABLE.to_owned());
                }
            }
            _ => {}
        }
    }
}

fn not_empty(parameter: &mut Parameter) {
    match &mut parameter.schema {
        Some(RefOr::T(Schema::Object(text))) => begin_at_one(text),
        Some(RefOr::T(Schema::Array(list))) => {
            list.min_items = list.min_items.or(Some(1));
            if let ArrayItems::RefOrSchema(items) = &mut list.items
                && let RefOr::T(Schema::Object(text)) = &mut **items
            {
                begin_at_one(text);
                // A comma ends a value.
                text.pattern.get_or_insert_with(|| "^[^,]+$".to_owned());
            }
        }
        _ => {}
    }
}

fn begin_at_one(text: &mut Object) {
    let is_text = text.schema_type == utoipa::openapi::schema::SchemaType::new(utoipa::openapi::Type::String);
    if is_text && text.enum_values.is_none() {
        text.min_length.get_or_insert(1);
    }
}
