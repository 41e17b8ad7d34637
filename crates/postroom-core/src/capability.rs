//! What a caller may do to a conversation just now.

use crate::id::ConversationId;
use crate::word::words;

words! {
    /// What can be done to a conversation.
    pub enum Action {
        /// Change it: status, subject, priority, assignee, team, category (`PATCH /conversations/{id}`, in bulk as well).
        Update = "update",
        /// Tag it.
        Tag = "tag",
        /// Write a note.
        Note = "note",
        /// Keep an answer as a draft.
        Draft = "draft",
        /// Answer the customer.
        Reply = "reply",
        /// Ask a third party.
        Forward = "forward",
        /// File what the customer said elsewhere (`kind` `inbound`).
        File = "file",
        /// Mark it as spam.
        Spam = "spam",
        /// Bring it back from spam.
        NotSpam = "not_spam",
        /// Snooze it, or wake it.
        Snooze = "snooze",
        /// Merge it into another, or accept a suggested link.
        Merge = "merge",
        /// Split messages off it, or move one.
        Split = "split",
        /// Put it into the trash.
        Trash = "trash",
        /// Take it out of the trash.
        Restore = "restore",
        /// Delete it for good (`DELETE /conversations/{id}?purge=true`).
        Purge = "purge",
        /// Say how far one has read, or that one is there.
        Read = "read",
    }
}

/// Why something can't be done, as its operation would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What can't be done.
    pub action: Action,
    /// The word of the contract for it.
    pub code: &'static str,
    /// A sentence.
    pub detail: String,
}

/// What a caller may do to a conversation, and what not. Every action stands in one of the two, in the order of
/// [`Action::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// To which.
    pub conversation_id: ConversationId,
    /// What would be taken, if the input is right.
    pub allowed: Vec<Action>,
    /// What would be refused, whatever the input.
    pub refused: Vec<Refusal>,
}
