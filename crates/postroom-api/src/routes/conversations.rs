//! Conversations: listed, begun, read, changed, tagged, and what happened in them.

use super::included::IncludedView;
use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed, Once};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::remembered::OfThisMoment;
use crate::shapes::event::EventView;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use postroom_core::Error;
use postroom_core::access::Scope;
use postroom_core::cx::Cx;
use postroom_core::id::ConversationId;
use postroom_core::operations::conversations::{self, ConversationCard};
use postroom_core::operations::idempotency::KeptAnswer;
use postroom_core::operations::including;
use postroom_core::page::Page;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

mod batch;
mod bulk;
mod external;
mod filter;
pub mod shape;
mod show;
mod snooze;
mod spam;
mod trash;
mod viewed;

use filter::ConversationQuery;
use shape::{ConversationPatch, ConversationView, NewConversationBody, TagsBody};
use show::{Beside, HighlightQuery, IncludeQuery};

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_conversations)
        .service(create_conversation)
        .service(batch::create_conversations)
        .service(bulk::change_conversations)
        .service(external::get_conversation_by_external_id)
        .service(external::put_conversation_by_external_id)
        .service(get_conversation)
        .service(update_conversation)
        .service(tag_conversation)
        .service(snooze::snooze_conversation)
        .service(snooze::unsnooze_conversation)
        .service(spam::mark_spam)
        .service(spam::mark_not_spam)
        .service(trash::delete_conversation)
        .service(trash::restore_conversation)
        .service(list_activity)
        .service(viewed::list_view_conversations);
}

page_of!(
    /// A page of conversations.
    ConversationPage of ConversationView, with IncludedView
);

page_of!(
    /// A page of what happened.
    ActivityPage of EventView
);

/// List conversations
///
/// Those that the caller may see and that fit every filter, newest first unless `sort` says
/// otherwise. Without a filter on `status` spam is among them; `status=open,pending,snoozed,closed`
/// leaves it out. What is in the trash is shown by `trashed=true` alone. Needs `conversations:read`, and `customers:read` for `include=customer`.
#[utoipa::path(tag = "conversations", params(ConversationQuery, IncludeQuery, HighlightQuery, PageQuery),
    responses((status = OK, body = ConversationPage, description = "A page of conversations.")))]
#[get("/conversations")]
async fn list_conversations(
    api: Data<Api>,
    caller: Caller,
    query: Query<ConversationQuery>,
    include: Query<IncludeQuery>,
    highlights: Query<HighlightQuery>,
    paging: Paging,
) -> Answer {
    let (filter, sort) = query.0.read(&caller)?;
    let request = paging.request;
    let is_of_this_moment = filter.query.asks_for_ago();
    let list = move |cx: &mut Cx<'_>| {
        let found = conversations::list(cx, &filter, sort, request)?;
        let beside = highlights.0.beside(cx, &include.0.include, &filter.query, &found.items)?;
        Ok((found, beside))
    };
    let (found, beside) = api.desk.read(&caller, list).await?;
    let mut answer = listed(&api, &paging, found, beside);
    if is_of_this_moment {
        answer.extensions_mut().insert(OfThisMoment);
    }
    Ok(answer)
}

/// A page of what was found, and what stands beside it.
fn listed(api: &Api, paging: &Paging, found: Page<ConversationCard>, mut beside: Beside) -> HttpResponse {
    let page = found.map(|card| {
        let highlights = beside.highlights_of(card.conversation.id);
        ConversationView::listed(card).with_highlights(highlights)
    });
    let included = beside.included(api);
    paging.answer(api, page, |data, page: PageInfo| ConversationPage { data, included, page })
}

/// That a conversation began, for who may see nothing of it.
#[derive(Debug, Serialize, ToSchema)]
struct ConversationReceipt {
    /// Its number.
    id: ConversationId,
}

/// Begin a conversation
///
/// With its first message: `reply` writes to a customer who has not written before, and their
/// answer lands here; `inbound` files what came by another way. A customer who is named by an
/// address is made where nobody has it. `external_id` is what another system calls it, and one conversation's
/// alone. Needs `conversations:write`, and `messages:send` for a reply. `conversations:create` will do for
/// `inbound`: forms and scripts that hold no more get 202 and the conversation's number, and see nothing of it.
///
/// With `imported` it is kept as another desk had it, with its dates, its state and who wrote what, and no mail, answer,
/// notice or webhook comes of it; the log alone tells of it, with `imported` in the event's `data` and the event's own
/// time. It is closed unless `status` says otherwise. Needs `conversations:import` and `conversations:write`.
#[utoipa::path(tag = "conversations", params(IdempotencyKey),
    request_body(content = NewConversationBody, description = "The conversation and its first message.", examples(
        ("call" = (summary = "What came by telephone", value = json!({
            "mailbox_id": 1, "subject": "Late order", "customer": {"email": "ada@example.org", "name": "Ada"},
            "message": {"kind": "inbound", "text": "Where is it?"}, "channel": "phone", "tags": ["order"]}))),
        ("imported" = (summary = "From another desk", value = json!({
            "imported": true, "mailbox_id": 1, "subject": "Broken lamp", "customer": {"email": "ada@example.org", "name": "Ada"},
            "channel": "email", "created_at": "2016-03-01T09:00:00Z", "closed_at": "2016-03-02T10:00:00Z",
            "message": {"kind": "inbound", "text": "It does not shine.", "message_id": "<lamp-1@example.org>"}}))))),
    responses(
        (status = CREATED, body = ConversationView, description = "The conversation."),
        (status = ACCEPTED, body = ConversationReceipt,
         description = "It began; with `conversations:create` alone there is no more to see."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: a conversation has this external_id. `existing_id` says which, to who may see it.")))]
#[post("/conversations")]
async fn create_conversation(api: Data<Api>, caller: Caller, body: Keyed<NewConversationBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = match body.read(&api.desk, &caller).await {
        Ok(new) => new,
        Err(problem) => return once.done_before(&api, &caller).await?.ok_or(problem),
    };
    let begin = move |cx: &mut Cx<'_>, links: &Links| {
        let card = conversations::create(cx, &new).map_err(in_the_body)?;
        if !cx.access().has(Scope::ConversationsRead) {
            let receipt = ConversationReceipt { id: card.conversation.id };
            return Ok(answer::said(StatusCode::ACCEPTED, &receipt));
        }
        let (path, etag) =
            (format!("/api/v1/conversations/{}", card.conversation.id), card.conversation.etag());
        Ok(answer::made(links, &ConversationView::alone(card), &path, &etag))
    };
    Ok(once.write(&api, &caller, begin).await?)
}

/// Does something to a conversation by a POST that names it and no more, and answers with what it is then.
async fn act(
    api: &Api,
    caller: &Caller,
    once: Once,
    act: impl Fn(&mut Cx<'_>) -> Result<ConversationCard, Error> + Send + 'static,
) -> Answer {
    Ok(once.write(api, caller, move |cx, _| Ok(changed(act(cx)?))).await?)
}

/// A conversation after a POST that changed it.
fn changed(card: ConversationCard) -> KeptAnswer {
    let etag = card.conversation.etag();
    answer::done(&ConversationView::alone(card), &etag)
}

/// Read a conversation
///
/// Needs `conversations:read`, and `customers:read` for `include=customer`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IncludeQuery, IfNoneMatch),
    responses((status = OK, body = ConversationView, description = "The conversation.")))]
#[get("/conversations/{id}")]
async fn get_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    include: Query<IncludeQuery>,
    held: IfNoneMatch,
) -> Answer {
    let find = move |cx: &mut Cx<'_>| {
        let card = conversations::find(cx, id.0)?;
        let included = including::of_conversations(cx, &include.0.include, &[&card.conversation])?;
        Ok((card, included))
    };
    let (card, included) = api.desk.read(&caller, find).await?;
    let etag = card.conversation.etag();
    let view = ConversationView::alone(card);
    let view = match included {
        Some(included) => view.with(IncludedView::new(included, &api.links)),
        None => view,
    };
    Ok(answer::one(&view, &etag, &held))
}

/// Change a conversation
///
/// Its status, assignee, team, category, priority, subject, tags, custom fields or external_id. It is not closed
/// while a custom field that is `required_on_close` has no value: the 422 names each. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch),
    request_body(content = ConversationPatch, description = "What is to change.",
        example = json!({"status": "closed", "assignee_id": null})),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another or is in the trash. `already_exists`: another has this external_id.")))]
#[patch("/conversations/{id}")]
async fn update_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Body<ConversationPatch>,
) -> Answer {
    let change = body.0.change();
    let card =
        api.desk.write(&caller, move |cx| conversations::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = card.conversation.etag();
    Ok(answer::changed(&ConversationView::alone(card), &etag))
}

/// Add and remove tags
///
/// Others stay, so that two scripts don't overwrite each other's. Needs `notes:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    request_body(content = TagsBody, description = "Which tags.", example = json!({"add": ["billing"], "remove": ["new"]})),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another or is in the trash.")))]
#[post("/conversations/{id}/tags")]
async fn tag_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Keyed<TagsBody>,
) -> Answer {
    let Keyed { once, body: TagsBody { add, remove } } = body;
    let tag = move |cx: &mut Cx<'_>, _: &Links| {
        Ok(changed(conversations::tag(cx, id.0, seen.expected(), &add, &remove)?))
    };
    Ok(once.write(&api, &caller, tag).await?)
}

/// Read what happened in a conversation
///
/// Who did what, with the values before and after, oldest first. It is kept as long as the
/// conversation. Needs `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, PageQuery),
    responses((status = OK, body = ActivityPage, description = "A page of events.")))]
#[get("/conversations/{id}/activity")]
async fn list_activity(api: Data<Api>, caller: Caller, id: Id<ConversationId>, paging: Paging) -> Answer {
    let request = paging.request;
    let (after, limit) = (request.after.map_or(0, |at| at.id), request.limit);
    let (mut events, total) = api
        .desk
        .read(&caller, move |cx| {
            let events = conversations::activity(cx, id.0, after, limit + 1)?;
            let total = if request.count { Some(conversations::count_activity(cx, id.0)?) } else { None };
            Ok((events, total))
        })
        .await?;
    let more = events.len() > usize::from(limit);
    events.truncate(usize::from(limit));
    let next = if more { events.last().map(|event| by_id(event.seq).into()) } else { None };
    let page = Page { items: events, next, total }.map(EventView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| ActivityPage { data, page }))
}

/// What is not there is named in the body, not in the path.
fn in_the_body(error: Error) -> Error {
    match error {
        Error::NotFound("mailbox") => Error::invalid("/mailbox_id", "not_found", "there is no such mailbox"),
        other => other,
    }
}
