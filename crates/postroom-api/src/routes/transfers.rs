//! Mending where messages are: moved, a suggested link accepted, and either taken back.

use crate::answer::{self, Answer};
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed, Once};
use crate::links::Links;
use crate::problem::ProblemDocument;
use crate::shapes::transfer::{ConversationMerge, ConversationSplit, LinkAccept, MessageMove, TransferView};
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use postroom_core::cx::Cx;
use postroom_core::id::{ConversationId, MessageId, TransferId};
use postroom_core::operations::idempotency::KeptAnswer;
use postroom_core::operations::transfers;
use postroom_core::transfer::Transfer;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(move_message)
        .service(accept_link)
        .service(merge_conversation)
        .service(split_conversation)
        .service(get_transfer)
        .service(undo_transfer);
}

fn created(links: &Links, transfer: Transfer) -> KeptAnswer {
    let location = links.to(&format!("/api/v1/transfers/{}", transfer.id));
    KeptAnswer { location: Some(location), ..answer::made_here(&TransferView::from(transfer)) }
}

/// Move a message
///
/// Into another conversation of the same group of mailboxes, or into one of its own. Later answers
/// to it follow it there; nobody becomes part of that conversation by it, but those whom a forward went
/// to, and nothing is sent. What has not left of a conversation that is empty afterwards goes there as
/// well, as drafts (`unsent.reason`). A
/// conversation that is empty afterwards counts as merged into the other. Send `If-Match` with the
/// message's `ETag` to be refused where it has changed meanwhile. Takes the right to answer in both
/// conversations. Needs `conversations:write`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfMatch, IdempotencyKey),
    request_body(content = MessageMove, description = "Where to.", examples(
        ("into another" = (summary = "Into another conversation", value = json!({"to": 1200}))),
        ("alone" = (summary = "Into one of its own", value = json!({"to": "new"}))))),
    responses(
        (status = CREATED, body = TransferView, description = "What was moved, and how to take it back."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: one of the conversations was merged or is in the trash, or the message is alone already.")))]
#[post("/messages/{id}/move")]
async fn move_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<MessageId>,
    seen: IfMatch,
    body: Keyed<MessageMove>,
) -> Answer {
    let Keyed { once, body } = body;
    let to = body.to.0;
    let carry = move |cx: &mut Cx<'_>, links: &Links| {
        Ok(created(links, transfers::move_message(cx, id.0, seen.expected(), to)?))
    };
    Ok(once.write(&api, &caller, carry).await?)
}

/// Accept a suggested link
///
/// A mail that named a conversation without its sender being part of it began one of its own, with
/// a link of reason `suggested`. Accepting it moves all of its messages into the other conversation
/// and makes those who wrote them part of it, so that their later mail joins it. Nothing of the
/// other conversation is sent to them by it. Send `If-Match` with the suggested conversation's
/// `ETag` to be refused where it has changed meanwhile. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    request_body(content = LinkAccept, description = "Which link.", example = json!({"related_id": 1200})),
    responses(
        (status = CREATED, body = TransferView, description = "What was moved, and how to take it back."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: one of the conversations was merged or is in the trash.")))]
#[post("/conversations/{id}/accept-link")]
async fn accept_link(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Keyed<LinkAccept>,
) -> Answer {
    let Keyed { once, body } = body;
    let related = body.related_id;
    let accept = move |cx: &mut Cx<'_>, links: &Links| {
        Ok(created(links, transfers::accept(cx, id.0, related, seen.expected())?))
    };
    Ok(once.write(&api, &caller, accept).await?)
}

/// Merge a conversation into another
///
/// All of its messages go into the other one, of the same group of mailboxes, whose subject, assignee and tags
/// stay; those who wrote them are part of it, so that their later mail joins it. Nothing is sent to anybody by
/// it. What has not left goes there as well. It reads `merged_into` from then on. Send `If-Match` with its
/// `ETag` to be refused where it has changed meanwhile. Takes the right to answer in both. Needs
/// `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    request_body(content = ConversationMerge, description = "Where to.", example = json!({"into": 1200})),
    responses(
        (status = CREATED, body = TransferView, description = "What was moved, and how to take it back."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: one of the conversations was merged or is in the trash.")))]
#[post("/conversations/{id}/merge")]
async fn merge_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Keyed<ConversationMerge>,
) -> Answer {
    let Keyed { once, body } = body;
    let merge = move |cx: &mut Cx<'_>, links: &Links| {
        Ok(created(links, transfers::merge(cx, id.0, body.into, seen.expected())?))
    };
    Ok(once.write(&api, &caller, merge).await?)
}

/// Split messages off a conversation
///
/// Into a new one, `to_id`: that of who wrote the first of them, under its subject. Later answers to them follow
/// them there, and whoever wrote one of them is part of it. Nothing is sent. Send `If-Match` with the
/// conversation's `ETag` to be refused where it has changed meanwhile. Takes the right to answer in it and to
/// begin conversations in its mailbox. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    request_body(content = ConversationSplit, description = "Which messages.", example = json!({"message_ids": [5120, 5121]})),
    responses(
        (status = CREATED, body = TransferView, description = "What was moved, and how to take it back."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged or is in the trash, a message has not left, or nothing would be left.")))]
#[post("/conversations/{id}/split")]
async fn split_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Keyed<ConversationSplit>,
) -> Answer {
    let Keyed { once, body } = body;
    let split = move |cx: &mut Cx<'_>, links: &Links| {
        Ok(created(links, transfers::split(cx, id.0, &body.message_ids, seen.expected())?))
    };
    Ok(once.write(&api, &caller, split).await?)
}

/// Read a transfer
///
/// Needs `conversations:read`, and that both conversations may be seen.
#[utoipa::path(tag = "messages", params(Id<TransferId>),
    responses((status = OK, body = TransferView, description = "What was moved.")))]
#[get("/transfers/{id}")]
async fn get_transfer(api: Data<Api>, caller: Caller, id: Id<TransferId>) -> Answer {
    let found = api.desk.read(&caller, move |cx| transfers::find(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(TransferView::from(found)))
}

/// Take a transfer back
///
/// The messages are where they were, and so are their names, both conversations' status, and
/// whoever was let in. What the desk joined by itself (`joined`) can be taken apart so as well.
/// Needs `conversations:write`.
#[utoipa::path(tag = "messages", params(Id<TransferId>, IdempotencyKey),
    responses(
        (status = OK, body = TransferView, description = "What was taken back."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was taken back before, or something came into, or went out of, one of the conversations since.")))]
#[post("/transfers/{id}/undo")]
async fn undo_transfer(api: Data<Api>, caller: Caller, id: Id<TransferId>, once: Once) -> Answer {
    let undo = move |cx: &mut Cx<'_>, _: &Links| {
        Ok(answer::said(StatusCode::OK, &TransferView::from(transfers::undo(cx, id.0)?)))
    };
    Ok(once.write(&api, &caller, undo).await?)
}
