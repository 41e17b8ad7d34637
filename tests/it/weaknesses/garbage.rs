//! V-40: whatever is said to the port, the daemon lives and answers whoever comes next.

use super::exchange;
use crate::program::Shell;
use std::net::SocketAddr;
use support::http::Http;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Bytes that look like chance and are the same in every run (xorshift).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn all() -> Vec<(String, Vec<u8>)> {
    let live = "GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\n";
    let post = "POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let told: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("zeros", vec![0; 70_000]),
        ("line feeds", vec![b'\n'; 70_000]),
        ("half a request", live.as_bytes()[..30].to_vec()),
        ("a request without its end", live.as_bytes().to_vec()),
        // A ClientHello of TLS 1.2 as far as its random bytes.
        ("TLS", [&[0x16, 3, 1, 0, 0xf4, 1, 0, 0, 0xf0, 3, 3][..], &noise(7, 240)].concat()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("HTTP/2 by upgrade", format!("{live}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n").into_bytes()),
        ("HTTP/9", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /\r\n".to_vec()),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("SMTP", b"EHLO x\r\nMAIL FROM:<a@x.example>\r\n".to_vec()),
        ("a proxy's hello", b"PROXY TCP4 198.51.100.7 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a frame of a socket", "GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\u{81}\u{ff}not json".into()),
        ("a header of a megabyte", format!("{live}X-Large: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes()),
        ("an address of a megabyte", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20)).into_bytes()),
        ("ten thousand headers", format!("{live}{}\r\n", "X-Many: x\r\n".repeat(10_000)).into_bytes()),
        ("a header without a colon", format!("{live}nonsense\r\n\r\n").into_bytes()),
        ("a header with a NUL", format!("{live}X-Nul: a\0b\r\n\r\n").into_bytes()),
        ("a folded header", format!("{live}X-Folded: a\r\n b\r\n\r\n").into_bytes()),
        ("a length below nothing", format!("{post}Content-Length: -1\r\n\r\n").into_bytes()),
        ("a length beyond all", format!("{post}Content-Length: 99999999999999999999\r\n\r\n").into_bytes()),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}x").into_bytes()),
        ("a length and pieces", format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n").into_bytes()),
        ("a piece beyond all", format!("{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n").into_bytes()),
        ("a piece of a negative size", format!("{post}Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n").into_bytes()),
        ("pieces twice", format!("{post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n").into_bytes()),
        ("an unknown encoding", format!("{post}Transfer-Encoding: nonsense\r\n\r\nx").into_bytes()),
        ("gzip that is none", format!("{post}Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope").into_bytes()),
        ("half a body", format!("{post}Content-Length: 100\r\n\r\n{{\"email\": ").into_bytes()),
        ("a body of no JSON", [format!("{post}Content-Length: 64\r\n\r\n").as_bytes(), &noise(11, 64)].concat()),
        ("a path out of the tree", b"GET /docs/../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()),
        ("a path of half a character", b"GET /%ff%fe%00%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()),
        ("a method of nonsense", b"\xff\xfe / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("another machine's address", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec()),
        ("the whole server", b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()),
    ];
    let mut all: Vec<(String, Vec<u8>)> =
        told.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    all.extend((1..=20).map(|seed| (format!("noise {seed}"), noise(seed * 0x9E37_79B9, 4_096))));
    all
}

async fn lives(address: SocketAddr) {
    Http::new(address).get("/api/v1/health/live").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_to_the_port_the_next_request_is_answered() {
    let shell = Shell::new();
    shell.run(&["token", "create", "--name", "x"]).well();
    let served = shell.serve();
    let address = served.address;
    let mut slow = Vec::new();
    let mut said = JoinSet::new();
    for (name, bytes) in all() {
        // Once by somebody who hangs up at once, once by somebody who never comes to an end.
        let mut gone = TcpStream::connect(address).await.expect("the daemon listens");
        let _cut = gone.write_all(&bytes).await;
        drop(gone);
        let mut socket = TcpStream::connect(address).await.expect("the daemon listens");
        let _cut = socket.write_all(&bytes[..bytes.len().min(40)]).await;
        slow.push(socket);
        lives(address).await;
        said.spawn(async move { (name, exchange(address, &bytes).await, bytes) });
    }
    while let Some(done) = said.join_next().await {
        let (name, answer, bytes) = done.expect("nobody panics");
        let answer = String::from_utf8_lossy(&answer);
        // What is answered at all is a refusal; a whole request in front of nonsense has its answer.
        let first = answer.lines().next().unwrap_or_default();
        let is_refusal = first.is_empty() || first.starts_with("HTTP/1.1 4");
        let is_whole = first == "HTTP/1.1 200 OK" && bytes.starts_with(b"GET /api/v1/health/live");
        assert!(is_refusal || is_whole || name == "the whole server", "{name}: {first}");
        assert!(!answer.contains("panicked") && !answer.contains("root:"), "{name}: {answer}");
        lives(address).await;
    }
    for _ in 0..200 {
        let mut socket = TcpStream::connect(address).await.expect("the daemon listens");
        socket.write_all(b"GET /api/v1/me HTTP/1.1\r\nX-Slow: ").await.expect("it is read");
        slow.push(socket);
    }
    for _ in 0..10 {
        lives(address).await;
    }
    let (code, log) = served.end("TERM");
    assert_eq!(code, Some(0), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:?}");
    drop(slow);
}
