//! What is sent to a webhook. It is made once, of what the event log keeps and nothing else: an event does not
//! change any more, so that what is told is what was true then, however late it is told.

use crate::event::Event;
use crate::time::Timestamp;
use crate::webhook::WebhookBody;
use serde_json::{Value, json};

/// What is told has at most so many bytes; receivers refuse large ones.
pub const BYTES: usize = 20_000;
/// The type of a ping.
pub const PING: &str = "webhook.ping";

/// An event as a webhook is told of it. What is too large goes without its `data`, which says so
/// (`shortened`); the event log has it.
pub fn of(event: &Event, body: WebhookBody) -> String {
    let data = Value::Object(event.data.clone().into_inner());
    let version = data.get("version").cloned();
    let small = |shortened: bool| {
        let mut data = serde_json::Map::new();
        if let Some(version) = &version {
            data.insert("version".to_owned(), version.clone());
        }
        if shortened {
            data.insert("shortened".to_owned(), true.into());
        }
        Value::Object(data)
    };
    let whole = match body {
        WebhookBody::Thin => written(event, None, small(false)),
        WebhookBody::Full => written(event, Some(actor(event)), data),
    };
    if whole.len() <= BYTES {
        return whole;
    }
    written(event, None, small(true))
}

fn actor(event: &Event) -> Value {
    json!({"type": event.actor_type, "id": event.actor_id, "name": event.actor_name})
}

fn written(event: &Event, actor: Option<Value>, data: Value) -> String {
    let mut told = json!({
        "type": event.kind,
        "timestamp": event.created_at,
        "seq": event.seq,
        "mailbox_id": event.mailbox_id,
        "conversation_id": event.conversation_id,
        "message_id": event.message_id,
        "customer_id": event.customer_id,
        "data": data,
    });
    if let Some(actor) = actor {
        told["actor"] = actor;
    }
    told.to_string()
}

/// A ping: an event that is none.
pub fn ping(now: Timestamp) -> String {
    json!({"type": PING, "timestamp": now, "data": {"message": "This webhook is reached."}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::ActorType;
    use crate::id::ConversationId;
    use crate::store::types::Json;

    fn event(filler: usize) -> Event {
        let Value::Object(data) = json!({"version": 3, "filler": "x".repeat(filler)}) else {
            unreachable!("it is an object")
        };
        Event {
            seq: 7,
            kind: "conversation.updated".to_owned(),
            actor_type: ActorType::Agent,
            actor_id: Some("5".to_owned()),
            actor_name: Some("Amy".to_owned()),
            mailbox_id: None,
            conversation_id: Some(ConversationId(9)),
            message_id: None,
            customer_id: None,
            data: Json::new(data),
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn a_thin_body_has_numbers_alone() {
        let thin: Value = serde_json::from_str(&of(&event(3), WebhookBody::Thin)).unwrap();
        assert_eq!((&thin["data"], &thin["actor"]), (&json!({"version": 3}), &Value::Null));
        assert_eq!((&thin["seq"], &thin["conversation_id"]), (&json!(7), &json!(9)));
        let full: Value = serde_json::from_str(&of(&event(3), WebhookBody::Full)).unwrap();
        assert_eq!(full["data"], json!({"version": 3, "filler": "xxx"}));
        assert_eq!(full["actor"], json!({"type": "agent", "id": "5", "name": "Amy"}));
    }

    #[test]
    fn what_is_too_large_is_shortened_and_says_so() {
        let around = of(&event(0), WebhookBody::Full).len();
        let longest = of(&event(BYTES - around), WebhookBody::Full);
        assert_eq!(longest.len(), BYTES);
        assert!(!longest.contains("shortened"));
        let short: Value = serde_json::from_str(&of(&event(BYTES - around + 1), WebhookBody::Full)).unwrap();
        assert_eq!(short["data"], json!({"version": 3, "shortened": true}));
        assert_eq!(short["seq"], 7);
    }
}
