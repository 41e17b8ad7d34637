//! Who follows conversations.

use super::conversations::Predicate;
use crate::follower::Follower;
use crate::id::{AgentId, ConversationId};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{conversations, followers};
use diesel::prelude::*;
use std::collections::HashMap;

/// Who follows a conversation, in the order of their numbers.
pub fn list(conn: &mut Conn, conversation: ConversationId) -> Result<Vec<Follower>, StoreError> {
    Ok(followers::table
        .filter(followers::conversation_id.eq(conversation))
        .order(followers::agent_id.asc())
        .select(Follower::as_select())
        .load(conn)?)
}

/// Who follows each of these conversations.
pub fn of(
    conn: &mut Conn,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, Vec<AgentId>>, StoreError> {
    let mut found: HashMap<ConversationId, Vec<AgentId>> = HashMap::new();
    if conversations.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(ConversationId, AgentId)> = followers::table
        .filter(followers::conversation_id.eq_any(conversations))
        .order((followers::conversation_id.asc(), followers::agent_id.asc()))
        .select((followers::conversation_id, followers::agent_id))
        .load(conn)?;
    for (conversation, agent) in rows {
        found.entry(conversation).or_default().push(agent);
    }
    Ok(found)
}

/// Has an agent follow a conversation. `false`: they do already.
pub fn insert(conn: &mut Conn, new: &Follower) -> Result<bool, StoreError> {
    let inserted = each_backend!(conn => diesel::insert_into(followers::table)
        .values(new)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(inserted == 1)
}

/// Has an agent follow a conversation no longer. `false`: they don't.
pub fn delete(conn: &mut Conn, conversation: ConversationId, agent: AgentId) -> Result<bool, StoreError> {
    Ok(diesel::delete(followers::table.find((conversation, agent))).execute(conn)? == 1)
}

/// That any of these agents follows a conversation.
pub fn followed_by(agents: Vec<AgentId>) -> Predicate {
    let theirs =
        followers::table.filter(followers::agent_id.eq_any(agents)).select(followers::conversation_id);
    Box::new(conversations::id.eq_any(theirs))
}

/// That somebody follows a conversation.
pub fn followed() -> Predicate {
    let any = followers::table.filter(followers::conversation_id.eq(conversations::id));
    Box::new(diesel::dsl::exists(any))
}
