//! A mailbox as callers give it: with its passwords, which go in and never come back.

use postroom_core::mailbox::{
    AfterIngest, AuthMethod, Delivery, Import, OnUncertain, Security, SentCopy, Source, Strangers,
};
use postroom_core::operations::mailboxes::NewMailbox;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds between two polls where the caller does not say.
const POLL_SECONDS: i32 = 60;

/// A mailbox to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMailbox)]
pub struct NewMailboxBody {
    /// What people call it; unique.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The address customers write to.
    address: String,
    /// Other addresses that arrive here.
    #[serde(default)]
    aliases: Vec<String>,
    /// Mailboxes of one group share their conversations: mail to two of them is one. Left out, it
    /// is a group of its own. It is chosen once.
    #[serde(default)]
    group: Option<String>,
    /// Seconds between two polls.
    #[serde(default = "poll_seconds")]
    #[schema(minimum = 5, maximum = 86_400)]
    poll_interval_seconds: i32,
    /// Where mail comes from.
    source: SourceBody,
    /// How answers leave.
    delivery: DeliveryBody,
    /// How mail finds its conversation.
    #[serde(default)]
    threading: ThreadingShape,
    /// Servers whose Authentication-Results count.
    #[serde(default)]
    trusted_authserv_ids: Vec<String>,
    /// Senders that only pass on mail of others: their Reply-To is the customer.
    #[serde(default)]
    relay_addresses: Vec<String>,
    /// Who puts a copy of what leaves into the Sent folder. `auto`: the desk, unless the provider
    /// does so by itself (Gmail, Microsoft 365).
    #[serde(default = "SentCopy::usual")]
    sent_copy: SentCopy,
    /// What becomes of an answer of which nobody knows whether it arrived, once a quarter of an hour
    /// has shown nothing.
    #[serde(default = "OnUncertain::usual")]
    on_uncertain: OnUncertain,
    /// Seconds in which an answer can be taken back before it leaves.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 600)]
    undo_seconds: i32,
    /// At rest: nobody polls it and nothing leaves from it.
    #[serde(default)]
    paused: bool,
}

fn poll_seconds() -> i32 {
    POLL_SECONDS
}

/// How mail finds its conversation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Threading)]
pub struct ThreadingShape {
    /// What happens when somebody who is not part of a conversation writes into it.
    #[serde(default = "link")]
    pub strangers: Strangers,
}

fn link() -> Strangers {
    Strangers::Link
}

impl Default for ThreadingShape {
    fn default() -> Self {
        Self { strangers: link() }
    }
}

fn inbox() -> Vec<String> {
    vec!["INBOX".to_owned()]
}

/// Where mail comes from.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = NewSource)]
pub enum SourceBody {
    /// An IMAP server.
    Imap {
        /// Name or address.
        host: String,
        /// 993 for TLS, 143 otherwise.
        #[schema(minimum = 1, maximum = 65_535)]
        port: u16,
        /// How the connection is secured; `none` to this very machine alone.
        security: Security,
        /// The login name.
        username: String,
        /// What opens it; `oauth2` needs `POST /mailboxes/{id}/oauth` once.
        #[serde(default = "AuthMethod::usual")]
        auth: AuthMethod,
        /// The password. It never comes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(write_only)]
        password: Option<String>,
        /// Folders that are read.
        #[serde(default = "inbox")]
        folders: Vec<String>,
        /// What happens to a mail on the server once it is safely here.
        #[serde(default, deserialize_with = "super::after_ingest::read")]
        after_ingest: AfterIngest,
        /// What of the mail that is there already comes in.
        #[serde(default)]
        import: Import,
        /// The folder with what agents sent with other programs: it comes in as their answers, from
        /// now on. `auto` is the one that the server names so. Left out, none is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_folder: Option<String>,
        /// The folder with what the server took for junk: it comes in as `spam`, quietly. `auto` is
        /// the one that the server names so. Left out, none is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        junk_folder: Option<String>,
        /// PEM file, on the daemon's machine, of a certificate authority of one's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<String>,
    },
    /// A folder that a mail server on the daemon's machine delivers to.
    Maildir {
        /// The folder that holds `new` and `cur`, from the root.
        path: String,
    },
    /// Mail is pushed: `POST /mailboxes/{id}/inbound`.
    Push {},
}

/// How answers leave.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = NewDelivery)]
pub enum DeliveryBody {
    /// An SMTP server.
    Smtp {
        /// Name or address.
        host: String,
        /// 465 for TLS, 587 for STARTTLS.
        #[schema(minimum = 1, maximum = 65_535)]
        port: u16,
        /// How the connection is secured; `none` to this very machine alone.
        security: Security,
        /// The login name; without one there is no login.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        /// What opens it; `oauth2` needs `POST /mailboxes/{id}/oauth` once.
        #[serde(default = "AuthMethod::usual")]
        auth: AuthMethod,
        /// The password. It never comes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(write_only)]
        password: Option<String>,
        /// PEM file, on the daemon's machine, of a certificate authority of one's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<String>,
    },
    /// Nothing leaves; what would have is kept to be looked at.
    Sink {},
}

impl SourceBody {
    /// As the core takes it: the password apart.
    pub fn split(self) -> (Source, Option<String>) {
        match self {
            Self::Imap {
                host,
                port,
                security,
                username,
                auth,
                password,
                folders,
                after_ingest,
                import,
                sent_folder,
                junk_folder,
                ca_file,
            } => (
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
                },
                password,
            ),
            Self::Maildir { path } => (Source::Maildir { path }, None),
            Self::Push {} => (Source::Push {}, None),
        }
    }
}

impl From<Source> for SourceBody {
    fn from(source: Source) -> Self {
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
            } => {
                let password = None;
                Self::Imap {
                    host,
                    port,
                    security,
                    username,
                    auth,
                    password,
                    folders,
                    after_ingest,
                    import,
                    sent_folder,
                    junk_folder,
                    ca_file,
                }
            }
            Source::Maildir { path } => Self::Maildir { path },
            Source::Push {} => Self::Push {},
        }
    }
}

impl DeliveryBody {
    /// As the core takes it: the password apart.
    pub fn split(self) -> (Delivery, Option<String>) {
        match self {
            Self::Smtp { host, port, security, username, auth, password, ca_file } => {
                (Delivery::Smtp { host, port, security, username, auth, ca_file }, password)
            }
            Self::Sink {} => (Delivery::Sink {}, None),
        }
    }
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Smtp { host, port, security, username, auth, ca_file } => {
                Self::Smtp { host, port, security, username, auth, password: None, ca_file }
            }
            Delivery::Sink {} => Self::Sink {},
        }
    }
}

// A password must not get into a log through a body that is printed.
impl std::fmt::Debug for SourceBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SourceBody")
    }
}

impl std::fmt::Debug for DeliveryBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryBody")
    }
}

impl NewMailboxBody {
    /// As the core takes it.
    pub fn read(self) -> NewMailbox {
        let (source, source_password) = self.source.split();
        let (delivery, delivery_password) = self.delivery.split();
        NewMailbox {
            name: self.name,
            address: self.address,
            aliases: self.aliases,
            group: self.group,
            poll_interval_seconds: self.poll_interval_seconds,
            source,
            source_password,
            delivery,
            delivery_password,
            strangers: self.threading.strangers,
            trusted_authserv_ids: self.trusted_authserv_ids,
            relay_addresses: self.relay_addresses,
            sent_copy: self.sent_copy,
            on_uncertain: self.on_uncertain,
            undo_seconds: self.undo_seconds,
            paused: self.paused,
        }
    }
}
