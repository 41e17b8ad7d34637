//! Versions over HTTP: `ETag`, `If-Match` and `If-None-Match` (RFC 9110 sections 8.8 and 13).

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

/// What `If-Match` says: the one version that may be changed, without quotes, or `*`.
/// Scripts may leave it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(pub Option<String>);

impl IfMatch {
    /// As operations take it.
    pub fn expected(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_if_match(req.headers()))
    }
}

fn read_if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let mut values = headers.get_all(header::IF_MATCH);
    let Some(value) = values.next() else { return Ok(IfMatch(None)) };
    let malformed = || {
        Problem::bad_parameter(
            "If-Match: must be one ETag in quotes as an answer gave it, such as \"c1234-7\", or *",
        )
    };
    let text = value.to_str().map_err(|_| malformed())?.trim();
    if values.next().is_some() {
        return Err(malformed());
    }
    if text == "*" {
        return Ok(IfMatch(Some("*".to_owned())));
    }
    let tags = tags(text).ok_or_else(malformed)?;
    match tags.as_slice() {
        // A weak tag never matches here (RFC 9110 section 13.1.1); none of ours begins so.
        [Tag { weak: true, opaque }] => Ok(IfMatch(Some(format!("W/{opaque}")))),
        [Tag { weak: false, opaque }] => Ok(IfMatch(Some((*opaque).to_owned()))),
        _ => Err(malformed()),
    }
}

/// What `If-None-Match` says: the versions the caller holds already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(Vec<String>);

impl IfNoneMatch {
    /// What can't be read asks for the whole answer.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut held = Vec::new();
        for value in headers.get_all(header::IF_NONE_MATCH) {
            match value.to_str().map(str::trim) {
                Ok("*") => held.push("*".to_owned()),
                Ok(text) => {
                    held.extend(tags(text).unwrap_or_default().iter().map(|tag| tag.opaque.to_owned()));
                }
                Err(_) => {}
            }
        }
        Self(held)
    }

    /// Whether the caller holds this version; weak tags count (RFC 9110 section 13.1.2).
    pub fn holds(&self, etag: &str) -> bool {
        self.0.iter().any(|held| held == "*" || held == etag)
    }
}

impl FromRequest for IfNoneMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::read(req.headers())))
    }
}

#[derive(Debug, PartialEq)]
struct Tag<'a> {
    weak: bool,
    opaque: &'a str,
}

/// A list of entity tags; `None` where it is none.
fn tags(text: &str) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::new();
    let mut rest = text.trim();
    loop {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (opaque, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push(Tag { weak, opaque });
        let after = after.trim_start();
        if after.is_empty() {
            return Some(tags);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn if_match_is_one_tag_or_any() {
        let read = |values: &[&str]| {
            read_if_match(&headers(header::IF_MATCH, values)).map(|seen| seen.0).map_err(|p| p.code())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["\"c7-2\""]), Ok(Some("c7-2".into())));
        assert_eq!(read(&[" * "]), Ok(Some("*".into())));
        assert_eq!(read(&["W/\"c7-2\""]), Ok(Some("W/c7-2".into())));
        for bad in [&["c7-2"][..], &["\"c7-2"], &[""], &["\"a\", \"b\""], &["\"a\"", "\"b\""], &["\"a b\""]] {
            assert_eq!(read(bad), Err("bad_parameter"), "{bad:?}");
        }
    }

    #[test]
    fn if_none_match_is_a_list_that_weakness_does_not_bother() {
        let read = |values: &[&str]| IfNoneMatch::read(&headers(header::IF_NONE_MATCH, values));
        assert!(read(&["\"a-1\" , W/\"c7-2\""]).holds("c7-2"));
        assert!(read(&["\"a-1\"", "\"c7-2\""]).holds("c7-2"));
        assert!(read(&["*"]).holds("anything"));
        assert!(!read(&["\"c7-1\""]).holds("c7-2"));
        assert!(!read(&["c7-2"]).holds("c7-2"));
        assert!(!read(&[]).holds("c7-2"));
    }
}
