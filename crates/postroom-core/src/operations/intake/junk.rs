//! Mail out of a junk folder: kept apart from every conversation that is none, until somebody
//! says that it is no junk.

use super::Known;
use crate::conversation::Status;
use crate::cx::Cx;
use crate::event::{Changes, EventType, NewEvent};
use crate::id::{ConversationId, MessageId};
use crate::operations::conversations::{about, set_status};
use crate::threading::{Decision, Flag, Outcome};
use crate::{Error, store};

/// What would join a conversation that is no spam is only linked to it.
pub(super) fn turn_away(cx: &mut Cx<'_>, known: &mut Known, decision: &mut Decision) -> Result<(), Error> {
    decision.flags.push(Flag::Junk);
    decision.joined.clear();
    let (Outcome::Append, Some(id)) = (decision.outcome, decision.conversation_id) else { return Ok(()) };
    if known.conversation(cx, id)?.status != Status::Spam {
        decision.outcome = Outcome::Link;
        decision.rule.push_str(", but it lay in the junk folder → link");
    }
    Ok(())
}

/// A mail that is known from a junk folder was seen outside of it: somebody moved it there, or
/// another server took it for no junk. Its conversation is no spam then.
pub(super) fn moved_out(
    cx: &mut Cx<'_>,
    known: &mut Known,
    message: MessageId,
    conversation: ConversationId,
) -> Result<(), Error> {
    let before = known.conversation(cx, conversation)?;
    if before.status != Status::Spam {
        return Ok(());
    }
    let Some(found) = store::messages::find(cx.conn, message)? else { return Ok(()) };
    if !found.flags.contains(&Flag::Junk) {
        return Ok(());
    }
    let flags: Vec<Flag> = found.flags.iter().copied().filter(|flag| *flag != Flag::Junk).collect();
    if !store::messages::set_flags(cx.conn, &found, flags)? {
        return Err(crate::operations::overtaken());
    }
    let mut after = before.clone();
    set_status(&mut after, Status::Open, cx.now);
    let written = store::conversations::update(cx.conn, &before, &after, cx.now)?
        .ok_or_else(crate::operations::overtaken)?;
    let mut changes = Changes::default();
    changes.note("status", &before.status, &written.status);
    let event = NewEvent::new(EventType::ConversationStatusChanged, about(&written))
        .with("version", written.version)
        .with("reason", "moved_from_junk")
        .changing(changes);
    cx.tell(event);
    known.put(written);
    Ok(())
}
