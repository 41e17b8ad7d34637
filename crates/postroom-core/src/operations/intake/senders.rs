//! Who sent the mails of a batch, where no server that is trusted has said so: their signatures
//! are checked before the transaction, for every way by which mail comes in.

use crate::desk::Desk;
use crate::intake::{Arrival, Batch};
use crate::mail::{SenderAuth, SignatureClaim};
use std::borrow::Cow;

impl Desk {
    /// The batch with its senders judged by the mails' own signatures. One that holds vouches for
    /// its sender; one that does not proves nothing, for every mailing list breaks them. Asks the
    /// network, for a bounded time. Blocks.
    pub(in crate::operations) fn with_senders_checked<'b>(&self, batch: &'b Batch) -> Cow<'b, Batch> {
        let now = self.now().as_seconds();
        let claims: Vec<Vec<&SignatureClaim>> = batch.arrivals.iter().map(|a| open_claims(a, now)).collect();
        if claims.iter().all(Vec::is_empty) {
            return Cow::Borrowed(batch);
        }
        let holds = self.ports().senders.check(&claims);
        if !holds.contains(&true) {
            return Cow::Borrowed(batch);
        }
        let mut checked = batch.clone();
        for (arrival, holds) in checked.arrivals.iter_mut().zip(holds) {
            if holds {
                arrival.mail.sender_auth = SenderAuth::Pass;
            }
        }
        Cow::Owned(checked)
    }
}

/// The signatures of a mail that are worth a question.
fn open_claims(arrival: &Arrival, now: i64) -> Vec<&SignatureClaim> {
    if arrival.mail.sender_auth != SenderAuth::None || arrival.oversized {
        return Vec::new();
    }
    let in_time = |claim: &&SignatureClaim| claim.expires.is_none_or(|expires| expires > now);
    arrival.mail.claims.iter().filter(in_time).collect()
}
