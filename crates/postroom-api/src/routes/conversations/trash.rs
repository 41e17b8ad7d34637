//! The trash, and out of it again.

use super::changed;
use super::shape::ConversationView;
use crate::answer::{self, Answer};
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Once};
use crate::links::Links;
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, post};
use postroom_core::cx::Cx;
use postroom_core::id::ConversationId;
use postroom_core::operations::conversations;

/// Put a conversation into the trash
///
/// It is in no list and can't be changed, but for `POST …/restore`; whoever has its number may still read it,
/// and `deleted_at` says since when. Mail that answers to it begins a conversation of its own. What was sent
/// leaves all the same; what is held or scheduled is a draft when its time comes. Done twice it is done once.
/// Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is in the trash."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another.")))]
#[delete("/conversations/{id}")]
pub async fn delete_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
) -> Answer {
    api.desk.write(&caller, move |cx| conversations::trash(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Take a conversation out of the trash
///
/// It is as it was when it went there. One that is not in the trash stays as it is. Needs
/// `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another.")))]
#[post("/conversations/{id}/restore")]
pub async fn restore_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    once: Once,
) -> Answer {
    let restore =
        move |cx: &mut Cx<'_>, _: &Links| Ok(changed(conversations::restore(cx, id.0, seen.expected())?));
    Ok(once.write(&api, &caller, restore).await?)
}
