//! Raw mail and uploads by what they hold.

use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::blobs;
use crate::time::Timestamp;
use diesel::prelude::*;

/// A blob as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = blobs, treat_none_as_default_value = false)]
pub struct Blob {
    /// Hex SHA-256 of the content before compression.
    pub hash: String,
    /// Bytes before compression.
    pub size: i64,
    /// `plain` or `zstd`.
    pub encoding: String,
    /// `None`: the object store has it.
    pub content: Option<Vec<u8>>,
    /// When it came.
    pub created_at: Timestamp,
}

/// Keeps blobs; those that are there already stay as they are.
pub fn insert(conn: &mut Conn, new: &[Blob]) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    each_backend!(conn => diesel::insert_into(blobs::table).values(new).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// A blob by its hash.
pub fn find(conn: &mut Conn, hash: &str) -> Result<Option<Blob>, StoreError> {
    Ok(blobs::table.find(hash).select(Blob::as_select()).first(conn).optional()?)
}

/// Blobs in the database that are larger than they should be there, compressed.
pub fn large(conn: &mut Conn, limit: i64, count: i64) -> Result<Vec<Blob>, StoreError> {
    diesel::define_sql_function! {
        /// Bytes of a value.
        fn length(value: diesel::sql_types::Binary) -> diesel::sql_types::BigInt;
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

/// The object store has it now.
pub fn empty(conn: &mut Conn, hash: &str) -> Result<(), StoreError> {
    diesel::update(blobs::table.find(hash)).set(blobs::content.eq(None::<Vec<u8>>)).execute(conn)?;
    Ok(())
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
        .filter(blobs::content.is_null())
        .order(blobs::hash.asc())
        .limit(count)
        .select(Blob::as_select())
        .load(conn)?)
}
