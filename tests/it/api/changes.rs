//! Changes and versions: what PATCH takes, what stays, and who is told that nothing is new.

use super::{conversation, path_of};
use crate::problems::{faults, problem};
use serde_json::{Value, json};
use support::desk::TestDesk;

#[tokio::test]
async fn what_is_held_already_is_not_sent_again() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let made = conversation(&desk, mailbox, "ada@example.org", json!({})).await;
    let agent = json!({"name": "Amy", "email": "amy@example.org"});
    let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json();
    let team = desk.http.post("/api/v1/teams", &json!({"name": "Front"})).await.expect(201).json();
    for (path, change) in [
        (path_of(&made), Some(json!({"subject": "Later order"}))),
        (format!("/api/v1/customers/{}", made["customer_id"]), Some(json!({"name": "Ada"}))),
        (format!("/api/v1/mailboxes/{mailbox}"), Some(json!({"aliases": ["help@example.org"]}))),
        (format!("/api/v1/agents/{}", agent["id"]), Some(json!({"name": "Amy Pond"}))),
        (format!("/api/v1/teams/{}", team["id"]), Some(json!({"name": "Back"}))),
        (format!("/api/v1/messages/{}", made["last_message_id"]), None),
    ] {
        let first = desk.http.get(&path).await.expect(200);
        let etag = first.header("etag").expect("a version").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{path}: {etag}");
        for held in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let answer =
                desk.http.send("GET", &path, &[("If-None-Match", held.as_str())], b"").await.expect(304);
            assert!(answer.body.is_empty());
            assert_eq!(answer.header("etag"), Some(etag.as_str()), "{path}");
        }
        let Some(change) = change else { continue };
        let changed = desk.http.patch(&path, &change).await.expect(200);
        let now = changed.header("etag").expect("a version").to_owned();
        assert_ne!(now, etag, "{path}");
        let fresh = desk.http.send("GET", &path, &[("If-None-Match", etag.as_str())], b"").await.expect(200);
        assert_eq!((fresh.header("etag"), fresh.json()), (Some(now.as_str()), changed.json()), "{path}");
        // The version that was seen first may no longer be written over.
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", etag.as_str())];
        let refused = desk.http.send("PATCH", &path, &headers, change.to_string().as_bytes()).await;
        problem(&refused, 412, "version_conflict");
        let version = refused.header("etag").expect("the version there is").trim_matches('"').to_owned();
        assert!(now.starts_with(&format!("\"{version}~")), "{path}: {version} {now}");
        for wrong in ["c1-1", "\"c1-1", "", "\"a\", \"b\""] {
            let headers = [("Content-Type", "application/json"), ("If-Match", wrong)];
            let refused = desk.http.send("PATCH", &path, &headers, change.to_string().as_bytes()).await;
            problem(&refused, 400, "bad_parameter");
        }
    }
    desk.stop().await;
}

#[tokio::test]
async fn what_is_left_out_stays_and_null_takes_away() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let agent = json!({"name": "Amy", "email": "amy@example.org"});
    let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].clone();
    let made =
        conversation(&desk, mailbox, "ada@example.org", json!({"assignee_id": agent, "priority": "high"}))
            .await;
    let path = path_of(&made);
    let same = desk.http.patch(&path, &json!({})).await.expect(200).json();
    assert_eq!(same, made, "an empty change changes nothing");
    let now = desk.http.patch(&path, &json!({"priority": "low"})).await.expect(200).json();
    assert_eq!((&now["priority"], &now["assignee_id"]), (&json!("low"), &agent));
    let now = desk.http.patch(&path, &json!({"assignee_id": null})).await.expect(200).json();
    assert_eq!((&now["assignee_id"], &now["priority"]), (&Value::Null, &json!("low")));
    let before = desk.http.get(&path).await.expect(200);
    for (body, pointer, code) in [
        (r#"{"nothing": 1}"#, "/nothing", "unknown_field"),
        (r#"{"status": null}"#, "/status", "wrong_type"),
        (r#"{"status": "asleep"}"#, "/status", "unknown_value"),
        (r#"{"status": "snoozed"}"#, "/status", "not_settable"),
        (r#"{"subject": null}"#, "/subject", "wrong_type"),
        (r#"{"subject": ""}"#, "/subject", "required"),
        (r#"{"subject": "a\u0000b"}"#, "/subject", "nul_character"),
        (r#"{"subject": 7}"#, "/subject", "wrong_type"),
        (r#"{"tags": ["a", "b\u0000"]}"#, "/tags/1", "nul_character"),
        (r#"{"tags": ["a,b"]}"#, "/tags/0", "has_comma"),
        (r#"{"tags": "a"}"#, "/tags", "wrong_type"),
        (r#"{"assignee_id": 4711}"#, "/assignee_id", "not_found"),
        (r#"{"assignee_id": "amy"}"#, "/assignee_id", "wrong_type"),
        (r#"{"team_id": 4711}"#, "/team_id", "not_found"),
        (r#"{"category_id": 4711}"#, "/category_id", "not_found"),
        (r#"{"priority": "highest"}"#, "/priority", "unknown_value"),
        (r#"{"id": 7}"#, "/id", "unknown_field"),
        (r#"{"customer_id": 7}"#, "/customer_id", "unknown_field"),
    ] {
        let headers = [("Content-Type", "application/json")];
        let refused = desk.http.send("PATCH", &path, &headers, body.as_bytes()).await;
        let told = faults(&refused);
        assert_eq!(told[0].0, pointer, "{body}: {}", refused.text());
        if code != "has_comma" {
            assert_eq!(told, [(pointer.to_owned(), code.to_owned())], "{body}");
        }
    }
    // Every fault is named at once, and with one of them nothing is done.
    let all = json!({"status": "closed", "subject": "", "assignee_id": 4711, "tags": ["ok", ""]});
    let told = faults(&desk.http.patch(&path, &all).await);
    let pointers: Vec<&str> = told.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/subject", "/tags/1", "/assignee_id"]);
    let after = desk.http.get(&path).await.expect(200);
    assert_eq!((after.header("etag"), after.json()), (before.header("etag"), before.json()));
    // One who has stopped takes care of nothing.
    desk.http.patch(&format!("/api/v1/agents/{agent}"), &json!({"disabled": true})).await.expect(200);
    let told = faults(&desk.http.patch(&path, &json!({"assignee_id": agent})).await);
    assert_eq!(told, [("/assignee_id".to_owned(), "disabled".to_owned())]);
    desk.stop().await;
}

#[tokio::test]
async fn a_status_brings_what_hangs_on_it() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let path = path_of(&conversation(&desk, mailbox, "ada@example.org", json!({})).await);
    let set =
        async |status: &str| desk.http.patch(&path, &json!({ "status": status })).await.expect(200).json();
    let now = json!("2026-11-22T08:00:00.000000Z");
    let closed = set("closed").await;
    assert_eq!((&closed["closed_at"], &closed["waiting_on"]), (&now, &Value::Null));
    let open = set("open").await;
    assert_eq!(
        (&open["closed_at"], &open["waiting_on"], &open["waiting_since"]),
        (&Value::Null, &json!("us"), &now)
    );
    let spam = set("spam").await;
    assert_eq!((&spam["closed_at"], &spam["waiting_on"]), (&Value::Null, &Value::Null));
    let pending = set("pending").await;
    assert_eq!(pending["status"], "pending");
    // What the customer says opens it again; a note of ours does not.
    let messages = format!("{path}/messages");
    desk.http.post(&messages, &json!({"kind": "note", "text": "x"})).await.expect(201);
    assert_eq!(desk.http.get(&path).await.json()["status"], "pending");
    desk.http.post(&messages, &json!({"kind": "inbound", "text": "Well?"})).await.expect(201);
    let seen = desk.http.get(&path).await.json();
    assert_eq!((&seen["status"], &seen["waiting_on"]), (&json!("open"), &json!("us")));
    desk.stop().await;
}

#[tokio::test]
async fn tags_come_and_go_without_touching_others() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let made = conversation(&desk, mailbox, "ada@example.org", json!({"tags": ["Billing", "late"]})).await;
    let path = path_of(&made);
    let tags = async |body: Value| {
        desk.http.post(&format!("{path}/tags"), &body).await.expect(200).json()["tags"].clone()
    };
    assert_eq!(tags(json!({"add": ["vip"]})).await, json!(["Billing", "late", "vip"]));
    assert_eq!(tags(json!({"remove": ["late", "never there"]})).await, json!(["Billing", "vip"]));
    // Names that differ in case alone are one tag, in any script; the first spelling stays.
    assert_eq!(tags(json!({"add": ["BILLING", "Äpfel"]})).await, json!(["Billing", "vip", "Äpfel"]));
    assert_eq!(tags(json!({"add": ["äpfel"], "remove": ["VIP"]})).await, json!(["Billing", "Äpfel"]));
    let version = desk.http.get(&path).await.json()["version"].clone();
    tags(json!({"add": ["billing"], "remove": ["vip"]})).await;
    tags(json!({})).await;
    assert_eq!(desk.http.get(&path).await.json()["version"], version, "nothing was changed");
    // The whole list at once.
    let now = desk.http.patch(&path, &json!({"tags": ["new"]})).await.expect(200).json();
    assert_eq!(now["tags"], json!(["new"]));
    // Made before, named anew and removed everywhere.
    let all = desk.http.get("/api/v1/tags?limit=100").await.expect(200).json();
    let new = all["data"].as_array().unwrap().iter().find(|tag| tag["name"] == "new").unwrap().clone();
    let taken = desk.http.post("/api/v1/tags", &json!({"name": "NEW"})).await;
    assert_eq!(problem(&taken, 409, "already_exists")["existing_id"], new["id"]);
    let tag = format!("/api/v1/tags/{}", new["id"]);
    desk.http.patch(&tag, &json!({"name": "newer"})).await.expect(200);
    assert_eq!(desk.http.get(&path).await.json()["tags"], json!(["newer"]));
    problem(&desk.http.patch(&tag, &json!({"name": "billing"})).await, 409, "already_exists");
    desk.http.delete(&tag).await.expect(204);
    assert_eq!(desk.http.get(&path).await.json()["tags"], json!([]));
    desk.stop().await;
}

#[tokio::test]
async fn a_team_whose_conversations_are_in_the_trash_or_in_others_can_go() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let team = json!({"name": "Second level"});
    let team = desk.http.post("/api/v1/teams", &team).await.expect(201).json()["id"].clone();
    let mut made = Vec::new();
    for n in 0..3 {
        let new = json!({"mailbox_id": mailbox, "subject": format!("Number {n}"), "team_id": team,
            "customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "Where is it?"}});
        let conversation = desk.http.post("/api/v1/conversations", &new).await.expect(201).json();
        made.push(format!("/api/v1/conversations/{}", conversation["id"]));
    }
    let into = made[1].rsplit('/').next().unwrap().parse::<i64>().unwrap();
    desk.http.post(&format!("{}/merge", made[0]), &json!({"into": into})).await.expect(201);
    desk.http.delete(&made[2]).await.expect(204);
    let path = format!("/api/v1/teams/{team}");
    problem(&desk.http.delete(&path).await, 409, "state_conflict");
    desk.http.patch(&made[1], &json!({"team_id": null})).await.expect(200);
    desk.http.delete(&path).await.expect(204);
    let restored = desk.http.post(&format!("{}/restore", made[2]), &Value::Null).await.expect(200).json();
    assert_eq!(restored["team_id"], Value::Null);
    desk.stop().await;
}
