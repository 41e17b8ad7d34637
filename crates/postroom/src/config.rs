//! The configuration: a file under environment variables, every setting with a default.
//!
//! This is the only place that reads the environment.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod mailbox;
mod mistakes;
mod secret;
mod sign_in;
mod webhooks;
pub use mailbox::ConfiguredMailbox;
pub use sign_in::SignIn;
pub use webhooks::Webhooks;

/// Everything that can be set. See `config/postroom.toml` for what each setting is for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the API is reached.
    pub server: Server,
    /// Where things are kept.
    pub storage: Storage,
    /// Where the desk is remembered.
    pub database: Database,
    /// What the daemon says.
    pub log: Log,
    /// What is too much.
    pub limits: Limits,
    /// How mail comes in.
    pub ingest: Ingest,
    /// How long things stay.
    pub keep: Keep,
    /// Providers that mailboxes are authorized by.
    pub oauth: Oauth,
    /// What the desk itself writes to those who run it.
    pub notices: Notices,
    /// How much automatic mail leaves before it is held.
    pub automatic: Automatic,
    /// Where webhooks may be.
    pub webhooks: Webhooks,
    /// How people sign in by password.
    pub sign_in: SignIn,
    /// Mailboxes that are set up here rather than through the API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mailboxes: Vec<ConfiguredMailbox>,
}

/// How the API is reached.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where people and programs reach the API from outside; links are built from it alone.
    pub public_url: Option<url::Url>,
    /// A reverse proxy in front speaks TLS: allows a public address without TLS of our own.
    pub behind_proxy: bool,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Origins of other sites: their scripts may call the API, their pages show what signed links
    /// open, in frames and as images. 100 at most.
    pub cors_origins: Vec<String>,
    /// Threads that answer requests.
    pub workers: usize,
    /// TLS of our own.
    pub tls: Option<Tls>,
}

/// Providers that mailboxes are authorized by (OAuth 2), besides Google and Microsoft.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oauth {
    /// Where the provider `custom` is asked.
    pub custom: Option<OauthEndpoints>,
}

/// Where a provider is asked. Client secrets and tokens go there.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OauthEndpoints {
    /// The page that people are sent to.
    pub authorization_url: url::Url,
    /// The token server.
    pub token_url: url::Url,
    /// Where device codes come from.
    #[serde(default)]
    pub device_url: Option<url::Url>,
}

impl OauthEndpoints {
    fn check(&self) -> anyhow::Result<()> {
        let urls = [
            ("authorization_url", Some(&self.authorization_url)),
            ("token_url", Some(&self.token_url)),
            ("device_url", self.device_url.as_ref()),
        ];
        for (name, url) in urls {
            let Some(url) = url else { continue };
            // A server of one's own on this machine may do without TLS; no other may.
            let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
            let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
            if !is_safe || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some()
            {
                bail!("oauth.custom.{name} must be an https:// address without user, password and #");
            }
        }
        Ok(())
    }
}

/// TLS of our own.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate and what leads from it to its authority.
    pub certificate_file: PathBuf,
    /// PEM file with its private key.
    pub key_file: PathBuf,
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// The folder for the key, the SQLite database and large files.
    pub data_dir: PathBuf,
    /// The key file; `postroom.key` in the data folder if not set.
    pub key_file: Option<PathBuf>,
    /// Raw mail and uploads up to this size, compressed, lie in the database.
    pub inline_kib: usize,
    /// Where less than this is free on the disk of the data folder, or of the SQLite database, nothing
    /// new is taken: no mail is fetched, writes are answered with 507. 0 never looks.
    pub low_water_mib: u64,
    /// Where larger ones lie: `folder` or `s3`.
    pub objects: Objects,
    /// The S3 bucket.
    pub s3: Option<S3>,
}

/// Where large files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Objects {
    /// In `objects` in the data folder.
    Folder,
    /// In an S3 bucket.
    S3,
}

/// An S3 bucket, or something that speaks like one.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What every object's name begins with.
    #[serde(default)]
    pub prefix: String,
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The server, if it is not Amazon's.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Who we are there.
    pub access_key_id: String,
    /// The secret.
    #[serde(default, skip_serializing)]
    pub secret_access_key: Option<String>,
    /// A file that holds the secret.
    #[serde(default)]
    pub secret_access_key_file: Option<PathBuf>,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl S3 {
    /// The secret, from wherever it stands.
    pub fn secret(&self) -> anyhow::Result<String> {
        secret::read(
            "storage.s3.secret_access_key",
            self.secret_access_key.as_deref(),
            self.secret_access_key_file.as_deref(),
            None,
        )?
        .context("storage.s3 needs secret_access_key or secret_access_key_file")
    }
}

/// Where the desk is remembered.
#[derive(Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…`; without it SQLite in the data folder.
    #[serde(skip_serializing)]
    pub url: Option<String>,
    /// A file that holds the URL, for it holds a password.
    pub url_file: Option<PathBuf>,
    /// Connections at the most; 0 is 4 for SQLite and 10 for PostgreSQL.
    pub connections: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// What the daemon says.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `text` for people, `json` for programs.
    pub format: LogFormat,
    /// What is logged, in the words of `tracing`: `info`, `postroom=debug,info`, …
    pub level: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is too much.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A larger mail is not taken in whole: its beginning is kept.
    pub mail_mib: usize,
    /// The largest file that can be uploaded.
    pub upload_mib: usize,
    /// Requests to the API that each token may send a minute, and each address that brings none; 0
    /// bounds nobody.
    pub requests_per_minute: u32,
    /// Event streams that each token may follow at the same time.
    pub event_streams_per_token: usize,
    /// How often a mail is tried before it is put aside.
    pub ingest_tries: i32,
    /// Seconds that a question to the API may keep the database busy.
    pub query_seconds: u64,
}

/// How mail comes in.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Check the DKIM signature of a mail of whose sender no trusted server says anything.
    pub check_dkim: bool,
    /// The DNS server that is asked for keys; those of the system if not set.
    pub dns_server: Option<SocketAddr>,
    /// Wait for news where the server tells them, besides polling.
    pub idle: bool,
    /// Folders of a mailbox that are watched at the most.
    pub watched_folders: usize,
    /// Minutes that a mailbox fails before that is made known.
    pub error_after_minutes: u32,
}

/// How long things stay.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Days that the event feed goes back.
    pub events_days: u32,
    /// Hours that an upload waits for a message.
    pub uploads_hours: u32,
    /// Days in which a closed conversation is reopened by an answer; after that a new one begins.
    pub reopen_days: u32,
    /// Hours that an answer is tried before it is given up.
    pub send_hours: u32,
    /// Days that what webhooks were told, or could not be, is kept.
    pub deliveries_days: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            behind_proxy: false,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            workers: 2,
            tls: None,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/postroom"),
            key_file: None,
            inline_kib: 128,
            low_water_mib: 256,
            objects: Objects::Folder,
            s3: None,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mail_mib: 64,
            upload_mib: 25,
            requests_per_minute: 600,
            event_streams_per_token: 5,
            ingest_tries: 5,
            query_seconds: 5,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { check_dkim: true, dns_server: None, idle: true, watched_folders: 5, error_after_minutes: 15 }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self { events_days: 90, uploads_hours: 24, reopen_days: 30, send_hours: 48, deliveries_days: 30 }
    }
}

/// What the desk itself writes to those who run it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notices {
    /// The name of the mailbox that it leaves from; without one it is any that works.
    pub mailbox: Option<String>,
}

/// How much automatic mail leaves before more of it is held for a person to decide.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Automatic {
    /// To one domain in an hour; public mail providers are not counted.
    pub domain_per_hour: u32,
    /// By one rule of a mailbox's in an hour, or five times its mean of the last week if that is more.
    pub rule_per_hour: u32,
    /// From one mailbox in an hour.
    pub mailbox_per_hour: u32,
    /// From the desk as a whole in ten minutes.
    pub desk_per_ten_minutes: u32,
}

impl Default for Automatic {
    fn default() -> Self {
        let usual = postroom_core::operations::breaker::Limits::default();
        Self {
            domain_per_hour: usual.domain_hour,
            rule_per_hour: usual.rule_hour,
            mailbox_per_hour: usual.mailbox_hour,
            desk_per_ten_minutes: usual.desk_ten_minutes,
        }
    }
}

impl Ingest {
    /// Folders of a mailbox that are watched.
    pub(crate) fn watched_folders(&self) -> usize {
        if self.idle { self.watched_folders } else { 0 }
    }
}

impl Config {
    /// Reads the file, if one is named, and the environment over it, and checks the whole.
    ///
    /// Fails with one sentence that names the setting, the mistake, and the file or the variable that it
    /// stands in.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let text = file
            .map(|file| {
                std::fs::read_to_string(file)
                    .with_context(|| format!("the configuration file {} can't be read", file.display()))
            })
            .transpose()?;
        let text = text.as_deref();
        Self::read(text, None).map_err(|error| {
            let place = mistakes::place(file, &error, |only| Self::read(text, Some(only)).err());
            error.context(format!("the configuration ({place}) can't be used"))
        })
    }

    /// The text of a file and over it the environment, or only these variables of it.
    fn read(text: Option<&str>, only: Option<HashMap<String, String>>) -> anyhow::Result<Self> {
        let mut builder = config::Config::builder();
        if let Some(text) = text {
            builder = builder.add_source(config::File::from_str(text, config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix("POSTROOM")
            .prefix_separator("__")
            .separator("__")
            .list_separator(",")
            .with_list_parse_key("server.trusted_proxies")
            .with_list_parse_key("server.cors_origins")
            .with_list_parse_key("webhooks.ports")
            .with_list_parse_key("webhooks.allow_networks")
            .with_list_parse_key("webhooks.allow_hosts")
            .try_parsing(true)
            .source(only);
        let loaded: Self = builder
            .add_source(environment)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| anyhow::Error::msg(mistakes::in_words(&error)))?;
        loaded.check()?;
        Ok(loaded)
    }

    /// What can't be seen from one setting alone.
    fn check(&self) -> anyhow::Result<()> {
        let server = &self.server;
        if !server.listen.ip().is_loopback() && server.tls.is_none() && !server.behind_proxy {
            bail!(
                "server.listen is {}, which others can reach, and there is no TLS; set server.tls, \
                 or server.behind_proxy = true if a proxy in front speaks TLS, or listen on 127.0.0.1",
                server.listen
            );
        }
        range("server.workers", server.workers, 1, 64)?;
        range("storage.inline_kib", self.storage.inline_kib, 1, 16 * 1024)?;
        range(
            "storage.low_water_mib",
            usize::try_from(self.storage.low_water_mib).unwrap_or(usize::MAX),
            0,
            1024 * 1024,
        )?;
        range("limits.mail_mib", self.limits.mail_mib, 1, 256)?;
        range("limits.upload_mib", self.limits.upload_mib, 1, 256)?;
        range("limits.event_streams_per_token", self.limits.event_streams_per_token, 1, 1_000)?;
        range("limits.requests_per_minute", self.limits.requests_per_minute as usize, 0, 1_000_000)?;
        range("limits.query_seconds", self.limits.query_seconds as usize, 1, 300)?;
        range("limits.ingest_tries", usize::try_from(self.limits.ingest_tries).unwrap_or(0), 1, 100)?;
        let sign_in = &self.sign_in;
        range("sign_in.idle_hours", sign_in.idle_hours as usize, 1, 8_760)?;
        range("sign_in.longest_days", sign_in.longest_days as usize, 1, 365)?;
        range("sign_in.memory_kib", sign_in.memory_kib as usize, 19_456, 1_048_576)?;
        range("sign_in.passes", sign_in.passes as usize, 2, 16)?;
        range("sign_in.at_once", sign_in.at_once as usize, 1, 64)?;
        range("keep.events_days", self.keep.events_days as usize, 1, 3_650)?;
        range("keep.uploads_hours", self.keep.uploads_hours as usize, 1, 24 * 30)?;
        range("keep.reopen_days", self.keep.reopen_days as usize, 0, 3_650)?;
        range("keep.send_hours", self.keep.send_hours as usize, 1, 24 * 14)?;
        range("keep.deliveries_days", self.keep.deliveries_days as usize, 4, 3_650)?;
        range("webhooks.timeout_seconds", self.webhooks.timeout_seconds as usize, 1, 60)?;
        range("ingest.watched_folders", self.ingest.watched_folders, 1, 20)?;
        range("ingest.error_after_minutes", self.ingest.error_after_minutes as usize, 1, 24 * 60)?;
        let automatic = &self.automatic;
        for (name, value) in [
            ("automatic.domain_per_hour", automatic.domain_per_hour),
            ("automatic.rule_per_hour", automatic.rule_per_hour),
            ("automatic.mailbox_per_hour", automatic.mailbox_per_hour),
            ("automatic.desk_per_ten_minutes", automatic.desk_per_ten_minutes),
        ] {
            range(name, value as usize, 0, 10_000)?;
        }
        range("database.connections", self.database.connections as usize, 0, 100)?;
        range("server.cors_origins", server.cors_origins.len(), 0, 100)?;
        mistakes::check_origins(&server.cors_origins)?;
        if let Some(url) = &server.public_url
            && !matches!(url.scheme(), "http" | "https")
        {
            bail!("server.public_url must begin with https:// or http://");
        }
        if let Some(custom) = &self.oauth.custom {
            custom.check()?;
        }
        mistakes::check_level(&self.log.level)?;
        if self.storage.objects == Objects::S3 && self.storage.s3.is_none() {
            bail!("storage.objects is \"s3\" but storage.s3 is not set");
        }
        if self.database.url.is_some() && self.database.url_file.is_some() {
            bail!("database.url and database.url_file are both set; one is enough");
        }
        Ok(())
    }

    /// The URL of the database, from wherever it stands.
    pub fn database_url(&self) -> anyhow::Result<postroom_core::store::conn::DatabaseUrl> {
        use postroom_core::store::conn::DatabaseUrl;
        let set = secret::read(
            "database.url",
            self.database.url.as_deref(),
            self.database.url_file.as_deref(),
            None,
        )?;
        match set {
            Some(url) => DatabaseUrl::parse(&url).map_err(anyhow::Error::msg),
            None => Ok(DatabaseUrl::Sqlite(self.storage.data_dir.join("postroom.db"))),
        }
    }

    /// Where the key is.
    pub fn key_file(&self) -> PathBuf {
        let set = self.storage.key_file.clone();
        set.unwrap_or_else(|| self.storage.data_dir.join("postroom.key"))
    }
}

/// A variable of the environment that is no setting: a password that is asked for once.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The variables of the environment whose names begin so.
fn variables(prefix: &str) -> Vec<(String, String)> {
    let mut all: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    all.sort();
    all
}

/// Whether a word stands in the command line.
pub(crate) fn is_on_command_line(word: &str) -> bool {
    std::env::args_os().any(|argument| argument == word)
}

fn range(name: &str, value: usize, least: usize, most: usize) -> anyhow::Result<()> {
    if !(least..=most).contains(&value) {
        bail!("{name} is {value}; it must be {least} to {most}");
    }
    Ok(())
}
