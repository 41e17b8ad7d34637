//! Mailboxes in the configuration file: the shapes of the API, with passwords from a file, a
//! variable of the environment, or in place.

use super::secret;
use postroom_core::mailbox::{
    AfterIngest, AuthMethod, Delivery, Import, OnUncertain, Security, SentCopy, Source, Strangers,
};
use postroom_core::operations::mailboxes::NewMailbox;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A mailbox, by its name: made at start, or brought to what stands here.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredMailbox {
    /// The name; a mailbox of this name is updated.
    pub name: String,
    /// The address customers write to.
    pub address: String,
    /// Other addresses that arrive here.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Mailboxes of one group share their conversations.
    #[serde(default)]
    pub group: Option<String>,
    /// Seconds between two polls.
    #[serde(default = "minute")]
    pub poll_interval_seconds: i32,
    /// Where mail comes from.
    pub source: ConfiguredSource,
    /// How answers leave.
    pub delivery: ConfiguredDelivery,
    /// What strangers may do.
    #[serde(default)]
    pub threading: Threading,
    /// Servers whose Authentication-Results count.
    #[serde(default)]
    pub trusted_authserv_ids: Vec<String>,
    /// Senders that only pass on mail of others.
    #[serde(default)]
    pub relay_addresses: Vec<String>,
    /// `auto`, `append` or `none`.
    #[serde(default = "SentCopy::usual")]
    pub sent_copy: SentCopy,
    /// `retry_once` or `hold`.
    #[serde(default = "OnUncertain::usual")]
    pub on_uncertain: OnUncertain,
    /// Seconds in which an answer can be taken back.
    #[serde(default)]
    pub undo_seconds: i32,
    /// At rest.
    #[serde(default)]
    pub paused: bool,
}

fn minute() -> i32 {
    60
}

/// How conversations are found.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Threading {
    /// `link` or `append`.
    pub strangers: Strangers,
}

impl Default for Threading {
    fn default() -> Self {
        Self { strangers: Strangers::Link }
    }
}

/// Where a mailbox's mail comes from.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConfiguredSource {
    /// An IMAP server.
    Imap(Box<ConfiguredImap>),
    /// A folder that a mail server on this machine delivers to.
    Maildir {
        /// The folder.
        path: String,
    },
    /// Mail is pushed through the API.
    Push {},
}

/// A mailbox on an IMAP server.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredImap {
    /// Name or address.
    pub host: String,
    /// The port; what is usual if not set.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is secured.
    #[serde(default = "tls")]
    pub security: Security,
    /// The login name.
    pub username: String,
    /// What opens it: `password`, or `oauth2`, for which the mailbox is authorized once.
    #[serde(default = "AuthMethod::usual")]
    pub auth: AuthMethod,
    /// The password.
    #[serde(default, skip_serializing)]
    pub password: Option<String>,
    /// A file that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A variable of the environment that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// Folders that are read.
    #[serde(default = "inbox")]
    pub folders: Vec<String>,
    /// What happens to a mail on the server afterwards.
    #[serde(default)]
    pub after_ingest: AfterIngest,
    /// What of the mail that is there already comes in.
    #[serde(default)]
    pub import: Import,
    /// The folder with what agents sent with other programs, or `auto`.
    #[serde(default)]
    pub sent_folder: Option<String>,
    /// The folder with what the server took for junk, or `auto`.
    #[serde(default)]
    pub junk_folder: Option<String>,
    /// PEM file of a certificate authority of one's own.
    #[serde(default)]
    pub ca_file: Option<String>,
}

fn tls() -> Security {
    Security::Tls
}

fn starttls() -> Security {
    Security::StartTls
}

fn inbox() -> Vec<String> {
    vec!["INBOX".to_owned()]
}

impl std::fmt::Debug for ConfiguredSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfiguredSource")
    }
}

/// How a mailbox's answers leave.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConfiguredDelivery {
    /// An SMTP server.
    Smtp {
        /// Name or address.
        host: String,
        /// The port; what is usual if not set.
        #[serde(default)]
        port: Option<u16>,
        /// How the connection is secured.
        #[serde(default = "starttls")]
        security: Security,
        /// The login name.
        #[serde(default)]
        username: Option<String>,
        /// What opens it.
        #[serde(default = "AuthMethod::usual")]
        auth: AuthMethod,
        /// The password.
        #[serde(default, skip_serializing)]
        password: Option<String>,
        /// A file that holds the password.
        #[serde(default)]
        password_file: Option<PathBuf>,
        /// A variable of the environment that holds the password.
        #[serde(default)]
        password_env: Option<String>,
        /// PEM file of a certificate authority of one's own.
        #[serde(default)]
        ca_file: Option<String>,
    },
    /// Nothing leaves.
    Sink {},
}

impl std::fmt::Debug for ConfiguredImap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfiguredImap")
    }
}

impl std::fmt::Debug for ConfiguredDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfiguredDelivery")
    }
}

impl ConfiguredMailbox {
    /// The mailbox as the desk takes it, with its passwords read.
    pub fn resolve(&self) -> anyhow::Result<NewMailbox> {
        let (source, source_password) = self.source.resolve(&self.name)?;
        let (delivery, delivery_password) = self.delivery.resolve(&self.name)?;
        Ok(NewMailbox {
            name: self.name.clone(),
            address: self.address.clone(),
            aliases: self.aliases.clone(),
            group: self.group.clone(),
            poll_interval_seconds: self.poll_interval_seconds,
            source,
            source_password,
            delivery,
            delivery_password,
            strangers: self.threading.strangers,
            trusted_authserv_ids: self.trusted_authserv_ids.clone(),
            relay_addresses: self.relay_addresses.clone(),
            sent_copy: self.sent_copy,
            on_uncertain: self.on_uncertain,
            undo_seconds: self.undo_seconds,
            paused: self.paused,
        })
    }
}

impl ConfiguredSource {
    fn resolve(&self, mailbox: &str) -> anyhow::Result<(Source, Option<String>)> {
        Ok(match self {
            Self::Imap(imap) => {
                let source = Source::Imap {
                    host: imap.host.clone(),
                    port: imap.port.unwrap_or(imap.security.imap_port()),
                    security: imap.security,
                    username: imap.username.clone(),
                    auth: imap.auth,
                    folders: imap.folders.clone(),
                    after_ingest: imap.after_ingest.clone(),
                    import: imap.import.clone(),
                    sent_folder: imap.sent_folder.clone(),
                    junk_folder: imap.junk_folder.clone(),
                    ca_file: imap.ca_file.clone(),
                };
                let name = format!("mailbox {mailbox:?}, source.password");
                let (file, variable) = (imap.password_file.as_deref(), imap.password_env.as_deref());
                (source, secret::read(&name, imap.password.as_deref(), file, variable)?)
            }
            Self::Maildir { path } => (Source::Maildir { path: path.clone() }, None),
            Self::Push {} => (Source::Push {}, None),
        })
    }
}

impl ConfiguredDelivery {
    fn resolve(&self, mailbox: &str) -> anyhow::Result<(Delivery, Option<String>)> {
        Ok(match self {
            Self::Smtp {
                host,
                port,
                security,
                username,
                auth,
                password,
                password_file,
                password_env,
                ca_file,
            } => {
                let delivery = Delivery::Smtp {
                    host: host.clone(),
                    port: port.unwrap_or(security.smtp_port()),
                    security: *security,
                    username: username.clone(),
                    auth: *auth,
                    ca_file: ca_file.clone(),
                };
                let name = format!("mailbox {mailbox:?}, delivery.password");
                let (file, variable) = (password_file.as_deref(), password_env.as_deref());
                (delivery, secret::read(&name, password.as_deref(), file, variable)?)
            }
            Self::Sink {} => (Delivery::Sink {}, None),
        })
    }
}
