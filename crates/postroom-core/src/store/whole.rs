//! The database as a whole: copied, looked through, restored. Each database does these its own way.

use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::doctor::Found;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::path::Path;

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = diesel::sql_types::Text)]
    said: String,
}

/// What the database itself finds wrong with its files. PostgreSQL has nothing to ask for that
/// without an extension, and finds nothing here.
pub fn integrity(conn: &mut Conn) -> Result<Found, StoreError> {
    let examples: Vec<String> = match conn {
        Conn::Postgres(_) => Vec::new(),
        Conn::Sqlite(conn) => {
            let said: Vec<Said> = diesel::sql_query(
                "SELECT integrity_check AS said FROM pragma_integrity_check \
                 UNION ALL SELECT 'a row of ' || \"table\" || ' names one of ' || parent || ' that is not there' \
                 FROM pragma_foreign_key_check",
            )
            .load(conn)?;
            said.into_iter().map(|row| row.said).filter(|said| said != "ok").collect()
        }
    };
    let count = examples.len() as i64;
    Ok(Found { what: "faults that the database finds in itself", count, examples })
}

/// Leaves out so many of the numbers that every table hands out.
pub fn skip_numbers(conn: &mut Conn, count: i64) -> Result<(), StoreError> {
    match conn {
        Conn::Postgres(conn) => {
            diesel::sql_query(
                "SELECT setval(c.oid::regclass, nextval(c.oid::regclass) + $1) FROM pg_class c \
                 WHERE c.relkind = 'S' AND c.relnamespace = current_schema()::regnamespace",
            )
            .bind::<diesel::sql_types::BigInt, _>(count)
            .execute(conn)?;
        }
        Conn::Sqlite(conn) => {
            // A table that never had a row is not among its sequences yet.
            diesel::sql_query(
                "INSERT INTO sqlite_sequence (name, seq) SELECT name, 0 FROM sqlite_master \
                 WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%' \
                 AND name NOT IN (SELECT name FROM sqlite_sequence)",
            )
            .execute(conn)?;
            diesel::sql_query("UPDATE sqlite_sequence SET seq = seq + ?")
                .bind::<diesel::sql_types::BigInt, _>(count)
                .execute(conn)?;
        }
    }
    Ok(())
}

/// Writes a copy of a SQLite database as it is at one moment, while others go on writing. The
/// copy must be an empty file or none; it is compact and has no side files.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), StoreError> {
    let opened = SqliteConnection::establish(&from.to_string_lossy());
    let mut conn = opened.map_err(|_| StoreError::Busy)?;
    conn.batch_execute("PRAGMA busy_timeout = 5000")?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<diesel::sql_types::Text, _>(to.to_string_lossy().into_owned())
        .execute(&mut conn)?;
    Ok(())
}

/// Opens a copy of a SQLite database to be looked at. Unlike [`conn::open`](super::conn::open) it
/// leaves the file as it is.
pub fn open_copy(path: &Path) -> Result<Conn, ConnectionError> {
    let url = format!("file:{}?mode=ro&immutable=1", escaped(path));
    SqliteConnection::establish(&url).map(Conn::Sqlite)
}

/// A path as part of a file URI (RFC 8089): what would end it is written as its number.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// Names what a transaction of PostgreSQL sees, so that `pg_dump` can be told to save the same. It holds
/// until the transaction ends, which the server then leaves to us, however long it waits. SQLite is
/// copied instead.
pub fn export_snapshot(conn: &mut Conn) -> Result<Option<String>, StoreError> {
    let Conn::Postgres(conn) = conn else { return Ok(None) };
    conn.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
    let mut named: Vec<Said> = diesel::sql_query("SELECT pg_export_snapshot() AS said").load(conn)?;
    Ok(named.pop().map(|row| row.said))
}

/// Whether the database holds nothing at all.
pub fn is_empty(conn: &mut Conn) -> Result<bool, StoreError> {
    let tables: Vec<Said> = match conn {
        Conn::Postgres(conn) => diesel::sql_query(
            "SELECT relname::text AS said FROM pg_class \
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')",
        )
        .load(conn)?,
        Conn::Sqlite(conn) => diesel::sql_query("SELECT name AS said FROM sqlite_master").load(conn)?,
    };
    Ok(tables.iter().all(|table| table.said == RESTORING))
}

/// A table that is there as long as a restore is under way: a daemon that started on half of a
/// backup would send its answers again.
const RESTORING: &str = "postroom_restoring";

/// Marks a PostgreSQL database as being restored. A SQLite database gets its name only when it is
/// whole, and needs no mark.
pub fn begin_restore(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        conn.batch_execute(&format!("CREATE TABLE IF NOT EXISTS {RESTORING} ()"))?;
    }
    Ok(())
}

/// Takes the mark away, in the transaction that settles the rest.
pub fn end_restore(conn: &mut Conn) -> Result<(), StoreError> {
    if let Conn::Postgres(conn) = conn {
        conn.batch_execute(&format!("DROP TABLE IF EXISTS {RESTORING}"))?;
    }
    Ok(())
}

/// Whether a restore began here and did not end.
pub fn is_restoring(conn: &mut Conn) -> Result<bool, StoreError> {
    let Conn::Postgres(conn) = conn else { return Ok(false) };
    let found: Vec<Said> = diesel::sql_query(
        "SELECT relname::text AS said FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relname = $1",
    )
    .bind::<diesel::sql_types::Text, _>(RESTORING)
    .load(conn)?;
    Ok(!found.is_empty())
}
