//! Looks for what can't be if the store is whole: rows that name what is not there, counters that
//! are wrong. Plain SQL, since none of it is asked for in daily work.

use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

/// How many of what was found are named.
const EXAMPLES: usize = 10;

/// What is wrong, and a query for all of which it is. `name` tells which they are.
const QUERIES: [(&str, &str); 8] = [
    (
        "messages whose raw mail is not kept",
        "SELECT CAST(m.id AS TEXT) AS name FROM messages m WHERE m.raw_hash IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.hash = m.raw_hash)",
    ),
    (
        "uploads whose bytes are not kept",
        "SELECT a.id AS name FROM attachments a WHERE a.blob_hash IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.hash = a.blob_hash)",
    ),
    (
        "outgoing mail whose bytes are not kept",
        "SELECT CAST(o.id AS TEXT) AS name FROM outbox o \
         WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.hash = o.raw_hash)",
    ),
    (
        "ledger rows whose raw mail is not kept",
        "SELECT CAST(l.id AS TEXT) AS name FROM ledger l WHERE l.raw_hash IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.hash = l.raw_hash)",
    ),
    (
        "mail taken in that is no message",
        "SELECT CAST(l.id AS TEXT) AS name FROM ledger l \
         WHERE l.verdict IN ('accepted', 'oversized') AND l.message_id IS NULL",
    ),
    (
        "conversations with a wrong message_count",
        "SELECT CAST(c.id AS TEXT) AS name FROM conversations c \
         WHERE c.message_count <> (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = c.id)",
    ),
    (
        "conversations whose last message is not in them",
        "SELECT CAST(c.id AS TEXT) AS name FROM conversations c WHERE c.last_message_id IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = c.last_message_id AND m.conversation_id = c.id)",
    ),
    (
        "Message-IDs that lead to another conversation than their message",
        "SELECT r.rfc_id AS name FROM rfc_ids r JOIN messages m ON m.id = r.message_id \
         JOIN conversations c ON c.id = r.conversation_id \
         WHERE m.conversation_id <> r.conversation_id AND c.merged_into IS NULL",
    ),
];

/// Blobs that nothing names: bytes that will be freed.
const UNUSED: &str = "SELECT COUNT(*) AS count, CAST(COALESCE(SUM(b.size), 0) AS BIGINT) AS bytes, \
     COUNT(b.unused_since) AS waiting FROM blobs b \
     WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.raw_hash = b.hash) \
     AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.blob_hash = b.hash) \
     AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.raw_hash = b.hash) \
     AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.raw_hash = b.hash)";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Blobs that nothing names any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Unused {
    /// So many.
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    /// Their bytes before compression.
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
    /// For so many of them the day runs after which they are deleted; the others are yet to be noticed.
    #[diesel(sql_type = BigInt)]
    pub waiting: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Something that was looked for, and how much of it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub what: &'static str,
    /// How many.
    pub count: i64,
    /// Some of them.
    pub examples: Vec<String>,
}

/// Looks for everything that must not be. One entry for each check, found or not.
pub fn faults(conn: &mut Conn) -> Result<Vec<Found>, StoreError> {
    QUERIES.iter().map(|(what, query)| look(conn, what, query)).collect()
}

/// Looks for blobs that nothing names.
pub fn unused(conn: &mut Conn) -> Result<Unused, StoreError> {
    Ok(each_backend!(conn => diesel::sql_query(UNUSED).get_result(conn))?)
}

/// The messages that a blob belongs to: their raw mail, a file of theirs, or what went out. The first few.
pub fn messages_of(conn: &mut Conn, hash: &str) -> Result<Vec<i64>, StoreError> {
    let naming = format!(
        "SELECT m.id AS count FROM messages m WHERE m.raw_hash = $1 \
         UNION SELECT a.message_id FROM attachments a WHERE a.blob_hash = $2 AND a.message_id IS NOT NULL \
         UNION SELECT o.message_id FROM outbox o WHERE o.raw_hash = $3 AND o.message_id IS NOT NULL \
         ORDER BY 1 LIMIT {EXAMPLES}"
    );
    let named: Vec<Count> = each_backend!(conn => diesel::sql_query(&naming)
        .bind::<Text, _>(hash)
        .bind::<Text, _>(hash)
        .bind::<Text, _>(hash)
        .load(conn))?;
    Ok(named.into_iter().map(|row| row.count).collect())
}

fn look(conn: &mut Conn, what: &'static str, query: &str) -> Result<Found, StoreError> {
    let counting = format!("SELECT COUNT(*) AS count FROM ({query}) AS found");
    let counted: Vec<Count> = each_backend!(conn => diesel::sql_query(&counting).load(conn))?;
    let count = counted.first().map_or(0, |row| row.count);
    let named: Vec<Name> = if count == 0 {
        Vec::new()
    } else {
        let naming = format!("{query} LIMIT {EXAMPLES}");
        each_backend!(conn => diesel::sql_query(&naming).load(conn))?
    };
    Ok(Found { what, count, examples: named.into_iter().map(|row| row.name).collect() })
}
