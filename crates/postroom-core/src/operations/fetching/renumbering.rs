//! A server gave the mails of a folder other numbers: it was moved, or restored from a backup.
//! What is here already keeps its message under its new number, without being fetched again;
//! only the rest is.

use super::super::leases;
use super::Folder;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::MessageId;
use crate::intake::Verdict;
use crate::mailbox::FolderCursor;
use crate::store::ledger::{NewEntry, Seen};
use crate::store::pending::{MailAction, Pending};
use crate::time::Timestamp;
use crate::word::words;
use crate::{Error, store};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// Mail that came this long before the last that was known may be new; older mail is history.
const OVERLAP: Duration = Duration::from_secs(60 * 60);
/// Of a hundred mails so many may be unknown before somebody should look.
const UNKNOWN_PERCENT: usize = 20;
/// The last numbers of a folder that are held against what the server has under them.
const SAMPLE: i64 = 100;

words! {
    /// How it was noticed that a folder's mails have other numbers.
    pub enum Renumbered {
        /// The server says so: its UIDVALIDITY is another (RFC 3501 section 2.3.1.1).
        Uidvalidity = "uidvalidity",
        /// It does not, but its next number is one that was given out before, or there are other
        /// mails under known numbers: it was restored from a backup.
        Restored = "restored",
    }
}

/// A mail as the server describes it under its new number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its number.
    pub uid: i64,
    /// Its size as the server reckons it; negative where it can't.
    pub size: i64,
    /// When the server got it.
    pub internal_date: Option<Timestamp>,
    /// Its Message-ID as it is kept.
    pub message_id: Option<String>,
}

/// The last mails of a folder that are known by number, with when the server got them and their
/// size: what stands under those numbers now tells whether they still mean the same.
pub fn sample(cx: &mut Cx<'_>, folder: &Folder, last_uid: i64) -> Result<Vec<Seen>, Error> {
    let locations: Vec<String> =
        ((last_uid - SAMPLE).max(0) + 1..=last_uid).map(|uid| folder.location(uid)).collect();
    Ok(store::ledger::seen_at(cx.conn, folder.mailbox_id, &folder.name, &locations)?)
}

/// What tells one mail from others without its content.
type Key<'a> = (&'a str, Timestamp, i64);

/// The mails that were seen under one key.
#[derive(Default)]
struct Known<'a> {
    messages: HashSet<MessageId>,
    /// By generation: one that was broken off holds only some of them.
    places: HashMap<&'a str, usize>,
    newest: Option<&'a Seen>,
}

fn by_key(seen: &[Seen]) -> HashMap<Key<'_>, Known<'_>> {
    let mut known: HashMap<Key<'_>, Known<'_>> = HashMap::new();
    for mail in seen {
        let (Some(id), Some(date), Some(message)) = (&mail.message_name, mail.internal_date, mail.message_id)
        else {
            continue;
        };
        let entry = known.entry((id, date, mail.size)).or_default();
        entry.messages.insert(message);
        let generation = mail.location.rsplit_once('/').map_or("", |(generation, _)| generation);
        *entry.places.entry(generation).or_default() += 1;
        entry.newest = Some(mail);
    }
    known
}

/// Which of the mails are known: each with what was seen of it before. Two different mails may
/// share a key: where the key means several messages, or more mails have it than had it before,
/// all of them are looked at again.
fn rebound<'a>(described: &[Described], seen: &'a [Seen]) -> BTreeMap<i64, &'a Seen> {
    let known = by_key(seen);
    let mut found: HashMap<Key<'_>, Vec<i64>> = HashMap::new();
    for mail in described {
        if let (Some(id), Some(date)) = (&mail.message_id, mail.internal_date) {
            found.entry((id, date, mail.size)).or_default().push(mail.uid);
        }
    }
    let mut rebound = BTreeMap::new();
    for (key, uids) in found {
        let Some(known) = known.get(&key) else { continue };
        let most = known.places.values().copied().max().unwrap_or(0);
        let Some(newest) = known.newest.filter(|_| known.messages.len() == 1 && uids.len() <= most) else {
            continue;
        };
        rebound.extend(uids.into_iter().map(|uid| (uid, newest)));
    }
    rebound
}

/// Begins a new generation of a folder behind `last_uid`: binds what is known to its new numbers
/// and notes the rest as waiting. What was still to be done on the server to known mail is still
/// to be done to it, also where its folder was empty in between.
pub fn renumber(
    cx: &mut Cx<'_>,
    folder: &Folder,
    old: &FolderCursor,
    last_uid: i64,
    described: &[Described],
    why: Renumbered,
) -> Result<(), Error> {
    leases::hold(cx, &folder.lease)?;
    let seen = store::ledger::seen(cx.conn, folder.mailbox_id, &folder.name)?;
    let known = rebound(described, &seen);
    let last_known = seen.iter().filter_map(|mail| mail.internal_date).max();
    let before = Folder { uidvalidity: old.uidvalidity, generation: old.generation, ..folder.clone() };
    let actions = carried_over(cx, folder, &before, &seen, &known, described.is_empty())?;
    let entries = known.iter().map(|(uid, seen)| NewEntry {
        mailbox_id: folder.mailbox_id,
        folder: folder.name.clone(),
        location: folder.location(*uid),
        uid: Some(*uid),
        // The rest of what is here in part is still to come, under the new number.
        verdict: if seen.is_in_part() { Verdict::Oversized } else { Verdict::Duplicate },
        reason: Some("it was here before the server numbered its mail anew".to_owned()),
        message_id: seen.message_id,
        raw_hash: seen.raw_hash.clone(),
        size: seen.size,
        internal_date: seen.internal_date,
        next_try_at: None,
        created_at: cx.now,
    });
    let waiting: Vec<Pending> = described
        .iter()
        .filter(|mail| !known.contains_key(&mail.uid))
        .map(|mail| Pending {
            found_anew: true,
            was_there: true,
            ..folder.pending(mail.uid, mail.size, cx.now)
        })
        .collect();
    store::ledger::write(cx.conn, &entries.collect::<Vec<_>>())?;
    store::mailboxes::count(cx.conn, folder.mailbox_id, 0, known.len() as i64, 0)?;
    super::forget_numbers(cx, folder)?;
    store::pending::insert(cx.conn, &waiting)?;
    store::pending::insert_actions(cx.conn, &actions)?;
    let cursor = FolderCursor {
        history_before: last_known.map(|last| last.minus(OVERLAP)).or(old.history_before),
        ..folder.cursor(last_uid, old)
    };
    store::mailboxes::set_folder(cx.conn, folder.mailbox_id, &cursor)?;

    let is_doubtful = waiting.len() * 100 > described.len() * UNKNOWN_PERCENT;
    if is_doubtful {
        tracing::warn!(mailbox = %folder.mailbox_id, folder = folder.name, unknown = waiting.len(),
            of = described.len(), "a server numbered its mail anew, and much of it was not known");
    }
    let about = About { mailbox_id: Some(folder.mailbox_id), ..About::default() };
    let event = NewEvent::new(EventType::MailboxRenumbered, about)
        .with("folder", folder.name.clone())
        .with("reason", why.as_str())
        .with("known", known.len())
        .with("unknown", waiting.len())
        .with("doubtful", is_doubtful);
    cx.tell(event);
    Ok(())
}

/// The generation under which an action waits for its folder to come back: no server has it. What
/// stands for the mail there is the number of its message.
const APART: i64 = -1;

/// What was still to be done to mail under its old number, under its new one. Where the server shows
/// nothing at all, it may be its store that is not there just now: then it is kept apart, by message,
/// until mail is there again. Under its old numbers it must not stay: they may come to mean other mail.
fn carried_over(
    cx: &mut Cx<'_>,
    folder: &Folder,
    before: &Folder,
    seen: &[Seen],
    known: &BTreeMap<i64, &Seen>,
    is_empty: bool,
) -> Result<Vec<MailAction>, Error> {
    let queued = store::pending::actions(cx.conn, folder.mailbox_id, &folder.name)?;
    let at: HashMap<&str, MessageId> =
        seen.iter().filter_map(|mail| Some((mail.location.as_str(), mail.message_id?))).collect();
    let mut due: BTreeMap<MessageId, &MailAction> = BTreeMap::new();
    for action in &queued {
        if action.uidvalidity == APART {
            due.entry(MessageId(action.uid)).or_insert(action);
        } else if action.uidvalidity == before.uidvalidity
            && let Some(message) = at.get(before.location(action.uid).as_str())
        {
            due.insert(*message, action);
        }
    }
    if is_empty {
        let apart = due.iter().map(|(message, action)| MailAction {
            uidvalidity: APART,
            uid: message.0,
            ..(*action).clone()
        });
        return Ok(apart.collect());
    }
    let carried = known.iter().filter_map(|(uid, seen)| {
        let action = due.get(&seen.message_id?)?;
        Some(MailAction { uidvalidity: folder.uidvalidity, uid: *uid, ..(*action).clone() })
    });
    Ok(carried.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::types::Json;

    fn seen(location: &str, id: &str, date: i64, size: i64, message: i64) -> Seen {
        Seen {
            location: location.to_owned(),
            uid: None,
            size,
            internal_date: Some(Timestamp(date)),
            message_id: Some(MessageId(message)),
            message_name: Some(id.to_owned()),
            raw_hash: None,
            flags: Json::new(Vec::new()),
        }
    }

    fn described(uid: i64, id: &str, date: i64, size: i64) -> Described {
        Described { uid, size, internal_date: Some(Timestamp(date)), message_id: Some(id.to_owned()) }
    }

    fn uids(described: &[Described], seen: &[Seen]) -> Vec<(i64, i64)> {
        let found = rebound(described, seen);
        found.iter().map(|(uid, seen)| (*uid, seen.message_id.map_or(0, |id| id.0))).collect()
    }

    #[test]
    fn what_is_equal_in_all_three_is_known() {
        let old = [seen("1/5", "a", 10, 100, 7)];
        assert_eq!(uids(&[described(1, "a", 10, 100)], &old), [(1, 7)]);
        for other in [described(1, "b", 10, 100), described(1, "a", 11, 100), described(1, "a", 10, 101)] {
            assert_eq!(uids(&[other], &old), []);
        }
        let nameless = Described { message_id: None, ..described(1, "a", 10, 100) };
        let timeless = Described { internal_date: None, ..described(2, "a", 10, 100) };
        assert_eq!(uids(&[nameless, timeless], &old), []);
    }

    #[test]
    fn more_mails_than_before_are_all_looked_at() {
        let one = [seen("1/5", "a", 10, 100, 7)];
        let (first, second) = (described(1, "a", 10, 100), described(2, "a", 10, 100));
        assert_eq!(uids(&[first.clone(), second.clone()], &one), []);
        // Two copies of one mail were there before.
        let two = [seen("1/5", "a", 10, 100, 7), seen("1/6", "a", 10, 100, 7)];
        assert_eq!(uids(&[first.clone(), second.clone()], &two), [(1, 7), (2, 7)]);
        assert_eq!(uids(std::slice::from_ref(&first), &two), [(1, 7)]);
        // The same copy in two generations is one.
        let again = [seen("1/5", "a", 10, 100, 7), seen("2.1/5", "a", 10, 100, 7)];
        assert_eq!(uids(&[first.clone(), second.clone()], &again), []);
        // Two different mails under one key: which is which, only their content tells.
        let different = [seen("1/5", "a", 10, 100, 7), seen("1/6", "a", 10, 100, 8)];
        assert_eq!(uids(&[first, second], &different), []);
    }
}
