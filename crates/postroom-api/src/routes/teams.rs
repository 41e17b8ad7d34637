//! Teams: agents who share grants and work.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::patch::given;
use crate::shapes::grant::{GrantShape, grants, shapes};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, TeamId};
use postroom_core::operations::teams::{self, NewTeam, TeamChange};
use postroom_core::people::TeamCard;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_teams)
        .service(create_team)
        .service(get_team)
        .service(update_team)
        .service(delete_team);
}

/// A group of agents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Team)]
pub(super) struct TeamView {
    /// Its number.
    id: TeamId,
    /// Counts changes.
    version: i64,
    /// Its name; unique.
    name: String,
    /// Who is in it.
    member_ids: Vec<AgentId>,
    /// Who of them leads it.
    lead_ids: Vec<AgentId>,
    /// What every member may do where. Shown to those who hold `admin:read` on the whole desk.
    grants: Vec<GrantShape>,
    /// When it was added.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

page_of!(
    /// A page of teams.
    TeamPage of TeamView
);

/// A team to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTeam)]
struct NewTeamBody {
    /// Its name; unique.
    #[schema(max_length = 200)]
    name: String,
    /// Who is in it.
    #[serde(default)]
    member_ids: Vec<AgentId>,
    /// Who of them leads it.
    #[serde(default)]
    lead_ids: Vec<AgentId>,
    /// What every member may do where.
    #[serde(default)]
    grants: Vec<GrantShape>,
}

/// What is to change of a team; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TeamPatch {
    /// Its name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    name: Option<String>,
    /// All of its members.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    member_ids: Option<Vec<AgentId>>,
    /// All of them who lead it. Left out, whoever led it and is still a member.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    lead_ids: Option<Vec<AgentId>>,
    /// All of its grants.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    grants: Option<Vec<GrantShape>>,
}

impl From<TeamCard> for TeamView {
    fn from(card: TeamCard) -> Self {
        let team = card.team;
        Self {
            id: team.id,
            version: team.version,
            name: team.name,
            member_ids: card.member_ids,
            lead_ids: card.lead_ids,
            grants: shapes(card.grants),
            created_at: team.created_at,
            updated_at: team.updated_at,
        }
    }
}

/// List teams
///
/// Oldest first. Needs `conversations:read`.
#[utoipa::path(tag = "teams", params(PageQuery),
    responses((status = OK, body = TeamPage, description = "A page of teams.")))]
#[get("/teams")]
async fn list_teams(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let found = api.desk.read(&caller, teams::list).await?;
    let page = paging.cut(found, |card| by_id(card.team.id.0)).map(TeamView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| TeamPage { data, page }))
}

/// Make a team
///
/// Needs `admin:write`.
#[utoipa::path(tag = "teams", params(IdempotencyKey),
    request_body(content = NewTeamBody, description = "The team.", example = json!({
        "name": "Second level", "member_ids": [], "grants": [{"mailbox_id": 1, "level": "reply"}]
    })),
    responses(
        (status = CREATED, body = TeamView, description = "The team."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name; `existing_id` says which.")))]
#[post("/teams")]
async fn create_team(api: Data<Api>, caller: Caller, body: Keyed<NewTeamBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewTeam {
        name: body.name,
        member_ids: body.member_ids,
        lead_ids: body.lead_ids,
        grants: grants(body.grants),
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let card = teams::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/teams/{}", card.team.id), card.team.etag());
        Ok(answer::made(links, &TeamView::from(card), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a team
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "teams", params(Id<TeamId>, IfNoneMatch),
    responses((status = OK, body = TeamView, description = "The team.")))]
#[get("/teams/{id}")]
async fn get_team(api: Data<Api>, caller: Caller, id: Id<TeamId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| teams::find(cx, id.0)).await?;
    let etag = card.team.etag();
    Ok(answer::one(&TeamView::from(card), &etag, &held))
}

/// Change a team
///
/// Needs `admin:write`.
#[utoipa::path(tag = "teams", params(Id<TeamId>, IfMatch),
    request_body(content = TeamPatch, description = "What is to change.", example = json!({"name": "Third level"})),
    responses(
        (status = OK, body = TeamView, description = "The team as it is now."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name.")))]
#[patch("/teams/{id}")]
async fn update_team(
    api: Data<Api>,
    caller: Caller,
    id: Id<TeamId>,
    seen: IfMatch,
    body: Body<TeamPatch>,
) -> Answer {
    let body = body.0;
    let change = TeamChange {
        name: body.name,
        member_ids: body.member_ids,
        lead_ids: body.lead_ids,
        grants: body.grants.map(grants),
    };
    let card = api.desk.write(&caller, move |cx| teams::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = card.team.etag();
    Ok(answer::changed(&TeamView::from(card), &etag))
}

/// Delete a team
///
/// One that conversations are assigned to stays; those in the trash lose it. Needs `admin:write`.
#[utoipa::path(tag = "teams", params(Id<TeamId>, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: conversations are assigned to it.")))]
#[delete("/teams/{id}")]
async fn delete_team(api: Data<Api>, caller: Caller, id: Id<TeamId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| teams::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}
