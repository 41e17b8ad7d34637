//! Receivers that fail: what is tried again and when, what turns a webhook off, and what a receiver can't
//! do to the desk.

use crate::mailing::*;
use crate::problems::problem;
use crate::webhooks::{at, desk, make, settled, tried};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::BEGINNING;
use support::hooks::{Hooks, Reply};
use support::mail::mail;
use support::smtp::SmtpSink;

fn only_tags() -> Value {
    json!({"event_types": ["tag.created"]})
}

#[tokio::test]
async fn each_try_is_written_down_and_the_tenth_is_the_last() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, only_tags()).await;
    hooks.answer(|_| Reply::Says(500, String::new(), b"no \x00 room".to_vec()));
    desk.http.post("/api/v1/tags", &json!({"name": "one"})).await.expect(201);
    let pauses = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (tries, pause) in (1..).zip(pauses) {
        let row = tried(&desk, &webhook, tries).await;
        let next = row["next_attempt_at"].as_str().expect("it is tried again").parse::<String>().unwrap();
        let wait = desk.desk().now().plus(Duration::from_secs(pause)).to_string();
        let longest = desk.desk().now().plus(Duration::from_secs(pause + pause / 10 + 1)).to_string();
        assert!(next >= wait && next <= longest, "{tries}: {next}");
        assert_eq!(row["state"], "queued");
        pass(&desk, Duration::from_secs(pause + pause / 10 + 1)).await;
    }
    let row = settled(&desk, &webhook, 1).await.remove(0);
    assert_eq!((&row["state"], &row["attempt_count"]), (&json!("failed"), &json!(10)));
    let calls = hooks.calls();
    assert_eq!(calls.len(), 10);
    assert!(
        calls
            .iter()
            .all(|call| call.body == calls[0].body
                && call.header("webhook-id") == calls[0].header("webhook-id"))
    );
    let last = &row["attempts"][9];
    assert_eq!((&last["status"], &last["error"]), (&json!(500), &json!("answered 500")));
    assert_eq!(last["answer"], "no \u{fffd} room");
    assert!(last["duration_ms"].is_number());
    desk.stop().await;
}

#[tokio::test]
async fn whoever_is_gone_is_told_nothing_more_until_somebody_says_so() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let sink = SmtpSink::start();
    pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    for (email, role) in
        [("owner@example.org", "owner"), ("amy@example.org", "agent"), ("adm@example.org", "admin")]
    {
        let agent = json!({"name": "Amy", "email": email, "role": role});
        desk.http.post("/api/v1/agents", &agent).await.expect(201);
    }
    let webhook = make(&desk, &hooks, only_tags()).await;
    let watcher = Hooks::start().await;
    make(&desk, &watcher, json!({"event_types": ["webhook.disabled"]})).await;
    hooks.answer(|_| Reply::status(410));
    desk.http.post("/api/v1/tags", &json!({"name": "one"})).await.expect(201);
    let told = desk.until(|| async { watcher.calls().first().cloned() }).await.json();
    assert_eq!((&told["data"]["webhook_id"], &told["data"]["reason"]), (&webhook["id"], &json!("gone")));
    let off = desk.http.get(&at(&webhook)).await.expect(200).json();
    assert_eq!(
        (&off["enabled"], &off["disabled_reason"], &off["version"]),
        (&json!(false), &json!("gone"), &json!(2))
    );
    let row = settled(&desk, &webhook, 1).await.remove(0);
    assert_eq!(row["state"], "failed");
    // Those who run the desk hear of it by mail.
    let mailed = sink.next().await;
    assert!(mailed.header("Subject").expect("a subject").starts_with("A webhook is turned off: "));
    assert_eq!(mailed.to, ["owner@example.org", "adm@example.org"]);
    assert_eq!(sink.mails().len(), 1);

    desk.http.post("/api/v1/tags", &json!({"name": "two"})).await.expect(201);
    let again = format!("{}/deliveries/{}/redeliver", at(&webhook), row["id"].as_str().unwrap());
    problem(&desk.http.post(&again, &Value::Null).await, 409, "state_conflict");
    problem(
        &desk.http.post(&format!("{}/replay", at(&webhook)), &json!({"after_seq": 0})).await,
        409,
        "state_conflict",
    );
    // A ping goes out all the same.
    hooks.answer(|_| Reply::status(200));
    desk.http.post(&format!("{}/test", at(&webhook)), &Value::Null).await.expect(202);
    desk.until(|| async { (hooks.calls().len() == 2).then_some(()) }).await;
    let on = desk.http.patch(&at(&webhook), &json!({"enabled": true})).await.expect(200).json();
    assert_eq!((&on["disabled_reason"], &on["disabled_at"]), (&Value::Null, &Value::Null));
    desk.until(|| async {
        let told = hooks.calls();
        (told.len() == 3 && told[2].json()["data"]["name"] == "two").then_some(())
    })
    .await;
    desk.stop().await;
}

#[tokio::test]
async fn five_days_of_nothing_but_failure_turn_it_off() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, only_tags()).await;
    hooks.answer(|_| Reply::status(500));
    desk.http.post("/api/v1/tags", &json!({"name": "one"})).await.expect(201);
    tried(&desk, &webhook, 1).await;
    pass(&desk, Duration::from_secs(5 * 86_400 - 1)).await;
    tried(&desk, &webhook, 2).await;
    let still = desk.http.get(&at(&webhook)).await.expect(200).json();
    assert_eq!((&still["enabled"], &still["failing_since"]), (&json!(true), &json!(BEGINNING.to_string())));
    desk.http.post("/api/v1/tags", &json!({"name": "two"})).await.expect(201);
    tried(&desk, &webhook, 1).await;
    pass(&desk, Duration::from_secs(400)).await;
    let off = desk
        .until(|| async {
            let now = desk.http.get(&at(&webhook)).await.expect(200).json();
            (now["enabled"] == false).then_some(now)
        })
        .await;
    assert_eq!(off["disabled_reason"], "failing");
    let events = list(&desk, "/api/v1/events?types=webhook.disabled").await;
    assert_eq!((events.len(), &events[0]["data"]["last_error"]), (1, &json!("answered 500")));
    desk.stop().await;
}

#[tokio::test]
async fn no_receiver_leads_elsewhere_or_holds_anything_up() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let elsewhere = Hooks::start().await;
    let webhook = make(&desk, &hooks, only_tags()).await;
    let location = format!("location: {}\r\n", elsewhere.url);
    let huge = vec![b'x'; 3_000_000];
    let replies = [
        (
            Reply::Says(301, location.clone(), Vec::new()),
            json!("answered 301: redirects are not followed; change the webhook's url"),
        ),
        (
            Reply::Says(307, location, Vec::new()),
            json!("answered 307: redirects are not followed; change the webhook's url"),
        ),
        (Reply::Silence, json!("did not answer within 1 s")),
        (Reply::Says(500, String::new(), huge.clone()), json!("answered 500")),
        (Reply::Drips(500), json!("answered 500")),
        (Reply::Drips(200), Value::Null),
        (Reply::Says(200, String::new(), huge), Value::Null),
        (Reply::Says(200, "content-encoding: gzip\r\n".to_owned(), b"no gzip".to_vec()), Value::Null),
    ];
    for (number, (reply, error)) in replies.into_iter().enumerate() {
        hooks.answer(move |_| reply.clone());
        desk.http.post("/api/v1/tags", &json!({"name": format!("tag {number}")})).await.expect(201);
        let row = desk
            .until(|| async {
                let row = tried(&desk, &webhook, 1).await;
                let of = row["payload"].as_str().is_some_and(|told| told.contains(&format!("tag {number}")));
                of.then_some(row)
            })
            .await;
        assert_eq!(row["attempts"][0]["error"], error, "{number}");
        assert_eq!(row["state"], if error.is_null() { "delivered" } else { "queued" });
        let kept = row["attempts"][0]["answer"].as_str().unwrap_or_default();
        assert!(kept.chars().count() <= 1_000, "{number}");
    }
    assert_eq!(elsewhere.calls().len(), 0);
    desk.stop().await;
}

#[tokio::test]
async fn whoever_asks_for_time_gets_an_hour_of_it() {
    let (desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, only_tags()).await;
    let asks = [
        ("120", 120),
        ("1000000000", 3_600),
        ("3", 5),
        ("nonsense", 5),
        ("Sun, 22 Nov 2026 08:10:00 GMT", 600),
    ];
    for (number, (asked, seconds)) in asks.into_iter().enumerate() {
        let header = format!("retry-after: {asked}\r\n");
        hooks.answer(move |_| {
            Reply::Says(if number % 2 == 0 { 429 } else { 503 }, header.clone(), Vec::new())
        });
        desk.http.post("/api/v1/tags", &json!({"name": format!("tag {number}")})).await.expect(201);
        let row = desk
            .until(|| async {
                let row = tried(&desk, &webhook, 1).await;
                let of = row["payload"].as_str().is_some_and(|told| told.contains(&format!("tag {number}")));
                of.then_some(row)
            })
            .await;
        let next = row["next_attempt_at"].as_str().expect("again").to_owned();
        let least = BEGINNING.plus(Duration::from_secs(seconds)).to_string();
        let most = BEGINNING.plus(Duration::from_secs(seconds + 1)).to_string();
        assert!((least..most).contains(&next), "{asked}: {next}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn what_waits_outlives_the_daemon_and_not_its_webhook() {
    let (mut desk, hooks) = (desk().await, Hooks::start().await);
    let webhook = make(&desk, &hooks, only_tags()).await;
    let removed = make(&desk, &hooks, json!({"event_types": ["conversation.created"]})).await;
    hooks.answer(|_| Reply::Silence);
    desk.http.post("/api/v1/tags", &json!({"name": "one"})).await.expect(201);
    let mailbox = pushed(&desk, json!({})).await;
    arrive(&desk, mailbox, &mail()).await;
    desk.until(|| async { (hooks.calls().len() >= 2).then_some(()) }).await;
    // Removed while it is being told.
    desk.http.delete(&at(&removed)).await.expect(204);
    problem(&desk.http.get(&format!("{}/deliveries", at(&removed))).await, 404, "not_found");
    let left = count(
        &desk,
        &format!("SELECT count(*) AS count FROM webhook_deliveries WHERE webhook_id = {}", removed["id"]),
    );
    assert_eq!(left, 0);
    let first =
        hooks.calls().into_iter().find(|call| call.json()["type"] == "tag.created").expect("it was tried");
    hooks.answer(|_| Reply::status(200));
    desk.restart().await;
    let row = settled(&desk, &webhook, 1).await.remove(0);
    assert_eq!((&row["state"], row["id"].as_str()), (&json!("delivered"), Some(first.header("webhook-id"))));
    assert_eq!(hooks.calls().last().expect("it came").body, first.body);
    desk.stop().await;
}
