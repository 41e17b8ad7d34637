//! Deleting for good, out of the trash: a conversation with all that hangs on it. What is left is that it was
//! deleted, for those who keep a copy of the desk, and digests by which its mail is told when it comes again.

use super::{about, require_movable, visible};
use crate::access::Scope;
use crate::audit::{AuditKind, NewNote};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::event::{EventType, NewEvent};
use crate::id::{ConversationId, MessageId};
use crate::operations::audit;
use crate::operations::intake::digests;
use crate::operations::{overtaken, require_version};
use crate::store::purged::{Known, NewPurged};
use crate::{Error, store};
use std::collections::HashMap;

/// What the ledger says of a mail that is gone.
const WHY: &str = "its conversation was deleted for good";

/// Deletes a conversation for good that is in the trash, and those that were merged into it.
///
/// `expected` is the version that the caller saw. Fails with [`Error::StateConflict`] where it is not in the
/// trash, or an answer of it may still leave.
pub fn purge(cx: &mut Cx<'_>, id: ConversationId, expected: Option<&str>) -> Result<(), Error> {
    require_scopes(cx)?;
    let mailbox_id = visible(cx, id)?.mailbox_id;
    let mailbox = store::mailboxes::find(cx.conn, mailbox_id)?.ok_or(Error::NotFound("conversation"))?;
    // No mail comes in for it meanwhile.
    store::conn::lock_group(cx.conn, &mailbox.group)?;
    let whole = visible(cx, id)?;
    require_purgeable(cx, &whole)?;
    require_version("conversation", expected, whole.etag())?;
    let merged = store::purged::merged_into(cx.conn, id)?;
    let all: Vec<ConversationId> = merged.iter().copied().chain([id]).collect();
    if let Some(message) = store::purged::on_its_way(cx.conn, &all)? {
        return Err(Error::StateConflict(format!(
            "message {message} is still on its way: wait until it was sent or given up, or restore the \
             conversation and cancel it"
        )));
    }
    let messages = store::purged::messages_of(cx.conn, &all)?;
    let numbers: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    keep_away(cx, &messages)?;
    for put_aside in store::purged::forget_in_ledger(cx.conn, &numbers, WHY)? {
        store::mailboxes::count(cx.conn, put_aside, 0, 0, -1)?;
    }
    let shells = store::conversations::find_many(cx.conn, &merged)?;
    let mut told: Vec<NewEvent> = Vec::with_capacity(all.len());
    for shell in merged.iter().filter_map(|id| shells.get(id)) {
        told.push(event(cx, shell, &[])?);
    }
    told.push(event(cx, &whole, &numbers)?);
    if !store::purged::delete(cx.conn, &whole, &merged, &numbers)? {
        return Err(overtaken());
    }
    for event in told {
        cx.tell(event);
    }
    let note = NewNote::new(AuditKind::ConversationPurged)
        .with("conversation_id", id.0)
        .with("mailbox_id", mailbox_id.0)
        .with("customer_id", whole.customer_id.0)
        .with("messages", numbers.len());
    audit::note(cx, note);
    Ok(())
}

/// Fails where the caller may delete nothing for good.
pub(in crate::operations) fn require_scopes(cx: &Cx<'_>) -> Result<(), Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    cx.access().require(Scope::AdminWrite)
}

/// Fails where a conversation can't be deleted for good as it stands.
pub(in crate::operations) fn require_purgeable(
    cx: &Cx<'_>,
    conversation: &Conversation,
) -> Result<(), Error> {
    require_movable(cx, conversation)?;
    if conversation.deleted_at.is_none() {
        return Err(Error::StateConflict(
            "only what is in the trash is deleted for good: DELETE it without purge first".to_owned(),
        ));
    }
    Ok(())
}

/// What tells those who keep a copy. It holds what says who might see the conversation, for nothing else does now.
fn event(cx: &mut Cx<'_>, gone: &Conversation, messages: &[MessageId]) -> Result<NewEvent, Error> {
    let tags = store::tags::ids_of_conversation(cx.conn, gone.id)?;
    let tags: Vec<i64> = tags.into_iter().map(|id| id.0).collect();
    let messages: Vec<i64> = messages.iter().map(|id| id.0).collect();
    let event = NewEvent::new(EventType::ConversationPurged, about(gone))
        .with("message_ids", messages)
        .with("assignee_id", gone.assignee_id.map(|id| id.0))
        .with("category_id", gone.category_id.map(|id| id.0))
        .with("tag_ids", tags);
    Ok(event)
}

/// Notes what the mails of messages are told by when they come again.
fn keep_away(cx: &mut Cx<'_>, messages: &[Known]) -> Result<(), Error> {
    let numbers: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    // What a stranger called their mail says nothing of a mail of ours that bears the same name.
    let ours = store::purged::outgoing_of(cx.conn, &numbers)?;
    let mut ids: HashMap<MessageId, Vec<String>> = HashMap::new();
    for (message, id) in store::purged::ids_of(cx.conn, &ours)? {
        ids.entry(message).or_default().push(id);
    }
    let mut new = Vec::new();
    for message in messages {
        let names = ids.get(&message.id).into_iter().flatten().map(String::as_str);
        let digests = digests::of_message(cx.keys, message, names);
        let row = |digest| NewPurged { mailbox_id: message.mailbox_id, digest, created_at: cx.now };
        new.extend(digests.into_iter().map(row));
    }
    Ok(store::purged::insert(cx.conn, &new)?)
}
