//! Where messages are, mended: moved, a suggested link accepted, and each taken back in one step.

use crate::mailing::*;
use crate::problems::problem;
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

async fn move_to(http: &Http, message: i64, to: Value) -> Answer {
    http.post(&format!("/api/v1/messages/{message}/move"), &json!({"to": to})).await
}

async fn accept(http: &Http, conversation: i64, related: i64) -> Answer {
    let path = format!("/api/v1/conversations/{conversation}/accept-link");
    http.post(&path, &json!({"related_id": related})).await
}

async fn undo(http: &Http, transfer: &Value) -> Answer {
    http.post(&format!("/api/v1/transfers/{}/undo", transfer["id"]), &Value::Null).await
}

/// What a conversation shows of its messages and its state.
async fn figures(desk: &TestDesk, id: i64) -> Value {
    let shown = conversation(desk, id).await;
    let there: Vec<Value> = messages(desk, id).await.iter().map(|message| message["id"].clone()).collect();
    json!({
        "messages": there, "count": shown["message_count"], "status": shown["status"],
        "waiting_on": shown["waiting_on"], "merged_into": shown["merged_into"],
    })
}

async fn kinds(desk: &TestDesk, id: i64) -> Vec<String> {
    let activity = list(desk, &format!("/api/v1/conversations/{id}/activity?limit=100")).await;
    activity.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_moved_and_its_answers_follow() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (wrong, stray) = (ada("One matter."), ada("Another matter."));
    let one = arrive(&desk, mailbox, &wrong).await;
    let stray_at = arrive(&desk, mailbox, &stray.clone().in_reply_to(&wrong.id())).await;
    let two = arrive(&desk, mailbox, &ada("The other one.").subject("Scanner")).await;
    assert_eq!(stray_at.conversation, one.conversation);
    let before = [figures(&desk, one.conversation).await, figures(&desk, two.conversation).await];

    let moved = move_to(&desk.http, stray_at.message, json!(two.conversation)).await.expect(201);
    assert!(moved.header("location").is_some());
    let moved = moved.json();
    assert_eq!((&moved["from_id"], &moved["to_id"]), (&json!(one.conversation), &json!(two.conversation)));
    assert_eq!(moved["message_ids"], json!([stray_at.message]));
    assert_eq!(message(&desk, stray_at.message).await["conversation_id"], two.conversation);
    assert_eq!(figures(&desk, one.conversation).await["messages"], json!([one.message]));
    let there = figures(&desk, two.conversation).await;
    assert_eq!(there["messages"], json!([stray_at.message, two.message]));
    assert_eq!((&there["count"], &there["waiting_on"]), (&json!(2), &json!("us")));
    let why = decision(&desk, stray_at.message).await;
    assert_eq!(why["moved_from"], one.conversation, "{why}");
    for id in [one.conversation, two.conversation] {
        assert!(kinds(&desk, id).await.contains(&"message.moved".to_owned()));
    }

    // Taken back in one step, once.
    let undone = undo(&desk.http, &moved).await.expect(200).json();
    assert!(undone["undone_at"].is_string(), "{undone}");
    assert_eq!([figures(&desk, one.conversation).await, figures(&desk, two.conversation).await], before);
    assert_eq!(decision(&desk, stray_at.message).await["moved_from"], Value::Null);
    problem(&undo(&desk.http, &moved).await, 409, "state_conflict");

    // Moved again: what answers it comes after it, what answers the other one stays.
    let moved = move_to(&desk.http, stray_at.message, json!(two.conversation)).await.expect(201).json();
    let follows = arrive(&desk, mailbox, &ada("And?").references(&[&wrong.id(), &stray.id()])).await;
    assert_eq!(follows.conversation, two.conversation);
    let stays = arrive(&desk, mailbox, &ada("Hm.").in_reply_to(&wrong.id())).await;
    assert_eq!(stays.conversation, one.conversation);
    // By now things have moved on.
    problem(&undo(&desk.http, &moved).await, 409, "state_conflict");
    assert_eq!(figures(&desk, two.conversation).await["count"], 3);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_gets_a_conversation_of_its_own() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({"threading": {"strangers": "append"}})).await;
    let question = ada("One matter.");
    let one = arrive(&desk, mailbox, &question).await;
    let other = arrive(&desk, mailbox, &eve("Mine as well.").in_reply_to(&question.id())).await;
    assert_eq!(other.conversation, one.conversation);
    let tag = message_tag(&desk, other.message).await;
    let moved = move_to(&desk.http, other.message, json!("new")).await.expect(201).json();
    let alone = number(&moved["to_id"]);
    let shown = conversation(&desk, alone).await;
    assert_eq!((&shown["subject"], &shown["status"]), (&json!("Her printer"), &json!("open")));
    assert_ne!(shown["customer_id"], conversation(&desk, one.conversation).await["customer_id"]);
    problem(&move_to(&desk.http, other.message, json!("new")).await, 409, "state_conflict");
    // Who saw it as it was is refused.
    let path = format!("/api/v1/messages/{}/move", other.message);
    let headers = [("Content-Type", "application/json"), ("If-Match", tag.as_str())];
    let body = json!({"to": one.conversation}).to_string();
    let stale = desk.http.send("POST", &path, &headers, body.as_bytes()).await;
    problem(&stale, 412, "version_conflict");
    // Back again: the one that was begun is empty, and leads to where its message went.
    undo(&desk.http, &moved).await.expect(200);
    assert_eq!(conversation(&desk, alone).await["merged_into"], one.conversation);
    assert_eq!(conversations(&desk).await.len(), 1, "a merged one is in no list");
    for (to, pointer) in
        [(json!(0), "/to"), (json!("old"), "/to"), (json!(one.conversation), "/to"), (json!(999), "/to")]
    {
        let refused = move_to(&desk.http, other.message, to.clone()).await;
        let found = problem(&refused, 422, "validation_failed");
        assert_eq!(found["errors"][0]["pointer"], pointer, "{to}: {found}");
    }
    desk.stop().await;
}

async fn message_tag(desk: &TestDesk, message: i64) -> String {
    let answer = desk.http.get(&format!("/api/v1/messages/{message}")).await.expect(200);
    answer.header("etag").expect("a message has a version").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_a_link_lets_the_sender_in_and_sends_nothing() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let question = ada("It burns.");
    let first = arrive(&desk, mailbox, &question).await;
    let answer = reply(&desk, first.conversation, "Water!").await;
    delivered(&desk, &answer, "sent").await;
    set_status(&desk, first.conversation, "closed").await;
    let knock = eve("She gave me this.").in_reply_to(&id_of(&answer)).cc("friend@elsewhere.example");
    let outside = arrive(&desk, mailbox, &knock).await;
    let more = arrive(&desk, mailbox, &eve("Hello?").in_reply_to(&knock.id())).await;
    assert_eq!(more.conversation, outside.conversation);
    assert_ne!(outside.conversation, first.conversation);
    let before = [figures(&desk, outside.conversation).await, figures(&desk, first.conversation).await];

    problem(&accept(&desk.http, first.conversation, outside.conversation).await, 404, "not_found");
    let taken = accept(&desk.http, outside.conversation, first.conversation).await.expect(201).json();
    assert_eq!((&taken["reason"], &taken["from_was_merged"]), (&json!("accepted"), &json!(true)));
    assert_eq!(taken["invited"], json!(["eve@elsewhere.example"]), "whom she copied is nobody here");
    let now = figures(&desk, first.conversation).await;
    assert_eq!((&now["count"], &now["status"]), (&json!(4), &json!("open")), "somebody asks");
    assert_eq!(figures(&desk, outside.conversation).await["merged_into"], first.conversation);
    assert!(kinds(&desk, first.conversation).await.contains(&"conversation.merged".to_owned()));
    let replies = messages(&desk, first.conversation).await;
    let leaving = replies.iter().filter(|message| !message["delivery"].is_null()).count();
    assert_eq!(leaving, 1, "nothing leaves by it");

    undo(&desk.http, &taken).await.expect(200);
    assert_eq!(
        [figures(&desk, outside.conversation).await, figures(&desk, first.conversation).await],
        before
    );
    assert!(kinds(&desk, outside.conversation).await.contains(&"conversation.separated".to_owned()));
    let again = arrive(&desk, mailbox, &eve("Still here.").in_reply_to(&id_of(&answer))).await;
    assert_eq!(again.conversation, outside.conversation, "she is a stranger again");

    accept(&desk.http, outside.conversation, first.conversation).await.expect(201);
    let inside = arrive(&desk, mailbox, &eve("Thanks.").in_reply_to(&id_of(&answer))).await;
    assert_eq!(inside.conversation, first.conversation);
    assert_eq!(decision(&desk, inside.message).await["sender_class"], "P2");
    // What still names the one that went is led after it.
    let late = arrive(&desk, mailbox, &eve("And.").in_reply_to(&knock.id())).await;
    assert_eq!(late.conversation, first.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_desk_joined_can_be_taken_apart() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (a, b) = (ada("a"), ada("b"));
    let one = arrive(&desk, mailbox, &a).await;
    let two = arrive(&desk, mailbox, &b).await;
    assert_ne!(one.conversation, two.conversation);
    let tie = arrive(&desk, mailbox, &ada("c").references(&[&a.id(), &b.id()])).await;
    assert_eq!(tie.conversation, one.conversation);
    assert_eq!(decision(&desk, tie.message).await["joined"], json!([two.conversation]));
    assert_eq!(figures(&desk, two.conversation).await["merged_into"], one.conversation);
    assert_eq!(
        figures(&desk, one.conversation).await["messages"],
        json!([one.message, two.message, tie.message])
    );
    let activity =
        list(&desk, &format!("/api/v1/conversations/{}/activity?limit=100", two.conversation)).await;
    let joined = activity.iter().find(|event| event["type"] == "conversation.merged").expect("it is told");
    assert_eq!(joined["data"]["reason"], "joined");
    // Something came since, so the message itself is what can be moved.
    let transfer = json!({"id": joined["data"]["transfer_id"]});
    problem(&undo(&desk.http, &transfer).await, 409, "state_conflict");
    move_to(&desk.http, two.message, json!("new")).await.expect(201);
    // What an agent has worked on is not joined again.
    let tie = arrive(&desk, mailbox, &ada("d").references(&[&a.id(), &b.id()])).await;
    assert_eq!(decision(&desk, tie.message).await["joined"], json!([]));
    assert_eq!(conversations(&desk).await.len(), 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_the_right_to_answer_in_both() {
    let desk = TestDesk::start().await;
    let ours = pushed(&desk, json!({"group": "front"})).await;
    let theirs =
        pushed(&desk, json!({"name": "Theirs", "address": "theirs@example.org", "group": "front"})).await;
    let apart = pushed(&desk, json!({"name": "Apart", "address": "apart@example.org"})).await;
    let here = arrive(&desk, ours, &ada("Here.")).await;
    let there = arrive(&desk, theirs, &ada("There.")).await;
    let away = arrive(&desk, apart, &ada("Away.")).await;
    let scopes = [Scope::ConversationsWrite];
    let narrow = desk.client(&scopes, &[ours]).await;
    problem(&move_to(&narrow, there.message, json!(here.conversation)).await, 404, "not_found");
    let refused = move_to(&narrow, here.message, json!(there.conversation)).await;
    let unknown = move_to(&narrow, here.message, json!(999)).await;
    assert_eq!(
        problem(&refused, 422, "validation_failed")["errors"],
        problem(&unknown, 422, "validation_failed")["errors"]
    );
    let refused = move_to(&desk.http, here.message, json!(away.conversation)).await;
    assert_eq!(problem(&refused, 422, "validation_failed")["errors"][0]["code"], "another_group");
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&move_to(&reader, here.message, json!(there.conversation)).await, 403, "insufficient_scope");
    // Across two mailboxes of one group, by who answers in both; who sees one sees nothing of it.
    let both = desk.client(&scopes, &[ours, theirs]).await;
    let moved = move_to(&both, here.message, json!(there.conversation)).await.expect(201).json();
    problem(&narrow.get(&format!("/api/v1/transfers/{}", moved["id"])).await, 404, "not_found");
    problem(&undo(&narrow, &moved).await, 404, "not_found");
    problem(&narrow.get(&format!("/api/v1/messages/{}", here.message)).await, 404, "not_found");
    both.get(&format!("/api/v1/transfers/{}", moved["id"])).await.expect(200);
    undo(&both, &moved).await.expect(200);
    narrow.get(&format!("/api/v1/messages/{}", here.message)).await.expect(200);
    desk.stop().await;
}
