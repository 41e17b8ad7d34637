//! So many requests a minute, and an answer that says how many are left.

use super::{TestApi, Told, Wish};
use actix_web::test::TestRequest;
use postroom_core::access::Scope;
use std::num::NonZeroU32;

async fn api(a_minute: u32) -> TestApi {
    TestApi::wish(Wish { requests_per_minute: NonZeroU32::new(a_minute), ..Wish::default() }).await
}

/// Policy and what is left, without the seconds.
fn standing(told: &Told) -> Option<(String, String)> {
    let left = told.header("ratelimit")?.split_once(";t=")?.0.to_owned();
    Some((told.header("ratelimit-policy")?.to_owned(), left))
}

fn heads(policy: &str, left: u32) -> (String, String) {
    (format!("\"{policy}\";q=3;w=60"), format!("\"{policy}\";r={left}"))
}

fn from(address: &str, path: &str) -> TestRequest {
    TestRequest::get().uri(path).peer_addr(format!("{address}:4711").parse().unwrap())
}

#[actix_web::test]
async fn a_token_is_told_what_it_has_left() {
    let api = api(3).await;
    assert_eq!(standing(&api.get("/api/v1/me").await), Some(heads("token", 2)));
    let wrong = api.get("/api/v1/tags?x=1").await;
    assert_eq!(standing(&wrong), Some(heads("token", 1)), "a mistake is a request, too");
    wrong.problem(400, "bad_parameter");
    assert_eq!(standing(&api.get("/api/v1/conversations/9").await), Some(heads("token", 0)));
    let refused = api.get("/api/v1/me").await;
    assert_eq!(standing(&refused), Some(heads("token", 0)));
    let wait: u32 = refused.header("retry-after").expect("when to try again").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    refused.problem(429, "rate_limited");
    let other = api.token(&[Scope::ConversationsRead], None);
    let request =
        TestRequest::get().uri("/api/v1/me").insert_header(("authorization", format!("Bearer {other}")));
    assert_eq!(standing(&api.send(request).await), Some(heads("token", 2)), "each has its own");
}

#[actix_web::test]
async fn who_brings_no_token_is_known_by_address() {
    let api = api(3).await;
    for left in [2, 1, 0] {
        let told = api.send(from("192.0.2.1", "/api/v1/me")).await;
        assert_eq!(standing(&told), Some(heads("address", left)));
        told.problem(401, "unauthorized");
    }
    api.send(from("192.0.2.1", "/api/v1/me")).await.problem(429, "rate_limited");
    api.send(from("192.0.2.1", "/openapi.json")).await.problem(429, "rate_limited");
    assert_eq!(api.send(from("192.0.2.2", "/openapi.json")).await.status, 200, "another address has its own");
    let own = api.request("GET", "/api/v1/me").peer_addr("192.0.2.1:4711".parse().unwrap());
    assert_eq!(standing(&api.send(own).await), Some(heads("token", 2)), "a token goes by itself");
    for _ in 0..10 {
        let told = api.send(from("192.0.2.1", "/api/v1/health/live")).await;
        assert_eq!((told.status.as_u16(), standing(&told)), (200, None), "who watches is never refused");
    }
}

#[actix_web::test]
async fn nobody_is_bounded_where_nothing_is_set() {
    let api = api(0).await;
    assert_eq!(standing(&api.get("/api/v1/me").await), None);
}
