//! Tags, and which conversations carry them.

use crate::id::{ConversationId, TagId, WebhookId};
use crate::listing::{NameSort, Words};
use crate::page::{Page, PageRequest, Place, Position, TextPosition};
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{conversation_tags, tags, webhooks};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
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
    /// What it is for; may be empty.
    pub description: String,
    /// A colour, `#rrggbb`.
    pub color: Option<String>,
    /// Counts changes.
    pub version: i64,
    /// When it was first used.
    pub created_at: Timestamp,
}

/// Which tags a list is of, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter {
    /// With each of these words in the name.
    pub words: Words,
    /// In which order.
    pub sort: NameSort,
}

impl Tag {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("g{}-{}", self.id, self.version)
    }
}

impl TagFilter {
    fn place(&self, tag: &Tag) -> Place {
        let id = tag.id.0;
        match self.sort {
            NameSort::Id | NameSort::IdDescending => Place::Number(Position { key: id, id }),
            NameSort::Name | NameSort::NameDescending => {
                Place::Text(TextPosition { text: fold(&tag.name), id })
            }
        }
    }
}

/// One page of tags: those behind `after`, whatever `page` says of it.
pub fn list(
    conn: &mut Conn,
    filter: &TagFilter,
    after: Option<&Place>,
    page: PageRequest,
) -> Result<Page<Tag>, StoreError> {
    let rows = page_of(filter, after, page.fetch()).select(Tag::as_select()).load(conn)?;
    let total = if page.count { Some(matching(filter).count().get_result(conn)?) } else { None };
    Ok(Page { total, ..Page::cut(rows, page, |tag| filter.place(tag)) })
}

/// The tags behind `after` as a query; a test asks EXPLAIN about it.
pub fn page_of(
    filter: &TagFilter,
    after: Option<&Place>,
    rows: i64,
) -> tags::BoxedQuery<'static, MultiBackend> {
    let query = matching(filter).limit(rows);
    let query = match filter.sort {
        NameSort::Id => query.order(tags::id.asc()),
        NameSort::IdDescending => query.order(tags::id.desc()),
        // No two tags share one.
        NameSort::Name => query.order(tags::name_folded.asc()),
        NameSort::NameDescending => query.order(tags::name_folded.desc()),
    };
    match (after, filter.sort) {
        (Some(Place::Text(at)), NameSort::NameDescending) => {
            query.filter(tags::name_folded.lt(at.text.clone()))
        }
        (Some(Place::Text(at)), _) => query.filter(tags::name_folded.gt(at.text.clone())),
        (Some(Place::Number(at)), NameSort::IdDescending) => query.filter(tags::id.lt(TagId(at.id))),
        (Some(Place::Number(at)), _) => query.filter(tags::id.gt(TagId(at.id))),
        (None, _) => query,
    }
}

fn matching(filter: &TagFilter) -> tags::BoxedQuery<'static, MultiBackend> {
    let mut query = tags::table.into_boxed();
    for pattern in filter.words.patterns() {
        query = query.filter(tags::name_folded.like(pattern).escape('\\'));
    }
    query
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
        .values((
            tags::name.eq(name),
            tags::name_folded.eq(fold(name)),
            tags::description.eq(""),
            tags::version.eq(1_i64),
            tags::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn))?;
    let tag = tags::table.filter(tags::name_folded.eq(fold(name))).select(Tag::as_select()).first(conn)?;
    Ok((tag, made == 1))
}

/// Writes `after` over `before`, one version on. `None`: somebody else changed it first.
pub fn update(conn: &mut Conn, before: &Tag, after: &Tag) -> Result<Option<Tag>, StoreError> {
    let same = tags::table.find(before.id).filter(tags::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            tags::name.eq(&after.name),
            tags::name_folded.eq(fold(&after.name)),
            tags::description.eq(&after.description),
            tags::color.eq(&after.color),
            tags::version.eq(before.version + 1),
        ))
        .returning(returning::<Tag>())
        .get_result(conn)
        .optional()?)
}

/// Removes a tag everywhere. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &Tag) -> Result<bool, StoreError> {
    let same = tags::table.find(before.id).filter(tags::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// How many conversations carry a tag, whoever may see them.
pub fn carried(conn: &mut Conn, id: TagId) -> Result<i64, StoreError> {
    Ok(conversation_tags::table.filter(conversation_tags::tag_id.eq(id)).count().get_result(conn)?)
}

/// Gives what carries one tag another one, and removes the first. Says how many did not carry the other yet; `None`:
/// somebody else changed the first one meanwhile.
pub fn merge(conn: &mut Conn, from: &Tag, into: TagId) -> Result<Option<usize>, StoreError> {
    let same = tags::table.find(from.id).filter(tags::version.eq(from.version));
    // No name can be this. On PostgreSQL writing what is unique keeps others from giving the tag to anything more.
    let nobodys = format!("\u{1},{}", from.id);
    let held = diesel::update(same).set(tags::name_folded.eq(nobodys)).execute(conn)?;
    if held == 0 {
        return Ok(None);
    }
    let own = conversation_tags::table
        .filter(conversation_tags::tag_id.eq(from.id))
        .select((conversation_tags::conversation_id, into.into_sql::<diesel::sql_types::BigInt>()));
    let given = each_backend!(conn => diesel::insert_into(conversation_tags::table)
        .values(own)
        .into_columns((conversation_tags::conversation_id, conversation_tags::tag_id))
        .on_conflict_do_nothing()
        .execute(conn))?;
    diesel::delete(tags::table.find(from.id)).execute(conn)?;
    Ok(Some(given))
}

/// A webhook, its version, and the tags that it goes by.
type Wiring = (WebhookId, i64, Option<Json<Vec<TagId>>>);

/// Has webhooks that go by one tag go by another. Says which did.
pub fn rewire(conn: &mut Conn, from: TagId, into: TagId) -> Result<Vec<WebhookId>, StoreError> {
    let all: Vec<Wiring> = webhooks::table
        .filter(webhooks::tag_ids.is_not_null())
        .order(webhooks::id.asc())
        .select((webhooks::id, webhooks::version, webhooks::tag_ids))
        .load(conn)?;
    let mut done = Vec::new();
    for (id, version, tags) in all {
        let Some(tags) = tags.filter(|tags| tags.contains(&from)) else { continue };
        let mut after: Vec<TagId> = tags.iter().copied().filter(|tag| *tag != from && *tag != into).collect();
        after.push(into);
        let same = webhooks::table.find(id).filter(webhooks::version.eq(version));
        let written = diesel::update(same)
            .set((webhooks::tag_ids.eq(Some(Json::new(after))), webhooks::version.eq(version + 1)))
            .execute(conn)?;
        if written == 0 {
            return Err(StoreError::Again);
        }
        done.push(id);
    }
    Ok(done)
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
