//! Access tokens: made, changed, ended.

use super::roles;
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AgentId, MailboxId, TokenId};
use crate::keys::sha256_hex;
use crate::network::Networks;
use crate::people::{Agent, Token, TokenKind};
use crate::time::Timestamp;
use crate::{Error, store};

mod change;
mod holder;
mod secret;
use change::of_desk;
pub use change::{LONGEST_OVERLAP, TokenChange, rotate, update};
pub use holder::{AuthError, Holder};
pub use secret::PREFIX;
pub(super) use secret::{fresh, is_well_formed};

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

/// Makes a token. Its secret is in the answer and nowhere else, ever.
///
/// A caller can't make a token that may do more than they may themselves.
pub fn create(cx: &mut Cx<'_>, new: &NewToken) -> Result<(Token, String), Error> {
    cx.access().require(Scope::AdminWrite)?;
    let networks = check(cx, new, None)?;
    let token = Token {
        id: TokenId::fresh(),
        kind: TokenKind::Token,
        name: new.name.trim().to_owned(),
        agent_id: new.agent_id,
        scopes: each(&new.scopes),
        mailbox_ids: new.mailbox_ids.clone(),
        allowed_networks: networks,
        expires_at: new.expires_at,
        last_used_at: None,
        previous_until: None,
        version: 1,
        created_at: cx.now,
    };
    let secret = fresh(PREFIX);
    store::tokens::insert(cx.conn, &token, &sha256_hex(secret.as_bytes()))?;
    cx.tell(about(&token, EventType::TokenCreated));
    Ok((token, secret))
}

/// Each scope once, in order.
fn each(scopes: &[Scope]) -> Vec<Scope> {
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn about(token: &Token, kind: EventType) -> NewEvent {
    NewEvent::new(kind, About::default())
        .with("token_id", token.id.0.clone())
        .with("name", token.name.clone())
}

/// What a token is to be, held against what the caller may give: its networks come back. `was` is the token so far,
/// where it is there already.
fn check(cx: &mut Cx<'_>, new: &NewToken, was: Option<&Token>) -> Result<Option<Networks>, Error> {
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
    let is_new_end = was.is_none_or(|was| was.expires_at != new.expires_at);
    if is_new_end && new.expires_at.is_some_and(|end| end <= cx.now) {
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
    Ok(networks)
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
    let token = Token {
        id: TokenId::fresh(),
        kind: TokenKind::Session,
        name: "session".to_owned(),
        agent_id: Some(agent.id),
        scopes: each(scopes),
        mailbox_ids: None,
        allowed_networks: None,
        expires_at: Some(cx.now.plus(cx.settings.sign_in.longest)),
        last_used_at: None,
        previous_until: None,
        version: 1,
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

/// One of them.
pub fn find(cx: &mut Cx<'_>, id: &TokenId) -> Result<Token, Error> {
    list(cx)?.into_iter().find(|token| token.id == *id).ok_or(Error::NotFound("token"))
}

/// Ends a token at once.
pub fn revoke(cx: &mut Cx<'_>, id: &TokenId) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let token = of_desk(cx, id)?;
    if store::tokens::revoke(cx.conn, id, cx.now)? {
        cx.tell(about(&token, EventType::TokenRevoked));
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
