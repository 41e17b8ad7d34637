//! Messages that have not left: drafts, which everybody who may answer can go on with, and answers that
//! are held or scheduled and can be taken back until they leave.

use super::dress::Author;
use super::forward::{self, Freight, Weight};
use super::write::{check_content, check_files, check_time, check_writing, named, require_unmoved, scope};
use super::{File, MessageCard, NewMessage, Row, attach, author, leave, reply, row};
use crate::access::Scope;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AttachmentId, MessageId};
use crate::mail::Address;
use crate::mailbox::Mailbox;
use crate::message::{Message, MessageKind, Recipients};
use crate::operations::conversations::{about, changeable, save};
use crate::operations::{overtaken, require_version};
use crate::outgoing::TextFormat;
use crate::store::types::Json;
use crate::store::unsent::Rewritten;
use crate::time::Timestamp;
use crate::unsent::{Unsent, UnsentState, When, Writing};
use crate::{Error, store};
use std::time::Duration;

/// How a message waits that does not leave at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waits {
    state: UnsentState,
    leaves_at: Option<Timestamp>,
}

/// How a message waits that is to leave then; `None`: it leaves at once.
pub(super) fn waits(cx: &Cx<'_>, mailbox: &Mailbox, when: When) -> Option<Waits> {
    let held = |seconds: u32| {
        let leaves_at = Some(cx.now.plus(Duration::from_secs(u64::from(seconds))));
        (seconds > 0).then_some(Waits { state: UnsentState::Held, leaves_at })
    };
    match when {
        When::Now => held(mailbox.undo_seconds.unsigned_abs()),
        When::After(seconds) => held(seconds),
        When::At(time) => Some(Waits { state: UnsentState::Scheduled, leaves_at: Some(time) }),
        When::Never => Some(Waits { state: UnsentState::Draft, leaves_at: None }),
    }
}

/// Keeps a checked message that does not leave at once.
pub(super) fn keep(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
    waits: Waits,
) -> Result<MessageId, Error> {
    put(cx, conversation, mailbox, new, waits, None)
}

/// Keeps a message until a person lets it go, and says why.
pub(super) fn hold(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
    why: String,
) -> Result<MessageId, Error> {
    put(cx, conversation, mailbox, new, Waits { state: UnsentState::Held, leaves_at: None }, Some(why))
}

fn put(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
    waits: Waits,
    reason: Option<String>,
) -> Result<MessageId, Error> {
    let shown = Shown::of(cx, conversation, mailbox, new.kind, &new.writing, waits.state)?;
    let recipients = shown.recipients;
    let (author_type, author_id) = author(cx.actor);
    let id = store::messages::insert(
        cx.conn,
        &Row {
            author_type,
            author_id,
            author_name: Some(&cx.actor.name),
            sender: Some(Json::new(shown.from)),
            recipients: Json::new(recipients.clone()),
            subject: &shown.subject,
            side_id: new.writing.side_id,
            released_at: (waits.state != UnsentState::Draft).then_some(cx.now),
            ..row(conversation, new.kind, &shown.text, cx.now)
        },
    )?;
    attach(cx, id, &new.files)?;
    let mut writing = new.writing.clone();
    if waits.state != UnsentState::Draft {
        fix_recipients(&mut writing, &recipients);
    }
    let unsent = Unsent {
        message_id: id,
        state: waits.state,
        writing: Json::new(writing),
        leaves_at: waits.leaves_at,
        reason,
        updated_at: cx.now,
    };
    store::unsent::insert(cx.conn, &unsent)?;
    cx.wake();
    tell(cx, conversation, &unsent, told_of(unsent.state));
    Ok(id)
}

fn told_of(state: UnsentState) -> EventType {
    match state {
        UnsentState::Draft => EventType::MessageDraftSaved,
        UnsentState::Held => EventType::MessageHeld,
        UnsentState::Scheduled => EventType::MessageScheduled,
    }
}

/// Tells what became of a message that has not left.
pub(super) fn tell(cx: &mut Cx<'_>, conversation: &Conversation, unsent: &Unsent, kind: EventType) {
    let about = About { message_id: Some(unsent.message_id), ..about(conversation) };
    let mut event = NewEvent::new(kind, about).with("state", unsent.state.as_str());
    if let Some(leaves_at) = unsent.leaves_at {
        event = event.with("leaves_at", leaves_at.to_string());
    }
    if let Some(reason) = &unsent.reason {
        event = event.with("reason", reason.clone());
    }
    cx.tell(event);
}

/// How a message that has not left is shown: as it would leave now. A draft need not be able to yet.
struct Shown {
    from: Address,
    recipients: Recipients,
    subject: String,
    text: String,
}

impl Shown {
    fn of(
        cx: &mut Cx<'_>,
        conversation: &Conversation,
        mailbox: &Mailbox,
        kind: MessageKind,
        writing: &Writing,
        state: UnsentState,
    ) -> Result<Self, Error> {
        match reply::prepare(cx, conversation, mailbox, kind, writing, Author::caller(cx)) {
            Ok(prepared) => Ok(Self {
                from: prepared.from,
                recipients: prepared.recipients,
                subject: prepared.subject,
                text: prepared.text,
            }),
            Err(Error::Invalid(_)) if state == UnsentState::Draft => Ok(Self {
                from: reply::sender(mailbox, writing),
                recipients: Recipients {
                    to: writing.to.clone(),
                    cc: writing.cc.clone(),
                    bcc: writing.bcc.clone(),
                    reply_to: Vec::new(),
                },
                subject: writing.subject.clone().unwrap_or_else(|| conversation.subject.clone()),
                text: crate::text::many_lines(&writing.text, crate::text::TEXT_BYTES).0,
            }),
            Err(error) => Err(error),
        }
    }
}

/// What is to change of a message that has not left; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsentChange {
    /// What it says.
    pub text: Option<String>,
    /// What that is written in.
    pub format: Option<TextFormat>,
    /// Whether it has no signature.
    pub is_unsigned: Option<bool>,
    /// Whether it quotes; `Some(None)` is as the mailbox has it.
    pub quote: Option<Option<bool>>,
    /// The one of the mailbox's addresses that it comes from; `Some(None)` is the first.
    pub from: Option<Option<String>>,
    /// Its subject; `Some(None)` is that of what it answers.
    pub subject: Option<Option<String>>,
    /// Whom it goes to; empty is the customer.
    pub to: Option<Vec<Address>>,
    /// Who gets a copy.
    pub cc: Option<Vec<Address>>,
    /// Who gets a copy that others don't see.
    pub bcc: Option<Vec<Address>>,
    /// All of its files: its own, or uploads of the caller's.
    pub attachment_ids: Option<Vec<AttachmentId>>,
    /// The messages that a forward carries.
    pub forward_message_ids: Option<Vec<MessageId>>,
    /// Whether it carries them without their files.
    pub without_files: Option<bool>,
    /// When it leaves: a draft is sent by it, and what is held or scheduled is a draft again by `Never`.
    pub when: Option<When>,
    /// The newest message that the caller has seen: where others came since, nothing changes.
    pub expected_last: Option<MessageId>,
}

impl UnsentChange {
    fn of(&self, before: &Writing) -> Writing {
        let after = before.clone();
        Writing {
            text: self.text.clone().unwrap_or(after.text),
            format: self.format.unwrap_or(after.format),
            plain: after.plain.filter(|_| self.text.is_none() && self.format.is_none()),
            is_unsigned: self.is_unsigned.unwrap_or(after.is_unsigned),
            quote: self.quote.unwrap_or(after.quote),
            from: self.from.clone().unwrap_or(after.from),
            subject: self.subject.clone().unwrap_or(after.subject),
            to: self.to.clone().unwrap_or(after.to),
            cc: self.cc.clone().unwrap_or(after.cc),
            bcc: self.bcc.clone().unwrap_or(after.bcc),
            side_id: after.side_id,
            forward_message_ids: self.forward_message_ids.clone().unwrap_or(after.forward_message_ids),
            without_files: self.without_files.unwrap_or(after.without_files),
        }
    }
}

/// A message that has not left and that the caller may change, with all that hangs on it.
struct Found {
    message: Message,
    unsent: Unsent,
    conversation: Conversation,
    mailbox: Mailbox,
}

fn find(cx: &mut Cx<'_>, id: MessageId, expected: Option<&str>) -> Result<Found, Error> {
    let card = super::find_visible(cx, id)?;
    let conversation = changeable(cx, card.message.conversation_id)?;
    require_version("message", expected, card.etag())?;
    let Some(unsent) = card.unsent else {
        return Err(Error::StateConflict(
            "this message is no draft, and neither held nor scheduled: it can't be changed any more"
                .to_owned(),
        ));
    };
    let mailbox =
        store::mailboxes::find(cx.conn, conversation.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    Ok(Found { message: card.message, unsent, conversation, mailbox })
}

/// Changes a message that has not left, and lets it leave where it is to. `files` are all that it is to
/// have, with what it carries if it leaves at once. `None`: it has other files by now than when they were
/// read, or carries something else.
fn change(
    cx: &mut Cx<'_>,
    id: MessageId,
    expected: Option<&str>,
    change: &UnsentChange,
    freight: Freight<'_>,
) -> Result<Option<MessageCard>, Error> {
    let files = freight.files;
    let Found { message, unsent, conversation, mailbox } = find(cx, id, expected)?;
    let now_waits = Waits { state: unsent.state, leaves_at: unsent.leaves_at };
    let is_draft = |state| state == UnsentState::Draft;
    // What waits already was held once: it goes at once when somebody lets it.
    let when = change.when.map(|when| match when {
        When::Now if !is_draft(unsent.state) => When::After(0),
        when => when,
    });
    let waits = when.map_or(Some(now_waits), |when| waits(cx, &mailbox, when));
    let stays_draft = is_draft(unsent.state) && waits.is_some_and(|waits| is_draft(waits.state));
    cx.access().require(scope(message.kind, if stays_draft { When::Never } else { When::Now }))?;

    let mut writing = change.of(&unsent.writing);
    let mut faults = Faults::default();
    check_writing(&mailbox, message.kind, &writing, "", &mut faults);
    let own = Weight::of(files);
    check_files(cx, files, "", &mut faults);
    let ids = named(files);
    if let Some(index) = (1..ids.len()).find(|index| ids[..*index].contains(&ids[*index])) {
        faults.add(format!("/attachment_ids/{index}"), "duplicate", "is named twice");
    }
    forward::check(cx, Some(conversation.id), message.kind, &writing, own, "", &mut faults)?;
    change.when.inspect(|when| check_time(*when, cx.now, "", &mut faults));
    if waits.is_none_or(|waits| !is_draft(waits.state)) {
        check_content(cx, &writing, files, "", &mut faults);
    }
    faults.check()?;
    require_unmoved(cx, conversation.id, change.expected_last, Some(id))?;
    if waits.is_none() && !freight.is_for(&writing) {
        return Ok(None);
    }
    if !set_files(cx, id, change.attachment_ids.is_some(), files)? {
        return Ok(None);
    }

    let state = waits.map_or(UnsentState::Held, |waits| waits.state);
    let shown = Shown::of(cx, &conversation, &mailbox, message.kind, &writing, state)?;
    if !is_draft(state) {
        fix_recipients(&mut writing, &shown.recipients);
        // Who answers at the same time has to see it: the guards go by the conversation's version.
        if waits.is_some() && is_draft(unsent.state) {
            save(cx, &conversation, &conversation, true)?;
        }
    }
    // Who lets it go is who says it, and so is who changes what would leave by itself.
    let is_changed = writing != *unsent.writing || change.attachment_ids.is_some();
    let is_sent = !stays_draft && (is_draft(unsent.state) || is_changed);
    let (mut author_type, mut author_id) = (message.author_type, message.author_id);
    let mut author_name = message.author_name.clone();
    if is_sent {
        (author_type, author_id) = author(cx.actor);
        author_name = Some(cx.actor.name.clone());
    }
    let rewritten = Rewritten {
        author_type,
        author_id,
        author_name: author_name.as_deref(),
        sender: Some(Json::new(shown.from)),
        recipients: Json::new(shown.recipients),
        subject: &shown.subject,
        content: &shown.text,
        released_at: match (is_draft(state), is_draft(unsent.state)) {
            (true, _) => None,
            (false, true) => Some(cx.now),
            (false, false) => message.released_at,
        },
        version: message.version + 1,
    };
    if !store::unsent::rewrite(cx.conn, &message, &rewritten)? {
        return Err(overtaken());
    }
    let after = Unsent {
        state,
        leaves_at: waits.and_then(|waits| waits.leaves_at),
        writing: Json::new(writing),
        reason: if waits == Some(now_waits) { unsent.reason.clone() } else { None },
        updated_at: cx.now,
        ..unsent.clone()
    };
    if !store::unsent::update(cx.conn, &unsent, &after)? {
        return Err(overtaken());
    }
    if waits.is_none() {
        let message = store::messages::find(cx.conn, id)?.ok_or(Error::NotFound("message"))?;
        leave::leave(cx, &conversation, &mailbox, &message, &after, freight)?;
    } else {
        let is_taken_back = !is_draft(unsent.state) && is_draft(state);
        let kind = if is_taken_back { EventType::MessageCancelled } else { told_of(state) };
        tell(cx, &conversation, &after, kind);
        cx.wake();
    }
    super::find_visible(cx, id).map(Some)
}

/// Whom it goes to is settled when it is to leave by itself: its conversation may be another's by then.
fn fix_recipients(writing: &mut Writing, shown: &Recipients) {
    if writing.to.is_empty() {
        writing.to.clone_from(&shown.to);
    }
}

/// Gives a message these files and no others. `false`: they are not what was read any more.
fn set_files(cx: &mut Cx<'_>, id: MessageId, is_given: bool, files: &[File]) -> Result<bool, Error> {
    let own = store::attachments::of_messages(cx.conn, &[id])?.remove(&id).unwrap_or_default();
    let is_own = |file: &File| own.iter().any(|own| own.id == file.attachment.id);
    if !is_given {
        return Ok(own.len() == files.len() && files.iter().all(is_own));
    }
    // Before anything changes: what is taken back by saying no would be committed.
    for file in files.iter().filter(|file| !is_own(file)) {
        let upload = store::attachments::find(cx.conn, &file.attachment.id)?;
        if upload.is_none_or(|upload| upload.message_id.is_some()) {
            return Ok(false);
        }
    }
    store::attachments::keep_only(cx.conn, id, &named(files))?;
    for file in files.iter().filter(|file| !is_own(file)) {
        if !store::attachments::attach(cx.conn, &file.attachment.id, id)? {
            return Err(overtaken());
        }
    }
    Ok(true)
}

/// Throws a message away that has not left. What is on its way, or was, can't be.
pub fn delete(cx: &mut Cx<'_>, id: MessageId, expected: Option<&str>) -> Result<(), Error> {
    let Found { message, unsent, conversation, .. } = find(cx, id, expected)?;
    let when = if unsent.state == UnsentState::Draft { When::Never } else { When::Now };
    cx.access().require(scope(message.kind, when))?;
    if !store::unsent::delete_message(cx.conn, &message)? {
        return Err(overtaken());
    }
    tell(cx, &conversation, &unsent, EventType::MessageDraftDeleted);
    Ok(())
}

/// Takes a message back that is held or scheduled: it is a draft again. `None`: it has left, or never was
/// to leave.
pub(super) fn take_back(
    cx: &mut Cx<'_>,
    id: MessageId,
    expected: Option<&str>,
) -> Result<Option<MessageCard>, Error> {
    let card = super::find_visible(cx, id)?;
    if card.unsent.is_none() {
        return Ok(None);
    }
    let found = find(cx, id, expected)?;
    if found.unsent.state == UnsentState::Draft {
        return Err(Error::StateConflict("this message is a draft: it does not leave by itself".to_owned()));
    }
    back_to_draft(cx, &found.conversation, &found.message, &found.unsent, None)?;
    super::find_visible(cx, id).map(Some)
}

/// Makes a message a draft again, and says why where the desk does it.
pub(super) fn back_to_draft(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    message: &Message,
    before: &Unsent,
    reason: Option<&str>,
) -> Result<(), Error> {
    let after = Unsent {
        state: UnsentState::Draft,
        leaves_at: None,
        reason: reason.map(|reason| crate::text::one_line(reason, 500)),
        updated_at: cx.now,
        ..before.clone()
    };
    if !store::unsent::take_back(cx.conn, message)? || !store::unsent::update(cx.conn, before, &after)? {
        return Err(overtaken());
    }
    tell(cx, conversation, &after, EventType::MessageCancelled);
    Ok(())
}

/// What of these messages has not left goes along into another conversation: it keeps its recipients, who
/// are not that one's customer, and unless it may leave by itself it is a draft there, with the reason.
pub(in crate::operations) fn go_along(
    cx: &mut Cx<'_>,
    to: &Conversation,
    messages: &[MessageId],
    may_leave: bool,
    why: &str,
) -> Result<(), Error> {
    let unsent = store::unsent::of_messages(cx.conn, messages)?;
    for id in messages {
        let Some(before) = unsent.get(id) else { continue };
        let message = store::messages::find(cx.conn, *id)?.ok_or(Error::NotFound("message"))?;
        let mut writing = before.writing.clone().into_inner();
        fix_recipients(&mut writing, &message.recipients);
        let written = Unsent { writing: Json::new(writing), ..before.clone() };
        if before.leaves_at.is_some() && !may_leave {
            back_to_draft(cx, to, &message, &written, Some(why))?;
        } else if written != *before {
            // Whoever brought it here has raised the message's version.
            let after = Unsent { updated_at: cx.now, ..written };
            if !store::unsent::update(cx.conn, before, &after)? {
                return Err(overtaken());
            }
        }
    }
    Ok(())
}

/// Makes drafts of all that would leave by itself, for a reason that holds for all of it.
pub(in crate::operations) fn stop_all(cx: &mut Cx<'_>, reason: &str) -> Result<usize, Error> {
    let waiting = store::unsent::waiting(cx.conn)?;
    for unsent in &waiting {
        let message = store::messages::find(cx.conn, unsent.message_id)?.ok_or(Error::NotFound("message"))?;
        let found = store::conversations::find_many(cx.conn, &[message.conversation_id])?;
        let conversation = found.get(&message.conversation_id).ok_or(Error::NotFound("conversation"))?;
        back_to_draft(cx, conversation, &message, unsent, Some(reason))?;
    }
    Ok(waiting.len())
}

/// How often files are read again that somebody else changed meanwhile.
const TRIES: usize = 3;

impl Desk {
    /// Changes a message that has not left; see [`UnsentChange`].
    pub async fn change_unsent(
        &self,
        actor: &crate::actor::Actor,
        id: MessageId,
        expected: Option<String>,
        wanted: UnsentChange,
    ) -> Result<MessageCard, Error> {
        for _ in 0..TRIES {
            // Who may not see it must not learn of its files either.
            let found = self
                .read(actor, move |cx| {
                    cx.access()
                        .require(Scope::ConversationsWrite)
                        .or_else(|_| cx.access().require(Scope::MessagesSend))?;
                    find(cx, id, None)
                })
                .await?;
            let files = self.files_of(actor, id, wanted.attachment_ids.as_deref()).await?;
            // What stays has no need of the bytes; one that the mailbox holds back is read in vain.
            let carried = match wanted.when {
                Some(When::Now | When::After(_)) => {
                    let (at, kind) = (found.conversation.id, found.message.kind);
                    self.carried(actor, at, kind, &wanted.of(&found.unsent.writing), &files).await?
                }
                _ => Vec::new(),
            };
            let (wanted, expected) = (wanted.clone(), expected.clone());
            let change = move |cx: &mut Cx<'_>| {
                let freight = Freight { files: &files, carried: &carried };
                change(cx, id, expected.as_deref(), &wanted, freight)
            };
            let changed = self.write(actor, change).await?;
            if let Some(card) = changed {
                return Ok(card);
            }
        }
        Err(Error::Busy)
    }
}
