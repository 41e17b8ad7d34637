//! Sessions: where somebody is signed in.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id};
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get};
use postroom_core::id::{AgentId, TokenId};
use postroom_core::operations::sessions;
use postroom_core::page::Position;
use postroom_core::sign_in::Session;
use postroom_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_sessions)
        .service(sign_out)
        .service(sign_out_everywhere)
        .service(end_session)
        .service(end_agent_sessions);
}

/// Where somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    /// The id of its token.
    id: TokenId,
    /// It is the one that asks.
    current: bool,
    /// From where somebody signed in.
    address: Option<String>,
    /// With what program.
    user_agent: Option<String>,
    /// When it was last used, to the minute.
    last_used_at: Option<Timestamp>,
    /// When it ends at the latest.
    expires_at: Option<Timestamp>,
    /// When it began.
    created_at: Timestamp,
}

page_of!(
    /// A page of sessions.
    SessionPage of SessionView
);

/// Ids of sessions are UUIDs: time first, then chance, which tells apart those of one moment.
fn position(session: &Session) -> Position {
    let hex = session.id.0.strip_prefix(TokenId::PREFIX).unwrap_or_default();
    let chance = hex.get(16..).and_then(|tail| u64::from_str_radix(tail, 16).ok()).unwrap_or_default();
    Position { key: session.created_at.0, id: (chance >> 1) as i64 }
}

/// List your sessions
///
/// Oldest first; those that have ended are left out. A token that speaks for nobody has none. Any token: no scope.
#[utoipa::path(tag = "sign-in", params(PageQuery),
    responses((status = OK, body = SessionPage, description = "A page of sessions.")))]
#[get("/me/sessions")]
async fn list_sessions(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let mut found = api.desk.read(&caller, sessions::list).await?;
    found.reverse();
    let current = caller.token_id.clone();
    let page = paging.cut(found, position).map(|session| SessionView {
        current: Some(&session.id) == current.as_ref(),
        id: session.id,
        address: session.address,
        user_agent: session.user_agent,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        created_at: session.created_at,
    });
    Ok(paging.answer(&api, page, |data, page: PageInfo| SessionPage { data, page }))
}

/// Sign out
///
/// Ends the session that asks, and its streams with it. A token that is no session is not ended by this (403);
/// no scope.
#[utoipa::path(tag = "sign-in",
    responses((status = NO_CONTENT, description = "It has ended.")))]
#[delete("/me/session")]
async fn sign_out(api: Data<Api>, caller: Caller) -> Answer {
    api.desk.write(&caller, |cx| sessions::sign_out(cx, false)).await?;
    Ok(answer::gone())
}

/// Sign out everywhere
///
/// Ends all sessions of the agent that the token speaks for, this one as well. Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in",
    responses((status = NO_CONTENT, description = "They have ended.")))]
#[delete("/me/sessions")]
async fn sign_out_everywhere(api: Data<Api>, caller: Caller) -> Answer {
    api.desk.write(&caller, |cx| sessions::sign_out(cx, true)).await?;
    Ok(answer::gone())
}

/// End one of your sessions
///
/// Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in", params(Id<TokenId>),
    responses((status = NO_CONTENT, description = "It has ended.")))]
#[delete("/me/sessions/{id}")]
async fn end_session(api: Data<Api>, caller: Caller, id: Id<TokenId>) -> Answer {
    api.desk.write(&caller, move |cx| sessions::end(cx, &id.0)).await?;
    Ok(answer::gone())
}

/// End all sessions of an agent
///
/// Their tokens that are no sessions go on; disabling the agent ends those, too. Needs `admin:write`.
#[utoipa::path(tag = "sign-in", params(Id<AgentId>),
    responses((status = NO_CONTENT, description = "They have ended.")))]
#[delete("/agents/{id}/sessions")]
async fn end_agent_sessions(api: Data<Api>, caller: Caller, id: Id<AgentId>) -> Answer {
    api.desk.write(&caller, move |cx| sessions::end_of(cx, id.0)).await?;
    Ok(answer::gone())
}
