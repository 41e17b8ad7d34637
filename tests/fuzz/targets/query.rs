//! The grammar of queries: any text is a query or a fault that says where; a query is written as it is read, and no
//! time in it is further than a time can be.

use postroom_core::query::{self, QUERY_CHARS, Query, TERMS};
use postroom_core::time::Timestamp;

/// Fails where something does not hold of these bytes.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let length = text.chars().count();
    let query = match query::parse(&text) {
        Ok(query) => query,
        Err(fault) => {
            assert!((1..=length.min(QUERY_CHARS) + 1).contains(&fault.position), "{fault:?} of {text:?}");
            assert!(!fault.detail.is_empty());
            return;
        }
    };
    assert!(length <= QUERY_CHARS && query.terms.len() <= TERMS);
    let written = query.to_string();
    // What is written in full may be longer than a query may be.
    if written.chars().count() <= QUERY_CHARS {
        let again: Result<Query, _> = query::parse(&written);
        assert_eq!(again.as_ref(), Ok(&query), "{text:?} is written {written:?}");
    }
    assert!(query.phrases().len() <= query.terms.len());
    assert!(query.looks_for_words() || query.phrases().is_empty());
    for now in [0, i64::MAX, i64::MIN] {
        let asked = query.clone().asked_at(Timestamp(now));
        assert_eq!(asked.clone().asked_at(Timestamp(1)), asked, "a time is told from now once");
    }
}
