//! Who is told by mail that an answer came back, in what words, and how often at the most.

use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

/// A mail that reports that an answer of ours never arrived, with all that its writer can put into one.
pub fn bounce(name: &str, to: &str, status: &str, ours: &str) -> Vec<u8> {
    format!(
        "Return-Path: <>\r\nFrom: EVIL <mailer-daemon@mx-{name}.example>\r\nTo: support@example.org\r\n\
         Subject: EVIL {name}\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\n\
         Message-ID: <bounce-{name}@mx-{name}.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nEVIL {name}: http://evil.example\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx-{name}.example\r\n\r\nFinal-Recipient: rfc822; {to}\r\n\
         Action: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 EVIL http://evil.example\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {ours}\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

/// A desk on a clock that stands, with a mailbox that answers leave from.
async fn desk_and_sink() -> (TestDesk, SmtpSink, i64) {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    (desk, sink, mailbox)
}

pub async fn agent(desk: &TestDesk, email: &str) -> i64 {
    let agent = json!({"name": "Amy", "email": email, "role": "owner"});
    number(&desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"])
}

/// An answer to a customer that has left, in a conversation of an agent's or of nobody's.
pub async fn answered(desk: &TestDesk, mailbox: i64, customer: &str, assignee: Option<i64>) -> (i64, Value) {
    let subject = format!("EVIL subject of {customer}");
    let id = arrive(desk, mailbox, &mail().from(&format!("EVIL <{customer}>")).subject(&subject))
        .await
        .conversation;
    let answer = reply(desk, id, "It is in Leeds.").await;
    delivered(desk, &answer, "sent").await;
    let path = format!("/api/v1/conversations/{id}");
    desk.http.patch(&path, &json!({"assignee_id": assignee, "status": "closed"})).await.expect(200);
    (id, answer)
}

async fn comes_back(desk: &TestDesk, mailbox: i64, name: &str, to: &str, answer: &Value) {
    let receipt = push(desk, mailbox, &bounce(name, to, "5.1.1", &id_of(answer))).await;
    assert_eq!(receipt["conversation_id"], answer["conversation_id"], "{receipt}");
}

/// How many notices there ever were.
pub fn notices(desk: &TestDesk) -> i64 {
    count(desk, "SELECT count(*) AS count FROM outbox WHERE message_id IS NULL")
}

async fn events(desk: &TestDesk, conversation: i64, kind: &str) -> Vec<Value> {
    let events = list(desk, &format!("/api/v1/conversations/{conversation}/activity?limit=100")).await;
    events.into_iter().filter(|event| event["type"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assignee_is_told_without_a_word_of_the_report() {
    let (desk, sink, mailbox) = desk_and_sink().await;
    let amy = agent(&desk, "amy@desk.example").await;
    let (id, answer) = answered(&desk, mailbox, "ada@example.net", Some(amy)).await;
    sink.next().await;
    let evil = bounce("1", "ada@example.net", "5.1.1 EVIL http://evil.example", &id_of(&answer));
    push(&desk, mailbox, &evil).await;

    let notice = sink.next().await;
    assert_eq!((notice.from.as_str(), notice.to.as_slice()), ("", &["amy@desk.example".to_owned()][..]));
    let header = |name: &str| notice.header(name).unwrap_or_default();
    assert_eq!(header("From"), "\"postroom\" <support@example.org>");
    assert_eq!(header("Subject"), format!("postroom: an answer in conversation {id} came back"));
    assert_eq!(
        (header("Auto-Submitted"), header("X-Auto-Response-Suppress")),
        ("auto-generated".to_owned(), "All".to_owned())
    );
    assert!(!header("X-Postroom-Instance").is_empty());
    let text = notice.text();
    assert!(
        text.contains("ada@example.net") && text.contains(&format!("Message: {}", answer["id"])),
        "{text}"
    );
    assert!(!text.contains("EVIL") && !text.contains("evil.example"), "{text}");
    assert_eq!(conversation(&desk, id).await["status"], "open");
    assert_eq!(events(&desk, id, "message.bounced").await.len(), 1);
    // It is of our own making, and whoever gets it by mistake lets it be.
    assert_eq!(push(&desk, mailbox, &notice.raw).await["verdict"], "accepted");
    assert_eq!((notices(&desk), sink.mails().len()), (1, 2));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_or_will_not_be_told_by_mail_gets_none() {
    let (desk, sink, mailbox) = desk_and_sink().await;
    let names =
        ["unwilling@desk.example", "gone@desk.example", "Support+x@Example.org", "lost+a@example.net"];
    let mut assignees = vec![None];
    for name in names {
        assignees.push(Some(agent(&desk, name).await));
    }
    let unwilling = desk.client_of_agent(assignees[1].expect("an agent")).await;
    let me = unwilling.patch("/api/v1/me", &json!({"bounce_notices": false})).await.expect(200).json();
    assert_eq!(me["bounce_notices"], false);
    let gone = format!("/api/v1/agents/{}", assignees[2].expect("an agent"));
    for (n, assignee) in assignees.iter().enumerate() {
        let customer = if n == 4 { "Lost@example.net".to_owned() } else { format!("c{n}@example.net") };
        let (id, answer) = answered(&desk, mailbox, &customer, *assignee).await;
        if n == 2 {
            desk.http.patch(&gone, &json!({"disabled": true})).await.expect(200);
        }
        comes_back(&desk, mailbox, &n.to_string(), &customer, &answer).await;
        assert_eq!(events(&desk, id, "message.bounced").await.len(), 1);
        assert_eq!(conversation(&desk, id).await["status"], "open");
        assert_eq!(notices(&desk), 0, "{n}");
    }
    // A delay bothers nobody, and neither does what is said of one of the desk's own answers.
    let amy = agent(&desk, "amy@desk.example").await;
    let (_, answer) = answered(&desk, mailbox, "ada@example.net", Some(amy)).await;
    let delay =
        String::from_utf8(bounce("late", "ada@example.net", "4.4.1", &id_of(&answer))).expect("it is ASCII");
    push(&desk, mailbox, delay.replace("Action: failed", "Action: delayed").as_bytes()).await;
    assert_eq!(notices(&desk), 0);
    comes_back(&desk, mailbox, "final", "ada@example.net", &answer).await;
    assert_eq!(notices(&desk), 1, "the same with nothing in its way");
    drop(sink);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_two_an_hour_and_a_conversation_gives_one() {
    let (desk, sink, mailbox) = desk_and_sink().await;
    let amy = agent(&desk, "amy@desk.example").await;
    let mut all = Vec::new();
    for n in 0..4 {
        all.push(answered(&desk, mailbox, &format!("c{n}@example.net"), Some(amy)).await);
    }
    let back = |n: usize, name: &str| {
        let (name, answer) = (format!("{name}{n}"), all[n].1.clone());
        let desk = &desk;
        async move { comes_back(desk, mailbox, &name, &format!("c{n}@example.net"), &answer).await }
    };
    back(0, "a").await;
    back(0, "b").await;
    assert_eq!(notices(&desk), 1, "the conversation gave one");
    back(1, "a").await;
    assert_eq!(notices(&desk), 2, "at the limit");
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM events WHERE type = 'notice.withheld'"), 0);
    back(2, "a").await;
    back(3, "a").await;
    back(3, "b").await;
    assert_eq!(notices(&desk), 2, "one above it");
    let told = events(&desk, all[2].0, "notice.withheld").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["data"]["agent_id"], &told[0]["data"]["message"]),
        (&json!(amy), &json!("message.bounced"))
    );
    assert!(told[0]["data"]["reason"].as_str().is_some_and(|why| why.contains("an hour")), "{}", told[0]);
    assert_eq!(
        count(&desk, "SELECT count(*) AS count FROM events WHERE type = 'notice.withheld'"),
        1,
        "told once"
    );
    // The last that may leave says that it is.
    desk.until(|| async { (sink.mails().len() == 6).then_some(()) }).await;
    // Two that leave at once come in either order.
    let told = sink.mails()[4..].iter().filter(|mail| mail.text().contains("last such notice")).count();
    assert_eq!(told, 1);
    pass(&desk, Duration::from_mins(61)).await;
    back(2, "c").await;
    assert_eq!(notices(&desk), 3);
    desk.stop().await;
}

#[tokio::test]
async fn notices_are_a_setting_of_the_agent() {
    let desk = TestDesk::start().await;
    let amy = agent(&desk, "amy@desk.example").await;
    let path = format!("/api/v1/agents/{amy}");
    assert_eq!(desk.http.get(&path).await.expect(200).json()["bounce_notices"], true);
    let own = desk.client_of_agent(amy).await;
    let signature = json!({"text": "Amy", "format": "text"});
    own.patch("/api/v1/me", &json!({"signature": signature})).await.expect(200);
    let off = own.patch("/api/v1/me", &json!({"bounce_notices": false})).await.expect(200).json();
    assert_eq!(
        (&off["bounce_notices"], &off["signature"]),
        (&json!(false), &signature),
        "what is left out stays"
    );
    own.patch("/api/v1/me", &json!({"bounce_notices": null})).await.expect(422);
    let on = desk.http.patch(&path, &json!({"bounce_notices": true})).await.expect(200).json();
    assert_eq!(on["bounce_notices"], true);
    let feed = desk.http.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    let rows = feed["data"].as_array().expect("a list").iter();
    let changes: Vec<&Value> =
        rows.map(|event| &event["data"]["changes"]["bounce_notices"]).filter(|c| !c.is_null()).collect();
    assert_eq!(changes, [&json!([true, false]), &json!([false, true])]);
    let cleared = own.patch("/api/v1/me", &json!({"signature": null})).await.expect(200).json();
    assert_eq!((&cleared["signature"], &cleared["bounce_notices"]), (&Value::Null, &json!(true)));
    desk.stop().await;
}
