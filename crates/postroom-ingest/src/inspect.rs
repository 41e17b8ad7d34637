//! Looks at where a mailbox's mail comes from, for whoever holds it against the ledger. Folders are
//! opened for reading only; nothing is fetched or marked.

use crate::error::SourceError;
use crate::imap::{self, ImapSession};
use crate::maildir::Maildir;
use crate::source::MailSource;
use crate::transport::Timeouts;
use postroom_core::mailbox::{Credential, Source};
use postroom_core::ports::{Inspect, InspectSource, PortError, SeenFile, SeenFolder, Told};
use postroom_core::time::Timestamp;

/// Looks at IMAP servers and Maildirs.
#[derive(Debug, Clone, Copy)]
pub struct Inspector;

impl InspectSource for Inspector {
    fn open(&self, source: &Source, credential: &Credential) -> Result<Box<dyn Inspect>, PortError> {
        let session = imap::connect(source, credential, &Timeouts::default()).map_err(said)?;
        Ok(Box::new(Session(session)))
    }

    fn files(&self, path: &str) -> Result<Vec<SeenFile>, PortError> {
        let entries = Maildir::open(path).and_then(|maildir| maildir.list()).map_err(said)?;
        let seen = entries.into_iter().map(|entry| SeenFile {
            key: entry.key,
            size: i64::try_from(entry.size).unwrap_or(i64::MAX),
            changed: entry.changed,
        });
        Ok(seen.collect())
    }
}

struct Session(ImapSession);

impl Inspect for Session {
    fn folder(&mut self, name: &str) -> Result<SeenFolder, PortError> {
        let state = self.0.select(name, false).map_err(said)?;
        let listed = self.0.list_after(0).map_err(said)?;
        let mails = listed.iter().map(|mail| {
            // As many as 2^63 bytes are said by servers alone that have lost their mind.
            (i64::from(mail.uid), i64::try_from(mail.size).unwrap_or(i64::MAX))
        });
        Ok(SeenFolder {
            uidvalidity: i64::from(state.uidvalidity),
            next: state.uidnext.map(i64::from),
            mails: mails.collect(),
        })
    }

    fn since(&mut self, day: &str) -> Result<Vec<i64>, PortError> {
        let day = day.get(..10).and_then(|day| day.parse().ok());
        let day = day.ok_or_else(|| PortError::new("the mailbox's import date is no date"))?;
        Ok(self.0.list_since(day).map_err(said)?.into_iter().map(i64::from).collect())
    }

    fn received(&mut self, uids: &[i64]) -> Result<Vec<(i64, Timestamp)>, PortError> {
        let uids: Vec<u32> = uids.iter().filter_map(|uid| u32::try_from(*uid).ok()).collect();
        let marks = self.0.marks(&uids, false).map_err(said)?;
        Ok(marks.iter().filter_map(|mark| Some((i64::from(mark.uid), mark.internal_date?))).collect())
    }

    /// A server that will not say leaves them without; one that is lost is another matter.
    fn told(&mut self, uids: &[i64]) -> Result<Vec<Told>, PortError> {
        let uids: Vec<u32> = uids.iter().filter_map(|uid| u32::try_from(*uid).ok()).collect();
        match self.0.told(&uids) {
            Err(error) if !error.drops_session() => Ok(Vec::new()),
            told => told.map_err(said),
        }
    }
}

/// The sentence says it all.
fn said(error: SourceError) -> PortError {
    PortError::new(error.to_string())
}
