//! What every refusal must be like: a problem document (RFC 9457) that is whole.

use serde_json::Value;
use support::http::Answer;

/// Checks that an answer is a problem of this status and code, and returns the document.
#[track_caller]
pub fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    let document = any_problem(answer);
    assert_eq!(answer.status, status, "{document}");
    assert_eq!(document["code"], code, "{document}");
    document
}

/// Checks that an answer is a problem of whatever kind, and returns the document.
#[track_caller]
pub fn any_problem(answer: &Answer) -> Value {
    assert!((400..600).contains(&answer.status), "{} is no refusal: {}", answer.status, answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
    let document = answer.json();
    assert_eq!(document["status"], answer.status, "{document}");
    let code = document["code"].as_str().expect("a problem has a code");
    assert_eq!(document["type"], format!("urn:postroom:problem:{}", code.replace('_', "-")), "{document}");
    assert!(document["title"].as_str().is_some_and(|text| !text.is_empty()), "{document}");
    assert!(document["detail"].as_str().is_some_and(|text| !text.is_empty()), "{document}");
    assert_eq!(document["request_id"].as_str(), answer.header("x-request-id"), "{document}");
    assert!(document["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{document}");
    document
}

/// Checks a 422 and returns its faults as `(pointer, code)`.
#[track_caller]
pub fn faults(answer: &Answer) -> Vec<(String, String)> {
    let document = problem(answer, 422, "validation_failed");
    let word = |fault: &Value, name: &str| fault[name].as_str().expect("a fault has words").to_owned();
    let all = document["errors"].as_array().expect("a 422 names its faults");
    all.iter().map(|fault| (word(fault, "pointer"), word(fault, "code"))).collect()
}
