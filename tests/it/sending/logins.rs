//! A server that refuses the login pauses the mailbox and not its mails: nothing is counted against
//! them, nothing is tried before its time, and a better password has them leave at once.

use super::{path, sending, with_ada};
use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::smtp::{self, Phase, SmtpSink};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Waits until an answer says why it waits.
async fn held_up(desk: &TestDesk, answer: &Value) -> Value {
    let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
    desk.until(|| async {
        let delivery = desk.http.get(&path).await.expect(200).json();
        (delivery["state"] == "queued" && delivery["last_error"].is_string()).then_some(delivery)
    })
    .await
}

async fn mailbox_events(desk: &TestDesk) -> Vec<String> {
    let mut events = desk.event_types().await;
    events.retain(|event| event == "mailbox.error" || event == "mailbox.recovered");
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_the_mailboxs_fault_not_the_mails() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let wrong = with(smtp(&sink), json!({"password": "wrong-horse-17"}));
    let mailbox = pushed(&desk, json!({"delivery": wrong})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let answers = vec![
        reply(&desk, conversation, "It left today.").await,
        reply(&desk, conversation, "And this too.").await,
    ];
    for answer in &answers {
        let delivery = held_up(&desk, answer).await;
        let why = delivery["last_error"].as_str().unwrap_or_default().to_lowercase();
        assert!(why.contains("login") || why.contains("refuse"), "{why}");
        assert!(!delivery.to_string().contains("wrong-horse"), "{delivery}");
        assert_eq!(
            (&delivery["attempts"], &delivery["recipients"][0]["state"]),
            (&json!(0), &json!("waiting")),
            "{delivery}"
        );
        assert_eq!(delivery["held_up_by"], "login_refused", "{delivery}");
    }
    // One that comes into line after the refusal is not tried, and says why all the same.
    let late = reply(&desk, conversation, "And this came later.").await;
    let delivery = held_up(&desk, &late).await;
    assert_eq!(delivery["held_up_by"], "login_refused", "{delivery}");
    let now = status(&desk, mailbox).await;
    assert_eq!(delivery["next_attempt_at"], now["refusals"][0]["retry_at"], "{delivery}");
    let answers = [answers, vec![late]].concat();
    let now = status(&desk, mailbox).await;
    assert_eq!(
        (&now["state"], &now["refusals"][0]["end"]),
        (&json!("degraded"), &json!("delivery")),
        "{now}"
    );
    assert!(now["last_error"].as_str().is_some_and(|why| why.contains("answers wait")), "{now}");
    assert!(!now.to_string().contains("wrong-horse"), "{now}");
    assert_eq!(mailbox_events(&desk).await, ["mailbox.error"], "told once");
    let tried = desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/test"), &json!({})).await.expect(200);
    assert_eq!(tried.json()["delivery"]["ok"], false);
    assert!(!tried.text().contains("wrong-horse"), "{}", tried.text());

    let change = json!({"delivery": {"password": smtp::PASSWORD}});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &change).await.expect(200);
    for answer in &answers {
        let delivery = delivered(&desk, answer, "sent").await;
        assert_eq!((&delivery["attempts"], &delivery["held_up_by"]), (&json!(1), &json!(null)));
    }
    assert_eq!(sink.mails().len(), 3);
    let well = desk
        .until(|| async {
            let now = status(&desk, mailbox).await;
            (now["state"] == "ok").then_some(now)
        })
        .await;
    assert_eq!(well["refusals"], json!([]));
    assert_eq!(mailbox_events(&desk).await, ["mailbox.error", "mailbox.recovered"]);
    desk.stop().await;
}

/// Many mails at once are one login, and an hour sees no more than six (F-20b).
#[tokio::test(flavor = "multi_thread")]
async fn many_mails_are_not_many_logins() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    // More than leave at the same time, each of which the server would refuse.
    for _ in 0..40 {
        sink.fail_next(Phase::Auth, "535 5.7.8 Authentication failed");
    }
    let before = sink.logins();
    let mut answers = Vec::new();
    for index in 0..12 {
        answers.push(reply(&desk, conversation, &format!("Answer {index}")).await);
    }
    // Nobody is at any of them: a worker that sleeps over five minutes of ours would take their one try
    // for what it knows of the hour before.
    let all_wait = async || {
        for answer in &answers {
            held_up(&desk, answer).await;
        }
    };
    all_wait().await;
    // An hour and a day, in steps that no pause is shorter than.
    for minute in 1..=60 {
        let is_due = [5, 15, 35].contains(&minute);
        let known = sink.logins();
        pass(&desk, Duration::from_secs(60)).await;
        if is_due {
            desk.until(|| async { (sink.logins() > known).then_some(()) }).await;
            all_wait().await;
        }
    }
    let logins = sink.logins() - before;
    assert!(logins <= 6, "{logins} logins in an hour");
    assert!(logins >= 4, "{logins}: it is tried again");
    let known = sink.logins();
    pass(&desk, HOUR * 24).await;
    // What is under way would be refused after somebody has had it tried again, and wait for that.
    desk.until(|| async { (sink.logins() > known).then_some(()) }).await;
    // Nothing was counted against any of them, and nothing is given up for it.
    for answer in &answers {
        let delivery = held_up(&desk, answer).await;
        assert_eq!(delivery["attempts"], 0, "{delivery}");
    }
    assert!(sink.mails().is_empty());
    // Whoever mends it on the server's side says so.
    sink.forget_faults();
    desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/sync"), &Value::Null).await.expect(202);
    for answer in &answers {
        delivered(&desk, answer, "sent").await;
    }
    assert_eq!(sink.mails().len(), answers.len());
    desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/sync"), &Value::Null).await.expect(409);
    desk.stop().await;
}

/// Who runs the desk is written to, through another mailbox that works.
#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_told_once() {
    let (desk, sink, other) = (TestDesk::start_fixed().await, SmtpSink::start(), SmtpSink::start());
    let owner = json!({"name": "Olga", "email": "olga@example.org", "role": "owner"});
    desk.http.post("/api/v1/agents", &owner).await.expect(201);
    add_with(
        &desk,
        json!({"name": "Office", "address": "office@example.org", "source": {"type": "push"},
               "delivery": smtp(&other)}),
    )
    .await;
    let wrong = with(smtp(&sink), json!({"password": "wrong-horse-17"}));
    let mailbox = pushed(&desk, json!({"delivery": wrong})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let body = json!({"kind": "reply", "text": "It left today."});
    let answer = desk.http.post(&path(conversation), &body).await.expect(201).json();
    held_up(&desk, &answer).await;
    let notice = other.next().await;
    assert_eq!(notice.from, "office@example.org");
    assert_eq!(notice.to, ["olga@example.org"]);
    assert!(notice.header("Subject").is_some_and(|subject| subject.contains("can't send")), "{notice:?}");
    assert!(!notice.text().contains("wrong-horse"));
    pass(&desk, Duration::from_secs(6 * 60)).await;
    desk.until(|| async { (sink.logins() > 1).then_some(()) }).await;
    held_up(&desk, &answer).await;
    assert_eq!(other.mails().len(), 1, "once");
    desk.stop().await;
}
