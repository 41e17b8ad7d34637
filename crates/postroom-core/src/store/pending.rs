//! What waits at a server: mail that is known to be there and is not here yet, and what is still to
//! be done there to mail that is.

use crate::id::MailboxId;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{mail_actions, pending_mails};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashSet;

/// The rows of a table that stand under one generation of a folder's numbers.
macro_rules! generation {
    ($table:ident, $mailbox:expr, $folder:expr, $uidvalidity:expr) => {
        $table::table
            .filter($table::mailbox_id.eq($mailbox))
            .filter($table::folder.eq($folder))
            .filter($table::uidvalidity.eq($uidvalidity))
    };
}

/// The numbers of a folder that wait, under one generation.
pub fn uids(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
) -> Result<HashSet<i64>, StoreError> {
    let rows: Vec<i64> =
        generation!(pending_mails, mailbox, folder, uidvalidity).select(pending_mails::uid).load(conn)?;
    Ok(rows.into_iter().collect())
}

/// A mail that waits to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = pending_mails, treat_none_as_default_value = false)]
pub struct Pending {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The folder.
    pub folder: String,
    /// The generation of its numbers.
    pub uidvalidity: i64,
    /// Its number.
    pub uid: i64,
    /// Bytes, as the server says.
    pub size: i64,
    /// How often it was tried.
    pub attempts: i32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Somebody asked for this very mail: it comes in though the import rule does not want it.
    pub asked_for: bool,
}

/// Notes mail that waits.
pub fn insert(conn: &mut Conn, new: &[Pending]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(pending_mails::table).values(new).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// What waits in a folder, untried first, then in the order of numbers.
pub fn list(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    limit: i64,
) -> Result<Vec<Pending>, StoreError> {
    Ok(generation!(pending_mails, mailbox, folder, uidvalidity)
        .order((pending_mails::attempts.asc(), pending_mails::uid.asc()))
        .limit(limit)
        .select(Pending::as_select())
        .load(conn)?)
}

/// These wait no more.
pub fn delete(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    uids: &[i64],
) -> Result<(), StoreError> {
    for uids in uids.chunks(10_000) {
        diesel::delete(
            generation!(pending_mails, mailbox, folder, uidvalidity).filter(pending_mails::uid.eq_any(uids)),
        )
        .execute(conn)?;
    }
    Ok(())
}

/// Forgets what waited and what was to be done under the numbers of a folder, which mean nothing
/// any more.
pub fn forget_numbers(conn: &mut Conn, mailbox: MailboxId, folder: &str) -> Result<(), StoreError> {
    let waiting = pending_mails::table.filter(pending_mails::mailbox_id.eq(mailbox));
    diesel::delete(waiting.filter(pending_mails::folder.eq(folder))).execute(conn)?;
    let queued = mail_actions::table.filter(mail_actions::mailbox_id.eq(mailbox));
    diesel::delete(queued.filter(mail_actions::folder.eq(folder))).execute(conn)?;
    Ok(())
}

/// What is still to be done in a folder, due or not.
pub fn actions(conn: &mut Conn, mailbox: MailboxId, folder: &str) -> Result<Vec<MailAction>, StoreError> {
    Ok(mail_actions::table
        .filter(mail_actions::mailbox_id.eq(mailbox))
        .filter(mail_actions::folder.eq(folder))
        .select(MailAction::as_select())
        .load(conn)?)
}

/// Notes that these were tried in vain.
pub fn note_attempt(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    uids: &[i64],
    error: &str,
) -> Result<(), StoreError> {
    for uids in uids.chunks(10_000) {
        diesel::update(
            generation!(pending_mails, mailbox, folder, uidvalidity).filter(pending_mails::uid.eq_any(uids)),
        )
        .set((pending_mails::attempts.eq(pending_mails::attempts + 1), pending_mails::last_error.eq(error)))
        .execute(conn)?;
    }
    Ok(())
}

/// Something to be done on the server.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = mail_actions, treat_none_as_default_value = false)]
pub struct MailAction {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The folder.
    pub folder: String,
    /// The generation of its numbers.
    pub uidvalidity: i64,
    /// The mail.
    pub uid: i64,
    /// `seen`, `delete`, or `move:` and a folder.
    pub action: String,
    /// Not before.
    pub due_at: Timestamp,
}

/// Notes what is to be done.
pub fn insert_actions(conn: &mut Conn, new: &[MailAction]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(mail_actions::table).values(new).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// What is due in a folder.
pub fn due_actions(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    now: Timestamp,
) -> Result<Vec<MailAction>, StoreError> {
    Ok(generation!(mail_actions, mailbox, folder, uidvalidity)
        .filter(mail_actions::due_at.le(now))
        .order(mail_actions::uid.asc())
        .limit(1_000)
        .select(MailAction::as_select())
        .load(conn)?)
}

/// These are done.
pub fn delete_actions(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    uids: &[i64],
) -> Result<(), StoreError> {
    diesel::delete(
        generation!(mail_actions, mailbox, folder, uidvalidity).filter(mail_actions::uid.eq_any(uids)),
    )
    .execute(conn)?;
    Ok(())
}

/// What waits in a folder and was tried this often in vain.
pub fn tried_in_vain(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    tries: i32,
) -> Result<Vec<Pending>, StoreError> {
    Ok(generation!(pending_mails, mailbox, folder, uidvalidity)
        .filter(pending_mails::attempts.ge(tries))
        .order(pending_mails::uid.asc())
        .select(Pending::as_select())
        .load(conn)?)
}

/// Forgets what was still to be done on a mailbox's server.
pub fn forget_actions(conn: &mut Conn, mailbox: MailboxId) -> Result<(), StoreError> {
    diesel::delete(mail_actions::table.filter(mail_actions::mailbox_id.eq(mailbox))).execute(conn)?;
    Ok(())
}
