//! Conversations by what another system calls them: one name is one conversation's.

use crate::problems::problem;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::{Answer, Http};
use tokio::task::JoinSet;

const PATH: &str = "/api/v1/conversations/by-external-id";

fn order(mailbox: i64, more: Value) -> Value {
    let mut body = json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "ada@example.org"},
        "message": {"kind": "inbound", "text": "Where is it?"}});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

async fn put(http: &Http, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    http.send("PUT", &format!("{PATH}/{path}"), &all, body.to_string().as_bytes()).await
}

async fn total(desk: &TestDesk) -> Value {
    desk.http.get("/api/v1/conversations?count=true").await.expect(200).json()["page"]["total"].clone()
}

#[tokio::test]
async fn a_name_is_given_looked_up_changed_and_taken_away() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let name = json!({"source": "shop", "id": "88:1/ä, +b"});
    let made = desk.http.post("/api/v1/conversations", &order(mailbox, json!({"external_id": name}))).await;
    let made = made.expect(201).json();
    assert_eq!(made["external_id"], name);
    let path = format!("{PATH}/shop/88:1%2F%C3%A4%2C%20%2Bb");
    let found = desk.http.get(&path).await.expect(200);
    assert_eq!(found.json(), made);
    let etag = found.header("etag").expect("a version").to_owned();
    let held = desk.http.send("GET", &path, &[("If-None-Match", &etag)], b"").await;
    assert_eq!(held.status, 304);
    let filter = "/api/v1/conversations?external_id=shop:88:1/%C3%A4,%20%2Bb";
    assert_eq!(desk.http.get(filter).await.expect(200).json()["data"][0]["id"], made["id"]);
    let none = desk.http.get("/api/v1/conversations?external_id=shop:88").await.expect(200).json();
    assert_eq!(none["data"], json!([]));
    problem(&desk.http.get("/api/v1/conversations?external_id=shop").await, 400, "bad_parameter");
    for other in
        ["SHOP/88:1%2F%C3%A4%2C%20%2Bb", "shop/88:1%2F%C3%84%2C%20%2Bb", "sh%20op/1", "shop/%07", "shop/%20"]
    {
        problem(&desk.http.get(&format!("{PATH}/{other}")).await, 404, "not_found");
    }

    let conversation = format!("/api/v1/conversations/{}", made["id"]);
    let renamed = desk.http.patch(&conversation, &json!({"external_id": {"source": "crm", "id": "7"}})).await;
    let renamed = renamed.expect(200).json();
    assert_eq!(renamed["external_id"], json!({"source": "crm", "id": "7"}));
    problem(&desk.http.get(&path).await, 404, "not_found");
    desk.http.get(&format!("{PATH}/crm/7")).await.expect(200);
    let same = desk.http.patch(&conversation, &json!({"external_id": {"source": "crm", "id": "7"}})).await;
    assert_eq!(same.expect(200).json()["version"], renamed["version"], "what is so already changes nothing");
    let activity = desk.http.get(&format!("{conversation}/activity")).await.expect(200).json();
    let told = activity["data"].as_array().expect("a list").last().expect("one").clone();
    assert_eq!(told["data"]["changes"]["external_id"], json!([name, {"source": "crm", "id": "7"}]));
    let taken_away = desk.http.patch(&conversation, &json!({"external_id": null})).await.expect(200).json();
    assert_eq!(taken_away["external_id"], Value::Null);
    problem(&desk.http.get(&format!("{PATH}/crm/7")).await, 404, "not_found");
    desk.stop().await;
}

#[tokio::test]
async fn what_can_be_no_name_is_refused_at_its_edges() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let create = |source: String, id: String| {
        let body = order(mailbox, json!({"external_id": {"source": source, "id": id}}));
        let http = desk.http.clone();
        async move { http.post("/api/v1/conversations", &body).await }
    };
    create("s".repeat(64), "ä".repeat(255)).await.expect(201);
    desk.http.get(&format!("{PATH}/{}/{}", "s".repeat(64), "%C3%A4".repeat(255))).await.expect(200);
    let before = total(&desk).await;
    for (source, id, pointer) in [
        ("s".repeat(65), "1".to_owned(), "/external_id/source"),
        (String::new(), "1".to_owned(), "/external_id/source"),
        ("sh:op".to_owned(), "1".to_owned(), "/external_id/source"),
        ("shöp".to_owned(), "1".to_owned(), "/external_id/source"),
        ("shop".to_owned(), "1".repeat(256), "/external_id/id"),
        ("shop".to_owned(), String::new(), "/external_id/id"),
        ("shop".to_owned(), " ".to_owned(), "/external_id/id"),
        ("shop".to_owned(), "a\nb".to_owned(), "/external_id/id"),
    ] {
        let told = problem(&create(source, id).await, 422, "validation_failed");
        assert_eq!(told["errors"][0]["pointer"], json!(pointer));
    }
    assert_eq!(total(&desk).await, before);
    desk.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_to_who_may_see_whose() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let theirs = desk.mailbox("Theirs", "theirs@example.org").await;
    let name = json!({"external_id": {"source": "shop", "id": "1"}});
    let first =
        desk.http.post("/api/v1/conversations", &order(theirs, name.clone())).await.expect(201).json();
    let again = desk.http.post("/api/v1/conversations", &order(ours, name.clone())).await;
    assert_eq!(problem(&again, 409, "already_exists")["existing_id"], first["id"]);
    let other = desk.http.post("/api/v1/conversations", &order(ours, json!({}))).await.expect(201).json();
    let path = format!("/api/v1/conversations/{}", other["id"]);
    assert_eq!(
        problem(&desk.http.patch(&path, &name).await, 409, "already_exists")["existing_id"],
        first["id"]
    );

    let narrow = desk.client(Scope::ALL, &[ours]).await;
    for answer in [
        narrow.post("/api/v1/conversations", &order(ours, name.clone())).await,
        narrow.patch(&path, &name).await,
        put(&narrow, "shop/1", &[], &order(ours, json!({}))).await,
    ] {
        assert_eq!(problem(&answer, 409, "already_exists")["existing_id"], Value::Null);
        assert!(!answer.text().contains(&format!("{}", first["id"])) || first["id"] == json!(1));
    }
    problem(&narrow.get(&format!("{PATH}/shop/1")).await, 404, "not_found");
    let seen = desk.http.get(&format!("/api/v1/conversations/{}", first["id"])).await.expect(200).json();
    assert_eq!(seen["version"], first["version"], "nobody changed what they may not see");
    desk.stop().await;
}

#[tokio::test]
async fn put_makes_it_once_and_changes_it_after_that() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let upload = desk.http.send(
        "POST",
        "/api/v1/attachments?filename=a.txt",
        &[("Content-Type", "text/plain")],
        b"A file",
    );
    let upload = upload.await.expect(201).json()["id"].clone();
    let body = order(
        mailbox,
        json!({"tags": ["order"], "priority": "high",
        "message": {"kind": "inbound", "text": "Where is it?", "attachment_ids": [upload]}}),
    );
    let missing = problem(
        &put(&desk.http, "shop/a%2Fb", &[], &json!({"status": "closed"})).await,
        422,
        "validation_failed",
    );
    assert_eq!(missing["errors"][0]["code"], json!("required"));
    problem(&put(&desk.http, "shop/a%2Fb", &[("If-Match", "*")], &body).await, 412, "version_conflict");
    problem(
        &put(&desk.http, "shop/a%2Fb", &[("If-Match", "\"c1-1\"")], &body).await,
        412,
        "version_conflict",
    );

    let made = put(&desk.http, "shop/a%2Fb", &[("If-None-Match", "*")], &body).await.expect(201);
    let first = made.json();
    assert_eq!(
        (&first["external_id"], &first["priority"]),
        (&json!({"source": "shop", "id": "a/b"}), &json!("high"))
    );
    assert!(
        made.header("location").is_some_and(|at| at.ends_with(&format!("/conversations/{}", first["id"])))
    );
    // Its upload belongs to its first message by now, and nobody misses it.
    let again = put(&desk.http, "shop/a%2Fb", &[], &body).await.expect(200);
    assert_eq!(again.json(), first, "sent again it changes nothing");
    assert_eq!(again.header("etag"), made.header("etag"));
    problem(&put(&desk.http, "shop/a%2Fb", &[("If-None-Match", "*")], &body).await, 412, "version_conflict");

    let close = json!({"status": "closed", "tags": [], "subject": "Done"});
    let closed = put(&desk.http, "shop/a%2Fb", &[("If-Match", "*")], &close).await.expect(200).json();
    assert_eq!(
        (&closed["status"], &closed["tags"], &closed["message_count"]),
        (&json!("closed"), &json!([]), &json!(1))
    );
    assert_eq!(closed["priority"], json!("high"), "what is left out stays");
    let stale = made.header("etag").expect("a version");
    problem(&put(&desk.http, "shop/a%2Fb", &[("If-Match", stale)], &close).await, 412, "version_conflict");
    problem(&put(&desk.http, "shop/a%2Fb", &[], &json!({"external_id": {}})).await, 422, "validation_failed");
    desk.http.delete(&format!("/api/v1/conversations/{}", first["id"])).await.expect(204);
    problem(&put(&desk.http, "shop/a%2Fb", &[], &close).await, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_at_once_one_makes_it() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    for round in 0..4 {
        let mut running = JoinSet::new();
        for number in 0..16 {
            let (http, body) =
                (desk.http.clone(), order(mailbox, json!({"subject": format!("Order {number}")})));
            running.spawn(async move {
                loop {
                    let answer = put(&http, &format!("shop/{round}"), &[], &body).await;
                    if answer.status != 503 {
                        return answer;
                    }
                }
            });
        }
        let all = running.join_all().await;
        let made = all.iter().filter(|answer| answer.status == 201).count();
        let changed = all.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((made, changed), (1, 15));
        let ids: std::collections::BTreeSet<String> =
            all.iter().map(|answer| answer.json()["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(total(&desk).await, json!(round + 1));
    }
    desk.stop().await;
}
