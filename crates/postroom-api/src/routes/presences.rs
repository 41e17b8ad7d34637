//! Who is at a conversation just now.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::extract::{Caller, Id};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, put};
use postroom_core::id::{AgentId, ConversationId};
use postroom_core::operations::presences;
use postroom_core::presence::{Presence, PresenceState};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_presences).service(put_presence).service(delete_presence);
}

/// What the caller does at a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PresenceBody {
    /// What they do there.
    state: PresenceState,
}

/// An agent at a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Presence)]
struct PresenceView {
    /// Who.
    agent_id: AgentId,
    /// What they do there.
    state: PresenceState,
    /// Until when that counts, unless they say it again.
    expires_at: Timestamp,
}

/// Everybody at a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Presences)]
struct PresencesView {
    /// Who is there, by number; the caller is among them.
    data: Vec<PresenceView>,
}

impl From<Vec<Presence>> for PresencesView {
    fn from(present: Vec<Presence>) -> Self {
        let view = |presence: Presence| PresenceView {
            agent_id: presence.agent_id,
            state: presence.state,
            expires_at: presence.expires_at,
        };
        Self { data: present.into_iter().map(view).collect() }
    }
}

/// List who is at a conversation
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>),
    responses((status = OK, body = PresencesView, description = "Everybody who is there now.")))]
#[get("/conversations/{id}/presence")]
async fn list_presences(api: Data<Api>, caller: Caller, id: Id<ConversationId>) -> Answer {
    let present = api.desk.read(&caller, move |cx| presences::list(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(PresencesView::from(present)))
}

/// Say that you are at a conversation
///
/// It counts for 30 seconds: say it again while you stay. The answer names everybody who is there, so that
/// a frontend can warn before two agents answer at once. It takes an agent's token. Needs
/// `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>),
    request_body(content = PresenceBody, description = "What you do there.", example = json!({"state": "replying"})),
    responses((status = OK, body = PresencesView, description = "Everybody who is there now.")))]
#[put("/conversations/{id}/presence")]
async fn put_presence(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    body: Body<PresenceBody>,
) -> Answer {
    let state = body.0.state;
    let present = api.desk.write(&caller, move |cx| presences::put(cx, id.0, state)).await?;
    Ok(HttpResponse::Ok().json(PresencesView::from(present)))
}

/// Say that you have gone from a conversation
///
/// It takes an agent's token. Needs `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>),
    responses((status = NO_CONTENT, description = "You have gone.")))]
#[delete("/conversations/{id}/presence")]
async fn delete_presence(api: Data<Api>, caller: Caller, id: Id<ConversationId>) -> Answer {
    api.desk.write(&caller, move |cx| presences::delete(cx, id.0)).await?;
    Ok(answer::gone())
}
