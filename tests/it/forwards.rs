//! What a forward carries: messages of its conversation with their files, which go to a third party and
//! leave the customer's line alone.

use crate::mailing::*;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::{TestMail, mail};
use support::smtp::SmtpSink;

struct Scene {
    desk: TestDesk,
    sink: SmtpSink,
    mailbox: i64,
    at: Landed,
}

async fn begin(ada: &TestMail) -> Scene {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let at = arrive(&desk, mailbox, ada).await;
    Scene { desk, sink, mailbox, at }
}

fn ada() -> TestMail {
    mail().from("Ada <ada@example.net>").subject("Parcel lost").message_id("<one@example.net>")
}

fn forward(changes: Value) -> Value {
    let usual = json!({"kind": "forward", "text": "See below.", "to": [{"email": "depot@carrier.example"}]});
    with(usual, changes)
}

impl Scene {
    fn messages(&self) -> String {
        format!("/api/v1/conversations/{}/messages", self.at.conversation)
    }

    async fn write(&self, changes: Value) -> Value {
        self.desk.http.post(&self.messages(), &forward(changes)).await.expect(201).json()
    }

    /// The faults of a forward that is refused: pointer and code.
    async fn refused(&self, changes: Value) -> Vec<(String, String)> {
        let told = self.desk.http.post(&self.messages(), &forward(changes)).await.expect(422).json();
        let word = |value: &Value| value.as_str().expect("a word").to_owned();
        let faults = told["errors"].as_array().expect("faults").iter();
        faults.map(|fault| (word(&fault["pointer"]), word(&fault["code"]))).collect()
    }

    async fn preview(&self, changes: Value) -> Value {
        let path = format!("{}/preview", self.messages());
        self.desk.http.post(&path, &forward(changes)).await.expect(200).json()
    }
}

fn fault(pointer: &str, code: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), code.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_carries_messages_and_their_files() {
    let ada = ada()
        .to("Support <support+p.token@example.org>")
        .cc("bob@example.net")
        .text("Where is it?")
        .html("<p>Where <b>is</b> it?<img src=\"cid:map@ada\"></p><script>x</script>")
        .inline("map@ada", "image/png", b"\x89PNG\r\n\x1a\n")
        .attachment("bill.txt", "text/plain", b"881");
    let scene = begin(&ada).await;
    let desk = &scene.desk;
    let reply = json!({"kind": "reply", "text": "We ask the depot.", "bcc": [{"email": "boss@example.org"}]});
    let reply = desk.http.post(&scene.messages(), &reply).await.expect(201).json();
    delivered(desk, &reply, "sent").await;
    scene.sink.next().await;

    let headers = [("Content-Type", "text/plain")];
    let upload = "/api/v1/attachments?filename=own.txt";
    let own = desk.http.send("POST", upload, &headers, b"own").await.expect(201).json();
    let both = json!({
        "forward_message_ids": [scene.at.message, reply["id"]], "attachment_ids": [own["id"]],
    });
    let preview = scene.preview(both.clone()).await;
    let text = preview["text"].as_str().expect("a text");
    let block = "See below.\n\n---------- Forwarded message ---------\nFrom: Ada <ada@example.net>\n\
                 Date: 2026-11-02 09:00 UTC\nSubject: Parcel lost\nTo: Support <support@example.org>\n\
                 Cc: bob@example.net\n\nWhere is it?\n\n---------- Forwarded message ---------\nFrom: ";
    assert!(text.starts_with(block), "{text}");
    assert!(text.ends_with("\n\nWe ask the depot."), "{text}");
    assert!(!text.contains("boss@example.org") && !text.contains("p.token"), "{text}");
    let html = preview["html"].as_str().expect("HTML");
    assert!(html.contains("Where <b>is</b> it?") && !html.contains("script"), "{html}");
    assert!(!html.contains("<img"), "{html}");

    let sent = scene.write(both).await;
    assert_eq!(sent["text"], "See below.", "the agent's own words");
    delivered(desk, &sent, "sent").await;
    let out = scene.sink.next().await;
    assert_eq!(out.to, ["depot@carrier.example"]);
    assert!(out.text().contains("Forwarded message") && out.text().contains("We ask the depot."));
    assert!(!out.text().contains("one@example.net"), "no ids of the customer's line: {}", out.text());
    // All of its files are files of the message, and are there to be read.
    let files = message(desk, number(&sent["id"])).await["attachments"].as_array().expect("files").clone();
    let mut read = Vec::new();
    for file in &files {
        let path = format!("/api/v1/attachments/{}/content", file["id"].as_str().expect("an id"));
        let name = file["filename"].as_str().expect("a name").to_owned();
        read.push((name, desk.http.get(&path).await.expect(200).body, file["inline"] == true));
    }
    read.sort();
    let expected = [
        ("bill.txt".to_owned(), b"881".to_vec(), false),
        ("map-ada".to_owned(), b"\x89PNG\r\n\x1a\n".to_vec(), false),
        ("own.txt".to_owned(), b"own".to_vec(), false),
    ];
    assert_eq!(read, expected);
    let page = desk.http.get(&format!("/api/v1/messages/{}/html", sent["id"])).await.expect(200).text();
    assert!(page.contains("Forwarded message"), "{page}");

    let bare = scene.write(json!({"forward_message_ids": [scene.at.message], "forward_files": false})).await;
    assert_eq!(message(desk, number(&bare["id"])).await["attachments"], json!([]));
    delivered(desk, &bare, "sent").await;
    assert!(!scene.sink.next().await.text().contains("bill.txt"));

    // The customer's line knows nothing of it.
    let reply = json!({"kind": "reply", "text": "It is in Leeds.", "quote": true});
    let reply = desk.http.post(&scene.messages(), &reply).await.expect(201).json();
    delivered(desk, &reply, "sent").await;
    let out = scene.sink.next().await.text();
    assert!(!out.contains("carrier.example") && !out.contains("Forwarded message"), "{out}");
    assert!(!out.contains("See below.") && out.contains("Subject: Re: Parcel lost"), "{out}");
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_inside_is_not_forwarded() {
    let scene = begin(&ada()).await;
    let other = mail().from("Eve <eve@example.net>").subject("Other");
    let other = arrive(&scene.desk, scene.mailbox, &other).await;
    let note = json!({"kind": "note", "text": "a secret"});
    let note = scene.desk.http.post(&scene.messages(), &note).await.expect(201).json();
    let draft = scene.write(json!({"draft": true})).await;
    let own = scene.at.message;
    let none = |index: usize| format!("/forward_message_ids/{index}");
    for waits in [false, true] {
        let refused = |ids: Value| scene.refused(json!({"forward_message_ids": ids, "draft": waits}));
        assert_eq!(refused(json!([own, note["id"]])).await, fault(&none(1), "not_allowed"));
        assert_eq!(refused(json!([draft["id"]])).await, fault(&none(0), "not_allowed"));
        assert_eq!(refused(json!([other.message])).await, fault(&none(0), "not_found"));
        assert_eq!(refused(json!([999_999])).await, fault(&none(0), "not_found"));
        assert_eq!(refused(json!([own, own])).await, fault(&none(1), "duplicate"));
        let many = json!(vec![own; 21]);
        assert_eq!(refused(many).await, fault("/forward_message_ids", "too_many"));
        let reply = json!({"kind": "reply", "forward_message_ids": [own], "draft": waits});
        assert_eq!(scene.refused(reply).await, fault("/forward_message_ids", "not_allowed"));
    }
    let begun = json!({
        "mailbox_id": scene.mailbox, "subject": "New", "customer": {"email": "x@example.net"},
        "message": forward(json!({"forward_message_ids": [own]})),
    });
    let told = scene.desk.http.post("/api/v1/conversations", &begun).await.expect(422).json();
    assert_eq!(told["errors"][0]["pointer"], "/message/forward_message_ids/0", "{told}");
    // Who does not see the conversation is told nothing of its messages.
    let elsewhere = scene.desk.mailbox("Else", "else@example.org").await;
    let scopes = [postroom_core::access::Scope::ConversationsWrite];
    let stranger = scene.desk.client(&scopes, &[elsewhere]).await;
    let asked = forward(json!({"forward_message_ids": [own], "draft": true}));
    stranger.post(&scene.messages(), &asked).await.expect(404);
    stranger.post(&format!("{}/preview", scene.messages()), &asked).await.expect(404);
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_has_limits() {
    let fifty = (0..50).fold(ada(), |mail, n| mail.attachment(&format!("{n}.txt"), "text/plain", b"x"));
    let scene = begin(&fifty).await;
    let mut ids = vec![scene.at.message];
    for n in 1..20 {
        let text = json!({"kind": "inbound", "text": format!("Call {n}")});
        let call = scene.desk.http.post(&scene.messages(), &text).await.expect(201).json();
        ids.push(number(&call["id"]));
    }
    let preview = scene.preview(json!({"forward_message_ids": ids, "text": ""})).await;
    let text = preview["text"].as_str().expect("a text");
    assert_eq!(text.matches("-- Forwarded message --").count(), 20, "{text}");
    let headers = [("Content-Type", "text/plain")];
    let upload = "/api/v1/attachments?filename=own.txt";
    let own = scene.desk.http.send("POST", upload, &headers, b"own").await.expect(201).json();
    let too_many = json!({"forward_message_ids": [scene.at.message], "attachment_ids": [own["id"]]});
    let told = fault("/forward_message_ids", "too_many_files");
    assert_eq!(scene.refused(too_many.clone()).await, told);
    scene.preview(with(too_many, json!({"forward_files": false}))).await;
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_forward_are_bounded_together() {
    let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.limits.mail_mib = 1;
        config.limits.upload_mib = 1;
    })
    .await;
    let mailbox = pushed(&desk, json!({"delivery": {"type": "sink"}})).await;
    let half = noise(512 * 1024);
    let at = arrive(&desk, mailbox, &ada().attachment("a.bin", "application/x-bin", &half)).await;
    let headers = [("Content-Type", "application/x-bin")];
    let path = format!("/api/v1/conversations/{}/messages/preview", at.conversation);
    for (size, status) in [(half.len(), 200), (half.len() + 1, 422)] {
        let upload = "/api/v1/attachments?filename=b.bin";
        let own = desk.http.send("POST", upload, &headers, &noise(size)).await.expect(201).json();
        let carries = json!({"forward_message_ids": [at.message], "attachment_ids": [own["id"]]});
        let told = desk.http.post(&path, &forward(carries)).await.expect(status).json();
        assert!(status == 200 || told["errors"][0]["code"] == "too_large", "{told}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_and_what_is_scheduled_carry_what_they_name_when_they_leave() {
    let scene = begin(&ada().attachment("bill.txt", "text/plain", b"881")).await;
    let desk = &scene.desk;
    let draft = scene.write(json!({"draft": true, "text": ""})).await;
    let path = format!("/api/v1/messages/{}", draft["id"]);
    desk.http.patch(&path, &json!({"draft": false})).await.expect(422);
    let named = json!({"forward_message_ids": [scene.at.message], "forward_files": false});
    let changed = desk.http.patch(&path, &named).await.expect(200).json();
    assert_eq!(changed["unsent"]["forward_message_ids"], json!([scene.at.message]));
    assert_eq!((&changed["unsent"]["forward_files"], &changed["attachments"]), (&json!(false), &json!([])));
    desk.http.patch(&path, &json!({"forward_message_ids": [draft["id"]]})).await.expect(422);
    let sent =
        desk.http.patch(&path, &json!({"draft": false, "forward_files": true})).await.expect(200).json();
    delivered(desk, &sent, "sent").await;
    assert!(scene.sink.next().await.text().contains("bill.txt"));
    assert_eq!(message(desk, number(&sent["id"])).await["attachments"][0]["filename"], "bill.txt");

    let later = json!({"forward_message_ids": [scene.at.message], "undo_seconds": 10});
    let held = scene.write(later.clone()).await;
    pass(desk, Duration::from_secs(10)).await;
    delivered(desk, &held, "sent").await;
    let out = scene.sink.next().await.text();
    assert!(out.contains("Forwarded message") && out.contains("bill.txt"), "{out}");

    // What it names may be elsewhere by then.
    let held = scene.write(later).await;
    let moved = json!({"to": "new"});
    desk.http.post(&format!("/api/v1/messages/{}/move", scene.at.message), &moved).await.expect(201);
    pass(desk, Duration::from_secs(10)).await;
    let back = desk
        .until(|| async {
            let now = message(desk, number(&held["id"])).await;
            (now["unsent"]["state"] == "draft").then_some(now)
        })
        .await;
    assert_eq!(back["unsent"]["reason"], "there is no such message in this conversation");
    scene.desk.stop().await;
}
