//! From an open connection to a logged-in session.

use super::{ImapSession, Session, words};
use crate::error::SourceError;
use crate::shield::{Limits, Shelf, Shield};
use crate::transport::{self, Deadline, Place, Timeouts, Wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imap::types::Capabilities;
use postroom_core::mailbox::{Credential, Source};
use std::cell::Cell;
use std::net::TcpStream;

/// Logs in to the IMAP server of a mailbox; blocks, at most for the time limits.
///
/// # Errors
/// [`SourceError::NotImap`] where the source is another, and all that can go wrong on the way to a
/// session. No error holds the password or the token.
pub fn connect(
    source: &Source,
    credential: &Credential,
    timeouts: &Timeouts,
) -> Result<ImapSession, SourceError> {
    connect_within(source, credential, timeouts, Limits::default())
}

/// As [`connect`], with limits of one's own for what the server may send.
pub fn connect_within(
    source: &Source,
    credential: &Credential,
    timeouts: &Timeouts,
    limits: Limits,
) -> Result<ImapSession, SourceError> {
    let Source::Imap { host, port, security, username, ca_file, .. } = source else {
        return Err(SourceError::NotImap);
    };
    let place = Place { host: host.clone(), port: *port };
    let (mut wire, deadline) = transport::open(&place, *security, ca_file.as_deref(), timeouts)?;
    let line = wire.line().map_err(|error| place.broken(error))?;
    let shelf = Shelf::default();
    let mut client = imap::Client::new(Shield::new(wire, limits, shelf.clone()));
    // The transport has read it: before STARTTLS nobody else could.
    client.greeting_read = true;

    let entry = Entry { place: &place, shelf: &shelf, username, credential };
    let way = entry.way(&mut client)?;
    shelf.clear();
    let session = entry.log_in(client, way)?;
    ImapSession::start(place, (session, line), shelf, deadline, timeouts)
}

type Client = imap::Client<Shield<Wire>>;

/// How the secret gets across.
enum Way {
    /// `LOGIN`, for ASCII alone.
    Login,
    /// `AUTHENTICATE PLAIN` (RFC 4616), which takes any UTF-8.
    Plain,
    /// `AUTHENTICATE XOAUTH2`, as Google and Microsoft document it.
    Xoauth2,
}

struct Entry<'a> {
    place: &'a Place,
    shelf: &'a Shelf,
    username: &'a str,
    credential: &'a Credential,
}

impl Entry<'_> {
    fn way(&self, client: &mut Client) -> Result<Way, SourceError> {
        let can: Capabilities = super::guard(|| client.capabilities())
            .map_err(|failure| failure.explain(self.place, self.shelf, "tell what it can do"))?;
        if let Credential::Bearer(_) = self.credential {
            return if can.has_str("AUTH=XOAUTH2") {
                Ok(Way::Xoauth2)
            } else {
                Err(self.refused("it offers no login by OAuth 2 (XOAUTH2) on this connection", false))
            };
        }
        let is_ascii = self.username.is_ascii() && self.credential.secret().is_ascii();
        match (can.has_str("LOGINDISABLED"), can.has_str("AUTH=PLAIN")) {
            (false, _) if is_ascii => Ok(Way::Login),
            (_, true) => Ok(Way::Plain),
            // Many servers take 8-bit passwords in spite of the standard.
            (false, false) => Ok(Way::Login),
            (true, false) => Err(self.refused("it offers no login by password on this connection", false)),
        }
    }

    fn log_in(&self, client: Client, way: Way) -> Result<Session, SourceError> {
        let outcome = super::guard(|| {
            let outcome = match way {
                Way::Login => client.login(self.username, self.credential.secret()),
                Way::Plain => client.authenticate("PLAIN", &Answer::new(self.plain())),
                Way::Xoauth2 => client.authenticate("XOAUTH2", &Answer::new(self.xoauth2())),
            };
            outcome.map_err(|(error, _client)| error)
        });
        outcome.map_err(|failure| {
            let line = self.shelf.last_line();
            let tells = self.is_told_in(&line);
            if failure.is_answer() {
                let said = if tells { String::new() } else { words::said(&line) };
                self.refused(&said, words::is_for_now(&line))
            } else if tells {
                self.place.lost("the server ended it at the login")
            } else {
                failure.explain(self.place, self.shelf, "log in")
            }
        })
    }

    fn refused(&self, said: &str, for_now: bool) -> SourceError {
        SourceError::LoginRefused {
            host: self.place.host.clone(),
            port: self.place.port,
            username: self.username.to_owned(),
            check: match self.credential {
                Credential::Password(_) => "username and password",
                Credential::Bearer(_) => "the username and what it was authorized for",
            },
            said: said.to_owned(),
            for_now,
        }
    }

    /// Some servers repeat a command they did not like: what they say then is not passed on.
    fn is_told_in(&self, line: &[u8]) -> bool {
        let secret = self.credential.secret();
        let escaped = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let encoded = [self.plain(), self.xoauth2()].map(|whole| STANDARD.encode(whole));
        let [plain, xoauth2] = encoded;
        let secrets = [secret.to_owned(), escaped, STANDARD.encode(secret), plain, xoauth2];
        let line = String::from_utf8_lossy(line);
        secrets.iter().any(|secret| !secret.is_empty() && line.contains(secret.as_str()))
    }

    /// What AUTHENTICATE PLAIN sends, before it is encoded.
    fn plain(&self) -> String {
        format!("\0{}\0{}", self.username, self.credential.secret())
    }

    /// What AUTHENTICATE XOAUTH2 sends, before it is encoded.
    fn xoauth2(&self) -> String {
        Credential::xoauth2(self.username, self.credential.secret())
    }
}

/// Answers the first challenge with what was made ready, and every further one with nothing: that
/// is how XOAUTH2 wants its message of failure acknowledged, before it says NO.
struct Answer(Cell<String>);

impl Answer {
    fn new(answer: String) -> Self {
        Self(Cell::new(answer))
    }
}

impl imap::Authenticator for Answer {
    type Response = String;

    fn process(&self, _challenge: &[u8]) -> String {
        self.0.take()
    }
}

impl ImapSession {
    /// Asks what the server can do, which may be more than before the login.
    fn start(
        place: Place,
        (session, line): (Session, TcpStream),
        shelf: Shelf,
        deadline: Deadline,
        timeouts: &Timeouts,
    ) -> Result<Self, SourceError> {
        let mut this = Self {
            place,
            session,
            line,
            shelf,
            deadline,
            timeouts: *timeouts,
            folder: None,
            is_writable: false,
            can_move: false,
            can_expunge: false,
            can_idle: false,
            is_over: false,
        };
        let can = this.ask("tell what it can do", imap::Session::capabilities)?;
        this.can_move = can.has_str("MOVE");
        this.can_expunge = can.has_str("UIDPLUS");
        this.can_idle = can.has_str("IDLE");
        Ok(this)
    }
}
