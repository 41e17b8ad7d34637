//! How far agents have read.

use super::conversations::Predicate;
use crate::id::{AgentId, ConversationId, MessageId};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{agents, conversations, imported_messages, read_marks};
use crate::time::Timestamp;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use std::collections::{HashMap, HashSet};

/// Puts an agent's mark at a message, wherever it was before.
pub fn put(
    conn: &mut Conn,
    agent: AgentId,
    conversation: ConversationId,
    message: MessageId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = (
        read_marks::agent_id.eq(agent),
        read_marks::conversation_id.eq(conversation),
        read_marks::message_id.eq(message),
        read_marks::read_at.eq(now),
    );
    let set = (read_marks::message_id.eq(message), read_marks::read_at.eq(now));
    each_backend!(conn => diesel::insert_into(read_marks::table)
        .values(row)
        .on_conflict((read_marks::agent_id, read_marks::conversation_id))
        .do_update()
        .set(set)
        .execute(conn))?;
    Ok(())
}

/// Who has read a conversation as far as a message.
pub fn readers(
    conn: &mut Conn,
    conversation: ConversationId,
    message: MessageId,
) -> Result<Vec<AgentId>, StoreError> {
    let reached = read_marks::table
        .filter(read_marks::conversation_id.eq(conversation))
        .filter(read_marks::message_id.ge(message));
    Ok(reached.select(read_marks::agent_id).load(conn)?)
}

/// Puts the marks of a conversation before a message that came into it out of its order, but for those who
/// have read it elsewhere.
pub fn put_before(
    conn: &mut Conn,
    conversation: ConversationId,
    message: MessageId,
    readers: &[AgentId],
) -> Result<(), StoreError> {
    let behind = read_marks::table
        .filter(read_marks::conversation_id.eq(conversation))
        .filter(read_marks::message_id.ge(message))
        .filter(read_marks::agent_id.ne_all(readers.to_vec()));
    diesel::update(behind).set(read_marks::message_id.eq(MessageId(message.0 - 1))).execute(conn)?;
    Ok(())
}

/// Gives a conversation that has no marks those of another one.
pub fn copy(conn: &mut Conn, from: ConversationId, to: ConversationId) -> Result<(), StoreError> {
    let marks: Vec<(AgentId, MessageId, Timestamp)> = read_marks::table
        .filter(read_marks::conversation_id.eq(from))
        .select((read_marks::agent_id, read_marks::message_id, read_marks::read_at))
        .load(conn)?;
    for (agent, message, at) in marks {
        put(conn, agent, to, message, at)?;
    }
    Ok(())
}

/// An agent's marks in these conversations.
pub fn of(
    conn: &mut Conn,
    agent: AgentId,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, (MessageId, Timestamp)>, StoreError> {
    let rows: Vec<(ConversationId, MessageId, Timestamp)> = read_marks::table
        .filter(read_marks::agent_id.eq(agent))
        .filter(read_marks::conversation_id.eq_any(conversations))
        .select((read_marks::conversation_id, read_marks::message_id, read_marks::read_at))
        .load(conn)?;
    Ok(rows.into_iter().map(|(conversation, message, at)| (conversation, (message, at))).collect())
}

/// Which of these conversations hold what an agent has not read.
pub fn unread_of(
    conn: &mut Conn,
    agent: AgentId,
    ids: &[ConversationId],
) -> Result<HashSet<ConversationId>, StoreError> {
    let asked = conversations::table.into_boxed().filter(conversations::id.eq_any(ids)).filter(unread(agent));
    let found: Vec<ConversationId> = asked.select(conversations::id).load(conn)?;
    Ok(found.into_iter().collect())
}

/// That a conversation holds what an agent has not read: no mark reaches its newest message, and it moved since
/// the agent joined, or was marked before. What was imported is news to nobody: where the newest message is, all are.
pub fn unread(agent: AgentId) -> Predicate {
    let own = || {
        read_marks::table
            .filter(read_marks::agent_id.eq(agent))
            .filter(read_marks::conversation_id.eq(conversations::id))
    };
    let reaches = read_marks::message_id.nullable().ge(conversations::last_message_id);
    let has_read = exists(own().filter(reaches.assume_not_null()));
    let since_joined = agents::table
        .filter(agents::id.eq(agent))
        .filter(agents::created_at.le(conversations::last_message_at));
    let is_history = imported_messages::table
        .filter(imported_messages::message_id.nullable().eq(conversations::last_message_id));
    Box::new(
        conversations::last_message_id
            .is_not_null()
            .and(not(has_read))
            .and(not(exists(is_history)))
            .and(exists(own()).or(exists(since_joined))),
    )
}
