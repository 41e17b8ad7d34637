//! Many conversations begun by one request: each made or refused by itself, all of it once.

use crate::problems::problem;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;

const PATH: &str = "/api/v1/conversations/batch";

fn one(mailbox: i64, number: usize) -> Value {
    json!({"mailbox_id": mailbox, "subject": format!("Order {number}"),
        "customer": {"email": format!("c{number}@example.org")},
        "message": {"kind": "inbound", "text": "Where is it?"}})
}

async fn total(desk: &TestDesk) -> Value {
    desk.http.get("/api/v1/conversations?count=true").await.expect(200).json()["page"]["total"].clone()
}

#[tokio::test]
async fn one_that_is_refused_leaves_the_others() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let theirs = desk.mailbox("Theirs", "theirs@example.org").await;
    let narrow = desk.client(Scope::ALL, &[ours]).await;
    let mut all: Vec<Value> = (0..7).map(|number| one(ours, number)).collect();
    all[1]["subject"] = json!("");
    all[2]["mailbox_id"] = json!(theirs);
    all[3]["external_id"] = json!({"source": "shop", "id": "1"});
    all[4]["external_id"] = json!({"source": "shop", "id": "1"});
    all[5]["tags"] = json!(["fresh", "a,b"]);
    all[6]["message"]["attachment_ids"] = json!(["att_0123456789abcdef0123456789abcdef"]);
    let answer = narrow.post(PATH, &json!({"conversations": all})).await.expect(200);
    let body = answer.json();
    assert_eq!((&body["succeeded"], &body["failed"]), (&json!(2), &json!(5)));
    let told: Vec<(u64, String)> = body["results"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|result| {
            let pointer = result["problem"]["errors"][0]["pointer"].as_str().unwrap_or_default();
            (result["status"].as_u64().expect("a status"), pointer.to_owned())
        })
        .collect();
    let told: Vec<(u64, &str)> = told.iter().map(|(status, pointer)| (*status, pointer.as_str())).collect();
    assert_eq!(
        told,
        [
            (201, ""),
            (422, "/conversations/1/subject"),
            (422, "/conversations/2/mailbox_id"),
            (201, ""),
            (409, ""),
            (422, "/conversations/5/tags/1"),
            (422, "/conversations/6/message/attachment_ids/0"),
        ]
    );
    let made = &body["results"][3];
    assert_eq!(body["results"][4]["problem"]["existing_id"], made["id"]);
    let found = desk.http.get(&format!("/api/v1/conversations/{}", made["id"])).await.expect(200);
    let version = made["etag"].as_str().expect("a version");
    assert!(found.header("etag").is_some_and(|etag| etag.starts_with(&format!("\"{version}~"))), "{version}");
    assert_eq!(total(&desk).await, json!(2));
    // Neither a customer nor a tag nor an event is left of what was refused.
    let customers = desk.http.get("/api/v1/customers?count=true").await.expect(200).json();
    assert_eq!(customers["page"]["total"], json!(2));
    assert_eq!(desk.http.get("/api/v1/tags").await.expect(200).json()["data"], json!([]));
    let begun = desk.event_types().await.into_iter().filter(|kind| kind == "conversation.created").count();
    assert_eq!(begun, 2);
    let found = desk.http.get("/api/v1/conversations?q=%22Order%203%22").await.expect(200).json();
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "it can be found by its words");
    desk.stop().await;
}

#[tokio::test]
async fn a_hundred_are_taken_and_not_one_more() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let batch =
        |count: usize| json!({"conversations": (0..count).map(|n| one(mailbox, n)).collect::<Vec<_>>()});
    for (count, code) in [(0, "required"), (101, "too_many")] {
        let told = problem(&desk.http.post(PATH, &batch(count)).await, 422, "validation_failed");
        assert_eq!(
            (&told["errors"][0]["code"], &told["errors"][0]["pointer"]),
            (&json!(code), &json!("/conversations"))
        );
    }
    let mut odd = batch(2);
    odd["conversations"][1]["nothing"] = json!(1);
    let told = problem(&desk.http.post(PATH, &odd).await, 422, "validation_failed");
    assert!(told["errors"][0]["pointer"].as_str().is_some_and(|at| at.starts_with("/conversations/1")));
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&reader.post(PATH, &batch(2)).await, 403, "insufficient_scope");
    assert_eq!(total(&desk).await, json!(0));

    let body = batch(100).to_string();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "night")];
    let first = desk.http.send("POST", PATH, &headers, body.as_bytes()).await.expect(200);
    assert_eq!(first.json()["succeeded"], json!(100));
    let again = desk.http.send("POST", PATH, &headers, body.as_bytes()).await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(total(&desk).await, json!(100));
    let moments: std::collections::BTreeSet<String> = {
        let page = desk.http.get("/api/v1/conversations?limit=100").await.expect(200).json();
        page["data"].as_array().expect("a list").iter().map(|one| one["created_at"].to_string()).collect()
    };
    assert_eq!(moments.len(), 1, "all of them in one transaction");
    desk.stop().await;
}
