//! What became of other desks by forged mail, and must not become of this one: V-01, V-02, V-05
//! and V-09 of the promises.

use super::{mailbox, passed};
use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::mail;

/// An agent with a grant on the mailbox. Returns their number.
async fn bob(desk: &TestDesk, mailbox: i64) -> i64 {
    let bob = json!({
        "name": "Bob", "email": "bob@example.org", "grants": [{"mailbox_id": mailbox, "level": "reply"}],
    });
    number(&desk.http.post("/api/v1/agents", &bob).await.expect(201).json()["id"])
}

#[tokio::test(flavor = "multi_thread")]
async fn v_01_a_mail_in_an_agents_name_is_anybodys() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    bob(&desk, mailbox).await;
    let first = arrive(&desk, mailbox, &mail().from("Ada <ada@acme.example>")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Which order?").await);
    let before = conversation(&desk, first.conversation).await;
    // Guessed, of another system, and sealed for real but in an agent's name.
    let guessed = format!("<notify-{}-1-0123456789abcdef@example.org>", first.conversation);
    let numbered = format!("<reply-{}@example.org>", first.conversation);
    for id in [&guessed, &numbered, &ours] {
        let forged = mail().from("Bob <bob@example.org>").text(&format!("Pay here. {id}")).in_reply_to(id);
        let landed = arrive(&desk, mailbox, &forged).await;
        assert_ne!(landed.conversation, first.conversation, "{id}");
        let shown = message(&desk, landed.message).await;
        assert_eq!((&shown["kind"], &shown["sender_auth"]), (&json!("inbound"), &json!("none")), "{id}");
        assert_ne!(shown["author"]["type"], "agent", "{id}");
        assert_eq!(shown["delivery"], Value::Null, "nothing goes out");
        assert_eq!(messages(&desk, landed.conversation).await.len(), 1, "nothing goes out");
    }
    assert_eq!(conversation(&desk, first.conversation).await, before);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_02_who_has_stopped_answers_nobody() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let bob = bob(&desk, mailbox).await;
    let first = arrive(&desk, mailbox, &mail().from("Ada <ada@acme.example>")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Which order?").await);
    desk.http.patch(&format!("/api/v1/agents/{bob}"), &json!({"grants": []})).await.expect(200);
    let before = conversation(&desk, first.conversation).await;
    let mail =
        passed(&mail().from("Bob <bob@example.org>").text("As I said.").in_reply_to(&ours), "example.org");
    let landed = arrive(&desk, mailbox, &mail).await;
    assert_ne!(landed.conversation, first.conversation);
    let why = decision(&desk, landed.message).await;
    assert_eq!(
        (&why["outcome"], &why["sender_class"]),
        (&json!("link"), &json!("P0")),
        "it is told why: {why}"
    );
    assert_eq!(conversation(&desk, first.conversation).await, before);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_05_a_new_address_changes_no_recipient() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &mail().from("Ada <ada@acme.example>").cc("spy@evil.example")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Which order?").await);
    let other = mail().from("Cyd <cyd@acme.example>").text("Order 1, says Ada.").in_reply_to(&ours);
    let landed = arrive(&desk, mailbox, &passed(&other, "acme.example")).await;
    assert_eq!(landed.conversation, first.conversation);
    assert_eq!(message(&desk, landed.message).await["flags"], json!(["new_participant"]));
    // V-03: who was only copied gets nothing either, until an agent writes to them.
    let answer = reply(&desk, first.conversation, "Thank you.").await;
    assert_eq!(answer["to"], json!([{"name": "Ada", "email": "ada@acme.example"}]), "{answer}");
    assert_eq!((&answer["cc"], &answer["bcc"]), (&json!([]), &json!([])), "{answer}");
    let sent = String::from_utf8(raw(&desk, number(&answer["id"])).await).expect("we write ASCII");
    assert!(!sent.contains("spy@") && !sent.contains("cyd@"), "{sent}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_09_our_headers_from_outside_mean_nothing() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &mail().from("Ada <ada@acme.example>").subject("Order")).await;
    let number = first.conversation.to_string();
    let forged = mail()
        .from("Eve <eve@evil.example>")
        .subject("Hello again")
        .header("X-Postroom-Instance", "0123456789abcdef.0123456789abcdef")
        .header("X-Postroom-Conversation", &number)
        .header("X-Postroom-Status", "closed")
        .header("X-Postroom-Assignee", "1")
        .header("X-Postroom-Class", "auto_reply");
    let landed = arrive(&desk, mailbox, &forged).await;
    let shown = conversation(&desk, landed.conversation).await;
    assert_ne!(landed.conversation, first.conversation);
    assert_eq!((&shown["status"], &shown["assignee_id"]), (&json!("open"), &Value::Null));
    assert_eq!(shown["links"], json!([]));
    assert_eq!(message(&desk, landed.message).await["class"], "human");
    desk.stop().await;
}
