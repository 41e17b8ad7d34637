//! Who follows conversations.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id, Row};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, put};
use postroom_core::follower::Follower;
use postroom_core::id::{AgentId, ConversationId};
use postroom_core::operations::followers;
use postroom_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_followers).service(get_follower).service(put_follower).service(delete_follower);
}

/// An agent who follows a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Follower)]
struct FollowerView {
    /// Who.
    agent_id: AgentId,
    /// Since when.
    created_at: Timestamp,
}

/// Everybody who follows a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Followers)]
struct FollowersView {
    /// By number: at most a hundred.
    data: Vec<FollowerView>,
}

impl From<Follower> for FollowerView {
    fn from(follower: Follower) -> Self {
        Self { agent_id: follower.agent_id, created_at: follower.created_at }
    }
}

/// List who follows a conversation
///
/// Lists find what somebody follows by `q=follower:me`. Needs `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>),
    responses((status = OK, body = FollowersView, description = "Who follows it.")))]
#[get("/conversations/{id}/followers")]
async fn list_followers(api: Data<Api>, caller: Caller, id: Id<ConversationId>) -> Answer {
    let found = api.desk.read(&caller, move |cx| followers::list(cx, id.0)).await?;
    let data = found.into_iter().map(FollowerView::from).collect();
    Ok(HttpResponse::Ok().json(FollowersView { data }))
}

/// Read whether an agent follows a conversation
///
/// 404 says that they don't. Needs `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, Row<AgentId>),
    responses((status = OK, body = FollowerView, description = "They do.")))]
#[get("/conversations/{id}/followers/{row}")]
async fn get_follower(api: Data<Api>, caller: Caller, id: Id<ConversationId>, agent: Row<AgentId>) -> Answer {
    let found = api.desk.read(&caller, move |cx| followers::find(cx, id.0, agent.0)).await?;
    Ok(HttpResponse::Ok().json(FollowerView::from(found)))
}

/// Have an agent follow a conversation
///
/// They are notified of what happens in it (`GET /notifications`), whoever takes care of it. You may follow whatever you may
/// read (`conversations:read`); for others it takes `conversations:write`, and they have to be able to see it. Whom a note
/// names follows by themselves. Once more changes nothing.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, Row<AgentId>),
    responses(
        (status = OK, body = FollowerView, description = "They follow it."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the agent has stopped or may not see it, it has a hundred followers, or, of \
            another agent, it was merged into another or is in the trash.")))]
#[put("/conversations/{id}/followers/{row}")]
async fn put_follower(api: Data<Api>, caller: Caller, id: Id<ConversationId>, agent: Row<AgentId>) -> Answer {
    let follower = api.desk.write(&caller, move |cx| followers::follow(cx, id.0, agent.0)).await?;
    Ok(HttpResponse::Ok().json(FollowerView::from(follower)))
}

/// Have an agent follow a conversation no longer
///
/// What is assigned to them notifies them all the same. Once more changes nothing. Yourself: `conversations:read`; others:
/// `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, Row<AgentId>),
    responses((status = NO_CONTENT, description = "They don't.")))]
#[delete("/conversations/{id}/followers/{row}")]
async fn delete_follower(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    agent: Row<AgentId>,
) -> Answer {
    api.desk.write(&caller, move |cx| followers::unfollow(cx, id.0, agent.0)).await?;
    Ok(answer::gone())
}
