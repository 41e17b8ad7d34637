//! What agents are notified of.

use crate::access::Access;
use crate::actor::ActorType;
use crate::id::{AgentId, ConversationId, MessageId, NotificationId};
use crate::notification::{Notification, NotificationReason};
use crate::page::{Page, PageRequest, Position};
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::notifications;
use crate::store::{StoreError, conversations, returning};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// Which of an agent's notifications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// Those that were not read, or those that were.
    pub unread: Option<bool>,
    /// Those about this conversation.
    pub conversation_id: Option<ConversationId>,
}

/// Rows that are looked at together where some of the first ones may not be seen any more.
const LOOKED_AT: i64 = 1_000;

/// An agent's notifications, whatever they may see; a test asks EXPLAIN about it.
pub fn of(agent: AgentId, filter: NotificationFilter) -> notifications::BoxedQuery<'static, MultiBackend> {
    let mut query = notifications::table.into_boxed().filter(notifications::agent_id.eq(agent));
    match filter.unread {
        Some(true) => query = query.filter(notifications::read_at.is_null()),
        Some(false) => query = query.filter(notifications::read_at.is_not_null()),
        None => {}
    }
    if let Some(id) = filter.conversation_id {
        query = query.filter(notifications::conversation_id.eq(id));
    }
    query
}

/// The newest of them, before `after`.
pub fn page_of(
    agent: AgentId,
    filter: NotificationFilter,
    after: Option<NotificationId>,
    rows: i64,
) -> notifications::BoxedQuery<'static, MultiBackend> {
    let mut query = of(agent, filter);
    if let Some(after) = after {
        query = query.filter(notifications::id.lt(after));
    }
    query.order(notifications::id.desc()).limit(rows)
}

/// A page of those that are about what `access` may see, newest first: what was taken from an agent is theirs no longer.
pub fn list(
    conn: &mut Conn,
    access: &Access,
    agent: AgentId,
    filter: NotificationFilter,
    page: PageRequest,
) -> Result<Page<Notification>, StoreError> {
    let total = if page.count { Some(count(conn, access, agent, filter)?) } else { None };
    let mut rows = page.fetch();
    let wanted = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
    let mut after = page.after.map(|after| NotificationId(after.id));
    let mut found: Vec<Notification> = Vec::new();
    loop {
        let next: Vec<Notification> =
            page_of(agent, filter, after, rows).select(Notification::as_select()).load(conn)?;
        let is_end = i64::try_from(next.len()).unwrap_or(i64::MAX) < rows;
        after = next.last().map(|row| row.id);
        found.extend(seen(conn, access, next)?);
        if is_end || found.len() >= wanted {
            break;
        }
        rows = LOOKED_AT;
    }
    found.truncate(wanted);
    let cut = Page::cut(found, page, |row| Position { key: row.id.0, id: row.id.0 });
    Ok(Page { total, ..cut })
}

fn seen(
    conn: &mut Conn,
    access: &Access,
    mut rows: Vec<Notification>,
) -> Result<Vec<Notification>, StoreError> {
    if !access.sees_all() {
        let ids = rows.iter().map(|row| row.conversation_id).collect();
        let open = conversations::visible_of(conn, access, &ids)?;
        rows.retain(|row| open.contains(&row.conversation_id));
    }
    Ok(rows)
}

/// How many there are of those that are about what `access` may see.
pub fn count(
    conn: &mut Conn,
    access: &Access,
    agent: AgentId,
    filter: NotificationFilter,
) -> Result<i64, StoreError> {
    if access.sees_all() {
        return Ok(of(agent, filter).count().get_result(conn)?);
    }
    let about: Vec<ConversationId> = of(agent, filter).select(notifications::conversation_id).load(conn)?;
    let mut each: HashMap<ConversationId, i64> = HashMap::new();
    for id in about {
        *each.entry(id).or_default() += 1;
    }
    let ids: Vec<ConversationId> = each.keys().copied().collect();
    let mut count = 0;
    for some in ids.chunks(1_000) {
        let open = conversations::visible_of(conn, access, &some.iter().copied().collect())?;
        count += open.iter().filter_map(|id| each.get(id)).sum::<i64>();
    }
    Ok(count)
}

/// One of an agent's.
pub fn find(
    conn: &mut Conn,
    access: &Access,
    agent: AgentId,
    id: NotificationId,
) -> Result<Option<Notification>, StoreError> {
    let found: Vec<Notification> = of(agent, NotificationFilter::default())
        .filter(notifications::id.eq(id))
        .select(Notification::as_select())
        .load(conn)?;
    Ok(seen(conn, access, found)?.pop())
}

/// A notification to be made.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = notifications, treat_none_as_default_value = false)]
pub struct NewNotification {
    /// Whose.
    pub agent_id: AgentId,
    /// Which event.
    pub seq: i64,
    /// Why.
    pub reason: NotificationReason,
    /// The conversation it is about.
    pub conversation_id: ConversationId,
    /// The message it is about.
    pub message_id: Option<MessageId>,
    /// Who did it.
    pub actor_type: ActorType,
    /// Which one.
    pub actor_id: Option<String>,
    /// By what name.
    pub actor_name: Option<String>,
    /// When they read it.
    pub read_at: Option<Timestamp>,
    /// When it went out by mail.
    pub mailed_at: Option<Timestamp>,
    /// When it happened.
    pub created_at: Timestamp,
}

/// Makes one.
pub fn insert(conn: &mut Conn, new: &NewNotification) -> Result<Notification, StoreError> {
    Ok(diesel::insert_into(notifications::table)
        .values(new)
        .returning(returning::<Notification>())
        .get_result(conn)?)
}

/// Says when one was read, or that it wasn't. `None`: somebody else said so first.
pub fn set_read(
    conn: &mut Conn,
    before: &Notification,
    read_at: Option<Timestamp>,
) -> Result<Option<Notification>, StoreError> {
    let same = notifications::table
        .find(before.id)
        .filter(notifications::read_at.is_null().eq(before.read_at.is_none()));
    Ok(diesel::update(same)
        .set(notifications::read_at.eq(read_at))
        .returning(returning::<Notification>())
        .get_result(conn)
        .optional()?)
}

/// Says that an agent has read all up to one. How many that were.
pub fn read_up_to(
    conn: &mut Conn,
    agent: AgentId,
    last: NotificationId,
    conversation: Option<ConversationId>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let unread = notifications::table
        .filter(notifications::agent_id.eq(agent))
        .filter(notifications::read_at.is_null())
        .filter(notifications::id.le(last));
    let set = notifications::read_at.eq(now);
    Ok(match conversation {
        Some(id) => {
            diesel::update(unread.filter(notifications::conversation_id.eq(id))).set(set).execute(conn)?
        }
        None => diesel::update(unread).set(set).execute(conn)?,
    })
}

/// Says that an agent has read what they are notified of in a conversation, as far as this message.
pub fn read_with(
    conn: &mut Conn,
    agent: AgentId,
    conversation: ConversationId,
    message: MessageId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let reached =
        notifications::message_id.is_null().or(notifications::message_id.assume_not_null().le(message));
    let unread = notifications::table
        .filter(notifications::agent_id.eq(agent))
        .filter(notifications::conversation_id.eq(conversation))
        .filter(notifications::read_at.is_null())
        .filter(reached);
    Ok(diesel::update(unread).set(notifications::read_at.eq(now)).execute(conn)?)
}

/// How many went out to an agent by mail since then.
pub fn count_mailed(conn: &mut Conn, agent: AgentId, since: Timestamp) -> Result<i64, StoreError> {
    Ok(notifications::table
        .filter(notifications::agent_id.eq(agent))
        .filter(notifications::mailed_at.is_not_null())
        .filter(notifications::mailed_at.assume_not_null().gt(since))
        .count()
        .get_result(conn)?)
}

/// Forgets what happened before then.
pub fn expire(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let old = notifications::table.filter(notifications::created_at.lt(before));
    Ok(diesel::delete(old).execute(conn)?)
}
