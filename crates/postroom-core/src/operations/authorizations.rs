//! Authorizing a mailbox by OAuth 2: begun by a person, completed by a provider, renewed by the
//! daemon. The network is asked between transactions, never within one.

mod begin;
mod check;
mod complete;
mod login;
mod renew;

pub use begin::Started;
pub use check::check;
pub use login::{Access, NoLogin};

use super::mailboxes::{manageable, visible};
use crate::access::Scope;
use crate::authorization::{
    AuthorizationState, AuthorizationStatus, Client, GrantType, PendingAuthorization, Provider,
};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::MailboxId;
use crate::mailbox::{Delivery, End, Mailbox, Source};
use crate::store::authorizations::{Authorization, Flow};
use crate::{Error, store};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What a mailbox is to be authorized with.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAuthorization {
    /// Who grants it.
    pub provider: Provider,
    /// How to ask.
    pub grant: GrantType,
    /// The program's name at the provider.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: Option<String>,
    /// The organisation at Microsoft; `None` is any.
    pub tenant: Option<String>,
    /// What to ask for; `None` is what reading and sending mail takes.
    pub scopes: Option<Vec<String>>,
}

impl std::fmt::Debug for NewAuthorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewAuthorization")
    }
}

/// The places that secrets are sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealed {
    ClientSecret,
    RefreshToken,
    AccessToken,
    FlowClientSecret,
    FlowSecret,
}

impl Sealed {
    fn place(self, id: MailboxId) -> String {
        match self {
            Self::ClientSecret => format!("mailbox_authorizations/{id}/client_secret"),
            Self::RefreshToken => format!("mailbox_authorizations/{id}/refresh_token"),
            Self::AccessToken => format!("mailbox_authorizations/{id}/access_token"),
            Self::FlowClientSecret => format!("authorization_flows/{id}/client_secret"),
            Self::FlowSecret => format!("authorization_flows/{id}/secret"),
        }
    }
}

fn seal(cx: &Cx<'_>, what: Sealed, id: MailboxId, secret: &str) -> Vec<u8> {
    cx.keys.seal(&what.place(id), secret)
}

fn open(cx: &Cx<'_>, what: Sealed, id: MailboxId, kept: &[u8]) -> Result<String, Error> {
    let opened = cx.keys.open(&what.place(id), kept);
    opened.map_err(|wrong| Error::StateConflict(format!("mailbox {id}: {wrong}; authorize it again")))
}

/// Opens all that is sealed of a mailbox's authorization, and of one that is under way; shows nothing.
///
/// # Errors
/// [`Error::StateConflict`] where something of it does not open.
pub(super) fn open_all(cx: &mut Cx<'_>, id: MailboxId) -> Result<(), Error> {
    if let Some(held) = store::authorizations::find(cx.conn, id)? {
        open_some(cx, Sealed::ClientSecret, id, held.client_secret.as_ref())?;
        open_some(cx, Sealed::RefreshToken, id, held.refresh_token.as_ref())?;
        open_some(cx, Sealed::AccessToken, id, held.access_token.as_ref())?;
    }
    if let Some(flow) = store::authorizations::flow(cx.conn, id)? {
        open_some(cx, Sealed::FlowClientSecret, id, flow.client_secret.as_ref())?;
        open(cx, Sealed::FlowSecret, id, &flow.secret)?;
    }
    Ok(())
}

fn open_some(
    cx: &Cx<'_>,
    what: Sealed,
    id: MailboxId,
    kept: Option<&Vec<u8>>,
) -> Result<Option<String>, Error> {
    kept.map(|kept| open(cx, what, id, kept)).transpose()
}

/// The program of an authorization, its secret opened.
fn client_of(cx: &Cx<'_>, held: &Authorization) -> Result<Client, Error> {
    Ok(Client {
        provider: held.provider,
        grant: held.grant_type,
        client_id: held.client_id.clone(),
        client_secret: open_some(cx, Sealed::ClientSecret, held.mailbox_id, held.client_secret.as_ref())?,
        tenant: held.tenant.clone(),
        scopes: held.scopes.clone().into_inner(),
    })
}

/// The program of a flow, its secret opened.
fn client_of_flow(cx: &Cx<'_>, flow: &Flow) -> Result<Client, Error> {
    let secret = flow.client_secret.as_ref();
    Ok(Client {
        provider: flow.provider,
        grant: flow.grant_type,
        client_id: flow.client_id.clone(),
        client_secret: open_some(cx, Sealed::FlowClientSecret, flow.mailbox_id, secret)?,
        tenant: flow.tenant.clone(),
        scopes: flow.scopes.clone().into_inner(),
    })
}

/// What a person must do, and why.
fn by_hand(mailbox: &Mailbox, why: &str) -> String {
    let (id, name) = (mailbox.id, &mailbox.name);
    format!(
        "{why}; authorize the mailbox: POST /api/v1/mailboxes/{id}/oauth, or postroom mailbox authorize {name:?}"
    )
}

/// No refused login is left alone for longer.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How long to leave a server alone that has refused so often in a row: 1 minute at first, an hour
/// at most. Providers lock accounts out over less.
fn pause_after(refusals: i32) -> Duration {
    let doublings = refusals.clamp(1, 7).unsigned_abs() - 1;
    Duration::from_secs(60_u64 << doublings).min(LONGEST_PAUSE)
}

fn about(id: MailboxId) -> About {
    About { mailbox_id: Some(id), ..About::default() }
}

fn tell_needed(cx: &mut Cx<'_>, id: MailboxId, why: &str) {
    cx.tell(NewEvent::new(EventType::MailboxNeedsAuthorization, about(id)).with("error", why));
}

fn tell_authorized(cx: &mut Cx<'_>, id: MailboxId) {
    cx.tell(NewEvent::new(EventType::MailboxAuthorized, about(id)));
}

/// Whether a mailbox logs in by token anywhere.
fn uses_tokens(mailbox: &Mailbox) -> bool {
    is_source_by_token(&mailbox.source) || is_delivery_by_token(&mailbox.delivery)
}

fn is_source_by_token(source: &Source) -> bool {
    matches!(source, Source::Imap { auth: crate::mailbox::AuthMethod::Oauth2, .. })
}

fn is_delivery_by_token(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Smtp { auth: crate::mailbox::AuthMethod::Oauth2, username: Some(_), .. })
}

fn is_by_token(mailbox: &Mailbox, end: End) -> bool {
    match end {
        End::Source => is_source_by_token(&mailbox.source),
        End::Delivery => is_delivery_by_token(&mailbox.delivery),
    }
}

/// Whether a mailbox stands still until somebody authorizes it, or until a refused login is tried
/// again; and why, where more is known than that nobody has authorized it yet.
pub(super) fn what_is_needed(cx: &mut Cx<'_>, mailbox: &Mailbox) -> Result<Option<String>, Error> {
    if !uses_tokens(mailbox) {
        return Ok(None);
    }
    let Some(held) = store::authorizations::find(cx.conn, mailbox.id)? else {
        return Ok(Some(by_hand(mailbox, "it was never authorized")));
    };
    if held.state == AuthorizationState::NeedsAuthorization {
        let why = held.last_error.unwrap_or_else(|| "the provider refused".to_owned());
        return Ok(Some(by_hand(mailbox, &why)));
    }
    let refusals = store::authorizations::refusals(cx.conn, mailbox.id)?;
    let by_token = refusals.into_iter().find(|refusal| is_by_token(mailbox, refusal.login_end));
    Ok(by_token.map(|refusal| refusal.error))
}

/// Which mailboxes [`what_is_needed`] says something of, asked for all at once.
pub(super) struct Needy {
    states: HashMap<MailboxId, AuthorizationState>,
    refused: HashSet<(MailboxId, End)>,
}

/// Looks up who is [`Needy`].
pub(super) fn needy(cx: &mut Cx<'_>) -> Result<Needy, Error> {
    let states = store::authorizations::states(cx.conn)?.into_iter().collect();
    let refused = store::authorizations::refused(cx.conn)?.into_iter().collect();
    Ok(Needy { states, refused })
}

impl Needy {
    /// Whether a mailbox stands still until somebody does something.
    pub(super) fn needs(&self, mailbox: &Mailbox) -> bool {
        uses_tokens(mailbox)
            && (self
                .states
                .get(&mailbox.id)
                .is_none_or(|state| *state == AuthorizationState::NeedsAuthorization)
                || [End::Source, End::Delivery]
                    .into_iter()
                    .any(|end| is_by_token(mailbox, end) && self.refused.contains(&(mailbox.id, end))))
    }

    /// Whether the server that a mailbox sends by refuses its password.
    pub(super) fn is_kept_from_sending(&self, mailbox: &Mailbox) -> bool {
        !is_delivery_by_token(&mailbox.delivery) && self.refused.contains(&(mailbox.id, End::Delivery))
    }
}

/// A token is bound to the servers it was given for: where one of them has changed, the
/// authorization is forgotten. Whatever else has changed, a refused login is worth another try.
pub(super) fn forget_for_new_servers(
    cx: &mut Cx<'_>,
    before: &Mailbox,
    after: &Mailbox,
) -> Result<bool, Error> {
    let source = match (&before.source, &after.source) {
        (Source::Imap { host: a, .. }, Source::Imap { host: b, .. })
            if is_source_by_token(&before.source) =>
        {
            a == b
        }
        _ => !is_source_by_token(&after.source),
    };
    let delivery = match (&before.delivery, &after.delivery) {
        (Delivery::Smtp { host: a, .. }, Delivery::Smtp { host: b, .. })
            if is_delivery_by_token(&before.delivery) =>
        {
            a == b
        }
        _ => !is_delivery_by_token(&after.delivery),
    };
    if (source || !is_source_by_token(&after.source)) && (delivery || !is_delivery_by_token(&after.delivery))
    {
        if before.source != after.source || before.delivery != after.delivery {
            store::authorizations::delete_refusals(cx.conn, after.id)?;
        }
        return Ok(false);
    }
    Ok(store::authorizations::delete(cx.conn, after.id)?)
}

/// How a mailbox's authorization is doing.
pub fn status(cx: &mut Cx<'_>, id: MailboxId) -> Result<AuthorizationStatus, Error> {
    cx.access().require(Scope::AdminRead)?;
    visible(cx, id)?;
    described(cx, id)
}

fn described(cx: &mut Cx<'_>, id: MailboxId) -> Result<AuthorizationStatus, Error> {
    let held = store::authorizations::find(cx.conn, id)?;
    let flow = store::authorizations::flow(cx.conn, id)?;
    let refusals = store::authorizations::refusals(cx.conn, id)?;
    let pending = flow
        .as_ref()
        .filter(|flow| is_open(flow) && flow.expires_at > cx.now)
        .map(|flow| PendingAuthorization { grant: flow.grant_type, expires_at: flow.expires_at });
    let flow_error = flow.as_ref().and_then(|flow| flow.last_error.clone());
    if let Some(held) = held {
        return Ok(AuthorizationStatus {
            state: held.state,
            provider: held.provider,
            grant: held.grant_type,
            is_renewable: held.refresh_token.is_some() || held.grant_type == GrantType::ClientCredentials,
            client_id: held.client_id,
            tenant: held.tenant,
            scopes: held.scopes.into_inner(),
            has_client_secret: held.client_secret.is_some(),
            expires_at: held.expires_at,
            last_error: flow_error.or(held.last_error),
            retry_at: held.retry_at,
            refusals: refusals.into_iter().map(Into::into).collect(),
            pending,
        });
    }
    let flow = flow.ok_or(Error::NotFound("authorization"))?;
    Ok(AuthorizationStatus {
        state: AuthorizationState::NeedsAuthorization,
        provider: flow.provider,
        grant: flow.grant_type,
        client_id: flow.client_id,
        tenant: flow.tenant,
        scopes: flow.scopes.into_inner(),
        has_client_secret: flow.client_secret.is_some(),
        is_renewable: false,
        expires_at: None,
        last_error: flow_error,
        retry_at: None,
        refusals: Vec::new(),
        pending,
    })
}

/// A person can still complete it.
fn is_open(flow: &Flow) -> bool {
    flow.state_hash.is_some() || flow.next_poll_at.is_some()
}

/// Forgets a mailbox's tokens and client secret. At the provider they stay good until they are
/// revoked there.
pub fn forget(cx: &mut Cx<'_>, id: MailboxId) -> Result<(), Error> {
    let mailbox = manageable(cx, id)?;
    if !store::authorizations::delete(cx.conn, id)? {
        return Err(Error::NotFound("authorization"));
    }
    if uses_tokens(&mailbox) {
        tell_needed(cx, id, "its authorization was taken away");
    }
    Ok(())
}
