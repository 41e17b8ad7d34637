//! The client understands what a server may answer; the server here says fixed words.

use super::*;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with these bytes; the task ends with what was asked.
async fn serve(answer: impl Into<String>) -> (Http, JoinHandle<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let http = Http::new(listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 4096];
        let mut count = 0;
        while !asked[..count].ends_with(b"\r\n\r\n") && !asked[..count].ends_with(b"}") {
            count += socket.read(&mut asked[count..]).await.unwrap();
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked[..count].to_vec()).unwrap()
    });
    (http, task)
}

#[tokio::test]
async fn sends_json_with_its_length_and_the_token() {
    let (http, task) =
        serve("HTTP/1.1 201 Created\r\nETag: \"7\"\r\nContent-Length: 8\r\n\r\n{\"id\":1}trailing").await;
    let answer =
        http.with_token("pr_pat_x").post("/api/v1/tags", &serde_json::json!({"name": "ü"})).await.expect(201);
    assert_eq!(answer.json()["id"], 1);
    assert_eq!(answer.header("etag"), Some("\"7\""));
    let asked = task.await.unwrap();
    assert!(asked.starts_with("POST /api/v1/tags HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Authorization: Bearer pr_pat_x\r\n"), "{asked}");
    assert!(asked.contains("Content-Length: 13\r\n"), "{asked}");
}

#[tokio::test]
async fn puts_chunks_together_and_reads_to_the_end_without_a_length() {
    let (http, _) = serve(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\ndefghijklm\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(http.get("/").await.expect(200).text(), "abcdefghijklm");
    let (http, _) = serve("HTTP/1.1 200 OK\r\n\r\nto the end").await;
    assert_eq!(http.get("/").await.text(), "to the end");
    let (http, _) = serve("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(http.delete("/x").await.expect(204).body, b"");
}

#[tokio::test]
async fn reads_events_over_chunk_borders_and_skips_comments() {
    let chunks = [
        ": hello\n\n",
        "id: 1\nevent: message.received\nda",
        "ta: {\"seq\":1}\n\nid:2\ndata:x\ndata",
        ": y\n\n",
    ];
    let chunks = chunks.map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    let (http, _) =
        serve(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunks.concat())).await;
    let mut events = http.events("/api/v1/events", &[]).await;
    let first = events.next().await;
    assert_eq!((first.id.as_str(), first.name.as_str()), ("1", "message.received"));
    assert_eq!(first.json()["seq"], 1);
    let second = events.until(|event| event.id == "2").await;
    assert_eq!((second.name.as_str(), second.data.as_str()), ("message", "x\ny"));
}

#[tokio::test]
#[should_panic(expected = "GET /missing answered 404: gone")]
async fn a_status_that_was_not_expected_is_told_with_the_body() {
    let (http, _) = serve("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone").await;
    http.get("/missing").await.expect(200);
}
