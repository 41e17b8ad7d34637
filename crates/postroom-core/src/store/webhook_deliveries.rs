//! What webhooks are told, and each time that it was tried.

use crate::event::Event;
use crate::id::{ConversationId, WebhookDeliveryId, WebhookId};
use crate::page::{Page, PageRequest, Position};
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{webhook_attempts, webhook_deliveries};
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use crate::webhook_delivery::{
    ATTEMPTS_KEPT, LONGEST_PAUSE, PASSED, WebhookAttempt, WebhookDelivery, WebhookDeliveryState,
};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use std::collections::HashMap;

/// Rows of one statement: SQLite takes 32,766 values in one.
const ROWS_AT_ONCE: usize = 1_000;

/// Which deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookDeliveryFilter {
    /// In any of these states; none is all.
    pub states: Vec<WebhookDeliveryState>,
    /// Of events of any of these types; none is all.
    pub event_types: Vec<String>,
    /// Of this conversation.
    pub conversation_id: Option<ConversationId>,
}

/// One page of what a webhook was told, newest first.
pub fn list(
    conn: &mut Conn,
    webhook: WebhookId,
    filter: &WebhookDeliveryFilter,
    page: PageRequest,
) -> Result<Page<WebhookDelivery>, StoreError> {
    let total = if page.count { Some(matching(webhook, filter).count().get_result(conn)?) } else { None };
    let mut query = matching(webhook, filter);
    if let Some(after) = page.after {
        query = query.filter(webhook_deliveries::number.lt(after.id));
    }
    let rows = query
        .order(webhook_deliveries::number.desc())
        .limit(page.fetch())
        .select(WebhookDelivery::as_select())
        .load(conn)?;
    let cut = Page::cut(rows, page, |row| Position { key: row.number, id: row.number });
    Ok(Page { total, ..cut })
}

fn matching(
    webhook: WebhookId,
    filter: &WebhookDeliveryFilter,
) -> webhook_deliveries::BoxedQuery<'_, MultiBackend> {
    let mut query = webhook_deliveries::table.into_boxed().filter(webhook_deliveries::webhook_id.eq(webhook));
    if !filter.states.is_empty() {
        query = query.filter(webhook_deliveries::state.eq_any(&filter.states));
    }
    if !filter.event_types.is_empty() {
        query = query.filter(webhook_deliveries::event_type.eq_any(&filter.event_types));
    }
    if let Some(conversation) = filter.conversation_id {
        query = query.filter(webhook_deliveries::conversation_id.eq(conversation));
    }
    query
}

/// One delivery.
pub fn find(conn: &mut Conn, id: &WebhookDeliveryId) -> Result<Option<WebhookDelivery>, StoreError> {
    Ok(webhook_deliveries::table
        .filter(webhook_deliveries::id.eq(id))
        .select(WebhookDelivery::as_select())
        .first(conn)
        .optional()?)
}

/// What a webhook was told of these events before, by event.
pub fn of_events(
    conn: &mut Conn,
    webhook: WebhookId,
    events: &[&Event],
) -> Result<HashMap<i64, WebhookDelivery>, StoreError> {
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    let rows: Vec<WebhookDelivery> = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(webhook_deliveries::seq.assume_not_null().eq_any(seqs))
        .select(WebhookDelivery::as_select())
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|row| Some((row.seq?, row))).collect())
}

/// A delivery to be queued.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = webhook_deliveries, treat_none_as_default_value = false)]
pub struct NewWebhookDelivery {
    /// Its `webhook-id`.
    pub id: WebhookDeliveryId,
    /// To whom.
    pub webhook_id: WebhookId,
    /// Of which event; `None`: a ping.
    pub seq: Option<i64>,
    /// The event's type.
    pub event_type: String,
    /// The event's conversation.
    pub conversation_id: Option<ConversationId>,
    /// What is sent.
    pub payload: String,
    state: WebhookDeliveryState,
    attempts: i32,
    tries: i32,
    passed: i32,
    next_at: Timestamp,
    version: i64,
    created_at: Timestamp,
}

impl NewWebhookDelivery {
    /// One that is due at once.
    pub fn of(
        webhook_id: WebhookId,
        event: Option<&Event>,
        event_type: &str,
        payload: String,
        now: Timestamp,
    ) -> Self {
        Self {
            id: WebhookDeliveryId::fresh(),
            webhook_id,
            seq: event.map(|event| event.seq),
            event_type: event_type.to_owned(),
            conversation_id: event.and_then(|event| event.conversation_id),
            payload,
            state: WebhookDeliveryState::Queued,
            attempts: 0,
            tries: 0,
            passed: 0,
            next_at: now,
            version: 1,
            created_at: now,
        }
    }
}

/// Queues deliveries.
pub fn insert(conn: &mut Conn, new: &[NewWebhookDelivery]) -> Result<(), StoreError> {
    for rows in new.chunks(ROWS_AT_ONCE) {
        each_backend!(conn => diesel::insert_into(webhook_deliveries::table).values(rows.to_vec()).execute(conn))?;
    }
    Ok(())
}

/// Writes a delivery over what it was, one version on. `None`: somebody else changed it first, or it is
/// gone with its webhook.
pub fn update(
    conn: &mut Conn,
    before: &WebhookDelivery,
    after: &WebhookDelivery,
) -> Result<Option<WebhookDelivery>, StoreError> {
    let same = webhook_deliveries::table
        .find(before.number)
        .filter(webhook_deliveries::version.eq(before.version))
        .filter(webhook_deliveries::state.eq(before.state));
    Ok(diesel::update(same)
        .set((
            webhook_deliveries::state.eq(after.state),
            webhook_deliveries::attempts.eq(after.attempts),
            webhook_deliveries::tries.eq(after.tries),
            webhook_deliveries::passed.eq(after.passed),
            webhook_deliveries::next_at.eq(after.next_at),
            webhook_deliveries::claimed_until.eq(after.claimed_until),
            webhook_deliveries::last_attempt_at.eq(after.last_attempt_at),
            webhook_deliveries::version.eq(before.version + 1),
            webhook_deliveries::finished_at.eq(after.finished_at),
        ))
        .returning(returning::<WebhookDelivery>())
        .get_result(conn)
        .optional()?)
}

/// It waits for no earlier event of its conversation: one that is on its way or tried again, and not for so
/// long already while others were taken.
fn in_turn() -> diesel::expression::SqlLiteral<Bool> {
    sql::<Bool>(&format!(
        "NOT EXISTS (SELECT 1 FROM webhook_deliveries earlier \
         WHERE earlier.webhook_id = webhook_deliveries.webhook_id \
         AND earlier.conversation_id = webhook_deliveries.conversation_id \
         AND earlier.seq < webhook_deliveries.seq \
         AND earlier.state IN ('queued', 'sending') AND earlier.passed < {PASSED})"
    ))
}

/// The deliveries of a webhook that are due, oldest event first. Where it is turned off, only pings.
pub fn due(
    conn: &mut Conn,
    webhook: WebhookId,
    is_enabled: bool,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<WebhookDelivery>, StoreError> {
    let mut query = webhook_deliveries::table
        .into_boxed()
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(webhook_deliveries::state.eq(WebhookDeliveryState::Queued))
        .filter(
            webhook_deliveries::next_at.le(now).or(webhook_deliveries::next_at.gt(now.plus(LONGEST_PAUSE))),
        )
        .filter(in_turn());
    if !is_enabled {
        query = query.filter(webhook_deliveries::seq.is_null());
    }
    Ok(query
        .order(webhook_deliveries::number.asc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(WebhookDelivery::as_select())
        .load(conn)?)
}

/// When the next delivery is due that waits for no other; `None`: none is queued.
pub fn next_due(
    conn: &mut Conn,
    webhook: WebhookId,
    is_enabled: bool,
) -> Result<Option<Timestamp>, StoreError> {
    let mut query = webhook_deliveries::table
        .into_boxed()
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(webhook_deliveries::state.eq(WebhookDeliveryState::Queued))
        .filter(in_turn());
    if !is_enabled {
        query = query.filter(webhook_deliveries::seq.is_null());
    }
    Ok(query
        .order(webhook_deliveries::next_at.asc())
        .select(webhook_deliveries::next_at)
        .first(conn)
        .optional()?)
}

/// Deliveries whose worker died over them, by the database's clock.
pub fn abandoned(conn: &mut Conn, now: Timestamp) -> Result<Vec<WebhookDelivery>, StoreError> {
    Ok(webhook_deliveries::table
        .filter(webhook_deliveries::state.eq(WebhookDeliveryState::Sending))
        .filter(webhook_deliveries::claimed_until.le(now))
        .order(webhook_deliveries::number.asc())
        .limit(1_000)
        .select(WebhookDelivery::as_select())
        .load(conn)?)
}

/// Makes every claim run out: for a daemon that starts and knows itself alone.
pub fn expire_claims(conn: &mut Conn, at: Timestamp) -> Result<usize, StoreError> {
    let claimed = webhook_deliveries::table
        .filter(webhook_deliveries::state.eq(WebhookDeliveryState::Sending))
        .filter(webhook_deliveries::claimed_until.gt(at));
    Ok(diesel::update(claimed).set(webhook_deliveries::claimed_until.eq(at)).execute(conn)?)
}

/// Makes everything due that waits for a webhook, or only what was not refused while others were taken.
/// Returns how much.
pub fn make_due(
    conn: &mut Conn,
    webhook: WebhookId,
    now: Timestamp,
    only_unrefused: bool,
) -> Result<usize, StoreError> {
    let most_passed = if only_unrefused { 0 } else { i32::MAX };
    let waiting = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(webhook_deliveries::state.eq(WebhookDeliveryState::Queued))
        .filter(webhook_deliveries::passed.le(most_passed))
        .filter(webhook_deliveries::next_at.gt(now));
    Ok(diesel::update(waiting).set(webhook_deliveries::next_at.eq(now)).execute(conn)?)
}

/// Writes down a try, and forgets those before the last fifty.
pub fn insert_attempt(conn: &mut Conn, attempt: &WebhookAttempt) -> Result<(), StoreError> {
    diesel::insert_into(webhook_attempts::table).values(attempt).execute(conn)?;
    if attempt.number > ATTEMPTS_KEPT {
        diesel::delete(
            webhook_attempts::table
                .filter(webhook_attempts::delivery_id.eq(&attempt.delivery_id))
                .filter(webhook_attempts::number.le(attempt.number - ATTEMPTS_KEPT)),
        )
        .execute(conn)?;
    }
    Ok(())
}

/// The tries of these deliveries, oldest first.
pub fn attempts(
    conn: &mut Conn,
    of: &[WebhookDeliveryId],
) -> Result<HashMap<WebhookDeliveryId, Vec<WebhookAttempt>>, StoreError> {
    let rows: Vec<WebhookAttempt> = webhook_attempts::table
        .filter(webhook_attempts::delivery_id.eq_any(of))
        .order(webhook_attempts::number.asc())
        .select(WebhookAttempt::as_select())
        .load(conn)?;
    let mut found: HashMap<WebhookDeliveryId, Vec<WebhookAttempt>> = HashMap::new();
    for row in rows {
        found.entry(row.delivery_id.clone()).or_default().push(row);
    }
    Ok(found)
}

/// Forgets what was finished before this moment. Returns how much.
pub fn delete_before(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let old = webhook_deliveries::table.filter(webhook_deliveries::finished_at.lt(before));
    Ok(diesel::delete(old).execute(conn)?)
}
