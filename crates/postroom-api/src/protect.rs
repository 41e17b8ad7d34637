//! Headers that keep a browser from doing with an answer what it is not for.

use crate::routing::AskedByLink;
use crate::state::Api;
use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const DROPPED_IMAGES: HeaderName = HeaderName::from_static("x-dropped-images");

/// Adds the headers that an answer has not set itself.
pub async fn protect(
    api: Data<Api>,
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(req).await?;
    // Only what a link opens is for elements of other sites' pages; scripts there ask by CORS, which
    // this header has no part in. Why a link does not open has to be seen in the frame it is for.
    let is_by_link = response.request().extensions().contains::<AskedByLink>();
    let (resource_policy, ancestors) = match (is_by_link, api.cors_origins.is_empty()) {
        (false, _) => ("same-origin", "'none'".to_owned()),
        (true, true) => ("same-origin", frame_ancestors(&api)),
        (true, false) => ("cross-origin", frame_ancestors(&api)),
    };
    let policy = HeaderValue::try_from(format!("default-src 'none'; frame-ancestors {ancestors}"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    let headers = response.headers_mut();
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (RESOURCE_POLICY, resource_policy),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(response)
}

/// Who may frame a page of ours: this very site and the configured origins.
pub fn frame_ancestors(api: &Api) -> String {
    let mut ancestors = "'self'".to_owned();
    for origin in &api.cors_origins {
        ancestors.push(' ');
        ancestors.push_str(origin);
    }
    ancestors
}

/// What browsers on the configured origins may call. No cookies: a token is sent or it is not.
pub fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::RANGE,
            header::IF_RANGE,
            // Of clients that read the stream by `fetch`, with a token; EventSource needs no leave.
            LAST_EVENT_ID,
            crate::behalf::ON_BEHALF_OF,
            crate::idempotency::KEY,
            crate::observe::REQUEST_ID,
        ])
        .expose_headers([
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            header::CONTENT_DISPOSITION,
            header::CONTENT_RANGE,
            DROPPED_IMAGES,
            crate::idempotency::REPLAYED,
            crate::observe::REQUEST_ID,
            crate::quota::RATE_LIMIT,
            crate::quota::RATE_LIMIT_POLICY,
        ])
        .max_age(600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
