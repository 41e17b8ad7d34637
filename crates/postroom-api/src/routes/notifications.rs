//! What the caller is notified of.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::query::Query;
use crate::shapes::count::CountView;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, put};
use postroom_core::actor::ActorType;
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, ConversationId, MessageId, NotificationId};
use postroom_core::notification::NotificationReason;
use postroom_core::operations::notifications::{self, NotificationCard, NotificationCount};
use postroom_core::store::notifications::NotificationFilter;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_notifications)
        .service(count_notifications)
        .service(read_notifications)
        .service(get_notification)
        .service(update_notification);
}

/// That you are to know of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
struct NotificationView {
    /// Its number.
    id: NotificationId,
    /// Whose.
    agent_id: AgentId,
    /// Why.
    reason: NotificationReason,
    /// Which event, by its place in the log (`GET /events`).
    seq: i64,
    /// The conversation it is about.
    conversation_id: ConversationId,
    /// What that is about.
    subject: String,
    /// The message it is about.
    message_id: Option<MessageId>,
    /// Who did it.
    actor: NotificationActor,
    /// When you read it; `null`: not yet.
    read_at: Option<Timestamp>,
    /// When it went to you by mail.
    mailed_at: Option<Timestamp>,
    /// When it happened.
    created_at: Timestamp,
}

/// Who did what you are notified of.
#[derive(Debug, Serialize, ToSchema)]
struct NotificationActor {
    /// What they are.
    r#type: ActorType,
    /// Which agent, customer or token.
    id: Option<String>,
    /// By what name at the time.
    name: Option<String>,
}

impl From<NotificationCard> for NotificationView {
    fn from(card: NotificationCard) -> Self {
        let NotificationCard { notification, subject } = card;
        Self {
            id: notification.id,
            agent_id: notification.agent_id,
            reason: notification.reason,
            seq: notification.seq,
            conversation_id: notification.conversation_id,
            subject,
            message_id: notification.message_id,
            actor: NotificationActor {
                r#type: notification.actor_type,
                id: notification.actor_id,
                name: notification.actor_name,
            },
            read_at: notification.read_at,
            mailed_at: notification.mailed_at,
            created_at: notification.created_at,
        }
    }
}

page_of!(
    /// A page of notifications.
    NotificationPage of NotificationView
);

/// How much waits for you.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotificationCount)]
struct NotificationCountView {
    /// Notifications that you have not read.
    unread: i64,
    /// Conversations of yours that wait for an answer.
    waiting_mine: CountView,
    /// Conversations that wait for an answer and are nobody's, of those that you see.
    waiting_unassigned: CountView,
}

impl From<NotificationCount> for NotificationCountView {
    fn from(count: NotificationCount) -> Self {
        Self {
            unread: count.unread,
            waiting_mine: count.waiting_mine.into(),
            waiting_unassigned: count.waiting_unassigned.into(),
        }
    }
}

/// Which notifications.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct NotificationQuery {
    /// Those that you have not read (`true`), or have; left out, all.
    unread: Option<bool>,
    /// Those about this conversation.
    conversation_id: Option<ConversationId>,
}

/// List what you are notified of
///
/// Newest first; a notification stands here within a moment of its event, which `agent.notified` tells, and goes when the log
/// drops that. What you may no longer see is left out. It takes an agent's token. Needs `conversations:read`.
#[utoipa::path(tag = "notifications", params(NotificationQuery, PageQuery),
    responses((status = OK, body = NotificationPage, description = "A page of notifications.")))]
#[get("/notifications")]
async fn list_notifications(
    api: Data<Api>,
    caller: Caller,
    query: Query<NotificationQuery>,
    paging: Paging,
) -> Answer {
    let filter = NotificationFilter { unread: query.0.unread, conversation_id: query.0.conversation_id };
    let request = paging.request;
    let list = move |cx: &mut Cx<'_>| notifications::list(cx, filter, request);
    let page = api.desk.read(&caller, list).await?.map(NotificationView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| NotificationPage { data, page }))
}

/// Count what waits for you
///
/// For the number on an icon. Conversations are counted that are open or pending and wait for you (`waiting_on:us`). It takes an
/// agent's token. Needs `conversations:read`.
#[utoipa::path(tag = "notifications",
    responses((status = OK, body = NotificationCountView, description = "How much.")))]
#[get("/notifications/count")]
async fn count_notifications(api: Data<Api>, caller: Caller) -> Answer {
    let count = api.desk.read(&caller, notifications::count).await?;
    Ok(HttpResponse::Ok().json(NotificationCountView::from(count)))
}

/// Up to where you have read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadNotificationsBody {
    /// The newest notification that was shown to you: what came meanwhile stays unread.
    up_to: NotificationId,
    /// Of this conversation alone; left out, of all.
    #[serde(default)]
    conversation_id: Option<ConversationId>,
}

/// What is read by it.
#[derive(Debug, Serialize, ToSchema)]
struct ReadNotifications {
    /// So many that were unread.
    read: usize,
}

/// Say that you have read all up to one
///
/// Reading a conversation (`PUT /conversations/{id}/read-mark`) reads its notifications, too. It takes an agent's token. Needs
/// `conversations:read`.
#[utoipa::path(tag = "notifications",
    request_body(content = ReadNotificationsBody, description = "Up to where.", example = json!({"up_to": 4711})),
    responses((status = OK, body = ReadNotifications, description = "How many those were.")))]
#[put("/notifications/read-mark")]
async fn read_notifications(api: Data<Api>, caller: Caller, body: Body<ReadNotificationsBody>) -> Answer {
    let ReadNotificationsBody { up_to, conversation_id } = body.0;
    let read = api.desk.write(&caller, move |cx| notifications::read(cx, up_to, conversation_id)).await?;
    Ok(HttpResponse::Ok().json(ReadNotifications { read }))
}

/// Read one notification
///
/// It is not marked as read by that. It takes an agent's token. Needs `conversations:read`.
#[utoipa::path(tag = "notifications", params(Id<NotificationId>, IfNoneMatch),
    responses((status = OK, body = NotificationView, description = "The notification.")))]
#[get("/notifications/{id}")]
async fn get_notification(
    api: Data<Api>,
    caller: Caller,
    id: Id<NotificationId>,
    held: IfNoneMatch,
) -> Answer {
    let card = api.desk.read(&caller, move |cx| notifications::find(cx, id.0)).await?;
    let etag = card.notification.etag();
    Ok(answer::one(&NotificationView::from(card), &etag, &held))
}

/// What is to change of a notification.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NotificationPatch {
    /// Whether you have read it.
    read: bool,
}

/// Mark one notification as read or unread
///
/// It takes an agent's token. Needs `conversations:read`.
#[utoipa::path(tag = "notifications", params(Id<NotificationId>, IfMatch),
    request_body(content = NotificationPatch, description = "Which of the two.", example = json!({"read": true})),
    responses((status = OK, body = NotificationView, description = "The notification as it is now.")))]
#[patch("/notifications/{id}")]
async fn update_notification(
    api: Data<Api>,
    caller: Caller,
    id: Id<NotificationId>,
    seen: IfMatch,
    body: Body<NotificationPatch>,
) -> Answer {
    let is_read = body.0.read;
    let update = move |cx: &mut Cx<'_>| notifications::update(cx, id.0, seen.expected(), is_read);
    let card = api.desk.write(&caller, update).await?;
    let etag = card.notification.etag();
    Ok(answer::changed(&NotificationView::from(card), &etag))
}
