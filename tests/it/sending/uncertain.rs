//! Mails whose reply was lost after the final dot: evidence settles them, else they go once more under the
//! same Message-ID, or are held; and never a third time.

use super::{path, sending, with_ada};
use crate::effects::bounce;
use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::mail;
use support::smtp::SmtpSink;

/// As long as it is looked for evidence.
const EVIDENCE: Duration = Duration::from_secs(15 * 60);

/// An answer whose reply is lost.
async fn lost(desk: &TestDesk, sink: &SmtpSink, conversation: i64) -> (Value, Value) {
    sink.drop_after_dot();
    let answer = reply(desk, conversation, "It left today.").await;
    let delivery = delivered(desk, &answer, "uncertain").await;
    assert!(delivery["last_error"].as_str().is_some_and(|why| why.contains("taken or not")), "{delivery}");
    assert!(delivery["uncertain_until"].is_string(), "{delivery}");
    assert_eq!(delivery["may_be_double"], false);
    (answer, delivery)
}

async fn delivery(desk: &TestDesk, answer: &Value) -> Value {
    desk.http.get(&format!("/api/v1/messages/{}/delivery", answer["id"])).await.expect(200).json()
}

fn by_hand(answer: &Value, what: &str) -> String {
    format!("/api/v1/messages/{}/{what}", answer["id"])
}

/// Events of one type, with what they say.
async fn told(desk: &TestDesk, kind: &str) -> Vec<Value> {
    let feed = desk.http.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    let rows = feed["data"].as_array().expect("a list");
    rows.iter().filter(|event| event["type"] == kind).map(|event| event["data"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_evidence_it_goes_once_more_and_never_a_third_time() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let (answer, _) = lost(&desk, &sink, conversation).await;
    pass(&desk, Duration::from_secs(15 * 60 - 1)).await;
    // Whoever is through with this has looked at the outbox since.
    let other = reply(&desk, conversation, "Meanwhile.").await;
    delivered(&desk, &other, "sent").await;
    assert_eq!(delivery(&desk, &answer).await["state"], "uncertain");
    assert_eq!(sink.mails().len(), 2);

    sink.drop_after_dot();
    pass(&desk, Duration::from_secs(2)).await;
    let second = desk
        .until(|| async {
            let now = delivery(&desk, &answer).await;
            (now["state"] == "uncertain" && now["attempts"] == 2).then_some(now)
        })
        .await;
    assert_eq!(
        (&second["may_be_double"], &second["uncertain_until"]),
        (&json!(true), &Value::Null),
        "{second}"
    );
    assert!(second["finished_at"].is_string(), "{second}");
    let mails = sink.mails();
    assert_eq!(mails.len(), 3);
    assert_eq!(mails[0].raw, mails[2].raw, "the same mail, byte for byte");
    assert_eq!(mails[0].header("Message-ID"), Some(id_of(&answer)));
    pass(&desk, days(3)).await;
    let last = reply(&desk, conversation, "Did you get it?").await;
    delivered(&desk, &last, "sent").await;
    assert_eq!(sink.mails().len(), 4, "never a third time");
    let told = told(&desk, "message.uncertain").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0]["uncertain_until"].is_string() && told[1]["what_to_do"].is_string(), "{told:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_to_be_held_nothing_sends_it_again() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink), "on_uncertain": "hold"})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let (answer, _) = lost(&desk, &sink, conversation).await;
    pass(&desk, EVIDENCE).await;
    let held = desk
        .until(|| async {
            let now = delivery(&desk, &answer).await;
            now["finished_at"].is_string().then_some(now)
        })
        .await;
    assert_eq!((&held["state"], &held["may_be_double"]), (&json!("uncertain"), &json!(false)), "{held}");
    assert!(told(&desk, "message.uncertain").await[1]["what_to_do"].is_string());
    pass(&desk, days(3)).await;
    let last = reply(&desk, conversation, "Did you get it?").await;
    delivered(&desk, &last, "sent").await;
    assert_eq!(sink.mails().len(), 2);
    // Late evidence counts as much as any.
    let thanks = mail()
        .from("Ada <ada@example.net>")
        .subject("Re: Parcel lost")
        .in_reply_to(&id_of(&answer))
        .text("I got it twice? No, once.");
    push(&desk, mailbox, &thanks.build()).await;
    let now = delivered(&desk, &answer, "sent").await;
    assert!(now["response"].as_str().is_some_and(|why| why.contains("answered")), "{now}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_in_doubt_and_is_answered_had_arrived() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let (answer, _) = lost(&desk, &sink, conversation).await;
    desk.http.post(&by_hand(&answer, "cancel"), &json!({})).await.expect(200);
    assert_eq!(delivery(&desk, &answer).await["state"], "failed");
    let thanks = mail().from("Ada <ada@example.net>").in_reply_to(&id_of(&answer)).text("Thank you.");
    push(&desk, mailbox, &thanks.build()).await;
    let now = delivered(&desk, &answer, "sent").await;
    assert_eq!(now["recipients"][0]["state"], "accepted", "{now}");
    desk.http.post(&by_hand(&answer, "retry"), &json!({})).await.expect(409);
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_settles_it() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    // A list, or a copy to ourselves: our own mail comes to an inbox.
    let (echoed, _) = lost(&desk, &sink, conversation).await;
    push(&desk, mailbox, &sink.mails()[0].raw).await;
    let now = delivered(&desk, &echoed, "sent").await;
    assert!(now["response"].as_str().is_some_and(|why| why.contains("mailbox of ours")), "{now}");
    assert_eq!(now["recipients"][0]["state"], "accepted");

    // A bounce that names it proves that the server took it, and says who has not got it.
    let (bounced, _) = lost(&desk, &sink, conversation).await;
    let report = bounce("failed", "5.1.1", &id_of(&bounced));
    push(&desk, mailbox, &report).await;
    let now = delivered(&desk, &bounced, "bounced").await;
    assert!(now["response"].as_str().is_some_and(|why| why.contains("report")), "{now}");

    let evidence: Vec<Value> =
        told(&desk, "message.sent").await.iter().map(|data| data["evidence"].clone()).collect();
    assert_eq!(evidence, [json!("echo"), json!("report")]);
    pass(&desk, EVIDENCE).await;
    let last = reply(&desk, conversation, "Anything else?").await;
    delivered(&desk, &last, "sent").await;
    assert_eq!(sink.mails().len(), 3, "none went again");
    desk.stop().await;
}

/// Providers put what they were given into the Sent folder: there it is looked for when the time is up.
#[tokio::test(flavor = "multi_thread")]
async fn the_sent_folder_is_looked_into() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start_fixed().await;
    dovecot.make_folder("support", "Sent");
    // The folder is named, so that it is looked into; its mail is old when the mailbox begins to read it.
    let source = with(imap(&dovecot), json!({"sent_folder": "Sent"}));
    let mailbox = add_with(
        &desk,
        json!({"name": "Support", "address": "support@example.org", "source": source,
               "delivery": smtp(&sink), "sent_copy": "none"}),
    )
    .await;
    sync(&desk, mailbox).await;
    let begun = json!({
        "mailbox_id": mailbox, "subject": "Your parcel", "customer": {"email": "ada@example.net"},
        "message": {"kind": "note", "text": "x"},
    });
    let conversation =
        number(&desk.http.post("/api/v1/conversations", &begun).await.expect(201).json()["id"]);
    let body = json!({"kind": "reply", "text": "It left today.", "to": [{"email": "ada@example.net"}]});
    let mut answers = Vec::new();
    for _ in 0..2 {
        sink.drop_after_dot();
        let answer = desk.http.post(&path(conversation), &body).await.expect(201).json();
        delivered(&desk, &answer, "uncertain").await;
        answers.push(answer);
    }
    let mails = sink.mails();
    dovecot.deliver("support", "Sent", &mails[0].raw);
    pass(&desk, EVIDENCE).await;
    let now = delivered(&desk, &answers[0], "sent").await;
    assert!(now["response"].as_str().is_some_and(|why| why.contains("Sent folder")), "{now}");
    let again = delivered(&desk, &answers[1], "sent").await;
    assert_eq!((&again["may_be_double"], &again["attempts"]), (&json!(true), &json!(2)), "{again}");
    assert_eq!(sink.mails().len(), 3, "the one that lies there did not go again");
    desk.stop().await;
}
