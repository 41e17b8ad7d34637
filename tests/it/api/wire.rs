//! What every answer carries, and who from elsewhere may ask.

use crate::problems::problem;
use serde_json::Value;
use support::desk::TestDesk;
use support::http::Http;

#[tokio::test]
async fn every_answer_has_a_name_and_keeps_browsers_in_check() {
    let desk = TestDesk::start().await;
    for (method, path) in [
        ("GET", "/api/v1/conversations"),
        ("GET", "/api/v1/nonsense"),
        ("DELETE", "/api/v1/me"),
        ("GET", "/api/v1/conversations/4711"),
        ("POST", "/api/v1/tags"),
        ("GET", "/api/v1/health/live"),
        ("GET", "/openapi.json"),
        ("GET", "/docs/index.html"),
    ] {
        let answer = desk.http.send(method, path, &[("X-Request-Id", "caller-1.7")], b"").await;
        assert_eq!(answer.header("x-request-id"), Some("caller-1.7"), "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{method} {path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{method} {path}");
        assert!(
            answer
                .header("content-security-policy")
                .is_some_and(|policy| policy.contains("default-src 'none'") || path.starts_with("/docs")),
            "{method} {path}: {:?}",
            answer.header("content-security-policy")
        );
        assert!(answer.header("cache-control").is_some(), "{method} {path}");
        assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none());
    }
    let list = desk.http.get("/api/v1/conversations").await;
    assert_eq!(list.header("cache-control"), Some("no-store"));
    // A name that could do harm in a log is replaced.
    let long = "x".repeat(129);
    for bad in ["a b", "a\"b", "<script>", long.as_str()] {
        let answer = desk.http.send("GET", "/api/v1/me", &[("X-Request-Id", bad)], b"").await.expect(200);
        let id = answer.header("x-request-id").unwrap();
        assert!(id != bad && id.len() == 36, "{id}");
    }
    let (one, two) = (desk.http.get("/api/v1/me").await, desk.http.get("/api/v1/me").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    desk.stop().await;
}

#[tokio::test]
async fn other_origins_may_ask_where_they_are_configured() {
    const ORIGIN: &str = "https://desk.example.org";
    let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.server.cors_origins = vec![ORIGIN.to_owned(), "https://b.example".to_owned()];
    })
    .await;
    for origin in [ORIGIN, "https://b.example"] {
        let answer = desk.http.send("GET", "/api/v1/me", &[("Origin", origin)], b"").await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), None, "there are no cookies");
        assert!(answer.header("access-control-expose-headers").unwrap().to_lowercase().contains("etag"));
        // A refusal can be read as well.
        let refused = Http::new(desk.address()).send("GET", "/api/v1/me", &[("Origin", origin)], b"").await;
        problem(&refused, 401, "unauthorized");
        assert_eq!(refused.header("access-control-allow-origin"), Some(origin));
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "PATCH"),
            (
                "Access-Control-Request-Headers",
                "authorization, content-type, if-match, last-event-id, if-range",
            ),
        ];
        let preflight =
            Http::new(desk.address()).send("OPTIONS", "/api/v1/conversations/1", &headers, b"").await;
        assert!((200..300).contains(&preflight.status), "{}", preflight.text());
        assert!(preflight.header("access-control-allow-methods").unwrap().contains("PATCH"));
    }
    for stranger in
        ["https://evil.example", "http://desk.example.org", "https://desk.example.org.evil.example", "null"]
    {
        let answer = desk.http.send("GET", "/api/v1/me", &[("Origin", stranger)], b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{stranger}");
    }
    desk.stop().await;

    let closed = TestDesk::start().await;
    let answer = closed.http.send("GET", "/api/v1/me", &[("Origin", ORIGIN)], b"").await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    closed.stop().await;
}

#[tokio::test]
async fn links_are_built_from_the_public_url_alone() {
    let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.server.public_url =
            Some(serde_json::from_value(Value::from("https://desk.example.org/help/")).unwrap());
    })
    .await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let taken = desk.receive(mailbox, &support::mail::mail()).await;
    let path = format!("/api/v1/messages/{}", taken["message_id"]);
    let headers = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")];
    let answer = desk.http.send("GET", &path, &headers, b"").await.expect(200);
    assert_eq!(answer.json()["html_url"], format!("https://desk.example.org/help{path}/html"));
    assert!(!answer.text().contains("evil"));
    desk.stop().await;
}

#[tokio::test]
async fn a_daemon_says_that_it_lives_and_which_one_it_is() {
    let desk = TestDesk::start().await;
    let nobody = Http::new(desk.address());
    assert_eq!(nobody.get("/api/v1/health/live").await.expect(200).json()["status"], "ok");
    assert_eq!(nobody.get("/api/v1/health/ready").await.expect(200).json()["status"], "ok");
    let version = nobody.get("/api/v1/version").await.expect(200).json();
    assert_eq!(version["name"], "postroom");
    assert!(version["version"].as_str().is_some_and(|text| text.split('.').count() == 3), "{version}");
    // The page of documentation asks nobody else's servers for anything.
    let page = nobody.get("/docs/index.html").await.expect(200);
    assert!(!page.text().contains("https://") && !page.text().contains("//cdn"), "{}", page.text());
    let head = nobody.send("HEAD", "/api/v1/version", &[], b"").await.expect(200);
    assert!(head.body.is_empty());
    desk.stop().await;
}
