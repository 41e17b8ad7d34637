//! Answers on their way out: what leaves, what never does, and what is refused.

mod asked;
mod by_hand;
mod claims;
mod copies;
mod faults;
mod logins;
mod restart;
mod uncertain;

use crate::mailing::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

/// A desk, a receiver, and a mailbox that mail is pushed into and whose answers go there.
async fn sending(desk: &TestDesk, sink: &SmtpSink) -> i64 {
    pushed(desk, json!({"delivery": smtp(sink)})).await
}

/// A conversation with Ada, who writes from another domain.
async fn with_ada(desk: &TestDesk, mailbox: i64) -> i64 {
    arrive(desk, mailbox, &mail().from("Ada <ada@example.net>").subject("Parcel lost")).await.conversation
}

fn path(conversation: i64) -> String {
    format!("/api/v1/conversations/{conversation}/messages")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_captures_what_would_leave() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    let delivery = delivered(&desk, &answer, "sent").await;
    assert_eq!(
        (&delivery["captured"], &delivery["recipients"][0]["state"]),
        (&json!(true), &json!("accepted"))
    );
    let captured = String::from_utf8(raw(&desk, number(&answer["id"])).await).expect("we write ASCII");
    assert!(captured.contains("It left today.") && captured.contains("<ada@example.net>"), "{captured}");
    let events = desk.event_types().await;
    for told in ["message.queued", "message.sent"] {
        assert!(events.contains(&told.to_owned()), "{events:?}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_never_leave() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let note = json!({"kind": "note", "text": "She sounds annoyed."});
    let note = desk.http.post(&path(conversation), &note).await.expect(201).json();
    assert_eq!(note["delivery"], Value::Null);
    desk.http.get(&format!("/api/v1/messages/{}/delivery", note["id"])).await.expect(404);
    desk.http.get(&format!("/api/v1/messages/{}/raw", note["id"])).await.expect(404);
    // Nor may a note be told to go to somebody.
    let sent = json!({"kind": "note", "text": "x", "to": [{"email": "ada@example.net"}]});
    let refused = desk.http.post(&path(conversation), &sent).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/to");
    // What leaves afterwards leaves alone, and without a word of the note.
    let answer = reply(&desk, conversation, "It left today.").await;
    delivered(&desk, &answer, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    assert!(!sink.mails()[0].text().contains("annoyed"));
    desk.stop().await;
}

async fn upload(desk: &TestDesk, name: &str, kind: &str, content: &[u8]) -> Value {
    let path = format!("/api/v1/attachments?filename={name}");
    desk.http.send("POST", &path, &[("Content-Type", kind)], content).await.expect(201).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_as_they_were_uploaded() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let (label, list) = (noise(200_000), b"a,b\r\n1,2\n3,4\r\n".to_vec());
    let files = [
        upload(&desk, "label.pdf", "application/pdf", &label).await,
        upload(&desk, "list.csv", "text/csv", &list).await,
    ];
    let ids: Vec<&Value> = files.iter().map(|file| &file["id"]).collect();
    let body = json!({"kind": "reply", "text": "Your label.", "attachment_ids": ids});
    let answer = desk.http.post(&path(conversation), &body).await.expect(201).json();
    delivered(&desk, &answer, "sent").await;
    let got = sink.next().await;
    let unwrapped = got.text().replace("\r\n", "");
    for (name, content) in [("label.pdf", &label), ("list.csv", &list)] {
        assert!(got.text().contains(&format!("filename=\"{name}\"")), "{}", &got.text()[..2000]);
        assert!(unwrapped.contains(&STANDARD.encode(content)), "{name} is whole");
    }
    // From now on they are cut out of the mail that left.
    let shown = message(&desk, number(&answer["id"])).await;
    let attached = shown["attachments"].as_array().expect("a list");
    assert_eq!(attached.len(), 2);
    for (file, content) in attached.iter().zip([&label, &list]) {
        assert_eq!((&file["message_id"], &file["expires_at"]), (&answer["id"], &Value::Null));
        let path = format!("/api/v1/attachments/{}/content", file["id"].as_str().expect("an id"));
        assert!(desk.http.get(&path).await.expect(200).body == *content);
    }
    // An upload is given away once.
    let again = json!({"kind": "reply", "text": "Again.", "attachment_ids": ids});
    let refused = desk.http.post(&path(conversation), &again).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/attachment_ids/0");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_above_the_limit_is_refused() {
    let clock = postroom_core::time::Clock::System;
    let desk = TestDesk::start_with(clock, |config| config.limits.upload_mib = 1).await;
    let content = noise((1 << 20) + 1);
    let at_limit = upload(&desk, "a.bin", "application/zip", &content[..1 << 20]).await;
    assert_eq!(at_limit["size"], 1 << 20);
    let path = "/api/v1/attachments?filename=b.bin";
    let refused =
        desk.http.send("POST", path, &[("Content-Type", "application/zip")], &content).await.expect(413);
    assert_eq!(refused.json()["code"], "too_large");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_never_wrote_is_written_to() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let body = json!({
        "mailbox_id": mailbox, "subject": "Your warranty ends", "customer": {"email": "Zoe@shop.example", "name": "Zoë"},
        "message": {"kind": "reply", "text": "It ends in May."},
    });
    let begun = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
    let conversation = number(&begun["id"]);
    assert_eq!((&begun["message_count"], &begun["waiting_on"]), (&json!(1), &json!("customer")));
    let answer = messages(&desk, conversation).await.remove(0);
    delivered(&desk, &answer, "sent").await;
    let got = sink.next().await;
    assert_eq!(got.to, ["Zoe@shop.example"]);
    assert_eq!(got.header("Subject").as_deref(), Some("Your warranty ends"), "it answers nothing");
    assert_eq!(got.header("In-Reply-To"), None);
    // The answer threads, though it is the first mail that ever came from there.
    let answered =
        mail().from("Zoë <zoe@shop.example>").subject("Re: Your warranty ends").in_reply_to(&id_of(&answer));
    let landed = arrive(&desk, mailbox, &answered).await;
    assert_eq!(landed.conversation, conversation);
    assert_eq!(decision(&desk, landed.message).await["sender_class"], "P1");
    assert_eq!(message(&desk, landed.message).await["author"]["id"], begun["customer_id"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_telephone_is_filed_and_sent_to_nobody() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let body = json!({
        "mailbox_id": mailbox, "subject": "Called about a parcel", "channel": "phone",
        "customer": {"email": "ada@example.net", "name": "Ada"},
        "message": {"kind": "inbound", "text": "She asks where it is."},
    });
    let filed = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
    assert_eq!(
        (&filed["channel"], &filed["status"], &filed["waiting_on"]),
        (&json!("phone"), &json!("open"), &json!("us"))
    );
    let said = messages(&desk, number(&filed["id"])).await.remove(0);
    assert_eq!((&said["kind"], &said["author"]["type"]), (&json!("inbound"), &json!("customer")));
    assert_eq!(said["delivery"], Value::Null);
    // She is answered by mail; nothing else ever left.
    let answer = reply(&desk, number(&filed["id"]), "It left today.").await;
    delivered(&desk, &answer, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    assert_eq!(sink.next().await.to, ["ada@example.net"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_sent_is_refused_and_nothing_is_written() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    // Somebody of whom only a name is known.
    let walk_in = json!({"name": "Walk-in"});
    let walk_in = desk.http.post("/api/v1/customers", &walk_in).await.expect(201).json();
    let filed = json!({
        "mailbox_id": mailbox, "subject": "At the counter", "customer_id": walk_in["id"], "channel": "phone",
        "message": {"kind": "inbound", "text": "Wants a lamp."},
    });
    let filed = number(&desk.http.post("/api/v1/conversations", &filed).await.expect(201).json()["id"]);
    let answer = json!({"kind": "reply", "text": "Which one?"});
    let refused = desk.http.post(&path(filed), &answer).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/to");
    assert!(
        refused["errors"][0]["detail"].as_str().is_some_and(|why| why.contains("no address")),
        "{refused}"
    );

    let ada = with_ada(&desk, mailbox).await;
    let many =
        |count: usize| (0..count).map(|n| json!({"email": format!("{n}@example.net")})).collect::<Vec<_>>();
    for (body, pointer) in [
        (json!({"kind": "reply", "text": "x", "to": many(40), "cc": many(11)}), "/to"),
        (json!({"kind": "reply", "text": " \n"}), "/text"),
        (json!({"kind": "reply", "text": "x", "to": [{"email": "no address"}]}), "/to/0/email"),
        (
            json!({"kind": "reply", "text": "x", "cc": [{"email": "a@b.example\r\nBcc: c@d.example"}]}),
            "/cc/0/email",
        ),
        (json!({"kind": "reply", "text": "x", "to": [{"email": "support@example.org"}]}), "/to"),
        (json!({"kind": "reply", "text": "x", "attachment_ids": ["att_0197"]}), "/attachment_ids/0"),
        (json!({"kind": "auto_reply", "text": "x"}), "/kind"),
    ] {
        let refused = desk.http.post(&path(ada), &body).await.expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    for conversation in [filed, ada] {
        assert_eq!(crate::mailing::conversation(&desk, conversation).await["message_count"], 1);
    }
    // Fifty may be written to, each once, and ourselves never.
    let own = json!({"email": "Support@Example.org"});
    let body = json!({"kind": "reply", "text": "x", "to": many(49), "cc": [own]});
    let answer = desk.http.post(&path(ada), &body).await.expect(201).json();
    delivered(&desk, &answer, "sent").await;
    assert_eq!(sink.mails().len(), 1);
    assert_eq!(sink.next().await.to.len(), 49);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let subject = "=?utf-8?q?x=0D=0ABcc:_eve@evil.example?=";
    let evil = mail().from("\"Ada\\r\\nBcc: eve@evil.example\" <ada@example.net>").subject(subject);
    let landed = arrive(&desk, mailbox, &evil).await;
    let text = "First line.\n.\nQUIT\r\nFrom here on\n..two dots\n<b>bold</b> & more\u{2028}end";
    let answer = reply(&desk, landed.conversation, text).await;
    delivered(&desk, &answer, "sent").await;
    let got = sink.next().await;
    assert_eq!(got.to, ["ada@example.net"]);
    assert!(got.header("Bcc").is_none(), "{}", got.text());
    assert!(got.text().contains("&lt;b&gt;bold&lt;/b&gt; &amp; more"), "{}", got.text());
    assert_eq!(raw(&desk, number(&answer["id"])).await, got.raw, "dots and all");
    desk.stop().await;
}
