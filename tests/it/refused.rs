//! What can't become a mail is refused when it is written, with the member that is at fault, and not when
//! nobody looks any more.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::mail;
use support::smtp::SmtpSink;

/// Pointer, code and detail of the faults that were told.
fn faults(told: &Value) -> Vec<(String, String, String)> {
    let word = |fault: &Value, name: &str| fault[name].as_str().expect("a text").to_owned();
    let all = told["errors"].as_array().expect("a list").iter();
    all.map(|fault| (word(fault, "pointer"), word(fault, "code"), word(fault, "detail"))).collect()
}

async fn refused(desk: &TestDesk, path: &str, body: Value, pointer: &str, code: &str) -> String {
    let told = desk.http.post(path, &body).await.expect(422).json();
    let [(at, word, detail)] = &faults(&told)[..] else { panic!("{told}") };
    assert_eq!((at.as_str(), word.as_str()), (pointer, code), "{told}");
    detail.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_once_it_is_safe_is_not_sent() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Parcel")).await.conversation;
    let path = format!("/api/v1/conversations/{id}/messages");
    let begin = json!({"mailbox_id": mailbox, "subject": "x", "customer": {"email": "bob@example.net"}});
    for (format, text) in [
        ("html", "<script>alert(1)</script>"),
        ("html", "<p> <br></p>"),
        ("html", "<form><input name=x></form>"),
        ("html", "<img src=\"https://e.example/pixel.png\">"),
        ("markdown", "[a]: https://example.org/"),
    ] {
        let written = json!({"kind": "reply", "text": text, "format": format});
        refused(&desk, &path, written.clone(), "/text", "empty").await;
        refused(&desk, &path, with(written.clone(), json!({"undo_seconds": 60})), "/text", "empty").await;
        let begun = with(begin.clone(), json!({"message": written.clone()}));
        refused(&desk, "/api/v1/conversations", begun, "/message/text", "empty").await;
        // A draft may be anything, until it is to leave.
        let draft = reply_with(&desk, id, with(written, json!({"draft": true}))).await;
        let one = format!("/api/v1/messages/{}", draft["id"]);
        let told = desk.http.patch(&one, &json!({"draft": false})).await.expect(422).json();
        assert_eq!(faults(&told)[0].1, "empty", "{told}");
    }
    let texts = format!("/api/v1/mailboxes/{mailbox}/auto-reply/texts/acknowledgement/en");
    let text = json!({"body": {"text": "<script>x</script>", "format": "html"}});
    let told = desk.http.put(&texts, &text).await.expect(422).json();
    assert_eq!((faults(&told)[0].0.as_str(), faults(&told)[0].1.as_str()), ("/body/text", "empty"));
    // With a file beside it there is something to send.
    let headers = [("Content-Type", "image/png")];
    let file = desk.http.send("POST", "/api/v1/attachments?filename=a.png", &headers, b"x").await.expect(201);
    let body =
        json!({"kind": "reply", "text": "<p></p>", "format": "html", "attachment_ids": [file.json()["id"]]});
    let sent = desk.http.post(&path, &body).await.expect(201).json();
    delivered(&desk, &sent, "sent").await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_composer_refuses_is_its_writers_to_mend() {
    let (desk, sink) = (TestDesk::start().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Parcel")).await.conversation;
    let path = format!("/api/v1/conversations/{id}/messages");
    let outgoing = format!("/api/v1/mailboxes/{mailbox}/outgoing");

    // Each fits, and all together do not.
    let half = "x".repeat(30 * 1024);
    let html = |text: &str| json!({"text": text, "format": "html"});
    desk.http.patch(&outgoing, &json!({"head": html(&half), "foot": html(&half)})).await.expect(200);
    let body = |bytes: usize| json!({"kind": "reply", "text": "y".repeat(bytes), "format": "html"});
    let most = 256 * 1024 - 2 * half.len();
    let detail = refused(&desk, &path, body(most + 1), "/text", "invalid_markup").await;
    assert!(detail.contains("foot"), "{detail}");
    refused(&desk, &format!("{path}/preview"), body(most + 1), "/text", "invalid_markup").await;
    let begun = json!({
        "mailbox_id": mailbox, "subject": "x", "customer": {"email": "bob@example.net"}, "message": body(most + 1),
    });
    refused(&desk, "/api/v1/conversations", begun, "/message/text", "invalid_markup").await;
    let sent = desk.http.post(&path, &body(most)).await.expect(201).json();
    delivered(&desk, &sent, "sent").await;

    // An address that came in and can't be written to.
    let odd = mail().from("\"Odd\" <odd@under_score..example>").subject("Odd");
    let odd = arrive(&desk, mailbox, &odd).await.conversation;
    let path = format!("/api/v1/conversations/{odd}/messages");
    let body = json!({"kind": "reply", "text": "x"});
    let told = desk.http.post(&path, &body).await.expect(422).json();
    assert_eq!(faults(&told)[0].0, "/to", "{told}");
    let named = with(body, json!({"to": [{"email": "odd@example.net"}]}));
    desk.http.post(&path, &named).await.expect(201);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pictures_of_one_name_and_faults_told_twice_are_no_more() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Parcel")).await.conversation;
    let path = format!("/api/v1/conversations/{id}/messages");
    let headers = [("Content-Type", "image/png")];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let upload = "/api/v1/attachments?filename=a.png&content_id=pic";
        ids.push(desk.http.send("POST", upload, &headers, b"x").await.expect(201).json()["id"].clone());
    }
    let body = json!({"kind": "reply", "text": "x", "attachment_ids": ids});
    refused(&desk, &path, body.clone(), "/attachment_ids/1", "duplicate_content_id").await;
    refused(&desk, &path, with(body, json!({"draft": true})), "/attachment_ids/1", "duplicate_content_id")
        .await;
    let one = json!({"kind": "reply", "text": "x", "attachment_ids": [ids[1]]});
    desk.http.post(&path, &one).await.expect(201);

    let outgoing = format!("/api/v1/mailboxes/{mailbox}/outgoing");
    let text = |text: &str| json!({"text": text});
    for (change, pointer, code) in [
        (json!({"from_name": "x".repeat(201)}), "/from_name", "too_long"),
        (json!({"from_name": "a\0"}), "/from_name", "nul_character"),
        (json!({"signature": text("a\0")}), "/signature/text", "nul_character"),
        (json!({"foot": text("Hi {{customer.name}")}), "/foot/text", "invalid_template"),
    ] {
        let told = desk.http.patch(&outgoing, &change).await.expect(422).json();
        let [(at, word, detail)] = &faults(&told)[..] else { panic!("{told}") };
        assert_eq!((at.as_str(), word.as_str()), (pointer, code), "{told}");
        assert!(
            code != "invalid_template" || detail == "the {{ at character 4 has no }} behind it",
            "{detail}"
        );
    }
    desk.stop().await;
}
