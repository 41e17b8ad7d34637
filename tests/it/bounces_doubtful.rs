//! Which bounces are believed. Everybody who got a copy of an answer knows its Message-ID, so a report that names it
//! may be one of theirs; what is doubted is there to be read, and nothing follows from it.

use crate::bounces::{agent, answered, bounce, notices};
use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

const ADA: &str = "ada@example.net";
const EVE: &str = "eve@evil.example";

/// A report as somebody would send it, with headers of the receiving server's above it.
fn reported(name: &str, to: &str, ours: &str, from: &str, above: &str) -> Vec<u8> {
    let raw = String::from_utf8(bounce(name, to, "5.1.1", ours)).expect("it is ASCII");
    let daemon = format!("EVIL <mailer-daemon@mx-{name}.example>");
    raw.replacen("Return-Path: <>\r\n", above, 1).replacen(&daemon, from, 1).into_bytes()
}

/// An answer to a customer of which `cc` got a copy, in a conversation that is closed.
async fn answer(desk: &TestDesk, mailbox: i64, assignee: i64, customer: &str, cc: &[&str]) -> (i64, Value) {
    let first = arrive(desk, mailbox, &mail().from(customer).subject("Where is it?")).await;
    let body = json!({"kind": "reply", "text": "It is in Leeds.", "cc": cc.iter().map(|email| json!({"email": email})).collect::<Vec<_>>()});
    let answer = reply_with(desk, first.conversation, body).await;
    delivered(desk, &answer, "sent").await;
    let path = format!("/api/v1/conversations/{}", first.conversation);
    desk.http.patch(&path, &json!({"assignee_id": assignee, "status": "closed"})).await.expect(200);
    (first.conversation, answer)
}

/// What a report did: the conversation's status, the answer's delivery, whether the customer's address is marked, how many
/// `message.bounced` were told, and the report's own flags.
async fn done(desk: &TestDesk, conversation_id: i64, answer: &Value, report: &Value) -> Value {
    let conversation = conversation(desk, conversation_id).await;
    let path = format!("/api/v1/messages/{}/delivery", answer["id"]);
    let delivery = desk.http.get(&path).await.expect(200).json();
    let customer = format!("/api/v1/customers/{}", conversation["customer_id"]);
    let customer = desk.http.get(&customer).await.expect(200).json();
    let activity = list(desk, &format!("/api/v1/conversations/{conversation_id}/activity?limit=100")).await;
    let told = activity.iter().filter(|event| event["type"] == "message.bounced").count();
    let report = message(desk, number(&report["message_id"])).await;
    assert_eq!((&report["conversation_id"], &report["class"]), (&json!(conversation_id), &json!("bounce")));
    json!([
        conversation["status"],
        delivery["state"],
        customer["addresses"][0]["undeliverable_at"].is_string(),
        told,
        report["flags"]
    ])
}

fn nothing() -> Value {
    json!(["closed", "sent", false, 0, ["doubtful_report"]])
}

fn all() -> Value {
    json!(["open", "bounced", true, 1, []])
}

async fn desk_and_sink() -> (TestDesk, SmtpSink, i64, i64) {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let settings = json!({"delivery": smtp(&sink), "trusted_authserv_ids": ["mx.example.org"]});
    let mailbox = pushed(&desk, settings).await;
    let amy = agent(&desk, "amy@desk.example").await;
    (desk, sink, mailbox, amy)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_got_a_copy_cannot_declare_anothers_address_dead() {
    let (desk, _sink, mailbox, amy) = desk_and_sink().await;
    let (id, answer) = answer(&desk, mailbox, amy, ADA, &[EVE]).await;
    let passes =
        |domain: &str| format!("Authentication-Results: mx.example.org; dmarc=pass header.from={domain}\r\n");
    let path = |path: &str| format!("Return-Path: <{path}>\r\n");
    for (n, (from, above)) in [
        (EVE.to_owned(), path(EVE)),
        (EVE.to_owned(), path(EVE) + &passes("evil.example")),
        // A name that says nothing, and one that is proven but knows nothing of Ada.
        ("postmaster@example.net".to_owned(), path(EVE)),
        ("postmaster@evil.example".to_owned(), path(EVE) + &passes("evil.example")),
        // Whoever has an address where Ada has hers.
        ("eve@example.net".to_owned(), path("eve@example.net") + &passes("example.net")),
        ("postmaster2@example.net".to_owned(), path("postmaster2@example.net") + &passes("example.net")),
        // No notice of Amazon's, and Amazon is not who our mail leaves by.
        ("no-reply@sns.amazonaws.com".to_owned(), path("x@amazonses.com") + &passes("sns.amazonaws.com")),
    ]
    .into_iter()
    .enumerate()
    {
        let raw = reported(&n.to_string(), ADA, &id_of(&answer), &from, &above);
        let report = push(&desk, mailbox, &raw).await;
        assert_eq!(done(&desk, id, &answer, &report).await, nothing(), "{from} {above}");
    }
    // The report's own words for whom it is about are Eve's, too: her postmaster is proven, and knows nothing of Ada.
    let above = path("postmaster@evil.example") + &passes("evil.example");
    for (n, words) in ["x@evil.example\r\nOriginal-Recipient: rfc822; ada@example.net", "x@evil.example"]
        .into_iter()
        .enumerate()
    {
        let name = format!("own-{n}");
        let raw = reported(&name, words, &id_of(&answer), "postmaster@evil.example", &above);
        let report = push(&desk, mailbox, &raw).await;
        assert_eq!(done(&desk, id, &answer, &report).await, nothing(), "{words}");
    }
    assert_eq!(notices(&desk), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_send_is_believed() {
    let (desk, _sink, mailbox, amy) = desk_and_sink().await;
    let passes =
        |domain: &str| format!("Authentication-Results: mx.example.org; dmarc=pass header.from={domain}\r\n");
    for (n, (from, above)) in [
        // As the RFC wants it, as procmail writes it, and from a server that notes no path.
        ("mailer-daemon@mx.example.net", "Return-Path: <>\r\n".to_owned()),
        ("mailer-daemon@mx.example.net", "Return-Path: <MAILER-DAEMON>\r\n".to_owned()),
        ("mailer-daemon@mx.example.net", String::new()),
        // With an address for a path, but proven: the recipient's server, and our own.
        (
            "postmaster@example.net",
            "Return-Path: <postmaster@example.net>\r\n".to_owned() + &passes("example.net"),
        ),
        (
            "MAILER-DAEMON@mx.example.net",
            "Return-Path: <bounces@mx.example.net>\r\n".to_owned() + &passes("mx.example.net"),
        ),
        (
            "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.org",
            "Return-Path: <postmaster@example.org>\r\n".to_owned() + &passes("example.org"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let to = format!("c{n}@example.net");
        let (id, answer) = answer(&desk, mailbox, amy, &to, &[EVE]).await;
        let report =
            push(&desk, mailbox, &reported(&n.to_string(), &to, &id_of(&answer), from, &above)).await;
        assert_eq!(done(&desk, id, &answer, &report).await, all(), "{from} {above}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_one_person_got_is_theirs_to_report_on() {
    let (desk, _sink, mailbox, amy) = desk_and_sink().await;
    let path = "Return-Path: <postmaster@relay.example>\r\n";
    let (id, alone) = answered(&desk, mailbox, ADA, Some(amy)).await;
    let report =
        push(&desk, mailbox, &reported("a", ADA, &id_of(&alone), "postmaster@relay.example", path)).await;
    assert_eq!(done(&desk, id, &alone, &report).await, all());
    assert_eq!(notices(&desk), 1);

    // Who joins later reads of it in References.
    let (id, alone) = answered(&desk, mailbox, "bob@example.net", Some(amy)).await;
    let more = json!({"kind": "reply", "text": "It left Leeds.", "cc": [{"email": EVE}]});
    let later = reply_with(&desk, id, more).await;
    delivered(&desk, &later, "sent").await;
    set_status(&desk, id, "closed").await;
    let forged = reported("b", "bob@example.net", &id_of(&alone), "postmaster@relay.example", path);
    let report = push(&desk, mailbox, &forged).await;
    assert_eq!(done(&desk, id, &alone, &report).await, nothing());
    assert_eq!(notices(&desk), 1);
    desk.stop().await;
}
