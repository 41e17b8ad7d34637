//! Agents: the people who answer.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::patch::{Patch, given};
use crate::query::{Query, words};
use crate::shapes::grant::{GrantShape, grants, shapes};
use crate::shapes::role::choice;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use postroom_core::access::Role;
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, RoleId};
use postroom_core::listing::ListSort;
use postroom_core::operations::agents::{self, AgentChange, NewAgent};
use postroom_core::operations::agents_named::{self, NamedBy};
use postroom_core::outgoing::Written;
use postroom_core::people::{Agent, AgentCard};
use postroom_core::role::RoleChoice;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_agents)
        .service(create_agent)
        .service(get_agent)
        .service(get_agent_named_by)
        .service(update_agent);
}

/// A person who answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(super) struct AgentView {
    /// The number.
    id: AgentId,
    /// Counts changes.
    version: i64,
    /// The name customers see.
    name: String,
    /// Where the desk reaches them.
    email: String,
    /// What they are.
    role: Role,
    /// The number of their role: `GET /roles/{id}` says what it allows.
    role_id: RoleId,
    /// What stands below what they write, where the mailbox has no signature or names `{{agent.signature}}`.
    signature: Option<Written>,
    /// They are told by mail that an answer in a conversation of theirs came back for good. A few an hour at the
    /// most; the conversation opens and `message.bounced` tells in any case.
    bounce_notices: bool,
    /// They have stopped, and their tokens no longer work.
    disabled: bool,
    /// Since when.
    disabled_at: Option<Timestamp>,
    /// What they may do where, in person. Shown to those who hold `admin:read` on the whole desk.
    grants: Vec<GrantShape>,
    /// When they were added.
    created_at: Timestamp,
    /// When they last changed.
    updated_at: Timestamp,
}

page_of!(
    /// A page of agents.
    AgentPage of AgentView
);

/// An agent to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAgent)]
struct NewAgentBody {
    /// The name customers see.
    #[schema(max_length = 200)]
    name: String,
    /// Where the desk reaches them; unique.
    #[schema(format = "email")]
    email: String,
    /// What they are; left out, and without a `role_id`, `agent`. Not `custom`, which `role_id` says.
    #[serde(default)]
    role: Option<Role>,
    /// The number of their role, in place of `role`.
    #[serde(default)]
    role_id: Option<RoleId>,
    /// What they may do where; a role that opens all mailboxes needs none.
    #[serde(default)]
    grants: Vec<GrantShape>,
}

/// What is to change of an agent; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentPatch {
    /// The name customers see.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    name: Option<String>,
    /// Where the desk reaches them.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    email: Option<String>,
    /// What they are.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    role: Option<Role>,
    /// The number of their role, in place of `role`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    role_id: Option<RoleId>,
    /// What stands below what they write: a template; `null`: nothing.
    #[serde(default)]
    #[schema(value_type = Option<Written>)]
    signature: Patch<Written>,
    /// Whether they are told by mail that an answer in a conversation of theirs came back for good.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    bounce_notices: Option<bool>,
    /// Whether they have stopped.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    disabled: Option<bool>,
    /// All of their own grants.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    grants: Option<Vec<GrantShape>>,
}

impl From<AgentCard> for AgentView {
    fn from(card: AgentCard) -> Self {
        let agent = card.agent;
        Self {
            id: agent.id,
            version: agent.version,
            name: agent.name,
            email: agent.email,
            role: agent.role,
            role_id: agent.custom_role_id.or_else(|| agent.role.id()).unwrap_or(RoleId(0)),
            signature: agent.signature.as_deref().cloned(),
            bounce_notices: agent.bounce_notices,
            disabled: agent.disabled_at.is_some(),
            disabled_at: agent.disabled_at,
            grants: shapes(card.grants),
            created_at: agent.created_at,
            updated_at: agent.updated_at,
        }
    }
}

/// Which agents.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AgentQuery {
    /// With each of these words, or pieces of one, in the name or in the address: at most ten.
    #[param(max_length = 200)]
    q: Option<String>,
    /// The order; a minus is: the highest first. Left out, `id`.
    #[param(inline)]
    sort: Option<ListSort>,
}

/// List agents
///
/// Oldest first unless `sort` says otherwise. Needs `conversations:read`.
#[utoipa::path(tag = "agents", params(AgentQuery, PageQuery),
    responses((status = OK, body = AgentPage, description = "A page of agents.")))]
#[get("/agents")]
async fn list_agents(api: Data<Api>, caller: Caller, query: Query<AgentQuery>, paging: Paging) -> Answer {
    let AgentQuery { q, sort } = query.0;
    let (words, sort) = (words(q.as_deref())?, sort.unwrap_or(ListSort::Id));
    let asked = paging.clone();
    let cut = move |found: Vec<Agent>| {
        asked.cut_by(found, sort.is_descending(), |agent| {
            sort.place(agent.id.0, &agent.name, agent.updated_at)
        })
    };
    let page = api.desk.read(&caller, move |cx| agents::page(cx, &words, &cut)).await?.map(AgentView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| AgentPage { data, page }))
}

/// Make an agent
///
/// A token that speaks for them is made apart: `POST /tokens` with `agent_id`. Needs
/// `admin:write`, and all that their role allows: nobody can give more than they hold.
#[utoipa::path(tag = "agents", params(IdempotencyKey),
    request_body(content = NewAgentBody, description = "The agent.", example = json!({
        "name": "Amy", "email": "amy@example.org", "role": "agent",
        "grants": [{"mailbox_id": 1, "level": "reply"}]
    })),
    responses(
        (status = CREATED, body = AgentView, description = "The agent."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: another agent has this address; `existing_id` says which.")))]
#[post("/agents")]
async fn create_agent(api: Data<Api>, caller: Caller, body: Keyed<NewAgentBody>) -> Answer {
    let Keyed { once, body } = body;
    let role = choice(body.role, body.role_id)?.unwrap_or(RoleChoice::BuiltIn(Role::Agent));
    let new = NewAgent { name: body.name, email: body.email, role, grants: grants(body.grants) };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let card = agents::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/agents/{}", card.agent.id), card.agent.etag());
        Ok(answer::made(links, &AgentView::from(card), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read an agent
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "agents", params(Id<AgentId>, IfNoneMatch),
    responses((status = OK, body = AgentView, description = "The agent.")))]
#[get("/agents/{id}")]
async fn get_agent(api: Data<Api>, caller: Caller, id: Id<AgentId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| agents::find(cx, id.0)).await?;
    let etag = card.agent.etag();
    Ok(answer::one(&AgentView::from(card), &etag, &held))
}

/// What still names an agent.
#[derive(Debug, Serialize, ToSchema)]
struct AgentNamedBy {
    /// Open, pending and snoozed conversations of theirs, which go back to their teams when the agent is disabled.
    conversations: i64,
    /// Teams that they are in.
    teams: Vec<Named>,
    /// Views that are shared and ask for them (`assignee:7`).
    views: Vec<Named>,
    /// Watchdogs that tell them, or ask for what is theirs.
    watchdogs: Vec<Named>,
}

/// Something by its number and its name.
#[derive(Debug, Serialize, ToSchema)]
struct Named {
    /// Its number.
    id: i64,
    /// Its name.
    name: String,
}

impl From<NamedBy> for AgentNamedBy {
    fn from(found: NamedBy) -> Self {
        let named = |id: i64, name: String| Named { id, name };
        Self {
            conversations: found.conversations,
            teams: found.teams.into_iter().map(|team| named(team.id.0, team.name)).collect(),
            views: found.views.into_iter().map(|view| named(view.id.0, view.name)).collect(),
            watchdogs: found
                .watchdogs
                .into_iter()
                .map(|watchdog| named(watchdog.id.0, watchdog.name))
                .collect(),
        }
    }
}

/// Read what still names an agent
///
/// To be looked at before somebody is disabled: conversations go back to their teams by themselves; teams, views and
/// watchdogs go on naming them until somebody changes that. Needs `admin:read` on the whole desk.
#[utoipa::path(tag = "agents", params(Id<AgentId>),
    responses((status = OK, body = AgentNamedBy, description = "What names them.")))]
#[get("/agents/{id}/named-by")]
async fn get_agent_named_by(api: Data<Api>, caller: Caller, id: Id<AgentId>) -> Answer {
    let found = api.desk.read(&caller, move |cx| agents_named::find(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(AgentNamedBy::from(found)))
}

/// Change an agent
///
/// Disabling ends every token that speaks for them at once, and what is not done of theirs goes back to its team; what else
/// names them, `GET /agents/{id}/named-by` says. The last owner stays one. Needs `admin:write`, and all
/// that their role allows.
#[utoipa::path(tag = "agents", params(Id<AgentId>, IfMatch),
    request_body(content = AgentPatch, description = "What is to change.", example = json!({"disabled": true})),
    responses(
        (status = OK, body = AgentView, description = "The agent as it is now."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: another agent has this address. `state_conflict`: it is the last owner.")))]
#[patch("/agents/{id}")]
async fn update_agent(
    api: Data<Api>,
    caller: Caller,
    id: Id<AgentId>,
    seen: IfMatch,
    body: Body<AgentPatch>,
) -> Answer {
    let body = body.0;
    let change = AgentChange {
        name: body.name,
        email: body.email,
        role: choice(body.role, body.role_id)?,
        signature: body.signature.change(),
        bounce_notices: body.bounce_notices,
        disabled: body.disabled,
        grants: body.grants.map(grants),
    };
    let card = api.desk.write(&caller, move |cx| agents::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = card.agent.etag();
    Ok(answer::changed(&AgentView::from(card), &etag))
}
