//! The same change of many conversations: by a job, once to each, and by what its caller may do.

use crate::concurrency::{self, Desks, two_desks};
use crate::mailing::sql;
use crate::problems::problem;
use postroom_core::access::Scope;
use postroom_core::actor::{Actor, ActorType};
use postroom_core::conversation::{ConversationFilter, ConversationSort, Status};
use postroom_core::cx::Cx;
use postroom_core::desk::Desk;
use postroom_core::id::{JobId, TokenId};
use postroom_core::job::{BulkPatch, Job, JobStatus};
use postroom_core::operations::conversations;
use postroom_core::operations::jobs::{self, Bulk, Next, Select};
use postroom_core::operations::tokens::{self, AuthError, NewToken};
use postroom_core::page::PageRequest;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;

const PATH: &str = "/api/v1/conversations/bulk";

/// Conversations of a mailbox, newest last.
async fn begun(desk: &TestDesk, mailbox: i64, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in (0..count).collect::<Vec<_>>().chunks(100) {
        let one = |number: &usize| {
            json!({"mailbox_id": mailbox, "subject": format!("Order {number}"),
            "customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "Where is it?"}})
        };
        let body = json!({"conversations": batch.iter().map(one).collect::<Vec<_>>()});
        let done = desk.http.post("/api/v1/conversations/batch", &body).await.expect(200).json();
        let results = done["results"].as_array().expect("a list").clone();
        ids.extend(results.iter().map(|result| result["id"].as_i64().expect("a number")));
    }
    ids
}

/// The job when it has come to its end.
async fn over(desk: &TestDesk, http: &Http, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"));
    desk.until(|| async {
        let job = http.get(&path).await.expect(200).json();
        (!job["finished_at"].is_null()).then_some(job)
    })
    .await
}

async fn change(desk: &TestDesk, select: Value, patch: Value, dry_run: bool) -> Value {
    let body = json!({"select": select, "patch": patch, "dry_run": dry_run});
    let job = desk.http.post(PATH, &body).await.expect(202);
    let location = job.header("location").expect("where it is").to_owned();
    let job = job.json();
    assert!(location.ends_with(&format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"))));
    over(desk, &desk.http, &job).await
}

fn counts(job: &Value) -> [i64; 4] {
    ["total", "succeeded", "changed", "failed"].map(|name| job[name].as_i64().expect("a number"))
}

async fn conversation(desk: &TestDesk, id: i64) -> Value {
    desk.http.get(&format!("/api/v1/conversations/{id}")).await.expect(200).json()
}

#[tokio::test]
async fn what_a_query_finds_is_changed_once_and_a_dry_run_changes_nothing() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let ids = begun(&desk, mailbox, 45).await;
    desk.http
        .patch(&format!("/api/v1/conversations/{}", ids[0]), &json!({"status": "closed"}))
        .await
        .expect(200);
    desk.http
        .patch(
            &format!("/api/v1/conversations/{}", ids[1]),
            &json!({"priority": "high", "tags": ["old", "late"]}),
        )
        .await
        .expect(200);
    let patch = json!({"priority": "high", "tags": {"add": ["late"], "remove": ["nothing"]}});
    let before = desk.http.get("/api/v1/conversations?limit=100").await.expect(200).json();
    let types = desk.event_types().await.len();
    let tried = change(&desk, json!({"q": "is:open"}), patch.clone(), true).await;
    assert_eq!((tried["status"].as_str(), counts(&tried)), (Some("completed"), [44, 44, 43, 0]));
    assert_eq!(desk.http.get("/api/v1/conversations?limit=100").await.expect(200).json(), before);
    let told: Value =
        desk.http.get("/api/v1/events?after=0&limit=100&types=job.finished").await.expect(200).json();
    assert_eq!(told["data"].as_array().map(Vec::len), Some(1), "{types} events before");
    assert_eq!(
        desk.http.get("/api/v1/tags?limit=100").await.expect(200).json()["data"].as_array().map(Vec::len),
        Some(2)
    );

    let done = change(&desk, json!({"q": "is:open"}), patch.clone(), false).await;
    assert_eq!((done["status"].as_str(), counts(&done)), (Some("completed"), [44, 44, 43, 0]));
    for id in &ids[1..] {
        let seen = conversation(&desk, *id).await;
        assert_eq!(seen["priority"], json!("high"));
        assert!(seen["tags"].as_array().expect("a list").contains(&json!("late")));
    }
    assert_eq!(conversation(&desk, ids[0]).await["priority"], json!("normal"), "it was closed");
    assert_eq!(counts(&change(&desk, json!({"q": "is:open"}), patch, false).await), [44, 44, 0, 0]);
    let items = desk
        .http
        .get(&format!("{}?limit=100&state=unchanged&count=true", done["results_url"].as_str().unwrap()))
        .await;
    let items = items.expect(200).json();
    assert_eq!((&items["data"][0]["conversation_id"], &items["page"]["total"]), (&json!(ids[1]), &json!(1)));
    desk.stop().await;
}

#[tokio::test]
async fn each_that_is_refused_is_told_and_leaves_the_others() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let ids = begun(&desk, mailbox, 4).await;
    desk.http.delete(&format!("/api/v1/conversations/{}", ids[1])).await.expect(204);
    let done = change(&desk, json!({"ids": ids}), json!({"status": "spam"}), false).await;
    assert_eq!(counts(&done), [4, 3, 3, 1]);
    assert_eq!(done["errors"][0]["conversation_id"], json!(ids[1]));
    assert_eq!(done["errors"][0]["code"], json!("state_conflict"));
    let back = change(&desk, json!({"ids": ids}), json!({"trash": false, "status": "open"}), false).await;
    assert_eq!(counts(&back), [4, 4, 4, 0]);
    assert_eq!(conversation(&desk, ids[1]).await["deleted_at"], Value::Null);
    let gone = change(&desk, json!({"ids": ids}), json!({"status": "closed", "trash": true}), false).await;
    assert_eq!(counts(&gone), [4, 4, 4, 0]);
    let seen = conversation(&desk, ids[3]).await;
    assert!(seen["status"] == json!("closed") && !seen["deleted_at"].is_null());
    desk.stop().await;
}

#[tokio::test]
async fn bad_input_begins_nothing() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let theirs = desk.mailbox("Theirs", "theirs@example.org").await;
    let own = begun(&desk, ours, 2).await;
    let foreign = begun(&desk, theirs, 1).await[0];
    let narrow = desk.client(Scope::ALL, &[ours]).await;
    let close = json!({"status": "closed"});
    let many: Vec<i64> = (1..=101).collect();
    for (select, patch, pointer, code) in [
        (json!({}), close.clone(), "/select", "required"),
        (json!({"ids": own, "q": "is:open"}), close.clone(), "/select", "ambiguous"),
        (json!({"ids": []}), close.clone(), "/select/ids", "required"),
        (json!({"ids": many}), close.clone(), "/select/ids", "too_many"),
        (json!({"ids": [own[0], own[0]]}), close.clone(), "/select/ids/1", "duplicate"),
        (json!({"ids": [own[0], foreign, own[1]]}), close.clone(), "/select/ids/1", "not_found"),
        (json!({"q": " "}), close.clone(), "/select/q", "required"),
        (json!({"q": "is:open"}), json!({}), "/patch", "required"),
        (json!({"q": "is:open"}), json!({"status": "snoozed"}), "/patch/status", "not_settable"),
        (json!({"q": "is:open"}), json!({"assignee_id": 77}), "/patch/assignee_id", "not_found"),
        (json!({"q": "is:open"}), json!({"tags": {"add": ["a,b"]}}), "/patch/tags/add/0", "comma"),
    ] {
        let answer = narrow.post(PATH, &json!({"select": select, "patch": patch})).await;
        let told = problem(&answer, 422, "validation_failed");
        assert_eq!(
            (&told["errors"][0]["pointer"], &told["errors"][0]["code"]),
            (&json!(pointer), &json!(code))
        );
    }
    let odd = narrow.post(PATH, &json!({"select": {"q": "is:nothing"}, "patch": close})).await;
    problem(&odd, 400, "bad_query");
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    let body = json!({"select": {"ids": own}, "patch": close});
    problem(&reader.post(PATH, &body).await, 403, "insufficient_scope");
    assert_eq!(desk.http.get("/api/v1/jobs").await.expect(200).json()["data"], json!([]));

    // A query finds no more than its caller sees, and who began a job is who sees it.
    let job =
        narrow.post(PATH, &json!({"select": {"q": "is:open"}, "patch": close})).await.expect(202).json();
    let done = over(&desk, &narrow, &job).await;
    assert_eq!(counts(&done), [2, 2, 2, 0]);
    assert_eq!(conversation(&desk, foreign).await["status"], json!("open"));
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"));
    desk.http.get(&path).await.expect(200);
    problem(&reader.get(&path).await, 404, "not_found");
    problem(&reader.get(&format!("{path}/items")).await, 404, "not_found");
    assert_eq!(reader.get("/api/v1/jobs").await.expect(200).json()["data"], json!([]));
    let other = desk.client(Scope::ALL, &[ours]).await;
    problem(&other.delete(&path).await, 404, "not_found");
    problem(&narrow.delete(&path).await, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test]
async fn a_job_goes_on_after_a_restart_and_does_nothing_twice() {
    let mut desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let ids = begun(&desk, mailbox, 300).await;
    let body = json!({"select": {"q": "is:open"}, "patch": {"status": "closed", "tags": {"add": ["done"]}}});
    let job = desk.http.post(PATH, &body).await.expect(202).json();
    desk.restart().await;
    let done = over(&desk, &desk.http, &job).await;
    assert_eq!(counts(&done), [300, 300, 300, 0]);
    for id in [ids[0], ids[150], ids[299]] {
        let activity =
            desk.http.get(&format!("/api/v1/conversations/{id}/activity?limit=100")).await.expect(200).json();
        let told: Vec<&str> = activity["data"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|event| event["type"].as_str())
            .collect();
        for kind in ["conversation.status_changed", "conversation.tagged"] {
            assert_eq!(told.iter().filter(|one| **one == kind).count(), 1, "{told:?}");
        }
    }
    desk.stop().await;
}

/// A desk without workers, thirty conversations on it, and somebody who has begun to close them all.
struct ByHand {
    desks: Desks,
    token: TokenId,
    actor: Actor,
    job: JobId,
}

impl ByHand {
    fn begin() -> Self {
        let desks = two_desks();
        let desk = &desks.both[0];
        let mailbox = concurrency::mailbox(desk);
        for number in 0..30 {
            concurrency::conversation(desk, mailbox, &format!("customer{number}@example.net"));
        }
        let new = NewToken {
            name: "bulk".to_owned(),
            agent_id: None,
            scopes: Scope::ALL.to_vec(),
            mailbox_ids: None,
            allowed_networks: None,
            expires_at: None,
        };
        let made = desk.write_here(&Actor::system(), |cx| tokens::create(cx, &new)).expect("a token");
        let actor = Actor { token_id: Some(made.0.id.clone()), kind: ActorType::Token, ..Actor::system() };
        let bulk = Bulk {
            select: Select::Query("is:open".to_owned()),
            patch: BulkPatch { status: Some(Status::Closed), ..BulkPatch::default() },
            dry_run: false,
        };
        let job = desk.write_here(&actor, |cx| jobs::begin(cx, &bulk)).expect("it begins").job.id;
        Self { token: made.0.id, desks, actor, job }
    }

    fn desk(&self) -> &Desk {
        &self.desks.both[0]
    }

    fn step(&self) -> Next {
        self.desk().write_here(&self.actor, |cx| jobs::step(cx, &self.job)).expect("a piece")
    }

    fn job(&self) -> Job {
        self.desk().read_here(&Actor::system(), |cx| jobs::find(cx, &self.job)).expect("it is there").job
    }

    fn closed(&self) -> usize {
        let filter = ConversationFilter { status: vec![Status::Closed], ..ConversationFilter::default() };
        let list = |cx: &mut Cx<'_>| {
            conversations::list(cx, &filter, ConversationSort::IdDescending, PageRequest::first(100))
        };
        self.desk().read_here(&Actor::system(), list).expect("a page").items.len()
    }
}

#[test]
fn a_revoked_token_ends_its_job() {
    let house = ByHand::begin();
    assert_eq!([house.step(), house.step()], [Next::Piece, Next::Piece], "what to do, and twenty of it");
    let desk = house.desk();
    desk.write_here(&Actor::system(), |cx| tokens::revoke(cx, &house.token)).expect("it is there");
    let bearer = house.desks.runtime.block_on(desk.bearer_of(house.token.clone()));
    assert!(matches!(bearer, Err(AuthError::Unknown)), "whoever goes on finds nobody to do it for");
    desk.write_here(&Actor::system(), |cx| jobs::refuse(cx, &house.job, "its token was revoked"))
        .expect("it ends");
    let job = house.job();
    assert_eq!((job.status, job.total, job.succeeded, house.closed()), (JobStatus::Failed, 30, 20, 20));
    assert_eq!(house.step(), Next::Nothing);
    assert_eq!(house.closed(), 20);
}

#[test]
fn a_job_can_be_broken_off() {
    let house = ByHand::begin();
    assert_eq!([house.step(), house.step()], [Next::Piece, Next::Piece]);
    for _ in 0..2 {
        let cancelled = house.desk().write_here(&house.actor, |cx| jobs::cancel(cx, &house.job, None));
        assert_eq!(cancelled.expect("it goes on").job.status, JobStatus::Cancelled);
    }
    assert_eq!(house.step(), Next::Nothing);
    let job = house.job();
    assert_eq!((job.status, job.total, job.changed, house.closed()), (JobStatus::Cancelled, 30, 20, 20));
}

/// By the daemon's own workers, whichever is first.
#[tokio::test]
async fn a_job_whose_token_is_gone_comes_to_an_end() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    begun(&desk, mailbox, 300).await;
    let narrow = desk.client(Scope::ALL, &[mailbox]).await;
    let body = json!({"select": {"q": "is:open"}, "patch": {"status": "closed"}});
    let job = narrow.post(PATH, &body).await.expect(202).json();
    sql(desk.config(), "UPDATE tokens SET revoked_at = created_at WHERE name = 'narrow'");
    let over = over(&desk, &desk.http, &job).await;
    let [_, succeeded, ..] = counts(&over);
    match over["status"].as_str() {
        Some("failed") => {
            assert!(over["reason"].as_str().is_some_and(|told| told.contains("revoked")), "{over}");
        }
        _ => assert_eq!((&over["status"], succeeded), (&json!("completed"), 300), "{over}"),
    }
    let closed = desk.http.get("/api/v1/conversations?status=closed&count=true").await.expect(200).json();
    assert_eq!(closed["page"]["total"], succeeded, "what is told is what was done");
    desk.stop().await;
}
