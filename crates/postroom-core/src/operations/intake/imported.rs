//! Mail that an import read before the poll did, while it was news: it lies there as history, closed
//! and untold. When it then comes in by its own way, it is what it would have been without the import.

use super::effects::{self, Effect};
use super::known::Known;
use super::ledger::Ledger;
use super::{Circumstances, Read};
use crate::conversation::{Conversation, Status, WaitingOn};
use crate::cx::Cx;
use crate::id::{ConversationId, MessageId};
use crate::mailbox::FolderRole;
use crate::operations::conversations::{set_status, tell_status};
use crate::operations::ledger::IMPORTED;
use crate::time::Timestamp;
use crate::{Error, store};

/// A mail came in that is known. Where only an import has seen it so far, and it came after the mailbox
/// was made, its conversation opens and it is told.
pub(super) fn came_in(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    ledger: &Ledger,
    read: &Read<'_>,
    message: MessageId,
    conversation: ConversationId,
) -> Result<(), Error> {
    let received = read.arrival.internal_date.unwrap_or(cx.now).min(cx.now);
    let is_old = here.history.is_some() || read.arrival.is_history || received < here.mailbox.created_at;
    if is_old || ledger.names(message) || !store::ledger::is_only_in(cx.conn, message, IMPORTED)? {
        return Ok(());
    }
    let mut conversation = known.conversation(cx, conversation)?;
    if is_work(read, &conversation, message) {
        conversation = open(cx, &conversation, received)?;
        known.put(conversation.clone());
    }
    effects::tell(cx, read, &conversation, message, false);
    Ok(())
}

/// Whether it would have opened its conversation. What came after it has done so, or was an answer.
fn is_work(read: &Read<'_>, conversation: &Conversation, message: MessageId) -> bool {
    let is_at_rest = conversation.deleted_at.is_none()
        && matches!(conversation.status, Status::Closed | Status::Pending | Status::Snoozed);
    if !is_at_rest || conversation.last_message_id != Some(message) {
        return false;
    }
    if conversation.message_count == 1 {
        return effects::beginning(FolderRole::Inbox, read.class, read.mail).0 == Status::Open;
    }
    effects::effect(FolderRole::Inbox, read.class, read.mail, false) == Effect::Ours
}

fn open(cx: &mut Cx<'_>, before: &Conversation, received: Timestamp) -> Result<Conversation, Error> {
    let mut after = before.clone();
    set_status(&mut after, Status::Open, cx.now);
    after.waiting_on = Some(WaitingOn::Us);
    after.waiting_since = Some(received);
    let written = store::conversations::update(cx.conn, before, &after, cx.now)?
        .ok_or_else(crate::operations::overtaken)?;
    tell_status(cx, before, &written, "imported_before_it_came_in");
    Ok(written)
}
