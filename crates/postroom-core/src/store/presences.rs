//! Who is at which conversation.

use crate::id::{AgentId, ConversationId};
use crate::presence::{Presence, PresenceState};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::presences;
use crate::time::Timestamp;
use diesel::prelude::*;

/// Notes that an agent is at a conversation until then.
pub fn put(
    conn: &mut Conn,
    conversation: ConversationId,
    agent: AgentId,
    state: PresenceState,
    until: Timestamp,
) -> Result<(), StoreError> {
    let row = (
        presences::conversation_id.eq(conversation),
        presences::agent_id.eq(agent),
        presences::state.eq(state),
        presences::expires_at.eq(until),
    );
    let set = (presences::state.eq(state), presences::expires_at.eq(until));
    each_backend!(conn => diesel::insert_into(presences::table)
        .values(row)
        .on_conflict((presences::conversation_id, presences::agent_id))
        .do_update()
        .set(set)
        .execute(conn))?;
    Ok(())
}

/// Who is at a conversation now, by number.
pub fn list(
    conn: &mut Conn,
    conversation: ConversationId,
    now: Timestamp,
) -> Result<Vec<Presence>, StoreError> {
    Ok(presences::table
        .filter(presences::conversation_id.eq(conversation))
        .filter(presences::expires_at.gt(now))
        .order(presences::agent_id.asc())
        .select(Presence::as_select())
        .load(conn)?)
}

/// Notes that an agent has gone.
pub fn delete(conn: &mut Conn, conversation: ConversationId, agent: AgentId) -> Result<(), StoreError> {
    diesel::delete(presences::table.find((conversation, agent))).execute(conn)?;
    Ok(())
}

/// Forgets whoever is there no more.
pub fn delete_expired(conn: &mut Conn, now: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(presences::table.filter(presences::expires_at.le(now))).execute(conn)?)
}
