//! How far agents have read. It is each one's own matter and told in no event: the log is the desk's, and a
//! frontend would fill it by being looked at.

use super::conversations::visible;
use crate::access::Scope;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::{AgentId, ConversationId, MessageId};
use crate::message::Message;
use crate::read_mark::ReadMark;
use crate::{Error, store};

/// Puts the caller's mark at a message of the conversation; `None` is before all of them. What it says holds,
/// even where the mark was farther on: so is something made unread again.
pub fn put(cx: &mut Cx<'_>, id: ConversationId, message: Option<MessageId>) -> Result<ReadMark, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let conversation = visible(cx, id)?;
    let agent = agent(cx)?;
    if let Some(message) = message {
        let found = store::messages::find_many(cx.conn, &[message])?;
        if !found.iter().any(|found| found.conversation_id == id) {
            let detail = "there is no such message in this conversation";
            return Err(Error::invalid("/message_id", "not_found", detail));
        }
    }
    store::read_marks::put(cx.conn, agent, id, message.unwrap_or(MessageId(0)), cx.now)?;
    if let Some(message) = message {
        store::notifications::read_with(cx.conn, agent, id, message, cx.now)?;
    }
    let mut all = of(cx, &[&conversation])?;
    all.pop().ok_or(Error::NotFound("conversation"))
}

/// The caller's marks in conversations that it has found, in their order.
pub(super) fn of(cx: &mut Cx<'_>, of: &[&Conversation]) -> Result<Vec<ReadMark>, Error> {
    let agent = agent(cx)?;
    let ids: Vec<ConversationId> = of.iter().map(|one| one.id).collect();
    let marks = store::read_marks::of(cx.conn, agent, &ids)?;
    let unread = store::read_marks::unread_of(cx.conn, agent, &ids)?;
    let mark = |id: ConversationId| {
        let mark = marks.get(&id);
        ReadMark {
            conversation_id: id,
            message_id: mark.map(|(message, _)| *message).filter(|message| message.0 > 0),
            read_at: mark.map(|(_, at)| *at),
            unread: unread.contains(&id),
        }
    };
    Ok(ids.into_iter().map(mark).collect())
}

/// This agent, if they have read all of a conversation.
pub(super) fn up_to_date(
    cx: &mut Cx<'_>,
    agent: Option<AgentId>,
    conversation: &Conversation,
) -> Result<Option<AgentId>, Error> {
    let Some(agent) = agent else { return Ok(None) };
    let unread = store::read_marks::unread_of(cx.conn, agent, &[conversation.id])?;
    Ok(unread.is_empty().then_some(agent))
}

/// Moves an agent's mark to what they wrote.
pub(super) fn follow(
    cx: &mut Cx<'_>,
    agent: AgentId,
    id: ConversationId,
    written: MessageId,
) -> Result<(), Error> {
    Ok(store::read_marks::put(cx.conn, agent, id, written, cx.now)?)
}

/// Sees to it that messages which came into a conversation from another one are unread to whoever had not read
/// them there, and to nobody else.
pub(super) fn carry(
    cx: &mut Cx<'_>,
    from: &Conversation,
    to: &Conversation,
    moved: &[Message],
) -> Result<(), Error> {
    let ids = || moved.iter().map(|message| message.id);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(()) };
    if to.message_count == 0 {
        return Ok(store::read_marks::copy(cx.conn, from.id, to.id)?);
    }
    let readers = store::read_marks::readers(cx.conn, from.id, last)?;
    Ok(store::read_marks::put_before(cx.conn, to.id, first, &readers)?)
}

/// The agent who asks; a token that belongs to none reads nothing.
pub(super) fn agent(cx: &Cx<'_>) -> Result<AgentId, Error> {
    cx.actor.agent_id.ok_or(Error::Forbidden("this token belongs to no agent, and agents alone read"))
}
