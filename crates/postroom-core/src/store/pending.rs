//! What waits at a server: mail that is known to be there and is not here yet, and what is still to
//! be done there to mail that is.

use crate::id::MailboxId;
use crate::intake::Verdict;
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{ledger, mail_actions, mailboxes, pending_mails};
use crate::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
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

/// The size of a mail whose server could not say it; such a mail goes alone and in pieces.
pub const UNKNOWN_SIZE: i64 = -1;

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
    /// Bytes, as the server says, or [`UNKNOWN_SIZE`].
    pub size: i64,
    /// How often it was tried in vain, as far as it may be the mail's own fault.
    pub attempts: i32,
    /// How often it did not come since then while nothing else did either.
    pub breaks: i32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Somebody asked for this very mail: it comes in though the import rule does not want it.
    pub asked_for: bool,
    /// Not tried before, unless somebody asks for a poll.
    pub next_try_at: Timestamp,
    /// It was put aside before, and that was told.
    pub was_aside: bool,
    /// The last poll found it no more: gone, if the next one doesn't either.
    pub unseen: bool,
    /// It was there when the server numbered its mail anew: when it came there means nothing.
    pub found_anew: bool,
    /// It was there when the folder was listed for the first time under its present numbers: whether it
    /// is wanted goes by its time. What came into the folder later is new, however old it is.
    pub was_there: bool,
}

/// Notes mail that waits.
pub fn insert(conn: &mut Conn, new: &[Pending]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(pending_mails::table).values(new).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// Notes mail that somebody asks for; where it waits already, it begins anew.
pub fn ask_for(conn: &mut Conn, new: &Pending) -> Result<(), StoreError> {
    let anew = (
        pending_mails::attempts.eq(new.attempts),
        pending_mails::breaks.eq(new.breaks),
        pending_mails::asked_for.eq(new.asked_for),
        pending_mails::next_try_at.eq(new.next_try_at),
        pending_mails::was_aside.eq(new.was_aside),
        pending_mails::unseen.eq(new.unseen),
    );
    each_backend!(conn => diesel::insert_into(pending_mails::table)
        .values(new)
        .on_conflict((
            pending_mails::mailbox_id,
            pending_mails::folder,
            pending_mails::uidvalidity,
            pending_mails::uid,
        ))
        .do_update()
        .set(anew)
        .execute(conn))?;
    Ok(())
}

/// [`list`] as a query; a test asks EXPLAIN about it.
pub fn in_turn(
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    until: Timestamp,
    beyond: Timestamp,
    limit: i64,
) -> pending_mails::BoxedQuery<'_, MultiBackend> {
    pending_mails::table
        .into_boxed()
        .filter(pending_mails::mailbox_id.eq(mailbox))
        .filter(pending_mails::folder.eq(folder))
        .filter(pending_mails::uidvalidity.eq(uidvalidity))
        .filter(pending_mails::next_try_at.le(until).or(pending_mails::next_try_at.gt(beyond)))
        .order((
            pending_mails::was_aside.asc(),
            pending_mails::attempts.asc(),
            pending_mails::breaks.asc(),
            pending_mails::next_try_at.asc(),
            pending_mails::uid.asc(),
        ))
        .limit(limit)
}

/// What waits in a folder and may be tried by `until`, or not before `beyond`, which nothing waits for but
/// by a clock that ran ahead: what was never tried first, what was put aside
/// before last; of equals what may be tried for the longest time.
pub fn list(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    until: Timestamp,
    beyond: Timestamp,
    limit: i64,
) -> Result<Vec<Pending>, StoreError> {
    Ok(in_turn(mailbox, folder, uidvalidity, until, beyond, limit).select(Pending::as_select()).load(conn)?)
}

/// What waits in a mailbox, in all its folders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many mails.
    pub all: i64,
    /// How many of them did not come when they were tried.
    pub retried: i64,
    /// When the next of those is tried, or of what was put aside.
    pub next_try_at: Option<Timestamp>,
    /// What went wrong with the one of them that was tried least long ago.
    pub last_error: Option<String>,
}

/// What waits in a mailbox.
pub fn waiting(conn: &mut Conn, mailbox: MailboxId) -> Result<Waiting, StoreError> {
    let of = pending_mails::table.filter(pending_mails::mailbox_id.eq(mailbox));
    let failed = of.filter(pending_mails::last_error.is_not_null());
    let aside = ledger::table
        .filter(ledger::mailbox_id.eq(mailbox))
        .filter(ledger::next_try_at.is_not_null())
        .filter(ledger::verdict.eq(Verdict::Quarantined))
        .order(ledger::next_try_at.asc())
        .select(ledger::next_try_at)
        .first::<Option<Timestamp>>(conn)
        .optional()?
        .flatten();
    let next: Option<Timestamp> = failed
        .order(pending_mails::next_try_at.asc())
        .select(pending_mails::next_try_at)
        .first(conn)
        .optional()?;
    let last: Option<Option<String>> = failed
        .order(pending_mails::next_try_at.desc())
        .select(pending_mails::last_error)
        .first(conn)
        .optional()?;
    Ok(Waiting {
        all: of.count().get_result(conn)?,
        retried: failed.count().get_result(conn)?,
        next_try_at: [aside, next].into_iter().flatten().min(),
        last_error: last.flatten(),
    })
}

/// The query of [`stuck`]: one look into an index for each mailbox, however much waits.
pub fn stuck_query() -> mailboxes::BoxedQuery<'static, MultiBackend, BigInt> {
    let tried = pending_mails::table
        .filter(pending_mails::mailbox_id.eq(mailboxes::id))
        .filter(pending_mails::last_error.is_not_null());
    mailboxes::table.select(mailboxes::id).into_boxed().filter(diesel::dsl::exists(tried))
}

/// The mailboxes with mail that was tried in vain and waits.
pub fn stuck(conn: &mut Conn) -> Result<Vec<MailboxId>, StoreError> {
    Ok(stuck_query().load(conn)?)
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

/// Notes that a mail was tried in vain. `false`: somebody had it begin anew meanwhile, or it waits no
/// more.
pub fn note_try(conn: &mut Conn, before: &Pending, after: &Pending) -> Result<bool, StoreError> {
    let same = generation!(pending_mails, before.mailbox_id, &before.folder, before.uidvalidity)
        .filter(pending_mails::uid.eq(before.uid))
        .filter(pending_mails::attempts.eq(before.attempts))
        .filter(pending_mails::breaks.eq(before.breaks))
        .filter(pending_mails::next_try_at.eq(before.next_try_at));
    let written = diesel::update(same)
        .set((
            pending_mails::attempts.eq(after.attempts),
            pending_mails::breaks.eq(after.breaks),
            pending_mails::last_error.eq(&after.last_error),
            pending_mails::next_try_at.eq(after.next_try_at),
            pending_mails::unseen.eq(after.unseen),
        ))
        .execute(conn)?;
    Ok(written == 1)
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

/// Something else is to be done with these from now on.
pub fn set_action(
    conn: &mut Conn,
    mailbox: MailboxId,
    folder: &str,
    uidvalidity: i64,
    uids: &[i64],
    action: &str,
) -> Result<(), StoreError> {
    for uids in uids.chunks(10_000) {
        let rows = generation!(mail_actions, mailbox, folder, uidvalidity);
        diesel::update(rows.filter(mail_actions::uid.eq_any(uids)))
            .set(mail_actions::action.eq(action))
            .execute(conn)?;
    }
    Ok(())
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

/// Forgets what was still to be done on a mailbox's server.
pub fn forget_actions(conn: &mut Conn, mailbox: MailboxId) -> Result<(), StoreError> {
    diesel::delete(mail_actions::table.filter(mail_actions::mailbox_id.eq(mailbox))).execute(conn)?;
    Ok(())
}
