//! What would happen, tried without a trace.

use crate::answer::Answer;
use crate::body;
use crate::extract::Caller;
use crate::payload;
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;
use crate::shapes::simulation::SimulationView;
use crate::state::Api;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, post};
use postroom_core::id::MailboxId;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(simulate_inbound);
}

/// Where the mail would come to.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SimulateQuery {
    /// The mailbox.
    mailbox_id: MailboxId,
}

/// Try what a mail would do
///
/// The mail is read and placed as if it came to the mailbox now, and all of it is taken back:
/// nothing is kept, nobody is told and nothing is sent. Takes what pushing a mail takes: the right
/// to answer in the whole mailbox. Needs `conversations:write`; what is there already is
/// named as far as you may see it, a customer with `customers:read` alone.
#[utoipa::path(tag = "messages", params(SimulateQuery),
    request_body(content = String, content_type = "message/rfc822", description = "The mail.",
        example = json!("From: Ada <ada@example.org>\r\nTo: support@example.org\r\nSubject: Late order\r\nMessage-ID: <1@example.org>\r\n\r\nWhere is it?\r\n")),
    responses(
        (status = OK, body = SimulationView, description = "What would become of it."),
        (status = NOT_FOUND, body = ProblemDocument, content_type = "application/problem+json",
         description = "`not_found`: there is no such mailbox, or the caller may not know that there is.")))]
#[post("/simulate/inbound")]
async fn simulate_inbound(
    api: Data<Api>,
    caller: Caller,
    query: Query<SimulateQuery>,
    req: HttpRequest,
    body: web::Payload,
) -> Answer {
    if body::media_type(req.headers()).as_deref() != Some("message/rfc822") {
        return Err(Problem::unsupported_media_type("Content-Type must be message/rfc822"));
    }
    let _upload = api.mails.turn(caller.token_id.clone()).await;
    let raw = payload::collect(req.headers(), body.into_inner(), api.desk.settings().mail_bytes).await?;
    let simulation = api.desk.simulate_mail(&caller, query.0.mailbox_id, raw).await?;
    Ok(HttpResponse::Ok().json(SimulationView::from(simulation)))
}
