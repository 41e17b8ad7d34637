//! Places for mails that are handed over at the same time, and which mailboxes have them.

use crate::id::MailboxId;
use std::collections::HashMap;

/// The places of one daemon. A mailbox may have as many of them as are left free for others: alone it gets
/// half, and however slow its server is, another's mail finds a place.
#[derive(Debug, Clone)]
pub struct Slots {
    free: usize,
    taken: HashMap<MailboxId, usize>,
}

impl Slots {
    /// So many, all of them free.
    pub fn new(count: usize) -> Self {
        Self { free: count, taken: HashMap::new() }
    }

    /// How many nobody has.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Takes one for a mail of this mailbox. `false`: the others are for others.
    pub fn take(&mut self, mailbox: MailboxId) -> bool {
        let taken = self.taken.get(&mailbox).copied().unwrap_or(0);
        if taken >= self.free {
            return false;
        }
        self.taken.insert(mailbox, taken + 1);
        self.free -= 1;
        true
    }

    /// A mail of this mailbox is through.
    pub fn leave(&mut self, mailbox: MailboxId) {
        let Some(taken) = self.taken.get_mut(&mailbox) else { return };
        *taken -= 1;
        self.free += 1;
        if *taken == 0 {
            self.taken.remove(&mailbox);
        }
    }

    /// The mailboxes that may have no more just now. Where none is free nobody may.
    pub fn full(&self) -> Vec<MailboxId> {
        let full = self.taken.iter().filter(|(_, taken)| **taken >= self.free);
        full.map(|(mailbox, _)| *mailbox).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(slots: &mut Slots, mailbox: i64) -> usize {
        std::iter::repeat_with(|| slots.take(MailboxId(mailbox))).take_while(|taken| *taken).count()
    }

    #[test]
    fn a_mailbox_gets_half_of_what_the_others_leave() {
        let mut slots = Slots::new(16);
        assert_eq!([1, 2, 3, 4, 5, 6].map(|mailbox| fill(&mut slots, mailbox)), [8, 4, 2, 1, 1, 0]);
        assert_eq!(slots.free(), 0);
        // Mailboxes without any are not named: there is nothing to claim for them either.
        assert_eq!(slots.full().len(), 5);
    }

    #[test]
    fn who_is_full_is_who_may_take_no_more() {
        let mut slots = Slots::new(16);
        fill(&mut slots, 1);
        assert!(slots.take(MailboxId(2)));
        assert_eq!(slots.full(), [MailboxId(1)]);
        slots.leave(MailboxId(1));
        // Seven and one, and eight are free.
        assert_eq!(slots.full(), []);
        assert!(slots.take(MailboxId(1)) && !slots.take(MailboxId(1)));
        slots.leave(MailboxId(2));
        assert!(!slots.take(MailboxId(1)), "eight are its share");
        for _ in 0..8 {
            slots.leave(MailboxId(1));
        }
        assert_eq!((slots.free(), slots.full()), (16, Vec::new()));
        slots.leave(MailboxId(1));
        assert_eq!(slots.free(), 16, "who has none gives none back");
    }
}
