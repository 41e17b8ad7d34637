//! From an open connection to a logged-in session.

use super::{ImapSession, Session, words};
use crate::error::SourceError;
use crate::shield::{Limits, Shelf, Shield};
use crate::transport::{self, Deadline, Place, Timeouts, Wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imap::types::Capabilities;
use postroom_core::mailbox::Source;

/// Logs in to the IMAP server of a mailbox; blocks, at most for the time limits.
///
/// # Errors
/// [`SourceError::NotImap`] where the source is another, and all that can go wrong on the way to a
/// session. No error holds the password.
pub fn connect(source: &Source, password: &str, timeouts: &Timeouts) -> Result<ImapSession, SourceError> {
    connect_within(source, password, timeouts, Limits::default())
}

/// As [`connect`], with limits of one's own for what the server may send.
pub fn connect_within(
    source: &Source,
    password: &str,
    timeouts: &Timeouts,
    limits: Limits,
) -> Result<ImapSession, SourceError> {
    let Source::Imap { host, port, security, username, ca_file, .. } = source else {
        return Err(SourceError::NotImap);
    };
    let place = Place { host: host.clone(), port: *port };
    let (wire, deadline) = transport::open(&place, *security, ca_file.as_deref(), timeouts)?;
    let shelf = Shelf::default();
    let mut client = imap::Client::new(Shield::new(wire, limits, shelf.clone()));
    // The transport has read it: before STARTTLS nobody else could.
    client.greeting_read = true;

    let entry = Entry { place: &place, shelf: &shelf, username, password };
    let way = entry.way(&mut client)?;
    shelf.clear();
    let session = entry.log_in(client, way)?;
    ImapSession::start(place, session, shelf, deadline, timeouts)
}

type Client = imap::Client<Shield<Wire>>;

/// How the password gets across.
enum Way {
    /// `LOGIN`, for ASCII alone.
    Login,
    /// `AUTHENTICATE PLAIN` (RFC 4616), which takes any UTF-8.
    Plain,
}

struct Entry<'a> {
    place: &'a Place,
    shelf: &'a Shelf,
    username: &'a str,
    password: &'a str,
}

impl Entry<'_> {
    fn way(&self, client: &mut Client) -> Result<Way, SourceError> {
        let can: Capabilities = super::guard(|| client.capabilities())
            .map_err(|failure| failure.explain(self.place, self.shelf, "tell what it can do"))?;
        let is_ascii = self.username.is_ascii() && self.password.is_ascii();
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
                Way::Login => client.login(self.username, self.password),
                Way::Plain => client.authenticate("PLAIN", self),
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
            said: said.to_owned(),
            for_now,
        }
    }

    /// Some servers repeat a command they did not like: what they say then is not passed on.
    fn is_told_in(&self, line: &[u8]) -> bool {
        let escaped = self.password.replace('\\', "\\\\").replace('"', "\\\"");
        let secrets = [
            self.password.to_owned(),
            escaped,
            STANDARD.encode(self.password),
            STANDARD.encode(self.plain()),
        ];
        let line = String::from_utf8_lossy(line);
        secrets.iter().any(|secret| !secret.is_empty() && line.contains(secret.as_str()))
    }

    /// What AUTHENTICATE PLAIN sends, before it is encoded.
    fn plain(&self) -> String {
        format!("\0{}\0{}", self.username, self.password)
    }
}

impl imap::Authenticator for Entry<'_> {
    type Response = String;

    fn process(&self, _challenge: &[u8]) -> String {
        self.plain()
    }
}

impl ImapSession {
    /// Asks what the server can do, which may be more than before the login.
    fn start(
        place: Place,
        session: Session,
        shelf: Shelf,
        deadline: Deadline,
        timeouts: &Timeouts,
    ) -> Result<Self, SourceError> {
        let mut this = Self {
            place,
            session,
            shelf,
            deadline,
            timeouts: *timeouts,
            folder: None,
            is_writable: false,
            can_move: false,
            can_expunge: false,
            is_over: false,
        };
        let can = this.ask("tell what it can do", imap::Session::capabilities)?;
        this.can_move = can.has_str("MOVE");
        this.can_expunge = can.has_str("UIDPLUS");
        Ok(this)
    }
}
