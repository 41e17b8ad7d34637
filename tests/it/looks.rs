//! How mail looks that leaves: the name it comes from, signatures, head and foot, formats, pictures, and what
//! it quotes.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;
use support::smtp::SmtpSink;

struct Scene {
    desk: TestDesk,
    sink: SmtpSink,
    mailbox: i64,
    conversation: i64,
    amy: Http,
    amy_id: i64,
}

/// A desk with a receiver, an agent and a conversation with Ada.
async fn begin() -> Scene {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let ada =
        mail().from("\"Ada {{agent.name}}\" <ada@example.net>").subject("Parcel lost").text("Where is it?");
    let conversation = arrive(&desk, mailbox, &ada).await.conversation;
    let body = json!({
        "name": "Amy", "email": "amy@example.org", "role": "agent",
        "grants": [{"mailbox_id": mailbox, "level": "reply"}],
    });
    let amy_id = number(&desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"]);
    let amy = desk.client_of_agent(amy_id).await;
    Scene { desk, sink, mailbox, conversation, amy, amy_id }
}

impl Scene {
    fn outgoing(&self) -> String {
        format!("/api/v1/mailboxes/{}/outgoing", self.mailbox)
    }

    fn messages(&self) -> String {
        format!("/api/v1/conversations/{}/messages", self.conversation)
    }

    async fn preview(&self, message: Value) -> Value {
        let body = with(json!({"kind": "reply", "text": "It left."}), message);
        self.amy.post(&format!("{}/preview", self.messages()), &body).await.expect(200).json()
    }

    /// Writes as Amy; gives back the message and what left.
    async fn send(&self, message: Value) -> (Value, String) {
        let body = with(json!({"kind": "reply", "text": "It left."}), message);
        let sent = self.amy.post(&self.messages(), &body).await.expect(201).json();
        delivered(&self.desk, &sent, "sent").await;
        (sent, self.sink.next().await.text())
    }
}

fn text_of(preview: &Value) -> &str {
    preview["text"].as_str().expect("a text")
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_signed_under_the_mailboxs_name_and_layout() {
    let scene = begin().await;
    let (desk, path) = (&scene.desk, scene.outgoing());
    let fresh = desk.http.get(&path).await.expect(200);
    assert_eq!(fresh.json()["from_name"], "{{mailbox.name}}");
    assert_eq!((&fresh.json()["signature"], &fresh.json()["version"]), (&Value::Null, &json!(0)));
    assert_eq!(text_of(&scene.preview(json!({})).await), "It left.");

    // An agent's own signature is theirs to set, and stands where the mailbox has none.
    let own = json!({"signature": {"text": "<b>{{agent.name}}</b>", "format": "html"}});
    let signed = scene.amy.patch("/api/v1/me", &own).await.expect(200).json();
    assert_eq!(signed["signature"]["format"], "html");
    assert_eq!(
        desk.http.get(&format!("/api/v1/agents/{}", scene.amy_id)).await.expect(200).json()["version"],
        2
    );
    desk.http.patch("/api/v1/me", &own).await.expect(403);
    assert_eq!(text_of(&scene.preview(json!({})).await), "It left.\n\n-- \nAmy");
    assert_eq!(text_of(&scene.preview(json!({"signature": false})).await), "It left.");

    let look = json!({
        "from_name": "{{agent.name}} at {{mailbox.name}}",
        "signature": {"text": "{{agent.signature}}\nfor {{customer.name}}, case {{conversation.id}}", "format": "text"},
        "head": {"text": "<h2>{{mailbox.name}}</h2><script>x</script>", "format": "html"},
        "foot": {"text": "*Imprint*", "format": "markdown"},
    });
    let etag = fresh.header("etag").expect("an ETag").to_owned();
    let headers = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    desk.http.send("PATCH", &path, &headers, look.to_string().as_bytes()).await.expect(200);
    let stale = desk.http.send("PATCH", &path, &headers, b"{\"quote_history\": true}").await.expect(412);
    assert_eq!(stale.json()["code"], "version_conflict");
    scene.amy.patch(&path, &json!({"quote_history": true})).await.expect(403);

    let name = desk.http.get(&format!("/api/v1/mailboxes/{}", scene.mailbox)).await.expect(200).json();
    let name = name["name"].as_str().expect("a name").to_owned();
    let preview = scene.preview(json!({"text": "It **left**.", "format": "markdown"})).await;
    let signature = format!("-- \nAmy\nfor Ada {{{{agent.name}}}}, case {}", scene.conversation);
    assert_eq!(
        text_of(&preview),
        format!("{name}\n\nIt **left**.\n\n{signature}\n\n*Imprint*"),
        "one pass alone"
    );
    let html = preview["html"].as_str().expect("HTML");
    assert!(html.contains(&format!("<h2>{name}</h2>")) && html.contains("<strong>left</strong>"), "{html}");
    assert!(!html.contains("script"), "{html}");
    assert_eq!(preview["from"]["name"], format!("Amy at {name}"));
    assert_eq!(preview["to"][0]["email"], "ada@example.net");
    let count = desk.http.get(&scene.messages()).await.expect(200).json()["data"].as_array().map(Vec::len);
    assert_eq!(count, Some(1), "nothing is kept of a preview");

    let (sent, raw) = scene.send(json!({"text": "It **left**.", "format": "markdown"})).await;
    assert_eq!((&sent["text"], &sent["has_html"]), (&json!("It **left**."), &json!(true)));
    assert!(raw.contains(&format!("From: \"Amy at {name}\"")), "{raw}");
    assert!(raw.contains("<strong>left</strong>") && raw.contains("*Imprint*"), "{raw}");
    let page = desk.http.get(&format!("/api/v1/messages/{}/html", sent["id"])).await.expect(200);
    assert!(page.text().contains("<strong>left</strong>"), "{}", page.text());
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_shows_how_its_mail_looks() {
    let scene = begin().await;
    let look = json!({
        "from_name": "{{agent.name}} at work",
        "signature": {"text": "{{agent.name}}, for {{customer.name}} ({{conversation.subject}})"},
        "head": {"text": "<h2>We</h2>", "format": "html"},
        "foot": {"text": "Imprint"},
    });
    scene.desk.http.patch(&scene.outgoing(), &look).await.expect(200);
    let path = format!("{}/preview", scene.outgoing());
    let text = json!({"text": "It **left**.", "format": "markdown"});
    let preview = scene.amy.post(&path, &text).await.expect(200).json();
    assert_eq!(text_of(&preview), "We\n\nIt **left**.\n\n-- \nAmy, for Ada Example (An example)\n\nImprint");
    assert_eq!(
        (&preview["subject"], &preview["from"]["name"]),
        (&json!("Re: An example"), &json!("Amy at work"))
    );
    let html = preview["html"].as_str().expect("HTML");
    assert!(html.contains("<h2>We</h2>") && html.contains("<strong>left</strong>"), "{html}");
    for (text, code) in [
        (json!({"text": "<div>".repeat(257), "format": "html"}), "invalid_markup"),
        (json!({"text": "\0"}), "nul_character"),
    ] {
        let told = scene.amy.post(&path, &text).await.expect(422).json();
        assert_eq!(
            (&told["errors"][0]["pointer"], &told["errors"][0]["code"]),
            (&json!("/text"), &json!(code))
        );
    }
    let elsewhere = scene.desk.mailbox("Else", "else@example.org").await;
    scene
        .amy
        .post(&format!("/api/v1/mailboxes/{elsewhere}/outgoing/preview"), &json!({"text": "x"}))
        .await
        .expect(404);
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_checked_when_they_are_kept() {
    let scene = begin().await;
    for (member, value, code) in [
        ("from_name", json!("{{customer.password}}"), "invalid_template"),
        ("from_name", json!("{{agent.signature}}"), "invalid_template"),
        ("from_name", json!("a\nb"), "line_break"),
        ("signature", json!({"text": "{{1+1}}"}), "invalid_template"),
        ("foot", json!({"text": "{{agent.signature}}"}), "invalid_template"),
        ("head", json!({"text": "<div>".repeat(257), "format": "html"}), "invalid_markup"),
        ("head", json!({"text": "x".repeat(32 * 1024 + 1)}), "invalid_template"),
    ] {
        let refused =
            scene.desk.http.patch(&scene.outgoing(), &json!({member: value})).await.expect(422).json();
        assert_eq!(refused["errors"][0]["code"], code, "{refused}");
    }
    let path = format!("/api/v1/agents/{}", scene.amy_id);
    let own = json!({"signature": {"text": "{{agent.signature}}"}});
    scene.desk.http.patch(&path, &own).await.expect(422);
    scene.amy.patch("/api/v1/me", &own).await.expect(422);
    let deep = json!({"kind": "reply", "text": "<div>".repeat(257), "format": "html"});
    let refused = scene.amy.post(&scene.messages(), &deep).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/text");
    let note = json!({"kind": "note", "text": "x", "format": "html"});
    scene.amy.post(&scene.messages(), &note).await.expect(422);
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_tells_nobody_anything_new() {
    let scene = begin().await;
    scene.amy.post(&scene.messages(), &json!({"kind": "note", "text": "a secret"})).await.expect(201);
    let (first, _) = scene.send(json!({"text": "Which parcel?"})).await;
    assert_eq!(first["has_html"], false);
    let quoted = scene.preview(json!({"quote": true})).await;
    let text = text_of(&quoted);
    let (newest, oldest) = (text.find("> Which parcel?"), text.find("> Where is it?"));
    assert!(newest.is_some() && newest < oldest, "{text}");
    assert!(!text.contains("secret"), "{text}");
    // Who was not party to a message is not told of it: by To, Cc or Bcc.
    for others in [
        json!({"to": [{"email": "eve@example.net"}]}),
        json!({"cc": [{"email": "eve@example.net"}]}),
        json!({"bcc": [{"email": "eve@example.net"}]}),
    ] {
        let quoted = scene.preview(with(json!({"quote": true}), others.clone())).await;
        assert!(!text_of(&quoted).contains("> W"), "{others}: {quoted}");
    }
    assert!(!text_of(&scene.preview(json!({})).await).contains("> "), "not unless it is asked for");
    let path = scene.outgoing();
    scene.desk.http.patch(&path, &json!({"quote_history": true})).await.expect(200);
    assert!(text_of(&scene.preview(json!({})).await).contains("> Which parcel?"));
    assert!(!text_of(&scene.preview(json!({"quote": false})).await).contains("> "));
    let forward = json!({"kind": "forward", "to": [{"email": "depot@carrier.example"}], "quote": true});
    assert!(!text_of(&scene.preview(forward).await).contains("> W"));
    for number in 1..=3 {
        scene.send(json!({"text": format!("News {number}"), "quote": false})).await;
    }
    let quoted = scene.preview(json!({})).await;
    let count = text_of(&quoted).matches(" wrote:\n").count();
    assert_eq!(count, 3, "{quoted}");
    assert!(!text_of(&quoted).contains("Which parcel?"), "the newest three");
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_stand_in_the_text() {
    let scene = begin().await;
    let headers = [("Content-Type", "image/png")];
    let upload = "/api/v1/attachments?filename=logo.png&content_id=logo@desk";
    let file = scene.amy.send("POST", upload, &headers, b"\x89PNG\r\n\x1a\n").await.expect(201).json();
    assert_eq!((&file["inline"], &file["content_id"]), (&json!(true), &json!("logo@desk")));
    let bad = "/api/v1/attachments?filename=logo.png&content_id=a%0D%0Ab";
    scene.amy.send("POST", bad, &headers, b"x").await.expect(422);
    let body = json!({
        "text": "<p>See <img src=\"cid:logo@desk\"><img src=\"https://e.example/p.png\" alt=\"p\"></p>",
        "format": "html", "attachment_ids": [file["id"]],
    });
    let (sent, raw) = scene.send(body).await;
    assert_eq!(sent["text"], "See [p]", "what was written, as text");
    assert!(raw.contains("multipart/related") && raw.contains("Content-ID: <logo@desk>"), "{raw}");
    assert!(!raw.contains("e.example"), "{raw}");
    let page = scene.desk.http.get(&format!("/api/v1/messages/{}/html", sent["id"])).await.expect(200).text();
    let id = file["id"].as_str().expect("an id");
    assert!(page.contains(&format!("/attachments/{id}/content?")), "{page}");
    let content = format!("/api/v1/attachments/{id}/content");
    assert_eq!(scene.desk.http.get(&content).await.expect(200).body, b"\x89PNG\r\n\x1a\n");
    scene.desk.stop().await;
}
