//! A daemon that dies in a job, in the midst of a piece and between two: what is done stays, what was not is done
//! later, and nothing twice.

use crate::rig::{Caller, PATIENCE, Rig, maildir};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};
use support::workdir::WorkDir;

/// As many as a job works on in three pieces.
const CONVERSATIONS: usize = 45;

fn begin(caller: &Caller) {
    let mailbox = json!({"name": "Orders", "address": "orders@example.org", "source": {"type": "push"},
        "delivery": {"type": "sink"}});
    let mailbox = caller.post("/api/v1/mailboxes", &mailbox).expect("it answers").expect(201).json();
    let one = |number| {
        json!({"mailbox_id": mailbox["id"], "subject": format!("Order {number}"),
            "customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "Where is it?"}})
    };
    let all = json!({"conversations": (0..CONVERSATIONS).map(one).collect::<Vec<_>>()});
    caller.post("/api/v1/conversations/batch", &all).expect("it answers").expect(200);
}

fn over(caller: &Caller) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut jobs = caller.list("/api/v1/jobs");
        assert_eq!(jobs.len(), 1);
        let job = jobs.remove(0);
        if !job["finished_at"].is_null() {
            return job;
        }
        assert!(Instant::now() < deadline, "it does not end: {job}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_job_goes_on_wherever_its_daemon_dies() {
    let none = WorkDir::new("maildir");
    support::maildir::make(none.path(), None);
    let mut rig = Rig::new(&maildir(none.path()));
    let running = rig.start(&[]);
    begin(&running.caller().expect("it starts"));
    assert_eq!(running.stop(), Some(0));

    // Twice in the midst of the first piece, of which nothing stays; then behind each of three.
    for (start, at) in ["in", "in", "after", "after", "after"].into_iter().enumerate() {
        rig.set("POSTROOM_CHAOS", &format!("die-{at}-piece"));
        let running = rig.start(&[]);
        if start == 0 {
            let bulk =
                json!({"select": {"q": "is:open"}, "patch": {"status": "closed", "tags": {"add": ["done"]}}});
            // It may be gone before it answers.
            drop(running.caller().expect("it starts").post("/api/v1/conversations/bulk", &bulk));
        }
        assert!(running.dies(), "it goes on");
    }

    rig.unset_all();
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    let job = over(&caller);
    let counts = ["total", "succeeded", "changed", "failed"].map(|name| job[name].as_u64());
    let all = Some(CONVERSATIONS as u64);
    assert_eq!((&job["status"], counts), (&json!("completed"), [all, all, all, Some(0)]));
    for kind in ["conversation.status_changed", "conversation.tagged"] {
        let mut told: HashMap<String, usize> = HashMap::new();
        for event in caller.events().iter().filter(|event| event["type"] == kind) {
            *told.entry(event["conversation_id"].to_string()).or_default() += 1;
        }
        assert_eq!(told.len(), CONVERSATIONS, "{kind}");
        assert!(told.values().all(|times| *times == 1), "{kind}: {told:?}");
    }
    assert_eq!(running.stop(), Some(0));
}
