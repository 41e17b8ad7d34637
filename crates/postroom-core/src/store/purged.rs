//! Conversations that are deleted for good: all that hangs on them, and what keeps their mail from coming again.

use crate::conversation::Conversation;
use crate::id::{ConversationId, MailboxId, MessageId};
use crate::intake::Verdict;
use crate::message::DeliveryState;
use crate::store::StoreError;
use crate::store::conn::{self, Conn, each_backend};
use crate::store::schema::{
    conversations, events, ledger, messages, outbox, purged_mails, rfc_ids, webhook_deliveries,
};
use crate::threading::IdKind;
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashSet;

/// Values of one statement at the most.
const AT_ONCE: usize = 1_000;

/// What a message is known by when its mail comes again.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Known {
    /// Which.
    pub id: MessageId,
    /// Where it came in.
    pub mailbox_id: MailboxId,
    /// The hash of its bytes.
    pub raw_hash: Option<String>,
    /// What it says.
    pub fingerprint: Option<Vec<u8>>,
    /// Its own id.
    pub internet_message_id: Option<String>,
}

/// That a mail does not come in again.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = purged_mails, treat_none_as_default_value = false)]
pub struct NewPurged {
    /// Where.
    pub mailbox_id: MailboxId,
    /// What it is told by.
    pub digest: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// The conversations that were merged into one, those that were merged into them among them.
pub fn merged_into(conn: &mut Conn, id: ConversationId) -> Result<Vec<ConversationId>, StoreError> {
    let mut found: Vec<ConversationId> = Vec::new();
    let mut next = vec![id];
    while !next.is_empty() {
        let merged = conversations::table.filter(conversations::merged_into.assume_not_null().eq_any(&next));
        next = merged.select(conversations::id).load(conn)?;
        next.retain(|one| *one != id && !found.contains(one));
        found.extend(&next);
    }
    Ok(found)
}

/// The first message of conversations whose mail may still leave.
pub fn on_its_way(conn: &mut Conn, of: &[ConversationId]) -> Result<Option<MessageId>, StoreError> {
    let waiting =
        [DeliveryState::Queued, DeliveryState::Deferred, DeliveryState::Sending, DeliveryState::Uncertain];
    Ok(outbox::table
        .inner_join(messages::table)
        .filter(messages::conversation_id.eq_any(of))
        .filter(outbox::state.eq_any(waiting))
        .filter(outbox::finished_at.is_null())
        .order(messages::id.asc())
        .select(messages::id)
        .first(conn)
        .optional()?)
}

/// All messages of conversations, oldest first.
pub fn messages_of(conn: &mut Conn, of: &[ConversationId]) -> Result<Vec<Known>, StoreError> {
    let theirs = messages::table.filter(messages::conversation_id.eq_any(of));
    Ok(theirs.order(messages::id.asc()).select(Known::as_select()).load(conn)?)
}

/// Those of these messages that left from here.
pub fn outgoing_of(conn: &mut Conn, of: &[MessageId]) -> Result<Vec<MessageId>, StoreError> {
    let mut found = Vec::new();
    for of in of.chunks(AT_ONCE) {
        found.extend(super::messages::outgoing_of(conn, of)?);
    }
    Ok(found)
}

/// The ids that messages are known by, those that a provider gave them among them.
pub fn ids_of(conn: &mut Conn, of: &[MessageId]) -> Result<Vec<(MessageId, String)>, StoreError> {
    let mut found = Vec::new();
    for of in of.chunks(AT_ONCE) {
        let rows: Vec<(Option<MessageId>, String)> = rfc_ids::table
            .filter(rfc_ids::message_id.assume_not_null().eq_any(of))
            .filter(rfc_ids::kind.eq_any([IdKind::Real, IdKind::Alias]))
            .select((rfc_ids::message_id, rfc_ids::rfc_id))
            .load(conn)?;
        found.extend(rows.into_iter().filter_map(|(message, id)| Some((message?, id))));
    }
    Ok(found)
}

/// Keeps mails from coming in again.
pub fn insert(conn: &mut Conn, new: &[NewPurged]) -> Result<(), StoreError> {
    for new in new.chunks(AT_ONCE) {
        each_backend!(conn => diesel::insert_into(purged_mails::table)
            .values(new)
            .on_conflict_do_nothing()
            .execute(conn))?;
    }
    Ok(())
}

/// Those of these digests that tell mails which were deleted for good out of these mailboxes.
pub fn known(
    conn: &mut Conn,
    mailboxes: &[MailboxId],
    digests: &[String],
) -> Result<HashSet<String>, StoreError> {
    let mut found = HashSet::new();
    for digests in digests.chunks(AT_ONCE) {
        let rows: Vec<String> = purged_mails::table
            .filter(purged_mails::mailbox_id.eq_any(mailboxes))
            .filter(purged_mails::digest.eq_any(digests))
            .select(purged_mails::digest)
            .load(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// Takes out of the ledger what its rows know of messages, but for that they were seen: none is tried again. Returns the
/// mailboxes of those that were put aside, one for each.
pub fn forget_in_ledger(conn: &mut Conn, of: &[MessageId], why: &str) -> Result<Vec<MailboxId>, StoreError> {
    let undone = [Verdict::Failed, Verdict::Quarantined, Verdict::Oversized];
    let mut aside = Vec::new();
    for of in of.chunks(AT_ONCE) {
        let theirs = || ledger::table.filter(ledger::message_id.assume_not_null().eq_any(of));
        let put_aside = theirs().filter(ledger::verdict.eq(Verdict::Quarantined));
        aside.extend(put_aside.select(ledger::mailbox_id).load::<MailboxId>(conn)?);
        diesel::update(theirs().filter(ledger::verdict.eq_any(undone)))
            .set((ledger::verdict.eq(Verdict::Ignored), ledger::next_try_at.eq(None::<Timestamp>)))
            .execute(conn)?;
        diesel::update(theirs())
            .set((
                ledger::reason.eq(why),
                ledger::raw_hash.eq(None::<String>),
                ledger::message_id.eq(None::<MessageId>),
            ))
            .execute(conn)?;
    }
    Ok(aside)
}

/// Deletes conversations, `whole` and those that were merged into it, with all that hangs on them: their messages
/// and files, what the log and webhooks were told of them. `false`: `whole` has changed since it was read.
pub fn delete(
    conn: &mut Conn,
    whole: &Conversation,
    merged: &[ConversationId],
    of: &[MessageId],
) -> Result<bool, StoreError> {
    conn::overwrite_deleted(conn, true)?;
    let is_gone = delete_all(conn, whole, merged, of);
    // The connection goes on to others, whatever came of it.
    conn::overwrite_deleted(conn, false)?;
    is_gone
}

fn delete_all(
    conn: &mut Conn,
    whole: &Conversation,
    merged: &[ConversationId],
    of: &[MessageId],
) -> Result<bool, StoreError> {
    let mut all = merged.to_vec();
    all.push(whole.id);
    diesel::delete(events::table.filter(events::conversation_id.assume_not_null().eq_any(&all)))
        .execute(conn)?;
    let told =
        webhook_deliveries::table.filter(webhook_deliveries::conversation_id.assume_not_null().eq_any(&all));
    diesel::delete(told).execute(conn)?;
    for of in of.chunks(AT_ONCE) {
        diesel::delete(messages::table.filter(messages::id.eq_any(of))).execute(conn)?;
    }
    diesel::delete(conversations::table.filter(conversations::id.eq_any(merged))).execute(conn)?;
    let same = conversations::table.find(whole.id).filter(conversations::version.eq(whole.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}
