//! Sixteen clients that keep their connections and ask as fast as they are answered, in as few steps
//! as it takes, so that what is measured is the server and not them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients at the same time.
pub const CLIENTS: usize = 16;

/// What a server did under load.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Answers a second, all clients together.
    pub rate: f64,
    /// Milliseconds that one answer of two took at the most.
    pub median: f64,
    /// Milliseconds that 99 of 100 took at the most.
    pub p99: f64,
}

/// A request as it goes over the wire.
pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One answer's body.
pub fn ask(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    Client::new(server).ask(request, &mut body);
    body
}

/// Asks so often, each time for what `make` says.
pub fn measure(server: SocketAddr, count: usize, make: impl Fn(usize) -> Vec<u8> + Sync) -> Measured {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| some(server, count, &next, &make))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("each is answered")).collect()
    });
    let took = began.elapsed().as_secs_f64();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    Measured { rate: count as f64 / took, median: at(0.5), p99: at(0.99) }
}

fn some(
    server: SocketAddr,
    count: usize,
    next: &AtomicUsize,
    make: &(impl Fn(usize) -> Vec<u8> + Sync),
) -> Vec<Duration> {
    let (mut client, mut body, mut times) = (Client::new(server), Vec::new(), Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return times;
        }
        let request = make(number);
        let began = Instant::now();
        client.ask(&request, &mut body);
        times.push(began.elapsed());
    }
}

struct Client {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).expect("the server listens");
        stream.set_nodelay(true).expect("a socket has this option");
        Self { stream, buffer: vec![0; 64 * 1024].into_boxed_slice() }
    }

    fn ask(&mut self, request: &[u8], body: &mut Vec<u8>) {
        self.stream.write_all(request).expect("the server listens");
        body.clear();
        let mut head_ends = None;
        loop {
            let read = self.stream.read(&mut self.buffer).expect("the server answers");
            assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(body));
            body.extend_from_slice(&self.buffer[..read]);
            let ends = head_ends.or_else(|| ends_at(body));
            head_ends = ends;
            if let Some((head, whole)) = ends
                && body.len() >= whole
            {
                assert!(body.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(body));
                body.drain(..head);
                return;
            }
        }
    }
}

/// Where an answer's head ends and where all of it does.
fn ends_at(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("a head is text").to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).expect("a length is told");
    Some((head, head + length.trim().parse::<usize>().expect("a length is a number")))
}
