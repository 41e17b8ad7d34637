//! Stories about who may come in.

use super::Case;
use super::desk::*;
use crate::id::{ConversationId, MessageId};
use crate::mail::SenderAuth;
use crate::mailbox::Strangers;
use crate::own_id::Signer;
use crate::threading::keys::normalise_id;
use crate::threading::{Flag, Outcome, SenderClass, Strength};

pub(super) const CASES: &[Case] = &[
    ("stranger-subject-tag", subject_tag),
    ("stranger-replays-references", replayed_references),
    ("stranger-valid-token", valid_token),
    ("spoofed-customer-dmarc-fail", spoofed_and_disowned),
    ("spoofed-customer-no-dmarc-with-tag", spoofed_without_proof),
    ("forged-authentication-results-below-the-real-one", forged_results_below),
    ("forged-authentication-results-of-a-foreign-server", forged_results_of_another),
    ("forged-own-id-with-bad-mac", forged_own_id),
    ("own-format-id-of-another-instance", another_instance),
    ("colleague-same-domain", colleague),
    ("colleague-freemail", freemail),
    ("cc-colleague-replies", copied),
    ("strangers-append", open_mailbox),
    ("from-own-mailbox-loop", own_mailbox),
    ("agent-without-grant-is-a-customer", agent_as_customer),
];

const ADA: &str = "ada@acme.example";
const EVE: &str = "eve@evil.example";

/// A desk with one conversation of Ada's, answered; and the answer's id.
fn desk() -> (Desk, i64, String) {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let ours = desk.answer(first.conversation, ADA);
    (desk, first.conversation, ours)
}

fn subject_tag() {
    let (mut desk, adas, _) = desk();
    for auth in [SenderAuth::Pass, SenderAuth::None] {
        let id = format!("{auth}@evil");
        let landed = desk.receive(&letter(&id, EVE).subject("Re: Printer [#1]").auth(auth));
        let decision = landed.decision();
        assert_eq!(decision.outcome, Outcome::New);
        assert_eq!(decision.conversation_id, None, "not even linked");
        assert_eq!(decision.candidates.len(), 1, "but it can be seen why");
        assert_eq!(decision.candidates[0].verdict, "a guess by a stranger");
        assert_eq!(decision.candidates[0].key, "[#1]");
        assert!(desk.links(landed.conversation).is_empty());
    }
    assert!(desk.links(adas).is_empty());
    // Ada herself, vouched for: it is believed, and marked as a guess.
    let hers = desk.receive(&letter("9@acme", ADA).subject("Printer [#1]"));
    assert_eq!(hers.conversation, adas);
    assert_eq!(hers.decision().flags, [Flag::Guess]);
}

fn replayed_references() {
    let (mut desk, adas, ours) = desk();
    let landed = desk.receive(&letter("1@evil", EVE).refs(&["1@acme", &ours]).cc("mallory@evil.example"));
    assert_eq!(landed.outcome(), Outcome::Link);
    assert_eq!(landed.decision().rule, "R4: A, P0, pass → link");
    assert_eq!(landed.decision().conversation_id, Some(ConversationId(adas)));
    assert_ne!(landed.conversation, adas);
    assert_eq!(desk.participants(adas), [ADA].into(), "nobody joined");
    // Once outside, always outside: the next one follows the stranger's own.
    let next = desk.receive(&letter("2@evil", EVE).refs(&["1@acme", &ours, "1@evil"]));
    assert_eq!(next.conversation, landed.conversation);
    assert_eq!(next.decision().also_references, [ConversationId(adas)]);
}

fn valid_token() {
    let (mut desk, adas, ours) = desk();
    // Ada forwarded our mail; Eve answers it, token and all.
    let plus = desk.plus_address(adas);
    let landed = desk.receive(&letter("1@evil", EVE).to(&plus).refs(&[&ours]));
    assert_eq!(landed.outcome(), Outcome::Link);
    assert_eq!(landed.decision().strength, Some(Strength::A));
    assert_eq!(landed.decision().sender_class, SenderClass::P0);
    assert_ne!(landed.conversation, adas);
}

fn spoofed_and_disowned() {
    let (mut desk, adas, ours) = desk();
    let plus = desk.plus_address(adas);
    let spoofed = letter("2@acme", ADA).refs(&[&ours]).to(&plus).cc(EVE).auth(SenderAuth::Fail);
    let landed = desk.receive(&spoofed);
    let decision = landed.decision();
    assert_eq!(decision.outcome, Outcome::New);
    assert_eq!(decision.conversation_id, None);
    assert_eq!(decision.flags, [Flag::Suspicious]);
    assert_eq!(decision.also_references, []);
    assert_eq!(decision.candidates[0].verdict, "authentication failed");
    assert!(!desk.participants(landed.conversation).contains(EVE));
}

fn spoofed_without_proof() {
    let (mut desk, adas, _) = desk();
    let spoofed = letter("2@evil", ADA).subject("Re: Printer [#1]").auth(SenderAuth::None);
    let landed = desk.receive(&spoofed);
    assert_eq!(landed.outcome(), Outcome::Link);
    assert_ne!(landed.conversation, adas);
    assert_eq!(landed.decision().rule, "R4: D, P1, none → link (probably belongs to #1)");
    let by_subject =
        desk.receive(&letter("3@evil", ADA).subject("Re: Printer on fire").auth(SenderAuth::None));
    assert_ne!(by_subject.conversation, adas);
}

/// Reading Authentication-Results is ingest's. The topmost one of a trusted server says `fail`,
/// whatever stands below it; here is what follows.
fn forged_results_below() {
    let (mut desk, adas, ours) = desk();
    let landed = desk.receive(&letter("2@evil", ADA).refs(&[&ours]).auth(SenderAuth::Fail));
    assert_ne!(landed.conversation, adas);
    assert_eq!(landed.decision().flags, [Flag::Suspicious]);
}

/// Results of a server that nobody configured are no results: `none`. A guess does not get in
/// with that, and neither does a colleague.
fn forged_results_of_another() {
    let (mut desk, adas, ours) = desk();
    let tag = desk.receive(&letter("2@evil", ADA).subject("[#1]").auth(SenderAuth::None));
    assert_ne!(tag.conversation, adas);
    let colleague = letter("3@evil", "bob@acme.example").refs(&[&ours]).auth(SenderAuth::None);
    let colleague = desk.receive(&colleague);
    assert_eq!(colleague.outcome(), Outcome::Link);
    assert_eq!(colleague.decision().rule, "R4: A, P4, none → link");
}

fn forged_own_id() {
    let (mut desk, adas, ours) = desk();
    // One message number further, the seal copied.
    let guessed = ours.replacen("c.1.1.", "c.1.2.", 1);
    assert_ne!(guessed, ours);
    for sender in [EVE, ADA] {
        let landed = desk.receive(&letter(&format!("x{sender}"), sender).refs(&[&guessed]));
        assert_ne!(landed.conversation, adas);
        assert_eq!(landed.decision().broken_seals, 1);
    }
    let plus = desk.plus_address(adas).replacen("t.1.", "t.2.", 1);
    let landed = desk.receive(&letter("y@evil", ADA).to(&plus));
    assert_eq!((landed.outcome(), landed.decision().broken_seals), (Outcome::New, 1));
}

fn another_instance() {
    let (mut desk, adas, _) = desk();
    let other = Signer::new([9; 32]);
    let theirs = other.message_id(ConversationId(adas), MessageId(1), [3; 10], "helpdesk.example");
    let theirs = normalise_id(&theirs).expect("is an id");
    // Another desk writes to us: its number leads nowhere here, but its mail threads as any.
    let first = desk.receive(&letter(&theirs, "desk@helpdesk.example"));
    assert_eq!(first.outcome(), Outcome::New);
    let next = desk.receive(&letter("2@helpdesk", "desk@helpdesk.example").refs(&[&theirs]));
    assert_eq!(next.conversation, first.conversation);
    assert_eq!(next.decision().strength, Some(Strength::B));
    assert_eq!(next.decision().broken_seals, 1);
}

fn colleague() {
    let (mut desk, adas, ours) = desk();
    let landed = desk.receive(&letter("2@acme", "bob@acme.example").refs(&[&ours]));
    assert_eq!(landed.conversation, adas);
    assert_eq!(landed.decision().flags, [Flag::NewParticipant]);
    assert_eq!(landed.decision().sender_class, SenderClass::P4);
    let (mut strict, adas, ours) = self::desk();
    strict.policy.same_domain_joins = false;
    let landed = strict.receive(&letter("2@acme", "bob@acme.example").refs(&[&ours]));
    assert_eq!(landed.outcome(), Outcome::Link);
    assert_ne!(landed.conversation, adas);
}

fn freemail() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@gmail", "ada@gmail.com"));
    let landed = desk.receive(&letter("2@gmail", "eve@gmail.com").refs(&["1@gmail"]));
    assert_ne!(landed.conversation, first.conversation);
    assert_eq!(landed.decision().rule, "R4: B, P0, pass → link");
}

fn copied() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA).cc("Lawyer@law.example"));
    let reply = letter("1@law", "lawyer@LAW.example").refs(&["1@acme"]).auth(SenderAuth::None);
    let landed = desk.receive(&reply);
    assert_eq!(landed.conversation, first.conversation);
    assert_eq!(landed.decision().rule, "R4: B, P3, none → append");
    assert_eq!(landed.decision().flags, [Flag::Unverified]);
}

fn open_mailbox() {
    let (mut desk, adas, ours) = desk();
    desk.policy.strangers = Strangers::Append;
    let by_id = desk.receive(&letter("1@evil", EVE).refs(&[&ours]).auth(SenderAuth::None));
    assert_eq!(by_id.conversation, adas);
    assert_eq!(by_id.decision().rule, "R4: A, P0, none, strangers join → append");
    assert_eq!(by_id.decision().flags, [Flag::Unverified, Flag::NewParticipant]);
    let by_tag = desk.receive(&letter("2@bree", "bob@bree.example").subject("[#1]"));
    assert_eq!(by_tag.conversation, adas);
    // By subject alone only one's own conversation, and what its domain disowns nowhere.
    let by_subject = letter("3@cyd", "cyd@cyd.example").subject("Re: Printer on fire");
    assert_eq!(desk.receive(&by_subject).outcome(), Outcome::New);
    let disowned = desk.receive(&letter("4@evil", ADA).refs(&[&ours]).auth(SenderAuth::Fail));
    assert_eq!(disowned.outcome(), Outcome::New);
    assert_eq!(disowned.decision().flags, [Flag::Suspicious]);
}

fn own_mailbox() {
    let (mut desk, adas, ours) = desk();
    // In the name of our mailboxes and agents anybody can write (FreeScout CVE-2026-47123).
    for (id, name) in [("1@x", SUPPORT), ("2@x", SALES), ("3@x", AGENT)] {
        let landed = desk.receive(&letter(id, name).refs(&["1@acme", &ours]));
        assert_eq!(landed.outcome(), Outcome::Link, "{name}");
        assert_eq!(landed.decision().sender_class, SenderClass::P0);
        assert_ne!(landed.conversation, adas);
    }
    // Even where the address is written down as part of the conversation.
    for name in [SUPPORT, AGENT] {
        let mut desk = Desk::new();
        let own = desk.receive(&letter("4@x", name));
        assert_eq!(own.outcome(), Outcome::New);
        assert_eq!(desk.receive(&letter("5@x", name).refs(&["4@x"])).outcome(), Outcome::Link, "{name}");
    }
}

fn agent_as_customer() {
    let mut desk = Desk::new();
    // To the facility desk, where Agnes holds no grant, she writes as anybody.
    desk.agent_addresses.clear();
    let first = desk.receive(&letter("1@desk", AGENT).subject("My chair is broken"));
    let next = desk.receive(&letter("2@desk", AGENT).refs(&["1@desk"]));
    assert_eq!(next.conversation, first.conversation);
    assert_eq!(next.decision().sender_class, SenderClass::P1);
}
