//! Tags, and which conversations carry them.

use crate::id::{ConversationId, TagId};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{conversation_tags, tags};
use crate::text::fold;
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// A label on conversations. Names that differ in case alone are one tag.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = tags)]
pub struct Tag {
    /// The number.
    pub id: TagId,
    /// As first written.
    pub name: String,
    /// When it was first used.
    pub created_at: Timestamp,
}

/// Every tag, by name.
pub fn list(conn: &mut Conn) -> Result<Vec<Tag>, StoreError> {
    Ok(tags::table.order(tags::name_folded.asc()).select(Tag::as_select()).load(conn)?)
}

/// One tag.
pub fn find(conn: &mut Conn, id: TagId) -> Result<Option<Tag>, StoreError> {
    Ok(tags::table.find(id).select(Tag::as_select()).first(conn).optional()?)
}

/// The tag of this name, whatever its case.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<Tag>, StoreError> {
    Ok(tags::table
        .filter(tags::name_folded.eq(fold(name)))
        .select(Tag::as_select())
        .first(conn)
        .optional()?)
}

/// Makes a tag unless there is one of this name; the flag says whether it was made.
pub fn insert_or_read(conn: &mut Conn, name: &str, now: Timestamp) -> Result<(Tag, bool), StoreError> {
    let made = each_backend!(conn => diesel::insert_into(tags::table)
        .values((tags::name.eq(name), tags::name_folded.eq(fold(name)), tags::created_at.eq(now)))
        .on_conflict_do_nothing()
        .execute(conn))?;
    let tag = tags::table.filter(tags::name_folded.eq(fold(name))).select(Tag::as_select()).first(conn)?;
    Ok((tag, made == 1))
}

/// Names a tag anew.
pub fn rename(conn: &mut Conn, id: TagId, name: &str) -> Result<(), StoreError> {
    diesel::update(tags::table.find(id))
        .set((tags::name.eq(name), tags::name_folded.eq(fold(name))))
        .execute(conn)?;
    Ok(())
}

/// Removes a tag everywhere.
pub fn delete(conn: &mut Conn, id: TagId) -> Result<bool, StoreError> {
    Ok(diesel::delete(tags::table.find(id)).execute(conn)? == 1)
}

/// The names of the tags of several conversations, by name.
pub fn of_conversations(
    conn: &mut Conn,
    of: &[ConversationId],
) -> Result<HashMap<ConversationId, Vec<String>>, StoreError> {
    let mut found: HashMap<ConversationId, Vec<String>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(ConversationId, String)> = conversation_tags::table
        .inner_join(tags::table)
        .filter(conversation_tags::conversation_id.eq_any(of))
        .order(tags::name_folded.asc())
        .select((conversation_tags::conversation_id, tags::name))
        .load(conn)?;
    for (conversation, name) in rows {
        found.entry(conversation).or_default().push(name);
    }
    Ok(found)
}

/// The numbers of a conversation's tags.
pub fn ids_of_conversation(conn: &mut Conn, of: ConversationId) -> Result<Vec<TagId>, StoreError> {
    Ok(conversation_tags::table
        .filter(conversation_tags::conversation_id.eq(of))
        .order(conversation_tags::tag_id.asc())
        .select(conversation_tags::tag_id)
        .load(conn)?)
}

/// Puts tags on a conversation; those that are there stay.
pub fn attach(conn: &mut Conn, id: ConversationId, new: &[TagId]) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = new
        .iter()
        .map(|tag| (conversation_tags::conversation_id.eq(id), conversation_tags::tag_id.eq(*tag)))
        .collect();
    each_backend!(conn => diesel::insert_into(conversation_tags::table).values(&rows).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// Takes tags off a conversation.
pub fn detach(conn: &mut Conn, id: ConversationId, old: &[TagId]) -> Result<(), StoreError> {
    diesel::delete(
        conversation_tags::table
            .filter(conversation_tags::conversation_id.eq(id))
            .filter(conversation_tags::tag_id.eq_any(old)),
    )
    .execute(conn)?;
    Ok(())
}
