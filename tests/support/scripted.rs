//! An IMAP server that answers as a script says where one wants something else than usual: for servers
//! in trouble, restored ones and those that never kept to the RFC. One folder, INBOX; anybody may log
//! in; it listens on loopback, without TLS.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A mail on the server.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its bytes.
    pub raw: Vec<u8>,
    /// When the server got it, as IMAP writes it.
    pub date: String,
}

/// What a command (in capitals, without its tag) is answered with besides the tagged line; an `Err` is
/// the tagged line itself. `None`: as usual.
pub type Script = Box<dyn FnMut(&str, &BTreeMap<usize, Kept>) -> Option<Result<Vec<u8>, String>> + Send>;

/// An answer that no server should give, byte for byte, with nothing behind it.
#[derive(Debug, Clone)]
pub struct Odd {
    /// What it is given to: a command as it begins, in capitals (`UID FETCH`); empty: the connection.
    pub at: &'static str,
    /// The answer; `TAG` in it stands for the command's tag.
    pub said: Vec<u8>,
    /// It is repeated until the client hangs up.
    pub is_endless: bool,
}

#[derive(Default)]
struct State {
    closed: bool,
    odd: Option<Odd>,
    odd_answers: usize,
    mails: BTreeMap<usize, Kept>,
    next: Option<usize>,
    commands: Vec<String>,
    script: Option<Script>,
}

/// A running server; it closes its port on drop.
pub struct ScriptedImap {
    /// Where it listens.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for ScriptedImap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedImap").field("port", &self.port).finish_non_exhaustive()
    }
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ScriptedImap {
    /// Starts a server with an empty INBOX.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if held(&serving).closed {
                    return;
                }
                let state = Arc::clone(&serving);
                // A client that goes away in mid-word is the client's affair.
                thread::spawn(move || drop(serve(&state, &socket)));
            }
        });
        Self { port, state }
    }

    /// A mailbox's source that reads it.
    pub fn source(&self) -> Value {
        json!({"type": "imap", "host": "127.0.0.1", "port": self.port, "security": "none",
               "username": "support", "password": "secret"})
    }

    /// Puts a mail under a number, in place of what is there.
    pub fn put(&self, uid: usize, raw: &[u8], date: &str) {
        held(&self.state).mails.insert(uid, Kept { raw: raw.to_vec(), date: date.to_owned() });
    }

    /// What the server gives as its next number from now on.
    pub fn claim_next(&self, next: usize) {
        held(&self.state).next = Some(next);
    }

    /// Answers by a script from now on.
    pub fn script(
        &self,
        script: impl FnMut(&str, &BTreeMap<usize, Kept>) -> Option<Result<Vec<u8>, String>> + Send + 'static,
    ) {
        held(&self.state).script = Some(Box::new(script));
    }

    /// Gives this answer from now on.
    pub fn be_odd(&self, odd: Odd) {
        held(&self.state).odd = Some(odd);
    }

    /// How often an odd answer was given.
    pub fn odd_answers(&self) -> usize {
        held(&self.state).odd_answers
    }

    /// Is well from now on.
    pub fn heal(&self) {
        let mut state = held(&self.state);
        state.script = None;
        state.odd = None;
    }

    /// What it was asked since the last time.
    pub fn commands(&self) -> Vec<String> {
        std::mem::take(&mut held(&self.state).commands)
    }

    /// The numbers of the mails that are there.
    pub fn uids(&self) -> Vec<usize> {
        held(&self.state).mails.keys().copied().collect()
    }
}

impl Drop for ScriptedImap {
    fn drop(&mut self) {
        held(&self.state).closed = true;
        // Wakes the listener, which then sees that it is to end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// The numbers of a set that are there; `*` is the highest.
pub fn chosen(set: &str, mails: &BTreeMap<usize, Kept>) -> Vec<usize> {
    let last = mails.keys().next_back().copied().unwrap_or(0);
    crate::imap::set(set, last).into_iter().filter(|uid| mails.contains_key(uid)).collect()
}

fn serve(state: &Mutex<State>, mut socket: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let greeting = odd(state, "", "*");
    match greeting {
        Some(said) => said.say(socket)?,
        None => socket.write_all(b"* OK ready\r\n")?,
    }
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof));
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or(("*", ""));
        let command = command.to_ascii_uppercase();
        if let Some(said) = odd(state, &command, tag) {
            said.say(socket)?;
            continue;
        }
        let (answer, done) = {
            let mut state = held(state);
            state.commands.push(command.clone());
            let mails = state.mails.clone();
            match state.script.as_mut().and_then(|script| script(&command, &mails)) {
                Some(Ok(answer)) => (answer, "OK done".to_owned()),
                Some(Err(done)) => (Vec::new(), done),
                None => usual(&command, &mut state),
            }
        };
        socket.write_all(&answer)?;
        socket.write_all(format!("{tag} {done}\r\n").as_bytes())?;
        if command == "LOGOUT" {
            return Ok(());
        }
    }
}

/// The odd answer to a command, or, where that is empty, to a new connection.
fn odd(state: &Mutex<State>, command: &str, tag: &str) -> Option<Odd> {
    let mut state = held(state);
    let is_meant = |odd: &&Odd| command.starts_with(odd.at) && command.is_empty() == odd.at.is_empty();
    let mut odd = state.odd.as_ref().filter(is_meant).cloned()?;
    state.odd_answers += 1;
    if let Some(at) = odd.said.windows(3).position(|three| three == b"TAG") {
        odd.said.splice(at..at + 3, tag.bytes());
    }
    Some(odd)
}

impl Odd {
    fn say(&self, mut socket: &TcpStream) -> io::Result<()> {
        loop {
            socket.write_all(&self.said)?;
            if !self.is_endless {
                return Ok(());
            }
        }
    }
}

fn usual(command: &str, state: &mut State) -> (Vec<u8>, String) {
    let last = state.mails.keys().next_back().copied().unwrap_or(0);
    let mut answer = Vec::new();
    if command.starts_with("CAPABILITY") {
        answer.extend(b"* CAPABILITY IMAP4rev1 MOVE UIDPLUS\r\n");
    } else if command.starts_with("SELECT") || command.starts_with("EXAMINE") {
        let (count, next) = (state.mails.len(), state.next.unwrap_or(last + 1));
        let told = format!("* {count} EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT {next}] x\r\n");
        answer.extend(told.into_bytes());
    } else if let Some(rest) = command.strip_prefix("UID FETCH ") {
        for uid in chosen(rest, &state.mails) {
            answer.extend(fetched(uid, &state.mails[&uid], rest, None));
        }
    } else if let Some(rest) = command.strip_prefix("UID SEARCH ") {
        // Days are not looked at: what is too old is told by its time.
        let set = rest.strip_prefix("UID ").unwrap_or("1:*");
        let uids: Vec<String> = chosen(set, &state.mails).iter().map(usize::to_string).collect();
        answer.extend(format!("* SEARCH {}\r\n", uids.join(" ")).into_bytes());
    } else if let Some(rest) = command.strip_prefix("UID EXPUNGE ") {
        for uid in chosen(rest, &state.mails) {
            state.mails.remove(&uid);
        }
    }
    (answer, "OK done".to_owned())
}

/// What is asked of a mail, as the server usually gives it; `body` in place of its bytes.
pub fn fetched(uid: usize, mail: &Kept, asked: &str, body: Option<&[u8]>) -> Vec<u8> {
    let (size, date) = (mail.raw.len(), &mail.date);
    let mut answer =
        format!("* {uid} FETCH (UID {uid} FLAGS () INTERNALDATE \"{date}\" RFC822.SIZE {size}").into_bytes();
    let mut literal = |name: String, bytes: &[u8]| {
        answer.extend(format!(" {name} {{{}}}\r\n", bytes.len()).into_bytes());
        answer.extend_from_slice(bytes);
    };
    let whole = body.unwrap_or(&mail.raw);
    if let Some((_, part)) = asked.split_once("BODY.PEEK[]<") {
        let start: usize = part.split('.').next().and_then(|start| start.parse().ok()).unwrap_or(0);
        let piece = whole.get(start.min(whole.len())..).unwrap_or_default();
        literal(format!("BODY[]<{start}>"), &piece[..piece.len().min(1 << 20)]);
    } else if asked.contains("BODY.PEEK[]") {
        literal("BODY[]".to_owned(), whole);
    } else if asked.contains("HEADER.FIELDS") {
        let head = mail.raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |end| end + 4);
        literal("BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM)]".to_owned(), &mail.raw[..head]);
    }
    answer.extend_from_slice(b")\r\n");
    answer
}
