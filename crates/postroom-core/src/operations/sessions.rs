//! Sessions: which there are, and ending them.

use super::roles;
use super::tokens::require_whole_sight;
use crate::access::Scope;
use crate::audit::{AuditKind, NewNote};
use crate::cx::Cx;
use crate::id::{AgentId, TokenId};
use crate::operations::audit;
use crate::people::TokenKind;
use crate::sign_in::Session;
use crate::{Error, store};

/// The agent that the caller speaks for.
pub(super) fn own_agent(cx: &Cx<'_>) -> Result<AgentId, Error> {
    cx.actor.agent_id.ok_or(Error::Forbidden("this is for tokens that speak for an agent"))
}

/// The sessions of the agent that the caller speaks for, newest first; none where it speaks for nobody.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<Session>, Error> {
    let Some(agent) = cx.actor.agent_id else { return Ok(Vec::new()) };
    let idle_since = cx.now.minus(cx.settings.sign_in.idle);
    Ok(store::sessions::list(cx.conn, agent, cx.now, idle_since)?)
}

/// Ends one of the caller's own sessions. Done twice it is done once.
pub fn end(cx: &mut Cx<'_>, id: &TokenId) -> Result<(), Error> {
    let agent = own_agent(cx)?;
    let token = store::tokens::find(cx.conn, id)?;
    let own = token.filter(|token| token.kind == TokenKind::Session && token.agent_id == Some(agent));
    own.ok_or(Error::NotFound("session"))?;
    if store::tokens::revoke(cx.conn, id, cx.now)? {
        audit::note(cx, NewNote::new(AuditKind::SignedOut).with("token_id", id.0.clone()));
    }
    Ok(())
}

/// Ends the session that the caller came with, or all of their agent's. Returns how many.
pub fn sign_out(cx: &mut Cx<'_>, everywhere: bool) -> Result<usize, Error> {
    let agent = own_agent(cx)?;
    if everywhere {
        return end_all(cx, agent, None, "signed out everywhere");
    }
    let Some(id) = cx.actor.token_id.clone() else { return Ok(0) };
    let token = store::tokens::find(cx.conn, &id)?;
    if token.is_none_or(|token| token.kind != TokenKind::Session) {
        return Err(Error::Forbidden(
            "only a session can be signed out; a token is revoked by DELETE /tokens/{id}",
        ));
    }
    end(cx, &id)?;
    Ok(1)
}

/// Ends all of an agent's sessions, but for one. Their streams end with them.
pub(super) fn end_all(
    cx: &mut Cx<'_>,
    agent: AgentId,
    but: Option<&TokenId>,
    reason: &str,
) -> Result<usize, Error> {
    let ended = store::sessions::end_all(cx.conn, agent, but, cx.now)?;
    if ended > 0 {
        let note = NewNote::new(AuditKind::SessionsEnded).with("agent_id", agent.0).with("reason", reason);
        audit::note(cx, note.with("sessions", ended));
        cx.wake();
    }
    Ok(ended)
}

/// Ends all sessions of somebody else.
pub fn end_of(cx: &mut Cx<'_>, agent: AgentId) -> Result<usize, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let theirs = store::people::find_agent(cx.conn, agent)?.ok_or(Error::NotFound("agent"))?;
    roles::require_no_more(cx, &theirs)?;
    end_all(cx, agent, None, "ended by an administrator")
}
