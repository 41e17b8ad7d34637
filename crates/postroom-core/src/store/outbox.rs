//! Mail on its way out.

use crate::id::{MailboxId, MessageId, OutboxId};
use crate::message::{CopyState, DeliveryState, Outbound, RecipientResult};
use crate::store::conn::Conn;
use crate::store::schema::{mailbox_states, mailboxes, outbox};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// A mail to be sent.
#[derive(Debug, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
pub struct NewOutbound<'a> {
    /// The message it carries; `None` is a notice to the administrators or to an agent.
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
    pub waited_seconds: i64,
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

/// The mails that are due, of mailboxes that are neither paused nor among those that are not let in,
/// oldest first. `longest` says, from the fewest attempts to the most, until when a mail of so many can
/// have to wait: one that waits for longer had its time from a clock that has been set back since, and is
/// due as well.
pub fn due(
    conn: &mut Conn,
    now: Timestamp,
    longest: &[(i32, Timestamp)],
    not_let_in: &[MailboxId],
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
        .filter(outbox::mailbox_id.ne_all(not_let_in))
        .order((outbox::next_attempt_at.asc(), outbox::id.asc()))
        .limit(limit)
        .select(Outbound::as_select())
        .load(conn)?)
}

/// When the next mail is due, if any waits.
pub fn next_due(conn: &mut Conn, not_let_in: &[MailboxId]) -> Result<Option<Timestamp>, StoreError> {
    Ok(outbox::table
        .inner_join(mailboxes::table)
        .filter(outbox::state.eq_any([DeliveryState::Queued, DeliveryState::Deferred]))
        .filter(mailboxes::paused.eq(false))
        .filter(outbox::mailbox_id.ne_all(not_let_in))
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
            DeliveryState::Uncertain,
        ]))
        .filter(outbox::finished_at.is_null())
        .order(outbox::id.asc())
        .select(Outbound::as_select())
        .load(conn)?)
}

/// Uncertain mails whose time for evidence is up, oldest first. One whose time is after `latest` had it
/// from a clock that has been set back since.
pub fn undecided(
    conn: &mut Conn,
    now: Timestamp,
    latest: Timestamp,
    limit: i64,
) -> Result<Vec<Outbound>, StoreError> {
    Ok(outbox::table
        .filter(outbox::state.eq(DeliveryState::Uncertain))
        .filter(outbox::finished_at.is_null())
        .filter(outbox::next_attempt_at.le(now).or(outbox::next_attempt_at.gt(latest)))
        .order((outbox::next_attempt_at.asc(), outbox::id.asc()))
        .limit(limit)
        .select(Outbound::as_select())
        .load(conn)?)
}

/// When the next uncertain mail is to be decided, if any is.
pub fn next_undecided(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    Ok(outbox::table
        .filter(outbox::state.eq(DeliveryState::Uncertain))
        .filter(outbox::finished_at.is_null())
        .order(outbox::next_attempt_at.asc())
        .select(outbox::next_attempt_at)
        .first(conn)
        .optional()?)
}

/// The messages of which nobody knows whether they arrived, whether they are to be sent again, or were
/// cancelled meanwhile, or not.
pub fn doubtful(conn: &mut Conn) -> Result<Vec<MessageId>, StoreError> {
    let again = outbox::state
        .eq_any([DeliveryState::Queued, DeliveryState::Deferred])
        .and(outbox::may_be_double.eq(true));
    let cancelled = outbox::state.eq(DeliveryState::Failed).and(outbox::data_sent_at.is_not_null());
    let found: Vec<Option<MessageId>> = outbox::table
        .filter(outbox::state.eq(DeliveryState::Uncertain).or(again).or(cancelled))
        .select(outbox::message_id)
        .load(conn)?;
    Ok(found.into_iter().flatten().collect())
}

/// Mails that have been waiting since before `bound`, of which nobody has been told so, oldest first.
pub fn slow(conn: &mut Conn, bound: Timestamp, limit: i64) -> Result<Vec<Outbound>, StoreError> {
    Ok(outbox::table
        .filter(outbox::state.eq_any([DeliveryState::Queued, DeliveryState::Deferred]))
        .filter(outbox::delayed_at.is_null())
        .filter(outbox::created_at.le(bound))
        .filter(outbox::tried_from.is_null().or(outbox::tried_from.le(bound)))
        .order(outbox::id.asc())
        .limit(limit)
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
    tried_from: Option<Timestamp>,
    waited_seconds: i64,
    envelope_from: String,
}

/// Writes `after` over `before`, one version on, but for its copy in the Sent folder. `None`: another
/// worker was first.
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
        tried_from: after.tried_from,
        waited_seconds: after.waited_seconds,
        envelope_from: after.envelope_from.clone(),
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

/// Moves the end of a claim that its worker still has: the row is as the claim made it, or as that worker
/// made it since ([`update`] counts one version each time, and only the worker changes what is being sent).
/// The version stays, so that the worker's own next write finds the row as it knows it. `false`: it is
/// another's, or nobody's.
pub fn renew_claim(conn: &mut Conn, claimed: &Outbound, until: Timestamp) -> Result<bool, StoreError> {
    let own = outbox::table
        .find(claimed.id)
        .filter(outbox::version.eq_any([claimed.version, claimed.version + 1]))
        .filter(outbox::state.eq(DeliveryState::Sending));
    Ok(diesel::update(own).set(outbox::claimed_until.eq(until)).execute(conn)? == 1)
}

/// Locks a row whose claim has run out, as it was read. `false`: its worker has renewed the claim, or written
/// what came of the mail, since. (PostgreSQL reads without waiting for who is just renewing; SQLite has one
/// writer.)
pub fn hold_abandoned(conn: &mut Conn, read: &Outbound) -> Result<bool, StoreError> {
    let same = outbox::table
        .find(read.id)
        .filter(outbox::version.eq(read.version))
        .filter(outbox::state.eq(DeliveryState::Sending))
        .filter(outbox::claimed_until.eq(read.claimed_until));
    Ok(diesel::update(same).set(outbox::claimed_until.eq(read.claimed_until)).execute(conn)? == 1)
}

/// Ends every claim as of a time.
pub fn expire_claims(conn: &mut Conn, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(outbox::table.filter(outbox::state.eq(DeliveryState::Sending)))
        .set(outbox::claimed_until.eq(at))
        .execute(conn)?;
    Ok(())
}

/// Notes that a copy of a mail is wanted in its mailbox's Sent folder. The version stays: whoever sends
/// the mail to its other recipients is in nobody's way.
pub fn want_copy(conn: &mut Conn, id: OutboxId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(outbox::table.find(id).filter(outbox::copy_state.is_null()))
        .set((outbox::copy_state.eq(CopyState::Wanted), outbox::copy_next_at.eq(Some(at))))
        .execute(conn)?;
    Ok(())
}

/// The mails whose copy is due, of mailboxes that are not paused and can be read, oldest first. One whose
/// time is after `latest` had it from a clock that has been set back since.
pub fn due_copies(
    conn: &mut Conn,
    now: Timestamp,
    latest: Timestamp,
    limit: i64,
) -> Result<Vec<Outbound>, StoreError> {
    Ok(outbox::table
        .inner_join(mailboxes::table.inner_join(mailbox_states::table))
        .filter(outbox::copy_state.eq(CopyState::Wanted))
        .filter(outbox::copy_next_at.le(now).or(outbox::copy_next_at.gt(latest)))
        .filter(mailboxes::paused.eq(false))
        .filter(mailbox_states::trouble.is_null())
        .order((outbox::copy_next_at.asc(), outbox::id.asc()))
        .limit(limit)
        .select(Outbound::as_select())
        .load(conn)?)
}

/// When the next copy is due, if any is wanted.
pub fn next_copy(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let next: Option<Option<Timestamp>> = outbox::table
        .filter(outbox::copy_state.eq(CopyState::Wanted))
        .order(outbox::copy_next_at.asc())
        .select(outbox::copy_next_at)
        .first(conn)
        .optional()?;
    Ok(next.flatten())
}

/// Writes how the copy of a mail stands that is still wanted, if nobody has tried it since `before`.
pub fn update_copy(conn: &mut Conn, before: &Outbound, after: &Outbound) -> Result<bool, StoreError> {
    let same = outbox::table
        .find(before.id)
        .filter(outbox::copy_state.eq(CopyState::Wanted))
        .filter(outbox::copy_attempts.eq(before.copy_attempts));
    let set = (
        outbox::copy_state.eq(after.copy_state),
        outbox::copy_attempts.eq(after.copy_attempts),
        outbox::copy_next_at.eq(after.copy_next_at),
        outbox::copy_error.eq(after.copy_error.clone()),
    );
    Ok(diesel::update(same).set(set).execute(conn)? == 1)
}
