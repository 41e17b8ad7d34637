//! When conversations become one by themselves (R5): what came in pieces, because a mail between
//! them was late or never came, and what nobody has worked on yet.

use super::{Look, Verdict, Weighing};
use crate::id::ConversationId;
use crate::mailbox::Strangers;
use crate::threading::{Candidate, SenderClass, Strength, gate};

impl Weighing<'_> {
    /// Where a mail goes that was let into the conversation at `chosen`, and which others become
    /// one with it.
    ///
    /// A conversation goes into another one only if all of this holds: the mail names ids of both,
    /// and its sender is let into each of them alone; both are the same customer's (unless
    /// strangers may append to anything here); nobody but mail has done anything in the one that
    /// goes; neither is spam; the id that ties them names one message; and everybody who wrote in
    /// one is part of the other (or is this mail's sender). Then one participant's mails give the
    /// same conversations in whatever order they come. What two people worked on stays apart, and
    /// whoever names an id of somebody's conversation in a mail of their own draws nothing to
    /// themselves.
    pub(super) fn together(&self, chosen: usize) -> (usize, Vec<ConversationId>) {
        let reached = self.reached(chosen);
        let id_of = |index: &usize| self.looks.get(*index).map(|look| look.id);
        let is_untouched = |index: &usize| id_of(index).is_some_and(|id| self.facts.untouched.contains(&id));
        let target = if is_untouched(&chosen) {
            // What somebody works on stays; else what is there the longest.
            let worked_on = reached.iter().copied().find(|index| !is_untouched(index));
            worked_on.or_else(|| reached.iter().copied().min_by_key(id_of))
        } else {
            None
        };
        let target = target.unwrap_or(chosen);
        let going = reached.iter().filter(|index| is_untouched(index));
        let mut joined: Vec<ConversationId> = Vec::new();
        let Some(into) = id_of(&target) else { return (target, joined) };
        for id in going.filter_map(id_of) {
            if id != into && !joined.contains(&id) && self.know_each_other(id, into) {
                joined.push(id);
            }
        }
        (target, joined)
    }

    /// The looks at what may be one with the chosen conversation, itself among them; none where
    /// this mail ties nothing together.
    fn reached(&self, chosen: usize) -> Vec<usize> {
        let ties = |look: &Look<'_>| {
            look.verdict == Verdict::Append && look.strength <= Strength::Alias && !look.is_shared
        };
        let mail = self.arriving.mail;
        let Some(look) = self.looks.get(chosen).filter(|look| ties(look)) else { return Vec::new() };
        if mail.class.is_automatic() {
            return Vec::new();
        }
        let Some(taken) = self.candidate(look).filter(|taken| !taken.spam) else {
            return Vec::new();
        };
        let is_open = self.policy.strangers == Strangers::Append;
        let fits = |look: &Look<'_>| {
            ties(look)
                && self.candidate(look).is_some_and(|candidate| {
                    !candidate.spam && (is_open || candidate.customer_id == taken.customer_id)
                })
                && self.know_each_other(look.id, taken.id)
        };
        self.looks.iter().enumerate().filter(|(_, look)| fits(look)).map(|(index, _)| index).collect()
    }

    /// Whether everybody who wrote in one of two conversations is part of the other one too.
    fn know_each_other(&self, one: ConversationId, other: ConversationId) -> bool {
        one == other
            || self.policy.strangers == Strangers::Append
            || (self.are_part(one, other) && self.are_part(other, one))
    }

    fn are_part(&self, writers_of: ConversationId, of: ConversationId) -> bool {
        let (Some(writers), Some(candidate)) = (self.facts.writers.get(&writers_of), self.known(of)) else {
            return false;
        };
        writers.iter().all(|writer| {
            let class = gate::class_of(writer, candidate);
            writer == self.arriving.sender
                || matches!(class, SenderClass::P1 | SenderClass::P2 | SenderClass::P3)
        })
    }

    /// What is known of the conversation that was looked at; a merged one is known under where it
    /// went.
    fn candidate(&self, look: &Look<'_>) -> Option<&Candidate> {
        self.known(look.id)
    }

    fn known(&self, id: ConversationId) -> Option<&Candidate> {
        let known = &self.facts.conversations;
        let itself = known.get(&id).filter(|candidate| candidate.id == id);
        itself.or_else(|| known.values().find(|candidate| candidate.id == id))
    }
}
