//! Access tokens: the one that is kept, or the next one, fetched by one caller alone.
//!
//! Whoever needs a new one writes down that it is being fetched, asks the provider outside of any
//! transaction, and writes the answer over the version it wrote. Others wait, in this daemon and in
//! any other on the same database, and find what the one has stored.

use super::complete::life;
use super::{Sealed, by_hand, client_of, open, open_some, pause_after, seal, tell_authorized, tell_needed};
use crate::actor::Actor;
use crate::authorization::{Ask, AuthorizationState, Client, GrantType, Tokens};
use crate::cx::Cx;
use crate::desk::Desk;
use crate::id::MailboxId;
use crate::mailbox::Mailbox;
use crate::operations::authorizations::NoLogin;
use crate::ports::AuthorizeError;
use crate::store::authorizations::Authorization;
use crate::text::one_line;
use crate::{Error, store};
use std::time::Duration;

/// How long one caller may fetch a token before another takes over: the token server's own time
/// limit is 30 s.
const CLAIM: Duration = Duration::from_secs(40);
/// How often a caller who waits for another looks again, and how many times.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 450;

/// What there is to do for somebody who needs an access token.
enum Next {
    /// This one is good.
    Use(String),
    /// Somebody fetches one.
    Wait,
    /// It is the caller's to fetch one.
    Fetch(Box<Claim>),
    /// There will be none until a person has helped, or a time has come.
    Never(String),
}

/// A token that is the caller's to fetch.
struct Claim {
    mailbox: Mailbox,
    /// As it stands in the store now.
    held: Authorization,
    client: Client,
    refresh_token: Option<String>,
    /// Still good, should the provider be out of reach.
    in_reserve: Option<String>,
}

impl Desk {
    /// An access token for a mailbox; `rejected` is one that a server did not take, which is then
    /// not given again. Blocks, at most for the time that one question to the provider may take.
    pub(super) fn access_token_here(&self, id: MailboxId, rejected: Option<&str>) -> Result<String, NoLogin> {
        let system = Actor::system();
        if rejected.is_none()
            && let Some(token) = self.read_here(&system, |cx| fresh(cx, id))?
        {
            return Ok(token);
        }
        for _ in 0..LOOKS {
            match self.write_here(&system, |cx| next(cx, id, rejected))? {
                Next::Use(token) => return Ok(token),
                Next::Never(why) => return Err(NoLogin::Needed(why)),
                Next::Wait => std::thread::sleep(LOOK),
                Next::Fetch(claim) => {
                    let answer = self.ask(&claim);
                    if let Some(done) = self.write_here(&system, |cx| write_down(cx, &claim, &answer))? {
                        return done;
                    }
                    // Somebody authorized the mailbox anew in the meantime: their token counts.
                }
            }
        }
        Err(NoLogin::Later("another daemon fetches an access token and does not come to an end".to_owned()))
    }

    fn ask(&self, claim: &Claim) -> Result<Tokens, AuthorizeError> {
        let ask = match (&claim.refresh_token, claim.held.grant_type) {
            (_, GrantType::ClientCredentials) => Ask::Client,
            (Some(refresh_token), _) => Ask::Refresh { refresh_token },
            (None, _) => {
                let said = "the provider gave no refresh token, and the access token has run out".to_owned();
                return Err(AuthorizeError::Refused { code: "invalid_grant".to_owned(), said });
            }
        };
        self.ports().authorizer.token(&claim.client, &ask)
    }
}

/// The kept token, where nothing speaks against it.
fn fresh(cx: &mut Cx<'_>, id: MailboxId) -> Result<Option<String>, Error> {
    let Some(held) = store::authorizations::find(cx.conn, id)? else { return Ok(None) };
    if held.state != AuthorizationState::Authorized || held.refresh_at.is_none_or(|at| at <= cx.now) {
        return Ok(None);
    }
    open_some(cx, Sealed::AccessToken, id, held.access_token.as_ref())
}

fn next(cx: &mut Cx<'_>, id: MailboxId, rejected: Option<&str>) -> Result<Next, Error> {
    let mailbox = store::mailboxes::find(cx.conn, id)?.ok_or(Error::NotFound("mailbox"))?;
    let Some(held) = store::authorizations::find(cx.conn, id)? else {
        return Ok(Next::Never(by_hand(&mailbox, "it was never authorized")));
    };
    if held.state == AuthorizationState::NeedsAuthorization && held.retry_at.is_none_or(|at| at > cx.now) {
        let why = held.last_error.as_deref().unwrap_or("the provider refused");
        return Ok(Next::Never(by_hand(&mailbox, why)));
    }
    let kept = open_some(cx, Sealed::AccessToken, id, held.access_token.as_ref())?;
    let kept = kept.filter(|token| Some(token.as_str()) != rejected);
    let is_good = |until: Option<crate::time::Timestamp>| until.is_some_and(|until| until > cx.now);
    if held.state == AuthorizationState::Authorized
        && is_good(held.refresh_at)
        && let Some(token) = kept
    {
        return Ok(Next::Use(token));
    }
    let in_reserve = kept.filter(|_| is_good(held.expires_at));
    if is_good(held.claimed_until) {
        // The present one still opens logins while the next is on its way.
        return Ok(in_reserve.map_or(Next::Wait, Next::Use));
    }
    let claimed =
        Authorization { claimed_until: Some(cx.now.plus(CLAIM)), version: held.version + 1, ..held.clone() };
    if !store::authorizations::update(cx.conn, held.version, &claimed)? {
        return Ok(Next::Wait);
    }
    let refresh_token = claimed.refresh_token.as_ref();
    Ok(Next::Fetch(Box::new(Claim {
        client: client_of(cx, &claimed)?,
        refresh_token: refresh_token.map(|kept| open(cx, Sealed::RefreshToken, id, kept)).transpose()?,
        held: claimed,
        mailbox,
        in_reserve,
    })))
}

/// Writes down what the provider answered. `None`: the authorization is another one by now.
fn write_down(
    cx: &mut Cx<'_>,
    claim: &Claim,
    answer: &Result<Tokens, AuthorizeError>,
) -> Result<Option<Result<String, NoLogin>>, Error> {
    let id = claim.mailbox.id;
    let was = claim.held.state;
    let mut after = Authorization {
        claimed_until: None,
        version: claim.held.version + 1,
        updated_at: cx.now,
        ..claim.held.clone()
    };
    let done = match answer {
        Ok(tokens) => {
            let (expires_at, refresh_at) = life(cx.now, tokens);
            after.state = AuthorizationState::Authorized;
            after.access_token = Some(seal(cx, Sealed::AccessToken, id, &tokens.access_token));
            // Microsoft gives a new one each time, Google seldom: the old one stays good then.
            if let Some(refresh_token) = &tokens.refresh_token {
                after.refresh_token = Some(seal(cx, Sealed::RefreshToken, id, refresh_token));
            }
            (after.expires_at, after.refresh_at) = (Some(expires_at), Some(refresh_at));
            (after.last_error, after.failures, after.retry_at) = (None, 0, None);
            Ok(tokens.access_token.clone())
        }
        Err(error @ AuthorizeError::Refused { code, .. }) => {
            let why = one_line(&error.to_string(), 500);
            after.state = AuthorizationState::NeedsAuthorization;
            after.failures = claim.held.failures.saturating_add(1);
            after.retry_at = Some(cx.now.plus(pause_after(after.failures)));
            if code == "invalid_grant" {
                // Spent for ever (RFC 6749 section 5.2): asking again could only look like an attack.
                (after.refresh_token, after.access_token, after.retry_at) = (None, None, None);
            }
            let told = by_hand(&claim.mailbox, &why);
            after.last_error = Some(why);
            Err(NoLogin::Needed(told))
        }
        Err(error) => {
            let why = one_line(&error.to_string(), 500);
            after.last_error = Some(why.clone());
            claim.in_reserve.clone().ok_or(NoLogin::Later(why))
        }
    };
    if !store::authorizations::update(cx.conn, claim.held.version, &after)? {
        return Ok(None);
    }
    match (was, after.state) {
        (AuthorizationState::Authorized, AuthorizationState::NeedsAuthorization) => {
            tell_needed(cx, id, after.last_error.as_deref().unwrap_or_default());
        }
        (AuthorizationState::NeedsAuthorization, AuthorizationState::Authorized) => tell_authorized(cx, id),
        _ => {}
    }
    Ok(Some(done))
}
