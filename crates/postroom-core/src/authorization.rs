//! What a mailbox was authorized for by OAuth 2 (RFC 6749): who grants it, to which program, and
//! what is known of it now. Tokens stand apart, sealed.

use crate::mailbox::End;
use crate::time::Timestamp;
use crate::word::words;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

words! {
    /// Who keeps the account. Where its token server is follows from this alone.
    pub enum Provider {
        /// Gmail and Google Workspace.
        Google = "google",
        /// Microsoft 365 and Outlook.
        Microsoft = "microsoft",
        /// Another one, whose addresses stand in the daemon's configuration.
        Custom = "custom",
    }

    /// How the provider is asked.
    pub enum GrantType {
        /// A person opens a page, agrees and is sent back (RFC 6749 section 4.1, with RFC 7636).
        AuthorizationCode = "authorization_code",
        /// A person opens a page anywhere and enters a code (RFC 8628).
        DeviceCode = "device_code",
        /// The program asks for itself (RFC 6749 section 4.4): Microsoft 365, with an
        /// administrator's consent.
        ClientCredentials = "client_credentials",
    }

    /// Whether a mailbox may be logged in to.
    pub enum AuthorizationState {
        /// It may.
        Authorized = "authorized",
        /// Somebody must authorize it, for the first time or again.
        NeedsAuthorization = "needs_authorization",
    }
}

/// The program that asks, as the provider knows it. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// Whom it asks.
    pub provider: Provider,
    /// How it asks.
    pub grant: GrantType,
    /// Its name at the provider.
    pub client_id: String,
    /// Its password there, if it has one.
    pub client_secret: Option<String>,
    /// The organisation at Microsoft.
    pub tenant: Option<String>,
    /// What it asks for.
    pub scopes: Vec<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("provider", &self.provider)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// What a token server gave. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Opens the login.
    pub access_token: String,
    /// Gets the next one; left out where the one there is stays good.
    pub refresh_token: Option<String>,
    /// How long the access token is good for, where the server says so.
    pub expires_in: Option<Duration>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// What a device flow begins with (RFC 8628 section 3.2). `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// What the token server is asked with; a secret.
    pub device_code: String,
    /// What the person enters.
    pub user_code: String,
    /// Where they enter it.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// How long the code is good for.
    pub expires_in: Duration,
    /// How long to wait between two questions at least.
    pub interval: Duration,
}

impl std::fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceCode")
    }
}

/// What a token server is asked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// The code that came with a person who was sent back.
    Code {
        /// The code.
        code: &'a str,
        /// What the challenge was made from (RFC 7636).
        verifier: &'a str,
        /// Where they were sent back to, as it stood in the page's address.
        redirect_uri: &'a str,
    },
    /// The device code.
    Device {
        /// The code.
        device_code: &'a str,
    },
    /// A refresh token.
    Refresh {
        /// The token.
        refresh_token: &'a str,
    },
    /// Nothing but the program itself.
    Client,
}

/// A page that a person is sent to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Comes back with the person.
    pub state: &'a str,
    /// Its hash goes along; it itself follows with the code (RFC 7636, S256).
    pub verifier: &'a str,
    /// Where the person is sent back to.
    pub redirect_uri: &'a str,
}

/// Somebody has begun to authorize a mailbox and is not through yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PendingAuthorization {
    /// How.
    pub grant: GrantType,
    /// Until when it can be completed.
    pub expires_at: Timestamp,
}

/// A server did not let the mailbox in with its password, or with a fresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoginRefusal {
    /// Which of the two servers.
    pub end: End,
    /// What it said.
    pub error: String,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

/// How a mailbox's authorization is doing. No token and no secret is ever in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuthorizationStatus {
    /// Whether the mailbox may be logged in to.
    pub state: AuthorizationState,
    /// Who grants it.
    pub provider: Provider,
    /// How it was asked for.
    pub grant: GrantType,
    /// The program's name at the provider.
    pub client_id: String,
    /// The organisation at Microsoft.
    pub tenant: Option<String>,
    /// What was asked for.
    pub scopes: Vec<String>,
    /// A client secret is kept. It never comes back.
    pub has_client_secret: bool,
    /// The access token can be renewed without anybody's help.
    pub is_renewable: bool,
    /// Until when the present access token is good; the next one is fetched before that.
    pub expires_at: Option<Timestamp>,
    /// What went wrong last with the provider, in words; `null` once it goes well.
    pub last_error: Option<String>,
    /// When the provider is asked again by itself; `null` where only a person can help, or nothing is wrong.
    pub retry_at: Option<Timestamp>,
    /// Mail servers that refused a fresh token.
    pub refusals: Vec<LoginRefusal>,
    /// Somebody has begun to authorize the mailbox and is not through yet.
    pub pending: Option<PendingAuthorization>,
}
