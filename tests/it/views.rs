//! Views: who sees and changes them, and what they find for whom.

use crate::mailing::{self, with};
use crate::problems::{faults, problem};
use postroom_core::access::Scope;
use postroom_core::view::{COUNTED, VIEWS_EACH};
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;

const PATH: &str = "/api/v1/views";

async fn list(http: &Http, path: &str) -> Vec<Value> {
    let page = http.get(path).await.expect(200).json();
    page["data"].as_array().expect("a list").clone()
}

fn names(views: &[Value]) -> Vec<&str> {
    views.iter().map(|view| view["name"].as_str().expect("a name")).collect()
}

fn path_of(view: &Value) -> String {
    format!("{PATH}/{}", view["id"])
}

async fn made(http: &Http, view: Value) -> Value {
    let view = with(json!({"q": "is:open"}), view);
    http.post(PATH, &view).await.expect(201).json()
}

/// An agent who may do in some mailboxes what agents do.
async fn agent(desk: &TestDesk, name: &str, mailboxes: &[i64]) -> (i64, Http) {
    let grants: Vec<Value> =
        mailboxes.iter().map(|mailbox| json!({"mailbox_id": mailbox, "level": "reply"})).collect();
    let body = json!({"name": name, "email": format!("{name}@example.org"), "grants": grants});
    let made = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
    let id = mailing::number(&made["id"]);
    (id, desk.client_of_agent(id).await)
}

async fn begin(desk: &TestDesk, mailbox: i64, subject: &str) -> i64 {
    let body = json!({"mailbox_id": mailbox, "subject": subject, "customer": {"email": "ada@example.org"},
        "message": {"kind": "inbound", "text": "Where is it?"}});
    mailing::number(&desk.http.post("/api/v1/conversations", &body).await.expect(201).json()["id"])
}

#[tokio::test]
async fn a_view_is_made_changed_and_removed() {
    let desk = TestDesk::start().await;
    let whole = json!({"name": " Late  orders ", "q": "is:open waiting:<-1d", "sort": "updated_at", "visibility": "everyone",
        "columns": ["subject", "field.order_no"], "color": "#d04437", "icon": "clock"});
    let answer = desk.http.post(PATH, &whole).await.expect(201);
    let view = answer.json();
    let path = path_of(&view);
    assert!(answer.header("location").is_some_and(|location| location.ends_with(&path)));
    for (member, value) in [
        ("name", json!("Late orders")),
        ("q", whole["q"].clone()),
        ("sort", json!("updated_at")),
        ("position", json!(0)),
    ] {
        assert_eq!(view[member], value, "{view}");
    }
    assert_eq!((&view["broken"], &view["changeable"]), (&Value::Null, &json!(true)));
    let second = made(&desk.http, json!({"name": "Second", "visibility": "everyone"})).await;
    assert_eq!(second["position"], 1);
    let change = json!({"position": 7, "color": null, "q": ""});
    let changed = desk.http.patch(&path, &change).await.expect(200);
    let etag = changed.header("etag").expect("an ETag").to_owned();
    assert_eq!(changed.json()["color"], Value::Null);
    assert_eq!(desk.http.patch(&path, &change).await.expect(200).header("etag"), Some(etag.as_str()));
    let headers = [("Content-Type", "application/json"), ("If-Match", "\"v1-99\"")];
    problem(&desk.http.send("PATCH", &path, &headers, b"{\"q\":\"\"}").await, 412, "version_conflict");
    assert_eq!(names(&list(&desk.http, PATH).await), ["Second", "Late orders"]);
    desk.http.delete(&path).await.expect(204);
    problem(&desk.http.get(&path).await, 404, "not_found");
    let told: Vec<String> =
        desk.event_types().await.into_iter().filter(|kind| kind.starts_with("view.")).collect();
    assert_eq!(told, ["view.created", "view.created", "view.updated", "view.deleted"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_view_is_told_by_its_pointer() {
    let desk = TestDesk::start().await;
    let desk = &desk;
    let refused = |changes: Value| async move {
        let view = with(json!({"name": "V", "q": "", "visibility": "everyone"}), changes);
        faults(&desk.http.post(PATH, &view).await)
    };
    for (changes, pointer, code) in [
        (json!({"q": "color:red"}), "/q", "bad_query"),
        (json!({"q": "field.nothing:1"}), "/q", "bad_query"),
        (json!({"sort": "relevance"}), "/sort", "invalid"),
        (json!({"name": " "}), "/name", "required"),
        (json!({"columns": ["A b"]}), "/columns/0", "invalid"),
        (json!({"color": "red"}), "/color", "invalid"),
        (json!({"visibility": "team"}), "/team_id", "invalid"),
        (json!({"visibility": "team", "team_id": 77}), "/team_id", "not_found"),
        (json!({"team_id": 1}), "/team_id", "invalid"),
        // The test's own token speaks for no agent.
        (json!({"visibility": "me"}), "/visibility", "not_allowed"),
    ] {
        assert_eq!(refused(changes.clone()).await, [(pointer.to_owned(), code.to_owned())], "{changes}");
    }
    assert_eq!(list(&desk.http, PATH).await, Vec::<Value>::new());
}

#[tokio::test]
async fn who_sees_a_view_and_who_changes_it() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let (amy_id, amy) = agent(&desk, "amy", &[mailbox]).await;
    let (bob_id, bob) = agent(&desk, "bob", &[mailbox]).await;
    let (_, eve) = agent(&desk, "eve", &[mailbox]).await;
    let team = json!({"name": "First", "member_ids": [amy_id, bob_id]});
    let team = desk.http.post("/api/v1/teams", &team).await.expect(201).json();

    let own = made(&amy, json!({"name": "Own"})).await;
    assert_eq!((&own["visibility"], &own["owner_id"]), (&json!("me"), &json!(amy_id)));
    let shared = made(&amy, json!({"name": "Shared", "visibility": "team", "team_id": team["id"]})).await;
    let all = made(&desk.http, json!({"name": "All", "visibility": "everyone"})).await;
    for (who, seen) in [
        (&amy, vec!["Own", "Shared", "All"]),
        (&bob, vec!["Shared", "All"]),
        (&eve, vec!["All"]),
        // Who sets the desk up sees what is shared, and no more.
        (&desk.http, vec!["Shared", "All"]),
    ] {
        let mut views = list(who, PATH).await;
        views.sort_by_key(|view| view["id"].as_i64());
        assert_eq!(names(&views), seen);
    }
    for (who, view, status) in [
        (&bob, &own, 404),
        (&desk.http, &own, 404),
        (&eve, &shared, 404),
        (&bob, &shared, 403),
        (&amy, &all, 403),
        (&eve, &all, 403),
    ] {
        let path = path_of(view);
        assert_eq!(who.patch(&path, &json!({"name": "Mine"})).await.status, status, "{view}");
        assert_eq!(who.delete(&path).await.status, status, "{view}");
        assert_eq!(who.get(&path).await.status, if status == 404 { 404 } else { 200 });
        for more in ["count", "conversations"] {
            let wanted = if status == 404 { 404 } else { 200 };
            assert_eq!(who.get(&format!("{path}/{more}")).await.status, wanted, "{more} {view}");
        }
    }
    desk.http.patch(&path_of(&shared), &json!({"name": "Ours"})).await.expect(200);
    // Sharing further takes what it takes to make it so.
    problem(&amy.patch(&path_of(&own), &json!({"visibility": "everyone"})).await, 403, "forbidden");
    let refused = desk.http.patch(&path_of(&all), &json!({"visibility": "me"})).await;
    assert_eq!(faults(&refused)[0].0, "/visibility", "a program that speaks for nobody has none of its own");
    let theirs = json!({"visibility": "team", "team_id": team["id"]});
    problem(&eve.post(PATH, &with(json!({"name": "V", "q": ""}), theirs.clone())).await, 403, "forbidden");
    amy.patch(&path_of(&own), &theirs).await.expect(200);
    assert_eq!(
        amy.patch(&path_of(&own), &json!({"visibility": "me"})).await.expect(200).json()["team_id"],
        Value::Null
    );
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&reader.post(PATH, &json!({"name": "V", "q": ""})).await, 403, "insufficient_scope");

    // The log says nothing of what somebody keeps for themselves.
    let events = list(&desk.http, "/api/v1/events?types=view.*&limit=100").await;
    let private: Vec<&Value> = events.iter().filter(|event| event["data"]["view_id"] == own["id"]).collect();
    assert!(private.len() >= 3, "{events:?}");
    assert!(private.iter().all(|event| event["data"].get("changes").is_none()), "{private:?}");
    assert!(private[0]["data"].get("name").is_none(), "{private:?}");

    // Who leaves the team sees its views no more, not even their own.
    let path = format!("/api/v1/teams/{}", team["id"]);
    desk.http.patch(&path, &json!({"member_ids": [bob_id]})).await.expect(200);
    problem(&amy.get(&path_of(&shared)).await, 404, "not_found");
    desk.http.delete(&path).await.expect(204);
    problem(&bob.get(&path_of(&shared)).await, 404, "not_found");
}

#[tokio::test]
async fn a_view_finds_what_whoever_looks_may_see() {
    let desk = TestDesk::start().await;
    let one = desk.mailbox("Support", "support@example.org").await;
    let two = desk.mailbox("Sales", "sales@example.org").await;
    let (amy_id, amy) = agent(&desk, "amy", &[one]).await;
    let (_, bob) = agent(&desk, "bob", &[two]).await;
    let here = begin(&desk, one, "here").await;
    let other = begin(&desk, one, "other").await;
    let there = begin(&desk, two, "there").await;
    desk.http
        .patch(&format!("/api/v1/conversations/{here}"), &json!({"assignee_id": amy_id}))
        .await
        .expect(200);
    let open = made(&desk.http, json!({"name": "Open", "sort": "id", "visibility": "everyone"})).await;
    let mine = made(&desk.http, json!({"name": "Mine", "q": "assignee:me", "visibility": "everyone"})).await;
    let found = |http: Http, view: Value| async move {
        let page = http.get(&format!("{}/conversations?count=true", path_of(&view))).await.expect(200).json();
        let rows = page["data"].as_array().expect("a list");
        let counted = http.get(&format!("{}/count", path_of(&view))).await.expect(200).json();
        assert_eq!(counted, json!({"count": rows.len(), "exact": true}));
        assert_eq!(page["page"]["total"], rows.len());
        rows.iter().map(|row| mailing::number(&row["id"])).collect::<Vec<_>>()
    };
    assert_eq!(found(amy.clone(), open.clone()).await, [here, other]);
    assert_eq!(found(bob.clone(), open.clone()).await, [there]);
    assert_eq!(found(amy.clone(), mine.clone()).await, [here]);
    assert_eq!(found(bob, mine.clone()).await, Vec::<i64>::new());
    problem(&desk.http.get(&format!("{}/conversations", path_of(&mine))).await, 400, "bad_query");
    let counts: Vec<Value> = list(&amy, "/api/v1/views?include=count")
        .await
        .iter()
        .map(|view| view["count"]["count"].clone())
        .collect();
    assert_eq!(counts, [2, 1]);
    let counts = list(&desk.http, "/api/v1/views?include=count").await;
    assert_eq!(
        (&counts[0]["count"]["count"], &counts[1]["count"]),
        (&json!(3), &Value::Null),
        "nobody is me"
    );
    assert!(counts[1].as_object().is_some_and(|view| view.contains_key("count")));
    assert!(list(&amy, PATH).await[0].get("count").is_none());

    // A page ends where the question is another.
    let path = format!("{}/conversations?limit=1", path_of(&open));
    let page = amy.get(&path).await.expect(200).json();
    let cursor = page["page"]["next_cursor"].as_str().expect("there is more");
    let next = format!("{path}&cursor={cursor}");
    desk.http.patch(&path_of(&open), &json!({"name": "Still open"})).await.expect(200);
    assert_eq!(amy.get(&next).await.expect(200).json()["data"][0]["id"], other);
    desk.http.patch(&path_of(&open), &json!({"sort": "-id"})).await.expect(200);
    problem(&amy.get(&next).await, 400, "bad_cursor");
    let first = amy.get(&format!("{path}&sort=id")).await.expect(200).json();
    assert_eq!(first["data"][0]["id"], here, "in another order than its own");
}

#[tokio::test]
async fn a_view_that_does_not_work_any_more_says_so() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    begin(&desk, mailbox, "one").await;
    let field = json!({"object": "conversation", "key": "done", "type": "checkbox", "title": "Done"});
    let field = desk.http.post("/api/v1/custom-fields", &field).await.expect(201).json();
    let view =
        made(&desk.http, json!({"name": "Undone", "q": "-field.done:true", "visibility": "everyone"})).await;
    assert_eq!(desk.http.get(&format!("{}/count", path_of(&view))).await.expect(200).json()["count"], 1);
    desk.http.delete(&format!("/api/v1/custom-fields/{}", field["id"])).await.expect(204);
    let broken = &list(&desk.http, "/api/v1/views?include=count").await[0];
    assert!(broken["broken"].as_str().is_some_and(|told| told.contains("done")), "{broken}");
    assert_eq!(broken["count"], Value::Null);
    assert!(desk.http.get(&path_of(&view)).await.expect(200).json()["broken"].is_string());
    for more in ["count", "conversations"] {
        problem(&desk.http.get(&format!("{}/{more}", path_of(&view))).await, 400, "bad_query");
    }
    let mended = desk.http.patch(&path_of(&view), &json!({"q": "is:open"})).await.expect(200).json();
    assert_eq!(mended["broken"], Value::Null);
}

#[tokio::test]
async fn limits_hold_at_the_limit_and_not_above() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let (_, amy) = agent(&desk, "amy", &[mailbox]).await;
    for number in 0..VIEWS_EACH {
        made(&amy, json!({"name": format!("V{number}")})).await;
    }
    problem(&amy.post(PATH, &json!({"name": "More", "q": ""})).await, 409, "state_conflict");
    made(&desk.http, json!({"name": "All", "visibility": "everyone"})).await;
    let all = made(&desk.http, json!({"name": "Counted", "q": "", "visibility": "everyone"})).await;
    let fill = |from: usize, to: usize| {
        let desk = &desk;
        async move {
            for first in (from..to).step_by(100) {
                let one = |number: usize| {
                    json!({"mailbox_id": mailbox, "subject": format!("{number}"),
                    "customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "x"}})
                };
                let some: Vec<Value> = (first..to.min(first + 100)).map(one).collect();
                desk.http
                    .post("/api/v1/conversations/batch", &json!({"conversations": some}))
                    .await
                    .expect(200);
            }
        }
    };
    let counted = || async { desk.http.get(&format!("{}/count", path_of(&all))).await.expect(200).json() };
    fill(0, COUNTED).await;
    assert_eq!(counted().await, json!({"count": COUNTED, "exact": true}));
    fill(COUNTED, COUNTED + 1).await;
    assert_eq!(counted().await, json!({"count": COUNTED, "exact": false}));
}
