//! Brings either database to the schema this build knows, or back.

use crate::store::conn::{self, Conn, Mode, each_backend};
use crate::store::{self, StoreError};
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Why the schema could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer postroom has been here.
    #[error("the database was made by a newer postroom (it has migration {0}); update this one")]
    Newer(String),
    /// A migration failed; what it did was rolled back.
    #[error("a migration failed: {0}")]
    Failed(String),
    /// The database could not be asked.
    #[error("{0}")]
    Store(#[from] StoreError),
}

fn failed(error: impl std::fmt::Display) -> MigrateError {
    MigrateError::Failed(error.to_string())
}

/// Applies what is missing, all of it or nothing. Returns the names of what was applied.
///
/// What is missing is looked up by one at a time: a daemon and a command that both come first would
/// make the same tables twice.
pub fn up(conn: &mut Conn) -> Result<Vec<String>, MigrateError> {
    conn::transaction(conn, Mode::Write, |conn| {
        if let Conn::Postgres(conn) = conn {
            conn.batch_execute("SELECT pg_advisory_xact_lock(7061797375)").map_err(failed)?;
        }
        refuse_newer(conn)?;
        let applied = match conn {
            Conn::Postgres(conn) => conn.run_pending_migrations(POSTGRES),
            Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE),
        };
        applied.map(|versions| names(&versions)).map_err(failed)
    })
}

/// Takes the newest migration back. Returns its name, `None` where there is none.
pub fn down(conn: &mut Conn) -> Result<Option<String>, MigrateError> {
    if applied(conn)?.is_empty() {
        return Ok(None);
    }
    let reverted = match conn {
        Conn::Postgres(conn) => conn.revert_last_migration(POSTGRES),
        Conn::Sqlite(conn) => conn.revert_last_migration(SQLITE),
    };
    reverted.map(|version| Some(version.to_string())).map_err(failed)
}

/// What is applied, and what this build would still apply.
pub fn state(conn: &mut Conn) -> Result<(Vec<String>, Vec<String>), MigrateError> {
    let done = applied(conn)?;
    let missing = known(conn)?.into_iter().filter(|version| !done.contains(version)).collect();
    Ok((done, missing))
}

fn refuse_newer(conn: &mut Conn) -> Result<(), MigrateError> {
    let known = known(conn)?;
    match applied(conn)?.into_iter().find(|version| !known.contains(version)) {
        Some(newer) => Err(MigrateError::Newer(newer)),
        None => Ok(()),
    }
}

fn applied(conn: &mut Conn) -> Result<Vec<String>, MigrateError> {
    // diesel would make its table where there is none: who only looks must leave nothing behind.
    if store::whole::is_empty(conn)? {
        return Ok(Vec::new());
    }
    let versions = each_backend!(conn => conn.applied_migrations()).map_err(failed)?;
    let mut names = names(&versions);
    names.sort();
    Ok(names)
}

fn known(conn: &Conn) -> Result<Vec<String>, MigrateError> {
    let mut names = match conn {
        Conn::Postgres(_) => versions_of::<diesel::pg::Pg>(&POSTGRES)?,
        Conn::Sqlite(_) => versions_of::<diesel::sqlite::Sqlite>(&SQLITE)?,
    };
    names.sort();
    Ok(names)
}

fn versions_of<DB: diesel::backend::Backend>(
    source: &EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError> {
    let migrations = MigrationSource::<DB>::migrations(source).map_err(failed)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

fn names(versions: &[diesel::migration::MigrationVersion<'_>]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}
