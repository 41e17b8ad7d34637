//! Tags: labels on conversations.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::query::{Query, words};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::TagId;
use postroom_core::listing::NameSort;
use postroom_core::operations::tags;
use postroom_core::store::tags::{Tag, TagFilter};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_tags).service(create_tag).service(update_tag).service(delete_tag);
}

/// A label on conversations. Names that differ in case alone are one tag.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tag)]
struct TagView {
    /// Its number.
    id: TagId,
    /// Its name, as first written.
    name: String,
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
}

/// A tag's name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TagName {
    /// Without commas, which separate tags in filters.
    #[schema(max_length = 64)]
    name: String,
}

impl From<Tag> for TagView {
    fn from(tag: Tag) -> Self {
        Self { id: tag.id, name: tag.name, created_at: tag.created_at }
    }
}

/// List tags
///
/// Oldest first unless `sort` says otherwise. Needs `conversations:read`.
#[utoipa::path(tag = "tags", params(TagQuery, PageQuery),
    responses((status = OK, body = TagPage, description = "A page of tags.")))]
#[get("/tags")]
async fn list_tags(api: Data<Api>, caller: Caller, query: Query<TagQuery>, paging: Paging) -> Answer {
    let TagQuery { q, sort } = query.0;
    let filter = TagFilter { words: words(q.as_deref())?, sort: sort.unwrap_or(NameSort::Id) };
    let (after, request) = (paging.after.clone(), paging.request);
    let found = api.desk.read(&caller, move |cx| tags::list(cx, &filter, after.as_ref(), request)).await?;
    let page = found.map(TagView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| TagPage { data, page }))
}

/// Make a tag
///
/// Before it is used: a conversation makes the tags it is given by itself. Needs
/// `conversations:write`.
#[utoipa::path(tag = "tags", params(IdempotencyKey),
    request_body(content = TagName, description = "The tag.", example = json!({"name": "billing"})),
    responses(
        (status = CREATED, body = TagView, description = "The tag."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name; `existing_id` says which.")))]
#[post("/tags")]
async fn create_tag(api: Data<Api>, caller: Caller, body: Keyed<TagName>) -> Answer {
    let Keyed { once, body } = body;
    let create = move |cx: &mut Cx<'_>, _: &Links| {
        Ok(answer::made_here(&TagView::from(tags::create(cx, &body.name)?)))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Rename a tag
///
/// On every conversation that carries it. Needs `tags:manage`.
#[utoipa::path(tag = "tags", params(Id<TagId>),
    request_body(content = TagName, description = "The new name.", example = json!({"name": "invoices"})),
    responses(
        (status = OK, body = TagView, description = "The tag as it is now."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name.")))]
#[patch("/tags/{id}")]
async fn update_tag(api: Data<Api>, caller: Caller, id: Id<TagId>, body: Body<TagName>) -> Answer {
    let tag = api.desk.write(&caller, move |cx| tags::rename(cx, id.0, &body.0.name)).await?;
    Ok(HttpResponse::Ok().json(TagView::from(tag)))
}

/// Delete a tag
///
/// It vanishes from every conversation that carries it. Needs `tags:manage`.
#[utoipa::path(tag = "tags", params(Id<TagId>),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/tags/{id}")]
async fn delete_tag(api: Data<Api>, caller: Caller, id: Id<TagId>) -> Answer {
    api.desk.write(&caller, move |cx| tags::delete(cx, id.0)).await?;
    Ok(answer::gone())
}
