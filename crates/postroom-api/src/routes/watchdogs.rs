//! Watchdogs: nothing waits for an answer longer than this.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed, Once};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::patch::{Patch, given};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::{ConversationId, ScheduleId, WatchdogId};
use postroom_core::operations::watchdogs::{self, WatchdogCard, WatchdogChange};
use postroom_core::time::Timestamp;
use postroom_core::watchdog::{EscalationStep, Form, WatchdogState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_watchdogs)
        .service(create_watchdog)
        .service(get_watchdog)
        .service(update_watchdog)
        .service(delete_watchdog)
        .service(acknowledge_watchdog);
}

/// Somebody who sees to it that nothing waits too long.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watchdog)]
struct WatchdogView {
    /// Its number.
    id: WatchdogId,
    /// Counts changes of how it is set up.
    version: i64,
    /// What people call it; unique.
    name: String,
    /// Of which conversations, as in `GET /conversations`.
    q: String,
    /// Seconds that one of them may wait for an answer of yours.
    wait_seconds: i32,
    /// Only the time counts in which this schedule is open; `null`: all of it.
    schedule_id: Option<ScheduleId>,
    /// Who is told by mail, and when.
    steps: Vec<EscalationStep>,
    /// It looks.
    enabled: bool,
    /// How it is.
    state: WatchdogState,
    /// Since when it is alarmed.
    alarmed_at: Option<Timestamp>,
    /// Who has said that they know.
    acknowledged_by: Option<String>,
    /// How many of the steps were told since.
    steps_told: i32,
    /// What it sees just now; `null` where it does not look, or can't.
    overdue: Option<OverdueView>,
    /// Why it can't look.
    broken: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last set up otherwise.
    updated_at: Timestamp,
}

/// What waits too long.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overdue)]
struct OverdueView {
    /// So many conversations; at most 1,000.
    count: usize,
    /// Not more than that.
    exact: bool,
    /// The one that waits longest.
    oldest_conversation_id: Option<ConversationId>,
    /// Since when.
    waiting_since: Option<Timestamp>,
}

page_of!(
    /// A page of watchdogs.
    WatchdogPage of WatchdogView
);

impl From<WatchdogCard> for WatchdogView {
    fn from(card: WatchdogCard) -> Self {
        let watchdog = card.watchdog;
        Self {
            id: watchdog.id,
            version: watchdog.version,
            name: watchdog.name,
            q: watchdog.query,
            wait_seconds: watchdog.wait_seconds,
            schedule_id: watchdog.schedule_id,
            steps: watchdog.steps.into_inner(),
            enabled: watchdog.enabled,
            state: watchdog.state,
            alarmed_at: watchdog.alarmed_at,
            acknowledged_by: watchdog.acknowledged_by,
            steps_told: watchdog.steps_told,
            overdue: card.overdue.map(|overdue| OverdueView {
                count: overdue.count,
                exact: overdue.is_exact,
                oldest_conversation_id: overdue.oldest.map(|(id, _)| id),
                waiting_since: overdue.oldest.map(|(_, since)| since),
            }),
            broken: card.broken,
            created_at: watchdog.created_at,
            updated_at: watchdog.updated_at,
        }
    }
}

/// A watchdog to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWatchdog)]
struct NewWatchdogBody {
    /// What people call it; unique.
    #[schema(max_length = 100)]
    name: String,
    /// Of which conversations, as in `GET /conversations`; left out, of all. `me` and `is:unread` are nobody here.
    #[serde(default)]
    #[schema(max_length = 2_000)]
    q: String,
    /// Seconds that one of them may wait for an answer of yours.
    #[schema(minimum = 60, maximum = 2_592_000)]
    wait_seconds: i32,
    /// Only the time counts in which this schedule is open; left out, all of it.
    #[serde(default)]
    schedule_id: Option<ScheduleId>,
    /// Who is told by mail, and when: at most ten. Left out, nobody; the event `watchdog.alarmed` tells in any case.
    #[serde(default)]
    #[schema(max_items = 10)]
    steps: Vec<EscalationStep>,
    /// It looks.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What is to change of a watchdog; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WatchdogPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 100)]
    name: Option<String>,
    /// Of which conversations.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 2_000)]
    q: Option<String>,
    /// Seconds that one of them may wait.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 60, maximum = 2_592_000)]
    wait_seconds: Option<i32>,
    /// Only the time counts in which this schedule is open; `null`: all of it.
    #[serde(default)]
    #[schema(value_type = Option<ScheduleId>)]
    schedule_id: Patch<ScheduleId>,
    /// All steps.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 10)]
    steps: Option<Vec<EscalationStep>>,
    /// Whether it looks.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

/// List watchdogs
///
/// Oldest first, each with what it sees just now. Needs `admin:read` on the whole desk.
#[utoipa::path(tag = "watchdogs", params(PageQuery),
    responses((status = OK, body = WatchdogPage, description = "A page of watchdogs.")))]
#[get("/watchdogs")]
async fn list_watchdogs(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let found = api.desk.read(&caller, watchdogs::list).await?;
    let page = paging.cut(found, |card| by_id(card.watchdog.id.0)).map(WatchdogView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| WatchdogPage { data, page }))
}

/// Make a watchdog
///
/// It looks for conversations that are open or pending, fit `q`, and have waited for an answer of yours for longer than
/// `wait_seconds`. Where there is one, it is alarmed within seconds: `watchdog.alarmed` tells, and the people of each
/// step are told by mail when its time has come, unless somebody acknowledges before. It is quiet again by itself once
/// all is answered. Needs `admin:write` on the whole desk.
#[utoipa::path(tag = "watchdogs", params(IdempotencyKey),
    request_body(content = NewWatchdogBody, description = "The watchdog.", example = json!({
        "name": "A quarter of an hour", "q": "-tag:later", "wait_seconds": 900,
        "steps": [{"after_seconds": 0, "administrators": true}]
    })),
    responses(
        (status = CREATED, body = WatchdogView, description = "The watchdog."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name. `state_conflict`: there are a hundred.")))]
#[post("/watchdogs")]
async fn create_watchdog(api: Data<Api>, caller: Caller, body: Keyed<NewWatchdogBody>) -> Answer {
    let Keyed { once, body } = body;
    let form = Form {
        name: body.name,
        query: body.q,
        wait_seconds: body.wait_seconds,
        schedule_id: body.schedule_id,
        steps: body.steps,
        enabled: body.enabled,
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let card = watchdogs::create(cx, form.clone())?;
        let (path, etag) = (format!("/api/v1/watchdogs/{}", card.watchdog.id), card.watchdog.etag());
        Ok(answer::made(links, &WatchdogView::from(card), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a watchdog
///
/// With what it sees just now. Needs `admin:read` on the whole desk.
#[utoipa::path(tag = "watchdogs", params(Id<WatchdogId>, IfNoneMatch),
    responses((status = OK, body = WatchdogView, description = "The watchdog.")))]
#[get("/watchdogs/{id}")]
async fn get_watchdog(api: Data<Api>, caller: Caller, id: Id<WatchdogId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| watchdogs::find(cx, id.0)).await?;
    let etag = card.watchdog.etag();
    Ok(answer::one(&WatchdogView::from(card), &etag, &held))
}

/// Change a watchdog
///
/// It looks anew at once. One that no longer looks is quiet. Needs `admin:write` on the whole desk.
#[utoipa::path(tag = "watchdogs", params(Id<WatchdogId>, IfMatch),
    request_body(content = WatchdogPatch, description = "What is to change.", example = json!({"wait_seconds": 1800})),
    responses(
        (status = OK, body = WatchdogView, description = "The watchdog as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name.")))]
#[patch("/watchdogs/{id}")]
async fn update_watchdog(
    api: Data<Api>,
    caller: Caller,
    id: Id<WatchdogId>,
    seen: IfMatch,
    body: Body<WatchdogPatch>,
) -> Answer {
    let body = body.0;
    let change = WatchdogChange {
        name: body.name,
        query: body.q,
        wait_seconds: body.wait_seconds,
        schedule_id: body.schedule_id.change(),
        steps: body.steps,
        enabled: body.enabled,
    };
    let update = move |cx: &mut Cx<'_>| watchdogs::update(cx, id.0, seen.expected(), change.clone());
    let card = api.desk.write(&caller, update).await?;
    let etag = card.watchdog.etag();
    Ok(answer::changed(&WatchdogView::from(card), &etag))
}

/// Delete a watchdog
///
/// Needs `admin:write` on the whole desk.
#[utoipa::path(tag = "watchdogs", params(Id<WatchdogId>, IfMatch),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/watchdogs/{id}")]
async fn delete_watchdog(api: Data<Api>, caller: Caller, id: Id<WatchdogId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| watchdogs::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Acknowledge a watchdog's alarm
///
/// Says that somebody knows: until all is answered, none of the steps that are left is told. Needs
/// `conversations:write` and `admin:read` on the whole desk.
#[utoipa::path(tag = "watchdogs", params(Id<WatchdogId>, IdempotencyKey),
    responses(
        (status = OK, body = WatchdogView, description = "The watchdog as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it is quiet.")))]
#[post("/watchdogs/{id}/acknowledge")]
async fn acknowledge_watchdog(api: Data<Api>, caller: Caller, id: Id<WatchdogId>, once: Once) -> Answer {
    let acknowledge = move |cx: &mut Cx<'_>, _: &Links| {
        let card = watchdogs::acknowledge(cx, id.0)?;
        let etag = card.watchdog.etag();
        Ok(answer::done(&WatchdogView::from(card), &etag))
    };
    Ok(once.write(&api, &caller, acknowledge).await?)
}
