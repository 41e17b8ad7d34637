//! Which daemon has which mailbox to itself, and the database's own clock, which alone decides it:
//! the clocks of two hosts may differ by more than a lease is long.

use crate::id::MailboxId;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::leases;
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

#[derive(QueryableByName)]
struct Clock {
    #[diesel(sql_type = BigInt)]
    now: i64,
}

/// What time it is for the database: on PostgreSQL now, and not when the transaction began.
pub fn now(conn: &mut Conn) -> Result<Timestamp, StoreError> {
    let sql = match conn {
        Conn::Postgres(_) => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now",
        Conn::Sqlite(_) => "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) AS now",
    };
    let clock: Clock = each_backend!(conn => diesel::sql_query(sql).get_result(conn))?;
    Ok(Timestamp(clock.now))
}

/// A mailbox that nobody has yet.
pub fn insert(conn: &mut Conn, mailbox: MailboxId) -> Result<(), StoreError> {
    diesel::insert_into(leases::table)
        .values((
            leases::mailbox_id.eq(mailbox),
            leases::owner.eq(None::<&str>),
            leases::fence.eq(0_i64),
            leases::expires_at.eq(0_i64),
        ))
        .execute(conn)?;
    Ok(())
}

/// The mailboxes that nobody has at this time.
pub fn free(conn: &mut Conn, now: Timestamp) -> Result<Vec<MailboxId>, StoreError> {
    Ok(leases::table
        .filter(leases::owner.is_null().or(leases::expires_at.le(now)))
        .order(leases::mailbox_id.asc())
        .select(leases::mailbox_id)
        .load(conn)?)
}

/// Takes a mailbox that nobody has. Returns the new fence; `None`: somebody has it after all.
pub fn take(
    conn: &mut Conn,
    mailbox: MailboxId,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let free = leases::table.find(mailbox).filter(leases::owner.is_null().or(leases::expires_at.le(now)));
    Ok(diesel::update(free)
        .set((
            leases::owner.eq(Some(owner)),
            leases::fence.eq(leases::fence + 1),
            leases::expires_at.eq(until),
        ))
        .returning(leases::fence)
        .get_result(conn)
        .optional()?)
}

/// Makes a lease last until then, and locks its row until the transaction ends. `false`: it is
/// somebody else's. One that ran out and that nobody took is still its owner's.
pub fn renew(
    conn: &mut Conn,
    mailbox: MailboxId,
    owner: &str,
    fence: i64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let ours = leases::table.find(mailbox).filter(leases::owner.eq(owner)).filter(leases::fence.eq(fence));
    Ok(diesel::update(ours).set(leases::expires_at.eq(until)).execute(conn)? == 1)
}

/// Gives a mailbox back, if it is still this owner's.
pub fn release(conn: &mut Conn, mailbox: MailboxId, owner: &str, fence: i64) -> Result<(), StoreError> {
    let ours = leases::table.find(mailbox).filter(leases::owner.eq(owner)).filter(leases::fence.eq(fence));
    diesel::update(ours).set((leases::owner.eq(None::<&str>), leases::expires_at.eq(0_i64))).execute(conn)?;
    Ok(())
}

/// Takes a mailbox away from whoever has it: what they still write under their fence counts no more.
pub fn revoke(conn: &mut Conn, mailbox: MailboxId) -> Result<(), StoreError> {
    diesel::update(leases::table.find(mailbox))
        .set((
            leases::owner.eq(None::<&str>),
            leases::fence.eq(leases::fence + 1),
            leases::expires_at.eq(0_i64),
        ))
        .execute(conn)?;
    Ok(())
}

/// Gives every mailbox back, whoever has it.
pub fn release_all(conn: &mut Conn) -> Result<(), StoreError> {
    diesel::update(leases::table.filter(leases::owner.is_not_null()))
        .set((leases::owner.eq(None::<&str>), leases::expires_at.eq(0_i64)))
        .execute(conn)?;
    Ok(())
}
