//! Messages that have not left: drafts gone on with, sent, thrown away; what is held or scheduled taken
//! back; and what did not arrive tried again.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Once};
use crate::links::Links;
use crate::moved_on;
use crate::patch::{Patch, given};
use crate::problem::{Problem, ProblemDocument};
use crate::shapes::message::MessageView;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::{AttachmentId, MessageId};
use postroom_core::mail::Address;
use postroom_core::operations::idempotency::KeptAnswer;
use postroom_core::operations::messages::unsent::{self, UnsentChange};
use postroom_core::operations::messages::{MessageCard, leave};
use postroom_core::outgoing::TextFormat;
use postroom_core::time::Timestamp;
use postroom_core::unsent::When;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(update_message).service(delete_message).service(cancel_message).service(retry_message);
}

/// What is to change of a message that has not left; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessagePatch {
    /// What it says.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    text: Option<String>,
    /// What that is written in.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    format: Option<TextFormat>,
    /// Whether the signature of mailbox and agent stands below it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    signature: Option<bool>,
    /// Whether it quotes; `null`: as the mailbox has it.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    quote: Patch<bool>,
    /// Which of the mailbox's addresses it comes from; `null`: its first.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from: Patch<String>,
    /// Its subject; `null`: that of what it answers.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    subject: Patch<String>,
    /// Whom it goes to; empty is the customer.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    to: Option<Vec<Address>>,
    /// Who gets a copy.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    cc: Option<Vec<Address>>,
    /// Who gets a copy that the others don't see.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    bcc: Option<Vec<Address>>,
    /// All of its files: its own, and uploads of the caller's.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    attachment_ids: Option<Vec<AttachmentId>>,
    /// The messages that a forward carries.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 20)]
    forward_message_ids: Option<Vec<MessageId>>,
    /// Whether their files go along.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    forward_files: Option<bool>,
    /// `false` sends a draft, and lets go at once of what is held or scheduled; `true` makes a draft of
    /// that again.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    draft: Option<bool>,
    /// When it leaves: a draft is sent by it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    send_at: Option<Timestamp>,
    /// With `draft: false`: for so many seconds it can be taken back; left out, as the mailbox has it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, maximum = 600)]
    undo_seconds: Option<u32>,
    /// The newest message that the caller has seen: where others came since, nothing changes.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    expected_last_message_id: Option<MessageId>,
}

impl MessagePatch {
    fn when(&self) -> Result<Option<When>, Problem> {
        let clash = |member: &str, detail: &str| Err(Problem::invalid_member(member, "not_allowed", detail));
        match (self.draft, self.send_at, self.undo_seconds) {
            (Some(true), None, None) => Ok(Some(When::Never)),
            (Some(true), Some(_), _) => clash("/send_at", "a draft has no time to leave at"),
            (Some(true), None, Some(_)) => {
                clash("/undo_seconds", "a draft does not leave, so that there is nothing to take back")
            }
            (_, Some(_), Some(_)) => clash("/undo_seconds", "what has a time can be taken back until then"),
            (_, Some(time), None) => Ok(Some(When::At(time))),
            (Some(false), None, Some(seconds)) => Ok(Some(When::After(seconds))),
            (Some(false), None, None) => Ok(Some(When::Now)),
            (None, None, Some(_)) => clash("/undo_seconds", "goes with draft: false"),
            (None, None, None) => Ok(None),
        }
    }
}

/// Change, send or take back a message that has not left
///
/// Drafts belong to everybody who may answer: the last one to write wins unless `If-Match` is sent. A
/// draft is sent with `draft: false` or a `send_at`; what is held or scheduled becomes a draft again with
/// `draft: true`. Needs `conversations:write` for a draft that stays one, else `messages:send`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfMatch),
    request_body(content = MessagePatch, description = "What is to change.", examples(
        ("write" = (summary = "Go on with a draft", value = json!({"text": "It left today."}))),
        ("send" = (summary = "Send it", value = json!({"draft": false, "expected_last_message_id": 5120}))),
        ("later" = (summary = "Send it later", value = json!({"send_at": "2026-12-01T08:00:00Z"}))))),
    responses(
        (status = OK, body = MessageView, description = "The message as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it has left, or its conversation was merged or is in the trash. \
            `conversation_moved_on`: messages came that the caller has not seen; `newer_messages` has them.")))]
#[patch("/messages/{id}")]
async fn update_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<MessageId>,
    seen: IfMatch,
    body: Body<MessagePatch>,
) -> Answer {
    let body = body.0;
    let when = body.when()?;
    let change = UnsentChange {
        text: body.text,
        format: body.format,
        is_unsigned: body.signature.map(|is_signed| !is_signed),
        quote: body.quote.change(),
        from: body.from.change(),
        subject: body.subject.change(),
        to: body.to,
        cc: body.cc,
        bcc: body.bcc,
        attachment_ids: body.attachment_ids,
        forward_message_ids: body.forward_message_ids,
        without_files: body.forward_files.map(|with_files| !with_files),
        when,
        expected_last: body.expected_last_message_id,
    };
    let expected = seen.expected().map(str::to_owned);
    let changed = api.desk.change_unsent(&caller, id.0, expected, change).await;
    let card = match changed {
        Ok(card) => card,
        Err(error) => return Err(moved_on::problem(&api, &caller, error).await),
    };
    let etag = card.etag();
    Ok(answer::changed(&MessageView::new(card, &api.links), &etag))
}

/// Throw away a message that has not left
///
/// A draft, or what is held or scheduled. Needs `conversations:write` for a draft, else `messages:send`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it came in, or it has left.")))]
#[delete("/messages/{id}")]
async fn delete_message(api: Data<Api>, caller: Caller, id: Id<MessageId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| unsent::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Stop a message
///
/// What is held or scheduled is a draft again. What waits to be handed over, or is tried again, goes to
/// nobody whom it has not reached yet: it is `failed`. What is being handed over just now, or is settled,
/// can't be stopped. Needs `messages:send`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfMatch, IdempotencyKey),
    responses(
        (status = OK, body = MessageView, description = "The message as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it can't be stopped any more, or does not leave at all.")))]
#[post("/messages/{id}/cancel")]
async fn cancel_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<MessageId>,
    seen: IfMatch,
    once: Once,
) -> Answer {
    let cancel =
        move |cx: &mut Cx<'_>, links: &Links| Ok(as_it_is(links, leave::cancel(cx, id.0, seen.expected())?));
    Ok(once.write(&api, &caller, cancel).await?)
}

/// Try a message again
///
/// What failed, bounced, is deferred, or may or may not have arrived goes out again at once, with the same
/// bytes and the same Message-ID, to those whom it has not reached. What is held is let go. Needs
/// `messages:send`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfMatch, IdempotencyKey),
    responses(
        (status = OK, body = MessageView, description = "The message as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there is nothing to try again, or not yet.")))]
#[post("/messages/{id}/retry")]
async fn retry_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<MessageId>,
    seen: IfMatch,
    once: Once,
) -> Answer {
    // First of all: what was let go under this key is not held any more, and would be tried again.
    if let Some(done) = once.done_before(&api, &caller).await? {
        return Ok(done);
    }
    let is_held = api.desk.read(&caller, move |cx| leave::is_held(cx, id.0)).await?;
    if !is_held {
        let retry = move |cx: &mut Cx<'_>, links: &Links| {
            Ok(as_it_is(links, leave::retry(cx, id.0, seen.expected())?))
        };
        return Ok(once.write(&api, &caller, retry).await?);
    }
    let (desk, actor, links) = (api.desk.clone(), caller.clone(), api.links.clone());
    let expected = seen.expected().map(str::to_owned);
    let let_go = async move { Ok(as_it_is(&links, desk.let_go(&actor, id.0, expected).await?)) };
    once.around(&api, &caller, let_go).await
}

/// A message after a POST that changed it.
fn as_it_is(links: &Links, card: MessageCard) -> KeptAnswer {
    let etag = card.etag();
    answer::done(&MessageView::new(card, links), &etag)
}
