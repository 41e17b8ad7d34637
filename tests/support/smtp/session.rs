//! One SMTP connection, from greeting to QUIT.

use super::{Captured, Fault, PASSWORD, Phase, Shared, USER};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, PoisonError};

/// RFC 5321 4.5.3.1.4 wants 512; AUTH may need more (RFC 4954 section 4).
const LONGEST_COMMAND: usize = 12_288;

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(socket) => socket.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(socket) => socket.write_all(bytes).and_then(|()| socket.flush()),
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    stream: Option<Stream>,
    /// Read but not yet looked at.
    ahead: Vec<u8>,
    helo: String,
    login: Option<String>,
    mail: Option<Captured>,
}

/// What a command did to the connection.
enum Next {
    Go,
    End,
}

pub(super) fn serve(shared: &Shared, socket: TcpStream, tls: bool) -> io::Result<()> {
    let mut session = Session {
        shared,
        stream: Some(Stream::Plain(socket)),
        ahead: Vec::new(),
        helo: String::new(),
        login: None,
        mail: None,
    };
    if tls {
        session.start_tls()?;
    }
    if let Next::End = session.answer(Phase::Greeting, "220 localhost ESMTP ready")? {
        return Ok(());
    }
    loop {
        let line = session.line(LONGEST_COMMAND)?;
        if !session.ahead.is_empty() {
            // PIPELINING (RFC 2920) is not offered.
            session.say("503 5.5.0 Wait for the answer before the next command")?;
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if let Next::End = session.command(&verb.to_ascii_uppercase(), rest.trim())? {
            return Ok(());
        }
    }
}

impl Session<'_> {
    fn command(&mut self, verb: &str, rest: &str) -> io::Result<Next> {
        match verb {
            "EHLO" | "HELO" => {
                rest.clone_into(&mut self.helo);
                self.mail = None;
                let greeting = self.offers();
                self.answer(Phase::Ehlo, &greeting)
            }
            "STARTTLS" if self.is_tls() || self.shared.options.no_starttls => {
                self.say("502 5.5.1 No TLS here")
            }
            "STARTTLS" => {
                if let Some(fault) = self.shared.fault(Phase::StartTls) {
                    return self.go_wrong(fault);
                }
                self.say("220 2.0.0 Go ahead")?;
                self.start_tls()?;
                // RFC 3207 section 4.2: everything said before is forgotten.
                self.helo.clear();
                self.login = None;
                self.mail = None;
                Ok(Next::Go)
            }
            "AUTH" => self.auth(rest),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data(),
            "RSET" => {
                self.mail = None;
                self.say("250 2.0.0 Forgotten")
            }
            "NOOP" => self.say("250 2.0.0 Still here"),
            "QUIT" => {
                self.say("221 2.0.0 Bye")?;
                Ok(Next::End)
            }
            _ => self.say("500 5.5.2 What is that?"),
        }
    }

    fn offers(&self) -> String {
        let options = self.shared.options;
        let mut offers = vec!["localhost".to_owned(), format!("SIZE {}", options.max_size)];
        offers.extend(
            [
                "8BITMIME",
                "ENHANCEDSTATUSCODES",
                if self.shared.state().tokens.is_some() { "AUTH XOAUTH2" } else { "AUTH PLAIN LOGIN" },
            ]
            .map(str::to_owned),
        );
        if !options.no_starttls && !self.is_tls() {
            offers.push("STARTTLS".to_owned());
        }
        if options.smtputf8 {
            offers.push("SMTPUTF8".to_owned());
        }
        let last = offers.len() - 1;
        let mark = |at: usize| if at == last { ' ' } else { '-' };
        let lines: Vec<String> =
            offers.iter().enumerate().map(|(at, offer)| format!("250{}{offer}", mark(at))).collect();
        lines.join("\r\n")
    }

    fn auth(&mut self, rest: &str) -> io::Result<Next> {
        if self.helo.is_empty() || self.mail.is_some() || self.login.is_some() {
            return self.say("503 5.5.1 Not now");
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let (user, password) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let given = if initial.is_empty() { self.ask("334 ")? } else { decode(initial) };
                let parts: Vec<String> = given.split('\0').map(str::to_owned).collect();
                match &parts[..] {
                    [_, user, password] => (user.clone(), password.clone()),
                    _ => return self.say("501 5.5.2 Not PLAIN"),
                }
            }
            "LOGIN" => {
                let user = if initial.is_empty() { self.ask("334 VXNlcm5hbWU6")? } else { decode(initial) };
                (user, self.ask("334 UGFzc3dvcmQ6")?)
            }
            "XOAUTH2" => return self.auth_by_token(&decode(initial)),
            _ => return self.say("504 5.5.4 Unknown mechanism"),
        };
        self.shared.state().logins += 1;
        if (user.as_str(), password.as_str()) != (USER, PASSWORD) {
            return self.say("535 5.7.8 Wrong user name or password");
        }
        let answer = self.answer(Phase::Auth, "235 2.7.0 Welcome")?;
        self.login = Some(user);
        Ok(answer)
    }

    /// As Google documents it: the fault comes in a challenge, which wants an empty answer.
    fn auth_by_token(&mut self, given: &str) -> io::Result<Next> {
        let Some(book) = self.shared.state().tokens.clone() else {
            return self.say("504 5.5.4 Unknown mechanism");
        };
        let parts: Vec<&str> = given.split('\x01').collect();
        let ["user", user] = parts[0].splitn(2, '=').collect::<Vec<_>>()[..] else {
            return self.say("501 5.5.2 Not XOAUTH2");
        };
        let token = parts.get(1).and_then(|part| part.strip_prefix("auth=Bearer ")).unwrap_or_default();
        self.shared.state().logins += 1;
        let is_good = book.lock().unwrap_or_else(PoisonError::into_inner).contains(token);
        if !is_good {
            let said = self.ask("334 eyJzdGF0dXMiOiI0MDAifQ==")?;
            let answer = if said.is_empty() {
                "535 5.7.8 Username and Password not accepted"
            } else {
                "501 5.5.2 What?"
            };
            return self.say(answer);
        }
        let answer = self.answer(Phase::Auth, "235 2.7.0 Accepted")?;
        self.login = Some(user.to_owned());
        Ok(answer)
    }

    fn mail(&mut self, rest: &str) -> io::Result<Next> {
        let options = self.shared.options;
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.5.4 MAIL FROM:<address>");
        };
        let upper = parameters.to_ascii_uppercase();
        let size = upper.split(' ').find_map(|word| word.strip_prefix("SIZE=")?.parse::<usize>().ok());
        if self.helo.is_empty() || self.mail.is_some() {
            return self.say("503 5.5.1 Not now");
        }
        if options.login_required && self.login.is_none() {
            return self.say("530 5.7.0 Log in first");
        }
        if size.is_some_and(|size| size > options.max_size) {
            return self.say("552 5.3.4 Too large");
        }
        let utf8 = options.smtputf8 && upper.contains("SMTPUTF8");
        if !(from.is_ascii() || utf8) {
            return self.say("553 5.6.7 Only ASCII addresses");
        }
        if let Some(fault) = self.shared.fault(Phase::Mail) {
            return self.go_wrong(fault);
        }
        self.mail = Some(Captured {
            from,
            to: Vec::new(),
            raw: Vec::new(),
            tls: self.is_tls(),
            login: self.login.clone(),
            helo: self.helo.clone(),
            parameters,
        });
        self.say("250 2.1.0 Ok")
    }

    fn rcpt(&mut self, rest: &str) -> io::Result<Next> {
        let Some((to, _)) = path(rest, "TO:").filter(|(to, _)| !to.is_empty()) else {
            return self.say("501 5.5.4 RCPT TO:<address>");
        };
        if self.mail.is_none() {
            return self.say("503 5.5.1 MAIL first");
        }
        if let Some(fault) = self.shared.fault(Phase::Rcpt) {
            return self.go_wrong(fault);
        }
        let refusal = self.shared.state().refused.get(&to.to_lowercase()).cloned();
        if let Some(reply) = refusal {
            return self.say(&reply);
        }
        if let Some(mail) = &mut self.mail {
            mail.to.push(to);
        }
        self.say("250 2.1.5 Ok")
    }

    fn data(&mut self) -> io::Result<Next> {
        let Some(mut mail) = self.mail.take_if(|mail| !mail.to.is_empty()) else {
            return self.say("503 5.5.1 RCPT first");
        };
        match self.shared.fault(Phase::Data) {
            Some(Fault::Hold) => self.shared.hold(),
            Some(fault) => return self.go_wrong(fault),
            None => {}
        }
        self.say("354 End with a dot on a line of its own")?;
        let mut bare = false;
        loop {
            let line = self.line(usize::MAX)?;
            if line == b"." {
                break;
            }
            bare |= line.contains(&b'\n') || line.contains(&b'\r');
            mail.raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            mail.raw.extend_from_slice(b"\r\n");
        }
        if bare {
            return self.say("521 5.5.2 Bare CR or LF received");
        }
        if mail.raw.len() > self.shared.options.max_size {
            return self.say("552 5.3.4 Too large");
        }
        let fault = self.shared.fault(Phase::Dot);
        if let Some(fault @ (Fault::Reply(_) | Fault::Stall)) = fault {
            return self.go_wrong(fault);
        }
        let accepted = {
            let mut state = self.shared.state();
            state.mails.push(mail);
            state.accepted_with.clone()
        };
        match fault {
            None => {}
            Some(Fault::Hold) => {
                self.shared.arrived.notify_waiters();
                self.shared.hold();
            }
            Some(_) => {
                self.shared.arrived.notify_waiters();
                return Ok(Next::End);
            }
        }
        let said = self.say(accepted.as_deref().unwrap_or("250 2.0.0 Ok: queued"));
        // After the answer, so that a test that goes on from here finds the sender knowing it.
        self.shared.arrived.notify_waiters();
        said
    }

    /// Sends an answer, or does what was asked for in its place.
    fn answer(&mut self, phase: Phase, reply: &str) -> io::Result<Next> {
        match self.shared.fault(phase) {
            Some(Fault::Hold) => {
                self.shared.hold();
                self.say(reply)
            }
            Some(fault) => self.go_wrong(fault),
            None => self.say(reply),
        }
    }

    fn go_wrong(&mut self, fault: Fault) -> io::Result<Next> {
        match fault {
            // RFC 5321 section 3.8: after 421 the server closes.
            Fault::Reply(reply) if reply.starts_with("421") => self.say(&reply).map(|_| Next::End),
            Fault::Reply(reply) => self.say(&reply),
            Fault::HangUp => Ok(Next::End),
            // Where there is no usual answer at hand it is only late.
            Fault::Hold => {
                self.shared.hold();
                self.say("451 4.3.0 That took long")
            }
            Fault::Stall => {
                // Ends when the client has had enough, or when the receiver is dropped.
                while self.fill()? {}
                Ok(Next::End)
            }
        }
    }

    fn say(&mut self, reply: &str) -> io::Result<Next> {
        let stream = self.stream.as_mut().ok_or(ErrorKind::NotConnected)?;
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
        Ok(Next::Go)
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        self.say(question)?;
        let line = self.line(LONGEST_COMMAND)?;
        Ok(decode(&String::from_utf8_lossy(&line)))
    }

    /// A line without its CRLF; nothing else ends one.
    fn line(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.ahead[searched..].windows(2).position(|two| two == b"\r\n") {
                let rest = self.ahead.split_off(searched + at + 2);
                let mut line = std::mem::replace(&mut self.ahead, rest);
                line.truncate(searched + at);
                return Ok(line);
            }
            if self.ahead.len() > limit {
                return Err(ErrorKind::InvalidData.into());
            }
            searched = self.ahead.len().saturating_sub(1);
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads some more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut some = [0; 16_384];
        let count = self.stream.as_mut().ok_or(ErrorKind::NotConnected)?.read(&mut some)?;
        self.ahead.extend_from_slice(&some[..count]);
        Ok(count > 0)
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    fn start_tls(&mut self) -> io::Result<()> {
        let Some(Stream::Plain(socket)) = self.stream.take() else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let connection = ServerConnection::new(Arc::clone(&self.shared.tls)).map_err(io::Error::other)?;
        self.stream = Some(Stream::Tls(Box::new(StreamOwned::new(connection, socket))));
        Ok(())
    }
}

/// `FROM:<ada@example.org> SIZE=12` → the address and what follows it.
fn path(rest: &str, keyword: &str) -> Option<(String, String)> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, parameters) = tail.trim_start().strip_prefix('<')?.split_once('>')?;
    Some((address.to_owned(), parameters.trim().to_owned()))
}

fn decode(text: &str) -> String {
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
