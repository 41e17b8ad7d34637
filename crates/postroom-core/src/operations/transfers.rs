//! Mending where messages are: one is moved, a suggested link is accepted, and either is taken back
//! in one step.

use super::conversations::{self, changeable, require_reply, tell_created, visible};
use super::{messages, require_version};
use crate::access::{Level, Scope};
use crate::conversation::{Conversation, LinkReason, Priority, Status};
use crate::cx::Cx;
use crate::id::{ConversationId, MessageId, TransferId};
use crate::message::{Message, MessageKind};
use crate::store::conversations::NewConversation;
use crate::text::{SUBJECT_CHARS, address_fault, fold_address};
use crate::threading::{Flag, ParticipantClass};
use crate::transfer::{Transfer, TransferReason};
use crate::{Error, store};

mod shift;
mod whole;
pub(super) use shift::shift;
use shift::{bring_back, group_of};
pub use whole::{MOST_SPLIT, merge, split};

/// Where a message is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Into this conversation.
    Conversation(ConversationId),
    /// Into one of its own.
    New,
}

/// One transfer.
pub fn find(cx: &mut Cx<'_>, id: TransferId) -> Result<Transfer, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    Ok(find_visible(cx, id)?.0)
}

/// A transfer and its two conversations, all of which the caller may see.
fn find_visible(cx: &mut Cx<'_>, id: TransferId) -> Result<(Transfer, Conversation, Conversation), Error> {
    let missing = |error| match error {
        Error::NotFound(_) => Error::NotFound("transfer"),
        other => other,
    };
    let transfer = store::transfers::find(cx.conn, id)?.ok_or(Error::NotFound("transfer"))?;
    let from = visible(cx, transfer.from_id).map_err(missing)?;
    let to = visible(cx, transfer.to_id).map_err(missing)?;
    Ok((transfer, from, to))
}

/// Moves a message into another conversation of the same group of mailboxes, or into one of its
/// own. Later answers to it follow it there. Nobody becomes part of the other conversation by it
/// but those whom a forward went to, and nothing is sent.
///
/// `expected` is the version of the message that the caller saw.
pub fn move_message(
    cx: &mut Cx<'_>,
    id: MessageId,
    expected: Option<&str>,
    destination: Destination,
) -> Result<Transfer, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let card = messages::find_visible(cx, id)?;
    let from = changeable(cx, card.message.conversation_id)?;
    require_version("message", expected, card.etag())?;
    if card.unsent.is_some() {
        return Err(Error::StateConflict(
            "this message has not left; what was not said can't be moved".to_owned(),
        ));
    }
    let group = group_of(cx, &from)?;
    store::conn::lock_group(cx.conn, &group)?;
    let to = match destination {
        Destination::New if from.message_count < 2 => {
            return Err(Error::StateConflict("this message is alone in its conversation already".to_owned()));
        }
        Destination::New => begin(cx, &from, &card.message)?,
        Destination::Conversation(to) if to == from.id => {
            return Err(Error::invalid("/to", "same", "the message is in this conversation already"));
        }
        Destination::Conversation(to) => {
            let to = target(cx, to, "/to")?;
            if group_of(cx, &to)? != group {
                return Err(Error::invalid("/to", "another_group", ANOTHER_GROUP));
            }
            to
        }
    };
    let shifted = shift(cx, TransferReason::Moved, &from, &to, &[id], &[])?;
    store::transfers::find(cx.conn, shifted.id)?.ok_or(Error::NotFound("transfer"))
}

const ANOTHER_GROUP: &str = "must be in the same group of mailboxes: answers come to the mailbox that the message came \
     to, and would not find it elsewhere";

/// The conversation that messages are to go into; that it isn't there is a fault of the input.
fn target(cx: &mut Cx<'_>, id: ConversationId, pointer: &str) -> Result<Conversation, Error> {
    changeable(cx, id).map_err(|error| match error {
        Error::NotFound(_) => Error::invalid(pointer, "not_found", "there is no such conversation"),
        other => other,
    })
}

/// Begins a conversation for a message that is to have its own: its sender's, if somebody from
/// outside wrote it.
fn begin(cx: &mut Cx<'_>, from: &Conversation, message: &Message) -> Result<Conversation, Error> {
    if cx.access().level(message.mailbox_id, None, None) < Some(Level::Reply) {
        return Err(Error::Forbidden("you may not begin conversations in this mailbox"));
    }
    let sender = message.sender.as_deref().filter(|sender| {
        message.kind == MessageKind::Inbound && address_fault(sender.email.trim()).is_none()
    });
    let customer_id = match sender {
        Some(sender) => conversations::of_address(cx, sender.email.trim(), sender.name.as_deref())?,
        None => from.customer_id,
    };
    let subject = crate::text::one_line(&message.subject, SUBJECT_CHARS);
    let row = NewConversation {
        mailbox_id: message.mailbox_id,
        customer_id,
        subject: if subject.is_empty() { from.subject.clone() } else { subject },
        status: Status::Open,
        priority: Priority::Normal,
        channel: from.channel,
        assignee_id: None,
        team_id: None,
        category_id: None,
        waiting_on: None,
        waiting_since: None,
        message_count: 0,
        last_message_at: message.received_at.unwrap_or(message.created_at),
        version: 1,
        created_at: cx.now,
        updated_at: cx.now,
        closed_at: None,
        external_source: None,
        external_id: None,
    };
    let conversation = store::conversations::insert(cx.conn, &row)?;
    tell_created(cx, &conversation);
    if let Some(sender) = sender {
        let people = [(fold_address(&sender.email), ParticipantClass::Customer)];
        store::threads::insert_participants(cx.conn, conversation.id, &people, cx.now)?;
    }
    Ok(conversation)
}

/// Accepts the link that a conversation was given to another one: all of its messages go there, and
/// those who wrote them are part of it from now on. Nothing of the other conversation is sent to
/// them by it.
///
/// `expected` is the version of the suggested conversation that the caller saw.
pub fn accept(
    cx: &mut Cx<'_>,
    id: ConversationId,
    related: ConversationId,
    expected: Option<&str>,
) -> Result<Transfer, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let from = changeable(cx, id)?;
    let links = store::conversations::links(cx.conn, id)?;
    let is_suggested =
        links.iter().any(|link| link.related_id == related && link.reason == LinkReason::Suggested);
    if !is_suggested {
        return Err(Error::NotFound("suggested link"));
    }
    let to = changeable(cx, related).map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound("suggested link"),
        other => other,
    })?;
    require_version("conversation", expected, from.etag())?;
    let group = group_of(cx, &from)?;
    store::conn::lock_group(cx.conn, &group)?;
    if group_of(cx, &to)? != group {
        return Err(Error::StateConflict(format!(
            "conversation {related} is in another group of mailboxes now"
        )));
    }
    let all = store::transfers::messages_of(cx.conn, from.id)?;
    let people = writers(cx, &from, &all)?;
    let shifted = shift(cx, TransferReason::Accepted, &from, &to, &all, &people)?;
    store::transfers::find(cx.conn, shifted.id)?.ok_or(Error::NotFound("transfer"))
}

/// Who wrote a conversation's mail: not who was only claimed to, nor we ourselves.
fn writers(
    cx: &mut Cx<'_>,
    from: &Conversation,
    messages: &[MessageId],
) -> Result<Vec<(String, ParticipantClass)>, Error> {
    let own: Vec<String> = store::mailboxes::list(cx.conn)?
        .iter()
        .flat_map(|mailbox| mailbox.own_addresses().collect::<Vec<_>>())
        .collect();
    let mut people: Vec<(String, ParticipantClass)> = Vec::new();
    for message in store::transfers::messages_at(cx.conn, from.id, messages)? {
        let is_proper = message.kind == MessageKind::Inbound
            && !message.class.is_automatic()
            && !message.flags.contains(&Flag::Suspicious);
        let email = message.sender.as_deref().map(|sender| fold_address(&sender.email)).unwrap_or_default();
        let is_known = own.contains(&email) || people.iter().any(|(known, _)| *known == email);
        if is_proper && !is_known && address_fault(&email).is_none() {
            people.push((email, ParticipantClass::Invited));
        }
    }
    Ok(people)
}

/// Takes a transfer back: the messages are where they were, and so are their names and whoever was
/// let in by it. Refused where something was written in, or moved out of, either conversation since.
pub fn undo(cx: &mut Cx<'_>, id: TransferId) -> Result<Transfer, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let (transfer, from, to) = find_visible(cx, id)?;
    require_reply(cx, &from)?;
    require_reply(cx, &to)?;
    if transfer.undone_at.is_some() {
        return Err(Error::StateConflict("this was taken back before".to_owned()));
    }
    let group = group_of(cx, &to)?;
    store::conn::lock_group(cx.conn, &group)?;
    let [_, left] = transfer.details.from;
    let [_, joined] = transfer.details.to;
    let merged_into = (left.message_count == 0).then_some(to.id);
    for (conversation, state, merged_into) in [(&from, left, merged_into), (&to, joined, None)] {
        let is_as_left = conversation.message_count == state.message_count
            && conversation.last_message_id == state.last_message_id
            && conversation.merged_into == merged_into
            && conversation.deleted_at.is_none();
        if !is_as_left {
            return Err(Error::StateConflict(format!(
                "conversation {} has moved on since; move the messages themselves",
                conversation.id
            )));
        }
    }
    bring_back(cx, &transfer, &from, &to)?;
    store::transfers::find(cx.conn, id)?.ok_or(Error::NotFound("transfer"))
}
