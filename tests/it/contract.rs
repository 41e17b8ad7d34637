//! The changelog of the contract: what differs from the last release is named in it.
//!
//! On a release `openapi/openapi.json` is copied to `openapi/released.json`, and the heading `Unreleased` of
//! `openapi/CHANGELOG.md` becomes the version. As long as there is no release, there is nothing to differ from.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn kept(name: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi").join(name)).ok()
}

/// Without what is only for people.
fn bare(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(bare).collect(),
        Value::Object(members) => {
            let mut left = Map::new();
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("description" | "summary" | "example" | "examples" | "title" | "tags", _) => {}
                    // Here names are members', whatever they are called.
                    ("properties", Value::Object(named)) => {
                        let named = named.iter().map(|(name, of)| (name.clone(), bare(of))).collect();
                        left.insert(name.clone(), Value::Object(named));
                    }
                    _ => drop(left.insert(name.clone(), bare(member))),
                }
            }
            Value::Object(left)
        }
        other => other.clone(),
    }
}

/// What a client can rely on, by name: operations, schemas and their members.
fn pieces(document: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            found.insert(format!("{} {path}", method.to_uppercase()), bare(operation));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let mut whole = bare(schema);
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        if let Some(members) = whole.as_object_mut() {
            members.remove("required");
            if let Some(Value::Object(named)) = members.remove("properties") {
                for (member, of) in named {
                    let is_required = required.contains(&json!(member));
                    found.insert(format!("{name}.{member}"), json!({"of": of, "required": is_required}));
                }
            }
        }
        found.insert(name.clone(), whole);
    }
    found
}

/// The names of what was added, is gone, or is otherwise.
fn changed(before: &Value, now: &Value) -> BTreeSet<String> {
    let (before, now) = (pieces(before), pieces(now));
    let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    all.into_iter().filter(|name| before.get(*name) != now.get(*name)).cloned().collect()
}

/// What of it the part `Unreleased` does not name.
fn unnamed(changed: BTreeSet<String>, changelog: &str) -> Vec<String> {
    let part = changelog.split("\n## ").find(|part| part.starts_with("Unreleased")).unwrap_or_default();
    changed.into_iter().filter(|name| !part.contains(&format!("`{name}`"))).collect()
}

fn current() -> Value {
    serde_json::from_str(&kept("openapi.json").expect("it is kept")).expect("it is JSON")
}

#[test]
fn what_differs_from_the_last_release_is_named() {
    let changelog = kept("CHANGELOG.md").expect("it is kept");
    let Some(released) = kept("released.json") else {
        assert!(changelog.contains("## Unreleased\n\nThe first version."), "nothing was released yet");
        return;
    };
    let released = serde_json::from_str(&released).expect("it is JSON");
    let unnamed = unnamed(changed(&released, &current()), &changelog);
    assert!(unnamed.is_empty(), "openapi/CHANGELOG.md does not name {unnamed:#?}");
}

#[test]
fn every_kind_of_change_is_noticed_and_words_for_people_are_none() {
    let before = current();
    let differs = |change: &dyn Fn(&mut Value)| {
        let mut now = before.clone();
        change(&mut now);
        changed(&before, &now).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(differs(&|_| ()), Vec::<String>::new());
    let prose = |now: &mut Value| {
        now["paths"]["/api/v1/tags"]["get"]["description"] = json!("Otherwise.");
        now["components"]["schemas"]["Tag"]["properties"]["name"]["description"] = json!("Otherwise.");
    };
    assert_eq!(differs(&prose), Vec::<String>::new());
    let gone = |now: &mut Value| drop(now["paths"].as_object_mut().unwrap().remove("/api/v1/me/session"));
    assert_eq!(differs(&gone), ["DELETE /api/v1/me/session"]);
    let parameter = |now: &mut Value| {
        now["paths"]["/api/v1/tags"]["get"]["parameters"][0]["required"] = json!(true);
    };
    assert_eq!(differs(&parameter), ["GET /api/v1/tags"]);
    let status = |now: &mut Value| {
        now["paths"]["/api/v1/tags"]["post"]["responses"]["200"] = json!({"description": "Made."});
    };
    assert_eq!(differs(&status), ["POST /api/v1/tags"]);
    let member = |now: &mut Value| {
        now["components"]["schemas"]["Tag"]["properties"]["icon"] = json!({"type": "string"});
    };
    assert_eq!(differs(&member), ["Tag.icon"]);
    let required = |now: &mut Value| now["components"]["schemas"]["Tag"]["required"] = json!(["id"]);
    assert!(differs(&required).contains(&"Tag.name".to_owned()));
    let word = |now: &mut Value| {
        now["components"]["schemas"]["Priority"]["enum"].as_array_mut().unwrap().push(json!("burning"));
    };
    assert_eq!(differs(&word), ["Priority"]);
}

#[test]
fn a_change_is_named_where_what_is_not_released_stands() {
    let changed = || BTreeSet::from(["Tag.name".to_owned(), "POST /api/v1/tags".to_owned()]);
    let text =
        "# Changes\n\n## Unreleased\n\n- `Tag.name` may be longer.\n\n## 0.1.0\n\n- `POST /api/v1/tags`\n";
    assert_eq!(unnamed(changed(), text), ["POST /api/v1/tags"]);
    assert_eq!(unnamed(changed(), "# Changes\n"), ["POST /api/v1/tags", "Tag.name"]);
}
