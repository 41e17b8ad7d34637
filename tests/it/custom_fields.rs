//! Custom fields through the API: what they are, which values they take, and what follows from them.

mod queries;
mod values;

use crate::mailing::{self, with};
use crate::problems::{faults, problem};
use postroom_core::access::Scope;
use postroom_core::custom_field::{CHOICES, FIELDS, KEY_CHARS};
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Answer;

pub const PATH: &str = "/api/v1/custom-fields";

/// A list below the API's path.
async fn list(desk: &TestDesk, path: &str) -> Vec<Value> {
    mailing::list(desk, &format!("/api/v1/{path}")).await
}

pub fn text(key: &str) -> Value {
    json!({"object": "conversation", "key": key, "type": "text", "title": "A text"})
}

pub fn chosen(key: &str, kind: &str) -> Value {
    let choice = |key: &str| json!({"key": key, "title": key.to_uppercase()});
    json!({"object": "conversation", "key": key, "type": kind, "title": "What", "choices":
        [choice("red"), choice("green"), choice("blue")]})
}

pub async fn made(desk: &TestDesk, field: Value) -> Value {
    desk.http.post(PATH, &field).await.expect(201).json()
}

pub fn path_of(field: &Value) -> String {
    format!("{PATH}/{}", field["id"])
}

fn told(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 422, "{}", answer.text());
    faults(answer)
}

fn fault(pointer: &str, code: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), code.to_owned())]
}

#[tokio::test]
async fn a_field_is_made_changed_archived_and_removed() {
    let desk = TestDesk::start().await;
    let answer =
        desk.http.post(PATH, &with(text("order_no"), json!({"pattern": "[0-9]+"}))).await.expect(201);
    let field = answer.json();
    let path = path_of(&field);
    assert!(answer.header("location").is_some_and(|location| location.ends_with(&path)));
    assert_eq!(
        (&field["key"], &field["type"], &field["position"]),
        (&json!("order_no"), &json!("text"), &json!(0))
    );
    let document = problem(&desk.http.post(PATH, &text("order_no")).await, 409, "already_exists");
    assert_eq!(document["existing_id"], field["id"]);
    let other = made(&desk, with(text("order_no"), json!({"object": "customer"}))).await;
    assert_ne!(other["id"], field["id"], "customers have keys of their own");

    let second = made(&desk, text("second")).await;
    assert_eq!(second["position"], 1, "behind the others");
    let change =
        json!({"title": " Order  number ", "pattern": null, "position": 5, "required_on_close": true});
    let changed = desk.http.patch(&path, &change).await.expect(200);
    let etag = changed.header("etag").expect("an ETag").to_owned();
    let changed = changed.json();
    assert_eq!((&changed["title"], &changed["pattern"]), (&json!("Order number"), &Value::Null));
    let keys = |all: Vec<Value>| all.iter().map(|one| one["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(list(&desk, "custom-fields?object=conversation").await), ["second", "order_no"]);
    assert_eq!(keys(list(&desk, "custom-fields").await), ["second", "order_no", "order_no"]);
    let first = desk.http.get(&format!("{PATH}?limit=2")).await.expect(200).json();
    let cursor = first["page"]["next_cursor"].as_str().expect("there is more");
    let rest = desk.http.get(&format!("{PATH}?limit=2&cursor={cursor}")).await.expect(200).json();
    assert_eq!(rest["data"][0]["id"], other["id"]);

    let headers = [("Content-Type", "application/json"), ("If-Match", "\"f1-99\"")];
    problem(&desk.http.send("PATCH", &path, &headers, b"{\"position\":1}").await, 412, "version_conflict");
    let same = desk.http.patch(&path, &change).await.expect(200);
    assert_eq!(same.header("etag"), Some(etag.as_str()), "nothing changed");
    let archived = desk.http.patch(&path, &json!({"archived": true})).await.expect(200).json();
    assert!(archived["archived_at"].is_string());
    let back = desk.http.patch(&path, &json!({"archived": false})).await.expect(200).json();
    assert_eq!(back["archived_at"], Value::Null);
    desk.http.delete(&path).await.expect(204);
    problem(&desk.http.get(&path).await, 404, "not_found");

    let told: Vec<String> =
        desk.event_types().await.into_iter().filter(|kind| kind.starts_with("custom_field.")).collect();
    let made = vec!["custom_field.created"; 3];
    let changed = vec!["custom_field.updated"; 3];
    assert_eq!(told, [made, changed, vec!["custom_field.deleted"]].concat());
    let audited = list(&desk, "audit-log?limit=100").await;
    assert!(audited.iter().any(|row| row["kind"] == "custom_field.deleted"), "{audited:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_field_is_told_by_its_pointer() {
    let desk = TestDesk::start().await;
    let refused = |changes: Value| {
        let desk = &desk;
        async move { told(&desk.http.post(PATH, &with(text("k"), changes)).await) }
    };
    assert_eq!(refused(json!({"key": "Order No"})).await, fault("/key", "invalid_key"));
    assert_eq!(refused(json!({"title": " "})).await, fault("/title", "required"));
    assert_eq!(refused(json!({"pattern": "("})).await, fault("/pattern", "invalid_pattern"));
    assert_eq!(refused(json!({"pattern": "(\\w{999}){999}"})).await, fault("/pattern", "invalid_pattern"));
    assert_eq!(refused(json!({"type": "date", "pattern": "a"})).await, fault("/pattern", "not_allowed"));
    assert_eq!(refused(json!({"type": "choice"})).await, fault("/choices", "required"));
    assert_eq!(refused(json!({"position": 10_001})).await, fault("/position", "out_of_range"));
    assert_eq!(refused(json!({"type": "colour"})).await, fault("/type", "unknown_value"));
    let required = json!({"object": "customer", "required_on_close": true});
    assert_eq!(refused(required).await, fault("/required_on_close", "not_allowed"));
    let field = made(&desk, text("fixed")).await;
    for fixed in ["key", "object", "type"] {
        let change = json!({fixed: field[fixed]});
        assert_eq!(
            told(&desk.http.patch(&path_of(&field), &change).await),
            fault(&format!("/{fixed}"), "unknown_field")
        );
    }
    assert_eq!(list(&desk, "custom-fields").await.len(), 1, "nothing of what was refused is there");
}

#[tokio::test]
async fn limits_hold_at_the_limit_and_not_above() {
    let desk = TestDesk::start().await;
    let key = "k".repeat(KEY_CHARS);
    let choices = |count: usize| {
        let all: Vec<Value> =
            (0..count).map(|one| json!({"key": format!("c{one}"), "title": "One"})).collect();
        with(text(&key), json!({"object": "customer", "type": "multi_choice", "choices": all}))
    };
    assert_eq!(told(&desk.http.post(PATH, &choices(CHOICES + 1)).await), fault("/choices", "too_many"));
    let many = made(&desk, choices(CHOICES)).await;
    assert_eq!(many["choices"].as_array().map(Vec::len), Some(CHOICES));
    for number in 0..FIELDS {
        made(&desk, text(&format!("k{number}"))).await;
    }
    problem(&desk.http.post(PATH, &text("one_more")).await, 409, "state_conflict");
    made(&desk, with(text("other"), json!({"object": "customer"}))).await;
}

#[tokio::test]
async fn only_who_sets_the_desk_up_changes_fields() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let field = made(&desk, text("order_no")).await;
    let path = path_of(&field);
    let agent = desk.client(&[Scope::ConversationsWrite, Scope::TagsManage], &[]).await;
    agent.get(PATH).await.expect(200);
    agent.get(&path).await.expect(200);
    problem(&agent.post(PATH, &text("mine")).await, 403, "insufficient_scope");
    problem(&agent.patch(&path, &json!({"title": "Mine"})).await, 403, "insufficient_scope");
    problem(&agent.delete(&path).await, 403, "insufficient_scope");
    let narrow = desk.client(&[Scope::AdminWrite, Scope::ConversationsRead], &[mailbox]).await;
    problem(&narrow.post(PATH, &text("mine")).await, 403, "forbidden");
    problem(&narrow.patch(&path, &json!({"title": "Mine"})).await, 403, "forbidden");
    problem(&narrow.delete(&path).await, 403, "forbidden");
    let blind = desk.client(&[Scope::CustomersRead], &[]).await;
    problem(&blind.get(PATH).await, 403, "insufficient_scope");
}
