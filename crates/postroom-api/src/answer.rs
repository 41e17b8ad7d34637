//! Answers with one thing: its version beside it, and where it is.

use crate::etag::IfNoneMatch;
use crate::links::Links;
use crate::problem::Problem;
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use postroom_core::operations::idempotency::KeptAnswer;
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

/// Nothing is left to say: 204.
pub fn gone() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// What a POST answers, before it goes out: it is kept with the work. 200, or another status.
pub fn said(status: StatusCode, view: &impl Serialize) -> KeptAnswer {
    let body = serde_json::to_string(view).expect("an answer is made of strings, numbers and lists");
    KeptAnswer { status: status.as_u16(), location: None, etag: None, body }
}

/// One thing after a POST that changed it: 200, and its version.
pub fn done(view: &impl Serialize, etag: String) -> KeptAnswer {
    KeptAnswer { etag: Some(etag), ..said(StatusCode::OK, view) }
}

/// One thing that was made: 201, where it is, and its version.
pub fn made(links: &Links, view: &impl Serialize, path: &str, etag: String) -> KeptAnswer {
    KeptAnswer { location: Some(links.to(path)), etag: Some(etag), ..made_here(view) }
}

/// One thing that was made, and that stands in a list alone: 201.
pub fn made_here(view: &impl Serialize) -> KeptAnswer {
    said(StatusCode::CREATED, view)
}
