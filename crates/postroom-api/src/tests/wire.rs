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

/// Whoever is answered before their body is read may send the rest of it, or nothing, for as long as they like.
#[actix_web::test]
async fn a_body_in_pieces_that_nobody_reads_ends_its_connection() {
    let api = TestApi::start().await;
    let token = api.token(&[postroom_core::access::Scope::ConversationsWrite], None);
    let (address, server) = serve(&api).await;
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let json = "Content-Type: application/json\r\n";
    let piece = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    for (line, headers, body, status) in [
        ("POST /api/v1/conversations", json, "5\r\n{\"a\":\r\n", 401),
        ("POST /api/v1/conversations", json, "", 401),
        ("POST /api/v1/nowhere", "", "5\r\nabcde\r\n", 404),
        ("POST /api/v1/me", authorization.as_str(), "5\r\nabcde\r\n", 405),
        ("POST /api/v1/tags", authorization.as_str(), "5\r\nabcde\r\n", 415),
        ("GET /api/v1/version", "", "5\r\nabcde\r\n", 200),
    ] {
        let request =
            format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}Transfer-Encoding: chunked\r\n\r\n{body}");
        // It ends when the connection does, and the body never does.
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{line}: {answer}");
    }
    // One that is larger than what is taken is not read to its end either.
    let request = format!(
        "POST /api/v1/tags HTTP/1.1\r\nHost: x\r\n{authorization}{json}Transfer-Encoding: chunked\r\n\r\n{piece}5\r\nabcde\r\n"
    );
    let answer = exchange(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // What is read to its end leaves the connection open for the next one.
    let tag = "{\"name\":\"late\"}";
    let first = format!(
        "POST /api/v1/tags HTTP/1.1\r\nHost: x\r\n{authorization}{json}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{tag}\r\n0\r\n\r\n",
        tag.len()
    );
    let second = format!("GET /api/v1/tags HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n");
    let both = exchange(address, &(first + &second)).await;
    assert!(both.starts_with("HTTP/1.1 201 ") && both.contains("HTTP/1.1 200 "), "{both}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_token_sends_two_files_at_a_time() {
    let api = TestApi::start().await;
    let scopes = [postroom_core::access::Scope::ConversationsWrite];
    let (token, other) = (api.token(&scopes, None), api.token(&scopes, None));
    let (address, server) = serve(&api).await;
    let head = |token: &str, length: usize| {
        format!(
            "POST /api/v1/attachments?filename=a.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut under_way = Vec::new();
    for count in 1..=2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(&token, 3).as_bytes()).await.unwrap();
        while api.api.uploads.count() != (count, 0) {
            tokio::task::yield_now().await;
        }
        under_way.push(stream);
    }
    let refused = exchange(address, &head(&token, 0)).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(
        refused.contains("\"code\":\"rate_limited\"") && refused.contains("2 files at a time"),
        "{refused}"
    );
    assert!(refused.to_lowercase().contains("retry-after: 1"), "{refused}");
    let another = exchange(address, &head(&other, 0)).await;
    assert!(another.contains("HTTP/1.1 201 "), "each has its own: {another}");
    for stream in &mut under_way {
        stream.write_all(b"abc").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("HTTP/1.1 201 "), "{answer}");
    }
    let again = exchange(address, &head(&token, 0)).await;
    assert!(again.contains("HTTP/1.1 201 "), "{again}");
    server.stop(false).await;
}

#[actix_web::test]
async fn two_mails_of_a_token_are_read_at_a_time_and_a_third_waits_for_its_turn() {
    let api = TestApi::start().await;
    let token = api.token(&[postroom_core::access::Scope::ConversationsWrite], None);
    let (address, server) = serve(&api).await;
    let request = |path: &str, length: usize| {
        format!(
            "POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: message/rfc822\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut sent = Vec::new();
    for (path, counted) in [
        ("mailboxes/77/inbound", (1, 0)),
        ("simulate/inbound?mailbox_id=77", (2, 0)),
        ("mailboxes/77/inbound", (2, 1)),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(path, 3).as_bytes()).await.unwrap();
        while api.api.mails.count() != counted {
            tokio::task::yield_now().await;
        }
        sent.push(stream);
    }
    assert_eq!(api.api.uploads.count(), (0, 0), "files have places of their own");
    for (stream, left) in sent.iter_mut().zip([(2, 0), (1, 0), (0, 0)]) {
        stream.write_all(b"a:b").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "it was read, and there is no such mailbox: {answer}");
        while api.api.mails.count() != left {
            tokio::task::yield_now().await;
        }
    }
    server.stop(false).await;
}
