//! Spam, and what was taken for it.

use super::act;
use super::shape::ConversationView;
use crate::answer::Answer;
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Once};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::post;
use actix_web::web::Data;
use postroom_core::id::ConversationId;
use postroom_core::operations::conversations;

/// Mark as spam
///
/// What comes into it later stays there, and nobody is bothered. Done twice it is done once. Needs
/// `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another or is in the trash.")))]
#[post("/conversations/{id}/spam")]
pub async fn mark_spam(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    once: Once,
) -> Answer {
    act(&api, &caller, once, move |cx| conversations::mark_spam(cx, id.0, seen.expected())).await
}

/// Bring back what was taken for spam
///
/// It is open, and what comes into it later is treated as ever. One that is no spam stays as it
/// is. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another or is in the trash.")))]
#[post("/conversations/{id}/not-spam")]
pub async fn mark_not_spam(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    once: Once,
) -> Answer {
    act(&api, &caller, once, move |cx| conversations::mark_not_spam(cx, id.0, seen.expected())).await
}
