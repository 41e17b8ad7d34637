//! Webhooks as they are set up: what is taken, what is refused, and what is kept of it.

use crate::mailing::*;
use crate::problems::problem;
use crate::webhooks::{PATH, at, desk, make};
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::hooks::Hooks;

fn codes(document: &Value) -> Vec<(String, String)> {
    let errors = document["errors"].as_array().expect("errors");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    errors.iter().map(|error| (text(&error["pointer"]), text(&error["code"]))).collect()
}

#[tokio::test]
async fn a_webhook_is_made_changed_and_removed() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let answer = desk.http.post(PATH, &json!({"name": " Warehouse ", "url": hooks.url})).await.expect(201);
    let made = answer.json();
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_") && secret.len() == 50));
    assert_eq!(
        (&made["name"], &made["body"], &made["enabled"]),
        (&json!("Warehouse"), &json!("full"), &json!(true))
    );
    for all in ["event_types", "mailbox_ids", "tags", "disabled_at", "previous_secret_until"] {
        assert_eq!(made[all], Value::Null, "{all}");
    }
    assert!(answer.header("location").is_some_and(|location| location.ends_with(&at(&made))));
    let etag = answer.header("etag").expect("a version").to_owned();
    // How far it has come is shown, and it has just begun.
    desk.until(async || {
        let shown = desk.http.get(&at(&made)).await.expect(200);
        let held = shown.header("etag").expect("a version").to_owned();
        assert_ne!(held, etag, "its secret is no longer shown");
        let same = desk.http.send("GET", &at(&made), &[("If-None-Match", &held)], b"").await;
        (same.status == 304).then_some(())
    })
    .await;
    let patch = async |change: Value, etag: &str| {
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", etag)];
        desk.http.send("PATCH", &at(&made), &headers, change.to_string().as_bytes()).await
    };
    let changed = patch(json!({"event_types": ["message.*"], "body": "thin"}), &etag).await.expect(200);
    assert_eq!(changed.json().get("secret"), None);
    problem(&patch(json!({"name": "Late"}), &etag).await, 412, "version_conflict");
    let again = changed.header("etag").expect("a version").to_owned();
    let none = patch(json!({"body": "thin"}), &again).await.expect(200);
    // What stands before the ~ is the version; how far it has come may be shown anew.
    let version = |etag: &str| etag.split('~').next().map(str::to_owned);
    assert_eq!(none.header("etag").and_then(version), version(&again), "nothing changed");
    let all = patch(json!({"event_types": null, "enabled": false}), &again).await.expect(200).json();
    assert_eq!((&all["event_types"], &all["disabled_reason"]), (&Value::Null, &json!("paused")));
    problem(&patch(json!({"secret": "whsec_AAAA"}), "*").await, 422, "validation_failed");
    problem(&patch(json!({"url": null}), "*").await, 422, "validation_failed");
    let stale = desk.http.send("DELETE", &at(&made), &[("If-Match", &etag)], b"").await;
    problem(&stale, 412, "version_conflict");
    desk.http.delete(&at(&made)).await.expect(204);
    problem(&desk.http.get(&at(&made)).await, 404, "not_found");
    let events = list(&desk, "/api/v1/events?types=webhook.*").await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["webhook.created", "webhook.updated", "webhook.updated", "webhook.deleted"]);
    assert!(
        events
            .iter()
            .all(|event| !event.to_string().contains("hook\"") && !event.to_string().contains("127.0.0.1"))
    );
    desk.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_all_at_once() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let body = json!({"name": "", "url": "ftp://example.org/", "event_types": ["message.*", "message"],
        "mailbox_ids": [99], "tags": ["none", "with\u{0}nul"]});
    let told = codes(&problem(&desk.http.post(PATH, &body).await, 422, "validation_failed"));
    // U+0000 is refused before anything else is looked at.
    assert!(!told.is_empty());
    let body = with(body, json!({"tags": ["none"]}));
    let told = codes(&problem(&desk.http.post(PATH, &body).await, 422, "validation_failed"));
    let expected = [
        ("/name", "required"),
        ("/url", "not_https"),
        ("/event_types/1", "unknown_type"),
        ("/mailbox_ids/0", "not_found"),
        ("/tags/0", "not_found"),
    ];
    assert_eq!(told, expected.map(|(at, code)| (at.to_owned(), code.to_owned())));
    for empty in ["event_types", "mailbox_ids", "tags"] {
        let body = with(json!({"name": "x", "url": hooks.url}), json!({empty: []}));
        problem(&desk.http.post(PATH, &body).await, 422, "validation_failed");
    }
    for (length, status) in [(200, 201), (201, 422)] {
        let body = json!({"name": "n".repeat(length), "url": hooks.url});
        desk.http.post(PATH, &body).await.expect(status);
    }
    for (count, status) in [(100, 201), (101, 422)] {
        let body = json!({"name": "x", "url": hooks.url, "event_types": vec!["message.*"; count]});
        desk.http.post(PATH, &body).await.expect(status);
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_desk_has_a_hundred_webhooks() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    for _ in 0..100 {
        make(&desk, &hooks, json!({"enabled": false})).await;
    }
    let body = json!({"name": "One more", "url": hooks.url});
    problem(&desk.http.post(PATH, &body).await, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test]
async fn by_default_no_webhook_is_on_this_machine_or_its_network() {
    let desk = TestDesk::start().await;
    let refused = async |url: &str| {
        let document =
            problem(&desk.http.post(PATH, &json!({"name": "x", "url": url})).await, 422, "validation_failed");
        codes(&document)
    };
    let one = |code: &str| vec![("/url".to_owned(), code.to_owned())];
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://0x7f.1/",
    ] {
        assert_eq!(refused(url).await, one("address_not_allowed"), "{url}");
    }
    assert_eq!(refused("http://example.org/").await, one("not_https"));
    assert_eq!(refused("https://example.org:9200/").await, one("port_not_allowed"));
    assert_eq!(refused("https://a:b@example.org/").await, one("credentials"));
    // A name is looked up when it is called.
    let webhook = desk
        .http
        .post(
            PATH,
            &json!({"name": "x", "url": "https://hook.localhost.invalid/", "event_types": ["tag.deleted"]}),
        )
        .await
        .expect(201)
        .json();
    desk.http.post(&format!("{}/test", at(&webhook)), &Value::Null).await.expect(202);
    let row = crate::webhooks::settled(&desk, &webhook, 1).await.remove(0);
    assert_eq!((&row["state"], &row["attempts"][0]["status"]), (&json!("failed"), &Value::Null));
    assert!(
        row["attempts"][0]["error"]
            .as_str()
            .is_some_and(|why| why.contains("can't be reached") || why.contains("did not answer"))
    );
    desk.stop().await;
}
