//! How a mail comes into the outbox: its bytes and its Message-ID are final from there on.

use crate::blobs;
use crate::cx::Cx;
use crate::id::{MailboxId, MessageId, OutboxId};
use crate::message::{DeliveryState, RecipientResult, RecipientState};
use crate::outgoing::Composed;
use crate::store::outbox::NewOutbound;
use crate::store::types::Json;
use crate::{Error, store};

/// A mail that was put into the outbox.
pub(in crate::operations) struct Queued {
    /// Its row.
    pub(in crate::operations) id: OutboxId,
    /// Where its bytes are kept.
    pub(in crate::operations) raw_hash: String,
}

/// Puts a composed mail into the outbox: from here on its bytes are final.
pub(in crate::operations) fn queue(
    cx: &mut Cx<'_>,
    mailbox_id: MailboxId,
    message_id: Option<MessageId>,
    composed: &Composed,
) -> Result<Queued, Error> {
    let raw = blobs::for_database(&composed.raw)?;
    store::blobs::insert(cx.conn, &[blobs::row(&raw, cx.now)])?;
    let waiting = composed.envelope_to.iter().map(|email| RecipientResult {
        email: email.clone(),
        state: RecipientState::Waiting,
        response: None,
    });
    let queued = NewOutbound {
        message_id,
        mailbox_id,
        state: DeliveryState::Queued,
        raw_hash: &raw.hash,
        envelope_from: &composed.envelope_from,
        recipients: Json::new(waiting.collect()),
        attempts: 0,
        next_attempt_at: cx.now,
        captured: false,
        may_be_double: false,
        waited_seconds: 0,
        copy_attempts: 0,
        version: 1,
        created_at: cx.now,
    };
    let id = store::outbox::insert(cx.conn, &queued)?;
    Ok(Queued { id, raw_hash: raw.hash })
}
