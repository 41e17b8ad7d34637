//! How far agents have read.

use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

const LIST: &str = "/api/v1/conversations";

struct Readers {
    desk: TestDesk,
    mailbox: i64,
    amy: Http,
    ben: Http,
}

/// A desk with two agents who joined an hour after `old` was written.
async fn readers() -> (Readers, i64) {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let old = arrive(&desk, mailbox, &mail().from("old@example.net").subject("Before")).await.conversation;
    desk.desk().advance_clock(Duration::from_secs(3_600));
    let mut clients = Vec::new();
    for name in ["amy", "ben"] {
        let body = json!({
            "name": name, "email": format!("{name}@example.org"), "role": "agent",
            "grants": [{"mailbox_id": mailbox, "level": "reply"}],
        });
        let agent = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
        clients.push(desk.client_of_agent(number(&agent["id"])).await);
    }
    let (Some(ben), Some(amy)) = (clients.pop(), clients.pop()) else { panic!("two agents") };
    (Readers { desk, mailbox, amy, ben }, old)
}

async fn unread(of: &Http) -> Vec<i64> {
    let by_filter = of.get(&format!("{LIST}?unread=true&count=true&sort=id")).await.expect(200).json();
    let by_query = of.get(&format!("{LIST}?q=is:unread&sort=id")).await.expect(200).json();
    assert_eq!(by_filter["data"], by_query["data"]);
    let found = ids(&by_filter["data"]);
    assert_eq!(by_filter["page"]["total"], json!(found.len()), "{by_filter}");
    let all = ids(&of.get(&format!("{LIST}?sort=id")).await.expect(200).json()["data"]);
    let read = ids(&of.get(&format!("{LIST}?unread=false&sort=id")).await.expect(200).json()["data"]);
    let not = ids(&of.get(&format!("{LIST}?q=-is:unread&sort=id")).await.expect(200).json()["data"]);
    assert_eq!(read, not);
    let rest: Vec<i64> = all.into_iter().filter(|id| !found.contains(id)).collect();
    assert_eq!(read, rest, "what is not unread is read");
    found
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|one| number(&one["id"])).collect()
}

async fn newest(of: &Http, conversation: i64) -> Value {
    of.get(&format!("{LIST}/{conversation}")).await.expect(200).json()["last_message_id"].clone()
}

async fn read(of: &Http, conversation: i64) {
    let body = json!({"message_id": newest(of, conversation).await});
    let mark = of.put(&format!("{LIST}/{conversation}/read-mark"), &body).await.expect(200).json();
    assert_eq!((&mark["unread"], &mark["message_id"]), (&json!(false), &body["message_id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_since_is_unread_to_each_agent_for_themselves() {
    let (Readers { desk, mailbox, amy, ben }, old) = readers().await;
    assert_eq!(unread(&amy).await, [] as [i64; 0], "what is older than the agent is no news");
    let ada = mail().from("ada@example.net").subject("Late order");
    let first = arrive(&desk, mailbox, &ada).await;
    let bob = arrive(&desk, mailbox, &mail().from("bob@example.net").subject("Bill")).await.conversation;
    assert_eq!(unread(&amy).await, [first.conversation, bob]);
    read(&amy, first.conversation).await;
    assert_eq!(unread(&amy).await, [bob]);
    assert_eq!(unread(&ben).await, [first.conversation, bob], "Ben has read nothing");
    // What Amy writes is no news to her; to Ben it is.
    read(&ben, first.conversation).await;
    let messages = format!("{LIST}/{}/messages", first.conversation);
    amy.post(&messages, &json!({"kind": "note", "text": "It left today."})).await.expect(201);
    assert_eq!(unread(&amy).await, [bob]);
    assert_eq!(unread(&ben).await, [first.conversation, bob]);
    // What Ben writes without having read leaves it unread.
    ben.post(&messages, &json!({"kind": "note", "text": "Fine."})).await.expect(201);
    assert_eq!(unread(&ben).await, [first.conversation, bob]);
    assert_eq!(unread(&amy).await, [first.conversation, bob]);
    // What leaves later than it was written is no news to whoever wrote it either.
    read(&amy, first.conversation).await;
    let held = json!({"kind": "reply", "text": "It left.", "undo_seconds": 20});
    let held = amy.post(&messages, &held).await.expect(201).json();
    assert_eq!(unread(&amy).await, [bob]);
    pass(&desk, Duration::from_secs(20)).await;
    delivered(&desk, &held, "sent").await;
    assert_eq!(newest(&amy, first.conversation).await, held["id"]);
    assert_eq!(unread(&amy).await, [bob]);
    assert_eq!(unread(&ben).await, [first.conversation, bob]);
    // An answer of the customer is news.
    read(&amy, first.conversation).await;
    assert_eq!(unread(&amy).await, [bob]);
    let more = mail().from("ada@example.net").subject("Re: Late order").in_reply_to(&ada.id());
    assert_eq!(arrive(&desk, mailbox, &more).await.conversation, first.conversation);
    assert_eq!(unread(&amy).await, [first.conversation, bob]);
    // Back to the first message, to the beginning, and an old one as well.
    let path = format!("{LIST}/{}/read-mark", first.conversation);
    read(&amy, first.conversation).await;
    let back = amy.put(&path, &json!({"message_id": first.message})).await.expect(200).json();
    assert_eq!((&back["unread"], &back["message_id"]), (&json!(true), &json!(first.message)));
    read(&amy, first.conversation).await;
    let back = amy.put(&path, &json!({"message_id": null})).await.expect(200).json();
    assert_eq!((&back["unread"], &back["message_id"]), (&json!(true), &Value::Null));
    amy.put(&format!("{LIST}/{old}/read-mark"), &json!({"message_id": null})).await.expect(200);
    assert_eq!(unread(&amy).await, [old, first.conversation, bob]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_stand_beside_what_they_are_of() {
    let (Readers { desk, mailbox, amy, .. }, old) = readers().await;
    let new = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("New")).await;
    let list = amy.get(&format!("{LIST}?include=read_mark&sort=id")).await.expect(200).json();
    let never = |id: i64, unread: bool| json!({"conversation_id": id, "message_id": null, "read_at": null, "unread": unread});
    assert_eq!(list["included"], json!({"read_marks": [never(old, false), never(new.conversation, true)]}));
    read(&amy, new.conversation).await;
    let one = amy.get(&format!("{LIST}/{}?include=read_mark", new.conversation)).await.expect(200).json();
    let mark = &one["included"]["read_marks"][0];
    assert_eq!((&mark["message_id"], &mark["unread"]), (&json!(new.message), &json!(false)));
    // Marks are in no event, and nobody reads who is nobody.
    let before = desk.http.get("/api/v1/events").await.expect(200).json();
    read(&amy, new.conversation).await;
    assert_eq!(desk.http.get("/api/v1/events").await.expect(200).json()["data"], before["data"]);
    let path = format!("{LIST}/{}/read-mark", new.conversation);
    desk.http.put(&path, &json!({"message_id": new.message})).await.expect(403);
    desk.http.get(&format!("{LIST}?include=read_mark")).await.expect(403);
    desk.http.get(&format!("{LIST}?unread=true")).await.expect(400);
    desk.http.get(&format!("{LIST}?q=is:unread")).await.expect(400);
    amy.get(&format!("{LIST}?q=is:unread,open")).await.expect(400);
    // A message of another conversation, none at all, nothing said.
    let elsewhere = newest(&amy, old).await;
    for bad in [
        json!({"message_id": elsewhere}),
        json!({"message_id": 999_999}),
        json!({}),
        json!({"message_id": "x"}),
    ] {
        amy.put(&path, &bad).await.expect(422);
    }
    let one = amy.get(&format!("{LIST}/{}?include=read_mark", new.conversation)).await.expect(200).json();
    assert_eq!(one["included"]["read_marks"][0]["message_id"], json!(new.message));
    // What can't be seen has no mark.
    let other = pushed(&desk, json!({"name": "Other", "address": "other@example.org"})).await;
    let hidden = arrive(&desk, other, &mail().from("eve@example.net").to("other@example.org")).await;
    let path = format!("{LIST}/{}/read-mark", hidden.conversation);
    amy.put(&path, &json!({"message_id": hidden.message})).await.expect(404);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_elsewhere_are_unread_to_whoever_had_not_read_them() {
    let (Readers { desk, mailbox, amy, ben }, _) = readers().await;
    let first = mail().from("ada@example.net").subject("One");
    let one = arrive(&desk, mailbox, &first).await.conversation;
    let two = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Two")).await.conversation;
    read(&amy, one).await;
    read(&amy, two).await;
    read(&ben, two).await;
    let merged =
        desk.http.post(&format!("{LIST}/{one}/merge"), &json!({"into": two})).await.expect(201).json();
    assert_eq!(unread(&amy).await, [] as [i64; 0], "Amy had read both");
    assert_eq!(unread(&ben).await, [two], "the first one is older than Ben's mark");
    // Back again: what Ben never read is unread, and what he had read by then is so again rather than hidden.
    desk.http
        .post(&format!("/api/v1/transfers/{}/undo", number(&merged["id"])), &json!({}))
        .await
        .expect(200);
    assert_eq!(unread(&amy).await, [] as [i64; 0]);
    assert_eq!(unread(&ben).await, [one, two]);
    // What is split off is read by whoever had read it.
    read(&ben, two).await;
    let second = mail().from("ada@example.net").subject("Re: One").in_reply_to(&first.id());
    let second = arrive(&desk, mailbox, &second).await;
    assert_eq!(second.conversation, one);
    read(&amy, one).await;
    let body = json!({"message_ids": [second.message]});
    let split = desk.http.post(&format!("{LIST}/{one}/split"), &body).await.expect(201).json();
    assert_eq!(unread(&amy).await, [] as [i64; 0]);
    assert_eq!(unread(&ben).await, [one, number(&split["to_id"])]);
    desk.stop().await;
}
