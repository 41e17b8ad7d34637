//! Messages that went from one conversation to another.

use crate::id::{ConversationId, MessageId, TransferId};
use crate::mail::Class;
use crate::message::{Message, MessageKind};
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::{messages, transfers, unsent};
use crate::store::types::Json;
use crate::threading::{Decision, Flag};
use crate::time::Timestamp;
use crate::transfer::{Details, Transfer, TransferReason};
use diesel::prelude::*;

/// A transfer to be remembered.
#[derive(Debug, Insertable)]
#[diesel(table_name = transfers, treat_none_as_default_value = false)]
pub struct NewTransfer {
    /// Why.
    pub reason: TransferReason,
    /// What the messages left.
    pub from_id: ConversationId,
    /// Where they went.
    pub to_id: ConversationId,
    /// What it takes to bring them back.
    pub details: Json<Details>,
    /// Now.
    pub created_at: Timestamp,
    /// Not yet.
    pub undone_at: Option<Timestamp>,
}

/// Remembers one.
pub fn insert(conn: &mut Conn, new: &NewTransfer) -> Result<TransferId, StoreError> {
    Ok(diesel::insert_into(transfers::table).values(new).returning(transfers::id).get_result(conn)?)
}

/// One transfer. Whether it may be seen is asked of its conversations.
pub fn find(conn: &mut Conn, id: TransferId) -> Result<Option<Transfer>, StoreError> {
    Ok(transfers::table.find(id).select(Transfer::as_select()).first(conn).optional()?)
}

/// Marks one as taken back. `false`: it was before.
pub fn finish(conn: &mut Conn, id: TransferId, now: Timestamp) -> Result<bool, StoreError> {
    let standing = transfers::table.find(id).filter(transfers::undone_at.is_null());
    Ok(diesel::update(standing).set(transfers::undone_at.eq(now)).execute(conn)? == 1)
}

/// All messages of a conversation, oldest first.
pub fn messages_of(conn: &mut Conn, id: ConversationId) -> Result<Vec<MessageId>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(id))
        .order(messages::id.asc())
        .select(messages::id)
        .load(conn)?)
}

/// Those of these conversations that hold an answer, a note or anything else that no mail brought.
pub fn with_more_than_inbound(
    conn: &mut Conn,
    ids: &[ConversationId],
) -> Result<Vec<ConversationId>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq_any(ids))
        .filter(messages::kind.ne(MessageKind::Inbound))
        .select(messages::conversation_id)
        .distinct()
        .load(conn)?)
}

/// These of a conversation's messages, oldest first.
pub fn messages_at(
    conn: &mut Conn,
    id: ConversationId,
    wanted: &[MessageId],
) -> Result<Vec<Message>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(id))
        .filter(messages::id.eq_any(wanted))
        .order(messages::id.asc())
        .select(Message::as_select())
        .load(conn)?)
}

/// What a conversation's figures are made of, by message.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Line {
    /// Which.
    pub id: MessageId,
    /// Which way.
    pub kind: MessageKind,
    /// What kind of mail.
    pub class: Class,
    /// When the server got it.
    pub received_at: Option<Timestamp>,
    /// When it came into the desk.
    pub created_at: Timestamp,
}

/// A conversation's messages as its figures need them, oldest first; what has not left does not count.
pub fn lines(conn: &mut Conn, id: ConversationId) -> Result<Vec<Line>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(id))
        .filter(messages::id.ne_all(unsent::table.select(unsent::message_id)))
        .order(messages::id.asc())
        .select(Line::as_select())
        .load(conn)?)
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Into this conversation.
    pub conversation: ConversationId,
    /// Into this side conversation of it.
    pub side: Option<MessageId>,
}

/// Puts a message into another conversation, guarded by its version. `false`: it was changed
/// meanwhile.
pub fn relocate(
    conn: &mut Conn,
    message: &Message,
    to: Place,
    flags: Vec<Flag>,
    threading: Option<Decision>,
) -> Result<bool, StoreError> {
    let same = messages::table.find(message.id).filter(messages::version.eq(message.version));
    let changed = diesel::update(same)
        .set((
            messages::conversation_id.eq(to.conversation),
            messages::side_id.eq(to.side),
            messages::flags.eq(Json::new(flags)),
            messages::threading.eq(threading.map(Json::new)),
            messages::version.eq(message.version + 1),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}
