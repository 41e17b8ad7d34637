//! A session with an SMTP server up to the point where it would take a mail: reached, greeted,
//! encrypted, logged in.

use crate::course::{Course, Entry};
use crate::server::Server;
use crate::tls;
use crate::wire::{Broken, Reply, Wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::commands::{Ehlo, Quit, Starttls};
use lettre::transport::smtp::extension::ClientId;
use postroom_core::mailbox::{Credential, Delivery, Security};
use postroom_core::text::one_line;
use std::error::Error as _;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long each phase may take (RFC 5321 section 4.5.3.2, but a shorter connect).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Finding the host's addresses; then each address; then TLS.
    pub connect: Duration,
    /// The greeting and every command but DATA.
    pub command: Duration,
    /// The answer to DATA.
    pub data: Duration,
    /// Each 64 KiB of the body.
    pub block: Duration,
    /// The answer to the final dot. Too short makes duplicates: the server may have taken it.
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_mins(5),
            data: Duration::from_mins(2),
            block: Duration::from_mins(3),
            dot: Duration::from_mins(10),
        }
    }
}

/// How long a server may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(5);
/// The longest reason, in characters.
const REASON_CHARS: usize = 500;

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may go better another time, or once somebody has changed a setting.
    Later { reason: String, code: Option<u16> },
    /// The server does not let us in.
    Login { reason: String },
}

/// What the server offers (RFC 5321 section 4.1.1.1).
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// The largest mail in bytes (RFC 1870); 0 is no limit.
    pub(crate) size: Option<usize>,
    /// 8BITMIME (RFC 6152).
    pub(crate) eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub(crate) utf8: bool,
    starttls: bool,
    login: Vec<String>,
}

impl Offers {
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        // the first line is the server's name
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("SIZE") => offers.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("STARTTLS") => offers.starttls = true,
                // some write `AUTH=PLAIN`
                Some("AUTH") => offers.login.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offers
    }
}

/// An open session.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) offers: Offers,
    /// `host:port`, for sentences.
    pub(crate) place: String,
    /// What no sentence may hold, though a server might say it.
    secrets: Vec<String>,
}

impl Session {
    /// Opens a session and says EHLO by this name, a domain in ASCII.
    pub(crate) async fn open(
        delivery: &Delivery,
        credential: Option<&Credential>,
        own_name: Option<&str>,
        timeouts: &Timeouts,
        course: &impl Course,
    ) -> Result<Self, Trouble> {
        let Some(server) = Server::of(delivery) else {
            return Err(later("the mailbox has no SMTP server: its mail is captured and never leaves"));
        };
        let login = match (server.username, credential) {
            (None, _) => None,
            (Some(user), Some(credential)) => Some((user, credential)),
            (Some(user), None) => {
                let reason = format!("no password is known for {user} at {}", server.place());
                return Err(Trouble::Login { reason: reason_of(&reason) });
            }
        };
        let stream = server.reach(timeouts.connect).await.map_err(later)?;
        let secrets = login.map_or_else(Vec::new, |(user, credential)| {
            let secret = credential.secret();
            let forms =
                [xoauth2(user, secret), plain(user, secret), STANDARD.encode(secret), secret.to_owned()];
            forms.into_iter().filter(|form| !form.is_empty()).collect()
        });
        let wire = Wire::new(stream);
        let mut session = Self { wire, offers: Offers::default(), place: server.place(), secrets };
        match session.prepare(&server, login, own_name, timeouts, course).await {
            Ok(()) => Ok(session),
            Err(trouble) => {
                session.quit().await;
                Err(trouble)
            }
        }
    }

    async fn prepare(
        &mut self,
        server: &Server<'_>,
        login: Option<(&str, &Credential)>,
        own_name: Option<&str>,
        timeouts: &Timeouts,
        course: &impl Course,
    ) -> Result<(), Trouble> {
        if server.security == Security::Tls {
            self.encrypt(server, timeouts).await?;
        }
        let greeting = self.wire.reply(timeouts.command).await;
        self.expect("the connection", greeting)?;
        self.hello(own_name, timeouts).await?;
        if server.security == Security::StartTls {
            if !self.offers.starttls {
                let place = &self.place;
                return Err(later(format!(
                    "{place} does not offer STARTTLS, and nothing is sent unencrypted"
                )));
            }
            let reply = self.wire.command(Starttls, timeouts.command).await;
            self.expect("STARTTLS", reply)?;
            self.encrypt(server, timeouts).await?;
            self.hello(own_name, timeouts).await?;
        }
        match login {
            Some((user, credential)) => {
                let turn = course.log_in().await;
                let turn = turn.map_err(|why| Trouble::Login { reason: reason_of(&why.to_string()) })?;
                let done = self.log_in(user, credential, timeouts).await;
                let entry = match &done {
                    Ok(()) => Entry::LetIn,
                    Err(Trouble::Login { .. }) => Entry::Refused,
                    Err(Trouble::Later { .. }) => Entry::Unknown,
                };
                course.logged_in(turn, entry);
                done
            }
            None => Ok(()),
        }
    }

    async fn encrypt(&mut self, server: &Server<'_>, timeouts: &Timeouts) -> Result<(), Trouble> {
        let host = server.ascii_host();
        let ca_file = server.ca_file.map(str::to_owned);
        let parameters = tokio::task::spawn_blocking(move || tls::parameters(&host, ca_file.as_deref()))
            .await
            .map_err(|error| later(format!("TLS for {} could not be set up: {error}", self.place)))?
            .map_err(later)?;
        let done = self.wire.encrypt(parameters, timeouts.connect).await;
        done.map_err(|broken| match broken {
            Broken::Tls(why) => later(format!("no TLS with {}: {why}", self.place)),
            other => later(self.broken("the TLS handshake", &other)),
        })
    }

    async fn hello(&mut self, own_name: Option<&str>, timeouts: &Timeouts) -> Result<(), Trouble> {
        // RFC 5321 section 4.1.4: an address where there is no name
        let name =
            own_name.map_or(ClientId::Ipv4(Ipv4Addr::LOCALHOST), |name| ClientId::Domain(name.to_owned()));
        let reply = self.wire.command(Ehlo::new(name), timeouts.command).await;
        self.offers = Offers::read(&self.expect("EHLO", reply)?);
        Ok(())
    }

    /// By password: AUTH PLAIN (RFC 4616), or LOGIN where that is all the server knows. By token:
    /// XOAUTH2.
    async fn log_in(
        &mut self,
        user: &str,
        credential: &Credential,
        timeouts: &Timeouts,
    ) -> Result<(), Trouble> {
        let offers = |mechanism: &str| self.offers.login.iter().any(|offered| offered == mechanism);
        let limit = timeouts.command;
        let reply = match credential {
            Credential::Password(password) if offers("PLAIN") => {
                self.wire.command(format!("AUTH PLAIN {}\r\n", plain(user, password)), limit).await
            }
            Credential::Password(password) if offers("LOGIN") => {
                self.log_in_by_steps(user, password, limit).await
            }
            Credential::Bearer(token) if offers("XOAUTH2") => self.log_in_by_token(user, token, limit).await,
            _ => {
                let known = self.offers.login.join(", ");
                let known = if known.is_empty() { "none at all".to_owned() } else { known };
                let reason = format!("{} offers no way to log in that we know: {known}", self.place);
                return Err(Trouble::Login { reason: reason_of(&reason) });
            }
        };
        let reply = reply.map_err(|broken| later(self.broken("the login", &broken)))?;
        if reply.is_done() {
            return Ok(());
        }
        let reason = self.refused("the login", &reply);
        // RFC 4954 section 6: 4xx is the server's own trouble
        Err(if reply.is_permanent() {
            Trouble::Login { reason }
        } else {
            Trouble::Later { reason, code: Some(reply.code) }
        })
    }

    /// The challenges are not looked at: servers word them in many ways, in this one order.
    async fn log_in_by_steps(
        &mut self,
        user: &str,
        password: &str,
        limit: Duration,
    ) -> Result<Reply, Broken> {
        let mut reply = self.wire.command("AUTH LOGIN\r\n", limit).await?;
        for answer in [user, password] {
            if reply.code != 334 {
                return Ok(reply);
            }
            reply = self.wire.command(format!("{}\r\n", STANDARD.encode(answer)), limit).await?;
        }
        Ok(reply)
    }

    /// A server that does not like the token says why in a challenge, and refuses once that has
    /// been acknowledged with an empty line.
    async fn log_in_by_token(&mut self, user: &str, token: &str, limit: Duration) -> Result<Reply, Broken> {
        let reply = self.wire.command(format!("AUTH XOAUTH2 {}\r\n", xoauth2(user, token)), limit).await?;
        if reply.code == 334 { self.wire.command("\r\n", limit).await } else { Ok(reply) }
    }

    /// A reply that must be 2xx for the session to go on.
    fn expect(&self, phase: &str, reply: Result<Reply, Broken>) -> Result<Reply, Trouble> {
        match reply {
            Ok(reply) if reply.is_done() => Ok(reply),
            // even 5xx is no verdict on the mail here: it has not been named yet. Postfix defers
            // likewise (smtp_skip_5xx_greeting)
            Ok(reply) => Err(Trouble::Later { reason: self.refused(phase, &reply), code: Some(reply.code) }),
            Err(broken) => Err(later(self.broken(phase, &broken))),
        }
    }

    /// A sentence about a reply.
    pub(crate) fn refused(&self, phase: &str, reply: &Reply) -> String {
        let text = self.said(reply);
        reason_of(&format!("{} answered {phase} with {} {text}", self.place, reply.code))
    }

    /// A sentence about a connection that is of no use any more.
    pub(crate) fn broken(&self, phase: &str, broken: &Broken) -> String {
        let source = broken.source().map_or_else(String::new, |source| format!(" ({source})"));
        reason_of(&format!("{} {broken}{source} at {phase}", self.place))
    }

    /// What the server said, without our secrets.
    pub(crate) fn said(&self, reply: &Reply) -> String {
        let hide =
            |text: String| self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "…"));
        // once more at the end: controls taken out could have joined the halves of one
        hide(reason_of(&hide(reply.text())))
    }

    /// Says goodbye, if there is anybody to hear it.
    pub(crate) async fn quit(mut self) {
        if self.wire.takes_commands()
            && let Err(error) = self.wire.command(Quit, FAREWELL).await
        {
            tracing::debug!(place = self.place, %error, "an SMTP server said no goodbye");
        }
    }
}

fn later(reason: impl Display) -> Trouble {
    Trouble::Later { reason: reason_of(&reason.to_string()), code: None }
}

/// One line of at most 500 characters.
pub(crate) fn reason_of(text: &str) -> String {
    one_line(text, REASON_CHARS)
}

/// The initial response of XOAUTH2.
fn xoauth2(user: &str, token: &str) -> String {
    STANDARD.encode(Credential::xoauth2(user, token))
}

/// The initial response of PLAIN.
fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}
