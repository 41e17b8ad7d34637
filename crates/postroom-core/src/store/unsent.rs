//! Messages that have not left.

use crate::id::{ConversationId, MessageId};
use crate::mail::Address;
use crate::message::{AuthorType, Message, MessageKind, Recipients};
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::{messages, unsent};
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::unsent::{Unsent, UnsentState};
use diesel::prelude::*;
use std::collections::HashMap;

/// Notes that a message has not left.
pub fn insert(conn: &mut Conn, new: &Unsent) -> Result<(), StoreError> {
    diesel::insert_into(unsent::table).values(new).execute(conn)?;
    Ok(())
}

/// What is known of a message that has not left; `None`: it has, or never will.
pub fn find(conn: &mut Conn, id: MessageId) -> Result<Option<Unsent>, StoreError> {
    Ok(unsent::table.find(id).select(Unsent::as_select()).first(conn).optional()?)
}

/// Those of these messages that have not left.
pub fn of_messages(conn: &mut Conn, ids: &[MessageId]) -> Result<HashMap<MessageId, Unsent>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Unsent> =
        unsent::table.filter(unsent::message_id.eq_any(ids)).select(Unsent::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.message_id, row)).collect())
}

/// Writes `after` over `before`. `false`: somebody changed it since that was read.
pub fn update(conn: &mut Conn, before: &Unsent, after: &Unsent) -> Result<bool, StoreError> {
    Ok(diesel::update(same(before)).set(after).execute(conn)? == 1)
}

/// Forgets that a message has not left; else as [`update`].
pub fn delete(conn: &mut Conn, before: &Unsent) -> Result<bool, StoreError> {
    Ok(diesel::delete(same(before)).execute(conn)? == 1)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn same(before: &Unsent) -> _ {
    let id: MessageId = before.message_id;
    let state: UnsentState = before.state;
    let updated_at: Timestamp = before.updated_at;
    // Every change moves it on: what a transaction read before another's commit is not what there is.
    unsent::table
        .filter(unsent::message_id.eq(id))
        .filter(unsent::state.eq(state))
        .filter(unsent::updated_at.eq(updated_at))
}

/// The messages whose time has come, the longest waiting first. What is held for longer than until
/// `latest` had its time from a clock that has been set back since, and is due as well.
pub fn due(
    conn: &mut Conn,
    now: Timestamp,
    latest: Timestamp,
    limit: i64,
) -> Result<Vec<MessageId>, StoreError> {
    let set_back = unsent::state.eq(UnsentState::Held).and(unsent::leaves_at.assume_not_null().gt(latest));
    Ok(unsent::table
        .filter(unsent::leaves_at.is_not_null())
        .filter(unsent::leaves_at.assume_not_null().le(now).or(set_back))
        .order((unsent::leaves_at.asc(), unsent::message_id.asc()))
        .limit(limit)
        .select(unsent::message_id)
        .load(conn)?)
}

/// When the next message's time comes.
pub fn next_due(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    Ok(unsent::table.select(diesel::dsl::min(unsent::leaves_at)).first(conn)?)
}

/// The messages that would leave by themselves.
pub fn waiting(conn: &mut Conn) -> Result<Vec<Unsent>, StoreError> {
    Ok(unsent::table
        .filter(unsent::leaves_at.is_not_null())
        .order(unsent::message_id.asc())
        .select(Unsent::as_select())
        .load(conn)?)
}

/// How a message that has not left is shown.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = messages, treat_none_as_null = true)]
pub struct Rewritten<'a> {
    /// Who wrote it.
    pub author_type: AuthorType,
    /// Their number.
    pub author_id: Option<i64>,
    /// Their name.
    pub author_name: Option<&'a str>,
    /// Where it comes from.
    pub sender: Option<Json<Address>>,
    /// Whom it goes to.
    pub recipients: Json<Recipients>,
    /// Its subject.
    pub subject: &'a str,
    /// What it says.
    pub content: &'a str,
    /// When somebody let it go; a draft was not.
    pub released_at: Option<Timestamp>,
    /// One more than before.
    pub version: i64,
}

/// Writes a message that has not left anew. `false`: somebody else changed it first.
pub fn rewrite(conn: &mut Conn, before: &Message, after: &Rewritten<'_>) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    Ok(diesel::update(same).set(after).execute(conn)? == 1)
}

/// Makes a draft of a message that was let go. `false`: somebody else changed it first.
pub fn take_back(conn: &mut Conn, before: &Message) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    let set = (messages::version.eq(before.version + 1), messages::released_at.eq(None::<Timestamp>));
    Ok(diesel::update(same).set(set).execute(conn)? == 1)
}

/// Throws a message away that has not left, with its files. `false`: somebody else changed it first.
pub fn delete_message(conn: &mut Conn, before: &Message) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// What of a conversation has come or is on its way since a message, which was there at `at`: whatever has
/// a higher number or was let go later, no draft and none of the desk's own answers, oldest first.
pub fn newer_than(
    conn: &mut Conn,
    conversation: ConversationId,
    after: MessageId,
    at: Timestamp,
    limit: i64,
) -> Result<Vec<Message>, StoreError> {
    let drafts = unsent::table.filter(unsent::state.eq(UnsentState::Draft)).select(unsent::message_id);
    Ok(messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::id.ne(after))
        .filter(messages::id.gt(after).or(messages::released_at.assume_not_null().gt(at)))
        .filter(messages::kind.ne(MessageKind::AutoReply))
        .filter(messages::id.ne_all(drafts))
        .order(messages::id.asc())
        .limit(limit)
        .select(Message::as_select())
        .load(conn)?)
}
