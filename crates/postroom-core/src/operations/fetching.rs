//! What a poll of a mailbox keeps track of: how far each folder was read, what waits to be
//! fetched, what was tried in vain, and what is still to be done on the server.
//!
//! Every write begins with [`leases::hold`]: a daemon that lost the mailbox to another changes
//! nothing any more.

use super::{leases, notices};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::MailboxId;
use crate::lease::Lease;
use crate::mailbox::FolderCursor;
use crate::store::mailboxes::{AfterPoll, PollEnd, PollState};
use crate::store::pending::{MailAction, Pending};
use crate::time::Timestamp;
use crate::{Error, backoff, store};
use std::collections::HashSet;

mod renumbering;
mod tries;
pub use renumbering::{Described, Renumbered, renumber, sample};
pub use tries::{Fault, blame, due_again, gone, ignored, missed, put_off, reopen, waiting};

/// A folder of a mailbox in one generation of its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The right to poll it: every write below asks for it.
    pub lease: Lease,
    /// The folder's name.
    pub name: String,
    /// The generation, as the server names it.
    pub uidvalidity: i64,
    /// The generation, as we count them: a server that is restored from a backup may name two
    /// generations alike.
    pub generation: i32,
}

impl Folder {
    /// Where a mail is, as the ledger names it.
    pub fn location(&self, uid: i64) -> String {
        format!("{}{uid}", crate::mailbox::place(self.uidvalidity, self.generation))
    }

    /// The folder as far as a cursor says that it was read.
    pub fn of(mailbox_id: MailboxId, lease: Lease, cursor: &FolderCursor) -> Self {
        let (name, uidvalidity) = (cursor.name.clone(), cursor.uidvalidity);
        Self { mailbox_id, lease, name, uidvalidity, generation: cursor.generation }
    }

    fn pending(&self, uid: i64, size: i64, now: Timestamp) -> Pending {
        Pending {
            mailbox_id: self.mailbox_id,
            folder: self.name.clone(),
            uidvalidity: self.uidvalidity,
            uid,
            size,
            attempts: 0,
            breaks: 0,
            last_error: None,
            asked_for: false,
            next_try_at: now,
            was_aside: false,
            unseen: false,
            found_anew: false,
            was_there: false,
        }
    }

    /// Where it is read to; what a cursor says besides stays.
    fn cursor(&self, last_uid: i64, old: &FolderCursor) -> FolderCursor {
        FolderCursor {
            name: self.name.clone(),
            uidvalidity: self.uidvalidity,
            generation: self.generation,
            last_uid,
            ..old.clone()
        }
    }
}

/// Which mailboxes a daemon polls, and when each was last asked for.
pub fn states(cx: &mut Cx<'_>) -> Result<Vec<PollState>, Error> {
    Ok(store::mailboxes::states(cx.conn)?)
}

/// A poll that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The request that it answers, if there was one. One that comes later is another, whatever
    /// the clock of the host says on which it was made.
    asked: Option<Timestamp>,
}

impl Begun {
    /// Somebody asked for it.
    pub fn is_asked_for(&self) -> bool {
        self.asked.is_some()
    }
}

/// Notes that a poll begins.
pub fn begin_poll(cx: &mut Cx<'_>, lease: &Lease) -> Result<Begun, Error> {
    leases::hold(cx, lease)?;
    let id = lease.mailbox_id;
    let mailbox = store::mailboxes::find(cx.conn, id)?.ok_or(Error::NotFound("mailbox"))?;
    let state = store::mailboxes::state(cx.conn, id)?.ok_or(Error::NotFound("mailbox"))?;
    store::mailboxes::begin_poll(cx.conn, id, mailbox.version, cx.now)?;
    Ok(Begun { asked: state.sync_requested_at })
}

/// Notes how a poll ended, and when the mailbox is tried again if it failed. That it works again
/// is told where it was told that it did not.
pub fn end_poll(cx: &mut Cx<'_>, lease: &Lease, begun: Begun, end: &PollEnd) -> Result<(), Error> {
    leases::hold(cx, lease)?;
    let id = lease.mailbox_id;
    let Some(before) = store::mailboxes::state(cx.conn, id)? else { return Ok(()) };
    let sync_requested_at = before.sync_requested_at.filter(|asked| Some(*asked) != begun.asked);
    let after = match end.failure() {
        Some((trouble, why)) => {
            let failures = before.failures.saturating_add(1);
            let pause = backoff::pause(trouble, failures, rand::random());
            AfterPoll {
                last_success_at: before.last_success_at,
                last_error: Some(why.to_owned()),
                failing_since: before.failing_since.or(Some(cx.now)),
                sync_requested_at,
                failures,
                trouble: Some(trouble),
                retry_at: Some(cx.now.plus(pause)),
                error_raised_at: before.error_raised_at,
            }
        }
        None => AfterPoll {
            last_success_at: Some(cx.now),
            last_error: if let PollEnd::Partly(why) = end { Some(why.clone()) } else { None },
            failing_since: None,
            sync_requested_at,
            failures: 0,
            trouble: None,
            retry_at: None,
            error_raised_at: None,
        },
    };
    store::mailboxes::end_poll(cx.conn, id, &after)?;
    if before.error_raised_at.is_some() && after.error_raised_at.is_none() {
        let about = About { mailbox_id: Some(id), ..About::default() };
        cx.tell(NewEvent::new(EventType::MailboxRecovered, about));
        tell_recovered(cx, id, &before)?;
    }
    Ok(())
}

/// Whether a mailbox fails for so long that it is to be made known, and was not yet.
pub fn is_error_due(cx: &Cx<'_>, state: &PollState) -> bool {
    let long_ago = cx.now.minus(cx.settings.error_after);
    state.error_raised_at.is_none() && state.failing_since.is_some_and(|since| since <= long_ago)
}

/// Makes it known, once, that a mailbox fails for long.
pub fn raise_error(cx: &mut Cx<'_>, lease: &Lease) -> Result<(), Error> {
    leases::hold(cx, lease)?;
    let id = lease.mailbox_id;
    let Some(state) = store::mailboxes::state(cx.conn, id)? else { return Ok(()) };
    if !is_error_due(cx, &state) || !store::mailboxes::raise_error(cx.conn, id, cx.now)? {
        return Ok(());
    }
    let about = About { mailbox_id: Some(id), ..About::default() };
    let event = NewEvent::new(EventType::MailboxError, about)
        .with("error", state.last_error.clone())
        .with("failing_since", state.failing_since.map(|since| since.to_string()));
    cx.tell(event);
    tell_error(cx, id, &state)
}

fn tell_error(cx: &mut Cx<'_>, id: MailboxId, state: &PollState) -> Result<(), Error> {
    let Some(mailbox) = store::mailboxes::find(cx.conn, id)? else { return Ok(()) };
    let since = state.failing_since.map(|since| since.to_string()).unwrap_or_default();
    let why = state.last_error.as_deref().unwrap_or_default();
    let subject = format!("The mailbox {} can't be read", mailbox.name);
    let text = format!(
        "The mailbox {} ({}) can't be read since {since}:\n\n{why}\n\n\
         Its mail waits where it is, and postroom goes on trying. How it is doing stands at\n\
         GET /api/v1/mailboxes/{id}/status, or ask: postroom mailbox list\n",
        mailbox.name, mailbox.address
    );
    notices::mail(cx, Some(id), &subject, &text)
}

fn tell_recovered(cx: &mut Cx<'_>, id: MailboxId, before: &PollState) -> Result<(), Error> {
    let Some(mailbox) = store::mailboxes::find(cx.conn, id)? else { return Ok(()) };
    let since = before.failing_since.map(|since| since.to_string()).unwrap_or_default();
    let subject = format!("The mailbox {} can be read again", mailbox.name);
    let text = format!(
        "The mailbox {} ({}) can be read again since {}. It could not since {since}; what came in the \
         meantime is being fetched.\n",
        mailbox.name, mailbox.address, cx.now
    );
    notices::mail(cx, Some(id), &subject, &text)
}

/// How far a folder was read; `None` if never.
pub fn cursor(cx: &mut Cx<'_>, mailbox: MailboxId, folder: &str) -> Result<Option<FolderCursor>, Error> {
    Ok(store::mailboxes::folder(cx.conn, mailbox, folder)?)
}

/// Begins a folder behind `last_uid`. Mail that its server got before `wanted_since` is not wanted,
/// whatever else is; what it got before `history_before` is history.
pub fn begin_folder(
    cx: &mut Cx<'_>,
    folder: &Folder,
    last_uid: i64,
    wanted_since: Option<Timestamp>,
    history_before: Timestamp,
) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    let cursor = FolderCursor {
        name: folder.name.clone(),
        uidvalidity: folder.uidvalidity,
        generation: folder.generation,
        last_uid,
        wanted_since,
        history_before: Some(history_before),
    };
    forget_numbers(cx, folder)?;
    Ok(store::mailboxes::set_folder(cx.conn, folder.mailbox_id, &cursor)?)
}

/// The numbers of a folder mean nothing any more: nothing is tried again, or done, under them.
fn forget_numbers(cx: &mut Cx<'_>, folder: &Folder) -> Result<(), Error> {
    store::pending::forget_numbers(cx.conn, folder.mailbox_id, &folder.name)?;
    Ok(store::ledger::forget_tries(cx.conn, folder.mailbox_id, Some(&folder.name))?)
}

/// Notes mail that the server listed, and moves the cursor behind it: from now on every one of
/// them is in the ledger or waiting. `was_there`: it is the first listing of the folder.
pub fn plan(cx: &mut Cx<'_>, folder: &Folder, listed: &[(i64, i64)], was_there: bool) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    let Some(last_uid) = listed.iter().map(|(uid, _)| *uid).max() else { return Ok(()) };
    let locations: Vec<String> = listed.iter().map(|(uid, _)| folder.location(*uid)).collect();
    let borrowed: Vec<&str> = locations.iter().map(String::as_str).collect();
    let known = store::ledger::known_locations(cx.conn, folder.mailbox_id, &folder.name, &borrowed)?;
    let waiting: Vec<Pending> = listed
        .iter()
        .zip(&locations)
        .filter(|(_, location)| !known.contains(*location))
        .map(|((uid, size), _)| Pending { was_there, ..folder.pending(*uid, *size, cx.now) })
        .collect();
    store::pending::insert(cx.conn, &waiting)?;
    let before = store::mailboxes::folder(cx.conn, folder.mailbox_id, &folder.name)?;
    let before = before.ok_or(Error::NotFound("folder"))?;
    let cursor = folder.cursor(before.last_uid.max(last_uid), &before);
    Ok(store::mailboxes::set_folder(cx.conn, folder.mailbox_id, &cursor)?)
}

/// Which of these places of a folder are not in the ledger yet.
pub fn unknown(
    cx: &mut Cx<'_>,
    mailbox: MailboxId,
    folder: &str,
    locations: &[String],
) -> Result<HashSet<String>, Error> {
    let borrowed: Vec<&str> = locations.iter().map(String::as_str).collect();
    let known = store::ledger::known_locations(cx.conn, mailbox, folder, &borrowed)?;
    Ok(locations.iter().filter(|location| !known.contains(*location)).cloned().collect())
}

/// What is due to be done on the server, to mail that is safely here.
pub fn due_actions(cx: &mut Cx<'_>, folder: &Folder) -> Result<Vec<MailAction>, Error> {
    Ok(store::pending::due_actions(cx.conn, folder.mailbox_id, &folder.name, folder.uidvalidity, cx.now)?)
}

/// These were copied to where they are moved, and are now to be deleted here. It is written down
/// between the two, so that no copy is made again where the server deletes nothing.
pub fn copied(cx: &mut Cx<'_>, folder: &Folder, uids: &[i64]) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    let (id, name) = (folder.mailbox_id, &folder.name);
    Ok(store::pending::set_action(cx.conn, id, name, folder.uidvalidity, uids, "delete")?)
}

/// These were done.
pub fn actions_done(cx: &mut Cx<'_>, folder: &Folder, uids: &[i64]) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    Ok(store::pending::delete_actions(cx.conn, folder.mailbox_id, &folder.name, folder.uidvalidity, uids)?)
}
