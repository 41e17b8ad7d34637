//! A conversation: the thread of messages with one customer about one matter.

use crate::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, MessageId, ScheduleId, TeamId};
use crate::store::schema::conversations;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::Serialize;

words! {
    /// Where a conversation stands.
    pub enum Status {
        /// It waits for us.
        Open = "open",
        /// It waits for somebody else.
        Pending = "pending",
        /// It sleeps until a time.
        Snoozed = "snoozed",
        /// It is done.
        Closed = "closed",
        /// Nobody wanted it.
        Spam = "spam",
    }

    /// How much it matters.
    pub enum Priority {
        /// Can wait.
        Low = "low",
        /// As usual.
        Normal = "normal",
        /// Before others.
        High = "high",
        /// Now.
        Urgent = "urgent",
    }

    /// How it reached the desk.
    pub enum Channel {
        /// By mail.
        Email = "email",
        /// Through a form.
        Form = "form",
        /// A program filed it.
        Api = "api",
        /// In a chat.
        Chat = "chat",
        /// By telephone.
        Phone = "phone",
        /// As a text message.
        Sms = "sms",
        /// Through a social network.
        Social = "social",
    }

    /// Whose turn it is.
    pub enum WaitingOn {
        /// Ours.
        Us = "us",
        /// The customer's.
        Customer = "customer",
        /// Somebody else's.
        ThirdParty = "third_party",
    }

    /// Why two conversations have to do with each other.
    pub enum LinkReason {
        /// A mail named the other one, but its sender is not part of it.
        Suggested = "suggested",
        /// The other one was closed too long ago to be reopened.
        FollowUp = "follow_up",
        /// A mail's references reach the other one as well.
        References = "references",
    }
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = conversations)]
pub struct Conversation {
    /// Its number.
    pub id: ConversationId,
    /// Where it was begun.
    pub mailbox_id: MailboxId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What it is about.
    pub subject: String,
    /// Where it stands.
    pub status: Status,
    /// How much it matters.
    pub priority: Priority,
    /// How it reached the desk.
    pub channel: Channel,
    /// Who takes care of it.
    pub assignee_id: Option<AgentId>,
    /// Which team takes care of it.
    pub team_id: Option<TeamId>,
    /// What kind of matter it is.
    pub category_id: Option<CategoryId>,
    /// Whose turn it is.
    pub waiting_on: Option<WaitingOn>,
    /// Since when.
    pub waiting_since: Option<Timestamp>,
    /// When it wakes.
    pub snoozed_until: Option<Timestamp>,
    /// Messages and notes in it.
    pub message_count: i32,
    /// The newest of them.
    pub last_message_id: Option<MessageId>,
    /// When that came.
    pub last_message_at: Timestamp,
    /// Where it went when it was merged.
    pub merged_into: Option<ConversationId>,
    /// Counts changes.
    pub version: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// When it was put into the trash.
    pub deleted_at: Option<Timestamp>,
    /// Of which other system `external_id` is; both are there or neither.
    pub external_source: Option<String>,
    /// What it is called there.
    pub external_id: Option<String>,
}

/// Until when a conversation rests. What the customer writes ends it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnoozeUntil {
    /// Until this time.
    Time(Timestamp),
    /// Until a schedule next opens, after having been closed.
    Opening(ScheduleId),
    /// Until the customer writes.
    Reply,
}

/// What another system calls a conversation: a shop its order, a monitor its alarm. One conversation alone
/// has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExternalId {
    /// Which system: 1 to 64 letters, digits, dots, dashes and underscores of ASCII.
    pub source: String,
    /// Its name there: 1 to 255 characters, none of them a control character. Upper and lower case are two.
    pub id: String,
}

impl ExternalId {
    /// The longest source, in characters.
    pub const SOURCE_CHARS: usize = 64;
    /// The longest name, in characters.
    pub const ID_CHARS: usize = 255;

    /// What is wrong with the source, in a sentence.
    pub fn source_fault(&self) -> Option<&'static str> {
        let is_fine = (1..=Self::SOURCE_CHARS).contains(&self.source.len())
            && self.source.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        (!is_fine).then_some("has 1 to 64 letters, digits, dots, dashes and underscores of ASCII")
    }

    /// What is wrong with the name, in a sentence.
    pub fn id_fault(&self) -> Option<&'static str> {
        let is_fine = (1..=Self::ID_CHARS).contains(&self.id.chars().count())
            && !self.id.trim().is_empty()
            && !self.id.chars().any(char::is_control);
        (!is_fine).then_some("has 1 to 255 characters, is not blank and holds no control characters")
    }
}

impl std::fmt::Display for ExternalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source, self.id)
    }
}

impl Conversation {
    /// What another system calls it.
    pub fn external(&self) -> Option<ExternalId> {
        let (source, id) = (self.external_source.clone()?, self.external_id.clone()?);
        Some(ExternalId { source, id })
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("c{}-{}", self.id, self.version)
    }
}

/// Another conversation that has to do with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationLink {
    /// The other one.
    pub related_id: ConversationId,
    /// Why.
    pub reason: LinkReason,
}

/// Which conversations a list is of. Every member narrows it further.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Any of these.
    pub status: Vec<Status>,
    /// Any of these.
    pub priority: Vec<Priority>,
    /// Any of these.
    pub channel: Vec<Channel>,
    /// Any of these.
    pub mailbox_id: Vec<MailboxId>,
    /// Assigned to any of these, or to nobody.
    pub assignee: Option<Assignees>,
    /// Any of these.
    pub team_id: Vec<TeamId>,
    /// Any of these.
    pub category_id: Vec<CategoryId>,
    /// Any of these.
    pub customer_id: Vec<CustomerId>,
    /// Any of these.
    pub waiting_on: Vec<WaitingOn>,
    /// In the trash. Otherwise what is there is left out.
    pub trashed: bool,
    /// With something that whoever asks has not read, or without.
    pub unread: Option<bool>,
    /// With a file that is no picture within a text, or without any.
    pub has_attachment: Option<bool>,
    /// Any of these, by name.
    pub tag: Vec<String>,
    /// All of these, by name.
    pub tag_all: Vec<String>,
    /// Begun at this time or later.
    pub created_since: Option<Timestamp>,
    /// Begun before this time.
    pub created_before: Option<Timestamp>,
    /// Changed at this time or later.
    pub updated_since: Option<Timestamp>,
    /// Changed before this time.
    pub updated_before: Option<Timestamp>,
    /// What another system calls it.
    pub external_id: Option<ExternalId>,
    /// And all of this.
    pub query: crate::query::Query,
}

/// Whom conversations are assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignees {
    /// To nobody.
    Nobody,
    /// To any of these.
    Any(Vec<AgentId>),
}

words! {
    /// The order of a list of conversations. A minus is: the highest first.
    pub enum ConversationSort {
        /// Newest first: the order that paging does not disturb.
        IdDescending = "-id",
        /// Oldest first.
        Id = "id",
        /// Last changed first.
        UpdatedDescending = "-updated_at",
        /// Longest unchanged first.
        Updated = "updated_at",
        /// Last begun first; another order than that of numbers where history was imported.
        CreatedDescending = "-created_at",
        /// First begun first.
        Created = "created_at",
        /// Urgent first, and of one priority the newest.
        PriorityDescending = "-priority",
        /// Low first, and of one priority the oldest.
        Priority = "priority",
        /// With words in `q`: first where all of them stand in the subject or in the customer's name and
        /// addresses, then where they stand elsewhere; the newest first.
        Relevance = "relevance",
    }
}

words! {
    /// Where words were found.
    pub enum HighlightField {
        /// In the subject.
        Subject = "subject",
        /// In a name or an address: the customer's, or who wrote the message.
        Person = "person",
        /// In the text of the message.
        Message = "message",
        /// In the name of a file of the message.
        File = "file",
    }
}

/// A piece of a conversation in which words stand that were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highlight {
    /// Where it was taken from.
    pub field: HighlightField,
    /// From which message, where it is one's.
    pub message_id: Option<MessageId>,
    /// The piece: plain text, without line breaks.
    pub text: String,
    /// Where the words stand in it, in bytes: in order, none within another.
    pub ranges: Vec<std::ops::Range<usize>>,
}

words! {
    /// What a conversation names by a number and what can be answered beside it, each once for all that name it.
    pub enum ConversationInclude {
        /// The customers, in `included.customers`. Needs `customers:read`.
        Customer = "customer",
        /// The agents they are assigned to, in `included.agents`.
        Assignee = "assignee",
        /// The teams, in `included.teams`.
        Team = "team",
        /// The mailboxes, in `included.mailboxes`.
        Mailbox = "mailbox",
        /// The newest message of each, in `included.messages`.
        LastMessage = "last_message",
        /// How far you have read each of them, in `included.read_marks`. It takes an agent's token.
        ReadMark = "read_mark",
        /// What you may do to each of them, and why not, in `included.capabilities`.
        Capabilities = "capabilities",
    }
}

impl ConversationSort {
    /// Whether the highest comes first.
    pub fn is_descending(self) -> bool {
        !matches!(self, Self::Id | Self::Updated | Self::Created | Self::Priority)
    }
}
