//! Access tokens: who a caller is, and what they may do.

use super::roles;
use crate::access::{Access, Grant, Level, Scope, Sight, narrowed};
use crate::actor::{Actor, ActorType, Behalf};
use crate::audit::Origin;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AgentId, MailboxId, TokenId};
use crate::keys::sha256_hex;
use crate::network::Networks;
use crate::people::{Agent, Token, TokenKind};
use crate::role::Rights;
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
    /// Only for callers from these networks, as [`Networks::read`] takes them.
    pub allowed_networks: Option<Vec<String>>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Six characters that tell a mistyped token from an unknown one without the database.
fn check(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().take(CHECK_CHARS).map(|byte| char::from(ALPHABET[usize::from(*byte) % 62])).collect()
}

/// A fresh secret: 256 random bits in base 62, with its check.
pub(super) fn fresh(prefix: &str) -> String {
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
    format!("{prefix}{secret}{check}")
}

/// Whether a text could be a secret that begins so.
pub(super) fn is_well_formed(prefix: &str, token: &str) -> bool {
    let Some(rest) = token.strip_prefix(prefix) else { return false };
    rest.len() == SECRET_CHARS + CHECK_CHARS
        && rest.is_ascii()
        && check(&rest[..SECRET_CHARS]) == rest[SECRET_CHARS..]
}

/// Who holds a token, before it is asked what they may do.
struct Holder {
    token: Token,
    agent: Option<(Agent, Rights, Vec<Grant>)>,
}

impl Desk {
    /// Who the holder of a secret is, with everything they may see and do at this moment. `origin` is where
    /// they come from.
    pub async fn authenticate(&self, secret: &str, origin: Origin) -> Result<Actor, AuthError> {
        if !is_well_formed(PREFIX, secret) {
            return Err(AuthError::Unknown);
        }
        let hash = sha256_hex(secret.as_bytes());
        self.holder(Some(origin), move |cx| Ok(store::tokens::find_by_secret(cx.conn, &hash)?)).await
    }

    /// The same caller as of now: for what goes on for a while, since a token may have been revoked
    /// or a grant taken away meanwhile. The desk itself stays what it is.
    pub async fn renew(&self, actor: &Actor) -> Result<Actor, AuthError> {
        let Some(id) = actor.token_id.clone() else { return Ok(actor.clone()) };
        let holder =
            self.holder(Some(actor.origin.clone()), move |cx| Ok(store::tokens::find(cx.conn, &id)?)).await?;
        match &actor.on_behalf_of {
            Some(behalf) => self.on_behalf(&holder, behalf.clone()).await.map_err(|error| match error {
                Error::Forbidden(_) | Error::MissingScope(_) => AuthError::Unknown,
                other => AuthError::Store(other),
            }),
            None => Ok(holder),
        }
    }

    /// Who holds a token, as of now: for work that goes on in its name when its request is long answered.
    pub async fn bearer_of(&self, id: TokenId) -> Result<Actor, AuthError> {
        self.holder(None, move |cx| Ok(store::tokens::find(cx.conn, &id)?)).await
    }

    /// `origin` is where the token came from just now; nowhere, where what it once asked for goes on.
    async fn holder(
        &self,
        origin: Option<Origin>,
        find: impl Fn(&mut Cx<'_>) -> Result<Option<Token>, Error> + Send + 'static,
    ) -> Result<Actor, AuthError> {
        let found = self
            .read(&Actor::system(), move |cx| {
                let Some(token) = find(cx)? else { return Ok(None) };
                let Some(id) = token.agent_id else { return Ok(Some(Holder { token, agent: None })) };
                let agent = agent_with_rights(cx, id)?;
                Ok(agent.map(|agent| Holder { token, agent: Some(agent) }))
            })
            .await
            .map_err(AuthError::Store)?;
        // From elsewhere a token is like one that is not there.
        let found = found.filter(|holder| {
            let Some(origin) = &origin else { return true };
            holder.token.allowed_networks.as_ref().is_none_or(|networks| networks.allow(origin.address))
        });
        let Some(Holder { token, agent }) = found else { return Err(AuthError::Unknown) };
        let now = self.now();
        if token.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthError::Expired);
        }
        let idle_since = now.minus(self.settings().sign_in.idle);
        if token.kind == TokenKind::Session && token.last_used_at.unwrap_or(token.created_at) <= idle_since {
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
        Ok(Actor { origin: origin.unwrap_or_default(), ..actor(token, agent) })
    }

    /// The caller in somebody else's name, for one request: what may be done is what both may do.
    ///
    /// Fails where the caller may not act for others, or not for this one; it is not told why, so that nobody
    /// learns who is there.
    pub async fn on_behalf(&self, caller: &Actor, behalf: Behalf) -> Result<Actor, Error> {
        const REFUSED: Error = Error::Forbidden("you can't act in the name of this agent");
        caller.access.require(Scope::Impersonate)?;
        let id = match &behalf {
            Behalf::Agent(id) => *id,
            Behalf::Customer(_) => return Ok(as_customer(caller, behalf)),
        };
        let found = self.read(&Actor::system(), move |cx| agent_with_rights(cx, id)).await?;
        let (agent, rights, grants) = found.ok_or(REFUSED)?;
        // An owner is acted for by whoever may do as much, and by no token that was narrowed.
        let is_owner = rights.scopes.contains(&Scope::Impersonate);
        if is_owner && rights.scopes.iter().any(|scope| !caller.access.has(*scope)) {
            return Err(REFUSED);
        }
        let mut scopes = narrowed(caller.access.scopes(), &rights.scopes);
        scopes.retain(|scope| *scope != Scope::Impersonate);
        let own = (!rights.sees_all).then_some(grants);
        let sight = match (caller.access.sight(), own) {
            (Sight::All, None) => Sight::All,
            (Sight::All, Some(grants)) => Sight::Only(grants),
            (Sight::Only(theirs), None) => Sight::Only(theirs.clone()),
            (Sight::Only(theirs), Some(grants)) => Sight::Only(both(theirs, &grants)),
        };
        Ok(Actor {
            kind: ActorType::Agent,
            agent_id: Some(agent.id),
            name: agent.name,
            email: Some(agent.email),
            access: Access::new(Some(agent.id), scopes, sight),
            on_behalf_of: Some(behalf),
            ..caller.clone()
        })
    }
}

/// A customer sees nothing; what they file goes where the caller may file it.
fn as_customer(caller: &Actor, behalf: Behalf) -> Actor {
    let scopes = narrowed(caller.access.scopes(), &[Scope::ConversationsWrite]);
    let name = match &behalf {
        Behalf::Customer(address) => address.clone(),
        Behalf::Agent(_) => caller.name.clone(),
    };
    Actor {
        kind: ActorType::Token,
        agent_id: None,
        email: None,
        name,
        access: Access::new(None, scopes, caller.access.sight().clone()),
        on_behalf_of: Some(behalf),
        ..caller.clone()
    }
}

/// An agent with what their role and their grants allow; `None` where there is none, or one who has stopped.
fn agent_with_rights(cx: &mut Cx<'_>, id: AgentId) -> Result<Option<(Agent, Rights, Vec<Grant>)>, Error> {
    let Some(agent) = store::people::find_agent(cx.conn, id)?.filter(|agent| agent.disabled_at.is_none())
    else {
        return Ok(None);
    };
    let rights = roles::of_agent(cx, &agent)?;
    let grants =
        if rights.sees_all { Vec::new() } else { store::people::effective_grants(cx.conn, agent.id)? };
    Ok(Some((agent, rights, grants)))
}

/// What two lists of grants both open: the narrower of each pair in one mailbox. What is only somebody's own
/// conversations in one of them is only the agent's here.
fn both(theirs: &[Grant], own: &[Grant]) -> Vec<Grant> {
    let mut found = Vec::new();
    for grant in own {
        for other in theirs.iter().filter(|other| other.mailbox_id == grant.mailbox_id) {
            let category_id = match (grant.category_id, other.category_id) {
                (Some(one), Some(two)) if one != two => continue,
                (one, two) => one.or(two),
            };
            let narrow = Grant {
                mailbox_id: grant.mailbox_id,
                category_id,
                assigned_only: grant.assigned_only || other.assigned_only,
                level: grant.level.min(other.level),
            };
            if !found.contains(&narrow) {
                found.push(narrow);
            }
        }
    }
    found
}

/// The token's own limits and its agent's rights, whichever is narrower.
fn actor(token: Token, agent: Option<(Agent, Rights, Vec<Grant>)>) -> Actor {
    let own = token.mailbox_ids.map(|ids| ids.into_iter().map(whole).collect::<Vec<_>>());
    let (agent, scopes, grants) = match agent {
        Some((agent, rights, grants)) => {
            let scopes = narrowed(&token.scopes, &rights.scopes);
            (Some(agent), scopes, (!rights.sees_all).then_some(grants))
        }
        None => (None, token.scopes, None),
    };
    let sight = match (own, grants) {
        (None, None) => Sight::All,
        (Some(one), None) | (None, Some(one)) => Sight::Only(one),
        (Some(own), Some(grants)) => Sight::Only(both(&own, &grants)),
    };
    Actor {
        kind: if agent.is_some() { ActorType::Agent } else { ActorType::Token },
        agent_id: agent.as_ref().map(|agent| agent.id),
        token_id: Some(token.id),
        access: Access::new(agent.as_ref().map(|agent| agent.id), scopes, sight),
        name: agent.as_ref().map_or(token.name, |agent| agent.name.clone()),
        email: agent.map(|agent| agent.email),
        origin: Origin::default(),
        networks: token.allowed_networks,
        on_behalf_of: None,
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
    let networks = check_networks(cx, new, &mut faults);
    check_agent(cx, new, &mut faults)?;
    faults.check()?;

    let mut scopes = new.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let token = Token {
        id: TokenId::fresh(),
        kind: TokenKind::Token,
        name: new.name.trim().to_owned(),
        agent_id: new.agent_id,
        scopes,
        mailbox_ids: new.mailbox_ids.clone(),
        allowed_networks: networks,
        expires_at: new.expires_at,
        last_used_at: None,
        created_at: cx.now,
    };
    let secret = fresh(PREFIX);
    store::tokens::insert(cx.conn, &token, &sha256_hex(secret.as_bytes()))?;
    let event = NewEvent::new(EventType::TokenCreated, About::default())
        .with("token_id", token.id.0.clone())
        .with("name", token.name.clone());
    cx.tell(event);
    Ok((token, secret))
}

/// The networks of a new token; a caller who is bound to some gives none besides.
fn check_networks(cx: &Cx<'_>, new: &NewToken, faults: &mut Faults) -> Option<Networks> {
    let networks =
        new.allowed_networks.as_ref().map(|texts| Networks::read(texts, "/allowed_networks", faults));
    if let Some(held) = &cx.actor.networks
        && !networks.as_ref().is_some_and(|networks| networks.are_within(held))
    {
        let detail = "your own token is bound to networks; this one must be bound to some of those";
        faults.add("/allowed_networks", "not_held", detail);
    }
    networks
}

/// A token that speaks for an agent is made by whoever may do all that the agent may.
fn check_agent(cx: &mut Cx<'_>, new: &NewToken, faults: &mut Faults) -> Result<(), Error> {
    let Some(id) = new.agent_id else { return Ok(()) };
    let Some(agent) = store::people::find_agent(cx.conn, id)? else {
        faults.add("/agent_id", "not_found", "there is no such agent");
        return Ok(());
    };
    let rights = roles::of_agent(cx, &agent)?;
    if cx.actor.agent_id != Some(id) {
        roles::require_held(cx, &rights)?;
    }
    if let Some(index) = new.scopes.iter().position(|scope| *scope == Scope::Impersonate)
        && !rights.scopes.contains(&Scope::Impersonate)
    {
        faults.add(format!("/scopes/{index}"), "not_allowed", "only owners act for others");
    }
    Ok(())
}

/// Makes a session of an agent's, who has proven who they are. Its secret is in the answer and nowhere else.
pub(super) fn make_session(
    cx: &mut Cx<'_>,
    agent: &Agent,
    scopes: &[Scope],
) -> Result<(Token, String), Error> {
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    let token = Token {
        id: TokenId::fresh(),
        kind: TokenKind::Session,
        name: "session".to_owned(),
        agent_id: Some(agent.id),
        scopes,
        mailbox_ids: None,
        allowed_networks: None,
        expires_at: Some(cx.now.plus(cx.settings.sign_in.longest)),
        last_used_at: None,
        created_at: cx.now,
    };
    let secret = fresh(PREFIX);
    store::tokens::insert(cx.conn, &token, &sha256_hex(secret.as_bytes()))?;
    let origin = &cx.actor.origin;
    let address = origin.address.map(|address| address.to_string());
    store::sessions::set_origin(cx.conn, &token.id, address.as_deref(), origin.user_agent.as_deref())?;
    Ok((token, secret))
}

/// Every token there is, without secrets; sessions are their agents' business. An agent who sees the set-up and
/// changes none of it sees those that speak for them.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<Token>, Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)?;
    let mut tokens = store::tokens::list(cx.conn)?;
    if let Some(agent) = cx.actor.agent_id
        && !cx.access().has(Scope::AdminWrite)
    {
        tokens.retain(|token| token.agent_id == Some(agent));
    }
    Ok(tokens)
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
        let secret = fresh(PREFIX);
        assert_eq!(secret.len(), PREFIX.len() + SECRET_CHARS + CHECK_CHARS);
        assert!(is_well_formed(PREFIX, &secret));
        assert_ne!(secret, fresh(PREFIX));
        let mistyped = format!("{}x", &secret[..secret.len() - 1]);
        assert!(!is_well_formed(PREFIX, &mistyped) || mistyped == secret);
        for not_one in ["", " ", "pr_pat_", "pr_pat_ä", &secret[1..]] {
            assert!(!is_well_formed(PREFIX, not_one), "{not_one:?}");
        }
    }
}
