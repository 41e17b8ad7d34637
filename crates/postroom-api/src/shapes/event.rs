//! An event as callers see it.

use postroom_core::actor::ActorType;
use postroom_core::event::Event;
use postroom_core::id::{ConversationId, CustomerId, MailboxId, MessageId};
use postroom_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event, example = json!({
    "seq": 918_273, "type": "conversation.status_changed", "timestamp": "2026-11-22T08:00:00.123456Z",
    "actor": {"type": "agent", "id": "7", "name": "Amy"},
    "mailbox_id": 1, "conversation_id": 1234, "message_id": null, "customer_id": 77,
    "data": {"version": 3, "changes": {"status": ["open", "closed"]}}
}))]
pub struct EventView {
    /// Its place in the log. Numbers rise; some are never used.
    #[schema(minimum = 1)]
    pub seq: i64,
    /// What happened: `conversation.created`, `message.received` … New ones may be added.
    pub r#type: String,
    /// When.
    pub timestamp: Timestamp,
    /// Who did it.
    pub actor: EventActor,
    /// The mailbox it is about.
    pub mailbox_id: Option<MailboxId>,
    /// The conversation it is about.
    pub conversation_id: Option<ConversationId>,
    /// The message it is about.
    pub message_id: Option<MessageId>,
    /// The customer it is about.
    pub customer_id: Option<CustomerId>,
    /// More, by type. `changes` holds `[before, after]` by member; there is no message text.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventActor {
    /// What kind of caller.
    pub r#type: ActorType,
    /// Which one.
    pub id: Option<String>,
    /// By what name at the time.
    pub name: Option<String>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            seq: event.seq,
            r#type: event.kind,
            timestamp: event.created_at,
            actor: EventActor { r#type: event.actor_type, id: event.actor_id, name: event.actor_name },
            mailbox_id: event.mailbox_id,
            conversation_id: event.conversation_id,
            message_id: event.message_id,
            customer_id: event.customer_id,
            data: event.data.into_inner(),
        }
    }
}
