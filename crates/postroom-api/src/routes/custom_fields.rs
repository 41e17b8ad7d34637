//! Custom fields: what a desk wants to know of its conversations and customers.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::patch::{Patch, given};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::custom_field::{Choice, CustomField, FieldObject, FieldType};
use postroom_core::cx::Cx;
use postroom_core::id::CustomFieldId;
use postroom_core::operations::custom_fields::{self, CustomFieldChange, NewCustomField};
use postroom_core::page::Position;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_custom_fields)
        .service(create_custom_field)
        .service(get_custom_field)
        .service(update_custom_field)
        .service(delete_custom_field);
}

/// What a desk wants to know of its conversations or customers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomField)]
struct CustomFieldView {
    /// Its number.
    id: CustomFieldId,
    /// Counts changes.
    version: i64,
    /// What it is of.
    object: FieldObject,
    /// What stands for it in `custom_fields`, in `q` and in events. It never changes.
    key: String,
    /// What its values are. This never changes.
    r#type: FieldType,
    /// What people read.
    title: String,
    /// What it is for; may be empty.
    description: String,
    /// What a text must match as a whole; `null` is anything.
    pattern: Option<String>,
    /// What may be chosen, in this order.
    choices: Vec<Choice>,
    /// A conversation is not closed before it has a value.
    required_on_close: bool,
    /// Its place in lists and forms: the lowest first.
    position: i32,
    /// Since when it takes no values any more; those it has stay. `null`: it takes them.
    archived_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

page_of!(
    /// A page of custom fields.
    CustomFieldPage of CustomFieldView
);

impl From<CustomField> for CustomFieldView {
    fn from(field: CustomField) -> Self {
        Self {
            id: field.id,
            version: field.version,
            object: field.object,
            key: field.key,
            r#type: field.kind,
            title: field.title,
            description: field.description,
            pattern: field.pattern,
            choices: field.choices.into_inner(),
            required_on_close: field.required_on_close,
            position: field.position,
            archived_at: field.archived_at,
            created_at: field.created_at,
            updated_at: field.updated_at,
        }
    }
}

/// A custom field to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomField)]
struct NewCustomFieldBody {
    /// What it is of.
    object: FieldObject,
    /// What stands for it; unique among the fields of conversations, or of customers.
    #[schema(min_length = 1, max_length = 50, pattern = "^[a-z][a-z0-9_]*$")]
    key: String,
    /// What its values are.
    r#type: FieldType,
    /// What people read.
    #[schema(min_length = 1, max_length = 100)]
    title: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// Of `text`: what it must match as a whole, in the syntax of Rust's regex crate, which knows no references
    /// back and no looking around.
    #[serde(default)]
    #[schema(max_length = 500)]
    pattern: Option<String>,
    /// Of `choice` and `multi_choice`: what may be chosen.
    #[serde(default)]
    #[schema(max_items = 200)]
    choices: Vec<Choice>,
    /// Of conversations: whether they are not closed before it has a value.
    #[serde(default)]
    required_on_close: bool,
    /// Its place; left out, behind the others.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10_000)]
    position: Option<i32>,
}

/// What is to change of a custom field; what is left out stays. `object`, `key` and `type` never change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CustomFieldPatch {
    /// What people read.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    title: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 500)]
    description: Option<String>,
    /// What a text must match; `null` is anything. Values that are there stay, whether they match or not.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    pattern: Patch<String>,
    /// All choices, in their order. One that was chosen somewhere can be archived, not left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 200)]
    choices: Option<Vec<Choice>>,
    /// Whether conversations are not closed before it has a value.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    required_on_close: Option<bool>,
    /// Its place.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 0, maximum = 10_000)]
    position: Option<i32>,
    /// `true`: it takes no values any more, and nothing waits for one; those it has stay. `false`: it does again.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    archived: Option<bool>,
}

/// Which custom fields.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct CustomFieldQuery {
    /// Of conversations alone, or of customers. Left out: of both, those of conversations first.
    #[param(inline)]
    object: Option<FieldObject>,
}

/// Whether values go along.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ForceQuery {
    /// Take its values away with it.
    #[param(default = false)]
    force: Option<bool>,
}

/// List custom fields
///
/// By `position`, those of conversations first; those that are archived are among them. Needs `conversations:read`.
#[utoipa::path(tag = "custom fields", params(CustomFieldQuery, PageQuery),
    responses((status = OK, body = CustomFieldPage, description = "A page of custom fields.")))]
#[get("/custom-fields")]
async fn list_custom_fields(
    api: Data<Api>,
    caller: Caller,
    query: Query<CustomFieldQuery>,
    paging: Paging,
) -> Answer {
    let of = query.0.object;
    let found = api.desk.read(&caller, move |cx| custom_fields::list(cx, of)).await?;
    let page = paging.cut(found, place).map(CustomFieldView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| CustomFieldPage { data, page }))
}

/// Conversations first, then by position: positions have no more digits than that.
fn place(field: &CustomField) -> Position {
    let behind = i64::from(field.object != FieldObject::Conversation) * 1_000_000;
    Position { key: behind + i64::from(field.position), id: field.id.0 }
}

/// Make a custom field
///
/// At most 100 of conversations and 100 of customers. Needs `admin:write`.
#[utoipa::path(tag = "custom fields", params(IdempotencyKey),
    request_body(content = NewCustomFieldBody, description = "The custom field.", examples(
        ("text" = (summary = "An order number", value = json!({
            "object": "conversation", "key": "order_no", "type": "text", "title": "Order", "pattern": "[0-9]{1,9}"}))),
        ("choice" = (summary = "What customers pay for", value = json!({
            "object": "customer", "key": "plan", "type": "choice", "title": "Plan",
            "choices": [{"key": "free", "title": "Free"}, {"key": "paid", "title": "Paid"}]}))))),
    responses(
        (status = CREATED, body = CustomFieldView, description = "The custom field."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this key; `existing_id` says which. `state_conflict`: there are 100 already.")))]
#[post("/custom-fields")]
async fn create_custom_field(api: Data<Api>, caller: Caller, body: Keyed<NewCustomFieldBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewCustomField {
        object: body.object,
        key: body.key,
        kind: body.r#type,
        title: body.title,
        description: body.description,
        pattern: body.pattern,
        choices: body.choices,
        required_on_close: body.required_on_close,
        position: body.position,
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let field = custom_fields::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/custom-fields/{}", field.id), field.etag());
        Ok(answer::made(links, &CustomFieldView::from(field), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a custom field
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "custom fields", params(Id<CustomFieldId>, IfNoneMatch),
    responses((status = OK, body = CustomFieldView, description = "The custom field.")))]
#[get("/custom-fields/{id}")]
async fn get_custom_field(
    api: Data<Api>,
    caller: Caller,
    id: Id<CustomFieldId>,
    held: IfNoneMatch,
) -> Answer {
    let field = api.desk.read(&caller, move |cx| custom_fields::find(cx, id.0)).await?;
    let etag = field.etag();
    Ok(answer::one(&CustomFieldView::from(field), &etag, &held))
}

/// Change a custom field
///
/// Its values stay, whatever it is called and whatever is asked of new ones. Needs `admin:write`.
#[utoipa::path(tag = "custom fields", params(Id<CustomFieldId>, IfMatch),
    request_body(content = CustomFieldPatch, description = "What is to change.", example = json!({"title": "Order number"})),
    responses((status = OK, body = CustomFieldView, description = "The custom field as it is now.")))]
#[patch("/custom-fields/{id}")]
async fn update_custom_field(
    api: Data<Api>,
    caller: Caller,
    id: Id<CustomFieldId>,
    seen: IfMatch,
    body: Body<CustomFieldPatch>,
) -> Answer {
    let body = body.0;
    let change = CustomFieldChange {
        title: body.title,
        description: body.description,
        pattern: body.pattern.change(),
        choices: body.choices,
        required_on_close: body.required_on_close,
        position: body.position,
        archived: body.archived,
    };
    let field =
        api.desk.write(&caller, move |cx| custom_fields::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = field.etag();
    Ok(answer::changed(&CustomFieldView::from(field), &etag))
}

/// Delete a custom field
///
/// One that has values stays, unless `force=true` takes them away with it. To keep them, archive it. Needs
/// `admin:write`.
#[utoipa::path(tag = "custom fields", params(Id<CustomFieldId>, ForceQuery, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it has values.")))]
#[delete("/custom-fields/{id}")]
async fn delete_custom_field(
    api: Data<Api>,
    caller: Caller,
    id: Id<CustomFieldId>,
    query: Query<ForceQuery>,
    seen: IfMatch,
) -> Answer {
    let force = query.0.force.unwrap_or(false);
    api.desk.write(&caller, move |cx| custom_fields::delete(cx, id.0, seen.expected(), force)).await?;
    Ok(answer::gone())
}
