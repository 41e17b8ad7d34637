//! Automatic answers: who gets one, in whose words, and that what is too much waits for a person.

use crate::mailing::*;
use crate::problems::problem;
use postroom::Config;
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::operations::auto_replies::answer;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::mail::{TestMail, mail};
use support::smtp::{Phase, SmtpSink};

mod abuse;

/// A desk on a clock that stands, at a moment (2026-11-22, a Sunday, 08:00 UTC) and with a configuration.
async fn desk_with(change: impl FnOnce(&mut Config)) -> TestDesk {
    TestDesk::start_with(Clock::fixed(BEGINNING), change).await
}

/// A mailbox that acknowledges.
async fn acknowledging(desk: &TestDesk, sink: &SmtpSink, changes: Value) -> i64 {
    let mailbox = pushed(desk, with(json!({"delivery": smtp(sink)}), changes)).await;
    desk.http.patch(&settings(mailbox), &json!({"acknowledge": true})).await.expect(200);
    mailbox
}

fn settings(mailbox: i64) -> String {
    format!("/api/v1/mailboxes/{mailbox}/auto-reply")
}

fn text(mailbox: i64, kind: &str, language: &str) -> String {
    format!("{}/texts/{kind}/{language}", settings(mailbox))
}

/// Waits until it is decided about every mail, and all that was to leave has left.
async fn settled(desk: &TestDesk) {
    desk.until(|| async {
        let wanted = desk.desk().read(&Actor::system(), |cx| answer::wanted(cx, 1)).await;
        wanted.expect("a read").is_empty().then_some(())
    })
    .await;
    let unfinished = "SELECT count(*) AS count FROM outbox WHERE finished_at IS NULL";
    desk.until(|| async { (count(desk, unfinished) == 0).then_some(()) }).await;
}

/// Why mails of a conversation got no answer.
async fn reasons(desk: &TestDesk, conversation: i64) -> Vec<String> {
    let activity = format!("/api/v1/conversations/{conversation}/activity?limit=100");
    let events = list(desk, &activity).await;
    let withheld = events.iter().filter(|event| event["type"] == "auto_reply.withheld");
    withheld.map(|event| event["data"]["reason"].as_str().expect("a word").to_owned()).collect()
}

async fn ask(desk: &TestDesk, mailbox: i64, mail: &TestMail) -> i64 {
    let landed = arrive(desk, mailbox, mail).await;
    settled(desk).await;
    landed.conversation
}

fn ada() -> TestMail {
    mail().from("Ada <ada@example.net>").subject("Parcel lost")
}

/// Some relays take no mail from the null sender (RFC 3834 section 3.3): then it leaves from the mailbox, and
/// what keeps it from going round stands in its header as ever.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_null_sender_is_refused_the_mailbox_sends() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    sink.fail_next(Phase::Mail, "550 5.7.1 Null sender not allowed");
    sink.fail_next(Phase::Dot, "451 4.3.0 Try again later");
    arrive(&desk, mailbox, &ada()).await;
    let deferred = "SELECT count(*) AS count FROM outbox WHERE state = 'deferred'";
    desk.until(|| async { (count(&desk, deferred) == 1).then_some(()) }).await;
    assert_eq!(sink.connections(), 2, "one attempt");
    // The row knows from whom the bytes went: the next attempt does not ask again.
    pass(&desk, Duration::from_secs(60)).await;
    settled(&desk).await;
    let got = sink.next().await;
    assert_eq!((got.from.as_str(), sink.connections()), ("support@example.org", 3));
    assert_eq!(got.header("Auto-Submitted").as_deref(), Some("auto-replied"));
    assert_eq!(count(&desk, "SELECT CAST(SUM(attempts) AS BIGINT) AS count FROM outbox"), 2);

    // Refused for now, or refused from both, it goes no other way.
    sink.fail_next(Phase::Mail, "451 4.7.1 Not now");
    arrive(&desk, mailbox, &mail().from("Bob <bob@example.com>")).await;
    desk.until(|| async { (count(&desk, deferred) == 1).then_some(()) }).await;
    assert_eq!(sink.connections(), 4);
    pass(&desk, Duration::from_secs(60)).await;
    settled(&desk).await;
    assert_eq!((sink.next().await.from.as_str(), sink.connections()), ("", 5));
    sink.fail_next(Phase::Mail, "550 5.7.1 Null sender not allowed");
    sink.fail_next(Phase::Mail, "550 5.7.1 You neither");
    arrive(&desk, mailbox, &mail().from("Cyd <cyd@example.com>")).await;
    settled(&desk).await;
    let failed =
        "SELECT count(*) AS count FROM outbox WHERE state = 'failed' AND last_error LIKE '%You neither%'";
    assert_eq!((count(&desk, failed), sink.connections(), sink.mails().len()), (1, 7, 2));
    desk.stop().await;
}

/// Postfix keeps to itself until RCPT what it has against a sender (`smtpd_delay_reject`, its default).
#[tokio::test(flavor = "multi_thread")]
async fn where_the_null_sender_is_refused_with_the_recipient_the_mailbox_sends() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    for (n, answer) in
        ["554 5.7.1 <>: Sender address rejected: Access denied", "550 No"].into_iter().enumerate()
    {
        sink.fail_next(Phase::Rcpt, answer);
        arrive(&desk, mailbox, &mail().from(&format!("c{n}@example.net"))).await;
        settled(&desk).await;
        assert_eq!(sink.next().await.from, "support@example.org", "{answer}");
        assert_eq!(sink.connections(), 2 * (n + 1), "{answer}");
    }
    // What is for the recipient, or for now, is not for whom it comes from.
    for (n, answer) in
        ["550 5.1.1 No such user", "552 5.2.2 Over quota", "450 4.7.1 Greylisted"].into_iter().enumerate()
    {
        sink.fail_next(Phase::Rcpt, answer);
        arrive(&desk, mailbox, &mail().from(&format!("d{n}@example.com"))).await;
        let tried = "SELECT count(*) AS count FROM outbox WHERE state IN ('failed', 'deferred')";
        desk.until(|| async { (count(&desk, tried) == n as i64 + 1).then_some(()) }).await;
        assert_eq!((sink.connections(), sink.mails().len()), (5 + n, 2), "{answer}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_acknowledged_without_a_byte_of_what_it_says() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    // What stands around agents' mail may name the customer: nothing of it stands around this.
    let looks = json!({"from_name": "{{customer.name}}", "head": {"text": "{{conversation.subject}}"},
        "foot": {"text": "{{customer.name}}"}, "signature": {"text": "{{customer.name}}"}, "quote_history": true});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}/outgoing"), &looks).await.expect(200);
    let evil = mail()
        .from("BUY-NOW <ada@example.net>")
        .subject("BUY-NOW at evil.example {{mailbox.name}}")
        .text("BUY-NOW")
        .header("Reply-To", "BUY-NOW <eve@evil.example>")
        .cc("BUY-NOW <bob@example.net>")
        .header("Thread-Index", "AdxCVVktTk9XQlVZLU5PV0JVWS1OT1c=")
        .header("X-BUY-NOW", "BUY-NOW");
    let before = arrive(&desk, mailbox, &evil).await;
    settled(&desk).await;
    let got = sink.next().await;
    assert_eq!(sink.mails().len(), 1);
    assert!(!got.text().to_uppercase().contains("BUY-NOW"), "{}", got.text());
    assert!(!got.text().contains("evil"), "{}", got.text());
    assert_eq!((got.from.as_str(), got.to.as_slice()), ("", &["ada@example.net".to_owned()][..]));
    let header = |name: &str| got.header(name).unwrap_or_default();
    assert_eq!(header("Subject"), format!("We have received your message [#{}]", before.conversation));
    assert_eq!(header("To"), "ada@example.net");
    assert_eq!((header("Cc"), header("Thread-Index")), (String::new(), String::new()));
    assert_eq!(header("Auto-Submitted"), "auto-replied");
    assert_eq!(header("X-Auto-Response-Suppress"), "All");
    assert_eq!(header("In-Reply-To"), evil.id());
    assert!(header("References").contains(&evil.id()));

    let after = conversation(&desk, before.conversation).await;
    assert_eq!((&after["status"], &after["waiting_on"]), (&json!("open"), &json!("us")));
    let written = messages(&desk, before.conversation).await;
    assert_eq!(
        (&written[1]["kind"], &written[1]["author"]["type"]),
        (&json!("auto_reply"), &json!("system"))
    );
    // It is no news to whoever has seen the mail and answers now.
    let seen = json!({"kind": "reply", "text": "Here.", "expected_last_message_id": before.message});
    let draft = with(seen, json!({"draft": true}));
    reply_with(&desk, before.conversation, draft).await;
    // What answers it belongs to it, and gets nothing.
    let answer = ada().subject("Re: something").in_reply_to(&id_of(&written[1])).text("Thanks.");
    assert_eq!(ask(&desk, mailbox, &answer).await, before.conversation);
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_hours_the_next_opening_is_named_in_the_language_of_the_mail() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    let hours: Vec<Value> = ["monday", "tuesday"]
        .iter()
        .map(|day| json!({"weekday": day, "from": "09:00", "to": "17:00"}))
        .collect();
    let schedule = json!({"name": "Office", "time_zone": "Europe/Berlin", "hours": hours});
    let schedule = desk.http.post("/api/v1/schedules", &schedule).await.expect(201).json();
    let refused = desk.http.patch(&settings(mailbox), &json!({"out_of_hours": true})).await;
    assert_eq!(problem(&refused, 422, "validation_failed")["errors"][0]["pointer"], "/schedule_id");
    let none = json!({"out_of_hours": true, "schedule_id": 77});
    problem(&desk.http.patch(&settings(mailbox), &none).await, 422, "validation_failed");
    let on = json!({"out_of_hours": true, "schedule_id": schedule["id"], "default_language": "FR"});
    let on = desk.http.patch(&settings(mailbox), &on).await.expect(200).json();
    assert_eq!((&on["default_language"], &on["version"]), (&json!("fr"), &json!(2)));
    // A schedule that somebody goes by stays.
    let path = format!("/api/v1/schedules/{}", schedule["id"]);
    problem(&desk.http.delete(&path).await, 409, "state_conflict");
    let looks = format!("/api/v1/mailboxes/{mailbox}/outgoing");
    let misplaced = desk.http.patch(&looks, &json!({"signature": {"text": "{{next_opening}}"}})).await;
    problem(&misplaced, 422, "validation_failed");

    ask(&desk, mailbox, &ada().header("Content-Language", "de-CH, en")).await;
    let got = sink.next().await;
    let said = desk_text(&desk, 2).await;
    assert!(said.contains("am Montag, 23. November 2026 um 9:00 Uhr (Europe/Berlin)"), "{said}");
    assert_eq!(got.to, ["ada@example.net"]);
    ask(&desk, mailbox, &mail().from("Bob <bob@example.com>").subject("Bonjour")).await;
    let said = desk_text(&desk, 4).await;
    assert!(said.contains("le lundi 23 novembre 2026 à 09:00 (Europe/Berlin)"), "{said}");
    // Monday, 10:00 in Berlin: an acknowledgement.
    pass(&desk, Duration::from_hours(25)).await;
    ask(&desk, mailbox, &mail().from("Eve <eve@example.edu>").header("Content-Language", "es")).await;
    let said = desk_text(&desk, 6).await;
    assert!(said.contains("le responderemos lo antes posible"), "{said}");
    desk.http.patch(&settings(mailbox), &json!({"acknowledge": false})).await.expect(200);
    let quiet = ask(&desk, mailbox, &mail().from("Zoe <zoe@example.io>").subject("Now")).await;
    assert_eq!((sink.mails().len(), reasons(&desk, quiet).await), (3, vec![]), "nothing was to be said");

    desk.http
        .patch(&settings(mailbox), &json!({"out_of_hours": false, "schedule_id": null}))
        .await
        .expect(200);
    desk.http.delete(&path).await.expect(204);
    desk.stop().await;
}

/// What the message of this number says.
async fn desk_text(desk: &TestDesk, id: i64) -> String {
    message(desk, id).await["text"].as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_a_mailboxs_own_by_kind_and_language() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    let all = list(&desk, &format!("{}/texts", settings(mailbox))).await;
    assert_eq!(all.len(), 8);
    assert!(all.iter().all(|text| text["is_built_in"] == json!(true)));
    let path = text(mailbox, "acknowledgement", "NL");
    problem(&desk.http.get(&path).await, 404, "not_found");
    problem(&desk.http.get(&text(mailbox, "acknowledgement", "nederlands")).await, 404, "not_found");
    problem(&desk.http.get(&text(mailbox, "farewell", "nl")).await, 404, "not_found");

    let own = json!({"subject": "Ontvangen [#{{conversation.id}}]", "body": {"text": "Dag van *{{mailbox.name}}*.", "format": "markdown"}});
    let written = desk.http.put(&path, &own).await.expect(200);
    let etag = written.header("etag").expect("a version").to_owned();
    assert_eq!((&written.json()["language"], &written.json()["version"]), (&json!("nl"), &json!(1)));
    let stale = [("Content-Type", "application/json"), ("If-Match", "\"at1-acknowledgement-nl-7\"")];
    let body = json!({"body": {"text": "Anders."}}).to_string();
    desk.http.send("PUT", &path, &stale, body.as_bytes()).await.expect(412);
    let fresh = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    desk.http.send("PUT", &path, &fresh, body.as_bytes()).await.expect(200);
    desk.http.put(&path, &own).await.expect(200);

    for (kind, wrong) in [
        ("acknowledgement", json!({"body": {"text": "{{conversation.subject}}"}})),
        ("acknowledgement", json!({"body": {"text": "x"}, "subject": "{{customer.name}}"})),
        ("acknowledgement", json!({"body": {"text": "{{next_opening}}"}})),
        ("out_of_hours", json!({"body": {"text": "{{1+1}}"}})),
        ("out_of_hours", json!({"body": {"text": " "}})),
        ("out_of_hours", json!({"body": {"text": "x"}, "subject": "a\r\nBcc: eve@evil.example"})),
        ("out_of_hours", json!({"body": {"text": "x".repeat(10_001)}})),
    ] {
        let refused = desk.http.put(&text(mailbox, kind, "nl"), &wrong).await;
        problem(&refused, 422, "validation_failed");
    }
    desk.http
        .put(&text(mailbox, "out_of_hours", "nl"), &json!({"body": {"text": "x".repeat(10_000)}}))
        .await
        .expect(200);

    let id = ask(&desk, mailbox, &ada().header("Content-Language", "nl-BE")).await;
    let got = sink.next().await;
    assert_eq!(got.header("Subject"), Some(format!("Ontvangen [#{id}]")));
    assert!(got.text().contains("<em>Support</em>"), "{}", got.text());
    desk.http.delete(&path).await.expect(204);
    problem(&desk.http.delete(&path).await, 404, "not_found");
    problem(&desk.http.delete(&text(mailbox, "acknowledgement", "en")).await, 404, "not_found");

    // Who may read may not write.
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    reader.get(&settings(mailbox)).await.expect(200);
    reader.put(&path, &own).await.expect(403);
    reader.patch(&settings(mailbox), &json!({"acknowledge": false})).await.expect(403);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gets_no_answer_says_why() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let trusted = json!({"trusted_authserv_ids": ["mx.example.org"]});
    let mailbox = acknowledging(&desk, &sink, trusted).await;
    let agent = json!({"name": "Amy", "email": "amy@example.net", "role": "agent"});
    desk.http.post("/api/v1/agents", &agent).await.expect(201);
    let disowned = "mx.example.org; dmarc=fail header.from=example.net";
    let from = |sender: &str| mail().from(sender).subject(sender);
    for (mail, reason) in [
        (from("list@example.net").header("List-Id", "<a.example.net>"), "class"),
        (from("shop@example.net").header("Precedence", "bulk"), "class"),
        (from("No-Reply <no-reply@example.net>"), "class"),
        (from("eve@example.net").header("Authentication-Results", disowned), "sender_disowned"),
        (from("spam@example.net").header("X-Spam-Flag", "YES"), "spam"),
        (from("ann@example.net").header("Return-Path", "<>"), "null_return_path"),
        (from("support@example.org"), "own_sender"),
        (from("amy@example.net"), "agent_sender"),
        (from("abuse@example.net"), "role_sender"),
        (from("dan@example.net").to("list@example.net"), "not_addressed"),
    ] {
        let id = ask(&desk, mailbox, &mail).await;
        assert_eq!(reasons(&desk, id).await, [reason], "{mail:?}");
    }
    // On somebody's answer to what we don't know it only keeps ours back.
    let declined = from("kim@example.net").header("X-Auto-Response-Suppress", "DR, OOF");
    let declined = ask(&desk, mailbox, &declined.in_reply_to("<unknown@example.net>")).await;
    assert_eq!(reasons(&desk, declined).await, ["declined"]);
    // Nobody sat down to write these: that goes without saying.
    let auto = ask(&desk, mailbox, &from("tom@example.net").header("Auto-Submitted", "auto-replied")).await;
    assert_eq!(reasons(&desk, auto).await, [""; 0]);

    let first = ask(&desk, mailbox, &from("ada@example.net")).await;
    assert_eq!((reasons(&desk, first).await, sink.mails().len()), (vec![], 1));
    let second = ask(&desk, mailbox, &from("ada@example.net").subject("Something else")).await;
    assert_eq!(reasons(&desk, second).await, ["recipient_limit"]);
    pass(&desk, Duration::from_hours(24)).await;
    ask(&desk, mailbox, &from("ada@example.net").subject("The next day")).await;
    assert_eq!(sink.mails().len(), 2);

    // She takes one for spam: no more of it.
    pass(&desk, Duration::from_hours(24)).await;
    sql(
        desk.config(),
        "UPDATE customer_addresses SET complained_at = 1 WHERE email_folded = 'ada@example.net'",
    );
    let id = ask(&desk, mailbox, &from("ada@example.net").subject("Again")).await;
    assert_eq!(reasons(&desk, id).await, ["complained"]);
    assert_eq!(sink.mails().len(), 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_held_until_a_person_lets_it_go() {
    let (desk, sink) = (desk_with(|config| config.automatic.rule_per_hour = 2).await, SmtpSink::start());
    let owner = json!({"name": "Olga", "email": "olga@example.org", "role": "owner"});
    desk.http.post("/api/v1/agents", &owner).await.expect(201);
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(ask(&desk, mailbox, &mail().from(&format!("c{n}@d{n}.example")).subject("Hello")).await);
    }
    // Two answers, and one notice to the owner.
    let to: Vec<String> = sink.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(to, ["c0@d0.example", "c1@d1.example", "olga@example.org"]);
    let held = &messages(&desk, ids[2]).await[1];
    assert_eq!((&held["kind"], &held["delivery"]["state"]), (&json!("auto_reply"), &json!("held")));
    assert_eq!(held["unsent"]["leaves_at"], Value::Null);
    assert!(held["unsent"]["reason"].as_str().is_some_and(|why| why.contains("within an hour")), "{held}");
    let events = list(&desk, "/api/v1/events?after=0&limit=100").await;
    let told: Vec<&Value> = events.iter().filter(|event| event["type"] == "message.held").collect();
    assert_eq!(told.len(), 2);
    assert!(told[0]["data"]["reason"].is_string());
    // It does not leave by itself, and counts: she gets no second one.
    pass(&desk, Duration::from_hours(2)).await;
    let again = ask(&desk, mailbox, &mail().from("c2@d2.example").subject("Again")).await;
    assert_eq!((reasons(&desk, again).await, sink.mails().len()), (vec!["recipient_limit".to_owned()], 3));

    let path = format!("/api/v1/messages/{}", held["id"]);
    let writer = desk.client(&[Scope::ConversationsWrite, Scope::ConversationsRead], &[]).await;
    writer.patch(&path, &json!({"draft": false})).await.expect(403);
    desk.http.patch(&path, &json!({"draft": false})).await.expect(200);
    settled(&desk).await;
    let mails = sink.mails();
    let got = mails.last().expect("it left");
    assert_eq!((got.from.as_str(), got.to.as_slice()), ("", &["c2@d2.example".to_owned()][..]));
    assert_eq!(got.header("Auto-Submitted").as_deref(), Some("auto-replied"));
    assert_eq!(conversation(&desk, ids[2]).await["waiting_on"], "us");
    // The other is thrown away.
    let other = &messages(&desk, ids[3]).await[1];
    desk.http.delete(&format!("/api/v1/messages/{}", other["id"])).await.expect(204);
    // The hour is over: answers leave again.
    ask(&desk, mailbox, &mail().from("c9@d9.example").subject("Later")).await;
    assert_eq!(sink.mails().len(), 5);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_gets_five_an_hour_unless_it_is_everybodys() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    for domain in ["acme.example", "gmail.com"] {
        for n in 0..6 {
            ask(&desk, mailbox, &mail().from(&format!("c{n}@{domain}")).subject("Hello")).await;
        }
    }
    let to = |domain: &str| sink.mails().iter().filter(|mail| mail.to[0].ends_with(domain)).count();
    assert_eq!((to("acme.example"), to("gmail.com")), (5, 6));
    desk.stop().await;
}
