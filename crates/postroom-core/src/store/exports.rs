//! Rows by their numbers, whoever asks: what an export goes through.

use crate::event::{Event, EventType};
use crate::id::{ConversationId, CustomerId, MessageId};
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::{conversations, customers, events, messages};
use diesel::prelude::*;

/// Up to `limit` numbers of conversations behind one, in order.
pub fn conversations(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
    let behind = conversations::table.filter(conversations::id.gt(ConversationId(after)));
    let ids: Vec<ConversationId> =
        behind.order(conversations::id.asc()).limit(limit).select(conversations::id).load(conn)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// Up to `limit` numbers of messages behind one, in order.
pub fn messages(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
    let behind = messages::table.filter(messages::id.gt(MessageId(after)));
    let ids: Vec<MessageId> =
        behind.order(messages::id.asc()).limit(limit).select(messages::id).load(conn)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// The numbers of up to `limit` messages of a conversation.
pub fn messages_of(
    conn: &mut Conn,
    conversation: ConversationId,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let theirs = messages::table.filter(messages::conversation_id.eq(conversation));
    let ids: Vec<MessageId> =
        theirs.order(messages::id.asc()).limit(limit).select(messages::id).load(conn)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// Up to `limit` numbers of customers behind one, in order.
pub fn customers(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
    let behind = customers::table.filter(customers::id.gt(CustomerId(after)));
    let ids: Vec<CustomerId> =
        behind.order(customers::id.asc()).limit(limit).select(customers::id).load(conn)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// Up to `limit` events behind one, in order.
pub fn events(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<Event>, StoreError> {
    Ok(super::events::page_of(after, &[], limit).select(Event::as_select()).load(conn)?)
}

/// Whether there is an event of this number.
pub fn is_event(conn: &mut Conn, seq: i64) -> Result<bool, StoreError> {
    let found: Option<i64> =
        events::table.filter(events::seq.eq(seq)).select(events::seq).first(conn).optional()?;
    Ok(found.is_some())
}

/// Whether the desk came back from a backup after an event.
pub fn is_restored_since(conn: &mut Conn, seq: i64) -> Result<bool, StoreError> {
    let restored =
        events::table.filter(events::seq.gt(seq)).filter(events::kind.eq(EventType::DeskRestored.as_str()));
    let found: Option<i64> = restored.select(events::seq).first(conn).optional()?;
    Ok(found.is_some())
}
