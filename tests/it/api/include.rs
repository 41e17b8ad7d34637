//! What lists show beside their rows: what those name, each thing once and to who may know it, and where the words
//! stand that were looked for.

use super::{conversation, ids, path_of};
use crate::problems::problem;
use diesel::connection::{InstrumentationEvent, set_default_instrumentation};
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::conversation::{ConversationFilter, ConversationInclude, ConversationSort};
use postroom_core::id::AgentId;
use postroom_core::operations::{conversations, including};
use postroom_core::page::PageRequest;
use postroom_core::query;
use serde_json::{Value, json};
use std::cell::Cell;
use support::desk::TestDesk;
use support::mail::mail;

fn numbers(of: &Value) -> Vec<i64> {
    of.as_array().expect("a list").iter().map(|one| one["id"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn what_is_named_is_answered_once_and_as_its_own_operation_would() {
    let desk = TestDesk::start_fixed().await;
    let http = &desk.http;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let amy = json!({"name": "Amy", "email": "amy@example.org", "grants": [{"mailbox_id": mailbox, "level": "reply"}]});
    let amy = http.post("/api/v1/agents", &amy).await.expect(201).json()["id"].clone();
    let team = http.post("/api/v1/teams", &json!({"name": "Front", "member_ids": [amy]})).await.expect(201);
    let team = team.json()["id"].clone();
    let mut rows = Vec::new();
    for (email, more) in [
        ("ada@example.org", json!({"assignee_id": amy, "team_id": team})),
        ("ada@example.org", json!({"assignee_id": amy})),
        ("bo@example.org", json!({})),
    ] {
        rows.push(conversation(&desk, mailbox, email, more).await);
    }
    let all = "customer,assignee,team,mailbox,last_message";
    let list = http.get(&format!("/api/v1/conversations?include={all}")).await.expect(200).json();
    let included = &list["included"];
    let (ada, bo) = (rows[0]["customer_id"].as_i64().unwrap(), rows[2]["customer_id"].as_i64().unwrap());
    assert_eq!(numbers(&included["customers"]), [ada, bo]);
    let last: Vec<i64> = rows.iter().map(|row| row["last_message_id"].as_i64().unwrap()).collect();
    assert_eq!(numbers(&included["messages"]), last);
    for (kind, noun) in [
        ("customers", "customers"),
        ("agents", "agents"),
        ("teams", "teams"),
        ("mailboxes", "mailboxes"),
        ("messages", "messages"),
    ] {
        for one in included[kind].as_array().expect("a list") {
            let alone = http.get(&format!("/api/v1/{noun}/{}", one["id"])).await.expect(200).json();
            assert_eq!(*one, alone, "{kind}");
        }
    }
    assert_eq!(
        (included["agents"][0]["grants"][0]["level"].clone(), &included["teams"][0]["id"]),
        (json!("reply"), &team)
    );
    // One that names nobody has empty lists; what nobody asked for is left out.
    let alone = format!("{}?include=assignee,customer", path_of(&rows[2]));
    let alone = http.get(&alone).await.expect(200);
    assert!(alone.header("etag").is_some());
    let alone = alone.json();
    assert_eq!(alone["included"]["agents"], json!([]));
    assert_eq!(numbers(&alone["included"]["customers"]), [bo]);
    assert_eq!(alone["included"].get("messages"), None);
    assert_eq!(http.get(&path_of(&rows[2])).await.json().get("included"), None);
    assert_eq!(http.get("/api/v1/conversations").await.json().get("included"), None);
    // What is shown beside rows is no other list.
    let page = http.get("/api/v1/conversations?limit=1&include=customer").await.expect(200);
    assert!(page.header("link").unwrap().contains("include=customer"));
    let cursor = page.json()["page"]["next_cursor"].as_str().unwrap().to_owned();
    let next = http.get(&format!("/api/v1/conversations?limit=1&cursor={cursor}")).await.expect(200).json();
    assert_eq!(ids(&next), [rows[1]["id"].as_i64().unwrap()]);
    let refused = problem(&http.get("/api/v1/conversations?include=custommer").await, 400, "bad_parameter");
    for known in all.split(',') {
        assert!(refused["detail"].as_str().unwrap().contains(known), "{refused}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn customers_need_their_scope_and_authors_of_messages_are_shown_as_well() {
    let desk = TestDesk::start_fixed().await;
    let http = &desk.http;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let amy = json!({"name": "Amy", "email": "amy@example.org", "role": "admin"});
    let amy = http.post("/api/v1/agents", &amy).await.expect(201).json()["id"].as_i64().unwrap();
    let row = conversation(&desk, mailbox, "ada@example.org", json!({})).await;
    let narrow = desk.client(&[Scope::ConversationsRead], &[]).await;
    let path = path_of(&row);
    let messages = format!("{path}/messages");
    desk.client_of_agent(amy)
        .await
        .post(&messages, &json!({"kind": "note", "text": "Mine"}))
        .await
        .expect(201);
    for path in ["/api/v1/conversations", &path, &messages] {
        problem(&narrow.get(&format!("{path}?include=customer")).await, 403, "insufficient_scope");
    }
    narrow.get("/api/v1/conversations?include=assignee,mailbox,last_message,team").await.expect(200);
    let list = narrow.get(&format!("{messages}?include=agent")).await.expect(200).json();
    assert_eq!(numbers(&list["included"]["agents"]), [amy]);
    assert_eq!(list["included"]["agents"][0]["grants"], json!([]));
    let list = http.get(&format!("{messages}?include=agent,customer")).await.expect(200).json();
    assert_eq!(numbers(&list["included"]["customers"]), [row["customer_id"].as_i64().unwrap()]);
    desk.stop().await;
}

thread_local! {
    /// Statements that this thread has asked databases.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count(event: InstrumentationEvent<'_>) {
    if matches!(event, InstrumentationEvent::StartQuery { .. }) {
        ASKED.set(ASKED.get() + 1);
    }
}

/// However many rows a page has, each kind is one query: the database counts what it was asked.
#[tokio::test]
async fn a_longer_page_asks_the_database_no_more_often() {
    // For connections that are opened from now on, of other tests as well: each thread counts its own.
    set_default_instrumentation(|| Some(Box::new(count))).expect("it can be set");
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    for n in 0..12 {
        let agent = json!({"name": format!("A{n}"), "email": format!("a{n}@example.org"), "role": "admin"});
        let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].clone();
        let team = json!({"name": format!("T{n}"), "member_ids": [agent]});
        let team = desk.http.post("/api/v1/teams", &team).await.expect(201).json()["id"].clone();
        let more = json!({"assignee_id": agent, "team_id": team});
        conversation(&desk, mailbox, &format!("c{n}@example.org"), more).await;
    }
    let mut asked = Vec::new();
    for limit in [2, 12] {
        let before = ASKED.get();
        // Agents alone have read marks.
        let agent = Actor { agent_id: Some(AgentId(1)), ..Actor::system() };
        let page = desk.desk().read_here(&agent, |cx| {
            let query = query::parse("late")?;
            let filter = ConversationFilter { query: query.clone(), ..ConversationFilter::default() };
            let page =
                conversations::list(cx, &filter, ConversationSort::IdDescending, PageRequest::first(limit))?;
            let rows: Vec<_> = page.items.iter().map(|card| &card.conversation).collect();
            including::of_conversations(cx, ConversationInclude::ALL, &rows)?;
            conversations::highlights(cx, &query, &rows)?;
            Ok(rows.len())
        });
        assert_eq!(page.expect("a page"), usize::from(limit));
        asked.push(ASKED.get() - before);
    }
    assert!(asked[0] > 10, "{asked:?}");
    assert_eq!(asked[0], asked[1], "statements for pages of 2 and of 12");
    desk.stop().await;
}

/// The pieces of a conversation and what is marked in them, as a browser would cut it out.
fn marked(row: &Value) -> Vec<(String, Vec<String>)> {
    let cut = |one: &Value| {
        let units: Vec<u16> = one["text"].as_str().expect("a text").encode_utf16().collect();
        let each = one["ranges"].as_array().expect("a list").iter().map(|range| {
            let end = |name: &str| {
                usize::try_from(range[name].as_u64().expect("a number")).expect("a place in a text")
            };
            String::from_utf16(&units[end("start")..end("end")]).expect("whole characters")
        });
        (one["field"].as_str().expect("a word").to_owned(), each.collect())
    };
    row["highlights"].as_array().expect("a list").iter().map(cut).collect()
}

#[tokio::test]
async fn a_search_shows_where_its_words_stand() {
    let desk = TestDesk::start().await;
    let http = &desk.http;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let first = mail()
        .from("Ada Lovelace <ada@example.org>")
        .subject("🙂 Größe of the engine")
        .text("The zahnrad is broken.\nGROSSE zahnräder are not.")
        .attachment("Zahnrad-Plan.pdf", "application/pdf", b"%PDF-1.4");
    desk.receive(mailbox, &first).await;
    let find = async |q: &str| {
        let q: String = url_encoded(q);
        let list = http.get(&format!("/api/v1/conversations?highlights=true&q={q}")).await.expect(200).json();
        assert_eq!(ids(&list).len(), 1, "{q}");
        marked(&list["data"][0])
    };
    let words = |field: &str, all: &[&str]| {
        (field.to_owned(), all.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(find("grosse").await, [words("subject", &["Größe"]), words("message", &["GROSSE"])]);
    assert_eq!(
        find("zahnrad").await,
        [words("message", &["zahnrad", "zahnräder"]), words("file", &["Zahnrad"])]
    );
    assert_eq!(find("lovelace").await, [words("person", &["Lovelace"])]);
    assert_eq!(find("subject:engine").await, [words("subject", &["engine"])]);
    assert_eq!(find("file:zahnrad").await, [words("file", &["Zahnrad"])]);
    assert_eq!(find("is:open").await, []);
    let text = http.get("/api/v1/conversations?q=broken&highlights=true").await.json();
    let piece = &text["data"][0]["highlights"][0];
    assert_eq!(piece["text"], "The zahnrad is broken. GROSSE zahnräder are not.");
    assert_eq!(piece["message_id"], text["data"][0]["last_message_id"]);
    let plain = http.get("/api/v1/conversations?q=broken").await.json();
    assert_eq!(plain["data"][0].get("highlights"), None);
    // A message of thousands of words is found by its last, and one that follows it too.
    let long = format!("{} fernrohr", "wort ".repeat(13_000));
    desk.receive(mailbox, &mail().from("Bo <bo@example.org>").subject("Long").text(&long)).await;
    let path = "/api/v1/conversations?q=fernrohr&highlights=true";
    assert_eq!(http.get(path).await.expect(200).json()["data"][0]["highlights"], json!([]));
    desk.stop().await;
}

fn url_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| format!("{escaped}%{byte:02X}"))
}
