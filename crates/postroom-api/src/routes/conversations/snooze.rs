//! Conversations that rest until they are due.

use super::act;
use super::shape::ConversationView;
use crate::answer::Answer;
use crate::etag::IfMatch;
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed, Once};
use crate::problem::{Problem, ProblemDocument};
use crate::state::Api;
use actix_web::post;
use actix_web::web::Data;
use postroom_core::conversation::SnoozeUntil;
use postroom_core::id::{ConversationId, ScheduleId};
use postroom_core::operations::conversations;
use postroom_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

/// Until when a conversation rests: one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnoozeBody {
    /// Until this time, at most five years from now.
    #[schema(nullable = false)]
    until: Option<Timestamp>,
    /// Until this schedule next opens after having been closed: tomorrow morning, where it is open now.
    #[schema(nullable = false)]
    schedule_id: Option<ScheduleId>,
    /// Until the customer writes, however long that takes.
    #[schema(nullable = false)]
    until_reply: Option<bool>,
}

impl SnoozeBody {
    fn read(&self) -> Result<SnoozeUntil, Problem> {
        match (self.until, self.schedule_id, self.until_reply) {
            (Some(until), None, None | Some(false)) => Ok(SnoozeUntil::Time(until)),
            (None, Some(id), None | Some(false)) => Ok(SnoozeUntil::Opening(id)),
            (None, None, Some(true)) => Ok(SnoozeUntil::Reply),
            _ => Err(Problem::invalid_member("", "one_of", "give one of until, schedule_id and until_reply")),
        }
    }
}

/// Snooze a conversation
///
/// It rests, out of the way, until its time comes: then it is open again, and `conversation.status_changed` says
/// `snooze_over`. What the customer writes opens it before that. One that is snoozed already rests until the new time; one
/// that is closed or spam has to be opened first. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    request_body(content = SnoozeBody, description = "Until when.", examples(
        ("reply" = (summary = "Until the customer writes", value = json!({"until_reply": true}))),
        ("time" = (summary = "Until a time", value = json!({"until": "2026-12-01T08:00:00Z"}))),
        ("hours" = (summary = "Until business hours begin again", value = json!({"schedule_id": 1}))))),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it is closed or spam, was merged into another or is in the trash.")))]
#[post("/conversations/{id}/snooze")]
pub async fn snooze_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Keyed<SnoozeBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let until = body.read()?;
    act(&api, &caller, once, move |cx| conversations::snooze(cx, id.0, seen.expected(), until)).await
}

/// Wake a conversation
///
/// It is open. One that is not snoozed stays as it is. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    responses(
        (status = OK, body = ConversationView, description = "The conversation as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it was merged into another or is in the trash.")))]
#[post("/conversations/{id}/unsnooze")]
pub async fn unsnooze_conversation(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    once: Once,
) -> Answer {
    act(&api, &caller, once, move |cx| conversations::unsnooze(cx, id.0, seen.expected())).await
}
