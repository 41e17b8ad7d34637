//! Which conversation a mail belongs to (R2 to R7), from its keys and what the store knows of
//! them. The nearest conversation that lets the sender in is taken; what else of the same customer
//! the mail reaches becomes one with it where nobody has worked on it ([`join`]).

pub use super::customer::customer_address;
use super::gate::{self, Verdict};
use super::keys::Keys;
use super::{
    Candidate, Decision, Facts, Flag, IdKind, IdOwner, Outcome, Policy, SenderClass, Strength, Weighed,
    subject,
};
use crate::id::ConversationId;
use crate::mail::{Class, Mail, SenderAuth};
use crate::mailbox::Strangers;
use crate::text::fold_address;
use crate::time::Timestamp;
use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

mod join;

/// How many of the conversations that were looked at a decision keeps.
pub const CANDIDATES_KEPT: usize = 20;

/// How long before and after a mail a conversation counts as active for it (R3 E).
const ACTIVE: Duration = Duration::from_hours(7 * 24);

/// A mail that wants to be put somewhere.
#[derive(Debug, Clone, Copy)]
pub struct Arriving<'a> {
    /// The mail.
    pub mail: &'a Mail,
    /// Its keys.
    pub keys: &'a Keys,
    /// The first address of From, folded; empty where there is none. Never Reply-To: whose
    /// conversation it begins ([`customer_address`]) is another question than who sent it.
    pub sender: &'a str,
    /// It lay in the mailbox's own Sent folder: an agent wrote it with another program.
    pub from_sent_folder: bool,
    /// Addresses of our mailboxes, folded: strangers by From alone, always.
    pub own_addresses: &'a HashSet<String>,
    /// Addresses of agents who work in this mailbox, folded: strangers by From alone. An agent
    /// who holds no grant on it is left out, and a customer as anybody.
    pub agent_addresses: &'a HashSet<String>,
    /// When the server got it: mail that is read in long after is placed as it would have been then.
    pub received_at: Timestamp,
    /// What time it is.
    pub now: Timestamp,
}

/// One conversation under a key.
struct Look<'a> {
    id: ConversationId,
    strength: Strength,
    key: Cow<'a, str>,
    class: SenderClass,
    verdict: Verdict,
    /// The key is an id that several messages bear: it ties nothing together.
    is_shared: bool,
    /// Another conversation claimed the key before.
    is_second: bool,
}

struct Weighing<'a> {
    arriving: &'a Arriving<'a>,
    facts: &'a Facts,
    policy: &'a Policy,
    looks: Vec<Look<'a>>,
}

/// Decides where a mail goes. Nothing is changed; the decision says why.
///
/// The order in which conversations are tried: what In-Reply-To names, seals in addresses,
/// References from right to left, the mail's own names (it was referred to before it came),
/// Thread-Index, the number in the subject, the subject. A deleted conversation and one of
/// another group are passed over. Automatic mail and bounces have references alone.
pub fn decide(arriving: &Arriving<'_>, facts: &Facts, policy: &Policy) -> Decision {
    let mut weighing = Weighing { arriving, facts, policy, looks: Vec::new() };
    weighing.by_references();
    if !weighing.is_report() {
        weighing.by_own_names();
    }
    weighing.by_thread_index();
    weighing.by_number();
    weighing.by_subject();
    weighing.conclude()
}

impl<'a> Weighing<'a> {
    /// A bounce, a receipt, a complaint: about a mail of ours, from whoever had to say so.
    fn is_report(&self) -> bool {
        matches!(self.arriving.mail.class, Class::Bounce | Class::Receipt | Class::Complaint)
    }

    /// The subject says "forward" in every language that it could be in.
    fn is_plain_forward(&self) -> bool {
        self.arriving.keys.is_forward && !self.arriving.keys.is_reply
    }

    fn by_references(&mut self) {
        let keys = self.arriving.keys;
        let sealed = |id: &str| keys.seals.iter().find(|(place, _)| place == id).map(|(_, own)| *own);
        for (index, id) in keys.candidates.iter().enumerate() {
            if index == keys.answered {
                self.by_addresses();
            }
            if let Some(own) = sealed(id) {
                // The map knows where a message was moved to since it was sealed.
                let moved = self.owners(id).iter().find(|owner| owner.kind != IdKind::Ghost);
                let named = moved.map_or_else(|| own.conversation_id(), |owner| owner.conversation_id);
                self.look(named, Strength::A, id);
            }
            self.look_at_owners(id, |kind| {
                Some(if kind == IdKind::Alias { Strength::Alias } else { Strength::B })
            });
        }
        if keys.candidates.len() <= keys.answered {
            self.by_addresses();
        }
    }

    fn by_addresses(&mut self) {
        let keys = self.arriving.keys;
        for (place, own) in keys.seals.iter().filter(|(place, _)| !keys.candidates.contains(place)) {
            self.look(own.conversation_id(), Strength::A, place);
        }
    }

    /// Somebody referred to this very mail before it came, or a relay gave it a name we know.
    /// Its own id as a message's is no reference: the sender uses one id for many mails.
    fn by_own_names(&mut self) {
        let keys = self.arriving.keys;
        if let Some(id) = &keys.message_id {
            self.look_at_owners(id, |kind| match kind {
                IdKind::Ghost => Some(Strength::B),
                IdKind::Alias => Some(Strength::Alias),
                IdKind::Real | IdKind::Disowned => None,
            });
        }
        for id in &keys.aliases {
            self.look_at_owners(id, |kind| {
                Some(if kind == IdKind::Ghost { Strength::B } else { Strength::Alias })
            });
        }
    }

    fn owners(&self, id: &str) -> &'a [IdOwner] {
        self.facts.ids.get(id).map_or(&[], Vec::as_slice)
    }

    /// Looks at the conversations that claim an id, as strong as what it is there makes it. Whoever
    /// claimed it later counts only where they let the sender in: a stranger who names an id makes no
    /// noise where it belongs.
    fn look_at_owners(&mut self, id: &'a str, strength: impl Fn(IdKind) -> Option<Strength>) {
        let owners = self.owners(id);
        let is_shared = self.is_shared(id, owners);
        for (index, owner) in owners.iter().enumerate() {
            let Some(strength) = strength(owner.kind) else { continue };
            let before = self.looks.len();
            self.look(owner.conversation_id, strength, id);
            let Some(look) = self.looks.get_mut(before) else { continue };
            (look.is_shared, look.is_second) = (is_shared, index > 0);
            let is_in = look.verdict.lets_in();
            if index > 0 && !is_in {
                self.looks.truncate(before);
            } else if is_shared && is_in {
                break;
            }
        }
    }

    /// Whether an id is that of several messages, as far as the sender is let in where they are:
    /// whoever else gave it to a mail of theirs takes nothing from those it belongs to.
    fn is_shared(&self, id: &str, owners: &[IdOwner]) -> bool {
        let real = owners.iter().filter(|owner| owner.kind == IdKind::Real);
        let lets_in = |owner: &&IdOwner| {
            self.facts.conversations.get(&owner.conversation_id).is_some_and(|candidate| {
                self.judge(candidate, Strength::B, id, self.class_of_sender(candidate)).lets_in()
            })
        };
        real.filter(lets_in).count() > 1
    }

    fn by_thread_index(&mut self) {
        let keys = self.arriving.keys;
        let Some(index) = &keys.thread_index else { return };
        let fits = |owner: &&IdOwner| {
            let candidate = self.facts.conversations.get(&owner.conversation_id);
            candidate.is_some_and(|candidate| subject::base(&candidate.subject).0 == keys.base_subject)
        };
        if let Some(owner) = self.owners(index).iter().find(fits) {
            self.look(owner.conversation_id, Strength::C, index);
        }
    }

    fn by_number(&mut self) {
        if let Some(number) = self.arriving.keys.subject_number {
            self.look(number, Strength::D, format!("[#{number}]"));
        }
    }

    /// R3 E: an answer without any reference, whose subject is that of exactly one conversation
    /// that its sender is the customer of, and that one was active lately.
    fn by_subject(&mut self) {
        let keys = self.arriving.keys;
        let is_bare = keys.candidates.is_empty() && keys.seals.is_empty();
        if !keys.is_reply || !is_bare || subject::is_generic(&keys.base_subject) {
            return;
        }
        let mut equal = self.facts.recent_of_sender.iter().filter(|id| {
            self.facts.conversations.get(id).is_some_and(|candidate| {
                candidate.same_group
                    && !candidate.deleted
                    && subject::base(&candidate.subject).0 == keys.base_subject
            })
        });
        // Whoever else named the sender as theirs to answer (Reply-To, X-Original-From) began a
        // conversation that the sender knows nothing of.
        let has_written = |id: &ConversationId| {
            self.facts.writers.get(id).is_some_and(|writers| {
                writers.contains(self.arriving.sender) || !writers.is_disjoint(&self.policy.relay_addresses)
            })
        };
        if let (Some(id), None) = (equal.next(), equal.next())
            && self.facts.conversations.get(id).is_some_and(|candidate| self.is_active(candidate))
            && has_written(id)
        {
            self.look(*id, Strength::E, keys.base_subject.as_str());
        }
    }

    fn is_active(&self, candidate: &Candidate) -> bool {
        let (mail, last) = (self.arriving.received_at, candidate.last_activity_at);
        last.plus(ACTIVE) >= mail && mail.plus(ACTIVE) >= last
    }

    /// Weighs the conversation that a key names, unless it is gone for good. The same one under
    /// another key adds nothing where it comes to the same, or where a better one came before.
    fn look(&mut self, named: ConversationId, strength: Strength, key: impl Into<Cow<'a, str>>) {
        let Some(candidate) = self.facts.conversations.get(&named) else { return };
        let mut before = self.looks.iter().filter(|look| look.id == candidate.id);
        if before.clone().any(|look| look.verdict == Verdict::Append) {
            return;
        }
        let key = key.into();
        let class = self.class_of_sender(candidate);
        let verdict = self.judge(candidate, strength, &key, class);
        if before.all(|look| look.verdict != verdict) {
            self.looks.push(Look {
                id: candidate.id,
                strength,
                key,
                class,
                verdict,
                is_shared: false,
                is_second: false,
            });
        }
    }

    fn class_of_sender(&self, candidate: &Candidate) -> SenderClass {
        let Arriving { sender, from_sent_folder, own_addresses, agent_addresses, .. } = *self.arriving;
        if from_sent_folder {
            SenderClass::Agent
        } else if own_addresses.contains(sender) || agent_addresses.contains(sender) {
            SenderClass::P0
        } else {
            gate::class_of(sender, candidate)
        }
    }

    fn judge(&self, candidate: &Candidate, strength: Strength, key: &str, class: SenderClass) -> Verdict {
        let mail = self.arriving.mail;
        let is_automatic = mail.class.is_automatic();
        let is_agent = class == SenderClass::Agent;
        if !candidate.same_group {
            return Verdict::Pass("another group");
        }
        if candidate.deleted {
            return Verdict::Pass("deleted");
        }
        if mail.sender_auth == SenderAuth::Fail && !is_agent {
            return Verdict::Pass("authentication failed");
        }
        if strength >= Strength::C && self.arriving.keys.is_forward {
            return Verdict::Pass("a forward");
        }
        if strength >= Strength::C && is_automatic {
            return Verdict::Pass("automatic mail");
        }
        if is_agent && !self.is_to_participant(candidate) {
            if gate::is_guess(strength) {
                return Verdict::Pass("an agent's mail to somebody else");
            }
            // "Reply" is how many begin a new mail: another matter, to somebody else.
            let is_same_matter = subject::base(&candidate.subject).0 == self.arriving.keys.base_subject;
            if !is_same_matter && !self.arriving.keys.is_forward {
                return Verdict::Link;
            }
        }
        // Whoever could not deliver our mail is a stranger, and must be able to say so.
        let is_ours = strength == Strength::A || self.facts.ids_of_ours.contains(key);
        let verdict = if self.is_report() && is_ours {
            Verdict::Append
        } else {
            gate::judge(strength, class, mail.sender_auth, self.is_plain_forward(), self.policy)
        };
        if verdict == Verdict::Append && candidate.junk {
            return Verdict::Link;
        }
        let is_over = candidate
            .closed_at
            .is_some_and(|closed_at| closed_at.plus(self.policy.reopen_within) < self.arriving.now);
        if verdict == Verdict::Append && is_over && !is_automatic && !is_agent {
            return Verdict::FollowUp;
        }
        verdict
    }

    /// Whether a mail goes to somebody who is part of a conversation.
    fn is_to_participant(&self, candidate: &Candidate) -> bool {
        let mail = self.arriving.mail;
        mail.to.iter().chain(&mail.cc).any(|address| {
            let email = fold_address(&address.email);
            candidate.participants.contains_key(&email) || candidate.confirmed_addresses.contains(&email)
        })
    }

    fn conclude(self) -> Decision {
        let auth = self.arriving.mail.sender_auth;
        let find = |wanted: fn(Verdict) -> bool| self.looks.iter().position(|look| wanted(look.verdict));
        let chosen = find(Verdict::lets_in)
            .or_else(|| find(|verdict| matches!(verdict, Verdict::Link | Verdict::Suggest)));
        let (chosen, joined) = chosen.map_or((None, Vec::new()), |index| {
            let (index, joined) = self.together(index);
            (Some(index), joined)
        });
        let taken = chosen.and_then(|index| self.looks.get(index));
        let outcome = match taken.map(|look| look.verdict) {
            Some(Verdict::Append) => Outcome::Append,
            Some(Verdict::FollowUp) => Outcome::FollowUp,
            Some(Verdict::Link | Verdict::Suggest) => Outcome::Link,
            Some(Verdict::Pass(_)) | None => Outcome::New,
        };
        let mut flags = match (taken, outcome) {
            (Some(look), Outcome::Append | Outcome::FollowUp) => gate::flags(look.strength, look.class, auth),
            _ => Vec::new(),
        };
        if self.is_report() {
            flags.clear();
        } else if self.is_ours() {
            flags.retain(|flag| *flag != Flag::NewParticipant);
        }
        if auth == SenderAuth::Fail && !self.arriving.from_sent_folder {
            flags.push(Flag::Suspicious);
        }
        let mut also_references: Vec<ConversationId> = Vec::new();
        for look in &self.looks {
            let is_reached =
                look.strength <= Strength::C && !look.is_second && !matches!(look.verdict, Verdict::Pass(_));
            let is_taken = taken.is_some_and(|taken| taken.id == look.id);
            let is_known = joined.contains(&look.id) || also_references.contains(&look.id);
            if is_reached && !is_taken && !is_known {
                also_references.push(look.id);
            }
        }
        also_references.truncate(CANDIDATES_KEPT);
        let stranger = if self.arriving.from_sent_folder { SenderClass::Agent } else { SenderClass::P0 };
        Decision {
            outcome,
            conversation_id: taken.map(|look| look.id),
            rule: self.rule(taken, outcome),
            strength: taken.map(|look| look.strength),
            key: taken.map(|look| look.key.as_ref().to_owned()),
            sender_class: taken.or(self.looks.first()).map_or(stranger, |look| look.class),
            sender_auth: auth,
            flags,
            also_references,
            joined,
            moved_from: None,
            broken_seals: self.arriving.keys.broken_seals,
            candidates: self.kept(chosen),
        }
    }

    /// A mail in the name of an agent or of a mailbox: nobody joins by it.
    fn is_ours(&self) -> bool {
        let sender = self.arriving.sender;
        self.arriving.own_addresses.contains(sender) || self.arriving.agent_addresses.contains(sender)
    }

    /// `R4: B, P1, none → append`: the rule that settled it, about the conversation taken, else
    /// about the first that was looked at.
    fn rule(&self, taken: Option<&Look<'_>>, outcome: Outcome) -> String {
        let auth = self.arriving.mail.sender_auth;
        if auth == SenderAuth::Fail && !self.arriving.from_sent_folder {
            return "R4: any key, authentication failed → new".to_owned();
        }
        let Some(look) = taken.or(self.looks.first()) else { return "R3: no key → new".to_owned() };
        let rule = match look.verdict {
            _ if self.is_report() => "R2",
            Verdict::FollowUp | Verdict::Pass("deleted") => "R6",
            Verdict::Pass("a forward") => "R7",
            Verdict::Link if self.is_plain_forward() && look.class == SenderClass::P4 => "R7",
            Verdict::Pass("another group") => "R9",
            _ => "R4",
        };
        let open = if self.policy.strangers == Strangers::Append { ", strangers join" } else { "" };
        let why = match look.verdict {
            Verdict::Pass(why) => format!(" ({why})"),
            Verdict::Suggest => format!(" (probably belongs to #{})", look.id),
            _ => String::new(),
        };
        format!("{rule}: {}, {}, {auth}{open} → {outcome}{why}", look.strength, look.class)
    }

    /// What the decision keeps of what was looked at: the first ones, the chosen one among them.
    fn kept(&self, chosen: Option<usize>) -> Vec<Weighed> {
        let is_kept = |index: usize| {
            let room = CANDIDATES_KEPT - usize::from(chosen.is_some_and(|chosen| chosen >= CANDIDATES_KEPT));
            index < room || Some(index) == chosen
        };
        let looks = self.looks.iter().enumerate().filter(|(index, _)| is_kept(*index));
        looks
            .map(|(_, look)| Weighed {
                conversation_id: look.id,
                strength: look.strength,
                key: look.key.as_ref().to_owned(),
                sender_class: look.class,
                verdict: look.verdict.words().to_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
