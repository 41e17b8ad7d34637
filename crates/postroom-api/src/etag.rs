//! Versions over HTTP: `ETag`, `If-Match` and `If-None-Match` (RFC 9110 sections 8.8 and 13).
//!
//! An `ETag` is the version of a thing, a tilde, and a hash of what is shown of it. A change is held against the version
//! alone. What is shown may become another without it (a tag has another name, a custom field is gone, what was
//! included changed), and who holds the old one is not told that it is the same.

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use postroom_core::keys::sha256_hex;
use std::future::{Ready, ready};

/// Stands between the version and the hash; no version holds one.
const HASH: char = '~';
/// Digits of the hash: two things shown at different times under one version meet once in 2^48.
const DIGITS: usize = 12;

/// The tag of a thing in this version that is shown so; without quotes.
pub fn of(version: &str, shown: &str) -> String {
    let hash = sha256_hex(shown.as_bytes());
    format!("{version}{HASH}{}", hash.get(..DIGITS).unwrap_or(&hash))
}

/// As it stands in a header.
pub fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The version in a tag.
fn version(etag: &str) -> &str {
    etag.split_once(HASH).map_or(etag, |(version, _)| version)
}

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
        [Tag { weak: true, opaque }] => Ok(IfMatch(Some(format!("W/{}", version(opaque))))),
        [Tag { weak: false, opaque }] => Ok(IfMatch(Some(version(opaque).to_owned()))),
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

    /// Whether the caller holds what has this tag; weak tags count (RFC 9110 section 13.1.2).
    pub fn holds(&self, etag: &str) -> bool {
        self.0.iter().any(|held| held == "*" || held == etag)
    }

    /// Whether the caller holds something of this version, however it was shown.
    pub fn holds_version(&self, of: &str) -> bool {
        self.0.iter().any(|held| held == "*" || version(held) == of)
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
        assert_eq!(read(&["\"c7-2~0123456789ab\""]), Ok(Some("c7-2".into())));
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
        let shown = read(&["\"c7-2~0123456789ab\""]);
        assert!(
            shown.holds("c7-2~0123456789ab") && !shown.holds("c7-2~0123456789ac") && !shown.holds("c7-2")
        );
        assert!(shown.holds_version("c7-2") && !shown.holds_version("c7-3"));
    }

    #[test]
    fn a_tag_tells_what_is_shown_from_what_was() {
        let (one, other) = (of("c7-2", "{}"), of("c7-2", "{ }"));
        assert_eq!((one.as_str(), version(&other)), ("c7-2~44136fa355b3", "c7-2"));
        assert_ne!(one, other);
    }
}
