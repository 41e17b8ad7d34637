//! What an agent is notified of: that something happened which they want to know.

use crate::actor::ActorType;
use crate::id::{AgentId, ConversationId, MessageId, NotificationId};
use crate::store::schema::notifications;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;

words! {
    /// Why an agent is notified, the strongest reason first: of one event they hear once.
    pub enum NotificationReason {
        /// A note names them.
        Mentioned = "mentioned",
        /// A conversation is theirs now, and somebody else saw to that.
        Assigned = "assigned",
        /// An answer of theirs, or in a conversation of theirs, failed, came back, or nobody knows whether it arrived.
        SendFailed = "send_failed",
        /// The customer wrote.
        Received = "received",
        /// A conversation is awake again, for its time has come.
        SnoozeOver = "snooze_over",
        /// Somebody else answered.
        Answered = "answered",
        /// Somebody else wrote a note.
        Noted = "noted",
        /// Somebody else opened or closed it, or put it aside.
        StatusChanged = "status_changed",
        /// Something came, or came back, for a team of theirs, and is nobody's yet.
        TeamReceived = "team_received",
    }
}

/// That an agent is to know of an event. Every reason but `mentioned`, `assigned` and `team_received` is about
/// conversations that are theirs or that they follow.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = notifications)]
pub struct Notification {
    /// Its number.
    pub id: NotificationId,
    /// Whose.
    pub agent_id: AgentId,
    /// Which event, by its place in the log.
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
    /// By what name at the time.
    pub actor_name: Option<String>,
    /// When they read it.
    pub read_at: Option<Timestamp>,
    /// When it went out by mail.
    pub mailed_at: Option<Timestamp>,
    /// When it happened.
    pub created_at: Timestamp,
}

impl Notification {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("nt{}-{}", self.id, self.read_at.map_or(0, |at| at.0))
    }
}
