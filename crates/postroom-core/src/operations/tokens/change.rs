//! Tokens that stay and become others: what they may be used for, and their secret.

use super::{NewToken, PREFIX, about, check, each, fresh, require_whole_sight};
use crate::access::Scope;
use crate::cx::Cx;
use crate::event::{Changes, EventType};
use crate::id::{MailboxId, TokenId};
use crate::keys::sha256_hex;
use crate::operations::{overtaken, require_version, roles};
use crate::people::{Token, TokenKind};
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// The longest time for which a secret opens beside the one that follows it.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(168);

/// What is to change of a token; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it may be used for.
    pub scopes: Option<Vec<Scope>>,
    /// Only in these mailboxes; `Some(None)` is all.
    pub mailbox_ids: Option<Option<Vec<MailboxId>>>,
    /// Only for callers from these networks; `Some(None)` is all.
    pub allowed_networks: Option<Option<Vec<String>>>,
    /// When it ends; `Some(None)` is never.
    pub expires_at: Option<Option<Timestamp>>,
}

/// Changes a token. What holds of a new one holds of what it becomes: nobody gives more than they hold.
pub fn update(
    cx: &mut Cx<'_>,
    id: &TokenId,
    expected: Option<&str>,
    change: &TokenChange,
) -> Result<Token, Error> {
    let before = changeable(cx, id)?;
    require_version("token", expected, before.etag())?;
    let texts = || before.allowed_networks.clone().map(|networks| networks.texts());
    let wanted = NewToken {
        name: change.name.clone().unwrap_or_else(|| before.name.clone()),
        agent_id: before.agent_id,
        scopes: change.scopes.clone().unwrap_or_else(|| before.scopes.clone()),
        mailbox_ids: change.mailbox_ids.clone().unwrap_or_else(|| before.mailbox_ids.clone()),
        allowed_networks: change.allowed_networks.clone().unwrap_or_else(texts),
        expires_at: change.expires_at.unwrap_or(before.expires_at),
    };
    let networks = check(cx, &wanted, Some(&before))?;
    let after = Token {
        name: wanted.name.trim().to_owned(),
        scopes: each(&wanted.scopes),
        mailbox_ids: wanted.mailbox_ids,
        allowed_networks: networks,
        expires_at: wanted.expires_at,
        ..before.clone()
    };
    if after == before {
        return Ok(before);
    }
    let written = store::tokens::update(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    let networks = |token: &Token| token.allowed_networks.clone().map(|networks| networks.texts());
    let mut changes = Changes::default();
    changes.note("name", &before.name, &written.name);
    changes.note("scopes", &before.scopes, &written.scopes);
    changes.note("mailbox_ids", &before.mailbox_ids, &written.mailbox_ids);
    changes.note("allowed_networks", &networks(&before), &networks(&written));
    changes.note("expires_at", &before.expires_at, &written.expires_at);
    cx.tell(about(&written, EventType::TokenUpdated).changing(changes));
    Ok(written)
}

/// Gives a token another secret, which is in the answer and nowhere else, ever. The one before opens for
/// `overlap` more, at most [`LONGEST_OVERLAP`]; those before it open nothing.
pub fn rotate(
    cx: &mut Cx<'_>,
    id: &TokenId,
    expected: Option<&str>,
    overlap: Duration,
) -> Result<(Token, String), Error> {
    let before = changeable(cx, id)?;
    require_version("token", expected, before.etag())?;
    if overlap > LONGEST_OVERLAP {
        let detail = format!("is at most {} hours", LONGEST_OVERLAP.as_secs() / 3_600);
        return Err(Error::invalid("/overlap_hours", "too_large", detail));
    }
    let secret = fresh(PREFIX);
    let until = (!overlap.is_zero()).then(|| cx.now.plus(overlap));
    let hash = sha256_hex(secret.as_bytes());
    let after = store::tokens::set_secret(cx.conn, &before, &hash, until)?.ok_or_else(overtaken)?;
    cx.tell(about(&after, EventType::TokenUpdated).with("secret_rotated", true));
    Ok((after, secret))
}

/// A token that the caller may change: one that may do no more than they may. Otherwise its new secret would
/// lend them what they don't hold.
fn changeable(cx: &mut Cx<'_>, id: &TokenId) -> Result<Token, Error> {
    const MORE: Error = Error::Forbidden("this token may do more than you; revoke it and make another");
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let token = of_desk(cx, id)?;
    if token.scopes.iter().any(|scope| !cx.access().has(*scope)) {
        return Err(MORE);
    }
    if let Some(held) = &cx.actor.networks
        && !token.allowed_networks.as_ref().is_some_and(|networks| networks.are_within(held))
    {
        return Err(MORE);
    }
    if let Some(agent) = token.agent_id
        && cx.actor.agent_id != Some(agent)
        && let Some(agent) = store::people::find_agent(cx.conn, agent)?
    {
        let rights = roles::of_agent(cx, &agent)?;
        roles::require_held(cx, &rights)?;
    }
    Ok(token)
}

/// One of the desk's tokens; sessions are their agents' business.
pub(super) fn of_desk(cx: &mut Cx<'_>, id: &TokenId) -> Result<Token, Error> {
    let found = store::tokens::find(cx.conn, id)?.filter(|token| token.kind == TokenKind::Token);
    found.ok_or(Error::NotFound("token"))
}
