//! Stories about what refers to what.

use super::Case;
use super::desk::*;
use crate::mail::SenderAuth;
use crate::threading::{IdKind, Outcome, Strength, subject};

pub(super) const CASES: &[Case] = &[
    ("reply-plain", reply_plain),
    ("reply-apple-mail-refs-overwritten", apple_mail_overwrites_references),
    ("reply-ios-ses-rewritten-id", ses_rewrites_our_id),
    ("reply-outlook-original-id", outlook_keeps_our_id_aside),
    ("child-before-parent", child_before_parent),
    ("missing-middle", missing_middle),
    ("two-children-of-ghost", two_children_of_ghost),
    ("in-reply-to-is-address", in_reply_to_is_address),
    ("10000-references", ten_thousand_references),
    ("self-reference", self_reference),
    ("reference-loop", reference_loop),
    ("nil-in-reply-to-matches-nothing", nil_in_reply_to),
    ("changed-subject", changed_subject),
    ("guess-by-subject", guess_by_subject),
    ("thread-index", thread_index),
];

const ADA: &str = "ada@acme.example";

fn reply_plain() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    assert_eq!(first.outcome(), Outcome::New);
    assert_eq!(first.decision().rule, "R3: no key → new");
    let ours = desk.answer(first.conversation, ADA);
    let reply = desk.receive(&letter("2@acme", ADA).refs(&["1@acme", &ours]));
    assert_eq!(reply.conversation, first.conversation);
    assert_eq!(reply.decision().strength, Some(Strength::A));
    assert_eq!(reply.decision().rule, "R4: A, P1, pass → append");
    assert_eq!(reply.decision().key.as_deref(), Some(ours.as_str()));
    assert_eq!(reply.decision().flags, []);
    // And to their own mail, without anybody vouching for them.
    let again = desk.receive(&letter("3@acme", ADA).refs(&["1@acme"]).auth(SenderAuth::None));
    assert_eq!(again.conversation, first.conversation);
    assert_eq!(again.decision().rule, "R4: B, P1, none → append");
}

fn apple_mail_overwrites_references() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let ours = desk.answer(first.conversation, ADA);
    // References hold nothing that is known; In-Reply-To does.
    let reply = desk.receive(&letter("2@acme", ADA).refs(&["junk@apple", &ours]).with(|mail| {
        mail.references = "<junk@apple>".into();
    }));
    assert_eq!(reply.conversation, first.conversation);
}

fn ses_rewrites_our_id() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let ours = desk.answer(first.conversation, ADA);
    let renamed = "0100018c@eu-west-1.amazonses.com";
    // Not learned: the address that our answer gave in Reply-To brings it home.
    let plus = desk.plus_address(first.conversation);
    let ios = letter("2@acme", ADA).refs(&[renamed]).with(|mail| mail.references.clear());
    let reply = desk.receive(&ios.clone().to(&plus));
    assert_eq!(reply.conversation, first.conversation);
    assert_eq!(reply.decision().strength, Some(Strength::A));
    // Learned from the SMTP answer: the new name itself does.
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    assert_eq!(desk.answer(first.conversation, ADA), ours);
    desk.learn_alias(&ours, renamed);
    let reply = desk.receive(&ios);
    assert_eq!(reply.conversation, first.conversation);
    assert_eq!(reply.decision().strength, Some(Strength::Alias));
    assert_eq!(reply.decision().rule, "R4: B', P1, pass → append");
}

fn outlook_keeps_our_id_aside() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let ours = desk.answer(first.conversation, ADA);
    // Our answer's copy in the Sent folder has Outlook's id and names ours.
    let copy = letter("AM0PR@outlook", AGENT).to(ADA).with(|mail| mail.other_ids = vec![format!("<{ours}>")]);
    let copy = desk.find_sent(&copy);
    assert_eq!(copy.conversation, first.conversation);
    assert_eq!(copy.decision().strength, Some(Strength::Alias));
    let reply = desk.receive(&letter("2@acme", ADA).refs(&["AM0PR@outlook"]));
    assert_eq!(reply.conversation, first.conversation);
    // Without the copy: our answers name themselves in References too.
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let ours = desk.answer(first.conversation, ADA);
    let reply = desk.receive(&letter("2@acme", ADA).refs(&["1@acme", &ours, "AM0PR@outlook"]));
    assert_eq!(reply.conversation, first.conversation);
    assert_eq!(reply.decision().strength, Some(Strength::A));
}

/// Every order of so many things.
fn orders(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(of - 1) {
        for at in 0..of {
            let mut order = shorter.clone();
            order.insert(at, of - 1);
            all.push(order);
        }
    }
    all
}

fn child_before_parent() {
    let ids = ["1@acme", "2@acme", "3@acme", "4@acme", "5@acme"];
    let chain: Vec<Letter> = (0..5).map(|n| letter(ids[n], ADA).refs(&ids[..n])).collect();
    let all = orders(5);
    assert_eq!(all.len(), 120);
    for order in all {
        let mut desk = Desk::new();
        for index in &order {
            desk.receive(&chain[*index]);
        }
        assert_eq!(desk.conversation_count(), 1, "{order:?}");
        assert_eq!(desk.message_count(), 5);
        assert!(ids.iter().all(|id| desk.owner(id) == Some((IdKind::Real, 1))), "{order:?}");
    }
    // Where each names its parent alone, what came apart becomes one.
    let chain: Vec<Letter> = (0..5).map(|n| letter(ids[n], ADA).refs(&ids[n.saturating_sub(1)..n])).collect();
    for order in orders(5) {
        let mut desk = Desk::new();
        for index in &order {
            desk.receive(&chain[*index]);
        }
        assert_eq!(desk.conversation_count(), 1, "{order:?}");
    }
}

fn missing_middle() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let third = desk.receive(&letter("3@acme", ADA).refs(&["1@acme", "2@acme"]));
    assert_eq!(third.conversation, first.conversation);
    // A mail that knows the missing one alone finds it as a ghost.
    assert_eq!(desk.owner("2@acme"), Some((IdKind::Ghost, first.conversation)));
    let fourth = desk.receive(&letter("4@acme", ADA).refs(&["2@acme"]));
    assert_eq!(fourth.conversation, first.conversation);
    assert_eq!(fourth.decision().strength, Some(Strength::B));
}

fn two_children_of_ghost() {
    let mut desk = Desk::new();
    let one = desk.receive(&letter("1@acme", ADA).refs(&["0@acme"]));
    let two = desk.receive(&letter("2@acme", ADA).refs(&["0@acme"]));
    assert_eq!(one.conversation, two.conversation);
    let parent = desk.receive(&letter("0@acme", ADA));
    assert_eq!(parent.conversation, one.conversation);
    assert_eq!(parent.decision().strength, Some(Strength::B));
    assert_eq!(desk.owner("0@acme"), Some((IdKind::Real, one.conversation)));
}

fn in_reply_to_is_address() {
    let mut desk = Desk::new();
    let says = |id: &str, from: &str, whose: &str| {
        letter(id, from).with(|mail| mail.in_reply_to = format!("Your message of Monday <{whose}>"))
    };
    // Nobody knows the address: it makes no ghost, so two strangers don't meet in it.
    let one = desk.receive(&says("1@acme", ADA, "someone@yahoo.com"));
    let two = desk.receive(&says("2@bree", "bob@bree.example", "someone@yahoo.com"));
    assert_eq!((one.outcome(), two.outcome()), (Outcome::New, Outcome::New));
    assert_eq!(desk.owner("someone@yahoo.com"), None);
    // Ours, and somebody's who stands in the mail.
    for (id, whose) in [("3@acme", SUPPORT), ("4@acme", ADA)] {
        let clean = letter(id, ADA).with(|mail| mail.in_reply_to = format!("<{whose}>"));
        assert_eq!(desk.receive(&clean).outcome(), Outcome::New);
        assert_eq!(desk.owner(whose), None);
    }
}

fn ten_thousand_references() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("root@acme", ADA));
    let ids: Vec<String> = (0..9_998).map(|n| format!("{n}@acme")).collect();
    let many = |ends: [&str; 2]| {
        let mut all = vec![ends[0]];
        all.extend(ids.iter().map(String::as_str));
        all.push(ends[1]);
        letter(&ends.concat(), ADA).refs(&all)
    };
    let by_root = desk.receive(&many(["root@acme", "x@acme"]));
    assert_eq!(by_root.conversation, first.conversation);
    assert_eq!(by_root.keys.candidates.len(), 100);
    let mut desk = Desk::new();
    let near = desk.receive(&letter("near@acme", ADA));
    let by_nearest = desk.receive(&many(["y@acme", "near@acme"]));
    assert_eq!(by_nearest.conversation, near.conversation);
    assert!(by_nearest.decision().candidates.len() <= 20);
    assert_eq!(desk.owner("5000@acme"), None, "the middle is not read");
}

fn self_reference() {
    let mut desk = Desk::new();
    let one = desk.receive(&letter("1@acme", ADA).refs(&["1@acme"]));
    assert_eq!(one.outcome(), Outcome::New);
    assert!(one.keys.candidates.is_empty() && one.keys.ghosts.is_empty());
    assert_eq!(desk.owner("1@acme"), Some((IdKind::Real, one.conversation)));
}

fn reference_loop() {
    // Each refers to the next, the last to the first.
    for order in orders(3) {
        let mut desk = Desk::new();
        let ids = ["0@acme", "1@acme", "2@acme"];
        for index in &order {
            desk.receive(&letter(ids[*index], ADA).refs(&[ids[(index + 1) % 3]]));
        }
        assert_eq!(desk.conversation_count(), 1, "{order:?}");
        assert_eq!(desk.message_count(), 3);
    }
}

fn nil_in_reply_to() {
    let mut desk = Desk::new();
    // A message without an id, and one that refers to nothing.
    desk.receive(&letter("", "bob@bree.example"));
    desk.receive(&letter("1@bree", "bob@bree.example").with(|mail| mail.in_reply_to = "<>".into()));
    for (id, nothing) in
        [("2@acme", ""), ("3@acme", "<>"), ("4@acme", "< >"), ("5@acme", "<none>"), ("6@acme", "nil")]
    {
        let mail = letter(id, "bob@bree.example").with(|mail| {
            nothing.clone_into(&mut mail.in_reply_to);
            nothing.clone_into(&mut mail.references);
        });
        let landed = desk.receive(&mail);
        assert_eq!(landed.outcome(), Outcome::New, "{nothing:?}");
        assert_eq!(landed.decision().candidates, []);
    }
    assert_eq!(desk.owner(""), None);
}

fn changed_subject() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let changed = letter("2@acme", ADA).refs(&["1@acme"]).subject("And now the scanner too");
    let reply = desk.receive(&changed);
    assert_eq!(reply.conversation, first.conversation);
    assert_eq!(
        subject::stem("Re: AW: And now the Scanner too"),
        "And now the Scanner too",
        "to be answered under"
    );
}

fn guess_by_subject() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let answer = |id: &str| letter(id, ADA).subject("AW: Printer on FIRE");
    let guessed = desk.receive(&answer("2@acme"));
    assert_eq!(guessed.conversation, first.conversation);
    assert_eq!(guessed.decision().rule, "R4: E, P1, pass → append");
    assert_eq!(guessed.decision().flags, [crate::threading::Flag::Guess]);
    // Nobody vouches for it, another person, any reference, no prefix, long ago: no.
    let unsure = desk.receive(&answer("3@acme").auth(SenderAuth::None));
    assert_eq!(unsure.outcome(), Outcome::Link);
    assert_eq!(unsure.decision().rule, "R4: E, P1, none → link (probably belongs to #1)");
    let mut desk = Desk::new();
    desk.receive(&letter("1@acme", ADA));
    for other in [
        letter("4@bree", "bob@bree.example").subject("Re: Printer on fire"),
        answer("5@acme").refs(&["unknown@acme"]),
        letter("6@acme", ADA),
    ] {
        assert_eq!(desk.receive(&other).outcome(), Outcome::New);
    }
    // By now two of hers bear that subject.
    assert_eq!(desk.receive(&answer("7@acme")).outcome(), Outcome::New);
    let mut desk = Desk::new();
    desk.receive(&letter("1@acme", ADA));
    desk.pass(DAY * 8);
    assert_eq!(desk.receive(&answer("8@acme")).outcome(), Outcome::New);
    desk.receive(&letter("9@acme", ADA).subject("Question"));
    assert_eq!(desk.receive(&letter("10@acme", ADA).subject("Re: Question")).outcome(), Outcome::New);
}

fn thread_index() {
    let mut desk = Desk::new();
    let indexed = |id: &str, subject: &str| {
        letter(id, ADA).subject(subject).with(|mail| mail.thread_index = Some("AdAbcdef".into()))
    };
    let first = desk.receive(&indexed("1@acme", "Printer on fire"));
    let same = desk.receive(&indexed("2@acme", "RE: Printer on fire").refs(&["lost@acme"]));
    assert_eq!(same.conversation, first.conversation);
    assert_eq!(same.decision().strength, Some(Strength::C));
    let other = desk.receive(&indexed("3@acme", "RE: Another matter"));
    assert_eq!(other.outcome(), Outcome::New);
    let unsure = desk.receive(&indexed("4@acme", "RE: Printer on fire").auth(SenderAuth::None));
    assert_eq!(unsure.outcome(), Outcome::Link);
    // Who writes the index into another header has no better key by it.
    let forged = letter("5@acme", ADA).with(|mail| mail.references = "<thread-index AdAbcdef>".into());
    assert_eq!(desk.receive(&forged).outcome(), Outcome::New);
}
