//! What only a real connection shows: HEAD without a body, and bodies that never end.

use super::TestApi;
use crate::app;
use actix_web::HttpServer;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn serve(api: &TestApi) -> (SocketAddr, actix_web::dev::ServerHandle) {
    let state = api.api.clone();
    let server =
        HttpServer::new(move || app(&state)).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[actix_web::test]
async fn head_is_get_without_a_body() {
    let api = TestApi::start().await;
    let (address, server) = serve(&api).await;
    let ask = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: same\r\nConnection: close\r\n\r\n")
    };
    for path in ["/api/v1/version", "/api/v1/nonsense", "/openapi.json"] {
        let get = exchange(address, &ask("GET", path)).await;
        let head = exchange(address, &ask("HEAD", path)).await;
        let (get_head, get_body) = get.split_once("\r\n\r\n").unwrap();
        let (head_head, head_body) = head.split_once("\r\n\r\n").unwrap();
        assert!(!get_body.is_empty() && head_body.is_empty(), "{path}: {head}");
        let lines = |text: &str| {
            let mut lines: Vec<String> = text
                .lines()
                .filter(|line| !line.to_lowercase().starts_with("date:"))
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(get_head), lines(head_head), "{path}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let api = TestApi::start().await;
    let token = api.token(&[postroom_core::access::Scope::ConversationsWrite], None);
    let (address, server) = serve(&api).await;
    let answer = exchange(
        address,
        &format!(
            "POST /api/v1/tags HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{{"
        ),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"code\":\"too_large\""), "{answer}");
    // Without a token, not even that is looked at.
    let answer = exchange(
        address,
        "POST /api/v1/tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n{",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    server.stop(false).await;
}
