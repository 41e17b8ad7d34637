//! Who is at which conversation.

use crate::id::{AgentId, ConversationId};
use crate::presence::{Presence, PresenceState};
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{agents, presences};
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;

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

/// Who is at a conversation.
macro_rules! present {
    ($conversation:expr, $now:expr) => {
        presences::table
            .filter(presences::conversation_id.eq($conversation))
            .filter(presences::expires_at.gt($now))
            .filter(
                presences::agent_id
                    .eq_any(agents::table.filter(agents::disabled_at.is_null()).select(agents::id)),
            )
            .order(presences::agent_id.asc())
            .select(Presence::as_select())
    };
}

/// Who is at a conversation now, by number; nobody who has stopped.
pub fn list(
    conn: &mut Conn,
    conversation: ConversationId,
    now: Timestamp,
) -> Result<Vec<Presence>, StoreError> {
    Ok(present!(conversation, now).load(conn)?)
}

/// The query of [`list`].
pub fn list_query(conversation: ConversationId, now: Timestamp) -> impl QueryFragment<MultiBackend> {
    present!(conversation, now)
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
