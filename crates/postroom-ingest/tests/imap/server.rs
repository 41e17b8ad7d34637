//! A server that does what a script says, on a thread of its own, for one connection.

use postroom_core::mailbox::{AfterIngest, AuthMethod, Credential, Import, Security, Source};
use postroom_ingest::imap::{ImapSession, connect_within};
use postroom_ingest::shield::Limits;
use postroom_ingest::transport::Timeouts;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub const PASSWORD: &str = "correct horse";

pub fn password() -> Credential {
    Credential::Password(PASSWORD.to_owned())
}

/// A test that goes wrong should end, and not in an hour.
pub const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    io: Duration::from_secs(20),
    command: Duration::from_mins(1),
};

pub struct Server {
    pub port: u16,
    script: JoinHandle<()>,
}

impl Server {
    /// Waits for a connection and plays.
    pub fn play(script: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let script = std::thread::spawn(move || {
            let (tcp, _) = listener.accept().expect("the client connects");
            tcp.set_nodelay(true).expect("it is a TCP socket");
            tcp.set_read_timeout(Some(Duration::from_secs(30))).expect("30 s is a time limit");
            script(&mut Peer { line: Line::Plain(tcp), tag: String::new() });
        });
        Self { port, script }
    }

    /// Greets, lets the client in, and plays.
    pub fn let_in(script: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Self::play(|peer| {
            peer.let_in("IMAP4rev1 MOVE UIDPLUS");
            script(peer);
        })
    }

    pub fn source(&self, security: Security) -> Source {
        Source::Imap {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security,
            username: "amy".to_owned(),
            auth: AuthMethod::Password,
            folders: vec!["INBOX".to_owned()],
            after_ingest: AfterIngest::Leave,
            import: Import::All,
            sent_folder: None,
            junk_folder: None,
            ca_file: (security != Security::None).then(|| certificate("ca")),
        }
    }

    pub fn session(&self) -> ImapSession {
        self.session_within(&PATIENT, Limits::default())
    }

    pub fn session_within(&self, timeouts: &Timeouts, limits: Limits) -> ImapSession {
        connect_within(&self.source(Security::None), &password(), timeouts, limits)
            .expect("it lets everybody in")
    }

    /// Waits for the script's end; fails where it failed.
    pub fn end(self) {
        if let Err(panic) = self.script.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Where a certificate of the tests lies.
pub fn certificate(name: &str) -> String {
    format!("{}/tests/imap/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// The server's end of a connection.
pub struct Peer {
    line: Line,
    tag: String,
}

impl Peer {
    /// Greets, lets the client in, and tells it then what it can do.
    pub fn let_in(&mut self, can: &str) {
        self.say("* OK ready\r\n");
        self.hear("CAPABILITY");
        self.say("* CAPABILITY IMAP4rev1\r\n");
        self.ok();
        self.hear(&format!("LOGIN \"amy\" \"{PASSWORD}\""));
        self.ok();
        self.able(can);
    }

    /// Tells what it can do.
    pub fn able(&mut self, can: &str) {
        self.hear("CAPABILITY");
        self.say(&format!("* CAPABILITY {can}\r\n"));
        self.ok();
    }

    /// Opens a folder with this many mails, numbered from 1.
    pub fn open(&mut self, exists: u32) {
        self.hear("EXAMINE \"INBOX\"");
        let next = exists + 1;
        self.say(&format!("* {exists} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {next}] x\r\n"));
        self.ok();
    }

    /// Opens a folder for changes.
    pub fn open_writable(&mut self) {
        self.hear("SELECT \"INBOX\"");
        self.say("* 9 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n");
        self.finish("OK [READ-WRITE] done");
    }

    /// Waits for a command, which must be this one.
    pub fn hear(&mut self, command: &str) {
        let line = self.hear_line().expect("a command comes");
        let (tag, rest) = line.split_once(' ').expect("a command has a tag");
        assert_eq!(rest, command);
        tag.clone_into(&mut self.tag);
    }

    /// The next line; `None` at the end.
    pub fn hear_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            let read = match &mut self.line {
                Line::Plain(tcp) => tcp.read(&mut byte),
                Line::Tls(tls) => tls.read(&mut byte),
            };
            match read {
                Ok(1) if byte == *b"\n" => break,
                Ok(1) => line.extend_from_slice(&byte),
                _ => return None,
            }
        }
        Some(String::from_utf8(line).expect("commands are UTF-8").trim_end().to_owned())
    }

    /// Reads something that need not be text; says whether there was anything.
    pub fn hear_bytes(&mut self) -> bool {
        let mut bytes = [0; 1024];
        match &mut self.line {
            Line::Plain(tcp) => tcp.read(&mut bytes).is_ok_and(|read| read > 0),
            Line::Tls(tls) => tls.read(&mut bytes).is_ok_and(|read| read > 0),
        }
    }

    pub fn say(&mut self, words: &str) {
        self.send(words.as_bytes()).expect("the client listens");
    }

    /// Sends bytes; says whether somebody took them.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.line {
            Line::Plain(tcp) => tcp.write_all(bytes),
            Line::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    pub fn ok(&mut self) {
        self.finish("OK done");
    }

    /// Ends the answer to the command that was heard last.
    pub fn finish(&mut self, status: &str) {
        let tag = self.tag.clone();
        self.say(&format!("{tag} {status}\r\n"));
    }

    /// Goes over to TLS with one of the tests' certificates. Says whether the client went along.
    pub fn secure(&mut self, name: &str) -> bool {
        let Line::Plain(tcp) = &self.line else { panic!("it is secure already") };
        let chain = vec![CertificateDer::from_pem_file(certificate(name)).expect("it is a certificate")];
        let key = certificate("server").replace(".pem", ".key");
        let key = PrivateKeyDer::from_pem_file(key).expect("it is a key");
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider knows TLS 1.2 and 1.3")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("key and certificate belong together");
        let connection = ServerConnection::new(Arc::new(config)).expect("the configuration is sound");
        let mut tls = StreamOwned::new(connection, tcp.try_clone().expect("a socket can be cloned"));
        while tls.conn.is_handshaking() {
            if tls.conn.complete_io(&mut tls.sock).is_err() {
                return false;
            }
        }
        self.line = Line::Tls(Box::new(tls));
        true
    }
}
