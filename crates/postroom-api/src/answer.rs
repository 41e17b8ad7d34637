//! Answers with one thing: its version beside it, and where it is.

use crate::etag::IfNoneMatch;
use crate::problem::Problem;
use crate::state::Api;
use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

/// What a handler comes to.
pub type Answer = Result<HttpResponse, Problem>;

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// One thing as it is: 200, or 304 where the caller holds it already.
pub fn one(view: &impl Serialize, etag: &str, held: &IfNoneMatch) -> HttpResponse {
    if held.holds(etag) {
        return HttpResponse::NotModified().insert_header((header::ETAG, quoted(etag))).finish();
    }
    changed(view, etag)
}

/// One thing after a change: 200.
pub fn changed(view: &impl Serialize, etag: &str) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, quoted(etag))).json(view)
}

/// One thing that was made: 201, where it is, and its version.
pub fn created(api: &Api, view: &impl Serialize, path: &str, etag: &str) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((header::LOCATION, api.links.to(path)))
        .insert_header((header::ETAG, quoted(etag)))
        .json(view)
}

/// One thing that was made, and that stands in a list alone: 201.
pub fn created_here(view: &impl Serialize) -> HttpResponse {
    HttpResponse::Created().json(view)
}

/// Nothing is left to say: 204.
pub fn gone() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
