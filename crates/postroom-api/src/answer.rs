//! Answers with one thing: its version beside it, and where it is.

use crate::etag::{self, IfNoneMatch, quoted};
use crate::links::Links;
use crate::problem::Problem;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use postroom_core::operations::idempotency::KeptAnswer;
use serde::Serialize;

/// What a handler comes to.
pub type Answer = Result<HttpResponse, Problem>;

/// A view as it goes out.
fn written(view: &impl Serialize) -> String {
    serde_json::to_string(view).expect("an answer is made of strings, numbers and lists")
}

/// One thing as it is: 200, or 304 where the caller holds just this already.
pub fn one(view: &impl Serialize, version: &str, held: &IfNoneMatch) -> HttpResponse {
    let body = written(view);
    let etag = etag::of(version, &body);
    if held.holds(&etag) {
        return HttpResponse::NotModified().insert_header((header::ETAG, quoted(&etag))).finish();
    }
    whole(HttpResponse::Ok(), &etag, body)
}

/// One thing after a change: 200.
pub fn changed(view: &impl Serialize, version: &str) -> HttpResponse {
    let body = written(view);
    whole(HttpResponse::Ok(), &etag::of(version, &body), body)
}

/// One thing that was made by PUT: 201.
pub fn put(links: &Links, view: &impl Serialize, path: &str, version: &str) -> HttpResponse {
    let (body, mut response) = (written(view), HttpResponse::Created());
    response.insert_header((header::LOCATION, links.to(path)));
    whole(response, &etag::of(version, &body), body)
}

fn whole(mut response: HttpResponseBuilder, etag: &str, body: String) -> HttpResponse {
    response.insert_header((header::ETAG, quoted(etag))).content_type("application/json").body(body)
}

/// Nothing is left to say: 204.
pub fn gone() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// What a POST answers, before it goes out: it is kept with the work. 200, or another status.
pub fn said(status: StatusCode, view: &impl Serialize) -> KeptAnswer {
    KeptAnswer { status: status.as_u16(), location: None, etag: None, body: written(view) }
}

/// The same of one thing that has a version.
pub fn versioned(status: StatusCode, view: &impl Serialize, version: &str) -> KeptAnswer {
    let said = said(status, view);
    KeptAnswer { etag: Some(etag::of(version, &said.body)), ..said }
}

/// One thing after a POST that changed it: 200, and its version.
pub fn done(view: &impl Serialize, version: &str) -> KeptAnswer {
    versioned(StatusCode::OK, view, version)
}

/// One thing that was made: 201, where it is, and its version.
pub fn made(links: &Links, view: &impl Serialize, path: &str, version: &str) -> KeptAnswer {
    KeptAnswer { location: Some(links.to(path)), ..versioned(StatusCode::CREATED, view, version) }
}

/// One thing that was made, and that stands in a list alone: 201.
pub fn made_here(view: &impl Serialize) -> KeptAnswer {
    said(StatusCode::CREATED, view)
}
