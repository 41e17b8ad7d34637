//! What is done on the server, to mail that is safely here.

use super::{FolderPoll, Stopped};
use postroom_core::actor::Actor;
use postroom_core::operations::fetching::{self, Folder};
use postroom_core::store::pending::MailAction;
use postroom_ingest::source::MailSource;
use std::collections::BTreeMap;

impl FolderPoll<'_> {
    /// Does on the server what the mailbox's set-up asks for, to mail that is safely here.
    pub(super) fn act(&self, session: &mut dyn MailSource, folder: &Folder) -> Result<(), Stopped> {
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
