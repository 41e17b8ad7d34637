//! Mailboxes: set up, changed, tried, pushed to.

use super::TestApi;
use actix_web::http::header;
use serde_json::{Value, json};

fn imap() -> Value {
    json!({
        "name": "Support", "address": "support@example.org", "aliases": ["help@example.org"], "poll_interval_seconds": 60,
        "source": {"type": "imap", "host": "127.0.0.1", "port": 993, "security": "tls", "username": "support",
                   "password": "hunter2", "folders": ["INBOX"], "after_ingest": {"type": "leave"}, "import": {"type": "all"}},
        "delivery": {"type": "smtp", "host": "127.0.0.1", "port": 587, "security": "starttls", "username": "support",
                     "password": "hunter3"},
        "threading": {"strangers": "append"}, "trusted_authserv_ids": ["mx.example.org"], "paused": true
    })
}

#[actix_web::test]
async fn passwords_go_in_and_never_come_back() {
    let api = TestApi::start().await;
    let told = api.post("/api/v1/mailboxes", imap()).await;
    let location = told.header("location").unwrap().to_owned();
    let made = told.ok(201);
    assert_eq!(made["source"]["has_password"], true);
    assert_eq!(made["delivery"]["has_password"], true);
    assert_eq!(made["source"]["folders"], json!(["INBOX"]));
    assert_eq!(made["threading"], json!({"strangers": "append"}));
    assert_eq!((&made["paused"], &made["is_configured"]), (&json!(true), &json!(false)));
    let read = api.get(&location).await;
    assert!(!String::from_utf8_lossy(&read.body).contains("hunter"));
    assert_eq!(read.ok(200), made);
    assert_eq!(api.get("/api/v1/mailboxes").await.ok(200)["data"], json!([made]));

    let told = api.post("/api/v1/mailboxes", imap()).await;
    assert_eq!(told.problem(409, "already_exists")["existing_id"], made["id"]);
}

#[actix_web::test]
async fn a_source_is_changed_member_by_member() {
    let api = TestApi::start().await;
    let made = api.post("/api/v1/mailboxes", imap()).await.ok(201);
    let path = format!("/api/v1/mailboxes/{}", made["id"]);
    let changed = api.patch(&path, json!({"source": {"folders": ["INBOX", "Sales"]}})).await.ok(200);
    assert_eq!(changed["source"]["folders"], json!(["INBOX", "Sales"]));
    assert_eq!(changed["source"]["host"], "127.0.0.1");
    assert_eq!(changed["source"]["has_password"], true);
    let password = api.patch(&path, json!({"source": {"password": "new"}})).await.ok(200);
    assert_ne!(password["version"], changed["version"], "a new password is a change");
    for (change, pointer, code) in [
        (json!({"source": {"type": "maildir"}}), "/source/path", "required"),
        (json!({"source": {"path": "/var/mail"}}), "/source/path", "unknown_field"),
        (json!({"source": {"host": null}}), "/source/host", "wrong_type"),
        (json!({"source": {"passwort": "x"}}), "/source/passwort", "unknown_field"),
        (json!({"group": "x"}), "/group", "unknown_field"),
        (json!({"poll_interval_seconds": 1}), "/poll_interval_seconds", "out_of_range"),
        (json!({"undo_seconds": 601}), "/undo_seconds", "out_of_range"),
        (json!({"undo_seconds": -1}), "/undo_seconds", "out_of_range"),
        (json!({"sent_copy": "maybe"}), "/sent_copy", "unknown_value"),
        (json!({"on_uncertain": null}), "/on_uncertain", "wrong_type"),
    ] {
        let document = api.patch(&path, change).await.problem(422, "validation_failed");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
        assert_eq!(document["errors"][0]["code"], code, "{document}");
    }
    let pushed = api.patch(&path, json!({"source": {"type": "push"}, "paused": false})).await.ok(200);
    assert_eq!(pushed["source"], json!({"type": "push"}));
}

#[actix_web::test]
async fn how_answers_leave_is_a_setting() {
    let api = TestApi::start().await;
    let made = api.post("/api/v1/mailboxes", imap()).await.ok(201);
    let leaving = |view: &Value| json!([view["sent_copy"], view["on_uncertain"], view["undo_seconds"]]);
    assert_eq!(leaving(&made), json!(["auto", "retry_once", 0]));
    let path = format!("/api/v1/mailboxes/{}", made["id"]);
    let change = json!({"sent_copy": "none", "on_uncertain": "hold", "undo_seconds": 600});
    let changed = api.patch(&path, change).await.ok(200);
    assert_eq!(leaving(&changed), json!(["none", "hold", 600]));
    assert_eq!(leaving(&api.patch(&path, json!({"name": "Other"})).await.ok(200)), leaving(&changed));
    let mut other = imap();
    other["name"] = json!("Third");
    other["source"]["username"] = json!("third");
    for (member, value) in [("sent_copy", json!("append")), ("undo_seconds", json!(30))] {
        other[member] = value;
    }
    let made = api.post("/api/v1/mailboxes", other.clone()).await.ok(201);
    assert_eq!(leaving(&made), json!(["append", "retry_once", 30]));
    (other["name"], other["undo_seconds"]) = (json!("Fourth"), json!(601));
    let document = api.post("/api/v1/mailboxes", other).await.problem(422, "validation_failed");
    assert_eq!(document["errors"][0]["pointer"], "/undo_seconds");
}

#[actix_web::test]
async fn a_mailbox_is_tried_and_watched() {
    let api = TestApi::start().await;
    let id = api.mailbox("Trial").await;
    let told = api.send(api.request("POST", &format!("/api/v1/mailboxes/{id}/test"))).await.ok(200);
    assert_eq!(told["source"]["ok"], true);
    assert_eq!(told["delivery"], json!({"ok": false, "detail": "the server refused the password"}));
    let status = api.get(&format!("/api/v1/mailboxes/{id}/status")).await.ok(200);
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(0)));
    let told = api.send(api.request("POST", &format!("/api/v1/mailboxes/{id}/sync"))).await;
    told.problem(409, "state_conflict");
    let made = api
        .post(
            "/api/v1/mailboxes",
            json!({"name": "Dir", "address": "dir@example.org", "source": {"type": "maildir", "path": "/var/mail/dir"},
                   "delivery": {"type": "sink"}}),
        )
        .await
        .ok(201);
    let path = format!("/api/v1/mailboxes/{}", made["id"]);
    let status = api.send(api.request("POST", &format!("{path}/sync"))).await.ok(202);
    assert_eq!(status["syncing"], true);
    assert_eq!(api.delete(&path).await.status, 204);
    api.get(&path).await.problem(404, "not_found");
}

#[actix_web::test]
async fn mail_is_pushed_once() {
    let api = TestApi::start().await;
    let id = api.mailbox("Trial").await;
    let path = format!("/api/v1/mailboxes/{id}/inbound");
    let mail = "From: ada@example.org\r\nTo: trial@desk.example\r\nSubject: Late\r\nMessage-ID: <1@example.org>\r\n\
                X-Html: yes\r\n\r\nWhere is it?\r\n";
    let push = |kind: &'static str, mail: &str| {
        api.request("POST", &path).insert_header((header::CONTENT_TYPE, kind)).set_payload(mail.to_owned())
    };
    let told = api.send(push("message/rfc822", mail)).await.ok(201);
    assert_eq!(told["verdict"], "accepted");
    let message = format!("/api/v1/messages/{}", told["message_id"]);
    let read = api.get(&message).await.ok(200);
    assert_eq!((&read["class"], &read["subject"]), (&json!("human"), &json!("Late")));
    assert_eq!(read["internet_message_id"], "<1@example.org>");
    assert_eq!(read["conversation_id"], told["conversation_id"]);
    assert_eq!(read["author"]["email"], "ada@example.org");
    let decision = api.get(&format!("{message}/threading")).await.ok(200);
    assert_eq!(decision["outcome"], "new");
    let page = api.get(&format!("{message}/html")).await;
    assert_eq!(page.header("x-dropped-images"), Some("1"));
    let page = api.get(&format!("{message}/html?remote_images=true")).await;
    assert!(page.header("content-security-policy").unwrap().contains("img-src 'self' https:;"));
    assert_eq!(api.get(&format!("{message}/raw")).await.body, mail.as_bytes());

    let again = api.send(push("message/rfc822", mail)).await.ok(200);
    assert_eq!(again["verdict"], "duplicate");
    api.send(push("text/plain", mail)).await.problem(415, "unsupported_media_type");
    api.send(push("message/rfc822", "")).await.problem(422, "validation_failed");
    api.send(push("message/rfc822", &"x".repeat(4_001))).await.problem(413, "too_large");
}
