//! Makes notifications of events. It reads the event log from a place of its own and moves that place in the
//! transaction that makes them: a crash loses none and makes none twice, and who changes something at the desk does
//! nothing for it.

use super::mail;
use crate::access::Access;
use crate::actor::ActorType;
use crate::conversation::{Conversation, Status};
use crate::cx::Cx;
use crate::event::{About, Event, EventType, NewEvent};
use crate::id::{AgentId, ConversationId, TeamId};
use crate::mail::Class;
use crate::message::MessageKind;
use crate::notification::NotificationReason as Reason;
use crate::notification_settings::NotificationSettings;
use crate::operations::conversations::reads;
use crate::operations::events::floor;
use crate::operations::{overtaken, roles};
use crate::people::Agent;
use crate::store::events::Found;
use crate::store::notifications::NewNotification;
use crate::store::people::Members;
use crate::{Error, store};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// By what name the place in the log is known.
const READER: &str = "notifications";
/// Events of one transaction at the most.
const PAGE: i64 = 100;
/// So many events that nobody is notified of are looked over again and again before the place is moved on.
const PASSED_OVER: i64 = 1_000;

/// The kinds of events that somebody may want to know of.
const KINDS: [EventType; 8] = [
    EventType::MessageReceived,
    EventType::MessageQueued,
    EventType::MessageNoteAdded,
    EventType::MessageFailed,
    EventType::MessageUncertain,
    EventType::MessageBounced,
    EventType::ConversationAssigned,
    EventType::ConversationStatusChanged,
];

/// Whether there may be something to notify of. Of the rest, what notifications themselves tell among it, the place in the
/// log is moved on rarely, so that it costs no transaction each time.
pub fn is_behind(cx: &mut Cx<'_>) -> Result<bool, Error> {
    let last = store::events::last_seq(cx.conn)?;
    let after = store::log_readers::position(cx.conn, READER)?.unwrap_or(0).max(floor(cx)?);
    if last - after > PASSED_OVER {
        return Ok(true);
    }
    Ok(after < last && !events_after(cx, after, 1)?.events.is_empty())
}

fn events_after(cx: &mut Cx<'_>, after: i64, limit: i64) -> Result<Found, Error> {
    let kinds: Vec<String> = KINDS.iter().map(|kind| kind.as_str().to_owned()).collect();
    Ok(store::events::list_after(cx.conn, &Access::system(), after, &kinds, limit)?)
}

/// Notifies of what happened next. `true`: there may be more.
pub fn hand_on(cx: &mut Cx<'_>) -> Result<bool, Error> {
    // Before the events: what is committed between the two is looked at the next time.
    let last = store::events::last_seq(cx.conn)?;
    let known = store::log_readers::position(cx.conn, READER)?;
    let after = known.unwrap_or(0).max(floor(cx)?);
    if after >= last {
        return Ok(false);
    }
    let found = events_after(cx, after, PAGE)?;
    let is_all = i64::try_from(found.events.len()).unwrap_or(i64::MAX) < PAGE;
    let position = if is_all { last.max(found.seen_up_to) } else { found.seen_up_to };
    // First of all, for it holds the row: another daemon that is at the same waits, and finds it moved.
    if !store::log_readers::set_position(cx.conn, READER, known, position)? {
        return Err(overtaken());
    }
    notify(cx, &found.events)?;
    Ok(position < last)
}

fn notify(cx: &mut Cx<'_>, events: &[Event]) -> Result<(), Error> {
    let is_set = |event: &Event, name: &str| event.data.get(name).is_some_and(|value| value == true);
    // History is nobody's news.
    let mut events: Vec<&Event> =
        events.iter().filter(|event| !is_set(event, "history") && !is_set(event, "imported")).collect();
    let mut ids: Vec<ConversationId> = events.iter().filter_map(|event| event.conversation_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let before = events.first().map_or(0, |event| event.seq - 1);
    let mut audience = Audience::of(cx, &ids, before)?;
    events.retain(|event| event.conversation_id.is_some_and(|id| audience.conversations.contains_key(&id)));
    for event in events {
        for (agent, reason) in audience.of_event(cx, event)? {
            one(cx, &mut audience, event, agent, reason)?;
        }
    }
    Ok(())
}

/// Those who may want to know of what happens in some conversations.
struct Audience {
    conversations: HashMap<ConversationId, Conversation>,
    /// Each time that one of them changed hands, or got or lost a follower, the first first.
    hands: Vec<Event>,
    followers: HashMap<ConversationId, Vec<AgentId>>,
    teams: HashMap<TeamId, Members>,
    agents: HashMap<AgentId, Listener>,
}

/// An agent with what they may see and want to hear.
struct Listener {
    agent: Agent,
    access: Access,
    settings: NotificationSettings,
}

impl Audience {
    /// `before` is the place in the log from which on they are asked for.
    fn of(cx: &mut Cx<'_>, ids: &[ConversationId], before: i64) -> Result<Self, Error> {
        let conversations = store::conversations::find_many(cx.conn, ids)?;
        let hands = store::events::hands_after(cx.conn, ids, before)?;
        let now = conversations.values().filter_map(|one| one.team_id);
        let once = hands.iter().filter_map(|event| changed(event, "team_id", 0)?.as_i64().map(TeamId));
        let mut teams: Vec<TeamId> = now.chain(once).collect();
        teams.sort_unstable();
        teams.dedup();
        Ok(Self {
            followers: store::followers::of(cx.conn, ids)?,
            teams: store::people::members(cx.conn, &teams)?,
            agents: HashMap::new(),
            hands,
            conversations,
        })
    }

    /// An agent who is there, looked up once.
    fn listener(&mut self, cx: &mut Cx<'_>, id: AgentId) -> Result<Option<&Listener>, Error> {
        let listener = match self.agents.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let Some(agent) = store::people::find_agent(cx.conn, id)? else { return Ok(None) };
                let settings = store::notification_settings::of(cx.conn, &[id])?.remove(&id);
                let settings = settings.unwrap_or_else(|| NotificationSettings::unchanged(id));
                let access = roles::access_of(cx, &agent)?;
                place.insert(Listener { agent, access, settings })
            }
        };
        Ok(Some(&*listener).filter(|listener| listener.agent.disabled_at.is_none()))
    }

    /// Who is to know of an event, each for the strongest of their reasons.
    fn of_event(&mut self, cx: &mut Cx<'_>, event: &Event) -> Result<Vec<(AgentId, Reason)>, Error> {
        let Some(conversation) = event.conversation_id.and_then(|id| self.conversations.get(&id)) else {
            return Ok(Vec::new());
        };
        let conversation = conversation.clone();
        // Of spam, and of what was thrown away, nobody wants to hear.
        if conversation.status == Status::Spam || conversation.deleted_at.is_some() {
            return Ok(Vec::new());
        }
        let then = self.as_of(event, &conversation);
        let mut reasons: BTreeMap<AgentId, Reason> = BTreeMap::new();
        let mut add = |agent: AgentId, reason: Reason| {
            let known = reasons.entry(agent).or_insert(reason);
            *known = reason.min(*known);
        };
        for (agent, reason) in self.named(event, &then) {
            add(agent, reason);
        }
        if let Some(reason) = reason_of(event) {
            let followers = self.followers.get(&conversation.id).into_iter().flatten().copied();
            let followed = followers.filter(|agent| self.followed_then(event, *agent));
            for agent in then.assignee_id.into_iter().chain(followed) {
                add(agent, reason);
            }
            if reason == Reason::SendFailed
                && let Some(author) = author(cx, event)?
            {
                add(author, reason);
            }
        }
        let actor = (event.actor_type == ActorType::Agent).then_some(event.actor_id.as_deref()).flatten();
        let mut all = Vec::with_capacity(reasons.len());
        for (agent, reason) in reasons {
            if actor == Some(agent.to_string().as_str()) {
                continue;
            }
            let Some(listener) = self.listener(cx, agent)? else { continue };
            if reads(&listener.access, &conversation) && !listener.settings.muted.contains(&reason) {
                all.push((agent, reason));
            }
        }
        Ok(all)
    }

    /// A conversation with those whose it was right after an event: who got it later is told of that.
    fn as_of(&self, event: &Event, now: &Conversation) -> Conversation {
        let mut then = now.clone();
        for event in self.later(event).rev() {
            if let Some(assignee) = changed(event, "assignee_id", 0) {
                then.assignee_id = assignee.as_i64().map(AgentId);
            }
            if let Some(team) = changed(event, "team_id", 0) {
                then.team_id = team.as_i64().map(TeamId);
            }
        }
        then
    }

    /// Whether somebody who follows a conversation now did so at an event: what is told of it first after that says.
    fn followed_then(&self, event: &Event, agent: AgentId) -> bool {
        let first = self.later(event).find(|one| one.number("agent_id") == Some(agent.0));
        first.is_none_or(|first| !is(first, EventType::ConversationFollowed))
    }

    fn later(&self, event: &Event) -> impl DoubleEndedIterator<Item = &Event> {
        let (seq, id) = (event.seq, event.conversation_id);
        self.hands.iter().filter(move |one| one.seq > seq && one.conversation_id == id)
    }

    /// Whom an event is about, whoever takes care of its conversation.
    fn named(&self, event: &Event, conversation: &Conversation) -> Vec<(AgentId, Reason)> {
        let team = || {
            let of = conversation.team_id.filter(|_| conversation.assignee_id.is_none());
            let members = of.and_then(|team| self.teams.get(&team)).map(|members| members.all.clone());
            members.unwrap_or_default().into_iter().map(|agent| (agent, Reason::TeamReceived))
        };
        if is(event, EventType::MessageNoteAdded) {
            let mentioned = event.numbers("mentions").into_iter();
            return mentioned.map(|id| (AgentId(id), Reason::Mentioned)).collect();
        }
        if is(event, EventType::ConversationAssigned) {
            return match changed(event, "assignee_id", 1).and_then(serde_json::Value::as_i64) {
                Some(agent) => vec![(AgentId(agent), Reason::Assigned)],
                None => team().collect(),
            };
        }
        if reason_of(event) == Some(Reason::Received) {
            return team().collect();
        }
        Vec::new()
    }
}

fn is(event: &Event, kind: EventType) -> bool {
    event.kind == kind.as_str()
}

/// What a field was before it changed (0), or after (1).
fn changed<'e>(event: &'e Event, field: &str, side: usize) -> Option<&'e serde_json::Value> {
    event.data.get("changes")?.get(field)?.get(side)
}

fn text<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.data.get(name)?.as_str()
}

/// Why an event matters to whoever takes care of its conversation or follows it. `None`: it doesn't by itself.
fn reason_of(event: &Event) -> Option<Reason> {
    let is_persons = || {
        let class = text(event, "class");
        class.is_none_or(|class| [Class::Human, Class::Calendar].iter().any(|one| one.as_str() == class))
    };
    let kind = EventType::ALL.iter().find(|kind| kind.as_str() == event.kind)?;
    match kind {
        EventType::MessageReceived => is_persons().then_some(Reason::Received),
        EventType::MessageQueued => {
            (text(event, "kind") != Some(MessageKind::AutoReply.as_str())).then_some(Reason::Answered)
        }
        EventType::MessageNoteAdded => Some(Reason::Noted),
        EventType::MessageFailed | EventType::MessageUncertain | EventType::MessageBounced => {
            Some(Reason::SendFailed)
        }
        EventType::ConversationStatusChanged if text(event, "reason") == Some("snooze_over") => {
            Some(Reason::SnoozeOver)
        }
        // What the customer's mail or a snooze does is told by other reasons.
        EventType::ConversationStatusChanged => {
            matches!(event.actor_type, ActorType::Agent | ActorType::Token).then_some(Reason::StatusChanged)
        }
        _ => None,
    }
}

/// The agent who wrote the message that an event is about: of one that came back, the one it was about.
fn author(cx: &mut Cx<'_>, event: &Event) -> Result<Option<AgentId>, Error> {
    let Some(id) = event.message_id else { return Ok(None) };
    let Some(mut message) = store::messages::find(cx.conn, id)? else { return Ok(None) };
    if let Some(about) = message.about_message_id
        && let Some(sent) = store::messages::find(cx.conn, about)?
    {
        message = sent;
    }
    let is_agents = message.author_type == crate::message::AuthorType::Agent;
    Ok(message.author_id.filter(|_| is_agents).map(AgentId))
}

/// Notifies one agent of one event.
fn one(
    cx: &mut Cx<'_>,
    audience: &mut Audience,
    event: &Event,
    agent: AgentId,
    reason: Reason,
) -> Result<(), Error> {
    let Some(conversation) = event.conversation_id.and_then(|id| audience.conversations.get(&id)).cloned()
    else {
        return Ok(());
    };
    // What they have read meanwhile is no news any more.
    let marks = store::read_marks::of(cx.conn, agent, &[conversation.id])?;
    let mark = marks.get(&conversation.id).map(|(message, _)| *message);
    let is_read = event.message_id.is_some_and(|message| mark >= Some(message));
    let Some(listener) = audience.listener(cx, agent)? else { return Ok(()) };
    let is_mailed = !is_read
        && listener.settings.mailed.contains(&reason)
        && mail::send(cx, &listener.agent, &conversation, event, reason)?;
    let new = NewNotification {
        agent_id: agent,
        seq: event.seq,
        reason,
        conversation_id: conversation.id,
        message_id: event.message_id,
        actor_type: event.actor_type,
        actor_id: event.actor_id.clone(),
        actor_name: event.actor_name.clone(),
        read_at: is_read.then_some(cx.now),
        mailed_at: is_mailed.then_some(cx.now),
        created_at: event.created_at,
    };
    let made = store::notifications::insert(cx.conn, &new)?;
    let about = About {
        mailbox_id: Some(conversation.mailbox_id),
        conversation_id: Some(conversation.id),
        message_id: event.message_id,
        customer_id: Some(conversation.customer_id),
    };
    cx.tell(
        NewEvent::new(EventType::AgentNotified, about)
            .with("agent_id", agent.0)
            .with("notification_id", made.id.0)
            .with("reason", reason.as_str())
            .with("seq", event.seq),
    );
    Ok(())
}
