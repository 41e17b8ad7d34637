//! What the core asks of the outside. postroom-ingest and postroom-outbound answer, the daemon
//! wires them, and `Desk` is built with them. Every call may block: they are made on threads
//! that may.

use crate::authorization::{Ask, Client, DeviceCode, Page, Tokens};
use crate::mail::{Mail, SignatureClaim};
use crate::mailbox::{Credential, Delivery, Source};
use crate::object_name::ObjectName;
use crate::outgoing::{Composed, Outgoing, Rendered, Written};
use crate::time::Timestamp;
use crate::word::words;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// What an outside part could not do. The sentence is fit for the log, not for a customer.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct PortError {
    /// What was attempted, and on what.
    pub what: String,
    /// Why it failed.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// A failure without a cause of its own.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// A failure and its cause.
    pub fn because(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }
}

/// What the reader must know of the mailbox a mail came to.
#[derive(Debug, Clone, Default)]
pub struct ReadContext {
    /// Only Authentication-Results of these servers count (RFC 8601 section 5).
    pub trusted_authserv_ids: Vec<String>,
}

/// HTML made safe, and what was taken out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SafeHtml {
    /// A fragment that may be put into a page: no script, no style, nothing fetched.
    pub html: String,
    /// How many remote images were dropped.
    pub remote_images: usize,
    /// Where they lie: each address once, the first hundred.
    pub remote_urls: Vec<String>,
    /// Links that may lead elsewhere than they seem to, the first hundred.
    pub misleading_links: Vec<MisleadingLink>,
    /// Parts of the mail are left out, since there is too much of it.
    pub is_shortened: bool,
}

words! {
    /// Why a link may mislead.
    pub enum LinkFault {
        /// Its text names a place of somebody else's.
        OtherPlace = "other_place",
        /// Its host mixes scripts whose letters look alike (UTS 39 section 5.2).
        MixedScripts = "mixed_scripts",
        /// What stands before an @ in the address looks like the place, and is not.
        UserInfo = "user_info",
    }
}

/// A link that may lead elsewhere than it seems to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MisleadingLink {
    /// Where it leads.
    pub href: String,
    /// What it shows; at most 200 characters.
    pub text: String,
    /// Why it may mislead.
    pub reason: LinkFault,
}

/// How HTML is to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowHtml {
    /// Keep images that a browser fetches from other sites over https.
    pub remote_images: bool,
    /// Where the pictures lie that the mail brought along, by Content-ID. Others are left out.
    pub pictures: HashMap<String, String>,
}

/// Reads raw mail.
pub trait ReadMail: Send + Sync {
    /// Reads a mail within the limits. Never fails and never panics: see [`Mail::unreadable`].
    fn read(&self, raw: &[u8], context: &ReadContext) -> Mail;

    /// The HTML of a mail made safe to show; plain text becomes paragraphs.
    fn html(&self, raw: &[u8], how: &ShowHtml) -> SafeHtml;

    /// Plain text as safe HTML, links made clickable: for messages that never were mail.
    fn text_as_html(&self, text: &str) -> SafeHtml;

    /// The decoded bytes of one part, as [`crate::mail::Part::part`] names it.
    fn part(&self, raw: &[u8], part: i32) -> Option<Vec<u8>>;
}

/// Asks the keys of mail signatures whether they bear them out.
pub trait CheckSender: Send + Sync {
    /// For each mail, whether one of its claims is true. May ask the network, all questions
    /// together for a few seconds at most; what was not answered is not borne out.
    fn check(&self, mails: &[Vec<&SignatureClaim>]) -> Vec<bool>;
}

/// A part of a mail that its writer chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailPart {
    /// Whom it comes from.
    From,
    /// Whom it goes to: To, Cc and Bcc.
    Recipients,
    /// What it says, with all that stands around it.
    Text,
}

/// Why a mail was not composed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// What was given can't become a mail. Whoever gave it can mend it.
    #[error("{detail}")]
    Unfit {
        /// What of it.
        part: MailPart,
        /// A word for programs: `invalid_email`, `too_many`.
        code: &'static str,
        /// A sentence for people.
        detail: String,
    },
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] PortError),
}

/// Writes mail.
pub trait ComposeMail: Send + Sync {
    /// Makes the bytes that will leave. They are final.
    fn compose(&self, mail: &Outgoing) -> Result<Composed, ComposeError>;

    /// A text as it would leave, with nothing around it; or why it can't, in words fit for its writer. A
    /// mail that holds one that can't is not composed.
    fn render(&self, text: &Written) -> Result<Rendered, &'static str>;
}

/// Why bytes were not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no room for them.
    #[error("there is no room left for large files")]
    Full(#[source] PortError),
    /// They were written, and what they were written to could not say that they are safe. A second
    /// try would be told that all is well though nothing was written (Linux forgets what it could
    /// not write; PostgreSQL's "fsyncgate" of 2018): the process has to end.
    #[error("the disk did not keep a large file")]
    Unsynced(#[source] PortError),
    /// Anything else.
    #[error(transparent)]
    Failed(PortError),
}

/// A file that the object store holds under one of our names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptObject {
    /// Its name, or the name that it was to get.
    pub name: ObjectName,
    /// It is the draft of that file with this number, left behind by a process that died.
    pub draft: Option<u64>,
    /// When it was written, by the store's clock.
    pub written_at: Timestamp,
    /// Its length.
    pub bytes: u64,
}

/// Keeps large blobs outside the database.
pub trait KeepBlob: Send + Sync {
    /// Keeps bytes durably under a name that was never given before.
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), KeepError>;
    /// The bytes; `None` where there are none under this name.
    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PortError>;
    /// What is there in a [group](ObjectName::group) of names. What bears no name of ours is left out.
    fn list(&self, group: &str) -> Result<Vec<KeptObject>, PortError>;
    /// Deletes a file, or the draft of it with this number. What is not there is no error.
    fn delete(&self, name: &ObjectName, draft: Option<u64>) -> Result<(), PortError>;
}

/// How one of the two ends of a mailbox answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Probe {
    /// It works.
    pub ok: bool,
    /// What works, or what is wrong and what to do about it, in words.
    pub detail: String,
}

/// Tries a mailbox's two ends.
pub trait ProbeMailbox: Send + Sync {
    /// Logs in where mail comes from and looks for the folders.
    fn source(&self, source: &Source, credential: Option<&Credential>) -> Probe;
    /// Logs in where mail goes.
    fn delivery(&self, delivery: &Delivery, credential: Option<&Credential>) -> Probe;
}

/// What a token server answered other than tokens. No sentence holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// The person has not entered the device code yet (RFC 8628 section 3.5).
    #[error("nobody has entered the code yet")]
    Pending,
    /// The device code is asked about too often.
    #[error("the provider wants to be asked less often")]
    SlowDown,
    /// It said no (RFC 6749 section 5.2); the same question will not do better.
    #[error("the provider refused: {code}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// Its word for it: `invalid_grant`.
        code: String,
        /// Its sentence, of one line; may be empty.
        said: String,
    },
    /// It can't be reached, or what it says is no answer.
    #[error("{0}")]
    Unavailable(String),
    /// It can't be asked in this way at all.
    #[error("{0}")]
    Unsupported(String),
}

/// Asks OAuth 2 providers. Whom it asks follows from the provider alone.
pub trait Authorize: Send + Sync {
    /// The address of the page that a person is sent to. Asks nobody.
    fn page(&self, client: &Client, page: &Page<'_>) -> Result<String, AuthorizeError>;
    /// Begins a device flow.
    fn device(&self, client: &Client) -> Result<DeviceCode, AuthorizeError>;
    /// Asks for tokens, once.
    fn token(&self, client: &Client, ask: &Ask<'_>) -> Result<Tokens, AuthorizeError>;
}

/// A folder as its server has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFolder {
    /// The generation of its numbers.
    pub uidvalidity: i64,
    /// The number the next mail will get at least; not every server says.
    pub next: Option<i64>,
    /// The number and the size of every mail, ascending.
    pub mails: Vec<(i64, i64)>,
}

/// A file of a Maildir as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// What the ledger calls it.
    pub key: String,
    /// Bytes.
    pub size: i64,
    /// When it was last put or renamed here, whatever time its mail has.
    pub changed: Timestamp,
}

/// One session with a mailbox's server that looks and touches nothing.
pub trait Inspect {
    /// A folder and all its mail.
    fn folder(&mut self, name: &str) -> Result<SeenFolder, PortError>;
    /// What of that folder the server received on a day (`2026-01-31`) or later.
    fn since(&mut self, day: &str) -> Result<Vec<i64>, PortError>;
    /// When the server received these; what is gone or has no time is left out.
    fn received(&mut self, uids: &[i64]) -> Result<Vec<(i64, Timestamp)>, PortError>;
    /// What these are about and who wrote them; what is gone is left out.
    fn told(&mut self, uids: &[i64]) -> Result<Vec<Told>, PortError>;
}

/// A mail by two lines of its header, for people to know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub uid: i64,
    /// Its subject.
    pub subject: Option<String>,
    /// Who wrote it, with the name they give.
    pub from: Option<String>,
}

/// Looks at where a mailbox's mail comes from.
pub trait InspectSource: Send + Sync {
    /// Logs in to an IMAP server.
    fn open(&self, source: &Source, credential: &Credential) -> Result<Box<dyn Inspect>, PortError>;
    /// The files of a Maildir.
    fn files(&self, path: &str) -> Result<Vec<SeenFile>, PortError>;
}

/// Looks whether there is room where the desk writes.
pub trait WatchRoom: Send + Sync {
    /// Why nothing may be written just now, in a sentence for those who run the desk; `None`: there
    /// is room. Asked before every write, so it must cost next to nothing.
    fn shortage(&self) -> Option<&'static str>;
}

/// Room without end: where nobody has to look.
pub struct EnoughRoom;

impl WatchRoom for EnoughRoom {
    fn shortage(&self) -> Option<&'static str> {
        None
    }
}

/// Everything outside, as the desk holds it.
#[derive(Clone)]
pub struct Ports {
    /// Reads raw mail.
    pub reader: Arc<dyn ReadMail>,
    /// Checks who signed mails.
    pub senders: Arc<dyn CheckSender>,
    /// Writes mail.
    pub composer: Arc<dyn ComposeMail>,
    /// Keeps large blobs.
    pub keeper: Arc<dyn KeepBlob>,
    /// Tries mailboxes.
    pub prober: Arc<dyn ProbeMailbox>,
    /// Asks OAuth 2 providers.
    pub authorizer: Arc<dyn Authorize>,
    /// Looks at where mail comes from.
    pub inspector: Arc<dyn InspectSource>,
    /// Looks whether there is room.
    pub room: Arc<dyn WatchRoom>,
}
