//! An SMTP server that follows a script: for tests alone.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Writes bytes as they are.
    Say(&'static [u8]),
    /// Writes them one by one.
    Stammer(&'static [u8]),
    /// Reads a line, which must begin so.
    Hear(&'static str),
    /// Reads a mail up to and with its final dot.
    Mail,
    /// Goes on with TLS, showing this certificate of `fixtures`.
    Tls(&'static str),
    /// Writes as much as the client takes, then waits, without reading, for the test to end it.
    Deaf(&'static [u8]),
    /// Hangs up.
    Close,
}

/// What the server heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The lines of `Hear`, without their ends.
    pub(crate) lines: Vec<String>,
    /// The bytes of `Mail`, final dot and doubled dots included.
    pub(crate) mail: Vec<u8>,
    /// All that came after the script's end.
    pub(crate) rest: Vec<u8>,
}

/// A server that waits for one client.
pub(crate) struct Script {
    pub(crate) port: u16,
    thread: JoinHandle<Heard>,
    end: Sender<()>,
}

impl Script {
    /// After its last step the server goes on listening, answers QUIT and nothing else.
    pub(crate) fn play(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // a client that hangs fails the test instead of stopping it
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            Player { stream: Stream::Plain(stream), heard: Heard::default(), ended }.play(&steps)
        });
        Self { port, thread, end }
    }

    /// Waits until the client has gone; fails where it did not keep to the script.
    pub(crate) async fn end(self) -> Heard {
        drop(self.end);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The path of a file of `fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fixtures").join(name)
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes),
            Self::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }
}

struct Player {
    stream: Stream,
    heard: Heard,
    ended: Receiver<()>,
}

impl Player {
    fn play(mut self, steps: &[Step]) -> Heard {
        for step in steps {
            match step {
                Step::Say(bytes) => self.stream.write(bytes).unwrap(),
                Step::Stammer(bytes) => bytes.iter().for_each(|byte| self.stream.write(&[*byte]).unwrap()),
                Step::Hear(beginning) => {
                    let line = self.until(|line| line.ends_with(b"\r\n"));
                    let line = String::from_utf8(line).unwrap().trim_end().to_owned();
                    assert!(line.starts_with(beginning), "{line:?} is not {beginning:?}");
                    self.heard.lines.push(line);
                }
                Step::Mail => {
                    self.heard.mail = self.until(|mail| mail.ends_with(b"\r\n.\r\n") || mail == b".\r\n");
                }
                Step::Tls(certificate) => self = self.encrypt(certificate),
                Step::Deaf(bytes) => {
                    // the client may have enough before the end
                    let _ = self.stream.write(bytes);
                    // an error is the end: the other side is dropped
                    let _ = self.ended.recv();
                    return self.heard;
                }
                Step::Close => {
                    self.stream.tcp().shutdown(Shutdown::Both).unwrap();
                    return self.heard;
                }
            }
        }
        self.listen()
    }

    /// Byte by byte, so that nothing behind is taken away.
    fn until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !enough(&bytes) {
            let mut byte = [0];
            let count = self.stream.read(&mut byte).unwrap();
            assert_eq!(count, 1, "the client hung up after {:?}", String::from_utf8_lossy(&bytes));
            bytes.push(byte[0]);
        }
        bytes
    }

    fn encrypt(self, certificate: &str) -> Self {
        let Stream::Plain(tcp) = self.stream else { panic!("TLS inside TLS") };
        let chain = CertificateDer::pem_file_iter(fixture(certificate)).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(fixture("server.key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), tcp);
        while tls.conn.is_handshaking() {
            // a client that does not trust the certificate ends the handshake; the script then
            // goes on into an error unless this was its last step
            if tls.conn.complete_io(&mut tls.sock).is_err() {
                break;
            }
        }
        Self { stream: Stream::Tls(Box::new(tls)), heard: self.heard, ended: self.ended }
    }

    fn listen(mut self) -> Heard {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.heard,
                Ok(count) => self.heard.rest.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the client stays without a word")
                }
                // it hung up in a hurry
                Err(_) => return self.heard,
            }
            if self.heard.rest == b"QUIT\r\n" {
                // it may not have waited
                let _ = self.stream.write(b"221 bye\r\n");
            }
        }
    }
}
