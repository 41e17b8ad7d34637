//! Whether the daemon lives and can work, and which one it is. No token is needed.

use crate::answer::Answer;
use crate::problem::{Extras, Problem};
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use postroom_core::actor::Actor;
use postroom_core::operations::events;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_live).service(get_ready).service(get_version);
}

/// How the daemon is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
struct Health {
    /// `ok`.
    status: &'static str,
}

/// Which daemon answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "postroom", "version": "0.1.0"}))]
struct Version {
    /// `postroom`.
    name: &'static str,
    /// Its version.
    version: &'static str,
}

/// Tell that the daemon lives
///
/// Answers as long as the process can answer at all. It asks nothing of the database: restart the
/// daemon where this fails. Public.
#[utoipa::path(tag = "health", security(()),
    responses((status = OK, body = Health, description = "It lives.")))]
#[get("/health/live")]
async fn get_live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Tell whether the daemon can work
///
/// Asks the database. Send no requests here while this fails. Public.
#[utoipa::path(tag = "health", security(()),
    responses(
        (status = OK, body = Health, description = "It can work."),
        (status = SERVICE_UNAVAILABLE, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`not_ready`: it can't; `reasons` says why.")))]
#[get("/health/ready")]
async fn get_ready(api: Data<Api>) -> Answer {
    let mut reasons = (api.readiness)();
    if let Err(error) = api.desk.read(&Actor::system(), events::last_seq).await {
        tracing::warn!(%error, "not ready: the database does not answer");
        reasons.push("the database does not answer".to_owned());
    }
    if reasons.is_empty() {
        return Ok(HttpResponse::Ok().json(Health { status: "ok" }));
    }
    let told = format!("not ready: {}", reasons.join("; "));
    let extras = Extras { reasons: Some(reasons), ..Extras::default() };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", told).with(extras))
}

/// Tell the daemon's version
///
/// Public.
#[utoipa::path(tag = "health", security(()),
    responses((status = OK, body = Version, description = "Its name and version.")))]
#[get("/version")]
async fn get_version(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(Version { name: "postroom", version: api.version })
}
