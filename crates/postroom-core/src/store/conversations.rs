//! Conversations, and the one predicate that says who may see which.

use crate::access::{Access, Grant, Sight};
use crate::conversation::{
    Assignees, Conversation, ConversationFilter, ConversationLink, ConversationSort, LinkReason, Status,
};
use crate::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, MessageId, TeamId};
use crate::page::{Page, PageRequest, Position};
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{conversation_links, conversation_tags, conversations, tags};
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Narrows a query to any of these values; none means all. One alone is asked for by `=`: with
/// a list of one, PostgreSQL would not read an index in its order, but sort.
macro_rules! any_of {
    ($query:ident, $column:expr, $values:expr) => {
        match $values.as_slice() {
            [] => {}
            [one] => $query = $query.filter($column.eq(*one)),
            many => $query = $query.filter($column.eq_any(many.to_vec())),
        }
    };
}

type Predicate = Box<dyn BoxableExpression<conversations::table, MultiBackend, SqlType = Bool>>;

/// Everything `access` may see: the only way this table is read for a caller.
pub fn visible(access: &Access) -> conversations::BoxedQuery<'static, MultiBackend> {
    let query = conversations::table.into_boxed();
    match access.sight() {
        Sight::All => query,
        Sight::Only(grants) => {
            let (whole, partial): (Vec<&Grant>, Vec<&Grant>) =
                grants.iter().partition(|g| g.category_id.is_none() && !g.assigned_only);
            let whole: Vec<MailboxId> = whole.iter().map(|g| g.mailbox_id).collect();
            let mut any: Predicate = match whole.as_slice() {
                [one] => Box::new(conversations::mailbox_id.eq(*one)),
                _ => Box::new(conversations::mailbox_id.eq_any(whole)),
            };
            for grant in partial {
                let mut one: Predicate = Box::new(conversations::mailbox_id.eq(grant.mailbox_id));
                if let Some(category) = grant.category_id {
                    one = Box::new(one.and(conversations::category_id.assume_not_null().eq(category)));
                }
                if grant.assigned_only {
                    // An agent's number is never 0, so nobody's grant opens nothing.
                    let me = access.agent_id().unwrap_or(AgentId(0));
                    one = Box::new(one.and(conversations::assignee_id.assume_not_null().eq(me)));
                }
                any = Box::new(any.or(one));
            }
            query.filter(any)
        }
    }
}

/// One conversation, if it is there and may be seen.
pub fn find(
    conn: &mut Conn,
    access: &Access,
    id: ConversationId,
) -> Result<Option<Conversation>, StoreError> {
    Ok(visible(access)
        .filter(conversations::id.eq(id))
        .select(Conversation::as_select())
        .first(conn)
        .optional()?)
}

/// Several conversations for the desk's own work, by id.
pub fn find_many(
    conn: &mut Conn,
    ids: &[ConversationId],
) -> Result<HashMap<ConversationId, Conversation>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Conversation> = conversations::table
        .filter(conversations::id.eq_any(ids))
        .select(Conversation::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Which of these the caller may see.
pub fn visible_of(
    conn: &mut Conn,
    access: &Access,
    ids: &HashSet<ConversationId>,
) -> Result<HashSet<ConversationId>, StoreError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let seen: Vec<ConversationId> =
        visible(access).filter(conversations::id.eq_any(ids)).select(conversations::id).load(conn)?;
    Ok(seen.into_iter().collect())
}

/// One page of what may be seen and fits the filter. Trashed and merged ones are left out.
pub fn list(
    conn: &mut Conn,
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> Result<Page<Conversation>, StoreError> {
    let total = if page.count { Some(matching(access, filter).count().get_result(conn)?) } else { None };
    let mut rows: Vec<Conversation> = Vec::new();
    for query in pages(access, filter, sort, page) {
        rows.extend(query.select(Conversation::as_select()).load(conn)?);
    }
    let position = |row: &Conversation| match sort {
        ConversationSort::IdDescending | ConversationSort::Id => Position { key: row.id.0, id: row.id.0 },
        _ => Position { key: row.updated_at.0, id: row.id.0 },
    };
    let key = |row: &Conversation| (position(row).key, row.id);
    match sort {
        ConversationSort::IdDescending | ConversationSort::UpdatedDescending => {
            rows.sort_unstable_by_key(|row| Reverse(key(row)));
        }
        ConversationSort::Id | ConversationSort::Updated => rows.sort_unstable_by_key(key),
    }
    rows.dedup_by_key(|row| row.id);
    let mut cut = Page::cut(rows, page, position);
    cut.total = total;
    Ok(cut)
}

/// The most queries that one page is merged from.
const BRANCHES: usize = 24;

/// The queries that one page is merged from; a test asks EXPLAIN about them.
///
/// A list in several mailboxes or states can't be read off one index in its order: a database
/// would sort all that fits to show 25. So there is a query for each mailbox, grant and state,
/// which walks its index no further than the page reaches.
pub fn pages(
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> Vec<conversations::BoxedQuery<'static, MultiBackend>> {
    let each_mailbox: Vec<(Access, ConversationFilter)> = match access.sight() {
        Sight::All => split(&filter.mailbox_id)
            .map(|mailbox_id| (access.clone(), ConversationFilter { mailbox_id, ..filter.clone() }))
            .collect(),
        Sight::Only(grants) => {
            let asked = |grant: &&Grant| {
                filter.mailbox_id.is_empty() || filter.mailbox_id.contains(&grant.mailbox_id)
            };
            let mut meant: Vec<Grant> = grants.iter().filter(asked).copied().collect();
            meant.dedup();
            let alone = |grant: Grant| {
                let sight = Sight::Only(vec![grant]);
                let access = Access::new(access.agent_id(), access.scopes().to_vec(), sight);
                (access, ConversationFilter { mailbox_id: Vec::new(), ..filter.clone() })
            };
            meant.into_iter().map(alone).collect()
        }
    };
    let states: Vec<Vec<Status>> = split(&filter.status).collect();
    if each_mailbox.len() * states.len() > BRANCHES {
        return vec![one_page(access, filter, sort, page)];
    }
    let mut queries = Vec::with_capacity(each_mailbox.len() * states.len());
    for (access, filter) in &each_mailbox {
        for status in &states {
            let filter = ConversationFilter { status: status.clone(), ..filter.clone() };
            queries.push(one_page(access, &filter, sort, page));
        }
    }
    queries
}

/// Each of several alone; none is one list of none.
fn split<T: Copy + PartialEq>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
    let mut each: Vec<Vec<T>> = Vec::new();
    for one in all {
        if !each.contains(&vec![*one]) {
            each.push(vec![*one]);
        }
    }
    if each.is_empty() {
        each.push(Vec::new());
    }
    each.into_iter()
}

fn one_page(
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> conversations::BoxedQuery<'static, MultiBackend> {
    let mut query = matching(access, filter);
    if let Some(after) = page.after {
        let (key, id) = (Timestamp(after.key), ConversationId(after.id));
        query = match sort {
            ConversationSort::IdDescending => query.filter(conversations::id.lt(id)),
            ConversationSort::Id => query.filter(conversations::id.gt(id)),
            ConversationSort::UpdatedDescending => query.filter(
                conversations::updated_at
                    .le(key)
                    .and(conversations::updated_at.lt(key).or(conversations::id.lt(id))),
            ),
            ConversationSort::Updated => query.filter(
                conversations::updated_at
                    .ge(key)
                    .and(conversations::updated_at.gt(key).or(conversations::id.gt(id))),
            ),
        };
    }
    query = match sort {
        ConversationSort::IdDescending => query.order(conversations::id.desc()),
        ConversationSort::Id => query.order(conversations::id.asc()),
        ConversationSort::UpdatedDescending => {
            query.order((conversations::updated_at.desc(), conversations::id.desc()))
        }
        ConversationSort::Updated => query.order((conversations::updated_at.asc(), conversations::id.asc())),
    };
    query.limit(page.fetch())
}

/// The filter as one query.
fn matching(
    access: &Access,
    filter: &ConversationFilter,
) -> conversations::BoxedQuery<'static, MultiBackend> {
    let mut query = visible(access)
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::merged_into.is_null());
    any_of!(query, conversations::status, filter.status);
    any_of!(query, conversations::priority, filter.priority);
    any_of!(query, conversations::channel, filter.channel);
    any_of!(query, conversations::mailbox_id, filter.mailbox_id);
    match &filter.assignee {
        Some(Assignees::Nobody) => query = query.filter(conversations::assignee_id.is_null()),
        Some(Assignees::Any(ids)) => any_of!(query, conversations::assignee_id.assume_not_null(), ids),
        None => {}
    }
    any_of!(query, conversations::team_id.assume_not_null(), filter.team_id);
    any_of!(query, conversations::customer_id, filter.customer_id);
    if !filter.tag.is_empty() {
        query = query.filter(
            conversations::id.eq_any(tagged(filter.tag.iter().map(|t| crate::text::fold(t)).collect())),
        );
    }
    for tag in &filter.tag_all {
        query = query.filter(conversations::id.eq_any(tagged(vec![crate::text::fold(tag)])));
    }
    if let Some(since) = filter.created_since {
        query = query.filter(conversations::created_at.ge(since));
    }
    if let Some(before) = filter.created_before {
        query = query.filter(conversations::created_at.lt(before));
    }
    if let Some(since) = filter.updated_since {
        query = query.filter(conversations::updated_at.ge(since));
    }
    if let Some(before) = filter.updated_before {
        query = query.filter(conversations::updated_at.lt(before));
    }
    query
}

#[diesel::dsl::auto_type(no_type_alias)]
fn tagged(folded: Vec<String>) -> _ {
    conversation_tags::table
        .inner_join(tags::table)
        .filter(tags::name_folded.eq_any(folded))
        .select(conversation_tags::conversation_id)
}

/// A conversation to be made.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = conversations, treat_none_as_default_value = false)]
pub struct NewConversation {
    /// Where.
    pub mailbox_id: MailboxId,
    /// Whose.
    pub customer_id: CustomerId,
    /// About what.
    pub subject: String,
    /// Where it stands.
    pub status: Status,
    /// How much it matters.
    pub priority: crate::conversation::Priority,
    /// How it came.
    pub channel: crate::conversation::Channel,
    /// Who takes care of it.
    pub assignee_id: Option<AgentId>,
    /// Which team.
    pub team_id: Option<TeamId>,
    /// What kind of matter.
    pub category_id: Option<CategoryId>,
    /// Whose turn it is.
    pub waiting_on: Option<crate::conversation::WaitingOn>,
    /// Since when.
    pub waiting_since: Option<Timestamp>,
    /// How many messages.
    pub message_count: i32,
    /// When the newest came.
    pub last_message_at: Timestamp,
    /// 1.
    pub version: i64,
    /// Now.
    pub created_at: Timestamp,
    /// Now.
    pub updated_at: Timestamp,
    /// When it was closed, if it begins closed.
    pub closed_at: Option<Timestamp>,
}

/// Makes one. Its number alone comes back from the database: the rest is what was written.
pub fn insert(conn: &mut Conn, new: &NewConversation) -> Result<Conversation, StoreError> {
    let id = diesel::insert_into(conversations::table)
        .values(new)
        .returning(conversations::id)
        .get_result(conn)?;
    Ok(Conversation {
        id,
        mailbox_id: new.mailbox_id,
        customer_id: new.customer_id,
        subject: new.subject.clone(),
        status: new.status,
        priority: new.priority,
        channel: new.channel,
        assignee_id: new.assignee_id,
        team_id: new.team_id,
        category_id: new.category_id,
        waiting_on: new.waiting_on,
        waiting_since: new.waiting_since,
        snoozed_until: None,
        message_count: new.message_count,
        last_message_id: None,
        last_message_at: new.last_message_at,
        merged_into: None,
        version: new.version,
        created_at: new.created_at,
        updated_at: new.updated_at,
        closed_at: new.closed_at,
        deleted_at: None,
    })
}

/// What a change leaves behind: every member is the value after it.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = conversations, treat_none_as_null = true)]
struct Changed {
    subject: String,
    status: Status,
    priority: crate::conversation::Priority,
    assignee_id: Option<AgentId>,
    team_id: Option<TeamId>,
    category_id: Option<CategoryId>,
    waiting_on: Option<crate::conversation::WaitingOn>,
    waiting_since: Option<Timestamp>,
    snoozed_until: Option<Timestamp>,
    message_count: i32,
    last_message_id: Option<MessageId>,
    last_message_at: Timestamp,
    merged_into: Option<ConversationId>,
    version: i64,
    updated_at: Timestamp,
    closed_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
}

impl Changed {
    fn of(after: &Conversation) -> Self {
        Self {
            subject: after.subject.clone(),
            status: after.status,
            priority: after.priority,
            assignee_id: after.assignee_id,
            team_id: after.team_id,
            category_id: after.category_id,
            waiting_on: after.waiting_on,
            waiting_since: after.waiting_since,
            snoozed_until: after.snoozed_until,
            message_count: after.message_count,
            last_message_id: after.last_message_id,
            last_message_at: after.last_message_at,
            merged_into: after.merged_into,
            version: after.version,
            updated_at: after.updated_at,
            closed_at: after.closed_at,
            deleted_at: after.deleted_at,
        }
    }
}

/// What one more message changes, and mostly all that it changes: a statement is made ready anew
/// for each update, and takes the longer the more columns it has.
#[derive(Debug, Clone, Copy, AsChangeset)]
#[diesel(table_name = conversations, treat_none_as_null = true)]
struct Grown {
    message_count: i32,
    last_message_id: Option<MessageId>,
    last_message_at: Timestamp,
    version: i64,
    updated_at: Timestamp,
}

/// Writes `after` over `before`, one version on. `None`: somebody else changed it first.
///
/// What comes back is what was written, not what was read again: every writer raises the version,
/// so where it still is that of `before`, all else is too. Mailbox, customer and channel are not
/// written here, and must be the same in both.
pub fn update(
    conn: &mut Conn,
    before: &Conversation,
    after: &Conversation,
    now: Timestamp,
) -> Result<Option<Conversation>, StoreError> {
    let written = Conversation { version: before.version + 1, updated_at: now, ..after.clone() };
    let grown = Grown {
        message_count: written.message_count,
        last_message_id: written.last_message_id,
        last_message_at: written.last_message_at,
        version: written.version,
        updated_at: written.updated_at,
    };
    let otherwise = Conversation {
        message_count: before.message_count,
        last_message_id: before.last_message_id,
        last_message_at: before.last_message_at,
        ..after.clone()
    };
    let same = conversations::table.find(before.id).filter(conversations::version.eq(before.version));
    let rows = if otherwise == *before {
        diesel::update(same).set(grown).execute(conn)?
    } else {
        diesel::update(same).set(Changed::of(&written)).execute(conn)?
    };
    Ok((rows == 1).then_some(written))
}

/// Conversations of one customer in these mailboxes: newest first, few.
pub fn recent_of_customer(
    conn: &mut Conn,
    customer_id: CustomerId,
    mailboxes: &[MailboxId],
) -> Result<Vec<Conversation>, StoreError> {
    Ok(conversations::table
        .filter(conversations::customer_id.eq(customer_id))
        .filter(conversations::mailbox_id.eq_any(mailboxes))
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::merged_into.is_null())
        .order(conversations::id.desc())
        .limit(20)
        .select(Conversation::as_select())
        .load(conn)?)
}

/// Remembers that two have to do with each other; once is enough.
pub fn insert_link(
    conn: &mut Conn,
    id: ConversationId,
    related: ConversationId,
    reason: LinkReason,
    message: MessageId,
    now: Timestamp,
) -> Result<(), StoreError> {
    each_backend!(conn => diesel::insert_into(conversation_links::table)
        .values((
            conversation_links::conversation_id.eq(id),
            conversation_links::related_id.eq(related),
            conversation_links::reason.eq(reason),
            conversation_links::message_id.eq(message),
            conversation_links::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(())
}

/// What a conversation has to do with.
pub fn links(conn: &mut Conn, id: ConversationId) -> Result<Vec<ConversationLink>, StoreError> {
    let rows: Vec<(ConversationId, LinkReason)> = conversation_links::table
        .filter(conversation_links::conversation_id.eq(id))
        .order(conversation_links::related_id.asc())
        .select((conversation_links::related_id, conversation_links::reason))
        .load(conn)?;
    Ok(rows.into_iter().map(|(related_id, reason)| ConversationLink { related_id, reason }).collect())
}

/// Gives a conversation the links of another one, but for one to itself.
pub fn copy_links(
    conn: &mut Conn,
    from: ConversationId,
    to: ConversationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows: Vec<(ConversationId, LinkReason, Option<MessageId>)> = conversation_links::table
        .filter(conversation_links::conversation_id.eq(from))
        .filter(conversation_links::related_id.ne(to))
        .select((conversation_links::related_id, conversation_links::reason, conversation_links::message_id))
        .load(conn)?;
    for (related, reason, message) in rows {
        each_backend!(conn => diesel::insert_into(conversation_links::table)
            .values((
                conversation_links::conversation_id.eq(to),
                conversation_links::related_id.eq(related),
                conversation_links::reason.eq(reason),
                conversation_links::message_id.eq(message),
                conversation_links::created_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .execute(conn))?;
    }
    Ok(())
}
