//! A message: what came in, what went out, and what was noted between.

use crate::id::{AttachmentId, ConversationId, MailboxId, MessageId, OutboxId, TokenId};
use crate::mail::{Address, Class, FailedRecipient, SenderAuth, TextParts};
use crate::store::schema::{attachments, messages, outbox};
use crate::store::types::Json;
use crate::threading::{Decision, Flag};
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// Which way a message goes.
    pub enum MessageKind {
        /// From the customer.
        Inbound = "inbound",
        /// To the customer.
        Reply = "reply",
        /// To nobody: it never leaves.
        Note = "note",
        /// To a third party.
        Forward = "forward",
        /// To the customer, by the desk itself.
        AutoReply = "auto_reply",
    }

    /// Who wrote a message.
    pub enum AuthorType {
        /// A customer.
        Customer = "customer",
        /// An agent.
        Agent = "agent",
        /// A script.
        Token = "token",
        /// The desk itself.
        System = "system",
        /// Nobody who can be named: the mail had no sender.
        Unknown = "unknown",
    }

    /// The order of a conversation's messages. A minus is: the newest first.
    pub enum MessageSort {
        /// Oldest first, as one reads: what was imported stands where it belongs by its own date.
        Created = "created_at",
        /// Newest first.
        CreatedDescending = "-created_at",
        /// In the order in which they came into the desk.
        Id = "id",
        /// Last come first.
        IdDescending = "-id",
    }

    /// What a message names by a number and what can be answered beside it, each once for all that name it.
    pub enum MessageInclude {
        /// The agents who wrote, in `included.agents`.
        Agent = "agent",
        /// The customers who wrote, in `included.customers`. Needs `customers:read`.
        Customer = "customer",
    }

    /// How far an outgoing message has got.
    pub enum DeliveryState {
        /// It waits for its turn.
        Queued = "queued",
        /// It is being handed over.
        Sending = "sending",
        /// The next server has it.
        Sent = "sent",
        /// It could not be handed over yet and is tried again.
        Deferred = "deferred",
        /// It went out, but the answer was lost: it may or may not have arrived.
        Uncertain = "uncertain",
        /// It will not be tried again.
        Failed = "failed",
        /// The next server had it, and it came back for good from at least one recipient.
        Bounced = "bounced",
        /// It can still be taken back: it leaves when the time for that is over.
        Held = "held",
        /// It leaves at a time that somebody chose.
        Scheduled = "scheduled",
    }

    /// What keeps a mail that waits from being tried, beside anything about itself.
    pub enum HeldUpBy {
        /// Somebody paused its mailbox: it leaves once that is over.
        MailboxPaused = "mailbox_paused",
        /// The server refused the mailbox's login: it leaves once the server lets the mailbox in.
        LoginRefused = "login_refused",
    }

    /// How far the copy of a mail in its mailbox's Sent folder has got.
    pub enum CopyState {
        /// It is to be put there.
        Wanted = "wanted",
        /// It lies there.
        Done = "done",
        /// It could not be put there and is not tried again.
        GivenUp = "given_up",
    }

    /// What of a message a reader may read otherwise than the one before it did.
    pub enum ReadField {
        /// The sender's name. Never the address: the message was placed by it.
        From = "from",
        /// To.
        To = "to",
        /// Cc.
        Cc = "cc",
        /// Reply-To.
        ReplyTo = "reply_to",
        /// Its own subject; the conversation's stays.
        Subject = "subject",
        /// The whole text.
        Text = "text",
        /// What is new in it.
        ReplyText = "reply_text",
        /// What it quotes.
        QuotedText = "quoted_text",
        /// Its signature.
        Signature = "signature",
        /// Whether it has HTML.
        HasHtml = "has_html",
        /// What kind of mail it is.
        Class = "class",
        /// Why it is of that kind.
        Signals = "signals",
        /// Whether it was read whole.
        Flags = "flags",
        /// Whom a bounce is about.
        FailedRecipients = "failed_recipients",
        /// What its Date header says.
        SentAt = "sent_at",
        /// Its files.
        Attachments = "attachments",
        /// What the same mail is known by when it comes again.
        Fingerprint = "fingerprint",
    }

    /// What became of one recipient.
    pub enum RecipientState {
        /// Not tried yet.
        Waiting = "waiting",
        /// Taken by the next server.
        Accepted = "accepted",
        /// Refused for now.
        Deferred = "deferred",
        /// Refused for good.
        Refused = "refused",
        /// It was taken, and came back for good.
        Bounced = "bounced",
    }
}

/// Who a message went to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recipients {
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc, of our own messages alone.
    #[serde(default)]
    pub bcc: Vec<Address>,
    /// Reply-To.
    #[serde(default)]
    pub reply_to: Vec<Address>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// Where it belongs.
    pub conversation_id: ConversationId,
    /// The mailbox it came to or leaves from.
    pub mailbox_id: MailboxId,
    /// Which way it goes.
    pub kind: MessageKind,
    /// What kind of mail it was.
    pub class: Class,
    /// Who wrote it.
    pub author_type: AuthorType,
    /// That one's number, if it has one.
    pub author_id: Option<i64>,
    /// That one's name at the time.
    pub author_name: Option<String>,
    /// The From address.
    pub sender: Option<Json<Address>>,
    /// Who it went to.
    pub recipients: Json<Recipients>,
    /// Its own subject.
    pub subject: String,
    /// The whole text.
    pub content: String,
    /// What is new in it, where that is not all of it.
    pub reply_content: Option<String>,
    /// Where the signature and the quote are in `content`.
    pub text_parts: Json<TextParts>,
    /// It has HTML of its own.
    pub has_html: bool,
    /// Message-ID without angle brackets.
    pub internet_message_id: Option<String>,
    /// The sameness of mails: SHA-256 over what does not change under way.
    pub fingerprint: Option<Vec<u8>>,
    /// Where the raw mail is kept.
    pub raw_hash: Option<String>,
    /// Its size in bytes.
    pub raw_size: Option<i64>,
    /// What a trusted server says of the sender.
    pub sender_auth: SenderAuth,
    /// What to show beside it.
    pub flags: Json<Vec<Flag>>,
    /// Why it has its class.
    pub signals: Json<Vec<String>>,
    /// Why it is where it is.
    pub threading: Option<Json<Decision>>,
    /// Whom a bounce is about.
    pub failed_recipients: Json<Vec<FailedRecipient>>,
    /// The message of ours that a bounce, receipt or complaint is about.
    pub about_message_id: Option<MessageId>,
    /// The forward that began the side conversation with a third party which this belongs to: itself, for
    /// that forward. `None`: it is part of what the customer is told.
    pub side_id: Option<MessageId>,
    /// The Date header.
    pub sent_at: Option<Timestamp>,
    /// When somebody let it go that was written here, to leave at once or later: it is there for others
    /// from then on. `None`: it is a draft, never was to leave, or came in.
    pub released_at: Option<Timestamp>,
    /// When the server got it.
    pub received_at: Option<Timestamp>,
    /// Counts changes.
    pub version: i64,
    /// When it came into the desk; of what was imported, when it was written.
    pub created_at: Timestamp,
}

impl Message {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("m{}-{}", self.id, self.version)
    }
}

/// One recipient of an outgoing mail and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecipientResult {
    /// The address.
    pub email: String,
    /// What became of it.
    pub state: RecipientState,
    /// What the server said, if it said anything.
    #[serde(default)]
    pub response: Option<String>,
}

/// A mail on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub struct Outbound {
    /// Its number.
    pub id: OutboxId,
    /// The message it carries; `None` is a notice to the administrators or to an agent.
    pub message_id: Option<MessageId>,
    /// The mailbox it leaves from.
    pub mailbox_id: MailboxId,
    /// How far it has got.
    pub state: DeliveryState,
    /// Where its final bytes are kept.
    pub raw_hash: String,
    /// MAIL FROM.
    pub envelope_from: String,
    /// RCPT TO, each with its result.
    pub recipients: Json<Vec<RecipientResult>>,
    /// How often it was tried, since somebody had it tried anew: the pauses go by it.
    pub attempts: i32,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// Until when one worker has it to itself.
    pub claimed_until: Option<Timestamp>,
    /// When its bytes went out; before that a retry can't double it.
    pub data_sent_at: Option<Timestamp>,
    /// It was kept by a sink, and never left.
    pub captured: bool,
    /// What the server answered in the end.
    pub response: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Counts changes.
    pub version: i64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was sent or given up; `None` while an uncertain one may still be settled.
    pub finished_at: Option<Timestamp>,
    /// It was sent again after a reply that was lost: it may have arrived twice, under one Message-ID.
    pub may_be_double: bool,
    /// When it was told that it takes long.
    pub delayed_at: Option<Timestamp>,
    /// Since when it has been tried, where somebody had it tried anew.
    pub tried_from: Option<Timestamp>,
    /// How many seconds of that nobody could try it: its mailbox was at rest or not let in, or no daemon ran.
    pub waited_seconds: i64,
    /// How far its copy in the Sent folder has got; `None`: the desk makes none.
    pub copy_state: Option<CopyState>,
    /// How often that was tried.
    pub copy_attempts: i32,
    /// When it is tried next, or until when somebody is at it.
    pub copy_next_at: Option<Timestamp>,
    /// What went wrong with it last.
    pub copy_error: Option<String>,
}

impl Outbound {
    /// What an ETag says of it, without quotes. The copy in the Sent folder has a hand of its own, which
    /// counts no version.
    pub fn etag(&self) -> String {
        match self.copy_state {
            None => self.version.to_string(),
            Some(state) => format!("{}-{state}{}", self.version, self.copy_attempts),
        }
    }

    /// It waits for its turn to be tried.
    pub fn waits_in_line(&self) -> bool {
        matches!(self.state, DeliveryState::Queued | DeliveryState::Deferred)
    }

    /// Nobody knows whether it arrived, and something may still show that it did.
    pub fn is_looked_for(&self) -> bool {
        self.state == DeliveryState::Uncertain && self.finished_at.is_none()
    }
}

/// What keeps a mail that waits from being tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    /// In a word.
    pub by: HeldUpBy,
    /// When that is looked at again; `None`: not before somebody changes it.
    pub until: Option<Timestamp>,
    /// What the server said.
    pub why: Option<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = attachments, treat_none_as_default_value = false)]
pub struct Attachment {
    /// Its id, which can't be guessed.
    pub id: AttachmentId,
    /// The message it belongs to; `None` while it waits for one.
    pub message_id: Option<MessageId>,
    /// Which part of the message's raw mail it is.
    pub part: Option<i32>,
    /// Where an upload is kept.
    pub blob_hash: Option<String>,
    /// A harmless name.
    pub filename: String,
    /// `type/subtype`.
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// Shown inside the text.
    pub inline: bool,
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Who uploaded it: only they can attach it.
    pub token_id: Option<TokenId>,
    /// When it came.
    pub created_at: Timestamp,
    /// When an upload that nobody attached goes away.
    pub expires_at: Option<Timestamp>,
}
