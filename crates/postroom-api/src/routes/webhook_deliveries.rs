//! What webhooks were told, each time that it was tried, and how to try it again.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id, Row};
use crate::idempotency::{IdempotencyKey, Once};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use postroom_core::cx::Cx;
use postroom_core::id::{ConversationId, WebhookDeliveryId, WebhookId};
use postroom_core::operations::webhook_deliveries::{self, WebhookDeliveryCard};
use postroom_core::store::webhook_deliveries::WebhookDeliveryFilter;
use postroom_core::time::Timestamp;
use postroom_core::webhook_delivery::{WebhookAttempt, WebhookDeliveryState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(test_webhook)
        .service(list_webhook_deliveries)
        .service(get_webhook_delivery)
        .service(redeliver_webhook);
}

/// One event on its way to one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery, example = json!({
    "id": "dlv_019aaaaa0000700080000000000000aa", "webhook_id": 3, "seq": 918_273,
    "event_type": "conversation.created", "conversation_id": 1234, "state": "delivered", "attempt_count": 1,
    "next_attempt_at": null, "created_at": "2026-11-22T08:00:00.200000Z",
    "finished_at": "2026-11-22T08:00:00.400000Z", "payload": "{}",
    "attempts": [{"number": 1, "started_at": "2026-11-22T08:00:00.250000Z", "duration_ms": 120, "status": 200,
                  "error": null, "answer": "ok"}]
}))]
struct WebhookDeliveryView {
    /// Its `webhook-id`: the same at every attempt.
    id: WebhookDeliveryId,
    /// To whom.
    webhook_id: WebhookId,
    /// Of which event; `null`: a ping.
    seq: Option<i64>,
    /// The event's type.
    event_type: String,
    /// The event's conversation.
    conversation_id: Option<ConversationId>,
    /// How far it is.
    state: WebhookDeliveryState,
    /// How often it was tried.
    attempt_count: i32,
    /// When it is tried next, where it waits; not before the earlier ones of its conversation are through.
    next_attempt_at: Option<Timestamp>,
    /// When it was queued first.
    created_at: Timestamp,
    /// When it was taken or given up.
    finished_at: Option<Timestamp>,
    /// What is sent, byte for byte.
    payload: String,
    /// Each time that it was tried, oldest first: the last fifty.
    attempts: Vec<WebhookAttemptView>,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct WebhookAttemptView {
    /// Counts from 1.
    number: i32,
    /// When.
    started_at: Timestamp,
    /// How long it took, in milliseconds.
    duration_ms: i64,
    /// What the receiver answered; `null`: nothing.
    status: Option<i32>,
    /// Why it was no success.
    error: Option<String>,
    /// How the answer began: 1,000 characters at the most.
    answer: Option<String>,
}

impl From<WebhookAttempt> for WebhookAttemptView {
    fn from(attempt: WebhookAttempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error,
            answer: attempt.answer,
        }
    }
}

impl From<WebhookDeliveryCard> for WebhookDeliveryView {
    fn from(WebhookDeliveryCard { delivery, attempts }: WebhookDeliveryCard) -> Self {
        let waits = delivery.state == WebhookDeliveryState::Queued;
        Self {
            id: delivery.id,
            webhook_id: delivery.webhook_id,
            seq: delivery.seq,
            event_type: delivery.event_type,
            conversation_id: delivery.conversation_id,
            state: delivery.state,
            attempt_count: delivery.attempts,
            next_attempt_at: waits.then_some(delivery.next_at),
            created_at: delivery.created_at,
            finished_at: delivery.finished_at,
            payload: delivery.payload,
            attempts: attempts.into_iter().map(WebhookAttemptView::from).collect(),
        }
    }
}

page_of!(
    /// A page of what a webhook was told.
    WebhookDeliveryPage of WebhookDeliveryView
);

/// Which deliveries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// In any of these states; left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    state: Vec<WebhookDeliveryState>,
    /// Of events of any of these types; left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false, example = json!(["conversation.created"]))]
    event_type: Vec<String>,
    /// Of this conversation.
    conversation_id: Option<ConversationId>,
}

/// Send a webhook a ping
///
/// An event of the type `webhook.ping`, signed like every other one, even where the webhook is turned off.
/// It is sent at once, and tried once: read the delivery to see what came of it. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, IdempotencyKey),
    responses((status = ACCEPTED, body = WebhookDeliveryView, description = "The ping, on its way.")))]
#[post("/webhooks/{id}/test")]
async fn test_webhook(api: Data<Api>, caller: Caller, id: Id<WebhookId>, once: Once) -> Answer {
    let ping = move |cx: &mut Cx<'_>, _: &Links| {
        let card = webhook_deliveries::ping(cx, id.0)?;
        Ok(answer::said(StatusCode::ACCEPTED, &WebhookDeliveryView::from(card)))
    };
    Ok(once.write(&api, &caller, ping).await?)
}

/// Show what a webhook was told
///
/// Newest first, with each try. What was taken or given up is kept for 30 days (`keep.deliveries_days`).
/// Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, DeliveryQuery, PageQuery),
    responses((status = OK, body = WebhookDeliveryPage, description = "A page of deliveries.")))]
#[get("/webhooks/{id}/deliveries")]
async fn list_webhook_deliveries(
    api: Data<Api>,
    caller: Caller,
    id: Id<WebhookId>,
    query: Query<DeliveryQuery>,
    paging: Paging,
) -> Answer {
    // A number that is none finds nothing, and whoever sent it shall hear of it.
    if query.0.conversation_id.is_some_and(|id| id.0 < 1) {
        return Err(Problem::bad_parameter("conversation_id: must be at least 1"));
    }
    let filter = WebhookDeliveryFilter {
        states: query.0.state,
        event_types: query.0.event_type,
        conversation_id: query.0.conversation_id,
    };
    let request = paging.request;
    let page = api.desk.read(&caller, move |cx| webhook_deliveries::list(cx, id.0, &filter, request)).await?;
    let page = page.map(WebhookDeliveryView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| WebhookDeliveryPage { data, page }))
}

/// Read a delivery
///
/// Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, Row<WebhookDeliveryId>),
    responses((status = OK, body = WebhookDeliveryView, description = "The delivery.")))]
#[get("/webhooks/{id}/deliveries/{row}")]
async fn get_webhook_delivery(
    api: Data<Api>,
    caller: Caller,
    id: Id<WebhookId>,
    row: Row<WebhookDeliveryId>,
) -> Answer {
    let card = api.desk.read(&caller, move |cx| webhook_deliveries::find(cx, id.0, &row.0)).await?;
    Ok(HttpResponse::Ok().json(WebhookDeliveryView::from(card)))
}

/// Send a delivery again
///
/// At once and whatever became of it: the same bytes under the same `webhook-id`, and again for three days where
/// it is not taken. Needs `webhooks:manage`.
#[utoipa::path(tag = "webhooks", params(Id<WebhookId>, Row<WebhookDeliveryId>, IdempotencyKey),
    responses(
        (status = ACCEPTED, body = WebhookDeliveryView, description = "The delivery, on its way."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the webhook is turned off.")))]
#[post("/webhooks/{id}/deliveries/{row}/redeliver")]
async fn redeliver_webhook(
    api: Data<Api>,
    caller: Caller,
    id: Id<WebhookId>,
    row: Row<WebhookDeliveryId>,
    once: Once,
) -> Answer {
    let again = move |cx: &mut Cx<'_>, _: &Links| {
        let card = webhook_deliveries::redeliver(cx, id.0, &row.0)?;
        Ok(answer::said(StatusCode::ACCEPTED, &WebhookDeliveryView::from(card)))
    };
    Ok(once.write(&api, &caller, again).await?)
}
