//! Blobs that nothing names any more are deleted, a day after that was first seen at the earliest; and
//! files in the object store that no blob names.
//!
//! Why none is lost that is named, now or in a moment:
//!
//! - **Whoever makes a reference to bytes inserts their blob in the same transaction**
//!   ([`store::blobs::insert`]), whether it is there or not: intake, an answer, a notice, an upload, a
//!   retry. That takes the mark away and locks the row. The collector locks a row before it looks who
//!   names it: either it sees that transaction's reference, or that transaction waits for the deletion and
//!   inserts the blob anew, with bytes of its own. SQLite has one writer.
//! - **A reference that is copied is copied from one that lives**, in the same transaction: an upload
//!   that a message takes is the same row; the ledger row of a known mail names what its message names
//!   (and the group of mailboxes is locked meanwhile); a renumbered place names what its old place names.
//!   A blob with a living reference is unmarked. Should the living one go, the copy not be committed yet
//!   and the mark be set in just this moment, then the mark is wrong, and is taken away by the next
//!   round, or at the latest where it would come due; a copying transaction takes seconds, not a day.
//! - **A moved, merged, reparsed or retried message** keeps its row or goes by one of the two above.
//! - **The name of a file is given once.** Bytes that are put before their transaction lie under a name
//!   that nobody else knows, so that the deletion of an older file of the same bytes does not touch them.
//!   A file without a blob must be a day old by the store's clock, and be found without one again after
//!   an hour of waiting, which no clock that was set can shorten: what was put and not committed by then
//!   is not on its way. Should it be (a process that was stopped), it is refused half a day after it was
//!   put ([`crate::blobs::require_recent`]), and comes again.
//! - A deletion that fails, or that a crash cuts off behind the commit, leaves such a file.
//! - Files of other desks bear other marks and are never touched.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::object_name::{self, ObjectName};
use crate::ports::KeptObject;
use crate::store::collecting::Seen;
use crate::{Error, store};
use std::collections::HashSet;
use std::time::Duration;

/// How long a blob stays that nothing names, and a file that no blob names.
pub const KEEP_UNUSED: Duration = Duration::from_hours(24);

/// Blobs that are looked at, or deleted, in one transaction.
const PAGE: i64 = 200;

/// How far a round through all blobs has come. It goes on with the next process at another place: what is
/// often restarted must get everywhere, too.
#[derive(Debug, Clone)]
pub struct Round {
    after: String,
}

impl Round {
    /// One that begins anywhere.
    pub fn begin() -> Self {
        Self { after: object_name::fresh_mark() }
    }
}

/// What a look at blobs found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// So many were looked at.
    pub blobs: usize,
    /// So many are named by nothing since.
    pub marked: usize,
    /// So many are named again.
    pub unmarked: usize,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// So many blobs, or files that no blob names.
    pub count: usize,
    /// Their bytes: of blobs before compression, of files as they lay there.
    pub bytes: u64,
    /// Files that could not be deleted. They are found again when files without a blob are looked for.
    pub left: usize,
}

impl Desk {
    /// Looks at the next blobs of a round, at the most so many, and marks those that nothing names. Blocks.
    pub fn look_for_unused_here(&self, round: &mut Round, count: usize) -> Result<Looked, Error> {
        let begun_at = round.after.clone();
        let (mut looked, mut is_round) = (Looked::default(), false);
        while looked.blobs < count {
            let most = PAGE.min((count - looked.blobs) as i64);
            let after = round.after.clone();
            let mut page =
                self.read_here(&Actor::system(), |cx| Ok(store::collecting::page(cx.conn, &after, most)?))?;
            let is_end = (page.len() as i64) < most;
            if is_round {
                // What is behind this was looked at before the end.
                page.retain(|seen| seen.hash <= begun_at);
            }
            let is_through = is_round && (page.len() as i64) < most;
            let now = self.now();
            let to_mark = |seen: &&Seen| !seen.is_named && seen.unused_since.is_none_or(|since| since > now);
            let to_unmark = |seen: &&Seen| seen.is_named && seen.unused_since.is_some();
            let unused: Vec<&str> = page.iter().filter(to_mark).map(|seen| seen.hash.as_str()).collect();
            let used_again: Vec<&str> =
                page.iter().filter(to_unmark).map(|seen| seen.hash.as_str()).collect();
            if !unused.is_empty() || !used_again.is_empty() {
                let (marked, unmarked) = self.write_here(&Actor::system(), |cx| {
                    let marked = store::collecting::mark(cx.conn, &unused, cx.now)?;
                    Ok((marked, store::collecting::unmark_named(cx.conn, &used_again)?))
                })?;
                looked.marked += marked;
                looked.unmarked += unmarked;
            }
            looked.blobs += page.len();
            if let Some(last) = page.last() {
                round.after.clone_from(&last.hash);
            }
            if is_through {
                break;
            }
            if is_end {
                round.after.clear();
                is_round = true;
            }
        }
        Ok(looked)
    }

    /// Deletes the blobs that nothing has named for a day, and then their files, until one can't be deleted.
    /// Blocks.
    pub fn collect_here(&self) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        loop {
            let due = self.read_here(&Actor::system(), |cx| {
                Ok(store::collecting::due(cx.conn, cx.now.minus(KEEP_UNUSED), PAGE)?)
            })?;
            if due.is_empty() {
                return Ok(collected);
            }
            let due: Vec<&str> = due.iter().map(String::as_str).collect();
            let gone = self.write_here(&Actor::system(), |cx| {
                Ok(store::collecting::delete_due(cx.conn, &due, cx.now.minus(KEEP_UNUSED))?)
            })?;
            collected.count += gone.len();
            collected.bytes += gone.iter().map(|blob| u64::try_from(blob.size).unwrap_or(0)).sum::<u64>();
            for name in gone.iter().filter_map(store::collecting::Gone::object_name) {
                // A store that is out of reach keeps whoever asks waiting: it is not asked for each.
                if collected.left > 0 || !self.is_deleted(&name, None) {
                    collected.left += 1;
                }
            }
            if collected.left > 0 {
                return Ok(collected);
            }
        }
    }

    /// Files of this desk in the object store that no blob names and that are a day old, and drafts that
    /// nobody finished. [`Desk::sweep_objects_here`] may delete them an hour later. Blocks.
    pub fn suspect_objects_here(&self) -> Result<Vec<KeptObject>, Error> {
        let mark = self.objects_mark_here()?;
        let mut suspects = Vec::new();
        for group in object_name::groups() {
            let mut found = self.ports().keeper.list(&group).map_err(Error::Blob)?;
            let until = self.now().minus(KEEP_UNUSED);
            found.retain(|file| file.name.mark() == mark && file.written_at <= until);
            suspects.extend(self.without_blob(found)?);
        }
        Ok(suspects)
    }

    /// Deletes those of the files that still no blob names, until one can't be deleted. Blocks.
    pub fn sweep_objects_here(&self, suspects: Vec<KeptObject>) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        for file in self.without_blob(suspects)? {
            if collected.left > 0 || !self.is_deleted(&file.name, file.draft) {
                collected.left += 1;
            } else {
                collected.count += 1;
                collected.bytes += file.bytes;
            }
        }
        Ok(collected)
    }

    fn without_blob(&self, files: Vec<KeptObject>) -> Result<Vec<KeptObject>, Error> {
        let mut named = HashSet::new();
        for files in files.chunks(1_000) {
            let hashes: Vec<&str> = files.iter().map(|file| file.name.hash()).collect();
            named.extend(
                self.read_here(&Actor::system(), |cx| Ok(store::collecting::objects_of(cx.conn, &hashes)?))?,
            );
        }
        let is_nobodys = |file: &KeptObject| file.draft.is_some() || !named.contains(file.name.as_str());
        Ok(files.into_iter().filter(is_nobodys).collect())
    }

    /// Deletes a file. What can't be deleted is told and stays.
    fn is_deleted(&self, name: &ObjectName, draft: Option<u64>) -> bool {
        let deleted = self.ports().keeper.delete(name, draft);
        if let Err(error) = &deleted {
            tracing::warn!(error = ?error, "a large file that nobody needs could not be deleted");
        }
        deleted.is_ok()
    }
}
