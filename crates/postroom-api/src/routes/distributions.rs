//! How teams' conversations are given out.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::patch::{Patch, given};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{get, patch};
use postroom_core::cx::Cx;
use postroom_core::distribution::{DistributionMember, DistributionMethod, Passed};
use postroom_core::id::{AgentId, TeamId};
use postroom_core::operations::distributions::{self, DistributionCard, DistributionChange};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_distribution).service(update_distribution);
}

/// How a team's conversations are given out, and how that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Distribution)]
struct DistributionView {
    /// Whose.
    team_id: TeamId,
    /// Counts changes; 0: nobody has changed it.
    version: i64,
    /// Who gets the next one.
    method: DistributionMethod,
    /// Open conversations that a member has at the most, in all of the desk, unless their own limit says otherwise;
    /// `null`: any number.
    open_limit: Option<i32>,
    /// Open conversations of the team that are nobody's.
    waiting: i64,
    /// Who gets the next one, if they may answer in it; `null`: nobody does just now.
    next_agent_id: Option<AgentId>,
    /// How each member stands.
    members: Vec<DistributionMemberView>,
}

/// How a member of a team stands in its distribution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DistributionMember)]
struct DistributionMemberView {
    /// Who.
    agent_id: AgentId,
    /// Open conversations of theirs, in all of the desk.
    open: i64,
    /// How many they have at the most; `null`: any number.
    open_limit: Option<i32>,
    /// When they last got one by themselves, as a member of this team.
    last_given_at: Option<Timestamp>,
    /// Why they get none just now; `null`: they do.
    passed: Option<Passed>,
}

impl From<DistributionMember> for DistributionMemberView {
    fn from(member: DistributionMember) -> Self {
        Self {
            agent_id: member.agent_id,
            open: member.open,
            open_limit: member.open_limit,
            last_given_at: member.last_given_at,
            passed: member.passed,
        }
    }
}

impl From<DistributionCard> for DistributionView {
    fn from(card: DistributionCard) -> Self {
        let distribution = card.distribution;
        Self {
            team_id: distribution.team_id,
            version: distribution.version,
            method: distribution.method,
            open_limit: distribution.open_limit,
            waiting: card.waiting,
            next_agent_id: card.next,
            members: card.members.into_iter().map(DistributionMemberView::from).collect(),
        }
    }
}

/// What is to change of it; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DistributionPatch {
    /// Who gets the next one.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    method: Option<DistributionMethod>,
    /// Open conversations that a member has at the most; `null`: any number.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 10_000)]
    open_limit: Patch<i32>,
}

/// Read how a team's conversations are given out
///
/// And who gets the next one, and why others don't. Needs `admin:read` on the whole desk.
#[utoipa::path(tag = "teams", params(Id<TeamId>, IfNoneMatch),
    responses((status = OK, body = DistributionView, description = "How they are given out.")))]
#[get("/teams/{id}/distribution")]
async fn get_distribution(api: Data<Api>, caller: Caller, id: Id<TeamId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| distributions::find(cx, id.0)).await?;
    let etag = card.distribution.etag();
    Ok(answer::one(&DistributionView::from(card), &etag, &held))
}

/// Change how a team's conversations are given out
///
/// Open conversations of the team that are nobody's get an owner a moment after they begin, open again or come to
/// the team: the oldest first, to members who are there (`GET /agents/{id}/availability`), have room, and may answer
/// in them. `conversation.assigned` tells of each with the reason `distributed`. Nobody's work is taken away by it.
/// Needs `admin:write` on the whole desk.
#[utoipa::path(tag = "teams", params(Id<TeamId>, IfMatch),
    request_body(content = DistributionPatch, description = "What is to change.",
        example = json!({"method": "round_robin", "open_limit": 20})),
    responses((status = OK, body = DistributionView, description = "How they are given out now.")))]
#[patch("/teams/{id}/distribution")]
async fn update_distribution(
    api: Data<Api>,
    caller: Caller,
    id: Id<TeamId>,
    seen: IfMatch,
    body: Body<DistributionPatch>,
) -> Answer {
    let change = DistributionChange { method: body.0.method, open_limit: body.0.open_limit.change() };
    let update = move |cx: &mut Cx<'_>| distributions::update(cx, id.0, seen.expected(), change);
    let card = api.desk.write(&caller, update).await?;
    let etag = card.distribution.etag();
    Ok(answer::changed(&DistributionView::from(card), &etag))
}
