//! Tokens that stay and become others: what they may be used for, and their secret.

use crate::problems::{faults, problem};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::{Answer, Http};

const TOKENS: &str = "/api/v1/tokens";

/// A token, its path, and what it opens.
struct Made {
    path: String,
    secret: String,
    http: Http,
}

async fn made(by: &Http, desk: &TestDesk, body: &Value) -> Made {
    let made = by.post(TOKENS, body).await.expect(201);
    let token = made.json();
    let path = format!("{TOKENS}/{}", token["id"].as_str().expect("an id"));
    assert_eq!(made.header("location"), Some(path.as_str()));
    let secret = token["token"].as_str().expect("a secret").to_owned();
    Made { path, http: Http::new(desk.address()).with_token(&secret), secret }
}

fn reads() -> Value {
    json!({"name": "reads", "scopes": ["conversations:read", "customers:read"]})
}

async fn rotate(by: &Http, path: &str, body: Value) -> Answer {
    by.post(&format!("{path}/rotate-secret"), &body).await
}

async fn secret_of(by: &Http, desk: &TestDesk, path: &str, body: Value) -> Http {
    let answer = rotate(by, path, body).await.expect(200).json();
    Http::new(desk.address()).with_token(answer["token"].as_str().expect("a secret"))
}

async fn last_event(desk: &TestDesk) -> Value {
    let events = desk.http.get("/api/v1/events?limit=100").await.expect(200).json();
    events["data"].as_array().and_then(|all| all.last()).expect("an event").clone()
}

#[tokio::test]
async fn a_token_becomes_what_it_is_changed_to_with_its_next_request() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Ours", "ours@example.org").await;
    let token = made(&desk.http, &desk, &reads()).await;
    token.http.get("/api/v1/customers").await.expect(200);
    let read = desk.http.get(&token.path).await.expect(200);
    let etag = read.header("etag").expect("a version").to_owned();
    assert!(!read.text().contains(&token.secret));
    let change = json!({"name": " Reads less ", "scopes": ["conversations:read"], "mailbox_ids": [mailbox]});
    let changed = desk.http.patch(&token.path, &change).await.expect(200);
    let now = changed.json();
    assert_eq!((&now["name"], &now["scopes"]), (&json!("Reads less"), &json!(["conversations:read"])));
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    problem(&token.http.get("/api/v1/customers").await, 403, "insufficient_scope");
    token.http.get("/api/v1/conversations").await.expect(200);
    let event = last_event(&desk).await;
    assert_eq!(event["type"], "token.updated");
    let told = &event["data"]["changes"];
    assert_eq!(told["name"], json!(["reads", "Reads less"]));
    assert_eq!(told["scopes"][0], json!(["conversations:read", "customers:read"]));
    assert_eq!(told["mailbox_ids"][1], json!([mailbox]));
    let audit = desk.http.get("/api/v1/audit-log").await.expect(200).text();
    assert!(audit.contains("token.updated"));
    // The same again changes nothing and tells nobody.
    desk.http.patch(&token.path, &change).await.expect(200);
    assert_eq!(last_event(&desk).await["seq"], event["seq"]);
    // What was seen before is no ground to change it from.
    let stale = [("If-Match", etag.as_str()), ("Content-Type", "application/merge-patch+json")];
    let refused = desk.http.send("PATCH", &token.path, &stale, br#"{"name":"x"}"#).await;
    problem(&refused, 412, "version_conflict");
    // All mailboxes again, until a time.
    let end = desk.desk().now().plus(Duration::from_secs(60));
    desk.http.patch(&token.path, &json!({"mailbox_ids": null, "expires_at": end})).await.expect(200);
    desk.desk().advance_clock(Duration::from_secs(60));
    problem(&token.http.get("/api/v1/conversations").await, 401, "token_expired");
    // Whoever only renames it keeps its end; a new one lies ahead.
    desk.http.patch(&token.path, &json!({"name": "over"})).await.expect(200);
    let past = desk.http.patch(&token.path, &json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(faults(&past), [("/expires_at".to_owned(), "in_the_past".to_owned())]);
    desk.http.patch(&token.path, &json!({"expires_at": null})).await.expect(200);
    token.http.get("/api/v1/conversations").await.expect(200);
    for wrong in [
        json!({"scopes": []}),
        json!({"scopes": null}),
        json!({"name": ""}),
        json!({"mailbox_ids": []}),
        json!({"mailbox_ids": [999_999]}),
        json!({"allowed_networks": ["x"]}),
        json!({"agent_id": 1}),
        json!({"token": "pr_pat_mine"}),
    ] {
        problem(&desk.http.patch(&token.path, &wrong).await, 422, "validation_failed");
    }
    desk.stop().await;
}

#[tokio::test]
async fn nobody_changes_a_token_that_may_do_more_nor_gives_one_more_than_they_hold() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Ours", "ours@example.org").await;
    let strong = json!({"name": "strong", "scopes": ["impersonate", "admin:write"]});
    let strong = made(&desk.http, &desk, &strong).await;
    let weak = json!({"name": "weak", "scopes": ["conversations:read", "admin:write"]});
    let weak = made(&desk.http, &desk, &weak).await;
    for refused in [
        weak.http.patch(&strong.path, &json!({"name": "mine"})).await,
        weak.http.patch(&strong.path, &json!({"scopes": ["conversations:read"]})).await,
        rotate(&weak.http, &strong.path, json!({})).await,
    ] {
        problem(&refused, 403, "forbidden");
    }
    strong.http.get("/api/v1/me").await.expect(200);
    // Itself it may change, and give itself no more.
    let more = weak.http.patch(&weak.path, &json!({"scopes": ["admin:write", "impersonate"]})).await;
    assert_eq!(faults(&more), [("/scopes/1".to_owned(), "not_held".to_owned())]);
    weak.http.patch(&weak.path, &json!({"name": "still weak"})).await.expect(200);
    // Bound to networks, it looses none.
    let bound = json!({"name": "bound", "scopes": ["admin:write"], "allowed_networks": ["127.0.0.0/8"]});
    let bound = made(&desk.http, &desk, &bound).await;
    let loosed = bound.http.patch(&bound.path, &json!({"allowed_networks": null})).await;
    assert_eq!(faults(&loosed), [("/allowed_networks".to_owned(), "not_held".to_owned())]);
    let free = made(&desk.http, &desk, &json!({"name": "free", "scopes": ["admin:read"]})).await;
    problem(&rotate(&bound.http, &free.path, json!({})).await, 403, "forbidden");
    // Narrowed to a mailbox it changes nothing of the desk's.
    let scopes = json!(["admin:write"]);
    let narrow = json!({"name": "narrow", "scopes": scopes, "mailbox_ids": [mailbox]});
    let narrow = made(&desk.http, &desk, &narrow).await;
    problem(&narrow.http.patch(&free.path, &json!({"name": "x"})).await, 403, "forbidden");
    problem(&narrow.http.patch(&narrow.path, &json!({"mailbox_ids": null})).await, 403, "forbidden");
    // An administrator does nothing to what speaks for an owner.
    let agent = |name: &str, role: &str| {
        let body = json!({"name": name, "email": format!("{name}@example.org"), "role": role});
        let desk = &desk;
        async move {
            let made = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
            made["id"].as_i64().expect("a number")
        }
    };
    let owner = agent("olga", "owner").await;
    let admin = desk.client_of_agent(agent("adam", "admin").await).await;
    let owners = json!({"name": "hers", "scopes": ["conversations:read"], "agent_id": owner});
    let owners = made(&desk.http, &desk, &owners).await;
    assert_eq!(rotate(&admin, &owners.path, json!({})).await.status, 403);
    assert_eq!(admin.patch(&owners.path, &json!({"name": "x"})).await.status, 403);
    owners.http.get("/api/v1/me").await.expect(200);
    desk.stop().await;
}

#[tokio::test]
async fn a_secret_is_followed_by_another_one() {
    let desk = TestDesk::start_fixed().await;
    let token = made(&desk.http, &desk, &reads()).await;
    let me = "/api/v1/me";
    // At once.
    let second = secret_of(&desk.http, &desk, &token.path, json!({})).await;
    problem(&token.http.get(me).await, 401, "unauthorized");
    second.get(me).await.expect(200);
    // With both for an hour, and no third.
    let third = secret_of(&desk.http, &desk, &token.path, json!({"overlap_hours": 1})).await;
    let until = desk.http.get(&token.path).await.expect(200).json()["previous_secret_until"].clone();
    assert_eq!(until, json!(desk.desk().now().plus(Duration::from_hours(1))));
    desk.desk().advance_clock(Duration::from_secs(3_599));
    for http in [&second, &third] {
        http.get(me).await.expect(200);
    }
    problem(&token.http.get(me).await, 401, "unauthorized");
    desk.desk().advance_clock(Duration::from_secs(1));
    problem(&second.get(me).await, 401, "unauthorized");
    third.get(me).await.expect(200);
    // The one before the one before opens nothing, whatever it was promised.
    let fourth = secret_of(&desk.http, &desk, &token.path, json!({"overlap_hours": 168})).await;
    let fifth = secret_of(&desk.http, &desk, &token.path, json!({"overlap_hours": 168})).await;
    problem(&third.get(me).await, 401, "unauthorized");
    let long = rotate(&desk.http, &token.path, json!({"overlap_hours": 169})).await;
    assert_eq!(faults(&long), [("/overlap_hours".to_owned(), "too_large".to_owned())]);
    fourth.get(me).await.expect(200);
    // Nothing tells a secret, and revoked is revoked.
    let event = last_event(&desk).await;
    assert_eq!((&event["type"], &event["data"]["secret_rotated"]), (&json!("token.updated"), &json!(true)));
    let told = desk.http.get("/api/v1/events?limit=100").await.expect(200).text();
    assert!(!told.contains("pr_pat_"), "{told}");
    desk.http.delete(&token.path).await.expect(204);
    for http in [&fourth, &fifth] {
        problem(&http.get(me).await, 401, "unauthorized");
    }
    problem(&rotate(&desk.http, &token.path, json!({})).await, 404, "not_found");
    problem(&desk.http.get(&token.path).await, 404, "not_found");
    desk.stop().await;
}
