//! Agents whom notes name.

use crate::id::{AgentId, MessageId};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::mentions;
use diesel::prelude::*;
use std::collections::HashMap;

/// Writes down whom a new note names.
pub fn insert(conn: &mut Conn, message: MessageId, agents: &[AgentId]) -> Result<(), StoreError> {
    if agents.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = agents
        .iter()
        .map(|agent| (mentions::message_id.eq(message), mentions::agent_id.eq(*agent)))
        .collect();
    each_backend!(conn => diesel::insert_into(mentions::table).values(&rows).execute(conn))?;
    Ok(())
}

/// Whom each of these notes names, in the order of their numbers.
pub fn of_messages(
    conn: &mut Conn,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, Vec<AgentId>>, StoreError> {
    let mut found: HashMap<MessageId, Vec<AgentId>> = HashMap::new();
    if messages.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(MessageId, AgentId)> = mentions::table
        .filter(mentions::message_id.eq_any(messages))
        .order((mentions::message_id.asc(), mentions::agent_id.asc()))
        .select((mentions::message_id, mentions::agent_id))
        .load(conn)?;
    for (message, agent) in rows {
        found.entry(message).or_default().push(agent);
    }
    Ok(found)
}
