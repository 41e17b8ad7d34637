//! Conversations, and the one predicate that says who may see which.

use crate::access::{Access, Grant, Sight};
use crate::conversation::{Conversation, ConversationLink, ExternalId, LinkReason, Status};
use crate::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, MessageId, TeamId};
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{conversation_links, conversations};
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use std::collections::{HashMap, HashSet};

mod conditions;
mod list;

pub use list::{count_up_to, list, longest_first, pages, waiting_longest};

/// What must hold of a conversation.
pub(crate) type Predicate = Box<dyn BoxableExpression<conversations::table, MultiBackend, SqlType = Bool>>;

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

/// The conversation that another system calls so, whoever may see it: to be asked through
/// [`visible_of`] before anybody is told.
pub fn find_by_external(conn: &mut Conn, key: &ExternalId) -> Result<Option<Conversation>, StoreError> {
    Ok(conversations::table
        .filter(conversations::external_source.assume_not_null().eq(&key.source))
        .filter(conversations::external_id.assume_not_null().eq(&key.id))
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
    /// Which other system calls it something.
    pub external_source: Option<String>,
    /// What.
    pub external_id: Option<String>,
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
        external_source: new.external_source.clone(),
        external_id: new.external_id.clone(),
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
    external_source: Option<String>,
    external_id: Option<String>,
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
            external_source: after.external_source.clone(),
            external_id: after.external_id.clone(),
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

/// Those that rest and whose time has come, the longest ago first.
pub fn due_to_wake(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Conversation>, StoreError> {
    Ok(waking(now, limit).select(Conversation::as_select()).load(conn)?)
}

/// [`due_to_wake`] as a query; a test asks EXPLAIN about it.
pub fn waking<'q>(now: Timestamp, limit: i64) -> conversations::BoxedQuery<'q, MultiBackend> {
    resting().filter(conversations::snoozed_until.assume_not_null().le(now)).limit(limit)
}

/// When the next one that rests wakes.
pub fn next_wake(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let next: Option<Option<Timestamp>> =
        resting().select(conversations::snoozed_until).first(conn).optional()?;
    Ok(next.flatten())
}

/// In the words and the order of the index: what lies in the trash rests on.
fn resting<'q>() -> conversations::BoxedQuery<'q, MultiBackend> {
    conversations::table
        .into_boxed()
        .filter(conversations::snoozed_until.is_not_null())
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::merged_into.is_null())
        .order(conversations::snoozed_until.asc())
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
