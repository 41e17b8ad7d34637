//! One poll of an IMAP mailbox: for each folder, what is new is planned, fetched in batches,
//! taken in, and only then touched on the server.

use super::batch::{BATCH_MAILS, LARGE_BYTES, UNKNOWN_SIZE, next_batch};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::intake::{Arrival, Batch};
use postroom_core::mailbox::{AfterIngest, Import, Mailbox, Source};
use postroom_core::operations::fetching::{self, Folder};
use postroom_core::operations::mailboxes::Connection;
use postroom_core::ports::ReadContext;
use postroom_core::store::ledger::{MailAction, Pending};
use postroom_core::store::mailboxes::PollEnd;
use postroom_ingest::error::SourceError;
use postroom_ingest::imap;
use postroom_ingest::source::{Fetched, FolderState, MailSource};
use postroom_ingest::transport::Timeouts;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio::sync::watch;

/// No mail is older: with it a search by day finds all.
const BEGINNING: jiff::civil::Date = jiff::civil::date(1970, 1, 1);
/// A mailbox that is not older than this was made just now.
const BRAND_NEW: Duration = Duration::from_secs(60);
/// New connections in one poll after a mail broke one.
const RECONNECTS: usize = 10;
/// Of a mail that is too large to take in, this much of its text is kept besides its header.
const HEAD_BYTES: u32 = 64 * 1024;

/// Why a poll could not go on.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Desk(#[from] postroom_core::Error),
    #[error("the mailbox's import date {0:?} is no date")]
    Date(String),
}

impl Stopped {
    fn drops_session(&self) -> bool {
        match self {
            Self::Source(error) => error.drops_session(),
            Self::Desk(_) => true,
            Self::Date(_) => false,
        }
    }
}

/// Polls all folders of a mailbox. One folder that is missing does not keep the others waiting.
pub fn imap(desk: &Desk, connection: &Connection, stopping: &watch::Receiver<bool>) -> PollEnd {
    let Source::Imap { folders, after_ingest, .. } = &connection.mailbox.source else {
        return PollEnd::Failed("this mailbox is not on an IMAP server".to_owned());
    };
    let password = connection.source_password.as_deref().unwrap_or_default();
    let connect = || imap::connect(&connection.mailbox.source, password, &Timeouts::default());
    let mut session = match connect() {
        Ok(session) => session,
        Err(error) => return PollEnd::Failed(error.to_string()),
    };
    let mut faults = Vec::new();
    let mut read = 0;
    let mut connections_left = RECONNECTS;
    for name in folders {
        let mut poll = FolderPoll {
            desk,
            mailbox: &connection.mailbox,
            writable: *after_ingest != AfterIngest::Leave,
            stopping,
            tried: HashSet::new(),
            broke_over_mail: false,
            without_sizes: false,
        };
        loop {
            let error = match poll.run(&mut session, name) {
                Ok(missed) => {
                    read += 1;
                    faults.extend(missed);
                    break;
                }
                Err(error) => error,
            };
            faults.push(format!("folder {name}: {error}"));
            if !error.drops_session() {
                break;
            }
            // Some servers hang up over a mail that they can't read (Dovecot does). It counts as
            // tried; the others need not wait for the next poll.
            if !std::mem::take(&mut poll.broke_over_mail) || connections_left == 0 || *stopping.borrow() {
                return end(read, &faults);
            }
            connections_left -= 1;
            match connect() {
                Ok(again) => session = again,
                Err(error) => {
                    faults.push(error.to_string());
                    return end(read, &faults);
                }
            }
        }
    }
    session.logout();
    end(read, &faults)
}

fn end(read: usize, faults: &[String]) -> PollEnd {
    match (read, faults.first()) {
        (_, None) => PollEnd::Well,
        (0, Some(first)) => PollEnd::Failed(first.clone()),
        (_, Some(first)) => PollEnd::Partly(first.clone()),
    }
}

/// One folder's part of a poll.
struct FolderPoll<'a> {
    desk: &'a Desk,
    mailbox: &'a Mailbox,
    writable: bool,
    stopping: &'a watch::Receiver<bool>,
    /// What was tried in vain in this poll, and is left for the next.
    tried: HashSet<i64>,
    /// The connection was lost over mail that counts as tried since.
    broke_over_mail: bool,
    /// The server can't list its mail with sizes: there is one that it can't measure.
    without_sizes: bool,
}

impl FolderPoll<'_> {
    /// What kept single mails from coming in, if anything did.
    fn run(&mut self, session: &mut dyn MailSource, name: &str) -> Result<Option<String>, Stopped> {
        let state = session.select(name, self.writable)?;
        let folder = Folder {
            mailbox_id: self.mailbox.id,
            name: name.to_owned(),
            uidvalidity: i64::from(state.uidvalidity),
        };
        self.plan(session, &folder, &state)?;
        let missed = self.fetch_all(session, &folder)?;
        match self.act(session, &folder) {
            // The mail is here: what the server would not do with it must not slow down the polls.
            Err(error) if !error.drops_session() => Ok(missed.or(Some(error.to_string()))),
            done => done.map(|()| missed),
        }
    }

    /// Notes what is there and not known yet.
    fn plan(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        state: &FolderState,
    ) -> Result<(), Stopped> {
        let system = Actor::system();
        let (id, name) = (self.mailbox.id, folder.name.as_str());
        let cursor = self.desk.read_here(&system, |cx| fetching::cursor(cx, id, name))?;
        let known = cursor.filter(|cursor| cursor.uidvalidity == folder.uidvalidity);
        let Some(cursor) = known else { return self.begin(session, folder, state) };
        let last = u32::try_from(cursor.last_uid).unwrap_or(u32::MAX);
        if state.uidnext.is_some_and(|next| next <= last.saturating_add(1)) {
            return Ok(());
        }
        let listed = self.list(session, last)?;
        self.note(folder, listed)
    }

    /// Number and size of every mail above a number. A server that fails over the size of one
    /// (Dovecot hangs up where it can't read a file) is asked for the numbers alone.
    fn list(&mut self, session: &mut dyn MailSource, last: u32) -> Result<Vec<(i64, i64)>, Stopped> {
        if !self.without_sizes {
            let error = match session.list_after(last) {
                Ok(listed) => {
                    return Ok(listed
                        .iter()
                        .map(|mail| (i64::from(mail.uid), i64::try_from(mail.size).unwrap_or(i64::MAX)))
                        .collect());
                }
                Err(error) => error,
            };
            self.without_sizes = true;
            self.broke_over_mail = error.drops_session();
            if error.drops_session() {
                return Err(error.into());
            }
        }
        let all = session.list_since(BEGINNING)?;
        Ok(all.into_iter().filter(|uid| *uid > last).map(|uid| (i64::from(uid), UNKNOWN_SIZE)).collect())
    }

    /// A folder that was never read, or whose numbers the server gave out anew: then everything
    /// is looked at again, and what is here already is known by what it says.
    fn begin(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        state: &FolderState,
    ) -> Result<(), Stopped> {
        let system = Actor::system();
        let listed = self.list(session, 0)?;
        let wanted: Option<Vec<u32>> = match self.import() {
            Import::All => None,
            Import::None if self.is_brand_new() => Some(Vec::new()),
            // The server's day may not be ours. What is older than the mailbox is ignored when its
            // time is known.
            Import::None => {
                let before = self.mailbox.created_at.minus(Duration::from_secs(24 * 60 * 60));
                Some(session.list_since(day(&before.to_string())?)?)
            }
            Import::Since { date } => Some(session.list_since(day(date)?)?),
        };
        let wanted: Option<HashSet<i64>> = wanted.map(|uids| uids.into_iter().map(i64::from).collect());
        let highest = listed.iter().map(|(uid, _)| *uid).max().unwrap_or(0);
        let before_next = state.uidnext.map_or(0, |next| i64::from(next) - 1);
        let chosen: Vec<(i64, i64)> = listed
            .iter()
            .filter(|(uid, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(uid)))
            .copied()
            .collect();
        // What came after the listing has a number above both and is found by the next poll.
        let last = if listed.is_empty() { before_next } else { highest };
        self.desk.write_here(&system, |cx| {
            fetching::begin_folder(cx, folder, last)?;
            fetching::plan(cx, folder, &chosen)
        })?;
        Ok(())
    }

    /// Looked at for the first time, right after it was made: what is there now was there then. A
    /// server that could be reached only later may hold mail that came in between.
    fn is_brand_new(&self) -> bool {
        self.desk.now() < self.mailbox.created_at.plus(BRAND_NEW)
    }

    /// Whether a mail was there before the mailbox was made, and is not wanted for that. A server
    /// tells the second.
    fn is_too_old(&self, mail: &Fetched) -> bool {
        let second = Duration::from_secs(1);
        *self.import() == Import::None
            && mail.internal_date.is_some_and(|date| date.plus(second) <= self.mailbox.created_at)
    }

    fn import(&self) -> &Import {
        match &self.mailbox.source {
            Source::Imap { import, .. } => import,
            _ => &Import::All,
        }
    }

    fn note(&self, folder: &Folder, listed: Vec<(i64, i64)>) -> Result<(), Stopped> {
        for listed in listed.chunks(5_000) {
            self.desk.write_here(&Actor::system(), |cx| fetching::plan(cx, folder, listed))?;
        }
        Ok(())
    }

    /// Fetches what waits: what is new in batches; what was tried in vain before, one by one and
    /// once in this poll.
    fn fetch_all(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
    ) -> Result<Option<String>, Stopped> {
        let mut fault = None;
        while !*self.stopping.borrow() {
            let limit = (BATCH_MAILS + self.tried.len()) as i64;
            let waiting = self.desk.read_here(&Actor::system(), |cx| fetching::waiting(cx, folder, limit))?;
            let fresh: Vec<Pending> =
                waiting.into_iter().filter(|mail| !self.tried.contains(&mail.uid)).collect();
            let batch = next_batch(&fresh, self.alone_above());
            if batch.is_empty() {
                break;
            }
            match self.fetch_batch(session, folder, batch) {
                // They are in the ledger now and will not be found waiting again.
                Ok(None) => {}
                Ok(Some(missed)) => {
                    self.tried.extend(batch.iter().map(|mail| mail.uid));
                    fault = Some(missed);
                }
                Err(error) => {
                    if let [culprit] = batch {
                        self.tried.insert(culprit.uid);
                    }
                    return Err(error);
                }
            }
        }
        Ok(fault)
    }

    /// A mail above this size goes alone: it is fetched in pieces, or only its beginning is.
    fn alone_above(&self) -> i64 {
        LARGE_BYTES.min(self.desk.settings().mail_bytes as i64)
    }

    /// Fetches and takes in one batch. What did not come is looked for: gone, or missed.
    fn fetch_batch(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        batch: &[Pending],
    ) -> Result<Option<String>, Stopped> {
        let fetched = match self.fetch(session, batch) {
            Ok(fetched) => fetched,
            Err(error) => return self.fetch_failed(session, folder, batch, error),
        };
        let came: HashSet<i64> = fetched.iter().map(|mail| i64::from(mail.uid)).collect();
        let (old, fetched): (Vec<Fetched>, _) = fetched.into_iter().partition(|mail| self.is_too_old(mail));
        self.ignore(folder, batch, &old)?;
        self.take_in(folder, batch, fetched)?;
        let missing: Vec<&Pending> = batch.iter().filter(|mail| !came.contains(&mail.uid)).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let uids: Vec<u32> = missing.iter().filter_map(|mail| u32::try_from(mail.uid).ok()).collect();
        let there: HashSet<i64> = session.still_there(&uids)?.into_iter().map(i64::from).collect();
        let gone: Vec<Pending> =
            missing.iter().filter(|mail| !there.contains(&mail.uid)).map(|mail| (*mail).clone()).collect();
        let system = Actor::system();
        self.desk.write_here(&system, |cx| fetching::gone(cx, folder, &gone))?;
        if there.is_empty() {
            return Ok(None);
        }
        let missed: Vec<i64> = there.into_iter().collect();
        let why = "the server lists the mail but did not send it".to_owned();
        self.desk.write_here(&system, |cx| fetching::missed(cx, folder, &missed, &why))?;
        Ok(Some(why))
    }

    fn ignore(&self, folder: &Folder, batch: &[Pending], old: &[Fetched]) -> Result<(), Stopped> {
        let is_old = |mail: &&Pending| old.iter().any(|old| i64::from(old.uid) == mail.uid);
        let mails: Vec<Pending> = batch.iter().filter(is_old).cloned().collect();
        let why = "it was there before the mailbox was added";
        Ok(self.desk.write_here(&Actor::system(), |cx| fetching::ignored(cx, folder, &mails, why))?)
    }

    /// A refused batch is asked for mail by mail; one that broke the connection counts as tried,
    /// and its mails are asked for one by one from now on, so that the culprit stands alone.
    fn fetch_failed(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        batch: &[Pending],
        error: SourceError,
    ) -> Result<Option<String>, Stopped> {
        let why = error.to_string();
        if batch.len() > 1 && !error.drops_session() {
            let mut fault = None;
            for mail in batch {
                if let Some(missed) = self.fetch_batch(session, folder, std::slice::from_ref(mail))? {
                    fault = Some(missed);
                }
            }
            return Ok(fault);
        }
        let uids: Vec<i64> = batch.iter().map(|mail| mail.uid).collect();
        self.desk.write_here(&Actor::system(), |cx| fetching::missed(cx, folder, &uids, &why))?;
        self.broke_over_mail = error.drops_session();
        if error.drops_session() { Err(error.into()) } else { Ok(Some(why)) }
    }

    fn fetch(&self, session: &mut dyn MailSource, batch: &[Pending]) -> Result<Vec<Fetched>, SourceError> {
        let uid = |mail: &Pending| u32::try_from(mail.uid).unwrap_or(0);
        match batch {
            [one] if one.size == UNKNOWN_SIZE => {
                let most = self.desk.settings().mail_bytes as u64;
                Ok(session.fetch_large(uid(one), most)?.into_iter().collect())
            }
            [one] if self.is_oversized(one) => {
                Ok(session.fetch_head(uid(one), HEAD_BYTES)?.into_iter().collect())
            }
            [one] if one.size > LARGE_BYTES => {
                Ok(session.fetch_large(uid(one), one.size.unsigned_abs())?.into_iter().collect())
            }
            several => session.fetch(&several.iter().map(uid).collect::<Vec<_>>()),
        }
    }

    fn is_oversized(&self, mail: &Pending) -> bool {
        mail.size > self.desk.settings().mail_bytes as i64
    }

    fn take_in(&self, folder: &Folder, batch: &[Pending], fetched: Vec<Fetched>) -> Result<(), Stopped> {
        if fetched.is_empty() {
            return Ok(());
        }
        let context = ReadContext { trusted_authserv_ids: self.mailbox.trusted_authserv_ids.clone() };
        let known_to_be = batch.len() == 1 && self.is_oversized(&batch[0]);
        let mut arrivals = Vec::with_capacity(fetched.len());
        for mut mail in fetched {
            let uid = i64::from(mail.uid);
            let oversized = known_to_be || mail.raw.len() > self.desk.settings().mail_bytes;
            if oversized && !known_to_be {
                mail.raw.truncate(HEAD_BYTES as usize);
            }
            arrivals.push(Arrival {
                location: folder.location(uid),
                uid: Some(uid),
                internal_date: mail.internal_date,
                mail: self.desk.ports().reader.read(&mail.raw, &context),
                raw: self.desk.keep_here(&mail.raw)?,
                oversized,
            });
        }
        let batch = Batch {
            mailbox_id: folder.mailbox_id,
            folder: folder.name.clone(),
            uidvalidity: Some(folder.uidvalidity),
            arrivals,
        };
        self.desk.receive_here(&batch)?;
        Ok(())
    }

    /// Does on the server what the mailbox's set-up asks for, to mail that is safely here.
    fn act(&self, session: &mut dyn MailSource, folder: &Folder) -> Result<(), Stopped> {
        if !self.writable {
            return Ok(());
        }
        let system = Actor::system();
        loop {
            let due = self.desk.read_here(&system, |cx| fetching::due_actions(cx, folder))?;
            if due.is_empty() {
                return Ok(());
            }
            for (action, uids) in by_action(&due) {
                match action.split_once(':') {
                    Some(("move", target)) => session.move_to(&uids, target)?,
                    _ if action == "delete" => session.delete(&uids)?,
                    _ => session.mark_seen(&uids)?,
                }
                let done: Vec<i64> = uids.iter().copied().map(i64::from).collect();
                self.desk.write_here(&system, |cx| fetching::actions_done(cx, folder, &done))?;
            }
        }
    }
}

fn by_action(due: &[MailAction]) -> BTreeMap<&str, Vec<u32>> {
    let mut grouped: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for action in due {
        if let Ok(uid) = u32::try_from(action.uid) {
            grouped.entry(&action.action).or_default().push(uid);
        }
    }
    grouped
}

/// The day of a date or of a time in RFC 3339.
fn day(text: &str) -> Result<jiff::civil::Date, Stopped> {
    let day = text.get(..10).and_then(|day| day.parse().ok());
    day.ok_or_else(|| Stopped::Date(text.to_owned()))
}
