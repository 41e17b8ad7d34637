//! Access tokens: who a caller is, and what they may do.

use crate::access::{Access, Grant, Level, Role, Scope, Sight};
use crate::actor::{Actor, ActorType};
use crate::audit::Origin;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AgentId, MailboxId, TokenId};
use crate::keys::sha256_hex;
use crate::people::{Agent, Token};
use crate::time::Timestamp;
use crate::{Error, store};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How a token begins, so that scanners know a leaked one.
pub const PREFIX: &str = "pr_pat_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// Why a secret opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Nobody has this token, or no longer.
    #[error("the token is not known")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It could not be looked up.
    #[error("the token could not be looked up")]
    Store(#[source] Error),
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// Whom it speaks for.
    pub agent_id: Option<AgentId>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Only in these mailboxes.
    pub mailbox_ids: Option<Vec<MailboxId>>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Six characters that tell a mistyped token from an unknown one without the database.
fn check(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().take(CHECK_CHARS).map(|byte| char::from(ALPHABET[usize::from(*byte) % 62])).collect()
}

/// A fresh secret: 256 random bits in base 62, with its check.
fn fresh_secret() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    let mut digits = Vec::with_capacity(SECRET_CHARS);
    for _ in 0..SECRET_CHARS {
        let mut rest = 0_u32;
        for byte in &mut bytes {
            let value = (rest << 8) | u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        digits.push(char::from(ALPHABET[rest as usize]));
    }
    let secret: String = digits.into_iter().collect();
    let check = check(&secret);
    format!("{PREFIX}{secret}{check}")
}

fn is_well_formed(token: &str) -> bool {
    let Some(rest) = token.strip_prefix(PREFIX) else { return false };
    rest.len() == SECRET_CHARS + CHECK_CHARS
        && rest.is_ascii()
        && check(&rest[..SECRET_CHARS]) == rest[SECRET_CHARS..]
}

impl Desk {
    /// Who the holder of a secret is, with everything they may see and do at this moment.
    pub async fn authenticate(&self, secret: &str) -> Result<Actor, AuthError> {
        if !is_well_formed(secret) {
            return Err(AuthError::Unknown);
        }
        let hash = sha256_hex(secret.as_bytes());
        self.holder(move |cx| Ok(store::tokens::find_by_secret(cx.conn, &hash)?)).await
    }

    /// The same caller as of now: for what goes on for a while, since a token may have been revoked
    /// or a grant taken away meanwhile. The desk itself stays what it is.
    pub async fn renew(&self, actor: &Actor) -> Result<Actor, AuthError> {
        match actor.token_id.clone() {
            Some(id) => {
                let found = self.bearer_of(id).await;
                found.map(|renewed| Actor { origin: actor.origin.clone(), ..renewed })
            }
            None => Ok(actor.clone()),
        }
    }

    /// Who holds a token, as of now: for work that goes on in its name when its request is long answered.
    pub async fn bearer_of(&self, id: TokenId) -> Result<Actor, AuthError> {
        self.holder(move |cx| Ok(store::tokens::find(cx.conn, &id)?)).await
    }

    async fn holder(
        &self,
        find: impl Fn(&mut Cx<'_>) -> Result<Option<Token>, Error> + Send + 'static,
    ) -> Result<Actor, AuthError> {
        let found = self
            .read(&Actor::system(), move |cx| {
                let Some(token) = find(cx)? else { return Ok(None) };
                let agent = match token.agent_id {
                    Some(id) => store::people::find_agent(cx.conn, id)?,
                    None => None,
                };
                if agent.as_ref().is_some_and(|agent| agent.disabled_at.is_some()) {
                    return Ok(None);
                }
                let grants = match &agent {
                    Some(agent) if agent.role == Role::Agent => {
                        Some(store::people::effective_grants(cx.conn, agent.id)?)
                    }
                    _ => None,
                };
                Ok(Some((token, agent, grants)))
            })
            .await
            .map_err(AuthError::Store)?;
        let Some((token, agent, grants)) = found else { return Err(AuthError::Unknown) };
        let now = self.now();
        if token.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthError::Expired);
        }
        if token.last_used_at.is_none_or(|used| used.plus(Duration::from_secs(60)) <= now) {
            let id = token.id.clone();
            let touched =
                self.write(&Actor::system(), move |cx| Ok(store::tokens::touch(cx.conn, &id, cx.now)?)).await;
            // Who only reads is let in where nothing can be written: a full disk, another process' lock.
            if let Err(error) = touched {
                tracing::warn!(error = ?error, "when a token was last used could not be written down");
            }
        }
        Ok(actor(token, agent, grants))
    }
}

/// The token's own limits and its agent's grants, whichever is narrower.
fn actor(token: Token, agent: Option<Agent>, grants: Option<Vec<Grant>>) -> Actor {
    let sight = match (&token.mailbox_ids, grants) {
        (None, None) => Sight::All,
        (Some(ids), None) => Sight::Only(ids.iter().map(|id| whole(*id)).collect()),
        (None, Some(grants)) => Sight::Only(grants),
        (Some(ids), Some(grants)) => {
            Sight::Only(grants.into_iter().filter(|grant| ids.contains(&grant.mailbox_id)).collect())
        }
    };
    let mut scopes = token.scopes;
    if agent.as_ref().is_some_and(|agent| agent.role == Role::Agent) {
        scopes.retain(|scope| !matches!(scope, Scope::AdminRead | Scope::AdminWrite | Scope::WebhooksManage));
    }
    let access = Access::new(agent.as_ref().map(|agent| agent.id), scopes, sight);
    Actor {
        kind: if agent.is_some() { ActorType::Agent } else { ActorType::Token },
        agent_id: agent.as_ref().map(|agent| agent.id),
        token_id: Some(token.id),
        name: agent.as_ref().map_or(token.name, |agent| agent.name.clone()),
        email: agent.map(|agent| agent.email),
        access,
        origin: Origin::default(),
    }
}

fn whole(mailbox_id: MailboxId) -> Grant {
    Grant { mailbox_id, category_id: None, assigned_only: false, level: Level::Manage }
}

/// Makes a token. Its secret is in the answer and nowhere else, ever.
///
/// A caller can't make a token that may do more than they may themselves.
pub fn create(cx: &mut Cx<'_>, new: &NewToken) -> Result<(Token, String), Error> {
    cx.access().require(Scope::AdminWrite)?;
    let mut faults = Faults::default();
    faults.line("/name", &new.name, 200);
    if new.scopes.is_empty() {
        faults.add("/scopes", "required", "name at least one scope; a token without any could do nothing");
    }
    for (index, scope) in new.scopes.iter().enumerate() {
        if !cx.access().has(*scope) {
            faults.add(format!("/scopes/{index}"), "not_held", format!("you do not hold {scope} yourself"));
        }
    }
    if new.expires_at.is_some_and(|end| end <= cx.now) {
        faults.add("/expires_at", "in_the_past", "must be in the future");
    }
    match &new.mailbox_ids {
        Some(ids) if ids.is_empty() => {
            faults.add("/mailbox_ids", "required", "name at least one mailbox, or leave it out for all");
        }
        Some(ids) => {
            for (index, id) in ids.iter().enumerate() {
                if !cx.access().sees_mailbox(*id) || store::mailboxes::find(cx.conn, *id)?.is_none() {
                    faults.add(format!("/mailbox_ids/{index}"), "not_found", "there is no such mailbox");
                }
            }
        }
        None if !cx.access().sees_all() => {
            faults.add(
                "/mailbox_ids",
                "required",
                "your own token is narrowed to mailboxes; so must this one be",
            );
        }
        None => {}
    }
    if let Some(agent) = new.agent_id
        && store::people::find_agent(cx.conn, agent)?.is_none()
    {
        faults.add("/agent_id", "not_found", "there is no such agent");
    }
    faults.check()?;

    let mut scopes = new.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let token = Token {
        id: TokenId::fresh(),
        name: new.name.trim().to_owned(),
        agent_id: new.agent_id,
        scopes,
        mailbox_ids: new.mailbox_ids.clone(),
        expires_at: new.expires_at,
        last_used_at: None,
        created_at: cx.now,
    };
    let secret = fresh_secret();
    store::tokens::insert(cx.conn, &token, &sha256_hex(secret.as_bytes()))?;
    let event = NewEvent::new(EventType::TokenCreated, About::default())
        .with("token_id", token.id.0.clone())
        .with("name", token.name.clone());
    cx.tell(event);
    Ok((token, secret))
}

/// Every token there is, without secrets.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<Token>, Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)?;
    Ok(store::tokens::list(cx.conn)?)
}

/// Ends a token at once.
pub fn revoke(cx: &mut Cx<'_>, id: &TokenId) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let token = store::tokens::find(cx.conn, id)?.ok_or(Error::NotFound("token"))?;
    if store::tokens::revoke(cx.conn, id, cx.now)? {
        let event = NewEvent::new(EventType::TokenRevoked, About::default())
            .with("token_id", token.id.0)
            .with("name", token.name);
        cx.tell(event);
    }
    Ok(())
}

/// What belongs to the whole desk is for those who see all of it.
pub(super) fn require_whole_sight(cx: &Cx<'_>) -> Result<(), Error> {
    if cx.access().sees_all() {
        Ok(())
    } else {
        Err(Error::Forbidden("this belongs to the whole desk, and your access is narrowed to some mailboxes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_carries_its_check() {
        let secret = fresh_secret();
        assert_eq!(secret.len(), PREFIX.len() + SECRET_CHARS + CHECK_CHARS);
        assert!(is_well_formed(&secret));
        assert_ne!(secret, fresh_secret());
        let mistyped = format!("{}x", &secret[..secret.len() - 1]);
        assert!(!is_well_formed(&mistyped) || mistyped == secret);
        for not_one in ["", " ", "pr_pat_", "pr_pat_ä", &secret[1..]] {
            assert!(!is_well_formed(not_one), "{not_one:?}");
        }
    }
}
