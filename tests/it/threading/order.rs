//! Mail comes in any order, and not all of it comes.

use super::{ada, mailbox};
use crate::mailing::*;
use serde_json::json;
use support::desk::TestDesk;
use support::mail::TestMail;

/// Every order of so many things.
fn orders(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![Vec::new()];
    }
    let insert = |shorter: Vec<usize>| {
        (0..of).map(move |at| {
            let mut order = shorter.clone();
            order.insert(at, of - 1);
            order
        })
    };
    orders(of - 1).into_iter().flat_map(insert).collect()
}

/// A chain of mails with a name of its own, each naming all before it.
fn chain(name: &str, length: usize) -> Vec<TestMail> {
    let ids: Vec<String> = (0..length).map(|number| format!("<{name}.{number}@acme.example>")).collect();
    let link = |number: usize| {
        let before: Vec<&str> = ids[..number].iter().map(String::as_str).collect();
        ada(&format!("{name} {number}")).message_id(&ids[number]).references(&before)
    };
    (0..length).map(link).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn child_before_parent() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let all = orders(4);
    assert_eq!(all.len(), 24);
    for (index, order) in all.iter().enumerate() {
        let mails = chain(&format!("c{index}"), 4);
        let mut landed = Vec::new();
        for number in order {
            landed.push(arrive(&desk, mailbox, &mails[*number]).await.conversation);
        }
        assert!(landed.iter().all(|conversation| *conversation == landed[0]), "{order:?}: {landed:?}");
        assert_eq!(conversation(&desk, landed[0]).await["message_count"], 4);
    }
    assert_eq!(conversations(&desk).await.len(), all.len());
    desk.stop().await;
}

/// The same in one batch, as a poll brings them: what is not written yet is known all the same.
#[tokio::test(flavor = "multi_thread")]
async fn child_before_parent_in_one_batch() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    support::maildir::make(&path, None);
    let all = orders(4);
    for (index, order) in all.iter().enumerate() {
        let mails = chain(&format!("c{index}"), 4);
        for number in order {
            support::maildir::deliver(&path, &mails[*number].build(), None);
        }
    }
    let mailbox = add(&desk, json!({"type": "maildir", "path": path}), json!({"type": "sink"})).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 4 * all.len());
    let found = conversations(&desk).await;
    assert_eq!(found.len(), all.len());
    assert!(found.iter().all(|conversation| conversation["message_count"] == 4), "{found:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_middle() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let mails = chain("m", 3);
    let first = arrive(&desk, mailbox, &mails[0]).await;
    assert_eq!(arrive(&desk, mailbox, &mails[2]).await.conversation, first.conversation);
    // Who knows the missing one alone finds it as a ghost.
    let fourth = ada("fourth").in_reply_to(&mails[1].id());
    let landed = arrive(&desk, mailbox, &fourth).await;
    assert_eq!(landed.conversation, first.conversation);
    assert_eq!(decision(&desk, landed.message).await["strength"], "B");
    assert_eq!(arrive(&desk, mailbox, &mails[1]).await.conversation, first.conversation, "it comes late");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_children_of_a_ghost() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let parent = ada("parent").message_id("<parent@acme.example>");
    let one = arrive(&desk, mailbox, &ada("one").in_reply_to(&parent.id())).await;
    let two = arrive(&desk, mailbox, &ada("two").in_reply_to(&parent.id())).await;
    assert_eq!(one.conversation, two.conversation);
    assert_eq!(arrive(&desk, mailbox, &parent).await.conversation, one.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_loop_and_self_reference() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let ids = ["<0@acme.example>", "<1@acme.example>", "<2@acme.example>"];
    let mut landed = Vec::new();
    for number in [1, 0, 2] {
        let mail = ada(ids[number]).message_id(ids[number]).in_reply_to(ids[(number + 1) % 3]);
        landed.push(arrive(&desk, mailbox, &mail).await.conversation);
    }
    assert!(landed.iter().all(|conversation| *conversation == landed[0]), "{landed:?}");
    let alone = ada("me").message_id("<me@acme.example>").in_reply_to("<me@acme.example>");
    let alone = arrive(&desk, mailbox, &alone).await;
    let why = decision(&desk, alone.message).await;
    assert_eq!((&why["outcome"], &why["candidates"]), (&json!("new"), &json!([])));
    desk.stop().await;
}
