//! Who is at a conversation just now. Nothing of it is told in the event log: it is over before anybody
//! reads it there.

use super::conversations::visible;
use crate::access::Scope;
use crate::cx::Cx;
use crate::id::{AgentId, ConversationId};
use crate::presence::{Presence, PresenceState};
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// So long an agent counts as present who said so once.
pub const LASTS: Duration = Duration::from_secs(30);

/// Who is at a conversation.
pub fn list(cx: &mut Cx<'_>, id: ConversationId) -> Result<Vec<Presence>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    Ok(now(cx, id)?)
}

/// Says that the caller is at a conversation, for the next [`LASTS`]; whoever else is there comes back with
/// it. Agents alone are anywhere.
pub fn put(cx: &mut Cx<'_>, id: ConversationId, state: PresenceState) -> Result<Vec<Presence>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    let agent = agent(cx)?;
    store::presences::put(cx.conn, id, agent, state, cx.now.plus(LASTS))?;
    Ok(now(cx, id)?)
}

/// Says that the caller has gone.
pub fn delete(cx: &mut Cx<'_>, id: ConversationId) -> Result<(), Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    let agent = agent(cx)?;
    Ok(store::presences::delete(cx.conn, id, agent)?)
}

/// What is there now. A time that lies farther ahead than any can was written by a clock that was set
/// back since.
fn now(cx: &mut Cx<'_>, id: ConversationId) -> Result<Vec<Presence>, store::StoreError> {
    let latest: Timestamp = cx.now.plus(LASTS);
    let mut present = store::presences::list(cx.conn, id, cx.now)?;
    present.retain(|presence| presence.expires_at <= latest);
    Ok(present)
}

fn agent(cx: &Cx<'_>) -> Result<AgentId, Error> {
    cx.actor.agent_id.ok_or(Error::Forbidden("this token belongs to no agent, and agents alone are present"))
}

/// Forgets whoever is there no more. Returns how many.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    Ok(store::presences::delete_expired(cx.conn, cx.now)?)
}
