//! The way to a server: TCP with time limits, TLS from the first byte or by STARTTLS, or neither
//! on this very machine.

mod tls;

use crate::error::{SourceError, clean};
use crate::shield::Shield;
use postroom_core::mailbox::Security;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To reach one of the server's addresses: 10 s.
    pub connect: Duration,
    /// For the next bytes to come or to go: 60 s.
    pub io: Duration,
    /// For one command and its whole answer, however steadily it trickles: 10 min. Greeting, TLS
    /// and login count as one.
    pub command: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            io: Duration::from_mins(1),
            command: Duration::from_mins(10),
        }
    }
}

/// Addresses of one name that are tried at most: each may cost a whole connect timeout.
const ADDRESSES: usize = 8;

/// Bytes of a greeting or of an answer to STARTTLS: nothing honest is longer.
const PLAIN_LINE: usize = 8 << 10;

/// Lines between STARTTLS and its answer: nothing honest sends more.
const PLAIN_LINES: usize = 16;

/// A server, as the settings name it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub host: String,
    pub port: u16,
}

impl Place {
    pub fn lost(&self, why: impl Into<String>) -> SourceError {
        SourceError::Lost { host: self.host.clone(), port: self.port, why: why.into(), source: None }
    }

    /// A connection that broke, in words that fit how it did.
    pub fn broken(&self, error: io::Error) -> SourceError {
        let why = match error.kind() {
            _ if is_late(&error) => "the server did not answer in time",
            io::ErrorKind::UnexpectedEof => "the server hung up in the middle of an answer",
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                "the server hung up"
            }
            io::ErrorKind::InvalidData => return self.lost(error.to_string()),
            _ => "reading or writing failed",
        };
        let (host, port) = (self.host.clone(), self.port);
        SourceError::Lost { host, port, why: why.into(), source: Some(error) }
    }

    pub fn unsafe_because(&self, why: impl Into<String>) -> SourceError {
        SourceError::Tls { host: self.host.clone(), port: self.port, why: why.into() }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// When what is under way must be done.
#[derive(Debug, Clone)]
pub(crate) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    fn within(limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + limit)))
    }

    /// Something new begins.
    pub fn set(&self, limit: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + limit;
    }

    fn left(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_duration_since(Instant::now())
    }
}

/// A socket whose reads and writes each end in time, and all of them together by the deadline.
#[derive(Debug)]
pub(crate) struct Timed {
    tcp: TcpStream,
    deadline: Deadline,
    /// The longest that one read or write may take, unless somebody asks for another limit.
    usual: Duration,
    /// The longest that one may take now.
    limit: Duration,
    /// When what is waited for without asking must have come.
    until: Option<Instant>,
    /// What the socket is set to.
    set: Duration,
}

impl Timed {
    fn new(tcp: TcpStream, usual: Duration, deadline: Deadline) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(usual))?;
        tcp.set_write_timeout(Some(usual))?;
        Ok(Self { tcp, deadline, usual, limit: usual, until: None, set: usual })
    }

    /// Makes sure that the next call ends by the deadline.
    fn hurry(&mut self) -> io::Result<()> {
        let mut left = self.deadline.left();
        if let Some(until) = self.until {
            left = left.min(until.saturating_duration_since(Instant::now()));
        }
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        let limit = left.min(self.limit);
        if limit != self.set {
            self.tcp.set_read_timeout(Some(limit))?;
            self.tcp.set_write_timeout(Some(limit))?;
            self.set = limit;
        }
        Ok(())
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.hurry()?;
        self.tcp.read(buf)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.hurry()?;
        self.tcp.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// A connection to a server, greeted.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Wire {
    /// The connection once more.
    pub fn line(&mut self) -> io::Result<TcpStream> {
        self.timed().tcp.try_clone()
    }

    fn timed(&mut self) -> &mut Timed {
        match self {
            Self::Plain(timed) => timed,
            Self::Tls(tls) => &mut tls.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// The crate asks for a limit when it begins to wait for news and takes it away afterwards: there is
/// always one. What it asks for counts from now on, and not anew with every line that comes.
impl imap::extensions::idle::SetReadTimeout for Shield<Wire> {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> imap::Result<()> {
        let timed = self.stream().timed();
        timed.limit = timeout.unwrap_or(timed.usual);
        timed.until = timeout.map(|limit| Instant::now() + limit);
        Ok(())
    }
}

/// Connects, and reads the greeting; nothing secret has been said by then.
pub(crate) fn open(
    place: &Place,
    security: Security,
    ca_file: Option<&str>,
    timeouts: &Timeouts,
) -> Result<(Wire, Deadline), SourceError> {
    let trust = match security {
        Security::None => None,
        Security::Tls | Security::StartTls => Some(tls::Trust::new(place, ca_file)?),
    };
    let tcp = reach(place, security, timeouts.connect)?;
    let deadline = Deadline::within(timeouts.command);
    let mut timed = Timed::new(tcp, timeouts.io, deadline.clone()).map_err(|error| place.broken(error))?;
    let wire = match (security, trust) {
        (Security::Tls, Some(trust)) => {
            let mut wire = trust.shake_hands(place, timed)?;
            greet(place, &mut wire)?;
            wire
        }
        (Security::StartTls, Some(trust)) => {
            greet(place, &mut timed)?;
            start_tls(place, &mut timed)?;
            trust.shake_hands(place, timed)?
        }
        _ => {
            greet(place, &mut timed)?;
            Wire::Plain(timed)
        }
    };
    Ok((wire, deadline))
}

/// Connects to the first of a name's addresses that answers.
fn reach(place: &Place, security: Security, limit: Duration) -> Result<TcpStream, SourceError> {
    let unreachable =
        |source| SourceError::Unreachable { host: place.host.clone(), port: place.port, source };
    let name = idna::domain_to_ascii(&place.host).unwrap_or_else(|_| place.host.clone());
    let addresses: Vec<SocketAddr> =
        (name.as_str(), place.port).to_socket_addrs().map_err(unreachable)?.take(ADDRESSES).collect();
    if security == Security::None && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(SourceError::Insecure { host: place.host.clone() });
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// Reads the greeting (RFC 3501 section 7.1).
fn greet(place: &Place, stream: &mut impl Read) -> Result<(), SourceError> {
    let line = plain_line(place, stream).map_err(|error| match error {
        SourceError::Lost { source: Some(error), .. } if is_late(&error) => {
            place.lost("the server does not greet; does this port want TLS from the first byte?")
        }
        other => other,
    })?;
    let Some(greeting) = line.strip_prefix(b"* ") else {
        return Err(place.lost(format!("this is not an IMAP server; it said: {}", clean(&line))));
    };
    match greeting.split(u8::is_ascii_whitespace).next() {
        Some(word) if word.eq_ignore_ascii_case(b"OK") => Ok(()),
        Some(word) if word.eq_ignore_ascii_case(b"BYE") => {
            Err(place.lost(format!("the server takes no connection now; it said: {}", clean(greeting))))
        }
        // Also PREAUTH: a user that nobody asked for, and before STARTTLS a way around it.
        _ => Err(place.lost(format!("the server greets in an unexpected way; it said: {}", clean(greeting)))),
    }
}

/// Asks for TLS (RFC 3501 section 6.2.1). There is no going on without it: who can take STARTTLS
/// out of the conversation could read the password.
fn start_tls(place: &Place, stream: &mut (impl Read + Write)) -> Result<(), SourceError> {
    stream.write_all(b"s STARTTLS\r\n").map_err(|error| place.broken(error))?;
    for _ in 0..PLAIN_LINES {
        let line = plain_line(place, stream)?;
        if let Some(answer) = line.strip_prefix(b"s ") {
            return match answer.get(..2) {
                Some(status) if status.eq_ignore_ascii_case(b"OK") => Ok(()),
                _ => Err(place.unsafe_because(format!(
                    "the server refuses STARTTLS, and nothing is sent without it; it said: {}",
                    clean(answer)
                ))),
            };
        }
        let told = line.strip_prefix(b"* ");
        if told.is_none_or(|told| told.to_ascii_uppercase().starts_with(b"BYE")) {
            return Err(place.lost(format!("the server ended it at STARTTLS; it said: {}", clean(&line))));
        }
    }
    Err(place.lost("the server does not answer STARTTLS"))
}

/// Reads a line before there is a session, byte by byte: what somebody may have put behind it
/// stays in the socket, where the TLS handshake fails over it, and never counts as said under TLS.
fn plain_line(place: &Place, stream: &mut impl Read) -> Result<Vec<u8>, SourceError> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < PLAIN_LINE {
        match stream.read(&mut byte) {
            Ok(0) => return Err(place.broken(io::Error::from(io::ErrorKind::UnexpectedEof))),
            Ok(_) if byte == *b"\n" => return Ok(line),
            Ok(_) => line.extend_from_slice(&byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(place.broken(error)),
        }
    }
    Err(place.lost("the server sent an endless line"))
}
