//! Spam: what nobody wanted, and what was taken for it.

use super::{ConversationCard, card, changeable, save, set_status};
use crate::Error;
use crate::access::Scope;
use crate::conversation::Status;
use crate::cx::Cx;
use crate::id::ConversationId;
use crate::operations::require_version;

/// Marks a conversation as spam. What comes into it later stays there quietly.
pub fn mark_spam(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
) -> Result<ConversationCard, Error> {
    set(cx, id, expected, |_| Status::Spam)
}

/// Brings a conversation back that was taken for spam: it is open, and what comes into it later
/// is treated as ever. One that is no spam stays as it is.
pub fn mark_not_spam(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
) -> Result<ConversationCard, Error> {
    set(cx, id, expected, |status| if status == Status::Spam { Status::Open } else { status })
}

fn set(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    status: impl Fn(Status) -> Status,
) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let before = changeable(cx, id)?;
    require_version("conversation", expected, before.etag())?;
    let mut after = before.clone();
    set_status(&mut after, status(before.status), cx.now);
    let written = save(cx, &before, &after, false)?;
    card(cx, written)
}
