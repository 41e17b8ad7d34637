//! A webhook: somebody who is told of events by HTTP, as Standard Webhooks 1.0.0 describes it. It belongs to
//! the desk and not to whoever made it.

pub mod payload;
pub mod reach;
pub mod secret;

use crate::access::{Access, Grant, Level, Scope, Sight};
use crate::event::EventType;
use crate::id::{MailboxId, TagId, WebhookId};
use crate::store::schema::webhooks;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::{Queryable, Selectable};

/// The longest name, in characters.
pub const NAME_CHARS: usize = 200;
/// Webhooks of one desk at the most.
pub const WEBHOOKS: usize = 100;
/// Words in one of the filters at the most.
pub const FILTER_WORDS: usize = 100;

words! {
    /// How much a webhook is told of an event.
    pub enum WebhookBody {
        /// The event as `GET /events` shows it.
        Full = "full",
        /// What happened to what, in numbers alone: whoever wants more asks for it.
        Thin = "thin",
    }

    /// Why a webhook is told nothing.
    pub enum DisabledReason {
        /// Somebody turned it off.
        Paused = "paused",
        /// It answered 410: it is gone.
        Gone = "gone",
        /// It took nothing for five days.
        Failing = "failing",
    }
}

/// A webhook as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = webhooks)]
pub struct Webhook {
    /// Its number.
    pub id: WebhookId,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Only events of these types; `conversation.*` is all that begin so. `None` is all.
    pub event_types: Option<Json<Vec<String>>>,
    /// Only what is in these mailboxes. `None` is all, and what belongs to none.
    pub mailbox_ids: Option<Json<Vec<MailboxId>>>,
    /// Only of conversations that carry one of these tags. `None` is all.
    pub tag_ids: Option<Json<Vec<TagId>>>,
    /// How much it is told.
    pub body: WebhookBody,
    /// Its secret, sealed for [`secret_place`].
    pub secret: Vec<u8>,
    /// The secret before, which signs as well until `previous_until`.
    pub previous_secret: Option<Vec<u8>>,
    /// Until when.
    pub previous_until: Option<Timestamp>,
    /// The number of the last event that was looked at for it.
    pub position: i64,
    /// Since when it is told nothing.
    pub disabled_at: Option<Timestamp>,
    /// Why.
    pub disabled_reason: Option<DisabledReason>,
    /// Since when it has taken nothing that it was sent.
    pub failing_since: Option<Timestamp>,
    /// When it last took something.
    pub last_success_at: Option<Timestamp>,
    /// Counts what people change; how it fares does not count.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("w{}-{}", self.id, self.version)
    }

    /// It is told of events.
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }

    /// What it may be told of, as the event log asks.
    pub fn access(&self) -> Access {
        let sight = match &self.mailbox_ids {
            None => Sight::All,
            Some(ids) => Sight::Only(
                ids.iter()
                    .map(|id| Grant {
                        mailbox_id: *id,
                        category_id: None,
                        assigned_only: false,
                        level: Level::Read,
                    })
                    .collect(),
            ),
        };
        Access::new(None, vec![Scope::EventsRead], sight)
    }

    /// Its types as the event log asks for them: names, and beginnings that end in a dot.
    pub fn kinds(&self) -> Vec<String> {
        let types = self.event_types.iter().flat_map(|types| types.iter());
        types.map(|name| name.strip_suffix('*').unwrap_or(name).to_owned()).collect()
    }
}

/// Whether there are events of this type, or of a type that begins as `conversation.*` says.
pub fn is_event_type(name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(start) => {
            start.ends_with('.') && EventType::ALL.iter().any(|kind| kind.as_str().starts_with(start))
        }
        None => name.parse::<EventType>().is_ok(),
    }
}

/// The place that a webhook's secret is sealed for.
pub fn secret_place(id: WebhookId) -> String {
    format!("webhooks/{id}/secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_names_or_beginnings() {
        for known in ["conversation.*", "conversation.created", "message.*", "webhook.disabled"] {
            assert!(is_event_type(known), "{known}");
        }
        for other in ["", "*", ".*", "conversation", "conversation.", "conversation*", "nothing.*", "x.y"] {
            assert!(!is_event_type(other), "{other}");
        }
    }
}
