//! What threading goes by: known Message-IDs, and who is part of a conversation.

use crate::id::{ConversationId, MessageId};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{participants, rfc_ids};
use crate::threading::{IdKind, ParticipantClass};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// A known Message-ID.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = rfc_ids, treat_none_as_default_value = false)]
pub struct KnownId {
    /// The group of mailboxes it is known in.
    pub share_group: String,
    /// Without brackets.
    pub rfc_id: String,
    /// Where it leads.
    pub conversation_id: ConversationId,
    /// The message it names; `None` for a ghost.
    pub message_id: Option<MessageId>,
    /// What it is.
    pub kind: IdKind,
    /// When the conversation claimed it: who was first counts first.
    pub created_at: Timestamp,
}

/// What is known of these ids, who claimed one first first.
pub fn known_ids(conn: &mut Conn, group: &str, ids: &[String]) -> Result<Vec<KnownId>, StoreError> {
    let mut found = Vec::new();
    for ids in ids.chunks(10_000) {
        if !ids.is_empty() {
            let mut rows: Vec<KnownId> = rfc_ids::table
                .filter(rfc_ids::share_group.eq(group))
                .filter(rfc_ids::rfc_id.eq_any(ids))
                .order((rfc_ids::created_at.asc(), rfc_ids::conversation_id.asc()))
                .select(KnownId::as_select())
                .load(conn)?;
            found.append(&mut rows);
        }
    }
    Ok(found)
}

/// Remembers ids; what a conversation has claimed already stays as it is.
pub fn insert_ids(conn: &mut Conn, new: &[KnownId]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(rfc_ids::table).values(new).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// A ghost has come: it names a message from now on.
pub fn embody(conn: &mut Conn, id: &KnownId) -> Result<bool, StoreError> {
    let ghost = rfc_ids::table
        .find((&id.share_group, &id.rfc_id, id.conversation_id))
        .filter(rfc_ids::kind.eq(IdKind::Ghost));
    let changed = diesel::update(ghost)
        .set((rfc_ids::kind.eq(id.kind), rfc_ids::message_id.eq(id.message_id)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// What messages of a conversation are known by.
pub fn ids_of_messages(
    conn: &mut Conn,
    conversation: ConversationId,
    messages: &[MessageId],
) -> Result<Vec<KnownId>, StoreError> {
    Ok(rfc_ids::table
        .filter(rfc_ids::conversation_id.eq(conversation))
        .filter(rfc_ids::message_id.assume_not_null().eq_any(messages))
        .order((rfc_ids::created_at.asc(), rfc_ids::rfc_id.asc()))
        .select(KnownId::as_select())
        .load(conn)?)
}

/// Forgets that a conversation claims an id.
pub fn delete_id(conn: &mut Conn, id: &KnownId) -> Result<(), StoreError> {
    let claim = rfc_ids::table.find((&id.share_group, &id.rfc_id, id.conversation_id));
    diesel::delete(claim).execute(conn)?;
    Ok(())
}

/// Who is part of these conversations.
pub fn participants(
    conn: &mut Conn,
    of: &[ConversationId],
) -> Result<HashMap<ConversationId, HashMap<String, ParticipantClass>>, StoreError> {
    let mut found: HashMap<ConversationId, HashMap<String, ParticipantClass>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(ConversationId, String, ParticipantClass)> = participants::table
        .filter(participants::conversation_id.eq_any(of))
        .select((participants::conversation_id, participants::email_folded, participants::class))
        .load(conn)?;
    for (conversation, email, class) in rows {
        found.entry(conversation).or_default().insert(email, class);
    }
    Ok(found)
}

/// Takes people out of a conversation.
pub fn delete_participants(
    conn: &mut Conn,
    conversation: ConversationId,
    people: &[String],
) -> Result<(), StoreError> {
    let there = participants::table
        .filter(participants::conversation_id.eq(conversation))
        .filter(participants::email_folded.eq_any(people));
    diesel::delete(there).execute(conn)?;
    Ok(())
}

/// Somebody who becomes part of a conversation.
#[derive(Debug, Insertable)]
#[diesel(table_name = participants, treat_none_as_default_value = false)]
pub struct NewParticipant<'a> {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Their folded address.
    pub email_folded: &'a str,
    /// What they are in it.
    pub class: ParticipantClass,
    /// Now.
    pub created_at: Timestamp,
}

/// Makes somebody part of a conversation; who is part of it already stays what they are.
pub fn insert_participants(
    conn: &mut Conn,
    conversation: ConversationId,
    people: &[(String, ParticipantClass)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows: Vec<NewParticipant<'_>> = people
        .iter()
        .map(|(email, class)| NewParticipant {
            conversation_id: conversation,
            email_folded: email,
            class: *class,
            created_at: now,
        })
        .collect();
    insert_all_participants(conn, &rows)
}

/// [`insert_participants`] for several conversations at once.
pub fn insert_all_participants(conn: &mut Conn, new: &[NewParticipant<'_>]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(participants::table).values(new).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}
