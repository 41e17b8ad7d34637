//! What an SMTP server can do to a mail, and what the desk makes of it.

use super::{path, sending, with_ada};
use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::ports;
use support::smtp::{self, Phase, SmtpSink};

const MINUTE: Duration = Duration::from_secs(60);

/// Ada, and two more.
fn to_three() -> Value {
    json!({"kind": "reply", "text": "For all of you.", "to": [{"email": "ada@example.net"}],
           "cc": [{"email": "bob@example.net"}, {"email": "cyd@example.net"}]})
}

fn results(delivery: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = delivery["recipients"].as_array().expect("a list");
    all.iter().map(|one| (word(&one["email"]), word(&one["state"]))).collect()
}

fn result(email: &str, state: &str) -> (String, String) {
    (email.to_owned(), state.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_address_stops_none_of_the_others() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("bob@example.net", "550 5.1.1 No such user");
    let answer = desk.http.post(&path(conversation), &to_three()).await.expect(201).json();
    let delivery = delivered(&desk, &answer, "sent").await;
    assert_eq!(
        results(&delivery),
        [
            result("ada@example.net", "accepted"),
            result("bob@example.net", "refused"),
            result("cyd@example.net", "accepted")
        ]
    );
    let said = delivery["recipients"][1]["response"].as_str().unwrap_or_default();
    assert!(said.contains("No such user"), "{delivery}");
    assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains("bob@example.net")), "{delivery}");
    assert_eq!(sink.next().await.to, ["ada@example.net", "cyd@example.net"]);
    assert_eq!(sink.mails().len(), 1);
    // Whoever takes care of it can learn of it from the event alone.
    let told = list(&desk, "/api/v1/events?after=0&limit=100&types=message.sent").await;
    let refused = &told[0]["data"]["refused"];
    assert_eq!(
        (refused.as_array().map(Vec::len), &refused[0]["email"]),
        (Some(1), &json!("bob@example.net"))
    );
    assert!(refused[0]["response"].as_str().is_some_and(|why| why.contains("No such user")), "{refused}");
    assert_eq!(told[0]["data"].get("assignee_id"), Some(&Value::Null), "nobody has it yet");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_for_now_is_tried_again_alone() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("bob@example.net", "451 4.7.1 Greylisted");
    let answer = desk.http.post(&path(conversation), &to_three()).await.expect(201).json();
    let delivery = delivered(&desk, &answer, "deferred").await;
    assert_eq!(
        results(&delivery),
        [
            result("ada@example.net", "accepted"),
            result("bob@example.net", "deferred"),
            result("cyd@example.net", "accepted")
        ]
    );
    sink.accept_rcpt("bob@example.net");
    pass(&desk, MINUTE).await;
    let delivery = delivered(&desk, &answer, "sent").await;
    assert_eq!((&delivery["attempts"], &delivery["last_error"]), (&json!(2), &Value::Null));
    assert!(results(&delivery).iter().all(|(_, state)| state == "accepted"), "{delivery}");
    let (first, second) = (sink.next().await, sink.next().await);
    assert_eq!(first.to, ["ada@example.net", "cyd@example.net"]);
    assert_eq!(second.to, ["bob@example.net"]);
    assert_eq!(first.raw, second.raw, "the same mail, byte for byte");
    desk.stop().await;
}

/// Every phase in which a server may say "not now", and what the mail is worth then.
#[tokio::test(flavor = "multi_thread")]
async fn not_now_means_later() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let phases = [
        Phase::Greeting,
        Phase::Ehlo,
        Phase::StartTls,
        Phase::Auth,
        Phase::Mail,
        Phase::Rcpt,
        Phase::Data,
        Phase::Dot,
    ];
    for (index, phase) in phases.into_iter().enumerate() {
        sink.fail_next(phase, "451 4.3.0 Try again later");
        let answer = reply(&desk, conversation, &format!("Answer {index}")).await;
        let delivery = delivered(&desk, &answer, "deferred").await;
        assert_eq!(delivery["attempts"], 1, "{phase:?}: {delivery}");
        assert!(delivery["next_attempt_at"].is_string(), "{phase:?}: {delivery}");
        let why = delivery["last_error"].as_str().unwrap_or_default();
        assert!(why.contains("Try again later") || phase == Phase::Ehlo, "{phase:?}: {why}");
        assert_eq!(sink.mails().len(), index, "{phase:?}");
        pass(&desk, MINUTE).await;
        let delivery = delivered(&desk, &answer, "sent").await;
        assert_eq!(
            (&delivery["attempts"], &delivery["last_error"], &delivery["next_attempt_at"]),
            (&json!(2), &Value::Null, &Value::Null),
            "{phase:?}: {delivery}"
        );
        assert_eq!(sink.mails().len(), index + 1, "{phase:?}");
        assert_eq!(sink.next().await.header("Message-ID"), Some(id_of(&answer)));
    }
    desk.stop().await;
}

/// Before the final dot a lost connection costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_before_the_end_means_later() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let phases = [Phase::Greeting, Phase::StartTls, Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Data];
    for (index, phase) in phases.into_iter().enumerate() {
        sink.hang_up_next(phase);
        let answer = reply(&desk, conversation, &format!("Answer {index}")).await;
        delivered(&desk, &answer, "deferred").await;
        assert_eq!(sink.mails().len(), index, "{phase:?}");
        pass(&desk, MINUTE).await;
        delivered(&desk, &answer, "sent").await;
        assert_eq!(sink.mails().len(), index + 1, "{phase:?}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_means_never() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    for phase in [Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot] {
        sink.fail_next(phase, "554 5.7.1 We do not want this");
        let answer = reply(&desk, conversation, "It left today.").await;
        let delivery = delivered(&desk, &answer, "failed").await;
        let why = delivery["last_error"].as_str().unwrap_or_default();
        assert!(why.contains("We do not want this"), "{phase:?}: {why}");
        assert_eq!(results(&delivery), [result("ada@example.net", "refused")], "{phase:?}");
        assert_eq!(delivery["next_attempt_at"], Value::Null);
        let shown = message(&desk, number(&answer["id"])).await;
        assert_eq!(shown["delivery"]["state"], "failed", "it stands beside the message");
    }
    pass(&desk, days(3)).await;
    let last = reply(&desk, conversation, "And now?").await;
    delivered(&desk, &last, "sent").await;
    assert_eq!(sink.mails().len(), 1, "what failed is not tried again");
    let events = desk.event_types().await;
    assert_eq!(events.iter().filter(|event| *event == "message.failed").count(), 4, "{events:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_waited_for() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let down = with(smtp(&sink), json!({"port": ports::unreachable().port()}));
    let mailbox = pushed(&desk, json!({"delivery": down})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    let delivery = delivered(&desk, &answer, "deferred").await;
    assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{delivery}");
    let tried =
        desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/test"), &json!({})).await.expect(200).json();
    assert_eq!(tried["delivery"]["ok"], false, "{tried}");
    // It comes up elsewhere; the password for this very host and user is still good.
    let change = json!({"delivery": {"port": sink.port}});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &change).await.expect(200);
    assert!(sink.mails().is_empty());
    pass(&desk, MINUTE).await;
    delivered(&desk, &answer, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_days_are_enough() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("ada@example.net", "451 4.7.1 Greylisted");
    let answer = reply(&desk, conversation, "It left today.").await;
    let mut delivery = delivered(&desk, &answer, "deferred").await;
    // Each time it is due it is tried, and in the end it is given up: 48 hours, with growing pauses.
    while delivery["state"] == "deferred" {
        let before = delivery["attempts"].clone();
        assert!(number(&before) < 20, "{delivery}");
        pass(&desk, Duration::from_secs(6 * 60 * 60)).await;
        let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
        delivery = desk
            .until(|| async {
                let now = desk.http.get(&path).await.expect(200).json();
                let is_through = now["attempts"] != before && now["state"] != "sending";
                is_through.then_some(now)
            })
            .await;
    }
    assert_eq!(delivery["state"], "failed", "{delivery}");
    assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains("given up")), "{delivery}");
    assert_eq!(results(&delivery), [result("ada@example.net", "refused")]);
    assert!(sink.mails().is_empty());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_looked_at() {
    use support::tls::Certificate;
    for (certificate, words) in [
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "another name"),
        (Certificate::Untrusted, "ca_file"),
    ] {
        let sink = SmtpSink::start_with(smtp::Options { certificate, ..smtp::Options::default() });
        let desk = TestDesk::start().await;
        let mailbox = sending(&desk, &sink).await;
        let conversation = with_ada(&desk, mailbox).await;
        let answer = reply(&desk, conversation, "It left today.").await;
        let delivery = delivered(&desk, &answer, "deferred").await;
        assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains(words)), "{delivery}");
        assert!(sink.mails().is_empty());
        desk.stop().await;
    }
    // Nor does anything leave where encryption is asked for and not offered.
    let sink = SmtpSink::start_with(smtp::Options { no_starttls: true, ..smtp::Options::default() });
    let desk = TestDesk::start().await;
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    let delivery = delivered(&desk, &answer, "deferred").await;
    assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains("STARTTLS")), "{delivery}");
    assert!(sink.mails().is_empty());
    desk.stop().await;
}
