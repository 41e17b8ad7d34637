//! Waits for news on IMAP servers that tell them (IDLE): one connection and one thread a watched
//! folder. News only wake the poll, which alone fetches; where a server tells none, where waiting
//! fails or was never begun, the poll comes at its interval.

use crate::login;
use postroom_core::actor::Actor;
use postroom_core::backoff;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{Mailbox, Source, Trouble, folder_name};
use postroom_core::operations::{fetching, mailboxes};
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{Hangup, ImapSession, News};
use postroom_ingest::source::{FolderState, MailSource};
use postroom_ingest::transport::Timeouts;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Waiting is begun anew this often: servers may end it after 29 minutes (RFC 2177), and what
/// stands between forgets quiet connections sooner.
const RESTART: Duration = Duration::from_mins(9);
/// Google's limit on connections and traffic is for all programs of an account: with the poll's it
/// is two connections here.
const AT_GOOGLE: usize = 1;

/// Tells which mailboxes have news.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<(Mutex<HashSet<MailboxId>>, Notify)>);

impl Bell {
    fn ring(&self, id: MailboxId) {
        self.mailboxes().insert(id);
        self.0.1.notify_one();
    }

    /// Waits until it rings.
    pub async fn rung(&self) {
        self.0.1.notified().await;
    }

    /// A mailbox has news.
    pub fn has_news(&self, id: MailboxId) -> bool {
        self.mailboxes().contains(&id)
    }

    /// A poll begins, which will see them.
    pub fn heard(&self, id: MailboxId) {
        self.mailboxes().remove(&id);
    }

    fn mailboxes(&self) -> MutexGuard<'_, HashSet<MailboxId>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folders of a mailbox that are watched: of those that are read the first `most`.
pub fn watched(mailbox: &Mailbox, most: usize) -> Vec<String> {
    let Source::Imap { host, folders, .. } = &mailbox.source else { return Vec::new() };
    let is_google =
        ["imap.gmail.com", "imap.googlemail.com"].iter().any(|own| host.eq_ignore_ascii_case(own));
    let most = if is_google { most.min(AT_GOOGLE) } else { most };
    folders.iter().take(most).map(|name| folder_name(name).to_owned()).collect()
}

/// A folder of a mailbox in one version of its set-up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The version: where the set-up changes, the connection is made anew.
    pub version: i64,
    /// The folder.
    pub folder: String,
}

/// All folders that are being watched.
#[derive(Debug, Default)]
pub struct Watches {
    running: HashMap<Place, Line>,
    bell: Bell,
}

impl Watches {
    /// None yet; news will ring this bell.
    pub fn new(bell: Bell) -> Self {
        Self { running: HashMap::new(), bell }
    }

    /// Watches these folders and no others.
    pub fn settle(&mut self, desk: &Desk, wanted: Vec<Place>) {
        self.running.retain(|place, _| wanted.contains(place));
        for place in wanted {
            if !self.running.contains_key(&place) {
                let line = Line::default();
                let watch = Watch {
                    desk: desk.clone(),
                    place: place.clone(),
                    bell: self.bell.clone(),
                    state: Arc::clone(&line.0),
                };
                // It ends soon after its line is cut; nobody needs to wait for that.
                match thread::Builder::new().name("watch".to_owned()).spawn(move || watch.run()) {
                    Ok(_) => drop(self.running.insert(place, line)),
                    Err(error) => tracing::warn!(%error, "no thread to watch a folder with; it is polled"),
                }
            }
        }
    }
}

/// The connection of one watch, as those who end it see it. Cut on drop.
#[derive(Debug, Default)]
struct Line(Arc<LineState>);

#[derive(Debug, Default)]
struct LineState {
    connection: Mutex<Connected>,
    cut: Condvar,
}

#[derive(Debug, Default)]
struct Connected {
    is_cut: bool,
    hangup: Option<Hangup>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut connected = self.0.lock();
        connected.is_cut = true;
        if let Some(hangup) = connected.hangup.take() {
            hangup.hang_up();
        }
        self.0.cut.notify_all();
    }
}

impl LineState {
    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cut(&self) -> bool {
        self.lock().is_cut
    }

    /// There is a connection. One that comes too late is ended at once.
    fn connect(&self, hangup: Hangup) {
        let mut connected = self.lock();
        if connected.is_cut {
            hangup.hang_up();
        } else {
            connected.hangup = Some(hangup);
        }
    }

    /// The connection is over.
    fn disconnect(&self) {
        if let Some(hangup) = self.lock().hangup.take() {
            hangup.hang_up();
        }
    }

    /// Lets a time pass, or less if the line is cut.
    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut connected = self.lock();
        while !connected.is_cut {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            connected = self.cut.wait_timeout(connected, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How watching came to an end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Desk(#[from] postroom_core::Error),
    #[error("the server tells no news")]
    NotOffered,
    #[error("it was asked to end")]
    Cut,
}

/// One folder's watch, on a thread of its own.
struct Watch {
    desk: Desk,
    place: Place,
    bell: Bell,
    state: Arc<LineState>,
}

impl Watch {
    fn run(&self) {
        let (mailbox, folder) = (self.place.mailbox_id, self.place.folder.as_str());
        let mut failures = 0;
        while !self.state.is_cut() {
            let ended = self.connect_and_wait(&mut failures).err().unwrap_or(Ended::Cut);
            self.state.disconnect();
            let trouble = match &ended {
                _ if self.state.is_cut() => return,
                Ended::Cut => return,
                Ended::NotOffered => {
                    tracing::info!(%mailbox, folder, "the server tells no news; the folder is polled");
                    return;
                }
                Ended::Source(SourceError::LoginRefused { for_now: false, .. }) => Trouble::Login,
                Ended::Source(_) | Ended::Desk(_) => Trouble::Server,
            };
            failures += 1;
            tracing::debug!(%mailbox, folder, failures, error = %ended, "waiting for news ended");
            self.state.rest(backoff::pause(trouble, failures, rand::random()));
        }
    }

    fn connect_and_wait(&self, failures: &mut i32) -> Result<(), Ended> {
        let id = self.place.mailbox_id;
        let connection = self.desk.read_here(&Actor::system(), |cx| mailboxes::connection(cx, id))?;
        let mut session = login::imap(&self.desk, &connection, &Timeouts::default())?;
        if !session.can_idle() {
            session.logout();
            return Err(Ended::NotOffered);
        }
        self.state.connect(session.hangup()?);
        self.wait(&mut session, failures)
    }

    fn wait(&self, session: &mut ImapSession, failures: &mut i32) -> Result<(), Ended> {
        let state = session.select(&self.place.folder, false)?;
        // The server tells what comes from now on. What came since the last poll is seen here.
        if self.has_news(&state)? {
            self.bell.ring(self.place.mailbox_id);
        }
        while !self.state.is_cut() {
            if session.wait_for_news(RESTART)? == News::Something {
                self.bell.ring(self.place.mailbox_id);
            }
            *failures = 0;
        }
        Err(Ended::Cut)
    }

    /// The folder holds what no poll has planned yet, or may do so.
    fn has_news(&self, state: &FolderState) -> Result<bool, Ended> {
        let (id, folder) = (self.place.mailbox_id, self.place.folder.as_str());
        let cursor = self.desk.read_here(&Actor::system(), |cx| fetching::cursor(cx, id, folder))?;
        Ok(match (cursor, state.uidnext) {
            (Some(cursor), Some(next)) => {
                cursor.uidvalidity != i64::from(state.uidvalidity) || i64::from(next) > cursor.last_uid + 1
            }
            _ => true,
        })
    }
}
