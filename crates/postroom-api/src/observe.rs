//! Every request has an id, and leaves one line in the log: never a query, a token or a body.

use crate::peer;
use crate::routing;
use crate::state::Api;
use actix_web::Error;
use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::time::Instant;
use tracing::Instrument;

/// The header of a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request.
#[derive(Debug, Clone)]
pub struct RequestId(String);

impl RequestId {
    /// The caller's own, where it is one that may stand in a log, else a new one.
    fn read(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given {
            Some(id) if is_sane(id) => Self(id.to_owned()),
            _ => Self(uuid::Uuid::now_v7().to_string()),
        }
    }

    /// The id that [`observe`] gave to this request.
    pub fn of(extensions: &Extensions) -> String {
        extensions.get::<Self>().map(|id| id.0.clone()).unwrap_or_default()
    }
}

fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

/// Names the request, answers with its name and logs how it went.
pub async fn observe(
    api: Data<Api>,
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = RequestId::read(req.headers());
    let header = HeaderValue::from_str(&id.0).map_err(actix_web::error::ErrorInternalServerError)?;
    let span = tracing::info_span!("request", request_id = %id.0);
    let started = Instant::now();
    let method = req.method().clone();
    let path = routing::pattern(req.request()).unwrap_or_else(|| "unknown".to_owned());
    let client = peer::client(req.request(), &api.trusted_proxies);
    req.extensions_mut().insert(id.clone());

    let mut response = next.call(req).instrument(span).await?;
    response.headers_mut().insert(REQUEST_ID, header);
    let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
    let client = client.map(tracing::field::display);
    tracing::info!(
        target: "postroom::access",
        %method,
        path,
        status = response.status().as_u16(),
        duration_ms = f64::from(micros) / 1_000.0,
        client,
        request_id = %id.0,
        "answered"
    );
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_kept_where_it_harms_nobody() {
        let read = |id: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(id));
            RequestId::read(&headers).0
        };
        assert_eq!(read("01J-abc.7"), "01J-abc.7");
        for bad in ["", "a b", "a\"b", "<x>"] {
            assert_eq!(read(bad).len(), 36, "{bad:?}");
        }
        assert!(!is_sane(&"x".repeat(129)));
        assert_ne!(RequestId::read(&HeaderMap::new()).0, RequestId::read(&HeaderMap::new()).0);
    }
}
