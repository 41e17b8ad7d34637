//! What a mail would do, tried: told in full, and nothing of it remains.

use crate::mailing::*;
use crate::problems::problem;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use postroom_core::access::Scope;
use postroom_core::store::conn::Conn;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::mail;

async fn try_it(http: &Http, mailbox: i64, raw: &[u8]) -> Answer {
    let path = format!("/api/v1/simulate/inbound?mailbox_id={mailbox}");
    http.send("POST", &path, &[("Content-Type", "message/rfc822")], raw).await
}

/// All that callers can see of a desk with little in it.
async fn all(desk: &TestDesk, mailbox: i64) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "conversations?limit=100&count=true".to_owned(),
        "customers?limit=100&count=true".to_owned(),
        "events?after=0&limit=100".to_owned(),
        format!("mailboxes/{mailbox}/status"),
        format!("mailboxes/{mailbox}/ingest?limit=100"),
    ] {
        seen.push(desk.http.get(&format!("/api/v1/{path}")).await.expect(200).json());
    }
    for conversation in conversations(desk).await {
        seen.push(json!(messages(desk, number(&conversation["id"])).await));
    }
    seen
}

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Rows {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many rows every table of the database has, but for SQLite's own.
fn rows(desk: &TestDesk) -> BTreeMap<String, i64> {
    let mut conn = database(desk.config());
    let names: Vec<Table> = match &mut conn {
        Conn::Postgres(conn) => {
            let all = "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'";
            sql_query(all).load(conn)
        }
        Conn::Sqlite(conn) => {
            let all = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
            sql_query(all).load(conn)
        }
    }
    .expect("a database knows its tables");
    let count = |name: String| {
        let query = format!("SELECT count(*) AS count FROM \"{name}\"");
        let rows: Result<Rows, _> = match &mut conn {
            Conn::Postgres(conn) => sql_query(query).get_result(conn),
            Conn::Sqlite(conn) => sql_query(query).get_result(conn),
        };
        (name, rows.expect("the table is there").count)
    };
    names.into_iter().map(|table| table.name).map(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_tried_and_leaves_no_trace() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let question = mail().from("Ada <ada@acme.example>").subject("Printer on fire").text("It burns.");
    let first = arrive(&desk, mailbox, &question).await;
    let before = all(&desk, mailbox).await;
    let rows_before = rows(&desk);
    assert!(rows_before.len() > 20 && rows_before["messages"] == 1, "{rows_before:?}");

    // An answer with a file.
    let answer = mail()
        .from("Ada <ada@acme.example>")
        .subject("Re: Printer on fire")
        .text("Still.\n\n> Does it?\n")
        .in_reply_to(&question.id())
        .attachment("flames.txt", "text/plain", b"hot");
    let told = try_it(&desk.http, mailbox, &answer.build()).await.expect(200).json();
    assert_eq!((&told["verdict"], &told["message_id"]), (&json!("accepted"), &Value::Null));
    assert_eq!(told["conversation_id"], first.conversation);
    assert_eq!(told["threading"]["rule"], "R4: B, P1, none → append");
    assert_eq!((&told["class"], &told["flags"]), (&json!("human"), &json!(["unverified"])));
    assert_eq!(told["attachments"][0]["filename"], "flames.txt");
    assert_eq!(told["events"][0]["type"], "message.received", "{told}");
    assert_eq!(told["events"][0]["conversation_id"], first.conversation);

    // A stranger's, larger than what a row keeps: a conversation and a customer that are not there.
    let strange = mail().from("Eve <eve@evil.example>").in_reply_to(&question.id()).attachment(
        "noise.bin",
        "application/octet-stream",
        &noise(400_000),
    );
    let told = try_it(&desk.http, mailbox, &strange.build()).await.expect(200).json();
    assert_eq!((&told["conversation_id"], &told["customer_id"]), (&Value::Null, &Value::Null));
    assert_eq!(told["threading"]["outcome"], "link", "{told}");
    let kinds: Vec<&Value> =
        told["events"].as_array().expect("a list").iter().map(|event| &event["type"]).collect();
    assert!(kinds.contains(&&json!("conversation.created")) && kinds.contains(&&json!("customer.created")));

    // What is here already.
    let told = try_it(&desk.http, mailbox, &question.build()).await.expect(200).json();
    assert_eq!((&told["verdict"], &told["message_id"]), (&json!("duplicate"), &json!(first.message)));
    assert_eq!((&told["threading"], &told["events"]), (&Value::Null, &json!([])));

    assert_eq!(all(&desk, mailbox).await, before);
    assert_eq!(rows(&desk), rows_before);
    let kept = desk.config().storage.data_dir.join("blobs");
    let files = std::fs::read_dir(&kept).map_or(0, Iterator::count);
    assert_eq!(files, 0, "nothing lies in {}", kept.display());
    // And then it comes.
    assert_eq!(arrive(&desk, mailbox, &answer).await.conversation, first.conversation);
    assert_ne!(rows(&desk), rows_before);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_what_pushing_takes() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let other = pushed(&desk, json!({"name": "Other", "address": "other@example.org"})).await;
    let raw = mail().build();
    let reader = desk.client(&[Scope::ConversationsRead], &[mailbox]).await;
    problem(&try_it(&reader, mailbox, &raw).await, 403, "insufficient_scope");
    let narrow = desk.client(&[Scope::ConversationsWrite], &[mailbox]).await;
    problem(&try_it(&narrow, other, &raw).await, 404, "not_found");
    try_it(&narrow, mailbox, &raw).await.expect(200);
    problem(&try_it(&desk.http, mailbox, b" ").await, 422, "validation_failed");
    let plain = desk.http.post(&format!("/api/v1/simulate/inbound?mailbox_id={mailbox}"), &json!({})).await;
    problem(&plain, 415, "unsupported_media_type");
    desk.stop().await;
}

/// Two mailboxes share conversations; who may see one of them learns nothing of the other's by a
/// mail that is tried, pushed or listed.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_may_not_see_is_not_told() {
    let desk = TestDesk::start().await;
    let ours = pushed(&desk, json!({"group": "front"})).await;
    let theirs =
        pushed(&desk, json!({"name": "Other", "address": "other@example.org", "group": "front"})).await;
    let secret = mail().from("Ada <ada@acme.example>").subject("Secret plans").text("Hush.");
    let first = arrive(&desk, theirs, &secret).await;
    let answer = mail().from("Ada <ada@acme.example>").text("Well?").in_reply_to(&secret.id());

    let scopes = [Scope::ConversationsRead, Scope::ConversationsWrite, Scope::CustomersRead];
    let narrow = desk.client(&scopes, &[ours]).await;
    for raw in [answer.build(), secret.build()] {
        let told = try_it(&narrow, ours, &raw).await.expect(200).json();
        for member in ["conversation_id", "customer_id", "conversation_subject", "message_id"] {
            assert_eq!(told[member], Value::Null, "{told}");
        }
        let events = told["events"].as_array().expect("a list");
        assert!(events.iter().all(|event| event["conversation_id"].is_null()), "{told}");
        assert_eq!(told["threading"]["candidates"].as_array().map_or(0, Vec::len), 0, "{told}");
    }
    let whole = desk.client(&scopes, &[ours, theirs]).await;
    let told = try_it(&whole, ours, &answer.build()).await.expect(200).json();
    assert_eq!(
        (&told["conversation_id"], &told["conversation_subject"]),
        (&json!(first.conversation), &json!("Secret plans"))
    );
    // Pushed for real, it is there, and the receipt and the ledger say no more.
    let path = format!("/api/v1/mailboxes/{ours}/inbound");
    let head = [("Content-Type", "message/rfc822")];
    let receipt = narrow.send("POST", &path, &head, &answer.build()).await.expect(201).json();
    assert_eq!(
        (&receipt["conversation_id"], &receipt["message_id"]),
        (&Value::Null, &Value::Null),
        "{receipt}"
    );
    assert_eq!(conversation(&desk, first.conversation).await["message_count"], 2);
    let rows = narrow.get(&format!("/api/v1/mailboxes/{ours}/ingest")).await.expect(200).json();
    assert_eq!(
        (&rows["data"][0]["verdict"], &rows["data"][0]["message_id"]),
        (&json!("accepted"), &Value::Null)
    );
    let rows = whole.get(&format!("/api/v1/mailboxes/{ours}/ingest")).await.expect(200).json();
    assert_eq!(rows["data"][0]["conversation_id"], first.conversation);
    desk.stop().await;
}
