//! The receiver keeps to the protocol, spoken to line by line.

use super::*;
use crate::tls;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};

struct Client<S: Read> {
    lines: BufReader<S>,
}

impl Client<TcpStream> {
    fn new(sink: &SmtpSink) -> Self {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, sink.port)).unwrap();
        Self { lines: BufReader::new(socket) }
    }
}

impl<S: Read + Write> Client<S> {
    /// The code of the next answer; 0 if the connection is closed.
    fn code(&mut self) -> u16 {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return 0;
            }
            if line.as_bytes()[3] == b' ' {
                return line[..3].parse().unwrap();
            }
        }
    }

    fn say(&mut self, text: &str) -> u16 {
        self.lines.get_mut().write_all(text.as_bytes()).unwrap();
        self.code()
    }

    /// The codes of the answers to these commands, the greeting's first.
    fn all(&mut self, commands: &[&str]) -> Vec<u16> {
        let mut codes = vec![self.code()];
        codes.extend(commands.iter().map(|command| self.say(&format!("{command}\r\n"))));
        codes
    }
}

const ENVELOPE: [&str; 4] =
    ["EHLO there", "MAIL FROM:<a@example.org> SIZE=20 BODY=8BITMIME", "RCPT TO:<b@example.org>", "DATA"];

#[tokio::test]
async fn keeps_a_mail_as_it_was_meant() {
    let sink = SmtpSink::start();
    let mut client = Client::new(&sink);
    assert_eq!(client.all(&ENVELOPE), [220, 250, 250, 250, 354]);
    let mail = "Subject: dots\r\n and folds\r\n\r\n..one\r\n.\n";
    assert_eq!(client.say(&format!("{}\r\n.\r\n", mail.replace(".\n", "...\r\nend"))), 250);
    let kept = sink.next().await;
    assert_eq!(kept.text(), "Subject: dots\r\n and folds\r\n\r\n.one\r\n..\r\nend\r\n");
    assert_eq!(kept.header("subject").as_deref(), Some("dots and folds"));
    assert_eq!((kept.from.as_str(), kept.to), ("a@example.org", vec!["b@example.org".to_owned()]));
    assert_eq!((kept.tls, kept.login, kept.helo.as_str()), (false, None, "there"));
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn refuses_what_lenient_servers_let_pass() {
    let sink = SmtpSink::start();
    for body in ["a\nb", "a\rb", "a\n.\nb", "a\n.\r\nb"] {
        let mut client = Client::new(&sink);
        client.all(&ENVELOPE);
        assert_eq!(client.say(&format!("{body}\r\n.\r\n")), 521, "{body:?}");
    }
    assert_eq!(Client::new(&sink).all(&["MAIL FROM:<a@example.org>"]), [220, 503]);
    assert_eq!(Client::new(&sink).all(&["EHLO x", "DATA"]), [220, 250, 503]);
    assert_eq!(Client::new(&sink).all(&["EHLO x\r\nMAIL FROM:<a@example.org>"]), [220, 503]);
    assert_eq!(sink.mails(), []);
}

#[test]
fn goes_wrong_where_and_as_often_as_it_was_told() {
    let sink = SmtpSink::start();
    sink.refuse_rcpt("B@example.org", "550 5.1.1 Nobody");
    assert_eq!(Client::new(&sink).all(&ENVELOPE), [220, 250, 250, 550, 503]);
    sink.accept_rcpt("b@example.org");
    sink.fail_next(Phase::Greeting, "421 4.3.2 Closing");
    assert_eq!(Client::new(&sink).code(), 421);
    sink.fail_next(Phase::Mail, "451 4.7.1 Later");
    assert_eq!(Client::new(&sink).all(&ENVELOPE), [220, 250, 451, 503, 503]);
    sink.hang_up_next(Phase::Data);
    assert_eq!(Client::new(&sink).all(&ENVELOPE), [220, 250, 250, 250, 0]);
    sink.fail_next(Phase::Dot, "452 4.3.1 Full");
    let mut client = Client::new(&sink);
    assert_eq!(client.all(&ENVELOPE), [220, 250, 250, 250, 354]);
    assert_eq!(client.say("x\r\n.\r\n"), 452);
    assert_eq!(sink.mails(), []);
    sink.drop_after_dot();
    let mut client = Client::new(&sink);
    client.all(&ENVELOPE);
    assert_eq!(client.say("taken\r\n.\r\n"), 0);
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn logins_are_checked() {
    let sink = SmtpSink::start_with(Options { login_required: true, ..Options::default() });
    let plain = |password: &str| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{USER}\0{password}")))
    };
    let mail = "MAIL FROM:<a@example.org>";
    assert_eq!(Client::new(&sink).all(&["EHLO x", mail]), [220, 250, 530]);
    assert_eq!(Client::new(&sink).all(&["EHLO x", &plain("wrong"), mail]), [220, 250, 535, 530]);
    assert_eq!(Client::new(&sink).all(&["EHLO x", &plain(PASSWORD), mail]), [220, 250, 235, 250]);
}

#[tokio::test]
async fn takes_mail_through_tls_on_both_ports() {
    let sink = SmtpSink::start();
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(tls::ca_file()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let config = Arc::new(config);
    for (port, starttls) in [(sink.port, true), (sink.tls_port, false)] {
        let mut client =
            Client { lines: BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()) };
        if starttls {
            assert_eq!(client.all(&["EHLO x", "STARTTLS"]), [220, 250, 220]);
        }
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let stream = StreamOwned::new(tls, client.lines.into_inner());
        let mut client = Client { lines: BufReader::new(stream) };
        if !starttls {
            assert_eq!(client.code(), 220);
        }
        let codes = ENVELOPE.map(|command| client.say(&format!("{command}\r\n")));
        assert_eq!(codes, [250, 250, 250, 354]);
        assert_eq!(client.say("secret\r\n.\r\n"), 250);
        assert!(sink.next().await.tls);
    }
}

#[test]
fn a_dropped_receiver_is_gone() {
    let sink = SmtpSink::start();
    let port = sink.port;
    let mut client = Client::new(&sink);
    assert_eq!(client.code(), 220);
    drop(sink);
    assert_eq!(client.code(), 0);
    // The listener's thread ends when it has seen the last connection; until then it takes it and
    // closes it without a word.
    if let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        let mut said = Vec::new();
        assert_eq!(socket.read_to_end(&mut said).unwrap_or(0), 0);
    }
}
