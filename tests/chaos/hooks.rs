//! A daemon that dies when a receiver of a webhook has said 200, before that is written down: it tells
//! the same once more, under the same id, and in order.

use crate::rig::{PATIENCE, Rig, maildir};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};
use support::hooks::{Call, Hooks};
use support::workdir::WorkDir;

fn tell(caller: &crate::rig::Caller, name: &str) {
    // The daemon may be gone before it answers.
    drop(caller.post("/api/v1/tags", &json!({ "name": name })));
}

fn came(hooks: &Hooks, count: usize) -> Vec<Call> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let calls = hooks.calls();
        if calls.len() >= count {
            return calls;
        }
        assert!(Instant::now() < deadline, "{count} calls never come: {calls:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What three minutes of waiting do: on PostgreSQL another daemon may be alive that has it in hand.
fn let_claims_run_out(rig: &Rig) {
    if let DatabaseUrl::Postgres(url) = rig.database() {
        let mut conn = PgConnection::establish(url).expect("the server runs");
        let words = "UPDATE webhook_deliveries SET claimed_until = 1 WHERE claimed_until IS NOT NULL";
        conn.batch_execute(words).expect("the server takes it");
    }
}

#[test]
fn what_a_receiver_took_and_nobody_wrote_down_is_told_again_under_its_id() {
    let none = WorkDir::new("maildir");
    support::maildir::make(none.path(), None);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hooks = runtime.block_on(Hooks::start());
    let port = hooks.url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("it has a port");
    let mut rig = Rig::new(&maildir(none.path()));
    let allow = |rig: &mut Rig| {
        rig.set("POSTROOM__WEBHOOKS__ALLOW_HTTP", "true");
        rig.set("POSTROOM__WEBHOOKS__PORTS", &format!("{port},1"));
        rig.set("POSTROOM__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8");
    };
    allow(&mut rig);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    let webhook = json!({"name": "hook", "url": hooks.url, "event_types": ["tag.created"]});
    let webhook = caller.post("/api/v1/webhooks", &webhook).expect("it answers").expect(201).json();
    assert_eq!(running.stop(), Some(0));

    rig.set("POSTROOM_CHAOS", "die-before-delivered");
    for round in 1..=3 {
        let running = rig.start(&[]);
        // The first call of each further round is that of the round before.
        if round == 1 {
            tell(&running.caller().expect("it starts"), "first");
        }
        assert!(running.dies(), "it goes on");
        came(&hooks, round);
        let_claims_run_out(&rig);
    }

    rig.unset_all();
    allow(&mut rig);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    tell(&caller, "second");
    let calls = came(&hooks, 5);
    for again in &calls[1..4] {
        assert_eq!(again.header("webhook-id"), calls[0].header("webhook-id"));
        assert_eq!(again.body, calls[0].body);
    }
    assert_eq!(calls[4].json()["data"]["name"], "second");
    assert_ne!(calls[4].header("webhook-id"), calls[0].header("webhook-id"));
    let list = format!("/api/v1/webhooks/{}/deliveries", webhook["id"]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = caller.list(&list);
        let is_done = |row: &&Value| row["state"] == "delivered";
        if rows.iter().filter(is_done).count() == 2 && rows.len() == 2 {
            break;
        }
        assert!(Instant::now() < deadline, "not written down: {rows:?}");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(hooks.calls().len(), 5, "and no more than that");
    assert_eq!(running.stop(), Some(0));
}
