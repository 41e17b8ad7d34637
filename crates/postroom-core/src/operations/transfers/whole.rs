//! Conversations made one, and one made two: merged as a whole, or split by messages that somebody chose.

use super::{ANOTHER_GROUP, begin, group_of, shift, target, writers};
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::{ConversationId, MessageId};
use crate::message::MessageKind;
use crate::operations::conversations::changeable;
use crate::operations::require_version;
use crate::transfer::{Transfer, TransferReason};
use crate::{Error, store};

/// Messages that go into a conversation of their own at once, at the most.
pub const MOST_SPLIT: usize = 100;

/// Merges a conversation into another of the same group of mailboxes: all of its messages go there, and
/// those who wrote them are part of that one from now on. Nothing of it is sent to them by it.
///
/// `expected` is the version of the conversation that goes, as the caller saw it.
pub fn merge(
    cx: &mut Cx<'_>,
    id: ConversationId,
    into: ConversationId,
    expected: Option<&str>,
) -> Result<Transfer, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let from = changeable(cx, id)?;
    require_version("conversation", expected, from.etag())?;
    if into == id {
        return Err(Error::invalid("/into", "same", "must be another conversation"));
    }
    let to = target(cx, into, "/into")?;
    let group = group_of(cx, &from)?;
    store::conn::lock_group(cx.conn, &group)?;
    if group_of(cx, &to)? != group {
        return Err(Error::invalid("/into", "another_group", ANOTHER_GROUP));
    }
    let all = store::transfers::messages_of(cx.conn, from.id)?;
    let people = writers(cx, &from, &all)?;
    let shifted = shift(cx, TransferReason::Merged, &from, &to, &all, &people)?;
    store::transfers::find(cx.conn, shifted.id)?.ok_or(Error::NotFound("transfer"))
}

/// Splits messages off into a conversation of their own: that of who wrote the first of them. Whoever else
/// wrote among them is part of it, too. Nothing is sent.
///
/// `expected` is the version of the conversation that they leave, as the caller saw it.
pub fn split(
    cx: &mut Cx<'_>,
    id: ConversationId,
    messages: &[MessageId],
    expected: Option<&str>,
) -> Result<Transfer, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let from = changeable(cx, id)?;
    require_version("conversation", expected, from.etag())?;
    let group = group_of(cx, &from)?;
    store::conn::lock_group(cx.conn, &group)?;
    if messages.is_empty() {
        return Err(Error::invalid("/message_ids", "required", "must name a message"));
    }
    if messages.len() > MOST_SPLIT {
        let detail = format!("has at most {MOST_SPLIT} members");
        return Err(Error::invalid("/message_ids", "too_many", detail));
    }
    let mut faults = Faults::default();
    let rows = store::transfers::messages_at(cx.conn, id, messages)?;
    for (index, message) in messages.iter().enumerate() {
        let pointer = format!("/message_ids/{index}");
        if !rows.iter().any(|row| row.id == *message) {
            faults.add(&pointer, "not_found", "there is no such message in this conversation");
        }
        if messages[..index].contains(message) {
            faults.add(&pointer, "twice", "is named twice");
        }
    }
    faults.check()?;
    if !store::unsent::of_messages(cx.conn, messages)?.is_empty() {
        return Err(Error::StateConflict(
            "one of the messages has not left; what was not said can't be moved".to_owned(),
        ));
    }
    if store::transfers::lines(cx.conn, id)?.iter().all(|line| messages.contains(&line.id)) {
        return Err(Error::StateConflict(
            "these are all messages of this conversation: nothing would be left of it".to_owned(),
        ));
    }
    let by_somebody = rows.iter().find(|row| row.kind == MessageKind::Inbound);
    let first = by_somebody.or(rows.first()).ok_or(Error::NotFound("message"))?;
    let to = begin(cx, &from, first)?;
    let people = writers(cx, &from, messages)?;
    let shifted = shift(cx, TransferReason::Split, &from, &to, messages, &people)?;
    store::transfers::find(cx.conn, shifted.id)?.ok_or(Error::NotFound("transfer"))
}
