//! Messages that have not left: drafts that are shared, answers that are held or scheduled, and what
//! becomes of them when their time comes or somebody takes them back.

use crate::mailing::*;
use postroom_core::access::Scope;
use postroom_core::id::MessageId;
use postroom_core::store;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

/// A desk on a clock that stands, a receiver, and a conversation with Ada.
async fn begin() -> (TestDesk, SmtpSink, i64) {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink), "aliases": ["sales@example.org"]})).await;
    let ada = mail().from("Ada <ada@example.net>").subject("Parcel lost");
    let conversation = arrive(&desk, mailbox, &ada).await.conversation;
    (desk, sink, conversation)
}

fn messages(conversation: i64) -> String {
    format!("/api/v1/conversations/{conversation}/messages")
}

fn one(message: &Value) -> String {
    format!("/api/v1/messages/{}", message["id"])
}

async fn write(desk: &TestDesk, conversation: i64, changes: Value) -> Value {
    let body = with(json!({"kind": "reply", "text": "It left today."}), changes);
    desk.http.post(&messages(conversation), &body).await.expect(201).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_everybodys_and_leaves_when_it_is_sent() {
    let (desk, sink, id) = begin().await;
    let before = conversation(&desk, id).await;
    let draft = write(&desk, id, json!({"text": "", "draft": true})).await;
    assert_eq!((&draft["unsent"]["state"], &draft["delivery"]), (&json!("draft"), &Value::Null));
    assert_eq!(draft["to"][0]["email"], "ada@example.net");
    assert_eq!(conversation(&desk, id).await, before, "a draft changes nothing of its conversation");

    // Whoever may only write may go on with it, and not send it.
    let writer = desk.client(&[Scope::ConversationsWrite, Scope::ConversationsRead], &[]).await;
    let seen = writer.get(&one(&draft)).await.expect(200);
    let etag = seen.header("etag").expect("an ETag").to_owned();
    let text = json!({"text": "It left today.", "cc": [{"email": "bob@example.net"}]});
    let written = writer.patch(&one(&draft), &text).await.expect(200).json();
    assert_eq!(written["unsent"]["text"], "It left today.");
    writer.patch(&one(&draft), &json!({"draft": false})).await.expect(403);
    // Who has seen an older one is told.
    let late = json!({"text": "Mine."}).to_string();
    let headers = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    let stale = desk.http.send("PATCH", &one(&draft), &headers, late.as_bytes()).await.expect(412);
    assert_eq!(stale.json()["code"], "version_conflict");

    let sent = desk.http.patch(&one(&draft), &json!({"draft": false})).await.expect(200).json();
    assert_eq!((&sent["unsent"], &sent["id"]), (&Value::Null, &draft["id"]));
    delivered(&desk, &sent, "sent").await;
    let got = sink.next().await;
    assert_eq!(got.to.len(), 2);
    assert!(got.text().contains("It left today."));
    let after = conversation(&desk, id).await;
    assert_eq!((&after["message_count"], &after["waiting_on"]), (&json!(2), &json!("customer")));
    // It can't be sent a second time, changed, or thrown away.
    for refused in [
        desk.http.patch(&one(&draft), &json!({"draft": false})).await,
        desk.http.patch(&one(&draft), &json!({"text": "More."})).await,
        desk.http.delete(&one(&draft)).await,
        desk.http.post(&format!("{}/cancel", one(&draft)), &json!({})).await,
    ] {
        assert_eq!(refused.expect(409).json()["code"], "state_conflict");
    }
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_can_be_taken_back_until_it_leaves() {
    let (desk, sink, id) = begin().await;
    let held = write(&desk, id, json!({"undo_seconds": 10})).await;
    assert_eq!(held["delivery"]["state"], "held");
    assert_eq!(held["delivery"]["next_attempt_at"], held["unsent"]["leaves_at"]);
    pass(&desk, Duration::from_secs(9)).await;
    let draft = desk.http.post(&format!("{}/cancel", one(&held)), &json!({})).await.expect(200).json();
    assert_eq!((&draft["unsent"]["state"], &draft["delivery"]), (&json!("draft"), &Value::Null));
    pass(&desk, Duration::from_secs(3600)).await;

    let again = json!({"draft": false, "undo_seconds": 10, "text": "It left."});
    let again = desk.http.patch(&one(&held), &again).await.expect(200).json();
    assert_eq!(again["delivery"]["state"], "held");
    pass(&desk, Duration::from_secs(10)).await;
    let now = message(&desk, number(&held["id"])).await;
    delivered(&desk, &now, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    assert!(sink.next().await.text().contains("It left."));
    let types = desk.event_types().await;
    for told in ["message.held", "message.cancelled", "message.queued", "message.sent"] {
        assert!(types.contains(&told.to_owned()), "{told}: {types:?}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailbox_says_how_long_an_answer_can_be_taken_back() {
    let (desk, sink, id) = begin().await;
    let mailbox = conversation(&desk, id).await["mailbox_id"].clone();
    let path = format!("/api/v1/mailboxes/{mailbox}");
    desk.http.patch(&path, &json!({"undo_seconds": 20})).await.expect(200);
    let held = write(&desk, id, json!({})).await;
    assert_eq!(held["delivery"]["state"], "held");
    let at_once = write(&desk, id, json!({"undo_seconds": 0, "text": "Now."})).await;
    delivered(&desk, &at_once, "sent").await;
    assert!(sink.next().await.text().contains("Now."));
    pass(&desk, Duration::from_secs(20)).await;
    delivered(&desk, &held, "sent").await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scheduled_leaves_at_its_time_and_is_dated_then() {
    let (desk, sink, id) = begin().await;
    let at = "2026-11-24T08:00:00Z";
    let scheduled = write(&desk, id, json!({"send_at": at})).await;
    assert_eq!(scheduled["delivery"]["state"], "scheduled");
    pass(&desk, days(1)).await;
    let moved = json!({"send_at": "2026-11-23T10:00:00Z", "text": "It left on Monday."});
    let moved = desk.http.patch(&one(&scheduled), &moved).await.expect(200).json();
    assert_eq!(moved["unsent"]["leaves_at"], "2026-11-23T10:00:00.000000Z");
    assert_eq!(sink.mails().len(), 0);
    pass(&desk, days(1)).await;
    let sent = delivered(&desk, &scheduled, "sent").await;
    assert_eq!(sent["state"], "sent");
    let got = sink.next().await;
    assert!(
        got.text().contains("It left on Monday.") && got.text().contains("Date: Tue, 24 Nov 2026"),
        "{}",
        got.text()
    );
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_leave_any_more_is_a_draft_and_says_why() {
    let (desk, sink, id) = begin().await;
    let held = write(&desk, id, json!({"undo_seconds": 600})).await;
    sql(desk.config(), &format!("UPDATE conversations SET deleted_at = 1 WHERE id = {id}"));
    pass(&desk, Duration::from_secs(600)).await;
    let draft = desk
        .until(async || {
            let shown = message(&desk, number(&held["id"])).await;
            (shown["unsent"]["state"] == "draft").then_some(shown)
        })
        .await;
    let reason = draft["unsent"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("trash"), "{reason}");
    assert_eq!(sink.mails().len(), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_by_itself_in_the_name_of_who_is_disabled() {
    let (desk, sink, id) = begin().await;
    let amy = crate::bounces::agent(&desk, "amy@desk.example").await;
    let own = desk.client_of_agent(amy).await;
    let body = with(json!({"kind": "reply", "text": "It left today."}), json!({"undo_seconds": 600}));
    let held = own.post(&messages(id), &body).await.expect(201).json();
    let sent = with(json!({"kind": "reply", "text": "And this."}), json!({"undo_seconds": 600}));
    let others = desk.http.post(&messages(id), &sent).await.expect(201).json();
    // The last owner can't be disabled.
    let owner = json!({"name": "Olga", "email": "olga@desk.example", "role": "owner"});
    desk.http.post("/api/v1/agents", &owner).await.expect(201);
    desk.http.patch(&format!("/api/v1/agents/{amy}"), &json!({"disabled": true})).await.expect(200);
    pass(&desk, Duration::from_secs(600)).await;
    let draft = desk
        .until(async || {
            let shown = message(&desk, number(&held["id"])).await;
            (shown["unsent"]["state"] == "draft").then_some(shown)
        })
        .await;
    let reason = draft["unsent"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("disabled"), "{reason}");
    let activity = list(&desk, &format!("/api/v1/conversations/{id}/activity?limit=100")).await;
    let told = activity.iter().find(|event| event["type"] == "message.cancelled").expect("it is told");
    assert_eq!(told["data"]["reason"], reason);
    delivered(&desk, &others, "sent").await;
    // Somebody else says it in their own name.
    let sent = desk.http.patch(&one(&held), &json!({"draft": false})).await.expect(200).json();
    delivered(&desk, &sent, "sent").await;
    assert_eq!(sink.mails().len(), 2);
    desk.stop().await;
}

#[tokio::test]
async fn what_shows_nothing_is_not_sent() {
    let (desk, _sink, id) = begin().await;
    for (text, format) in [
        ("\u{200B}\u{FEFF}", "text"),
        (" \u{AD}\n\u{3164}", "text"),
        ("\u{200B}", "markdown"),
        ("<p>\u{200B}&#8203;</p>", "html"),
    ] {
        for kind in ["reply", "note"] {
            let format = if kind == "note" { "text" } else { format };
            let body = json!({"kind": kind, "text": text, "format": format});
            if kind == "note" && text.contains('<') {
                continue;
            }
            let told = desk.http.post(&messages(id), &body).await.expect(422).json();
            assert_eq!(told["errors"][0]["pointer"], "/text", "{told}");
        }
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_is_told_so_rather_than_what_state_it_is_in() {
    let (desk, _sink, id) = begin().await;
    let mailbox = conversation(&desk, id).await["mailbox_id"].clone();
    let eve = json!({"name": "Eve", "email": "eve@desk.example", "role": "agent",
                     "grants": [{"mailbox_id": mailbox, "level": "read"}]});
    let eve = number(&desk.http.post("/api/v1/agents", &eve).await.expect(201).json()["id"]);
    let reader = desk.client_of_agent(eve).await;
    for (changes, told) in
        [(json!({"draft": true}), "a draft"), (json!({"send_at": "2026-12-24T08:00:00Z"}), "scheduled")]
    {
        let waiting = write(&desk, id, changes).await;
        let retry = format!("{}/retry", one(&waiting));
        reader.post(&retry, &json!({})).await.expect(403);
        let problem = desk.http.post(&retry, &json!({})).await.expect(409).json();
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.starts_with(&format!("this message is {told} and")), "{detail}");
    }
    let wrong = json!({"kind": "REPLY", "text": "Hello"});
    let told = desk.http.post(&messages(id), &wrong).await.expect(422).json();
    let detail = told["errors"][0]["detail"].as_str().expect("a sentence");
    assert!(detail.contains("`reply`") && !detail.contains("auto_reply"), "{detail}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_address_is_odd_is_answered() {
    let (desk, sink, _) = begin().await;
    let mailbox = number(&desk.http.get("/api/v1/mailboxes").await.expect(200).json()["data"][0]["id"]);
    let long = format!("{}@market.example", "x".repeat(100));
    for (n, (from, to)) in [
        ("ada@mail_1.example.net", "ada@mail_1.example.net"),
        (long.as_str(), long.as_str()),
        ("bob@example.net.", "bob@example.net"),
    ]
    .into_iter()
    .enumerate()
    {
        let odd = mail().from(from).subject(&format!("Odd {n}"));
        let answer = reply(&desk, arrive(&desk, mailbox, &odd).await.conversation, "Yes.").await;
        delivered(&desk, &answer, "sent").await;
        assert_eq!(sink.next().await.to, [to], "{from}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_file_is_lost_is_a_draft_and_names_it() {
    let (desk, sink, id) = begin().await;
    let headers = [("Content-Type", "text/csv")];
    let upload = desk.http.send("POST", "/api/v1/attachments?filename=bill.csv", &headers, b"a,b").await;
    let upload = upload.expect(201).json()["id"].clone();
    let held = write(&desk, id, json!({"undo_seconds": 600, "attachment_ids": [upload]})).await;
    let other = write(&desk, id, json!({"undo_seconds": 600, "text": "Another."})).await;
    crate::lost::spoil(&desk);
    pass(&desk, Duration::from_secs(600)).await;
    let draft = desk
        .until(async || {
            let shown = message(&desk, number(&held["id"])).await;
            (shown["unsent"]["state"] == "draft").then_some(shown)
        })
        .await;
    let reason = draft["unsent"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("“bill.csv”"), "{reason}");
    delivered(&desk, &other, "sent").await;
    assert_eq!(sink.mails().len(), 1, "it keeps no other");
    // Without the file it leaves.
    let without = json!({"attachment_ids": [], "draft": false});
    let sent = desk.http.patch(&one(&held), &without).await.expect(200).json();
    delivered(&desk, &sent, "sent").await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_past_what_came_meanwhile_is_told_what_it_is() {
    let (desk, sink, id) = begin().await;
    let seen = conversation(&desk, id).await["last_message_id"].clone();
    let body = json!({"kind": "reply", "text": "Mine.", "expected_last_message_id": seen});
    // A colleague's answer that is held counts, and a draft does not.
    let draft = write(&desk, id, json!({"draft": true})).await;
    let held = write(&desk, id, json!({"undo_seconds": 600})).await;
    let told = desk.http.post(&messages(id), &body).await.expect(409).json();
    assert_eq!(told["code"], "conversation_moved_on");
    assert_eq!(told["newer_messages"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["newer_messages"][0]["id"], held["id"]);
    let with_draft = json!({"draft": false, "expected_last_message_id": seen});
    desk.http.patch(&one(&draft), &with_draft).await.expect(409);
    // What nobody has seen can't be expected.
    let wrong = json!({"kind": "reply", "text": "Mine.", "expected_last_message_id": 999_999});
    let told = desk.http.post(&messages(id), &wrong).await.expect(422).json();
    assert_eq!(told["errors"][0]["pointer"], "/expected_last_message_id");

    let body = with(body, json!({"expected_last_message_id": held["id"]}));
    let answer = desk.http.post(&messages(id), &body).await.expect(201).json();
    delivered(&desk, &answer, "sent").await;
    assert_eq!(sink.mails().len(), 1, "the refused ones never left");
    desk.stop().await;
}

/// Its number is known from the first, so that naming it says nothing of what came while it was held.
#[tokio::test(flavor = "multi_thread")]
async fn ones_own_held_answer_hides_nothing_that_came_before_it_left() {
    let (desk, sink, id) = begin().await;
    let held = write(&desk, id, json!({"undo_seconds": 60})).await;
    let mailbox = number(&held["mailbox_id"]);
    let again = mail().from("Ada <ada@example.net>").subject("Re: Parcel lost").text("It came just now!");
    let root = message(&desk, 1).await["internet_message_id"].as_str().expect("an id").to_owned();
    pass(&desk, Duration::from_secs(1)).await;
    let came = desk.receive(mailbox, &again.header("In-Reply-To", &format!("<{root}>"))).await;
    assert_eq!(came["conversation_id"], id);
    pass(&desk, Duration::from_secs(60)).await;
    delivered(&desk, &held, "sent").await;
    let body = json!({"kind": "reply", "text": "Mine.", "expected_last_message_id": held["id"]});
    let told = desk.http.post(&messages(id), &body).await.expect(409).json();
    assert_eq!(told["newer_messages"][0]["id"], came["message_id"], "{told}");
    assert_eq!(told["newer_messages"].as_array().map(Vec::len), Some(1), "{told}");
    // Who has seen that one has seen all.
    let body = with(body, json!({"expected_last_message_id": came["message_id"]}));
    desk.http.post(&messages(id), &body).await.expect(201);
    drop(sink);
    desk.stop().await;
}

/// What a PATCH was told is what leaves, however close to its end it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_the_last_moment_is_made_or_refused() {
    let (desk, sink, id) = begin().await;
    for round in 0..12 {
        let held = write(&desk, id, json!({"text": "The old text.", "undo_seconds": 60})).await;
        let path = one(&held);
        let change = json!({"text": format!("The new text {round}.")});
        let (changed, ()) =
            tokio::join!(desk.http.patch(&path, &change), pass(&desk, Duration::from_secs(60)));
        delivered(&desk, &held, "sent").await;
        let got = sink.next().await;
        match changed.status {
            200 => assert!(got.text().contains("The new text") && !got.text().contains("The old"), "{round}"),
            409 => assert!(got.text().contains("The old text."), "{round}: {}", changed.text()),
            other => panic!("{other}: {}", changed.text()),
        }
    }
    desk.stop().await;
}

/// The same without any luck: what was read before somebody else's change is not written over.
#[tokio::test]
async fn what_was_read_before_a_change_is_not_what_there_is() {
    let (desk, _sink, id) = begin().await;
    let held = write(&desk, id, json!({"undo_seconds": 600})).await;
    let number = MessageId(number(&held["id"]));
    let mut conn = database(desk.config());
    let before = store::unsent::find(&mut conn, number).expect("it is read").expect("it is held");
    pass(&desk, Duration::from_secs(1)).await;
    desk.http.patch(&one(&held), &json!({"text": "Other."})).await.expect(200);
    assert!(!store::unsent::update(&mut conn, &before, &before).expect("it is tried"));
    assert!(!store::unsent::delete(&mut conn, &before).expect("it is tried"));
    desk.stop().await;
}

/// It was written to come from an address that is the mailbox's no more.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_leaves_from_no_other_address_than_it_says() {
    let (desk, sink, id) = begin().await;
    let held = write(&desk, id, json!({"from": "sales@example.org", "undo_seconds": 60})).await;
    let mailbox = format!("/api/v1/mailboxes/{}", held["mailbox_id"]);
    desk.http.patch(&mailbox, &json!({"aliases": []})).await.expect(200);
    pass(&desk, Duration::from_secs(60)).await;
    let draft = desk
        .until(async || {
            let shown = message(&desk, number(&held["id"])).await;
            (shown["unsent"]["state"] == "draft").then_some(shown)
        })
        .await;
    assert_eq!(draft["unsent"]["reason"], "from must be one of the mailbox's own addresses");
    desk.http.patch(&one(&held), &json!({"from": null, "draft": false})).await.expect(200);
    delivered(&desk, &held, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test]
async fn the_files_of_a_message_are_bounded_together() {
    let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.limits.mail_mib = 1;
        config.limits.upload_mib = 1;
    })
    .await;
    let mailbox = pushed(&desk, json!({"delivery": {"type": "sink"}})).await;
    let id = arrive(&desk, mailbox, &mail().from("Ada <ada@example.net>")).await.conversation;
    let upload = async |size: usize| {
        let headers = [("Content-Type", "application/x-bin")];
        let path = "/api/v1/attachments?filename=a.bin";
        desk.http.send("POST", path, &headers, &vec![b'x'; size]).await.expect(201).json()["id"].clone()
    };
    let half = 512 * 1024;
    for (size, status) in [(half, 201), (half + 1, 422)] {
        let files = [upload(half).await, upload(size).await];
        let body = json!({"kind": "reply", "text": "Both.", "attachment_ids": files});
        let told = desk.http.post(&messages(id), &body).await.expect(status).json();
        let fault = (&told["errors"][0]["pointer"], &told["errors"][0]["code"]);
        assert!(status == 201 || fault == (&json!("/attachment_ids"), &json!("too_large")), "{told}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_from_any_address_of_the_mailbox_and_no_other() {
    let (desk, sink, id) = begin().await;
    let answer = write(&desk, id, json!({"from": "Sales@example.org", "subject": "Your order"})).await;
    assert_eq!(answer["from"]["email"], "sales@example.org");
    delivered(&desk, &answer, "sent").await;
    let got = sink.next().await;
    assert!(
        got.text().contains("<sales@example.org>") && got.text().contains("Subject: Your order"),
        "{}",
        got.text()
    );
    let other = json!({"kind": "reply", "text": "x", "from": "ceo@example.org"});
    let told = desk.http.post(&messages(id), &other).await.expect(422).json();
    assert_eq!(told["errors"][0]["pointer"], "/from");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drafts_files_come_and_go() {
    let (desk, sink, id) = begin().await;
    let upload = async |name: &str| {
        let path = format!("/api/v1/attachments?filename={name}");
        let headers = [("Content-Type", "text/csv")];
        desk.http.send("POST", &path, &headers, b"a,b\r\n").await.expect(201).json()["id"].clone()
    };
    let (first, second) = (upload("first.csv").await, upload("second.csv").await);
    let draft = write(&desk, id, json!({"draft": true, "attachment_ids": [first]})).await;
    let both = desk.http.patch(&one(&draft), &json!({"attachment_ids": [first, second]})).await.expect(200);
    assert_eq!(both.json()["attachments"].as_array().map(Vec::len), Some(2));
    let last = desk.http.patch(&one(&draft), &json!({"attachment_ids": [second]})).await.expect(200).json();
    assert_eq!(last["attachments"][0]["filename"], "second.csv");
    let sent = desk.http.patch(&one(&draft), &json!({"draft": false})).await.expect(200).json();
    delivered(&desk, &sent, "sent").await;
    let got = sink.next().await;
    assert!(got.text().contains("second.csv") && !got.text().contains("first.csv"));
    let content = format!("/api/v1/attachments/{}/content", second.as_str().expect("an id"));
    assert_eq!(desk.http.get(&content).await.expect(200).body, b"a,b\r\n");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_at_the_limit_and_one_above() {
    let (desk, _sink, id) = begin().await;
    let refused = async |changes: Value, pointer: &str| {
        let body = with(json!({"kind": "reply", "text": "x"}), changes);
        let told = desk.http.post(&messages(id), &body).await.expect(422).json();
        assert_eq!(told["errors"][0]["pointer"], pointer, "{told}");
    };
    write(&desk, id, json!({"undo_seconds": 600})).await;
    refused(json!({"undo_seconds": 601}), "/undo_seconds").await;
    // The clock stands at 2026-11-22T08:00:00Z; 366 days later is the last moment.
    write(&desk, id, json!({"send_at": "2027-11-23T08:00:00Z"})).await;
    refused(json!({"send_at": "2027-11-23T08:00:00.000001Z"}), "/send_at").await;
    refused(json!({"send_at": "2026-11-22T08:00:00Z"}), "/send_at").await;
    refused(json!({"send_at": "2026-12-01T08:00:00Z", "draft": true}), "/send_at").await;
    refused(json!({"undo_seconds": 5, "draft": true}), "/undo_seconds").await;
    refused(json!({"kind": "note", "draft": true}), "/draft").await;
    refused(json!({"kind": "note", "send_at": "2026-12-01T08:00:00Z"}), "/send_at").await;
    refused(json!({"kind": "note", "undo_seconds": 5}), "/undo_seconds").await;
    let draft = write(&desk, id, json!({"draft": true})).await;
    for (too_much, pointer) in [
        (json!({"undo_seconds": 5}), "/undo_seconds"),
        (json!({"send_at": "2026-12-01T08:00:00Z"}), "/send_at"),
        (json!({"send_at": "2026-12-01T08:00:00Z", "undo_seconds": 5}), "/send_at"),
    ] {
        let told =
            desk.http.patch(&one(&draft), &with(json!({"draft": true}), too_much)).await.expect(422).json();
        assert_eq!(told["errors"][0]["pointer"], pointer, "{told}");
    }
    for own in ["support@example.org", "Sales+x@Example.org"] {
        let own = json!({"kind": "reply", "text": "x", "to": [{"email": own}]});
        let told = desk.http.post(&messages(id), &own).await.expect(422).json();
        let fault = &told["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!("/to"), &json!("own_address")), "{told}");
        assert!(fault["detail"].as_str().is_some_and(|why| why.contains("own addresses")), "{told}");
    }
    refused(json!({"text": " "}), "/text").await;
    refused(json!({"side_id": 1}), "/side_id").await;
    let first = json!({
        "mailbox_id": conversation(&desk, id).await["mailbox_id"], "subject": "x",
        "customer": {"email": "ada@example.net"},
        "message": {"kind": "note", "text": "x", "expected_last_message_id": 1},
    });
    let told = desk.http.post("/api/v1/conversations", &first).await.expect(422).json();
    assert_eq!(told["errors"][0]["pointer"], "/message/expected_last_message_id");
    write(&desk, id, json!({"subject": "s".repeat(512)})).await;
    refused(json!({"subject": "s".repeat(513)}), "/subject").await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_thrown_away_is_gone() {
    let (desk, sink, id) = begin().await;
    let draft = write(&desk, id, json!({"draft": true})).await;
    let scheduled = write(&desk, id, json!({"send_at": "2026-12-01T08:00:00Z"})).await;
    for message in [&draft, &scheduled] {
        desk.http.delete(&one(message)).await.expect(204);
        desk.http.get(&one(message)).await.expect(404);
    }
    pass(&desk, days(30)).await;
    let answer = write(&desk, id, json!({})).await;
    delivered(&desk, &answer, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}
