//! Automatic answers of a mailbox: which it gives, what they say, and why one is not given.

pub mod language;
pub mod texts;

use crate::id::{MailboxId, MessageId, ScheduleId};
use crate::mail::AnswerHints;
use crate::outgoing::Written;
use crate::store::schema::{auto_reply_texts, mailbox_auto_replies, wanted_answers};
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;

/// The longest text of an automatic answer, in characters.
pub const BODY_CHARS: usize = 10_000;
/// Texts of one mailbox at the most.
pub const TEXTS: usize = 100;

words! {
    /// Which automatic answer a mail gets.
    pub enum AnswerKind {
        /// It has come.
        Acknowledgement = "acknowledgement",
        /// It has come while nobody is there.
        OutOfHours = "out_of_hours",
    }

    /// Why a mail gets no automatic answer.
    pub enum Withheld {
        /// Its class: it is a list's, a machine's note, an invitation.
        Class = "class",
        /// Its sender's domain disowns it.
        SenderDisowned = "sender_disowned",
        /// A server took it for spam, or somebody did.
        Spam = "spam",
        /// It is from an address of this desk's.
        OwnSender = "own_sender",
        /// It is from an agent.
        AgentSender = "agent_sender",
        /// It is from an address that nobody reads, or that has an office: `noreply`, `postmaster`, a list's.
        RoleSender = "role_sender",
        /// It has no sender who can be written to.
        NoSender = "no_sender",
        /// It came from `<>` (RFC 3834 section 2).
        NullReturnPath = "null_return_path",
        /// It asks for no automatic answer (`X-Auto-Response-Suppress`).
        Declined = "declined",
        /// The mailbox is neither in To nor in Cc (RFC 3834 section 2).
        NotAddressed = "not_addressed",
        /// It came more than a day ago.
        Old = "old",
        /// Somebody has dealt with the conversation already.
        Handled = "handled",
        /// Mail to its sender came back.
        Undeliverable = "undeliverable",
        /// Its sender took a mail of ours for spam.
        Complained = "complained",
        /// Its sender got an automatic answer within a day.
        RecipientLimit = "recipient_limit",
        /// The conversation got one within a day.
        ConversationLimit = "conversation_limit",
        /// The answer could not be written; the log says why.
        Failed = "failed",
    }
}

/// Which automatic answers a mailbox gives.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = mailbox_auto_replies, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MailboxAutoReply {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// A mail that begins a conversation is acknowledged.
    pub acknowledge: bool,
    /// One that comes while the schedule is closed is told when it opens; with `acknowledge` in place of
    /// the acknowledgement.
    pub out_of_hours: bool,
    /// When somebody is there.
    pub schedule_id: Option<ScheduleId>,
    /// The language of an answer to a mail that names none there is a text in.
    pub default_language: String,
    /// Counts changes; 0: nobody has changed it.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl MailboxAutoReply {
    /// How it is before anybody has changed it: the mailbox answers nothing.
    pub fn unchanged(mailbox_id: MailboxId) -> Self {
        Self {
            mailbox_id,
            acknowledge: false,
            out_of_hours: false,
            schedule_id: None,
            default_language: "en".to_owned(),
            version: 0,
            updated_at: Timestamp(0),
        }
    }

    /// Whether it gives any answer at all.
    pub fn answers(&self) -> bool {
        self.acknowledge || self.out_of_hours
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("ar{}-{}", self.mailbox_id, self.version)
    }
}

/// What an automatic answer says in one language.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = auto_reply_texts, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct AnswerText {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// Of which answer.
    pub kind: AnswerKind,
    /// The language (BCP 47), as [`language::canonical`] writes it.
    pub language: String,
    /// Its subject, a template; `None`: the subject that the program brings along.
    pub subject: Option<String>,
    /// What it says, a template.
    pub body: Json<Written>,
    /// Counts changes; 0: it is the text that the program brings along.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl AnswerText {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("at{}-{}-{}-{}", self.mailbox_id, self.kind, self.language, self.version)
    }
}

/// A mail that may get an automatic answer.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = wanted_answers)]
pub struct WantedAnswer {
    /// Which.
    pub message_id: MessageId,
    /// What it says about that itself.
    pub hints: Json<AnswerHints>,
}
