//! The trash: what nobody wants to see any more, and can have back. Mail that answers to it begins a
//! conversation of its own (threading R6), and what waits to leave out of it is a draft again when its time
//! comes.

use super::{ConversationCard, about, card, require_movable, visible};
use crate::access::Scope;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::event::{EventType, NewEvent};
use crate::id::ConversationId;
use crate::operations::{overtaken, require_version};
use crate::time::Timestamp;
use crate::{Error, store};

/// Puts a conversation into the trash: it is in no list, and nothing in it can be changed. One that is
/// there stays as it is.
///
/// `expected` is the version that the caller saw.
pub fn trash(cx: &mut Cx<'_>, id: ConversationId, expected: Option<&str>) -> Result<(), Error> {
    let before = movable(cx, id, expected)?;
    if before.deleted_at.is_none() {
        let now = cx.now;
        set(cx, &before, Some(now), EventType::ConversationDeleted)?;
    }
    Ok(())
}

/// Takes a conversation out of the trash, as it was when it went there. One that is not there stays as it
/// is.
///
/// `expected` is the version that the caller saw.
pub fn restore(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
) -> Result<ConversationCard, Error> {
    let before = movable(cx, id, expected)?;
    let after = match before.deleted_at {
        Some(_) => set(cx, &before, None, EventType::ConversationRestored)?,
        None => before,
    };
    card(cx, after)
}

/// A conversation that the caller may change, be it in the trash or not.
fn movable(cx: &mut Cx<'_>, id: ConversationId, expected: Option<&str>) -> Result<Conversation, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let conversation = visible(cx, id)?;
    require_movable(cx, &conversation)?;
    require_version("conversation", expected, conversation.etag())?;
    Ok(conversation)
}

fn set(
    cx: &mut Cx<'_>,
    before: &Conversation,
    deleted_at: Option<Timestamp>,
    told: EventType,
) -> Result<Conversation, Error> {
    let after = Conversation { deleted_at, ..before.clone() };
    let written = store::conversations::update(cx.conn, before, &after, cx.now)?.ok_or_else(overtaken)?;
    cx.tell(NewEvent::new(told, about(&written)).with("version", written.version));
    Ok(written)
}
