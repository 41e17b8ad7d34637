//! The audit log: what is in it, who may read it, and what shows that it was touched.

use crate::mailing::{count, sql};
use crate::problems::problem;
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::operations::audit;
use serde_json::{Value, json};
use support::desk::TestDesk;
use tokio::task::JoinSet;

async fn log(desk: &TestDesk, query: &str) -> Vec<Value> {
    let list = desk.http.get(&format!("/api/v1/audit-log?limit=100{query}")).await.expect(200).json();
    list["data"].as_array().expect("a list").clone()
}

async fn verified(desk: &TestDesk) -> audit::Verified {
    desk.desk().read(&Actor::system(), audit::verify).await.expect("the log can be read")
}

#[tokio::test]
async fn changes_of_the_set_up_are_in_the_log_with_who_and_from_where() {
    let desk = TestDesk::start_fixed().await;
    let agent = json!({"name": "Amy", "email": "amy@example.org"});
    let body = agent.to_string();
    let headers = [("Content-Type", "application/json"), ("User-Agent", "curl/8")];
    let made = desk.http.send("POST", "/api/v1/agents", &headers, body.as_bytes()).await.expect(201).json();
    let path = format!("/api/v1/agents/{}", made["id"]);
    desk.http.patch(&path, &json!({"role": "admin"})).await.expect(200);
    // What changes nothing, and what fails, is no row.
    desk.http.patch(&path, &json!({"role": "admin"})).await.expect(200);
    desk.http.patch(&path, &json!({"role": "owner", "email": "none"})).await.expect(422);
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let rows = log(&desk, "").await;
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().expect("a word")).collect();
    assert_eq!(kinds, ["mailbox.created", "agent.updated", "agent.created", "token.created"]);
    assert_eq!(rows[0]["data"]["mailbox_id"], json!(mailbox));
    assert_eq!(rows[1]["data"]["changes"]["role"], json!(["agent", "admin"]));
    assert_eq!(rows[2]["data"]["agent_id"], made["id"]);
    assert_eq!(rows[2]["address"], "127.0.0.1");
    assert_eq!(rows[2]["user_agent"], "curl/8");
    assert_eq!(rows[2]["actor"]["type"], "token");
    assert_eq!(rows[2]["actor"]["id"], rows[2]["actor"]["token_id"]);
    assert_eq!(rows[3]["actor"], json!({"type": "system", "id": null, "name": "postroom", "token_id": null}));
    assert_eq!(rows[3]["address"], Value::Null);
    assert_eq!(verified(&desk).await.fault, None);
    desk.stop().await;
}

#[tokio::test]
async fn it_is_read_by_pages_and_filters() {
    let desk = TestDesk::start_fixed().await;
    for number in 0..5 {
        desk.http.post("/api/v1/teams", &json!({"name": format!("Team {number}")})).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/audit-log?kind=team.*&limit=2&count=true".to_owned();
    loop {
        let page = desk.http.get(&path).await.expect(200).json();
        assert_eq!(page["page"]["total"], 5);
        seen.extend(page["data"].as_array().expect("a list").iter().map(|row| row["id"].as_i64()));
        let Some(cursor) = page["page"]["next_cursor"].as_str() else { break };
        path = format!("/api/v1/audit-log?kind=team.*&limit=2&count=true&cursor={cursor}");
    }
    assert_eq!(seen, (2..=6).rev().map(Some).collect::<Vec<_>>());
    let actor = log(&desk, "&kind=team.created").await[0]["actor"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(log(&desk, &format!("&actor=token:{actor}")).await.len(), 5);
    assert_eq!(log(&desk, "&actor=agent:1").await.len(), 0);
    assert_eq!(log(&desk, "&since=2026-11-22T08:00:00Z").await.len(), 6);
    assert_eq!(log(&desk, "&before=2026-11-22T08:00:00Z").await.len(), 0);
    for bad in ["kind=teams", "kind=*", "kind=team.", "actor=7", "actor=agent:", "actor=nobody:1"] {
        problem(&desk.http.get(&format!("/api/v1/audit-log?{bad}")).await, 400, "bad_parameter");
    }
    desk.stop().await;
}

#[tokio::test]
async fn it_is_for_those_who_see_the_whole_desk() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let narrow = desk.client(&[Scope::AdminRead], &[mailbox]).await;
    problem(&narrow.get("/api/v1/audit-log").await, 403, "forbidden");
    let other = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&other.get("/api/v1/audit-log").await, 403, "insufficient_scope");
    desk.client(&[Scope::AdminRead], &[]).await.get("/api/v1/audit-log").await.expect(200);
    desk.stop().await;
}

#[tokio::test]
async fn whatever_is_done_to_a_row_shows() {
    let desk = TestDesk::start_fixed().await;
    for number in 0..6 {
        desk.http.post("/api/v1/teams", &json!({"name": format!("Team {number}")})).await.expect(201);
    }
    let whole = verified(&desk).await;
    assert_eq!((whole.rows, whole.redacted, whole.fault.clone()), (7, 0, None));
    assert!(whole.head.is_some());
    sql(desk.config(), "CREATE TABLE kept AS SELECT * FROM audit_log");
    let touches = [
        ("UPDATE audit_log SET kind = 'team.deleted' WHERE id = 3", 3),
        ("UPDATE audit_log SET actor_id = '1' WHERE id = 3", 3),
        ("UPDATE audit_log SET created_at = created_at + 1 WHERE id = 3", 3),
        ("UPDATE audit_log SET details = '{}' WHERE id = 3", 3),
        ("UPDATE audit_log SET details = NULL WHERE id = 3", 3),
        ("UPDATE audit_log SET hash = details_hash WHERE id = 3", 3),
        ("DELETE FROM audit_log WHERE id = 3", 3),
        ("DELETE FROM audit_log WHERE id = 1", 1),
        ("DELETE FROM audit_log WHERE id = 7", 6),
        ("DELETE FROM audit_log", 0),
        ("UPDATE settings SET value = value || 'x' WHERE key = 'audit_head'", 7),
    ];
    for (touch, at) in touches {
        sql(desk.config(), touch);
        let seen = verified(&desk).await;
        assert_eq!(seen.fault.map(|fault| fault.id), Some(at), "{touch}");
        sql(desk.config(), "DELETE FROM audit_log");
        sql(desk.config(), "INSERT INTO audit_log SELECT * FROM kept");
    }
    sql(
        desk.config(),
        "UPDATE settings SET value = substr(value, 1, length(value) - 1) WHERE key = 'audit_head'",
    );
    assert_eq!(verified(&desk).await, whole, "and put back it is whole");
    // What names a person may be taken out.
    sql(desk.config(), "UPDATE audit_log SET details = NULL, salt = NULL WHERE id = 3");
    let seen = verified(&desk).await;
    assert_eq!((seen.redacted, seen.fault, seen.head), (1, None, whole.head));
    let row = &log(&desk, "").await[4];
    assert_eq!((row["redacted"].clone(), row["data"].clone()), (json!(true), json!({})));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_make_one_chain() {
    let desk = TestDesk::start().await;
    let mut writers = JoinSet::new();
    for number in 0..16 {
        let http = desk.http.clone();
        writers.spawn(async move {
            for turn in 0..4 {
                let team = json!({"name": format!("Team {number} {turn}")});
                http.post("/api/v1/teams", &team).await.expect(201);
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
    let seen = verified(&desk).await;
    assert_eq!((seen.rows, seen.fault), (65, None));
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM events WHERE type = 'team.created'"), 64);
    desk.stop().await;
}
