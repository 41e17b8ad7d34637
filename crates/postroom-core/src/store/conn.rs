//! The connection to either database, how it is opened, and how a transaction begins.

use crate::store::deadline::Deadline;
use crate::store::{StoreError, deadline};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// A connection to one of the two databases.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Runs one body for whichever database the connection is to: for what diesel can't say on
/// the enum, such as `ON CONFLICT` and inserts of many rows.
macro_rules! each_backend {
    ($conn:ident => $body:expr) => {
        match $conn {
            $crate::store::conn::Conn::Postgres($conn) => $body,
            $crate::store::conn::Conn::Sqlite($conn) => $body,
        }
    };
}
pub(crate) use each_backend;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A server: `postgres://…`. Holds a password; never log it.
    Postgres(String),
    /// A file.
    Sqlite(PathBuf),
}

impl DatabaseUrl {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite:PATH`.
    ///
    /// Fails with a sentence that does not hold the URL, for it may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let server = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        if let Some(server) = server {
            let authority = server.split(['/', '?']).next().unwrap_or_default();
            if authority.matches('@').count() > 1 {
                // Taken as it stands, a part of the password would be the server's name.
                return Err("the database URL has more than one @ before the database's name; write %40 \
                            for one in the password"
                    .to_owned());
            }
            Ok(Self::Postgres(url.to_owned()))
        } else if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("sqlite: needs a path behind it".to_owned());
            }
            Ok(Self::Sqlite(path.into()))
        } else {
            Err("the database URL must begin with postgres:// or sqlite:".to_owned())
        }
    }
}

/// Opens a connection and sets it up.
pub fn open(url: &DatabaseUrl) -> Result<Conn, ConnectionError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut conn = PgConnection::establish(&with_limits(url)).map_err(without_url)?;
            // A daemon that stands still in the midst of a transaction lets go of its locks before its
            // leases run out (30 s), so that another can take them.
            conn.batch_execute(
                "SET synchronous_commit = on; SET client_min_messages = warning; \
                 SET idle_in_transaction_session_timeout = '25s'",
            )
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(Conn::Postgres(conn))
        }
        DatabaseUrl::Sqlite(path) => {
            let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
            // busy_timeout first: several connections that switch to WAL at once would fail.
            // The WAL may grow to 16 MB: pages that change in every batch are then copied into the
            // database a quarter as often. What is committed is on the disk either way.
            conn.batch_execute(
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000; \
                 PRAGMA wal_autocheckpoint = 4000",
            )
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
            deadline::register(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(Conn::Sqlite(conn))
        }
    }
}

/// What libpq is told besides: how long it waits for a server that can't be reached, or whose network
/// is gone without a word (<https://www.postgresql.org/docs/15/libpq-connect.html>, 34.1.2). What it waits
/// for by itself is a quarter of an hour and more.
const LIMITS: [(&str, &str); 5] = [
    ("connect_timeout", "10"),
    ("tcp_user_timeout", "20000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "2"),
];

/// The URL with the limits that it does not set itself.
fn with_limits(url: &str) -> String {
    // libpq takes what stands before the first @ for a name and a password, whatever else is in it.
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let (_, place) = place.split_once('@').filter(|(who, _)| !who.contains('/')).unwrap_or(("", place));
    let mut query = place.split_once('?').map(|(_, query)| query.to_owned());
    let mut all = url.to_owned();
    for (name, value) in LIMITS {
        let is_set = |query: &String| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        if !query.as_ref().is_some_and(is_set) {
            let is_open = query.is_some() && all.ends_with(['?', '&']);
            let mark = if is_open {
                ""
            } else if query.is_some() {
                "&"
            } else {
                "?"
            };
            query.get_or_insert_default();
            // Writing to a String can't fail.
            let _ = write!(all, "{mark}{name}={value}");
        }
    }
    all
}

/// A URL that it can't read libpq repeats in its error, password and all. What went wrong on the
/// way to a server never holds one.
fn without_url(error: ConnectionError) -> ConnectionError {
    let text = error.to_string();
    if ["connection to server", "could not translate host name"].iter().any(|known| text.starts_with(known)) {
        return error;
    }
    ConnectionError::InvalidConnectionUrl(
        "the database URL can't be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @, \
         %2F for / and %25 for % in the password"
            .to_owned(),
    )
}

/// How a transaction begins: a writer on SQLite takes the write lock at once, since one that
/// read first could no longer get it; a PostgreSQL reader sees one snapshot throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only reads.
    Read,
    /// Reads and writes.
    Write,
}

/// Runs `body` in one transaction.
pub fn transaction<T, E>(
    conn: &mut Conn,
    mode: Mode,
    body: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<StoreError>,
{
    begin(conn, mode).map_err(StoreError::from)?;
    through(conn, body)
}

/// Begins a transaction. The only place in the house that does.
fn begin(conn: &mut Conn, mode: Mode) -> QueryResult<()> {
    use diesel::connection::AnsiTransactionManager;
    match (conn, mode) {
        (Conn::Postgres(conn), Mode::Read) => AnsiTransactionManager::begin_transaction_sql(
            conn,
            &format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY{}", deadline::words_for_postgres()),
        ),
        (Conn::Postgres(conn), Mode::Write) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN"),
        (Conn::Sqlite(conn), Mode::Read) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN"),
        (Conn::Sqlite(conn), Mode::Write) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
        }
    }
}

/// Runs `body` in the transaction that was begun, and ends it.
fn through<T, E: From<StoreError>>(
    conn: &mut Conn,
    body: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    match body(conn) {
        Ok(value) => {
            end(conn, true).map_err(committing)?;
            Ok(value)
        }
        Err(error) => {
            if let Err(failed) = end(conn, false) {
                tracing::warn!(error = %failed, "rolling back failed; the connection will be dropped");
            }
            Err(error)
        }
    }
}

/// Why a commit failed. SQLite writes to the disk and waits for it here, and here alone: an I/O error
/// means that nobody knows what is on the disk. diesel tells SQLite's sentence, not its code.
fn committing(error: diesel::result::Error) -> StoreError {
    if error.to_string().contains("disk I/O error") {
        tracing::error!(%error, "a commit is not safe on the disk");
        return StoreError::Unsynced;
    }
    StoreError::from(error)
}

/// Begins a part of the open transaction that can be taken back alone.
pub fn begin_part(conn: &mut Conn) -> Result<(), StoreError> {
    use diesel::connection::{AnsiTransactionManager as Manager, TransactionManager};
    Ok(each_backend!(conn => Manager::begin_transaction(conn))?)
}

/// Ends what [`begin_part`] began: it stays as far as the transaction does, or is taken back.
pub fn end_part(conn: &mut Conn, keep: bool) -> Result<(), StoreError> {
    Ok(end(conn, keep)?)
}

fn end(conn: &mut Conn, commit: bool) -> QueryResult<()> {
    use diesel::connection::{AnsiTransactionManager as Manager, TransactionManager};
    each_backend!(conn => if commit { Manager::commit_transaction(conn) } else { Manager::rollback_transaction(conn) })
}

/// Takes the lock under which events are numbered. SQLite has one writer and needs none.
///
/// PostgreSQL hands sequence numbers out before commit, so without the lock a reader could
/// pass a number whose row commits later. It is taken last and held until the commit.
pub fn lock_events(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(7061797374)").execute(conn)?;
    }
    Ok(())
}

/// Takes the lock under which the audit log is chained, until the transaction ends: after everything but the
/// events' lock. SQLite has one writer and needs none.
pub fn lock_audit(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(706181, 0)").execute(conn)?;
    }
    Ok(())
}

/// Takes the lock under which tries to sign in are counted, until the transaction ends: two that count at once
/// would each be the last one that is let through. SQLite has one writer.
pub fn lock_tries(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(706182, 0)").execute(conn)?;
    }
    Ok(())
}

/// Takes the lock under which conversations are given out, until the transaction ends: two daemons that count
/// at once would each fill up the last place. SQLite has one writer.
pub fn lock_distribution(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(706184, 0)").execute(conn)?;
    }
    Ok(())
}

/// Takes the lock under which mail of one group of mailboxes is placed, until the transaction ends.
///
/// Whether a mail is here already is looked up and then acted on: on PostgreSQL two transactions
/// with the same mail would both find nothing. SQLite has one writer and needs no lock.
pub fn lock_group(conn: &mut Conn, group: &str) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        // Two keys, so that no group can meet the lock of the events, which has one.
        diesel::sql_query("SELECT pg_advisory_xact_lock(706179, $1)")
            .bind::<diesel::sql_types::Integer, _>(lock_key(group))
            .execute(conn)?;
    }
    Ok(())
}

/// Has SQLite overwrite what is deleted from here on with zeros, or no longer: it leaves the bytes in the file otherwise
/// until something else needs their place. PostgreSQL has its VACUUM.
pub fn overwrite_deleted(conn: &mut Conn, on: bool) -> Result<(), StoreError> {
    if let Conn::Sqlite(conn) = conn {
        conn.batch_execute(if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" })?;
    }
    Ok(())
}

/// Takes the lock under which what another system calls conversations is given out, until the transaction
/// ends: of two that bring the same name at once, the second finds the conversation of the first. SQLite has
/// one writer.
pub fn lock_external(conn: &mut Conn, name: &str) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(706183, $1)")
            .bind::<diesel::sql_types::Integer, _>(lock_key(name))
            .execute(conn)?;
    }
    Ok(())
}

/// A number for a name that locks are taken under. Two names with one number wait for each other, and no more.
fn lock_key(name: &str) -> i32 {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(4).fold(0_i32, |key, byte| (key << 8) | i32::from(*byte))
}

/// Takes the lock under which automatic mail is counted and let out, until the transaction ends: two
/// transactions that count at once would each let the last one out. SQLite has one writer.
pub fn lock_automatic(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(706180, 0)").execute(conn)?;
    }
    Ok(())
}

/// A connection of the pool.
pub struct Pooled {
    conn: Conn,
    /// Its server has left it.
    is_gone: bool,
}

/// The pool of connections.
pub type Pool = r2d2::Pool<Manager>;

/// [`transaction`] on a connection of the pool.
///
/// Whether a connection still lives is asked by the transaction's own beginning, which did nothing where it
/// doesn't: another connection is taken then. To ask before would cost as much as a query. Where a time is
/// given, statements have so long ([`Deadline`]).
pub fn pooled<T, E>(
    pool: &Pool,
    mode: Mode,
    time: Option<Duration>,
    body: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<StoreError>,
{
    // All that lie there may be gone, and each that is tried leaves the pool.
    for _ in 0..=pool.max_size() {
        let mut pooled = pool.get().map_err(|_| StoreError::Busy)?;
        let _deadline = time.map(Deadline::begin);
        match begin(&mut pooled.conn, mode) {
            Ok(()) => return through(&mut pooled.conn, body),
            // A server that is there begins a transaction whenever it is asked to.
            Err(error) if matches!(pooled.conn, Conn::Postgres(_)) => {
                tracing::info!(%error, "the database has left a connection; another one is taken");
                pooled.is_gone = true;
            }
            Err(error) => return Err(StoreError::from(error).into()),
        }
    }
    Err(StoreError::Busy.into())
}

/// Opens pooled connections by the URL's scheme, so that the true cause of a failure is told
/// (the derived one says only "invalid connection url").
#[derive(Debug)]
pub struct Manager {
    url: DatabaseUrl,
}

impl Manager {
    /// Connections to this database.
    pub fn new(url: DatabaseUrl) -> Self {
        Self { url }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        let conn = open(&self.url).map_err(diesel::r2d2::Error::ConnectionError)?;
        Ok(Pooled { conn, is_gone: false })
    }

    /// Its first transaction tells: [`pooled`].
    fn is_valid(&self, _: &mut Pooled) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Asked when it comes back.
    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        use diesel::connection::{AnsiTransactionManager as Manager, TransactionManager};
        let conn = &mut pooled.conn;
        pooled.is_gone
            || std::thread::panicking()
            || each_backend!(conn => Manager::is_broken_transaction_manager(conn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_added_where_the_url_sets_none() {
        let added = "tcp_user_timeout=20000&keepalives_idle=10&keepalives_interval=5&keepalives_count=2";
        let plain = with_limits("postgres://u:p@h/d");
        assert_eq!(plain, format!("postgres://u:p@h/d?connect_timeout=10&{added}"));
        let own = with_limits("postgres://u:p@h/d?sslmode=require&connect_timeout=3");
        assert_eq!(own, format!("postgres://u:p@h/d?sslmode=require&connect_timeout=3&{added}"));
        let odd = with_limits("postgres://u:p?w@h/d");
        assert_eq!(odd, format!("postgres://u:p?w@h/d?connect_timeout=10&{added}"));
        let open = with_limits("postgres://h/d?sslmode=prefer&");
        assert_eq!(open, format!("postgres://h/d?sslmode=prefer&connect_timeout=10&{added}"));
        let empty = with_limits("postgres://h/d?");
        assert_eq!(empty, format!("postgres://h/d?connect_timeout=10&{added}"));
        let socket = with_limits("postgres:///d?host=/tmp&user=a@b");
        assert_eq!(socket, format!("postgres:///d?host=/tmp&user=a@b&connect_timeout=10&{added}"));
    }

    #[test]
    fn the_scheme_decides_and_the_url_is_not_repeated() {
        assert_eq!(DatabaseUrl::parse("sqlite:/x/y.db"), Ok(DatabaseUrl::Sqlite("/x/y.db".into())));
        assert!(matches!(DatabaseUrl::parse("postgres://u:secret@h/d"), Ok(DatabaseUrl::Postgres(_))));
        let refused = DatabaseUrl::parse("mysql://u:secret@h/d").expect_err("not ours");
        assert!(!refused.contains("secret"), "{refused}");
        let refused = DatabaseUrl::parse("postgres://u:se@cret@h/d").expect_err("two of them");
        assert!(!refused.contains("cret"), "{refused}");
        assert!(DatabaseUrl::parse("postgres://u:se%40cret@h/d?options=@").is_ok());
    }

    #[test]
    fn an_error_does_not_repeat_the_password() {
        for url in ["postgres://u:secret@[/d", "postgres://u:secret%zz@h/d", "postgres://u@h:secret/d"] {
            let url = DatabaseUrl::parse(url).expect("begins as it must");
            let Err(error) = open(&url) else { panic!("there is no such server") };
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.to_string().contains("can't be read"), "{error}");
        }
        let url = DatabaseUrl::parse("postgres://u:secret@127.0.0.1:1/d").expect("well-formed");
        let Err(error) = open(&url) else { panic!("there is no such server") };
        assert!(error.to_string().contains("127.0.0.1") && !error.to_string().contains("secret"), "{error}");
    }
}
