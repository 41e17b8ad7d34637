//! The document in the words of OpenAPI 3.0.3, for generators that do not read 3.1 yet. What 3.0 can't say
//! is said as near to it as it can be, and rather too loosely. One thing is not: 3.0.3 gives `nullable` no
//! effect where no `type` stands beside it, as beside a reference.

use serde_json::{Map, Value, json};

/// The 3.1 document, written down.
pub fn down(mut document: Value) -> Value {
    document["openapi"] = json!("3.0.3");
    if let Some(licence) = document.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        licence.remove("identifier");
    }
    each_place(&mut document);
    if let Some(named) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        named.values_mut().for_each(schema);
    }
    document
}

/// Every schema of an operation, a parameter, a header or a body. Examples are what they are.
fn each_place(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(each_place),
        Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "schema" => schema(member),
                    "example" | "examples" | "schemas" => {}
                    _ => each_place(member),
                }
            }
        }
        _ => {}
    }
}

fn schema(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, member) in members.iter_mut() {
        match name.as_str() {
            "properties" => member.as_object_mut().into_iter().flatten().for_each(|(_, of)| schema(of)),
            "items" | "additionalProperties" | "not" => schema(member),
            "oneOf" | "anyOf" | "allOf" => member.as_array_mut().into_iter().flatten().for_each(schema),
            _ => {}
        }
    }
    one_example(members);
    null(members);
    reference(members);
}

/// A schema has one example in 3.0.
fn one_example(members: &mut Map<String, Value>) {
    if let Some(Value::Array(examples)) = members.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        members.insert("example".to_owned(), first);
    }
}

/// That something may be null is no type of its own in 3.0, but said beside the type.
fn null(members: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [kind] = types.as_slice() {
            let kind = kind.clone();
            members.insert("type".to_owned(), kind);
        } else {
            // Of several types 3.0 knows nothing: any may be there.
            members.remove("type");
        }
        members.insert("nullable".to_owned(), json!(true));
    }
    let Some(Value::Array(forms)) = members.get_mut("oneOf") else { return };
    let is_null = |form: &Value| form.get("type").is_some_and(|kind| kind == "null");
    let all = forms.len();
    forms.retain(|form| !is_null(form));
    if forms.len() == all {
        return;
    }
    members.insert("nullable".to_owned(), json!(true));
    let forms = members.get_mut("oneOf").and_then(Value::as_array_mut);
    if let Some([Value::Object(form)]) = forms.map(Vec::as_mut_slice) {
        let form = std::mem::take(form);
        members.remove("oneOf");
        for (name, member) in form {
            members.entry(name).or_insert(member);
        }
    }
}

/// Beside a reference 3.0 reads nothing.
fn reference(members: &mut Map<String, Value>) {
    if members.len() > 1
        && let Some(to) = members.remove("$ref")
    {
        members.insert("allOf".to_owned(), json!([{ "$ref": to }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn downed(mut of: Value) -> Value {
        schema(&mut of);
        of
    }

    #[test]
    fn what_may_be_null_says_so_beside_its_type() {
        assert_eq!(
            downed(json!({"type": ["string", "null"], "maxLength": 5})),
            json!({"type": "string", "nullable": true, "maxLength": 5})
        );
        let reference = json!({"$ref": "#/components/schemas/Id", "description": "Which."});
        assert_eq!(
            downed(json!({"oneOf": [reference, {"type": "null"}]})),
            json!({"allOf": [{"$ref": "#/components/schemas/Id"}], "description": "Which.", "nullable": true})
        );
        assert_eq!(
            downed(json!({"oneOf": [{"type": "null"}, {"type": "string"}, {"type": "integer"}]})),
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}], "nullable": true})
        );
        assert_eq!(downed(json!({"type": ["string", "integer"]})), json!({"nullable": true}));
    }

    #[test]
    fn what_stands_in_another_is_written_anew_too_and_examples_are_not() {
        let of = json!({"type": "object", "examples": [{"type": ["a", "null"]}, 2], "properties": {
            "type": {"$ref": "#/x", "description": "A member of this name."},
            "many": {"type": "array", "items": {"type": ["integer", "null"]}},
            "free": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        }});
        assert_eq!(
            downed(of),
            json!({"type": "object", "example": {"type": ["a", "null"]}, "properties": {
                "type": {"allOf": [{"$ref": "#/x"}], "description": "A member of this name."},
                "many": {"type": "array", "items": {"type": "integer", "nullable": true}},
                "free": {"type": "object", "additionalProperties": {"type": "string", "nullable": true}},
            }})
        );
    }

    #[test]
    fn nothing_that_only_3_1_knows_is_left() {
        let document = down(serde_json::to_value(crate::openapi::document()).unwrap());
        let mut looked_at = 0;
        look(&document, &mut |members| {
            looked_at += 1;
            assert!(
                !members.get("type").is_some_and(|kind| kind.is_array() || kind == "null"),
                "{members:?}"
            );
            assert!(!members.contains_key("$ref") || members.len() == 1, "{members:?}");
            for name in
                ["const", "propertyNames", "patternProperties", "prefixItems", "contentEncoding", "if"]
            {
                assert!(!members.contains_key(name), "{name}: {members:?}");
            }
        });
        assert!(looked_at > 1_000, "{looked_at}");
        assert_eq!(document["openapi"], "3.0.3");
        assert!(document["paths"].as_object().is_some_and(|paths| paths.len() > 50));
    }

    /// Every object, but for those in examples and the lists of members, whose names are free.
    fn look(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| look(item, see)),
            Value::Object(members) => {
                see(members);
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("example" | "examples", _) => {}
                        ("properties", Value::Object(named)) => named.values().for_each(|one| look(one, see)),
                        _ => look(member, see),
                    }
                }
            }
            _ => {}
        }
    }
}
