//! What somebody tried in order to lose, double, misplace or misdirect mail. Each test is one way
//! that once worked.

use crate::mailing::*;
use serde_json::{Value, json};
use std::fs;
use support::desk::TestDesk;
use support::mail::mail;
use support::maildir;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_mail_twenty_times_at_once_is_one_message() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let raw = mail().subject("All at once").build();
    let mut pushes = JoinSet::new();
    for _ in 0..20 {
        let (http, raw) = (desk.http.clone(), raw.clone());
        pushes.spawn(async move {
            let path = format!("/api/v1/mailboxes/{mailbox}/inbound");
            http.send("POST", &path, &[("Content-Type", "message/rfc822")], &raw).await.json()
        });
    }
    let receipts = pushes.join_all().await;
    let accepted = receipts.iter().filter(|receipt| receipt["verdict"] == "accepted").count();
    assert_eq!(accepted, 1, "{receipts:?}");
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["message_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_place_hides_no_mail_of_the_same_name() {
    let desk = TestDesk::start().await;
    let (first, second) = (desk.dir().join("first"), desk.dir().join("second"));
    for (path, subject) in [(&first, "In the first"), (&second, "In the second")] {
        maildir::make(path, None);
        fs::write(path.join("new/1.same-name"), mail().subject(subject).build()).expect("is ours");
    }
    let mailbox = add(&desk, json!({"type": "maildir", "path": first}), json!({"type": "sink"})).await;
    sync(&desk, mailbox).await;
    let change = json!({"source": {"type": "maildir", "path": second}});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &change).await.expect(200);
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["accepted"], 2, "{status}");
    let subjects: Vec<Value> = conversations(&desk).await.iter().map(|c| c["subject"].clone()).collect();
    assert_eq!(subjects, ["In the first", "In the second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_who_began_whatever_the_customer_is_said_to_own() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let landed = arrive(&desk, mailbox, &mail().from("Vip <vip@lovelace.example>").subject("Contract")).await;
    let customer = conversation(&desk, landed.conversation).await["customer_id"].clone();
    let change = json!({"addresses": [{"email": "thief@evil.example", "confirmed": true}]});
    desk.http.patch(&format!("/api/v1/customers/{customer}"), &change).await.expect(200);
    let path = format!("/api/v1/conversations/{}/messages", landed.conversation);
    let reply =
        desk.http.post(&path, &json!({"kind": "reply", "text": "Here it is."})).await.expect(201).json();
    assert_eq!(reply["to"][0]["email"], "vip@lovelace.example", "{reply}");
    assert_eq!(reply["to"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_changed_by_who_sees_all_they_open() {
    let desk = TestDesk::start().await;
    let seen = pushed(&desk, json!({"name": "Seen", "address": "seen@example.org"})).await;
    let hidden = pushed(&desk, json!({"name": "Hidden", "address": "hidden@example.org"})).await;
    let letter = || mail().from("vip@lovelace.example");
    let here = arrive(&desk, seen, &letter().subject("One matter")).await;
    let customer = conversation(&desk, here.conversation).await["customer_id"].clone();
    let narrow = desk.client(&[postroom_core::access::Scope::CustomersWrite], &[seen]).await;
    let path = format!("/api/v1/customers/{customer}");
    let change = |email: &str| json!({"addresses": [{"email": "vip@lovelace.example"}, {"email": email, "confirmed": true}]});
    narrow.patch(&path, &change("vip@work.example")).await.expect(200);

    arrive(&desk, hidden, &letter().subject("Another matter")).await;
    narrow.patch(&path, &change("thief@evil.example")).await.expect(403);
    let card = desk.http.get(&path).await.expect(200).text();
    assert!(!card.contains("thief"), "{card}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_an_awaited_id_draws_no_answers_away() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let ada = || mail().from("ada@lovelace.example").subject("Re: Engine");
    let awaited = "<awaited@lovelace.example>";
    let child = arrive(&desk, mailbox, &ada().in_reply_to(awaited)).await;
    let evil =
        arrive(&desk, mailbox, &mail().from("evil@mallory.example").subject("Hello").message_id(awaited))
            .await;
    assert_ne!(evil.conversation, child.conversation);
    let next = arrive(&desk, mailbox, &ada().in_reply_to(awaited).text("and another thing")).await;
    assert_eq!(next.conversation, child.conversation);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_alarms_that_differ_in_the_subject_alone_are_two() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let alarm = |host: &str| {
        mail()
            .from("alarm@monitor.example")
            .subject(&format!("{host} DOWN"))
            .text("")
            .message_id("<alarm@monitor.example>")
    };
    for host in ["host1", "host2"] {
        let receipt = push(&desk, mailbox, &alarm(host).build()).await;
        assert_eq!(receipt["verdict"], "accepted", "{receipt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_its_token() {
    let desk = TestDesk::start().await;
    let body = json!({"name": "follower", "scopes": ["events:read"]});
    let made = desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let follower = desk.http.with_token(made["token"].as_str().expect("it is shown once"));
    let feed = follower.get("/api/v1/events?limit=100").await.expect(200).json();
    let path = format!("/api/v1/events?wait=30&after={}", feed["page"]["next_after"]);
    let waiting = tokio::spawn(async move { follower.get(&path).await });
    let id = made["id"].as_str().expect("a name");
    desk.http.delete(&format!("/api/v1/tokens/{id}")).await.expect(204);
    // Whether it was waiting by then or not: it hears nothing any more.
    waiting.await.expect("it is answered").expect(401);
}
