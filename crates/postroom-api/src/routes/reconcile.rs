//! A mailbox's server held against its ledger.

use crate::answer::Answer;
use crate::body::Body;
use crate::extract::{Caller, Id};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use postroom_core::id::MailboxId;
use postroom_core::operations::reconcile::Reconciliation;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(reconcile_mailbox);
}

/// What is done about what is missing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReconcileBody {
    /// Have the next poll fetch what is missing.
    #[serde(default)]
    repair: bool,
}

/// Hold a mailbox's server against its ledger
///
/// Every mail that is on the server (or in the Maildir) now is in the ledger, waits to be fetched, is
/// above what was read so far, or was not wanted; whatever else there is, is `missing`. Looks only,
/// unless `repair` is asked for. Polls may go on meanwhile. Answers when the server has listed all
/// its mail. Needs `conversations:write` and the right to answer in the whole mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    request_body(content = ReconcileBody, description = "What is done about what is missing.", example = json!({"repair": true})),
    responses(
        (status = OK, body = Reconciliation, description = "What was found."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: mail is pushed into this mailbox."),
        (status = BAD_GATEWAY, body = ProblemDocument, content_type = "application/problem+json",
         description = "`mail_server_failed`: the server can't be reached or refused.")))]
#[post("/mailboxes/{id}/reconcile")]
async fn reconcile_mailbox(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    body: Body<ReconcileBody>,
) -> Answer {
    let report = api.desk.reconcile(&caller, id.0, body.0.repair).await?;
    Ok(HttpResponse::Ok().json(report))
}
