//! A mail as the desk understands it, whoever read it: what ingest hands to intake.

use crate::round_trip::Authentication;
use crate::time::Timestamp;
use crate::word::words;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use utoipa::ToSchema;

/// One address of a mail header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The display name, without controls and bidirectional marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address as written: `Ada@Example.org`. Compare with [`crate::text::fold_address`].
    pub email: String,
}

/// How much of a Thread-Index is kept: its header and 98 answers.
pub const THREAD_INDEX_BYTES: usize = 22 + 98 * 5;

words! {
    /// What kind of mail an inbound message is. Mail that nobody sat down to write never reopens,
    /// wakes, assigns or answers (RFC 3834 section 2).
    pub enum Class {
        /// Somebody wrote it.
        Human = "human",
        /// An out-of-office or another automatic answer (RFC 3834).
        AutoReply = "auto_reply",
        /// A delivery status notification (RFC 3464) or something of its shape.
        Bounce = "bounce",
        /// A feedback report: somebody pressed "this is spam" (RFC 5965).
        Complaint = "complaint",
        /// A disposition notification: somebody read something (RFC 8098).
        Receipt = "receipt",
        /// A mailing list or bulk mail.
        List = "list",
        /// A machine's note: no-reply senders and the like.
        Notification = "notification",
        /// An invitation, or an answer to one.
        Calendar = "calendar",
        /// Our own mail come back.
        Echo = "echo",
        /// Mail that goes round in circles.
        Loop = "loop",
    }

    /// What a calendar in a mail wants (RFC 5546 section 1.4).
    pub enum CalendarMethod {
        /// It tells of an event, and wants no answer.
        Publish = "publish",
        /// It invites, or changes what it invited to.
        Request = "request",
        /// It answers an invitation.
        Reply = "reply",
        /// It adds dates to a series.
        Add = "add",
        /// It calls an event off.
        Cancel = "cancel",
        /// It asks for the latest state of an event.
        Refresh = "refresh",
        /// It proposes something else.
        Counter = "counter",
        /// It declines what was proposed.
        DeclineCounter = "declinecounter",
    }

    /// What is known of the sender: by the word of a receiving server that the mailbox trusts
    /// (RFC 8601), or else by the mail's own DKIM signature (RFC 6376).
    pub enum SenderAuth {
        /// DMARC passed, or DKIM or SPF did for the sender's own organisation.
        Pass = "pass",
        /// A trusted server says that DMARC failed: the sender's domain disowns the mail. A broken
        /// signature alone is no such thing, for every mailing list breaks them.
        Fail = "fail",
        /// Nothing speaks for the sender.
        None = "none",
    }

    /// How a mail was signed (RFC 8301, RFC 8463).
    pub enum SignatureAlgorithm {
        /// RSA with SHA-256.
        RsaSha256 = "rsa-sha256",
        /// Ed25519 with SHA-256.
        Ed25519Sha256 = "ed25519-sha256",
    }
}

impl Class {
    /// Mail that nobody sat down to write: it never reopens, wakes, assigns or answers.
    pub fn is_automatic(self) -> bool {
        !matches!(self, Self::Human | Self::Calendar | Self::List | Self::Notification)
    }
}

/// A part of a mail that is a file. Its bytes stay in the raw mail; `part` finds them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which part of the raw mail, as the reader that cut it counts.
    pub part: i32,
    /// A harmless file name; never a path.
    pub filename: String,
    /// `type/subtype`, lower case, without parameters.
    pub content_type: String,
    /// Decoded bytes.
    pub size: i64,
    /// Shown inside the text (`cid:`) rather than beside it.
    pub inline: bool,
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
}

/// One recipient whom a bounce is about (RFC 3464 section 2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedRecipient {
    /// Final-Recipient, without its type: who could not be reached.
    pub email: String,
    /// Original-Recipient, without its type: whom we wrote to, where a forward made another of them.
    pub original_email: Option<String>,
    /// `failed`, `delayed`, `delivered`, `relayed`, `expanded`.
    pub action: String,
    /// Enhanced status code (RFC 3463): `5.1.1`; empty where none is given.
    pub status: String,
    /// What the other server said; at most 1,000 characters.
    pub diagnostic: String,
    /// It was given up: the mail will not arrive. A delay is not, nor is a success.
    pub permanent: bool,
    /// Will-Retry-Until: how long a delayed mail is still tried.
    pub retry_until: Option<Timestamp>,
}

impl FailedRecipient {
    /// The address that we wrote to, as far as the report says.
    pub fn addressed(&self) -> &str {
        self.original_email.as_deref().unwrap_or(&self.email)
    }
}

/// Where parts of a text are, in bytes: views, so that nothing is lost by them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextParts {
    /// Who signs it, and what programs put below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Range<usize>>,
    /// What it answers, with the line that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Range<usize>>,
}

impl TextParts {
    /// The signature in the text that this was made for.
    pub fn signature_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.get(self.signature.clone()?)
    }

    /// The quote in the text that this was made for.
    pub fn quoted_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.get(self.quoted.clone()?)
    }
}

/// A DKIM signature that speaks for a mail's sender, if the key in DNS bears it out. What the mail
/// alone can tell is settled: it is the sender's organisation that signed, From is covered, and the
/// body is what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureClaim {
    /// Where the key lies: `selector._domainkey.example.org.`
    pub key_name: String,
    /// How it was signed.
    pub algorithm: SignatureAlgorithm,
    /// What was signed, in its canonical form.
    pub signed: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// It names somebody below its domain, which a key may forbid.
    pub is_below: bool,
    /// The second since 1970 at which it ends.
    pub expires: Option<i64>,
}

/// What a mail says about automatic answers to it. All of it can be forged, so it only ever keeps one back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHints {
    /// It came from `<>`: Return-Path says so.
    pub has_null_path: bool,
    /// X-Auto-Response-Suppress asks for none.
    pub is_declined: bool,
    /// A filter on its way marked it as spam.
    pub is_marked_spam: bool,
    /// Its languages, as Content-Language names them (RFC 3282).
    pub languages: Vec<String>,
}

/// A mail after reading: header texts raw where threading reads them itself, the rest decoded.
///
/// Reading never fails: a mail that can't be read has `problem` set and what little was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Every Message-ID header, in order, as written.
    pub message_id: Vec<String>,
    /// In-Reply-To headers as written, joined by a space.
    pub in_reply_to: String,
    /// References headers as written, joined by a space.
    pub references: String,
    /// Other names of this very mail: Resent-Message-ID, X-Microsoft-Original-Message-ID.
    pub other_ids: Vec<String>,
    /// Every From address; the first is the sender.
    pub from: Vec<Address>,
    /// Reply-To.
    pub reply_to: Vec<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Delivered-To, X-Original-To, Envelope-To: where it really went.
    pub delivered_to: Vec<String>,
    /// Return-Path, which the receiving server writes (RFC 5321 section 4.4): empty for `<>`, `None` where it
    /// writes none.
    pub return_path: Option<String>,
    /// X-Original-From, which list software leaves behind.
    pub original_from: Option<Address>,
    /// List-Id without angle brackets.
    pub list_id: Option<String>,
    /// Decoded, one line, at most 512 characters.
    pub subject: String,
    /// The Date header.
    pub date: Option<Timestamp>,
    /// The whole text, from the HTML where there is no text part; capped.
    pub text: String,
    /// Only what is new in `text`, without its signature; `None` where that is all of it.
    pub reply_text: Option<String>,
    /// Where the rest is.
    pub parts_of_text: TextParts,
    /// There is HTML to show.
    pub has_html: bool,
    /// The files.
    pub parts: Vec<Part>,
    /// What kind of mail this is.
    pub class: Class,
    /// Why `class` is what it is: `header:auto-submitted`, …
    pub signals: Vec<String>,
    /// What a trusted server says of the sender.
    pub sender_auth: SenderAuth,
    /// What the last server that judged it says of SPF, DKIM and DMARC, trusted or not: to be shown, and
    /// nothing is decided by it.
    pub authentication: Option<Authentication>,
    /// Signatures that speak for the sender where no trusted server has said anything.
    pub claims: Vec<SignatureClaim>,
    /// Whole mail forwarded as message/rfc822 and nothing else.
    pub is_wrapped_mail: bool,
    /// X-Postroom-Instance headers: marks of installations this mail went through.
    pub instance_marks: Vec<String>,
    /// Message-IDs that a bounce or a receipt says it is about, the likeliest first.
    pub about_ids: Vec<String>,
    /// Whom a bounce is about.
    pub failed_recipients: Vec<FailedRecipient>,
    /// What it says about automatic answers to it.
    pub answer_hints: AnswerHints,
    /// What its calendar wants, where it has one.
    pub calendar_method: Option<CalendarMethod>,
    /// The first bytes of Thread-Index, where Outlook sent one: all mails of a conversation share them.
    pub thread_index: Option<String>,
    /// All of Thread-Index as base64, so that an answer can go on from it; of one longer than
    /// [`THREAD_INDEX_BYTES`] the beginning.
    pub whole_thread_index: Option<String>,
    /// SHA-256 over sender, date, text without white space, and files: the sameness of R1.
    pub fingerprint: [u8; 32],
    /// The text was longer than what is kept.
    pub is_shortened: bool,
    /// Why the mail could not be read in full, in words.
    pub problem: Option<String>,
}

impl Mail {
    /// A mail of which nothing is known.
    pub fn unreadable(problem: impl Into<String>) -> Self {
        Self {
            message_id: Vec::new(),
            in_reply_to: String::new(),
            references: String::new(),
            other_ids: Vec::new(),
            from: Vec::new(),
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            delivered_to: Vec::new(),
            return_path: None,
            original_from: None,
            list_id: None,
            subject: String::new(),
            date: None,
            text: String::new(),
            reply_text: None,
            parts_of_text: TextParts::default(),
            has_html: false,
            parts: Vec::new(),
            class: Class::Human,
            signals: Vec::new(),
            sender_auth: SenderAuth::None,
            authentication: None,
            claims: Vec::new(),
            is_wrapped_mail: false,
            instance_marks: Vec::new(),
            about_ids: Vec::new(),
            failed_recipients: Vec::new(),
            answer_hints: AnswerHints::default(),
            calendar_method: None,
            thread_index: None,
            whole_thread_index: None,
            fingerprint: [0; 32],
            is_shortened: false,
            problem: Some(problem.into()),
        }
    }

    /// The sender: the first address of From, never Reply-To.
    pub fn sender(&self) -> Option<&Address> {
        self.from.first()
    }
}
