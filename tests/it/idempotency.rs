//! A request that is sent again under its `Idempotency-Key` is done once: one message, one mail,
//! also where the same request comes many times at once.

use crate::mailing::*;
use crate::problems::{faults, problem};
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use postroom_core::access::Scope;
use postroom_core::operations::idempotency;
use postroom_core::store::conn::{self, Conn};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::mail;
use support::smtp::SmtpSink;
use tokio::task::JoinSet;

const TWINS: usize = 20;

async fn post(http: &Http, path: &str, key: &str, body: &Value) -> Answer {
    post_with(http, path, &[("Idempotency-Key", key)], body).await
}

async fn post_with(http: &Http, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers: Vec<_> = headers.iter().copied().chain([("Content-Type", "application/json")]).collect();
    http.send("POST", path, &headers, body.to_string().as_bytes()).await
}

/// The number of what an answer holds, and whether it says that it was given before.
#[track_caller]
fn made(answer: &Answer) -> (i64, bool) {
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = number(&answer.json()["id"]);
    assert!(answer.header("location").is_some_and(|link| link.ends_with(&format!("/{id}"))));
    assert!(answer.header("etag").is_some_and(|tag| tag.starts_with('"')));
    let replayed = answer.header("idempotency-replayed");
    assert!(matches!(replayed, None | Some("true")), "{replayed:?}");
    (id, replayed.is_some())
}

/// A mailbox that sends to the sink, and a conversation of Ada's in it: `…/messages`.
async fn answering(desk: &TestDesk, sink: &SmtpSink) -> (i64, String) {
    let mailbox = pushed(desk, json!({"delivery": smtp(sink)})).await;
    let arrived = arrive(desk, mailbox, &mail().from("Ada <ada@example.net>").subject("Parcel lost")).await;
    (arrived.conversation, format!("/api/v1/conversations/{}/messages", arrived.conversation))
}

async fn upload(desk: &TestDesk) -> Value {
    let path = "/api/v1/attachments?filename=label.txt";
    let file = desk.http.send("POST", path, &[("Content-Type", "text/plain")], b"A label").await;
    file.expect(201).json()["id"].clone()
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// The rows of a table, which no frontend shows.
fn rows(desk: &TestDesk, table: &str) -> i64 {
    let url = desk.config().database_url().expect("the desk has one");
    let query = sql_query(format!("SELECT count(*) AS rows FROM {table}"));
    let counted: Count = match &mut conn::open(&url).expect("the database can be opened") {
        Conn::Sqlite(conn) => query.get_result(conn),
        Conn::Postgres(conn) => query.get_result(conn),
    }
    .expect("the table is there");
    counted.rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_sent_again_leaves_once() {
    let (mut desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let (conversation, path) = answering(&desk, &sink).await;
    let body = json!({"kind": "reply", "text": "It left today."});
    let first = post(&desk.http, &path, "order-881", &body).await;
    let (id, replayed) = made(&first);
    assert!(!replayed, "the first is the first");
    delivered(&desk, &first.json(), "sent").await;
    let again = post(&desk.http, &path, "order-881", &body).await;
    assert_eq!(made(&again), (id, true));
    assert_eq!(again.header("location"), first.header("location"));
    // It is sent by now; what is answered is what was answered.
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("etag"), first.header("etag"));
    desk.restart().await;
    assert_eq!(made(&post(&desk.http, &path, "order-881", &body).await), (id, true));
    // Whatever could still be on its way has left before the next one.
    let (other, replayed) = made(&post(&desk.http, &path, "order-882", &body).await);
    assert!(other != id && !replayed);
    delivered(&desk, &json!({"id": other}), "sent").await;
    assert_eq!(sink.mails().len(), 2, "one for each key");
    assert_eq!(messages(&desk, conversation).await.len(), 3);
    assert_eq!((rows(&desk, "outbox"), rows(&desk, "idempotency_keys")), (2, 2));
    desk.stop().await;
}

/// Sends one request many times at once; a busy desk may ask for a further try. Returns the number
/// that all answers have, and how many of them were the first.
async fn twins(
    desk: &TestDesk,
    path: &str,
    headers: &[(&'static str, String)],
    body: &Value,
) -> (i64, usize) {
    let mut running = JoinSet::new();
    for _ in 0..TWINS {
        let (http, path, body) = (desk.http.clone(), path.to_owned(), body.clone());
        let headers = headers.to_vec();
        running.spawn(async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            loop {
                let answer = post_with(&http, &path, &headers, &body).await;
                if answer.status != 503 {
                    return made(&answer);
                }
            }
        });
    }
    let all = running.join_all().await;
    let (id, _) = all[0];
    assert!(all.iter().all(|(other, _)| *other == id), "{all:?}");
    (id, all.iter().filter(|(_, replayed)| !replayed).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_are_one_although_each_saw_the_version_and_the_file() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let (conversation, path) = answering(&desk, &sink).await;
    let seen = desk.http.get(&format!("/api/v1/conversations/{conversation}")).await;
    let body = json!({"kind": "reply", "text": "See the label.", "attachment_ids": [upload(&desk).await]});
    let headers = [
        ("Idempotency-Key", "label".to_owned()),
        ("If-Match", seen.header("etag").expect("it has a version").to_owned()),
    ];
    let (id, first) = twins(&desk, &path, &headers, &body).await;
    assert_eq!(first, 1, "one was the first");
    delivered(&desk, &json!({"id": id}), "sent").await;
    assert_eq!(messages(&desk, conversation).await.len(), 2);
    assert_eq!(rows(&desk, "outbox"), 1);
    assert_eq!(desk.event_types().await.iter().filter(|kind| *kind == "message.queued").count(), 1);
    assert_eq!(message(&desk, id).await["attachments"].as_array().map(Vec::len), Some(1));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_begin_one_conversation_with_one_customer() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let body = json!({"mailbox_id": mailbox, "subject": "Your order", "customer": {"email": "bea@example.net"},
        "message": {"kind": "reply", "text": "It is late."}, "tags": ["order"], "status": "pending"});
    let headers = [("Idempotency-Key", "881".to_owned())];
    let (id, first) = twins(&desk, "/api/v1/conversations", &headers, &body).await;
    assert_eq!(first, 1, "one was the first");
    assert_eq!(conversation(&desk, id).await["status"], "pending");
    for table in ["conversations", "messages", "outbox", "customers", "tags"] {
        assert_eq!(rows(&desk, table), 1, "{table}");
    }
    set_status(&desk, id, "closed").await;
    let again = post(&desk.http, "/api/v1/conversations", "881", &body).await;
    assert_eq!(made(&again), (id, true));
    assert_eq!(again.json()["status"], "pending", "as it was answered, and not begun again");
    assert_eq!(conversation(&desk, id).await["status"], "closed");
    desk.stop().await;
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let path = format!(
        "/api/v1/conversations/{}/messages",
        arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>")).await.conversation
    );
    let elsewhere = format!(
        "/api/v1/conversations/{}/messages",
        arrive(&desk, mailbox, &mail().from("Bea <bea@example.net>")).await.conversation
    );
    let note = json!({"kind": "note", "text": "The depot has it."});
    made(&post(&desk.http, &path, "k", &note).await);
    let before = (rows(&desk, "messages"), rows(&desk, "events"));
    let other = json!({"kind": "note", "text": "The depot lost it."});
    problem(&post(&desk.http, &path, "k", &other).await, 422, "idempotency_key_reused");
    problem(&post(&desk.http, &elsewhere, "k", &note).await, 422, "idempotency_key_reused");
    let gone =
        json!({"kind": "note", "text": "x", "attachment_ids": ["att_0123456789abcdef0123456789abcdef"]});
    problem(&post(&desk.http, &path, "k", &gone).await, 422, "idempotency_key_reused");
    for bad in ["", "schlüssel", &"k".repeat(256)] {
        problem(&post(&desk.http, &path, bad, &note).await, 400, "bad_parameter");
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")];
    problem(&post_with(&desk.http, &path, &twice, &note).await, 400, "bad_parameter");
    assert_eq!((rows(&desk, "messages"), rows(&desk, "events")), before, "nothing was written");
    desk.stop().await;
}

#[tokio::test]
async fn a_token_has_keys_of_its_own_and_needs_no_more_than_the_first_time() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let arrived = arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>")).await;
    let path = format!("/api/v1/conversations/{}/messages", arrived.conversation);
    let body = json!({"kind": "reply", "text": "It left today."});
    // One that may write and not read: its replay is an answer to it all the same.
    let narrow = desk.client(&[Scope::ConversationsWrite, Scope::MessagesSend], &[]).await;
    let (ours, _) = made(&post(&desk.http, &path, "k", &body).await);
    let (theirs, replayed) = made(&post(&narrow, &path, "k", &body).await);
    assert!(theirs != ours && !replayed);
    assert_eq!(made(&post(&narrow, &path, "k", &body).await), (theirs, true));
    assert_eq!(made(&post(&desk.http, &path, "k", &body).await), (ours, true));
    let begin = json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "bea@example.net"},
        "message": {"kind": "inbound", "text": "Where is it?"}});
    let (begun, _) = made(&post(&narrow, "/api/v1/conversations", "begin", &begin).await);
    assert_eq!(made(&post(&narrow, "/api/v1/conversations", "begin", &begin).await), (begun, true));
    // Without a key, every request is its own.
    assert!(!made(&desk.http.post(&path, &body).await).1);
    assert_eq!(messages(&desk, arrived.conversation).await.len(), 4);
    desk.stop().await;
}

#[tokio::test]
async fn a_file_is_attached_once_and_what_failed_gives_its_key_back() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let arrived = arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>")).await;
    let path = format!("/api/v1/conversations/{}/messages", arrived.conversation);
    let file = upload(&desk).await;
    let empty = json!({"kind": "reply", "text": ""});
    assert_eq!(
        faults(&post(&desk.http, &path, "k", &empty).await),
        [("/text".to_owned(), "required".to_owned())]
    );
    assert_eq!(rows(&desk, "idempotency_keys"), 0);
    let body = json!({"kind": "reply", "text": "See the label.", "attachment_ids": [file]});
    let (id, replayed) = made(&post(&desk.http, &path, "k", &body).await);
    assert!(!replayed);
    assert_eq!(made(&post(&desk.http, &path, "k", &body).await), (id, true));
    // The upload is used up for everybody else.
    let refused = faults(&post(&desk.http, &path, "other", &body).await);
    assert_eq!(refused, [("/attachment_ids/0".to_owned(), "not_found".to_owned())]);
    let files = message(&desk, id).await["attachments"].clone();
    assert_eq!(files.as_array().map(Vec::len), Some(1), "{files}");
    let begin = json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "bea@example.net"},
        "message": {"kind": "note", "text": "By fax.", "attachment_ids": [upload(&desk).await]}});
    let (begun, _) = made(&post(&desk.http, "/api/v1/conversations", "fax", &begin).await);
    assert_eq!(made(&post(&desk.http, "/api/v1/conversations", "fax", &begin).await), (begun, true));
    assert_eq!(messages(&desk, begun).await.len(), 1);
    desk.stop().await;
}

#[tokio::test]
async fn a_key_is_known_for_a_day() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let arrived = arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>")).await;
    let path = format!("/api/v1/conversations/{}/messages", arrived.conversation);
    let note = json!({"kind": "note", "text": "The depot has it."});
    let (id, _) = made(&post(&desk.http, &path, "k", &note).await);
    desk.desk().advance_clock(days(1));
    assert_eq!(desk.write(idempotency::expire).await, 0, "its day is just over");
    assert_eq!(made(&post(&desk.http, &path, "k", &note).await), (id, true));
    desk.desk().advance_clock(Duration::from_secs(1));
    desk.write(idempotency::expire).await;
    let (later, replayed) = made(&post(&desk.http, &path, "k", &note).await);
    assert!(later != id && !replayed, "a key of long ago is a new one");
    desk.stop().await;
}

#[tokio::test]
async fn a_secret_that_is_shown_once_is_shown_again_under_its_key_and_lies_nowhere_to_be_read() {
    let mut desk = TestDesk::start().await;
    let body = json!({"name": "export", "scopes": ["conversations:read"]});
    let first = post(&desk.http, "/api/v1/tokens", "t", &body).await.expect(201);
    let secret = first.json()["token"].as_str().expect("it is shown").to_owned();
    let again = post(&desk.http, "/api/v1/tokens", "t", &body).await.expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(rows(&desk, "tokens"), 2, "the test's own, and one more");
    desk.restart().await;
    assert_eq!(post(&desk.http, "/api/v1/tokens", "t", &body).await.expect(201).body, first.body);
    let looked = "SELECT count(*) AS count FROM idempotency_keys WHERE answer IS NOT NULL";
    assert_eq!(count(&desk, looked), 1);
    let like = match support::database::kind() {
        support::database::Kind::Sqlite => format!("instr(answer, CAST('{secret}' AS BLOB)) > 0"),
        support::database::Kind::Postgres => format!("position('{secret}'::bytea IN answer) > 0"),
    };
    assert_eq!(count(&desk, &format!("{looked} AND {like}")), 0, "it is sealed");
    desk.stop().await;
}

#[tokio::test]
async fn a_right_that_was_taken_away_is_not_had_back_by_a_replay() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let agent = json!({"name": "Amy", "email": "amy@example.org",
        "grants": [{"mailbox_id": mailbox, "level": "reply"}]});
    let agent = number(&desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"]);
    let amy = desk.client_of_agent(agent).await;
    let begin = json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "bea@example.net"},
        "message": {"kind": "note", "text": "Between us."}});
    let (begun, _) = made(&post(&amy, "/api/v1/conversations", "k", &begin).await);
    assert_eq!(made(&post(&amy, "/api/v1/conversations", "k", &begin).await), (begun, true));
    let revoked = json!({"grants": []});
    desk.http.patch(&format!("/api/v1/agents/{agent}"), &revoked).await.expect(200);
    let refused = post(&amy, "/api/v1/conversations", "k", &begin).await;
    problem(&refused, 403, "forbidden");
    assert_eq!(rows(&desk, "conversations"), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_being_worked_on_outside_of_a_transaction_is_409() {
    let desk = TestDesk::start().await;
    // A server that says nothing until it is told to go away.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let source = json!({"type": "imap", "host": "127.0.0.1", "port": silent.local_addr().expect("it has one").port(),
        "security": "none", "username": "support", "password": "x"});
    let mailbox = json!({"name": "Support", "address": "support@example.org", "paused": true,
        "source": source, "delivery": {"type": "sink"}});
    let mailbox = add_with(&desk, mailbox).await;
    let path = format!("/api/v1/mailboxes/{mailbox}/test");
    let (http, first) = (desk.http.clone(), path.clone());
    let first = tokio::spawn(async move { post(&http, &first, "k", &json!({})).await });
    let (line, _) = silent.accept().await.expect("it is asked");
    problem(&post(&desk.http, &path, "k", &json!({})).await, 409, "idempotency_in_progress");
    drop((line, silent));
    let first = first.await.expect("it is answered").expect(200);
    assert_eq!(first.json()["source"]["ok"], false, "{}", first.text());
    let again = post(&desk.http, &path, "k", &json!({})).await.expect(200);
    assert_eq!((again.body.as_slice(), again.header("idempotency-replayed")), (&*first.body, Some("true")));
    desk.stop().await;
}
