//! The sender gate (R4): what somebody is to a conversation, and what a key is worth in their
//! hands. This table is what keeps strangers out of other people's conversations.

use super::freemail::is_same_organisation;
use super::{Candidate, Flag, ParticipantClass, Policy, SenderClass, Strength};
use crate::mail::SenderAuth;
use crate::mailbox::Strangers;
use crate::text::domain_of;

/// What the gate says to a mail that has a key to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let in.
    Append,
    /// Let in, but the conversation is closed for too long: a new one follows it.
    FollowUp,
    /// Outside, with a link.
    Link,
    /// Outside, with a link: the key is a guess, and nobody vouches for the sender.
    Suggest,
    /// Passed over, and why.
    Pass(&'static str),
}

impl Verdict {
    /// Whether the mail comes to those who are in the conversation, there or in one that follows it.
    pub(super) fn lets_in(self) -> bool {
        matches!(self, Self::Append | Self::FollowUp)
    }

    /// As the decision's candidates show it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::FollowUp => "follow_up: closed too long ago",
            Self::Link => "link",
            Self::Suggest => "link: probably belongs here",
            Self::Pass(why) => why,
        }
    }
}

/// What a folded address is to a conversation. An empty one is a stranger.
pub(super) fn class_of(sender: &str, candidate: &Candidate) -> SenderClass {
    if sender.is_empty() {
        return SenderClass::P0;
    }
    if candidate.confirmed_addresses.contains(sender) {
        return SenderClass::P1;
    }
    match candidate.participants.get(sender) {
        Some(ParticipantClass::Customer) => return SenderClass::P1,
        Some(ParticipantClass::Invited) => return SenderClass::P2,
        Some(ParticipantClass::Copied) => return SenderClass::P3,
        None => {}
    }
    let domain = domain_of(sender);
    let customers = candidate
        .participants
        .iter()
        .filter(|(_, class)| **class == ParticipantClass::Customer)
        .map(|(a, _)| a);
    let is_colleague = customers
        .chain(&candidate.confirmed_addresses)
        .any(|customer| is_same_organisation(domain, domain_of(customer)));
    if is_colleague { SenderClass::P4 } else { SenderClass::P0 }
}

/// The table of R4, with R7's row for forwards. `auth` is not `fail`: that is turned away before.
pub(super) fn judge(
    strength: Strength,
    class: SenderClass,
    auth: SenderAuth,
    is_forward: bool,
    policy: &Policy,
) -> Verdict {
    let is_part = matches!(class, SenderClass::P1 | SenderClass::P2 | SenderClass::P3);
    let passes = auth == SenderAuth::Pass;
    if class == SenderClass::Agent || policy.strangers == Strangers::Append {
        return Verdict::Append;
    }
    match strength {
        Strength::A | Strength::B | Strength::Alias => match class {
            _ if is_part => Verdict::Append,
            SenderClass::P4 if passes && policy.same_domain_joins && !is_forward => Verdict::Append,
            _ => Verdict::Link,
        },
        Strength::C if is_part && passes => Verdict::Append,
        Strength::C => Verdict::Link,
        Strength::D | Strength::E => match class {
            _ if is_part && passes => Verdict::Append,
            _ if is_part => Verdict::Suggest,
            SenderClass::P4 if passes => Verdict::Link,
            // A guessed number must not make noise in the victim's conversation.
            _ => Verdict::Pass("a guess by a stranger"),
        },
    }
}

/// What to show beside a message that was let in.
pub(super) fn flags(strength: Strength, class: SenderClass, auth: SenderAuth) -> Vec<Flag> {
    let mut flags = Vec::new();
    if auth != SenderAuth::Pass && class != SenderClass::Agent {
        flags.push(Flag::Unverified);
    }
    if matches!(class, SenderClass::P4 | SenderClass::P0) {
        flags.push(Flag::NewParticipant);
    }
    if is_guess(strength) {
        flags.push(Flag::Guess);
    }
    flags
}

/// A key that anybody can make up.
pub(super) fn is_guess(strength: Strength) -> bool {
    matches!(strength, Strength::D | Strength::E)
}

#[cfg(test)]
mod tests {
    use super::SenderClass::{Agent, P0, P1, P2, P3, P4};
    use super::Strength::{A, Alias, B, C, D, E};
    use super::*;
    use crate::id::{ConversationId, CustomerId};
    use crate::time::Timestamp;
    use std::collections::{HashMap, HashSet};
    use std::time::Duration;

    fn policy(strangers: Strangers) -> Policy {
        Policy {
            strangers,
            same_domain_joins: true,
            reopen_within: Duration::ZERO,
            relay_addresses: HashSet::new(),
        }
    }

    #[test]
    fn the_table_is_as_written() {
        let guess = Verdict::Pass("a guess by a stranger");
        let (append, link, suggest) = (Verdict::Append, Verdict::Link, Verdict::Suggest);
        // Key, then pass and none: P1 to P3, P4, P0.
        let table = [
            (A, [append, append, link], [append, link, link]),
            (B, [append, append, link], [append, link, link]),
            (Alias, [append, append, link], [append, link, link]),
            (C, [append, link, link], [link, link, link]),
            (D, [append, link, guess], [suggest, guess, guess]),
            (E, [append, link, guess], [suggest, guess, guess]),
        ];
        let policy = policy(Strangers::Link);
        for (strength, pass, none) in table {
            for (auth, row) in [(SenderAuth::Pass, pass), (SenderAuth::None, none)] {
                for (class, expected) in
                    [(P1, row[0]), (P2, row[0]), (P3, row[0]), (P4, row[1]), (P0, row[2])]
                {
                    let found = judge(strength, class, auth, false, &policy);
                    assert_eq!(found, expected, "{strength} {class} {auth}");
                }
                assert_eq!(judge(strength, Agent, auth, false, &policy), append);
            }
        }
    }

    #[test]
    fn a_colleague_joins_neither_by_a_forward_nor_against_the_setting() {
        let mut policy = policy(Strangers::Link);
        assert_eq!(judge(A, P4, SenderAuth::Pass, true, &policy), Verdict::Link);
        policy.same_domain_joins = false;
        assert_eq!(judge(A, P4, SenderAuth::Pass, false, &policy), Verdict::Link);
        assert_eq!(judge(A, P1, SenderAuth::Pass, true, &policy), Verdict::Append);
    }

    #[test]
    fn an_open_mailbox_has_no_gate() {
        for strength in [A, B, Alias, C, D, E] {
            let found = judge(strength, P0, SenderAuth::None, false, &policy(Strangers::Append));
            assert_eq!(found, Verdict::Append, "{strength}");
        }
    }

    #[test]
    fn senders_are_told_apart() {
        let candidate = Candidate {
            id: ConversationId(1),
            customer_id: CustomerId(1),
            spam: false,
            junk: false,
            same_group: true,
            closed_at: None,
            deleted: false,
            last_activity_at: Timestamp(0),
            subject: String::new(),
            participants: HashMap::from([
                ("ada@acme.example".to_owned(), ParticipantClass::Customer),
                ("lawyer@law.example".to_owned(), ParticipantClass::Invited),
                ("bob@home.example".to_owned(), ParticipantClass::Copied),
            ]),
            confirmed_addresses: HashSet::from(["ada@gmail.com".to_owned()]),
        };
        for (sender, class) in [
            ("ada@acme.example", P1),
            ("ada@gmail.com", P1),
            ("lawyer@law.example", P2),
            ("bob@home.example", P3),
            ("cyd@acme.example", P4),
            ("cyd@it.acme.example", P4),
            // Not a colleague of the customer: of somebody else, or of nobody.
            ("cyd@law.example", P0),
            ("cyd@home.example", P0),
            ("cyd@gmail.com", P0),
            ("", P0),
            ("ada", P0),
        ] {
            assert_eq!(class_of(sender, &candidate), class, "{sender}");
        }
    }

    #[test]
    fn flags_tell_what_is_odd() {
        assert_eq!(flags(B, P1, SenderAuth::Pass), []);
        assert_eq!(flags(B, P1, SenderAuth::None), [Flag::Unverified]);
        assert_eq!(flags(A, P4, SenderAuth::Pass), [Flag::NewParticipant]);
        assert_eq!(flags(D, P1, SenderAuth::Pass), [Flag::Guess]);
        assert_eq!(flags(B, Agent, SenderAuth::None), []);
        assert_eq!(flags(D, Agent, SenderAuth::None), [Flag::Guess]);
    }
}
