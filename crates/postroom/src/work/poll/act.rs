//! What is done on the server, to mail that is safely here.
//!
//! A server without MOVE copies and deletes. What was copied is written down in between as to be
//! deleted: if that fails, or the daemon dies, no poll copies it again.

use super::{FolderPoll, Stopped};
use postroom_core::actor::Actor;
use postroom_core::operations::fetching::{self, Folder};
use postroom_core::store::pending::MailAction;
use postroom_ingest::source::{FolderState, MailSource, Moved};
use std::collections::BTreeMap;

/// Mails that are moved at once, and written down as moved.
const MOVED_AT_ONCE: usize = 100;

impl FolderPoll<'_> {
    /// Does on the server what the mailbox's set-up asks for, to mail that is safely here.
    /// Not in a folder that is empty: its mails may be back with the next poll, and what was to be
    /// done to them would be taken for done.
    pub(super) fn act(
        &self,
        session: &mut dyn MailSource,
        folder: &Folder,
        state: &FolderState,
    ) -> Result<(), Stopped> {
        if !self.writable || state.exists == 0 {
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
                    Some(("move", target)) => self.move_to(session, folder, &uids, target)?,
                    _ if action == "delete" => session.delete(&uids)?,
                    _ => session.mark_seen(&uids)?,
                }
                self.desk.write_here(&system, |cx| fetching::actions_done(cx, folder, &numbers(&uids)))?;
            }
        }
    }

    fn move_to(
        &self,
        session: &mut dyn MailSource,
        folder: &Folder,
        uids: &[u32],
        target: &str,
    ) -> Result<(), Stopped> {
        for uids in uids.chunks(MOVED_AT_ONCE) {
            if session.move_to(uids, target)? == Moved::Copied {
                let system = Actor::system();
                self.desk.write_here(&system, |cx| fetching::copied(cx, folder, &numbers(uids)))?;
                session.delete(uids)?;
            }
        }
        Ok(())
    }
}

fn numbers(uids: &[u32]) -> Vec<i64> {
    uids.iter().copied().map(i64::from).collect()
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
