//! Mail comes in any order, and not all of it comes.

use super::{ada, mailbox};
use crate::mailing::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use support::desk::TestDesk;
use support::mail::TestMail;

/// Every order of so many things.
pub(super) fn orders(of: usize) -> Vec<Vec<usize>> {
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
pub(super) fn chain(name: &str, length: usize) -> Vec<TestMail> {
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

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// The mails of one graph: each names some others, itself, or what never comes.
fn graph_of(name: &str, graph: &[Vec<usize>]) -> Vec<TestMail> {
    let id = |number: usize| format!("<{name}.{number}@acme.example>");
    let mail = |(number, named): (usize, &Vec<usize>)| {
        let named: Vec<String> = named.iter().map(|other| id(*other)).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        ada(&format!("{name} {number}")).message_id(&id(number)).references(&named)
    };
    graph.iter().enumerate().map(mail).collect()
}

/// What one customer wrote gives the same conversations in any order, whether it comes one by one,
/// together, or in two batches: those that the references make.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_gives_the_same_conversations() {
    const SIZE: usize = 7;
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    support::maildir::make(&path, None);
    let source = json!({"type": "maildir", "path": path});
    let mailbox = add(&desk, source, json!({"type": "sink"})).await;
    let mut dice = Dice(11);
    let mut later = Vec::new();
    let mut joins = 0;
    for round in 0..5 {
        let graph: Vec<Vec<usize>> = (0..SIZE)
            .map(|_| (0..[0, 1, 1, 2][dice.below(4)]).map(|_| dice.below(SIZE + 3)).collect())
            .collect();
        for order in 0..4 {
            let name = format!("g{round}-{order}");
            let mut mails = graph_of(&name, &graph);
            for index in (1..SIZE).rev() {
                mails.swap(index, dice.below(index + 1));
            }
            for (index, mail) in mails.iter().enumerate() {
                match order {
                    0 => {
                        let landed = arrive(&desk, mailbox, mail).await;
                        let why = decision(&desk, landed.message).await;
                        joins += why["joined"].as_array().map_or(0, Vec::len);
                    }
                    1 | 2 if index < SIZE / 2 + order => {
                        support::maildir::deliver(&path, &mail.build(), None);
                    }
                    _ => later.push(mail.build()),
                }
            }
        }
    }
    assert!(joins > 0, "the orders were too kind to show anything");
    sync(&desk, mailbox).await;
    for raw in &later {
        support::maildir::deliver(&path, raw, None);
    }
    sync(&desk, mailbox).await;

    // Name of graph and order, then conversation, then the mails in it.
    let mut found: BTreeMap<String, BTreeMap<i64, BTreeSet<String>>> = BTreeMap::new();
    for (id, conversation) in everything(&desk).await {
        let (name, number) = id.split_once('.').expect("ids are made above");
        let part = found.entry(name.to_owned()).or_default().entry(conversation).or_default();
        part.insert(number.to_owned());
    }
    assert_eq!(found.len(), 20);
    let partition = |name: &str| found[name].values().cloned().collect::<BTreeSet<_>>();
    for round in 0..5 {
        let first = partition(&format!("<g{round}-0"));
        assert_eq!(first.iter().map(BTreeSet::len).sum::<usize>(), SIZE, "none is lost");
        for order in 1..4 {
            assert_eq!(partition(&format!("<g{round}-{order}")), first, "graph {round}, order {order}");
        }
    }
    desk.stop().await;
}
