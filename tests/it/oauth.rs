//! Mailboxes that log in by token (OAuth 2): authorized, renewed, refused, taken back; against a
//! provider, an IMAP server and an SMTP receiver that do what Google and Microsoft document.

mod busy;
mod flows;
mod secrets;
mod tokens;

use crate::mailing::*;
use postroom::Config;
use postroom::config::OauthEndpoints;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::http::Http;
use support::imap::ImapServer;
use support::mail::mail;
use support::oauth::{CLIENT_ID, CLIENT_SECRET, OauthProvider};
use support::smtp::SmtpSink;
use support::tls;

const PUBLIC_URL: &str = "https://desk.example.org/support";

/// A desk, a mailbox, and everything outside that it logs in to.
struct World {
    desk: TestDesk,
    provider: OauthProvider,
    imap: ImapServer,
    smtp: SmtpSink,
    mailbox: i64,
}

/// Sets the provider of the tests up.
fn with_provider(config: &mut Config, provider: &OauthProvider) {
    config.oauth.custom = Some(OauthEndpoints {
        authorization_url: provider.url("/authorize"),
        token_url: provider.url("/token"),
        device_url: Some(provider.url("/device")),
    });
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

impl World {
    /// Nobody has authorized the mailbox yet; the clock stands.
    async fn begin() -> Self {
        let provider = OauthProvider::start();
        let (imap, smtp) = (ImapServer::start(provider.book()), SmtpSink::start());
        smtp.accept_tokens(provider.book());
        let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |config| {
            with_provider(config, &provider);
            // Logins are counted: those of the polls alone.
            config.ingest.idle = false;
            config.server.public_url = Some(PUBLIC_URL.parse().expect("it is an address"));
        })
        .await;
        let source = json!({
            "type": "imap", "host": "127.0.0.1", "port": imap.port, "security": "none",
            "username": "support@example.org", "auth": "oauth2",
        });
        let delivery = json!({
            "type": "smtp", "host": "127.0.0.1", "port": smtp.port, "security": "starttls",
            "username": "support@example.org", "auth": "oauth2", "ca_file": tls::ca_file(),
        });
        let mailbox = add(&desk, source, delivery).await;
        Self { desk, provider, imap, smtp, mailbox }
    }

    /// Authorized through the page.
    async fn authorized() -> Self {
        let world = Self::begin().await;
        let started = world.start("authorization_code").await.expect(202).json();
        let back = world.provider.agree(started["authorization_url"].as_str().expect("a page"));
        world.come_back(&back).await.expect(200);
        world.synced().await;
        world
    }

    fn path(&self) -> String {
        format!("/api/v1/mailboxes/{}/oauth", self.mailbox)
    }

    async fn start(&self, grant: &str) -> support::http::Answer {
        let body = json!({
            "provider": "custom", "grant": grant, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "scopes": ["https://mail.google.com/", "offline_access"],
        });
        self.desk.http.post(&self.path(), &body).await
    }

    /// What a browser does that is sent back: it asks, and has no token.
    async fn come_back(&self, to: &url::Url) -> support::http::Answer {
        let path = to.path().strip_prefix("/support").expect("people come back under public_url");
        let browser = Http::new(self.desk.address());
        browser.get(&format!("{path}?{}", to.query().unwrap_or_default())).await
    }

    async fn authorization(&self) -> Value {
        self.desk.http.get(&self.path()).await.expect(200).json()
    }

    /// A poll, and how the mailbox is doing after it.
    async fn synced(&self) -> Value {
        sync(&self.desk, self.mailbox).await
    }

    /// How many logins at the IMAP server were let in and how many were not.
    fn logins(&self) -> (usize, usize) {
        let all = self.imap.logins();
        let well = all.iter().filter(|(_, is_in)| *is_in).count();
        (well, all.len() - well)
    }

    fn refreshes(&self) -> usize {
        self.provider.count("refresh_token")
    }
}
