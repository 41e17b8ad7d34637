//! Who gets a mail, and which of those before it all of them know: nobody learns from a quote or a reference of
//! mail that was never theirs.

use crate::mail::Address;
use crate::message::{Message, Recipients};
use crate::store::messages::Letter;
use crate::text::fold_address;
use crate::threading::Flag;
use std::collections::HashSet;

/// Whoever gets a mail: by To, Cc and Bcc.
pub(super) struct Readers(HashSet<String>);

/// Between whom a mail was.
pub(super) struct Party {
    addresses: HashSet<String>,
    is_doubtful: bool,
}

impl Readers {
    pub(super) fn of(recipients: &Recipients) -> Self {
        Self(addresses(recipients).collect())
    }

    /// Whether every one of them wrote or got that mail. What the sender's domain disowns, a server took for
    /// junk or is here by a guess may never have been anybody's.
    pub(super) fn know(&self, party: &Party) -> bool {
        !party.is_doubtful && self.0.is_subset(&party.addresses)
    }
}

impl Party {
    fn of(sender: Option<&Address>, recipients: &Recipients, flags: &[Flag]) -> Self {
        let mut addresses: HashSet<String> = addresses(recipients).collect();
        addresses.extend(sender.map(|sender| fold_address(&sender.email)));
        let is_doubtful =
            flags.iter().any(|flag| matches!(flag, Flag::Suspicious | Flag::Junk | Flag::Guess));
        Self { addresses, is_doubtful }
    }
}

impl Message {
    /// Between whom it was.
    pub(super) fn party(&self) -> Party {
        Party::of(self.sender.as_deref(), &self.recipients, &self.flags)
    }
}

impl Letter {
    /// Between whom it was.
    pub(super) fn party(&self) -> Party {
        Party::of(self.sender.as_deref(), &self.recipients, &self.flags)
    }
}

fn addresses(recipients: &Recipients) -> impl Iterator<Item = String> + '_ {
    let all = recipients.to.iter().chain(&recipients.cc).chain(&recipients.bcc);
    all.map(|address: &Address| fold_address(&address.email))
}
