//! The beginning of an authorization: a page to open, a code to enter, or the tokens at once.

use super::complete::keep;
use super::{NewAuthorization, Sealed, check, described, seal, uses_tokens};
use crate::actor::Actor;
use crate::authorization::{Ask, AuthorizationStatus, Client, DeviceCode, GrantType, Page, Provider};
use crate::cx::Cx;
use crate::desk::{Desk, off_thread};
use crate::id::MailboxId;
use crate::keys::sha256_hex;
use crate::operations::mailboxes::manageable;
use crate::ports::AuthorizeError;
use crate::store::authorizations::Flow;
use crate::store::types::Json;
use crate::{Error, store};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// How long a person has to come back from the provider's page.
const PAGE_WAITS: Duration = Duration::from_mins(10);
/// A device code is asked about at most so long, whatever its server says.
const DEVICE_WAITS: Duration = Duration::from_hours(1);
/// Bounds of the seconds between two questions: RFC 8628 section 3.2 has 5 where none are given.
pub(super) const POLL_SECONDS: std::ops::RangeInclusive<u64> = 1..=60;

/// What a person does next.
#[derive(Clone, PartialEq, Eq)]
pub struct Started {
    /// The page to open, for `authorization_code`.
    pub authorization_url: Option<String>,
    /// The code to enter, for `device_code`.
    pub device: Option<DeviceCode>,
    /// How things stand.
    pub status: AuthorizationStatus,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Started")
    }
}

impl Desk {
    /// Begins to authorize a mailbox. `client_credentials` is through at once; the others wait for a
    /// person. What the mailbox was authorized with before stays good until then.
    pub async fn start_authorization(
        &self,
        actor: &Actor,
        id: MailboxId,
        new: NewAuthorization,
        redirect_uri: Option<String>,
    ) -> Result<Started, Error> {
        self.read(actor, move |cx| require(cx, id)).await?;
        let client = check(&new)?;
        match client.grant {
            GrantType::AuthorizationCode => self.start_page(actor, id, client, redirect_uri).await,
            GrantType::DeviceCode => self.start_device(actor, id, client).await,
            GrantType::ClientCredentials => self.start_alone(actor, id, client).await,
        }
    }

    async fn start_page(
        &self,
        actor: &Actor,
        id: MailboxId,
        client: Client,
        redirect_uri: Option<String>,
    ) -> Result<Started, Error> {
        let redirect_uri = redirect_uri.ok_or_else(|| {
            // Google gives no mail to a device (its list of scopes for devices).
            let or = if client.provider == Provider::Google { "" } else { ", or use device_code" };
            Error::StateConflict(format!(
                "the provider must send people back here, and server.public_url is not set: set it in the \
                 daemon's configuration{or}"
            ))
        })?;
        let (state, verifier) = (random(), random());
        let page = Page { state: &state, verifier: &verifier, redirect_uri: &redirect_uri };
        let url = self.ports().authorizer.page(&client, &page).map_err(told)?;
        let status = self
            .write(actor, move |cx| {
                require(cx, id)?;
                let begun = Flow {
                    state_hash: Some(sha256_hex(state.as_bytes())),
                    redirect_uri: Some(redirect_uri.clone()),
                    expires_at: cx.now.plus(PAGE_WAITS),
                    ..flow(cx, id, &client, &verifier)
                };
                store::authorizations::begin_flow(cx.conn, &begun)?;
                described(cx, id)
            })
            .await?;
        Ok(Started { authorization_url: Some(url), device: None, status })
    }

    async fn start_device(&self, actor: &Actor, id: MailboxId, client: Client) -> Result<Started, Error> {
        let authorizer = self.ports().authorizer.clone();
        let asking = client.clone();
        let device = off_thread(move || authorizer.device(&asking).map_err(told)).await?;
        let code = device.clone();
        let status = self
            .write(actor, move |cx| {
                require(cx, id)?;
                let seconds = code.interval.as_secs().clamp(*POLL_SECONDS.start(), *POLL_SECONDS.end());
                let begun = Flow {
                    poll_seconds: Some(seconds as i32),
                    next_poll_at: Some(cx.now.plus(Duration::from_secs(seconds))),
                    expires_at: cx.now.plus(code.expires_in.min(DEVICE_WAITS)),
                    ..flow(cx, id, &client, &code.device_code)
                };
                store::authorizations::begin_flow(cx.conn, &begun)?;
                // The worker that asks about it learns when.
                cx.wake();
                described(cx, id)
            })
            .await?;
        Ok(Started { authorization_url: None, device: Some(device), status })
    }

    async fn start_alone(&self, actor: &Actor, id: MailboxId, client: Client) -> Result<Started, Error> {
        let authorizer = self.ports().authorizer.clone();
        let asking = client.clone();
        let tokens = off_thread(move || authorizer.token(&asking, &Ask::Client).map_err(told)).await?;
        let status = self
            .write(actor, move |cx| {
                require(cx, id)?;
                keep(cx, id, &client, &tokens)?;
                described(cx, id)
            })
            .await?;
        Ok(Started { authorization_url: None, device: None, status })
    }
}

/// The caller may set the mailbox up, and it is one that tokens are for.
fn require(cx: &mut Cx<'_>, id: MailboxId) -> Result<(), Error> {
    let mailbox = manageable(cx, id)?;
    if uses_tokens(&mailbox) {
        return Ok(());
    }
    Err(Error::StateConflict(
        "this mailbox logs in nowhere by token; set \"auth\": \"oauth2\" in its source or delivery first"
            .to_owned(),
    ))
}

fn flow(cx: &Cx<'_>, id: MailboxId, client: &Client, secret: &str) -> Flow {
    let client_secret = client.client_secret.as_deref();
    Flow {
        mailbox_id: id,
        token: random(),
        provider: client.provider,
        grant_type: client.grant,
        client_id: client.client_id.clone(),
        client_secret: client_secret.map(|secret| seal(cx, Sealed::FlowClientSecret, id, secret)),
        tenant: client.tenant.clone(),
        scopes: Json::new(client.scopes.clone()),
        secret: seal(cx, Sealed::FlowSecret, id, secret),
        state_hash: None,
        redirect_uri: None,
        poll_seconds: None,
        next_poll_at: None,
        expires_at: cx.now,
        last_error: None,
    }
}

/// 256 random bits in 43 characters: what RFC 7636 section 4.1 asks of a verifier.
fn random() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether a text could be one of those.
pub(super) fn is_random(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// A provider's no, for the caller who asked.
pub(super) fn told(error: AuthorizeError) -> Error {
    match error {
        AuthorizeError::Unavailable(_) => Error::Provider(error.to_string()),
        _ => Error::StateConflict(error.to_string()),
    }
}
