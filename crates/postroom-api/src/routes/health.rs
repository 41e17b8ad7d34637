//! Whether the daemon lives and can work, and which one it is. No token is needed.

use crate::answer::Answer;
use crate::problem::{Extras, Problem};
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use postroom_core::actor::Actor;
use postroom_core::mailbox::Tally;
use postroom_core::operations::mailboxes;
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

/// That the daemon can work, how much of it, and how its mailboxes are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok", "storage": "ok", "mailboxes": {"new": 0, "ok": 3, "degraded": 0, "failing": 1, "needs_authorization": 0, "paused": 0}}))]
struct Ready {
    /// `ok`; `degraded` where it can only be read, since there is no room to write.
    status: &'static str,
    /// `ok`; `full` where the daemon's disk is almost full or read-only: no mail is fetched, and changes
    /// are answered with 507.
    storage: &'static str,
    /// How many mailboxes are doing how. One that fails makes nothing unready.
    mailboxes: Tally,
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
/// Asks the database. Send no requests here while this fails. It also counts the mailboxes by how they
/// are doing: one that can't be read keeps nobody from working. Nor does a full disk make it unready: it
/// is `degraded`, and everything can still be read. Public.
#[utoipa::path(tag = "health", security(()),
    responses(
        (status = OK, body = Ready, description = "It can work."),
        (status = SERVICE_UNAVAILABLE, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`not_ready`: it can't; `reasons` says why.")))]
#[get("/health/ready")]
async fn get_ready(api: Data<Api>) -> Answer {
    let mut reasons = (api.readiness)();
    let tally = api.desk.read(&Actor::system(), mailboxes::tally).await.map_err(|error| {
        tracing::warn!(%error, "not ready: the database does not answer");
        reasons.push("the database does not answer".to_owned());
    });
    if let (Ok(mailboxes), true) = (tally, reasons.is_empty()) {
        let (status, storage) =
            if api.desk.shortage().is_none() { ("ok", "ok") } else { ("degraded", "full") };
        return Ok(HttpResponse::Ok().json(Ready { status, storage, mailboxes }));
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
