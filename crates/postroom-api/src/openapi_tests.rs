//! What is promised of the document as a whole.

use super::document;
use crate::routing::{is_public, operations};
use postroom_core::access::Scope;
use postroom_core::conversation::Status;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use utoipa::openapi::RefOr;

/// Operations that need no token. A new one is added here on purpose or not at all.
const PUBLIC: &str = include_str!("fixtures/public_operations.txt");

fn json() -> Value {
    serde_json::to_value(document()).unwrap()
}

#[test]
fn every_operation_says_what_it_is_for() {
    let document = document();
    let mut names = HashSet::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let name = operation.operation_id.clone().unwrap();
            let at = format!("{method} {path} ({name})");
            assert!(names.insert(name), "{at}: the name is taken");
            assert!(operation.summary.as_ref().is_some_and(|text| !text.is_empty()), "{at}: no summary");
            let description = operation.description.clone().unwrap_or_default();
            let scoped = Scope::ALL.iter().any(|scope| description.contains(&format!("`{scope}`")));
            let told = if is_public(operation) {
                description.contains("Public.")
            } else {
                scoped || description.contains("no scope")
            };
            assert!(told, "{at}: its description names no scope: {description:?}");
            assert_eq!(operation.tags.as_ref().map(Vec::len), Some(1), "{at}: one tag");
            for (status, response) in &operation.responses.responses {
                let RefOr::T(response) = response else { panic!("{at} {status}: by reference") };
                assert!(!response.description.is_empty(), "{at} {status}: no description");
                if status.starts_with(['4', '5']) {
                    let types: Vec<&String> = response.content.keys().collect();
                    assert_eq!(types, ["application/problem+json"], "{at} {status}");
                }
            }
            assert!(
                operation.responses.responses.keys().any(|status| status.starts_with(['2', '3'])),
                "{at}"
            );
            for parameter in operation.parameters.iter().flatten() {
                let RefOr::T(parameter) = parameter else { panic!("{at}: a parameter by reference") };
                assert!(parameter.description.is_some(), "{at}: {} has no description", parameter.name);
            }
        }
    }
}

#[test]
fn every_json_body_has_an_example_that_its_shape_allows() {
    let json = json();
    for (path, item) in json["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            for (kind, body) in content.iter().filter(|(kind, _)| kind.ends_with("json")) {
                let named = body["examples"].as_object().into_iter().flatten().map(|(_, e)| &e["value"]);
                let examples: Vec<&Value> = body.get("example").into_iter().chain(named).collect();
                assert!(!examples.is_empty(), "{method} {path} {kind}: no example");
                let name = body["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                let shape = &json["components"]["schemas"][name];
                for example in examples {
                    let given: BTreeSet<&String> = example.as_object().unwrap().keys().collect();
                    for required in shape["required"].as_array().into_iter().flatten() {
                        let required = required.as_str().unwrap().to_owned();
                        assert!(given.contains(&required), "{method} {path}: the example lacks {required}");
                    }
                    for member in given {
                        assert!(shape["properties"].get(member).is_some(), "{method} {path}: no {member}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let json = json();
    let mut used = BTreeSet::new();
    references(&json, &mut used);
    let known: BTreeSet<String> = json["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "lead nowhere");
    assert_eq!(known.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "are not used");
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                found.insert(target.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}

#[test]
fn no_shape_stands_in_the_document_twice() {
    let json = json();
    let mut seen: Vec<(&String, String)> = Vec::new();
    for (name, schema) in json["components"]["schemas"].as_object().unwrap() {
        let Some(properties) = schema.get("properties") else { continue };
        let shape = format!("{properties}{}", schema["required"]);
        if let Some((other, _)) = seen.iter().find(|(_, known)| *known == shape) {
            panic!("{name} and {other} are one shape");
        }
        seen.push((name, shape));
    }
    for item in json["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for response in operation["responses"].as_object().unwrap().values() {
                let Some(body) = response["content"].get("application/json") else { continue };
                let inlined = body["schema"].get("properties").is_some();
                assert!(!inlined, "{}: an answer without a name", operation["operationId"]);
            }
        }
    }
}

#[test]
fn public_operations_are_those_of_the_fixture() {
    let document = document();
    let mut public = BTreeSet::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            if is_public(operation) {
                public.insert(format!("{method} {path}"));
            }
        }
    }
    let expected: BTreeSet<String> = PUBLIC.lines().map(str::to_owned).collect();
    assert_eq!(public, expected);
}

/// `UPDATE=1 cargo test` writes the files anew.
#[test]
fn the_files_in_the_tree_are_the_document() {
    let written = || {
        let older = serde_json::to_string_pretty(&crate::openapi_3_0::down(json())).unwrap();
        [("openapi.json", document().to_pretty_json().unwrap()), ("openapi-3.0.json", older)]
    };
    for (name, text) in written() {
        let file = format!("{}/../../openapi/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = text + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text, "openapi/{name} has drifted; run UPDATE=1 cargo test -p postroom-api");
    }
    assert_eq!(written(), written(), "the document is the same every time");
    assert_eq!(json()["openapi"], "3.1.0");
}

/// The schema says the words that serde writes.
#[test]
fn words_are_documented_as_they_are_spoken() {
    let json = json();
    let documented = |name: &str| -> Vec<String> {
        let words = json["components"]["schemas"][name]["enum"].as_array().unwrap();
        words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let spoken: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    assert_eq!(documented("Scope"), spoken);
    let spoken: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    assert_eq!(documented("Status"), spoken);
}
