//! What the document says of `null` in a merge patch is so: a member that may be `null` takes it, another one
//! refuses it by its pointer and nothing changes.

use crate::mailing::*;
use crate::problems::faults;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

/// Whether a schema says that `null` will do.
fn takes_null(schema: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    let choices = ["oneOf", "anyOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten();
    is_null(&schema["type"])
        || schema["type"].as_array().is_some_and(|all| all.iter().any(is_null))
        || choices.into_iter().any(takes_null)
}

/// The members of an operation's body, and whether each takes `null`.
fn members(document: &Value, path: &str) -> Vec<(String, bool)> {
    let content = document["paths"][path]["patch"]["requestBody"]["content"].as_object().expect("a body");
    let schema = content.values().next().expect("a type")["schema"]["$ref"].as_str().expect("a name");
    let name = schema.rsplit('/').next().expect("a name");
    let members = document["components"]["schemas"][name]["properties"].as_object().expect("members");
    members.iter().map(|(name, schema)| (name.clone(), takes_null(schema))).collect()
}

async fn make(http: &Http, list: &str, body: Value) -> String {
    let made = http.post(&format!("/api/v1/{list}"), &body).await.expect(201).json();
    made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned)
}

/// Something that an agent is notified of.
async fn notified(desk: &TestDesk, own: &Http, agent: &str, conversation: &str) -> i64 {
    desk.http.patch(&format!("/api/v1/agents/{agent}"), &json!({"role": "admin"})).await.expect(200);
    let assignee: i64 = agent.parse().expect("a number");
    let path = format!("/api/v1/conversations/{conversation}");
    desk.http.patch(&path, &json!({"assignee_id": assignee})).await.expect(200);
    desk.until(async || {
        let all = own.get("/api/v1/notifications").await.expect(200).json();
        all["data"][0]["id"].as_i64()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_taken_where_the_document_says_so_and_nowhere_else() {
    let desk = TestDesk::start().await;
    let http = &desk.http;
    let document = http.get("/openapi.json").await.expect(200).json();
    let mailbox = pushed(&desk, json!({})).await;
    let landed = arrive(&desk, mailbox, &mail()).await;
    let agent = make(http, "agents", json!({"name": "Amy", "email": "amy@example.org"})).await;
    let own = desk.client_of_agent(agent.parse().expect("a number")).await;
    let conversation = landed.conversation.to_string();
    let notification = notified(&desk, &own, &agent, &conversation).await;
    let reply = json!({"kind": "reply", "text": "Soon.", "draft": true});
    let things = [
        ("agents/{id}/availability", agent.clone()),
        ("agents/{id}/notification-settings", agent.clone()),
        ("agents/{id}", agent),
        ("conversations/{id}", conversation.clone()),
        ("customers/{id}", make(http, "customers", json!({"name": "Ada"})).await),
        (
            "custom-fields/{id}",
            make(
                http,
                "custom-fields",
                json!({"object": "customer", "key": "plan", "type": "text", "title": "Plan"}),
            )
            .await,
        ),
        ("mailboxes/{id}", mailbox.to_string()),
        ("mailboxes/{id}/auto-reply", mailbox.to_string()),
        ("mailboxes/{id}/outgoing", mailbox.to_string()),
        ("mailboxes/{id}/routing", mailbox.to_string()),
        ("me", String::new()),
        ("messages/{id}", make(http, &format!("conversations/{conversation}/messages"), reply).await),
        ("notifications/{id}", notification.to_string()),
        ("roles/{id}", make(http, "roles", json!({"name": "Few", "scopes": ["conversations:read"]})).await),
        (
            "schedules/{id}",
            make(http, "schedules", json!({"name": "Day", "time_zone": "Europe/Paris"})).await,
        ),
        ("tags/{id}", make(http, "tags", json!({"name": "late"})).await),
        ("teams/{id}", make(http, "teams", json!({"name": "First"})).await),
        ("teams/{id}/distribution", make(http, "teams", json!({"name": "Second"})).await),
        ("tokens/{id}", make(http, "tokens", json!({"name": "t", "scopes": ["conversations:read"]})).await),
        ("views/{id}", make(http, "views", json!({"name": "All", "q": "", "visibility": "everyone"})).await),
        ("watchdogs/{id}", make(http, "watchdogs", json!({"name": "Hour", "wait_seconds": 3_600})).await),
        ("webhooks/{id}", make(http, "webhooks", json!({"name": "w", "url": "https://a.example/"})).await),
    ];
    let patched =
        document["paths"].as_object().expect("paths").iter().filter(|(_, item)| item.get("patch").is_some());
    let known: Vec<String> = things.iter().map(|(path, _)| format!("/api/v1/{path}")).collect();
    for (path, _) in patched {
        assert!(known.contains(path), "{path} wants a line in this test");
    }
    let (mut taken, mut refused) = (0, 0);
    for (path, id) in things {
        let http = if path == "me" || path.starts_with("notifications") { &own } else { http };
        for (member, takes_null) in members(&document, &format!("/api/v1/{path}")) {
            let at = format!("/api/v1/{}", path.replace("{id}", &id));
            let answer = http.patch(&at, &json!({ member.as_str(): null })).await;
            if takes_null {
                answer.expect(200);
                taken += 1;
            } else {
                let answer = answer.expect(422);
                assert!(
                    faults(&answer).iter().any(|(at, _)| *at == format!("/{member}")),
                    "{path}: {}",
                    answer.text()
                );
                refused += 1;
            }
        }
    }
    assert!(taken > 10 && refused > 40, "{taken} taken, {refused} refused");
    desk.stop().await;
}
