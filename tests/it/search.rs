//! Words are found wherever they stand and in any language, by nobody who may not see them, and in the moment
//! they are written; what is gone is found no more. The same on both databases.

use crate::mailing::sql;
use crate::problems::problem;
use crate::program::Shell;
use serde_json::{Value, json};
use std::fmt::Write as _;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

/// `q`, ready to stand in a path.
fn encoded(q: &str) -> String {
    q.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

async fn found(http: &Http, q: &str) -> Vec<i64> {
    found_in(http, q, "").await
}

async fn found_in(http: &Http, q: &str, more: &str) -> Vec<i64> {
    let path = format!("/api/v1/conversations?q={}{more}", encoded(q));
    ids(&http.get(&path).await.expect(200).json())
}

fn ids(list: &Value) -> Vec<i64> {
    list["data"].as_array().expect("a list").iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}

async fn begin(http: &Http, mailbox: i64, email: &str, subject: &str, text: &str) -> i64 {
    let body = json!({"mailbox_id": mailbox, "subject": subject, "customer": {"email": email},
        "message": {"kind": "inbound", "text": text}});
    number(&http.post("/api/v1/conversations", &body).await.expect(201).json()["id"])
}

#[tokio::test]
async fn words_are_found_in_any_language_and_wherever_they_stand() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let http = &desk.http;
    let mut rows = Vec::new();
    for (subject, text) in [
        ("Rechnungsnummer fehlt", "Die Größe stimmt nicht, Ärger mit der Straße."),
        ("注文について", "ご注文番号は４７１１です。いつ届きますか"),
        ("订单问题", "我的订单在哪里？请尽快回复。"),
        ("สอบถาม", "คำสั่งซื้อของฉันอยู่ที่ไหน"),
        ("Вопрос о доставке", "Где моя посылка?"),
        ("주문 문의", "주문이 늦었습니다"),
        ("سؤال", "أَيْنَ طَلَبِي؟"),
        ("Ερώτηση", "Πού είναι η παραγγελία μου; ΟΔΟΣ"),
        ("Crème brûlée", "don't panic: ada.lovelace@example.net, item A-47/b"),
    ] {
        rows.push(begin(http, mailbox, "kim@example.org", subject, text).await);
    }
    for (q, row) in [
        ("rechnung", 0),
        ("GROSSE", 0),
        ("strasse", 0),
        ("arger", 0),
        ("\"ärger mit\"", 0),
        ("注文番号", 1),
        ("番号", 1),
        ("届", 1),
        ("4711", 1),
        ("订单", 2),
        ("回复", 2),
        ("\"在哪里\"", 2),
        ("สั่งซื้อ", 3),
        ("ПОСЫЛК", 4),
        ("주문", 5),
        ("늦었", 5),
        ("اين", 6),
        ("παραγγελια", 7),
        ("οδός", 7),
        ("creme brulee", 8),
        ("don't", 8),
        ("ada.lovelace@example.net", 8),
        ("A-47", 8),
        ("subject:brûlée", 8),
    ] {
        assert_eq!(found(http, q).await, [rows[row]], "{q}");
    }
    for q in ["单订", "rechnungen", "\"rechnung\"", "\"mit ärger\"", "471", "subject:panic", "lovelace@ada"]
    {
        assert_eq!(found(http, q).await, Vec::<i64>::new(), "{q}");
    }
    // All of them are the customer's; a page after the other, without a cap.
    rows.reverse();
    assert_eq!(found(http, "kim@example.org").await, rows);
    desk.stop().await;
}

#[tokio::test]
async fn mails_notes_answers_drafts_and_files_are_found_as_they_come_change_and_go() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let http = &desk.http;
    let first = mail()
        .from("Ada Lovelace <ada@example.org>")
        .cc("Charles <charles@example.net>")
        .subject("Analytical engine")
        .text("The zahnrad is broken")
        .attachment("Gear-Plan.pdf", "application/pdf", b"%PDF-1.4");
    let received = desk.receive(mailbox, &first).await;
    let id = number(&received["conversation_id"]);
    for q in
        ["zahnrad", "lovelace", "charles@example.net", "engine", "gear-plan", "file:gear", "zahnrad ada plan"]
    {
        assert_eq!(found(http, q).await, [id], "{q}");
    }
    assert_eq!(found(http, "has:attachment zahnrad").await, [id]);
    assert_eq!(found(http, "file:zahnrad").await, Vec::<i64>::new());
    let path = format!("/api/v1/conversations/{id}");
    let messages = format!("{path}/messages");
    http.post(&messages, &json!({"kind": "note", "text": "ask the clockmaker"})).await.expect(201);
    http.post(&messages, &json!({"kind": "reply", "text": "we send a flywheel"})).await.expect(201);
    let draft = json!({"kind": "reply", "text": "perhaps a crankshaft", "draft": true});
    let draft = http.post(&messages, &draft).await.expect(201).json();
    // Words of several messages are found together, and not as one phrase.
    assert_eq!(found(http, "zahnrad clockmaker flywheel crankshaft").await, [id]);
    assert_eq!(found(http, "\"clockmaker we\"").await, Vec::<i64>::new());
    let draft = format!("/api/v1/messages/{}", draft["id"]);
    http.patch(&draft, &json!({"text": "perhaps a camshaft"})).await.expect(200);
    assert_eq!(found(http, "crankshaft").await, Vec::<i64>::new());
    assert_eq!(found(http, "camshaft").await, [id]);
    http.delete(&draft).await.expect(204);
    assert_eq!(found(http, "camshaft").await, Vec::<i64>::new());
    http.patch(&path, &json!({"subject": "Difference machine"})).await.expect(200);
    assert_eq!(found(http, "subject:difference").await, [id]);
    assert_eq!(found(http, "subject:analytical").await, Vec::<i64>::new());
    // The customer's name and addresses.
    let customer = http.get(&path).await.expect(200).json()["customer_id"].clone();
    let customer = format!("/api/v1/customers/{customer}");
    http.patch(&customer, &json!({"name": "Countess Byron-King"})).await.expect(200);
    assert_eq!(found(http, "countess zahnrad").await, [id]);
    // A message that moves takes its words along.
    let other = begin(http, mailbox, "ada@example.org", "Another matter", "a loom").await;
    let message = received["message_id"].clone();
    http.post(&format!("/api/v1/messages/{message}/move"), &json!({"to": other})).await.expect(201);
    assert_eq!(found(http, "zahnrad").await, [other]);
    assert_eq!(found(http, "file:gear").await, [other]);
    assert_eq!(found(http, "flywheel").await, [id]);
    desk.stop().await;
}

#[tokio::test]
async fn who_may_not_see_a_conversation_does_not_find_it() {
    let desk = TestDesk::start().await;
    let (ours, theirs) =
        (desk.mailbox("Ours", "ours@example.org").await, desk.mailbox("Theirs", "theirs@example.org").await);
    let mine = begin(&desk.http, ours, "ada@example.org", "Secret word", "canary").await;
    let hidden = begin(&desk.http, theirs, "ada@example.org", "Secret word", "canary").await;
    let unassigned = begin(&desk.http, ours, "ada@example.org", "Secret word", "canary").await;
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "agent",
        "grants": [{"mailbox_id": ours, "level": "reply", "assigned_only": true}]});
    let amy = number(&desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"]);
    let http = desk.client_of_agent(amy).await;
    desk.http.patch(&format!("/api/v1/conversations/{mine}"), &json!({"assignee_id": amy})).await.expect(200);
    assert_eq!(found(&desk.http, "canary").await, [unassigned, hidden, mine]);
    for more in ["", "&sort=id", "&sort=relevance", "&sort=-updated_at", "&sort=-priority"] {
        assert_eq!(found_in(&http, "canary", more).await, [mine], "{more}");
        let path = format!("/api/v1/conversations?q=canary&count=true{more}");
        assert_eq!(http.get(&path).await.expect(200).json()["page"]["total"], 1);
    }
    assert_eq!(found(&http, "-nothing secret assignee:me").await, [mine]);
    assert_eq!(found(&http, &format!("id:{hidden} canary")).await, Vec::<i64>::new());
    assert_eq!(found(&http, &format!("-id:{mine}")).await, Vec::<i64>::new());
    desk.stop().await;
}

#[tokio::test]
async fn what_stands_in_the_subject_is_more_relevant_and_pages_neither_repeat_nor_leave_out() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let http = &desk.http;
    let (mut heads, mut others) = (Vec::new(), Vec::new());
    for index in 0..7 {
        heads.push(begin(http, mailbox, "ada@example.org", "Turbine", &format!("number {index}")).await);
        others.push(begin(http, mailbox, "ada@example.org", "Something", "about the turbines").await);
    }
    heads.reverse();
    others.reverse();
    let mut seen = Vec::new();
    let mut path = "/api/v1/conversations?q=turbine&sort=relevance&limit=2&count=true".to_owned();
    loop {
        let page = http.get(&path).await.expect(200).json();
        seen.extend(ids(&page));
        // What comes or changes meanwhile moves nothing: it stands before the first page, or where it stood.
        let late = begin(http, mailbox, "bo@example.org", "Turbine", "late").await;
        assert!(late > heads[0]);
        let Some(cursor) = page["page"]["next_cursor"].as_str() else { break };
        path = format!("/api/v1/conversations?q=turbine&sort=relevance&limit=2&cursor={cursor}");
        // It belongs to this query and this order.
        for other in ["q=turbines&sort=relevance", "q=turbine", "q=turbine&sort=relevance&status=open"] {
            let other = format!("/api/v1/conversations?{other}&limit=2&cursor={cursor}");
            problem(&http.get(&other).await, 400, "bad_cursor");
        }
    }
    assert_eq!(seen, [heads, others].concat());
    desk.stop().await;
}

#[tokio::test]
async fn a_long_conversation_is_found_by_its_first_and_its_last_word() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let http = &desk.http;
    let filler = "lorem ipsum dolor sit amet ".repeat(700);
    let id = begin(http, mailbox, "ada@example.org", "Long story", &format!("alpha {filler}")).await;
    let messages = format!("/api/v1/conversations/{id}/messages");
    let mut notes = Vec::new();
    for word in ["beta", "gamma", "delta"] {
        let text = format!("{word} {filler} {filler} {filler} {filler} end{word}");
        notes.push(http.post(&messages, &json!({"kind": "note", "text": text})).await.expect(201).json());
    }
    for q in ["alpha", "beta", "endbeta", "gamma", "endgamma", "delta", "enddelta", "story enddelta"] {
        assert_eq!(found(http, q).await, [id], "{q}");
        let path = format!("/api/v1/conversations?count=true&q={}", encoded(q));
        assert_eq!(http.get(&path).await.expect(200).json()["page"]["total"], 1, "{q}");
    }
    // What goes from the midst of it is gone, and the rest stays.
    let other = begin(http, mailbox, "ada@example.org", "Short", "x").await;
    http.post(&format!("/api/v1/messages/{}/move", notes[1]["id"]), &json!({"to": other})).await.expect(201);
    assert_eq!(found(http, "endgamma").await, [other]);
    assert_eq!(found(http, "story gamma").await, Vec::<i64>::new());
    for q in ["alpha", "endbeta", "enddelta"] {
        assert_eq!(found(http, q).await, [id], "{q}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused_with_its_place() {
    let desk = TestDesk::start().await;
    let http = &desk.http;
    let refused = |q: &str| format!("/api/v1/conversations?q={}", encoded(q));
    let told = http.get(&refused("is:open colour:red")).await;
    problem(&told, 400, "bad_query");
    let told = told.json();
    assert_eq!(told["position"], 9);
    assert!(told["detail"].as_str().unwrap().contains("no field \"colour\""), "{told}");
    assert!(told["accepted"].as_array().unwrap().contains(&json!("assignee")), "{told}");
    problem(&http.get(&refused("?!")).await, 400, "bad_query");
    problem(&http.get("/api/v1/conversations?sort=relevance").await, 400, "bad_query");
    problem(&http.get("/api/v1/conversations?sort=relevance&q=is:open").await, 400, "bad_query");
    problem(&http.get("/api/v1/conversations?q=").await, 400, "bad_parameter");
    let long = "a".repeat(2_000);
    assert_eq!(found(http, &long).await, Vec::<i64>::new());
    problem(&http.get(&refused(&format!("{long}a"))).await, 400, "bad_query");
    // What the databases' own query languages mean something by is text like any other.
    for q in
        ["%", "_", "*", "a*", "\"a* OR b\"", "NEAR(a", "a&b|c!d", "a:b'c", "'';--", "\"a\\\"b\"", "{x}", "^a"]
    {
        let answer = http.get(&refused(q)).await;
        assert!(matches!(answer.status, 200 | 400), "{q}: {}", answer.text());
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_lost_is_made_anew() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    // More than are put in by one transaction.
    for n in 0..201 {
        let subject = format!("Order {n}");
        let text = if n % 100 == 0 { "where is my porcupine" } else { "late" };
        begin(&desk.http, mailbox, "ada@example.net", &subject, text).await;
    }
    let before = found(&desk.http, "porcupine").await;
    assert_eq!(before.len(), 3);
    sql(desk.config(), "DELETE FROM search_chunks");
    assert_eq!(found(&desk.http, "porcupine").await, [] as [i64; 0], "there is no index");
    let told = Shell::of(desk.config()).run(&["doctor", "--reindex", "-o", "json"]).well();
    let said: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!((&said["reindexed"], &said["well"]), (&json!(201), &json!(true)), "{said}");
    assert_eq!(found(&desk.http, "porcupine").await, before);
    let told = Shell::of(desk.config()).run(&["doctor"]).well();
    assert!(!told.out.contains("index was made anew"), "{}", told.out);
    desk.stop().await;
}
