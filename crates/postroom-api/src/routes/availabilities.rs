//! Whether agents take work: what they say, their hours, their absences.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id, Row};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::patch::{Patch, given};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use postroom_core::availability::{Absence, AvailabilityState, Unavailable};
use postroom_core::cx::Cx;
use postroom_core::id::{AbsenceId, AgentId, ScheduleId};
use postroom_core::operations::availabilities::{self, AvailabilityChange, NewAbsence, Standing};
use postroom_core::people::Agent;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_availabilities)
        .service(get_availability)
        .service(update_availability)
        .service(list_absences)
        .service(create_absence)
        .service(delete_absence);
}

/// Whether an agent takes work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Availability)]
struct AvailabilityView {
    /// Whose.
    agent_id: AgentId,
    /// Counts changes; 0: nobody has said anything.
    version: i64,
    /// What they say of themselves just now.
    state: AvailabilityState,
    /// Until when that holds; then they are online. `null`: until they say otherwise.
    until: Option<Timestamp>,
    /// The schedule that is their hours; `null`: they may get work at any time.
    schedule_id: Option<ScheduleId>,
    /// Open conversations that they have at the most before they get no more by themselves; `null`: what their team
    /// says. Whoever assigns by hand is not bound to it.
    open_limit: Option<i32>,
    /// They get work: they are online, it is their time, they are not absent and have not stopped.
    available: bool,
    /// Why not.
    reason: Option<Unavailable>,
    /// When that is over, as far as it is known.
    available_at: Option<Timestamp>,
}

page_of!(
    /// A page of whether agents take work.
    AvailabilityPage of AvailabilityView
);

impl From<Standing> for AvailabilityView {
    fn from(standing: Standing) -> Self {
        let known = standing.availability;
        Self {
            agent_id: known.agent_id,
            version: known.version,
            state: standing.state,
            until: known.until.filter(|_| standing.state == known.state),
            schedule_id: known.schedule_id,
            open_limit: known.open_limit,
            available: standing.unavailable.is_none(),
            reason: standing.unavailable,
            available_at: standing.available_at,
        }
    }
}

/// What is to change of it; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AvailabilityPatch {
    /// What the agent says.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    state: Option<AvailabilityState>,
    /// Until when; `null`: until they say otherwise. Another `state` without it holds until they say otherwise.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    until: Patch<Timestamp>,
    /// The schedule that is their hours; `null`: none. Takes `admin:write`.
    #[serde(default)]
    #[schema(value_type = Option<ScheduleId>)]
    schedule_id: Patch<ScheduleId>,
    /// Open conversations at the most; `null`: what their team says. Takes `admin:write`.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 10_000)]
    open_limit: Patch<i32>,
}

/// A time in which an agent is not there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Absence)]
struct AbsenceView {
    /// Its number.
    id: AbsenceId,
    /// Whose.
    agent_id: AgentId,
    /// From when.
    starts_at: Timestamp,
    /// Until when.
    ends_at: Timestamp,
    /// What is open of theirs goes back to its team meanwhile.
    reassign: bool,
    /// What for.
    note: Option<String>,
    /// When it was entered.
    created_at: Timestamp,
}

impl From<Absence> for AbsenceView {
    fn from(absence: Absence) -> Self {
        Self {
            id: absence.id,
            agent_id: absence.agent_id,
            starts_at: absence.starts_at,
            ends_at: absence.ends_at,
            reassign: absence.reassign,
            note: absence.note,
            created_at: absence.created_at,
        }
    }
}

/// An agent's absences.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Absences)]
struct AbsencesView {
    /// Those that are not over, the first first: at most a hundred.
    data: Vec<AbsenceView>,
}

/// An absence to be entered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAbsence)]
struct NewAbsenceBody {
    /// From when; it may have begun.
    starts_at: Timestamp,
    /// Until when: at most two years later.
    ends_at: Timestamp,
    /// What is open of theirs goes back to its team meanwhile.
    #[serde(default)]
    reassign: bool,
    /// What for; whoever reads conversations sees it.
    #[serde(default)]
    #[schema(max_length = 200)]
    note: Option<String>,
}

/// List whether agents take work
///
/// Oldest agent first. Needs `conversations:read`.
#[utoipa::path(tag = "agents", params(PageQuery),
    responses((status = OK, body = AvailabilityPage, description = "A page of them.")))]
#[get("/availabilities")]
async fn list_availabilities(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let asked = paging.clone();
    let cut = move |found: Vec<Agent>| asked.cut(found, |agent| by_id(agent.id.0));
    let page =
        api.desk.read(&caller, move |cx| availabilities::page(cx, &cut)).await?.map(AvailabilityView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| AvailabilityPage { data, page }))
}

/// Read whether an agent takes work
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "agents", params(Id<AgentId>, IfNoneMatch),
    responses((status = OK, body = AvailabilityView, description = "How they stand.")))]
#[get("/agents/{id}/availability")]
async fn get_availability(api: Data<Api>, caller: Caller, id: Id<AgentId>, held: IfNoneMatch) -> Answer {
    let standing = api.desk.read(&caller, move |cx| availabilities::find(cx, id.0)).await?;
    let etag = standing.availability.etag();
    Ok(answer::one(&AvailabilityView::from(standing), &etag, &held))
}

/// Change whether an agent takes work
///
/// `away`: they keep what they have and get nothing new. `away_reassign`: what is open of theirs goes back to its
/// team, too, or to that of its mailbox, and from there to others where the team gives it out
/// (`PATCH /teams/{id}/distribution`). What is assigned to them by hand goes back as well. Agents say for
/// themselves whether they are there (`notes:write`); for others, for hours and limits it takes `admin:write`.
#[utoipa::path(tag = "agents", params(Id<AgentId>, IfMatch),
    request_body(content = AvailabilityPatch, description = "What is to change.", example = json!({"state": "away"})),
    responses((status = OK, body = AvailabilityView, description = "How they stand now.")))]
#[patch("/agents/{id}/availability")]
async fn update_availability(
    api: Data<Api>,
    caller: Caller,
    id: Id<AgentId>,
    seen: IfMatch,
    body: Body<AvailabilityPatch>,
) -> Answer {
    let body = body.0;
    let change = AvailabilityChange {
        state: body.state,
        until: body.until.change(),
        schedule_id: body.schedule_id.change(),
        open_limit: body.open_limit.change(),
    };
    let update = move |cx: &mut Cx<'_>| availabilities::update(cx, id.0, seen.expected(), &change);
    let standing = api.desk.write(&caller, update).await?;
    let etag = standing.availability.etag();
    Ok(answer::changed(&AvailabilityView::from(standing), &etag))
}

/// List an agent's absences
///
/// Those that are not over. Needs `conversations:read`.
#[utoipa::path(tag = "agents", params(Id<AgentId>),
    responses((status = OK, body = AbsencesView, description = "The absences.")))]
#[get("/agents/{id}/absences")]
async fn list_absences(api: Data<Api>, caller: Caller, id: Id<AgentId>) -> Answer {
    let found = api.desk.read(&caller, move |cx| availabilities::absences(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(AbsencesView { data: found.into_iter().map(AbsenceView::from).collect() }))
}

/// Enter an absence
///
/// Meanwhile they get nothing new. An agent's own takes `notes:write`, another's `admin:write`.
#[utoipa::path(tag = "agents", params(Id<AgentId>, IdempotencyKey),
    request_body(content = NewAbsenceBody, description = "The absence.", example = json!({
        "starts_at": "2027-08-02T00:00:00Z", "ends_at": "2027-08-16T00:00:00Z", "reassign": true, "note": "Summer"
    })),
    responses(
        (status = CREATED, body = AbsenceView, description = "The absence."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: a hundred that are not over are entered already.")))]
#[post("/agents/{id}/absences")]
async fn create_absence(
    api: Data<Api>,
    caller: Caller,
    id: Id<AgentId>,
    body: Keyed<NewAbsenceBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let new = NewAbsence {
        starts_at: body.starts_at,
        ends_at: body.ends_at,
        reassign: body.reassign,
        note: body.note,
    };
    let create = move |cx: &mut Cx<'_>, _: &Links| {
        Ok(answer::made_here(&AbsenceView::from(availabilities::create_absence(cx, id.0, &new)?)))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Remove an absence
///
/// An agent's own takes `notes:write`, another's `admin:write`.
#[utoipa::path(tag = "agents", params(Id<AgentId>, Row<AbsenceId>),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/agents/{id}/absences/{row}")]
async fn delete_absence(api: Data<Api>, caller: Caller, id: Id<AgentId>, absence: Row<AbsenceId>) -> Answer {
    api.desk.write(&caller, move |cx| availabilities::delete_absence(cx, id.0, absence.0)).await?;
    Ok(answer::gone())
}
