//! The event feed: in order, without a gap and without a repeat, whoever writes; and what is kept
//! of it for how long.

use crate::problems::problem;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::event::Event;
use postroom_core::operations::{events, tags};
use serde_json::{Value, json};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::database;
use support::desk::TestDesk;

fn rows(feed: &Value) -> Vec<Value> {
    feed["data"].as_array().expect("a list").clone()
}

async fn last_seq(desk: &TestDesk) -> i64 {
    let mut after = 0;
    loop {
        let feed = desk.http.get(&format!("/api/v1/events?after={after}&limit=100")).await.expect(200).json();
        after = feed["page"]["next_after"].as_i64().expect("a number");
        if feed["page"]["has_more"] == false {
            return after;
        }
    }
}

async fn conversation(desk: &TestDesk) -> String {
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let body = json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "ada@example.org"},
        "message": {"kind": "inbound", "text": "Where is it?"}});
    let made = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
    format!("/api/v1/conversations/{}", made["id"])
}

#[tokio::test]
async fn every_change_tells_who_what_before_and_after() {
    let desk = TestDesk::start_fixed().await;
    let path = conversation(&desk).await;
    let agent = desk
        .http
        .post("/api/v1/agents", &json!({"name": "Amy", "email": "amy@example.org", "role": "admin"}))
        .await
        .expect(201)
        .json()["id"]
        .as_i64()
        .unwrap();
    let category = desk.http.post("/api/v1/categories", &json!({"name": "Payroll"})).await.expect(201).json();
    let team = desk.http.post("/api/v1/teams", &json!({"name": "Second"})).await.expect(201).json();
    let amy = desk.client_of_agent(agent).await;
    let (category, team) = (&category["id"], &team["id"]);
    for (patch, kind, changes) in [
        (json!({"status": "pending"}), "conversation.status_changed", json!({"status": ["open", "pending"]})),
        (json!({"assignee_id": agent}), "conversation.assigned", json!({"assignee_id": [null, agent]})),
        (json!({"team_id": team}), "conversation.assigned", json!({"team_id": [null, team]})),
        (json!({"assignee_id": null}), "conversation.assigned", json!({"assignee_id": [agent, null]})),
        (json!({"priority": "urgent"}), "conversation.updated", json!({"priority": ["normal", "urgent"]})),
        (
            json!({"subject": "Very late"}),
            "conversation.updated",
            json!({"subject": ["Late order", "Very late"]}),
        ),
        (json!({"category_id": category}), "conversation.updated", json!({"category_id": [null, category]})),
        (json!({"tags": ["b", "a"]}), "conversation.tagged", json!({"tags": [[], ["a", "b"]]})),
        (json!({"tags": ["a"]}), "conversation.tagged", json!({"tags": [["a", "b"], ["a"]]})),
        (
            json!({"status": "closed"}),
            "conversation.status_changed",
            json!({"status": ["pending", "closed"]}),
        ),
        (json!({"status": "open"}), "conversation.status_changed", json!({"status": ["closed", "open"]})),
        (json!({"status": "spam"}), "conversation.status_changed", json!({"status": ["open", "spam"]})),
    ] {
        let after = last_seq(&desk).await;
        amy.patch(&path, &patch).await.expect(200);
        let feed = desk.http.get(&format!("/api/v1/events?after={after}&types=conversation.*")).await.json();
        let told = rows(&feed);
        assert_eq!(told.len(), 1, "{patch}: {told:?}");
        assert_eq!(told[0]["type"], kind, "{patch}");
        assert_eq!(told[0]["data"]["changes"], changes, "{patch}");
        assert_eq!(told[0]["actor"], json!({"type": "agent", "id": agent.to_string(), "name": "Amy"}));
        assert_eq!(told[0]["timestamp"], "2026-11-22T08:00:00.000000Z");
        assert!(told[0]["mailbox_id"].is_i64() && told[0]["customer_id"].is_i64(), "{told:?}");
        assert_eq!(path, format!("/api/v1/conversations/{}", told[0]["conversation_id"]));

        // The same once more changes nothing, and nobody hears of it.
        let after = last_seq(&desk).await;
        let before = amy.get(&path).await.expect(200);
        let again = amy.patch(&path, &patch).await.expect(200);
        assert_eq!(again.header("etag"), before.header("etag"), "{patch}");
        assert_eq!(again.json(), before.json(), "{patch}");
        assert_eq!(last_seq(&desk).await, after, "{patch}");
    }
    // Several changes at once are told apart, in one go.
    let after = last_seq(&desk).await;
    let all = json!({"status": "open", "assignee_id": agent, "priority": "low", "tags": []});
    amy.patch(&path, &all).await.expect(200);
    let feed = desk.http.get(&format!("/api/v1/events?after={after}")).await.expect(200).json();
    let mut kinds: Vec<String> =
        rows(&feed).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    let expected = [
        "conversation.assigned",
        "conversation.status_changed",
        "conversation.tagged",
        "conversation.updated",
    ];
    assert_eq!(kinds, expected);
    // The activity is the same story, whole.
    let activity = desk.http.get(&format!("{path}/activity?limit=100&count=true")).await.expect(200).json();
    assert_eq!(activity["page"]["total"], rows(&activity).len());
    assert_eq!(rows(&activity)[0]["type"], "conversation.created");
    desk.stop().await;
}

#[tokio::test]
async fn the_feed_is_read_in_order_page_by_page_and_by_type() {
    let desk = TestDesk::start().await;
    for n in 0..30 {
        desk.http.post("/api/v1/tags", &json!({"name": format!("tag {n}")})).await.expect(201);
    }
    let path = conversation(&desk).await;
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let feed = desk.http.get(&format!("/api/v1/events?after={after}&limit=7")).await.expect(200).json();
        let page: Vec<i64> = rows(&feed).iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert!(page.len() <= 7);
        seen.extend(page);
        after = feed["page"]["next_after"].as_i64().unwrap();
        if feed["page"]["has_more"] == false {
            break;
        }
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    let one = desk.http.get("/api/v1/events?limit=100").await.expect(200).json();
    assert_eq!(seen, rows(&one).iter().map(|event| event["seq"].as_i64().unwrap()).collect::<Vec<_>>());
    let kinds = |feed: &Value| -> Vec<String> {
        rows(feed).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let only = desk.http.get("/api/v1/events?types=tag.created&limit=100").await.expect(200).json();
    assert_eq!(kinds(&only), vec!["tag.created"; 30]);
    let several =
        desk.http.get("/api/v1/events?types=conversation.*,message.received").await.expect(200).json();
    assert_eq!(kinds(&several), ["conversation.created", "message.received"]);
    // Behind the last there is nothing, and the place stays.
    let end = desk.http.get(&format!("/api/v1/events?after={after}")).await.expect(200).json();
    assert_eq!((rows(&end), &end["page"]["next_after"]), (vec![], &json!(after)));
    for wrong in
        ["types=nothing", "types=*", "after=-1", "limit=0", "limit=101", "wait=31", "wait=x", "cursor=x"]
    {
        problem(&desk.http.get(&format!("/api/v1/events?{wrong}")).await, 400, "bad_parameter");
    }
    // No message text stands in the log.
    assert!(!one.to_string().contains("Where is it?"));
    desk.http.get(&path).await.expect(200);
    desk.stop().await;
}

#[tokio::test]
async fn a_long_poll_ends_when_something_happens() {
    let desk = TestDesk::start().await;
    let after = last_seq(&desk).await;
    let empty = desk.http.get(&format!("/api/v1/events?after={after}&wait=0")).await.expect(200).json();
    assert_eq!(rows(&empty), Vec::<Value>::new());
    for name in ["one", "two", "three"] {
        let after = last_seq(&desk).await;
        let (http, poll) =
            (desk.http.clone(), format!("/api/v1/events?after={after}&wait=30&types=tag.created"));
        let polling = tokio::spawn(async move { http.get(&poll).await.expect(200).json() });
        // Something else happens first: it is not what was asked for, and the poll goes on.
        desk.http.post("/api/v1/categories", &json!({ "name": name })).await.expect(201);
        desk.http.post("/api/v1/tags", &json!({ "name": name })).await.expect(201);
        let told = rows(&polling.await.unwrap());
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["type"], "tag.created");
    }
    desk.stop().await;
}

const WRITERS: usize = 6;
const WRITES: usize = 40;

/// Makes a tag, which tells one event. Retries where the database was too busy.
fn write_tag(desk: &Desk, name: &str) {
    loop {
        match desk.write_here(&Actor::system(), |cx| tags::create(cx, name, None, None)) {
            Ok(_) => return,
            Err(Error::Busy) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Follows the feed until `count` events have been seen.
fn follow(desk: &Desk, count: usize) -> Vec<Event> {
    let (mut seen, mut after) = (Vec::new(), 0);
    while seen.len() < count {
        match desk.read_here(&Actor::system(), |cx| events::feed(cx, after, &[], 7)) {
            Ok(feed) => {
                after = feed.next_after;
                seen.extend(feed.events);
            }
            Err(Error::Busy) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    seen
}

#[tokio::test]
async fn whoever_follows_misses_nothing_while_many_write() {
    let desk = TestDesk::start().await;
    let before = follow(desk.desk(), 0).len() + last_count(&desk).await;
    let (writing, reading) = (desk.desk().clone(), desk.desk().clone());
    let reader = tokio::task::spawn_blocking(move || follow(&reading, before + WRITERS * WRITES));
    let writers = tokio::task::spawn_blocking(move || {
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let desk = &writing;
                scope.spawn(move || {
                    for n in 0..WRITES {
                        write_tag(desk, &format!("{writer}/{n}"));
                    }
                });
            }
        });
    });
    writers.await.unwrap();
    let seen: Vec<i64> = reader.await.unwrap().iter().map(|event| event.seq).collect();
    assert!(seen.is_sorted_by(|a, b| a < b), "an event came twice, or late");
    let all = follow(desk.desk(), before + WRITERS * WRITES);
    assert_eq!(seen, all.iter().map(|event| event.seq).collect::<Vec<_>>());
    let tags = all.iter().filter(|event| event.kind == "tag.created").count();
    assert_eq!(tags, WRITERS * WRITES);
    desk.stop().await;
}

async fn last_count(desk: &TestDesk) -> usize {
    rows(&desk.http.get("/api/v1/events?limit=100").await.expect(200).json()).len()
}

/// A slow transaction must not hand in its events with numbers that readers have passed. SQLite
/// has one writer at a time, so that there it can't even begin.
#[tokio::test]
async fn a_write_that_commits_late_is_numbered_late() {
    if database::kind() == database::Kind::Sqlite {
        return;
    }
    let desk = TestDesk::start().await;
    let after = last_seq(&desk).await;
    let (told, is_open) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (told, may_go) = (std::sync::Mutex::new(told), std::sync::Mutex::new(may_go));
    let slow = desk.desk().clone();
    let slow = tokio::task::spawn_blocking(move || {
        slow.write_here(&Actor::system(), |cx| {
            let made = tags::create(cx, "slow", None, None)?;
            told.lock().expect("one thread").send(()).expect("the test waits");
            may_go.lock().expect("one thread").recv().expect("the test says so");
            Ok(made)
        })
        .expect("the tag is made")
    });
    let is_open = tokio::task::spawn_blocking(move || is_open.recv()).await.unwrap();
    is_open.expect("the slow write has begun");
    for name in ["fast", "faster"] {
        desk.http.post("/api/v1/tags", &json!({ "name": name })).await.expect(201);
    }
    let feed = desk.http.get(&format!("/api/v1/events?after={after}")).await.expect(200).json();
    assert_eq!(rows(&feed).len(), 2, "{feed}");
    let passed = feed["page"]["next_after"].as_i64().unwrap();
    go.send(()).unwrap();
    let made = slow.await.unwrap();
    assert_eq!(made.name, "slow");
    let feed = desk.http.get(&format!("/api/v1/events?after={passed}")).await.expect(200).json();
    assert_eq!(rows(&feed).len(), 1, "{feed}");
    assert!(rows(&feed)[0]["seq"].as_i64().unwrap() > passed);
    desk.stop().await;
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

/// While one transaction holds numbers that nobody can see yet, no other takes any.
#[tokio::test]
async fn nobody_takes_a_number_while_another_is_uncommitted() {
    if database::kind() == database::Kind::Sqlite {
        return;
    }
    let desk = TestDesk::start().await;
    let after = last_seq(&desk).await;
    let url = desk.config().database.url.clone().expect("this run is on PostgreSQL");
    let mut first = PgConnection::establish(&url).unwrap();
    first
        .batch_execute(
            "BEGIN; SELECT pg_advisory_xact_lock(7061797374); \
             INSERT INTO events (type, actor_type, data, created_at) VALUES ('tag.created', 'system', '{}', 1)",
        )
        .unwrap();
    let writing = desk.desk().clone();
    let second = tokio::task::spawn_blocking(move || write_tag(&writing, "second"));
    let mut looking = PgConnection::establish(&url).unwrap();
    // Until the second one stands at the door.
    loop {
        let waiting: Waiting = sql_query(
            "SELECT count(*) AS count FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
             WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()",
        )
        .get_result(&mut looking)
        .unwrap();
        if waiting.count > 0 {
            break;
        }
        assert!(!second.is_finished(), "the second took a number before the first was committed");
        tokio::task::yield_now().await;
    }
    let feed = desk.http.get(&format!("/api/v1/events?after={after}")).await.expect(200).json();
    assert_eq!((rows(&feed).len(), &feed["page"]["next_after"]), (0, &json!(after)));
    first.batch_execute("COMMIT").unwrap();
    second.await.unwrap();
    let feed = desk.http.get(&format!("/api/v1/events?after={after}")).await.expect(200).json();
    let told = rows(&feed);
    assert_eq!(told.len(), 2, "{feed}");
    assert_eq!(told[0]["data"], json!({}), "the first one first");
    desk.stop().await;
}

#[tokio::test]
async fn the_feed_ends_at_its_age_and_the_activity_does_not() {
    const DAY: u64 = 24 * 60 * 60;
    let desk = TestDesk::start_fixed().await;
    let path = conversation(&desk).await;
    let old = last_seq(&desk).await;
    let told = rows(&desk.http.get(&format!("{path}/activity")).await.expect(200).json());
    // On the last day everything is still there.
    desk.desk().advance_clock(Duration::from_secs(90 * DAY));
    assert_eq!(desk.write(events::expire).await, 0);
    desk.http.get("/api/v1/events?after=0").await.expect(200);
    desk.http.patch(&path, &json!({"status": "closed"})).await.expect(200);
    desk.desk().advance_clock(Duration::from_secs(1));
    assert_eq!(desk.write(events::expire).await, old);
    let gone = desk.http.get("/api/v1/events?after=0").await;
    let document = problem(&gone, 410, "cursor_expired");
    assert_eq!(document["oldest_after"], old);
    problem(&desk.http.get(&format!("/api/v1/events?after={}", old - 1)).await, 410, "cursor_expired");
    // From there it goes on; without a place it begins with the oldest there is.
    for query in [format!("after={old}"), String::new()] {
        let feed = desk.http.get(&format!("/api/v1/events?{query}")).await.expect(200).json();
        assert_eq!(rows(&feed)[0]["type"], "conversation.status_changed", "{feed}");
        assert!(rows(&feed).iter().all(|event| event["seq"].as_i64().unwrap() > old));
    }
    // What happened in the conversation can be looked up as long as there is one.
    let activity = rows(&desk.http.get(&format!("{path}/activity")).await.expect(200).json());
    assert_eq!(activity[..told.len()], told[..]);
    assert_eq!(activity.len(), told.len() + 1);
    // Twice is once.
    assert_eq!(desk.write(events::expire).await, old);
    desk.stop().await;
}
