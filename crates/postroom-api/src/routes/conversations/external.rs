//! Conversations by what another system calls them.

use super::in_the_body;
use super::shape::{ConversationView, CustomerRef, Dates, whose};
use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::Caller;
use crate::patch::{Patch, given};
use crate::problem::{Problem, ProblemDocument};
use crate::shapes::custom_field::CustomFieldChanges;
use crate::shapes::new_message::NewMessageBody;
use crate::state::Api;
use actix_web::dev::Payload;
use actix_web::web::{Data, Path};
use actix_web::{FromRequest, HttpRequest, get, put};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::conversation::{Channel, ExternalId, Priority, Status};
use postroom_core::desk::Desk;
use postroom_core::id::{AgentId, CategoryId, CustomerId, MailboxId, TeamId};
use postroom_core::operations::conversations::{
    self, ConversationChange, ConversationUpsert, NewConversation,
};
use postroom_core::operations::custom_fields::Given;
use postroom_core::time::Timestamp;
use serde::Deserialize;
use std::future::{Ready, ready};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Required, Schema};

/// The `{source}` and `{external_id}` of the path, percent-decoded. What can be none is 404, like one that
/// nothing is called by.
#[derive(Debug)]
pub struct ExternalKey(ExternalId);

impl FromRequest for ExternalKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let none = |told: &str| Problem::not_found(format!("there is no such conversation: {told}"));
        let read = Path::<(String, String)>::from_request(req, payload).into_inner();
        ready(read.map_err(|_| none("the path can't be read")).and_then(|path| {
            let (source, id) = path.into_inner();
            let key = ExternalId { source, id };
            if let Some(fault) = key.source_fault() {
                return Err(none(&format!("a source {fault}")));
            }
            if let Some(fault) = key.id_fault() {
                return Err(none(&format!("an external id {fault}")));
            }
            Ok(Self(key))
        }))
    }
}

impl utoipa::IntoParams for ExternalKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = |most: usize| {
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(most))
        };
        let source = text(ExternalId::SOURCE_CHARS).pattern(Some("^[A-Za-z0-9._-]+$"));
        let parameter = |name: &str, told: &str, shape: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some(told))
                .schema(Some(Schema::from(shape)))
                .build()
        };
        vec![
            parameter("source", "Which other system.", source),
            parameter(
                "external_id",
                "What that calls the conversation, percent-encoded: `a/b` is `a%2Fb`.",
                text(ExternalId::ID_CHARS),
            ),
        ]
    }
}

/// What a conversation is to be. `mailbox_id`, `customer` (or `customer_id`), `subject` and `message` are what
/// it takes to make one, and with `channel` they are passed over where there is one, but for `subject`. All
/// else is as in a change: what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationUpsert)]
pub struct UpsertBody {
    /// Where it is made.
    #[serde(default)]
    mailbox_id: Option<MailboxId>,
    /// Whose it is when it is made: a customer who is known, or an address.
    #[serde(default)]
    customer: Option<CustomerRef>,
    /// Whose it is when it is made: a customer who is known.
    #[serde(default)]
    customer_id: Option<CustomerId>,
    /// Its first message when it is made.
    #[serde(default)]
    message: Option<NewMessageBody>,
    /// How it came, when it is made; left out, `api`.
    #[serde(default)]
    channel: Option<Channel>,
    /// What it is about.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 512)]
    subject: Option<String>,
    /// All of its tags.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    /// Custom fields by their keys: those that are left out stay, `null` takes a value away.
    #[serde(default)]
    #[schema(value_type = CustomFieldChanges)]
    custom_fields: Given,
    /// How much it matters.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    priority: Option<Priority>,
    /// Where it stands; not `snoozed`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    status: Option<Status>,
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
    /// It comes from another desk, and its message with it. Where it is there already it stays as it is, for what
    /// was done since at this desk counts. Needs `conversations:import` as well.
    #[serde(default)]
    imported: bool,
    /// With `imported`, when it is made: when it began; left out, when its message was written.
    #[serde(default)]
    created_at: Option<Timestamp>,
    /// With `imported`, when it is made closed: when it was closed; left out, with its last message.
    #[serde(default)]
    closed_at: Option<Timestamp>,
}

impl UpsertBody {
    fn change(&self) -> ConversationChange {
        ConversationChange {
            status: self.status,
            priority: self.priority,
            subject: self.subject.clone(),
            assignee_id: self.assignee_id.change(),
            team_id: self.team_id.change(),
            category_id: self.category_id.change(),
            tags: self.tags.clone(),
            custom_fields: self.custom_fields.clone(),
            external_id: None,
        }
    }

    /// What one is made of. That something is missing matters only where one has to be made.
    async fn make(self, desk: &Desk, caller: &Actor) -> Result<NewConversation, Problem> {
        let has_customer = self.customer_id.is_some() || self.customer.is_some();
        let dates =
            Dates { is_imported: self.imported, created_at: self.created_at, closed_at: self.closed_at };
        let (Some(mailbox_id), Some(subject), Some(mut message), true) =
            (self.mailbox_id, self.subject, self.message, has_customer)
        else {
            let told = "there is no such conversation yet: to make it takes mailbox_id, subject, customer or \
                        customer_id, and message";
            return Err(Problem::invalid_member("", "required", told));
        };
        let imported = dates.read(&mut message)?;
        Ok(NewConversation {
            mailbox_id,
            subject,
            whose: whose(self.customer_id, self.customer)?,
            message: message.read(desk, caller, "/message").await?,
            tags: self.tags.unwrap_or_default(),
            custom_fields: self.custom_fields,
            channel: self.channel,
            priority: self.priority,
            assignee_id: self.assignee_id.change().flatten(),
            team_id: self.team_id.change().flatten(),
            category_id: self.category_id.change().flatten(),
            status: self.status,
            external_id: None,
            imported,
        })
    }
}

/// Find a conversation by what another system calls it
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "conversations", params(ExternalKey, IfNoneMatch),
    responses((status = OK, body = ConversationView, description = "The conversation.")))]
#[get("/conversations/by-external-id/{source}/{external_id}")]
pub async fn get_conversation_by_external_id(
    api: Data<Api>,
    caller: Caller,
    key: ExternalKey,
    held: IfNoneMatch,
) -> Answer {
    let card = api.desk.read(&caller, move |cx| conversations::find_by_external(cx, &key.0)).await?;
    let etag = card.conversation.etag();
    Ok(answer::one(&ConversationView::alone(card), &etag, &held))
}

/// Make or change a conversation by what another system calls it
///
/// Where none is called so, it is made of `mailbox_id`, `subject`, `customer` or `customer_id`, `message` and the
/// rest: 201. Where there is one, `subject`, `status`, `priority`, `assignee_id`, `team_id`, `category_id` and
/// `tags` become what the body says, and so do those of `custom_fields` that it names, and what only the making takes is passed over: 200. Sent again it
/// changes nothing. Of many at once one makes it. `If-Match` (`*`: any version) makes none, `If-None-Match: *`
/// changes none: 412. With `imported` it is made as another desk had it, and left as it is where it is there. Needs
/// `conversations:write`, `messages:send` to make one with a reply, and `conversations:import` for `imported`.
#[utoipa::path(tag = "conversations", params(ExternalKey, IfMatch, IfNoneMatch),
    request_body(content = UpsertBody, description = "The conversation.", example = json!({
        "mailbox_id": 1, "subject": "Disk full on db3", "customer": {"email": "monitor@example.org"},
        "message": {"kind": "inbound", "text": "97 % used"}, "status": "open", "priority": "high"
    })),
    responses(
        (status = OK, body = ConversationView, description = "It was there: as it is now."),
        (status = CREATED, body = ConversationView, description = "It was made."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another or is in the trash. `already_exists`: it is one that the caller may not see.")))]
#[put("/conversations/by-external-id/{source}/{external_id}")]
pub async fn put_conversation_by_external_id(
    api: Data<Api>,
    caller: Caller,
    key: ExternalKey,
    seen: IfMatch,
    held: IfNoneMatch,
    body: Body<UpsertBody>,
) -> Answer {
    let (change, is_imported) = (body.0.change(), body.0.imported);
    if !is_imported && (body.0.created_at.is_some() || body.0.closed_at.is_some()) {
        let at = if body.0.created_at.is_some() { "/created_at" } else { "/closed_at" };
        let told = "only what is imported has one of its own";
        return Err(Problem::invalid_member(at, "not_allowed", told));
    }
    // Uploads of the first time belong to the message that it wrote, and are not missed where it is there.
    let (make, why_not) = match body.0.make(&api.desk, &caller).await {
        Ok(make) => (Some(make), None),
        Err(problem) => (None, Some(problem)),
    };
    let wanted = ConversationUpsert { make, change, is_imported };
    let done = api.desk.write(&caller, move |cx| {
        let expected = seen.expected();
        conversations::upsert(cx, &key.0, expected, |version| held.holds_version(version), &wanted)
            .map_err(in_the_body)
    });
    let done = match (done.await, why_not) {
        (Err(Error::NotFound("conversation")), Some(problem)) => return Err(problem),
        (done, _) => done?,
    };
    let (id, version) = (done.card.conversation.id, done.card.conversation.etag());
    let view = ConversationView::alone(done.card);
    if !done.is_new {
        return Ok(answer::changed(&view, &version));
    }
    Ok(answer::put(&api.links, &view, &format!("/api/v1/conversations/{id}"), &version))
}
