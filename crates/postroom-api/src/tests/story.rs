//! Conversations and messages: begun, paged, changed, answered.

use super::{TestApi, Wish};
use actix_web::http::header;
use postroom_core::access::Scope;
use serde_json::{Value, json};

#[actix_web::test]
async fn a_conversation_is_begun_and_read() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let told = api
        .post(
            "/api/v1/conversations",
            json!({"mailbox_id": mailbox, "subject": "Late order", "channel": "phone", "priority": "high",
                   "customer": {"email": "ada@example.org", "name": "Ada"}, "tags": ["order"], "status": "pending",
                   "message": {"kind": "inbound", "text": "Where is it?"}}),
        )
        .await;
    let etag = told.header("etag").unwrap().to_owned();
    let location = told.header("location").unwrap().to_owned();
    let begun = told.ok(201);
    for (member, value) in [
        ("subject", json!("Late order")),
        ("status", json!("pending")),
        ("priority", json!("high")),
        ("channel", json!("phone")),
        ("tags", json!(["order"])),
        ("message_count", json!(1)),
        ("assignee_id", json!(null)),
        ("links", json!([])),
        ("created_at", json!("2026-11-22T08:00:00.000000Z")),
    ] {
        assert_eq!(begun[member], value, "{member}");
    }
    let version = format!("\"c{}-{}~", begun["id"], begun["version"]);
    assert!(etag.starts_with(&version), "{etag}");
    assert_eq!(location, format!("/api/v1/conversations/{}", begun["id"]));

    let told = api.get(&location).await;
    assert_eq!(told.header("etag"), Some(etag.as_str()));
    assert_eq!(told.ok(200), begun);
    let again = api.request("GET", &location).insert_header((header::IF_NONE_MATCH, etag.clone()));
    let told = api.send(again).await;
    assert_eq!((told.status.as_u16(), told.body.len()), (304, 0));
    assert_eq!(told.header("etag"), Some(etag.as_str()));
}

#[actix_web::test]
async fn whose_it_is_is_said_in_one_way() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let begin = |more: Value| {
        let mut body =
            json!({"mailbox_id": mailbox, "subject": "x", "message": {"kind": "inbound", "text": "y"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        api.post("/api/v1/conversations", body)
    };
    let ada = begin(json!({"customer": {"email": "ada@example.org"}})).await.ok(201)["customer_id"].clone();
    assert_eq!(begin(json!({"customer_id": ada})).await.ok(201)["customer_id"], ada);
    assert_eq!(begin(json!({"customer": {"id": ada}})).await.ok(201)["customer_id"], ada);
    for (more, pointer) in [
        (json!({}), "/customer"),
        (json!({"customer": {"name": "Ada"}}), "/customer/email"),
        (json!({"customer": {"id": ada, "email": "ada@example.org"}}), "/customer"),
        (json!({"customer": {"id": ada}, "customer_id": ada}), "/customer"),
        (json!({"customer": {"email": "nowhere"}}), "/customer/email"),
        (json!({"customer_id": ada, "mailbox_id": 77}), "/mailbox_id"),
        (json!({"customer_id": ada, "message": {"kind": "note", "text": ""}}), "/message/text"),
        (
            json!({"customer_id": ada, "message": {"kind": "note", "attachment_ids": ["att_x"]}}),
            "/message/attachment_ids/0",
        ),
    ] {
        let document = begin(more).await.problem(422, "validation_failed");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
    }
}

#[actix_web::test]
async fn a_list_is_paged_by_a_cursor_of_its_own() {
    let api = TestApi::wish(Wish { public_url: Some("https://desk.example/x/"), ..Wish::default() }).await;
    let mailbox = api.mailbox("Support").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(api.conversation(mailbox, &format!("no. {number}")).await);
    }
    ids.reverse();

    let told = api.get("/api/v1/conversations?limit=2&status=open,closed&count=true").await;
    let link = told.header("link").unwrap().to_owned();
    let first = told.ok(200);
    let got = |page: &Value| {
        page["data"].as_array().unwrap().iter().map(|c| c["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(got(&first), ids[..2]);
    assert_eq!(first["data"][0].get("links"), None);
    assert_eq!(first["page"]["has_more"], true);
    assert_eq!((&first["page"]["total"], &first["page"]["total_exact"]), (&json!(5), &json!(true)));
    let cursor = first["page"]["next_cursor"].as_str().unwrap();
    let next = format!("/api/v1/conversations?status=open%2Cclosed&limit=2&cursor={cursor}");
    assert_eq!(link, format!("<https://desk.example/x{next}>; rel=\"next\""));

    let second = api.get(&next).await.ok(200);
    assert_eq!(got(&second), ids[2..4]);
    assert_eq!(second["page"].get("total"), None);
    let cursor = second["page"]["next_cursor"].as_str().unwrap();
    let last = api.get(&format!("/api/v1/conversations?limit=2&status=open,closed&cursor={cursor}")).await;
    assert_eq!(last.header("link"), None);
    let last = last.ok(200);
    assert_eq!(got(&last), ids[4..]);
    assert_eq!(last["page"], json!({"next_cursor": null, "has_more": false}));

    for other in ["status=open", "status=open,closed&sort=id", "status=open,closed&tag=x", ""] {
        let told = api.get(&format!("/api/v1/conversations?{other}&cursor={cursor}")).await;
        told.problem(400, "bad_cursor");
    }
    api.get(&format!("/api/v1/customers?cursor={cursor}")).await.problem(400, "bad_cursor");
    assert_eq!(got(&api.get("/api/v1/conversations?sort=id&limit=1").await.ok(200)), ids[4..]);
    assert_eq!(got(&api.get("/api/v1/conversations?assignee_id=none&customer_id=1").await.ok(200)).len(), 5);
    assert!(got(&api.get("/api/v1/conversations?status=closed").await.ok(200)).is_empty());
}

#[actix_web::test]
async fn a_change_is_a_merge_patch_guarded_by_the_version() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let path = format!("/api/v1/conversations/{}", api.conversation(mailbox, "Late").await);
    let etag = api.get(&path).await.header("etag").unwrap().to_owned();
    let patch = |etag: &str, body: Value| {
        let body = serde_json::to_vec(&body).unwrap();
        api.request("PATCH", &path)
            .insert_header((header::IF_MATCH, etag.to_owned()))
            .insert_header((header::CONTENT_TYPE, "application/merge-patch+json"))
            .set_payload(body)
    };
    let agent = api.post("/api/v1/agents", json!({"name": "Amy", "email": "amy@desk.example"})).await.ok(201);
    let told = api.send(patch(&etag, json!({"status": "closed", "assignee_id": agent["id"]}))).await;
    let newer = told.header("etag").unwrap().to_owned();
    let changed = told.ok(200);
    assert_eq!((&changed["status"], &changed["assignee_id"]), (&json!("closed"), &agent["id"]));
    assert_ne!(newer, etag);

    let told = api.send(patch(&etag, json!({"status": "open"}))).await;
    told.problem(412, "version_conflict");
    let version = told.header("etag").unwrap().trim_matches('"').to_owned();
    assert!(newer.starts_with(&format!("\"{version}~")), "{version} {newer}");
    api.send(patch("W/\"c1-1\"", json!({"status": "open"}))).await.problem(412, "version_conflict");
    api.send(patch("c1-1", json!({"status": "open"}))).await.problem(400, "bad_parameter");

    let changed = api.send(patch("*", json!({"assignee_id": null}))).await.ok(200);
    assert_eq!((&changed["status"], &changed["assignee_id"]), (&json!("closed"), &json!(null)));
    for (body, pointer, code) in [
        (json!({"status": null}), "/status", "wrong_type"),
        (json!({"status": "done"}), "/status", "unknown_value"),
        (json!({"state": "open"}), "/state", "unknown_field"),
        (json!({"assignee_id": 77}), "/assignee_id", "not_found"),
        (json!({"assignee_id": "amy"}), "/assignee_id", "wrong_type"),
    ] {
        let document = api.patch(&path, body).await.problem(422, "validation_failed");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
        assert_eq!(document["errors"][0]["code"], code, "{document}");
    }
}

#[actix_web::test]
async fn tags_are_added_and_removed_beside_others() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let path = format!("/api/v1/conversations/{}", api.conversation(mailbox, "Late").await);
    api.patch(&path, json!({"tags": ["a", "b"]})).await.ok(200);
    let told = api.post(&format!("{path}/tags"), json!({"add": ["c"], "remove": ["a", "zzz"]})).await;
    assert_eq!(told.ok(200)["tags"], json!(["b", "c"]));
    let activity = api.get(&format!("{path}/activity?limit=2&count=true")).await.ok(200);
    assert_eq!(activity["data"][0]["type"], "conversation.created");
    assert_eq!(activity["page"]["total"], 4);
    let cursor = activity["page"]["next_cursor"].as_str().unwrap();
    let rest = api.get(&format!("{path}/activity?limit=2&cursor={cursor}")).await.ok(200);
    assert_eq!(rest["data"][1]["type"], "conversation.tagged");
    assert_eq!(rest["data"][1]["data"]["changes"]["tags"], json!([["a", "b"], ["b", "c"]]));
    assert_eq!(rest["data"][1]["actor"]["type"], "token");
    assert_eq!(rest["page"]["has_more"], false);
}

#[actix_web::test]
async fn an_answer_is_written_and_followed() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let id = api.conversation(mailbox, "Late order").await;
    let path = format!("/api/v1/conversations/{id}/messages");
    let etag = api.get(&format!("/api/v1/conversations/{id}")).await.header("etag").unwrap().to_owned();
    api.post(&path, json!({"kind": "note", "text": "<b>The depot has it.</b>"})).await.ok(201);
    let stale = api
        .request("POST", &path)
        .insert_header((header::IF_MATCH, etag))
        .set_json(json!({"kind": "reply", "text": "Tomorrow."}));
    api.send(stale).await.problem(412, "version_conflict");

    let told = api.post(&path, json!({"kind": "reply", "text": "It left today."})).await;
    let location = told.header("location").unwrap().to_owned();
    let reply = told.ok(201);
    assert_eq!(reply["to"], json!([{"name": "Ada", "email": "ada@example.org"}]));
    assert_eq!(reply["delivery"]["state"], "queued");
    assert_eq!((&reply["class"], &reply["reply_text"]), (&json!(null), &json!("It left today.")));
    assert_eq!(reply["author"], json!({"type": "token", "id": null, "name": "test", "email": null}));
    let message_id = reply["internet_message_id"].as_str().unwrap();
    assert!(message_id.starts_with('<') && message_id.ends_with('>'));
    let alone = api.get(&location).await.ok(200);
    assert_eq!(alone, reply);
    assert_eq!(api.get(&format!("{location}/delivery")).await.ok(200), reply["delivery"]);
    let raw = api.get(&format!("{location}/raw")).await;
    assert_eq!(raw.header("content-type"), Some("message/rfc822"));
    assert!(raw.header("content-disposition").unwrap().starts_with("attachment; filename=\"message-"));
    assert!(String::from_utf8(raw.body.to_vec()).unwrap().ends_with("It left today."));

    let list = api.get(&path).await.ok(200);
    let kinds: Vec<&Value> =
        list["data"].as_array().unwrap().iter().map(|message| &message["kind"]).collect();
    assert_eq!(kinds, ["inbound", "note", "reply"]);
    let newest = api.get(&format!("{path}?sort=-id&limit=1")).await.ok(200);
    assert_eq!(newest["data"][0]["id"], reply["id"]);
    let note = &list["data"][1];
    let page = api.get(note["html_url"].as_str().unwrap()).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; img-src 'self'; ")
            && policy.ends_with("; sandbox allow-popups")
    );
    assert!(String::from_utf8(page.body.to_vec()).unwrap().contains("&lt;b>The depot has it."));
    for nothing in ["raw", "delivery", "threading"] {
        api.get(&format!("/api/v1/messages/{}/{nothing}", note["id"])).await.problem(404, "not_found");
    }
}

#[actix_web::test]
async fn what_is_out_of_sight_is_not_there() {
    let api = TestApi::start().await;
    let (mine, theirs) = (api.mailbox("Mine").await, api.mailbox("Theirs").await);
    let id = api.conversation(theirs, "secret").await;
    let token = api.token(&[Scope::ConversationsWrite], Some(vec![mine]));
    let call = |method: &str, path: &str| {
        api.request(method, path).insert_header((header::AUTHORIZATION, format!("Bearer {token}")))
    };
    let path = format!("/api/v1/conversations/{id}");
    api.send(call("GET", &path)).await.problem(404, "not_found");
    api.send(call("PATCH", &path).set_json(json!({"status": "closed"}))).await.problem(404, "not_found");
    api.send(call("GET", &format!("/api/v1/mailboxes/{theirs}"))).await.problem(404, "not_found");
    assert_eq!(api.send(call("GET", "/api/v1/conversations")).await.ok(200)["data"], json!([]));
    let me = api.send(call("GET", "/api/v1/me")).await.ok(200);
    assert_eq!(me["mailboxes"][0]["name"], "Mine");
    assert_eq!(me["mailboxes"].as_array().unwrap().len(), 1);
    assert_eq!((&me["kind"], &me["agent_id"]), (&json!("token"), &json!(null)));
}
