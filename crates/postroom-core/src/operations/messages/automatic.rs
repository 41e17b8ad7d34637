//! Messages that the desk itself writes to a customer. They change nothing of whose turn it is.

use super::write::left;
use super::{NewMessage, reply, unsent};
use crate::Error;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::MessageId;
use crate::mailbox::Mailbox;
use crate::message::MessageKind;
use crate::unsent::{When, Writing};

/// Writes an automatic answer, whose recipient and subject are given. `held` says why it does not leave by
/// itself.
pub(in crate::operations) fn add(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    writing: Writing,
    held: Option<String>,
) -> Result<MessageId, Error> {
    let kind = MessageKind::AutoReply;
    let (files, carried) = (Vec::new(), Vec::new());
    let new = NewMessage {
        kind,
        writing,
        files,
        carried,
        mentions: Vec::new(),
        when: When::Now,
        expected_last: None,
        imported: None,
    };
    if let Some(why) = held {
        return unsent::hold(cx, conversation, mailbox, &new, why);
    }
    let id = reply::write(cx, conversation, mailbox, &new)?;
    left(cx, conversation, id, kind, None)?;
    Ok(id)
}
