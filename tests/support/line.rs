//! A line between a mail client and an IMAP server that a test can make bad: it cuts connections,
//! holds them still, hands over byte by byte, and says when mail is asked for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// All of it goes through.
    Through,
    /// It breaks when the server has said so many bytes.
    CutAfter(usize),
    /// Nothing more comes, and nobody hangs up, when the server has said so many bytes; until
    /// [`Line::let_go`].
    StallAfter(usize),
    /// Every byte of the server comes alone.
    ByteByByte,
}

type Courses = dyn Fn(usize) -> Course + Send + Sync;
type AtFetch = dyn Fn(usize) + Send + Sync;

/// A running line. It takes no new connections after drop.
pub struct Line {
    /// Where it listens, on loopback.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    courses: Box<Courses>,
    at_fetch: Box<AtFetch>,
    connections: AtomicUsize,
    fetches: AtomicUsize,
    stalled: AtomicUsize,
    closed: AtomicBool,
    let_go: Mutex<bool>,
    told: Condvar,
}

impl Line {
    /// Starts a line to a server on this machine. `courses` says of each connection, counted from 0, what
    /// becomes of it; `at_fetch` is called whenever whole mails are asked for, counted from 1 over all
    /// connections, before the server hears of it.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start(
        server: u16,
        courses: impl Fn(usize) -> Course + Send + Sync + 'static,
        at_fetch: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared {
            server,
            courses: Box::new(courses),
            at_fetch: Box::new(at_fetch),
            connections: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            stalled: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            let_go: Mutex::new(false),
            told: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if serving.closed.load(Ordering::SeqCst) {
                    return;
                }
                serving.connect(client);
            }
        });
        Self { port, shared }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How often whole mails were asked for.
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    /// How many connections were brought to a standstill.
    pub fn stalled(&self) -> usize {
        self.shared.stalled.load(Ordering::SeqCst)
    }

    /// Cuts what stands still, now and from now on.
    pub fn let_go(&self) {
        *self.shared.let_go.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.told.notify_all();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.let_go();
        // Wakes the listener, which then sees that it is to end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let course = (self.courses)(self.connections.fetch_add(1, Ordering::SeqCst));
        // A server that is down is what its client sees: the connection ends.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server)) else { return };
        let (Ok(to_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
        // What is handed on must not wait for more.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (asking, answering) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || asking.ask(client, to_server));
        thread::spawn(move || answering.answer(server, to_client, course));
    }

    /// The client's words, a line at a time.
    fn ask(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut line = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = read(&mut client, &mut buffer) {
            for byte in &buffer[..count] {
                line.push(*byte);
                if *byte == b'\n' {
                    let words = String::from_utf8_lossy(&line).to_ascii_uppercase();
                    if words.contains(" UID FETCH ") && words.contains("BODY.PEEK[]") {
                        (self.at_fetch)(self.fetches.fetch_add(1, Ordering::SeqCst) + 1);
                    }
                    line.clear();
                }
            }
            if server.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    }

    fn answer(&self, mut server: TcpStream, mut client: TcpStream, course: Course) {
        let mut said = 0;
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = read(&mut server, &mut buffer) {
            let limit = match course {
                Course::CutAfter(limit) | Course::StallAfter(limit) => limit,
                Course::Through | Course::ByteByByte => usize::MAX,
            };
            let passed = count.min(limit.saturating_sub(said));
            let piece = if course == Course::ByteByByte { 1 } else { passed.max(1) };
            if buffer[..passed].chunks(piece).any(|piece| client.write_all(piece).is_err()) {
                break;
            }
            said += count;
            if passed < count {
                if matches!(course, Course::StallAfter(_)) {
                    self.stand_still();
                }
                break;
            }
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    }

    fn stand_still(&self) {
        self.stalled.fetch_add(1, Ordering::SeqCst);
        let mut let_go = self.let_go.lock().unwrap_or_else(PoisonError::into_inner);
        while !*let_go {
            let_go = self.told.wait(let_go).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn read(from: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
