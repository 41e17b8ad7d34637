//! Answers that are given again as they are while nothing in the database has changed: frontends ask for the same
//! lists again and again, and mostly nothing has happened. Not even one commit lies between what is given again and what
//! would be read: see [`postroom_core::mark`].

use crate::etag::IfNoneMatch;
use actix_web::HttpResponse;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use bytes::Bytes;
use postroom_core::actor::{Actor, Behalf};
use postroom_core::id::TokenId;
use postroom_core::mark::{Mark, Remembered};
use std::sync::Arc;

/// What may be remembered: GET operations whose answer depends on nothing but the database, who asks, the path and the
/// query. Whose answer depends on the time as well says so: [`OfThisMoment`].
const OPERATIONS: [&str; 9] = [
    "get_conversation",
    "get_customer",
    "get_message",
    "list_agents",
    "list_conversations",
    "list_customers",
    "list_messages",
    "list_tags",
    "list_teams",
];
/// Bytes of all that is remembered, at the most.
const ROOM: usize = 16 * 1024 * 1024;
/// Bytes of one answer that is remembered, at the most.
const LARGEST: usize = 256 * 1024;

/// Whether an operation's answers may be given again.
pub fn may_be(operation_id: &str) -> bool {
    OPERATIONS.contains(&operation_id)
}

/// In an answer's extensions: it would be another one at another time, though nothing had changed.
#[derive(Debug, Clone, Copy)]
pub struct OfThisMoment;

/// Who asked for what, and when it holds.
#[derive(Debug)]
pub struct Asked {
    mark: Mark,
    question: Question,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    token_id: TokenId,
    on_behalf_of: Option<Behalf>,
    path: String,
    query: String,
}

#[derive(Debug)]
struct Kept {
    headers: HeaderMap,
    body: Bytes,
}

/// The answers.
#[derive(Debug)]
pub struct Answers(Remembered<Question, Arc<Kept>>);

impl Default for Answers {
    fn default() -> Self {
        Self(Remembered::with_room(ROOM))
    }
}

impl Asked {
    /// A question of a caller who is let in, under a mark that was read before that was found out.
    pub fn new(mark: Mark, caller: &Actor, path: &str, query: &str) -> Option<Self> {
        let question = Question {
            token_id: caller.token_id.clone()?,
            on_behalf_of: caller.on_behalf_of.clone(),
            path: path.to_owned(),
            query: query.to_owned(),
        };
        Some(Self { mark, question })
    }
}

impl Answers {
    /// The answer that was given to this before; 304, where the caller holds it.
    pub fn again(&self, asked: &Asked, held: &IfNoneMatch) -> Option<HttpResponse> {
        let kept = self.0.get(asked.mark, &asked.question)?;
        let etag = kept.headers.get(header::ETAG);
        let is_held =
            etag.and_then(|etag| etag.to_str().ok()).is_some_and(|etag| held.holds(etag.trim_matches('"')));
        if is_held {
            let mut response = HttpResponse::NotModified().finish();
            if let Some(etag) = etag {
                response.headers_mut().insert(header::ETAG, etag.clone());
            }
            return Some(response);
        }
        let mut response = HttpResponse::with_body(StatusCode::OK, BoxBody::new(kept.body.clone()));
        *response.headers_mut() = kept.headers.clone();
        Some(response)
    }

    /// Keeps an answer, if it is one that may be given again, and hands it on.
    pub fn keep<B: MessageBody + 'static>(
        &self,
        asked: Asked,
        response: ServiceResponse<B>,
    ) -> ServiceResponse<EitherBody<B>> {
        if response.status() != StatusCode::OK || response.response().extensions().contains::<OfThisMoment>()
        {
            return response.map_into_left_body();
        }
        let (request, response) = response.into_parts();
        let (head, body) = response.into_parts();
        let response = match body.try_into_bytes() {
            Ok(body) => {
                let size = body.len() + asked.question.path.len() + asked.question.query.len();
                if size <= LARGEST {
                    let kept = Kept { headers: head.headers().clone(), body: body.clone() };
                    self.0.keep(asked.mark, asked.question, Arc::new(kept), size);
                }
                head.set_body(BoxBody::new(body)).map_into_right_body()
            }
            Err(body) => head.set_body(body).map_into_left_body(),
        };
        ServiceResponse::new(request, response)
    }
}
