//! Every 4xx and 5xx leaves as a problem document, whoever made it: a handler, an extractor, the
//! router or a middleware.

use crate::observe::RequestId;
use crate::problem::{self, Problem};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

/// Writes the problem document of an answer that is an error.
pub async fn problems(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(req).await?;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(response.map_into_boxed_body());
    }
    let request_id = RequestId::of(&response.request().extensions());
    let error = response.response().error();
    let document = if let Some(problem) = error.and_then(Error::as_error::<Problem>) {
        problem.document(&request_id)
    } else {
        let told = error.map(ToString::to_string);
        if status.is_server_error() {
            tracing::error!(error = told, %status, "a request failed inside");
        }
        Problem::of_status(status, told.filter(|_| status.is_client_error())).document(&request_id)
    };
    let body = serde_json::to_vec(&document).map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(response.map_body(|head, _| {
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        // What was there may have been compressed; this is not.
        head.headers.remove(header::CONTENT_ENCODING);
        head.headers.remove(header::CONTENT_LENGTH);
        BoxBody::new(body)
    }))
}
