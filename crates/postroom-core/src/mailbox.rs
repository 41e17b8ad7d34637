//! A mailbox: an address the desk owns, where its mail comes from and how its answers leave.

use crate::authorization::LoginRefusal;
use crate::id::MailboxId;
use crate::listing::Words;
use crate::store::schema::folders;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the ledger calls the one folder of a Maildir.
pub const MAILDIR: &str = "maildir";

words! {
    /// How a connection is secured. `none` is for loopback hosts alone.
    pub enum Security {
        /// TLS from the first byte.
        Tls = "tls",
        /// Plain at first, TLS before anything secret; refused where the server does not offer it.
        StartTls = "starttls",
        /// No TLS at all: only to this very machine.
        None = "none",
    }

    /// What a login is opened with.
    pub enum AuthMethod {
        /// A password.
        Password = "password",
        /// An access token of OAuth 2 (XOAUTH2), for which the mailbox is authorized once.
        Oauth2 = "oauth2",
    }

    /// One of the two servers of a mailbox.
    pub enum End {
        /// Where mail comes from.
        Source = "source",
        /// Where mail goes.
        Delivery = "delivery",
    }

    /// What happens when somebody who is not part of a conversation writes into it.
    pub enum Strangers {
        /// Their mail becomes a conversation of its own, linked to the other.
        Link = "link",
        /// Their mail joins: for mailing lists and internal desks.
        Append = "append",
    }

    /// Whose trouble it is that a mailbox can't be read.
    pub enum Trouble {
        /// Its own: a folder is missing, a setting is wrong.
        Mailbox = "mailbox",
        /// The server's: it can't be reached, hangs up, or says "not now".
        Server = "server",
        /// The login's: the server does not let this user in.
        Login = "login",
    }

    /// Who puts a copy of what leaves into the mailbox's Sent folder.
    pub enum SentCopy {
        /// The desk, unless the provider does so by itself.
        Auto = "auto",
        /// The desk.
        Append = "append",
        /// Nobody, as far as the desk goes.
        None = "none",
    }

    /// What becomes of an answer whose bytes went out and whose reply was lost, where nothing has shown
    /// in time that it arrived.
    pub enum OnUncertain {
        /// It is sent once more, with the same bytes and the same Message-ID. It may arrive twice.
        RetryOnce = "retry_once",
        /// It stays as it is until somebody decides. It may never have arrived.
        Hold = "hold",
    }

    /// What the mail of a folder is to the desk.
    pub enum FolderRole {
        /// Mail that came in.
        Inbox = "inbox",
        /// Mail that agents wrote with other programs.
        Sent = "sent",
        /// Mail that the server took for junk.
        Junk = "junk",
    }

    /// How a mailbox is doing.
    pub enum MailboxState {
        /// It was never read to the end of a poll yet.
        New = "new",
        /// The last poll went well. Where mail is pushed there are none, and all is well.
        Ok = "ok",
        /// It works, but some mail or some folder could not be fetched.
        Degraded = "degraded",
        /// The last poll failed.
        Failing = "failing",
        /// It logs in by token, and nobody has authorized it, or a server or the provider has
        /// refused: it stands still until that is mended.
        NeedsAuthorization = "needs_authorization",
        /// Nobody polls it and nothing leaves from it.
        Paused = "paused",
    }
}

impl Security {
    /// The usual port of IMAP (RFC 8314 section 7.1).
    pub fn imap_port(self) -> u16 {
        if self == Self::Tls { 993 } else { 143 }
    }

    /// The usual port for handing mail in (RFC 8314 section 7.3).
    pub fn smtp_port(self) -> u16 {
        if self == Self::Tls { 465 } else { 587 }
    }
}

impl AuthMethod {
    /// Where nothing is said.
    pub fn usual() -> Self {
        Self::Password
    }
}

impl SentCopy {
    /// Where nothing is said.
    pub fn usual() -> Self {
        Self::Auto
    }
}

impl OnUncertain {
    /// Where nothing is said.
    pub fn usual() -> Self {
        Self::RetryOnce
    }
}

impl End {
    /// The place that its password is sealed for.
    pub fn password_place(self, id: MailboxId) -> String {
        match self {
            Self::Source => format!("mailboxes/{id}/source_password"),
            Self::Delivery => format!("mailboxes/{id}/delivery_password"),
        }
    }
}

/// What is done to a mail on the server once it is safely here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AfterIngest {
    /// Nothing: the server's mailbox stays as it was.
    #[default]
    Leave,
    /// It is marked as read.
    Seen,
    /// It is moved to a folder, which must exist.
    Move {
        /// The folder's name.
        folder: String,
    },
    /// It is deleted.
    Delete {
        /// Days after it came in: 0 to 3650.
        after_days: u16,
    },
}

/// Which of the mail that was there before the mailbox was added comes in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Import {
    /// All of it.
    #[default]
    All,
    /// Nothing: only what comes from now on.
    None,
    /// What the server received on this day or later.
    Since {
        /// A day: `2026-01-31`.
        date: String,
    },
}

/// Names the folder that the server itself gives a role (RFC 6154).
pub const AUTO: &str = "auto";

fn inbox() -> Vec<String> {
    vec!["INBOX".to_owned()]
}

/// Where a mailbox's mail comes from. Passwords stand apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// An IMAP server (RFC 3501, RFC 9051).
    Imap {
        /// Name or address.
        host: String,
        /// 993 for TLS, 143 otherwise.
        port: u16,
        /// How the connection is secured.
        security: Security,
        /// The login name.
        username: String,
        /// What opens it.
        #[serde(default = "AuthMethod::usual")]
        auth: AuthMethod,
        /// Folders that are read.
        #[serde(default = "inbox")]
        folders: Vec<String>,
        /// What happens to a mail on the server afterwards.
        #[serde(default)]
        after_ingest: AfterIngest,
        /// What of the mail that is there already comes in.
        #[serde(default)]
        import: Import,
        /// The folder with what agents sent with other programs; `auto`: the one that the server
        /// names so (RFC 6154). Left out, none is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_folder: Option<String>,
        /// The folder with what the server took for junk; `auto` as above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        junk_folder: Option<String>,
        /// PEM file of a certificate authority of one's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<String>,
    },
    /// A folder that a mail server on this machine delivers to.
    Maildir {
        /// The folder that holds `new` and `cur`.
        path: String,
    },
    /// Mail is pushed through the API.
    Push {},
}

/// How a mailbox's answers leave. Passwords stand apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Delivery {
    /// An SMTP server (RFC 5321, submission by RFC 6409).
    Smtp {
        /// Name or address.
        host: String,
        /// 465 for TLS, 587 for STARTTLS.
        port: u16,
        /// How the connection is secured.
        security: Security,
        /// The login name; without one there is no login.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        /// What opens it.
        #[serde(default = "AuthMethod::usual")]
        auth: AuthMethod,
        /// PEM file of a certificate authority of one's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<String>,
    },
    /// Nothing leaves; what would have is kept to be looked at. For staging and demonstrations.
    Sink {},
}

/// What opens a login. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A password.
    Password(String),
    /// An OAuth 2 access token, for SASL's XOAUTH2.
    Bearer(String),
}

impl Credential {
    /// The secret itself, for those who must keep it out of what they say.
    pub fn secret(&self) -> &str {
        match self {
            Self::Password(secret) | Self::Bearer(secret) => secret,
        }
    }

    /// The first answer of XOAUTH2, before it is encoded: what Google and Microsoft document under
    /// this name.
    pub fn xoauth2(user: &str, token: &str) -> String {
        format!("user={user}\x01auth=Bearer {token}\x01\x01")
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its number.
    pub id: MailboxId,
    /// What people call it; unique.
    pub name: String,
    /// The address customers write to.
    pub address: String,
    /// Other addresses that arrive here.
    pub aliases: Vec<String>,
    /// Mailboxes of one group share their conversations: mail to two of them is one.
    pub group: String,
    /// Seconds between two polls: 5 to 86,400.
    pub poll_interval_seconds: i32,
    /// Where mail comes from.
    pub source: Source,
    /// How answers leave.
    pub delivery: Delivery,
    /// What strangers may do.
    pub strangers: Strangers,
    /// Servers whose Authentication-Results count.
    pub trusted_authserv_ids: Vec<String>,
    /// Senders that only pass on mail of others: their Reply-To is the customer.
    pub relay_addresses: Vec<String>,
    /// Who puts a copy of what leaves into the Sent folder.
    pub sent_copy: SentCopy,
    /// What becomes of an answer of which nobody knows whether it arrived.
    pub on_uncertain: OnUncertain,
    /// Seconds in which an answer can be taken back before it leaves: 0 to 600.
    pub undo_seconds: i32,
    /// Nobody polls it and nothing leaves from it.
    pub paused: bool,
    /// It stands in the configuration file; the API refuses to change it.
    pub is_configured: bool,
    /// Counts changes.
    pub version: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Source {
    /// The folders that are read, of those that were begun: a folder that the server itself gives
    /// its role is among them once it was found.
    pub fn read_folders(&self, begun: &[FolderCursor]) -> Vec<String> {
        let Self::Imap { folders, sent_folder, junk_folder, .. } = self else { return Vec::new() };
        let special: Vec<&String> = [sent_folder, junk_folder].into_iter().flatten().collect();
        let named = folders.iter().chain(special.iter().copied().filter(|name| *name != AUTO));
        let mut all: Vec<String> = named.map(|name| folder_name(name).to_owned()).collect();
        if special.iter().any(|name| *name == AUTO) {
            let found = begun.iter().map(|cursor| cursor.name.clone());
            let found: Vec<String> = found.filter(|name| !all.contains(name)).collect();
            all.extend(found);
        }
        all
    }
}

impl Mailbox {
    /// Whether each of these words stands in its name or in one of its addresses.
    pub fn is_found_by(&self, words: &Words) -> bool {
        let mut texts = vec![self.name.as_str(), self.address.as_str()];
        texts.extend(self.aliases.iter().map(String::as_str));
        words.stand_in(&texts)
    }

    /// Every address that is this mailbox, folded.
    pub fn own_addresses(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(&self.address).chain(&self.aliases).map(|a| crate::text::fold_address(a))
    }
}

/// A folder of a mailbox and how far it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = folders)]
pub struct FolderCursor {
    /// The folder's name.
    pub name: String,
    /// The generation of its numbers (RFC 3501 section 2.3.1.1).
    pub uidvalidity: i64,
    /// How often the server gave its mails other numbers without saying so: it was restored from a
    /// backup, most likely. 0 until that happens.
    pub generation: i32,
    /// Every mail up to this number is in the ledger or waiting.
    pub last_uid: i64,
    /// Mail that the server got before is not wanted; `null`: as the source's `import` says.
    pub wanted_since: Option<Timestamp>,
    /// Mail that the server got before is history: nothing automatic follows from it.
    pub history_before: Option<Timestamp>,
}

/// A folder's name as folders are compared and kept by it: INBOX is one in any case, and no other is
/// (RFC 3501 section 5.1).
pub fn folder_name(name: &str) -> &str {
    if name.eq_ignore_ascii_case("INBOX") { "INBOX" } else { name }
}

impl FolderCursor {
    /// Whether mail that the server got then is history. Servers tell the second.
    pub fn is_history(&self, internal_date: Option<Timestamp>) -> bool {
        let second = std::time::Duration::from_secs(1);
        matches!((internal_date, self.history_before), (Some(at), Some(bound)) if at.plus(second) <= bound)
    }

    /// What the ledger puts before the numbers of this generation.
    pub fn place(&self) -> String {
        place(self.uidvalidity, self.generation)
    }
}

/// What the ledger puts before the numbers of a generation, as the server names it and as we count.
pub(crate) fn place(uidvalidity: i64, generation: i32) -> String {
    match generation {
        0 => format!("{uidvalidity}/"),
        generation => format!("{uidvalidity}.{generation}/"),
    }
}

/// How many mailboxes are doing how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tally {
    /// They were never read to the end of a poll yet.
    pub new: usize,
    /// Their last poll went well, or mail is pushed into them.
    pub ok: usize,
    /// They work, but some mail or some folder could not be fetched.
    pub degraded: usize,
    /// Their last poll failed.
    pub failing: usize,
    /// They wait for somebody to authorize them.
    pub needs_authorization: usize,
    /// They are at rest.
    pub paused: usize,
}

/// How a mailbox is doing, in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MailboxStatus {
    /// In a word.
    pub state: MailboxState,
    /// When a poll last went well.
    pub last_success_at: Option<Timestamp>,
    /// When a poll was last begun.
    pub last_attempt_at: Option<Timestamp>,
    /// What went wrong last, in words; `null` once a poll went well.
    pub last_error: Option<String>,
    /// Since when no poll went well; `null` while they do.
    pub failing_since: Option<Timestamp>,
    /// When it is tried next, after one that failed; asking for a poll does it at once.
    pub retry_at: Option<Timestamp>,
    /// Servers that refused the login, by token or where mail leaves: nothing is sent or fetched there
    /// until it is tried again. Asking for a poll has the way out tried at once.
    pub refusals: Vec<LoginRefusal>,
    /// A poll is asked for or under way.
    pub syncing: bool,
    /// Mail that is known to be there and not yet here.
    pub pending: i64,
    /// How much of that did not come when it was tried. It is tried again, with growing pauses; no
    /// other mail waits for it.
    pub retrying: i64,
    /// When the next mail is tried again that did not come: of those in `retrying`, and of those that
    /// were put aside (`failed`) without their bytes. Asking for a poll tries the former at once.
    pub next_try_at: Option<Timestamp>,
    /// Mail taken in, oversized mail included.
    pub accepted: i64,
    /// Copies of mail that was here already.
    pub duplicates: i64,
    /// Mail that could not be taken in, however often it was tried.
    pub failed: i64,
    /// When the server's mail was last held against the ledger.
    pub reconciled_at: Option<Timestamp>,
    /// How much mail was missing then: read over, and in neither ledger nor queue.
    pub missing: Option<i64>,
    /// How far each folder has been read.
    pub folders: Vec<FolderCursor>,
}
