//! Shapes, member by member, as they were promised.

use super::{conversation, members, path_of};
use crate::problems::{faults, problem};
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::ports;

/// The set-up of a mailbox exactly as it is promised, but for ports where nobody answers.
fn promised() -> Value {
    let port = ports::free();
    json!({"name":"Support","address":"support@example.org","aliases":[],"poll_interval_seconds":60,
        "source":{"type":"imap","host":"127.0.0.1","port":port,"security":"tls","username":"support",
            "password":"geheim-imap","folders":["INBOX"],"after_ingest":{"type":"leave"},"import":{"type":"all"}},
        "delivery":{"type":"smtp","host":"127.0.0.1","port":port,"security":"starttls","username":"support",
            "password":"geheim-smtp"}})
}

#[tokio::test]
async fn a_mailbox_is_what_was_asked_for_without_its_passwords() {
    let desk = TestDesk::start().await;
    let asked = promised();
    let made = desk.http.post("/api/v1/mailboxes", &asked).await.expect(201);
    let view = made.json();
    let location = format!("/api/v1/mailboxes/{}", view["id"]);
    assert!(made.header("location").unwrap().ends_with(&location));
    for name in ["name", "address", "aliases", "poll_interval_seconds"] {
        assert_eq!(view[name], asked[name], "{name}");
    }
    for end in ["source", "delivery"] {
        for (name, value) in asked[end].as_object().unwrap().iter().filter(|(name, _)| *name != "password") {
            assert_eq!(view[end][name], *value, "{end}.{name}");
        }
        assert_eq!(view[end]["has_password"], true);
    }
    assert_eq!(view["threading"], json!({"strangers": "link"}), "the default");
    assert_eq!(view["paused"], false);
    for path in [
        location.clone(),
        "/api/v1/mailboxes".to_owned(),
        format!("{location}/status"),
        "/api/v1/events".to_owned(),
    ] {
        assert!(!desk.http.get(&path).await.expect(200).text().contains("geheim"), "{path}");
    }
    // What is left out has its default.
    let short = json!({"name": "Short", "address": "short@example.org", "paused": true,
        "source": {"type": "imap", "host": "imap.example.org", "port": 993, "security": "tls", "username": "u", "password": "p"},
        "delivery": {"type": "sink"}});
    let view = desk.http.post("/api/v1/mailboxes", &short).await.expect(201).json();
    assert_eq!(view["poll_interval_seconds"], 60);
    assert_eq!(view["source"]["folders"], json!(["INBOX"]));
    assert_eq!(view["source"]["after_ingest"], json!({"type": "leave"}));
    assert_eq!(view["source"]["import"], json!({"type": "all"}));
    assert_eq!(view["delivery"], json!({"type": "sink"}));
    desk.stop().await;
}

#[tokio::test]
async fn every_kind_of_mailbox_can_be_said() {
    let desk = TestDesk::start().await;
    let imap = |more: Value| {
        let mut source = json!({"type": "imap", "host": "127.0.0.1", "port": 1, "security": "tls", "username": "u", "password": "p"});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    };
    let smtp = json!({"type": "smtp", "host": "127.0.0.1", "port": 1, "security": "none"});
    let sources = [
        imap(json!({"after_ingest": {"type": "seen"}})),
        imap(json!({"after_ingest": {"type": "move", "folder": "Done"}})),
        imap(json!({"after_ingest": {"type": "delete", "after_days": 30}})),
        imap(json!({"import": {"type": "none"}})),
        imap(json!({"import": {"type": "since", "date": "2026-01-31"}})),
        imap(json!({"security": "starttls"})),
        imap(json!({"security": "none"})),
        imap(json!({"security": "none", "host": "localhost"})),
        imap(json!({"security": "none", "host": "::1"})),
        json!({"type": "maildir", "path": "/var/mail/support"}),
        json!({"type": "push"}),
    ];
    for (n, source) in sources.iter().enumerate() {
        let body = json!({"name": format!("m{n}"), "address": "m@example.org", "paused": true,
            "source": source, "delivery": smtp, "threading": {"strangers": "append"}});
        let view = desk.http.post("/api/v1/mailboxes", &body).await.expect(201).json();
        for (name, value) in source.as_object().unwrap().iter().filter(|(name, _)| *name != "password") {
            assert_eq!(view["source"][name], *value);
        }
        assert_eq!(view["delivery"]["username"], Value::Null, "no login");
        assert_eq!(view["threading"]["strangers"], "append");
    }
    for (source, pointer, code) in [
        (imap(json!({"security": "none", "host": "mail.example.org"})), "/source/security", "not_secure"),
        (imap(json!({"security": "none", "host": "10.0.0.1"})), "/source/security", "not_secure"),
        (
            imap(json!({"security": "none", "host": "127.0.0.1.example.org"})),
            "/source/security",
            "not_secure",
        ),
        (imap(json!({"security": "ssl"})), "/source/security", "unknown_value"),
        (imap(json!({"port": 0})), "/source/port", "out_of_range"),
        (imap(json!({"folders": []})), "/source/folders", "out_of_range"),
        (
            imap(json!({"after_ingest": {"type": "move", "folder": "INBOX"}})),
            "/source/after_ingest/folder",
            "is_watched",
        ),
        (
            imap(json!({"import": {"type": "since", "date": "2026-02-30"}})),
            "/source/import/date",
            "invalid_date",
        ),
        (imap(json!({"after_ingest": {"type": "move"}})), "/source/after_ingest/folder", "required"),
        (
            imap(json!({"after_ingest": {"type": "move", "folder": 7}})),
            "/source/after_ingest/folder",
            "wrong_type",
        ),
        (
            imap(json!({"after_ingest": {"type": "delete", "after_days": -1}})),
            "/source/after_ingest/after_days",
            "out_of_range",
        ),
        (
            imap(json!({"after_ingest": {"type": "delete", "after_days": 3_651}})),
            "/source/after_ingest/after_days",
            "out_of_range",
        ),
        (
            imap(json!({"after_ingest": {"type": "delete", "after_days": 1, "day": 2}})),
            "/source/after_ingest/day",
            "unknown_field",
        ),
        (imap(json!({"host": "bad host"})), "/source/host", "invalid_host"),
        (imap(json!({"folder": "INBOX"})), "/source/folder", "unknown_field"),
        (json!({"type": "maildir", "path": "relative"}), "/source/path", "not_absolute"),
        (json!({"type": "pop3"}), "/source/type", "unknown_value"),
        (
            json!({"type": "imap", "host": "h", "port": 1, "security": "tls", "username": "u"}),
            "/source/password",
            "required",
        ),
    ] {
        let body = json!({"name": "wrong", "address": "m@example.org", "source": source, "delivery": smtp});
        let answer = desk.http.post("/api/v1/mailboxes", &body).await;
        let told = faults(&answer);
        assert_eq!((told.len(), told[0].1.as_str()), (1, code), "{source}: {}", answer.text());
        // A word that is none is told of the object it stands in, since that has several kinds.
        let is_word = code == "unknown_value";
        assert!(told[0].0 == pointer || (is_word && pointer.starts_with(&told[0].0)), "{source}: {told:?}");
    }
    assert_eq!(desk.http.get("/api/v1/mailboxes?count=true").await.json()["page"]["total"], sources.len());
    desk.stop().await;
}

#[tokio::test]
async fn a_status_says_how_far_a_mailbox_is() {
    let desk = TestDesk::start().await;
    let folder = desk.dir().join("Maildir");
    support::maildir::make(&folder, None);
    for n in 0..3 {
        let raw = support::mail::mail().subject(&format!("Mail {n}")).text(&format!("Text {n}")).build();
        support::maildir::deliver(&folder, &raw, None);
    }
    let body = json!({"name": "Support", "address": "support@example.org", "poll_interval_seconds": 86_400,
        "source": {"type": "maildir", "path": folder}, "delivery": {"type": "sink"}});
    let id = desk.http.post("/api/v1/mailboxes", &body).await.expect(201).json()["id"].as_i64().unwrap();
    let asked =
        desk.http.post(&format!("/api/v1/mailboxes/{id}/sync"), &Value::Null).await.expect(202).json();
    assert_eq!(asked["syncing"], true);
    let status = desk.sync(id).await;
    let promised =
        ["accepted", "duplicates", "failed", "folders", "last_error", "last_success_at", "pending", "state"];
    for name in promised {
        assert!(status.get(name).is_some(), "{name} in {status}");
    }
    assert_eq!((&status["state"], &status["last_error"]), (&json!("ok"), &Value::Null));
    assert_eq!(
        (&status["accepted"], &status["pending"], &status["failed"]),
        (&json!(3), &json!(0), &json!(0))
    );
    for folder in status["folders"].as_array().unwrap() {
        assert_eq!(members(folder), ["last_uid", "name", "uidvalidity"]);
    }
    // At rest, nothing is polled, and the status says so.
    desk.http.patch(&format!("/api/v1/mailboxes/{id}"), &json!({"paused": true})).await.expect(200);
    let path = format!("/api/v1/mailboxes/{id}/status");
    assert_eq!(desk.http.get(&path).await.expect(200).json()["state"], "paused");
    let refused = desk.http.post(&format!("/api/v1/mailboxes/{id}/sync"), &Value::Null).await;
    problem(&refused, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test]
async fn a_mailbox_that_can_t_be_reached_says_so_in_words() {
    let desk = TestDesk::start().await;
    let id = desk.http.post("/api/v1/mailboxes", &promised()).await.expect(201).json()["id"].clone();
    let tested =
        desk.http.post(&format!("/api/v1/mailboxes/{id}/test"), &Value::Null).await.expect(200).json();
    for end in ["source", "delivery"] {
        assert_eq!(tested[end]["ok"], false, "{tested}");
        let detail = tested[end]["detail"].as_str().unwrap();
        assert!(detail.contains("127.0.0.1") && !detail.contains("geheim"), "{detail}");
    }
    let path = format!("/api/v1/mailboxes/{id}/status");
    let status = desk
        .until(|| async {
            let status = desk.http.get(&path).await.expect(200).json();
            (status["last_error"] != Value::Null).then_some(status)
        })
        .await;
    assert_eq!(status["state"], "failing");
    assert_eq!(status["last_success_at"], Value::Null);
    desk.stop().await;
}

#[tokio::test]
async fn a_conversation_and_its_messages_have_every_member() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let more = json!({"channel": "phone", "priority": "high", "tags": ["order"],
        "customer": {"email": "ada@example.org", "name": "Ada"}});
    let made = conversation(&desk, mailbox, "ada@example.org", more).await;
    let now = "2026-11-22T08:00:00.000000Z";
    assert_eq!(
        made,
        json!({"id": made["id"], "version": 2, "subject": "Late order", "status": "open", "priority": "high",
            "channel": "phone", "mailbox_id": mailbox, "customer_id": made["customer_id"], "assignee_id": null,
            "team_id": null, "category_id": null, "tags": ["order"], "waiting_on": "us", "waiting_since": now,
            "message_count": 1, "last_message_id": made["last_message_id"], "last_message_at": now,
            "snoozed_until": null, "merged_into": null, "links": [], "created_at": now, "updated_at": now,
            "closed_at": null, "deleted_at": null, "external_id": null,
            "custom_fields": {}})
    );
    let mut listed = made.clone();
    listed.as_object_mut().unwrap().remove("links");
    let list = desk.http.get("/api/v1/conversations").await.expect(200).json();
    assert_eq!(list, json!({"data": [listed], "page": {"next_cursor": null, "has_more": false}}));

    let path = format!("{}/messages", path_of(&made));
    let list = desk.http.get(&path).await.expect(200).json();
    let id = &list["data"][0]["id"];
    let customer = &made["customer_id"];
    assert_eq!(
        list["data"][0],
        json!({"id": id, "version": 1, "conversation_id": made["id"], "mailbox_id": mailbox, "kind": "inbound",
            "class": "human", "signals": [],
            "author": {"type": "customer", "id": customer, "name": "Ada", "email": "ada@example.org"},
            "from": {"name": "Ada", "email": "ada@example.org"}, "to": [], "cc": [], "bcc": [], "reply_to": [],
            "subject": "Late order", "text": "Where is it?", "reply_text": "Where is it?",
            "quoted_text": null, "signature": null, "has_html": false,
            "html_url": format!("/api/v1/messages/{id}/html"), "attachments": [], "internet_message_id": null,
            "delivery": null, "unsent": null, "side_id": null, "mentions": [], "sender_auth": "none", "flags": [], "failed_recipients": [], "about_message_id": null,
            "created_at": now, "received_at": now, "sent_at": null})
    );
    // A note never leaves; an answer does, and says how far it has got.
    let note =
        desk.http.post(&path, &json!({"kind": "note", "text": "Ask the depot."})).await.expect(201).json();
    assert_eq!(
        (&note["kind"], &note["delivery"], &note["author"]["type"]),
        (&json!("note"), &Value::Null, &json!("token"))
    );
    let reply = json!({"kind": "reply", "text": "It left today.", "cc": [{"email": "bo@example.org"}]});
    let reply = desk.http.post(&path, &reply).await.expect(201).json();
    assert_eq!(reply["to"], json!([{"name": "Ada", "email": "ada@example.org"}]));
    let sent = desk
        .until(|| async {
            let view = desk.http.get(&format!("/api/v1/messages/{}", reply["id"])).await.expect(200).json();
            (view["delivery"]["state"] == "sent").then_some(view["delivery"].clone())
        })
        .await;
    assert_eq!(
        (&sent["captured"], &sent["attempts"], &sent["next_attempt_at"]),
        (&json!(true), &json!(1), &Value::Null)
    );
    let recipients: Vec<&str> =
        sent["recipients"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap()).collect();
    assert_eq!(recipients, ["ada@example.org", "bo@example.org"]);
    let seen = desk.http.get(&path_of(&made)).await.expect(200).json();
    assert_eq!((&seen["message_count"], &seen["waiting_on"]), (&json!(3), &json!("customer")));
    desk.stop().await;
}

/// Whose a conversation is can be said in three ways, one at a time; and how it came, in seven.
#[tokio::test]
async fn a_conversation_is_begun_in_every_way_there_is() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let customer =
        desk.http.post("/api/v1/customers", &json!({"name": "No address"})).await.expect(201).json();
    let id = &customer["id"];
    for channel in ["email", "form", "api", "chat", "phone", "sms", "social"] {
        for (name, whose) in [("customer_id", json!(id)), ("customer", json!({ "id": id }))] {
            let body = json!({"mailbox_id": mailbox, "subject": "x", name: whose, "channel": channel,
                "message": {"kind": "inbound", "text": "hello"}});
            let made = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
            assert_eq!((&made["channel"], &made["customer_id"]), (&json!(channel), id));
        }
    }
    let list = desk.http.get(&format!("/api/v1/conversations?customer_id={id}&count=true")).await.json();
    assert_eq!(list["page"]["total"], 14);
    let first = |message: Value, whose: Value| {
        let mut body = json!({"mailbox_id": mailbox, "subject": "x", "message": message});
        body.as_object_mut().unwrap().extend(whose.as_object().unwrap().clone());
        body
    };
    let inbound = json!({"kind": "inbound", "text": "hello"});
    for (body, pointer, code) in [
        (first(inbound.clone(), json!({})), "/customer", "required"),
        (first(inbound.clone(), json!({"customer": {"name": "Ada"}})), "/customer/email", "required"),
        (
            first(inbound.clone(), json!({"customer": {"email": "nowhere"}})),
            "/customer/email",
            "invalid_email",
        ),
        (
            first(inbound.clone(), json!({"customer": {"id": id, "email": "a@b.example"}})),
            "/customer",
            "ambiguous",
        ),
        (
            first(inbound.clone(), json!({"customer_id": id, "customer": {"id": id}})),
            "/customer",
            "ambiguous",
        ),
        (first(inbound.clone(), json!({"customer_id": 4_444})), "/customer/id", "not_found"),
        (first(inbound.clone(), json!({"customer_id": id, "status": "asleep"})), "/status", "unknown_value"),
        (first(inbound.clone(), json!({"customer_id": id, "channel": "fax"})), "/channel", "unknown_value"),
        (
            first(json!({"kind": "inbound", "text": " "}), json!({"customer_id": id})),
            "/message/text",
            "required",
        ),
        (
            first(json!({"kind": "forward", "text": "x"}), json!({"customer_id": id})),
            "/message/kind",
            "not_allowed",
        ),
        (
            first(
                json!({"kind": "reply", "text": "x", "to": [{"email": "a@b.example", "name": "A\r\nBcc: c@d.example"}]}),
                json!({"customer_id": id}),
            ),
            "/message/to/0/name",
            "line_break",
        ),
        (first(inbound.clone(), json!({"customer_id": id, "subject": "A\r\nB"})), "/subject", "line_break"),
        (
            first(json!({"kind": "reply", "text": "x", "subject": "A\nB"}), json!({"customer_id": id})),
            "/message/subject",
            "line_break",
        ),
        (
            first(inbound.clone(), json!({"customer": {"email": "a@b.example", "name": "A\nB"}})),
            "/customer/name",
            "line_break",
        ),
        (
            first(
                json!({"kind": "note", "text": "x", "to": [{"email": "a@b.example"}]}),
                json!({"customer_id": id}),
            ),
            "/message/to",
            "not_allowed",
        ),
    ] {
        let told = faults(&desk.http.post("/api/v1/conversations", &body).await);
        assert_eq!(told, [(pointer.to_owned(), code.to_owned())], "{body}");
    }
    // Nobody to write to: an answer needs an address.
    let refused = desk
        .http
        .post(
            "/api/v1/conversations",
            &first(json!({"kind": "reply", "text": "x"}), json!({"customer_id": id})),
        )
        .await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let list = desk.http.get("/api/v1/conversations?count=true").await.json();
    assert_eq!(list["page"]["total"], 14, "a refusal changes nothing");
    // To one who has not written before, the mailbox writes first.
    let body = first(
        json!({"kind": "reply", "text": "Hello!"}),
        json!({"customer": {"email": "new@example.org"}, "status": "pending"}),
    );
    let made = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
    assert_eq!((&made["status"], &made["waiting_on"]), (&json!("pending"), &json!("customer")));
    desk.stop().await;
}
