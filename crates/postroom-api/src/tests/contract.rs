//! What holds for every route: who gets in, what is refused, and what every answer carries.

use super::{TestApi, Wish};
use actix_web::http::header;
use actix_web::test::TestRequest;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

#[actix_web::test]
async fn an_unknown_path_is_404() {
    let api = TestApi::start().await;
    for path in
        ["/", "/api/v1", "/api/v1/", "/api/v1/nonsense", "/api/v2/conversations", "/docs/a/b", "/.env"]
    {
        api.send(get(path)).await.problem(404, "not_found");
    }
    api.get("/docs/nothing.js").await.problem(404, "not_found");
}

#[actix_web::test]
async fn another_method_is_405_and_says_which_there_are() {
    let api = TestApi::start().await;
    for (method, path, allow) in [
        ("DELETE", "/api/v1/conversations", "GET, POST, HEAD, OPTIONS"),
        ("PUT", "/api/v1/conversations/1", "GET, PATCH, DELETE, HEAD, OPTIONS"),
        ("GET", "/api/v1/mailboxes/1/sync", "POST, OPTIONS"),
        ("HEAD", "/api/v1/mailboxes/1/sync", "POST, OPTIONS"),
        ("TRACE", "/api/v1/me", "GET, PATCH, HEAD, OPTIONS"),
        ("POST", "/docs/index.html", "GET, HEAD, OPTIONS"),
        ("POST", "/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let told = api.send(api.request(method, path)).await;
        told.problem(405, "method_not_allowed");
        assert_eq!(told.header("allow"), Some(allow), "{method} {path}");
    }
    let told =
        api.send(TestRequest::default().method("OPTIONS".parse().unwrap()).uri("/api/v1/tokens")).await;
    assert_eq!(told.status, 204);
    assert_eq!(told.header("allow"), Some("GET, POST, HEAD, OPTIONS"));
}

#[actix_web::test]
async fn every_operation_but_the_public_ones_needs_a_token() {
    let api = TestApi::start().await;
    let document = api.send(get("/openapi.json")).await.ok(200);
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"].as_array().is_some() {
                continue;
            }
            let path = path.replace("{id}", "1");
            for authorization in [None, Some("Basic Zm9v"), Some("Bearer "), Some("Bearer pr_pat_wrong")] {
                let mut request =
                    TestRequest::default().method(method.to_uppercase().parse().unwrap()).uri(&path);
                if let Some(value) = authorization {
                    request = request.insert_header((header::AUTHORIZATION, value));
                }
                let told = api.send(request).await;
                told.problem(401, "unauthorized");
                assert_eq!(told.header("www-authenticate"), Some("Bearer realm=\"postroom\""));
            }
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}

#[actix_web::test]
async fn a_path_is_read_once_for_gate_and_router() {
    let api = TestApi::start().await;
    assert_eq!(api.get("/api/v1/%6De").await.status, 200);
    api.send(get("/api/v1/%6De")).await.problem(401, "unauthorized");
    api.get("/api/v1/%6De?x=1").await.problem(400, "bad_parameter");
    api.get("/api/v1/conversations/%31").await.problem(404, "not_found");
    api.get("/api/v1/conversations%2F1").await.problem(404, "not_found");
}

#[actix_web::test]
async fn a_token_ends_with_its_time() {
    let api = TestApi::start().await;
    let token = api.short_token();
    let request = || get("/api/v1/me").insert_header((header::AUTHORIZATION, format!("bearer {token}")));
    assert_eq!(api.send(request()).await.ok(200)["scopes"], json!(["conversations:read"]));
    api.desk.advance_clock(Duration::from_secs(3_600));
    let told = api.send(request()).await;
    told.problem(401, "token_expired");
    assert!(told.header("www-authenticate").unwrap().contains("invalid_token"));
}

#[actix_web::test]
async fn a_scope_that_is_missing_is_named() {
    let api = TestApi::start().await;
    let token = api.token(&[Scope::CustomersRead], None);
    let told = api
        .send(get("/api/v1/conversations").insert_header((header::AUTHORIZATION, format!("Bearer {token}"))))
        .await;
    assert_eq!(told.problem(403, "insufficient_scope")["required_scope"], "conversations:read");
}

#[actix_web::test]
async fn parameters_are_known_well_formed_and_given_once() {
    let api = TestApi::start().await;
    for (query, told) in [
        ("foo=1", "there is no parameter \"foo\"; there are status, priority"),
        ("status=open&status=closed", "status: is given twice"),
        ("status=new", "status: unknown variant `new`"),
        ("limit=0", "limit: must be 1 to 100"),
        ("limit=101", "limit: must be 1 to 100"),
        ("limit=x", "limit: \"x\" is not a whole number"),
        ("assignee_id=me", "assignee_id: \"me\" is nobody"),
        ("sort=subject", "sort: unknown variant `subject`"),
        ("created_since=now", "created_since: not a time"),
    ] {
        let document = api.get(&format!("/api/v1/conversations?{query}")).await.problem(400, "bad_parameter");
        assert!(document["detail"].as_str().unwrap().starts_with(told), "{document}");
    }
    let document = api.get("/api/v1/me?x=1").await.problem(400, "bad_parameter");
    assert_eq!(document["accepted"], json!([]));
    api.get("/api/v1/conversations?cursor=AAAA").await.problem(400, "bad_cursor");
}

#[actix_web::test]
async fn bodies_are_json_of_a_bounded_size_and_a_known_shape() {
    let api = TestApi::start().await;
    let post = |kind: &'static str, body: &str| {
        api.request("POST", "/api/v1/tags")
            .insert_header((header::CONTENT_TYPE, kind))
            .set_payload(body.to_owned())
    };
    api.send(post("application/json", "{")).await.problem(400, "malformed_json");
    api.send(post("application/json", "")).await.problem(400, "malformed_json");
    api.send(post("text/plain", "{}")).await.problem(415, "unsupported_media_type");
    api.send(post("application/merge-patch+json", "{}")).await.problem(415, "unsupported_media_type");
    api.send(api.request("POST", "/api/v1/tags").set_payload("{}"))
        .await
        .problem(415, "unsupported_media_type");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024));
    api.send(post("application/json", &large)).await.problem(413, "too_large");
    for (body, pointer, code) in [
        (r#"{"name":"a","colour":"red"}"#, "/colour", "unknown_field"),
        (r#"{"name":7}"#, "/name", "wrong_type"),
        (r"{}", "/name", "required"),
        (r#"{"name":"a\u0000b"}"#, "/name", "nul_character"),
    ] {
        let document =
            api.send(post("application/json; charset=utf-8", body)).await.problem(422, "validation_failed");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
        assert_eq!(document["errors"][0]["code"], code, "{document}");
        assert_eq!(document["detail"], "1 member is not valid");
    }
    assert_eq!(api.get("/api/v1/tags").await.ok(200)["data"], json!([]), "nothing was changed");
}

#[actix_web::test]
async fn an_id_that_can_t_be_is_404() {
    let api = TestApi::start().await;
    for path in [
        "/api/v1/conversations/abc",
        "/api/v1/conversations/0",
        "/api/v1/conversations/-1",
        "/api/v1/conversations/9007199254740993",
        "/api/v1/mailboxes/1e3/status",
        "/api/v1/attachments/att_1",
        "/api/v1/attachments/7/content",
        "/api/v1/conversations/77",
        "/api/v1/messages/77",
    ] {
        api.get(path).await.problem(404, "not_found");
    }
    api.delete("/api/v1/tokens/tok_x").await.problem(404, "not_found");
}

#[actix_web::test]
async fn every_answer_carries_an_id_and_keeps_browsers_in_check() {
    let api = TestApi::start().await;
    let named = |id: &'static str| api.request("GET", "/api/v1/me").insert_header(("X-Request-Id", id));
    assert_eq!(api.send(named("01J-mine")).await.header("x-request-id"), Some("01J-mine"));
    let told = api.send(named("two words")).await;
    assert_eq!(told.header("x-request-id").unwrap().len(), 36);
    for path in ["/api/v1/me", "/api/v1/nonsense", "/api/v1/version"] {
        let told = api.get(path).await;
        assert_eq!(told.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(told.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(told.header("cache-control"), Some("no-store"));
        assert_eq!(told.header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(told.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert_eq!(told.header("access-control-allow-origin"), None);
        assert_eq!(told.header("retry-after"), None);
    }
}

#[actix_web::test]
async fn answers_are_compressed_for_those_who_ask() {
    let api = TestApi::start().await;
    let told = api.send(get("/openapi.json").insert_header((header::ACCEPT_ENCODING, "gzip"))).await;
    assert_eq!(told.header("content-encoding"), Some("gzip"));
    assert_eq!(told.body[..2], [0x1f, 0x8b]);
    let refused = get("/api/v1/version").insert_header((header::ACCEPT_ENCODING, "br, identity;q=0, *;q=0"));
    api.send(refused).await.problem(406, "not_acceptable");
}

#[actix_web::test]
async fn configured_origins_may_call_and_others_not() {
    let origin = "https://app.example.org";
    let api = TestApi::wish(Wish { cors_origins: vec![origin.to_owned()], ..Wish::default() }).await;
    let preflight = |from: &str| {
        TestRequest::default()
            .method("OPTIONS".parse().unwrap())
            .uri("/api/v1/conversations")
            .insert_header((header::ORIGIN, from))
            .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "POST"))
            .insert_header((header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type,if-match"))
    };
    let told = api.send(preflight(origin)).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("access-control-allow-origin"), Some(origin));
    api.send(preflight("https://evil.example")).await.problem(400, "bad_request");
    let told = api.send(api.request("GET", "/api/v1/me").insert_header((header::ORIGIN, origin))).await;
    assert_eq!(told.header("access-control-allow-origin"), Some(origin));
    assert_eq!(told.header("access-control-allow-credentials"), None);
    assert_eq!(told.header("cross-origin-resource-policy"), Some("same-origin"), "scripts ask by CORS");
    // A problem is readable for the origin that caused it.
    let told = api.send(get("/api/v1/me").insert_header((header::ORIGIN, origin))).await;
    told.problem(401, "unauthorized");
    assert_eq!(told.header("access-control-allow-origin"), Some(origin));
}

#[actix_web::test]
async fn readiness_tells_why_not() {
    let api = TestApi::start().await;
    assert_eq!(api.send(get("/api/v1/health/live")).await.ok(200), json!({"status": "ok"}));
    let nothing =
        json!({"new": 0, "ok": 0, "degraded": 0, "failing": 0, "needs_authorization": 0, "paused": 0});
    assert_eq!(
        api.send(get("/api/v1/health/ready")).await.ok(200),
        json!({"status": "ok", "storage": "ok", "mailboxes": nothing})
    );
    assert_eq!(
        api.send(get("/api/v1/version")).await.ok(200),
        json!({"name": "postroom", "version": "9.9.9"})
    );
    api.unready.lock().unwrap().push("the sender has died".to_owned());
    let document = api.send(get("/api/v1/health/ready")).await.problem(503, "not_ready");
    assert_eq!(document["reasons"], json!(["the sender has died"]));
}

#[actix_web::test]
async fn the_documentation_needs_nobody_else() {
    let api = TestApi::start().await;
    assert_eq!(api.send(get("/docs")).await.header("location"), Some("docs/index.html"));
    assert_eq!(api.send(get("/docs/")).await.header("location"), Some("index.html"));
    let page = api.send(get("/docs/index.html")).await;
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert!(page.header("content-security-policy").unwrap().contains("connect-src 'self'"));
    for file in ["index.html", "swagger-initializer.js", "index.css"] {
        let told = api.send(get(&format!("/docs/{file}"))).await;
        assert_eq!(told.status, 200, "{file}");
        let text = String::from_utf8(told.body.to_vec()).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{file} leads away:\n{text}");
    }
    let script = api.send(get("/docs/swagger-initializer.js")).await;
    let script = String::from_utf8(script.body.to_vec()).unwrap();
    assert!(
        script.contains("\"url\": \"../openapi.json\"") && script.contains("\"validatorUrl\": \"none\""),
        "{script}"
    );
    let document: Value = api.send(get("/openapi.json")).await.ok(200);
    assert_eq!(document, serde_json::to_value(crate::document()).unwrap());
}
