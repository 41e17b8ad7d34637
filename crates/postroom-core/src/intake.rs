//! Mail on its way in: where it was found, and what became of it.

use crate::id::{ConversationId, MailboxId, MessageId};
use crate::lease::Lease;
use crate::mail::Mail;
use crate::mailbox::FolderRole;
use crate::object_name::ObjectName;
use crate::time::Timestamp;
use crate::word::words;

words! {
    /// What became of a mail that was seen.
    pub enum Verdict {
        /// It is a message.
        Accepted = "accepted",
        /// It was a message already.
        Duplicate = "duplicate",
        /// Somebody decided that it is none.
        Ignored = "ignored",
        /// It could not be taken in; it will be tried again.
        Failed = "failed",
        /// It could not be taken in however often it was tried; it is kept.
        Quarantined = "quarantined",
        /// It is larger than what is taken in; its beginning is kept.
        Oversized = "oversized",
        /// It was gone before it could be fetched.
        Expunged = "expunged",
    }
}

/// A mail's bytes, kept or ready to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMail {
    /// Hex SHA-256 of the mail.
    pub hash: String,
    /// Its bytes before compression.
    pub size: i64,
    /// Compressed, for the database; `None`: the object store has it already.
    pub compressed: Option<Vec<u8>>,
    /// What the object store has it under.
    pub object: Option<ObjectName>,
    /// When it was put there.
    pub put_at: Option<Timestamp>,
}

/// One mail as it was found.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Where in the folder; unique there. IMAP: `UIDVALIDITY/UID`.
    pub location: String,
    /// The server's number, if it has one.
    pub uid: Option<i64>,
    /// When the server got it.
    pub internal_date: Option<Timestamp>,
    /// Its bytes.
    pub raw: RawMail,
    /// Bytes of the whole mail, also where `raw` is only its beginning.
    pub size: i64,
    /// What it says.
    pub mail: Mail,
    /// It is larger than what is taken in: `raw` is its beginning.
    pub oversized: bool,
    /// It was there long before it was found: nothing automatic may follow from it.
    pub is_history: bool,
    /// Somebody asked for this very mail: it comes in though it goes round in circles.
    pub asked_for: bool,
}

/// How mail comes in that was dealt with elsewhere, long ago: an import. It opens, wakes and reopens
/// nothing, has its own times, and its events say `history`, so that nothing acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Its conversations begin open, as work that is left to do; otherwise they begin closed.
    pub open: bool,
}

/// Mail that came together: one transaction takes it in.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The right to take it in, for what a poll has fetched: without it the batch is refused.
    /// `None`: it was handed in from outside, and no other daemon could have it as well.
    pub lease: Option<Lease>,
    /// The folder.
    pub folder: String,
    /// What its mail is to the desk.
    pub role: FolderRole,
    /// The folder's generation, for what waits under its numbers.
    pub uidvalidity: Option<i64>,
    /// It is history.
    pub history: Option<History>,
    /// The mails, in the order they came.
    pub arrivals: Vec<Arrival>,
}

impl Batch {
    /// One mail of it as a batch of its own. The others are not copied.
    pub(crate) fn of_one(&self, arrival: &Arrival) -> Self {
        Self {
            mailbox_id: self.mailbox_id,
            lease: self.lease.clone(),
            folder: self.folder.clone(),
            role: self.role,
            uidvalidity: self.uidvalidity,
            history: self.history,
            arrivals: vec![arrival.clone()],
        }
    }
}

/// What became of one mail of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Where it was found.
    pub location: String,
    /// What became of it.
    pub verdict: Verdict,
    /// The message it is.
    pub message_id: Option<MessageId>,
    /// Where that belongs.
    pub conversation_id: Option<ConversationId>,
    /// Why, in words, unless it was accepted.
    pub reason: Option<String>,
}
