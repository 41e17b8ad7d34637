//! A mailbox's server held against its ledger.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::post;
use actix_web::web::Data;
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
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IdempotencyKey),
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
    body: Keyed<ReconcileBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let (desk, actor) = (api.desk.clone(), caller.clone());
    // What is waited for already is not asked for twice.
    let look =
        async move { Ok(answer::said(StatusCode::OK, &desk.reconcile(&actor, id.0, body.repair).await?)) };
    once.around(&api, &caller, look).await
}
