//! Messages go from one conversation to another: what they are known by goes with them, and both
//! conversations' figures are reckoned anew from what is in them then.

use super::super::conversations::{about, set_status, tell_changes};
use super::super::messages::unsent::go_along;
use super::super::{followers, overtaken, read_marks};
use crate::conversation::{Conversation, Status, WaitingOn};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{ConversationId, MessageId, TransferId};
use crate::mail::Class;
use crate::message::{Message, MessageKind};
use crate::store::threads::KnownId;
use crate::store::transfers::{Line, NewTransfer, Place};
use crate::store::types::Json;
use crate::text::fold_address;
use crate::threading::{Flag, IdKind, ParticipantClass};
use crate::transfer::{Details, Name, State, TransferReason};
use crate::{Error, store};
use std::collections::{HashMap, HashSet};

/// What a transfer left behind.
pub(in crate::operations) struct Shifted {
    pub(in crate::operations) id: TransferId,
    pub(in crate::operations) from: Conversation,
    pub(in crate::operations) to: Conversation,
}

/// Takes messages from one conversation into another, and people with them. Whom a forward went to comes
/// along with it, or their answer would find nobody who knows them. A conversation that is empty afterwards
/// counts as merged: whoever still names it is led to where its last message went, and what has not left of
/// it goes there, too. What would leave by itself is a draft there, unless somebody took the two for one, they
/// are one customer's, and it leaves from the same mailbox.
pub(in crate::operations) fn shift(
    cx: &mut Cx<'_>,
    reason: TransferReason,
    from: &Conversation,
    to: &Conversation,
    messages: &[MessageId],
    people: &[(String, ParticipantClass)],
) -> Result<Shifted, Error> {
    let messages = all_that_goes(cx, from.id, messages)?;
    let rows = store::transfers::messages_at(cx.conn, from.id, &messages)?;
    let known = store::threads::participants(cx.conn, &[to.id])?.remove(&to.id).unwrap_or_default();
    let mut sides = Vec::new();
    let is_by_hand = reason != TransferReason::Joined;
    for message in &rows {
        let mut flags = message.flags.clone().into_inner();
        let mut threading = message.threading.clone().map(Json::into_inner);
        if is_by_hand {
            // Who puts a message somewhere does not guess.
            flags.retain(|flag| *flag != Flag::Guess);
            if let Some(decision) = &mut threading {
                decision.moved_from = decision.moved_from.or(Some(from.id)).filter(|first| *first != to.id);
            }
        }
        // What the customer writes is no third party's.
        let side = message.side_id.filter(|_| !is_customers(&known, message));
        if side != message.side_id {
            sides.extend(message.side_id.map(|side| (message.id, side)));
        }
        let place = Place { conversation: to.id, side };
        if !store::transfers::relocate(cx.conn, message, place, flags, threading)? {
            return Err(overtaken());
        }
    }
    read_marks::carry(cx, from, to, &rows)?;
    let names = hand_over(cx, from.id, to.id, &messages)?;
    let mut new: Vec<(String, ParticipantClass)> = Vec::new();
    for (email, class) in people.iter().cloned().chain(asked(cx, &rows)?) {
        if !known.contains_key(&email) && new.iter().all(|(other, _)| *other != email) {
            new.push((email, class));
        }
    }
    store::threads::insert_participants(cx.conn, to.id, &new, cx.now)?;

    let mut left = from.clone();
    let was_open = left.status == Status::Open;
    reckon(cx, &mut left)?;
    let is_empty = left.message_count == 0;
    if is_empty {
        left.merged_into = Some(to.id);
        set_status(&mut left, Status::Closed, cx.now);
        store::conversations::copy_links(cx.conn, from.id, to.id, cx.now)?;
    }
    let mut joined = to.clone();
    let asks = rows.iter().any(|m| m.kind == MessageKind::Inbound && is_persons(m.class));
    if was_open && asks && matches!(joined.status, Status::Closed | Status::Pending | Status::Snoozed) {
        set_status(&mut joined, Status::Open, cx.now);
    }
    reckon(cx, &mut joined)?;
    let left = write(cx, from, &left)?;
    let joined = write(cx, to, &joined)?;
    let mut followed = Vec::new();
    if is_empty {
        followed = followers::carry(cx, &left, &joined)?;
        // What stands around it is filled in when it leaves: of another customer it would name that one.
        let may_leave = matches!(reason, TransferReason::Accepted | TransferReason::Merged)
            && from.mailbox_id == to.mailbox_id
            && from.customer_id == to.customer_id;
        go_along(cx, &joined, &messages, may_leave, &emptied(from.id))?;
    }
    let details = Details {
        message_ids: rows.iter().map(|message| message.id).collect(),
        names,
        sides,
        invited: new.into_iter().map(|(email, _)| email).collect(),
        followers: followed,
        from: [State::of(from), State::of(&left)],
        to: [State::of(to), State::of(&joined)],
    };
    let new = NewTransfer {
        reason,
        from_id: from.id,
        to_id: to.id,
        details: Json::new(details),
        created_at: cx.now,
        undone_at: None,
    };
    let id = store::transfers::insert(cx.conn, &new)?;
    let told = Told { id, reason, is_undone: false };
    if is_empty {
        told.merged(cx, &left, &joined, EventType::ConversationMerged);
    }
    if moves_some(reason) {
        told.moved(cx, &left, &joined, &rows);
    }
    Ok(Shifted { id, from: left, to: joined })
}

/// Brings back what a transfer took. Both conversations are as it left them, as far as messages go.
pub(super) fn bring_back(
    cx: &mut Cx<'_>,
    transfer: &crate::transfer::Transfer,
    from: &Conversation,
    to: &Conversation,
) -> Result<Shifted, Error> {
    let details = &transfer.details;
    let all = all_that_goes(cx, to.id, &details.message_ids)?;
    let rows = store::transfers::messages_at(cx.conn, to.id, &all)?;
    for message in &rows {
        let mut flags = message.flags.clone().into_inner();
        let mut threading = message.threading.clone().map(Json::into_inner);
        if let Some(decision) = &mut threading
            && decision.moved_from == Some(from.id)
        {
            decision.moved_from = None;
            flags.clone_from(&decision.flags);
        }
        let had = details.sides.iter().find(|(id, _)| *id == message.id).map(|(_, side)| *side);
        let place = Place { conversation: from.id, side: message.side_id.or(had) };
        if !store::transfers::relocate(cx.conn, message, place, flags, threading)? {
            return Err(overtaken());
        }
    }
    read_marks::carry(cx, to, from, &rows)?;
    hand_over(cx, to.id, from.id, &details.message_ids)?;
    let group = group_of(cx, to)?;
    let claim = |name: &Name, conversation_id, message_id, kind| KnownId {
        share_group: group.clone(),
        rfc_id: name.rfc_id.clone(),
        conversation_id,
        message_id,
        kind,
        created_at: cx.now,
    };
    let awaited = details.names.iter().filter(|name| name.was_awaited);
    let mut claims: Vec<KnownId> = awaited.map(|name| claim(name, to.id, None, IdKind::Ghost)).collect();
    claims.extend(details.names.iter().map(|name| claim(name, from.id, name.message_id, name.kind)));
    store::threads::insert_ids(cx.conn, &claims)?;
    store::threads::delete_participants(cx.conn, to.id, &details.invited)?;
    followers::carry_back(cx, to, &details.followers)?;

    let was_merged = from.merged_into == Some(to.id);
    let mut back = from.clone();
    back.merged_into = None;
    let mut left = to.clone();
    reckon(cx, &mut left)?;
    if left.status == details.to[1].status {
        details.to[0].restore_status(&mut left);
    }
    if left.message_count == 0 {
        left.merged_into = Some(from.id);
        set_status(&mut left, Status::Closed, cx.now);
    }
    if back.status == details.from[1].status {
        details.from[0].restore_status(&mut back);
    }
    let status = State::of(&back);
    reckon(cx, &mut back)?;
    status.restore_status(&mut back);
    let back = write(cx, from, &back)?;
    let left = write(cx, to, &left)?;
    // What was written there since comes along from what is empty now.
    let since: Vec<MessageId> = all.iter().copied().filter(|id| !details.message_ids.contains(id)).collect();
    go_along(cx, &back, &since, false, &emptied(to.id))?;
    if !store::transfers::finish(cx.conn, transfer.id, cx.now)? {
        return Err(overtaken());
    }
    let told = Told { id: transfer.id, reason: transfer.reason, is_undone: true };
    if was_merged {
        told.merged(cx, &back, &left, EventType::ConversationSeparated);
    }
    if moves_some(transfer.reason) {
        told.moved(cx, &back, &left, &rows);
    }
    Ok(Shifted { id: transfer.id, from: back, to: left })
}

/// Whether somebody chose the messages that go, so that each is told of.
fn moves_some(reason: TransferReason) -> bool {
    matches!(reason, TransferReason::Moved | TransferReason::Split)
}

/// What goes out of a conversation: what was asked for and, where nothing else is left, what has not left.
fn all_that_goes(
    cx: &mut Cx<'_>,
    from: ConversationId,
    wanted: &[MessageId],
) -> Result<Vec<MessageId>, Error> {
    let goes: HashSet<MessageId> = wanted.iter().copied().collect();
    if store::transfers::lines(cx.conn, from)?.iter().any(|line| !goes.contains(&line.id)) {
        return Ok(wanted.to_vec());
    }
    Ok(store::transfers::messages_of(cx.conn, from)?)
}

fn emptied(from: ConversationId) -> String {
    format!("it was written in conversation {from}, whose messages have come here; look at it, and send it")
}

/// Whom the forwards among messages went to.
fn asked(cx: &mut Cx<'_>, rows: &[Message]) -> Result<Vec<(String, ParticipantClass)>, Error> {
    let forwards = || rows.iter().filter(|message| message.kind == MessageKind::Forward);
    let ids: Vec<MessageId> = forwards().map(|message| message.id).collect();
    let unsent = store::unsent::of_messages(cx.conn, &ids)?;
    let left = forwards().filter(|message| !unsent.contains_key(&message.id));
    let people = left.flat_map(|message| {
        let recipients = &*message.recipients;
        recipients.to.iter().chain(&recipients.cc).chain(&recipients.bcc)
    });
    Ok(people.map(|address| (fold_address(&address.email), ParticipantClass::Invited)).collect())
}

fn is_customers(people: &HashMap<String, ParticipantClass>, message: &Message) -> bool {
    let sender = message.sender.as_deref().map(|sender| fold_address(&sender.email)).unwrap_or_default();
    message.kind == MessageKind::Inbound && people.get(&sender) == Some(&ParticipantClass::Customer)
}

/// The group of mailboxes that a conversation is in.
pub(super) fn group_of(cx: &mut Cx<'_>, conversation: &Conversation) -> Result<String, Error> {
    let mailbox = store::mailboxes::find(cx.conn, conversation.mailbox_id)?;
    Ok(mailbox.ok_or(Error::NotFound("mailbox"))?.group)
}

/// Later answers to the messages follow them. Where the other conversation waited for one of them,
/// it has come.
fn hand_over(
    cx: &mut Cx<'_>,
    from: ConversationId,
    to: ConversationId,
    messages: &[MessageId],
) -> Result<Vec<Name>, Error> {
    let mut names = Vec::new();
    for known in store::threads::ids_of_messages(cx.conn, from, messages)? {
        let claims =
            store::threads::known_ids(cx.conn, &known.share_group, std::slice::from_ref(&known.rfc_id))?;
        let there = claims.iter().find(|claim| claim.conversation_id == to).map(|claim| claim.kind);
        store::threads::delete_id(cx.conn, &known)?;
        names.push(Name {
            rfc_id: known.rfc_id.clone(),
            kind: known.kind,
            message_id: known.message_id,
            was_awaited: there == Some(IdKind::Ghost),
        });
        let known = KnownId { conversation_id: to, ..known };
        match there {
            Some(IdKind::Ghost) => {
                store::threads::embody(cx.conn, &known)?;
            }
            Some(_) => {}
            None => store::threads::insert_ids(cx.conn, &[known])?,
        }
    }
    Ok(names)
}

fn is_persons(class: Class) -> bool {
    matches!(class, Class::Human | Class::Calendar)
}

/// What a conversation's messages tell of it: how many, the newest, and whose turn it is.
fn reckon(cx: &mut Cx<'_>, conversation: &mut Conversation) -> Result<(), Error> {
    let lines = store::transfers::lines(cx.conn, conversation.id)?;
    conversation.message_count = i32::try_from(lines.len()).unwrap_or(i32::MAX);
    conversation.last_message_id = lines.last().map(|line| line.id);
    let at = |line: &Line| line.received_at.unwrap_or(line.created_at).min(line.created_at);
    if let Some(newest) = lines.iter().map(at).max() {
        conversation.last_message_at = newest;
    }
    if matches!(conversation.status, Status::Closed | Status::Spam) {
        return Ok(());
    }
    let is_answer = |line: &Line| matches!(line.kind, MessageKind::Reply | MessageKind::Forward);
    let answered = lines.iter().rposition(is_answer);
    let since_then = &lines[answered.map_or(0, |index| index + 1)..];
    let asks = |line: &&Line| line.kind == MessageKind::Inbound && is_persons(line.class);
    if let Some(first) = since_then.iter().find(asks) {
        (conversation.waiting_on, conversation.waiting_since) = (Some(WaitingOn::Us), Some(at(first)));
    } else if let Some(answer) = answered.map(|index| &lines[index]) {
        (conversation.waiting_on, conversation.waiting_since) = (Some(WaitingOn::Customer), Some(at(answer)));
    }
    Ok(())
}

fn write(cx: &mut Cx<'_>, before: &Conversation, after: &Conversation) -> Result<Conversation, Error> {
    let written = store::conversations::update(cx.conn, before, after, cx.now)?.ok_or_else(overtaken)?;
    tell_changes(cx, before, &written);
    Ok(written)
}

/// What is told of a transfer, to both conversations.
struct Told {
    id: TransferId,
    reason: TransferReason,
    is_undone: bool,
}

impl Told {
    fn event(&self, kind: EventType, about: About, from: &Conversation, to: &Conversation) -> NewEvent {
        NewEvent::new(kind, about)
            .with("transfer_id", self.id.0)
            .with("reason", self.reason.as_str())
            .with("from_id", from.id.0)
            .with("to_id", to.id.0)
            .with("undone", self.is_undone)
    }

    fn merged(&self, cx: &mut Cx<'_>, from: &Conversation, to: &Conversation, kind: EventType) {
        for conversation in [from, to] {
            cx.tell(self.event(kind, about(conversation), from, to));
        }
    }

    fn moved(&self, cx: &mut Cx<'_>, from: &Conversation, to: &Conversation, messages: &[Message]) {
        for message in messages {
            for conversation in [from, to] {
                let about = About { message_id: Some(message.id), ..about(conversation) };
                cx.tell(self.event(EventType::MessageMoved, about, from, to));
            }
        }
    }
}
