//! Values on conversations and customers: taken, refused, kept, told of.

use super::{chosen, fault, list, made, path_of, text, told};
use crate::mailing::with;
use crate::problems::problem;
use serde_json::{Value, json};
use support::desk::TestDesk;

async fn begun(desk: &TestDesk, mailbox: i64, changes: Value) -> Value {
    desk.http.post("/api/v1/conversations", &new(mailbox, changes)).await.expect(201).json()
}

fn new(mailbox: i64, changes: Value) -> Value {
    let begun = json!({"mailbox_id": mailbox, "subject": "Late", "customer": {"email": "ada@example.org"},
        "message": {"kind": "inbound", "text": "Where is it?"}});
    with(begun, changes)
}

fn at(conversation: &Value) -> String {
    format!("/api/v1/conversations/{}", conversation["id"])
}

/// A desk with a field of each type.
async fn desk() -> (TestDesk, i64) {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    made(&desk, with(text("order_no"), json!({"pattern": "[0-9]{1,9}"}))).await;
    for kind in ["number", "date", "checkbox"] {
        made(&desk, with(text(kind), json!({"type": kind}))).await;
    }
    made(&desk, chosen("colour", "choice")).await;
    made(&desk, chosen("colours", "multi_choice")).await;
    made(&desk, with(text("plan"), json!({"object": "customer"}))).await;
    (desk, mailbox)
}

#[tokio::test]
async fn values_are_kept_changed_and_taken_away_and_the_change_is_told() {
    let (desk, mailbox) = desk().await;
    let values = json!({"order_no": "881", "number": 12.5, "date": "2026-01-31", "checkbox": false,
        "colour": "red", "colours": ["blue", "red"]});
    let conversation = begun(&desk, mailbox, json!({"custom_fields": values})).await;
    let kept = with(values.clone(), json!({"colours": ["red", "blue"]}));
    assert_eq!(conversation["custom_fields"], kept, "choices stand in their own order");
    let path = at(&conversation);
    let alone = desk.http.get(&path).await.expect(200);
    let etag = alone.header("etag").expect("an ETag").to_owned();
    assert_eq!(alone.json()["custom_fields"], kept);
    assert_eq!(list(&desk, "conversations").await[0]["custom_fields"], kept);

    // The same again changes nothing.
    let same = desk.http.patch(&path, &json!({"custom_fields": values})).await.expect(200);
    assert_eq!(same.header("etag"), Some(etag.as_str()));

    let change =
        json!({"priority": "high", "custom_fields": {"order_no": "882", "colour": null, "date": null}});
    let changed = desk.http.patch(&path, &change).await.expect(200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    let left = json!({"order_no": "882", "number": 12.5, "checkbox": false, "colours": ["red", "blue"]});
    assert_eq!(changed.json()["custom_fields"], left);
    let activity = list(&desk, &format!("conversations/{}/activity?limit=100", conversation["id"])).await;
    let updates: Vec<&Value> =
        activity.iter().filter(|event| event["type"] == "conversation.updated").collect();
    assert_eq!(updates.len(), 2, "{activity:#?}");
    let nothing: Value =
        kept.as_object().expect("an object").keys().map(|key| (key.clone(), Value::Null)).collect();
    assert_eq!(updates[0]["data"]["changes"], json!({"custom_fields": [nothing, kept]}));
    assert_eq!(
        updates[1]["data"]["changes"],
        json!({"priority": ["normal", "high"], "custom_fields": [
            {"order_no": "881", "colour": "red", "date": "2026-01-31"},
            {"order_no": "882", "colour": null, "date": null}]})
    );
}

#[tokio::test]
async fn each_wrong_value_is_told_and_none_is_kept() {
    let (desk, mailbox) = desk().await;
    let wrong = json!({"order_no": "A1", "number": "7", "date": "2026-02-30", "checkbox": 1, "colour": "pink",
        "colours": ["red", "red"], "none/such": 1, "plan": "free"});
    let refused =
        desk.http.post("/api/v1/conversations", &new(mailbox, json!({"custom_fields": wrong}))).await;
    let mut all = told(&refused);
    all.sort();
    let codes = [
        ("checkbox", "wrong_type"),
        ("colour", "unknown_choice"),
        ("colours", "duplicate"),
        ("date", "invalid_date"),
        ("none~1such", "unknown_field"),
        ("number", "wrong_type"),
        ("order_no", "pattern"),
        ("plan", "unknown_field"),
    ];
    let wanted = codes.map(|(key, code)| (format!("/custom_fields/{key}"), code.to_owned()));
    assert_eq!(all, wanted);
    assert_eq!(list(&desk, "conversations").await, Vec::<Value>::new());
    let conversation = begun(&desk, mailbox, json!({"custom_fields": {"number": 1}})).await;
    let both = json!({"subject": "Other", "custom_fields": {"number": 2, "colour": "pink"}});
    let refused = desk.http.patch(&at(&conversation), &both).await;
    assert_eq!(told(&refused), fault("/custom_fields/colour", "unknown_choice"));
    let after = desk.http.get(&at(&conversation)).await.expect(200).json();
    assert_eq!((&after["subject"], &after["custom_fields"]), (&json!("Late"), &json!({"number": 1})));
}

#[tokio::test]
async fn customers_have_values_too() {
    let (desk, _) = desk().await;
    let body = json!({"name": "Ada", "custom_fields": {"plan": "Gold"}});
    let customer = desk.http.post("/api/v1/customers", &body).await.expect(201);
    let etag = customer.header("etag").expect("an ETag").to_owned();
    let customer = customer.json();
    assert_eq!(customer["custom_fields"], json!({"plan": "Gold"}));
    let path = format!("/api/v1/customers/{}", customer["id"]);
    let same = desk.http.patch(&path, &json!({"custom_fields": {"plan": "Gold"}})).await.expect(200);
    assert_eq!(same.header("etag"), Some(etag.as_str()));
    let refused = desk.http.patch(&path, &json!({"custom_fields": {"order_no": "1"}})).await;
    assert_eq!(told(&refused), fault("/custom_fields/order_no", "unknown_field"));
    let changed = desk.http.patch(&path, &json!({"custom_fields": {"plan": null}})).await.expect(200).json();
    assert_eq!(changed["custom_fields"], json!({}));
    assert_eq!(list(&desk, "customers").await[0]["custom_fields"], json!({}));
    let events = list(&desk, "events?types=customer.updated").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["changed"], json!(["custom_fields.plan"]));
}

#[tokio::test]
async fn upserts_batches_bulks_and_exports_carry_values() {
    let (desk, mailbox) = desk().await;
    let path = "/api/v1/conversations/by-external-id/shop/881";
    let body = new(mailbox, json!({"custom_fields": {"number": 1}}));
    assert_eq!(desk.http.put(path, &body).await.expect(201).json()["custom_fields"], json!({"number": 1}));
    let body = json!({"custom_fields": {"colour": "red"}});
    let both = json!({"number": 1, "colour": "red"});
    let upserted = desk.http.put(path, &body).await.expect(200).json();
    assert_eq!(upserted["custom_fields"], both);

    let batch = json!({"conversations": [
        new(mailbox, json!({"custom_fields": {"number": 2}})), new(mailbox, json!({"custom_fields": {"number": "x"}}))]});
    let done = desk.http.post("/api/v1/conversations/batch", &batch).await.expect(200).json();
    assert!(done["results"][0]["id"].is_i64(), "{done}");
    assert_eq!(
        done["results"][1]["problem"]["errors"][0]["pointer"], "/conversations/1/custom_fields/number",
        "{done}"
    );

    let all = [upserted["id"].clone(), done["results"][0]["id"].clone()];
    let bulk = |patch: Value| json!({"select": {"ids": all}, "patch": patch});
    let refused = desk
        .http
        .post("/api/v1/conversations/bulk", &bulk(json!({"custom_fields": {"colour": "pink"}})))
        .await;
    assert_eq!(told(&refused), fault("/patch/custom_fields/colour", "unknown_choice"));
    let patch = json!({"custom_fields": {"colour": "blue", "number": null}});
    let job = desk.http.post("/api/v1/conversations/bulk", &bulk(patch)).await.expect(202).json();
    let job = over(&desk, &job).await;
    assert_eq!((&job["changed"], &job["failed"]), (&json!(2), &json!(0)), "{job}");
    let exported = desk.http.get("/api/v1/export/conversations").await.expect(200).json();
    for one in exported["data"].as_array().expect("a list") {
        assert_eq!(one["custom_fields"], json!({"colour": "blue"}), "{one}");
    }
}

async fn over(desk: &TestDesk, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"));
    desk.until(|| async {
        let job = desk.http.get(&path).await.expect(200).json();
        (!job["finished_at"].is_null()).then_some(job)
    })
    .await
}

#[tokio::test]
async fn nobody_closes_what_lacks_a_field_that_is_required() {
    let (desk, mailbox) = desk().await;
    let due = made(&desk, with(text("cause"), json!({"required_on_close": true}))).await;
    let tick = json!({"type": "checkbox", "required_on_close": true});
    let checked = made(&desk, with(text("checked"), tick)).await;
    let conversation = begun(&desk, mailbox, json!({})).await;
    let path = at(&conversation);
    let both =
        ["cause", "checked"].map(|key| (format!("/custom_fields/{key}"), "required_on_close".to_owned()));
    assert_eq!(told(&desk.http.patch(&path, &json!({"status": "closed"})).await), both);
    let closed = new(mailbox, json!({"status": "closed"}));
    assert_eq!(told(&desk.http.post("/api/v1/conversations", &closed).await), both);
    // What is marked as spam was nobody's to answer.
    desk.http.post(&format!("{path}/spam"), &Value::Null).await.expect(200);
    desk.http.post(&format!("{path}/not-spam"), &Value::Null).await.expect(200);

    let bulk = json!({"select": {"ids": [conversation["id"]]}, "patch": {"status": "closed"}});
    let job = desk.http.post("/api/v1/conversations/bulk", &bulk).await.expect(202).json();
    let job = over(&desk, &job).await;
    assert_eq!(job["failed"], 1, "{job}");
    let detail = job["errors"][0]["detail"].as_str().expect("a sentence");
    assert!(detail.contains("/custom_fields/cause") && detail.contains("/custom_fields/checked"), "{detail}");

    let given = json!({"status": "closed", "custom_fields": {"cause": "lost", "checked": "yes"}});
    assert_eq!(told(&desk.http.patch(&path, &given).await), fault("/custom_fields/checked", "wrong_type"));
    let given = json!({"status": "closed", "custom_fields": {"cause": "lost", "checked": false}});
    let now = desk.http.patch(&path, &given).await.expect(200).json();
    assert_eq!((&now["status"], &now["custom_fields"]["checked"]), (&json!("closed"), &json!(false)));

    // What is archived waits for nobody.
    let other = begun(&desk, mailbox, json!({})).await;
    for field in [&due, &checked] {
        desk.http.patch(&path_of(field), &json!({"archived": true})).await.expect(200);
    }
    desk.http.patch(&at(&other), &json!({"status": "closed"})).await.expect(200);
}

#[tokio::test]
async fn no_value_is_lost_but_on_purpose() {
    let (desk, mailbox) = desk().await;
    let fields = list(&desk, "custom-fields?limit=100").await;
    let named = |key: &str| path_of(fields.iter().find(|field| field["key"] == key).expect("it is there"));
    let conversation =
        begun(&desk, mailbox, json!({"custom_fields": {"order_no": "881", "colour": "red"}})).await;
    let path = at(&conversation);
    let values = || async { desk.http.get(&path).await.expect(200).json()["custom_fields"].clone() };

    // Whatever it is called, whatever it is to match, and archived.
    let change = json!({"title": "Number", "pattern": "[A-Z]+"});
    desk.http.patch(&named("order_no"), &change).await.expect(200);
    desk.http.patch(&path, &json!({"custom_fields": {"order_no": "881"}})).await.expect(200);
    let refused = desk.http.patch(&path, &json!({"custom_fields": {"order_no": "882"}})).await;
    assert_eq!(told(&refused), fault("/custom_fields/order_no", "pattern"));
    desk.http.patch(&named("order_no"), &json!({"archived": true})).await.expect(200);
    assert_eq!(values().await, json!({"order_no": "881", "colour": "red"}));
    let refused = desk.http.patch(&path, &json!({"custom_fields": {"order_no": "AB"}})).await;
    assert_eq!(told(&refused), fault("/custom_fields/order_no", "archived"));

    // A choice that was made stays in the list.
    let without = json!({"choices": [{"key": "blue", "title": "Blue"}]});
    let refused = desk.http.patch(&named("colour"), &without).await;
    assert_eq!(told(&refused), fault("/choices", "in_use"));
    let archived = json!({"choices": [
        {"key": "blue", "title": "Blue"}, {"key": "red", "title": "Red", "archived": true}]});
    desk.http.patch(&named("colour"), &archived).await.expect(200);
    desk.http.patch(&path, &json!({"custom_fields": {"colour": "red"}})).await.expect(200);
    let other = begun(&desk, mailbox, json!({})).await;
    let refused = desk.http.patch(&at(&other), &json!({"custom_fields": {"colour": "red"}})).await;
    assert_eq!(told(&refused), fault("/custom_fields/colour", "archived"));

    problem(&desk.http.delete(&named("colour")).await, 409, "state_conflict");
    desk.http.delete(&format!("{}?force=true", named("colour"))).await.expect(204);
    assert_eq!(values().await, json!({"order_no": "881"}));
    let events = list(&desk, "events?types=custom_field.deleted").await;
    assert_eq!(events[0]["data"]["values"], 1);

    // What is deleted for good takes its values along.
    desk.http.delete(&path).await.expect(204);
    desk.http.delete(&format!("{path}?purge=true")).await.expect(204);
    desk.http.delete(&named("order_no")).await.expect(204);
    assert_eq!(list(&desk, "custom-fields").await.len(), fields.len() - 2);
}
