//! How far agents have read conversations.

use crate::answer::Answer;
use crate::body::Body;
use crate::extract::{Caller, Id};
use crate::patch::stated;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, put};
use postroom_core::id::{ConversationId, MessageId};
use postroom_core::operations::read_marks;
use postroom_core::read_mark::ReadMark;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(put_read_mark);
}

/// How far the caller has read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadMarkBody {
    /// The newest message of the conversation that was read; `null` is none of them.
    #[serde(deserialize_with = "stated")]
    #[schema(required)]
    message_id: Option<MessageId>,
}

/// How far you have read a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadMark, example = json!({
    "conversation_id": 1042, "message_id": 5120, "read_at": "2026-01-31T09:30:00Z", "unread": false
}))]
pub struct ReadMarkView {
    /// Of which conversation.
    conversation_id: ConversationId,
    /// The newest message that was read; `null` is none of them.
    message_id: Option<MessageId>,
    /// When that was noted; `null` is never.
    read_at: Option<Timestamp>,
    /// A message, note or automatic answer in it is newer. One without a mark is unread if it moved since you
    /// joined the desk.
    unread: bool,
}

impl From<ReadMark> for ReadMarkView {
    fn from(mark: ReadMark) -> Self {
        Self {
            conversation_id: mark.conversation_id,
            message_id: mark.message_id,
            read_at: mark.read_at,
            unread: mark.unread,
        }
    }
}

/// Say how far you have read
///
/// Name the newest message that was shown, and what comes after it is unread; an earlier one, or `null`, makes
/// what follows unread again. What an agent writes moves the mark by itself if everything before had been
/// read. Each agent has marks of their own, nobody else sees them, and no event tells of them; lists filter by
/// `unread` and `q=is:unread`, and `include=read_mark` shows them. It takes an agent's token. Needs
/// `conversations:read`.
#[utoipa::path(tag = "conversations", params(Id<ConversationId>),
    request_body(content = ReadMarkBody, description = "How far.", example = json!({"message_id": 5120})),
    responses((status = OK, body = ReadMarkView, description = "The mark as it is now.")))]
#[put("/conversations/{id}/read-mark")]
async fn put_read_mark(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    body: Body<ReadMarkBody>,
) -> Answer {
    let message = body.0.message_id;
    let mark = api.desk.write(&caller, move |cx| read_marks::put(cx, id.0, message)).await?;
    Ok(HttpResponse::Ok().json(ReadMarkView::from(mark)))
}
