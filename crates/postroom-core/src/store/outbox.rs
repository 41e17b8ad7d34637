//! Mail on its way out.

use crate::id::{MailboxId, MessageId, OutboxId};
use crate::message::{CopyState, DeliveryState, Outbound, RecipientResult};
use crate::store::conn::Conn;
use crate::store::schema::{mailboxes, outbox};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// A mail to be sent.
#[derive(Debug, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
pub struct NewOutbound<'a> {
    /// The message it carries; `None` is a notice to the administrators.
    pub message_id: Option<MessageId>,
    /// Where it leaves from.
    pub mailbox_id: MailboxId,
    /// `queued`.
    pub state: DeliveryState,
    /// Its final bytes.
    pub raw_hash: &'a str,
    /// MAIL FROM.
    pub envelope_from: &'a str,
    /// RCPT TO.
    pub recipients: Json<Vec<RecipientResult>>,
    /// 0.
    pub attempts: i32,
    /// Not before.
    pub next_attempt_at: Timestamp,
    /// Not yet.
    pub captured: bool,
    /// Not yet.
    pub may_be_double: bool,
    /// 0.
    pub copy_attempts: i32,
    /// 1.
    pub version: i64,
    /// Now.
    pub created_at: Timestamp,
}

/// Puts a mail into the outbox. Its number comes back.
pub fn insert(conn: &mut Conn, new: &NewOutbound<'_>) -> Result<OutboxId, StoreError> {
    Ok(diesel::insert_into(outbox::table).values(new).returning(outbox::id).get_result(conn)?)
}

/// How the mails of several messages are doing.
pub fn of_messages(
    conn: &mut Conn,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, Outbound>, StoreError> {
    if messages.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Outbound> =
        outbox::table.filter(outbox::message_id.eq_any(messages)).select(Outbound::as_select()).load(conn)?;
    Ok(rows.into_iter().filter_map(|row| Some((row.message_id?, row))).collect())
}

/// The mails that are due, of mailboxes that are not paused, oldest first. `longest` says, from the
/// fewest attempts to the most, until when a mail of so many can have to wait: one that waits for longer
/// had its time from a clock that has been set back since, and is due as well.
pub fn due(
    conn: &mut Conn,
    now: Timestamp,
    longest: &[(i32, Timestamp)],
    limit: i64,
) -> Result<Vec<Outbound>, StoreError> {
    let mut due = outbox::table
        .inner_join(mailboxes::table)
        .into_boxed()
        .filter(outbox::next_attempt_at.le(now))
        .or_filter(outbox::state.eq(DeliveryState::Queued));
    for (attempts, until) in longest {
        due = due.or_filter(outbox::attempts.le(*attempts).and(outbox::next_attempt_at.gt(*until)));
    }
    Ok(due
        .filter(outbox::state.eq_any([DeliveryState::Queued, DeliveryState::Deferred]))
        .filter(mailboxes::paused.eq(false))
        .order((outbox::next_attempt_at.asc(), outbox::id.asc()))
        .limit(limit)
        .select(Outbound::as_select())
        .load(conn)?)
}

/// When the next mail is due, if any waits.
pub fn next_due(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    Ok(outbox::table
        .inner_join(mailboxes::table)
        .filter(outbox::state.eq_any([DeliveryState::Queued, DeliveryState::Deferred]))
        .filter(mailboxes::paused.eq(false))
        .order(outbox::next_attempt_at.asc())
        .select(outbox::next_attempt_at)
        .first(conn)
        .optional()?)
}

/// Mails that are neither sent nor given up, oldest first.
pub fn unfinished(conn: &mut Conn) -> Result<Vec<Outbound>, StoreError> {
    Ok(outbox::table
        .filter(outbox::state.eq_any([
            DeliveryState::Queued,
            DeliveryState::Deferred,
            DeliveryState::Sending,
        ]))
        .order(outbox::id.asc())
        .select(Outbound::as_select())
        .load(conn)?)
}

/// Mails whose sender died over them.
pub fn abandoned(conn: &mut Conn, now: Timestamp) -> Result<Vec<Outbound>, StoreError> {
    Ok(outbox::table
        .filter(outbox::state.eq(DeliveryState::Sending))
        .filter(outbox::claimed_until.assume_not_null().lt(now))
        .order(outbox::id.asc())
        .limit(100)
        .select(Outbound::as_select())
        .load(conn)?)
}

#[derive(AsChangeset)]
#[diesel(table_name = outbox, treat_none_as_null = true)]
struct Changed {
    state: DeliveryState,
    recipients: Json<Vec<RecipientResult>>,
    attempts: i32,
    next_attempt_at: Timestamp,
    claimed_until: Option<Timestamp>,
    data_sent_at: Option<Timestamp>,
    captured: bool,
    response: Option<String>,
    last_error: Option<String>,
    version: i64,
    finished_at: Option<Timestamp>,
    may_be_double: bool,
    delayed_at: Option<Timestamp>,
    copy_state: Option<CopyState>,
    copy_attempts: i32,
    copy_next_at: Option<Timestamp>,
    copy_error: Option<String>,
}

/// Writes `after` over `before`, one version on. `None`: another worker was first.
pub fn update(conn: &mut Conn, before: &Outbound, after: &Outbound) -> Result<Option<Outbound>, StoreError> {
    let changed = Changed {
        state: after.state,
        recipients: after.recipients.clone(),
        attempts: after.attempts,
        next_attempt_at: after.next_attempt_at,
        claimed_until: after.claimed_until,
        data_sent_at: after.data_sent_at,
        captured: after.captured,
        response: after.response.clone(),
        last_error: after.last_error.clone(),
        version: before.version + 1,
        finished_at: after.finished_at,
        may_be_double: after.may_be_double,
        delayed_at: after.delayed_at,
        copy_state: after.copy_state,
        copy_attempts: after.copy_attempts,
        copy_next_at: after.copy_next_at,
        copy_error: after.copy_error.clone(),
    };
    let same = outbox::table
        .find(before.id)
        .filter(outbox::version.eq(before.version))
        .filter(outbox::state.eq(before.state));
    Ok(diesel::update(same).set(&changed).returning(returning::<Outbound>()).get_result(conn).optional()?)
}

/// A mail as it stands.
pub fn find(conn: &mut Conn, id: OutboxId) -> Result<Option<Outbound>, StoreError> {
    Ok(outbox::table.find(id).select(Outbound::as_select()).first(conn).optional()?)
}

/// Ends every claim as of a time.
pub fn expire_claims(conn: &mut Conn, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(outbox::table.filter(outbox::state.eq(DeliveryState::Sending)))
        .set(outbox::claimed_until.eq(at))
        .execute(conn)?;
    Ok(())
}
