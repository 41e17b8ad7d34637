//! Kept mail, read anew.

use crate::answer::{self, Answer};
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Once};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::shapes::reparse::ReparsedView;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::post;
use actix_web::web::Data;
use postroom_core::id::MessageId;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(reparse_message);
}

/// Whether it is only tried.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ReparseQuery {
    /// Only tell what would change, and write nothing.
    #[param(default = false)]
    dry_run: Option<bool>,
}

/// Read a message's mail anew
///
/// After an upgrade that reads mail better: the kept raw mail is read again, and what the message
/// says is mended, with one event `message.reparsed` that names the fields. Files that were known
/// keep their ids. Where the message is, its conversation, who is part of that, its Message-ID, its
/// sender's address and who vouches for it stay as they were decided when the mail came, and nothing
/// automatic follows. Where everything was read right nothing is written and nobody is told. Send
/// `If-Match` with the message's `ETag` to be refused where it has changed meanwhile.
/// `postroom message reparse --mailbox` does it for a whole mailbox. Takes the right to answer in the
/// conversation. Needs `conversations:write`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfMatch, ReparseQuery, IdempotencyKey),
    responses(
        (status = OK, body = ReparsedView, description = "What changed, or would."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the message is no mail that came in, its raw mail is missing or damaged, or today's reader can't read it in full.")))]
#[post("/messages/{id}/reparse")]
async fn reparse_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<MessageId>,
    seen: IfMatch,
    query: Query<ReparseQuery>,
    once: Once,
) -> Answer {
    let dry_run = query.0.dry_run.unwrap_or_default();
    let expected = seen.expected().map(str::to_owned);
    let (desk, actor, links) = (api.desk.clone(), caller.clone(), api.links.clone());
    // What was read right by then is not written again.
    let reparse = async move {
        let reparsed = desk.reparse(&actor, id.0, expected, dry_run).await?;
        Ok(answer::said(StatusCode::OK, &ReparsedView::new(reparsed, dry_run, &links)))
    };
    once.around(&api, &caller, reparse).await
}
