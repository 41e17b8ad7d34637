//! What somebody decides about a mail that has not arrived, and what is told of one that takes long.

use super::{path, sending, with_ada};
use crate::mailing::*;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::id::MessageId;
use postroom_core::operations::outbox;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::smtp::{Phase, SmtpSink};

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn retry(desk: &TestDesk, answer: &Value) -> Result<(), Error> {
    let id = MessageId(number(&answer["id"]));
    desk.desk().write(&Actor::system(), move |cx| outbox::retry(cx, id)).await.map(drop)
}

async fn cancel(desk: &TestDesk, answer: &Value) -> Result<(), Error> {
    let id = MessageId(number(&answer["id"]));
    desk.desk().write(&Actor::system(), move |cx| outbox::cancel(cx, id)).await.map(drop)
}

fn conflicts(done: Result<(), Error>) -> String {
    match done {
        Err(Error::StateConflict(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_for_those_who_lack_it() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("ada@example.net", "550 5.1.1 No such user");
    sink.refuse_rcpt("bob@example.net", "451 4.7.1 Greylisted");
    let body = json!({"kind": "reply", "text": "For all.", "to": [{"email": "ada@example.net"}],
                      "cc": [{"email": "bob@example.net"}, {"email": "cyd@example.net"}]});
    let answer = desk.http.post(&path(conversation), &body).await.expect(201).json();
    delivered(&desk, &answer, "deferred").await;
    // Before its time, by hand: Ada has an address now, Bob's server still does not want to.
    sink.accept_rcpt("ada@example.net");
    retry(&desk, &answer).await.expect("what is deferred may be tried");
    let again = desk
        .until(|| async {
            let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
            let now = desk.http.get(&path).await.expect(200).json();
            (now["state"] == "deferred" && now["recipients"][0]["state"] == "accepted").then_some(now)
        })
        .await;
    assert_eq!(again["recipients"][1]["state"], "deferred");
    // It is given up when it could have been tried for two days; time in which nobody looked does not count.
    let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
    let mut now = desk.http.get(&path).await.expect(200).json();
    while now["state"] != "failed" {
        let before = now["attempts"].clone();
        assert!(number(&before) < 20, "{now}");
        pass(&desk, HOUR * 6).await;
        now = desk
            .until(|| async {
                let now = desk.http.get(&path).await.expect(200).json();
                (now["attempts"] != before && now["state"] != "sending").then_some(now)
            })
            .await;
    }
    delivered(&desk, &answer, "failed").await;
    pass(&desk, days(1)).await;
    sink.accept_rcpt("bob@example.net");
    retry(&desk, &answer).await.expect("what failed may be tried");
    let sent = delivered(&desk, &answer, "sent").await;
    assert_eq!((&sent["may_be_double"], &sent["last_error"]), (&json!(false), &Value::Null), "{sent}");
    let mails = sink.mails();
    let to: Vec<&[String]> = mails.iter().map(|mail| mail.to.as_slice()).collect();
    assert_eq!(to, [["cyd@example.net"], ["ada@example.net"], ["bob@example.net"]]);
    assert!(mails.iter().all(|mail| mail.raw == mails[0].raw), "the same bytes");
    assert!(conflicts(retry(&desk, &answer).await).contains("sent"));
    assert!(conflicts(cancel(&desk, &answer).await).contains("sent"));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_can_be_given_up() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.fail_next(Phase::Mail, "451 4.3.0 Try again later");
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "deferred").await;
    cancel(&desk, &answer).await.expect("what waits may be given up");
    let failed = delivered(&desk, &answer, "failed").await;
    assert_eq!(failed["last_error"], "cancelled by postroom", "{failed}");
    assert_eq!(failed["recipients"][0]["state"], "refused");

    // Of an uncertain one nobody can say that it did not arrive.
    sink.drop_after_dot();
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "uncertain").await;
    assert!(conflicts(retry(&desk, &answer).await).contains("looked for"));
    cancel(&desk, &answer).await.expect("what is uncertain may be given up");
    let failed = delivered(&desk, &answer, "failed").await;
    assert!(failed["last_error"].as_str().is_some_and(|why| why.contains("may have arrived")), "{failed}");
    pass(&desk, days(1)).await;
    let last = reply(&desk, conversation, "And now?").await;
    delivered(&desk, &last, "sent").await;
    assert_eq!(sink.mails().len(), 2, "nothing that was given up leaves");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_what_may_have_arrived_says_so() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink), "on_uncertain": "hold"})).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.drop_after_dot();
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "uncertain").await;
    pass(&desk, HOUR).await;
    desk.until(|| async { retry(&desk, &answer).await.ok() }).await;
    let sent = delivered(&desk, &answer, "sent").await;
    assert_eq!(sent["may_be_double"], true, "{sent}");
    let mails = sink.mails();
    assert_eq!((mails.len(), &mails[0].raw), (2, &mails[1].raw));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_four_hours_is_told_once() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("ada@example.net", "451 4.7.1 Greylisted");
    let answer = reply(&desk, conversation, "It left today.").await;
    let told = async || {
        let feed = desk.http.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
        let rows = feed["data"].as_array().expect("a list").clone();
        rows.into_iter().filter(|event| event["type"] == "message.delayed").collect::<Vec<_>>()
    };
    let tried = async |attempts: i64| {
        let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
        desk.until(|| async {
            let now = desk.http.get(&path).await.expect(200).json();
            (now["state"] == "deferred" && now["attempts"] == attempts).then_some(now)
        })
        .await
    };
    // 1 + 5 + 15 + 60 minutes, and one minute short of four hours.
    let minute = Duration::from_secs(60);
    let mut left = 4 * 60 - 1;
    for (attempts, minutes) in [(1, 0), (2, 1), (3, 5), (4, 15), (5, 60)] {
        left -= minutes;
        pass(&desk, minute * minutes).await;
        tried(attempts).await;
    }
    pass(&desk, minute * left).await;
    let other = reply(&desk, conversation, "Meanwhile.").await;
    delivered(&desk, &other, "deferred").await;
    assert_eq!(told().await, Vec::<Value>::new());
    pass(&desk, minute).await;
    let first = desk.until(|| async { told().await.pop() }).await;
    assert_eq!(first["message_id"], answer["id"]);
    assert_eq!(first["data"]["recipients"], json!(["ada@example.net"]), "{first}");
    pass(&desk, Duration::from_secs(60 * 60)).await;
    let now = tried(6).await;
    assert!(now["delayed_at"].is_string(), "{now}");
    assert_eq!(told().await.len(), 1, "once");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_took_can_be_sent() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": {"type": "sink"}})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    assert_eq!(delivered(&desk, &answer, "sent").await["captured"], true);
    let change = json!({"delivery": smtp(&sink)});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &change).await.expect(200);
    retry(&desk, &answer).await.expect("it is sent");
    let got = sink.next().await;
    assert!(got.text().contains("It left today."), "{}", got.text());
    let now = delivered(&desk, &answer, "sent").await;
    assert_eq!((&now["captured"], &now["may_be_double"]), (&json!(false), &json!(false)), "{now}");
    assert!(conflicts(retry(&desk, &answer).await).contains("everybody"));
    desk.stop().await;
}
