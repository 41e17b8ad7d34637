//! Raw mail and uploads by what they hold.

use crate::object_name::ObjectName;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::blobs;
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use std::collections::BTreeMap;

/// A blob as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = blobs)]
pub struct Blob {
    /// Hex SHA-256 of the content before compression.
    pub hash: String,
    /// Bytes before compression.
    pub size: i64,
    /// `plain` or `zstd`.
    pub encoding: String,
    /// `None`: the object store has it.
    pub content: Option<Vec<u8>>,
    /// What the object store has it under.
    pub object: Option<String>,
    /// When it was first seen that nothing names it any more.
    pub unused_since: Option<Timestamp>,
    /// When it came.
    pub created_at: Timestamp,
}

impl Blob {
    /// What the object store has it under.
    pub fn object_name(&self) -> Option<ObjectName> {
        self.object.as_deref().and_then(ObjectName::parse)
    }
}

/// Keeps blobs. Those that are there already stay as they are; one that waits to be collected waits no
/// more and gets the new bytes, for its own may be gone (a backup need not have them).
///
/// On PostgreSQL a row that is there is locked until the transaction ends, also where nothing is
/// written: from here on the collector sees what is about to name it. A row that the collector deletes
/// meanwhile is inserted anew.
pub fn insert(conn: &mut Conn, new: &[Blob]) -> Result<(), StoreError> {
    // A statement must not meet one row twice, and those who insert lock rows in one order.
    let by_hash: BTreeMap<&str, &Blob> = new.iter().rev().map(|blob| (blob.hash.as_str(), blob)).collect();
    let rows: Vec<&Blob> = by_hash.into_values().collect();
    for rows in rows.chunks(1_000) {
        // diesel has no WHERE here for several rows of SQLite.
        let sql = format!(
            "INSERT INTO blobs (hash, size, encoding, content, object, created_at) VALUES {} \
             ON CONFLICT (hash) DO UPDATE SET encoding = excluded.encoding, content = excluded.content, \
             object = excluded.object, unused_since = NULL WHERE blobs.unused_since IS NOT NULL",
            places(rows.len())
        );
        each_backend!(conn => {
            let mut insert = diesel::sql_query(sql).into_boxed();
            for row in rows {
                insert = insert
                    .bind::<Text, _>(&row.hash)
                    .bind::<BigInt, _>(row.size)
                    .bind::<Text, _>(&row.encoding)
                    .bind::<Nullable<Binary>, _>(row.content.as_deref())
                    .bind::<Nullable<Text>, _>(row.object.as_deref())
                    .bind::<BigInt, _>(row.created_at);
            }
            insert.execute(conn)
        })?;
    }
    Ok(())
}

/// `($1, …, $6), ($7, …)`: the places of so many rows of six values.
fn places(rows: usize) -> String {
    let row = |index: usize| {
        let values: Vec<String> = (1..=6).map(|value| format!("${}", index * 6 + value)).collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// A blob by its hash.
pub fn find(conn: &mut Conn, hash: &str) -> Result<Option<Blob>, StoreError> {
    Ok(blobs::table.find(hash).select(Blob::as_select()).first(conn).optional()?)
}

/// Puts other bytes of the same hash in the place of those that are kept. `false`: there is no such blob.
pub fn replace(conn: &mut Conn, with: &Blob) -> Result<bool, StoreError> {
    let changed = diesel::update(blobs::table.find(&with.hash))
        .set((
            blobs::size.eq(with.size),
            blobs::encoding.eq(&with.encoding),
            blobs::content.eq(with.content.as_deref()),
            blobs::object.eq(with.object.as_deref()),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Blobs in the database that are larger than they should be there, compressed.
pub fn large(conn: &mut Conn, limit: i64, count: i64) -> Result<Vec<Blob>, StoreError> {
    diesel::define_sql_function! {
        /// Bytes of a value.
        fn length(value: Binary) -> BigInt;
    }
    // `size` is before compression, so it can only be too cautious, and it needs no blob read.
    Ok(blobs::table
        .filter(blobs::size.gt(limit))
        .filter(blobs::content.is_not_null())
        .filter(length(blobs::content.assume_not_null()).gt(limit))
        .limit(count)
        .select(Blob::as_select())
        .load(conn)?)
}

/// The object store has it now, under this name. `false`: it had it already, or nobody needs it any
/// more; then nothing names that file.
pub fn set_object(conn: &mut Conn, hash: &str, name: &ObjectName) -> Result<bool, StoreError> {
    let here = blobs::table.find(hash).filter(blobs::content.is_not_null());
    let changed = diesel::update(here)
        .set((blobs::content.eq(None::<Vec<u8>>), blobs::object.eq(name.as_str())))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Names all large files as a restore has put them: the end behind their hashes.
pub fn rename_objects(conn: &mut Conn, end: &str) -> Result<usize, StoreError> {
    let large = blobs::table.filter(blobs::object.is_not_null());
    Ok(diesel::update(large).set(blobs::object.eq(blobs::hash.concat(end).nullable())).execute(conn)?)
}

/// A blob without its content: its hash, and whether the object store keeps it.
pub type Kept = (String, bool);

/// The blobs behind a hash, in the order of hashes.
pub fn list_after(conn: &mut Conn, after: &str, count: i64) -> Result<Vec<Kept>, StoreError> {
    Ok(blobs::table
        .filter(blobs::hash.gt(after))
        .order(blobs::hash.asc())
        .limit(count)
        .select((blobs::hash, blobs::content.is_null()))
        .load(conn)?)
}

/// The blobs behind a hash that the object store keeps, in the order of hashes.
pub fn objects_after(conn: &mut Conn, after: &str, count: i64) -> Result<Vec<Blob>, StoreError> {
    Ok(blobs::table
        .filter(blobs::hash.gt(after))
        .filter(blobs::object.is_not_null())
        .order(blobs::hash.asc())
        .limit(count)
        .select(Blob::as_select())
        .load(conn)?)
}
