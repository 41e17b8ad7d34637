//! Writing into a conversation: what is asked of a new message, and what becomes of the conversation.

use super::forward::{self, Freight, Weight};
use super::reply::Preview;
use super::{File, MessageCard, NewMessage, Row, attach, author, cards, imported, mentions, reply, unsent};
use crate::access::Scope;
use crate::conversation::{Conversation, Status, WaitingOn};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AgentId, ConversationId, MessageId};
use crate::mail::Address;
use crate::mailbox::Mailbox;
use crate::message::{AuthorType, Message, MessageKind};
use crate::operations::conversations::{about, changeable, require_theirs, save, set_status};
use crate::operations::{read_marks, require_version};
use crate::outgoing::{TextFormat, Written};
use crate::store::types::Json;
use crate::text::{SUBJECT_CHARS, TEXT_BYTES, is_blank};
use crate::time::Timestamp;
use crate::unsent::{When, Writing};
use crate::{Error, store};
use std::time::Duration;

/// The most recipients of one message.
pub(super) const RECIPIENTS: usize = 50;
/// The most files of one message.
pub(super) const FILES: usize = 50;
/// The longest time in which an answer can be taken back, in seconds.
pub const UNDO_SECONDS: u32 = 600;
/// So far ahead a message can be scheduled.
const AHEAD: Duration = Duration::from_hours(24 * 366);
/// So many of the messages that came meanwhile are named.
const NAMED: i64 = 20;

/// Writes a message into a conversation. What leaves at once is composed, kept and put into the outbox in
/// this one transaction; a note never leaves; `inbound` files what the customer said elsewhere.
///
/// `expected` is the version of the conversation that the caller saw: an answer to what has moved on is
/// refused.
pub fn add(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    new: &NewMessage,
) -> Result<MessageCard, Error> {
    if new.imported.is_some() {
        return Ok(imported::import(cx, id, expected, new)?.card);
    }
    cx.access().require(scope(new.kind, new.when))?;
    require_speaks(cx, new.kind)?;
    let conversation = changeable(cx, id)?;
    require_theirs(cx, &conversation)?;
    require_version("conversation", expected, conversation.etag())?;
    let mailbox =
        store::mailboxes::find(cx.conn, conversation.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    let mut faults = Faults::default();
    check(cx, Some(id), &mailbox, new, "", &mut faults)?;
    faults.check()?;
    require_unmoved(cx, id, new.expected_last, None)?;
    let (_, message_id) = append(cx, conversation, &mailbox, new)?;
    let message = store::messages::find(cx.conn, message_id)?.ok_or(Error::NotFound("message"))?;
    cards(cx, vec![message])?.pop().ok_or(Error::NotFound("message"))
}

/// Shows a message as it would leave now. Nothing is kept of it.
pub fn preview(cx: &mut Cx<'_>, id: ConversationId, new: &NewMessage) -> Result<Preview, Error> {
    cx.access().require(scope(new.kind, When::Never))?;
    let conversation = changeable(cx, id)?;
    let mailbox =
        store::mailboxes::find(cx.conn, conversation.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    let mut faults = Faults::default();
    if new.imported.is_some() {
        faults.add("/imported", "not_allowed", "what was written elsewhere does not leave");
    }
    if !matches!(new.kind, MessageKind::Reply | MessageKind::Forward) {
        faults.add("/kind", "not_allowed", "only a reply or a forward leaves");
    }
    let own = Weight::of(&new.files);
    check_files(cx, &new.files, "", &mut faults);
    check_writing(&mailbox, new.kind, &new.writing, "", &mut faults);
    forward::check(cx, Some(id), new.kind, &new.writing, own, "", &mut faults)?;
    faults.check()?;
    reply::preview(cx, &conversation, &mailbox, new)
}

/// Fails where somebody acts in a customer's name and would write what is an agent's.
pub(in crate::operations) fn require_speaks(cx: &Cx<'_>, kind: MessageKind) -> Result<(), Error> {
    if cx.actor.customer().is_some() && kind != MessageKind::Inbound {
        return Err(Error::Forbidden(
            "in a customer's name what they say themselves is filed, and nothing else",
        ));
    }
    Ok(())
}

/// What it takes to write such a message.
pub(in crate::operations) fn scope(kind: MessageKind, when: When) -> Scope {
    match kind {
        MessageKind::Reply | MessageKind::Forward | MessageKind::AutoReply if when != When::Never => {
            Scope::MessagesSend
        }
        MessageKind::Note => Scope::NotesWrite,
        _ => Scope::ConversationsWrite,
    }
}

/// Fails where messages came, or are on their way, that the caller has not seen. `own` is not news.
pub(super) fn require_unmoved(
    cx: &mut Cx<'_>,
    id: ConversationId,
    last: Option<MessageId>,
    own: Option<MessageId>,
) -> Result<(), Error> {
    let Some(last) = last else { return Ok(()) };
    let seen = store::messages::find(cx.conn, last)?.filter(|message| message.conversation_id == id);
    let Some(seen) = seen else {
        let detail = "there is no such message in this conversation";
        return Err(Error::invalid("/expected_last_message_id", "not_found", detail));
    };
    let at = there_since(&seen);
    let newer = store::unsent::newer_than(cx.conn, id, last, at, NAMED)?;
    // What was written before and let go later is newer all the same; who names that has seen the others.
    let is_newer = |message: &Message| (there_since(message), message.id) > (at, last);
    let newer: Vec<MessageId> =
        newer.iter().filter(|message| is_newer(message) && Some(message.id) != own).map(|m| m.id).collect();
    if newer.is_empty() { Ok(()) } else { Err(Error::MovedOn { messages: newer }) }
}

/// Since when a message is there for others to see: a draft, since somebody let it go. That it left later
/// than that is no news: whoever wrote it knows its number from the first.
fn there_since(message: &Message) -> Timestamp {
    message.released_at.map_or(message.created_at, |released| released.max(message.created_at))
}

/// Notes what is wrong with a message that stands at `at` in the input; `id` is the conversation it is
/// written into, where there is one already.
pub(in crate::operations) fn check(
    cx: &mut Cx<'_>,
    id: Option<ConversationId>,
    mailbox: &Mailbox,
    new: &NewMessage,
    at: &str,
    faults: &mut Faults,
) -> Result<(), Error> {
    use MessageKind::{Forward, Inbound, Note, Reply};
    if let Some(history) = &new.imported {
        return imported::check(cx, mailbox, new, history, at, faults);
    }
    let begins = id.is_none() && new.kind == Inbound;
    cx.access().require(if begins { Scope::ConversationsCreate } else { scope(new.kind, new.when) })?;
    if !matches!(new.kind, Reply | Forward | Note | Inbound) {
        faults.add(format!("{at}/kind"), "not_allowed", "must be reply, forward, note or inbound");
    }
    let leaves = matches!(new.kind, Reply | Forward);
    if !leaves && new.when != When::Now {
        let member = match new.when {
            When::Never => "draft",
            When::After(_) => "undo_seconds",
            _ => "send_at",
        };
        faults.add(format!("{at}/{member}"), "not_allowed", "only a reply or a forward leaves");
    }
    check_time(new.when, cx.now, at, faults);
    // A draft may be anything that can be kept.
    if new.when != When::Never {
        check_content(cx, &new.writing, &new.files, at, faults);
    }
    let own = Weight::of(&new.files);
    check_files(cx, &new.files, at, faults);
    check_writing(mailbox, new.kind, &new.writing, at, faults);
    mentions::check(cx, id, mailbox, new, at, faults)?;
    forward::check(cx, id, new.kind, &new.writing, own, at, faults).map(drop)
}

/// Notes that a message says nothing, or nothing that may stand in a mail.
pub(super) fn check_content(cx: &Cx<'_>, writing: &Writing, files: &[File], at: &str, faults: &mut Faults) {
    if !files.is_empty() || !writing.forward_message_ids.is_empty() {
        return;
    }
    if is_blank(&writing.text) {
        faults.add(format!("{at}/text"), "required", "must not be empty");
    } else if shows_nothing(cx, &writing.written()) {
        faults.add(format!("{at}/text"), "empty", SHOWS_NOTHING);
    }
}

/// What is said of a text of which nothing would leave.
pub(in crate::operations) const SHOWS_NOTHING: &str =
    "the body is empty once what is not allowed in mail is taken away";

/// Whether nothing of a text would be seen in a mail. A text that can't be made a mail's is refused elsewhere.
pub(in crate::operations) fn shows_nothing(cx: &Cx<'_>, written: &Written) -> bool {
    // Plain text is shown as it is.
    let shown =
        (written.format != TextFormat::Text).then(|| cx.ports.composer.render(written).ok()).flatten();
    shown.is_some_and(|shown| is_blank(&shown.text) || is_blank(&shown.html))
}

impl NewMessage {
    /// The bytes that it takes along.
    pub(super) fn freight(&self) -> Freight<'_> {
        Freight { files: &self.files, carried: &self.carried }
    }
}

/// Notes what is wrong with the time at which a message is to leave.
pub(super) fn check_time(when: When, now: Timestamp, at: &str, faults: &mut Faults) {
    match when {
        When::After(seconds) if seconds > UNDO_SECONDS => {
            faults.add(format!("{at}/undo_seconds"), "too_large", format!("is at most {UNDO_SECONDS}"));
        }
        When::At(time) if time <= now => {
            faults.add(format!("{at}/send_at"), "past", "must lie in the future");
        }
        When::At(time) if time > now.plus(AHEAD) => {
            faults.add(format!("{at}/send_at"), "too_far", "must lie within the next 366 days");
        }
        _ => {}
    }
}

/// Notes that there are too many files, that they are too large together, or that the text names two pictures
/// alike. What makes a mail larger than the desk itself would take is refused elsewhere too, hours later.
pub(super) fn check_files(cx: &Cx<'_>, files: &[File], at: &str, faults: &mut Faults) {
    let (own, most) = (Weight::of(files), cx.settings.mail_bytes as i64);
    if own.count > FILES {
        faults.add(format!("{at}/attachment_ids"), "too_many", format!("has at most {FILES} members"));
    } else if own.bytes > most {
        let detail = format!("the files of a message have at most {most} bytes in all");
        faults.add(format!("{at}/attachment_ids"), "too_large", detail);
    }
    let ids: Vec<Option<&str>> = files.iter().map(|file| file.attachment.content_id.as_deref()).collect();
    for (index, id) in ids.iter().enumerate().take(FILES + 1) {
        if id.is_some() && ids[..index].contains(id) {
            let detail = "has the same content_id as one before it";
            faults.add(format!("{at}/attachment_ids/{index}"), "duplicate_content_id", detail);
        }
    }
}

/// Notes what is wrong with what was written.
pub(super) fn check_writing(
    mailbox: &Mailbox,
    kind: MessageKind,
    writing: &Writing,
    at: &str,
    faults: &mut Faults,
) {
    if writing.text.len() > TEXT_BYTES {
        faults.add(format!("{at}/text"), "too_long", format!("has at most {TEXT_BYTES} bytes"));
    }
    if writing.text.contains('\0') {
        faults.add(format!("{at}/text"), "nul_character", "must not hold U+0000");
    }
    let lists = [("to", &writing.to), ("cc", &writing.cc), ("bcc", &writing.bcc)];
    if !matches!(kind, MessageKind::Reply | MessageKind::Forward | MessageKind::AutoReply) {
        for (name, list) in lists {
            if !list.is_empty() {
                faults.add(
                    format!("{at}/{name}"),
                    "not_allowed",
                    "only a reply or a forward goes to somebody",
                );
            }
        }
        for (name, given) in [("from", &writing.from), ("subject", &writing.subject)] {
            if given.is_some() {
                faults.add(format!("{at}/{name}"), "not_allowed", "only a reply or a forward has one");
            }
        }
        if writing.side_id.is_some() {
            faults.add(
                format!("{at}/side_id"),
                "not_allowed",
                "only a forward belongs to a side conversation",
            );
        }
        if writing.format != TextFormat::Text {
            faults.add(format!("{at}/format"), "not_allowed", "only a reply or a forward has a format");
        }
        return;
    }
    if writing.side_id.is_some() && kind != MessageKind::Forward {
        faults.add(format!("{at}/side_id"), "not_allowed", "only a forward belongs to a side conversation");
    }
    if writing.to.len() + writing.cc.len() + writing.bcc.len() > RECIPIENTS {
        faults.add(
            format!("{at}/to"),
            "too_many",
            format!("to, cc and bcc have at most {RECIPIENTS} members in all"),
        );
    }
    for (name, list) in lists {
        check_addresses(list, &format!("{at}/{name}"), faults);
    }
    if let Some(from) = &writing.from
        && !reply::is_own(mailbox, from)
    {
        faults.add(format!("{at}/from"), "not_own", reply::NOT_OWN);
    }
    if let Some(subject) = &writing.subject {
        faults.line(&format!("{at}/subject"), subject, SUBJECT_CHARS);
    }
}

fn check_addresses(list: &[Address], at: &str, faults: &mut Faults) {
    for (index, address) in list.iter().take(RECIPIENTS).enumerate() {
        faults.email(&format!("{at}/{index}/email"), &address.email);
        if let Some(name) = &address.name {
            faults.header_name(&format!("{at}/{index}/name"), name, 200);
        }
    }
}

/// Writes a checked message into a conversation that may be changed. Returns the conversation as it is
/// afterwards: one that has not left changes nothing of it.
pub(in crate::operations) fn append(
    cx: &mut Cx<'_>,
    before: Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
) -> Result<(Conversation, MessageId), Error> {
    if let Some(history) = &new.imported {
        return imported::append(cx, before, mailbox, new, history);
    }
    let mut after = before.clone();
    let mut mentioned = Vec::new();
    let (id, event) = match new.kind {
        MessageKind::Reply | MessageKind::Forward => {
            let Some(waits) = unsent::waits(cx, mailbox, new.when) else {
                let id = reply::write(cx, &before, mailbox, new)?;
                let written = left(cx, &before, id, new.kind, cx.actor.agent_id)?;
                return Ok((written, id));
            };
            let id = unsent::keep(cx, &before, mailbox, new, waits)?;
            // What will leave by itself has to be seen by whoever answers at the same time.
            let after = match new.when {
                When::Never => before,
                _ => save(cx, &before, &before.clone(), true)?,
            };
            return Ok((after, id));
        }
        MessageKind::Inbound => {
            if matches!(after.status, Status::Closed | Status::Pending | Status::Snoozed) {
                set_status(&mut after, Status::Open, cx.now);
            }
            if after.waiting_on != Some(WaitingOn::Us) {
                after.waiting_on = Some(WaitingOn::Us);
                after.waiting_since = Some(cx.now);
            }
            (write_inbound(cx, &before, new)?, EventType::MessageReceived)
        }
        _ => {
            let id = write_note(cx, &before, new)?;
            mentioned = mentions::write(cx, &before, id, new)?;
            (id, EventType::MessageNoteAdded)
        }
    };
    attach(cx, id, &new.files)?;
    let written = grow(cx, &before, after, id, cx.actor.agent_id)?;
    tell(cx, &written, id, event, new.kind, &mentioned);
    Ok((written, id))
}

/// What becomes of a conversation out of which a message leaves; `author` is the agent who wrote it, if one did.
pub(super) fn left(
    cx: &mut Cx<'_>,
    before: &Conversation,
    id: MessageId,
    kind: MessageKind,
    author: Option<AgentId>,
) -> Result<Conversation, Error> {
    let mut after = before.clone();
    let waits_on = match kind {
        MessageKind::Reply => Some(WaitingOn::Customer),
        MessageKind::Forward => Some(WaitingOn::ThirdParty),
        _ => None,
    };
    if waits_on.is_some() {
        after.waiting_on = waits_on;
        after.waiting_since = Some(cx.now);
    }
    let written = grow(cx, before, after, id, author)?;
    tell(cx, &written, id, EventType::MessageQueued, kind, &[]);
    Ok(written)
}

/// Writes a conversation that has one message more. It is no news to the agent who wrote that and had read the rest.
fn grow(
    cx: &mut Cx<'_>,
    before: &Conversation,
    mut after: Conversation,
    id: MessageId,
    author: Option<AgentId>,
) -> Result<Conversation, Error> {
    let reader = read_marks::up_to_date(cx, author, before)?;
    after.message_count += 1;
    // What was written long ago and leaves now has a lower number than what came meanwhile.
    after.last_message_id = after.last_message_id.max(Some(id));
    after.last_message_at = cx.now;
    let written = save(cx, before, &after, true)?;
    if let Some(reader) = reader.filter(|_| written.last_message_id == Some(id)) {
        read_marks::follow(cx, reader, written.id, id)?;
    }
    Ok(written)
}

fn tell(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    id: MessageId,
    event: EventType,
    kind: MessageKind,
    mentioned: &[AgentId],
) {
    let about = About { message_id: Some(id), ..about(conversation) };
    let event = NewEvent::new(event, about).with("kind", kind.as_str());
    cx.tell(if mentioned.is_empty() {
        event
    } else {
        let ids: Vec<i64> = mentioned.iter().map(|agent| agent.0).collect();
        event.with("mentions", ids)
    });
}

fn write_note(cx: &mut Cx<'_>, conversation: &Conversation, new: &NewMessage) -> Result<MessageId, Error> {
    let (author_type, author_id) = author(cx.actor);
    let (text, _) = crate::text::many_lines(&new.writing.text, TEXT_BYTES);
    let row = Row {
        author_type,
        author_id,
        author_name: Some(&cx.actor.name),
        ..super::row(conversation, MessageKind::Note, &text, cx.now)
    };
    Ok(store::messages::insert(cx.conn, &row)?)
}

fn write_inbound(cx: &mut Cx<'_>, conversation: &Conversation, new: &NewMessage) -> Result<MessageId, Error> {
    let customers = store::customers::find_many(cx.conn, &[conversation.customer_id])?;
    let addresses = store::customers::addresses(cx.conn, &[conversation.customer_id])?;
    let name = customers.first().and_then(|customer| customer.name.clone());
    let sender = addresses
        .first()
        .map(|address| Json::new(Address { name: name.clone(), email: address.email.clone() }));
    let (text, _) = crate::text::many_lines(&new.writing.text, TEXT_BYTES);
    let row = Row {
        author_type: AuthorType::Customer,
        author_id: Some(conversation.customer_id.0),
        author_name: name.as_deref(),
        sender,
        received_at: Some(cx.now),
        ..super::row(conversation, MessageKind::Inbound, &text, cx.now)
    };
    Ok(store::messages::insert(cx.conn, &row)?)
}

/// The files of a message that leaves or is kept, without their bytes.
pub(super) fn named(files: &[File]) -> Vec<crate::id::AttachmentId> {
    files.iter().map(|file| file.attachment.id.clone()).collect()
}
