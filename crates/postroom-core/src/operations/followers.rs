//! Who follows conversations: whoever wants to know what happens in one, beside its assignee.

use super::conversations::{about, changeable, reads, visible};
use super::roles;
use crate::access::Scope;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::event::{EventType, NewEvent};
use crate::follower::{FOLLOWERS, Follower};
use crate::id::{AgentId, ConversationId};
use crate::people::Agent;
use crate::{Error, store};

/// Who follows a conversation, in the order of their numbers: at most [`FOLLOWERS`].
pub fn list(cx: &mut Cx<'_>, id: ConversationId) -> Result<Vec<Follower>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    Ok(store::followers::list(cx.conn, id)?)
}

/// That an agent follows a conversation.
pub fn find(cx: &mut Cx<'_>, id: ConversationId, agent: AgentId) -> Result<Follower, Error> {
    let all = list(cx, id)?;
    all.into_iter().find(|follower| follower.agent_id == agent).ok_or(Error::NotFound("follower"))
}

/// Has an agent follow a conversation from now on. Whoever reads one may follow it themselves; to have others do so
/// takes the right to change it, and they must be able to see it. Who follows it already goes on.
pub fn follow(cx: &mut Cx<'_>, id: ConversationId, agent: AgentId) -> Result<Follower, Error> {
    let conversation = theirs(cx, id, agent)?;
    let follower = store::people::find_agent(cx.conn, agent)?.ok_or(Error::NotFound("agent"))?;
    let all = store::followers::list(cx.conn, id)?;
    if let Some(known) = all.iter().find(|known| known.agent_id == agent) {
        return Ok(known.clone());
    }
    if follower.disabled_at.is_some() {
        return Err(Error::StateConflict("this agent has stopped".to_owned()));
    }
    if !sees(cx, &follower, &conversation)? {
        return Err(Error::StateConflict("this agent may not see this conversation".to_owned()));
    }
    if all.len() >= FOLLOWERS {
        return Err(Error::StateConflict(format!("a conversation has at most {FOLLOWERS} followers")));
    }
    begin(cx, &conversation, agent, None)
}

/// Has an agent follow a conversation no longer. Who doesn't anyhow stays so.
pub fn unfollow(cx: &mut Cx<'_>, id: ConversationId, agent: AgentId) -> Result<(), Error> {
    let conversation = theirs(cx, id, agent)?;
    if store::followers::delete(cx.conn, id, agent)? {
        cx.tell(
            NewEvent::new(EventType::ConversationUnfollowed, about(&conversation)).with("agent_id", agent.0),
        );
    }
    Ok(())
}

/// A conversation that the caller may have this agent follow.
fn theirs(cx: &mut Cx<'_>, id: ConversationId, agent: AgentId) -> Result<Conversation, Error> {
    if cx.actor.agent_id == Some(agent) {
        cx.access().require(Scope::ConversationsRead)?;
        return visible(cx, id);
    }
    cx.access().require(Scope::ConversationsWrite)?;
    changeable(cx, id)
}

/// Whether an agent may see a conversation.
pub(super) fn sees(cx: &mut Cx<'_>, agent: &Agent, conversation: &Conversation) -> Result<bool, Error> {
    Ok(reads(&roles::access_of(cx, agent)?, conversation))
}

/// Has those agents follow a conversation who don't yet, as far as there is room for more.
pub(super) fn join(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    agents: &[AgentId],
    reason: &'static str,
) -> Result<Vec<AgentId>, Error> {
    let all = store::followers::list(cx.conn, conversation.id)?;
    let new = agents.iter().filter(|agent| all.iter().all(|known| known.agent_id != **agent));
    let new: Vec<AgentId> = new.copied().take(FOLLOWERS.saturating_sub(all.len())).collect();
    for agent in &new {
        begin(cx, conversation, *agent, Some(reason))?;
    }
    Ok(new)
}

fn begin(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    agent_id: AgentId,
    reason: Option<&'static str>,
) -> Result<Follower, Error> {
    let new = Follower { conversation_id: conversation.id, agent_id, created_at: cx.now };
    if store::followers::insert(cx.conn, &new)? {
        let event =
            NewEvent::new(EventType::ConversationFollowed, about(conversation)).with("agent_id", agent_id.0);
        cx.tell(match reason {
            Some(reason) => event.with("reason", reason),
            None => event,
        });
    }
    Ok(new)
}

/// Sees to it that whoever follows a conversation that went into another follows that one. Who came to it so.
pub(super) fn carry(cx: &mut Cx<'_>, from: &Conversation, to: &Conversation) -> Result<Vec<AgentId>, Error> {
    let all = store::followers::list(cx.conn, from.id)?;
    let agents: Vec<AgentId> = all.iter().map(|follower| follower.agent_id).collect();
    join(cx, to, &agents, "merged")
}

/// Takes back what [`carry`] did.
pub(super) fn carry_back(cx: &mut Cx<'_>, to: &Conversation, came: &[AgentId]) -> Result<(), Error> {
    for agent in came {
        if store::followers::delete(cx.conn, to.id, *agent)? {
            let event = NewEvent::new(EventType::ConversationUnfollowed, about(to))
                .with("agent_id", agent.0)
                .with("reason", "separated");
            cx.tell(event);
        }
    }
    Ok(())
}
