//! Many conversations begun by one request.

use super::in_the_body;
use super::shape::NewConversationBody;
use crate::answer::{self, Answer};
use crate::extract::Caller;
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::observe::RequestId;
use crate::problem::{Problem, ProblemDocument};
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, post};
use postroom_core::cx::Cx;
use postroom_core::id::ConversationId;
use postroom_core::operations::conversations::{self, AT_ONCE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most uploads of one batch: their bytes are read before anything is made.
const UPLOADS: usize = 50;

/// Conversations to be begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationBatch)]
pub struct BatchBody {
    /// Each as `POST /conversations` takes it.
    #[schema(min_items = 1, max_items = 100)]
    conversations: Vec<NewConversationBody>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationBatchResult)]
pub struct BatchView {
    /// How many were begun.
    succeeded: usize,
    /// How many were refused.
    failed: usize,
    /// One for each, in their order.
    results: Vec<BatchItem>,
}

/// What became of one conversation of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationBatchItem)]
pub struct BatchItem {
    /// Which of the batch, from 0.
    index: usize,
    /// What `POST /conversations` would have answered: 201, or the status of the problem.
    status: u16,
    /// Its number, if it was begun.
    id: Option<ConversationId>,
    /// Its version, if it was begun.
    etag: Option<String>,
    /// Why it was not. Pointers lead into the body of the batch.
    problem: Option<ProblemDocument>,
}

/// Begin many conversations
///
/// Each of up to 100 is made or refused by itself, and the answer says what became of which; all are written
/// together. A body that is not as it must be is refused whole. They may take along 50 uploads in all. With an
/// `Idempotency-Key` the whole is done once. Needs `conversations:write`, `messages:send` for replies, and
/// `conversations:import` for what is `imported`.
#[utoipa::path(tag = "conversations", params(IdempotencyKey),
    request_body(content = BatchBody, description = "The conversations.", example = json!({"conversations": [
        {"mailbox_id": 1, "subject": "Late order", "customer": {"email": "ada@example.org"},
         "message": {"kind": "inbound", "text": "Where is it?"}},
        {"mailbox_id": 1, "subject": "Broken lamp", "customer": {"email": "bob@example.org"},
         "message": {"kind": "inbound", "text": "It does not shine."}}
    ]})),
    responses((status = OK, body = BatchView, description = "What became of each.")))]
#[post("/conversations/batch")]
pub async fn create_conversations(
    api: Data<Api>,
    caller: Caller,
    request: HttpRequest,
    body: Keyed<BatchBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let request_id = RequestId::of(&request.extensions());
    require_few(&body)?;
    let (mut all, mut refused) = (Vec::new(), Vec::new());
    for (index, one) in body.conversations.into_iter().enumerate() {
        let (new, problem) = match one.read(&api.desk, &caller).await {
            Ok(new) => (Some(new), None),
            Err(problem) if problem.is_internal() => return Err(problem),
            Err(problem) => (None, Some(problem.below(&at(index)).document(&request_id))),
        };
        all.push(new);
        refused.push(problem);
    }
    if refused.iter().any(Option::is_some)
        && let Some(answer) = once.done_before(&api, &caller).await?
    {
        // Its uploads belong to what was begun the first time.
        return Ok(answer);
    }
    let begin = move |cx: &mut Cx<'_>, _: &Links| {
        let mut results = Vec::with_capacity(all.len());
        for (index, done) in conversations::create_many(cx, &all)?.into_iter().enumerate() {
            results.push(match done {
                Some(Ok(card)) => {
                    let (id, etag) = (card.conversation.id, card.conversation.etag());
                    BatchItem { index, status: 201, id: Some(id), etag: Some(etag), problem: None }
                }
                Some(Err(error)) => {
                    let problem = Problem::from(in_the_body(error).below(&at(index)));
                    problem_of(index, problem.document(&request_id))
                }
                None => match &refused[index] {
                    Some(document) => problem_of(index, document.clone()),
                    None => problem_of(index, Problem::internal().document(&request_id)),
                },
            });
        }
        let succeeded = results.iter().filter(|item| item.id.is_some()).count();
        let view = BatchView { succeeded, failed: results.len() - succeeded, results };
        Ok(answer::said(StatusCode::OK, &view))
    };
    Ok(once.write(&api, &caller, begin).await?)
}

fn at(index: usize) -> String {
    format!("/conversations/{index}")
}

fn problem_of(index: usize, document: ProblemDocument) -> BatchItem {
    BatchItem { index, status: document.status, id: None, etag: None, problem: Some(document) }
}

fn require_few(body: &BatchBody) -> Result<(), Problem> {
    let refuse = |code, told: String| Err(Problem::invalid_member("/conversations", code, told));
    match body.conversations.len() {
        0 => return refuse("required", "has at least one member".to_owned()),
        count if count > AT_ONCE => return refuse("too_many", format!("has at most {AT_ONCE} members")),
        _ => {}
    }
    let uploads: usize = body.conversations.iter().map(NewConversationBody::uploads).sum();
    if uploads > UPLOADS {
        return refuse("too_many_uploads", format!("takes at most {UPLOADS} uploads along in all"));
    }
    Ok(())
}
