//! A conversation as callers write and see it.

use super::show::HighlightView;
use crate::patch::{Patch, given};
use crate::problem::Problem;
use crate::routes::included::IncludedView;
use crate::shapes::custom_field::{CustomFieldChanges, CustomFieldValues};
use crate::shapes::new_message::NewMessageBody;
use postroom_core::actor::Actor;
use postroom_core::conversation::{Channel, ExternalId, LinkReason, Priority, Status, WaitingOn};
use postroom_core::desk::Desk;
use postroom_core::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, MessageId, TeamId};
use postroom_core::operations::conversations::{
    ConversationCard, ConversationChange, ImportedConversation, NewConversation, Whose,
};
use postroom_core::operations::custom_fields::Given;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A thread of messages with one customer about one matter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation, example = json!({
    "id": 1234, "version": 1, "subject": "Late order", "status": "open", "priority": "normal", "channel": "api",
    "mailbox_id": 1, "customer_id": 77, "assignee_id": null, "team_id": null, "category_id": null, "tags": ["order"],
    "custom_fields": {"order_no": "881"},
    "waiting_on": "us", "waiting_since": "2026-11-22T08:00:00.123456Z", "message_count": 1, "last_message_id": 5120,
    "last_message_at": "2026-11-22T08:00:00.123456Z", "snoozed_until": null, "merged_into": null, "links": [],
    "created_at": "2026-11-22T08:00:00.123456Z", "updated_at": "2026-11-22T08:00:00.123456Z", "closed_at": null,
    "deleted_at": null, "external_id": {"source": "shop", "id": "881"}
}))]
pub struct ConversationView {
    /// Its number.
    id: ConversationId,
    /// Counts changes.
    version: i64,
    /// What it is about.
    subject: String,
    /// Where it stands.
    status: Status,
    /// How much it matters.
    priority: Priority,
    /// How it reached the desk.
    channel: Channel,
    /// Where it was begun.
    mailbox_id: MailboxId,
    /// Whose it is.
    customer_id: CustomerId,
    /// Who takes care of it.
    assignee_id: Option<AgentId>,
    /// Which team does.
    team_id: Option<TeamId>,
    /// What kind of matter it is.
    category_id: Option<CategoryId>,
    /// Its tags, by name.
    tags: Vec<String>,
    /// Its custom fields by their keys (`GET /custom-fields`); those without a value are left out.
    #[schema(value_type = CustomFieldValues)]
    custom_fields: Map<String, Value>,
    /// Whose turn it is; `null` is nobody's.
    waiting_on: Option<WaitingOn>,
    /// Since when.
    waiting_since: Option<Timestamp>,
    /// Messages and notes in it.
    message_count: i32,
    /// The newest of them.
    last_message_id: Option<MessageId>,
    /// When that came.
    last_message_at: Timestamp,
    /// When it wakes; of one that is snoozed, `null` is when the customer writes.
    snoozed_until: Option<Timestamp>,
    /// Where it went when it was merged.
    merged_into: Option<ConversationId>,
    /// What it has to do with. Left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    links: Option<Vec<LinkView>>,
    /// When it began.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// When it was closed.
    closed_at: Option<Timestamp>,
    /// When it was put into the trash.
    deleted_at: Option<Timestamp>,
    /// With `highlights=true`, in lists: where the words stand, at most five pieces. Empty where it was found
    /// by what stands far behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    highlights: Option<Vec<HighlightView>>,
    /// With `include`, where one conversation is asked for: what it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    included: Option<IncludedView>,
    /// What another system calls it.
    external_id: Option<ExternalIdShape>,
}

/// What another system calls a conversation. One conversation of the desk alone has it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExternalId)]
pub struct ExternalIdShape {
    /// Which system.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    source: String,
    /// Its name there, as it stands: upper and lower case are two.
    #[schema(min_length = 1, max_length = 255)]
    id: String,
}

impl From<ExternalIdShape> for ExternalId {
    fn from(shape: ExternalIdShape) -> Self {
        Self { source: shape.source, id: shape.id }
    }
}

impl From<ExternalId> for ExternalIdShape {
    fn from(external: ExternalId) -> Self {
        Self { source: external.source, id: external.id }
    }
}

/// Another conversation that has to do with this one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationLink)]
pub struct LinkView {
    /// The other one.
    conversation_id: ConversationId,
    /// Why.
    reason: LinkReason,
}

impl ConversationView {
    /// As it stands in a list.
    pub fn listed(card: ConversationCard) -> Self {
        Self { links: None, ..Self::alone(card) }
    }

    /// As it is answered alone.
    pub fn alone(card: ConversationCard) -> Self {
        let ConversationCard { conversation, tags, custom_fields, links } = card;
        let external_id = conversation.external().map(ExternalIdShape::from);
        let link = |link: postroom_core::conversation::ConversationLink| LinkView {
            conversation_id: link.related_id,
            reason: link.reason,
        };
        Self {
            id: conversation.id,
            version: conversation.version,
            subject: conversation.subject,
            status: conversation.status,
            priority: conversation.priority,
            channel: conversation.channel,
            mailbox_id: conversation.mailbox_id,
            customer_id: conversation.customer_id,
            assignee_id: conversation.assignee_id,
            team_id: conversation.team_id,
            category_id: conversation.category_id,
            tags,
            custom_fields,
            waiting_on: conversation.waiting_on,
            waiting_since: conversation.waiting_since,
            message_count: conversation.message_count,
            last_message_id: conversation.last_message_id,
            last_message_at: conversation.last_message_at,
            snoozed_until: conversation.snoozed_until,
            merged_into: conversation.merged_into,
            links: Some(links.into_iter().map(link).collect()),
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
            closed_at: conversation.closed_at,
            deleted_at: conversation.deleted_at,
            highlights: None,
            included: None,
            external_id,
        }
    }

    /// With where the words stand.
    pub fn with_highlights(self, highlights: Option<Vec<HighlightView>>) -> Self {
        Self { highlights, ..self }
    }

    /// With what it names.
    pub fn with(self, included: IncludedView) -> Self {
        Self { included: Some(included), ..self }
    }
}

/// A conversation to be begun. `customer_id`, `customer.id` or `customer.email` says whose: one
/// of the three.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConversation)]
pub struct NewConversationBody {
    /// Where.
    mailbox_id: MailboxId,
    /// What it is about.
    #[schema(min_length = 1, max_length = 512)]
    subject: String,
    /// Whose: a customer who is known, or an address.
    #[serde(default)]
    customer: Option<CustomerRef>,
    /// Whose: a customer who is known.
    #[serde(default)]
    customer_id: Option<CustomerId>,
    /// The first message.
    message: NewMessageBody,
    /// Labels; made where there are none of the name.
    #[serde(default)]
    tags: Vec<String>,
    /// Custom fields by their keys.
    #[serde(default)]
    #[schema(value_type = CustomFieldValues)]
    custom_fields: Given,
    /// How it came; left out, `api`.
    #[serde(default)]
    channel: Option<Channel>,
    /// How much it matters; left out, `normal`.
    #[serde(default)]
    priority: Option<Priority>,
    /// Where it stands; left out, `open`. Not `snoozed`.
    #[serde(default)]
    status: Option<Status>,
    /// Who takes care of it.
    #[serde(default)]
    assignee_id: Option<AgentId>,
    /// Which team does.
    #[serde(default)]
    team_id: Option<TeamId>,
    /// What kind of matter it is.
    #[serde(default)]
    category_id: Option<CategoryId>,
    /// What another system calls it.
    #[serde(default)]
    external_id: Option<ExternalIdShape>,
    /// It comes from another desk, and its message with it: both are kept as they were, and nobody is told. Left
    /// out, `status` is then `closed`. Needs `conversations:import` as well.
    #[serde(default)]
    imported: bool,
    /// With `imported`: when it began, from 1970 to now; left out, when its message was written.
    #[serde(default)]
    created_at: Option<Timestamp>,
    /// With `imported`, of one that is closed: when it was; left out, with its last message.
    #[serde(default)]
    closed_at: Option<Timestamp>,
}

/// When a conversation of another desk began and ended, as callers write it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dates {
    pub(super) is_imported: bool,
    pub(super) created_at: Option<Timestamp>,
    pub(super) closed_at: Option<Timestamp>,
}

impl Dates {
    /// As the core takes it, and as its first message has it from it.
    pub(super) fn read(self, message: &mut NewMessageBody) -> Result<Option<ImportedConversation>, Problem> {
        let refuse =
            |at: &str, code, told: &str| Err(Problem::invalid_member(at.to_owned(), code, told.to_owned()));
        if !self.is_imported {
            if message.imported {
                let told = "the conversation itself says that it is imported";
                return refuse("/message/imported", "not_allowed", told);
            }
            for (at, date) in [("/created_at", self.created_at), ("/closed_at", self.closed_at)] {
                if date.is_some() {
                    return refuse(at, "not_allowed", "only what is imported has one of its own");
                }
            }
            return Ok(None);
        }
        let Some(created_at) = self.created_at.or(message.created_at) else {
            return refuse("/created_at", "required", "say when it began");
        };
        message.imported = true;
        message.created_at = message.created_at.or(Some(created_at));
        Ok(Some(ImportedConversation { created_at, closed_at: self.closed_at }))
    }
}

/// A customer: by number, or by address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerRef {
    /// One who is known.
    #[serde(default)]
    id: Option<CustomerId>,
    /// Whoever has this address; made if nobody has.
    #[serde(default)]
    email: Option<String>,
    /// The name, for one who is made.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
}

impl NewConversationBody {
    /// How many uploads it takes along.
    pub fn uploads(&self) -> usize {
        self.message.attachment_ids.len()
    }

    /// As the core takes it.
    pub async fn read(mut self, desk: &Desk, caller: &Actor) -> Result<NewConversation, Problem> {
        let dates =
            Dates { is_imported: self.imported, created_at: self.created_at, closed_at: self.closed_at };
        let imported = dates.read(&mut self.message)?;
        Ok(NewConversation {
            mailbox_id: self.mailbox_id,
            subject: self.subject,
            whose: whose(self.customer_id, self.customer)?,
            message: self.message.read(desk, caller, "/message").await?,
            tags: self.tags,
            custom_fields: self.custom_fields,
            channel: self.channel,
            priority: self.priority,
            assignee_id: self.assignee_id,
            team_id: self.team_id,
            category_id: self.category_id,
            status: self.status,
            external_id: self.external_id.map(ExternalId::from),
            imported,
        })
    }
}

pub(super) fn whose(
    customer_id: Option<CustomerId>,
    customer: Option<CustomerRef>,
) -> Result<Whose, Problem> {
    let one = "say whose it is in one way: customer_id, customer.id or customer.email";
    match (customer_id, customer) {
        (Some(id), None) | (None, Some(CustomerRef { id: Some(id), email: None, name: None })) => {
            Ok(Whose::Known(id))
        }
        (None, Some(CustomerRef { id: None, email: Some(email), name })) => {
            Ok(Whose::Address { email, name })
        }
        (None, None) => Err(Problem::invalid_member("/customer", "required", one)),
        (None, Some(CustomerRef { id: None, email: None, name: _ })) => {
            Err(Problem::invalid_member("/customer/email", "required", one))
        }
        (_, Some(_)) => Err(Problem::invalid_member("/customer", "ambiguous", one)),
    }
}

/// What is to change of a conversation; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationPatch {
    /// Where it stands; not `snoozed`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    status: Option<Status>,
    /// How much it matters.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    priority: Option<Priority>,
    /// What it is about.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 512)]
    subject: Option<String>,
    /// Who takes care of it; `null` is nobody.
    #[serde(default)]
    #[schema(value_type = Option<AgentId>)]
    assignee_id: Patch<AgentId>,
    /// Which team does; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<TeamId>)]
    team_id: Patch<TeamId>,
    /// What kind of matter it is; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<CategoryId>)]
    category_id: Patch<CategoryId>,
    /// All of its tags.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    /// Custom fields by their keys: those that are left out stay, `null` takes a value away.
    #[serde(default)]
    #[schema(value_type = CustomFieldChanges)]
    custom_fields: Given,
    /// What another system calls it; `null` is nothing.
    #[serde(default)]
    #[schema(value_type = Option<ExternalIdShape>)]
    external_id: Patch<ExternalIdShape>,
}

impl ConversationPatch {
    /// As the core takes it.
    pub fn change(self) -> ConversationChange {
        ConversationChange {
            status: self.status,
            priority: self.priority,
            subject: self.subject,
            assignee_id: self.assignee_id.change(),
            team_id: self.team_id.change(),
            category_id: self.category_id.change(),
            tags: self.tags,
            custom_fields: self.custom_fields,
            external_id: self.external_id.change().map(|external| external.map(ExternalId::from)),
        }
    }
}

/// Tags to be added and to be removed, by name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TagChange)]
pub struct TagsBody {
    /// Made where there are none of the name.
    #[serde(default)]
    pub add: Vec<String>,
    /// Those that are not there are passed over.
    #[serde(default)]
    pub remove: Vec<String>,
}
