//! One mail gets its automatic answer, or none. Intake only notes that a mail may get one; all else is done
//! here, in a transaction of its own a moment later, so that nothing about answers can hinder mail from
//! coming in.

use super::gate::{Facts, refusal};
use super::known;
use crate::actor::Actor;
use crate::auto_reply::texts::{choose, subject};
use crate::auto_reply::{AnswerKind, MailboxAutoReply, WantedAnswer, Withheld, language};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::event::{About, EventType, NewEvent};
use crate::id::MessageId;
use crate::mail::Address;
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::operations::breaker::{self, Automatic, Verdict};
use crate::operations::{conversations, messages, schedules};
use crate::schedule::{Schedule, zone};
use crate::template::{self, Filling, Placeholder};
use crate::text::{SUBJECT_CHARS, fold_address, one_line};
use crate::time::Timestamp;
use crate::unsent::Writing;
use crate::{Error, store};

/// Mails that may get an answer, the oldest first.
pub fn wanted(cx: &mut Cx<'_>, limit: i64) -> Result<Vec<MessageId>, Error> {
    Ok(store::auto_replies::wanted(cx.conn, limit)?)
}

/// Everything that an answer hangs on.
struct Asked {
    message: Message,
    conversation: Conversation,
    mailbox: Mailbox,
    wanted: WantedAnswer,
}

/// Takes a mail that may get an answer. `None`: somebody else has, or it is gone.
fn take(cx: &mut Cx<'_>, id: MessageId) -> Result<Option<Asked>, Error> {
    let Some(wanted) = store::auto_replies::take_wanted(cx.conn, id)? else { return Ok(None) };
    let Some(message) = store::messages::find(cx.conn, id)? else { return Ok(None) };
    let mut found = store::conversations::find_many(cx.conn, &[message.conversation_id])?;
    let Some(conversation) = found.remove(&message.conversation_id) else { return Ok(None) };
    let Some(mailbox) = store::mailboxes::find(cx.conn, conversation.mailbox_id)? else { return Ok(None) };
    Ok(Some(Asked { message, conversation, mailbox, wanted }))
}

/// Answers a mail, if it may get an answer.
fn answer(cx: &mut Cx<'_>, id: MessageId) -> Result<(), Error> {
    let Some(asked) = take(cx, id)? else { return Ok(()) };
    let settings = known(cx, asked.mailbox.id)?;
    let Some((kind, opening)) = due(cx, &settings)? else { return Ok(()) };
    if let Some(why) = refused(cx, &asked)? {
        withhold(cx, &asked, kind, why);
        return Ok(());
    }
    let Some(sender) = &asked.message.sender else { return Ok(()) };
    let recipient = fold_address(&sender.email);
    // Only the address: what they call themselves is theirs to say, and not ours to repeat.
    let to = Address { name: None, email: sender.email.clone() };
    let mail = Automatic {
        mailbox: asked.mailbox.id,
        conversation: asked.conversation.id,
        recipient: &recipient,
        rule: kind.as_str(),
    };
    let held = match breaker::ask(cx, &mail)? {
        Verdict::Withhold(why) => {
            withhold(cx, &asked, kind, why);
            return Ok(());
        }
        Verdict::Hold(why) => Some(why),
        Verdict::Go => None,
    };
    let writing = write(cx, &asked, &settings, kind, &opening, to)?;
    messages::automatic::add(cx, &asked.conversation, &asked.mailbox, writing, held)?;
    Ok(())
}

/// When it next opens, and on which clock.
struct Opening {
    schedule: Option<Schedule>,
    next: Option<Timestamp>,
}

/// Which answer the mailbox gives just now, if any.
fn due(cx: &mut Cx<'_>, settings: &MailboxAutoReply) -> Result<Option<(AnswerKind, Opening)>, Error> {
    let none = Opening { schedule: None, next: None };
    if settings.out_of_hours
        && let Some(id) = settings.schedule_id
        && let Some(schedule) = store::schedules::find(cx.conn, id)?
    {
        let opening = schedules::timetable(&schedule)?.opening(cx.now);
        if !opening.is_open {
            let opening = Opening { schedule: Some(schedule), next: opening.next_opening };
            return Ok(Some((AnswerKind::OutOfHours, opening)));
        }
    }
    Ok(settings.acknowledge.then_some((AnswerKind::Acknowledgement, none)))
}

fn refused(cx: &mut Cx<'_>, asked: &Asked) -> Result<Option<Withheld>, Error> {
    let Asked { message, conversation, mailbox, wanted } = asked;
    let mailboxes = store::mailboxes::list(cx.conn)?;
    let relays = mailbox.relay_addresses.iter().map(|relay| fold_address(relay));
    let sender = message.sender.as_ref().map(|sender| fold_address(&sender.email)).unwrap_or_default();
    let addresses = match store::customers::find_by_address(cx.conn, &sender)? {
        Some(customer) => store::customers::addresses(cx.conn, &[customer])?,
        None => Vec::new(),
    };
    let address = addresses.iter().find(|address| fold_address(&address.email) == sender);
    let recipients = message.recipients.to.iter().chain(&message.recipients.cc);
    Ok(refusal(&Facts {
        class: message.class,
        sender_auth: message.sender_auth,
        flags: message.flags.to_vec(),
        hints: wanted.hints.clone().into_inner(),
        recipients: recipients.map(|address| fold_address(&address.email)).collect(),
        came: message.received_at.unwrap_or(message.created_at),
        status: conversation.status,
        is_trashed: conversation.deleted_at.is_some(),
        mailbox: mailbox.own_addresses().collect(),
        own: mailboxes.iter().flat_map(Mailbox::own_addresses).chain(relays).collect(),
        is_agent: store::people::find_agent_by_email(cx.conn, &sender)?.is_some(),
        is_undeliverable: address.is_some_and(|address| address.undeliverable_at.is_some()),
        has_complained: address.is_some_and(|address| address.complained_at.is_some()),
        sender,
        now: cx.now,
    }))
}

/// Tells that a mail gets no answer, and why.
fn withhold(cx: &mut Cx<'_>, asked: &Asked, kind: AnswerKind, why: Withheld) {
    let about = About { message_id: Some(asked.message.id), ..conversations::about(&asked.conversation) };
    let event = NewEvent::new(EventType::AutoReplyWithheld, about)
        .with("kind", kind.as_str())
        .with("reason", why.as_str());
    cx.tell(event);
}

/// The answer in the language of the mail, with nothing in it that its sender wrote.
fn write(
    cx: &mut Cx<'_>,
    asked: &Asked,
    settings: &MailboxAutoReply,
    kind: AnswerKind,
    opening: &Opening,
    to: Address,
) -> Result<Writing, Error> {
    let own = store::auto_replies::texts(cx.conn, asked.mailbox.id)?;
    let languages = &asked.wanted.hints.languages;
    let chosen = choose(asked.mailbox.id, &own, kind, languages, &settings.default_language);
    let text = chosen.ok_or(Error::NotFound("text"))?;
    let zone = opening.schedule.as_ref().and_then(|schedule| zone(&schedule.time_zone));
    let value = |placeholder| {
        Filling::Text(match placeholder {
            Placeholder::MailboxName => asked.mailbox.name.clone(),
            Placeholder::MailboxAddress => asked.mailbox.address.clone(),
            Placeholder::ConversationId => asked.conversation.id.to_string(),
            Placeholder::NextOpening => match &zone {
                Some((_, zone)) => language::opening(&text.language, zone, opening.next),
                None => String::new(),
            },
            // None of the others may stand in such a text.
            _ => String::new(),
        })
    };
    let subject = template::line(subject(&text), value);
    let body = template::fill(&text.body, value);
    Ok(Writing {
        plain: body.filled.map(|filled| filled.plain),
        text: body.text,
        format: body.format,
        subject: Some(one_line(&subject, SUBJECT_CHARS)),
        to: vec![to],
        ..Writing::default()
    })
}

/// An answer that can't be written is given up, and told: it must not be tried for ever.
fn give_up(cx: &mut Cx<'_>, id: MessageId) -> Result<(), Error> {
    let Some(asked) = take(cx, id)? else { return Ok(()) };
    let settings = known(cx, asked.mailbox.id)?;
    let kind = if settings.acknowledge { AnswerKind::Acknowledgement } else { AnswerKind::OutOfHours };
    withhold(cx, &asked, kind, Withheld::Failed);
    Ok(())
}

impl Desk {
    /// Decides about a mail that may get an automatic answer. Fails only where the store does.
    pub async fn answer(&self, id: MessageId) -> Result<(), Error> {
        let system = Actor::system();
        match self.write(&system, move |cx| answer(cx, id)).await {
            Err(
                error
                @ (Error::Invalid(_) | Error::Compose(_) | Error::StateConflict(_) | Error::NotFound(_)),
            ) => {
                tracing::error!(message = %id, error = ?error, "an automatic answer can't be written");
                self.write(&system, move |cx| give_up(cx, id)).await
            }
            other => other,
        }
    }
}
