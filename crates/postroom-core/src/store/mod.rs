//! Where the desk is remembered: plain functions over a connection, one file a noun.
//!
//! Nothing here opens a transaction, reads the clock or knows who is asking, but for the
//! [`crate::access::Access`] that reads of mailbox-bound data are handed.

pub mod attachments;
pub mod audit;
pub mod authorizations;
pub mod auto_replies;
pub mod automatic_mails;
pub mod availabilities;
pub mod blobs;
pub mod bursts;
pub mod collecting;
pub mod conn;
pub mod conversations;
pub mod custom_fields;
pub mod customers;
pub mod deadline;
pub mod distributions;
pub mod doctor;
pub mod events;
pub mod exports;
pub mod followers;
pub mod idempotency;
pub mod imported;
pub mod jobs;
pub mod leases;
pub mod ledger;
pub mod log_readers;
pub mod mailbox_outgoing;
pub mod mailbox_routing;
pub mod mailboxes;
pub mod marks;
pub mod mentions;
pub mod messages;
pub mod migrate;
pub mod notification_settings;
pub mod notifications;
pub mod outbox;
pub mod pending;
pub mod people;
pub mod presences;
pub mod purged;
pub mod read_marks;
pub mod roles;
pub mod round_trips;
pub mod schedules;
pub(crate) mod schema;
pub mod search;
pub mod searchable;
pub mod sessions;
pub mod settings;
pub mod sign_in;
pub mod tags;
pub mod threads;
pub mod tokens;
pub mod totp;
pub mod transfers;
pub(crate) mod types;
pub mod unsent;
pub mod views;
pub mod watchdogs;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod whole;

/// What the database could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection was free in time, or another process held the database.
    #[error("the database is busy or out of reach")]
    Busy,
    /// It asked for the transaction to be run again (PostgreSQL 40001, 40P01).
    #[error("the transaction must be run again")]
    Again,
    /// A row with this name or address is there already: another transaction was first.
    #[error("there is such a row already")]
    Taken,
    /// It took longer than whoever asked may.
    #[error("the query took too long")]
    TooSlow,
    /// There is no room left for what was to be written (SQLite's SQLITE_FULL, PostgreSQL's 53100).
    #[error("the database's disk is full")]
    Full,
    /// The database can only be read: its file or its disk is read-only.
    #[error("the database is read-only")]
    ReadOnly,
    /// The commit could not be made safe on the disk (SQLite's SQLITE_IOERR_FSYNC and its kin).
    #[error("the disk did not keep what the database wrote")]
    Unsynced,
    /// A statement failed.
    #[error("a statement failed")]
    Database(#[source] diesel::result::Error),
    /// The thread that worked died.
    #[error("the worker thread died")]
    Died,
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        match &error {
            Error::DatabaseError(Kind::SerializationFailure, _) => Self::Again,
            Error::DatabaseError(Kind::ClosedConnection, _) => Self::Busy,
            Error::DatabaseError(Kind::UniqueViolation, _) => Self::Taken,
            Error::DatabaseError(_, info) => {
                let text = info.message();
                // SQLite has one writer; on PostgreSQL what a row names may go while the row is being written.
                if text.contains("deadlock detected") || text.contains("violates foreign key constraint") {
                    Self::Again
                } else if text.contains("database or disk is full")
                    || text.contains("No space left on device")
                {
                    Self::Full
                } else if text.contains("due to statement timeout") || text.contains(deadline::TOO_LATE) {
                    Self::TooSlow
                } else if text.contains("attempt to write a readonly database") {
                    Self::ReadOnly
                } else if text.contains("database is locked") || text.contains("database table is locked") {
                    Self::Busy
                } else {
                    Self::Database(error)
                }
            }
            _ => Self::Database(error),
        }
    }
}

/// The columns of a row type, for RETURNING: `as_returning()` does not compile on the enum.
pub(crate) fn returning<T: diesel::Selectable<diesel::sqlite::Sqlite>>() -> T::SelectExpression {
    T::construct_selection()
}

/// Writes `$after` over `$before` in a table that has one row of each owner, or makes the row where nobody had changed what
/// it says (version 0). `false`: somebody else changed it first.
macro_rules! put_one {
    ($conn:ident, $table:ident, $key:ident, $before:expr, $after:expr) => {
        if $before.version == 0 {
            // Of two who come first one makes the row, and the other is told that somebody was faster.
            let made = $crate::store::conn::each_backend!($conn => diesel::insert_into($table::table)
                .values($after)
                .on_conflict_do_nothing()
                .execute($conn))?;
            Ok(made == 1)
        } else {
            let same = $table::table.find($before.$key).filter($table::version.eq($before.version));
            Ok(diesel::update(same).set($after).execute($conn)? == 1)
        }
    };
}
pub(crate) use put_one;

/// Whether an error means that the database can't be reached or written to at all, so that
/// trying another row is no use.
pub(crate) fn is_unreachable(error: &StoreError) -> bool {
    let StoreError::Database(source) = error else { return true };
    let text = source.to_string();
    ["disk", "I/O", "readonly", "read-only", "server closed", "connection", "No space", "terminating"]
        .iter()
        .any(|word| text.contains(word))
}
