//! One poll of an IMAP mailbox: for each folder, what is new is planned, fetched in batches,
//! taken in, and only then touched on the server.

mod act;
mod fetch;
mod plan;

use crate::login;
use postroom_core::desk::Desk;
use postroom_core::lease::Lease;
use postroom_core::mailbox::{AUTO, AfterIngest, FolderRole, Mailbox, Source, folder_name};
use postroom_core::operations::mailboxes::Connection;
use postroom_core::store::mailboxes::PollEnd;
use postroom_core::store::pending::Pending;
use postroom_core::time::Timestamp;
use postroom_ingest::error::SourceError;
use postroom_ingest::source::{MailSource, SpecialUse};
use postroom_ingest::transport::Timeouts;
use std::collections::HashSet;
use tokio::sync::watch;

/// New connections in one poll after a mail broke one.
const RECONNECTS: usize = 10;
/// Mails in a row that each break a connection, or are refused, before anything came: then it is the
/// line, or the whole server, and the next poll comes after a pause.
const HOPELESS: usize = 3;

/// Why a poll could not go on.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{0}")]
    Source(#[from] SourceError),
    // With its cause: that the disk is full stands there.
    #[error("{}", crate::commands::sentence(.0))]
    Desk(#[from] postroom_core::Error),
    #[error("{0}")]
    NotNow(String),
    #[error("the mailbox's import date {0:?} is no date")]
    Date(String),
    #[error("the server names no {0} folder; give its name instead of auto")]
    Unnamed(FolderRole),
    #[error("the server's folder {0:?} is read as another already")]
    Twice(String),
    #[error("the server says that {0} mails are there and lists none of them")]
    Unlisted(u32),
}

impl Stopped {
    fn is_token_expired(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_token_expired())
    }

    fn drops_session(&self) -> bool {
        match self {
            Self::Source(error) => error.drops_session(),
            Self::Desk(_) => true,
            Self::NotNow(_) | Self::Date(_) | Self::Unnamed(_) | Self::Twice(_) | Self::Unlisted(_) => false,
        }
    }

    /// The server is at fault, for now: no other mailbox of this account need try it either.
    fn is_servers(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_transient())
    }
}

/// Why there was no session, and whose trouble that is.
fn no_session(error: &SourceError) -> PollEnd {
    match error {
        SourceError::LoginRefused { for_now: false, .. } => PollEnd::LoginRefused(error.to_string()),
        // Nobody was asked; somebody must give us something to log in with.
        SourceError::NoLogin { .. } => PollEnd::Failed(error.to_string()),
        _ => PollEnd::Unreachable(error.to_string()),
    }
}

#[cfg(feature = "chaos")]
fn timeouts() -> Timeouts {
    crate::chaos::timeouts()
}

#[cfg(not(feature = "chaos"))]
fn timeouts() -> Timeouts {
    Timeouts::default()
}

/// Polls all folders of a mailbox. One folder that is missing does not keep the others waiting.
pub fn imap(
    desk: &Desk,
    connection: &Connection,
    lease: &Lease,
    is_asked_for: bool,
    stopping: &watch::Receiver<bool>,
) -> PollEnd {
    let Source::Imap { after_ingest, .. } = &connection.mailbox.source else {
        return PollEnd::Failed("this mailbox is not on an IMAP server".to_owned());
    };
    let connect = || login::imap(desk, connection, &timeouts());
    let mut session = match connect() {
        Ok(session) => session,
        Err(error) => return no_session(&error),
    };
    let mut faults = Vec::new();
    let mut read = 0;
    let mut is_servers = false;
    let mut connections_left = RECONNECTS;
    for (name, role) in &watched(&connection.mailbox.source) {
        let mut poll = FolderPoll {
            desk,
            mailbox: &connection.mailbox,
            lease,
            role: *role,
            // Neither what agents sent nor junk is touched.
            writable: *role == FolderRole::Inbox && *after_ingest != AfterIngest::Leave,
            wanted_since: None,
            history_before: None,
            stopping,
            tried: HashSet::new(),
            is_asked_for,
            doubtful: HashSet::new(),
            suspects: Vec::new(),
            something_came: false,
            refusals: 0,
            not_now: None,
            broke_over_mail: false,
            broken_lists: 0,
            without_sizes: false,
        };
        loop {
            let error = match poll.run(&mut session, name) {
                Ok(missed) => {
                    read += 1;
                    faults.extend(missed);
                    break;
                }
                Err(error) => error,
            };
            // Nothing is wrong then, but for the session: the next has a token of its own.
            let is_expired = error.is_token_expired() && connections_left > 0 && !*stopping.borrow();
            if !is_expired {
                faults.push(format!("folder {name}: {error}"));
                is_servers |= error.is_servers();
            }
            // It may mean the account, or mails of this folder alone: the next one tells, by three mails.
            is_servers |= poll.is_throttled();
            if !error.drops_session() {
                break;
            }
            // Some servers hang up over a mail that they can't read (Dovecot does). It counts as
            // tried; the others need not wait for the next poll.
            let is_over_mail = std::mem::take(&mut poll.broke_over_mail) && !poll.is_hopeless();
            let goes_on = is_over_mail || is_expired;
            if !goes_on || connections_left == 0 || *stopping.borrow() {
                return end(read, &faults, is_servers);
            }
            connections_left -= 1;
            match connect() {
                Ok(again) => session = again,
                Err(error) => {
                    faults.push(error.to_string());
                    return end(read, &faults, is_servers);
                }
            }
        }
    }
    session.logout();
    end(read, &faults, is_servers)
}

fn end(read: usize, faults: &[String], is_servers: bool) -> PollEnd {
    match (read, faults.first()) {
        (_, None) => PollEnd::Well,
        (0, Some(first)) if is_servers => PollEnd::Unreachable(first.clone()),
        (0, Some(first)) => PollEnd::Failed(first.clone()),
        (_, Some(first)) => PollEnd::Partly(first.clone()),
    }
}

/// One folder's part of a poll.
struct FolderPoll<'a> {
    desk: &'a Desk,
    mailbox: &'a Mailbox,
    lease: &'a Lease,
    role: FolderRole,
    writable: bool,
    /// Mail that the server got before is not wanted.
    wanted_since: Option<Timestamp>,
    /// Mail that the server got before is history.
    history_before: Option<Timestamp>,
    stopping: &'a watch::Receiver<bool>,
    /// What was tried in vain in this poll, and is left for the next.
    tried: HashSet<i64>,
    /// Somebody asked for this poll: what waits for its next try is tried now.
    is_asked_for: bool,
    /// What a connection broke over together in this poll: each goes alone from then on, so that none
    /// pays for another.
    doubtful: HashSet<i64>,
    /// Mail that did not come while nothing else did either.
    suspects: Vec<Pending>,
    /// Mail came in this poll: the line is not to blame for what does not come.
    something_came: bool,
    /// Mails in a row that the server refused.
    refusals: usize,
    /// What the server said that it can't give now, as long as nothing came after it.
    not_now: Option<String>,
    /// The connection was lost over mail that is not asked for in the same way again.
    broke_over_mail: bool,
    /// How often the connection was lost over a list.
    broken_lists: usize,
    /// The server can't list its mail with sizes: there is one that it can't measure.
    without_sizes: bool,
}

impl FolderPoll<'_> {
    fn is_hopeless(&self) -> bool {
        !self.something_came && self.suspects.len() >= HOPELESS
    }

    /// The server says no, for now, to whatever it is asked for.
    fn is_throttled(&self) -> bool {
        self.not_now.is_some()
    }

    /// What kept single mails from coming in, if anything did.
    fn run(&mut self, session: &mut dyn MailSource, name: &str) -> Result<Option<String>, Stopped> {
        let found = self.find(session, name)?;
        let name = found.as_deref().unwrap_or(name);
        let state = session.select(name, self.writable)?;
        let folder = self.plan(session, name, &state)?;
        self.reopen(&folder)?;
        let missed = self.fetch_all(session, &folder)?;
        match self.act(session, &folder, &state) {
            // The mail is here: what the server would not do with it must not slow down the polls.
            Err(error) if !error.drops_session() => Ok(missed.or(Some(error.to_string()))),
            done => done.map(|()| missed),
        }
    }

    /// The folder that the server itself gives a role, where it is to be found by that.
    fn find(&self, session: &mut dyn MailSource, name: &str) -> Result<Option<String>, Stopped> {
        let wanted = match self.role {
            FolderRole::Sent if name == AUTO => SpecialUse::Sent,
            FolderRole::Junk if name == AUTO => SpecialUse::Junk,
            _ => return Ok(None),
        };
        let found = session.special_folder(wanted)?.ok_or(Stopped::Unnamed(self.role))?;
        let source = watched(&self.mailbox.source);
        if source.iter().any(|(name, role)| *name == folder_name(&found) && *role != self.role) {
            return Err(Stopped::Twice(found));
        }
        Ok(Some(found))
    }
}

/// The folders of a mailbox, in the order in which they are read: what came in before what was
/// answered.
fn watched(source: &Source) -> Vec<(&str, FolderRole)> {
    let Source::Imap { folders, sent_folder, junk_folder, .. } = source else { return Vec::new() };
    let inboxes = folders.iter().map(|name| (folder_name(name), FolderRole::Inbox));
    let special = [(sent_folder, FolderRole::Sent), (junk_folder, FolderRole::Junk)];
    inboxes
        .chain(special.into_iter().filter_map(|(name, role)| Some((folder_name(name.as_deref()?), role))))
        .collect()
}
