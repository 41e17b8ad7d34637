//! The event log.

use crate::access::Access;
use crate::actor::{Actor, ActorType};
use crate::event::{Event, EventType, NewEvent};
use crate::id::{AgentId, CategoryId, ConversationId, MailboxId};
use crate::store::conn::{self, Conn, MultiBackend, each_backend};
use crate::store::schema::events;
use crate::store::types::Json;
use crate::store::{StoreError, conversations};
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// Rows of one statement: SQLite takes 32,766 values in one, and a row has ten.
const ROWS_AT_ONCE: usize = 1_000;

#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct NewRow<'a> {
    kind: &'a str,
    actor_type: ActorType,
    actor_id: Option<String>,
    actor_name: Option<&'a str>,
    mailbox_id: Option<MailboxId>,
    conversation_id: Option<ConversationId>,
    message_id: Option<crate::id::MessageId>,
    customer_id: Option<crate::id::CustomerId>,
    data: Json<Cow<'a, Map<String, Value>>>,
    created_at: Timestamp,
}

/// Writes a transaction's events, in order, under the lock that keeps their numbers in the
/// order of commits. To be called last.
pub fn append(conn: &mut Conn, actor: &Actor, told: &[NewEvent], now: Timestamp) -> Result<(), StoreError> {
    if told.is_empty() {
        return Ok(());
    }
    let rows: Vec<NewRow<'_>> = told.iter().map(|event| row(event, actor, now)).collect();
    conn::lock_events(conn)?;
    for rows in rows.chunks(ROWS_AT_ONCE) {
        each_backend!(conn => diesel::insert_into(events::table).values(rows).execute(conn))?;
    }
    Ok(())
}

fn row<'a>(event: &'a NewEvent, actor: &'a Actor, now: Timestamp) -> NewRow<'a> {
    let (actor_type, actor_id, actor_name) = match &event.by_customer {
        Some((id, name)) => (ActorType::Customer, Some(id.to_string()), name.as_deref()),
        None => (actor.kind, actor.event_id(), Some(actor.name.as_str())),
    };
    let mut data = Cow::Borrowed(&event.data);
    if let Some(token) = actor.through() {
        data.to_mut().insert("on_behalf_through".to_owned(), token.0.clone().into());
    }
    NewRow {
        kind: event.kind.as_str(),
        actor_type,
        actor_id,
        actor_name,
        mailbox_id: event.about.mailbox_id,
        conversation_id: event.about.conversation_id,
        message_id: event.about.message_id,
        customer_id: event.about.customer_id,
        data: Json::new(data),
        created_at: now,
    }
}

type Predicate = Box<dyn BoxableExpression<events::table, MultiBackend, SqlType = Bool>>;

/// How many rows are looked at for one page, however few of them the caller may see.
const ROWS_PER_PAGE: i64 = 2_000;

/// Events that the caller may see now, and how far the log was looked through for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Everything up to here was looked at: where the next look begins.
    pub seen_up_to: i64,
}

/// The events behind `after`. `kinds` are names, or prefixes that end in a dot; none means all.
///
/// What a caller may see is asked per row, at this moment: a grant taken away hides the past
/// as well.
pub fn list_after(
    conn: &mut Conn,
    access: &Access,
    after: i64,
    kinds: &[String],
    limit: i64,
) -> Result<Found, StoreError> {
    let rows = if access.sees_all() { limit } else { ROWS_PER_PAGE };
    let mut found: Vec<Event> = page_of(after, kinds, rows).select(Event::as_select()).load(conn)?;
    let mut seen_up_to = found.last().map_or(after, |event| event.seq);
    if !access.sees_all() {
        let ids: HashSet<ConversationId> = found.iter().filter_map(|event| event.conversation_id).collect();
        let open = conversations::visible_of(conn, access, &ids)?;
        found.retain(|event| match (event.conversation_id, event.mailbox_id) {
            (Some(_), Some(mailbox)) if event.kind == EventType::ConversationPurged.as_str() => {
                might_see(access, mailbox, event)
            }
            (Some(id), _) => open.contains(&id),
            (None, Some(mailbox)) => access.sees_mailbox(mailbox),
            (None, None) => false,
        });
        if found.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            seen_up_to = found.last().map_or(seen_up_to, |event| event.seq);
        }
    }
    Ok(Found { events: found, seen_up_to })
}

/// Whether a caller might see a conversation that is gone, as far as its last event says.
fn might_see(access: &Access, mailbox: MailboxId, event: &Event) -> bool {
    let (category, assignee) = (event.number("category_id"), event.number("assignee_id"));
    access.level(mailbox, category.map(CategoryId), assignee.map(AgentId)).is_some()
}

/// The rows behind `after` as a query; a test asks EXPLAIN about it.
pub fn page_of(after: i64, kinds: &[String], rows: i64) -> events::BoxedQuery<'static, MultiBackend> {
    let mut query = events::table.into_boxed().filter(events::seq.gt(after));
    let any = kinds.iter().map(|kind| one_kind(kind)).reduce(|any, one| Box::new(any.or(one)));
    if let Some(any) = any {
        query = query.filter(any);
    }
    query.order(events::seq.asc()).limit(rows)
}

fn one_kind(kind: &str) -> Predicate {
    if kind.ends_with('.') {
        Box::new(events::kind.like(format!("{kind}%")))
    } else {
        Box::new(events::kind.eq(kind.to_owned()))
    }
}

/// What happened in one conversation, oldest first, behind `after`, but for who was notified of it. The caller has made
/// sure that it may be seen.
pub fn list_of_conversation(
    conn: &mut Conn,
    id: ConversationId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    Ok(events::table
        .filter(events::conversation_id.eq(id))
        .filter(events::kind.ne(EventType::AgentNotified.as_str()))
        .filter(events::seq.gt(after))
        .order(events::seq.asc())
        .limit(limit)
        .select(Event::as_select())
        .load(conn)?)
}

/// What says whose a conversation is, and who follows it.
const HANDS: [EventType; 3] =
    [EventType::ConversationAssigned, EventType::ConversationFollowed, EventType::ConversationUnfollowed];

/// Every time that one of these conversations changed hands, or got or lost a follower, behind `after`: the first first.
pub fn hands_after(conn: &mut Conn, ids: &[ConversationId], after: i64) -> Result<Vec<Event>, StoreError> {
    Ok(events::table
        .filter(events::conversation_id.assume_not_null().eq_any(ids))
        .filter(events::kind.eq_any(HANDS.map(EventType::as_str)))
        .filter(events::seq.gt(after))
        .order(events::seq.asc())
        .select(Event::as_select())
        .load(conn)?)
}

/// How many events of a conversation the log has, but for who was notified of it.
pub fn count_of_conversation(conn: &mut Conn, id: ConversationId) -> Result<i64, StoreError> {
    Ok(events::table
        .filter(events::conversation_id.eq(id))
        .filter(events::kind.ne(EventType::AgentNotified.as_str()))
        .count()
        .get_result(conn)?)
}

/// Those of these conversations in which somebody did something: an agent, or a program of theirs.
/// What mail did is the desk's own doing.
pub fn worked_on(conn: &mut Conn, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, StoreError> {
    let found: Vec<Option<ConversationId>> = events::table
        .filter(events::conversation_id.assume_not_null().eq_any(ids))
        .filter(events::actor_type.eq_any([ActorType::Agent, ActorType::Token]))
        .select(events::conversation_id)
        .distinct()
        .load(conn)?;
    Ok(found.into_iter().flatten().collect())
}

/// The newest number; 0 in an empty log.
pub fn last_seq(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(events::table.select(events::seq).order(events::seq.desc()).first(conn).optional()?.unwrap_or(0))
}

/// The newest number of what is older than `before`; 0 where nothing is.
pub fn last_seq_before(conn: &mut Conn, before: Timestamp) -> Result<i64, StoreError> {
    Ok(events::table
        .filter(events::created_at.lt(before))
        .select(events::seq)
        .order(events::seq.desc())
        .first(conn)
        .optional()?
        .unwrap_or(0))
}

/// Drops what belongs to no conversation and is not served any more.
pub fn delete_loose(conn: &mut Conn, up_to: i64) -> Result<usize, StoreError> {
    Ok(diesel::delete(events::table.filter(events::seq.le(up_to)).filter(events::conversation_id.is_null()))
        .execute(conn)?)
}
