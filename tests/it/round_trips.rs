//! A mailbox that writes to itself: what comes back is told, and nothing of it becomes a message.

use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

async fn begin(desk: &TestDesk, mailbox: i64) -> (String, Value) {
    let path = format!("/api/v1/mailboxes/{mailbox}/test");
    let told = desk.http.post(&path, &json!({"round_trip": true})).await.expect(200).json();
    let id = told["round_trip"]["id"].as_str().unwrap_or_else(|| panic!("{told}"));
    (format!("/api/v1/mailboxes/{mailbox}/round-trips/{id}"), told["round_trip"].clone())
}

/// The one of the two mails that went this way.
fn way<'a>(test: &'a Value, way: &str) -> &'a Value {
    let mails = test["mails"].as_array().expect("a list");
    mails.iter().find(|mail| mail["way"] == way).expect("both ways are tried")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_told_and_becomes_no_message() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let (path, asked) = begin(&desk, mailbox).await;
    assert_eq!(way(&asked, "plain")["address"], "support@example.org");
    assert_eq!(way(&asked, "plus")["address"], "support+roundtrip@example.org");
    assert_eq!(way(&asked, "plus")["state"], "waiting");

    let (first, second) = (sink.next().await, sink.next().await);
    for sent in [&first, &second] {
        assert!(sent.text().contains("Auto-Submitted: auto-generated"), "{}", sent.text());
    }
    let (plain, plus) = if first.to[0].contains('+') { (second, first) } else { (first, second) };
    desk.desk().advance_clock(Duration::from_millis(2_500));
    // The relay gave the first one another Message-ID and says what it thinks of it.
    let raw = plain.text();
    let (head, rest) = raw.split_once("\r\nMessage-ID: ").expect("it has one");
    let (_, rest) = rest.split_once("\r\n").expect("a line");
    let relayed = format!(
        "Authentication-Results: mx.example.org; spf=pass; dkim=none; dmarc=fail\r\n{head}\r\nMessage-ID: <relay-1@relay.example>\r\n{rest}"
    );
    let receipt = push(&desk, mailbox, relayed.as_bytes()).await;
    assert_eq!((&receipt["verdict"], &receipt["message_id"]), (&json!("ignored"), &Value::Null));

    let told = desk.http.get(&path).await.expect(200).json();
    let back = way(&told, "plain");
    assert_eq!((&back["state"], &back["delay_ms"]), (&json!("arrived"), &json!(2_500)), "{back}");
    let said = json!({"server": "mx.example.org", "spf": "pass", "dkim": "none", "dmarc": "fail"});
    assert_eq!(back["authentication"], said);
    assert_eq!(way(&told, "plus")["state"], "waiting");

    // The other one bounces: that is told, too, and is no conversation either.
    let message_id =
        plus.text().lines().find(|line| line.starts_with("Message-ID: ")).expect("one")[12..].to_owned();
    let bounce = format!(
        "From: MAILER-DAEMON@example.org\r\nTo: support@example.org\r\nSubject: Undelivered\r\n\
         Message-ID: <b1@example.org>\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; example.org\r\n\r\nFinal-Recipient: rfc822; support+roundtrip@example.org\r\n\
         Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\n\r\n--b--\r\n"
    );
    let receipt = push(&desk, mailbox, bounce.as_bytes()).await;
    assert_eq!(receipt["verdict"], "ignored", "{receipt}");
    let told = desk.http.get(&path).await.expect(200).json();
    let lost = way(&told, "plus");
    assert_eq!(lost["state"], "failed");
    assert!(lost["error"].as_str().is_some_and(|why| why.contains("5.1.1")), "{lost}");
    assert_eq!(conversations(&desk).await.len(), 0);
    assert_eq!(ledger(&desk, mailbox, "ignored").await.len(), 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_to_a_plus_address_once_one_has_arrived() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let ada = mail().from("Ada <ada@example.net>").subject("Parcel lost");
    let id = arrive(&desk, mailbox, &ada).await.conversation;
    let answer = reply(&desk, id, "First.").await;
    delivered(&desk, &answer, "sent").await;
    assert!(!sink.next().await.text().contains("\nReply-To:"), "nobody knows that it would arrive");

    begin(&desk, mailbox).await;
    for sent in [sink.next().await, sink.next().await] {
        assert_eq!(push(&desk, mailbox, &sent.raw).await["verdict"], "ignored");
    }
    let answer = reply(&desk, id, "Second.").await;
    delivered(&desk, &answer, "sent").await;
    let sent = sink.next().await.text();
    let line = sent.lines().find(|line| line.starts_with("Reply-To:")).expect("it has one");
    let plus = line.split(['<', '>']).find(|part| part.contains('+')).expect("an address");
    // A mail program that throws all ids away still finds the conversation, and the plus address is
    // nobody who would get copies.
    let late = mail().from("Ada <ada@example.net>").to(plus).subject("Something else entirely");
    assert_eq!(arrive(&desk, mailbox, &late).await.conversation, id);
    let third = json!({"kind": "reply", "text": "Third.", "cc": [{"email": plus}]});
    let third =
        desk.http.post(&format!("/api/v1/conversations/{id}/messages"), &third).await.expect(201).json();
    assert_eq!(third["cc"], json!([]));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_trip_is_refused_where_nothing_could_come_back() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let captured = pushed(&desk, json!({})).await;
    let test = |mailbox: i64| format!("/api/v1/mailboxes/{mailbox}/test");
    let asked = json!({"round_trip": true});
    assert_eq!(desk.http.post(&test(captured), &asked).await.expect(409).json()["code"], "state_conflict");
    let mailbox =
        pushed(&desk, json!({"name": "Sales", "address": "sales@example.org", "delivery": smtp(&sink)}))
            .await;
    // Nothing is sent where nobody asks for it, with a body or without.
    for body in [&b""[..], b"{}"] {
        let headers = [("Content-Type", "application/json")];
        let told = desk.http.send("POST", &test(mailbox), &headers, body).await.expect(200).json();
        assert_eq!(told["round_trip"], Value::Null);
    }
    let (path, _) = begin(&desk, mailbox).await;
    desk.desk().advance_clock(Duration::from_secs(59));
    desk.http.post(&test(mailbox), &asked).await.expect(409);
    desk.desk().advance_clock(Duration::from_secs(1));
    begin(&desk, mailbox).await;
    for _ in 0..4 {
        sink.next().await;
    }
    // A test is its mailbox's alone.
    let elsewhere = path.replace(&format!("mailboxes/{mailbox}"), &format!("mailboxes/{captured}"));
    desk.http.get(&elsewhere).await.expect(404);
    assert_eq!(sink.mails().len(), 4);
    desk.stop().await;
}
