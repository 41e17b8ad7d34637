//! What a caller is told when something goes wrong: RFC 9457 problem documents, and the one
//! place where an error of the core becomes a status and a code.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use postroom_core::Error;
use postroom_core::error::FieldError;
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every error's body.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body of every 4xx and 5xx answer (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:postroom:problem:validation-failed",
    "title": "Unprocessable Entity",
    "status": 422,
    "code": "validation_failed",
    "detail": "1 member is not valid",
    "request_id": "01936f1e-5a3c-7b52-9c1e-2f6f3f1d7a10",
    "errors": [{"pointer": "/customer/email", "code": "invalid_email", "detail": "an address looks like name@example.org"}]
}))]
pub struct ProblemDocument {
    /// A name for this kind of problem: `urn:postroom:problem:` and the code, with dashes.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A word for programs. It never changes its meaning.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// Stands in the daemon's log beside what happened; also the header `X-Request-Id`.
    pub request_id: String,
    /// Every member of the body that is not as it must be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
    /// With `insufficient_scope`: the scope that the token lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub required_scope: Option<String>,
    /// With `already_exists`: which one, where the caller may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub existing_id: Option<i64>,
    /// With `cursor_expired`: the place in the event log to go on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub oldest_after: Option<i64>,
    /// With `bad_query`: where in `q`; the first character is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    pub position: Option<usize>,
    /// With `bad_parameter`: the parameters there are. With `bad_query`: what could stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub accepted: Option<Vec<String>>,
    /// With `not_ready`: what is amiss.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reasons: Option<Vec<String>>,
    /// With `conversation_moved_on`: the messages that the caller has not seen, oldest first, the first
    /// twenty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<crate::shapes::message::MessageView>, required = false)]
    pub newer_messages: Option<Vec<serde_json::Value>>,
}

/// One member that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ProblemFault)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// Members that only some problems have, as [`ProblemDocument`] describes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// With `insufficient_scope`.
    pub required_scope: Option<String>,
    /// With `already_exists`.
    pub existing_id: Option<i64>,
    /// With `cursor_expired`.
    pub oldest_after: Option<i64>,
    /// With `bad_query`.
    pub position: Option<usize>,
    /// With `bad_parameter` and `bad_query`.
    pub accepted: Option<Vec<String>>,
    /// With `not_ready`.
    pub reasons: Option<Vec<String>>,
    /// With `conversation_moved_on`.
    pub newer_messages: Option<Vec<serde_json::Value>>,
}

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Fault>,
    extras: Box<Extras>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            extras: Box::default(),
            headers: Vec::new(),
        }
    }

    /// 400: a parameter, or a header that works like one, is not as it must be.
    pub fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 415.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422: the body breaks a rule.
    pub fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.len() {
            1 => "1 member is not valid".to_owned(),
            count => format!("{count} members are not valid"),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail) }
    }

    /// 422: one member breaks a rule.
    pub fn invalid_member(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![Fault { pointer: pointer.into(), code, detail: detail.into() }])
    }

    /// 412, with the version there is.
    fn version_conflict(detail: String, etag: Option<&str>) -> Self {
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, "version_conflict", detail);
        match etag.map(|etag| HeaderValue::from_str(&format!("\"{etag}\""))) {
            Some(Ok(value)) => problem.header(header::ETAG, value),
            _ => problem,
        }
    }

    /// 500: something failed inside. What, stands in the log alone.
    pub fn internal() -> Self {
        let detail = "something went wrong inside; the daemon's log says what, under this request_id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// What an answer of another's making with this status means: the router's, the codec's.
    pub fn of_status(status: StatusCode, detail: Option<String>) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::NOT_ACCEPTABLE => "not_acceptable",
            StatusCode::REQUEST_TIMEOUT => "timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded",
            status if status.is_server_error() => return Self { status, ..Self::internal() },
            _ => "bad_request",
        };
        let words = || status.canonical_reason().unwrap_or("the request was refused").to_owned();
        Self::new(status, code, detail.filter(|detail| !detail.is_empty()).unwrap_or_else(words))
    }

    /// Adds members that only some problems have.
    #[must_use]
    pub fn with(mut self, extras: Extras) -> Self {
        self.extras = Box::new(extras);
        self
    }

    /// Whether the fault is ours, or time will mend it: nothing that could be told of one part of a request.
    pub fn is_internal(&self) -> bool {
        self.status.is_server_error()
    }

    /// The same of an input that stands at `pointer` in a larger one.
    #[must_use]
    pub fn below(mut self, pointer: &str) -> Self {
        for fault in &mut self.errors {
            fault.pointer.insert_str(0, pointer);
        }
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The word for programs.
    #[cfg(test)]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The body, as one request is told it.
    pub fn document(&self, request_id: &str) -> ProblemDocument {
        let extras = Extras::clone(&self.extras);
        ProblemDocument {
            r#type: format!("urn:postroom:problem:{}", self.code.replace('_', "-")),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
            required_scope: extras.required_scope,
            existing_id: extras.existing_id,
            oldest_after: extras.oldest_after,
            position: extras.position,
            accepted: extras.accepted,
            reasons: extras.reasons,
            newer_messages: extras.newer_messages,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

/// The head alone: the body is written by [`crate::rewrite`], which knows the request's id.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self { pointer: error.pointer, code: error.code, detail: error.detail }
    }
}

/// The only place that knows which error has which status. A new error must choose its own.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound(_) => Self::not_found(detail),
            Error::Invalid(faults) => Self::invalid(faults.into_iter().map(Fault::from).collect()),
            Error::BadCursor => Self::new(StatusCode::BAD_REQUEST, "bad_cursor", detail),
            Error::BadQuery(error) => Self::new(StatusCode::BAD_REQUEST, "bad_query", detail).with(Extras {
                position: Some(error.position),
                accepted: (!error.accepted.is_empty()).then_some(error.accepted),
                ..Extras::default()
            }),
            Error::Expired { floor } => Self::new(StatusCode::GONE, "cursor_expired", detail)
                .with(Extras { oldest_after: Some(floor), ..Extras::default() }),
            Error::ExportExpired => Self::new(StatusCode::GONE, "cursor_expired", detail),
            Error::Stale { noun: _, etag } => Self::version_conflict(detail, Some(&etag)),
            Error::Unmet { detail: _, etag } => Self::version_conflict(detail, etag.as_deref()),
            Error::MovedOn { .. } => Self::new(StatusCode::CONFLICT, "conversation_moved_on", detail),
            Error::AlreadyExists { detail: _, existing_id } => {
                Self::new(StatusCode::CONFLICT, "already_exists", detail)
                    .with(Extras { existing_id, ..Extras::default() })
            }
            Error::KeyInProgress => Self::new(StatusCode::CONFLICT, "idempotency_in_progress", detail),
            Error::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail),
            Error::StateConflict(_) | Error::LeaseLost => {
                Self::new(StatusCode::CONFLICT, "state_conflict", detail)
            }
            Error::MissingScope(scope) => Self::new(StatusCode::FORBIDDEN, "insufficient_scope", detail)
                .with(Extras { required_scope: Some(scope.to_string()), ..Extras::default() }),
            Error::SignInFailed => signing_in("sign_in_failed", detail),
            Error::CodeRequired => signing_in("code_required", detail),
            Error::Throttled { seconds } => Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
                .header(header::RETRY_AFTER, HeaderValue::from(seconds)),
            Error::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", detail),
            Error::Provider(_) => Self::new(StatusCode::BAD_GATEWAY, "provider_unavailable", detail),
            Error::TooLarge(_) => Self::too_large(detail),
            Error::MailServer(_) => Self::new(StatusCode::BAD_GATEWAY, "mail_server_failed", detail),
            Error::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "everything is busy; try again in a second",
            )
            .header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            Error::TooSlow => Self::new(StatusCode::SERVICE_UNAVAILABLE, "query_too_slow", detail),
            Error::StorageFull(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail),
            Error::Store { .. } | Error::Unsynced | Error::Blob(_) | Error::Lost(_) | Error::Compose(_) => {
                log_inside(&error);
                Self::internal()
            }
        }
    }
}

fn signing_in(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"postroom\""))
}

/// Logs a failure of ours once, with its whole chain of causes.
pub fn log_inside(error: &dyn std::error::Error) {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    tracing::error!(error = %error, causes = causes.join(": "), "a request failed inside");
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::access::Scope;
    use postroom_core::query::QueryError;

    #[test]
    fn a_refusal_of_one_part_is_told_by_the_same_word_as_one_of_the_whole() {
        let query = QueryError { position: 1, detail: String::new(), accepted: Vec::new() };
        for error in [
            Error::NotFound("conversation"),
            Error::invalid("/subject", "required", "must not be empty"),
            Error::BadQuery(query),
            Error::Stale { noun: "conversation", etag: "c1-1".to_owned() },
            Error::Unmet { detail: "it is there", etag: None },
            Error::MovedOn { messages: Vec::new() },
            Error::AlreadyExists { detail: String::new(), existing_id: None },
            Error::StateConflict(String::new()),
            Error::MissingScope(Scope::AdminRead),
            Error::Forbidden("no"),
            Error::TooLarge(String::new()),
        ] {
            let word = error.refusal().expect("it is about what was asked for");
            assert_eq!(Problem::from(error).code(), word);
        }
        assert_eq!(Error::Busy.refusal(), None);
    }
}
