//! What is there and not known yet: listed, and noted as waiting.

use super::{FolderPoll, Stopped};
use crate::work::batch::UNKNOWN_SIZE;
use postroom_core::actor::Actor;
use postroom_core::mailbox::{Import, Source};
use postroom_core::operations::fetching::{self, Folder};
use postroom_ingest::source::{Fetched, FolderState, MailSource};
use std::collections::HashSet;
use std::time::Duration;

/// No mail is older: with it a search by day finds all.
const BEGINNING: jiff::civil::Date = jiff::civil::date(1970, 1, 1);
/// A mailbox that is not older than this was made just now.
const BRAND_NEW: Duration = Duration::from_secs(60);

impl FolderPoll<'_> {
    /// Notes what is there and not known yet.
    pub(super) fn plan(
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
            if error.is_token_expired() {
                return Err(error.into());
            }
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
    pub(super) fn is_too_old(&self, mail: &Fetched) -> bool {
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
}

/// The day of a date or of a time in RFC 3339.
fn day(text: &str) -> Result<jiff::civil::Date, Stopped> {
    let day = text.get(..10).and_then(|day| day.parse().ok());
    day.ok_or_else(|| Stopped::Date(text.to_owned()))
}
