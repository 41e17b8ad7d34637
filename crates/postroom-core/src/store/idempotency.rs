//! Which request was done under which key of a caller, and what was answered.

use crate::id::TokenId;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::idempotency_keys;
use crate::time::Timestamp;
use diesel::prelude::*;

/// What is kept under a key.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
pub struct Kept {
    /// The hash of the request.
    pub request_hash: String,
    /// What was answered, sealed; `None` only inside of the transaction that does the work.
    pub answer: Option<Vec<u8>>,
}

/// Takes a key for a request. `false`: it was taken before. Where another transaction has just
/// taken it, this waits until that one has ended.
pub fn claim(
    conn: &mut Conn,
    token: &TokenId,
    key: &str,
    request_hash: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let row = (
        idempotency_keys::token_id.eq(token),
        idempotency_keys::key.eq(key),
        idempotency_keys::request_hash.eq(request_hash),
        idempotency_keys::created_at.eq(now),
    );
    let written = each_backend!(conn => diesel::insert_into(idempotency_keys::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(written == 1)
}

/// Writes down what is answered under a key that was taken.
pub fn settle(conn: &mut Conn, token: &TokenId, key: &str, answer: &[u8]) -> Result<(), StoreError> {
    diesel::update(idempotency_keys::table.find((token, key)))
        .set(idempotency_keys::answer.eq(answer))
        .execute(conn)?;
    Ok(())
}

/// What is kept under a key.
pub fn find(conn: &mut Conn, token: &TokenId, key: &str) -> Result<Option<Kept>, StoreError> {
    let row = idempotency_keys::table.find((token, key)).select(Kept::as_select());
    Ok(row.first(conn).optional()?)
}

/// Forgets the keys that were taken before this moment. Returns how many.
pub fn delete_before(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let old = idempotency_keys::table.filter(idempotency_keys::created_at.lt(before));
    Ok(diesel::delete(old).execute(conn)?)
}
