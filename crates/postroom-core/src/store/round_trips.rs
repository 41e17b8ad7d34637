//! Mails of mailboxes to themselves.

use crate::id::{MailboxId, OutboxId, RoundTripId};
use crate::round_trip::{Authentication, RoundTrip, RoundTripWay};
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::round_trips;
use crate::store::types::Json;
use crate::time::Timestamp;
use diesel::prelude::*;

/// Notes a mail that is about to leave. Its number comes back.
pub fn insert(
    conn: &mut Conn,
    mailbox: MailboxId,
    test: &RoundTripId,
    way: RoundTripWay,
    address: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let row = (
        round_trips::mailbox_id.eq(mailbox),
        round_trips::test_id.eq(test),
        round_trips::way.eq(way),
        round_trips::address.eq(address),
        round_trips::asked_at.eq(now),
    );
    Ok(diesel::insert_into(round_trips::table).values(row).returning(round_trips::id).get_result(conn)?)
}

/// Names the row of the outbox that it leaves by.
pub fn set_outbox(conn: &mut Conn, id: i64, outbox: OutboxId) -> Result<(), StoreError> {
    diesel::update(round_trips::table.find(id)).set(round_trips::outbox_id.eq(outbox)).execute(conn)?;
    Ok(())
}

/// The mails of one test of a mailbox.
pub fn of_test(
    conn: &mut Conn,
    mailbox: MailboxId,
    test: &RoundTripId,
) -> Result<Vec<RoundTrip>, StoreError> {
    Ok(round_trips::table
        .filter(round_trips::mailbox_id.eq(mailbox))
        .filter(round_trips::test_id.eq(test))
        .order(round_trips::id.asc())
        .select(RoundTrip::as_select())
        .load(conn)?)
}

/// When a mailbox last wrote to itself.
pub fn last_asked(conn: &mut Conn, mailbox: MailboxId) -> Result<Option<Timestamp>, StoreError> {
    Ok(round_trips::table
        .filter(round_trips::mailbox_id.eq(mailbox))
        .order(round_trips::id.desc())
        .select(round_trips::asked_at)
        .first(conn)
        .optional()?)
}

/// Whether the newest mail to an address of this kind, of those that are back or lost, came back.
pub fn last_arrived(
    conn: &mut Conn,
    mailbox: MailboxId,
    way: RoundTripWay,
    address: &str,
) -> Result<bool, StoreError> {
    let arrived: Option<Option<Timestamp>> = round_trips::table
        .filter(round_trips::mailbox_id.eq(mailbox))
        .filter(round_trips::way.eq(way))
        .filter(round_trips::address.eq(address))
        .filter(round_trips::arrived_at.is_not_null().or(round_trips::failure.is_not_null()))
        .order(round_trips::id.desc())
        .select(round_trips::arrived_at)
        .first(conn)
        .optional()?;
    Ok(arrived.flatten().is_some())
}

/// What is known of a mail that came back.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// When it came in.
    pub at: Timestamp,
    /// When the server got it.
    pub received_at: Option<Timestamp>,
    /// Where it lay.
    pub folder: &'a str,
    /// What the server said of it.
    pub authentication: Option<Authentication>,
}

/// Notes that a mail is back; the first time counts.
pub fn arrived(conn: &mut Conn, id: i64, arrival: Arrival<'_>) -> Result<(), StoreError> {
    let waiting = round_trips::table.find(id).filter(round_trips::arrived_at.is_null());
    diesel::update(waiting)
        .set((
            round_trips::arrived_at.eq(arrival.at),
            round_trips::received_at.eq(arrival.received_at),
            round_trips::folder.eq(arrival.folder),
            round_trips::authentication.eq(arrival.authentication.map(Json::new)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Notes that a mail will not come back.
pub fn failed(conn: &mut Conn, id: i64, why: &str) -> Result<(), StoreError> {
    let waiting = round_trips::table.find(id).filter(round_trips::arrived_at.is_null());
    diesel::update(waiting).set(round_trips::failure.eq(why)).execute(conn)?;
    Ok(())
}
