//! Whose conversations are from the start, who gets them, and what becomes of them when somebody goes.

use crate::concurrency::{self, two_desks};
use crate::mailing::{self, *};
use crate::problems::{faults, problem};
use postroom_core::Error;
use postroom_core::access::{Grant, Level, Role, Scope};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::distribution::DistributionMethod;
use postroom_core::id::{ConversationId, MailboxId, TeamId};
use postroom_core::operations::agents::{self, NewAgent};
use postroom_core::operations::distributions::{self, DistributionChange};
use postroom_core::operations::events;
use postroom_core::operations::mailbox_routing::{self, RoutingChange};
use postroom_core::operations::teams::{self, NewTeam};
use postroom_core::role::RoleChoice;
use postroom_core::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::http::Http;
use support::mail::mail;

struct Work {
    desk: TestDesk,
    mailbox: i64,
    team: i64,
    agents: Vec<i64>,
}

/// A mailbox whose conversations go to a team of so many.
async fn work(agents: usize) -> Work {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let mut ids = Vec::new();
    for number in 0..agents {
        let body = json!({"name": format!("Agent {number}"), "email": format!("a{number}@example.org"),
            "grants": [{"mailbox_id": mailbox, "level": "reply"}]});
        ids.push(mailing::number(&desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"]));
    }
    let team = json!({"name": "First", "member_ids": ids});
    let team = number(&desk.http.post("/api/v1/teams", &team).await.expect(201).json()["id"]);
    desk.http
        .patch(&format!("/api/v1/mailboxes/{mailbox}/routing"), &json!({"team_id": team}))
        .await
        .expect(200);
    Work { desk, mailbox, team, agents: ids }
}

impl Work {
    async fn distribute(&self, change: Value) -> Value {
        let path = format!("/api/v1/teams/{}/distribution", self.team);
        self.desk.http.patch(&path, &change).await.expect(200).json()
    }

    async fn distribution(&self) -> Value {
        self.desk.http.get(&format!("/api/v1/teams/{}/distribution", self.team)).await.expect(200).json()
    }

    async fn say(&self, agent: i64, change: Value) -> Value {
        let path = format!("/api/v1/agents/{agent}/availability");
        self.desk.http.patch(&path, &change).await.expect(200).json()
    }

    /// A new conversation.
    async fn arrives(&self) -> i64 {
        static MAILS: AtomicUsize = AtomicUsize::new(0);
        let number = MAILS.fetch_add(1, Ordering::Relaxed);
        let from = format!("c{number}@example.net");
        let mail = mail().from(&from).message_id(&format!("m{number}@example.net"));
        arrive(&self.desk, self.mailbox, &mail).await.conversation
    }

    /// Whose it is, once it is somebody's.
    async fn owner(&self, id: i64) -> i64 {
        self.desk.until(async || conversation(&self.desk, id).await["assignee_id"].as_i64()).await
    }

    /// One more conversation, and whose it becomes.
    async fn given(&self) -> i64 {
        let id = self.arrives().await;
        self.owner(id).await
    }

    /// Has the desk do all there is to do now. What it did.
    async fn settle(&self) -> usize {
        self.desk.write(|cx| distributions::step(cx, 1_000)).await
    }
}

/// Why each member gets nothing.
fn passed(card: &Value) -> BTreeMap<i64, Value> {
    let members = card["members"].as_array().expect("members");
    members.iter().map(|member| (number(&member["agent_id"]), member["passed"].clone())).collect()
}

#[tokio::test]
async fn what_begins_in_a_mailbox_is_its_teams() {
    let at = work(0).await;
    let http = &at.desk.http;
    let path = format!("/api/v1/mailboxes/{}/routing", at.mailbox);
    assert_eq!(conversation(&at.desk, at.arrives().await).await["team_id"], at.team);
    let other = number(&http.post("/api/v1/teams", &json!({"name": "Other"})).await.expect(201).json()["id"]);
    let new = |team: Value| {
        with(
            json!({"mailbox_id": at.mailbox, "subject": "Lamp", "customer": {"email": "ada@example.net"},
                "message": {"kind": "inbound", "text": "Where is it?"}}),
            team,
        )
    };
    for (named, expected) in [(json!({}), at.team), (json!({"team_id": other}), other)] {
        let made = http.post("/api/v1/conversations", &new(named)).await.expect(201).json();
        assert_eq!(made["team_id"], expected);
    }
    // A team that mailboxes go to stays.
    let empty = number(&http.post("/api/v1/teams", &json!({"name": "Empty"})).await.expect(201).json()["id"]);
    http.patch(&path, &json!({"team_id": empty})).await.expect(200);
    problem(&http.delete(&format!("/api/v1/teams/{empty}")).await, 409, "state_conflict");
    let changed = http.patch(&path, &json!({"team_id": null})).await.expect(200);
    assert_eq!((&changed.json()["team_id"], &changed.json()["version"]), (&Value::Null, &json!(3)));
    http.delete(&format!("/api/v1/teams/{empty}")).await.expect(204);
    assert_eq!(conversation(&at.desk, at.arrives().await).await["team_id"], Value::Null);
    let unknown = http.patch(&path, &json!({"team_id": 77})).await;
    assert_eq!(faults(&unknown), [("/team_id".into(), "not_found".into())]);
    let stale = [("Content-Type", "application/json"), ("If-Match", "\"br1-1\"")];
    problem(&http.send("PATCH", &path, &stale, b"{\"team_id\":null}").await, 412, "version_conflict");
    let elsewhere = at.desk.mailbox("Other", "other@example.org").await;
    let reader = at.desk.client(&[Scope::ConversationsRead, Scope::AdminWrite], &[elsewhere]).await;
    problem(&reader.get(&path).await, 404, "not_found");
}

#[tokio::test]
async fn they_take_turns() {
    let at = work(3).await;
    let waiting = at.arrives().await;
    assert_eq!(at.settle().await, 0, "nobody said so");
    let card = at.distribution().await;
    assert_eq!(
        (&card["method"], &card["waiting"], &card["next_agent_id"]),
        (&json!("manual"), &json!(1), &Value::Null)
    );
    at.distribute(json!({"method": "round_robin"})).await;
    assert_eq!(at.owner(waiting).await, at.agents[0]);
    let mut given = vec![at.agents[0]];
    for _ in 0..5 {
        given.push(at.given().await);
    }
    assert_eq!(given, [&at.agents[..], &at.agents[..]].concat());
    let card = at.distribution().await;
    assert_eq!((&card["waiting"], &card["next_agent_id"]), (&json!(0), &json!(at.agents[0])));
    assert_eq!(card["members"][0]["open"], 2);
    let told = list(&at.desk, &format!("/api/v1/conversations/{waiting}/activity?limit=100")).await;
    let assigned: Vec<&Value> =
        told.iter().filter(|event| event["type"] == "conversation.assigned").collect();
    let [assigned] = assigned.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (&assigned["data"]["reason"], &assigned["actor"]["type"]),
        (&json!("distributed"), &json!("system"))
    );
    assert_eq!(assigned["data"]["changes"], json!({"assignee_id": [null, at.agents[0]]}));
}

#[tokio::test]
async fn whoever_has_the_fewest_gets_the_next_until_they_have_enough() {
    let at = work(2).await;
    for _ in 0..3 {
        let id = at.arrives().await;
        let mine = json!({"assignee_id": at.agents[0]});
        at.desk.http.patch(&format!("/api/v1/conversations/{id}"), &mine).await.expect(200);
    }
    at.distribute(json!({"method": "least_loaded", "open_limit": 4})).await;
    let mut given = Vec::new();
    for _ in 0..5 {
        given.push(at.given().await);
    }
    let [first, second] = at.agents[..] else { unreachable!("there are two") };
    assert_eq!(given, [second, second, second, first, second]);
    let waits = at.arrives().await;
    assert_eq!(at.settle().await, 0);
    let card = at.distribution().await;
    assert_eq!((&card["waiting"], &card["next_agent_id"]), (&json!(1), &Value::Null));
    assert_eq!(passed(&card), [(first, json!("full")), (second, json!("full"))].into());
    // Their own limit goes before the team's.
    at.say(second, json!({"open_limit": 5})).await;
    assert_eq!(at.owner(waits).await, second);
    // What is done makes room.
    let waits = at.arrives().await;
    assert_eq!(at.settle().await, 0);
    let done = list(&at.desk, &format!("/api/v1/conversations?assignee_id={first}")).await;
    set_status(&at.desk, number(&done[0]["id"]), "closed").await;
    assert_eq!(at.owner(waits).await, first);
}

#[tokio::test]
async fn whoever_is_not_there_gets_nothing_new() {
    let at = work(4).await;
    let [away, absent, off, there] = at.agents[..] else { unreachable!("there are four") };
    at.say(away, json!({"state": "away", "until": "2026-11-22T09:00:00Z"})).await;
    let absence =
        json!({"starts_at": "2026-11-22T00:00:00Z", "ends_at": "2026-11-22T10:00:00Z", "note": "Dentist"});
    let absence =
        at.desk.http.post(&format!("/api/v1/agents/{absent}/absences"), &absence).await.expect(201).json();
    // It is a Sunday.
    let hours = json!({"name": "Office", "time_zone": "UTC",
        "hours": [{"weekday": "monday", "from": "09:00", "to": "17:00"}]});
    let hours = at.desk.http.post("/api/v1/schedules", &hours).await.expect(201).json();
    let said = at.say(off, json!({"schedule_id": hours["id"]})).await;
    assert_eq!((&said["available"], &said["reason"]), (&json!(false), &json!("out_of_hours")));
    assert_eq!(said["available_at"], "2026-11-23T09:00:00.000000Z");
    problem(&at.desk.http.delete(&format!("/api/v1/schedules/{}", hours["id"])).await, 409, "state_conflict");
    let card = at.distribute(json!({"method": "round_robin"})).await;
    let expected = [
        (away, json!("away")),
        (absent, json!("absent")),
        (off, json!("out_of_hours")),
        (there, Value::Null),
    ];
    assert_eq!(passed(&card), expected.into());
    for _ in 0..3 {
        assert_eq!(at.given().await, there);
    }
    // Each is back in their time, and nobody has to do anything for it.
    at.desk.desk().advance_clock(Duration::from_secs(3_600));
    assert_eq!(at.given().await, away);
    let all = list(&at.desk, "/api/v1/availabilities").await;
    let shown: Vec<&Value> = all.iter().map(|one| &one["reason"]).collect();
    assert!(shown.contains(&&json!("absent")) && shown.contains(&&json!("out_of_hours")), "{all:?}");
    at.desk.desk().advance_clock(Duration::from_secs(3_600));
    assert_eq!(at.given().await, absent);
    assert_eq!(list(&at.desk, &format!("/api/v1/agents/{absent}/absences")).await, Vec::<Value>::new());
    at.desk.desk().advance_clock(Duration::from_secs(23 * 3_600));
    assert_eq!(at.given().await, off);
    let path = format!("/api/v1/agents/{absent}/absences/{}", absence["id"]);
    at.desk.http.delete(&path).await.expect(204);
    problem(&at.desk.http.delete(&path).await, 404, "not_found");
}

#[tokio::test]
async fn the_work_of_whoever_goes_is_others() {
    let at = work(2).await;
    let [goes, stays] = at.agents[..] else { unreachable!("there are two") };
    let mut theirs = Vec::new();
    for status in ["open", "pending", "closed"] {
        let id = at.arrives().await;
        let change = json!({"assignee_id": goes, "status": status, "team_id": null});
        at.desk.http.patch(&format!("/api/v1/conversations/{id}"), &change).await.expect(200);
        theirs.push(id);
    }
    at.distribute(json!({"method": "round_robin"})).await;
    at.say(goes, json!({"state": "away"})).await;
    assert_eq!(at.settle().await, 0, "they keep what they have");
    let said = at.say(goes, json!({"state": "away_reassign"})).await;
    assert_eq!((&said["state"], &said["available"]), (&json!("away_reassign"), &json!(false)));
    let owners = async || {
        let mut owners = Vec::new();
        for id in &theirs {
            owners.push(conversation(&at.desk, *id).await["assignee_id"].clone());
        }
        owners
    };
    at.desk.until(async || (owners().await[0] == stays).then_some(())).await;
    assert_eq!(owners().await, [json!(stays), json!(goes), json!(goes)], "what rests waits for its turn");
    let told = list(&at.desk, &format!("/api/v1/conversations/{}/activity?limit=100", theirs[0])).await;
    let reasons: Vec<&Value> = told.iter().filter_map(|event| event["data"].get("reason")).collect();
    assert_eq!(reasons, ["agent_away", "distributed"]);
    // What the customer answers is open again, and somebody is there for it.
    set_status(&at.desk, theirs[1], "open").await;
    at.desk.until(async || (owners().await[1] == stays).then_some(())).await;
    at.say(goes, json!({"state": "online"})).await;

    // Who stops leaves nothing behind but what is done.
    let resting = at.arrives().await;
    at.owner(resting).await;
    let snoozed = json!({"assignee_id": stays});
    at.desk.http.patch(&format!("/api/v1/conversations/{resting}"), &snoozed).await.expect(200);
    at.desk
        .http
        .post(&format!("/api/v1/conversations/{resting}/snooze"), &json!({"until_reply": true}))
        .await
        .expect(200);
    at.desk.http.patch(&format!("/api/v1/agents/{stays}"), &json!({"disabled": true})).await.expect(200);
    at.desk.until(async || (owners().await[..2] == [json!(goes), json!(goes)]).then_some(())).await;
    at.desk
        .until(async || (conversation(&at.desk, resting).await["assignee_id"] == Value::Null).then_some(()))
        .await;
    assert_eq!(conversation(&at.desk, resting).await["status"], "snoozed");
    let card = at.distribution().await;
    assert_eq!(passed(&card)[&stays], "disabled");
}

#[tokio::test]
async fn nobody_gets_what_they_may_not_answer() {
    let at = work(2).await;
    let [may, may_not] = at.agents[..] else { unreachable!("there are two") };
    let none = json!({"grants": [{"mailbox_id": at.mailbox, "level": "read"}]});
    at.desk.http.patch(&format!("/api/v1/agents/{may_not}"), &none).await.expect(200);
    at.distribute(json!({"method": "round_robin"})).await;
    for _ in 0..3 {
        assert_eq!(at.given().await, may);
    }
    let none = json!({"grants": []});
    at.desk.http.patch(&format!("/api/v1/agents/{may}"), &none).await.expect(200);
    let waits = at.arrives().await;
    assert_eq!(at.settle().await, 0);
    // One who sees only what is theirs may get it.
    let own = json!({"grants": [{"mailbox_id": at.mailbox, "level": "reply", "assigned_only": true}]});
    at.desk.http.patch(&format!("/api/v1/agents/{may_not}"), &own).await.expect(200);
    assert_eq!(at.owner(waits).await, may_not);
}

#[tokio::test]
async fn what_is_left_alone_stays_as_it_is() {
    let at = work(1).await;
    let mut left = Vec::new();
    for status in ["pending", "closed", "spam"] {
        let id = at.arrives().await;
        set_status(&at.desk, id, status).await;
        left.push(id);
    }
    let trashed = at.arrives().await;
    at.desk.http.delete(&format!("/api/v1/conversations/{trashed}")).await.expect(204);
    let elsewhere = at.arrives().await;
    at.desk
        .http
        .patch(&format!("/api/v1/conversations/{elsewhere}"), &json!({"team_id": null}))
        .await
        .expect(200);
    at.distribute(json!({"method": "least_loaded"})).await;
    let given = at.arrives().await;
    at.owner(given).await;
    for id in left.into_iter().chain([trashed, elsewhere]) {
        assert_eq!(conversation(&at.desk, id).await["assignee_id"], Value::Null);
    }
}

#[tokio::test]
async fn agents_say_for_themselves_whether_they_are_there_and_nothing_more() {
    let at = work(2).await;
    let [own, other] = at.agents[..] else { unreachable!("there are two") };
    let http: Http = at.desk.client_of_agent(own).await;
    let path = |agent: i64| format!("/api/v1/agents/{agent}/availability");
    let fresh = http.get(&path(own)).await.expect(200).json();
    assert_eq!(
        (&fresh["version"], &fresh["state"], &fresh["available"]),
        (&json!(0), &json!("online"), &json!(true))
    );
    let answer =
        http.patch(&path(own), &json!({"state": "away", "until": "2026-11-22T08:00:01Z"})).await.expect(200);
    let etag = answer.header("etag").expect("an ETag").to_owned();
    let headers = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    let back = http.send("PATCH", &path(own), &headers, b"{\"state\":\"online\"}").await.expect(200).json();
    assert_eq!((&back["until"], &back["version"]), (&Value::Null, &json!(2)), "what held for a time is over");
    problem(
        &http.send("PATCH", &path(own), &headers, b"{\"state\":\"away\"}").await,
        412,
        "version_conflict",
    );
    problem(&http.patch(&path(other), &json!({"state": "away"})).await, 403, "insufficient_scope");
    for theirs in [json!({"open_limit": 3}), json!({"schedule_id": null})] {
        problem(&http.patch(&path(own), &theirs).await, 403, "insufficient_scope");
    }
    let refused = async |change: Value| faults(&at.desk.http.patch(&path(own), &change).await);
    let past = Timestamp(BEGINNING.0);
    for (change, pointer, code) in [
        (json!({"state": "away", "until": past}), "/until", "in_the_past"),
        (json!({"state": "online", "until": "2027-01-01T00:00:00Z"}), "/until", "not_allowed"),
        (json!({"schedule_id": 77}), "/schedule_id", "not_found"),
        (json!({"open_limit": 0}), "/open_limit", "out_of_range"),
        (json!({"open_limit": 10_001}), "/open_limit", "out_of_range"),
    ] {
        assert_eq!(refused(change).await, [(pointer.into(), code.into())]);
    }
    assert_eq!(at.say(own, json!({"open_limit": 10_000})).await["open_limit"], 10_000);
    let told: Vec<String> =
        at.desk.event_types().await.into_iter().filter(|kind| kind == "agent.availability_changed").collect();
    assert_eq!(told.len(), 3);
    problem(&http.get(&format!("/api/v1/teams/{}/distribution", at.team)).await, 403, "insufficient_scope");
}

#[tokio::test]
async fn absences_are_ahead_not_too_long_and_a_hundred() {
    let at = work(1).await;
    let path = format!("/api/v1/agents/{}/absences", at.agents[0]);
    let http = &at.desk.http;
    let span = |from: Timestamp, to: Timestamp| json!({"starts_at": from, "ends_at": to});
    let longest = BEGINNING.plus(Duration::from_secs(2 * 366 * 24 * 3_600));
    let a_little = Duration::from_micros(1);
    let refused = async |body: Value| faults(&http.post(&path, &body).await);
    for (body, pointer, code) in [
        (span(Timestamp(0), BEGINNING), "/ends_at", "in_the_past"),
        (span(longest, longest), "/ends_at", "too_early"),
        (span(BEGINNING, longest.plus(a_little)), "/ends_at", "too_late"),
        (with(span(BEGINNING, longest), json!({"note": "n".repeat(201)})), "/note", "too_long"),
    ] {
        assert_eq!(refused(body).await, [(pointer.into(), code.into())]);
    }
    http.post(&path, &with(span(BEGINNING, longest), json!({"note": "n".repeat(200)}))).await.expect(201);
    for _ in 1..100 {
        http.post(&path, &span(BEGINNING, longest)).await.expect(201);
    }
    problem(&http.post(&path, &span(BEGINNING, longest)).await, 409, "state_conflict");
}

#[tokio::test]
async fn a_team_has_leads_out_of_its_members() {
    let at = work(3).await;
    let [one, two, three] = at.agents[..] else { unreachable!("there are three") };
    let path = format!("/api/v1/teams/{}", at.team);
    let http = &at.desk.http;
    let change = async |change: Value| http.patch(&path, &change).await;
    let led = change(json!({"lead_ids": [three, one, three]})).await.expect(200).json();
    assert_eq!(led["lead_ids"], json!([one, three]));
    let none = change(json!({"lead_ids": [two, 77]})).await;
    assert_eq!(faults(&none), [("/lead_ids/1".into(), "not_a_member".into())]);
    let out = change(json!({"member_ids": [one, two], "lead_ids": [three]})).await;
    assert_eq!(faults(&out), [("/lead_ids/0".into(), "not_a_member".into())]);
    // Who leaves the team leads it no longer.
    let fewer = change(json!({"member_ids": [two, three]})).await.expect(200).json();
    assert_eq!((&fewer["member_ids"], &fewer["lead_ids"]), (&json!([two, three]), &json!([three])));
    let same = change(json!({"lead_ids": [three]})).await.expect(200).json();
    assert_eq!(same["version"], fewer["version"]);
    let new = json!({"name": "Second", "member_ids": [one], "lead_ids": [two]});
    assert_eq!(
        faults(&http.post("/api/v1/teams", &new).await),
        [("/lead_ids/0".into(), "not_a_member".into())]
    );
    let new = http.post("/api/v1/teams", &with(new, json!({"lead_ids": [one]}))).await.expect(201).json();
    assert_eq!(list(&at.desk, "/api/v1/teams").await[1]["lead_ids"], new["lead_ids"]);
}

#[tokio::test]
async fn what_names_an_agent_is_known_before_they_go() {
    let at = work(2).await;
    let [goes, stays] = at.agents[..] else { unreachable!("there are two") };
    let http = &at.desk.http;
    let path = format!("/api/v1/agents/{goes}/named-by");
    let id = at.arrives().await;
    http.patch(&format!("/api/v1/conversations/{id}"), &json!({"assignee_id": goes})).await.expect(200);
    let made = async |list: &str, body: Value| {
        let made = http.post(&format!("/api/v1/{list}"), &body).await.expect(201).json();
        json!({"id": made["id"], "name": made["name"]})
    };
    let view = |name: &str, q: String| json!({"name": name, "q": q, "visibility": "everyone"});
    let asks = made("views", view("Theirs", format!("is:open assignee:{stays},{goes}"))).await;
    made("views", view("Another's", format!("assignee:{stays}"))).await;
    let own = at.desk.client_of_agent(stays).await;
    let private = json!({"name": "Mine", "q": format!("assignee:{goes}"), "visibility": "me"});
    own.post("/api/v1/views", &private).await.expect(201);
    let told =
        json!({"name": "Hour", "wait_seconds": 3_600, "steps": [{"after_seconds": 0, "agent_ids": [goes]}]});
    let told = made("watchdogs", told).await;
    let asked = json!({"name": "Theirs", "wait_seconds": 3_600, "q": format!("assignee:{goes}")});
    let asked = made("watchdogs", asked).await;
    let found = http.get(&path).await.expect(200).json();
    let team = json!({"id": at.team, "name": "First"});
    let expected = json!({"conversations": 1, "teams": [team], "views": [asks], "watchdogs": [told, asked]});
    assert_eq!(found, expected);
    http.patch(&format!("/api/v1/agents/{goes}"), &json!({"disabled": true})).await.expect(200);
    at.desk
        .until(async || (http.get(&path).await.expect(200).json()["conversations"] == 0).then_some(()))
        .await;
    problem(&own.get(&path).await, 403, "insufficient_scope");
    problem(&http.get("/api/v1/agents/77/named-by").await, 404, "not_found");
}

/// A team of so many, with at most so many open ones each, that gets all of a mailbox.
fn team(desk: &Desk, mailbox_id: MailboxId, members: usize, limit: i32) -> TeamId {
    let system = Actor::system();
    let grants = vec![Grant { mailbox_id, category_id: None, assigned_only: false, level: Level::Reply }];
    let made = desk.write_here(&system, |cx| {
        let mut member_ids = Vec::new();
        for number in 0..members {
            let (name, email) = (format!("Agent {number}"), format!("a{number}@example.org"));
            let role = RoleChoice::BuiltIn(Role::Agent);
            let new = NewAgent { name, email, role, grants: grants.clone() };
            member_ids.push(agents::create(cx, &new)?.agent.id);
        }
        let new = NewTeam { name: "First".to_owned(), member_ids, lead_ids: Vec::new(), grants: Vec::new() };
        let team = teams::create(cx, &new)?.team.id;
        mailbox_routing::update(cx, mailbox_id, None, RoutingChange { team_id: Some(Some(team)) })?;
        let (method, open_limit) = (Some(DistributionMethod::RoundRobin), Some(Some(limit)));
        distributions::update(cx, team, None, DistributionChange { method, open_limit })?;
        Ok(team)
    });
    made.expect("a team")
}

/// Two daemons give out at once: each conversation has one owner, and nobody gets more than they may.
#[test]
fn two_daemons_give_each_conversation_to_one() {
    const CONVERSATIONS: usize = 60;
    const MEMBERS: usize = 5;
    const LIMIT: i32 = 11;
    let desks = two_desks();
    let [one, other] = &desks.both[..] else { unreachable!("there are two") };
    let mailbox = concurrency::mailbox(one);
    let team = team(one, mailbox, MEMBERS, LIMIT);
    for number in 0..CONVERSATIONS {
        concurrency::conversation(one, mailbox, &format!("c{number}@example.net"));
    }
    let system = Actor::system();
    let given: usize = std::thread::scope(|scope| {
        let working = [one, other, one, other].map(|desk| {
            let system = &system;
            scope.spawn(move || {
                let mut given = 0;
                loop {
                    match desk.write_here(system, |cx| distributions::step(cx, 7)) {
                        Ok(0) => return given,
                        Ok(more) => given += more,
                        Err(Error::Busy) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        });
        working.into_iter().map(|one| one.join().expect("it ends")).sum()
    });
    assert_eq!(given, MEMBERS * LIMIT.unsigned_abs() as usize);
    let card = one.read_here(&system, |cx| distributions::find(cx, team)).expect("it is there");
    let open: Vec<i64> = card.members.iter().map(|member| member.open).collect();
    assert_eq!(open, vec![i64::from(LIMIT); MEMBERS]);
    assert_eq!(card.waiting, 5);
    let assigned = one.read_here(&system, |cx| {
        let kinds = ["conversation.assigned".to_owned()];
        Ok(events::feed(cx, 0, &kinds, 1_000)?.events)
    });
    let told: Vec<Option<ConversationId>> =
        assigned.expect("it is read").iter().map(|event| event.conversation_id).collect();
    let each: HashSet<_> = told.iter().collect();
    assert_eq!((told.len(), each.len()), (55, 55), "each got one owner, once");
}
