//! A mail to be written, as the desk means it: everything the composer needs, nothing it has to look up.

use crate::mail::Address;
use crate::time::Timestamp;
use crate::word::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most messages of a conversation that an answer quotes.
pub const QUOTED_MESSAGES: usize = 3;
/// How much text of theirs it quotes in all, in bytes.
pub const QUOTED_BYTES: usize = 64 * 1024;

/// The most messages that a forward carries.
pub const FORWARDED_MESSAGES: usize = 20;
/// How much text of theirs it carries in all, in bytes.
pub const FORWARDED_BYTES: usize = 1024 * 1024;

words! {
    /// How a text is written.
    pub enum TextFormat {
        /// Plain text: it looks as it was typed, and web addresses become links.
        Text = "text",
        /// Markdown (CommonMark, with tables, ~~strikethrough~~ and bare links). Line breaks stay line
        /// breaks, and HTML inside of it is shown as it was typed.
        Markdown = "markdown",
        /// HTML. Only what mail programs show alike and what can harm nobody is left of it: no scripts,
        /// no forms, no remote images.
        Html = "html",
    }

    /// Which kind of mail that no person wrote (RFC 3834 section 5).
    pub enum Automatic {
        /// It answers a mail: an acknowledgement, an out-of-hours notice. It leaves without an address
        /// that a bounce could go to.
        Replied = "auto-replied",
        /// It answers nothing: a notice.
        Generated = "auto-generated",
    }
}

/// A text, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The text as it was typed.
    pub text: String,
    /// What it is written in.
    #[serde(default)]
    pub format: TextFormat,
    /// What Markdown does not say of itself, where it was made by filling a template in.
    #[serde(skip)]
    pub filled: Option<Box<Filled>>,
}

/// What came of a Markdown template, besides the Markdown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// The same as text: its values stand there as they are, and not escaped as Markdown needs them.
    pub plain: String,
    /// HTML, made safe, that stands where [`INSIDE`] does.
    pub inside: Option<String>,
}

/// Stands in Markdown for a piece that is HTML. No character (Unicode section 23.7), so that nobody types it.
pub const INSIDE: char = '\u{FDD0}';

#[expect(clippy::derivable_impls, reason = "the words of an enum are declared by a macro")]
impl Default for TextFormat {
    fn default() -> Self {
        Self::Text
    }
}

impl Written {
    /// Plain text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, TextFormat::Text)
    }

    /// A text in some format.
    pub fn new(text: impl Into<String>, format: TextFormat) -> Self {
        Self { text: text.into(), format, filled: None }
    }

    /// The same to be read as text, where it is text or Markdown.
    pub fn plain_form(&self) -> &str {
        self.filled.as_ref().map_or(&self.text, |filled| &filled.plain)
    }
}

/// A text in both forms that it leaves in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// As text; lines end in `\n`.
    pub text: String,
    /// As safe HTML: what stands in a body.
    pub html: String,
}

/// Whether an id can stand in Content-ID and, as it is, in a `cid:` address.
pub fn is_content_id(id: &str) -> bool {
    (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@+=-".contains(&b))
}

/// What stands around every mail of a mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Above the text.
    pub head: Option<Written>,
    /// Below text and signature, above what is quoted.
    pub foot: Option<Written>,
    /// A picture that the mail brings along: head and foot say with `cid:` and its Content-ID where it
    /// stands, and if neither does it stands above the head.
    pub logo: Option<Logo>,
}

/// A picture that every mail of a mailbox brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// The picture.
    pub file: OutgoingFile,
    /// What is read in its place.
    pub alt: String,
}

impl Logo {
    /// As it stands in HTML; nothing where it has no id to be named by.
    pub fn as_html(&self) -> String {
        let id = self.file.content_id.as_deref().filter(|id| is_content_id(id));
        let alt = crate::template::escaped(&self.alt, TextFormat::Html);
        id.map(|id| format!("<img src=\"cid:{id}\" alt=\"{alt}\">")).unwrap_or_default()
    }
}

/// An earlier message that a mail quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// Who wrote it.
    pub who: Address,
    /// When.
    pub when: Timestamp,
    /// What it says.
    pub text: String,
    /// The same as HTML, from anybody: the composer makes it safe.
    pub html: Option<String>,
}

/// An earlier message that a mail forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Who wrote it; `None`: nobody who can be named.
    pub from: Option<Address>,
    /// When.
    pub date: Timestamp,
    /// Its subject.
    pub subject: String,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// What it says.
    pub text: String,
    /// The same as HTML, from anybody: the composer makes it safe.
    pub html: Option<String>,
}

/// A mail to be composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Who it is from.
    pub from: Address,
    /// Where answers are to go, if not to `from`.
    pub reply_to: Option<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc: in the envelope, never in the headers.
    pub bcc: Vec<Address>,
    /// Without line breaks; the composer strips controls all the same.
    pub subject: String,
    /// What the agent wrote.
    pub body: Written,
    /// What stands below it, its placeholders filled in.
    pub signature: Option<Written>,
    /// What stands around it.
    pub layout: Layout,
    /// What is forwarded below, in this order; what is more than [`FORWARDED_BYTES`] is cut, and HTML that
    /// is too much goes as text. Its files are among `files`.
    pub forwarded: Vec<Forwarded>,
    /// What is quoted below, the newest first; more than [`QUOTED_MESSAGES`] or [`QUOTED_BYTES`] are cut.
    pub quoted: Vec<Quoted>,
    /// With angle brackets.
    pub message_id: String,
    /// With angle brackets; what this answers.
    pub in_reply_to: Option<String>,
    /// With angle brackets, in the order they are to stand.
    pub references: Vec<String>,
    /// Thread-Index of the mail that this answers, as base64: ours goes on from it.
    pub thread_index: Option<String>,
    /// The Date header.
    pub date: Timestamp,
    /// The value of X-Postroom-Instance.
    pub instance_mark: String,
    /// No person wrote it: it says so, and asks for no automatic answer.
    pub automatic: Option<Automatic>,
    /// The files, in order.
    pub files: Vec<OutgoingFile>,
}

impl Outgoing {
    /// A plain mail to one or several: no copies, no files, nothing it answers, nothing around it.
    pub fn plain(
        from: Address,
        to: Vec<Address>,
        subject: impl Into<String>,
        text: impl Into<String>,
        message_id: impl Into<String>,
        date: Timestamp,
        instance_mark: impl Into<String>,
    ) -> Self {
        Self {
            from,
            reply_to: None,
            to,
            cc: Vec::new(),
            bcc: Vec::new(),
            subject: subject.into(),
            body: Written::plain(text),
            signature: None,
            layout: Layout::default(),
            forwarded: Vec::new(),
            quoted: Vec::new(),
            message_id: message_id.into(),
            in_reply_to: None,
            references: Vec::new(),
            thread_index: None,
            date,
            instance_mark: instance_mark.into(),
            automatic: None,
            files: Vec::new(),
        }
    }
}

/// One file of an outgoing mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingFile {
    /// A harmless name.
    pub filename: String,
    /// `type/subtype`.
    pub content_type: String,
    /// The bytes.
    pub content: Vec<u8>,
    /// Without angle brackets: the picture that the text names as `cid:…`. One that the text does not name
    /// goes as any other file.
    pub content_id: Option<String>,
}

/// A composed mail: the bytes are frozen from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// RFC 5322 with CRLF line ends, no Bcc.
    pub raw: Vec<u8>,
    /// MAIL FROM; empty for an automatic answer (RFC 3834 section 3.3).
    pub envelope_from: String,
    /// RCPT TO, each once.
    pub envelope_to: Vec<String>,
    /// For each file of `raw`, in the order they stand there: which of [`Outgoing::files`] it is. `None`
    /// is the logo.
    pub files: Vec<Option<usize>>,
    /// What the agent wrote as plain text, without what was put around it.
    pub written: String,
    /// The whole text part.
    pub text: String,
    /// The whole HTML part.
    pub html: String,
}
