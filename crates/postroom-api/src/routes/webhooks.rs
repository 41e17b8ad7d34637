//! Webhooks: who is told of events by HTTP.

mod shape;

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed, KeyedOptional};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::WebhookId;
use postroom_core::operations::webhooks::{self, NewWebhook, OVERLAP, WebhookChange};
use shape::{NewWebhookBody, ReplayBody, RotateBody, WebhookPatch, WebhookView};
use std::time::Duration;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_webhooks)
        .service(create_webhook)
        .service(get_webhook)
        .service(update_webhook)
        .service(delete_webhook)
        .service(rotate_webhook_secret)
        .service(replay_webhook);
}

page_of!(
    /// A page of webhooks.
    WebhookPage of WebhookView
);

/// List webhooks
///
/// Oldest first; a token that is narrowed to mailboxes has those that are, too. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(PageQuery),
    responses((status = OK, body = WebhookPage, description = "A page of webhooks.")))]
#[get("/webhooks")]
async fn list_webhooks(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let found = api.desk.read(&caller, webhooks::list).await?;
    let page = paging.cut(found, |card| by_id(card.webhook.id.0)).map(WebhookView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| WebhookPage { data, page }))
}

/// Make a webhook
///
/// It is told of what happens from now on: POST requests as Standard Webhooks describes them, signed
/// with `secret`, which stands in this answer and in no other one. Events of one conversation come in order, each at least
/// once (a second time under the same `webhook-id`), for three days of tries. The desk has 100 webhooks at the most. It
/// belongs to the desk: it goes on when whoever made it is gone. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(IdempotencyKey),
    request_body(content = NewWebhookBody, description = "The webhook.", example = json!({
        "name": "Warehouse", "url": "https://hooks.example.org/postroom",
        "event_types": ["conversation.*", "message.received"], "body": "full"
    })),
    responses(
        (status = CREATED, body = WebhookView, description = "The webhook, with its `secret`."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there are 100 webhooks.")))]
#[post("/webhooks")]
async fn create_webhook(api: Data<Api>, caller: Caller, body: Keyed<NewWebhookBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewWebhook {
        name: body.name,
        url: body.url,
        event_types: body.event_types,
        mailbox_ids: body.mailbox_ids,
        tags: body.tags,
        body: body.body,
        enabled: body.enabled,
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let (card, secret) = webhooks::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/webhooks/{}", card.webhook.id), card.webhook.etag());
        Ok(answer::made(links, &WebhookView::from(card).with(secret), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a webhook
///
/// Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, IfNoneMatch),
    responses((status = OK, body = WebhookView, description = "The webhook. Its `ETag` says what people changed, \
not how it fares.")))]
#[get("/webhooks/{id}")]
async fn get_webhook(api: Data<Api>, caller: Caller, id: Id<WebhookId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| webhooks::find(cx, id.0)).await?;
    let etag = card.webhook.etag();
    Ok(answer::one(&WebhookView::from(card), &etag, &held))
}

/// Change a webhook
///
/// What waits goes to the new `url` as well. Turned on (`enabled`), it goes on where it stood: with what happened meanwhile, as
/// far as the event log goes back. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, IfMatch),
    request_body(content = WebhookPatch, description = "What is to change.", example = json!({"enabled": false})),
    responses((status = OK, body = WebhookView, description = "The webhook as it is now.")))]
#[patch("/webhooks/{id}")]
async fn update_webhook(
    api: Data<Api>,
    caller: Caller,
    id: Id<WebhookId>,
    seen: IfMatch,
    body: Body<WebhookPatch>,
) -> Answer {
    let body = body.0;
    let change = WebhookChange {
        name: body.name,
        url: body.url,
        event_types: body.event_types.change(),
        mailbox_ids: body.mailbox_ids.change(),
        tags: body.tags.change(),
        body: body.body,
        enabled: body.enabled,
    };
    let card = api
        .desk
        .write(&caller, move |cx| webhooks::update(cx, id.0, seen.expected(), change.clone()))
        .await?;
    let etag = card.webhook.etag();
    Ok(answer::changed(&WebhookView::from(card), &etag))
}

/// Delete a webhook
///
/// With all that it was told, and what waits for it. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, IfMatch),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/webhooks/{id}")]
async fn delete_webhook(api: Data<Api>, caller: Caller, id: Id<WebhookId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| webhooks::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Give a webhook another secret
///
/// For `overlap_hours` (24; 0 to 168) both sign: `webhook-signature` holds two signatures. A secret before
/// those signs no more. The new one stands in this answer and in no other one. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, IfMatch, IdempotencyKey),
    request_body(content = RotateBody, description = "How long both sign.", example = json!({"overlap_hours": 24})),
    responses((status = OK, body = WebhookView, description = "The webhook, with its new `secret`.")))]
#[post("/webhooks/{id}/rotate-secret")]
async fn rotate_webhook_secret(
    api: Data<Api>,
    caller: Caller,
    id: Id<WebhookId>,
    seen: IfMatch,
    body: KeyedOptional<RotateBody>,
) -> Answer {
    let KeyedOptional { once, body } = body;
    let hours = body.overlap_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3_600));
    let overlap = hours.unwrap_or(OVERLAP);
    let rotate = move |cx: &mut Cx<'_>, _: &Links| {
        let (card, secret) = webhooks::rotate(cx, id.0, seen.expected(), overlap)?;
        let etag = card.webhook.etag();
        Ok(answer::done(&WebhookView::from(card).with(secret), &etag))
    };
    Ok(once.write(&api, &caller, rotate).await?)
}

/// Tell a webhook once more
///
/// Of every event behind `after_seq` that it may and wants to be told of, in order, and then of what follows.
/// What it was told before it is told under the same `webhook-id`, as long as that is kept (30 days). Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, IdempotencyKey),
    request_body(content = ReplayBody, description = "From where.", example = json!({"after_seq": 0})),
    responses(
        (status = ACCEPTED, body = WebhookView, description = "It is being told: `last_seq` rises."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it is turned off."),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: events up to `oldest_after` are no longer kept.")))]
#[post("/webhooks/{id}/replay")]
async fn replay_webhook(
    api: Data<Api>,
    caller: Caller,
    id: Id<WebhookId>,
    body: Keyed<ReplayBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let replay = move |cx: &mut Cx<'_>, _: &Links| {
        let card = webhooks::replay(cx, id.0, body.after_seq)?;
        Ok(answer::said(StatusCode::ACCEPTED, &WebhookView::from(card)))
    };
    Ok(once.write(&api, &caller, replay).await?)
}
