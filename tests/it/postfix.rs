//! The whole way through a real Postfix: what a mailbox sends arrives, what it writes to itself comes back,
//! and what nobody can get bounces and says so at the answer.

use crate::mailing::*;
use serde_json::{Value, json};
use std::path::PathBuf;
use support::desk::TestDesk;
use support::mail::mail;
use support::maildir;
use support::postfix::Postfix;

async fn mailbox(desk: &TestDesk, postfix: &Postfix) -> i64 {
    let source = json!({"type": "maildir", "path": postfix.maildir("support")});
    // Postfix makes a folder with the first mail to it.
    maildir::make(&postfix.maildir("support"), support::leash::Owner::named("nobody"));
    let delivery = json!({"type": "smtp", "host": "127.0.0.1", "port": postfix.port, "security": "none"});
    add(desk, source, delivery).await
}

/// The mails in a user's folder, once there are so many.
async fn delivered_to(desk: &TestDesk, path: PathBuf, count: usize) -> Vec<String> {
    desk.until(async || {
        let stored = if path.is_dir() { maildir::stored(&path) } else { Vec::new() };
        (stored.len() >= count).then(|| {
            stored.iter().map(|mail| String::from_utf8_lossy(&mail.raw).into_owned()).collect::<Vec<_>>()
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_arrives_a_bounce_comes_back_and_a_round_trip_returns() {
    let Some(postfix) = Postfix::start(&["support", "ada"]) else { return };
    let desk = TestDesk::start().await;
    let id = mailbox(&desk, &postfix).await;
    let path = format!("/api/v1/mailboxes/{id}/test");
    let tried = desk.http.post(&path, &json!({"round_trip": true})).await.expect(200).json();
    let test = tried["round_trip"]["id"].as_str().unwrap_or_else(|| panic!("{tried}"));
    let path = format!("/api/v1/mailboxes/{id}/round-trips/{test}");
    let back = desk
        .until(async || {
            desk.sync(id).await;
            let told = desk.http.get(&path).await.expect(200).json();
            let mails = told["mails"].as_array().expect("a list");
            mails.iter().all(|mail| mail["state"] == "arrived").then(|| told.clone())
        })
        .await;
    assert_eq!(back["mails"].as_array().map(Vec::len), Some(2), "{back}");
    assert_eq!(conversations(&desk).await.len(), 0);

    // Ada writes, and gets her answer in her own mailbox, with the plus address to answer to.
    let ada = mail().from("Ada <ada@example.org>").subject("Parcel lost");
    maildir::deliver(&postfix.maildir("support"), &ada.build(), support::leash::Owner::named("nobody"));
    desk.sync(id).await;
    let all = conversations(&desk).await;
    let conversation = number(&all[0]["id"]);
    let body = json!({"kind": "reply", "text": ".\nIt left today.\n.\n..\nFrom here", "cc": [{"email": "gone@example.org"}]});
    let answer = reply_with(&desk, conversation, body).await;
    delivered(&desk, &answer, "sent").await;
    let got = delivered_to(&desk, postfix.maildir("ada"), 1).await;
    let own = raw(&desk, number(&answer["id"])).await;
    let own = String::from_utf8_lossy(&own).replace("\r\n", "\n");
    let (_, body) = own.split_once("\n\n").expect("a body");
    assert!(got[0].contains(body.trim_end()), "the bytes are those that were frozen:\n{}\n{own}", got[0]);
    assert!(got[0].contains("Reply-To: ") && got[0].contains("support+t."), "{}", got[0]);

    // Nobody is called gone: Postfix says so to the mailbox, and the answer shows who has not got it.
    let shown = desk
        .until(async || {
            desk.sync(id).await;
            let shown = message(&desk, number(&answer["id"])).await;
            (shown["delivery"]["state"] == "bounced").then_some(shown)
        })
        .await;
    let states: Vec<(&Value, &Value)> = shown["delivery"]["recipients"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|recipient| (&recipient["email"], &recipient["state"]))
        .collect();
    let expected = [("ada@example.org", "accepted"), ("gone@example.org", "bounced")];
    assert_eq!(
        states,
        expected
            .map(|(email, state)| (json!(email), json!(state)))
            .iter()
            .map(|(a, b)| (a, b))
            .collect::<Vec<_>>()
    );
    assert_eq!(crate::mailing::conversation(&desk, conversation).await["waiting_on"], "us");
    assert_eq!(delivered_to(&desk, postfix.maildir("ada"), 1).await.len(), 1, "{:?}", postfix.log());
    desk.stop().await;
}
