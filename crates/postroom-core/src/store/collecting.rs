//! Blobs that nothing names any more, and their way out. Why no race loses one that is named stands in
//! [`crate::operations::collecting`].

use crate::object_name::ObjectName;
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::{attachments, blobs, ledger, messages, outbox};
use crate::time::Timestamp;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use std::collections::HashSet;

/// That a column of a table names the blob of a row. Each looks into an index.
macro_rules! named_by {
    ($table:ident, $column:ident) => {
        exists($table::table.filter($table::$column.eq(blobs::hash.nullable())))
    };
}

/// That none names it, one by one: what stands within an `OR` PostgreSQL may look up by reading all of a
/// table. `store/doctor.rs` says the same in its own words.
macro_rules! is_unnamed {
    () => {
        not(named_by!(messages, raw_hash))
            .and(not(named_by!(attachments, blob_hash)))
            .and(not(named_by!(ledger, raw_hash)))
            .and(not(exists(outbox::table.filter(outbox::raw_hash.eq(blobs::hash)))))
    };
}

macro_rules! page_of {
    ($after:expr, $count:expr) => {
        blobs::table
            .filter(blobs::hash.gt($after))
            .order(blobs::hash.asc())
            .limit($count)
            .select((blobs::hash, blobs::unused_since))
    };
}

macro_rules! due {
    ($until:expr, $count:expr) => {
        blobs::table
            .filter(blobs::unused_since.le($until))
            .order((blobs::unused_since.asc(), blobs::hash.asc()))
            .limit($count)
            .select(blobs::hash)
    };
}

macro_rules! unnamed_of {
    ($hashes:expr) => {
        blobs::table.filter(blobs::hash.eq_any($hashes)).filter(is_unnamed!()).select(blobs::hash)
    };
}

/// A blob as the collector sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its hash.
    pub hash: String,
    /// Something names it.
    pub is_named: bool,
    /// Since when it waits to be collected.
    pub unused_since: Option<Timestamp>,
}

/// A blob that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Gone {
    /// Its bytes before compression.
    pub size: i64,
    /// What the object store has under this name is nobody's any more.
    pub object: Option<String>,
}

impl Gone {
    /// The name in the object store.
    pub fn object_name(&self) -> Option<ObjectName> {
        self.object.as_deref().and_then(ObjectName::parse)
    }
}

/// The blobs behind a hash, in the order of hashes.
pub fn page(conn: &mut Conn, after: &str, count: i64) -> Result<Vec<Seen>, StoreError> {
    let page: Vec<(String, Option<Timestamp>)> = page_of!(after, count).load(conn)?;
    let hashes: Vec<&str> = page.iter().map(|(hash, _)| hash.as_str()).collect();
    let unnamed = unnamed(conn, &hashes)?;
    let seen = |(hash, unused_since)| Seen { is_named: !unnamed.contains(&hash), hash, unused_since };
    Ok(page.into_iter().map(seen).collect())
}

/// The query of [`page`], which asks for them by [`unnamed_query`] as well.
pub fn page_query(after: &str, count: i64) -> impl QueryFragment<MultiBackend> {
    page_of!(after.to_owned(), count)
}

/// Notes of those blobs that nothing names since when that is so, where it is not noted yet. Returns of
/// how many.
pub fn mark(conn: &mut Conn, hashes: &[&str], now: Timestamp) -> Result<usize, StoreError> {
    let of = || blobs::table.filter(blobs::hash.eq_any(hashes));
    // A later time was noted by a clock that ran ahead.
    let unmarked = blobs::unused_since.is_null().or(blobs::unused_since.gt(now).assume_not_null());
    let marked = diesel::update(of().filter(unmarked).filter(is_unnamed!()))
        .set(blobs::unused_since.eq(now))
        .execute(conn)?;
    // Now the rows are locked. On PostgreSQL a statement sees what was committed before it began: one
    // that waited for somebody who was just naming a blob has not seen that, this one has.
    let taken_back = unmark_named(conn, hashes)?;
    Ok(marked.saturating_sub(taken_back))
}

/// Takes the mark from those blobs that something names after all. Returns from how many.
pub fn unmark_named(conn: &mut Conn, hashes: &[&str]) -> Result<usize, StoreError> {
    let unnamed = unnamed(conn, hashes)?;
    let named: Vec<&str> = hashes.iter().copied().filter(|hash| !unnamed.contains(*hash)).collect();
    let named = blobs::table.filter(blobs::hash.eq_any(named)).filter(blobs::unused_since.is_not_null());
    Ok(diesel::update(named).set(blobs::unused_since.eq(None::<Timestamp>)).execute(conn)?)
}

/// Blobs that are marked since then or longer.
pub fn due(conn: &mut Conn, until: Timestamp, count: i64) -> Result<Vec<String>, StoreError> {
    Ok(due!(until, count).load(conn)?)
}

/// The query of [`due`].
pub fn due_query(until: Timestamp, count: i64) -> impl QueryFragment<MultiBackend> {
    due!(until, count)
}

/// Deletes those of the blobs that are marked since then or longer and that nothing names. What is named
/// loses its mark.
pub fn delete_due(conn: &mut Conn, hashes: &[&str], until: Timestamp) -> Result<Vec<Gone>, StoreError> {
    let due = || blobs::table.filter(blobs::hash.eq_any(hashes)).filter(blobs::unused_since.le(until));
    // Locks the rows, so that the next statement sees all that was committed before by those who named
    // one of them, and whoever comes later waits.
    diesel::update(due()).set(blobs::unused_since.eq(blobs::unused_since)).execute(conn)?;
    let gone = diesel::delete(due().filter(is_unnamed!()))
        .returning((blobs::size, blobs::object))
        .get_results(conn)?;
    diesel::update(due()).set(blobs::unused_since.eq(None::<Timestamp>)).execute(conn)?;
    Ok(gone)
}

/// Those of the blobs that nothing names.
pub fn unnamed(conn: &mut Conn, hashes: &[&str]) -> Result<HashSet<String>, StoreError> {
    Ok(unnamed_of!(hashes).load(conn)?.into_iter().collect())
}

/// The query of [`unnamed`], which is also how blobs are told apart that are marked or deleted.
pub fn unnamed_query(hashes: &[&str]) -> impl QueryFragment<MultiBackend> {
    let hashes: Vec<String> = hashes.iter().map(|&hash| hash.to_owned()).collect();
    unnamed_of!(hashes)
}

/// The names in the object store that the blobs of these hashes have.
pub fn objects_of(conn: &mut Conn, hashes: &[&str]) -> Result<HashSet<String>, StoreError> {
    let named: Vec<Option<String>> =
        blobs::table.filter(blobs::hash.eq_any(hashes)).select(blobs::object).load(conn)?;
    Ok(named.into_iter().flatten().collect())
}
