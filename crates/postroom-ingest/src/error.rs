//! What can go wrong where mail is fetched, in sentences an operator can act on.
//!
//! No variant ever holds a password. What a server said is cut and cleaned before it gets here.

use crate::cut::Cut;
use std::io;

/// Why mail could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The name does not resolve, or nobody listens there.
    #[error("the server at {host}:{port} can't be reached")]
    Unreachable {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// There is no TLS connection that can be trusted: a bad certificate, no STARTTLS, a CA file
    /// that can't be read.
    #[error("there is no safe connection to {host}:{port}: {why}")]
    Tls {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// What is wrong with it, in words.
        why: String,
    },

    /// Security `none` was asked for a host that is not this machine.
    #[error(
        "{host} is not this machine, and a connection without TLS is for this machine alone; \
         choose tls or starttls"
    )]
    Insecure {
        /// The host.
        host: String,
    },

    /// The server does not let this user in.
    #[error("the server at {host}:{port} refused the login for {username}; check {check}{}", quoted(said))]
    LoginRefused {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// Who tried to log in.
        username: String,
        /// What to look at.
        check: &'static str,
        /// What the server said; empty where it said nothing, or repeated the password.
        said: String,
        /// The server says that it is only so for now (RFC 5530).
        for_now: bool,
    },

    /// The folder does not exist.
    #[error("there is no folder {folder:?} on the server; create it there or correct its name")]
    FolderMissing {
        /// The folder, as the settings name it.
        folder: String,
    },

    /// The server understood and said no. The session can go on.
    #[error("the server refused to {what}{}", quoted(said))]
    Refused {
        /// What was asked of it.
        what: String,
        /// What the server said, at most 200 characters.
        said: String,
        /// The server says that it is only so for now (RFC 5530).
        for_now: bool,
    },

    /// The connection is gone, or what comes over it can no longer be trusted to be an answer to
    /// what was asked. The session must be dropped.
    #[error("the connection to {host}:{port} was lost: {why}")]
    Lost {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// What happened, in words.
        why: String,
        /// What the system said, where it said anything.
        #[source]
        source: Option<io::Error>,
    },

    /// A Maildir, or a file in it, can't be read.
    #[error("the Maildir {path} can't be read: {why}")]
    Maildir {
        /// The folder or file.
        path: String,
        /// What is wrong with it, in words.
        why: String,
        /// What the system said, where it said anything.
        #[source]
        source: Option<io::Error>,
    },

    /// There is nothing to log in with now.
    #[error("{why}")]
    NoLogin {
        /// What a person can do about it, or when it is tried again.
        why: String,
    },

    /// The mailbox's mail does not come from an IMAP server.
    #[error("this mailbox's mail does not come from an IMAP server")]
    NotImap,
}

impl SourceError {
    /// It may well work later with nothing changed: worth another try after a pause.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::LoginRefused { for_now, .. } | Self::Refused { for_now, .. } => *for_now,
            Self::Maildir { source, .. } => source.is_some(),
            Self::Tls { .. }
            | Self::Insecure { .. }
            | Self::FolderMissing { .. }
            | Self::NoLogin { .. }
            | Self::NotImap => false,
        }
    }

    /// The server said no for now, whatever it was asked. `SERVERBUG` is not taken for that: Dovecot says
    /// it of a single mail that it can't read.
    pub fn is_not_now(&self) -> bool {
        matches!(self, Self::Refused { said, for_now: true, .. }
            if !said.to_ascii_uppercase().contains("[SERVERBUG"))
    }

    /// The server does not want this user with this secret: another secret may help, and trying the
    /// same one again will not.
    pub fn refuses_login(&self) -> bool {
        matches!(self, Self::LoginRefused { for_now: false, .. })
    }

    /// The access token ran out while the session stood: Microsoft ends it then with
    /// `BYE Session invalidated - AccessTokenExpired`.
    pub fn is_token_expired(&self) -> bool {
        matches!(self, Self::Lost { why, .. } if why.contains("AccessTokenExpired"))
    }

    /// The session is out of step or gone: only a new connection can go on (a tagged NO or BAD
    /// alone leaves a session usable).
    pub fn drops_session(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::FolderMissing { .. })
    }
}

/// `; it said "…"`, or nothing.
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}

/// Longest piece of a server's words that is passed on, in characters.
const SAID: usize = 200;

/// A server's words made fit for a log or a page: UTF-8, one line, no control or direction
/// characters, at most 200 characters.
pub(crate) fn clean(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let mut clean = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.extend(word.chars().filter(|c| !is_invisible(*c)));
    }
    match clean.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}…", clean.head(end)),
        None => clean,
    }
}

/// Characters that change how the text around them is shown, or show nothing themselves.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_cut_and_cleaned() {
        assert_eq!(
            clean("Angemeldet \u{202e}–\x1b[31m\r\n willkommen".as_bytes()),
            "Angemeldet – [31m willkommen"
        );
        assert_eq!(clean(b"\xff\0a"), "\u{fffd} a");
        let long = clean("ä".repeat(300).as_bytes());
        assert_eq!(long.chars().count(), SAID + 1);
    }

    #[test]
    fn what_to_do_follows_from_the_kind() {
        let refused =
            |for_now| SourceError::Refused { what: "fetch mail".into(), said: "no".into(), for_now };
        assert!(!refused(false).drops_session() && !refused(false).is_transient());
        assert!(refused(true).is_transient() && refused(true).is_not_now() && !refused(false).is_not_now());
        let (what, said) = ("fetch".into(), "[SERVERBUG] Internal error occurred".into());
        let bug = SourceError::Refused { what, said, for_now: true };
        assert!(bug.is_transient() && !bug.is_not_now());
        let lost = SourceError::Lost { host: "h".into(), port: 1, why: "w".into(), source: None };
        assert!(lost.drops_session() && lost.is_transient());
        assert_eq!(refused(false).to_string(), "the server refused to fetch mail; it said: no");
    }
}
