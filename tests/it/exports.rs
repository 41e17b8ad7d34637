//! Exports: kept up to date they are what asking for each row would give, whoever writes meanwhile.

use crate::mailing::*;
use crate::problems::problem;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

/// What a warehouse holds of one export.
struct Copy {
    path: String,
    rows: BTreeMap<i64, Value>,
    cursor: Option<String>,
}

impl Copy {
    fn of(noun: &str) -> Self {
        Self { path: format!("/api/v1/export/{noun}"), rows: BTreeMap::new(), cursor: None }
    }

    /// Takes one page in. Says whether it was the last one.
    async fn page(&mut self, http: &Http, limit: usize) -> bool {
        let cursor = self.cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = http.get(&format!("{}?limit={limit}{cursor}", self.path)).await.expect(200).json();
        let rows = page["data"].as_array().expect("rows");
        for row in rows {
            let id = row.get("id").or(row.get("seq")).expect("a number");
            self.rows.insert(number(id), row.clone());
        }
        for id in page["deleted"].as_array().expect("numbers") {
            self.rows.remove(&number(id));
        }
        let info = &page["page"];
        self.cursor = Some(info["cursor"].as_str().expect("a cursor").to_owned());
        info["end_of_stream"].as_bool().expect("yes or no")
    }

    async fn catch_up(&mut self, http: &Http, limit: usize) {
        while !self.page(http, limit).await {}
    }

    /// Every row is as its own operation answers it, and none is missing.
    async fn is_exact(&self, desk: &TestDesk, noun: &str) {
        let all = count(desk, &format!("SELECT count(*) AS count FROM {noun}"));
        assert_eq!(self.rows.len() as i64, all, "{noun}");
        for (id, row) in &self.rows {
            let mut now = desk.http.get(&format!("/api/v1/{noun}/{id}")).await.expect(200).json();
            // What is answered alone alone.
            now.as_object_mut().expect("members").remove("links");
            assert_eq!(*row, now, "{noun} {id}");
        }
    }
}

const NOUNS: [&str; 3] = ["conversations", "messages", "customers"];

async fn export_all(desk: &TestDesk, limit: usize) -> Vec<Copy> {
    let mut copies = Vec::new();
    for noun in NOUNS {
        let mut copy = Copy::of(noun);
        copy.catch_up(&desk.http, limit).await;
        copies.push(copy);
    }
    copies
}

/// Does a little of everything in a desk.
async fn work(desk: &TestDesk, mailbox: i64, round: usize) {
    let new =
        |what: &str| mail().from(&format!("{what}{round}@example.net")).subject(&format!("{what} {round}"));
    let one = arrive(desk, mailbox, &new("one")).await;
    let two = arrive(desk, mailbox, &new("two")).await.conversation;
    let at = format!("/api/v1/conversations/{}", one.conversation);
    desk.http
        .patch(&at, &json!({"priority": "high", "tags": [format!("tag {round}"), "late"]}))
        .await
        .expect(200);
    reply_with(desk, one.conversation, json!({"kind": "note", "text": "She called."})).await;
    let draft = json!({"kind": "reply", "text": "It left", "draft": true});
    let draft = reply_with(desk, one.conversation, draft).await;
    let customer = desk.http.get(&at).await.expect(200).json()["customer_id"].clone();
    match round % 4 {
        0 => {
            desk.http.delete(&format!("/api/v1/messages/{}", draft["id"])).await.expect(204);
        }
        1 => {
            desk.http.post(&format!("{at}/merge"), &json!({"into": two})).await.expect(201);
        }
        2 => {
            desk.http.delete(&at).await.expect(204);
            if round % 8 == 6 {
                desk.http.delete(&format!("{at}?purge=true")).await.expect(204);
            }
        }
        _ => {
            let body = json!({"message_ids": [one.message]});
            desk.http.post(&format!("{at}/split"), &body).await.expect(201);
        }
    }
    let name = json!({"name": format!("Ada {round}")});
    desk.http.patch(&format!("/api/v1/customers/{customer}"), &name).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_what_is_there_whoever_writes_meanwhile() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    for round in 0..4 {
        work(&desk, mailbox, round).await;
    }
    // Pages and changes by turns: the pages begin before the changes and end after them.
    let mut copies: Vec<Copy> = NOUNS.iter().map(|noun| Copy::of(noun)).collect();
    for round in 4..12 {
        for copy in &mut copies {
            copy.page(&desk.http, 3).await;
        }
        work(&desk, mailbox, round).await;
    }
    // And at the same time.
    let writer = async {
        for round in 12..20 {
            work(&desk, mailbox, round).await;
        }
    };
    let reader = async {
        for copy in &mut copies {
            copy.catch_up(&desk.http, 5).await;
        }
    };
    tokio::join!(writer, reader);
    for (copy, noun) in copies.iter_mut().zip(NOUNS) {
        copy.catch_up(&desk.http, 50).await;
        copy.is_exact(&desk, noun).await;
    }
    // Nothing changed, nothing is told.
    for copy in &mut copies {
        let before = copy.rows.len();
        copy.rows.clear();
        assert!(copy.page(&desk.http, 50).await);
        assert_eq!(copy.rows.len(), 0, "of {before}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_elsewhere_and_what_goes_is_told() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    for round in 0..4 {
        work(&desk, mailbox, round).await;
    }
    let mut copies = export_all(&desk, 2).await;
    // A tag's new name stands in conversations that no event names.
    let tags = desk.http.get("/api/v1/tags").await.expect(200).json();
    let late =
        tags["data"].as_array().expect("tags").iter().find(|tag| tag["name"] == "late").expect("it is there");
    desk.http.patch(&format!("/api/v1/tags/{}", late["id"]), &json!({"name": "overdue"})).await.expect(200);
    copies[0].catch_up(&desk.http, 2).await;
    copies[0].is_exact(&desk, "conversations").await;
    assert!(copies[0].rows.values().any(|row| row["tags"].to_string().contains("overdue")));
    // A draft that is thrown away is gone.
    let here = arrive(&desk, mailbox, &mail().from("eve@example.net")).await.conversation;
    let draft = reply_with(&desk, here, json!({"kind": "reply", "text": "It left", "draft": true})).await;
    copies[1].catch_up(&desk.http, 50).await;
    assert!(copies[1].rows.contains_key(&number(&draft["id"])));
    desk.http.delete(&format!("/api/v1/messages/{}", draft["id"])).await.expect(204);
    copies[1].catch_up(&desk.http, 50).await;
    assert!(!copies[1].rows.contains_key(&number(&draft["id"])));
    copies[1].is_exact(&desk, "messages").await;
    // A conversation that is merged takes more messages along than a page has.
    let (long, into) = (
        arrive(&desk, mailbox, &mail().from("long@example.net")).await.conversation,
        arrive(&desk, mailbox, &mail().from("into@example.net")).await.conversation,
    );
    for n in 0..101 {
        reply_with(&desk, long, json!({"kind": "note", "text": format!("Note {n}")})).await;
    }
    copies[1].catch_up(&desk.http, 100).await;
    let merge = json!({"into": into});
    desk.http.post(&format!("/api/v1/conversations/{long}/merge"), &merge).await.expect(201);
    copies[1].catch_up(&desk.http, 100).await;
    copies[1].is_exact(&desk, "messages").await;
    // The log of everything is the log.
    let mut activity = Copy::of("activity");
    activity.catch_up(&desk.http, 7).await;
    let mut after = 0;
    let mut told = BTreeMap::new();
    loop {
        let feed = desk.http.get(&format!("/api/v1/events?after={after}&limit=100")).await.expect(200).json();
        for event in feed["data"].as_array().expect("events") {
            told.insert(number(&event["seq"]), event.clone());
        }
        after = number(&feed["page"]["next_after"]);
        if feed["page"]["has_more"] == json!(false) {
            break;
        }
    }
    assert_eq!(activity.rows, told);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_say_the_same_as_pages() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    work(&desk, mailbox, 0).await;
    let headers = [("Accept", "application/x-ndjson")];
    for noun in ["conversations", "messages", "customers", "activity"] {
        let path = format!("/api/v1/export/{noun}");
        let lines = desk.http.send("GET", &path, &headers, b"").await.expect(200);
        assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
        let text = lines.text();
        let mut rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        let end = rows.pop().expect("a last line");
        let page = desk.http.get(&path).await.expect(200).json();
        assert_eq!(json!(rows), page["data"], "{noun}");
        assert_eq!(end["end_of_stream"], json!(true), "{noun}");
        assert!(end["cursor"].is_string());
    }
    // What is gone has a line as well.
    let here = arrive(&desk, mailbox, &mail().from("eve@example.net")).await.conversation;
    let draft = reply_with(&desk, here, json!({"kind": "reply", "text": "It left", "draft": true})).await;
    let mut messages = Copy::of("messages");
    messages.catch_up(&desk.http, 50).await;
    desk.http.delete(&format!("/api/v1/messages/{}", draft["id"])).await.expect(204);
    let path = format!("/api/v1/export/messages?cursor={}", messages.cursor.expect("a cursor"));
    let lines = desk.http.send("GET", &path, &headers, b"").await.expect(200).text();
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first, json!({"deleted": true, "id": draft["id"]}));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_for_those_who_see_all_and_is_noted() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    work(&desk, mailbox, 0).await;
    let token = |scopes: Value, mailboxes: Value| {
        let body = json!({"name": "warehouse", "scopes": scopes, "mailbox_ids": mailboxes});
        let desk = &desk;
        async move {
            let made = desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
            Http::new(desk.address()).with_token(made["token"].as_str().expect("a secret"))
        }
    };
    let reads = token(json!(["conversations:read", "customers:read", "events:read"]), Value::Null).await;
    let exports = token(json!(["export:read"]), Value::Null).await;
    let both = token(json!(["export:read", "customers:read"]), Value::Null).await;
    let narrow = token(json!(["export:read", "conversations:read"]), json!([mailbox])).await;
    for noun in ["conversations", "messages", "customers", "activity"] {
        let path = format!("/api/v1/export/{noun}");
        problem(&reads.get(&path).await, 403, "insufficient_scope");
        problem(&exports.get(&path).await, 403, "insufficient_scope");
        problem(&desk.http.get(&format!("{path}?limit=0")).await, 400, "bad_parameter");
        problem(&desk.http.get(&format!("{path}?limit=101")).await, 400, "bad_parameter");
        problem(&desk.http.get(&format!("{path}?cursor=x")).await, 400, "bad_cursor");
        problem(&desk.http.get(&format!("{path}?q=x")).await, 400, "bad_parameter");
        desk.http.get(&format!("{path}?limit=100")).await.expect(200);
    }
    problem(&narrow.get("/api/v1/export/conversations").await, 403, "forbidden");
    problem(&both.get("/api/v1/export/messages").await, 403, "insufficient_scope");
    both.get("/api/v1/export/customers").await.expect(200);
    // A cursor is its own export's.
    let mut customers = Copy::of("customers");
    customers.page(&desk.http, 1).await;
    let cursor = customers.cursor.clone().expect("a cursor");
    let other = desk.http.get(&format!("/api/v1/export/messages?cursor={cursor}")).await;
    problem(&other, 400, "bad_cursor");
    // Each that began is in the audit log, once, however many pages it has.
    let noted = "SELECT count(*) AS count FROM audit_log WHERE kind = 'export.begun'";
    let before = count(&desk, noted);
    customers.catch_up(&desk.http, 1).await;
    assert_eq!(count(&desk, noted), before);
    // Who asks for the head alone is told nothing.
    for noun in ["conversations", "messages", "customers", "activity"] {
        desk.http.send("HEAD", &format!("/api/v1/export/{noun}"), &[], b"").await.expect(200);
    }
    assert_eq!(count(&desk, noted), before);
    Copy::of("activity").page(&desk.http, 1).await;
    assert_eq!(count(&desk, noted), before + 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_no_longer_tells_begins_anew() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    work(&desk, mailbox, 0).await;
    let mut copies = export_all(&desk, 50).await;
    let mut activity = Copy::of("activity");
    activity.catch_up(&desk.http, 50).await;
    copies.push(activity);
    let path = |copy: &Copy| format!("{}?cursor={}", copy.path, copy.cursor.as_deref().expect("a cursor"));
    for copy in &copies {
        desk.http.get(&path(copy)).await.expect(200);
    }
    let seq = count(&desk, "SELECT max(seq) AS count FROM events");
    work(&desk, mailbox, 1).await;
    // A backup that did not know the last event comes back.
    sql(desk.config(), &format!("UPDATE events SET type = 'desk.restored' WHERE seq = {}", seq + 2));
    for copy in &copies {
        desk.http.get(&path(copy)).await.expect(200);
    }
    sql(desk.config(), &format!("DELETE FROM events WHERE seq = {seq}"));
    for copy in &copies {
        problem(&desk.http.get(&path(copy)).await, 410, "cursor_expired");
    }
    // What is new goes on, until the log begins behind it.
    let copies = export_all(&desk, 50).await;
    work(&desk, mailbox, 2).await;
    let last = count(&desk, "SELECT max(seq) AS count FROM events");
    sql(desk.config(), &format!("INSERT INTO settings (key, value) VALUES ('events_floor', '{last}')"));
    for copy in &copies {
        problem(&desk.http.get(&path(copy)).await, 410, "cursor_expired");
    }
    for copy in export_all(&desk, 50).await {
        desk.http.get(&path(&copy)).await.expect(200);
    }
    desk.stop().await;
}
