//! Signing in by password, and perhaps a code, for a session.
//!
//! Whoever is not let in learns nothing: an address that nobody has, an agent without a password, a wrong one and
//! an agent who is disabled are answered alike, and each costs one reckoning of a hash. It is reckoned between two
//! transactions, a few at a time.

use super::tries::{self, Try, What};
use super::{tokens, totp};
use crate::access::Scope;
use crate::actor::{Actor, ActorType};
use crate::audit::{AuditKind, By, NewNote, Origin};
use crate::cx::Cx;
use crate::desk::{Desk, off_thread};
use crate::operations::audit;
use crate::operations::tokens::AuthError;
use crate::password::Tried;
use crate::people::{Agent, Token};
use crate::{Error, store};

/// What somebody brings.
#[derive(Clone)]
pub struct Credentials {
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// A code, where the agent signs in with one; a recovery code will do.
    pub code: Option<String>,
    /// What the session is for; `None`: all that the agent may do.
    pub scopes: Option<Vec<Scope>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// A session that has begun.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Its token.
    pub token: Token,
    /// The token's secret, shown this once.
    pub secret: String,
    /// The agent, with what they may do now.
    pub actor: Actor,
}

/// Who is at the door: nobody that is known, from somewhere.
pub(super) fn at_the_door(origin: &Origin) -> Actor {
    Actor { origin: origin.clone(), ..Actor::system() }
}

/// The agent whom a note is about, before they are let in.
pub(super) fn by(agent: Option<&Agent>) -> By {
    match agent {
        Some(agent) => {
            By { kind: ActorType::Agent, id: Some(agent.id.to_string()), name: Some(agent.name.clone()) }
        }
        None => By { kind: ActorType::System, id: None, name: None },
    }
}

enum Outcome {
    Refused,
    CodeRequired,
    In(Box<Token>, String),
}

impl Desk {
    /// Signs somebody in.
    ///
    /// Fails with [`Error::SignInFailed`] for every reason alike, with [`Error::CodeRequired`] where the
    /// password is right and a code is missing, and with [`Error::Throttled`] after five tries in vain of one
    /// account, or twenty from one network, within 15 minutes.
    pub async fn sign_in(&self, with: Credentials, origin: Origin) -> Result<SignedIn, Error> {
        let door = at_the_door(&origin);
        let (email, from, arrived) = (with.email.clone(), origin.clone(), origin.clone());
        let (made, kept) = self
            .write(&door, move |cx| {
                let made = tries::reserve(cx, What::SignIn, Some(&email), &from)?;
                let agent = find(cx, &email)?;
                let kept = match &agent {
                    Some(agent) => store::sign_in::password(cx.conn, agent.id)?,
                    None => None,
                };
                Ok((made, kept))
            })
            .await?;
        let tried = self.try_password(with.password.clone(), kept.clone()).await?;
        let outcome = self.write(&door, move |cx| finish(cx, &with, &made, kept.as_deref(), &tried)).await?;
        match outcome {
            Outcome::Refused => Err(Error::SignInFailed),
            Outcome::CodeRequired => Err(Error::CodeRequired),
            Outcome::In(token, secret) => self.signed_in(*token, secret, arrived).await,
        }
    }

    /// What a session that has just begun may do.
    pub(super) async fn signed_in(
        &self,
        token: Token,
        secret: String,
        origin: Origin,
    ) -> Result<SignedIn, Error> {
        let actor = self.authenticate(&secret, origin, None).await.map_err(|error| match error {
            AuthError::Store(error) => error,
            AuthError::Unknown | AuthError::Expired => Error::SignInFailed,
        })?;
        Ok(SignedIn { token, secret, actor })
    }

    /// Reckons one hash, in its turn and off the threads that answer.
    pub(super) async fn try_password(&self, password: String, kept: Option<String>) -> Result<Tried, Error> {
        let turn = self.passwords().turn().await?;
        let desk = self.clone();
        off_thread(move || {
            let _turn = turn;
            desk.passwords().try_one(&password, kept.as_deref())
        })
        .await
    }

    /// Hashes a new password, in its turn and off the threads that answer.
    pub(super) async fn hash_password(&self, password: String) -> Result<String, Error> {
        let turn = self.passwords().turn().await?;
        let desk = self.clone();
        off_thread(move || {
            let _turn = turn;
            desk.passwords().hash(&password)
        })
        .await
    }
}

pub(super) fn find(cx: &mut Cx<'_>, email: &str) -> Result<Option<Agent>, Error> {
    Ok(store::people::find_agent_by_email(cx.conn, &crate::text::fold_address(email))?)
}

fn finish(
    cx: &mut Cx<'_>,
    with: &Credentials,
    made: &Try,
    kept: Option<&str>,
    tried: &Tried,
) -> Result<Outcome, Error> {
    let agent = find(cx, &with.email)?;
    let now_kept = match &agent {
        Some(agent) => store::sign_in::password(cx.conn, agent.id)?,
        None => None,
    };
    let refused = |cx: &mut Cx<'_>, agent: Option<&Agent>, reason: &str| {
        audit::note(cx, NewNote::new(AuditKind::SignInFailed).with("reason", reason).by(by(agent)));
        Ok(Outcome::Refused)
    };
    let Some(agent) = agent else { return refused(cx, None, "nobody has this address") };
    let rehashed = match tried {
        _ if kept.is_none() => return refused(cx, Some(&agent), "there is no password"),
        Tried::Wrong => return refused(cx, Some(&agent), "the password is wrong"),
        Tried::Right(rehashed) => rehashed,
    };
    if agent.disabled_at.is_some() {
        return refused(cx, Some(&agent), "the agent is disabled");
    }
    if now_kept.as_deref() != kept {
        return refused(cx, Some(&agent), "the password was changed meanwhile");
    }
    match totp::check(cx, &agent, with.code.as_deref())? {
        totp::Checked::Missing => {
            // The password was right: that is no try in vain.
            tries::release(cx, made)?;
            return Ok(Outcome::CodeRequired);
        }
        totp::Checked::Wrong => return refused(cx, Some(&agent), "the code is wrong, or was used before"),
        totp::Checked::Fine => {}
    }
    tries::release(cx, made)?;
    tries::forget(cx, &agent.email)?;
    if let (Some(before), Some(after)) = (kept, rehashed) {
        store::sign_in::rehash(cx.conn, agent.id, before, after)?;
    }
    let (token, secret) = begin(cx, &agent, with.scopes.as_deref())?;
    Ok(Outcome::In(Box::new(token), secret))
}

/// Begins a session of an agent who has proven who they are.
pub(super) fn begin(
    cx: &mut Cx<'_>,
    agent: &Agent,
    scopes: Option<&[Scope]>,
) -> Result<(Token, String), Error> {
    let (token, secret) = tokens::make_session(cx, agent, scopes.unwrap_or(Scope::ALL))?;
    let note = NewNote::new(AuditKind::SignInSucceeded).with("token_id", token.id.0.clone());
    audit::note(cx, note.by(by(Some(agent))));
    Ok((token, secret))
}

/// Forgets tries that count no more, secrets that open nothing any more, and sessions that ended a month ago.
/// For the house-keeper.
pub fn expire(cx: &mut Cx<'_>) -> Result<(), Error> {
    const KEPT: std::time::Duration = std::time::Duration::from_hours(30 * 24);
    store::sign_in::delete_old(cx.conn, cx.now.minus(crate::sign_in::WINDOW), cx.now)?;
    store::sessions::delete_before(cx.conn, cx.now.minus(KEPT))?;
    Ok(())
}
