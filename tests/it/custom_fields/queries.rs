//! Custom fields in the one grammar: what is found by them, and what can't be asked.

use super::{chosen, list, made, text};
use crate::mailing::with;
use crate::problems::problem;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::{Answer, Http};

async fn ask(http: &Http, q: &str) -> Answer {
    let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
    http.get(&format!("/api/v1/conversations?sort=id&count=true&q={q}")).await
}

async fn found(desk: &TestDesk, q: &str) -> Vec<i64> {
    let page = ask(&desk.http, q).await.expect(200).json();
    let rows = page["data"].as_array().expect("a list");
    assert_eq!(page["page"]["total"], rows.len(), "{q}: what is counted is what is shown");
    rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

/// Three conversations of three customers, the first two with values.
async fn filled() -> (TestDesk, Vec<i64>) {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    made(&desk, text("order_no")).await;
    for kind in ["number", "date", "checkbox"] {
        made(&desk, with(text(kind), json!({"type": kind}))).await;
    }
    made(&desk, chosen("colours", "multi_choice")).await;
    made(&desk, with(text("plan"), json!({"object": "customer"}))).await;
    let long = "Ä".repeat(1_000);
    let values = [
        json!({"order_no": "AB 1", "number": 10.5, "date": "2026-01-31", "checkbox": true, "colours": ["red", "blue"]}),
        json!({"order_no": long, "number": -3, "date": "2026-02-01", "checkbox": false, "colours": ["green"]}),
        json!({}),
    ];
    let mut ids = Vec::new();
    for (number, values) in values.into_iter().enumerate() {
        let plan = if number == 0 { json!({"plan": "Gold"}) } else { json!({}) };
        let customer = json!({"name": "Ada", "custom_fields": plan});
        let customer = desk.http.post("/api/v1/customers", &customer).await.expect(201).json();
        let body = json!({"mailbox_id": mailbox, "subject": "Late", "customer_id": customer["id"],
            "custom_fields": values, "message": {"kind": "inbound", "text": "Where is it?"}});
        let begun = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
        ids.push(begun["id"].as_i64().expect("a number"));
    }
    (desk, ids)
}

#[tokio::test]
async fn conversations_are_found_by_their_values() {
    let (desk, ids) = filled().await;
    let long = format!("field.order_no:{}", "ä".repeat(1_000));
    let (one, two, three) = (ids[0], ids[1], ids[2]);
    for (q, wanted) in [
        ("field.order_no:\"ab 1\"", vec![one]),
        ("field.order_no=\"ab 1\",other", vec![one]),
        (long.as_str(), vec![two]),
        ("field.order_no:ab", vec![]),
        ("field.number:10.5,-3", vec![one, two]),
        ("field.number>10", vec![one]),
        ("field.number:>10.5", vec![]),
        ("field.number:>=10.5", vec![one]),
        ("field.number:<=-3", vec![two]),
        ("field.number:-3..10.5", vec![one, two]),
        ("field.number:*..0", vec![two]),
        ("field.date:2026-01-31", vec![one]),
        ("field.date:>2026-01-31", vec![two]),
        ("field.date:2026-01-01..2026-02-01", vec![one, two]),
        ("field.checkbox:false", vec![two]),
        ("field.colours:blue", vec![one]),
        ("field.colours:blue,green", vec![one, two]),
        ("field.colours:red field.colours:blue", vec![one]),
        ("has:field.checkbox", vec![one, two]),
        ("-has:field.checkbox", vec![three]),
        ("-field.checkbox:true", vec![two, three]),
        ("customer.plan:gold", vec![one]),
        ("-has:customer.plan", vec![two, three]),
        ("is:open has:field.number -field.number:>0 late", vec![two]),
    ] {
        assert_eq!(found(&desk, q).await, wanted, "{q}");
    }
    // What changes is found as it is now.
    let change = json!({"custom_fields": {"number": 11, "colours": null}});
    desk.http.patch(&format!("/api/v1/conversations/{three}"), &change).await.expect(200);
    desk.http.patch(&format!("/api/v1/conversations/{one}"), &change).await.expect(200);
    assert_eq!(found(&desk, "field.number:11").await, [one, three]);
    assert_eq!(found(&desk, "has:field.colours").await, [two]);
}

#[tokio::test]
async fn what_can_not_be_asked_is_told_and_never_passed_over() {
    let (desk, ids) = filled().await;
    for (q, said) in [
        ("late field.nothing:1", "at character 6: there is no custom field"),
        ("-field.nothing:1", "at character 2: there is no custom field"),
        ("has:field.plan", "there is no custom field \"plan\" of a conversation"),
        ("customer.order_no:1", "of a customer"),
        ("field.number:ten", "must be a number"),
        ("field.number:1e99", "lies between"),
        ("field.number:0.0000001", "decimals"),
        ("field.date:yesterday", "must be a day"),
        ("field.checkbox:yes", "must be one of true, false"),
        ("field.colours:pink", "must be one of red, green, blue"),
        ("field.order_no:>5", "only numbers and days"),
    ] {
        let document = problem(&ask(&desk.http, q).await, 400, "bad_query");
        assert!(document["detail"].as_str().is_some_and(|told| told.contains(said)), "{q}: {document}");
    }
    let blind = desk.client(&[Scope::ConversationsRead], &[]).await;
    ask(&blind, "field.number:1").await.expect(200);
    problem(&ask(&blind, "-customer.plan:gold").await, 403, "insufficient_scope");
    // A bulk selects by the same words.
    let bulk = |q: &str| json!({"select": {"q": q}, "patch": {"priority": "high"}});
    let refused = desk.http.post("/api/v1/conversations/bulk", &bulk("field.nothing:1")).await;
    assert!(matches!(refused.status, 400 | 422), "{}", refused.text());
    desk.http.post("/api/v1/conversations/bulk", &bulk("field.checkbox:true")).await.expect(202);
    let urgent = || async {
        let all = list(&desk, "conversations?priority=high").await;
        (!all.is_empty()).then_some(all)
    };
    let all: Vec<Value> = desk.until(urgent).await;
    assert_eq!(all.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), [json!(ids[0])]);
}
