//! What a mail does to its conversation, by its class: every class against every state a
//! conversation can be in. Nothing that a machine wrote reopens, wakes, assigns or answers.

use crate::mailing::*;
use diesel::{RunQueryDsl, sql_query};
use postroom_core::conversation::Status;
use postroom_core::store::conn::{self, Conn};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::{TestMail, mail};

/// A mail of one class, in answer to one of ours.
struct Row {
    name: &'static str,
    class: &'static str,
    /// Whether it makes it our turn.
    is_ours: bool,
    /// Who writes, as the customer of the conversation.
    from: &'static str,
    build: fn(mail: TestMail, ours: &str) -> Vec<u8>,
}

const ADA: &str = "Ada <ada@example.net>";

/// A report of a machine (RFC 6522) about a mail of ours.
fn report(kind: &str, part: &str, fields: &str, ours: &str) -> Vec<u8> {
    format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.org\r\nTo: support@example.org\r\n\
         Subject: Report\r\nDate: Mon, 02 Nov 2026 09:05:00 +0000\r\nMessage-ID: <report-{kind}-{0}@mx>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type={kind}; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n\
         --b\r\nContent-Type: {part}\r\n\r\n{fields}\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {ours}\r\n\r\n--b--\r\n",
        ours.trim_matches(['<', '>']).replace('@', ".")
    )
    .into_bytes()
}

pub fn bounce(action: &str, status: &str, ours: &str) -> Vec<u8> {
    let fields = format!(
        "Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; ada@example.net\r\n\
         Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} no such user\r\n"
    );
    report("delivery-status", "message/delivery-status", &fields, ours)
}

fn calendar(mail: &TestMail, method: &str) -> Vec<u8> {
    let content = format!("BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nEND:VCALENDAR\r\n");
    let raw = String::from_utf8(mail.build()).expect("it is ASCII");
    let (head, _) = raw.split_once("Content-Type:").expect("it has a type");
    format!("{head}Content-Type: text/calendar; method={method}\r\n\r\n{content}").into_bytes()
}

const ROWS: [Row; 12] = [
    Row { name: "human", class: "human", is_ours: true, from: ADA, build: |mail, _| mail.build() },
    Row {
        name: "invitation",
        class: "calendar",
        is_ours: true,
        from: ADA,
        build: |mail, _| calendar(&mail, "REQUEST"),
    },
    Row {
        name: "called off",
        class: "calendar",
        is_ours: true,
        from: ADA,
        build: |mail, _| calendar(&mail, "CANCEL"),
    },
    Row {
        name: "answer to an invitation",
        class: "calendar",
        is_ours: false,
        from: ADA,
        build: |mail, _| calendar(&mail, "REPLY"),
    },
    Row {
        name: "out of office",
        class: "auto_reply",
        is_ours: false,
        from: ADA,
        build: |mail, _| mail.header("Auto-Submitted", "auto-replied").build(),
    },
    Row {
        name: "list",
        class: "list",
        is_ours: false,
        from: ADA,
        build: |mail, _| mail.header("List-Id", "<news.other.example>").build(),
    },
    Row {
        name: "bulk",
        class: "list",
        is_ours: false,
        from: ADA,
        build: |mail, _| mail.header("Precedence", "bulk").build(),
    },
    Row {
        name: "notification",
        class: "notification",
        is_ours: false,
        from: "Shop <no-reply@shop.example>",
        build: |mail, _| mail.build(),
    },
    Row {
        name: "bounce",
        class: "bounce",
        is_ours: true,
        from: ADA,
        build: |_, ours| bounce("failed", "5.1.1", ours),
    },
    Row {
        name: "delay",
        class: "bounce",
        is_ours: false,
        from: ADA,
        build: |_, ours| bounce("delayed", "4.4.1", ours),
    },
    Row {
        name: "receipt",
        class: "receipt",
        is_ours: false,
        from: ADA,
        build: |_, ours| {
            let fields = format!(
                "Final-Recipient: rfc822; ada@example.net\r\nOriginal-Message-ID: {ours}\r\n\
                Disposition: manual-action/MDN-sent-manually; displayed\r\n"
            );
            report("disposition-notification", "message/disposition-notification", &fields, ours)
        },
    },
    Row {
        name: "complaint",
        class: "complaint",
        is_ours: false,
        from: ADA,
        build: |_, ours| {
            report("feedback-report", "message/feedback-report", "Feedback-Type: abuse\r\n", ours)
        },
    },
];

/// Brings a conversation into a state, as an agent or a clock would.
async fn bring(desk: &TestDesk, id: i64, status: Status) {
    if status != Status::Snoozed {
        set_status(desk, id, status.as_str()).await;
        return;
    }
    let url = desk.config().database_url().expect("the configuration names a database");
    let set = format!(
        "UPDATE conversations SET status = 'snoozed', snoozed_until = 2000000000000000, version = version + 1 WHERE id = {id}"
    );
    let set = sql_query(set);
    let rows = match &mut conn::open(&url).expect("the database can be opened") {
        Conn::Sqlite(conn) => set.execute(conn),
        Conn::Postgres(conn) => set.execute(conn),
    };
    assert_eq!(rows, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_against_every_state() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let bob = desk.http.post("/api/v1/agents", &json!({"name": "Bob", "email": "bob@example.org"})).await;
    let bob = bob.expect(201).json()["id"].clone();
    for row in &ROWS {
        for status in Status::ALL {
            // Nobody writes so much in ten minutes.
            desk.desk().advance_clock(Duration::from_secs(3_600));
            let what = format!("{} to {status}", row.name);
            let question = mail().from(row.from).subject(&what);
            let first = arrive(&desk, mailbox, &question).await;
            let path = format!("/api/v1/conversations/{}", first.conversation);
            desk.http.patch(&path, &json!({"assignee_id": bob})).await.expect(200);
            let ours = id_of(&reply(&desk, first.conversation, "It left today.").await);
            bring(&desk, first.conversation, *status).await;
            let before = conversation(&desk, first.conversation).await;

            let answer = mail().from(row.from).subject("Re: it").text(&what).in_reply_to(&ours);
            let receipt = push(&desk, mailbox, &(row.build)(answer, &ours)).await;
            assert_eq!(receipt["conversation_id"], json!(first.conversation), "{what}: {receipt}");
            let landed = message(&desk, number(&receipt["message_id"])).await;
            assert_eq!(landed["class"], row.class, "{what}");
            let after = conversation(&desk, first.conversation).await;
            let is_opened = row.is_ours && *status != Status::Spam;
            let expected = if is_opened {
                (json!("open"), json!("us"))
            } else {
                (before["status"].clone(), before["waiting_on"].clone())
            };
            assert_eq!((&after["status"], &after["waiting_on"]), (&expected.0, &expected.1), "{what}");
            if is_opened {
                assert_eq!(
                    (&after["snoozed_until"], &after["closed_at"]),
                    (&Value::Null, &Value::Null),
                    "{what}"
                );
            } else {
                for member in ["snoozed_until", "closed_at", "waiting_since"] {
                    assert_eq!(before[member], after[member], "{what}: {member}");
                }
            }
            assert_eq!(after["assignee_id"], bob, "{what}");
            // It is there to be read, and nothing answers it.
            let count = number(&before["message_count"]);
            assert_eq!(after["message_count"], json!(count + 1), "{what}");
            assert_eq!(messages(&desk, first.conversation).await.len(), usize::try_from(count).unwrap() + 1);
        }
    }
    desk.stop().await;
}

/// The events of a type, with their data.
async fn events(desk: &TestDesk, kind: &str) -> Vec<Value> {
    list(desk, &format!("/api/v1/events?after=0&limit=100&types={kind}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_tell_what_became_of_an_answer() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = arrive(&desk, mailbox, &mail().from(ADA)).await;
    let answer = reply(&desk, first.conversation, "It left today.").await;
    let ours = id_of(&answer);
    let customer = conversation(&desk, first.conversation).await["customer_id"].clone();
    let address = || async {
        desk.http.get(&format!("/api/v1/customers/{customer}")).await.expect(200).json()["addresses"][0]
            .clone()
    };

    push(&desk, mailbox, &bounce("delayed", "4.4.1", &ours)).await;
    let told = events(&desk, "message.bounced").await;
    assert_eq!((told.len(), &told[0]["data"]["permanent"]), (1, &json!(false)), "{told:?}");
    assert_eq!(address().await["undeliverable_at"], Value::Null);

    // Whom it did not go to is none of its business.
    let other = String::from_utf8(bounce("failed", "5.1.1", &ours)).expect("it is ASCII");
    let other = other.replace("ada@example.net", "eve@example.net").replace("<report-", "<other-");
    push(&desk, mailbox, other.as_bytes()).await;
    assert_eq!(address().await["undeliverable_at"], Value::Null);

    let last = String::from_utf8(bounce("failed", "5.1.1", &ours)).expect("it is ASCII");
    let receipt = push(&desk, mailbox, last.replace("<report-", "<last-").as_bytes()).await;
    let told = events(&desk, "message.bounced").await.pop().expect("it is told");
    assert_eq!(told["message_id"], answer["id"], "it happened to the answer: {told}");
    assert_eq!(told["data"]["report_id"], receipt["message_id"], "{told}");
    let recipient = &told["data"]["recipients"][0];
    assert_eq!(told["data"]["permanent"], true);
    assert_eq!(
        (&recipient["email"], &recipient["status"], &recipient["permanent"]),
        (&json!("ada@example.net"), &json!("5.1.1"), &json!(true)),
        "{told}"
    );
    assert!(recipient["diagnostic"].as_str().is_some_and(|said| said.contains("no such user")), "{told}");
    assert!(address().await["undeliverable_at"].is_string());

    let row = |name: &str| ROWS.iter().find(|row| row.name == name).expect("it is in the table").build;
    push(&desk, mailbox, &row("receipt")(mail(), &ours)).await;
    let read = events(&desk, "message.read").await;
    assert_eq!((read.len(), &read[0]["message_id"]), (1, &answer["id"]), "{read:?}");
    assert_eq!(address().await["complained_at"], Value::Null);
    push(&desk, mailbox, &row("complaint")(mail(), &ours)).await;
    let complained = events(&desk, "message.complained").await;
    assert_eq!((complained.len(), &complained[0]["message_id"]), (1, &answer["id"]), "{complained:?}");
    assert!(address().await["complained_at"].is_string());
    assert_eq!(conversations(&desk).await.len(), 1, "none of it begins a conversation");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_about_nothing_of_ours_are_no_work() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    for row in ROWS.iter().filter(|row| ["bounce", "delay", "receipt", "complaint"].contains(&row.name)) {
        let receipt = push(&desk, mailbox, &(row.build)(mail(), &format!("<{}@elsewhere>", row.class))).await;
        if receipt["verdict"] == "duplicate" {
            continue;
        }
        let there = conversation(&desk, number(&receipt["conversation_id"])).await;
        assert_eq!(
            (&there["status"], &there["waiting_on"]),
            (&json!("closed"), &Value::Null),
            "{}",
            row.name
        );
    }
    assert_eq!(
        events(&desk, "message.read").await.len() + events(&desk, "message.complained").await.len(),
        0
    );
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_goes_round_is_put_aside_and_told_once_an_hour() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let hops = |text: &str, count: usize| {
        (0..count).fold(mail().text(text), |mail, _| mail.header("Received", "from x by y"))
    };
    arrive(&desk, mailbox, &hops("Fifty are a long way.", 50)).await;
    for (minutes, told) in [(0, 1), (59, 1), (1, 2)] {
        desk.desk().advance_clock(Duration::from_secs(minutes * 60));
        let mail = hops(&format!("Round and round {minutes}."), 51);
        assert_eq!(push(&desk, mailbox, &mail.build()).await["verdict"], "quarantined");
        let events = desk.event_types().await;
        assert_eq!(events.iter().filter(|event| *event == "mail.quarantined").count(), told, "{events:?}");
    }
    // Marks of our own: an answer of ours that was sent back twice is no circle yet.
    let first = arrive(&desk, mailbox, &mail().from(ADA)).await;
    let ours = raw(&desk, number(&reply(&desk, first.conversation, "Hello.").await["id"])).await;
    let ours = String::from_utf8(ours).expect("we write ASCII");
    let mark =
        ours.lines().find_map(|line| line.strip_prefix("X-Postroom-Instance: ")).expect("it is marked");
    let marked = |text: &str, count: usize| {
        (0..count).fold(mail().text(text), |mail, _| mail.header("X-Postroom-Instance", mark))
    };
    assert_eq!(push(&desk, mailbox, &marked("Twice.", 2).build()).await["verdict"], "accepted");
    assert_eq!(push(&desk, mailbox, &marked("Thrice.", 3).build()).await["verdict"], "quarantined");
    let aside = ledger(&desk, mailbox, "quarantined").await;
    assert!(aside[0]["reason"].as_str().is_some_and(|why| why.contains("circles")), "{aside:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_stored_and_has_no_side_effects() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let alarm = |number: usize| mail().from(ADA).text(&format!("Alarm {number}"));
    for number in 1..=21 {
        let landed = arrive(&desk, mailbox, &alarm(number)).await;
        let flags = message(&desk, landed.message).await["flags"].clone();
        assert_eq!(flags == json!(["flood"]), number > 20, "{number}: {flags}");
    }
    let told = events(&desk, "message.received").await;
    let quiet: Vec<bool> = told.iter().map(|event| event["data"]["quiet"] == json!(true)).collect();
    assert_eq!((quiet.len(), quiet.iter().filter(|quiet| **quiet).count()), (21, 1));
    // Another sender is not meant, and ten minutes later nobody is.
    let other = arrive(&desk, mailbox, &mail().from("Bob <bob@example.net>")).await;
    assert_eq!(message(&desk, other.message).await["flags"], json!([]));
    desk.desk().advance_clock(Duration::from_secs(600));
    let later = arrive(&desk, mailbox, &alarm(22)).await;
    assert_eq!(message(&desk, later.message).await["flags"], json!([]));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spam_is_marked_and_brought_back_once() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let question = mail().from(ADA).subject("Cheap watches");
    let first = arrive(&desk, mailbox, &question).await;
    let path = |verb: &str| format!("/api/v1/conversations/{}/{verb}", first.conversation);
    let changes = || async { events(&desk, "conversation.status_changed").await.len() };
    for (verb, status, told) in [
        ("not-spam", "open", 0),
        ("spam", "spam", 1),
        ("spam", "spam", 1),
        ("not-spam", "open", 2),
        ("not-spam", "open", 2),
    ] {
        let now = desk.http.post(&path(verb), &Value::Null).await.expect(200).json();
        assert_eq!((&now["status"], changes().await), (&json!(status), told), "{verb}");
    }
    // While it is spam what comes into it stays there; afterwards it is as ever.
    desk.http.post(&path("spam"), &Value::Null).await.expect(200);
    let more = |text: &str| mail().from(ADA).text(text).in_reply_to(&question.id());
    assert_eq!(arrive(&desk, mailbox, &more("Buy!")).await.conversation, first.conversation);
    assert_eq!(conversation(&desk, first.conversation).await["status"], "spam");
    desk.http.post(&path("not-spam"), &Value::Null).await.expect(200);
    set_status(&desk, first.conversation, "closed").await;
    assert_eq!(arrive(&desk, mailbox, &more("Really.")).await.conversation, first.conversation);
    assert_eq!(conversation(&desk, first.conversation).await["status"], "open");
    // A stale look is refused, and who may only read may not.
    let stale = desk.http.send("POST", &path("spam"), &[("If-Match", "\"c1-1\"")], b"").await;
    stale.expect(412);
    let reader = desk.client(&[postroom_core::access::Scope::ConversationsRead], &[]).await;
    reader.post(&path("spam"), &Value::Null).await.expect(403);
    desk.stop().await;
}
