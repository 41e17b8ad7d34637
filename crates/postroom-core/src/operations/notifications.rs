//! What agents are notified of. The feed is each one's own: nobody else reads it, and what is read in it is told to
//! nobody. That somebody is notified stands in the event log (`agent.notified`).

pub mod hand_on;
mod mail;

use super::{conversations, overtaken, read_marks, require_version};
use crate::access::Scope;
use crate::conversation::{Conversation, ConversationFilter};
use crate::cx::Cx;
use crate::id::{ConversationId, NotificationId};
use crate::notification::Notification;
use crate::operations::views::Counted;
use crate::page::{Page, PageRequest};
use crate::query::{Condition, Query, Term, Whom};
use crate::store::notifications::NotificationFilter;
use crate::view::COUNTED;
use crate::{Error, store};

/// A notification with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationCard {
    /// The notification.
    pub notification: Notification,
    /// What its conversation is about.
    pub subject: String,
}

/// How much waits for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationCount {
    /// What they have not read in their feed.
    pub unread: i64,
    /// Conversations of theirs that wait for an answer.
    pub waiting_mine: Counted,
    /// Conversations that wait for an answer and are nobody's, of those that they see.
    pub waiting_unassigned: Counted,
}

/// A page of what the caller was notified of, newest first, without what they may no longer see.
pub fn list(
    cx: &mut Cx<'_>,
    filter: NotificationFilter,
    page: PageRequest,
) -> Result<Page<NotificationCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let agent = read_marks::agent(cx)?;
    let access = cx.access().clone();
    let found = store::notifications::list(cx.conn, &access, agent, filter, page)?;
    let items = cards(cx, found.items)?;
    Ok(Page { items, next: found.next, total: found.total })
}

/// One of them.
pub fn find(cx: &mut Cx<'_>, id: NotificationId) -> Result<NotificationCard, Error> {
    let own = own(cx, id)?;
    card(cx, own)
}

fn own(cx: &mut Cx<'_>, id: NotificationId) -> Result<Notification, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    // Who is no agent has none.
    let agent = cx.actor.agent_id.ok_or(Error::NotFound("notification"))?;
    let access = cx.access().clone();
    store::notifications::find(cx.conn, &access, agent, id)?.ok_or(Error::NotFound("notification"))
}

fn card(cx: &mut Cx<'_>, notification: Notification) -> Result<NotificationCard, Error> {
    cards(cx, vec![notification])?.pop().ok_or(Error::NotFound("notification"))
}

fn cards(cx: &mut Cx<'_>, found: Vec<Notification>) -> Result<Vec<NotificationCard>, Error> {
    let mut ids: Vec<ConversationId> = found.iter().map(|one| one.conversation_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let about = store::conversations::find_many(cx.conn, &ids)?;
    let subject = |id: ConversationId| {
        about.get(&id).map_or_else(String::new, |one: &Conversation| one.subject.clone())
    };
    Ok(found
        .into_iter()
        .map(|notification| NotificationCard { subject: subject(notification.conversation_id), notification })
        .collect())
}

/// Says that one of them was read, or that it wasn't.
pub fn update(
    cx: &mut Cx<'_>,
    id: NotificationId,
    expected: Option<&str>,
    is_read: bool,
) -> Result<NotificationCard, Error> {
    let before = own(cx, id)?;
    require_version("notification", expected, before.etag())?;
    if before.read_at.is_some() == is_read {
        return card(cx, before);
    }
    let read_at = is_read.then_some(cx.now);
    let after = store::notifications::set_read(cx.conn, &before, read_at)?.ok_or_else(overtaken)?;
    card(cx, after)
}

/// Says that the caller has read all up to one of them, be it in one conversation or everywhere. How many those were.
pub fn read(
    cx: &mut Cx<'_>,
    up_to: NotificationId,
    conversation: Option<ConversationId>,
) -> Result<usize, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let agent = read_marks::agent(cx)?;
    Ok(store::notifications::read_up_to(cx.conn, agent, up_to, conversation, cx.now)?)
}

/// How much waits for the caller; conversations are counted no further than [`COUNTED`].
pub fn count(cx: &mut Cx<'_>) -> Result<NotificationCount, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let agent = read_marks::agent(cx)?;
    let access = cx.access().clone();
    let unread = NotificationFilter { unread: Some(true), ..NotificationFilter::default() };
    let unread = store::notifications::count(cx.conn, &access, agent, unread)?;
    Ok(NotificationCount {
        unread,
        waiting_mine: waiting(cx, Whom::Me)?,
        waiting_unassigned: waiting(cx, Whom::Nobody)?,
    })
}

fn counted(found: usize) -> Counted {
    Counted { count: found.min(COUNTED), is_exact: found <= COUNTED }
}

fn waiting(cx: &mut Cx<'_>, whose: Whom) -> Result<Counted, Error> {
    use crate::conversation::{Status, WaitingOn};
    let conditions = [
        Condition::Status(vec![Status::Open, Status::Pending]),
        Condition::WaitingOn(vec![WaitingOn::Us]),
        Condition::Assignee(vec![whose]),
    ];
    let terms = conditions.into_iter().map(|condition| Term { is_negated: false, condition }).collect();
    let filter = ConversationFilter { query: Query { terms }, ..ConversationFilter::default() };
    Ok(counted(conversations::count_up_to(cx, &filter, COUNTED + 1)?))
}

/// Forgets what happened so long ago that the event log has dropped it, too.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let before = cx.now.minus(cx.settings.keep_events);
    Ok(store::notifications::expire(cx.conn, before)?)
}
