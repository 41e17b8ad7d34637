//! A mailbox as callers see it: without its passwords.

use super::shape::ThreadingShape;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{
    AfterIngest, AuthMethod, Delivery, Import, Mailbox, OnUncertain, Security, SentCopy, Source,
};
use postroom_core::operations::mailboxes::HasPasswords;
use postroom_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// An address the desk owns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mailbox)]
pub struct MailboxView {
    /// Its number.
    id: MailboxId,
    /// Counts changes.
    version: i64,
    /// What people call it; unique.
    name: String,
    /// The address customers write to.
    address: String,
    /// Other addresses that arrive here.
    aliases: Vec<String>,
    /// Mailboxes of one group share their conversations.
    group: String,
    /// Seconds between two polls.
    poll_interval_seconds: i32,
    /// Where mail comes from.
    source: SourceView,
    /// How answers leave.
    delivery: DeliveryView,
    /// How mail finds its conversation.
    threading: ThreadingShape,
    /// Servers whose Authentication-Results count.
    trusted_authserv_ids: Vec<String>,
    /// Senders that only pass on mail of others.
    relay_addresses: Vec<String>,
    /// Who puts a copy of what leaves into the Sent folder.
    sent_copy: SentCopy,
    /// What becomes of an answer of which nobody knows whether it arrived.
    on_uncertain: OnUncertain,
    /// Seconds in which an answer can be taken back before it leaves.
    undo_seconds: i32,
    /// At rest: nobody polls it and nothing leaves from it.
    paused: bool,
    /// It stands in the daemon's configuration file, and is changed there alone.
    is_configured: bool,
    /// When it was added.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
}

/// Where mail comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Source)]
pub enum SourceView {
    /// An IMAP server.
    Imap {
        /// Name or address.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is secured.
        security: Security,
        /// The login name.
        username: String,
        /// What opens it.
        auth: AuthMethod,
        /// A password is kept. It never comes back.
        has_password: bool,
        /// Folders that are read.
        folders: Vec<String>,
        /// What happens to a mail on the server once it is safely here.
        after_ingest: AfterIngest,
        /// What of the mail that was there already comes in.
        import: Import,
        /// The folder with what agents sent with other programs; `auto`: the one that the server
        /// names so.
        sent_folder: Option<String>,
        /// The folder with what the server took for junk; `auto` as above.
        junk_folder: Option<String>,
        /// PEM file of a certificate authority of one's own.
        ca_file: Option<String>,
    },
    /// A folder that a mail server on the daemon's machine delivers to.
    Maildir {
        /// The folder that holds `new` and `cur`.
        path: String,
    },
    /// Mail is pushed.
    Push {},
}

/// How answers leave.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = MailboxDelivery)]
pub enum DeliveryView {
    /// An SMTP server.
    Smtp {
        /// Name or address.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is secured.
        security: Security,
        /// The login name; without one there is no login.
        username: Option<String>,
        /// What opens it.
        auth: AuthMethod,
        /// A password is kept. It never comes back.
        has_password: bool,
        /// PEM file of a certificate authority of one's own.
        ca_file: Option<String>,
    },
    /// Nothing leaves; what would have is kept to be looked at.
    Sink {},
}

impl MailboxView {
    /// A mailbox, and which of its passwords are kept.
    pub fn new(mailbox: Mailbox, has: HasPasswords) -> Self {
        Self {
            id: mailbox.id,
            version: mailbox.version,
            name: mailbox.name,
            address: mailbox.address,
            aliases: mailbox.aliases,
            group: mailbox.group,
            poll_interval_seconds: mailbox.poll_interval_seconds,
            source: source(mailbox.source, has.source),
            delivery: delivery(mailbox.delivery, has.delivery),
            threading: ThreadingShape { strangers: mailbox.strangers },
            trusted_authserv_ids: mailbox.trusted_authserv_ids,
            relay_addresses: mailbox.relay_addresses,
            sent_copy: mailbox.sent_copy,
            on_uncertain: mailbox.on_uncertain,
            undo_seconds: mailbox.undo_seconds,
            paused: mailbox.paused,
            is_configured: mailbox.is_configured,
            created_at: mailbox.created_at,
            updated_at: mailbox.updated_at,
        }
    }
}

fn source(source: Source, has_password: bool) -> SourceView {
    match source {
        Source::Imap {
            host,
            port,
            security,
            username,
            auth,
            folders,
            after_ingest,
            import,
            sent_folder,
            junk_folder,
            ca_file,
        } => SourceView::Imap {
            host,
            port,
            security,
            username,
            auth,
            has_password,
            folders,
            after_ingest,
            import,
            sent_folder,
            junk_folder,
            ca_file,
        },
        Source::Maildir { path } => SourceView::Maildir { path },
        Source::Push {} => SourceView::Push {},
    }
}

fn delivery(delivery: Delivery, has_password: bool) -> DeliveryView {
    match delivery {
        Delivery::Smtp { host, port, security, username, auth, ca_file } => {
            DeliveryView::Smtp { host, port, security, username, auth, has_password, ca_file }
        }
        Delivery::Sink {} => DeliveryView::Sink {},
    }
}
