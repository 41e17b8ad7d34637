//! Mail that was tried in vain: when it is tried next, whose fault it was that it did not come, when it
//! is put aside, and when it gets another chance.
//!
//! A connection that breaks over a mail may break for any reason. A try counts against the mail only
//! where something else came in the same poll; where nothing did, so many such tries count as one.
//! Tries have growing pauses between them and one that somebody asks for ahead of its time counts for
//! nothing, so that a line that is bad for hours puts no good mail aside. What a server would not give just
//! now counts for nothing either; others go before it for a while. What is put aside without its
//! bytes is tried again all the same: daily at first, then weekly, without an end.

use super::super::leases;
use super::Folder;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::intake::Verdict;
use crate::store::ledger::{Entry, NewEntry};
use crate::store::pending::Pending;
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// How long a mail is left alone after its first, second, third and every further try in vain: five
/// tries take more than 14 hours.
const PAUSES: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(15), Duration::from_hours(2), Duration::from_hours(12)];
/// How long others go before a mail that its server would not give just now.
const PUT_OFF: Duration = Duration::from_mins(15);
/// No pause is longer: what waits for a later time was put off while a clock ran ahead.
const LONGEST: Duration = Duration::from_hours(24);
/// So many tries in a row, over which nothing else came either, count as one against the mail.
const BREAKS: i32 = 3;
/// What was put aside is tried again daily for a week, and then weekly.
const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);
/// What was put aside is tried again by so many mails at once.
const AGAIN_AT_ONCE: i64 = 100;

/// Whose fault it is, as far as that can be told, that a mail did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The mail's: the server sent others.
    Mail,
    /// The line's or the server's: nothing else came either.
    Line,
}

/// The pause after a try, by how many before it counted.
fn pause(attempts: i32) -> Duration {
    let before = usize::try_from(attempts).unwrap_or(0);
    PAUSES[before.min(PAUSES.len() - 1)]
}

/// When a mail that is put aside is tried again.
fn again_at(first_aside: Timestamp, now: Timestamp) -> Timestamp {
    now.plus(if now < first_aside.plus(WEEK) { DAY } else { WEEK })
}

/// What waits in a folder and whose time has come, or all that waits where somebody asked for a poll:
/// what was tried least first, and of that what may be tried for the longest time.
pub fn waiting(
    cx: &mut Cx<'_>,
    folder: &Folder,
    is_asked_for: bool,
    limit: i64,
) -> Result<Vec<Pending>, Error> {
    let until = if is_asked_for { Timestamp(i64::MAX) } else { cx.now };
    let (id, name, beyond) = (folder.mailbox_id, &folder.name, cx.now.plus(LONGEST));
    Ok(store::pending::list(cx.conn, id, name, folder.uidvalidity, until, beyond, limit)?)
}

/// Notes that mail was tried in vain. What was tried often enough is put aside, so that it
/// blocks nothing: it stands in the ledger as quarantined and on the server as it was. Returns what
/// was held to be the line's fault, for [`blame`].
pub fn missed(
    cx: &mut Cx<'_>,
    folder: &Folder,
    mails: &[Pending],
    why: &str,
    fault: Fault,
) -> Result<Vec<Pending>, Error> {
    leases::hold(cx, &folder.lease)?;
    let why = Some(crate::text::one_line(why, 500));
    let mut noted = Vec::new();
    for before in mails {
        let mut after = Pending { last_error: why.clone(), unseen: false, ..before.clone() };
        if before.next_try_at <= cx.now {
            after.next_try_at = cx.now.plus(pause(before.attempts));
            after.breaks = if fault == Fault::Line { before.breaks + 1 } else { BREAKS };
            if after.breaks >= BREAKS {
                after.breaks = 0;
                after.attempts = before.attempts.saturating_add(1);
            }
        }
        noted.push((before, after));
    }
    note(cx, folder, noted)
}

/// Lets others go before mail that its server would not give just now. No try is counted: a server that
/// is in trouble refuses any. But one that never gives some would otherwise keep all behind them back.
pub fn put_off(cx: &mut Cx<'_>, folder: &Folder, mails: &[Pending], why: &str) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    let last_error = Some(crate::text::one_line(why, 500));
    for before in mails {
        let next_try_at = before.next_try_at.max(cx.now.plus(PUT_OFF));
        let after = Pending { next_try_at, last_error: last_error.clone(), unseen: false, ..before.clone() };
        // Where somebody had it begin anew meanwhile, it does.
        if store::pending::note_try(cx.conn, before, &after)? {
            let (id, name, location) = (folder.mailbox_id, &folder.name, folder.location(before.uid));
            store::ledger::set_next_try(cx.conn, id, name, &location, next_try_at)?;
        }
    }
    Ok(())
}

/// Something else came after these, which broke the line while nothing had: it was the mails after all.
pub fn blame(cx: &mut Cx<'_>, folder: &Folder, suspects: &[Pending]) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    let noted = suspects.iter().filter(|mail| mail.breaks > 0).map(|before| {
        let attempts = before.attempts.saturating_add(1);
        (before, Pending { attempts, breaks: 0, ..before.clone() })
    });
    note(cx, folder, noted.collect())?;
    Ok(())
}

/// Writes down tries. Returns those that wait on and were held to be the line's fault.
fn note(cx: &mut Cx<'_>, folder: &Folder, noted: Vec<(&Pending, Pending)>) -> Result<Vec<Pending>, Error> {
    let mut aside = Vec::new();
    let mut lines = Vec::new();
    for (before, after) in noted {
        // Somebody may have had it begin anew meanwhile: then this try was one too many.
        if !store::pending::note_try(cx.conn, before, &after)? {
            continue;
        }
        // One that got another chance has one try.
        let had_its_chance = after.was_aside && after.next_try_at > before.next_try_at;
        if had_its_chance || after.attempts >= cx.settings.ingest_tries {
            aside.push(after);
            continue;
        }
        let location = folder.location(after.uid);
        let (id, name, at) = (folder.mailbox_id, &folder.name, after.next_try_at);
        store::ledger::set_next_try(cx.conn, id, name, &location, at)?;
        if after.breaks > before.breaks {
            lines.push(after);
        }
    }
    set_aside(cx, folder, &aside, Verdict::Quarantined)?;
    Ok(lines)
}

/// Notes that mail was gone before it could be fetched. A server may show a folder in part for a
/// moment: what is not there in one poll waits for the next, and is gone where that misses it too.
pub fn gone(cx: &mut Cx<'_>, folder: &Folder, mails: &[Pending]) -> Result<(), Error> {
    let (again, first): (Vec<&Pending>, _) = mails.iter().partition(|mail| mail.unseen);
    if !first.is_empty() {
        leases::hold(cx, &folder.lease)?;
    }
    for before in first {
        // Where somebody had it begin anew meanwhile, it does.
        store::pending::note_try(cx.conn, before, &Pending { unseen: true, ..before.clone() })?;
    }
    let again: Vec<Pending> = again.into_iter().cloned().collect();
    set_aside(cx, folder, &again, Verdict::Expunged)
}

/// Notes that mail is not wanted, and why.
pub fn ignored(cx: &mut Cx<'_>, folder: &Folder, mails: &[Pending], why: &str) -> Result<(), Error> {
    let mails: Vec<Pending> =
        mails.iter().map(|mail| Pending { last_error: Some(why.to_owned()), ..mail.clone() }).collect();
    set_aside(cx, folder, &mails, Verdict::Ignored)
}

fn set_aside(cx: &mut Cx<'_>, folder: &Folder, mails: &[Pending], verdict: Verdict) -> Result<(), Error> {
    if mails.is_empty() {
        return Ok(());
    }
    leases::hold(cx, &folder.lease)?;
    let locations: Vec<String> = mails.iter().map(|mail| folder.location(mail.uid)).collect();
    let borrowed: Vec<&str> = locations.iter().map(String::as_str).collect();
    let before = store::ledger::retried(cx.conn, folder.mailbox_id, &folder.name, &borrowed)?;
    let is_aside = verdict == Verdict::Quarantined;
    let entries: Vec<NewEntry> = mails
        .iter()
        .zip(locations)
        .map(|(mail, location)| {
            let first = before.get(&location).map_or(cx.now, |row| row.created_at);
            NewEntry {
                mailbox_id: folder.mailbox_id,
                folder: folder.name.clone(),
                location,
                uid: Some(mail.uid),
                verdict,
                reason: mail.last_error.clone(),
                message_id: None,
                raw_hash: None,
                // One that its server could not measure has -1.
                size: mail.size.max(0),
                internal_date: None,
                next_try_at: is_aside.then(|| again_at(first, cx.now)),
                created_at: cx.now,
            }
        })
        .collect();
    store::ledger::write(cx.conn, &entries)?;
    let uids: Vec<i64> = mails.iter().map(|mail| mail.uid).collect();
    store::pending::delete(cx.conn, folder.mailbox_id, &folder.name, folder.uidvalidity, &uids)?;
    if is_aside {
        store::mailboxes::count(cx.conn, folder.mailbox_id, 0, 0, mails.len() as i64)?;
        // What got another chance in vain was told when it was put aside first.
        for (mail, entry) in mails.iter().zip(&entries).filter(|(mail, _)| !mail.was_aside) {
            let about = About { mailbox_id: Some(folder.mailbox_id), ..About::default() };
            let event = NewEvent::new(EventType::MailQuarantined, about)
                .with("folder", folder.name.clone())
                .with("uid", mail.uid)
                .with("reason", mail.last_error.clone())
                .with("next_try_at", entry.next_try_at.map(|at| at.to_string()));
            cx.tell(event);
        }
    }
    Ok(())
}

/// What was put aside in a folder and is due for another chance.
pub fn due_again(cx: &mut Cx<'_>, folder: &Folder) -> Result<Vec<Entry>, Error> {
    let place = crate::mailbox::place(folder.uidvalidity, folder.generation);
    let (id, name, now) = (folder.mailbox_id, &folder.name, cx.now);
    let beyond = now.plus(WEEK + DAY);
    Ok(store::ledger::due_again(cx.conn, id, name, &place, now, beyond, AGAIN_AT_ONCE)?)
}

/// Gives what was put aside another chance: it waits again, behind all others, and has one try.
pub fn reopen(cx: &mut Cx<'_>, folder: &Folder, rows: &[Entry]) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    for row in rows {
        let Some(uid) = row.uid else { continue };
        // Somebody may have had it tried meanwhile.
        if !store::ledger::reopen(cx.conn, row, "it is being tried again", Some(cx.now))? {
            continue;
        }
        store::mailboxes::count(cx.conn, folder.mailbox_id, 0, 0, -1)?;
        let size = if row.size > 0 { row.size } else { store::pending::UNKNOWN_SIZE };
        let waiting = Pending { was_aside: true, ..folder.pending(uid, size, cx.now) };
        store::pending::insert(cx.conn, &[waiting])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_spread_over_most_of_a_day() {
        let all: Duration = (0..4).map(pause).sum();
        assert!(all > Duration::from_hours(14) && all < DAY, "{all:?}");
        assert_eq!(
            [pause(i32::MIN), pause(0), pause(3), pause(4), pause(i32::MAX)],
            [PAUSES[0], PAUSES[0], PAUSES[3], PAUSES[3], PAUSES[3]]
        );
    }

    #[test]
    fn another_chance_comes_daily_for_a_week_and_then_weekly() {
        let first = Timestamp::from_seconds(1_000_000);
        assert_eq!(again_at(first, first), first.plus(DAY));
        let last_daily = Timestamp(first.plus(WEEK).0 - 1);
        assert_eq!(again_at(first, last_daily), last_daily.plus(DAY));
        assert_eq!(again_at(first, first.plus(WEEK)), first.plus(WEEK).plus(WEEK));
    }
}
