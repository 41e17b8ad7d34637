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
async fn values_are_themselves_in_both_parts_whatever_the_format() {
    let scene = begin().await;
    let (desk, name) = (&scene.desk, "A*b_c [x](https://e.example/) <z>");
    let customers = desk.http.get("/api/v1/customers?email=ada@example.net").await.expect(200).json();
    let customer = format!("/api/v1/customers/{}", customers["data"][0]["id"]);
    desk.http.patch(&customer, &json!({"name": name})).await.expect(200);
    let shown = "A*b_c [x](https://e.example/) &lt;z&gt;";
    for format in ["text", "markdown", "html"] {
        let text = |text: &str| json!({"text": text, "format": format});
        let look = json!({
            "head": text("For {{customer.name}}"),
            "signature": text("Yours, {{customer.name}}"),
            "foot": text("Bye {{customer.name}}"),
        });
        desk.http.patch(&scene.outgoing(), &look).await.expect(200);
        let preview = scene.preview(json!({})).await;
        let parts = format!("For {name}\n\nIt left.\n\n-- \nYours, {name}\n\nBye {name}");
        assert_eq!(text_of(&preview), parts, "{format}");
        let html = preview["html"].as_str().expect("HTML");
        // A web address in a text is a link there, and one all the same if it was in a name.
        let plain =
            html.replace("<a href=\"https://e.example/\">https://e.example/</a>", "https://e.example/");
        assert_eq!(plain.matches(shown).count(), 3, "{format}: {html}");
        assert!(format == "text" || plain == html, "{format}: no link was made: {html}");
        assert!(!html.contains("<z") && !html.contains("<em"), "{format}: {html}");
    }

    // An agent's signature of another format keeps its links.
    let own = "<p>Amy, <a href=\"https://desk.example/amy\">her page</a></p>";
    for (own, html, text) in [
        (
            json!({"text": own, "format": "html"}),
            "<a href=\"https://desk.example/amy\">her page</a>",
            "Amy, her page <https://desk.example/amy>",
        ),
        (
            json!({"text": "Amy, https://desk.example/amy", "format": "text"}),
            "<a href=\"https://desk.example/amy\">https://desk.example/amy</a>",
            "Amy, https://desk.example/amy",
        ),
        (
            json!({"text": "Amy for {{customer.name}}, [her page](https://desk.example/amy)", "format": "markdown"}),
            "<a href=\"https://desk.example/amy\">her page</a>",
            "Amy for A*b_c [x](https://e.example/) <z>, [her page](https://desk.example/amy)",
        ),
    ] {
        scene.amy.patch("/api/v1/me", &json!({"signature": own})).await.expect(200);
        let signature = json!({"text": "*Regards*\n\n{{agent.signature}}", "format": "markdown"});
        let look = json!({"head": null, "foot": null, "signature": signature});
        desk.http.patch(&scene.outgoing(), &look).await.expect(200);
        let preview = scene.preview(json!({})).await;
        assert_eq!(text_of(&preview), format!("It left.\n\n-- \n*Regards*\n\n{text}"));
        let shown = preview["html"].as_str().expect("HTML");
        assert!(shown.contains(html) && shown.contains("<em>Regards</em>"), "{shown}");
    }
    scene.desk.stop().await;
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Uploads a file of the administrator's.
async fn upload(desk: &TestDesk, content: &[u8]) -> Value {
    let headers = [("Content-Type", "image/png")];
    let sent = desk.http.send("POST", "/api/v1/attachments?filename=l.png", &headers, content).await;
    sent.expect(201).json()["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_of_a_mailbox_brings_its_logo() {
    let scene = begin().await;
    let (desk, path) = (&scene.desk, scene.outgoing());
    assert_eq!(desk.http.get(&path).await.expect(200).json()["logo"], Value::Null);
    let own = format!("{path}/logo");
    desk.http.get(&own).await.expect(404);

    // What is no picture, or too large for every mail to bring along, is none; nor is another's upload.
    let most = [PNG, &vec![7; 256 * 1024 - PNG.len()]].concat();
    let svg = upload(desk, b"<svg xmlns='http://www.w3.org/2000/svg'/>").await;
    let large = upload(desk, &[&most[..], b"x"].concat()).await;
    let headers = [("Content-Type", "image/png")];
    let others = scene.amy.send("POST", "/api/v1/attachments?filename=l.png", &headers, PNG).await;
    for (logo, pointer, code) in [
        (json!({"attachment_id": svg}), "/logo/attachment_id", "no_picture"),
        (json!({"attachment_id": large}), "/logo/attachment_id", "too_large"),
        (json!({"attachment_id": others.expect(201).json()["id"]}), "/logo/attachment_id", "not_found"),
        (json!({"alt": "Shop"}), "/logo/attachment_id", "required"),
        (json!({"attachment_id": upload(desk, PNG).await, "alt": "x".repeat(201)}), "/logo/alt", "too_long"),
    ] {
        let told = desk.http.patch(&path, &json!({"logo": logo})).await.expect(422).json();
        let told = (&told["errors"][0]["pointer"], &told["errors"][0]["code"]);
        assert_eq!(told, (&json!(pointer), &json!(code)));
    }
    let signature = json!({"signature": {"text": "{{logo}}"}});
    desk.http.patch(&path, &signature).await.expect(422);

    let file = upload(desk, &most).await;
    let logo = json!({"logo": {"attachment_id": file, "alt": "x".repeat(200)}});
    scene.amy.patch(&path, &logo).await.expect(403);
    let set = desk.http.patch(&path, &logo).await.expect(200).json();
    assert_eq!((&set["logo"]["size"], &set["logo"]["content_type"]), (&json!(262_144), &json!("image/png")));
    assert_eq!(desk.http.get(&own).await.expect(200).body, most);
    let file = file.as_str().expect("an id");
    desk.http.get(&format!("/api/v1/attachments/{file}")).await.expect(404);
    desk.http.patch(&path, &logo).await.expect(422);

    // By its alternative, above the head, and once, also where it is answered again.
    let set = desk.http.patch(&path, &json!({"logo": {"alt": "A \"shop\""}})).await.expect(200).json();
    let id = set["logo"]["content_id"].as_str().expect("an id").to_owned();
    let tag = format!("<img src=\"cid:{id}\" alt=\"A &quot;shop&quot;\">");
    let look = json!({"head": {"text": "We"}, "quote_history": true});
    desk.http.patch(&path, &look).await.expect(200);
    let (sent, first) = scene.send(json!({})).await;
    let answer = mail()
        .from("ada@example.net")
        .subject("Re: Parcel lost")
        .in_reply_to(&id_of(&sent))
        .html(&format!("<p>Thanks</p><blockquote>{tag}</blockquote>"));
    assert_eq!(arrive(desk, scene.mailbox, &answer).await.conversation, scene.conversation);
    for raw in [first, scene.send(json!({})).await.1] {
        assert_eq!(raw.matches(&format!("Content-ID: <{id}>")).count(), 1, "{raw}");
        assert!(raw.contains("Content-Disposition: inline; filename=\"logo.png\""), "{raw}");
        let soft = raw.replace("=\r\n", "").replace("=3D", "=");
        assert_eq!(soft.matches(&tag).count(), 1, "{soft}");
    }
    let preview = scene.preview(json!({})).await;
    let html = preview["html"].as_str().expect("HTML");
    assert!(html.find(&tag).expect("the logo") < html.find("We").expect("the head"), "{html}");
    let example = scene.amy.post(&format!("{path}/preview"), &json!({"text": "x"})).await.expect(200).json();
    assert!(example["html"].as_str().expect("HTML").contains(&tag), "{example}");

    // Where the layout wants it, and by the mailbox's name.
    for format in ["markdown", "html"] {
        let look = json!({"logo": {"alt": null}, "foot": {"text": "Bye {{logo}} now", "format": format}});
        desk.http.patch(&path, &look).await.expect(200);
        let name = desk.http.get(&format!("/api/v1/mailboxes/{}", scene.mailbox)).await.expect(200).json();
        let name = name["name"].as_str().expect("a name");
        let preview = scene.preview(json!({})).await;
        let html = preview["html"].as_str().expect("HTML");
        assert!(html.contains(&format!("Bye <img src=\"cid:{id}\" alt=\"{name}\"> now")), "{html}");
        assert_eq!(html.matches("<img").count(), 1, "{html}");
    }

    let gone = desk.http.patch(&path, &json!({"logo": null})).await.expect(200).json();
    assert_eq!(gone["logo"], Value::Null);
    desk.http.get(&own).await.expect(404);
    assert!(!scene.send(json!({})).await.1.contains("Content-ID"));
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
async fn html_is_quoted_as_html_and_can_do_no_harm() {
    let scene = begin().await;
    let sly = "<p>It is <b>blue</b> <a href=\"https://example.net/\">here</a></p><script>x</script>\
        <form action=\"https://e.example\"><input name=\"a\"></form><div style=\"display:none; font-size:0\">hid</div>\
        <img src=\"https://e.example/pixel.png\"><img src=\"cid:p\" alt=\"p\"></blockquote></div><p>End</p>";
    let question = mail().from("ada@example.net").subject("Blue").text("It is blue here").html(sly);
    let id = arrive(&scene.desk, scene.mailbox, &question).await.conversation;
    let path = format!("/api/v1/conversations/{id}/messages");
    let body = json!({"kind": "reply", "text": "We see.", "quote": true});
    let preview = scene.amy.post(&format!("{path}/preview"), &body).await.expect(200).json();
    assert!(text_of(&preview).ends_with("ada@example.net wrote:\n> It is blue here"), "{preview}");
    let html = preview["html"].as_str().expect("HTML");
    let (ours, quoted) = html.split_once("<blockquote").expect("a quote");
    assert!(ours.contains("We see.") && quoted.contains("<p>It is <b>blue</b> "), "{html}");
    assert!(quoted.contains("href=\"https://example.net/\"") && quoted.contains("<p>End</p>"), "{html}");
    for harm in ["script", "form", "input", "display", "font-size", "<img", "pixel", "e.example"] {
        assert!(!quoted.contains(harm), "{harm} in {html}");
    }
    assert_eq!(html.matches("</blockquote>").count(), 1, "nobody ends the quote: {html}");
    let sent = scene.amy.post(&path, &body).await.expect(201).json();
    delivered(&scene.desk, &sent, "sent").await;
    let raw = scene.sink.next().await.text().replace("=\r\n", "");
    assert!(raw.contains("<b>blue</b>"), "{raw}");

    // Who quotes is quoted by what is new in it, or all of it would be told twice.
    let again = mail()
        .from("ada@example.net")
        .subject("Re: Blue")
        .in_reply_to(&id_of(&sent))
        .text("And green.\n\nOn 2026-11-22, Support wrote:\n> We see.\n")
        .html("<p>And <i>green</i>.</p><div class=\"gmail_quote\">On 2026-11-22, Support wrote:<blockquote>We see.</blockquote></div>");
    assert_eq!(arrive(&scene.desk, scene.mailbox, &again).await.conversation, id);
    let preview = scene.amy.post(&format!("{path}/preview"), &body).await.expect(200).json();
    let html = preview["html"].as_str().expect("HTML");
    assert!(html.contains("<p>And green.</p>") && !html.contains("<i>green"), "{html}");
    assert!(html.contains("<b>blue</b>"), "{html}");
    // One that is large is quoted as text.
    let large = format!("<p>It is <b>large</b></p><!-- {} -->", "x".repeat(256 * 1024));
    let large = mail().from("ada@example.net").subject("Large").text("It is large").html(&large);
    let id = arrive(&scene.desk, scene.mailbox, &large).await.conversation;
    let path = format!("/api/v1/conversations/{id}/messages/preview");
    let preview = scene.amy.post(&path, &body).await.expect(200).json();
    let html = preview["html"].as_str().expect("HTML");
    assert!(html.contains("It is large") && !html.contains("<b>large"), "{html}");
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
