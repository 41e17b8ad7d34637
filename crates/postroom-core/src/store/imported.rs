//! Messages that were brought here from another desk, as far as a conversation goes by them.

use crate::id::{ConversationId, MessageId};
use crate::message::MessageKind;
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::{imported_messages, messages};
use crate::time::Timestamp;
use diesel::dsl::exists;
use diesel::prelude::*;

/// What was imported into a conversation with just this kind, date and text, and no Message-ID; of several the oldest.
pub fn find_alike(
    conn: &mut Conn,
    conversation: ConversationId,
    kind: MessageKind,
    at: Timestamp,
    content: &str,
) -> Result<Option<MessageId>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::created_at.eq(at))
        .filter(messages::internet_message_id.is_null())
        .filter(exists(imported_messages::table.filter(imported_messages::message_id.eq(messages::id))))
        .filter(messages::kind.eq(kind))
        .filter(messages::content.eq(content))
        .order(messages::id.asc())
        .select(messages::id)
        .first(conn)
        .optional()?)
}

/// Whether a message was imported; one that is not there was not.
pub fn is_imported(conn: &mut Conn, id: MessageId) -> Result<bool, StoreError> {
    let found: Option<MessageId> =
        imported_messages::table.find(id).select(imported_messages::message_id).first(conn).optional()?;
    Ok(found.is_some())
}

/// Notes that a message was imported.
pub fn insert(conn: &mut Conn, id: MessageId, now: Timestamp) -> Result<(), StoreError> {
    diesel::insert_into(imported_messages::table)
        .values((imported_messages::message_id.eq(id), imported_messages::imported_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// What customer and desk wrote to each other in a conversation, by their dates, the newest first.
pub fn turns(
    conn: &mut Conn,
    conversation: ConversationId,
    limit: i64,
) -> Result<Vec<(MessageKind, Timestamp)>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::kind.eq_any([MessageKind::Inbound, MessageKind::Reply]))
        .order((messages::created_at.desc(), messages::id.desc()))
        .limit(limit)
        .select((messages::kind, messages::created_at))
        .load(conn)?)
}
