//! How a batch is handed in: whole, then mail by mail, then without the one that can't be.

use super::{quarantine, receive};
use crate::actor::Actor;
use crate::desk::Desk;
use crate::id::MailboxId;
use crate::intake::{Arrival, Batch, Receipt, Verdict};
use crate::mailbox::{FolderRole, Mailbox};
use crate::operations::ledger::feedable;
use crate::operations::sight;
use crate::ports::ReadContext;
use crate::{Error, store};
use std::collections::HashSet;

impl Desk {
    /// Takes a batch in; if that fails, its mails one by one, so that one bad mail never holds
    /// up the rest: the offender is put aside with its bytes. Blocks.
    ///
    /// Fails only where the store itself fails, and then nothing was taken in that is not in
    /// the ledger.
    pub fn receive_here(&self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        self.require_room()?;
        let system = Actor::system();
        let checked = self.with_senders_checked(batch);
        let batch = checked.as_ref();
        let failed = match self.receive_once(batch) {
            Ok(receipts) => {
                note(batch, &receipts);
                self.mend_what_came_again(batch, &receipts);
                return Ok(receipts);
            }
            Err(error) => error,
        };
        if is_stores(&failed) {
            return Err(failed);
        }
        tracing::warn!(mailbox = %batch.mailbox_id, error = ?failed, "a batch failed; trying its mails one by one");
        let mut receipts = Vec::with_capacity(batch.arrivals.len());
        for arrival in &batch.arrivals {
            let single = batch.of_one(arrival);
            match self.receive_once(&single) {
                Ok(mut one) => receipts.append(&mut one),
                Err(error) if is_stores(&error) => return Err(error),
                Err(error) => {
                    tracing::error!(mailbox = %batch.mailbox_id, location = arrival.location, error = ?error,
                        "a mail could not be taken in and is put aside");
                    let why = format!("{error}{}", because(&error));
                    self.write_here(&system, |cx| quarantine(cx, &single, arrival, &why))?;
                    receipts.push(Receipt {
                        location: arrival.location.clone(),
                        verdict: Verdict::Quarantined,
                        message_id: None,
                        conversation_id: None,
                        reason: Some(why),
                    });
                }
            }
        }
        note(batch, &receipts);
        self.mend_what_came_again(batch, &receipts);
        Ok(receipts)
    }

    /// What was here already may be lost here: a disk that went bad. It came again, so it can be mended.
    fn mend_what_came_again(&self, batch: &Batch, receipts: &[Receipt]) {
        let new = receipts.iter().filter(|receipt| receipt.verdict != Verdict::Duplicate);
        let new: HashSet<&str> = new.map(|receipt| receipt.location.as_str()).collect();
        for arrival in batch.arrivals.iter().filter(|arrival| !new.contains(arrival.location.as_str())) {
            if let Err(error) = self.mend_here(&arrival.raw) {
                // The mail is in; the doctor tells what is lost still.
                tracing::error!(error = ?error, "lost bytes that came again could not be put in their place");
            }
        }
    }

    /// One transaction. A panic over a mail counts as that mail's failure.
    fn receive_once(&self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        let work = || self.write_here(&Actor::system(), |cx| receive(cx, batch));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::StateConflict("taking the mail in made the daemon panic; see its log".to_owned()))
        })
    }

    /// The mailbox that a caller may push this mail into.
    pub(super) async fn open_to(&self, actor: &Actor, id: MailboxId, raw: &[u8]) -> Result<Mailbox, Error> {
        let mailbox = self.read(actor, move |cx| feedable(cx, id)).await?;
        if raw.len() > self.settings().mail_bytes {
            return Err(Error::TooLarge(format!("a mail has at most {} bytes", self.settings().mail_bytes)));
        }
        if raw.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::invalid("", "required", "the body must be a mail (RFC 5322)"));
        }
        Ok(mailbox)
    }

    /// Takes one mail that a gateway pushes into a mailbox. The receipt names what the caller may know.
    pub async fn push_mail(&self, actor: &Actor, id: MailboxId, raw: Vec<u8>) -> Result<Receipt, Error> {
        let mailbox = self.open_to(actor, id, &raw).await?;
        let (desk, actor) = (self.clone(), actor.clone());
        crate::desk::off_thread(move || {
            let context = ReadContext { trusted_authserv_ids: mailbox.trusted_authserv_ids };
            let kept = desk.keep_here(&raw)?;
            let arrival = Arrival {
                location: uuid::Uuid::now_v7().to_string(),
                uid: None,
                internal_date: Some(desk.now()),
                size: raw.len() as i64,
                mail: desk.ports().reader.read(&raw, &context),
                raw: kept,
                oversized: false,
                is_history: false,
                asked_for: false,
            };
            let batch = Batch {
                mailbox_id: mailbox.id,
                lease: None,
                folder: "push".to_owned(),
                role: FolderRole::Inbox,
                uidvalidity: None,
                history: None,
                arrivals: vec![arrival],
            };
            let mut receipt = desk.receive_here(&batch)?.pop().ok_or(Error::NotFound("receipt"))?;
            // In a group of mailboxes it may be in a conversation of another one.
            let named = receipt.conversation_id.into_iter().collect();
            if desk.read_here(&actor, |cx| sight::known(cx, &named))?.is_empty() {
                (receipt.message_id, receipt.conversation_id) = (None, None);
            }
            Ok(receipt)
        })
        .await
    }
}

/// One line of the log for a batch: how much of it became what, and nothing of what it says.
fn note(batch: &Batch, receipts: &[Receipt]) {
    let count = |verdict| receipts.iter().filter(|receipt| receipt.verdict == verdict).count();
    let (accepted, duplicates) = (count(Verdict::Accepted), count(Verdict::Duplicate));
    let others = receipts.len() - accepted - duplicates;
    if !receipts.is_empty() {
        tracing::info!(mailbox = %batch.mailbox_id, accepted, duplicates, others, "mail was taken in");
    }
}

/// Whether the store is at fault, or the mailbox no longer ours, rather than a mail.
pub(in crate::operations) fn is_stores(error: &Error) -> bool {
    use crate::store::StoreError;
    match error {
        Error::Busy | Error::LeaseLost | Error::StorageFull(_) | Error::Unsynced => true,
        Error::Store { source, .. } => {
            !matches!(source, StoreError::Database(_)) || store::is_unreachable(source)
        }
        _ => false,
    }
}

pub(in crate::operations) fn because(error: &Error) -> String {
    let mut chain = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        chain.push_str(": ");
        chain.push_str(&inner.to_string());
        source = inner.source();
    }
    chain
}
