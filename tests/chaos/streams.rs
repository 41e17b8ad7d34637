//! F-38: event streams that nobody reads. They cost little, and hold up nobody who does.

use crate::plan::{Plan, say, seed};
use crate::points::{deliver, place};
use crate::rig::{PATIENCE, Rig, maildir};
use serde_json::{Value, json};
use socket2::SockRef;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use support::database::is_long_run;
use support::http::{EventStream, Http};
use support::workdir::WorkDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Who do not read; five to a token.
const STALLED: usize = 200;
/// What all of them may cost, in KiB.
const GROWTH_KIB: u64 = 64 * 1024;

/// More than the system may hold at the reader's end.
const SLACK: u64 = 32 * 1024;

/// Opens a stream, reads its head and nothing more. The kernel keeps little for it, so that what is not
/// read soon is the daemon's to bear.
async fn stall(address: SocketAddr, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.set_recv_buffer_size(4_096).expect("as small as it gets");
    // A sender's kernel goes by the size of what it can send at once; of loopback's it would keep megabytes.
    SockRef::from(&socket).set_tcp_mss(536).expect("RFC 9293 3.7.1 has it for everybody");
    let mut stream = socket.connect(address).await.expect("it listens");
    let request = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it listens");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("it answers"));
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Bytes that the daemon gave to the system for these clients and that nobody took, by their ports.
fn unsent(server: SocketAddr) -> Vec<(u16, u64)> {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux lists its connections");
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, queue) = (port(fields.get(1)?)?, port(fields.get(2)?)?, fields.get(4)?);
        let waits = u64::from_str_radix(queue.split_once(':')?.0, 16).ok()?;
        (local == server.port()).then_some((remote, waits))
    });
    rows.collect()
}

/// What ends a body in pieces (RFC 9112 section 7.1).
const LAST_CHUNK: &str = "0\r\n\r\n";

/// All that a stream still has to say.
async fn read_on(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    while !all.ends_with(LAST_CHUNK.as_bytes()) {
        let more = tokio::time::timeout(PATIENCE, stream.read_buf(&mut all)).await;
        let more = more.unwrap_or_else(|_| panic!("it says no more: {}", String::from_utf8_lossy(&all)));
        if more.expect("it is open") == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Everything that a stream says until this event.
async fn read_until(stream: &mut EventStream, last: i64) -> Vec<Value> {
    let mut all = Vec::new();
    while all.last().is_none_or(|event: &Value| event["seq"] != last) {
        let event = stream.next().await;
        if !event.data.is_empty() {
            all.push(event.json());
        }
    }
    all
}

#[test]
fn two_hundred_who_do_not_read_cost_little_and_hold_up_nobody() {
    let count = if is_long_run() { 6_000 } else { 1_800 };
    let plan = Plan::new(seed("F-38"), count);
    let mail = WorkDir::new("maildir");
    // What taking mail in costs by itself is not what is asked: the daemon has done it before.
    let (early, late) = plan.mails.split_at(count / 3);
    place(mail.path(), early);
    let rig = Rig::new(&maildir(mail.path()));
    let running = rig.start(&[]);
    let (address, caller) = (running.address().expect("it starts"), running.caller().expect("it starts"));
    caller.settle().expect("it takes mail in");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begun = caller.events().len();

    let (mut stalled, mut secrets) = (Vec::new(), Vec::new());
    for number in 0..STALLED.div_ceil(5) {
        let token =
            json!({"name": format!("stalled {number}"), "scopes": ["events:read", "conversations:read"]});
        let made = caller.post("/api/v1/tokens", &token).expect("it runs").expect(201).json();
        let secret = made["token"].as_str().expect("shown once").to_owned();
        stalled.extend((0..5).map(|_| runtime.block_on(stall(address, &secret))));
        secrets.push(secret);
    }
    let mut eager =
        runtime.block_on(Http::new(address).with_token(rig.token()).events("/api/v1/events/stream", &[]));
    let before = running.memory_kib("VmRSS");
    let tokens = caller.events().len();

    deliver(mail.path(), late);
    caller.settle().expect("it takes mail in");
    let all = caller.events();
    let last = all.last().and_then(|event| event["seq"].as_i64()).expect("there are events");
    let read = runtime.block_on(read_until(&mut eager, last));
    assert_eq!(read, all[tokens..], "who reads gets everything, in order");

    // What was said to each is more than the system took for them: the rest waits in the daemon.
    let said: u64 = read.iter().map(|event| event.to_string().len() as u64).sum();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waiting = unsent(address);
        let full = stalled.iter().filter(|client| {
            let port = client.local_addr().expect("it is open").port();
            waiting.iter().any(|(remote, bytes)| *remote == port && (1..said - SLACK).contains(bytes))
        });
        if full.count() == STALLED {
            break;
        }
        assert!(Instant::now() < deadline, "not all are full: {said} bytes, {waiting:?}");
        thread::sleep(Duration::from_millis(50));
    }
    let grown = running.memory_kib("VmRSS").saturating_sub(before);
    say(&format!("F-38: {} events, {STALLED} that do not read: {grown} KiB more", all.len() - begun));
    assert!(grown < GROWTH_KIB, "{grown} KiB");

    // Whoever comes anew takes the seat of one that does not read, and is told; that one is told when it reads again.
    let newer = Http::new(address).with_token(&secrets[0]);
    let mut newer = runtime.block_on(newer.events("/api/v1/events/stream", &[]));
    caller.post("/api/v1/tags", &json!({"name": "news"})).expect("it runs").expect(201);
    runtime.block_on(newer.until(|event| event.name == "tag.created"));
    let rest = runtime.block_on(read_on(&mut stalled[0]));
    let closed = rest.find("event: stream.closed").unwrap_or_else(|| panic!("it is not told: {rest}"));
    assert!(rest[closed..].contains("stream_replaced") && rest.ends_with(LAST_CHUNK), "{}", &rest[closed..]);
    drop(stalled);
    running.kill();
}
