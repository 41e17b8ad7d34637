//! One mail in many shapes is one message; many mails in one shape are many.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::{TestMail, mail};

fn order() -> TestMail {
    mail().from("Ada <ada@acme.example>").subject("Order 1").text("Where is it?\nI wait.")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marks_of_mail_stores_make_no_other_mail() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = arrive(&desk, mailbox, &order()).await;
    let text = String::from_utf8(order().build()).expect("it is ASCII");
    for (shape, raw) in [
        ("a From line", format!("From ada@acme.example Mon Nov  2 09:00:00 2026\r\n{text}")),
        ("a quoted From line", format!(">From ada@acme.example Mon Nov  2 09:00:00 2026\r\n{text}")),
        ("bare LF", text.replace("\r\n", "\n")),
        ("bare CR", text.replace("\r\n", "\r")),
        ("a byte order mark", format!("\u{feff}{text}")),
        ("empty lines before it", format!("\r\n\r\n{text}")),
        ("hops", format!("Received: from a by b\r\nX-Spam-Status: No\r\n{text}")),
    ] {
        let receipt = push(&desk, mailbox, raw.as_bytes()).await;
        assert_eq!(
            (&receipt["verdict"], &receipt["message_id"]),
            (&json!("duplicate"), &json!(first.message)),
            "{shape}"
        );
    }
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lists_copy_and_the_direct_one_are_one() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let direct = order();
    let list = order().header("List-Id", "<users.lists.example>").header("Precedence", "list");
    let first = arrive(&desk, mailbox, &direct).await;
    let receipt = push(&desk, mailbox, &list.build()).await;
    assert_eq!((&receipt["verdict"], &receipt["message_id"]), (&json!("duplicate"), &json!(first.message)));
    // The other way round the list's copy came first, and the direct one adds nothing.
    let other = |mail: TestMail| mail.text("Another matter.");
    let first = arrive(&desk, mailbox, &other(list)).await;
    assert_eq!(push(&desk, mailbox, &other(direct).build()).await["message_id"], json!(first.message));
    assert_eq!(conversations(&desk).await.len(), 2);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_eight_bits_are_read_and_lose_no_mail() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let head = |subject: &[u8], id: &str| {
        let rest =
            format!("\r\nDate: Mon, 02 Nov 2026 09:00:00 +0000\r\nMessage-ID: <{id}@x>\r\n\r\nHello\r\n");
        [
            b"From: Ada <ada@acme.example>\r\nTo: support@example.org\r\nSubject: ".as_slice(),
            subject,
            rest.as_bytes(),
        ]
        .concat()
    };
    for (id, subject, shown) in
        [("utf8", "Größe".as_bytes(), "Größe"), ("latin1", b"Gr\xf6\xdfe".as_slice(), "Größe")]
    {
        let raw = head(subject, id);
        let receipt = push(&desk, mailbox, &raw).await;
        assert_eq!(receipt["verdict"], "accepted", "{id}: {receipt}");
        let there = conversation(&desk, number(&receipt["conversation_id"])).await;
        assert_eq!(there["subject"], shown, "{id}");
        assert_eq!(push(&desk, mailbox, &raw).await["verdict"], "duplicate", "{id}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_without_any_id_or_date_are_as_many_as_there_are() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let alarm = |hop: &str| {
        format!(
            "Received: from {hop} by mx\r\nFrom: alarm@machine.example\r\nSubject: Alarm\r\n\r\nFire!\r\n"
        )
        .into_bytes()
    };
    let mut landed = Vec::new();
    for hop in ["one", "two"] {
        let receipt = push(&desk, mailbox, &alarm(hop)).await;
        assert_eq!(receipt["verdict"], "accepted", "two alarms with the same words are two: {receipt}");
        landed.push(receipt["message_id"].clone());
    }
    assert_eq!(push(&desk, mailbox, &alarm("one")).await["message_id"], landed[0], "the same bytes are one");
    let shown = message(&desk, number(&landed[0])).await;
    assert_eq!(shown["internet_message_id"], Value::Null);
    desk.stop().await;
}
