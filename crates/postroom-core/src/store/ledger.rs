//! The ledger of every mail ever seen, and what became of it.

use crate::id::{ConversationId, LedgerId, MailboxId, MessageId};
use crate::intake::Verdict;
use crate::page::{Page, PageRequest, Position};
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{folders, ledger, messages, pending_mails};
use crate::store::types::Json;
use crate::threading::Flag;
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::{HashMap, HashSet};
use std::ops::Deref;

/// One mail in one place.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = ledger, treat_none_as_default_value = false)]
pub struct NewEntry {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The folder.
    pub folder: String,
    /// Where in it; unique there.
    pub location: String,
    /// The server's number, if it has one.
    pub uid: Option<i64>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in words, unless it was accepted.
    pub reason: Option<String>,
    /// The message it became.
    pub message_id: Option<MessageId>,
    /// Where its bytes are kept.
    pub raw_hash: Option<String>,
    /// Its size.
    pub size: i64,
    /// When the server got it.
    pub internal_date: Option<Timestamp>,
    /// When it is tried next by itself, if it is.
    pub next_try_at: Option<Timestamp>,
    /// When it was seen.
    pub created_at: Timestamp,
}

/// Writes entries. A place whose mail is being tried again (`failed`) keeps its row, which says from
/// now on what became of the mail this time; any other that is there already is an error. The message
/// that a row names stays its message where this time brought none: what was here in part is not
/// forgotten because the rest did not come.
pub fn write(conn: &mut Conn, entries: &[NewEntry]) -> Result<(), StoreError> {
    let mut again = HashMap::new();
    if let Some(first) = entries.first() {
        let locations: Vec<&str> = entries.iter().map(|entry| entry.location.as_str()).collect();
        again = retried(conn, first.mailbox_id, &first.folder, &locations)?;
    }
    let (old, new): (Vec<&NewEntry>, _) =
        entries.iter().partition(|entry| again.contains_key(&entry.location));
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(ledger::table).values(new.to_vec()).execute(conn))?;
    }
    for entry in old {
        let before = &again[&entry.location];
        let row = ledger::table.find(before.id).filter(ledger::verdict.eq(Verdict::Failed));
        let written = diesel::update(row)
            .set((
                ledger::verdict.eq(entry.verdict),
                ledger::reason.eq(&entry.reason),
                ledger::message_id.eq(entry.message_id.or(before.message_id)),
                ledger::raw_hash.eq(&entry.raw_hash),
                ledger::size.eq(entry.size),
                ledger::internal_date.eq(entry.internal_date.or(before.internal_date)),
                ledger::next_try_at.eq(entry.next_try_at),
            ))
            .execute(conn)?;
        if written != 1 {
            return Err(StoreError::Again);
        }
    }
    Ok(())
}

/// The rows of these places whose mail is being tried again, by place.
pub fn retried(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    locations: &[&str],
) -> Result<HashMap<String, Entry>, StoreError> {
    let mut found = HashMap::new();
    for locations in locations.chunks(10_000) {
        let rows: Vec<Entry> = ledger::table
            .filter(ledger::mailbox_id.eq(mailbox))
            .filter(ledger::folder.eq(folder))
            .filter(ledger::location.eq_any(locations))
            .filter(ledger::verdict.eq(Verdict::Failed))
            .select(Entry::as_select())
            .load(conn)?;
        found.extend(rows.into_iter().map(|row| (row.location.clone(), row)));
    }
    Ok(found)
}

/// Which of these places are in the ledger already, but for those that are being tried again.
pub fn known_locations(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    locations: &[&str],
) -> Result<HashSet<String>, StoreError> {
    let mut found = HashSet::new();
    for locations in locations.chunks(10_000) {
        if !locations.is_empty() {
            let rows: Vec<String> = ledger::table
                .filter(ledger::mailbox_id.eq(mailbox))
                .filter(ledger::folder.eq(folder))
                .filter(ledger::location.eq_any(locations))
                .filter(ledger::verdict.ne(Verdict::Failed))
                .select(ledger::location)
                .load(conn)?;
            found.extend(rows);
        }
    }
    Ok(found)
}

/// An entry of the ledger as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = ledger)]
pub struct Entry {
    /// Its number.
    pub id: LedgerId,
    /// What it says.
    #[diesel(embed)]
    pub row: NewEntry,
}

impl Deref for Entry {
    type Target = NewEntry;

    fn deref(&self) -> &NewEntry {
        &self.row
    }
}

/// One page of a mailbox's entries, newest first, with any of these verdicts; none means all.
pub fn list(
    conn: &mut Conn,
    mailbox: MailboxId,
    verdicts: &[Verdict],
    page: PageRequest,
) -> Result<Page<Entry>, StoreError> {
    let of = || {
        let all = ledger::table.into_boxed().filter(ledger::mailbox_id.eq(mailbox));
        if verdicts.is_empty() { all } else { all.filter(ledger::verdict.eq_any(verdicts.to_vec())) }
    };
    let total = if page.count { Some(of().count().get_result(conn)?) } else { None };
    let mut query = of().order(ledger::id.desc()).limit(page.fetch());
    if let Some(after) = page.after {
        query = query.filter(ledger::id.lt(LedgerId(after.id)));
    }
    let rows = query.select(Entry::as_select()).load(conn)?;
    let mut cut = Page::cut(rows, page, |row: &Entry| Position { key: row.id.0, id: row.id.0 });
    cut.total = total;
    Ok(cut)
}

/// One entry of a mailbox.
pub fn find(conn: &mut Conn, mailbox: MailboxId, id: LedgerId) -> Result<Option<Entry>, StoreError> {
    let row = ledger::table.find(id).filter(ledger::mailbox_id.eq(mailbox));
    Ok(row.select(Entry::as_select()).first(conn).optional()?)
}

/// The rows of mail that came in with these bytes, the newest first.
pub fn taken_in_with(
    conn: &mut Conn,
    hash: &str,
    count: i64,
) -> Result<Vec<(MailboxId, LedgerId)>, StoreError> {
    Ok(ledger::table
        .filter(ledger::raw_hash.eq(hash))
        .filter(ledger::verdict.eq_any([Verdict::Accepted, Verdict::Duplicate]))
        .order(ledger::id.desc())
        .limit(count)
        .select((ledger::mailbox_id, ledger::id))
        .load(conn)?)
}

/// The entries at these places, but for those whose mail is being tried again.
pub fn at(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    locations: &[&str],
) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    for locations in locations.chunks(10_000) {
        let rows: Vec<Entry> = ledger::table
            .filter(ledger::mailbox_id.eq(mailbox))
            .filter(ledger::folder.eq(folder))
            .filter(ledger::location.eq_any(locations))
            .filter(ledger::verdict.ne(Verdict::Failed))
            .select(Entry::as_select())
            .load(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// Notes that an entry's mail is being tried again, by itself from `at` on. `false`: it has not the
/// verdict that it had before.
pub fn reopen(
    conn: &mut Conn,
    before: &Entry,
    reason: &str,
    at: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let same = ledger::table.find(before.id).filter(ledger::verdict.eq(before.verdict));
    let written = diesel::update(same)
        .set((ledger::verdict.eq(Verdict::Failed), ledger::reason.eq(reason), ledger::next_try_at.eq(at)))
        .execute(conn)?;
    Ok(written == 1)
}

/// Notes when a mail is tried next whose row says that it is being tried again; others have no row.
pub fn set_next_try(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    location: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let row = ledger::table
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::folder.eq(folder))
        .filter(ledger::location.eq(location))
        .filter(ledger::verdict.eq(Verdict::Failed));
    diesel::update(row).set(ledger::next_try_at.eq(Some(at))).execute(conn)?;
    Ok(())
}

/// The mails of a folder, under the generation whose places begin with `place`, that were put aside
/// and are to be tried again by now, the longest overdue first.
pub fn due_again(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    place: &str,
    now: Timestamp,
    beyond: Timestamp,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    Ok(ledger::table
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::next_try_at.le(now).or(ledger::next_try_at.gt(beyond)))
        .filter(ledger::folder.eq(folder))
        .filter(ledger::location.like(format!("{place}%")))
        .filter(ledger::verdict.eq(Verdict::Quarantined))
        .order((ledger::next_try_at.asc(), ledger::id.asc()))
        .limit(limit)
        .select(Entry::as_select())
        .load(conn)?)
}

/// Mail of a folder, or of all, is tried no more where it was: its numbers mean nothing any more.
/// What was being tried again is gone for us.
pub fn forget_tries(conn: &mut Conn, mailbox: MailboxId, folder: Option<&str>) -> Result<(), StoreError> {
    let mut tried = ledger::table
        .into_boxed()
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::next_try_at.is_not_null());
    if let Some(folder) = folder {
        tried = tried.filter(ledger::folder.eq(folder));
    }
    let ids: Vec<LedgerId> = tried.select(ledger::id).load(conn)?;
    for ids in ids.chunks(10_000) {
        let rows = || ledger::table.filter(ledger::id.eq_any(ids));
        diesel::update(rows().filter(ledger::verdict.eq(Verdict::Failed)))
            .set((
                ledger::verdict.eq(Verdict::Expunged),
                ledger::reason.eq("the number that it was to be tried again under means nothing any more"),
            ))
            .execute(conn)?;
        diesel::update(rows()).set(ledger::next_try_at.eq(None::<Timestamp>)).execute(conn)?;
    }
    Ok(())
}

/// In which conversations messages are.
pub fn conversations_of(
    conn: &mut Conn,
    of: &[MessageId],
) -> Result<HashMap<MessageId, ConversationId>, StoreError> {
    let rows: Vec<(MessageId, ConversationId)> = messages::table
        .filter(messages::id.eq_any(of))
        .select((messages::id, messages::conversation_id))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// The numbers of a folder that are in the ledger under one generation, whose places begin with
/// `place`, each with whether what was read of its mail is here. Left out is what is being tried
/// again, and what was found to be gone: where that is there after all, it is not known.
pub fn uids(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    place: &str,
) -> Result<HashMap<i64, bool>, StoreError> {
    let rows: Vec<(Option<i64>, Verdict, bool)> = ledger::table
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::folder.eq(folder))
        .filter(ledger::location.like(format!("{place}%")))
        .filter(ledger::verdict.ne_all([Verdict::Failed, Verdict::Expunged]))
        .select((ledger::uid, ledger::verdict, ledger::raw_hash.is_not_null()))
        .load(conn)?;
    let is_here = |verdict, has_raw| has_raw || verdict != Verdict::Quarantined;
    Ok(rows.into_iter().filter_map(|(uid, verdict, raw)| Some((uid?, is_here(verdict, raw)))).collect())
}

/// The rows of these numbers of a folder, under the generation whose places begin with `place`, whose
/// mail was found to be gone.
pub fn expunged(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    place: &str,
    uids: &[i64],
) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    for uids in uids.chunks(10_000) {
        let locations: Vec<String> = uids.iter().map(|uid| format!("{place}{uid}")).collect();
        let rows: Vec<Entry> = ledger::table
            .filter(ledger::mailbox_id.eq(mailbox))
            .filter(ledger::folder.eq(folder))
            .filter(ledger::location.eq_any(locations))
            .filter(ledger::verdict.eq(Verdict::Expunged))
            .select(Entry::as_select())
            .load(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// How many mails of a folder are in the ledger, but for those that are being tried again.
pub fn count_in(conn: &mut Conn, mailbox: MailboxId, folder: &str) -> Result<i64, StoreError> {
    Ok(ledger::table
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::folder.eq(folder))
        .filter(ledger::verdict.ne(Verdict::Failed))
        .count()
        .get_result(conn)?)
}

/// Whether a message was seen, and only in folders whose names begin with `prefix`.
pub fn is_only_in(conn: &mut Conn, message: MessageId, prefix: &str) -> Result<bool, StoreError> {
    let folders: Vec<String> =
        ledger::table.filter(ledger::message_id.eq(message)).select(ledger::folder).distinct().load(conn)?;
    Ok(!folders.is_empty() && folders.iter().all(|folder| folder.starts_with(prefix)))
}

/// A mail that was seen in a place, by what tells it from others without its content.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Seen {
    /// Where.
    pub location: String,
    /// The number it had there.
    pub uid: Option<i64>,
    /// Its size in bytes.
    pub size: i64,
    /// When the server got it.
    pub internal_date: Option<Timestamp>,
    /// The message it is.
    pub message_id: Option<MessageId>,
    /// That one's Message-ID.
    pub message_name: Option<String>,
    /// Where its bytes are kept.
    pub raw_hash: Option<String>,
    /// What is to be shown beside the message.
    pub flags: Json<Vec<Flag>>,
}

impl Seen {
    /// Only its beginning is here.
    pub fn is_in_part(&self) -> bool {
        self.flags.contains(&Flag::Oversized)
    }
}

/// Every mail that was seen in a folder and is a message, the oldest first.
pub fn seen(conn: &mut Conn, mailbox: MailboxId, folder: &str) -> Result<Vec<Seen>, StoreError> {
    Ok(ledger::table
        .inner_join(messages::table)
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::folder.eq(folder))
        .order(ledger::id.asc())
        .select((
            ledger::location,
            ledger::uid,
            ledger::size,
            ledger::internal_date,
            ledger::message_id,
            messages::internet_message_id,
            ledger::raw_hash,
            messages::flags,
        ))
        .load(conn)?)
}

/// What was seen in these places of a folder, as far as it is a message, in the order of numbers.
pub fn seen_at(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    locations: &[String],
) -> Result<Vec<Seen>, StoreError> {
    Ok(ledger::table
        .inner_join(messages::table)
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::folder.eq(folder))
        .filter(ledger::location.eq_any(locations))
        .order(ledger::uid.asc())
        .select((
            ledger::location,
            ledger::uid,
            ledger::size,
            ledger::internal_date,
            ledger::message_id,
            messages::internet_message_id,
            ledger::raw_hash,
            messages::flags,
        ))
        .load(conn)?)
}

/// Forgets how far a mailbox was read and what waits in it. What is in its ledger stays there,
/// with `mark` before its place, so that it is taken for no mail of the new place.
pub fn forget_place(conn: &mut Conn, mailbox: MailboxId, mark: &str) -> Result<(), StoreError> {
    diesel::delete(folders::table.filter(folders::mailbox_id.eq(mailbox))).execute(conn)?;
    diesel::delete(pending_mails::table.filter(pending_mails::mailbox_id.eq(mailbox))).execute(conn)?;
    forget_tries(conn, mailbox, None)?;
    diesel::update(ledger::table.filter(ledger::mailbox_id.eq(mailbox)))
        .set(ledger::location.eq(mark.into_sql::<diesel::sql_types::Text>().concat(ledger::location)))
        .execute(conn)?;
    Ok(())
}
