//! The ledger rows of one batch, written together at its end.

use super::action;
use crate::cx::Cx;
use crate::id::{ConversationId, MailboxId, MessageId};
use crate::intake::{Arrival, Batch, Receipt, Verdict};
use crate::mailbox::{FolderRole, Mailbox};
use crate::store::ledger::NewEntry;
use crate::store::pending::MailAction;
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// What became of the mails of a batch.
pub(super) struct Ledger {
    mailbox_id: MailboxId,
    folder: String,
    role: FolderRole,
    uidvalidity: Option<i64>,
    /// Of all mails of the batch, those included that were in the ledger before: none waits.
    uids: Vec<i64>,
    now: Timestamp,
    entries: Vec<NewEntry>,
    receipts: Vec<Receipt>,
    accepted: i64,
    duplicates: i64,
    failed: i64,
}

impl Ledger {
    pub(super) fn new(batch: &Batch, now: Timestamp) -> Self {
        Self {
            mailbox_id: batch.mailbox_id,
            folder: batch.folder.clone(),
            role: batch.role,
            uidvalidity: batch.uidvalidity,
            uids: batch.arrivals.iter().filter_map(|arrival| arrival.uid).collect(),
            now,
            entries: Vec::with_capacity(batch.arrivals.len()),
            receipts: Vec::with_capacity(batch.arrivals.len()),
            accepted: 0,
            duplicates: 0,
            failed: 0,
        }
    }

    /// It is a message now.
    pub(super) fn accept(&mut self, arrival: &Arrival, message: MessageId, conversation: ConversationId) {
        self.accepted += 1;
        let (verdict, reason) = if arrival.oversized {
            (
                Verdict::Oversized,
                Some("larger than what is taken in, or never sent whole; its beginning is kept"),
            )
        } else {
            (Verdict::Accepted, None)
        };
        self.add(arrival, verdict, reason, Some((message, conversation)));
    }

    /// What went into one conversation is in another one now.
    pub(super) fn follow(&mut self, from: ConversationId, to: ConversationId) {
        for receipt in self.receipts.iter_mut().filter(|receipt| receipt.conversation_id == Some(from)) {
            receipt.conversation_id = Some(to);
        }
    }

    /// Only its beginning was here, and still is.
    pub(super) fn still_oversized(
        &mut self,
        arrival: &Arrival,
        message: MessageId,
        conversation: ConversationId,
    ) {
        let reason = "larger than what is taken in, or never sent whole; its beginning is kept";
        self.add(arrival, Verdict::Oversized, Some(reason), Some((message, conversation)));
    }

    /// Only its beginning was here, and all of it is now. It was counted then.
    pub(super) fn completed(&mut self, arrival: &Arrival, message: MessageId, conversation: ConversationId) {
        self.add(arrival, Verdict::Accepted, None, Some((message, conversation)));
    }

    /// Whether a mail of this batch is that message.
    pub(super) fn names(&self, message: MessageId) -> bool {
        self.entries.iter().any(|entry| entry.message_id == Some(message))
    }

    /// It was a message already.
    pub(super) fn duplicate(
        &mut self,
        arrival: &Arrival,
        message: MessageId,
        conversation: ConversationId,
        reason: &str,
    ) {
        self.duplicates += 1;
        // Only the beginnings of two oversized mails are known to be equal: the one on the server
        // must stay as it is.
        let verdict = if arrival.oversized { Verdict::Oversized } else { Verdict::Duplicate };
        self.add(arrival, verdict, Some(reason), Some((message, conversation)));
    }

    /// The folder that this batch lay in.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// It is nothing to the desk.
    pub(super) fn ignore(&mut self, arrival: &Arrival, reason: &str) {
        self.add(arrival, Verdict::Ignored, Some(reason), None);
        // Its bytes are not kept.
        if let Some(entry) = self.entries.last_mut() {
            entry.raw_hash = None;
        }
    }

    /// It could not be taken in.
    pub(super) fn quarantine(&mut self, arrival: &Arrival, reason: &str) {
        self.failed += 1;
        self.add(arrival, Verdict::Quarantined, Some(reason), None);
    }

    fn add(
        &mut self,
        arrival: &Arrival,
        verdict: Verdict,
        reason: Option<&str>,
        became: Option<(MessageId, ConversationId)>,
    ) {
        self.entries.push(NewEntry {
            mailbox_id: self.mailbox_id,
            folder: self.folder.clone(),
            location: arrival.location.clone(),
            uid: arrival.uid,
            verdict,
            reason: reason.map(str::to_owned),
            message_id: became.map(|(message, _)| message),
            // The beginning of a mail must not be taken for the mail when it is tried again.
            raw_hash: (verdict != Verdict::Quarantined || !arrival.oversized)
                .then(|| arrival.raw.hash.clone()),
            size: arrival.size,
            internal_date: arrival.internal_date,
            next_try_at: None,
            created_at: self.now,
        });
        self.receipts.push(Receipt {
            location: arrival.location.clone(),
            verdict,
            message_id: became.map(|(message, _)| message),
            conversation_id: became.map(|(_, conversation)| conversation),
            reason: reason.map(str::to_owned),
        });
    }

    /// Writes it all: the rows, the mailbox's figures, what waits no more, and what is now to
    /// be done on the server.
    pub(super) fn write(self, cx: &mut Cx<'_>, mailbox: &Mailbox) -> Result<Vec<Receipt>, Error> {
        store::ledger::write(cx.conn, &self.entries)?;
        store::mailboxes::count(cx.conn, self.mailbox_id, self.accepted, self.duplicates, self.failed)?;
        if let Some(uidvalidity) = self.uidvalidity {
            store::pending::delete(cx.conn, self.mailbox_id, &self.folder, uidvalidity, &self.uids)?;
            if self.role == FolderRole::Inbox
                && let Some((action, after)) = action(&mailbox.source)
            {
                store::pending::insert_actions(cx.conn, &self.actions(uidvalidity, &action, after))?;
            }
        }
        Ok(self.receipts)
    }

    /// Mail that was not taken in whole stays on the server as it is.
    fn actions(&self, uidvalidity: i64, action: &str, after_seconds: u64) -> Vec<MailAction> {
        let safe = |verdict| matches!(verdict, Verdict::Accepted | Verdict::Duplicate);
        let entries = self.entries.iter().filter(|entry| safe(entry.verdict));
        entries
            .filter_map(|entry| entry.uid)
            .map(|uid| MailAction {
                mailbox_id: self.mailbox_id,
                folder: self.folder.clone(),
                uidvalidity,
                uid,
                action: action.to_owned(),
                due_at: self.now.plus(Duration::from_secs(after_seconds)),
            })
            .collect()
    }
}
