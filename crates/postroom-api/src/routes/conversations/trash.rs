//! The trash, and out of it again.

use super::act;
use super::shape::ConversationView;
use crate::answer::{self, Answer};
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Once};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, post};
use postroom_core::id::ConversationId;
use postroom_core::operations::conversations;
use serde::Deserialize;

/// How a conversation is deleted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// `true`: for good. Only what is in the trash already.
    #[serde(default)]
    purge: bool,
}

/// Put a conversation into the trash, or delete it for good
///
/// In the trash it is in no list and can't be changed, but for `POST …/restore`; whoever has its number may still
/// read it, and `deleted_at` says since when. Mail that answers to it begins a conversation of its own. What was sent
/// leaves all the same; what is held or scheduled is a draft when its time comes. Done twice it is done once.
/// Needs `conversations:write`.
///
/// With `purge=true` one that is in the trash is deleted for good, with its messages, notes, drafts and files, with
/// what the event log and the deliveries of webhooks tell of it, and with those that were merged into it. The customer
/// stays. `conversation.purged` is told. Its mail does not come in again, though it lies on the server still, from whatever
/// folder or import; a script that brings history by `imported: true` brings it again. Its bytes are deleted a day later; answers that are kept under an `Idempotency-Key` are
/// sealed and go within a day; backups that were made before have it until they go. Needs `admin:write` as well.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, DeleteQuery, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is in the trash, or gone."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another; of `purge`: it is not in the trash, or an answer \
                        of it is still on its way.")))]
#[delete("/conversations/{id}")]
pub async fn delete_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    query: Query<DeleteQuery>,
    seen: IfMatch,
) -> Answer {
    let delete = if query.0.purge { conversations::purge } else { conversations::trash };
    api.desk.write(&caller, move |cx| delete(cx, id.0, seen.expected())).await?;
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
    act(&api, &caller, once, move |cx| conversations::restore(cx, id.0, seen.expected())).await
}
