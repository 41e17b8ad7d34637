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
    /// Somebody has to fetch one, who must claim that first.
    Due(Box<Due>),
    /// There will be none until a person has helped, or a time has come.
    Never(String),
}

/// An authorization whose token is due.
struct Due {
    held: Authorization,
    /// Still good, should the provider be out of reach.
    in_reserve: Option<String>,
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
        for _ in 0..LOOKS {
            // Whoever only waits writes nothing: a SQLite database has one writer at a time.
            let due = match self.read_here(&system, |cx| next(cx, id, rejected))? {
                Next::Use(token) => return Ok(token),
                Next::Never(why) => return Err(NoLogin::Needed(why)),
                Next::Due(due) => due,
                Next::Wait => {
                    std::thread::sleep(LOOK);
                    continue;
                }
            };
            let Some(claim) = self.write_here(&system, |cx| claim(cx, &due))? else {
                // Somebody else was first.
                continue;
            };
            let answer = self.ask(&claim);
            if let Some(done) = self.keep_answer(&claim, &answer)? {
                return done;
            }
            // Somebody authorized the mailbox anew in the meantime: their token counts.
        }
        Err(NoLogin::Later("another daemon fetches an access token and does not come to an end".to_owned()))
    }

    /// Writes down what the provider answered. Tokens come once: a provider that gives a new refresh token
    /// has taken the old one back, so a database that is busy is tried again for as long as the claim
    /// keeps everybody else away.
    fn keep_answer(
        &self,
        claim: &Claim,
        answer: &Result<Tokens, AuthorizeError>,
    ) -> Result<Option<Result<String, NoLogin>>, Error> {
        let mut left = LOOKS;
        loop {
            let error = match self.write_here(&Actor::system(), |cx| write_down(cx, claim, answer)) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            left -= 1;
            let has_ended = claim.held.claimed_until.is_none_or(|until| until <= self.now());
            if answer.is_err() || has_ended || left == 0 {
                return Err(error);
            }
            tracing::warn!(%error, mailbox = %claim.mailbox.id, "a new token could not be kept; trying again");
            std::thread::sleep(LOOK);
        }
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

/// What there is to do, as things stand.
fn next(cx: &mut Cx<'_>, id: MailboxId, rejected: Option<&str>) -> Result<Next, Error> {
    let Some(held) = store::authorizations::find(cx.conn, id)? else {
        return Ok(Next::Never(by_hand(&mailbox(cx, id)?, "it was never authorized")));
    };
    if held.state == AuthorizationState::NeedsAuthorization && held.retry_at.is_none_or(|at| at > cx.now) {
        let why = held.last_error.as_deref().unwrap_or("the provider refused");
        return Ok(Next::Never(by_hand(&mailbox(cx, id)?, why)));
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
    Ok(Next::Due(Box::new(Due { held, in_reserve })))
}

fn mailbox(cx: &mut Cx<'_>, id: MailboxId) -> Result<Mailbox, Error> {
    store::mailboxes::find(cx.conn, id)?.ok_or(Error::NotFound("mailbox"))
}

/// Writes down that the caller fetches the token. `None`: the authorization is another one by now.
fn claim(cx: &mut Cx<'_>, due: &Due) -> Result<Option<Claim>, Error> {
    let id = due.held.mailbox_id;
    let claimed = Authorization {
        claimed_until: Some(cx.now.plus(CLAIM)),
        version: due.held.version + 1,
        ..due.held.clone()
    };
    if !store::authorizations::update(cx.conn, due.held.version, &claimed)? {
        return Ok(None);
    }
    let refresh_token = claimed.refresh_token.as_ref();
    Ok(Some(Claim {
        client: client_of(cx, &claimed)?,
        refresh_token: refresh_token.map(|kept| open(cx, Sealed::RefreshToken, id, kept)).transpose()?,
        mailbox: mailbox(cx, id)?,
        held: claimed,
        in_reserve: due.in_reserve.clone(),
    }))
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
