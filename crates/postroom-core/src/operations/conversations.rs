//! Conversations: begun, changed, found.

use super::custom_fields::{self, Given, Holder, Settled};
use super::{overtaken, require_version};
use crate::access::{Access, Level, Scope};
use crate::conversation::{
    Conversation, ConversationFilter, ConversationLink, ConversationSort, ExternalId, Priority, Status,
    WaitingOn,
};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, Event, EventType, NewEvent};
use crate::id::{AgentId, CategoryId, ConversationId, TeamId};
use crate::page::{Page, PageRequest};
use crate::query::QueryError;
use crate::text::SUBJECT_CHARS;
use crate::{Error, store};
use serde_json::{Map, Value};
use std::collections::HashMap;

mod batch;
mod bulk;
mod create;
mod external;
mod highlights;
mod purge;
pub mod snooze;
mod spam;
mod tagging;
mod trash;
pub use batch::{AT_ONCE, create_many};
pub(super) use bulk::{apply, check_bulk};
pub(super) use create::of_address;
pub use create::{ImportedConversation, NewConversation, Whose, create};
pub use external::{ConversationUpsert, Upserted, find_by_external, upsert};
pub use highlights::highlights;
pub use purge::purge;
pub(super) use purge::{require_purgeable, require_scopes as require_purge_scopes};
pub(super) use snooze::require_snoozable;
pub use snooze::{snooze, unsnooze};
pub use spam::{mark_not_spam, mark_spam};
pub use tagging::tag;
use tagging::{TAGS, check_tags, set_tags};
pub use trash::{restore, trash};

/// A conversation with what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationCard {
    /// The conversation.
    pub conversation: Conversation,
    /// Its tags, by name.
    pub tags: Vec<String>,
    /// Its custom fields by their keys, but for those without a value.
    pub custom_fields: Map<String, Value>,
    /// What it has to do with; only where one conversation is asked for.
    pub links: Vec<ConversationLink>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationChange {
    /// `open`, `pending`, `closed` or `spam`.
    pub status: Option<Status>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// What it is about.
    pub subject: Option<String>,
    /// Who takes care of it; `Some(None)` is nobody.
    pub assignee_id: Option<Option<AgentId>>,
    /// Which team does; `Some(None)` is none.
    pub team_id: Option<Option<TeamId>>,
    /// What kind of matter; `Some(None)` is none.
    pub category_id: Option<Option<CategoryId>>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Custom fields; those that are left out stay, `null` takes a value away.
    pub custom_fields: Given,
    /// What another system calls it; `Some(None)` is nothing.
    pub external_id: Option<Option<ExternalId>>,
}

/// One page of the conversations that the caller may see and that fit the filter.
pub fn list(
    cx: &mut Cx<'_>,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> Result<Page<ConversationCard>, Error> {
    if sort == ConversationSort::Relevance && !filter.query.looks_for_words() {
        let detail = "sort=relevance needs words to look for".to_owned();
        return Err(QueryError { position: 1, detail, accepted: Vec::new() }.into());
    }
    let asked = settled(cx, filter)?;
    let access = cx.access().clone();
    let found = store::conversations::list(cx.conn, &access, &asked, sort, page)?;
    let ids: Vec<ConversationId> = found.items.iter().map(|conversation| conversation.id).collect();
    let mut beside = Beside::of(cx, &ids)?;
    Ok(found.map(|conversation| beside.card(conversation)))
}

/// How many conversations the caller may see that fit the filter; counted no further than `most`.
pub(super) fn count_up_to(cx: &mut Cx<'_>, filter: &ConversationFilter, most: usize) -> Result<usize, Error> {
    let asked = settled(cx, filter)?;
    let access = cx.access().clone();
    Ok(store::conversations::count_up_to(cx.conn, &access, &asked, most)?)
}

/// A filter with what it means just now, to this caller.
fn settled(cx: &mut Cx<'_>, filter: &ConversationFilter) -> Result<ConversationFilter, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let is_nobody = cx.access().agent_id().is_none();
    if (filter.query.asks_for_me() || filter.unread.is_some()) && is_nobody {
        let detail = "\"me\" is nobody: this token speaks for no agent".to_owned();
        return Err(QueryError { position: 1, detail, accepted: Vec::new() }.into());
    }
    let query = custom_fields::settle_query(cx, filter.query.clone().asked_at(cx.now))?;
    Ok(ConversationFilter { query, ..filter.clone() })
}

/// Conversations by number with their tags, whoever may see them; the caller has made sure of that.
pub(super) fn cards_of(cx: &mut Cx<'_>, ids: &[ConversationId]) -> Result<Vec<ConversationCard>, Error> {
    let mut found: Vec<Conversation> = store::conversations::find_many(cx.conn, ids)?.into_values().collect();
    found.sort_unstable_by_key(|conversation| conversation.id);
    let mut beside = Beside::of(cx, ids)?;
    Ok(found.into_iter().map(|conversation| beside.card(conversation)).collect())
}

/// What a list shows beside conversations, read for all of them at once.
struct Beside {
    tags: HashMap<ConversationId, Vec<String>>,
    custom_fields: HashMap<ConversationId, Map<String, Value>>,
}

impl Beside {
    fn of(cx: &mut Cx<'_>, ids: &[ConversationId]) -> Result<Self, Error> {
        let tags = store::tags::of_conversations(cx.conn, ids)?;
        let custom_fields = store::custom_fields::conversations::shown(cx.conn, ids)?;
        Ok(Self { tags, custom_fields })
    }

    fn card(&mut self, conversation: Conversation) -> ConversationCard {
        ConversationCard {
            tags: self.tags.remove(&conversation.id).unwrap_or_default(),
            custom_fields: self.custom_fields.remove(&conversation.id).unwrap_or_default(),
            conversation,
            links: Vec::new(),
        }
    }
}

/// One conversation.
pub fn find(cx: &mut Cx<'_>, id: ConversationId) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let conversation = visible(cx, id)?;
    card(cx, conversation)
}

/// A conversation that the caller may see.
pub(super) fn visible(cx: &mut Cx<'_>, id: ConversationId) -> Result<Conversation, Error> {
    let access = cx.access().clone();
    store::conversations::find(cx.conn, &access, id)?.ok_or(Error::NotFound("conversation"))
}

/// Whether somebody, be it the caller or not, may read a conversation.
pub(super) fn reads(access: &Access, conversation: &Conversation) -> bool {
    let level = access.level(conversation.mailbox_id, conversation.category_id, conversation.assignee_id);
    access.has(Scope::ConversationsRead) && level.is_some()
}

/// Fails where the caller may see a conversation and no more.
pub(super) fn require_reply(cx: &Cx<'_>, conversation: &Conversation) -> Result<(), Error> {
    let level =
        cx.access().level(conversation.mailbox_id, conversation.category_id, conversation.assignee_id);
    if level < Some(Level::Reply) {
        return Err(Error::Forbidden("you may read this conversation, not change it"));
    }
    Ok(())
}

/// A conversation that the caller may change.
pub(super) fn changeable(cx: &mut Cx<'_>, id: ConversationId) -> Result<Conversation, Error> {
    let conversation = visible(cx, id)?;
    require_changeable(cx, &conversation)?;
    Ok(conversation)
}

/// Fails where the caller may not change a conversation that they see.
pub(super) fn require_changeable(cx: &Cx<'_>, conversation: &Conversation) -> Result<(), Error> {
    require_movable(cx, conversation)?;
    if conversation.deleted_at.is_some() {
        return Err(Error::StateConflict("this conversation is in the trash".to_owned()));
    }
    Ok(())
}

/// The same, be it in the trash or not.
pub(super) fn require_movable(cx: &Cx<'_>, conversation: &Conversation) -> Result<(), Error> {
    require_reply(cx, conversation)?;
    match conversation.merged_into {
        Some(target) => Err(Error::StateConflict(format!("this conversation was merged into {target}"))),
        None => Ok(()),
    }
}

fn card(cx: &mut Cx<'_>, conversation: Conversation) -> Result<ConversationCard, Error> {
    let id = conversation.id;
    let beside = Beside::of(cx, &[id])?.card(conversation);
    let links = store::conversations::links(cx.conn, id)?;
    let others = links.iter().map(|link| link.related_id).collect();
    let access = cx.access().clone();
    let seen = store::conversations::visible_of(cx.conn, &access, &others)?;
    let links = links.into_iter().filter(|link| seen.contains(&link.related_id)).collect();
    Ok(ConversationCard { links, ..beside })
}

fn is_same_address(one: &str, other: &str) -> bool {
    crate::text::fold_address(one) == crate::text::fold_address(other)
}

/// Fails where somebody acts in a customer's name whose conversation this is not.
pub(super) fn require_theirs(cx: &mut Cx<'_>, conversation: &Conversation) -> Result<(), Error> {
    let Some(address) = cx.actor.customer() else { return Ok(()) };
    let addresses = store::customers::addresses(cx.conn, &[conversation.customer_id])?;
    let is_theirs = addresses.iter().any(|known| is_same_address(&known.email, address));
    if is_theirs { Ok(()) } else { Err(Error::NotFound("conversation")) }
}

/// Tells that a conversation began.
pub(super) fn tell_created(cx: &mut Cx<'_>, conversation: &Conversation) {
    cx.tell(
        NewEvent::new(EventType::ConversationCreated, about(conversation))
            .with("status", conversation.status.as_str())
            .with("channel", conversation.channel.as_str()),
    );
}

/// Changes a conversation.
pub fn update(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    change: &ConversationChange,
) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let before = changeable(cx, id)?;
    require_version("conversation", expected, before.etag())?;
    let mut faults = Faults::default();
    if let Some(subject) = &change.subject {
        faults.line("/subject", subject, SUBJECT_CHARS);
    }
    if change.status == Some(Status::Snoozed) && before.status != Status::Snoozed {
        faults.add("/status", "not_settable", "must be open, pending, closed or spam");
    }
    if let Some(tags) = &change.tags {
        check_tags(tags, &mut faults);
    }
    external::check(change.external_id.as_ref().and_then(Option::as_ref), &mut faults);
    check_people(
        cx,
        change.assignee_id.flatten(),
        change.team_id.flatten(),
        change.category_id.flatten(),
        &mut faults,
    )?;
    let holder = Holder::Conversation(Some(id));
    let closing = change.status == Some(Status::Closed) && before.status != Status::Closed;
    let fields = custom_fields::settle(cx, holder, &change.custom_fields, closing, &mut faults)?;
    faults.check()?;

    let mut after = before.clone();
    if let Some(subject) = &change.subject {
        after.subject = crate::text::one_line(subject, SUBJECT_CHARS);
    }
    after.priority = change.priority.unwrap_or(after.priority);
    after.assignee_id = change.assignee_id.unwrap_or(after.assignee_id);
    after.team_id = change.team_id.unwrap_or(after.team_id);
    after.category_id = change.category_id.unwrap_or(after.category_id);
    if let Some(status) = change.status {
        set_status(&mut after, status, cx.now);
    }
    if let Some(external) = &change.external_id {
        external::name(cx, &mut after, external.as_ref())?;
    }
    let had = store::tags::of_conversations(cx.conn, &[id])?.remove(&id).unwrap_or_default();
    let retagged = match &change.tags {
        Some(tags) => set_tags(cx, &before, &had, tags)?,
        None => false,
    };
    custom_fields::write(cx, holder, &fields)?;
    let written = save_with(cx, &before, &after, retagged, &fields)?;
    card(cx, written)
}

/// What happened in a conversation, oldest first, behind `after`. Kept as long as it is.
pub fn activity(cx: &mut Cx<'_>, id: ConversationId, after: i64, limit: u16) -> Result<Vec<Event>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    Ok(store::events::list_of_conversation(cx.conn, id, after, i64::from(limit))?)
}

/// How much happened in a conversation that the log still knows of.
pub fn count_activity(cx: &mut Cx<'_>, id: ConversationId) -> Result<i64, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    Ok(store::events::count_of_conversation(cx.conn, id)?)
}

/// What an event about a conversation is about.
pub(super) fn about(conversation: &Conversation) -> About {
    About {
        mailbox_id: Some(conversation.mailbox_id),
        conversation_id: Some(conversation.id),
        message_id: None,
        customer_id: Some(conversation.customer_id),
    }
}

/// Moves a conversation to a status, with all that hangs on it.
pub(super) fn set_status(conversation: &mut Conversation, status: Status, now: crate::time::Timestamp) {
    if conversation.status == status {
        return;
    }
    let was_done = matches!(conversation.status, Status::Closed | Status::Spam);
    conversation.status = status;
    conversation.closed_at = if status == Status::Closed { Some(now) } else { None };
    if status != Status::Snoozed {
        conversation.snoozed_until = None;
    }
    match status {
        Status::Closed | Status::Spam => {
            conversation.waiting_on = None;
            conversation.waiting_since = None;
        }
        Status::Open if was_done => {
            conversation.waiting_on = Some(WaitingOn::Us);
            conversation.waiting_since = Some(now);
        }
        _ => {}
    }
}

/// Writes what changed of a conversation, guarded, and tells it. Nothing changed: nothing
/// written, nobody told.
pub(super) fn save(
    cx: &mut Cx<'_>,
    before: &Conversation,
    after: &Conversation,
    touched: bool,
) -> Result<Conversation, Error> {
    save_with(cx, before, after, touched, &Settled::default())
}

/// The same, with custom fields that changed.
fn save_with(
    cx: &mut Cx<'_>,
    before: &Conversation,
    after: &Conversation,
    touched: bool,
    fields: &Settled,
) -> Result<Conversation, Error> {
    if before == after && !touched && fields.is_empty() {
        return Ok(before.clone());
    }
    let written = store::conversations::update(cx.conn, before, after, cx.now)?.ok_or_else(overtaken)?;
    tell_all(cx, before, &written, fields);
    Ok(written)
}

/// Tells what changed between two states of a conversation, each kind in its own event.
pub(super) fn tell_changes(cx: &mut Cx<'_>, before: &Conversation, after: &Conversation) {
    tell_all(cx, before, after, &Settled::default());
}

fn tell_all(cx: &mut Cx<'_>, before: &Conversation, after: &Conversation, fields: &Settled) {
    let mut status = Changes::default();
    status.note("status", &before.status, &after.status);
    let mut assigned = Changes::default();
    assigned.note("assignee_id", &before.assignee_id, &after.assignee_id);
    assigned.note("team_id", &before.team_id, &after.team_id);
    let mut updated = Changes::default();
    updated.note("subject", &before.subject, &after.subject);
    updated.note("priority", &before.priority, &after.priority);
    updated.note("category_id", &before.category_id, &after.category_id);
    updated.note("external_id", &before.external(), &after.external());
    let (had, has) = fields.told();
    updated.note("custom_fields", &had, &has);
    for (kind, changes) in [
        (EventType::ConversationStatusChanged, status),
        (EventType::ConversationAssigned, assigned),
        (EventType::ConversationUpdated, updated),
    ] {
        if !changes.is_empty() {
            cx.tell(NewEvent::new(kind, about(after)).with("version", after.version).changing(changes));
        }
    }
}

/// Tells that a conversation is somebody else's, and why, where nobody had it so.
pub(super) fn tell_assigned(cx: &mut Cx<'_>, before: &Conversation, after: &Conversation, reason: &str) {
    let mut changes = Changes::default();
    changes.note("assignee_id", &before.assignee_id, &after.assignee_id);
    changes.note("team_id", &before.team_id, &after.team_id);
    let event = NewEvent::new(EventType::ConversationAssigned, about(after))
        .with("version", after.version)
        .with("reason", reason)
        .changing(changes);
    cx.tell(event);
}

/// Tells that a conversation is in another state, and why, where nobody had it so.
pub(super) fn tell_status(cx: &mut Cx<'_>, before: &Conversation, after: &Conversation, reason: &str) {
    let mut changes = Changes::default();
    changes.note("status", &before.status, &after.status);
    let event = NewEvent::new(EventType::ConversationStatusChanged, about(after))
        .with("version", after.version)
        .with("reason", reason)
        .changing(changes);
    cx.tell(event);
}

fn check_people(
    cx: &mut Cx<'_>,
    assignee: Option<AgentId>,
    team: Option<TeamId>,
    category: Option<CategoryId>,
    faults: &mut Faults,
) -> Result<(), Error> {
    if let Some(id) = assignee {
        match store::people::find_agent(cx.conn, id)? {
            None => faults.add("/assignee_id", "not_found", "there is no such agent"),
            Some(agent) if agent.disabled_at.is_some() => {
                faults.add("/assignee_id", "disabled", "this agent has stopped");
            }
            Some(_) => {}
        }
    }
    if let Some(id) = team
        && store::people::find_team(cx.conn, id)?.is_none()
    {
        faults.add("/team_id", "not_found", "there is no such team");
    }
    if let Some(id) = category
        && store::people::find_category(cx.conn, id)?.is_none()
    {
        faults.add("/category_id", "not_found", "there is no such category");
    }
    Ok(())
}
