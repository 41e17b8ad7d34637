//! What is said of webhooks.

use crate::patch::{Patch, given};
use postroom_core::id::{MailboxId, WebhookId};
use postroom_core::operations::webhooks::WebhookCard;
use postroom_core::time::Timestamp;
use postroom_core::webhook::{DisabledReason, WebhookBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is told of events by HTTP.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Its number.
    id: WebhookId,
    /// Counts what people change.
    version: i64,
    /// What people call it.
    name: String,
    /// Where it is.
    url: String,
    /// Only events of these types; `conversation.*` is all that begin so; `null` is all.
    event_types: Option<Vec<String>>,
    /// Only what is in these mailboxes now; `null` is all, and what belongs to none.
    mailbox_ids: Option<Vec<MailboxId>>,
    /// Only of conversations that carry one of these tags when the event is handed on; `null` is all. A tag that
    /// was removed stands here no more, and still is no other one.
    tags: Option<Vec<String>>,
    /// How much it is told.
    body: WebhookBody,
    /// It is told of events.
    enabled: bool,
    /// Since when it is not.
    disabled_at: Option<Timestamp>,
    /// Why.
    disabled_reason: Option<DisabledReason>,
    /// Since when it has taken nothing that it was sent; after five days it is turned off.
    failing_since: Option<Timestamp>,
    /// When it last took something.
    last_success_at: Option<Timestamp>,
    /// Events up to this number were looked at for it.
    #[schema(minimum = 0)]
    last_seq: i64,
    /// Until when the secret before signs as well.
    previous_secret_until: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// What its requests are signed with: in the answers that made it, and in no other ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

impl WebhookView {
    /// The same with a secret that was just made.
    pub fn with(self, secret: String) -> Self {
        Self { secret: Some(secret), ..self }
    }
}

impl From<WebhookCard> for WebhookView {
    fn from(WebhookCard { webhook, tags }: WebhookCard) -> Self {
        let enabled = webhook.is_enabled();
        Self {
            id: webhook.id,
            version: webhook.version,
            name: webhook.name,
            url: webhook.url,
            event_types: webhook.event_types.as_deref().cloned(),
            mailbox_ids: webhook.mailbox_ids.as_deref().cloned(),
            tags,
            body: webhook.body,
            enabled,
            disabled_at: webhook.disabled_at,
            disabled_reason: webhook.disabled_reason,
            failing_since: webhook.failing_since,
            last_success_at: webhook.last_success_at,
            last_seq: webhook.position,
            previous_secret_until: webhook.previous_until,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret: None,
        }
    }
}

fn full() -> WebhookBody {
    WebhookBody::Full
}

fn on() -> bool {
    true
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhook)]
pub struct NewWebhookBody {
    /// What people call it.
    #[schema(max_length = 200)]
    pub name: String,
    /// Where it is: https, without user and password, on a port and at an address that the configuration
    /// allows (`[webhooks]`). A name is looked up each time that it is called.
    #[schema(max_length = 2000)]
    pub url: String,
    /// Only events of these types; `conversation.*` is all that begin so. Left out, all.
    #[schema(min_items = 1, max_items = 100)]
    pub event_types: Option<Vec<String>>,
    /// Only what is in these mailboxes. Left out, all, and what belongs to none.
    #[schema(min_items = 1, max_items = 100)]
    pub mailbox_ids: Option<Vec<MailboxId>>,
    /// Only of conversations that carry one of these tags. Left out, all.
    #[schema(min_items = 1, max_items = 100)]
    pub tags: Option<Vec<String>>,
    /// How much it is told.
    #[serde(default = "full")]
    pub body: WebhookBody,
    /// It is told of events.
    #[serde(default = "on")]
    pub enabled: bool,
}

/// What is to change of a webhook; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    pub name: Option<String>,
    /// Where it is.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 2000)]
    pub url: Option<String>,
    /// Types; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub event_types: Patch<Vec<String>>,
    /// Mailboxes; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<i64>>, min_items = 1, max_items = 100)]
    pub mailbox_ids: Patch<Vec<MailboxId>>,
    /// Tags; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub tags: Patch<Vec<String>>,
    /// How much it is told, of what happens from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub body: Option<WebhookBody>,
    /// Whether it is told of events.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub enabled: Option<bool>,
}

/// How a secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretRotation)]
pub struct RotateBody {
    /// For how many hours the secret before signs as well; 24 if left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 0, maximum = 168, default = 24)]
    pub overlap_hours: Option<u16>,
}

/// What is to be told once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Replay)]
pub struct ReplayBody {
    /// Events behind this number.
    #[schema(minimum = 0)]
    pub after_seq: i64,
}
