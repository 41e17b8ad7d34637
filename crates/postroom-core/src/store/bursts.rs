//! How many mails of one sender came since when.

use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::bursts;
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::upsert::excluded;

/// One sender's count.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = bursts, treat_none_as_default_value = false)]
pub struct Burst {
    /// The sender's folded address.
    pub email_folded: String,
    /// When the first of them came.
    pub since: Timestamp,
    /// How many came since.
    pub mails: i32,
}

/// The counts of these senders.
pub fn find(conn: &mut Conn, senders: &[&str]) -> Result<Vec<Burst>, StoreError> {
    if senders.is_empty() {
        return Ok(Vec::new());
    }
    Ok(bursts::table.filter(bursts::email_folded.eq_any(senders)).select(Burst::as_select()).load(conn)?)
}

/// Writes counts over those there are.
pub fn set(conn: &mut Conn, new: &[Burst]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(bursts::table)
            .values(new)
            .on_conflict(bursts::email_folded)
            .do_update()
            .set((bursts::since.eq(excluded(bursts::since)), bursts::mails.eq(excluded(bursts::mails))))
            .execute(conn))?;
    }
    Ok(())
}

/// Forgets counts that began before a time.
pub fn delete_before(conn: &mut Conn, time: Timestamp) -> Result<(), StoreError> {
    diesel::delete(bursts::table.filter(bursts::since.lt(time))).execute(conn)?;
    Ok(())
}
