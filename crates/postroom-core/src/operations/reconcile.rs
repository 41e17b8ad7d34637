//! The server's mail held against the ledger: whatever was read over and is in neither ledger nor
//! queue is missing. Polls may go on meanwhile.

use super::ledger::feedable;
use super::mailboxes::{Connection, connection};
use super::overtaken;
use crate::Error;
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::event::{About, EventType, NewEvent};
use crate::id::MailboxId;
use crate::mailbox::{Credential, End, FolderCursor, Import, MAILDIR, Mailbox, Source};
use crate::operations::authorizations::NoLogin;
use crate::ports::{Inspect, PortError, SeenFile, SeenFolder, Told};
use crate::store;
use crate::store::pending::Pending;
use crate::time::Timestamp;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use utoipa::ToSchema;

/// Missing mails that a report names; it counts all.
pub const NAMED: usize = 1_000;
/// Numbers that are noted in one transaction.
const PLANNED_AT_ONCE: usize = 5_000;
/// Of the mail that no poll has looked at, so much is asked when it came.
const UNREAD_ASKED: usize = 1_000;
/// So long before a poll began mail was there for sure that it did not look at: clocks differ.
const OVERDUE: Duration = Duration::from_mins(10);

/// A mail that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MissingMail {
    /// Where it is: on an IMAP server generation and number, in a Maildir the file's name.
    pub location: String,
    /// The server's number for it.
    pub uid: Option<i64>,
    /// Its size in bytes.
    pub size: i64,
    /// What it is about, where the server tells.
    pub subject: Option<String>,
    /// Who wrote it, as they write it, where the server tells.
    pub from: Option<String>,
}

/// One folder, and what of its mail is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct FolderReport {
    /// Its name; `maildir` where there are none.
    pub folder: String,
    /// The generation of its numbers.
    pub uidvalidity: Option<i64>,
    /// Mail that is there now: the sum of what follows, without `gone`.
    pub on_server: i64,
    /// In the ledger.
    pub known: i64,
    /// In the ledger as put aside (`quarantined`) without its bytes: it never came. It is tried again.
    pub put_aside: i64,
    /// Waits to be fetched.
    pub waiting: i64,
    /// Not looked at by any poll yet.
    pub unread: i64,
    /// Of the first thousand of those, as many as were there ten minutes before the last poll began.
    pub overdue: i64,
    /// Left out by the rule of what comes in that was there before.
    pub not_wanted: i64,
    /// Read over: in neither ledger nor queue.
    pub missing: i64,
    /// The first thousand of them.
    pub missing_mails: Vec<MissingMail>,
    /// In the ledger and no longer there: moved or deleted since.
    pub gone: i64,
    /// Why this folder could not be looked at.
    pub error: Option<String>,
}

/// What holding a mailbox against its ledger brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "reconciled_at": "2026-11-22T08:00:00.000000Z", "complete": false, "missing": 1, "planned": 1,
    "folders": [{
        "folder": "INBOX", "uidvalidity": 1_761_234_567, "on_server": 1204, "known": 1202, "waiting": 1,
        "put_aside": 0, "unread": 0, "overdue": 0, "not_wanted": 0, "missing": 1,
        "missing_mails": [{
            "location": "1761234567/881", "uid": 881, "size": 4711,
            "subject": "Where is my order?", "from": "Ada <ada@example.org>"
        }],
        "gone": 3, "error": null
    }]
}))]
pub struct Reconciliation {
    /// When.
    pub reconciled_at: Timestamp,
    /// Every folder could be looked at, and nothing is missing, put aside without its bytes, or overdue.
    pub complete: bool,
    /// Mail that is missing, in all folders.
    pub missing: i64,
    /// How many of them are fetched by the next poll, as was asked for.
    pub planned: i64,
    /// The folders.
    pub folders: Vec<FolderReport>,
}

impl Reconciliation {
    /// Mail on the server is not here, and should be; `false` is no promise where a folder could not
    /// be looked at.
    pub fn lacks(&self) -> bool {
        self.missing > 0 || self.folders.iter().any(|folder| folder.put_aside > 0 || folder.overdue > 0)
    }
}

/// What the desk knows of a folder: one snapshot.
struct Held {
    /// How far it was read.
    cursor: Option<FolderCursor>,
    /// Each with whether what was read of it is here.
    known: HashMap<i64, bool>,
    waiting: HashSet<i64>,
    /// When the last poll began that is over.
    polled: Option<Timestamp>,
}

/// When the last poll of a mailbox began that is over: one that goes on may still come to everything.
fn polled(cx: &mut Cx<'_>, id: MailboxId) -> Result<Option<Timestamp>, Error> {
    let Some(state) = store::mailboxes::state(cx.conn, id)? else { return Ok(None) };
    let began = state.last_attempt_at;
    // While polls fail, one that goes on is not told from one that is over, and neither makes it well.
    Ok(began.filter(|began| state.last_success_at >= Some(*began) || state.failing_since.is_some()))
}

fn held(cx: &mut Cx<'_>, id: MailboxId, folder: &str) -> Result<Held, Error> {
    let polled = polled(cx, id)?;
    let Some(cursor) = store::mailboxes::folder(cx.conn, id, folder)? else {
        return Ok(Held { cursor: None, known: HashMap::new(), waiting: HashSet::new(), polled });
    };
    Ok(Held {
        polled,
        known: store::ledger::uids(cx.conn, id, folder, &cursor.place())?,
        waiting: store::pending::uids(cx.conn, id, folder, cursor.uidvalidity)?,
        cursor: Some(cursor),
    })
}

/// Counts, and names what is in neither. The server was asked first: whatever a poll took in since
/// is only better known, and what is above the cursor is the next poll's.
fn compare(folder: &str, seen: &SeenFolder, held: &Held) -> (FolderReport, Vec<(i64, i64)>, Vec<i64>) {
    let mut report = FolderReport {
        folder: folder.to_owned(),
        uidvalidity: Some(seen.uidvalidity),
        on_server: seen.mails.len() as i64,
        ..FolderReport::default()
    };
    let read = held.cursor.as_ref().filter(|cursor| cursor.uidvalidity == seen.uidvalidity);
    let Some(last) = read.map(|cursor| cursor.last_uid) else {
        report.unread = report.on_server;
        return (report, Vec::new(), seen.mails.iter().map(|(uid, _)| *uid).collect());
    };
    let (mut nowhere, mut unread) = (Vec::new(), Vec::new());
    for (uid, size) in &seen.mails {
        if held.waiting.contains(uid) {
            report.waiting += 1;
        } else if let Some(is_here) = held.known.get(uid) {
            *if *is_here { &mut report.known } else { &mut report.put_aside } += 1;
        } else if *uid > last {
            report.unread += 1;
            unread.push(*uid);
        } else {
            nowhere.push((*uid, *size));
        }
    }
    let there: HashSet<i64> = seen.mails.iter().map(|(uid, _)| *uid).collect();
    let highest = seen.mails.last().map_or(0, |(uid, _)| *uid).max(seen.next.unwrap_or(0) - 1);
    // What came in since the server was asked has a higher number, and is not gone.
    report.gone = held.known.keys().filter(|uid| **uid <= highest && !there.contains(*uid)).count() as i64;
    (report, nowhere, unread)
}

/// Which of these the rules want that a poll goes by, of mail that was there before the mailbox was.
fn wanted(
    session: &mut dyn Inspect,
    mailbox: &Mailbox,
    cursor: Option<&FolderCursor>,
    nowhere: Vec<(i64, i64)>,
) -> Result<Vec<(i64, i64)>, PortError> {
    let Source::Imap { import, .. } = &mailbox.source else { return Ok(nowhere) };
    if nowhere.is_empty() {
        return Ok(nowhere);
    }
    let not_before = cursor
        .and_then(|cursor| cursor.wanted_since)
        .or_else(|| (*import == Import::None).then_some(mailbox.created_at));
    let since = match (not_before, import) {
        // The server's day may not be ours.
        (Some(bound), _) => session.since(&bound.minus(DAY).to_string())?,
        (None, Import::Since { date }) => session.since(date)?,
        (None, _) => return Ok(nowhere),
    };
    let since: HashSet<i64> = since.into_iter().collect();
    let mut kept: Vec<(i64, i64)> = nowhere.into_iter().filter(|(uid, _)| since.contains(uid)).collect();
    if let Some(bound) = not_before {
        let uids: Vec<i64> = kept.iter().map(|(uid, _)| *uid).collect();
        let received = session.received(&uids)?;
        // A server tells the second.
        let is_old = |at: Timestamp| at.plus(Duration::from_secs(1)) <= bound;
        let old: HashSet<i64> =
            received.into_iter().filter(|(_, at)| is_old(*at)).map(|(uid, _)| uid).collect();
        kept.retain(|(uid, _)| !old.contains(uid));
    }
    Ok(kept)
}

/// How much of what no poll has looked at was there long enough before the last one.
fn overdue(session: &mut dyn Inspect, unread: &[i64], polled: Option<Timestamp>) -> Result<i64, PortError> {
    let Some(began) = polled.filter(|_| !unread.is_empty()) else { return Ok(0) };
    let received = session.received(&unread[..unread.len().min(UNREAD_ASKED)])?;
    Ok(received.iter().filter(|(_, at)| at.plus(OVERDUE) <= began).count() as i64)
}

/// Names the first of what is missing.
fn named(
    session: &mut dyn Inspect,
    place: &str,
    missing: &[(i64, i64)],
) -> Result<Vec<MissingMail>, PortError> {
    let missing = &missing[..missing.len().min(NAMED)];
    let uids: Vec<i64> = missing.iter().map(|(uid, _)| *uid).collect();
    let mut told: HashMap<i64, Told> =
        session.told(&uids)?.into_iter().map(|told| (told.uid, told)).collect();
    let mail = |(uid, size): &(i64, i64)| {
        let told = told.remove(uid);
        let (subject, from) = told.map(|told| (told.subject, told.from)).unwrap_or_default();
        MissingMail { location: format!("{place}{uid}"), uid: Some(*uid), size: *size, subject, from }
    };
    Ok(missing.iter().map(mail).collect())
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Notes what is missing as waiting. What came in meanwhile, or was given new numbers, is left out.
/// What was found to be gone, and is not, is being tried again in its own row.
fn plan(
    cx: &mut Cx<'_>,
    id: MailboxId,
    folder: &str,
    uidvalidity: i64,
    missing: &[(i64, i64)],
) -> Result<i64, Error> {
    let held = held(cx, id, folder)?;
    let Some(cursor) = held.cursor.as_ref().filter(|cursor| cursor.uidvalidity == uidvalidity) else {
        return Ok(0);
    };
    let place = cursor.place();
    let waiting: Vec<Pending> = missing
        .iter()
        .filter(|(uid, _)| !held.known.contains_key(uid) && !held.waiting.contains(uid))
        .map(|(uid, size)| Pending {
            mailbox_id: id,
            folder: folder.to_owned(),
            uidvalidity,
            uid: *uid,
            size: *size,
            attempts: 0,
            breaks: 0,
            last_error: None,
            asked_for: true,
            next_try_at: cx.now,
            was_aside: false,
            unseen: false,
            found_anew: false,
            was_there: false,
        })
        .collect();
    let uids: Vec<i64> = waiting.iter().map(|mail| mail.uid).collect();
    for row in store::ledger::expunged(cx.conn, id, folder, &place, &uids)? {
        if !store::ledger::reopen(cx.conn, &row, "it is there after all, and is fetched", Some(cx.now))? {
            return Err(overtaken());
        }
    }
    store::pending::insert(cx.conn, &waiting)?;
    Ok(waiting.len() as i64)
}

/// Notes what was found, and who wanted to know.
fn finish(cx: &mut Cx<'_>, id: MailboxId, found: &Reconciliation) -> Result<(), Error> {
    store::mailboxes::note_reconciled(cx.conn, id, found.missing, cx.now)?;
    if found.planned > 0 {
        store::mailboxes::request_sync(cx.conn, id, cx.now)?;
    }
    let about = About { mailbox_id: Some(id), ..About::default() };
    let event = NewEvent::new(EventType::MailboxReconciled, about)
        .with("complete", found.complete)
        .with("missing", found.missing)
        .with("planned", found.planned);
    cx.tell(event);
    Ok(())
}

impl Desk {
    /// Holds what a mailbox's server has against the ledger; `repair` has the next poll fetch what is
    /// missing. Nothing else is touched, here or there.
    ///
    /// Fails with [`Error::MailServer`] where the server can't be reached, and with
    /// [`Error::StateConflict`] where there is none.
    pub async fn reconcile(
        &self,
        actor: &Actor,
        id: MailboxId,
        repair: bool,
    ) -> Result<Reconciliation, Error> {
        let (desk, actor) = (self.clone(), actor.clone());
        crate::desk::off_thread(move || desk.reconcile_here(&actor, id, repair)).await
    }

    /// [`Desk::reconcile`] for a caller that is on a thread that may block.
    pub fn reconcile_here(
        &self,
        actor: &Actor,
        id: MailboxId,
        repair: bool,
    ) -> Result<Reconciliation, Error> {
        let found = self.read_here(actor, |cx| {
            feedable(cx, id)?;
            connection(cx, id)
        })?;
        let mut planned = 0;
        let folders = match &found.mailbox.source {
            Source::Push {} => {
                return Err(Error::StateConflict(
                    "mail is pushed into this mailbox; there is no server to hold it against".to_owned(),
                ));
            }
            Source::Maildir { path } => vec![self.hold_files(actor, id, path)?],
            Source::Imap { .. } => {
                let begun = self.read_here(actor, |cx| Ok(store::mailboxes::folders(cx.conn, id)?))?;
                let folders = &found.mailbox.source.read_folders(&begun);
                let no_login = |error: NoLogin| Error::MailServer(PortError::new(error.to_string()));
                let access = self.access_here(&found, End::Source, None).map_err(no_login)?;
                let credential = access.credential.unwrap_or_else(|| Credential::Password(String::new()));
                let mut session = self
                    .ports()
                    .inspector
                    .open(&found.mailbox.source, &credential)
                    .map_err(Error::MailServer)?;
                if access.on_trial {
                    self.login_accepted_here(id, End::Source)?;
                }
                let mut reports = Vec::with_capacity(folders.len());
                for folder in folders {
                    let (report, missing) = self.hold_folder(actor, &found, session.as_mut(), folder)?;
                    if let (true, Some(uidvalidity)) = (repair, report.uidvalidity) {
                        for missing in missing.chunks(PLANNED_AT_ONCE) {
                            planned +=
                                self.write_here(actor, |cx| plan(cx, id, folder, uidvalidity, missing))?;
                        }
                    }
                    reports.push(report);
                }
                reports
            }
        };
        let missing = folders.iter().map(|folder| folder.missing).sum();
        let report = Reconciliation {
            reconciled_at: self.now(),
            complete: folders.iter().all(|folder| folder.error.is_none()),
            missing,
            planned,
            folders,
        };
        let report = Reconciliation { complete: report.complete && !report.lacks(), ..report };
        self.write_here(actor, |cx| finish(cx, id, &report))?;
        Ok(report)
    }

    /// One folder of an IMAP server. One that can't be looked at keeps the others not waiting.
    fn hold_folder(
        &self,
        actor: &Actor,
        found: &Connection,
        session: &mut dyn Inspect,
        name: &str,
    ) -> Result<(FolderReport, Vec<(i64, i64)>), Error> {
        let failed = |error: PortError| FolderReport {
            folder: name.to_owned(),
            error: Some(error.to_string()),
            ..FolderReport::default()
        };
        let seen = match session.folder(name) {
            Ok(seen) => seen,
            Err(error) => return Ok((failed(error), Vec::new())),
        };
        let held = self.read_here(actor, |cx| held(cx, found.mailbox.id, name))?;
        let (mut report, nowhere, unread) = compare(name, &seen, &held);
        let all = nowhere.len();
        let place = held.cursor.as_ref().map(FolderCursor::place).unwrap_or_default();
        let looked = wanted(session, &found.mailbox, held.cursor.as_ref(), nowhere).and_then(|missing| {
            report.overdue = overdue(session, &unread, held.polled)?;
            report.missing_mails = named(session, &place, &missing)?;
            Ok(missing)
        });
        let missing = match looked {
            Ok(missing) => missing,
            Err(error) => return Ok((failed(error), Vec::new())),
        };
        report.missing = missing.len() as i64;
        report.not_wanted = (all - missing.len()) as i64;
        Ok((report, missing))
    }

    /// A Maildir. It has no cursor: each poll takes whatever is not in the ledger. What lay there
    /// when the last poll began, and that poll went well, is missing nevertheless.
    fn hold_files(&self, actor: &Actor, id: MailboxId, path: &str) -> Result<FolderReport, Error> {
        let seen = self.ports().inspector.files(path).map_err(Error::MailServer)?;
        let keys: Vec<&str> = seen.iter().map(|file| file.key.as_str()).collect();
        let (known, all, state) = self.read_here(actor, |cx| {
            let known = store::ledger::known_locations(cx.conn, id, MAILDIR, &keys)?;
            let all = store::ledger::count_in(cx.conn, id, MAILDIR)?;
            Ok((known, all, store::mailboxes::state(cx.conn, id)?))
        })?;
        let polled = state.and_then(|state| {
            let began = state.last_attempt_at?;
            (state.last_success_at? >= began).then_some(began)
        });
        let mut report = FolderReport {
            folder: MAILDIR.to_owned(),
            on_server: seen.len() as i64,
            known: known.len() as i64,
            gone: all.saturating_sub(known.len() as i64),
            ..FolderReport::default()
        };
        for file in seen.iter().filter(|file| !known.contains(&file.key)) {
            if polled.is_some_and(|began| lay_there(file, began)) {
                report.missing += 1;
                if report.missing_mails.len() < NAMED {
                    let location = file.key.clone();
                    let mail =
                        MissingMail { location, uid: None, size: file.size, subject: None, from: None };
                    report.missing_mails.push(mail);
                }
            } else {
                report.unread += 1;
            }
        }
        Ok(report)
    }
}

/// Whether a file was there when a poll began. File systems tell time in steps.
fn lay_there(file: &SeenFile, began: Timestamp) -> bool {
    file.changed.plus(Duration::from_secs(1)) <= began
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uids: &[i64], next: Option<i64>) -> SeenFolder {
        SeenFolder { uidvalidity: 7, next, mails: uids.iter().map(|uid| (*uid, 10)).collect() }
    }

    /// A mail that never came.
    const ASIDE: i64 = 13;

    fn held(cursor: Option<(i64, i64)>, known: &[i64], waiting: &[i64]) -> Held {
        let cursor = cursor.map(|(uidvalidity, last_uid)| FolderCursor {
            name: "INBOX".to_owned(),
            uidvalidity,
            generation: 0,
            last_uid,
            wanted_since: None,
            history_before: None,
        });
        let known = known.iter().map(|uid| (*uid, *uid != ASIDE)).collect();
        Held { cursor, known, waiting: waiting.iter().copied().collect(), polled: None }
    }

    #[test]
    fn every_mail_is_counted_once() {
        let held = held(Some((7, 13)), &[1, 2, 5, ASIDE], &[3]);
        let (report, nowhere, unread) = compare("INBOX", &seen(&[1, 3, 4, 5, 6, ASIDE, 14], Some(15)), &held);
        assert_eq!((nowhere, unread), (vec![(4, 10), (6, 10)], vec![14]));
        assert_eq!((report.on_server, report.known, report.waiting, report.unread), (7, 2, 1, 1));
        assert_eq!(report.put_aside, 1);
        assert_eq!(report.gone, 1);
    }

    #[test]
    fn a_poll_that_goes_on_makes_nothing_missing_or_gone() {
        // The server was asked before 8 and 9 came; a poll has taken both in since.
        let (report, nowhere, _) =
            compare("INBOX", &seen(&[7], Some(8)), &held(Some((7, 9)), &[7, 8, 9], &[]));
        assert_eq!((nowhere.len(), report.known, report.gone), (0, 1, 0));
        // An empty folder says by its next number how far it is empty.
        let (report, ..) = compare("INBOX", &seen(&[], Some(8)), &held(Some((7, 9)), &[7, 8, 9], &[]));
        assert_eq!(report.gone, 1);
    }

    #[test]
    fn new_numbers_are_the_next_polls() {
        for cursor in [None, Some((6, 100))] {
            let (report, nowhere, unread) = compare("INBOX", &seen(&[1, 2], None), &held(cursor, &[], &[]));
            assert_eq!((nowhere.len(), report.unread, report.missing), (0, 2, 0));
            assert_eq!(unread, [1, 2]);
        }
    }

    #[test]
    fn a_file_is_missing_once_a_poll_began_a_second_after_it() {
        let file = SeenFile { key: "a".to_owned(), size: 1, changed: Timestamp::from_seconds(10) };
        assert!(lay_there(&file, Timestamp::from_seconds(11)));
        assert!(!lay_there(&file, Timestamp(10_999_999)));
    }
}
