//! Conversations as wholes: into the trash and out of it, merged into another, split in two.

use crate::mailing::*;
use crate::problems::{faults, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::{TestMail, mail};

fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@acme.example>").subject("Printer on fire").text(text)
}

fn eve(text: &str) -> TestMail {
    mail().from("Eve <eve@elsewhere.example>").subject("Her printer").text(text)
}

fn path(conversation: i64) -> String {
    format!("/api/v1/conversations/{conversation}")
}

async fn act(http: &Http, conversation: i64, what: &str, body: Value) -> Answer {
    http.post(&format!("{}/{what}", path(conversation)), &body).await
}

async fn merge(http: &Http, from: i64, into: i64) -> Answer {
    act(http, from, "merge", json!({"into": into})).await
}

async fn split(http: &Http, from: i64, messages: &[i64]) -> Answer {
    act(http, from, "split", json!({"message_ids": messages})).await
}

async fn undo(http: &Http, transfer: &Value) -> Answer {
    http.post(&format!("/api/v1/transfers/{}/undo", transfer["id"]), &Value::Null).await
}

async fn ids(desk: &TestDesk, conversation: i64) -> Vec<i64> {
    messages(desk, conversation).await.iter().map(|message| number(&message["id"])).collect()
}

/// How often a kind of event is told of a conversation.
async fn told(desk: &TestDesk, conversation: i64, kind: &str) -> usize {
    let activity = list(desk, &format!("{}/activity?limit=100", path(conversation))).await;
    activity.iter().filter(|event| event["type"] == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_holds_a_conversation_until_it_is_restored() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let question = ada("It burns.");
    let landed = arrive(&desk, mailbox, &question).await;
    let before = desk.http.get(&path(landed.conversation)).await.expect(200);
    let seen = before.header("etag").expect("it has a version").to_owned();

    let stale = desk.http.send("DELETE", &path(landed.conversation), &[("If-Match", "\"c1-99\"")], b"").await;
    problem(&stale, 412, "version_conflict");
    let gone = desk.http.send("DELETE", &path(landed.conversation), &[("If-Match", &seen)], b"").await;
    assert_eq!((gone.expect(204).body.len(), conversations(&desk).await.len()), (0, 0), "it is in no list");
    let trashed = conversation(&desk, landed.conversation).await;
    assert!(trashed["deleted_at"].is_string(), "{trashed}");
    // Again: it is done already, and nobody is told twice.
    desk.http.delete(&path(landed.conversation)).await.expect(204);
    assert_eq!(conversation(&desk, landed.conversation).await, trashed);
    assert_eq!(told(&desk, landed.conversation, "conversation.deleted").await, 1);
    // Nothing in it can be changed.
    let note = json!({"kind": "note", "text": "x"});
    problem(&act(&desk.http, landed.conversation, "messages", note.clone()).await, 409, "state_conflict");
    problem(&act(&desk.http, landed.conversation, "spam", Value::Null).await, 409, "state_conflict");
    let closed = json!({"status": "closed"});
    problem(&desk.http.patch(&path(landed.conversation), &closed).await, 409, "state_conflict");
    // Who answers to it begins anew.
    let after = arrive(&desk, mailbox, &ada("Hello?").in_reply_to(&question.id())).await;
    assert_ne!(after.conversation, landed.conversation);
    problem(&merge(&desk.http, after.conversation, landed.conversation).await, 409, "state_conflict");

    let back = act(&desk.http, landed.conversation, "restore", Value::Null).await.expect(200);
    let (back, was) = (back.json(), before.json());
    for member in ["status", "waiting_on", "assignee_id", "message_count", "deleted_at", "closed_at"] {
        assert_eq!(back[member], was[member], "{member}");
    }
    assert_eq!(conversations(&desk).await.len(), 2);
    act(&desk.http, landed.conversation, "restore", Value::Null).await.expect(200);
    assert_eq!(told(&desk, landed.conversation, "conversation.restored").await, 1);
    act(&desk.http, landed.conversation, "messages", note).await.expect(201);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_leave_out_of_the_trash_is_a_draft() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let landed = arrive(&desk, mailbox, &ada("It burns.")).await;
    let held = reply_with(
        &desk,
        landed.conversation,
        json!({"kind": "reply", "text": "Water!", "undo_seconds": 60}),
    )
    .await;
    desk.http.delete(&path(landed.conversation)).await.expect(204);
    pass(&desk, std::time::Duration::from_secs(61)).await;
    let held = number(&held["id"]);
    desk.until(|| async { message(&desk, held).await["unsent"]["reason"].is_string().then_some(()) }).await;
    let drafted = message(&desk, held).await;
    assert_eq!(drafted["unsent"]["state"], "draft", "{drafted}");
    assert!(drafted["unsent"]["reason"].as_str().is_some_and(|why| why.contains("trash")), "{drafted}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_takes_the_right_to_answer() {
    let desk = TestDesk::start().await;
    let ours = pushed(&desk, json!({})).await;
    let theirs = pushed(&desk, json!({"name": "Theirs", "address": "theirs@example.org"})).await;
    let (here, there) =
        (arrive(&desk, ours, &ada("Here.")).await, arrive(&desk, theirs, &ada("There.")).await);
    let narrow = desk.client(&[Scope::ConversationsWrite], &[ours]).await;
    problem(&narrow.delete(&path(there.conversation)).await, 404, "not_found");
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&reader.delete(&path(here.conversation)).await, 403, "insufficient_scope");
    let agent =
        json!({"name": "Amy", "email": "amy@example.org", "grants": [{"mailbox_id": ours, "level": "read"}]});
    let agent = number(&desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"]);
    let amy = desk.client_of_agent(agent).await;
    problem(&amy.delete(&path(here.conversation)).await, 403, "forbidden");
    narrow.delete(&path(here.conversation)).await.expect(204);
    problem(&amy.post(&format!("{}/restore", path(here.conversation)), &Value::Null).await, 403, "forbidden");
    act(&narrow, here.conversation, "restore", Value::Null).await.expect(200);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_conversations_become_one_and_two_again() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (a, b) = (ada("One."), eve("Two."));
    let (one, two) = (arrive(&desk, mailbox, &a).await, arrive(&desk, mailbox, &b).await);
    let note = reply_with(&desk, two.conversation, json!({"kind": "note", "text": "The same fire."})).await;
    let was = conversation(&desk, one.conversation).await;
    for (into, code) in [(two.conversation, "same"), (999, "not_found")] {
        let refused = merge(&desk.http, two.conversation, into).await;
        assert_eq!(faults(&refused), [("/into".to_owned(), code.to_owned())]);
    }

    let answer = merge(&desk.http, two.conversation, one.conversation).await.expect(201);
    let merged = answer.json();
    assert!(
        answer.header("location").is_some_and(|link| link.ends_with(&format!("/transfers/{}", merged["id"])))
    );
    assert_eq!((&merged["reason"], &merged["from_was_merged"]), (&json!("merged"), &json!(true)), "{merged}");
    assert_eq!(merged["invited"], json!(["eve@elsewhere.example"]));
    assert_eq!(ids(&desk, one.conversation).await, [one.message, two.message, number(&note["id"])]);
    assert_eq!(conversation(&desk, two.conversation).await["merged_into"], one.conversation);
    assert_eq!(conversations(&desk).await.len(), 1);
    for id in [one.conversation, two.conversation] {
        assert_eq!(told(&desk, id, "conversation.merged").await, 1);
    }
    let shown = conversation(&desk, one.conversation).await;
    for kept in ["subject", "customer_id", "assignee_id", "tags"] {
        assert_eq!(shown[kept], was[kept], "{kept}");
    }
    // It is gone: neither can it be merged again, nor is anything merged into it.
    problem(&merge(&desk.http, two.conversation, one.conversation).await, 409, "state_conflict");
    problem(&merge(&desk.http, one.conversation, two.conversation).await, 409, "state_conflict");
    problem(&desk.http.delete(&path(two.conversation)).await, 409, "state_conflict");
    undo(&desk.http, &merged).await.expect(200);
    assert_eq!(ids(&desk, one.conversation).await, [one.message]);
    assert_eq!(ids(&desk, two.conversation).await, [two.message, number(&note["id"])]);
    assert_eq!(conversation(&desk, two.conversation).await["merged_into"], Value::Null);

    // Merged for good: what she answers comes after it.
    merge(&desk.http, two.conversation, one.conversation).await.expect(201);
    let more = arrive(&desk, mailbox, &eve("And?").in_reply_to(&b.id())).await;
    assert_eq!(more.conversation, one.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_get_a_conversation_of_their_own_and_come_back() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({"threading": {"strangers": "append"}})).await;
    let question = ada("One matter.");
    let first = arrive(&desk, mailbox, &question).await;
    let hers = eve("Mine as well.").in_reply_to(&question.id());
    let second = arrive(&desk, mailbox, &hers).await;
    let third = arrive(&desk, mailbox, &eve("Burns, too.").in_reply_to(&hers.id())).await;
    let (one, other) = (first.conversation, arrive(&desk, mailbox, &ada("Else.").subject("Scanner")).await);
    let draft = reply_with(&desk, one, json!({"kind": "reply", "text": "Water!", "draft": true})).await;
    for (named, wanted) in [
        (vec![], vec![("/message_ids", "required")]),
        (vec![other.message], vec![("/message_ids/0", "not_found")]),
        (
            vec![second.message, second.message, 999],
            vec![("/message_ids/1", "twice"), ("/message_ids/2", "not_found")],
        ),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|(at, code)| ((*at).to_owned(), (*code).to_owned())).collect();
        assert_eq!(faults(&split(&desk.http, one, &named).await), wanted, "{named:?}");
    }
    let all = [first.message, second.message, third.message];
    problem(&split(&desk.http, one, &all).await, 409, "state_conflict");
    problem(&split(&desk.http, one, &[number(&draft["id"])]).await, 409, "state_conflict");

    let done = split(&desk.http, one, &[third.message, second.message]).await.expect(201).json();
    assert_eq!((&done["reason"], &done["from_id"]), (&json!("split"), &json!(one)), "{done}");
    assert_eq!(done["message_ids"], json!([second.message, third.message]));
    let new = number(&done["to_id"]);
    assert_eq!(ids(&desk, new).await, [second.message, third.message]);
    assert_eq!(ids(&desk, one).await, [first.message, number(&draft["id"])]);
    let shown = conversation(&desk, new).await;
    assert_eq!((&shown["subject"], &shown["status"]), (&json!("Her printer"), &json!("open")));
    assert_ne!(shown["customer_id"], conversation(&desk, one).await["customer_id"]);
    for (id, kind, times) in
        [(new, "conversation.created", 1), (new, "message.moved", 2), (one, "message.moved", 2)]
    {
        assert_eq!(told(&desk, id, kind).await, times, "{kind} of {id}");
    }
    undo(&desk.http, &done).await.expect(200);
    assert_eq!(ids(&desk, one).await, [first.message, second.message, third.message, number(&draft["id"])]);
    assert_eq!(conversation(&desk, new).await["merged_into"], one);

    let again = split(&desk.http, one, &[second.message, third.message]).await.expect(201).json();
    let follows = arrive(&desk, mailbox, &eve("And?").in_reply_to(&hers.id())).await;
    assert_eq!(json!(follows.conversation), again["to_id"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_messages_are_split_off_and_no_more() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &ada("Many matters.")).await.conversation;
    let mut notes = Vec::new();
    for number_of in 0..101 {
        let note = reply_with(&desk, at, json!({"kind": "note", "text": format!("Note {number_of}")})).await;
        notes.push(number(&note["id"]));
    }
    let refused = split(&desk.http, at, &notes).await;
    assert_eq!(faults(&refused), [("/message_ids".to_owned(), "too_many".to_owned())]);
    let done = split(&desk.http, at, &notes[..100]).await.expect(201).json();
    assert_eq!(conversation(&desk, number(&done["to_id"])).await["message_count"], 100);
    assert_eq!(conversation(&desk, at).await["message_count"], 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_the_right_to_answer_in_both() {
    let desk = TestDesk::start().await;
    let ours = pushed(&desk, json!({"group": "front"})).await;
    let theirs =
        pushed(&desk, json!({"name": "Theirs", "address": "theirs@example.org", "group": "front"})).await;
    let apart = pushed(&desk, json!({"name": "Apart", "address": "apart@example.org"})).await;
    let here = arrive(&desk, ours, &ada("Here.")).await;
    let there = arrive(&desk, theirs, &ada("There.")).await;
    let away = arrive(&desk, apart, &ada("Away.")).await;
    let narrow = desk.client(&[Scope::ConversationsWrite], &[ours]).await;
    problem(&merge(&narrow, there.conversation, here.conversation).await, 404, "not_found");
    problem(&split(&narrow, there.conversation, &[there.message]).await, 404, "not_found");
    let (hidden, unknown) = (
        merge(&narrow, here.conversation, there.conversation).await,
        merge(&narrow, here.conversation, 999).await,
    );
    assert_eq!(faults(&hidden), faults(&unknown), "one can't tell what is hidden from what is not there");
    let refused = merge(&desk.http, here.conversation, away.conversation).await;
    assert_eq!(faults(&refused), [("/into".to_owned(), "another_group".to_owned())]);
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&merge(&reader, here.conversation, there.conversation).await, 403, "insufficient_scope");
    problem(&split(&reader, here.conversation, &[here.message]).await, 403, "insufficient_scope");
    let both = desk.client(&[Scope::ConversationsWrite], &[ours, theirs]).await;
    merge(&both, here.conversation, there.conversation).await.expect(201);
    desk.stop().await;
}
