//! Stories about mail that comes in pieces and in any order.

use super::Case;
use super::desk::*;
use crate::mail::SenderAuth;
use crate::mailbox::Strangers;
use crate::threading::{IdKind, Outcome};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const CASES: &[Case] = &[
    ("any-order-gives-the-same-conversations", any_order),
    ("worked-on-conversations-stay-apart", worked_on),
    ("a-strangers-mail-ties-nothing", strangers),
    ("disowned-mail-leads-nowhere", disowned),
];

const ADA: &str = "ada@acme.example";
const EVE: &str = "eve@evil.example";

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for index in (1..all.len()).rev() {
            all.swap(index, self.below(index + 1));
        }
    }
}

/// The references of one participant's mails: anything may name anything, itself, what comes later,
/// and what never comes.
fn graph(dice: &mut Dice, size: usize) -> Vec<Vec<usize>> {
    let spread = size + size / 3;
    let mut graph = Vec::new();
    for _ in 0..size {
        let count = [0, 1, 1, 1, 2, 3][dice.below(6)];
        graph.push((0..count).map(|_| dice.below(spread)).collect());
    }
    graph
}

fn mails(graph: &[Vec<usize>]) -> Vec<Letter> {
    let name = |number: usize| format!("{number}@acme");
    let mail = |(number, named): (usize, &Vec<usize>)| {
        let names: Vec<String> = named.iter().map(|other| name(*other)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        letter(&name(number), ADA).refs(&names)
    };
    graph.iter().enumerate().map(mail).collect()
}

/// What belongs together by the graph alone, as notmuch would have it.
fn expected(graph: &[Vec<usize>]) -> BTreeSet<BTreeSet<usize>> {
    let names = graph.iter().flatten().copied().max().unwrap_or(0).max(graph.len()) + 1;
    let mut leader: Vec<usize> = (0..names).collect();
    for (number, named) in graph.iter().enumerate() {
        for other in named {
            let (gone, kept) = (leader[number], leader[*other]);
            leader.iter_mut().filter(|leader| **leader == gone).for_each(|leader| *leader = kept);
        }
    }
    let mut together: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (number, leader) in leader.iter().enumerate().take(graph.len()) {
        together.entry(*leader).or_default().insert(number);
    }
    together.into_values().collect()
}

/// The partition that an order of arrival leads to, by the mails' own numbers.
fn found(mails: &[Letter], order: &[usize]) -> BTreeSet<BTreeSet<usize>> {
    let mut desk = Desk::new();
    for number in order {
        desk.receive(&mails[*number]);
    }
    let named = |part: BTreeSet<usize>| part.into_iter().map(|index| order[index]).collect();
    desk.partition().into_iter().map(named).collect()
}

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

fn any_order() {
    let mut dice = Dice(7);
    // Every order of five mails, then some orders of many.
    for round in 0..12 {
        let graph = graph(&mut dice, 5);
        let mails = mails(&graph);
        for order in orders(5) {
            assert_eq!(found(&mails, &order), expected(&graph), "round {round}: {graph:?} as {order:?}");
        }
    }
    let mut splits = 0;
    for round in 0..50 {
        let graph = graph(&mut dice, 30);
        let (mails, expected) = (mails(&graph), expected(&graph));
        splits += usize::from(expected.len() > 1);
        let mut order: Vec<usize> = (0..30).collect();
        for _ in 0..5 {
            dice.shuffle(&mut order);
            assert_eq!(found(&mails, &order), expected, "round {round}: {graph:?} as {order:?}");
        }
    }
    assert!(splits > 5, "the graphs hang together too well to show anything: {splits}");
}

fn worked_on() {
    // Two that an agent answered in stay two, whatever the customer sends.
    let mut desk = Desk::new();
    let one = desk.receive(&letter("1@acme", ADA));
    let two = desk.receive(&letter("2@acme", ADA));
    desk.answer(one.conversation, ADA);
    desk.answer(two.conversation, ADA);
    let both = desk.receive(&letter("3@acme", ADA).refs(&["1@acme", "2@acme"]));
    assert_eq!(both.conversation, two.conversation, "the nearest");
    assert_eq!((desk.conversation_count(), desk.links(two.conversation)), (2, vec![one.conversation]));
    // What nobody touched goes into what somebody did.
    let three = desk.receive(&letter("4@acme", ADA));
    let tie = desk.receive(&letter("5@acme", ADA).refs(&["2@acme", "4@acme"]));
    assert_eq!(tie.conversation, two.conversation);
    assert_eq!(tie.decision().joined.len(), 1);
    assert_eq!(desk.conversation_count(), 2);
    // Whoever answers the one that went finds the other.
    let later = desk.receive(&letter("6@acme", ADA).refs(&["4@acme"]));
    assert_eq!((later.conversation, three.conversation != two.conversation), (two.conversation, true));
}

fn strangers() {
    let mut desk = Desk::new();
    let one = desk.receive(&letter("1@acme", ADA));
    let two = desk.receive(&letter("2@acme", ADA));
    let evil = desk.receive(&letter("1@evil", EVE).refs(&["1@acme", "2@acme"]));
    assert_eq!(evil.outcome(), Outcome::Link);
    assert_eq!(desk.conversation_count(), 3);
    // Nor does the customer's answer to something the stranger let her in to make one of two people's.
    desk.receive(&letter("2@evil", EVE).refs(&["1@evil"]).cc(ADA));
    let lured = desk.receive(&letter("3@acme", ADA).refs(&["1@acme", "2@evil"]));
    assert_eq!(lured.decision().joined, []);
    // Who claims an id that somebody waits for draws nobody away, and is no part of it.
    desk.receive(&letter("4@acme", ADA).refs(&["awaited@acme"]));
    let guessed = desk.receive(&letter("awaited@acme", EVE).cc(ADA));
    let next = desk.receive(&letter("5@acme", ADA).refs(&["awaited@acme"]));
    assert_ne!(next.conversation, guessed.conversation);
    assert_eq!(next.decision().also_references, []);
    // Nor does it keep the one whose id it is from their own.
    let bob = desk.receive(&letter("1@bree", "bob@bree.example").refs(&["awaited@acme"]));
    let again = desk.receive(&letter("2@bree", "bob@bree.example").refs(&["awaited@acme"]));
    assert_eq!(bob.conversation, again.conversation, "he has claimed it too");
    assert_ne!(one.conversation, two.conversation);
    // Where strangers may append, the desk is one house.
    let mut open = Desk::new();
    open.policy.strangers = Strangers::Append;
    open.receive(&letter("1@acme", ADA));
    open.receive(&letter("1@bree", "bob@bree.example"));
    open.receive(&letter("2@bree", "bob@bree.example").refs(&["1@acme", "1@bree"]));
    assert_eq!(open.conversation_count(), 1);
}

fn disowned() {
    // A mail in Ada's name that her domain disowns claims nothing: not what it refers to, not its id.
    let mut desk = Desk::new();
    let forged = letter("1@acme", ADA).refs(&["0@acme"]).auth(SenderAuth::Fail);
    let forged = desk.receive(&forged.with(|mail| mail.text = "forged".into()));
    let own = desk.receive(&letter("0@acme", ADA));
    assert_ne!(own.conversation, forged.conversation);
    let first = desk.receive(&letter("1@acme", ADA));
    let second = desk.receive(&letter("2@acme", ADA).refs(&["1@acme"]));
    assert_eq!(second.conversation, first.conversation);
    assert_ne!(second.conversation, forged.conversation);
    assert_eq!(desk.owner("1@acme"), Some((IdKind::Disowned, forged.conversation)));
}
