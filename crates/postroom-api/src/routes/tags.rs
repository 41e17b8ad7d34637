//! Tags: labels on conversations.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::patch::{Patch, given};
use crate::problem::ProblemDocument;
use crate::query::{Query, words};
use crate::shapes::count::CountView;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::{TagId, WebhookId};
use postroom_core::listing::NameSort;
use postroom_core::operations::tags::{self, TagChange};
use postroom_core::page::Page;
use postroom_core::store::tags::{Tag, TagFilter};
use postroom_core::time::Timestamp;
use postroom_core::view::ViewInclude;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_tags)
        .service(create_tag)
        .service(get_tag)
        .service(update_tag)
        .service(merge_tag)
        .service(delete_tag);
}

/// A label on conversations. Names that differ in case alone are one tag.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tag)]
struct TagView {
    /// Its number.
    id: TagId,
    /// Counts changes.
    version: i64,
    /// Its name, as first written.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// A colour.
    color: Option<String>,
    /// With `include=count`: how many conversations that you see carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<CountView>,
    /// When it was first used.
    created_at: Timestamp,
}

page_of!(
    /// A page of tags.
    TagPage of TagView
);

/// Which tags.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct TagQuery {
    /// With each of these words, or pieces of one, in the name: at most ten.
    #[param(max_length = 200)]
    q: Option<String>,
    /// The order; a minus is: the highest first. Left out, `id`.
    #[param(inline)]
    sort: Option<NameSort>,
    /// `count`: how many conversations that you see carry each, counted to 1,000.
    #[serde(default)]
    #[param(inline, style = Form, explode = false, example = json!(["count"]))]
    include: Vec<ViewInclude>,
}

/// A tag to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTag)]
struct NewTagBody {
    /// Without commas, which separate tags in filters.
    #[schema(max_length = 64)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: Option<String>,
    /// A colour.
    #[serde(default)]
    #[schema(pattern = "^#[0-9a-f]{6}$")]
    color: Option<String>,
}

/// What is to change of a tag; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TagPatch {
    /// Without commas, which separate tags in filters.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 64)]
    name: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 500)]
    description: Option<String>,
    /// A colour; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^#[0-9a-f]{6}$")]
    color: Patch<String>,
}

/// Which tag takes the other's place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TagMerge {
    /// The one that stays.
    into: TagId,
}

/// What came of two tags that became one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TagMerged)]
struct TagMergedView {
    /// The tag that is left.
    tag: TagView,
    /// How many conversations carried the other one, those in the trash among them.
    conversations: i64,
    /// How many of them did not carry this one before.
    newly_tagged: usize,
    /// The webhooks that went by the other one, and go by this one now.
    webhook_ids: Vec<WebhookId>,
}

impl From<Tag> for TagView {
    fn from(tag: Tag) -> Self {
        Self {
            id: tag.id,
            version: tag.version,
            name: tag.name,
            description: tag.description,
            color: tag.color,
            count: None,
            created_at: tag.created_at,
        }
    }
}

/// List tags
///
/// Oldest first unless `sort` says otherwise. Needs `conversations:read`.
#[utoipa::path(tag = "tags", params(TagQuery, PageQuery),
    responses((status = OK, body = TagPage, description = "A page of tags.")))]
#[get("/tags")]
async fn list_tags(api: Data<Api>, caller: Caller, query: Query<TagQuery>, paging: Paging) -> Answer {
    let TagQuery { q, sort, include } = query.0;
    let counts = include.contains(&ViewInclude::Count);
    let filter = TagFilter { words: words(q.as_deref())?, sort: sort.unwrap_or(NameSort::Id) };
    let (after, request) = (paging.after.clone(), paging.request);
    let list = move |cx: &mut Cx<'_>| {
        let found = tags::list(cx, &filter, after.as_ref(), request)?;
        let mut counted = Vec::with_capacity(found.items.len());
        for tag in found.items {
            let count = if counts { Some(tags::count_of(cx, &tag)?) } else { None };
            counted.push((tag, count));
        }
        Ok(Page { items: counted, next: found.next, total: found.total })
    };
    let page = api.desk.read(&caller, list).await?;
    let page = page.map(|(tag, count)| TagView { count: count.map(CountView::from), ..TagView::from(tag) });
    Ok(paging.answer(&api, page, |data, page: PageInfo| TagPage { data, page }))
}

/// Make a tag
///
/// Before it is used: a conversation makes the tags it is given by itself. Needs
/// `conversations:write`, and `tags:manage` for a description or a colour.
#[utoipa::path(tag = "tags", params(IdempotencyKey),
    request_body(content = NewTagBody, description = "The tag.", example = json!({"name": "billing"})),
    responses(
        (status = CREATED, body = TagView, description = "The tag."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name; `existing_id` says which.")))]
#[post("/tags")]
async fn create_tag(api: Data<Api>, caller: Caller, body: Keyed<NewTagBody>) -> Answer {
    let Keyed { once, body } = body;
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let tag = tags::create(cx, &body.name, body.description.as_deref(), body.color.as_deref())?;
        let (path, etag) = (format!("/api/v1/tags/{}", tag.id), tag.etag());
        Ok(answer::made(links, &TagView::from(tag), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a tag
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "tags", params(Id<TagId>, IfNoneMatch),
    responses((status = OK, body = TagView, description = "The tag.")))]
#[get("/tags/{id}")]
async fn get_tag(api: Data<Api>, caller: Caller, id: Id<TagId>, held: IfNoneMatch) -> Answer {
    let tag = api.desk.read(&caller, move |cx| tags::find(cx, id.0)).await?;
    let etag = tag.etag();
    Ok(answer::one(&TagView::from(tag), &etag, &held))
}

/// Change a tag
///
/// Its name, on every conversation that carries it and in every view and watchdog that asks for it, its description,
/// its colour. Needs `tags:manage`.
#[utoipa::path(tag = "tags", params(Id<TagId>, IfMatch),
    request_body(content = TagPatch, description = "What is to change.", example = json!({"name": "invoices"})),
    responses(
        (status = OK, body = TagView, description = "The tag as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name; `POST /tags/{id}/merge` makes them one.")))]
#[patch("/tags/{id}")]
async fn update_tag(
    api: Data<Api>,
    caller: Caller,
    id: Id<TagId>,
    seen: IfMatch,
    body: Body<TagPatch>,
) -> Answer {
    let body = body.0;
    let change = TagChange { name: body.name, description: body.description, color: body.color.change() };
    let tag = api.desk.write(&caller, move |cx| tags::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = tag.etag();
    Ok(answer::changed(&TagView::from(tag), &etag))
}

/// Merge a tag into another
///
/// Whatever carries it carries the other one from now on, once; webhooks, views and watchdogs that go by it go by the
/// other one; and it is gone. It can't be undone: the answer and the event `tag.merged` say what happened. Needs
/// `tags:manage`.
#[utoipa::path(tag = "tags", params(Id<TagId>, IfMatch, IdempotencyKey),
    request_body(content = TagMerge, description = "Which tag stays.", example = json!({"into": 2})),
    responses((status = OK, body = TagMergedView, description = "What came of it.")))]
#[post("/tags/{id}/merge")]
async fn merge_tag(
    api: Data<Api>,
    caller: Caller,
    id: Id<TagId>,
    seen: IfMatch,
    body: Keyed<TagMerge>,
) -> Answer {
    let Keyed { once, body: TagMerge { into } } = body;
    let merge = move |cx: &mut Cx<'_>, _: &Links| {
        let merged = tags::merge(cx, id.0, seen.expected(), into)?;
        let view = TagMergedView {
            tag: TagView::from(merged.tag),
            conversations: merged.carried,
            newly_tagged: merged.given,
            webhook_ids: merged.webhooks,
        };
        Ok(answer::said(StatusCode::OK, &view))
    };
    Ok(once.write(&api, &caller, merge).await?)
}

/// Delete a tag
///
/// It vanishes from every conversation that carries it. Needs `tags:manage`.
#[utoipa::path(tag = "tags", params(Id<TagId>, IfMatch),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/tags/{id}")]
async fn delete_tag(api: Data<Api>, caller: Caller, id: Id<TagId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| tags::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}
