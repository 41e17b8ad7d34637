//! What agents want to be notified of, and how.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::patch::given;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{get, patch};
use postroom_core::cx::Cx;
use postroom_core::id::AgentId;
use postroom_core::notification::NotificationReason;
use postroom_core::notification_settings::NotificationSettings;
use postroom_core::operations::notification_settings::{self, NotificationSettingsChange};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_notification_settings).service(update_notification_settings);
}

/// What an agent wants to be notified of, and how.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotificationSettings)]
struct NotificationSettingsView {
    /// Whose.
    agent_id: AgentId,
    /// Counts changes; 0: nobody has said anything.
    version: i64,
    /// Of what they hear nothing.
    muted: Vec<NotificationReason>,
    /// Of what they hear by mail, too.
    mailed: Vec<NotificationReason>,
    /// When it last changed; `null`: never.
    updated_at: Option<Timestamp>,
}

impl From<NotificationSettings> for NotificationSettingsView {
    fn from(settings: NotificationSettings) -> Self {
        Self {
            agent_id: settings.agent_id,
            version: settings.version,
            muted: settings.muted.into_inner(),
            mailed: settings.mailed.into_inner(),
            updated_at: (settings.version > 0).then_some(settings.updated_at),
        }
    }
}

/// What is to change of it; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NotificationSettingsPatch {
    /// All of what they want to hear nothing of.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    muted: Option<Vec<NotificationReason>>,
    /// All of what they want to hear by mail as well. None of it is muted.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    mailed: Option<Vec<NotificationReason>>,
}

/// Read what an agent wants to be notified of
///
/// Their own: `conversations:read`; another's: `admin:read`.
#[utoipa::path(tag = "notifications", params(Id<AgentId>, IfNoneMatch),
    responses((status = OK, body = NotificationSettingsView, description = "What they want.")))]
#[get("/agents/{id}/notification-settings")]
async fn get_notification_settings(
    api: Data<Api>,
    caller: Caller,
    id: Id<AgentId>,
    held: IfNoneMatch,
) -> Answer {
    let settings = api.desk.read(&caller, move |cx| notification_settings::find(cx, id.0)).await?;
    let etag = settings.etag();
    Ok(answer::one(&NotificationSettingsView::from(settings), &etag, &held))
}

/// Change what an agent wants to be notified of
///
/// Before anybody has said anything, `team_received` is muted and nothing goes by mail. A mail is one notification, to the agent's
/// address, from the mailbox of the conversation; at most 60 in an hour, the rest stands in the feed alone. Their own:
/// `conversations:read`; another's: `admin:write`.
#[utoipa::path(tag = "notifications", params(Id<AgentId>, IfMatch),
    request_body(content = NotificationSettingsPatch, description = "What is to change.",
        example = json!({"mailed": ["mentioned", "assigned"]})),
    responses((status = OK, body = NotificationSettingsView, description = "What they want now.")))]
#[patch("/agents/{id}/notification-settings")]
async fn update_notification_settings(
    api: Data<Api>,
    caller: Caller,
    id: Id<AgentId>,
    seen: IfMatch,
    body: Body<NotificationSettingsPatch>,
) -> Answer {
    let change = NotificationSettingsChange { muted: body.0.muted, mailed: body.0.mailed };
    let update = move |cx: &mut Cx<'_>| notification_settings::update(cx, id.0, seen.expected(), &change);
    let settings = api.desk.write(&caller, update).await?;
    let etag = settings.etag();
    Ok(answer::changed(&NotificationSettingsView::from(settings), &etag))
}
