//! What a webhook is told: signed, in order, of what it may and wants to know, and each thing under one id.

use crate::mailing::*;
use crate::problems::problem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroom::Config;
use postroom_core::access::Scope;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::hooks::{Call, Hooks, Reply};
use support::mail::mail;

pub const PATH: &str = "/api/v1/webhooks";

/// What lets webhooks be on this machine.
pub fn allowing(config: &mut Config) {
    config.webhooks.allow_http = true;
    config.webhooks.ports = Vec::new();
    config.webhooks.allow_networks = vec!["127.0.0.1/32".parse().expect("it is a network")];
    config.webhooks.timeout_seconds = 1;
}

/// A desk with a fixed clock that calls webhooks on this machine.
pub async fn desk() -> TestDesk {
    TestDesk::start_with(Clock::fixed(BEGINNING), allowing).await
}

/// Makes a webhook. Returns it with its secret.
pub async fn make(desk: &TestDesk, hooks: &Hooks, more: Value) -> Value {
    let body = with(json!({"name": "Hook", "url": hooks.url}), more);
    desk.http.post(PATH, &body).await.expect(201).json()
}

/// The path of a webhook.
pub fn at(webhook: &Value) -> String {
    format!("{PATH}/{}", webhook["id"])
}

/// What a webhook was told, oldest first, once there is so much and none of it waits.
pub async fn settled(desk: &TestDesk, webhook: &Value, count: usize) -> Vec<Value> {
    let path = format!("{}/deliveries?limit=100", at(webhook));
    desk.until(|| async {
        let mut rows = list(desk, &path).await;
        rows.reverse();
        let is_done = |row: &Value| row["state"] == "delivered" || row["state"] == "failed";
        (rows.len() >= count && rows.iter().all(is_done)).then_some(rows)
    })
    .await
}

/// The newest delivery of a webhook once it was tried so often.
pub async fn tried(desk: &TestDesk, webhook: &Value, times: i64) -> Value {
    let path = format!("{}/deliveries?limit=1", at(webhook));
    desk.until(|| async {
        let rows = list(desk, &path).await;
        rows.first()
            .filter(|row| row["attempts"].as_array().is_some_and(|all| all.len() as i64 >= times))
            .cloned()
    })
    .await
}

/// Whether a signature of a call is made with this secret: HMAC by its definition (RFC 2104), not by the
/// library that signs.
pub fn is_signed(call: &Call, secret: &Value) -> bool {
    let secret = secret.as_str().expect("a secret").strip_prefix("whsec_").expect("its prefix");
    let mut key = STANDARD.decode(secret).expect("base64");
    assert!((24..=64).contains(&key.len()));
    key.resize(64, 0);
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let signed = format!("{}.{}.{}", call.header("webhook-id"), call.header("webhook-timestamp"), call.body);
    let inner = Sha256::digest([pad(0x36), signed.into_bytes()].concat());
    let expected = STANDARD.encode(Sha256::digest([pad(0x5c), inner.to_vec()].concat()));
    call.header("webhook-signature").split(' ').any(|one| one == format!("v1,{expected}"))
}

async fn tag(desk: &TestDesk, conversation: i64, name: &str) {
    let path = format!("/api/v1/conversations/{conversation}/tags");
    desk.http.post(&path, &json!({"add": [name], "remove": []})).await.expect(200);
}

#[tokio::test]
async fn an_event_is_told_signed_and_as_the_feed_shows_it() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, json!({})).await;
    let mailbox = pushed(&desk, json!({})).await;
    arrive(&desk, mailbox, &mail().subject("Late order")).await;
    let events = list(&desk, "/api/v1/events?limit=100").await;
    // The token of the test itself came before.
    let from = events.iter().position(|event| event["type"] == "webhook.created").expect("it is told");
    let told = settled(&desk, &webhook, events.len() - from).await;
    let calls = hooks.calls();
    assert_eq!(calls.len(), events.len() - from);
    for event in &events[from..] {
        let call = calls.iter().find(|call| call.json()["seq"] == event["seq"]).expect("each is told");
        assert_eq!(&call.json(), event);
        assert!(call.line.starts_with("POST /hook HTTP/1.1"));
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.header("webhook-timestamp"), BEGINNING.as_seconds().to_string());
        assert!(call.header("user-agent").starts_with("postroom/"));
        assert!(is_signed(call, &webhook["secret"]));
        assert!(!is_signed(&Call { body: format!("{} ", call.body), ..call.clone() }, &webhook["secret"]));
        let row = told.iter().find(|row| row["seq"] == event["seq"]).expect("a row for each");
        assert_eq!(
            (row["id"].as_str(), row["payload"].as_str()),
            (Some(call.header("webhook-id")), Some(&*call.body))
        );
        assert_eq!((&row["state"], &row["attempts"][0]["status"]), (&json!("delivered"), &json!(204)));
        assert_eq!(
            desk.http
                .get(&format!("{}/deliveries/{}", at(&webhook), row["id"].as_str().unwrap()))
                .await
                .expect(200)
                .json(),
            *row
        );
    }
    let seqs_of = |conversation: &Value| -> Vec<i64> {
        calls
            .iter()
            .map(Call::json)
            .filter(|told| &told["conversation_id"] == conversation)
            .map(|told| number(&told["seq"]))
            .collect()
    };
    let ours = seqs_of(&events.last().expect("events")["conversation_id"]);
    assert!(ours.len() > 1 && ours.is_sorted(), "{ours:?}");
    let now = desk.http.get(&at(&webhook)).await.expect(200).json();
    assert_eq!(now["last_success_at"], BEGINNING.to_string());
    desk.stop().await;
}

#[tokio::test]
async fn a_webhook_is_told_what_its_filters_let_through() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let (one, two) =
        (desk.mailbox("One", "one@example.org").await, desk.mailbox("Two", "two@example.org").await);
    desk.http.post("/api/v1/tags", &json!({"name": "Billing"})).await.expect(201);
    let typed = make(&desk, &hooks, json!({"event_types": ["conversation.*", "message.note_added"]})).await;
    let boxed = make(&desk, &hooks, json!({"mailbox_ids": [two], "body": "thin"})).await;
    let tagged = make(&desk, &hooks, json!({"tags": ["billing"]})).await;
    let at_one = arrive(&desk, one, &mail().to("one@example.org").subject("First")).await;
    let at_two =
        arrive(&desk, two, &mail().to("two@example.org").subject("Second").from("Bob <bob@example.net>"))
            .await;
    tag(&desk, at_one.conversation, "Billing").await;
    desk.http.post("/api/v1/agents", &json!({"name": "Amy", "email": "amy@example.org"})).await.expect(201);

    let events = list(&desk, "/api/v1/events?limit=100").await;
    let begins =
        number(&events.iter().rfind(|event| event["type"] == "webhook.created").expect("made")["seq"]);
    let after = |is: &dyn Fn(&Value) -> bool| -> Vec<i64> {
        events
            .iter()
            .filter(|event| number(&event["seq"]) > begins && is(event))
            .map(|event| number(&event["seq"]))
            .collect()
    };
    let by_type =
        after(&|event| event["type"].as_str().is_some_and(|kind| kind.starts_with("conversation.")));
    let by_mailbox =
        after(&|event| event["conversation_id"] == at_two.conversation || event["mailbox_id"] == two);
    let seqs = async |webhook: &Value, count: usize| -> Vec<i64> {
        let mut seqs: Vec<i64> =
            settled(&desk, webhook, count).await.iter().map(|row| number(&row["seq"])).collect();
        seqs.sort_unstable();
        seqs
    };
    assert!(!by_type.is_empty() && !by_mailbox.is_empty());
    assert_eq!(seqs(&typed, by_type.len()).await, by_type);
    assert_eq!(seqs(&boxed, by_mailbox.len()).await, by_mailbox);
    let told = settled(&desk, &tagged, 1).await;
    assert!(told.iter().all(|row| row["conversation_id"] == at_one.conversation), "{told:?}");
    let thin = settled(&desk, &boxed, 1).await;
    for row in &thin {
        let payload: Value = serde_json::from_str(row["payload"].as_str().expect("text")).expect("JSON");
        assert!(payload.get("actor").is_none(), "{payload}");
        assert!(payload["data"].as_object().expect("data").keys().all(|key| key == "version"), "{payload}");
    }

    // Who is in the ledger can be asked for by state, type and conversation.
    let rows = async |query: &str| list(&desk, &format!("{}/deliveries?{query}", at(&typed))).await;
    assert_eq!(rows("event_type=conversation.created").await.len(), 2);
    assert_eq!(rows("state=failed").await.len(), 0);
    assert!(
        rows(&format!("conversation_id={}", at_two.conversation))
            .await
            .iter()
            .all(|row| row["conversation_id"] == at_two.conversation)
    );
    let first =
        desk.http.get(&format!("{}/deliveries?limit=1&count=true", at(&typed))).await.expect(200).json();
    assert_eq!((&first["page"]["total"], &first["page"]["has_more"]), (&json!(by_type.len()), &json!(true)));
    let cursor = first["page"]["next_cursor"].as_str().expect("more");
    let second =
        desk.http.get(&format!("{}/deliveries?limit=1&cursor={cursor}", at(&typed))).await.expect(200).json();
    assert!(number(&second["data"][0]["seq"]) < number(&first["data"][0]["seq"]));

    // A tag that is removed is not "all".
    let tags = list(&desk, "/api/v1/tags").await;
    desk.http.delete(&format!("/api/v1/tags/{}", tags[0]["id"])).await.expect(204);
    let before = desk.http.get(&at(&tagged)).await.expect(200).json();
    assert_eq!(before["tags"], json!([]));
    let changed = desk.http.patch(&at(&tagged), &json!({"name": "Still"})).await.expect(200).json();
    assert_eq!(changed["tags"], json!([]));
    // A conversation that moves elsewhere is none of it any more.
    let replayed =
        desk.http.post(&format!("{}/replay", at(&boxed)), &json!({"after_seq": 0})).await.expect(202);
    assert_eq!(replayed.json()["last_seq"], 0);
    let last = number(&list(&desk, "/api/v1/events?limit=100").await.last().expect("events")["seq"]);
    desk.until(|| async {
        let all = desk.http.get(PATH).await.expect(200).json();
        all["data"].as_array()?.iter().all(|hook| number(&hook["last_seq"]) >= last).then_some(())
    })
    .await;
    let seen = settled(&desk, &boxed, 1).await;
    assert!(seen.iter().all(|row| row["conversation_id"] != at_one.conversation), "{seen:?}");
    assert!(settled(&desk, &tagged, 1).await.len() == told.len(), "nobody carries the tag now");
    desk.stop().await;
}

#[tokio::test]
async fn history_is_told_to_nobody() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, json!({"event_types": ["message.*"]})).await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = arrive(&desk, mailbox, &mail().subject("Then")).await;
    settled(&desk, &webhook, 1).await;
    let mark = |name: &str| {
        format!("UPDATE events SET data = '{{\"{name}\":true}}' WHERE message_id = {}", first.message)
    };
    for name in ["history", "imported"] {
        sql(desk.config(), &mark(name));
        desk.http.post(&format!("{}/replay", at(&webhook)), &json!({"after_seq": 0})).await.expect(202);
        let second =
            arrive(&desk, mailbox, &mail().subject("Now").from(&format!("Eve <{name}@example.net>"))).await;
        desk.until(|| async {
            let rows = settled(&desk, &webhook, 2).await;
            rows.iter()
                .any(|row| {
                    row["payload"]
                        .as_str()
                        .is_some_and(|told| told.contains(&format!("\"message_id\":{}", second.message)))
                })
                .then_some(())
        })
        .await;
    }
    let once = hooks.calls().iter().filter(|call| call.json()["message_id"] == first.message).count();
    assert_eq!(once, 1, "told before it was history, and never again");
    desk.stop().await;
}

#[tokio::test]
async fn what_is_told_again_has_the_same_id_and_bytes() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, json!({"event_types": ["message.received"]})).await;
    let mailbox = pushed(&desk, json!({})).await;
    for subject in ["One", "Two", "Three"] {
        arrive(&desk, mailbox, &mail().subject(subject).from(&format!("{subject} <{subject}@example.net>")))
            .await;
    }
    let first = settled(&desk, &webhook, 3).await;
    let again = format!("{}/deliveries/{}/redeliver", at(&webhook), first[1]["id"].as_str().expect("an id"));
    pass(&desk, Duration::from_secs(60)).await;
    desk.http.post(&again, &Value::Null).await.expect(202);
    let call = desk.until(|| async { hooks.calls().get(3).cloned() }).await;
    assert_eq!(
        (call.header("webhook-id"), &call.body),
        (
            first[1]["id"].as_str().unwrap(),
            &hooks.calls().iter().find(|known| known.body == call.body).expect("it came before").body
        )
    );
    assert_eq!(
        number(&json!(call.header("webhook-timestamp").parse::<i64>().unwrap())),
        BEGINNING.as_seconds() + 60
    );
    assert!(is_signed(&call, &webhook["secret"]));
    let second = settled(&desk, &webhook, 3).await;
    assert_eq!(second[1]["attempts"].as_array().map(Vec::len), Some(2));

    // A range: everything behind the first of them.
    let replay = format!("{}/replay", at(&webhook));
    desk.http.post(&replay, &json!({"after_seq": first[0]["seq"]})).await.expect(202);
    let calls = desk.until(|| async { (hooks.calls().len() >= 6).then(|| hooks.calls()) }).await;
    let ids: Vec<&str> = calls[4..].iter().map(|call| call.header("webhook-id")).collect();
    let mut expected: Vec<&str> = first[1..].iter().map(|row| row["id"].as_str().unwrap()).collect();
    let mut told = ids.clone();
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!(settled(&desk, &webhook, 3).await.len(), 3, "none is made anew");

    let last = number(&desk.http.get(&at(&webhook)).await.expect(200).json()["last_seq"]);
    problem(&desk.http.post(&replay, &json!({"after_seq": last + 1})).await, 422, "validation_failed");
    desk.http.post(&replay, &json!({"after_seq": last})).await.expect(202);
    sql(desk.config(), "INSERT INTO settings (key, value) VALUES ('events_floor', '3')");
    let gone = problem(&desk.http.post(&replay, &json!({"after_seq": 2})).await, 410, "cursor_expired");
    assert_eq!(gone["oldest_after"], 3);
    desk.http.post(&replay, &json!({"after_seq": 3})).await.expect(202);
    desk.stop().await;
}

#[tokio::test]
async fn both_secrets_sign_while_two_live() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, json!({"event_types": ["tag.created"]})).await;
    let rotate = format!("{}/rotate-secret", at(&webhook));
    let ping = async || {
        let count = hooks.calls().len();
        desk.http.post(&format!("{}/test", at(&webhook)), &Value::Null).await.expect(202);
        desk.until(|| async { hooks.calls().get(count).cloned() }).await
    };
    let answer = desk.http.post(&rotate, &json!({"overlap_hours": 24})).await.expect(200);
    assert_ne!(answer.header("etag"), Some("\"w1-1\""));
    let second = answer.json();
    let call = ping().await;
    assert_eq!(call.json()["type"], "webhook.ping");
    assert!(is_signed(&call, &webhook["secret"]) && is_signed(&call, &second["secret"]));
    assert_eq!(call.header("webhook-signature").split(' ').count(), 2);
    pass(&desk, Duration::from_secs(24 * 3_600 - 1)).await;
    assert!(is_signed(&ping().await, &webhook["secret"]));
    pass(&desk, Duration::from_secs(1)).await;
    let call = ping().await;
    assert!(!is_signed(&call, &webhook["secret"]) && is_signed(&call, &second["secret"]));
    let third = desk.http.post(&rotate, &json!({"overlap_hours": 0})).await.expect(200).json();
    let call = ping().await;
    assert!(!is_signed(&call, &second["secret"]) && is_signed(&call, &third["secret"]));
    desk.http.post(&rotate, &json!({"overlap_hours": 168})).await.expect(200);
    problem(&desk.http.post(&rotate, &json!({"overlap_hours": 169})).await, 422, "validation_failed");

    // A secret is nowhere but in the answer that made it.
    let secret = webhook["secret"].as_str().expect("a secret").trim_start_matches("whsec_");
    for path in [
        PATH.to_owned(),
        at(&webhook),
        format!("{}/deliveries", at(&webhook)),
        "/api/v1/events?limit=100".to_owned(),
    ] {
        let told = desk.http.get(&path).await.expect(200).text();
        assert!(!told.contains("whsec_") && !told.contains(secret), "{path}");
    }
    let column = count(&desk, &format!("SELECT count(*) AS count FROM events WHERE data LIKE '%{secret}%'"));
    assert_eq!(column, 0);
    desk.stop().await;
}

#[tokio::test]
async fn a_receiver_may_be_down_for_a_day() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, json!({"event_types": ["conversation.*", "message.*"]})).await;
    hooks.answer(|_| Reply::status(503));
    let mailbox = pushed(&desk, json!({})).await;
    let mut at_conversations = Vec::new();
    for number in 0..10 {
        let from = format!("Ada <ada{number}@example.net>");
        at_conversations
            .push(arrive(&desk, mailbox, &mail().subject("Order").from(&from)).await.conversation);
    }
    // The day begins when the first try has failed, not when it was due.
    desk.until(|| async {
        let now = desk.http.get(&at(&webhook)).await.expect(200).json();
        (!now["failing_since"].is_null()).then_some(())
    })
    .await;
    for (hour, status) in (0..24).zip(["pending", "open"].into_iter().cycle()) {
        set_status(&desk, at_conversations[hour % 10], status).await;
        pass(&desk, Duration::from_secs(3_600)).await;
    }
    let failing = desk.http.get(&at(&webhook)).await.expect(200).json();
    assert_eq!(
        (&failing["enabled"], &failing["failing_since"]),
        (&json!(true), &json!(BEGINNING.to_string()))
    );
    let before = hooks.calls().len();
    hooks.answer(|_| Reply::status(200));
    // The first that is due finds it there, and with it all others are.
    pass(&desk, Duration::from_secs(20 * 3_600)).await;
    let events = list(&desk, "/api/v1/events?limit=100&types=conversation.*,message.*").await;
    let told = settled(&desk, &webhook, events.len()).await;
    assert_eq!(told.len(), events.len());
    assert!(told.iter().all(|row| row["state"] == "delivered"));
    let after: Vec<Value> = hooks.calls()[before..].iter().map(Call::json).collect();
    for conversation in &at_conversations {
        let of = |all: &[Value]| -> Vec<i64> {
            all.iter()
                .filter(|event| event["conversation_id"] == *conversation)
                .map(|event| number(&event["seq"]))
                .collect()
        };
        let mut taken = of(&after);
        taken.dedup();
        assert_eq!(taken, of(&events), "all of it, in order");
    }
    desk.until(|| async {
        let now = desk.http.get(&at(&webhook)).await.expect(200).json();
        now["failing_since"].is_null().then_some(())
    })
    .await;
    desk.stop().await;
}

#[tokio::test]
async fn an_earlier_event_holds_back_its_conversation_alone_and_not_for_ever() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook =
        make(&desk, &hooks, json!({"event_types": ["conversation.created", "conversation.status_changed"]}))
            .await;
    let mailbox = pushed(&desk, json!({})).await;
    hooks.answer(|call| {
        let told = call.json();
        let refused = told["type"] == "conversation.created" && told["conversation_id"] == 1;
        Reply::status(if refused { 500 } else { 200 })
    });
    let first = arrive(&desk, mailbox, &mail().subject("One")).await.conversation;
    assert_eq!(first, 1);
    set_status(&desk, first, "pending").await;
    let later = |calls: &[Call]| {
        calls.iter().filter(|call| call.json()["type"] == "conversation.status_changed").count()
    };
    // Each try of it fails; in between another conversation is told of, so that it is no outage.
    let path = format!("{}/deliveries?conversation_id=1&event_type=conversation.created", at(&webhook));
    let tries = async || number(&list(&desk, &path).await.first().expect("it is queued")["attempt_count"]);
    let mut held_back = 0;
    for round in 0..8_i64 {
        let from = format!("Bob <bob{round}@example.net>");
        arrive(&desk, mailbox, &mail().subject("Other").from(&from)).await;
        desk.until(|| async {
            let others =
                hooks.calls().iter().filter(|call| call.json()["conversation_id"] != 1).count() as i64;
            (others > round && !list(&desk, &path).await.is_empty() && tries().await > round).then_some(())
        })
        .await;
        let sent = later(&hooks.calls());
        // Refused once, and five times more while others were taken.
        if tries().await < 6 {
            assert_eq!(sent, 0, "it waits, {round}");
            held_back += 1;
            pass(&desk, Duration::from_secs(6 * 3_600)).await;
        } else {
            break;
        }
    }
    assert!(held_back > 2, "{held_back}");
    desk.until(|| async { (later(&hooks.calls()) == 1).then_some(()) }).await;
    let row = list(&desk, &path).await.remove(0);
    assert_eq!(row["state"], "queued", "it has tries left: {row}");
    desk.stop().await;
}

#[tokio::test]
async fn a_token_sets_up_webhooks_of_what_it_sees() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let (one, two) =
        (desk.mailbox("One", "one@example.org").await, desk.mailbox("Two", "two@example.org").await);
    let of_all = make(&desk, &hooks, json!({})).await;
    let of_two = make(&desk, &hooks, json!({"mailbox_ids": [two]})).await;
    let narrow = desk.client(&[Scope::WebhooksManage], &[one]).await;
    let body = |more: Value| with(json!({"name": "Mine", "url": hooks.url}), more);
    problem(&narrow.post(PATH, &body(json!({}))).await, 422, "validation_failed");
    problem(&narrow.post(PATH, &body(json!({"mailbox_ids": [one, two]}))).await, 422, "validation_failed");
    let mine = narrow.post(PATH, &body(json!({"mailbox_ids": [one]}))).await.expect(201).json();
    problem(&narrow.patch(&at(&mine), &json!({"mailbox_ids": null})).await, 422, "validation_failed");
    problem(&narrow.patch(&at(&mine), &json!({"mailbox_ids": [two]})).await, 422, "validation_failed");
    assert_eq!(narrow.get(PATH).await.expect(200).json()["data"].as_array().map(Vec::len), Some(1));
    for foreign in [&of_all, &of_two] {
        for (method, tail) in [
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/test"),
            ("POST", "/rotate-secret"),
            ("POST", "/replay"),
            ("GET", "/deliveries"),
        ] {
            let body = if tail == "/replay" { json!({"after_seq": 0}) } else { json!({}) };
            let path = format!("{}{tail}", at(foreign));
            let answer = narrow
                .send(method, &path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
                .await;
            problem(&answer, 404, "not_found");
        }
    }
    let others = desk.client(&[Scope::AdminWrite, Scope::EventsRead, Scope::ConversationsRead], &[]).await;
    problem(&others.get(PATH).await, 403, "insufficient_scope");
    let agent = desk
        .http
        .post("/api/v1/agents", &json!({"name": "Amy", "email": "amy@example.org"}))
        .await
        .expect(201)
        .json();
    let amy = desk.client_of_agent(number(&agent["id"])).await;
    problem(&amy.get(PATH).await, 403, "insufficient_scope");

    // It goes on when who made it is gone.
    let tokens = list(&desk, "/api/v1/tokens?limit=100").await;
    let maker = tokens.iter().find(|token| token["mailbox_ids"] == json!([one])).expect("the narrow one");
    desk.http.delete(&format!("/api/v1/tokens/{}", maker["id"].as_str().unwrap())).await.expect(204);
    problem(&narrow.get(PATH).await, 401, "unauthorized");
    let landed = arrive(&desk, one, &mail().to("one@example.org")).await;
    let rows = settled(&desk, &mine, 1).await;
    assert!(
        rows.iter()
            .all(|row| row["conversation_id"] == landed.conversation || row["conversation_id"].is_null())
    );
    desk.stop().await;
}
