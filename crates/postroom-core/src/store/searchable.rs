//! What of a conversation can be searched for, read for the full-text index and for what is marked in it.

use crate::id::{ConversationId, CustomerId, MessageId};
use crate::mail::Address;
use crate::message::Recipients;
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::{attachments, conversations, messages};
use crate::store::types::Json;
use diesel::prelude::*;
use diesel::{define_sql_function, sql_types};
use std::collections::HashMap;

/// What must hold of a message.
type Within = Box<dyn BoxableExpression<messages::table, MultiBackend, SqlType = sql_types::Bool>>;

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

/// The beginning of a message's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Of which message.
    pub id: MessageId,
    /// Of which conversation.
    pub conversation_id: ConversationId,
    /// Who wrote it.
    pub author_name: Option<String>,
    /// From where.
    pub sender: Option<Address>,
    /// What is new in it, or all of it.
    pub content: String,
}

define_sql_function! {
    /// So many characters of a text, from this one on; the first is 1.
    fn substr(text: sql_types::Text, from: sql_types::Integer, characters: sql_types::Integer) -> sql_types::Text;
}

define_sql_function! {
    /// The first that is there.
    fn coalesce(first: sql_types::Nullable<sql_types::Text>, second: sql_types::Text) -> sql_types::Text;
}

/// How the messages of conversations between two numbers begin, the later one left out: at most `rows`, each at
/// most so many characters.
pub fn beginnings(
    conn: &mut Conn,
    between: &[(ConversationId, MessageId, MessageId)],
    rows: i64,
    characters: i32,
) -> Result<Vec<Beginning>, StoreError> {
    let each = between.iter().map(|(id, from, to)| -> Within {
        let own = messages::conversation_id.eq(*id);
        Box::new(own.and(messages::id.ge(*from)).and(messages::id.lt(*to)))
    });
    let Some(any) = each.reduce(|any, one| Box::new(any.or(one))) else { return Ok(Vec::new()) };
    type Row = (MessageId, ConversationId, Option<String>, Option<Json<Address>>, String);
    let found: Vec<Row> = messages::table
        .filter(any)
        .order((messages::conversation_id.asc(), messages::id.asc()))
        .limit(rows)
        .select((
            messages::id,
            messages::conversation_id,
            messages::author_name,
            messages::sender,
            substr(coalesce(messages::reply_content, messages::content), 1, characters),
        ))
        .load(conn)?;
    let beginning = |(id, conversation_id, author_name, sender, content): Row| Beginning {
        id,
        conversation_id,
        author_name,
        sender: sender.map(Json::into_inner),
        content,
    };
    Ok(found.into_iter().map(beginning).collect())
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
