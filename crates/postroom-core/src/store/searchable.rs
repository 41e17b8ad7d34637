//! What of a conversation can be searched for, read for the full-text index and for what is marked in it.

use crate::id::{ConversationId, CustomerId, MessageId};
use crate::mail::Address;
use crate::message::Recipients;
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::{attachments, conversations, messages};
use crate::store::types::Json;
use diesel::prelude::*;
use std::collections::HashMap;

/// A message as far as it is searched.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Searchable {
    /// Which.
    pub id: MessageId,
    /// Where.
    pub conversation_id: ConversationId,
    /// Who wrote it.
    pub author_name: Option<String>,
    /// From where.
    pub sender: Option<Json<Address>>,
    /// To whom.
    pub recipients: Json<Recipients>,
    /// All of its text.
    pub content: String,
    /// What is new in it.
    pub reply_content: Option<String>,
}

/// The subjects of conversations, and whose they are.
pub fn heads(
    conn: &mut Conn,
    of: &[ConversationId],
) -> Result<Vec<(ConversationId, String, CustomerId)>, StoreError> {
    Ok(conversations::table
        .filter(conversations::id.eq_any(of))
        .order(conversations::id.asc())
        .select((conversations::id, conversations::subject, conversations::customer_id))
        .load(conn)?)
}

/// All messages of these conversations, each conversation's in their order.
pub fn all(conn: &mut Conn, of: &[ConversationId]) -> Result<Vec<Searchable>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq_any(of))
        .order((messages::conversation_id.asc(), messages::id.asc()))
        .select(Searchable::as_select())
        .load(conn)?)
}

/// The messages of a conversation from this one on, at most `limit`.
pub fn since(
    conn: &mut Conn,
    of: ConversationId,
    first: MessageId,
    limit: i64,
) -> Result<Vec<Searchable>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(of))
        .filter(messages::id.ge(first))
        .order(messages::id.asc())
        .limit(limit)
        .select(Searchable::as_select())
        .load(conn)?)
}

/// The names of the files of messages.
pub fn files(conn: &mut Conn, of: &[MessageId]) -> Result<HashMap<MessageId, Vec<String>>, StoreError> {
    let mut found: HashMap<MessageId, Vec<String>> = HashMap::new();
    for of in of.chunks(10_000) {
        let rows: Vec<(Option<MessageId>, String)> = attachments::table
            .filter(attachments::message_id.assume_not_null().eq_any(of))
            .order(attachments::id.asc())
            .select((attachments::message_id, attachments::filename))
            .load(conn)?;
        for (message, name) in rows {
            if let Some(message) = message {
                found.entry(message).or_default().push(name);
            }
        }
    }
    Ok(found)
}

/// A customer's conversations, newest first.
pub fn of_customer(conn: &mut Conn, id: CustomerId) -> Result<Vec<ConversationId>, StoreError> {
    Ok(conversations::table
        .filter(conversations::customer_id.eq(id))
        .order(conversations::id.desc())
        .select(conversations::id)
        .load(conn)?)
}
