//! Jobs: what goes on after its request was answered.

use crate::answer::{self, Answer};
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::shapes::job::{JobItemView, JobView};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get};
use postroom_core::id::JobId;
use postroom_core::job::{JobItemState, JobStatus};
use postroom_core::operations::jobs;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_jobs).service(get_job).service(list_job_items).service(cancel_job);
}

page_of!(
    /// A page of jobs.
    JobPage of JobView
);

page_of!(
    /// A page of what a job works on.
    JobItemPage of JobItemView
);

/// Which jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct JobQuery {
    /// In any of these states; left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    status: Vec<JobStatus>,
}

/// Which of a job's conversations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct JobItemQuery {
    /// In any of these states; left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    state: Vec<JobItemState>,
}

/// List jobs
///
/// Newest first: what the caller began, an agent by whichever token; with `admin:read` and sight of the whole desk
/// everybody's. They are kept for seven days after their end. Needs `conversations:read`.
#[utoipa::path(tag = "jobs", params(JobQuery, PageQuery),
    responses((status = OK, body = JobPage, description = "A page of jobs.")))]
#[get("/jobs")]
async fn list_jobs(api: Data<Api>, caller: Caller, query: Query<JobQuery>, paging: Paging) -> Answer {
    let (statuses, request) = (query.0.status, paging.request);
    let page = api.desk.read(&caller, move |cx| jobs::list(cx, &statuses, request)).await?;
    Ok(paging.answer(&api, page.map(JobView::listed), |data, page: PageInfo| JobPage { data, page }))
}

/// Read a job
///
/// Its `ETag` changes with every piece of work. Needs `conversations:read`.
#[utoipa::path(tag = "jobs", params(Id<JobId>, IfNoneMatch),
    responses((status = OK, body = JobView, description = "The job.")))]
#[get("/jobs/{id}")]
async fn get_job(api: Data<Api>, caller: Caller, id: Id<JobId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| jobs::find(cx, &id.0)).await?;
    let etag = card.job.etag();
    Ok(answer::one(&JobView::alone(card), &etag, &held))
}

/// List what a job works on
///
/// In its order, with what came of each. Needs `conversations:read`.
#[utoipa::path(tag = "jobs", params(Id<JobId>, JobItemQuery, PageQuery),
    responses((status = OK, body = JobItemPage, description = "A page of conversations.")))]
#[get("/jobs/{id}/items")]
async fn list_job_items(
    api: Data<Api>,
    caller: Caller,
    id: Id<JobId>,
    query: Query<JobItemQuery>,
    paging: Paging,
) -> Answer {
    let (states, request) = (query.0.state, paging.request);
    let page = api.desk.read(&caller, move |cx| jobs::items(cx, &id.0, &states, request)).await?;
    Ok(paging.answer(&api, page.map(JobItemView::from), |data, page: PageInfo| JobItemPage { data, page }))
}

/// Break a job off
///
/// What it has done stays. Done twice it is done once. Needs `conversations:write`.
#[utoipa::path(tag = "jobs", params(Id<JobId>, IfMatch),
    responses(
        (status = OK, body = JobView, description = "The job as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it has come to its end.")))]
#[delete("/jobs/{id}")]
async fn cancel_job(api: Data<Api>, caller: Caller, id: Id<JobId>, seen: IfMatch) -> Answer {
    let card = api.desk.write(&caller, move |cx| jobs::cancel(cx, &id.0, seen.expected())).await?;
    let etag = card.job.etag();
    Ok(answer::changed(&JobView::alone(card), &etag))
}
