//! A small IMAP server for what a real one can't be told to do: logins by token (XOAUTH2) as Google
//! and Microsoft document them, sessions that end in the middle because the token ran out, and mail
//! that is there and not there. One folder, INBOX; it listens on loopback, without TLS.

use crate::oauth::TokenBook;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A running server; it closes its port on drop.
#[derive(Debug)]
pub struct ImapServer {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    book: TokenBook,
    state: Mutex<State>,
}

/// What a server does that is known by a password, for a test to change while it runs.
#[derive(Debug, Clone)]
pub struct Conduct {
    /// The generation of its numbers.
    pub uidvalidity: u32,
    /// When it got all its mail, in its own words.
    pub received: String,
    /// It shows an empty folder.
    pub empty: bool,
    /// The mails of these numbers are listed and not sent.
    pub withheld: Vec<usize>,
    /// They are not found either, where they are looked for by number.
    pub not_found: bool,
    /// It refuses to mark mail.
    pub refuses_marks: bool,
    /// How many mails were copied.
    pub copied: usize,
    /// The numbers of what was deleted.
    pub deleted: Vec<usize>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            uidvalidity: 1,
            received: "22-Nov-2026 08:00:00 +0000".to_owned(),
            empty: false,
            withheld: Vec::new(),
            not_found: false,
            refuses_marks: false,
            copied: 0,
            deleted: Vec::new(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// It lets in whoever has any password, and does not know MOVE.
    by_password: bool,
    conduct: Conduct,
    mails: Vec<Vec<u8>>,
    /// The tokens that were brought, each with whether it let in.
    logins: Vec<(String, bool)>,
    refuses: bool,
    expires: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ImapServer {
    /// Starts a server that lets in whoever brings a token of the book.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start(book: TokenBook) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared { book, state: Mutex::default() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if serving.state().closed {
                    return;
                }
                let shared = Arc::clone(&serving);
                // A client that goes away in mid-word is the client's affair.
                thread::spawn(move || drop(serve(&shared, socket)));
            }
        });
        Self { port, shared }
    }

    /// Starts a server that lets in whoever brings a password. Its folder can be written to; it does
    /// not know MOVE.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn by_password() -> Self {
        let server = Self::start(TokenBook::default());
        server.shared.state().by_password = true;
        server
    }

    /// Changes what it does from now on.
    pub fn change(&self, change: impl FnOnce(&mut Conduct)) {
        change(&mut self.shared.state().conduct);
    }

    /// What it does, and did.
    pub fn conduct(&self) -> Conduct {
        self.shared.state().conduct.clone()
    }

    /// A mail arrives; it gets the next number.
    pub fn deliver(&self, raw: &[u8]) {
        self.shared.state().mails.push(raw.to_vec());
    }

    /// The tokens that were brought so far, each with whether it let in.
    pub fn logins(&self) -> Vec<(String, bool)> {
        self.shared.state().logins.clone()
    }

    /// Refuses every token from now on, or no longer: somebody took the account's rights.
    pub fn refuse(&self, refuses: bool) {
        self.shared.state().refuses = refuses;
    }

    /// Ends the next session at its first fetch, as Microsoft does when a token runs out.
    pub fn expire_next(&self) {
        self.shared.state().expires = true;
    }
}

impl Drop for ImapServer {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        // Wakes the listener, which then sees that it is to end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn serve(shared: &Shared, socket: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut line = || {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    let say = |words: &[u8]| (&socket).write_all(words);
    say(b"* OK ready\r\n")?;
    let mut is_in = false;
    loop {
        let command = line()?;
        let (tag, rest) = command.split_once(' ').unwrap_or((&command, ""));
        let upper = rest.to_ascii_uppercase();
        let done = |words: &str| say(format!("{tag} {words}\r\n").as_bytes());
        match upper.split(' ').next().unwrap_or_default() {
            "CAPABILITY" => {
                let can = if shared.state().by_password {
                    "IMAP4rev1 UIDPLUS"
                } else {
                    "IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2 MOVE UIDPLUS"
                };
                say(format!("* CAPABILITY {can}\r\n").as_bytes())?;
                done("OK done")?;
            }
            "LOGIN" if shared.state().by_password => {
                is_in = true;
                done("OK done")?;
            }
            "AUTHENTICATE" if upper == "AUTHENTICATE XOAUTH2" => {
                say(b"+ \r\n")?;
                let token = token(&line()?);
                is_in = shared.book.lock().unwrap_or_else(PoisonError::into_inner).contains(&token);
                is_in &= !shared.state().refuses;
                shared.state().logins.push((token, is_in));
                if is_in {
                    done("OK AUTHENTICATE completed.")?;
                    continue;
                }
                say(
                    format!("+ {}\r\n", STANDARD.encode(r#"{"status":"400","schemes":"bearer"}"#)).as_bytes()
                )?;
                let words =
                    if line()?.is_empty() { "NO [AUTHENTICATIONFAILED] Invalid credentials" } else { "BAD" };
                done(words)?;
            }
            "LOGOUT" => {
                say(b"* BYE bye\r\n")?;
                return done("OK done");
            }
            "NOOP" => done("OK done")?,
            _ if !is_in => done("BAD log in first")?,
            "EXAMINE" | "SELECT" => {
                let (conduct, all) = there(shared);
                let next = if conduct.empty { 1 } else { shared.state().mails.len() + 1 };
                let told = format!(
                    "* {} EXISTS\r\n* OK [UIDVALIDITY {}] x\r\n* OK [UIDNEXT {next}] x\r\n",
                    all.len(),
                    conduct.uidvalidity
                );
                say(told.as_bytes())?;
                let is_writable = shared.state().by_password && upper.starts_with("SELECT");
                done(if is_writable { "OK [READ-WRITE] done" } else { "OK [READ-ONLY] done" })?;
            }
            "UID" if upper.starts_with("UID FETCH ") => {
                if std::mem::take(&mut shared.state().expires) {
                    return say(b"* BYE Session invalidated - AccessTokenExpired\r\n");
                }
                let (conduct, all) = there(shared);
                let mails = shared.state().mails.clone();
                for uid in set(&upper["UID FETCH ".len()..], mails.len()) {
                    let is_body =
                        ["BODY.PEEK[]", "BODY.PEEK[HEADER]"].iter().any(|part| upper.contains(part));
                    if all.contains(&uid) && !(is_body && conduct.withheld.contains(&uid)) {
                        say(&fetched(uid, &mails[uid - 1], &upper, &conduct.received))?;
                    }
                }
                done("OK done")?;
            }
            "UID" if upper.starts_with("UID SEARCH ") => {
                let (conduct, all) = there(shared);
                let count = shared.state().mails.len();
                let asked = upper.strip_prefix("UID SEARCH UID ").unwrap_or("1:*");
                let is_found =
                    |uid: &usize| all.contains(uid) && !(conduct.not_found && conduct.withheld.contains(uid));
                let uids = set(asked, count).into_iter().filter(is_found);
                let found = uids.fold(String::new(), |mut found, uid| {
                    // Writing to a String can't fail.
                    let _ = write!(found, " {uid}");
                    found
                });
                say(format!("* SEARCH{found}\r\n").as_bytes())?;
                done("OK done")?;
            }
            "UID" if upper.starts_with("UID COPY ") => {
                let count = shared.state().mails.len();
                shared.state().conduct.copied += set(&upper["UID COPY ".len()..], count).len();
                done("OK done")?;
            }
            "UID" if upper.starts_with("UID STORE ") => {
                let refuses = shared.state().conduct.refuses_marks;
                done(if refuses { "NO [NOPERM] you may not" } else { "OK done" })?;
            }
            "UID" if upper.starts_with("UID EXPUNGE ") => {
                let (_, all) = there(shared);
                let count = shared.state().mails.len();
                let gone = set(&upper["UID EXPUNGE ".len()..], count).into_iter();
                shared.state().conduct.deleted.extend(gone.filter(|uid| all.contains(uid)));
                done("OK done")?;
            }
            "LIST" | "STATUS" => done("OK done")?,
            _ => done("BAD what?")?,
        }
    }
}

/// What it does just now, and the numbers of the mail that is there.
fn there(shared: &Shared) -> (Conduct, Vec<usize>) {
    let state = shared.state();
    let conduct = state.conduct.clone();
    let count = if conduct.empty { 0 } else { state.mails.len() };
    let all = (1..=count).filter(|uid| !conduct.deleted.contains(uid)).collect();
    (conduct, all)
}

fn fetched(uid: usize, mail: &[u8], asked: &str, received: &str) -> Vec<u8> {
    let mut answer =
        format!("* {uid} FETCH (UID {uid} FLAGS () INTERNALDATE \"{received}\" RFC822.SIZE {}", mail.len())
            .into_bytes();
    let mut part = |name: &str, bytes: &[u8]| {
        answer.extend_from_slice(format!(" {name} {{{}}}\r\n", bytes.len()).as_bytes());
        answer.extend_from_slice(bytes);
    };
    let end = mail.windows(4).position(|four| four == b"\r\n\r\n").map_or(mail.len(), |at| at + 4);
    let (head, text) = mail.split_at(end);
    if asked.contains("BODY.PEEK[]") {
        part("BODY[]", mail);
    }
    if let Some(from) = asked.find("[HEADER.FIELDS ") {
        let fields = asked[from..].split(']').next().unwrap_or_default();
        part(&format!("BODY{fields}]"), head);
    }
    if asked.contains("BODY.PEEK[HEADER]<0.") {
        part("BODY[HEADER]<0>", head);
    }
    if let Some(most) = asked.split("BODY.PEEK[TEXT]<0.").nth(1) {
        let most: usize = most.split('>').next().and_then(|most| most.parse().ok()).unwrap_or(0);
        part("BODY[TEXT]<0>", &text[..text.len().min(most)]);
    }
    answer.extend_from_slice(b")\r\n");
    answer
}

/// The numbers of a set (`1:3,7`, `4:*`) that there are. `*` is the last there is.
pub(crate) fn set(text: &str, last: usize) -> Vec<usize> {
    let text = text.split(' ').next().unwrap_or_default();
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
    let mut found: Vec<usize> = text
        .split(',')
        .flat_map(|run| {
            let (from, to) = run.split_once(':').unwrap_or((run, run));
            let (from, to) = (number(from), number(to));
            from.min(to)..=from.max(to)
        })
        .filter(|uid| (1..=last).contains(uid))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// `user=… ^A auth=Bearer TOKEN ^A ^A` in base64.
fn token(response: &str) -> String {
    let decoded = STANDARD.decode(response).unwrap_or_default();
    let text = String::from_utf8_lossy(&decoded).into_owned();
    let token = text.split("\x01auth=Bearer ").nth(1).and_then(|rest| rest.strip_suffix("\x01\x01"));
    token.unwrap_or_default().to_owned()
}
