//! Conversations: begun, changed, found.

use super::messages::{self, NewMessage};
use super::{customers, overtaken, require_version, tags};
use crate::access::{Level, Scope};
use crate::conversation::{
    Channel, Conversation, ConversationFilter, ConversationLink, ConversationSort, ExternalId, Priority,
    Status, WaitingOn,
};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, Event, EventType, NewEvent};
use crate::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, TeamId};
use crate::message::MessageKind;
use crate::page::{Page, PageRequest};
use crate::query::QueryError;
use crate::text::SUBJECT_CHARS;
use crate::{Error, store};
use std::collections::HashMap;

mod batch;
mod bulk;
mod external;
mod highlights;
mod spam;
mod trash;
pub use batch::{AT_ONCE, create_many};
pub(super) use bulk::{apply, check_bulk};
pub use external::{ConversationUpsert, Upserted, find_by_external, upsert};
pub use highlights::highlights;
pub use spam::{mark_not_spam, mark_spam};
pub use trash::{restore, trash};

/// The most tags of one conversation.
const TAGS: usize = 50;

/// A conversation with what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationCard {
    /// The conversation.
    pub conversation: Conversation,
    /// Its tags, by name.
    pub tags: Vec<String>,
    /// What it has to do with; only where one conversation is asked for.
    pub links: Vec<ConversationLink>,
}

/// Whose conversation is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A customer who is known.
    Known(CustomerId),
    /// Whoever has this address; made if nobody has.
    Address {
        /// The address.
        email: String,
        /// The name, for one who is made.
        name: Option<String>,
    },
}

/// A conversation to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversation {
    /// Where.
    pub mailbox_id: MailboxId,
    /// About what.
    pub subject: String,
    /// Whose.
    pub whose: Whose,
    /// The first message: `inbound` files what came by another way, `reply` writes first.
    pub message: NewMessage,
    /// Labels.
    pub tags: Vec<String>,
    /// How it came; `api` unless said otherwise.
    pub channel: Option<Channel>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Who takes care of it.
    pub assignee_id: Option<AgentId>,
    /// Which team does.
    pub team_id: Option<TeamId>,
    /// What kind of matter.
    pub category_id: Option<CategoryId>,
    /// Where it stands; `None` is open.
    pub status: Option<Status>,
    /// What another system calls it.
    pub external_id: Option<ExternalId>,
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
    cx.access().require(Scope::ConversationsRead)?;
    let access = cx.access().clone();
    if filter.query.asks_for_me() && access.agent_id().is_none() {
        let detail = "\"me\" is nobody: this token speaks for no agent".to_owned();
        return Err(QueryError { position: 1, detail, accepted: Vec::new() }.into());
    }
    if sort == ConversationSort::Relevance && !filter.query.looks_for_words() {
        let detail = "sort=relevance needs words to look for".to_owned();
        return Err(QueryError { position: 1, detail, accepted: Vec::new() }.into());
    }
    let asked = ConversationFilter { query: filter.query.clone().asked_at(cx.now), ..filter.clone() };
    let found = store::conversations::list(cx.conn, &access, &asked, sort, page)?;
    let ids: Vec<ConversationId> = found.items.iter().map(|conversation| conversation.id).collect();
    let mut tags = store::tags::of_conversations(cx.conn, &ids)?;
    Ok(found.map(|conversation| ConversationCard {
        tags: tags.remove(&conversation.id).unwrap_or_default(),
        conversation,
        links: Vec::new(),
    }))
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
    require_reply(cx, &conversation)?;
    if let Some(target) = conversation.merged_into {
        return Err(Error::StateConflict(format!("this conversation was merged into {target}")));
    }
    if conversation.deleted_at.is_some() {
        return Err(Error::StateConflict("this conversation is in the trash".to_owned()));
    }
    Ok(conversation)
}

fn card(cx: &mut Cx<'_>, conversation: Conversation) -> Result<ConversationCard, Error> {
    let id = conversation.id;
    let tags = store::tags::of_conversations(cx.conn, &[id])?.remove(&id).unwrap_or_default();
    let links = store::conversations::links(cx.conn, id)?;
    let others = links.iter().map(|link| link.related_id).collect();
    let access = cx.access().clone();
    let seen = store::conversations::visible_of(cx.conn, &access, &others)?;
    let links = links.into_iter().filter(|link| seen.contains(&link.related_id)).collect();
    Ok(ConversationCard { conversation, tags, links })
}

/// Begins a conversation with its first message.
pub fn create(cx: &mut Cx<'_>, new: &NewConversation) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsCreate)?;
    let theirs = |address: &str| match &new.whose {
        Whose::Address { email, .. } => is_same_address(email, address),
        Whose::Known(_) => false,
    };
    if cx.actor.customer().is_some_and(|address| new.message.kind != MessageKind::Inbound || !theirs(address))
    {
        return Err(Error::Forbidden(
            "in a customer's name what they say themselves is filed, and nothing else",
        ));
    }
    let mailbox = super::mailboxes::visible(cx, new.mailbox_id)?;
    let level = cx.access().level(mailbox.id, new.category_id, new.assignee_id);
    if level < Some(Level::Reply) {
        return Err(Error::Forbidden("you may read this mailbox, not begin conversations in it"));
    }
    let mut faults = Faults::default();
    faults.line("/subject", &new.subject, SUBJECT_CHARS);
    check_tags(&new.tags, &mut faults);
    if new.status == Some(Status::Snoozed) {
        faults.add("/status", "not_settable", "must be open, pending, closed or spam");
    }
    external::check(new.external_id.as_ref(), &mut faults);
    check_people(cx, new.assignee_id, new.team_id, new.category_id, &mut faults)?;
    if let Whose::Address { email, name } = &new.whose {
        faults.email("/customer/email", email);
        if let Some(name) = name {
            faults.header_name("/customer/name", name, 200);
        }
    }
    messages::check(cx, None, &mailbox, &new.message, "/message", &mut faults)?;
    if new.message.kind == MessageKind::Forward {
        faults.add("/message/kind", "not_allowed", "there is nothing yet that could be forwarded");
    }
    if new.message.expected_last.is_some() {
        let detail = "a conversation that begins has no message yet";
        faults.add("/message/expected_last_message_id", "not_allowed", detail);
    }
    faults.check()?;
    if let Some(key) = &new.external_id {
        external::require_free(cx, key, None)?;
    }

    let (customer_id, address) = whose(cx, &new.whose)?;
    let row = store::conversations::NewConversation {
        mailbox_id: mailbox.id,
        customer_id,
        subject: crate::text::one_line(&new.subject, SUBJECT_CHARS),
        status: Status::Open,
        priority: new.priority.unwrap_or(Priority::Normal),
        channel: new.channel.unwrap_or(Channel::Api),
        assignee_id: new.assignee_id,
        team_id: new.team_id,
        category_id: new.category_id,
        waiting_on: Some(WaitingOn::Us),
        waiting_since: Some(cx.now),
        message_count: 0,
        last_message_at: cx.now,
        version: 1,
        created_at: cx.now,
        updated_at: cx.now,
        closed_at: None,
        external_source: new.external_id.as_ref().map(|key| key.source.clone()),
        external_id: new.external_id.as_ref().map(|key| key.id.clone()),
    };
    let conversation = store::conversations::insert(cx.conn, &row)?;
    tell_created(cx, &conversation);
    if let Some(address) = address {
        let class = crate::threading::ParticipantClass::Customer;
        store::threads::insert_participants(cx.conn, conversation.id, &[(address, class)], cx.now)?;
    }
    set_tags(cx, &conversation, &[], &new.tags)?;
    let (conversation, _) = messages::append(cx, conversation, &mailbox, &new.message)
        .map_err(|error| error.below("/message"))?;
    let mut after = conversation.clone();
    set_status(&mut after, new.status.unwrap_or(conversation.status), cx.now);
    let conversation = save(cx, &conversation, &after, false)?;
    card(cx, conversation)
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

/// The customer meant, and the folded address they are written to at.
fn whose(cx: &mut Cx<'_>, whose: &Whose) -> Result<(CustomerId, Option<String>), Error> {
    match whose {
        Whose::Known(id) => {
            // Who may see nothing learns of no customer either.
            let is_blind = !cx.access().has(Scope::ConversationsRead);
            if is_blind || store::customers::find_many(cx.conn, &[*id])?.is_empty() {
                return Err(Error::invalid("/customer/id", "not_found", "there is no such customer"));
            }
            let access = cx.access().clone();
            if !store::customers::visible(cx.conn, &access, &[*id])?.contains(id) {
                return Err(Error::invalid("/customer/id", "not_found", "there is no such customer"));
            }
            let addresses = store::customers::addresses(cx.conn, &[*id])?;
            Ok((*id, addresses.first().map(|address| crate::text::fold_address(&address.email))))
        }
        Whose::Address { email, name } => {
            let folded = crate::text::fold_address(email);
            let id = of_address(cx, email.trim(), name.as_deref())?;
            Ok((id, Some(folded)))
        }
    }
}

/// The customer with this address, made if nobody has it.
pub(super) fn of_address(cx: &mut Cx<'_>, email: &str, name: Option<&str>) -> Result<CustomerId, Error> {
    let folded = crate::text::fold_address(email);
    if let Some(id) = store::customers::find_by_address(cx.conn, &folded)? {
        return Ok(id);
    }
    let customer = customers::insert(cx, name)?;
    if store::customers::insert_address(cx.conn, customer.id, email, None, cx.now)?.is_none() {
        // Another transaction made one with this address between our look and our write.
        return Err(Error::Store { doing: "finding a customer", source: store::StoreError::Again });
    }
    Ok(customer.id)
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
    let written = save(cx, &before, &after, retagged)?;
    card(cx, written)
}

/// Adds and removes tags without touching others.
pub fn tag(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    add: &[String],
    remove: &[String],
) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::NotesWrite)?;
    let before = changeable(cx, id)?;
    require_version("conversation", expected, before.etag())?;
    let mut faults = Faults::default();
    for (index, name) in add.iter().enumerate() {
        tags::check_name(&format!("/add/{index}"), name, &mut faults);
    }
    faults.check()?;
    let had = store::tags::of_conversations(cx.conn, &[id])?.remove(&id).unwrap_or_default();
    let fold = |name: &String| crate::text::fold(name);
    let removed: Vec<String> = remove.iter().map(fold).collect();
    let mut wanted: Vec<String> = had.iter().filter(|name| !removed.contains(&fold(name))).cloned().collect();
    wanted.extend(add.iter().cloned());
    let mut faults = Faults::default();
    if wanted.len() > TAGS {
        faults.add("/add", "too_many", format!("a conversation has at most {TAGS} tags"));
    }
    faults.check()?;
    let retagged = set_tags(cx, &before, &had, &wanted)?;
    let after = before.clone();
    let written = save(cx, &before, &after, retagged)?;
    card(cx, written)
}

/// What happened in a conversation, oldest first, behind `after`. Kept as long as it is.
pub fn activity(cx: &mut Cx<'_>, id: ConversationId, after: i64, limit: u16) -> Result<Vec<Event>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    Ok(store::events::list_of_conversation(cx.conn, id, after, i64::from(limit))?)
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
    if before == after && !touched {
        return Ok(before.clone());
    }
    let written = store::conversations::update(cx.conn, before, after, cx.now)?.ok_or_else(overtaken)?;
    tell_changes(cx, before, &written);
    Ok(written)
}

/// Tells what changed between two states of a conversation, each kind in its own event.
pub(super) fn tell_changes(cx: &mut Cx<'_>, before: &Conversation, after: &Conversation) {
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

/// Writes the tags over those there are and tells it. Says whether anything changed.
fn set_tags(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    had: &[String],
    wanted: &[String],
) -> Result<bool, Error> {
    let fold = |name: &String| crate::text::fold(&crate::text::one_line(name, tags::NAME_CHARS));
    let had_by: HashMap<String, &String> = had.iter().map(|name| (fold(name), name)).collect();
    let mut new = Vec::new();
    let mut kept = Vec::new();
    for name in wanted {
        let folded = fold(name);
        if had_by.contains_key(&folded) {
            kept.push(folded);
        } else {
            let (tag, _) = tags::ensure(cx, &crate::text::one_line(name, tags::NAME_CHARS))?;
            new.push(tag);
        }
    }
    let mut gone = Vec::new();
    for (folded, name) in &had_by {
        if !kept.contains(folded)
            && let Some(tag) = store::tags::find_by_name(cx.conn, name)?
        {
            gone.push(tag);
        }
    }
    if new.is_empty() && gone.is_empty() {
        return Ok(false);
    }
    let ids = |tags: &[store::tags::Tag]| tags.iter().map(|tag| tag.id).collect::<Vec<_>>();
    store::tags::attach(cx.conn, conversation.id, &ids(&new))?;
    store::tags::detach(cx.conn, conversation.id, &ids(&gone))?;
    let now_has = store::tags::of_conversations(cx.conn, &[conversation.id])?
        .remove(&conversation.id)
        .unwrap_or_default();
    let mut changes = Changes::default();
    changes.note("tags", &had.to_vec(), &now_has);
    cx.tell(NewEvent::new(EventType::ConversationTagged, about(conversation)).changing(changes));
    Ok(true)
}

fn check_tags(names: &[String], faults: &mut Faults) {
    if names.len() > TAGS {
        faults.add("/tags", "too_many", format!("has at most {TAGS} members"));
    }
    for (index, name) in names.iter().take(TAGS).enumerate() {
        tags::check_name(&format!("/tags/{index}"), name, faults);
    }
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
