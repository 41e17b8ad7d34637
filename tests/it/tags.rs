//! Tags: what they are for, how often they are used, and how two become one.

use crate::mailing::{number, with};
use crate::problems::{faults, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;

const PATH: &str = "/api/v1/tags";

async fn begin(desk: &TestDesk, mailbox: i64, tags: &[&str]) -> i64 {
    let body = json!({"mailbox_id": mailbox, "subject": "Late", "customer": {"email": "ada@example.org"},
        "tags": tags, "message": {"kind": "inbound", "text": "Where is it?"}});
    number(&desk.http.post("/api/v1/conversations", &body).await.expect(201).json()["id"])
}

async fn named(http: &Http, name: &str) -> Value {
    let page = http.get(&format!("{PATH}?limit=100&include=count")).await.expect(200).json();
    let found = page["data"].as_array().expect("a list").iter().find(|tag| tag["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name} is not in {page}"))
}

fn path_of(tag: &Value) -> String {
    format!("{PATH}/{}", tag["id"])
}

#[tokio::test]
async fn a_tag_says_what_it_is_for() {
    let desk = TestDesk::start().await;
    let whole =
        json!({"name": "billing", "description": "Invoices.\nAnd what was paid.", "color": "#00aa00"});
    let made = desk.http.post(PATH, &whole).await.expect(201);
    let etag = made.header("etag").expect("an ETag").to_owned();
    let tag = made.json();
    assert_eq!((&tag["description"], &tag["color"]), (&whole["description"], &whole["color"]));
    let path = path_of(&tag);
    assert_eq!(desk.http.get(&path).await.expect(200).header("etag"), Some(etag.as_str()));
    let headers = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    let changed = desk.http.send("PATCH", &path, &headers, br#"{"color":null}"#).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["color"]), (&json!("billing"), &Value::Null));
    problem(&desk.http.send("PATCH", &path, &headers, br#"{"name":"x"}"#).await, 412, "version_conflict");
    problem(&desk.http.send("DELETE", &path, &headers[1..], b"").await, 412, "version_conflict");
    for (change, pointer) in [
        (json!({"color": "red"}), "/color"),
        (json!({"description": "é".repeat(501)}), "/description"),
        (json!({"name": "a,b"}), "/name"),
        (json!({"name": "é".repeat(65)}), "/name"),
    ] {
        assert_eq!(faults(&desk.http.patch(&path, &change).await)[0].0, pointer);
        let refused = desk.http.post(PATH, &with(json!({"name": "other"}), change)).await;
        assert_eq!(faults(&refused)[0].0, pointer);
    }
    desk.http
        .patch(&path, &json!({"description": "é".repeat(500), "name": "é".repeat(64)}))
        .await
        .expect(200);
    // Whoever only works with conversations makes tags by name alone.
    let agent = desk.client(&[Scope::ConversationsWrite], &[]).await;
    agent.post(PATH, &json!({"name": "mine"})).await.expect(201);
    problem(&agent.post(PATH, &json!({"name": "hers", "color": "#000000"})).await, 403, "insufficient_scope");
    problem(&agent.patch(&path, &json!({"color": null})).await, 403, "insufficient_scope");
}

#[tokio::test]
async fn how_often_a_tag_is_used_is_what_the_caller_sees() {
    let desk = TestDesk::start().await;
    let one = desk.mailbox("Support", "support@example.org").await;
    let two = desk.mailbox("Sales", "sales@example.org").await;
    begin(&desk, one, &["late", "vip"]).await;
    begin(&desk, two, &["late"]).await;
    let gone = begin(&desk, two, &["late"]).await;
    desk.http.delete(&format!("/api/v1/conversations/{gone}")).await.expect(204);
    let narrow = desk.client(&[Scope::ConversationsRead], &[one]).await;
    assert_eq!(named(&desk.http, "late").await["count"], json!({"count": 2, "exact": true}));
    assert_eq!(named(&narrow, "late").await["count"], json!({"count": 1, "exact": true}));
    assert_eq!(named(&desk.http, "vip").await["count"]["count"], 1);
    let plain = desk.http.get(PATH).await.expect(200).json();
    assert!(plain["data"][0].get("count").is_none());
}

#[tokio::test]
async fn two_tags_become_one() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let both = begin(&desk, mailbox, &["Invoice", "billing"]).await;
    let one = begin(&desk, mailbox, &["Invoice", "late"]).await;
    let none = begin(&desk, mailbox, &["late"]).await;
    let (from, into) = (named(&desk.http, "Invoice").await, named(&desk.http, "billing").await);
    let webhook = json!({"name": "w", "url": "https://a.example/", "tags": ["invoice", "late"]});
    let webhook = desk.http.post("/api/v1/webhooks", &webhook).await.expect(201).json();
    let path = format!("{}/merge", path_of(&from));
    assert_eq!(faults(&desk.http.post(&path, &json!({"into": from["id"]})).await)[0].0, "/into");
    assert_eq!(faults(&desk.http.post(&path, &json!({"into": 4077})).await)[0].0, "/into");
    let agent = desk.client(&[Scope::ConversationsWrite], &[]).await;
    problem(&agent.post(&path, &json!({"into": into["id"]})).await, 403, "insufficient_scope");
    let merged = desk.http.post(&path, &json!({"into": into["id"]})).await.expect(200).json();
    assert_eq!((&merged["conversations"], &merged["newly_tagged"]), (&json!(2), &json!(1)), "{merged}");
    assert_eq!(merged["tag"]["name"], "billing");
    assert_eq!(merged["webhook_ids"], json!([webhook["id"]]));
    for (id, tags) in [(both, json!(["billing"])), (one, json!(["billing", "late"])), (none, json!(["late"]))]
    {
        let conversation = desk.http.get(&format!("/api/v1/conversations/{id}")).await.expect(200).json();
        assert_eq!(conversation["tags"], tags);
    }
    problem(&desk.http.get(&path_of(&from)).await, 404, "not_found");
    let webhook = desk.http.get(&format!("/api/v1/webhooks/{}", webhook["id"])).await.expect(200).json();
    assert_eq!(webhook["tags"], json!(["billing", "late"]));
    let events = desk.http.get("/api/v1/events?types=tag.merged").await.expect(200).json();
    let told = &events["data"][0]["data"];
    assert_eq!(
        (&told["name"], &told["into_name"], &told["conversations"]),
        (&json!("Invoice"), &json!("billing"), &json!(2))
    );
    // The name is free again, and is another tag.
    let again = desk.http.post(PATH, &json!({"name": "invoice"})).await.expect(201).json();
    assert_ne!(again["id"], from["id"]);
    problem(&desk.http.post(&path, &json!({"into": into["id"]})).await, 404, "not_found");
}

#[tokio::test]
async fn views_and_watchdogs_go_on_finding_what_a_tag_is_called() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let id = begin(&desk, mailbox, &["late order"]).await;
    let view = |q: &str| json!({"name": q, "q": q, "visibility": "everyone"});
    let made = async |list: &str, body: Value| desk.http.post(list, &body).await.expect(201).json();
    let asks = made("/api/v1/views", view("is:open tag:\"Late Order\",vip -tag:spam")).await;
    let other = made("/api/v1/views", view("late order")).await;
    let dog =
        made("/api/v1/watchdogs", json!({"name": "Hour", "q": "tag:\"late order\"", "wait_seconds": 3_600}))
            .await;
    let tag = named(&desk.http, "late order").await;
    let found = async || {
        let page =
            desk.http.get(&format!("/api/v1/views/{}/conversations", asks["id"])).await.expect(200).json();
        page["data"].as_array().expect("a list").iter().map(|one| number(&one["id"])).collect::<Vec<i64>>()
    };
    assert_eq!(found().await, [id]);
    desk.http.patch(&path_of(&tag), &json!({"name": "LATE order"})).await.expect(200);
    let shown = async |path: String| desk.http.get(&path).await.expect(200).json();
    let (of_view, of_other) =
        (format!("/api/v1/views/{}", asks["id"]), format!("/api/v1/views/{}", other["id"]));
    assert_eq!(shown(of_view.clone()).await["version"], asks["version"], "it is the same name");
    desk.http.patch(&path_of(&tag), &json!({"name": "delayed"})).await.expect(200);
    assert_eq!(found().await, [id]);
    assert_eq!(shown(of_view.clone()).await["q"], "is:open tag:\"delayed\",\"vip\" -tag:\"spam\"");
    assert_eq!(shown(of_other).await["q"], "late order");
    assert_eq!(shown(format!("/api/v1/watchdogs/{}", dog["id"])).await["q"], "tag:\"delayed\"");
    let into = made(PATH, json!({"name": "overdue: 2nd"})).await;
    desk.http.post(&format!("{}/merge", path_of(&tag)), &json!({"into": into["id"]})).await.expect(200);
    assert_eq!(found().await, [id]);
    // One that would be too long keeps the tag from being called so.
    let long = format!("tag:vip {}", "w ".repeat(4)) + &format!("subject:{}", "x".repeat(1_970));
    made("/api/v1/views", json!({"name": "Long", "q": long, "visibility": "everyone"})).await;
    let vip = made(PATH, json!({"name": "vip"})).await;
    let refused = desk.http.patch(&path_of(&vip), &json!({"name": "v".repeat(64)})).await;
    problem(&refused, 409, "state_conflict");
    assert_eq!(named(&desk.http, "vip").await["version"], vip["version"]);
}
