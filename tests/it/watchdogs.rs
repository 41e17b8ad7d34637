//! Watchdogs: what waits for too long, who is told, and when it is over.

use crate::mailing::*;
use crate::problems::{faults, problem};
use crate::program::Shell;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

const PATH: &str = "/api/v1/watchdogs";
const MINUTE: Duration = Duration::from_secs(60);

async fn made(desk: &TestDesk, changes: Value) -> Value {
    let body = with(json!({"name": "A quarter of an hour", "wait_seconds": 900}), changes);
    desk.http.post(PATH, &body).await.expect(201).json()
}

async fn shown(desk: &TestDesk, watchdog: &Value) -> Value {
    desk.http.get(&format!("{PATH}/{}", watchdog["id"])).await.expect(200).json()
}

/// As soon as it is so. The worker looks every ten seconds, and after each change.
async fn until_is(desk: &TestDesk, watchdog: &Value, state: &str) -> Value {
    desk.until(async || Some(shown(desk, watchdog).await).filter(|now| now["state"] == state)).await
}

/// Something changes at the desk, so that whoever waits for changes looks.
async fn nudge(desk: &TestDesk) {
    desk.http
        .post("/api/v1/conversations/1/messages", &json!({"kind": "note", "text": "Well?"}))
        .await
        .expect(201);
}

/// What the log tells of watchdogs, without how they are set up.
async fn told(desk: &TestDesk) -> Vec<(String, Value)> {
    let all = list(desk, "/api/v1/events?types=watchdog.*&limit=100").await;
    let of =
        |event: &Value| (event["type"].as_str().expect("a type").to_owned(), event["data"]["count"].clone());
    all.iter().map(of).filter(|(kind, _)| kind != "watchdog.created" && kind != "watchdog.updated").collect()
}

#[tokio::test]
async fn it_is_alarmed_in_time_and_quiet_once_all_is_answered() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = arrive(&desk, mailbox, &mail().from("ada@example.net")).await.conversation;
    let watchdog = made(&desk, json!({"q": "-tag:later"})).await;
    assert_eq!((&watchdog["state"], &watchdog["overdue"]["count"]), (&json!("quiet"), &json!(0)));
    desk.desk().advance_clock(Duration::from_micros(15 * 60_000_000 - 1));
    assert_eq!(shown(&desk, &watchdog).await["overdue"]["count"], 0, "a moment is left");
    desk.desk().advance_clock(Duration::from_micros(1));
    let overdue = &shown(&desk, &watchdog).await["overdue"];
    assert_eq!(overdue["oldest_conversation_id"], first);
    nudge(&desk).await;
    let alarmed = until_is(&desk, &watchdog, "alarmed").await;
    assert_eq!(alarmed["alarmed_at"], "2026-11-22T08:15:00.000000Z");
    assert_eq!(alarmed["version"], watchdog["version"], "it is set up as before");
    let known =
        desk.http.post(&format!("{PATH}/{}/acknowledge", watchdog["id"]), &Value::Null).await.expect(200);
    assert_eq!(known.json()["state"], "acknowledged");
    // What is tagged so may wait.
    desk.http.patch(&format!("/api/v1/conversations/{first}"), &json!({"tags": ["later"]})).await.expect(200);
    let quiet = until_is(&desk, &watchdog, "quiet").await;
    assert_eq!((&quiet["alarmed_at"], &quiet["acknowledged_by"]), (&Value::Null, &Value::Null));
    let acknowledge = desk.http.post(&format!("{PATH}/{}/acknowledge", watchdog["id"]), &Value::Null).await;
    problem(&acknowledge, 409, "state_conflict");
    desk.http.patch(&format!("/api/v1/conversations/{first}"), &json!({"tags": []})).await.expect(200);
    until_is(&desk, &watchdog, "alarmed").await;
    reply(&desk, first, "It left today.").await;
    until_is(&desk, &watchdog, "quiet").await;
    let expected = [
        ("watchdog.alarmed", json!(1)),
        ("watchdog.acknowledged", Value::Null),
        ("watchdog.cleared", json!(0)),
        ("watchdog.alarmed", json!(1)),
        ("watchdog.cleared", json!(0)),
    ];
    assert_eq!(told(&desk).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
}

#[tokio::test]
async fn only_open_hours_count() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    arrive(&desk, mailbox, &mail().from("ada@example.net")).await;
    // It is Sunday, 8:00.
    let office = json!({"name": "Office", "time_zone": "UTC",
        "hours": [{"weekday": "monday", "from": "09:00", "to": "17:00"}]});
    let office = desk.http.post("/api/v1/schedules", &office).await.expect(201).json();
    let watchdog = made(&desk, json!({"schedule_id": office["id"]})).await;
    desk.desk().advance_clock(MINUTE * (25 * 60 + 14));
    assert_eq!(shown(&desk, &watchdog).await["overdue"]["count"], 0, "open for 14 minutes");
    desk.desk().advance_clock(MINUTE);
    assert_eq!(shown(&desk, &watchdog).await["overdue"]["count"], 1);
    problem(&desk.http.delete(&format!("/api/v1/schedules/{}", office["id"])).await, 409, "state_conflict");
}

#[tokio::test]
async fn one_step_after_the_other_is_told_until_somebody_knows() {
    let desk = TestDesk::start_fixed().await;
    let sink = SmtpSink::start();
    let mailbox = add(&desk, json!({"type": "push"}), smtp(&sink)).await;
    arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Secret of hers")).await;
    let mut agents = Vec::new();
    for name in ["amy", "bob", "eve"] {
        let body = json!({"name": name, "email": format!("{name}@example.org")});
        agents.push(number(&desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"]));
    }
    desk.http.patch(&format!("/api/v1/agents/{}", agents[2]), &json!({"disabled": true})).await.expect(200);
    let steps = json!([
        {"after_seconds": 0, "agent_ids": [agents[0], agents[2]]},
        {"after_seconds": 600, "agent_ids": [agents[1]]},
        {"after_seconds": 1200, "agent_ids": [agents[0]]},
    ]);
    let watchdog = made(&desk, json!({"steps": steps})).await;
    desk.desk().advance_clock(MINUTE * 15);
    nudge(&desk).await;
    let first = sink.next().await;
    assert_eq!(first.to, ["amy@example.org"], "who is disabled is left out");
    let text = first.text();
    assert!(text.contains("15 minutes") && !text.contains("Secret"), "{text}");
    desk.desk().advance_clock(MINUTE * 10);
    nudge(&desk).await;
    assert_eq!(sink.next().await.to, ["bob@example.org"]);
    assert_eq!(shown(&desk, &watchdog).await["steps_told"], 2);
    desk.http.post(&format!("{PATH}/{}/acknowledge", watchdog["id"]), &Value::Null).await.expect(200);
    desk.desk().advance_clock(MINUTE * 60);
    let turns = desk.write(postroom_core::operations::watchdogs::look).await;
    assert!(turns.is_empty(), "somebody knows: {turns:?}");
    assert_eq!(sink.mails().len(), 2);
    let escalated = told(&desk).await.into_iter().filter(|(kind, _)| kind == "watchdog.escalated").count();
    assert_eq!(escalated, 2);
}

#[tokio::test]
async fn bad_ones_are_refused_and_limits_hold() {
    let desk = TestDesk::start_fixed().await;
    let refused = async |changes: Value| {
        let body = with(json!({"name": "Hour", "wait_seconds": 3_600}), changes);
        faults(&desk.http.post(PATH, &body).await)
    };
    let admins = |after: i64| json!({"after_seconds": after, "administrators": true});
    let one = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
    for (changes, pointer, code) in [
        (json!({"name": ""}), "/name", "required"),
        (json!({"name": "n".repeat(101)}), "/name", "too_long"),
        (json!({"q": "is:"}), "/q", "bad_query"),
        (json!({"q": "field.none:1"}), "/q", "bad_query"),
        (json!({"q": "assignee:me"}), "/q", "not_allowed"),
        (json!({"q": "is:unread"}), "/q", "not_allowed"),
        (json!({"wait_seconds": 59}), "/wait_seconds", "out_of_range"),
        (json!({"wait_seconds": 2_592_001}), "/wait_seconds", "out_of_range"),
        (json!({"schedule_id": 77}), "/schedule_id", "not_found"),
        (json!({"steps": [{"after_seconds": 0}]}), "/steps/0", "required"),
        (json!({"steps": [{"after_seconds": 0, "agent_ids": [77]}]}), "/steps/0/agent_ids/0", "not_found"),
        (json!({"steps": [admins(-1)]}), "/steps/0/after_seconds", "out_of_range"),
        (json!({"steps": [admins(2_592_001)]}), "/steps/0/after_seconds", "out_of_range"),
        (json!({"steps": [admins(5), admins(5)]}), "/steps/1/after_seconds", "too_early"),
        (json!({"steps": (0..11).map(admins).collect::<Vec<_>>()}), "/steps", "too_many"),
        (
            json!({"steps": [{"after_seconds": 0, "agent_ids": vec![1; 51]}]}),
            "/steps/0/agent_ids",
            "too_many",
        ),
    ] {
        assert_eq!(refused(changes).await, one(pointer, code));
    }
    let most = json!({"name": "n".repeat(100), "wait_seconds": 2_592_000,
        "steps": (0..10).map(|step| admins(step * 288_000)).collect::<Vec<_>>()});
    let whole = made(&desk, most).await;
    problem(
        &desk.http.post(PATH, &json!({"name": "n".repeat(100), "wait_seconds": 60})).await,
        409,
        "already_exists",
    );
    let path = format!("{PATH}/{}", whole["id"]);
    let stale = [("Content-Type", "application/json"), ("If-Match", "\"wd1-9\"")];
    problem(&desk.http.send("PATCH", &path, &stale, b"{\"enabled\":false}").await, 412, "version_conflict");
    assert_eq!(
        desk.http.patch(&path, &json!({"enabled": false})).await.expect(200).json()["overdue"],
        Value::Null
    );
    for number in 1..100 {
        made(&desk, json!({"name": format!("Dog {number}")})).await;
    }
    problem(
        &desk.http.post(PATH, &json!({"name": "One more", "wait_seconds": 60})).await,
        409,
        "state_conflict",
    );
    desk.http.delete(&path).await.expect(204);
    problem(&desk.http.get(&path).await, 404, "not_found");
    let elsewhere = desk.mailbox("Other", "other@example.org").await;
    let narrow = desk.client(&[Scope::AdminRead, Scope::ConversationsWrite], &[elsewhere]).await;
    problem(&narrow.get(PATH).await, 403, "forbidden");
}

#[tokio::test]
async fn one_that_cant_look_says_so() {
    let desk = TestDesk::start_fixed().await;
    let field = json!({"object": "conversation", "key": "order_no", "type": "text", "title": "Order"});
    let field = desk.http.post("/api/v1/custom-fields", &field).await.expect(201).json();
    let watchdog = made(&desk, json!({"q": "field.order_no:881"})).await;
    assert_eq!(watchdog["broken"], Value::Null);
    desk.http.delete(&format!("/api/v1/custom-fields/{}", field["id"])).await.expect(204);
    let broken = shown(&desk, &watchdog).await;
    assert!(broken["broken"].as_str().expect("a sentence").contains("order_no"), "{broken}");
    assert_eq!(broken["overdue"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_is_told_by_the_exit_code() {
    let desk = TestDesk::start().await;
    let shell = Shell::of(desk.config());
    let mailbox = pushed(&desk, json!({})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net")).await.conversation;
    let watchdog = made(&desk, json!({"name": "Quarter"})).await;
    shell.run(&["watch"]).well();
    sql(desk.config(), &format!("UPDATE conversations SET waiting_since = 1 WHERE id = {id}"));
    let seen = shell.run(&["watch", "Quarter", "-o", "json"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    let seen: Value = serde_json::from_str(&seen.out).expect("JSON");
    assert_eq!((&seen[0]["count"], &seen[0]["oldest_conversation_id"]), (&json!(1), &json!(id)));
    nudge(&desk).await;
    until_is(&desk, &watchdog, "alarmed").await;
    desk.http.post(&format!("{PATH}/{}/acknowledge", watchdog["id"]), &Value::Null).await.expect(200);
    shell.run(&["watch", "--unacknowledged"]).well();
    assert_eq!(shell.run(&["watch"]).code, Some(1));
    let none = shell.run(&["watch", "Nobody"]);
    assert!(none.refusal().contains("no watchdog"), "{none:?}");
    desk.stop().await;
}
