//! The one door: every read and every write of the desk goes through here.

use crate::Error;
use crate::actor::{Actor, ActorType};
use crate::blobs::OBJECTS_MARK;
use crate::cx::Cx;
use crate::keys::Keys;
use crate::mark::{Mark, Remembered};
use crate::object_name;
use crate::operations::breaker::Limits;
use crate::operations::tokens::Holder;
use crate::password::Passwords;
use crate::ports::Ports;
use crate::store::conn::{self, DatabaseUrl, Manager, Mode, Pool};
use crate::store::marks::Marks;
use crate::store::{self, StoreError};
use crate::time::{Clock, Timestamp};
use crate::webhook::reach::Reach;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a write is run when the database asks for it to be run again, or when somebody else
/// wrote what it had read.
const TRIES: usize = 4;

/// Tokens whose holders are remembered until something changes.
const HOLDERS: usize = 10_000;

/// Limits and lengths of time that operations go by; the configuration sets them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Blobs up to this many compressed bytes are kept in the database.
    pub inline_blob_bytes: usize,
    /// A conversation closed longer ago than this is not reopened, but followed by a new one.
    pub reopen_within: Duration,
    /// How long the event feed goes back.
    pub keep_events: Duration,
    /// How long an upload waits for a message.
    pub keep_uploads: Duration,
    /// Bytes of one upload at the most.
    pub upload_bytes: usize,
    /// Bytes of one mail at the most.
    pub mail_bytes: usize,
    /// How often a mail is tried before it is put aside.
    pub ingest_tries: i32,
    /// How long an answer is tried before it is given up.
    pub send_for: Duration,
    /// How long a worker has a mail to itself without saying that it is still at it. One that is stopped
    /// for longer loses it: what had not gone is another's to send, and what had is uncertain.
    pub claim_for: Duration,
    /// How long a mailbox fails before that is made known.
    pub error_after: Duration,
    /// The name of the mailbox that notices to the administrators leave from.
    pub notices_mailbox: Option<String>,
    /// How much automatic mail may leave.
    pub automatic: Limits,
    /// Where webhooks may be.
    pub webhooks: Reach,
    /// How long what was told to webhooks, or could not be, is kept.
    pub keep_deliveries: Duration,
    /// How long somebody's question may keep the database busy.
    pub query_time: Duration,
    /// How people sign in.
    pub sign_in: crate::sign_in::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            inline_blob_bytes: 128 * 1024,
            reopen_within: Duration::from_secs(30 * DAY),
            keep_events: Duration::from_secs(90 * DAY),
            keep_uploads: Duration::from_secs(DAY),
            upload_bytes: 25 * 1024 * 1024,
            mail_bytes: 64 * 1024 * 1024,
            ingest_tries: 5,
            send_for: Duration::from_secs(2 * DAY),
            claim_for: Duration::from_mins(2),
            error_after: Duration::from_mins(15),
            notices_mailbox: None,
            automatic: Limits::default(),
            webhooks: Reach::default(),
            query_time: Duration::from_secs(5),
            keep_deliveries: Duration::from_secs(30 * DAY),
            sign_in: crate::sign_in::Settings::default(),
        }
    }
}

/// Everything a desk is made of.
pub struct Parts {
    /// Where it is remembered.
    pub database: DatabaseUrl,
    /// Connections at the most; 4 for SQLite, where more only fight for the one write lock.
    pub connections: u32,
    /// The installation's keys.
    pub keys: Keys,
    /// The outside.
    pub ports: Ports,
    /// What time it is.
    pub clock: Clock,
    /// Limits.
    pub settings: Settings,
}

struct Inner {
    pool: Pool,
    keys: Keys,
    ports: Ports,
    clock: Clock,
    settings: Settings,
    changed: watch::Sender<u64>,
    broken: watch::Sender<Option<Broken>>,
    full_at: Mutex<Option<Instant>>,
    passwords: Passwords,
    marks: Marks,
    holders: Remembered<String, Arc<Holder>>,
}

/// So long nothing new is taken after a write that found no room. Then it is tried again: who counts
/// what is free may see room where there is none (quotas, the disk of a database server).
const FULL_FOR: Duration = Duration::from_secs(10);

/// What did not keep what was written to it. Nothing more may be written there: what Linux could not
/// write it forgets, and whoever tries again is told that all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The database.
    Database,
    /// The large files.
    Files,
}

/// The help desk. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// Why a desk could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database can't be reached.
    #[error("the database can't be opened: {0}")]
    Unreachable(String),
    /// A migration failed.
    #[error("the database could not be brought up to date")]
    Migrate(#[source] store::migrate::MigrateError),
    /// The key file is not the one this database was made with.
    #[error(
        "the key file is not the one this database was made with; put the right one in place, \
         for without it no stored password can be read"
    )]
    WrongKey,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] Error),
}

impl Desk {
    /// Opens the database, brings it up to date and checks that the key fits.
    /// Blocks; call it before the runtime is busy.
    pub fn open(parts: Parts) -> Result<Self, OpenError> {
        let mut first =
            conn::open(&parts.database).map_err(|error| OpenError::Unreachable(error.to_string()))?;
        store::migrate::up(&mut first).map_err(OpenError::Migrate)?;
        drop(first);
        let pool = r2d2::Pool::builder()
            .max_size(parts.connections.max(1))
            .min_idle(Some(1))
            .connection_timeout(Duration::from_secs(5))
            .error_handler(Box::new(LogPoolErrors))
            .build(Manager::new(parts.database.clone()))
            .map_err(|error| OpenError::Unreachable(error.to_string()))?;
        let (changed, _) = watch::channel(0);
        let (broken, _) = watch::channel(None);
        let passwords = Passwords::new(parts.settings.sign_in.cost, parts.settings.sign_in.at_once);
        let desk = Self(Arc::new(Inner {
            pool,
            keys: parts.keys,
            ports: parts.ports,
            clock: parts.clock,
            settings: parts.settings,
            changed,
            broken,
            full_at: Mutex::new(None),
            passwords,
            marks: Marks::new(parts.database),
            holders: Remembered::with_room(HOLDERS),
        }));
        let fits = desk
            .write_here(&Actor::system(), |cx| {
                store::settings::insert_or_read(cx.conn, OBJECTS_MARK, &object_name::fresh_mark())?;
                Ok(store::settings::insert_or_read(cx.conn, "key_check", cx.keys.check_mark())?
                    == cx.keys.check_mark())
            })
            .map_err(OpenError::Store)?;
        if fits { Ok(desk) } else { Err(OpenError::WrongKey) }
    }

    /// Runs a read in one snapshot, on a thread that may block. Who is not the desk itself has `Settings::query_time`
    /// for it: then it fails with [`Error::TooSlow`].
    pub async fn read<T: Send + 'static>(
        &self,
        actor: &Actor,
        op: impl Fn(&mut Cx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (desk, actor) = (self.clone(), actor.clone());
        off_thread(move || desk.read_here(&actor, op)).await
    }

    /// Runs a write in one transaction, on a thread that may block, and wakes whoever waits for
    /// changes. The operation may be run again when the database asks for it.
    pub async fn write<T: Send + 'static>(
        &self,
        actor: &Actor,
        op: impl Fn(&mut Cx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (desk, actor) = (self.clone(), actor.clone());
        off_thread(move || desk.write_here(&actor, op)).await
    }

    /// [`Desk::read`] for a caller that is on a thread that may block.
    pub fn read_here<T>(
        &self,
        actor: &Actor,
        op: impl Fn(&mut Cx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let is_bounded = actor.kind != ActorType::System;
        let time = is_bounded.then_some(self.0.settings.query_time);
        conn::pooled(&self.0.pool, Mode::Read, time, |conn| op(&mut self.cx(conn, actor)))
    }

    /// [`Desk::write`] for a caller that is on a thread that may block.
    pub fn write_here<T>(
        &self,
        actor: &Actor,
        op: impl Fn(&mut Cx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if actor.kind != ActorType::System {
            self.require_room()?;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            self.require_whole(Broken::Database)?;
            let result = conn::pooled(&self.0.pool, Mode::Write, None, |conn| {
                let mut cx = self.cx(conn, actor);
                let value = op(&mut cx)?;
                let told = std::mem::take(&mut cx.events);
                let wakes = cx.wakes || !told.is_empty();
                crate::operations::indexing::keep(&mut cx, &told)?;
                crate::operations::audit::keep(&mut cx, &told)?;
                store::events::append(cx.conn, actor, &told, cx.now)?;
                Ok((value, wakes))
            });
            match result {
                Ok((value, wakes)) => {
                    if wakes {
                        self.0.changed.send_modify(|count| *count += 1);
                    }
                    return Ok(value);
                }
                Err(Error::Store { source: StoreError::Again, .. }) if tries < TRIES => {}
                Err(error @ Error::StorageFull(_)) => {
                    self.note_full();
                    return Err(error);
                }
                Err(Error::Unsynced) => {
                    self.note_broken(Broken::Database);
                    return Err(Error::Unsynced);
                }
                // So many at once that it never was our turn: the caller may try later.
                Err(Error::Store { source: StoreError::Again, .. }) => return Err(Error::Busy),
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a write and takes it back, whatever came of it: nothing of it remains, nobody is told and
    /// nobody woken. Numbers that PostgreSQL gave out in it are never given out again.
    pub fn rehearse_here<T>(
        &self,
        actor: &Actor,
        op: impl Fn(&mut Cx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut rehearsed = None;
        let taken_back = conn::pooled(&self.0.pool, Mode::Write, None, |conn| {
            rehearsed = Some(op(&mut self.cx(conn, actor))?);
            Err::<(), Error>(Error::StateConflict("a rehearsal is taken back".to_owned()))
        });
        match (rehearsed, taken_back) {
            (Some(value), _) => Ok(value),
            (None, Err(Error::Store { source: StoreError::Again, .. }) | Ok(())) => Err(Error::Busy),
            (None, Err(error)) => Err(error),
        }
    }

    fn cx<'a>(&'a self, conn: &'a mut conn::Conn, actor: &'a Actor) -> Cx<'a> {
        Cx {
            conn,
            actor,
            now: self.0.clock.now(),
            keys: &self.0.keys,
            ports: &self.0.ports,
            settings: &self.0.settings,
            events: Vec::new(),
            notes: Vec::new(),
            wakes: false,
        }
    }

    /// Fails where there is no room to write. The desk's own small notes (leases, what came of an
    /// attempt) go on in what the low-water mark keeps free; what others bring does not.
    pub(crate) fn require_room(&self) -> Result<(), Error> {
        self.shortage().map_or(Ok(()), |why| Err(Error::StorageFull(why)))
    }

    /// Why nothing new is taken just now: [`crate::ports::WatchRoom::shortage`].
    pub fn shortage(&self) -> Option<&'static str> {
        let full_at = *self.0.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = full_at.is_some_and(|when| when.elapsed() < FULL_FOR);
        self.0.ports.room.shortage().or(is_full.then_some(crate::error::FULL))
    }

    /// A write found no room.
    pub(crate) fn note_full(&self) {
        *self.0.full_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Fails where something is known to be broken.
    pub(crate) fn require_whole(&self, what: Broken) -> Result<(), Error> {
        if *self.0.broken.borrow() == Some(what) { Err(Error::Unsynced) } else { Ok(()) }
    }

    pub(crate) fn note_broken(&self, what: Broken) {
        self.0.broken.send_replace(Some(what));
    }

    /// Tells when a disk did not keep what was written to it. Whoever runs the desk must end then: what
    /// is true shows when it is opened anew.
    pub fn broken(&self) -> watch::Receiver<Option<Broken>> {
        self.0.broken.subscribe()
    }

    /// Tells of changes: the value rises whenever something was written that others may want
    /// to know. It says nothing of what; whoever wakes looks for work in the store.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// What was read since one mark holds as long as this is the same. `None`: that can't be told at the moment.
    pub async fn mark(&self) -> Option<Mark> {
        self.0.marks.now().await
    }

    /// Who held which token, by the hash of its secret.
    pub(crate) fn holders(&self) -> &Remembered<String, Arc<Holder>> {
        &self.0.holders
    }

    /// What time it is for the desk.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Moves a fixed clock on; the system's own stays.
    pub fn advance_clock(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// The installation's keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Tries passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The outside.
    pub fn ports(&self) -> &Ports {
        &self.0.ports
    }

    /// Limits and lengths of time.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// Runs something that blocks where it may. A panic in there is told as a dead thread.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Store { doing: "working on it", source: StoreError::Died }),
    }
}

/// Says once what the pool could not do; r2d2's own message may hold the URL.
#[derive(Debug)]
struct LogPoolErrors;

impl r2d2::HandleError<diesel::r2d2::Error> for LogPoolErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        let kind = match error {
            diesel::r2d2::Error::ConnectionError(_) => "connecting",
            diesel::r2d2::Error::QueryError(_) => "checking a connection",
        };
        tracing::warn!(kind, "the database can't be reached");
    }
}
