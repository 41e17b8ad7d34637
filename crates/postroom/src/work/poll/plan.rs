//! What is there and not known yet: listed, and noted as waiting.

use super::{FolderPoll, Stopped};
use postroom_core::actor::Actor;
use postroom_core::mailbox::{FolderCursor, FolderRole, Import, Source};
use postroom_core::operations::fetching::{self, Described, Folder, Renumbered};
use postroom_core::store::ledger::Seen;
use postroom_core::store::pending::UNKNOWN_SIZE;
use postroom_core::time::Timestamp;
use postroom_ingest::error::SourceError;
use postroom_ingest::source::{Fetched, FolderState, Listed, MailSource, Mark};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// A mailbox that is not older than this was made just now.
const BRAND_NEW: Duration = Duration::from_secs(60);
/// So many of the last known mails are held against what is there.
const SAMPLE: usize = 10;

impl FolderPoll<'_> {
    /// Notes what is there and not known yet. Returns the folder in its present generation.
    pub(super) fn plan(
        &mut self,
        session: &mut dyn MailSource,
        name: &str,
        state: &FolderState,
    ) -> Result<Folder, Stopped> {
        let (id, uidvalidity) = (self.mailbox.id, i64::from(state.uidvalidity));
        let Some(cursor) = self.desk.read_here(&Actor::system(), |cx| fetching::cursor(cx, id, name))? else {
            let (lease, name) = (self.lease.clone(), name.to_owned());
            let folder = Folder { mailbox_id: id, lease, name, uidvalidity, generation: 0 };
            // What agents sent before anybody asked for it is not wanted.
            let is_sent = self.role == FolderRole::Sent;
            self.wanted_since = is_sent.then_some(self.mailbox.updated_at);
            self.history_before = Some(self.mailbox.created_at);
            self.begin(session, &folder, state)?;
            return Ok(folder);
        };
        self.wanted_since = cursor.wanted_since;
        self.history_before = cursor.history_before;
        let folder = Folder::of(id, self.lease.clone(), &cursor);
        let why = if cursor.uidvalidity == uidvalidity {
            self.is_restored(session, &folder, &cursor, state)?.then_some(Renumbered::Restored)
        } else {
            Some(Renumbered::Uidvalidity)
        };
        if let Some(why) = why {
            let folder = Folder { uidvalidity, generation: cursor.generation + 1, ..folder };
            self.renumber(session, &folder, &cursor, state, why)?;
            return Ok(folder);
        }
        let last = u32::try_from(cursor.last_uid).unwrap_or(u32::MAX);
        // Some servers reckon their next number by counting: it may say that there is nothing new where
        // there is.
        let is_read = state.uidnext == Some(last.saturating_add(1))
            && !self.without_sizes
            && self.search_after(session, last)?.is_empty();
        if !is_read {
            let listed = self.list(session, last)?;
            self.note(&folder, listed)?;
        }
        Ok(folder)
    }

    /// Whether the server was restored from a backup: its next number is one that it gave out
    /// before, or there are other mails under numbers that we know. It says nothing of it, and who
    /// went by numbers alone would miss what came since (Delta Chat, FreeScout and others do).
    fn is_restored(
        &self,
        session: &mut dyn MailSource,
        folder: &Folder,
        cursor: &FolderCursor,
        state: &FolderState,
    ) -> Result<bool, Stopped> {
        let last = u32::try_from(cursor.last_uid).unwrap_or(u32::MAX);
        if last > 0 && state.uidnext.is_some_and(|next| next <= last) {
            // Where the last mail is still there, the server only reckons its next number badly.
            if session.still_there(&[last])?.is_empty() {
                return Ok(true);
            }
        }
        let last_uid = cursor.last_uid;
        let known = self.desk.read_here(&Actor::system(), |cx| fetching::sample(cx, folder, last_uid))?;
        let uids: Vec<u32> =
            known.iter().filter_map(|mail| u32::try_from(mail.uid?).ok()).rev().take(SAMPLE).collect();
        if uids.is_empty() || self.without_sizes {
            return Ok(false);
        }
        let by_uid = |uid: u32| known.iter().find(|mail| mail.uid == Some(i64::from(uid)));
        let is_resized = |mark: &Mark, mail: &Seen| i64::try_from(mark.size) != Ok(mail.size);
        let is_redated = |mark: &Mark, mail: &Seen| {
            let dates = mail.internal_date.zip(mark.internal_date);
            dates.is_some_and(|(before, now)| before != now)
        };
        let mut odd = session.marks(&uids, false)?;
        odd.retain(|mark| {
            by_uid(mark.uid).is_some_and(|mail| is_resized(mark, mail) || is_redated(mark, mail))
        });
        if odd.is_empty() {
            return Ok(false);
        }
        // Some servers reckon sizes otherwise than by bytes, and some shift times: the mail's own name
        // tells. Where there is none: not both.
        let uids: Vec<u32> = odd.iter().map(|mark| mark.uid).collect();
        Ok(session.marks(&uids, true)?.iter().any(|mark| {
            by_uid(mark.uid).is_some_and(|mail| match (&mark.message_id, &mail.message_name) {
                (Some(now), Some(before)) => now != before,
                _ => is_resized(mark, mail) && is_redated(mark, mail),
            })
        }))
    }

    /// Number and size of every mail above a number. A server that fails over the size of one
    /// (Dovecot hangs up where it can't read a file) is asked for the numbers alone.
    fn list(&mut self, session: &mut dyn MailSource, last: u32) -> Result<Vec<(i64, i64)>, Stopped> {
        if !self.without_sizes {
            let error = match session.list_after(last) {
                Ok(listed) => return self.with_unlisted(session, last, &listed),
                Err(error) => error,
            };
            self.give_up_sizes(error)?;
        }
        let all = session.numbers_after(last)?;
        Ok(all.into_iter().map(|uid| (i64::from(uid), UNKNOWN_SIZE)).collect())
    }

    /// What was listed, and what a search finds besides: a listing may leave mails out that are there,
    /// and whoever goes by it alone never comes back to them.
    fn with_unlisted(
        &self,
        session: &mut dyn MailSource,
        last: u32,
        listed: &[Listed],
    ) -> Result<Vec<(i64, i64)>, Stopped> {
        let found = self.search_after(session, last)?;
        let mut all: BTreeMap<i64, i64> =
            found.into_iter().map(|uid| (i64::from(uid), UNKNOWN_SIZE)).collect();
        all.extend(listed.iter().map(|mail| {
            // No mail has no bytes: a server that says so does not know.
            let size =
                if mail.size == 0 { UNKNOWN_SIZE } else { i64::try_from(mail.size).unwrap_or(i64::MAX) };
            (i64::from(mail.uid), size)
        }));
        Ok(all.into_iter().collect())
    }

    /// The numbers above one. A server that does not search is gone by for what it lists.
    fn search_after(&self, session: &mut dyn MailSource, last: u32) -> Result<Vec<u32>, Stopped> {
        match session.numbers_after(last) {
            Err(error) if !error.drops_session() && !error.is_not_now() => {
                let mailbox = self.mailbox.id;
                tracing::warn!(%mailbox, %error, "what a listing leaves out can't be searched for");
                Ok(Vec::new())
            }
            found => Ok(found?),
        }
    }

    /// A folder that was never read.
    fn begin(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        state: &FolderState,
    ) -> Result<(), Stopped> {
        let (listed, last) = self.list_wanted(session, state, true)?;
        let (wanted_since, history_before) = (self.wanted_since, self.mailbox.created_at);
        self.desk.write_here(&Actor::system(), |cx| {
            fetching::begin_folder(cx, folder, last, wanted_since, history_before)?;
            fetching::plan(cx, folder, &listed, true)
        })?;
        Ok(())
    }

    /// A folder whose numbers the server gave out anew: everything is looked at again, and what is
    /// known by its header is not fetched again.
    fn renumber(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        old: &FolderCursor,
        state: &FolderState,
        why: Renumbered,
    ) -> Result<(), Stopped> {
        let (listed, last) = self.list_wanted(session, state, false)?;
        let marks = if self.without_sizes { Vec::new() } else { self.marks(session, &listed)? };
        let mut described: Vec<Described> = Vec::with_capacity(listed.len());
        for (uid, size) in listed {
            let mark = marks.binary_search_by_key(&uid, |mark| i64::from(mark.uid)).ok().map(|at| &marks[at]);
            described.push(Described {
                uid,
                size,
                internal_date: mark.and_then(|mark| mark.internal_date),
                message_id: mark.and_then(|mark| mark.message_id.clone()),
            });
        }
        self.desk
            .write_here(&Actor::system(), |cx| fetching::renumber(cx, folder, old, last, &described, why))?;
        // These were numbers of other mails.
        self.tried.clear();
        self.doubtful.clear();
        self.suspects.clear();
        let name = folder.name.as_str();
        let cursor =
            self.desk.read_here(&Actor::system(), |cx| fetching::cursor(cx, folder.mailbox_id, name))?;
        self.history_before = cursor.and_then(|cursor| cursor.history_before);
        Ok(())
    }

    /// The headers of what is there. A server that fails over one of them is not asked again: then
    /// all of it is fetched.
    fn marks(&mut self, session: &mut dyn MailSource, listed: &[(i64, i64)]) -> Result<Vec<Mark>, Stopped> {
        let uids: Vec<u32> = listed.iter().filter_map(|(uid, _)| u32::try_from(*uid).ok()).collect();
        match session.marks(&uids, true) {
            Ok(marks) => Ok(marks),
            Err(error) => self.give_up_sizes(error).map(|()| Vec::new()),
        }
    }

    /// The server failed over a list. One that says no is not asked for sizes again; a connection that
    /// broke may be the line's fault the first time, and is tried once more.
    fn give_up_sizes(&mut self, error: SourceError) -> Result<(), Stopped> {
        if error.is_token_expired() || error.is_not_now() {
            return Err(error.into());
        }
        let is_broken = error.drops_session();
        self.without_sizes = !is_broken || self.broken_lists > 0;
        self.broken_lists += usize::from(is_broken);
        self.broke_over_mail = is_broken;
        if is_broken { Err(error.into()) } else { Ok(()) }
    }

    /// What is there and wanted, and behind which number the cursor stands then. What came after
    /// the listing has a higher number and is found by the next poll.
    fn list_wanted(
        &mut self,
        session: &mut dyn MailSource,
        state: &FolderState,
        is_first: bool,
    ) -> Result<(Vec<(i64, i64)>, i64), Stopped> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut listed = self.list(session, 0)?;
        if listed.is_empty() && state.exists > 0 {
            // The cursor would go behind mail that nobody has seen.
            return Err(Stopped::Unlisted(state.exists));
        }
        let highest = listed.iter().map(|(uid, _)| *uid).max();
        let last = highest.unwrap_or_else(|| state.uidnext.map_or(0, |next| i64::from(next) - 1));
        let import = self.import();
        let wanted: Option<Vec<u32>> = match (self.not_before(), import) {
            (Some(_), Import::None) if is_first && self.is_brand_new() => Some(Vec::new()),
            // The server's day may not be ours. What is older is ignored when its time is known.
            (Some(since), _) => Some(session.list_since(day(&since.minus(DAY).to_string())?)?),
            (None, Import::Since { date }) => Some(session.list_since(day(date)?)?),
            (None, _) => None,
        };
        if let Some(wanted) = wanted {
            let wanted: HashSet<i64> = wanted.into_iter().map(i64::from).collect();
            listed.retain(|(uid, _)| wanted.contains(uid));
        }
        Ok((listed, last))
    }

    /// Mail that the server got before is not wanted.
    fn not_before(&self) -> Option<Timestamp> {
        let is_none = *self.import() == Import::None;
        self.wanted_since.or_else(|| is_none.then_some(self.mailbox.created_at))
    }

    /// Looked at for the first time, right after it was made: what is there now was there then. A
    /// server that could be reached only later may hold mail that came in between.
    fn is_brand_new(&self) -> bool {
        self.desk.now() < self.mailbox.created_at.plus(BRAND_NEW)
    }

    /// Whether a mail was there before the mailbox or its folder was asked for, and is not wanted
    /// for that.
    pub(super) fn is_too_old(&self, mail: &Fetched) -> bool {
        is_before(mail.internal_date, self.not_before())
    }

    /// Whether a mail was there long before it was found.
    pub(super) fn is_history(&self, internal_date: Option<Timestamp>) -> bool {
        is_before(internal_date, self.history_before)
    }

    fn import(&self) -> &Import {
        match &self.mailbox.source {
            Source::Imap { import, .. } => import,
            _ => &Import::All,
        }
    }

    fn note(&self, folder: &Folder, listed: Vec<(i64, i64)>) -> Result<(), Stopped> {
        for listed in listed.chunks(5_000) {
            self.desk.write_here(&Actor::system(), |cx| fetching::plan(cx, folder, listed, false))?;
        }
        Ok(())
    }
}

/// A server tells the second.
fn is_before(date: Option<Timestamp>, bound: Option<Timestamp>) -> bool {
    const SECOND: Duration = Duration::from_secs(1);
    matches!((date, bound), (Some(date), Some(bound)) if date.plus(SECOND) <= bound)
}

/// The day of a date or of a time in RFC 3339.
fn day(text: &str) -> Result<jiff::civil::Date, Stopped> {
    let day = text.get(..10).and_then(|day| day.parse().ok());
    day.ok_or_else(|| Stopped::Date(text.to_owned()))
}
