//! The API as others rely on it: shapes, changes, lists, limits, headers.

mod changes;
mod customers;
mod include;
mod limits;
mod lists;
mod shapes;
mod wire;

use serde_json::{Value, json};
use support::desk::TestDesk;

/// A conversation that came by telephone, of `email`, with more members if any are given.
async fn conversation(desk: &TestDesk, mailbox: i64, email: &str, more: Value) -> Value {
    let mut body = json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": email},
        "message": {"kind": "inbound", "text": "Where is it?"}});
    let members = body.as_object_mut().expect("an object");
    members.extend(more.as_object().cloned().unwrap_or_default());
    desk.http.post("/api/v1/conversations", &body).await.expect(201).json()
}

fn path_of(conversation: &Value) -> String {
    format!("/api/v1/conversations/{}", conversation["id"])
}

fn ids(list: &Value) -> Vec<i64> {
    list["data"].as_array().expect("a list").iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

/// The names of an object's members, in order of the alphabet.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
