//! An SMTP receiver that keeps what it is sent and refuses what it is told to (RFC 5321, with
//! STARTTLS, TLS from the first byte, AUTH, SIZE and 8BITMIME).
//!
//! It is strict where lenient servers hide faults: bare CR or LF in a mail, commands out of order
//! and commands sent before the answer to the last one are all refused.

mod session;

use crate::oauth::TokenBook;
use crate::tls::Certificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The user name that AUTH accepts.
pub const USER: &str = "support";
/// The password that AUTH accepts.
pub const PASSWORD: &str = "p\u{e4}ssword \"\\ 42";

/// A mail that was accepted, or that the server took and then hung up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// MAIL FROM, without angle brackets; empty for the null sender.
    pub from: String,
    /// RCPT TO, as written, in order, without those who were refused.
    pub to: Vec<String>,
    /// The mail with CRLF line ends, dots unstuffed.
    pub raw: Vec<u8>,
    /// It came through TLS.
    pub tls: bool,
    /// The user who had logged in.
    pub login: Option<String>,
    /// The name the client gave in EHLO.
    pub helo: String,
    /// The parameters of MAIL FROM: `SIZE=1234 BODY=8BITMIME`.
    pub parameters: String,
}

impl Captured {
    /// The first header of this name, unfolded and trimmed; not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// All headers of this name, unfolded and trimmed; not decoded.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let fields = unfolded.split("\r\n").filter_map(|line| line.split_once(':'));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// The whole mail as text, what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
}

/// Where in a conversation something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Instead of the greeting.
    Greeting,
    /// In answer to EHLO.
    Ehlo,
    /// In answer to STARTTLS.
    StartTls,
    /// In answer to AUTH.
    Auth,
    /// In answer to MAIL.
    Mail,
    /// In answer to RCPT.
    Rcpt,
    /// In answer to DATA.
    Data,
    /// In answer to the dot that ends the mail.
    Dot,
}

#[derive(Debug, Clone)]
enum Fault {
    Reply(String),
    HangUp,
    Stall,
    Hold,
}

/// How a receiver differs from the usual one.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What it shows.
    pub certificate: Certificate,
    /// Offer no STARTTLS on the plain port.
    pub no_starttls: bool,
    /// Refuse mail from those who have not logged in.
    pub login_required: bool,
    /// Offer SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The largest mail it takes, in bytes; said in EHLO.
    pub max_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            certificate: Certificate::Good,
            no_starttls: false,
            login_required: false,
            smtputf8: false,
            max_size: 64 << 20,
        }
    }
}

/// A running receiver; it closes its ports and connections on drop.
#[derive(Debug)]
pub struct SmtpSink {
    /// Port of SMTP that starts in the clear and offers STARTTLS.
    pub port: u16,
    /// Port of SMTP inside TLS.
    pub tls_port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    tls: Arc<ServerConfig>,
    state: Mutex<State>,
    arrived: Notify,
    let_go: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    open: Vec<TcpStream>,
    connections: usize,
    logins: usize,
    mails: Vec<Captured>,
    taken: usize,
    refused: HashMap<String, String>,
    faults: VecDeque<(Phase, Fault)>,
    accepted_with: Option<String>,
    tokens: Option<TokenBook>,
    /// How often what was held was let go.
    let_go: usize,
    held: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next fault that was asked for, if it is for this phase.
    fn fault(&self, phase: Phase) -> Option<Fault> {
        let mut state = self.state();
        let at = state.faults.iter().position(|(when, _)| *when == phase)?;
        state.faults.remove(at).map(|(_, fault)| fault)
    }

    /// Waits until the test lets go, or ends.
    fn hold(&self) {
        let mut state = self.state();
        let before = state.let_go;
        state.held += 1;
        let held = self.let_go.wait_while(state, |state| state.let_go == before && !state.closed);
        held.unwrap_or_else(PoisonError::into_inner).held -= 1;
    }
}

impl SmtpSink {
    /// Starts a receiver.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a receiver that differs.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start_with(options: Options) -> Self {
        let shared = Arc::new(Shared {
            options,
            tls: tls_config(options.certificate),
            state: Mutex::default(),
            arrived: Notify::new(),
            let_go: Condvar::new(),
        });
        let port = listen(&shared, false);
        let tls_port = listen(&shared, true);
        Self { port, tls_port, shared }
    }

    /// Every mail so far.
    pub fn mails(&self) -> Vec<Captured> {
        self.shared.state().mails.clone()
    }

    /// The next mail that no call has answered yet; waits for it.
    ///
    /// # Panics
    /// If none comes within two minutes.
    pub async fn next(&self) -> Captured {
        let arrival = async {
            loop {
                let mut arrived = pin!(self.shared.arrived.notified());
                // Before looking, or a mail that comes in between would wake nobody.
                arrived.as_mut().enable();
                {
                    let mut state = self.shared.state();
                    if let Some(mail) = state.mails.get(state.taken).cloned() {
                        state.taken += 1;
                        return mail;
                    }
                }
                arrived.await;
            }
        };
        timeout(Duration::from_mins(2), arrival).await.expect("a mail arrives within two minutes")
    }

    /// Takes logins by token (XOAUTH2) from now on, with the tokens of a book.
    pub fn accept_tokens(&self, book: TokenBook) {
        self.shared.state().tokens = Some(book);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// How often somebody has tried to log in.
    pub fn logins(&self) -> usize {
        self.shared.state().logins
    }

    /// Forgets all faults that were asked for and have not happened.
    pub fn forget_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Answers RCPT for this address with `reply` (`550 5.1.1 No such user`) from now on.
    pub fn refuse_rcpt(&self, address: &str, reply: &str) {
        self.shared.state().refused.insert(address.to_lowercase(), reply.to_owned());
    }

    /// Answers RCPT for this address with 250 again.
    pub fn accept_rcpt(&self, address: &str) {
        self.shared.state().refused.remove(&address.to_lowercase());
    }

    /// Answers the next command of this phase with `reply` (`451 4.3.0 Try later`), once. Asked for
    /// several times, it happens that often.
    pub fn fail_next(&self, phase: Phase, reply: &str) {
        self.shared.state().faults.push_back((phase, Fault::Reply(reply.to_owned())));
    }

    /// Closes the connection instead of answering the next command of this phase, once.
    pub fn hang_up_next(&self, phase: Phase) {
        self.shared.state().faults.push_back((phase, Fault::HangUp));
    }

    /// Never answers the next command of this phase, once; the connection stays open.
    pub fn stall_next(&self, phase: Phase) {
        self.shared.state().faults.push_back((phase, Fault::Stall));
    }

    /// Answers the next command of this phase as usual, once, but only after [`SmtpSink::let_go`]. A mail
    /// that ends meanwhile is taken already.
    pub fn hold_next(&self, phase: Phase) {
        self.shared.state().faults.push_back((phase, Fault::Hold));
    }

    /// How many connections are held just now.
    pub fn held(&self) -> usize {
        self.shared.state().held
    }

    /// Answers all that is held.
    pub fn let_go(&self) {
        self.shared.state().let_go += 1;
        self.shared.let_go.notify_all();
    }

    /// Closes all connections that are open.
    pub fn hang_up(&self) {
        let open = std::mem::take(&mut self.shared.state().open);
        for socket in open {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Takes the next mail and closes the connection without saying so: the sender can't know.
    pub fn drop_after_dot(&self) {
        self.hang_up_next(Phase::Dot);
    }

    /// Accepts mail with these words from now on (`250 Ok 0100018c2-…`), as services do that name
    /// the id they gave the mail.
    pub fn accept_with(&self, reply: &str) {
        self.shared.state().accepted_with = Some(reply.to_owned());
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let open = {
            let mut state = self.shared.state();
            state.closed = true;
            std::mem::take(&mut state.open)
        };
        self.shared.let_go.notify_all();
        for socket in open {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        for port in [self.port, self.tls_port] {
            // Wakes the listener, which then sees that it is to end.
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
        }
    }
}

fn listen(shared: &Arc<Shared>, tls: bool) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (Ok(to_end), Ok(to_drop)) = (socket.try_clone(), socket.try_clone()) else { continue };
            {
                let mut state = shared.state();
                if state.closed {
                    return;
                }
                state.connections += 1;
                state.open.push(to_drop);
            }
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // A client that goes away in mid-word is the client's affair; the test sees no mail.
                drop(session::serve(&shared, socket, tls));
                // Other handles are still open, so that only this closes it; the client may have.
                let _ = to_end.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

fn tls_config(certificate: Certificate) -> Arc<ServerConfig> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate.file()).expect("the certificate is our own").collect();
    let key = PrivateKeyDer::from_pem_file(certificate.key_file()).expect("the key is our own");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain.expect("openssl wrote PEM"), key)
        .expect("key and certificate belong together");
    Arc::new(config)
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
