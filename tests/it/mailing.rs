//! What the tests of mail have in common: mailboxes on real servers, and questions to the API in
//! a word.

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl};
use postroom::Config;
use postroom_core::store::conn::{self, Conn};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::dovecot::{self, Dovecot};
use support::mail::TestMail;
use support::smtp::{self, SmtpSink};
use support::tls;

/// A mailbox's source: a user's INBOX on a Dovecot, through TLS that the tests' CA vouches for.
pub fn imap(dovecot: &Dovecot) -> Value {
    json!({
        "type": "imap", "host": "127.0.0.1", "port": dovecot.imaps, "security": "tls",
        "username": "support", "password": dovecot::PASSWORD, "ca_file": tls::ca_file(),
    })
}

/// A mailbox's delivery: a receiver with STARTTLS and a login.
pub fn smtp(sink: &SmtpSink) -> Value {
    json!({
        "type": "smtp", "host": "127.0.0.1", "port": sink.port, "security": "starttls",
        "username": smtp::USER, "password": smtp::PASSWORD, "ca_file": tls::ca_file(),
    })
}

/// A value with members changed: a mailbox that differs from the usual one.
pub fn with(mut value: Value, changes: Value) -> Value {
    let (Some(members), Value::Object(changes)) = (value.as_object_mut(), changes) else {
        panic!("both are objects");
    };
    members.extend(changes);
    value
}

/// Adds the mailbox `support@example.org`. Returns its number.
pub async fn add(desk: &TestDesk, source: Value, delivery: Value) -> i64 {
    add_with(
        desk,
        json!({
            "name": "Support", "address": "support@example.org", "source": source, "delivery": delivery,
        }),
    )
    .await
}

/// Adds a mailbox. Returns its number.
pub async fn add_with(desk: &TestDesk, body: Value) -> i64 {
    number(&desk.http.post("/api/v1/mailboxes", &body).await.expect(201).json()["id"])
}

/// Adds a mailbox that mail is pushed into and that captures what leaves.
pub async fn pushed(desk: &TestDesk, changes: Value) -> i64 {
    let body = json!({
        "name": "Support", "address": "support@example.org",
        "source": {"type": "push"}, "delivery": {"type": "sink"},
    });
    add_with(desk, with(body, changes)).await
}

/// A number in JSON.
#[track_caller]
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Asks for a poll and waits until it is through. A clock that stands is moved first: a poll and
/// the wish for the next one are told apart by their time.
pub async fn sync(desk: &TestDesk, mailbox: i64) -> Value {
    desk.desk().advance_clock(Duration::from_secs(1));
    desk.sync(mailbox).await
}

/// How a mailbox is doing.
pub async fn status(desk: &TestDesk, mailbox: i64) -> Value {
    desk.http.get(&format!("/api/v1/mailboxes/{mailbox}/status")).await.expect(200).json()
}

/// The rows of a mailbox's ledger with a verdict, newest first; at most a hundred.
pub async fn ledger(desk: &TestDesk, mailbox: i64, verdict: &str) -> Vec<Value> {
    list(desk, &format!("/api/v1/mailboxes/{mailbox}/ingest?verdict={verdict}&limit=100")).await
}

/// Moves a fixed clock and wakes whoever may now have something to do.
pub async fn pass(desk: &TestDesk, time: Duration) {
    desk.desk().advance_clock(time);
    desk.write(|cx| {
        cx.wake();
        Ok(())
    })
    .await;
}

/// Days.
pub fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}

/// Pushes a mail. Returns what became of it: `verdict`, `message_id`, `conversation_id`.
pub async fn push(desk: &TestDesk, mailbox: i64, raw: &[u8]) -> Value {
    let path = format!("/api/v1/mailboxes/{mailbox}/inbound");
    let answer = desk.http.send("POST", &path, &[("Content-Type", "message/rfc822")], raw).await;
    let receipt = answer.json();
    let status = if receipt["verdict"] == "duplicate" { 200 } else { 201 };
    assert_eq!(answer.status, status, "{receipt}");
    receipt
}

/// A message and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// The conversation.
    pub conversation: i64,
    /// The message.
    pub message: i64,
}

/// Pushes a mail that is new. Returns where it landed.
pub async fn arrive(desk: &TestDesk, mailbox: i64, mail: &TestMail) -> Landed {
    let receipt = push(desk, mailbox, &mail.build()).await;
    assert_eq!(receipt["verdict"], "accepted", "{receipt}");
    Landed { conversation: number(&receipt["conversation_id"]), message: number(&receipt["message_id"]) }
}

/// A conversation.
pub async fn conversation(desk: &TestDesk, id: i64) -> Value {
    desk.http.get(&format!("/api/v1/conversations/{id}")).await.expect(200).json()
}

/// All conversations, oldest first; at most a hundred.
pub async fn conversations(desk: &TestDesk) -> Vec<Value> {
    list(desk, "/api/v1/conversations?sort=id&limit=100").await
}

/// Every mail there is, by its Message-ID, with its conversation.
pub async fn everything(desk: &TestDesk) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    let mut next = Some("/api/v1/conversations?sort=id&limit=100".to_owned());
    while let Some(path) = next {
        let page = desk.http.get(&path).await.expect(200).json();
        for conversation in page["data"].as_array().expect("a list") {
            let id = number(&conversation["id"]);
            let there = messages(desk, id).await;
            assert_eq!(conversation["message_count"], there.len(), "{conversation}");
            found.extend(there.iter().map(|message| (id_of(message), id)));
        }
        let cursor = page["page"]["next_cursor"].as_str();
        next = cursor.map(|cursor| format!("/api/v1/conversations?sort=id&limit=100&cursor={cursor}"));
    }
    found
}

/// The first hundred of a list.
pub async fn list(desk: &TestDesk, path: &str) -> Vec<Value> {
    let page = desk.http.get(path).await.expect(200).json();
    page["data"].as_array().unwrap_or_else(|| panic!("{page} is no list")).clone()
}

/// A message.
pub async fn message(desk: &TestDesk, id: i64) -> Value {
    desk.http.get(&format!("/api/v1/messages/{id}")).await.expect(200).json()
}

/// The messages of a conversation, oldest first.
pub async fn messages(desk: &TestDesk, conversation: i64) -> Vec<Value> {
    list(desk, &format!("/api/v1/conversations/{conversation}/messages?limit=100")).await
}

/// The bytes of a message's mail.
pub async fn raw(desk: &TestDesk, id: i64) -> Vec<u8> {
    desk.http.get(&format!("/api/v1/messages/{id}/raw")).await.expect(200).body
}

/// Why a message is where it is.
pub async fn decision(desk: &TestDesk, id: i64) -> Value {
    desk.http.get(&format!("/api/v1/messages/{id}/threading")).await.expect(200).json()
}

/// Answers in a conversation. Returns the message.
pub async fn reply(desk: &TestDesk, conversation: i64, text: &str) -> Value {
    reply_with(desk, conversation, json!({"kind": "reply", "text": text})).await
}

/// Writes a message into a conversation. Returns it.
pub async fn reply_with(desk: &TestDesk, conversation: i64, body: Value) -> Value {
    let path = format!("/api/v1/conversations/{conversation}/messages");
    desk.http.post(&path, &body).await.expect(201).json()
}

/// Waits until a message has got so far. Returns its delivery.
pub async fn delivered(desk: &TestDesk, message: &Value, state: &str) -> Value {
    let path = format!("/api/v1/messages/{}/delivery", message["id"]);
    desk.until(|| async {
        let delivery = desk.http.get(&path).await.expect(200).json();
        (delivery["state"] == state).then_some(delivery)
    })
    .await
}

/// Sets a conversation's status.
pub async fn set_status(desk: &TestDesk, conversation: i64, status: &str) {
    let path = format!("/api/v1/conversations/{conversation}");
    desk.http.patch(&path, &json!({"status": status})).await.expect(200);
}

/// The Message-ID of a message, with angle brackets.
pub fn id_of(message: &Value) -> String {
    message["internet_message_id"].as_str().unwrap_or_else(|| panic!("{message} has no id")).to_owned()
}

/// Bytes that no compression makes smaller, always the same ones.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(next());
    }
    bytes.truncate(length);
    bytes
}

/// The database itself, to do what only the passing of time or another host would do.
pub fn database(config: &Config) -> Conn {
    conn::open(&config.database_url().expect("the configuration is sound")).expect("the database is there")
}

/// Runs a statement on a desk's database.
pub fn sql(config: &Config, statement: &str) {
    let conn = &mut database(config);
    let done = match conn {
        Conn::Postgres(conn) => diesel::sql_query(statement).execute(conn),
        Conn::Sqlite(conn) => diesel::sql_query(statement).execute(conn),
    };
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What a `SELECT count(*) AS count` counts in a desk's database.
pub fn count(desk: &TestDesk, query: &str) -> i64 {
    let conn = &mut database(desk.config());
    let found: Result<Count, _> = match conn {
        Conn::Postgres(conn) => diesel::sql_query(query).get_result(conn),
        Conn::Sqlite(conn) => diesel::sql_query(query).get_result(conn),
    };
    found.unwrap_or_else(|error| panic!("{query}: {error}")).count
}

#[derive(QueryableByName)]
struct Words {
    #[diesel(sql_type = Text)]
    text: String,
}

/// What a `SELECT … AS text` says in a desk's database.
pub fn text_of(desk: &TestDesk, query: &str) -> String {
    let conn = &mut database(desk.config());
    let found: Result<Words, _> = match conn {
        Conn::Postgres(conn) => diesel::sql_query(query).get_result(conn),
        Conn::Sqlite(conn) => diesel::sql_query(query).get_result(conn),
    };
    found.unwrap_or_else(|error| panic!("{query}: {error}")).text
}
