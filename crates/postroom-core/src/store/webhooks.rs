//! Webhooks.

use crate::id::{ConversationId, MailboxId, TagId, WebhookId};
use crate::store::conn::Conn;
use crate::store::schema::{conversation_tags, tags, webhooks};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use crate::webhook::{DisabledReason, Webhook, WebhookBody};
use diesel::prelude::*;
use std::collections::HashSet;

/// Every webhook, oldest first.
pub fn list(conn: &mut Conn) -> Result<Vec<Webhook>, StoreError> {
    Ok(webhooks::table.order(webhooks::id.asc()).select(Webhook::as_select()).load(conn)?)
}

/// One webhook.
pub fn find(conn: &mut Conn, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    Ok(webhooks::table.find(id).select(Webhook::as_select()).first(conn).optional()?)
}

/// How many there are.
pub fn count(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(webhooks::table.count().get_result(conn)?)
}

/// The webhooks that are told of events and have not looked at all events up to `last`.
pub fn behind(conn: &mut Conn, last: i64) -> Result<Vec<WebhookId>, StoreError> {
    Ok(webhooks::table
        .filter(webhooks::disabled_at.is_null())
        .filter(webhooks::position.lt(last))
        .order(webhooks::id.asc())
        .select(webhooks::id)
        .load(conn)?)
}

/// What people say of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Of which types.
    pub event_types: Option<Vec<String>>,
    /// In which mailboxes.
    pub mailbox_ids: Option<Vec<MailboxId>>,
    /// With which tags.
    pub tag_ids: Option<Vec<TagId>>,
    /// How much it is told.
    pub body: WebhookBody,
    /// Since when, and why, it is told nothing.
    pub disabled: Option<(Timestamp, DisabledReason)>,
}

/// Makes a webhook that is told of what comes behind `position`. It has no secret before
/// [`set_secret`] gave it one, which is sealed for its number.
pub fn insert(
    conn: &mut Conn,
    new: &Entered,
    position: i64,
    now: Timestamp,
) -> Result<WebhookId, StoreError> {
    Ok(diesel::insert_into(webhooks::table)
        .values((
            webhooks::name.eq(&new.name),
            webhooks::url.eq(&new.url),
            webhooks::event_types.eq(new.event_types.clone().map(Json::new)),
            webhooks::mailbox_ids.eq(new.mailbox_ids.clone().map(Json::new)),
            webhooks::tag_ids.eq(new.tag_ids.clone().map(Json::new)),
            webhooks::body.eq(new.body),
            webhooks::secret.eq(Vec::<u8>::new()),
            webhooks::position.eq(position),
            webhooks::disabled_at.eq(new.disabled.map(|(at, _)| at)),
            webhooks::disabled_reason.eq(new.disabled.map(|(_, reason)| reason)),
            webhooks::version.eq(0_i64),
            webhooks::created_at.eq(now),
            webhooks::updated_at.eq(now),
        ))
        .returning(webhooks::id)
        .get_result(conn)?)
}

/// Writes what was entered over `before`, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &Webhook,
    after: &Entered,
    now: Timestamp,
) -> Result<Option<Webhook>, StoreError> {
    let same = webhooks::table.find(before.id).filter(webhooks::version.eq(before.version));
    // Whoever turns it on wants it tried, whatever was before.
    let is_new_start = before.disabled_at.is_some() && after.disabled.is_none();
    let failing_since = if is_new_start { None } else { before.failing_since };
    Ok(diesel::update(same)
        .set((
            webhooks::name.eq(&after.name),
            webhooks::url.eq(&after.url),
            webhooks::event_types.eq(after.event_types.clone().map(Json::new)),
            webhooks::mailbox_ids.eq(after.mailbox_ids.clone().map(Json::new)),
            webhooks::tag_ids.eq(after.tag_ids.clone().map(Json::new)),
            webhooks::body.eq(after.body),
            webhooks::disabled_at.eq(after.disabled.map(|(at, _)| at)),
            webhooks::disabled_reason.eq(after.disabled.map(|(_, reason)| reason)),
            webhooks::failing_since.eq(failing_since),
            webhooks::version.eq(before.version + 1),
            webhooks::updated_at.eq(now),
        ))
        .returning(returning::<Webhook>())
        .get_result(conn)
        .optional()?)
}

/// Gives a webhook a secret, and the one before until when it signs as well; one version on. `None`: somebody else
/// changed it first.
pub fn set_secret(
    conn: &mut Conn,
    before: &Webhook,
    secret: &[u8],
    previous: Option<(&[u8], Timestamp)>,
    now: Timestamp,
) -> Result<Option<Webhook>, StoreError> {
    let same = webhooks::table.find(before.id).filter(webhooks::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            webhooks::secret.eq(secret),
            webhooks::previous_secret.eq(previous.map(|(secret, _)| secret)),
            webhooks::previous_until.eq(previous.map(|(_, until)| until)),
            webhooks::version.eq(before.version + 1),
            webhooks::updated_at.eq(now),
        ))
        .returning(returning::<Webhook>())
        .get_result(conn)
        .optional()?)
}

/// Forgets the secrets before whose time is over. Returns how many.
pub fn forget_secrets(conn: &mut Conn, now: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::update(webhooks::table.filter(webhooks::previous_until.le(now)))
        .set((webhooks::previous_secret.eq(None::<Vec<u8>>), webhooks::previous_until.eq(None::<Timestamp>)))
        .execute(conn)?)
}

/// Goes on from `before` to another place in the log. `false`: somebody else was first.
pub fn set_position(conn: &mut Conn, id: WebhookId, before: i64, position: i64) -> Result<bool, StoreError> {
    let same = webhooks::table.find(id).filter(webhooks::position.eq(before));
    Ok(diesel::update(same).set(webhooks::position.eq(position)).execute(conn)? == 1)
}

/// It took something. `true`: after it had taken nothing for a while.
pub fn note_success(conn: &mut Conn, id: WebhookId, now: Timestamp) -> Result<bool, StoreError> {
    diesel::update(webhooks::table.find(id)).set(webhooks::last_success_at.eq(now)).execute(conn)?;
    let failing = webhooks::table.find(id).filter(webhooks::failing_since.is_not_null());
    Ok(diesel::update(failing).set(webhooks::failing_since.eq(None::<Timestamp>)).execute(conn)? == 1)
}

/// It took nothing; the first time counts.
pub fn note_failure(conn: &mut Conn, id: WebhookId, now: Timestamp) -> Result<(), StoreError> {
    let well = webhooks::table.find(id).filter(webhooks::failing_since.is_null());
    diesel::update(well).set(webhooks::failing_since.eq(now)).execute(conn)?;
    Ok(())
}

/// Turns a webhook off, one version on. `None`: it was turned off or changed before.
pub fn disable(
    conn: &mut Conn,
    before: &Webhook,
    reason: DisabledReason,
    now: Timestamp,
) -> Result<Option<Webhook>, StoreError> {
    let same = webhooks::table
        .find(before.id)
        .filter(webhooks::version.eq(before.version))
        .filter(webhooks::disabled_at.is_null());
    Ok(diesel::update(same)
        .set((
            webhooks::disabled_at.eq(now),
            webhooks::disabled_reason.eq(reason),
            webhooks::version.eq(before.version + 1),
            webhooks::updated_at.eq(now),
        ))
        .returning(returning::<Webhook>())
        .get_result(conn)
        .optional()?)
}

/// Removes a webhook with its deliveries. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &Webhook) -> Result<bool, StoreError> {
    let same = webhooks::table.find(before.id).filter(webhooks::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// Those of these conversations that carry one of these tags.
pub fn tagged(
    conn: &mut Conn,
    of: &[ConversationId],
    with: &[TagId],
) -> Result<HashSet<ConversationId>, StoreError> {
    let found: Vec<ConversationId> = conversation_tags::table
        .filter(conversation_tags::conversation_id.eq_any(of))
        .filter(conversation_tags::tag_id.eq_any(with))
        .select(conversation_tags::conversation_id)
        .distinct()
        .load(conn)?;
    Ok(found.into_iter().collect())
}

/// The names of these tags, by name. One that was removed has none.
pub fn tag_names(conn: &mut Conn, of: &[TagId]) -> Result<Vec<String>, StoreError> {
    Ok(tags::table
        .filter(tags::id.eq_any(of))
        .order(tags::name_folded.asc())
        .select(tags::name)
        .load(conn)?)
}
