use super::*;
use crate::id::CustomerId;
use crate::mail::Address;
use crate::own_id::Signer;
use crate::threading::{IdOwner, ParticipantClass, keys};
use std::collections::HashMap;
use std::time::Duration;

const ADA: &str = "ada@acme.example";

fn policy() -> Policy {
    Policy {
        strangers: Strangers::Link,
        same_domain_joins: true,
        reopen_within: Duration::from_hours(24),
        relay_addresses: HashSet::new(),
    }
}

fn signer() -> Signer {
    Signer::new([7; 32])
}

/// A mail by Ada that answers these, the nearest last.
fn mail(references: &[&str]) -> Mail {
    let mut mail = Mail::unreadable("");
    mail.message_id = vec!["<me@x>".into()];
    mail.references = references.iter().map(|id| format!("<{id}> ")).collect::<Vec<_>>().concat();
    mail.from = vec![Address { name: None, email: ADA.into() }];
    mail.sender_auth = SenderAuth::Pass;
    mail
}

fn candidate(id: i64, customer: &str) -> Candidate {
    Candidate {
        id: ConversationId(id),
        customer_id: CustomerId(id),
        same_group: true,
        closed_at: None,
        deleted: false,
        spam: false,
        junk: false,
        last_activity_at: Timestamp(0),
        subject: "Printer on fire".into(),
        participants: HashMap::from([(customer.to_owned(), ParticipantClass::Customer)]),
        confirmed_addresses: HashSet::new(),
    }
}

/// Ids with their conversations, and whose those are.
fn facts(owners: &[(&str, i64)], customers: &[(i64, &str)]) -> Facts {
    let owner = |id: i64| vec![IdOwner { conversation_id: ConversationId(id), kind: IdKind::Real }];
    Facts {
        ids: owners.iter().map(|(id, conversation)| ((*id).to_owned(), owner(*conversation))).collect(),
        conversations: customers.iter().map(|(id, who)| (ConversationId(*id), candidate(*id, who))).collect(),
        ..Facts::default()
    }
}

fn decided(mail: &Mail, facts: &Facts) -> Decision {
    let none = HashSet::new();
    let keys = keys::read(mail, &none, &signer());
    let arriving = Arriving {
        mail,
        keys: &keys,
        sender: ADA,
        from_sent_folder: false,
        own_addresses: &none,
        agent_addresses: &none,
        received_at: Timestamp::from_seconds(10 * 86_400),
        now: Timestamp::from_seconds(10 * 86_400),
    };
    decide(&arriving, facts, &policy())
}

#[test]
fn the_nearest_that_passes_is_taken_and_the_others_are_named() {
    let facts =
        facts(&[("old@x", 1), ("mid@x", 2), ("near@x", 3)], &[(1, ADA), (2, ADA), (3, "bob@bree.example")]);
    let decision = decided(&mail(&["old@x", "mid@x", "near@x"]), &facts);
    assert_eq!(decision.outcome, Outcome::Append);
    assert_eq!(decision.conversation_id, Some(ConversationId(2)));
    assert_eq!(decision.key.as_deref(), Some("mid@x"));
    assert_eq!(decision.also_references, [ConversationId(3), ConversationId(1)]);
    let verdicts: Vec<_> =
        decision.candidates.iter().map(|w| (w.conversation_id.0, w.verdict.as_str())).collect();
    assert_eq!(verdicts, [(3, "link"), (2, "append"), (1, "append")]);
}

#[test]
fn what_is_answered_comes_before_an_address_and_that_before_references() {
    let facts = facts(&[("a@x", 1), ("b@x", 2)], &[(1, ADA), (2, ADA), (3, ADA)]);
    let mut mail = mail(&["a@x"]);
    let token = signer().conversation_reference(ConversationId(3), "desk.example");
    let token = keys::normalise_id(&token).expect("is an id");
    mail.to = vec![Address { name: None, email: format!("support+{token}") }];
    assert_eq!(decided(&mail, &facts).conversation_id, Some(ConversationId(3)));
    mail.in_reply_to = "<b@x>".into();
    let decision = decided(&mail, &facts);
    assert_eq!(decision.conversation_id, Some(ConversationId(2)));
    assert_eq!(decision.also_references, [ConversationId(3), ConversationId(1)]);
}

#[test]
fn the_map_knows_better_than_a_seal_where_a_message_is_now() {
    let id = signer().message_id(ConversationId(1), crate::id::MessageId(5), [1; 10], "desk.example");
    let id = keys::normalise_id(&id).expect("is an id");
    let moved = facts(&[(&id, 2)], &[(1, ADA), (2, ADA)]);
    let decision = decided(&mail(&[&id]), &moved);
    assert_eq!(decision.conversation_id, Some(ConversationId(2)));
    assert_eq!(decision.strength, Some(Strength::A));
    // That somebody else referred to it says nothing about where it is.
    let mut haunted = facts(&[(&id, 2)], &[(1, ADA), (2, "eve@evil.example")]);
    haunted.ids.values_mut().flatten().for_each(|owner| owner.kind = IdKind::Ghost);
    let decision = decided(&mail(&[&id]), &haunted);
    assert_eq!(decision.conversation_id, Some(ConversationId(1)));
    assert_eq!(decision.also_references, [ConversationId(2)]);
    let forgotten = facts(&[], &[(1, ADA)]);
    assert_eq!(decided(&mail(&[&id]), &forgotten).conversation_id, Some(ConversationId(1)));
    let gone = facts(&[], &[]);
    assert_eq!(decided(&mail(&[&id]), &gone).outcome, Outcome::New);
}

#[test]
fn a_conversation_is_weighed_once_where_its_keys_come_to_the_same() {
    let facts = facts(&[("a@x", 1), ("b@x", 1), ("c@x", 2)], &[(1, ADA), (2, "bob@bree.example")]);
    let mut mail = mail(&["c@x", "a@x", "b@x", "c@x"]);
    mail.subject = "[#1] [#2]".into();
    let decision = decided(&mail, &facts);
    let keys: Vec<&str> = decision.candidates.iter().map(|weighed| weighed.key.as_str()).collect();
    assert_eq!(keys, ["c@x", "b@x"]);
    assert_eq!(decision.rule, "R4: B, P1, pass → append");
}

#[test]
fn a_guess_is_weighed_but_links_nothing_besides() {
    let facts = facts(&[("a@x", 1)], &[(1, ADA), (2, ADA)]);
    let mut mail = mail(&["a@x"]);
    mail.subject = "[#2]".into();
    let decision = decided(&mail, &facts);
    assert_eq!(decision.conversation_id, Some(ConversationId(1)));
    assert_eq!(decision.candidates.len(), 2);
    assert_eq!(decision.also_references, []);
}

#[test]
fn a_decision_keeps_twenty_and_the_chosen_one() {
    let ids: Vec<String> = (0..60).map(|n| format!("{n}@x")).collect();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let owners: Vec<(&str, i64)> = names.iter().zip(1..).map(|(id, n)| (*id, n)).collect();
    let mut customers: Vec<(i64, &str)> = (1..=60).map(|n| (n, "bob@bree.example")).collect();
    customers[9].1 = ADA;
    let decision = decided(&mail(&names), &facts(&owners, &customers));
    assert_eq!(decision.conversation_id, Some(ConversationId(10)));
    assert_eq!(decision.candidates.len(), CANDIDATES_KEPT);
    assert_eq!(decision.candidates[19].conversation_id, ConversationId(10));
    assert_eq!(decision.also_references.len(), CANDIDATES_KEPT);
}

#[test]
fn a_conversation_closed_for_exactly_so_long_is_reopened() {
    let mut facts = facts(&[("a@x", 1)], &[(1, ADA)]);
    let edge = Timestamp::from_seconds(9 * 86_400);
    let mut closed = |at: Timestamp| {
        let candidate = facts.conversations.get_mut(&ConversationId(1)).expect("is there");
        candidate.closed_at = Some(at);
        decided(&mail(&["a@x"]), &facts).outcome
    };
    assert_eq!(closed(edge), Outcome::Append);
    assert_eq!(closed(edge.minus(Duration::from_micros(1))), Outcome::FollowUp);
}

#[test]
fn a_mail_from_nobody_is_a_strangers() {
    let none = HashSet::new();
    let mut mail = mail(&["a@x"]);
    mail.from.clear();
    let keys = keys::read(&mail, &none, &signer());
    let mut facts = facts(&[("a@x", 1)], &[(1, "")]);
    facts.recent_of_sender.push(ConversationId(1));
    let arriving = Arriving {
        mail: &mail,
        keys: &keys,
        sender: "",
        from_sent_folder: false,
        own_addresses: &none,
        agent_addresses: &none,
        received_at: Timestamp(0),
        now: Timestamp(0),
    };
    assert_eq!(decide(&arriving, &facts, &policy()).outcome, Outcome::Link);
}
