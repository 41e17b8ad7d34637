//! What agents are notified of: who, why, once, how they read it, and by mail.

use crate::bounces::bounce;
use crate::concurrency::{self, two_desks};
use crate::followers::{agent, begun, first_id};
use crate::mailing::*;
use crate::problems::{faults, problem};
use postroom_core::Error;
use postroom_core::access::{Grant, Level, Role, Scope};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::{AgentId, MailboxId};
use postroom_core::message::MessageKind;
use postroom_core::operations::agents::{self, NewAgent};
use postroom_core::operations::conversations::{self, ConversationChange};
use postroom_core::operations::notifications::hand_on;
use postroom_core::operations::{events, followers, messages};
use postroom_core::role::RoleChoice;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;
use support::smtp::SmtpSink;

const PATH: &str = "/api/v1/notifications";

/// Until everything that happened so far was looked at.
async fn settled(desk: &TestDesk) {
    desk.until(async || {
        let is_behind = desk.desk().read(&Actor::system(), hand_on::is_behind).await.expect("it is read");
        (!is_behind).then_some(())
    })
    .await;
}

async fn feed(desk: &TestDesk, http: &Http, query: &str) -> Vec<Value> {
    settled(desk).await;
    let found = http.get(&format!("{PATH}?limit=100{query}")).await.expect(200).json();
    found["data"].as_array().expect("a list").clone()
}

/// Why an agent was notified, the newest first.
async fn reasons(desk: &TestDesk, http: &Http) -> Vec<String> {
    let all = feed(desk, http, "").await;
    all.iter().map(|one| one["reason"].as_str().expect("a reason").to_owned()).collect()
}

async fn assign(http: &Http, conversation: i64, agent: i64) {
    let path = format!("/api/v1/conversations/{conversation}");
    http.patch(&path, &json!({"assignee_id": agent})).await.expect(200);
}

async fn follow(http: &Http, conversation: i64, agent: i64) {
    let path = format!("/api/v1/conversations/{conversation}/followers/{agent}");
    http.send("PUT", &path, &[], b"").await.expect(200);
}

async fn write(http: &Http, conversation: i64, body: Value) -> Value {
    let path = format!("/api/v1/conversations/{conversation}/messages");
    http.post(&path, &body).await.expect(201).json()
}

/// The customer writes once more.
async fn writes(desk: &TestDesk, mailbox: i64, name: &str, number: usize) -> Landed {
    let mail = mail()
        .from(&format!("{name}@example.net"))
        .message_id(&format!("<{name}-{number}@example.net>"))
        .in_reply_to(&first_id(name));
    arrive(desk, mailbox, &mail).await
}

struct Work {
    desk: TestDesk,
    mailbox: i64,
    bea: i64,
    carl: i64,
    beas: Http,
    carls: Http,
}

/// Two agents of one mailbox.
async fn work() -> Work {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let bea = agent(&desk, "Bea", "bea@example.org", &[mailbox]).await;
    let carl = agent(&desk, "Carl", "carl@example.org", &[mailbox]).await;
    let (beas, carls) = (desk.client_of_agent(bea).await, desk.client_of_agent(carl).await);
    Work { desk, mailbox, bea, carl, beas, carls }
}

#[tokio::test]
async fn each_hears_of_what_is_theirs_and_of_what_they_follow_but_not_of_what_they_did() {
    let Work { desk, mailbox, bea, carl, beas, carls } = work().await;
    let at = begun(&desk, mailbox, "ada").await;
    assert_eq!(reasons(&desk, &beas).await, [""; 0], "it is nobody's");
    assign(&carls, at, bea).await;
    follow(&carls, at, carl).await;
    writes(&desk, mailbox, "ada", 1).await;
    write(&beas, at, json!({"kind": "note", "text": "@carl, do you know?"})).await;
    write(&carls, at, json!({"kind": "note", "text": "No."})).await;
    write(&beas, at, json!({"kind": "reply", "text": "We do not know."})).await;
    let path = format!("/api/v1/conversations/{at}");
    carls.patch(&path, &json!({"status": "closed"})).await.expect(200);
    assert_eq!(reasons(&desk, &beas).await, ["status_changed", "noted", "received", "assigned"]);
    assert_eq!(reasons(&desk, &carls).await, ["answered", "mentioned", "received"]);
    let first = feed(&desk, &beas, "").await.pop().expect("the first");
    let shown = json!({
        "agent_id": bea, "conversation_id": at, "message_id": null, "subject": "Hello", "read_at": null,
        "mailed_at": null, "created_at": "2026-11-22T08:00:00.000000Z",
        "actor": {"type": "agent", "id": carl.to_string(), "name": "Carl"},
    });
    for (member, value) in shown.as_object().expect("members") {
        assert_eq!(&first[member], value, "{member}");
    }
    // Each has their own.
    problem(&carls.get(&format!("{PATH}/{}", first["id"])).await, 404, "not_found");
    assert_eq!(beas.get(&format!("{PATH}/{}", first["id"])).await.expect(200).json(), first);
    let told = list(&desk, "/api/v1/events?types=agent.notified&limit=100").await;
    assert_eq!(told.len(), 7);
    let of_first =
        told.iter().find(|event| event["data"]["notification_id"] == first["id"]).expect("it is told");
    assert_eq!(of_first["data"]["reason"], "assigned");
    assert_eq!(of_first["data"]["seq"], first["seq"]);
    let activity = list(&desk, &format!("/api/v1/conversations/{at}/activity?limit=100")).await;
    assert!(activity.iter().all(|event| event["type"] != "agent.notified"), "{activity:?}");
    // Who is no agent has none.
    problem(&desk.client(&[Scope::ConversationsRead], &[]).await.get(PATH).await, 403, "forbidden");
}

#[tokio::test]
async fn snoozes_failures_and_what_comes_for_a_team_are_told() {
    let Work { desk, mailbox, bea, carl, beas, carls } = work().await;
    let team = json!({"name": "First", "member_ids": [bea, carl]});
    let team = number(&desk.http.post("/api/v1/teams", &team).await.expect(201).json()["id"]);
    desk.http
        .patch(&format!("/api/v1/mailboxes/{mailbox}/routing"), &json!({"team_id": team}))
        .await
        .expect(200);
    let settings = format!("/api/v1/agents/{carl}/notification-settings");
    assert_eq!(carls.get(&settings).await.expect(200).json()["muted"], json!(["team_received"]));
    carls.patch(&settings, &json!({"muted": ["noted"]})).await.expect(200);
    let at = begun(&desk, mailbox, "ada").await;
    assert_eq!(reasons(&desk, &carls).await, ["team_received"]);
    assert_eq!(reasons(&desk, &beas).await, [""; 0], "that is muted until they say otherwise");
    assign(&carls, at, bea).await;
    follow(&desk.http, at, carl).await;
    write(&beas, at, json!({"kind": "note", "text": "Later."})).await;
    let snooze = format!("/api/v1/conversations/{at}/snooze");
    beas.post(&snooze, &json!({"until": "2026-11-22T09:00:00Z"})).await.expect(200);
    desk.desk().advance_clock(Duration::from_secs(3_600));
    // Somebody changes something, so that whoever waits for changes looks.
    desk.http.post("/api/v1/tags", &json!({"name": "nudge"})).await.expect(201);
    desk.until(async || (conversation(&desk, at).await["status"] == "open").then_some(())).await;
    assert_eq!(reasons(&desk, &beas).await, ["snooze_over", "assigned"]);
    // Of the note he hears nothing, of the rest he does.
    assert_eq!(reasons(&desk, &carls).await, ["snooze_over", "status_changed", "team_received"]);
    // It comes back, and hers is another conversation by now.
    let sent = write(&beas, at, json!({"kind": "reply", "text": "Here it is."})).await;
    delivered(&desk, &sent, "sent").await;
    let sent = message(&desk, number(&sent["id"])).await;
    assign(&carls, at, carl).await;
    let report = bounce("report", "ada@example.net", "5.1.1", &id_of(&sent));
    push(&desk, mailbox, &report).await;
    assert_eq!(reasons(&desk, &beas).await[0], "send_failed", "she wrote it");
    assert_eq!(reasons(&desk, &carls).await[0], "send_failed", "it is his");
}

/// The worker may come late: what counts is how it was when something happened.
#[test]
fn who_came_later_hears_only_of_what_came_later() {
    let desks = two_desks();
    let _entered = desks.runtime.enter();
    let desk = &desks.both[0];
    let system = Actor::system();
    let mailbox = concurrency::mailbox(desk);
    let [bea, carl] = ["bea", "carl"].map(|name| one_agent(desk, mailbox, name));
    let at = concurrency::conversation(desk, mailbox, "ada@example.net");
    let note = |text: &str| {
        let new = concurrency::message(MessageKind::Note, text);
        desk.write_here(&system, |cx| messages::add(cx, at, None, &new)).expect("a note");
    };
    note("@bea, look");
    let owner = |assignee_id| {
        let change = ConversationChange { assignee_id: Some(assignee_id), ..ConversationChange::default() };
        desk.write_here(&system, |cx| conversations::update(cx, at, None, &change)).expect("it is theirs");
    };
    owner(Some(carl));
    note("For both");
    owner(None);
    desk.write_here(&system, |cx| followers::unfollow(cx, at, bea)).expect("she goes");
    note("For nobody");
    desk.write_here(&system, |cx| followers::follow(cx, at, bea)).expect("she comes back");
    while desk.write_here(&system, hand_on::hand_on).expect("it is handed on") {}
    let kinds = ["agent.notified".to_owned()];
    let told =
        desk.read_here(&system, |cx| Ok(events::feed(cx, 0, &kinds, 100)?.events)).expect("it is read");
    let told: Vec<(Option<i64>, &str)> = told
        .iter()
        .map(|event| (event.number("agent_id"), event.data["reason"].as_str().expect("a reason")))
        .collect();
    let (bea, carl) = (Some(bea.0), Some(carl.0));
    let expected = [(bea, "mentioned"), (carl, "assigned"), (bea, "noted"), (carl, "noted")];
    assert_eq!(told, expected, "the customer's first words were before all of them");
}

fn one_agent(desk: &Desk, mailbox_id: MailboxId, name: &str) -> AgentId {
    let grant = Grant { mailbox_id, category_id: None, assigned_only: false, level: Level::Reply };
    let new = NewAgent {
        name: name.to_owned(),
        email: format!("{name}@example.org"),
        role: RoleChoice::BuiltIn(Role::Agent),
        grants: vec![grant],
    };
    desk.write_here(&Actor::system(), |cx| agents::create(cx, &new)).expect("an agent").agent.id
}

#[tokio::test]
async fn machines_history_spam_and_the_trash_notify_nobody() {
    let Work { desk, mailbox, bea, beas, .. } = work().await;
    let at = begun(&desk, mailbox, "ada").await;
    assign(&desk.http, at, bea).await;
    let away = mail()
        .from("ada@example.net")
        .message_id("<away@example.net>")
        .in_reply_to(&first_id("ada"))
        .header("Auto-Submitted", "auto-replied");
    assert_eq!(arrive(&desk, mailbox, &away).await.conversation, at);
    let old = json!({"imported": true, "kind": "inbound", "text": "Long ago", "created_at": "2020-01-01T00:00:00Z"});
    write(&desk.http, at, old).await;
    assert_eq!(reasons(&desk, &beas).await, ["assigned"]);
    for (name, thrown) in [("spammer", "POST"), ("eve", "DELETE")] {
        let other = begun(&desk, mailbox, name).await;
        assign(&desk.http, other, bea).await;
        assert_eq!(feed(&desk, &beas, &format!("&conversation_id={other}")).await.len(), 1);
        let path = format!("/api/v1/conversations/{other}");
        match thrown {
            "POST" => desk.http.post(&format!("{path}/spam"), &Value::Null).await.expect(200),
            _ => desk.http.delete(&path).await.expect(204),
        };
        writes(&desk, mailbox, name, 1).await;
        assert_eq!(feed(&desk, &beas, &format!("&conversation_id={other}")).await.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_is_read_is_read_once_and_counts_no_more() {
    let Work { desk, mailbox, bea, beas, .. } = work().await;
    let (at, other) = (begun(&desk, mailbox, "ada").await, begun(&desk, mailbox, "eve").await);
    assign(&desk.http, at, bea).await;
    assign(&desk.http, other, bea).await;
    let landed = writes(&desk, mailbox, "ada", 1).await;
    writes(&desk, mailbox, "eve", 1).await;
    begun(&desk, mailbox, "hal").await;
    let count = async || {
        settled(&desk).await;
        beas.get(&format!("{PATH}/count")).await.expect(200).json()
    };
    assert_eq!(
        count().await,
        json!({"unread": 4, "waiting_mine": {"count": 2, "exact": true},
            "waiting_unassigned": {"count": 1, "exact": true}})
    );
    // Who reads the conversation has read that.
    let mark = format!("/api/v1/conversations/{at}/read-mark");
    beas.put(&mark, &json!({"message_id": landed.message})).await.expect(200);
    assert_eq!(count().await["unread"], 2);
    let unread = feed(&desk, &beas, "&unread=true").await;
    assert!(unread.iter().all(|one| one["conversation_id"] == other), "{unread:?}");
    assert_eq!(feed(&desk, &beas, "&unread=false").await.len(), 2);
    assert_eq!(feed(&desk, &beas, &format!("&conversation_id={at}")).await.len(), 2);
    // One alone, and back again.
    let path = format!("{PATH}/{}", unread[0]["id"]);
    let seen = beas.get(&path).await.expect(200).header("etag").expect("a version").to_owned();
    let read = beas.patch(&path, &json!({"read": true})).await.expect(200).json();
    assert_eq!(read["read_at"], "2026-11-22T08:00:00.000000Z");
    let stale = [("Content-Type", "application/json"), ("If-Match", seen.as_str())];
    problem(&beas.send("PATCH", &path, &stale, b"{\"read\":false}").await, 412, "version_conflict");
    beas.patch(&path, &json!({"read": false})).await.expect(200);
    assert_eq!(count().await["unread"], 2);
    // All up to one; what comes meanwhile stays.
    writes(&desk, mailbox, "ada", 2).await;
    assert_eq!(count().await["unread"], 3);
    let up_to = json!({"up_to": unread[0]["id"]});
    assert_eq!(beas.put(&format!("{PATH}/read-mark"), &up_to).await.expect(200).json(), json!({"read": 2}));
    assert_eq!(count().await["unread"], 1);
    let newest = feed(&desk, &beas, "&unread=true").await[0]["id"].clone();
    let elsewhere = json!({"up_to": newest, "conversation_id": other});
    assert_eq!(
        beas.put(&format!("{PATH}/read-mark"), &elsewhere).await.expect(200).json(),
        json!({"read": 0})
    );
    // What was read before it could be notified of is no news.
    let third = writes(&desk, mailbox, "ada", 3).await;
    beas.put(&mark, &json!({"message_id": third.message})).await.expect(200);
    assert_eq!(count().await["unread"], 0);
}

#[tokio::test]
async fn pages_go_on_where_they_ended_and_hide_what_was_taken_away() {
    let Work { desk, mailbox, bea, beas, .. } = work().await;
    let elsewhere = pushed(&desk, json!({"name": "Sales", "address": "sales@example.org"})).await;
    let grants = |of: &[i64]| {
        let all: Vec<Value> = of.iter().map(|id| json!({"mailbox_id": id, "level": "reply"})).collect();
        json!({"grants": all})
    };
    let path = format!("/api/v1/agents/{bea}");
    desk.http.patch(&path, &grants(&[mailbox, elsewhere])).await.expect(200);
    let mut all = Vec::new();
    for number in 0..6 {
        let of = if number % 2 == 0 { mailbox } else { elsewhere };
        let at = begun(&desk, of, &format!("c{number}")).await;
        assign(&desk.http, at, bea).await;
        all.insert(0, at);
    }
    settled(&desk).await;
    let pages = async || {
        let (mut found, mut next) = (Vec::new(), format!("{PATH}?limit=2&count=true"));
        loop {
            let page = beas.get(&next).await.expect(200).json();
            found.extend(
                page["data"].as_array().expect("a list").iter().map(|one| number(&one["conversation_id"])),
            );
            let Some(cursor) = page["page"]["next_cursor"].as_str() else {
                return (found, page["page"]["total"].clone());
            };
            next = format!("{PATH}?limit=2&count=true&cursor={cursor}");
        }
    };
    assert_eq!(pages().await, (all.clone(), json!(6)));
    desk.http.patch(&path, &grants(&[elsewhere])).await.expect(200);
    let left: Vec<i64> = all.iter().copied().step_by(2).collect();
    assert_eq!(pages().await, (left, json!(3)));
    assert_eq!(beas.get(&format!("{PATH}/count")).await.expect(200).json()["unread"], 3);
    // And nothing new comes of it.
    writes(&desk, mailbox, "c0", 1).await;
    settled(&desk).await;
    desk.http.patch(&path, &grants(&[mailbox, elsewhere])).await.expect(200);
    assert_eq!(pages().await.0, all);
}

#[tokio::test]
async fn what_is_wanted_goes_by_mail_and_a_flood_does_not() {
    let desk = TestDesk::start_fixed().await;
    let sink = SmtpSink::start();
    let mailbox = add(&desk, json!({"type": "push"}), smtp(&sink)).await;
    let bea = agent(&desk, "Bea", "bea@example.org", &[mailbox]).await;
    let beas = desk.client_of_agent(bea).await;
    let settings = format!("/api/v1/agents/{bea}/notification-settings");
    beas.patch(&settings, &json!({"mailed": ["mentioned", "received"]})).await.expect(200);
    let at = begun(&desk, mailbox, "ada").await;
    assign(&desk.http, at, bea).await;
    write(&desk.http, at, json!({"kind": "note", "text": "@bea: the depot has it. <img src=x>"})).await;
    let mailed = sink.next().await;
    assert_eq!((&mailed.to[..], mailed.from.as_str()), (&["bea@example.org".to_owned()][..], ""));
    let text = mailed.text();
    assert!(text.contains("the depot has it") && text.contains(&format!("[#{at}]")), "{text}");
    assert!(text.contains("Auto-Submitted: auto-generated"), "{text}");
    let html = text.split_once("text/html").expect("a part of HTML").1;
    assert!(html.contains("&lt;img") && !html.contains("<img"), "what somebody wrote is text: {html}");
    let all = feed(&desk, &beas, "").await;
    assert_eq!(all[0]["mailed_at"], "2026-11-22T08:00:00.000000Z");
    assert_eq!(all[1]["mailed_at"], Value::Null, "that was not asked for");
    for number in 1..=60 {
        writes(&desk, mailbox, "ada", number).await;
    }
    settled(&desk).await;
    // They leave several at a time.
    for _ in 1..60 {
        sink.next().await;
    }
    let last =
        sink.mails().iter().filter(|mail| mail.text().contains("the last such mail for an hour")).count();
    assert_eq!((sink.mails().len(), last), (60, 1));
    let all = feed(&desk, &beas, "").await;
    assert_eq!(all[0]["mailed_at"], Value::Null, "the sixty-first stands in the feed");
    assert_eq!(all.iter().filter(|one| one["mailed_at"] != Value::Null).count(), 60);
    desk.desk().advance_clock(Duration::from_secs(3_600));
    writes(&desk, mailbox, "ada", 61).await;
    sink.next().await;
    assert_eq!(sink.mails().len(), 61);
}

#[tokio::test]
async fn settings_are_ones_own_and_say_no_two_things() {
    let Work { desk, bea, carl, beas, carls, .. } = work().await;
    let path = format!("/api/v1/agents/{bea}/notification-settings");
    let before = beas.get(&path).await.expect(200).json();
    assert_eq!((&before["version"], &before["updated_at"]), (&json!(0), &Value::Null));
    problem(&carls.get(&path).await, 403, "insufficient_scope");
    problem(&carls.patch(&path, &json!({"muted": []})).await, 403, "insufficient_scope");
    let both = json!({"muted": ["noted"], "mailed": ["noted"]});
    assert_eq!(faults(&beas.patch(&path, &both).await), [("/mailed".to_owned(), "not_allowed".to_owned())]);
    let team = json!({"mailed": ["team_received"]});
    assert_eq!(faults(&beas.patch(&path, &team).await), [("/mailed".to_owned(), "not_allowed".to_owned())]);
    assert_eq!(beas.get(&path).await.expect(200).json(), before);
    let changed = json!({"muted": ["noted", "answered", "noted"]});
    let after = desk.http.patch(&path, &changed).await.expect(200).json();
    assert_eq!(after["muted"], json!(["answered", "noted"]));
    let stale = [("Content-Type", "application/json"), ("If-Match", "\"ns1-7\"")];
    problem(&beas.send("PATCH", &path, &stale, b"{\"muted\":[]}").await, 412, "version_conflict");
    problem(&desk.http.get("/api/v1/agents/4711/notification-settings").await, 404, "not_found");
    let other = format!("/api/v1/agents/{carl}/notification-settings");
    assert_eq!(carls.get(&other).await.expect(200).json()["version"], 0);
}

#[test]
fn two_daemons_notify_once() {
    const CONVERSATIONS: usize = 150;
    let desks = two_desks();
    let _entered = desks.runtime.enter();
    let [one, other] = &desks.both[..] else { panic!("two") };
    let mailbox = concurrency::mailbox(one);
    let system = Actor::system();
    let bea = one_agent(one, mailbox, "bea");
    for number in 0..CONVERSATIONS {
        let at = concurrency::conversation(one, mailbox, &format!("c{number}@example.net"));
        let change = ConversationChange { assignee_id: Some(Some(bea)), ..ConversationChange::default() };
        one.write_here(&system, |cx| conversations::update(cx, at, None, &change)).expect("it is theirs");
    }
    std::thread::scope(|scope| {
        for desk in [one, other, one, other] {
            let system = &system;
            scope.spawn(move || {
                loop {
                    match desk.write_here(system, hand_on::hand_on) {
                        Ok(false) => return,
                        Ok(true) | Err(Error::Busy) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    let kinds = ["agent.notified".to_owned()];
    let told =
        one.read_here(&system, |cx| Ok(events::feed(cx, 0, &kinds, 1_000)?.events)).expect("it is read");
    let each: HashSet<Option<i64>> = told.iter().map(|event| event.number("seq")).collect();
    assert_eq!((told.len(), each.len()), (CONVERSATIONS, CONVERSATIONS));
}
