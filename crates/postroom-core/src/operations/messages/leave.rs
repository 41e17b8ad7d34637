//! What was held or scheduled leaves when its time has come: it is composed then, and is mail on its way
//! from there on.

use super::dress::Author;
use super::forward::Freight;
use super::unsent::{UnsentChange, back_to_draft, take_back};
use super::write::left;
use super::{Carried, File, MessageCard, reply};
use crate::access::Scope;
use crate::actor::Actor;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::id::{AgentId, MessageId};
use crate::mailbox::Mailbox;
use crate::message::{AuthorType, Message};
use crate::operations::conversations::changeable;
use crate::operations::{outbox, overtaken, require_version};
use crate::store::types::Json;
use crate::store::unsent::Rewritten;
use crate::time::Timestamp;
use crate::unsent::{Unsent, UnsentState, When};
use crate::{Error, store};
use std::time::Duration;

/// Nothing is held for longer than this, but by a clock that was set back since.
const LONGEST_HELD: Duration = Duration::from_mins(25);

/// The messages whose time has come.
pub fn due(cx: &mut Cx<'_>, limit: i64) -> Result<Vec<MessageId>, Error> {
    Ok(store::unsent::due(cx.conn, cx.now, cx.now.plus(LONGEST_HELD), limit)?)
}

/// When the next message's time comes.
pub fn next_due(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    Ok(store::unsent::next_due(cx.conn)?)
}

/// Composes a message that has not left, and puts it into the outbox.
pub(super) fn leave(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    message: &Message,
    unsent: &Unsent,
    freight: Freight<'_>,
) -> Result<(), Error> {
    let id = message.id;
    let author = Author::of(message);
    let prepared = reply::prepare(cx, conversation, mailbox, message.kind, &unsent.writing, author)?;
    let rewritten = Rewritten {
        author_type: message.author_type,
        author_id: message.author_id,
        author_name: message.author_name.as_deref(),
        sender: Some(Json::new(prepared.from.clone())),
        recipients: Json::new(prepared.recipients.clone()),
        subject: &prepared.subject,
        content: &prepared.text,
        released_at: message.released_at,
        version: message.version + 1,
    };
    if !store::unsent::rewrite(cx.conn, message, &rewritten)? || !store::unsent::delete(cx.conn, unsent)? {
        return Err(overtaken());
    }
    store::messages::set_sent_at(cx.conn, id, cx.now)?;
    reply::freeze(cx, conversation, mailbox, id, &unsent.writing, prepared, freight)?;
    left(cx, conversation, id, message.kind, agent_of(message)).map(drop)
}

/// The agent who wrote a message, if one did.
fn agent_of(message: &Message) -> Option<AgentId> {
    message.author_id.filter(|_| message.author_type == AuthorType::Agent).map(AgentId)
}

/// Lets a message leave whose time has come. `false`: it has other files by now than were read, or
/// carries something else.
fn leave_due(cx: &mut Cx<'_>, id: MessageId, freight: Freight<'_>) -> Result<bool, Error> {
    // The message first: what was written since then has raised its version, and this runs again.
    let Some(message) = store::messages::find(cx.conn, id)? else { return Ok(true) };
    let Some(unsent) = store::unsent::find(cx.conn, id)? else { return Ok(true) };
    let is_due = unsent.leaves_at.is_some_and(|at| {
        at <= cx.now || (unsent.state == UnsentState::Held && at > cx.now.plus(LONGEST_HELD))
    });
    if !is_due {
        return Ok(true);
    }
    let own = store::attachments::of_messages(cx.conn, &[id])?.remove(&id).unwrap_or_default();
    let read = freight.files.iter().map(|file| &file.attachment.id);
    if own.iter().map(|file| &file.id).ne(read) || !freight.is_for(&unsent.writing) {
        return Ok(false);
    }
    let conversation = changeable(cx, message.conversation_id)?;
    require_author(cx, &message)?;
    let mailbox =
        store::mailboxes::find(cx.conn, conversation.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    leave(cx, &conversation, &mailbox, &message, &unsent, freight)?;
    Ok(true)
}

/// Nothing leaves by itself in the name of somebody who was disabled since: whoever lets the draft go says it
/// in their own.
fn require_author(cx: &mut Cx<'_>, message: &Message) -> Result<(), Error> {
    let Some(id) = agent_of(message) else { return Ok(()) };
    let agent = store::people::find_agent(cx.conn, id)?;
    if agent.is_some_and(|agent| agent.disabled_at.is_none()) {
        return Ok(());
    }
    Err(Error::StateConflict("whoever wrote it is disabled by now; somebody else may send it".to_owned()))
}

/// A message that can't leave is a draft again and says why: it must not be tried for ever, and nobody's
/// words are lost.
fn stays(cx: &mut Cx<'_>, id: MessageId, why: &str) -> Result<(), Error> {
    let Some(message) = store::messages::find(cx.conn, id)? else { return Ok(()) };
    let Some(unsent) = store::unsent::find(cx.conn, id)? else { return Ok(()) };
    let found = store::conversations::find_many(cx.conn, &[message.conversation_id])?;
    let conversation = found.get(&message.conversation_id).ok_or(Error::NotFound("conversation"))?;
    back_to_draft(cx, conversation, &message, &unsent, Some(why))
}

/// Stops a message: what is held or scheduled is a draft again, and what is on its way goes to nobody whom
/// it has not reached yet. What is being handed over, or is settled, can't be stopped.
///
/// `expected` is the version of the message that the caller saw.
pub fn cancel(cx: &mut Cx<'_>, id: MessageId, expected: Option<&str>) -> Result<MessageCard, Error> {
    cx.access().require(Scope::MessagesSend)?;
    if let Some(card) = take_back(cx, id, expected)? {
        return Ok(card);
    }
    let card = super::find_visible(cx, id)?;
    require_version("message", expected, card.etag())?;
    outbox::cancel(cx, id)?;
    super::find_visible(cx, id)
}

/// Whether a message is held: such a one is let go, and not tried again.
pub fn is_held(cx: &mut Cx<'_>, id: MessageId) -> Result<bool, Error> {
    cx.access().require(Scope::MessagesSend)?;
    Ok(super::find_visible(cx, id)?.unsent.is_some_and(|unsent| unsent.state == UnsentState::Held))
}

/// Tries a message again that did not arrive ([`outbox::retry`]).
///
/// `expected` is the version of the message that the caller saw.
pub fn retry(cx: &mut Cx<'_>, id: MessageId, expected: Option<&str>) -> Result<MessageCard, Error> {
    cx.access().require(Scope::MessagesSend)?;
    let card = super::find_visible(cx, id)?;
    if let Some(unsent) = &card.unsent {
        // Who may only read learns that, rather than what else is in the way.
        changeable(cx, card.message.conversation_id)?;
        let what = match unsent.state {
            UnsentState::Draft => "a draft",
            UnsentState::Held => "held",
            UnsentState::Scheduled => "scheduled",
        };
        return Err(Error::StateConflict(format!(
            "this message is {what} and was not tried yet; PATCH it with draft: false to send it"
        )));
    }
    require_version("message", expected, card.etag())?;
    outbox::retry(cx, id)?;
    super::find_visible(cx, id)
}

impl Desk {
    /// Lets go at once of a message that is held.
    ///
    /// `expected` is the version of the message that the caller saw.
    pub async fn let_go(
        &self,
        actor: &Actor,
        id: MessageId,
        expected: Option<String>,
    ) -> Result<MessageCard, Error> {
        let now = UnsentChange { when: Some(When::After(0)), ..UnsentChange::default() };
        self.change_unsent(actor, id, expected, now).await
    }

    /// Lets a message leave whose time has come. One that can't is a draft again. Whatever else is wrong,
    /// the store or a file, will be tried again.
    pub async fn leave(&self, id: MessageId) -> Result<(), Error> {
        let system = Actor::system();
        loop {
            let files = match self.files_of(&system, id, None).await {
                // It has left, by another daemon, and its files stand in its raw mail now.
                Err(Error::Invalid(_)) => return Ok(()),
                files => files,
            };
            match self.leave_with(&system, id, files).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(
                    error
                    @ (Error::Invalid(_) | Error::Compose(_) | Error::Lost(_) | Error::StateConflict(_)),
                ) => {
                    let why = because(&error);
                    tracing::warn!(message = %id, why, "a message can't leave and is a draft again");
                    return self.write(&system, move |cx| stays(cx, id, &why)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Desk {
    async fn leave_with(
        &self,
        system: &Actor,
        id: MessageId,
        files: Result<Vec<File>, Error>,
    ) -> Result<bool, Error> {
        let files = files?;
        let carried = self.carried_of(system, id, &files).await?;
        let leave = move |cx: &mut Cx<'_>| leave_due(cx, id, Freight { files: &files, carried: &carried });
        self.write(system, leave).await
    }

    /// Reads what a message carries that is to leave now.
    async fn carried_of(&self, system: &Actor, id: MessageId, files: &[File]) -> Result<Vec<Carried>, Error> {
        let found = self
            .read(system, move |cx| {
                let unsent = store::unsent::find(cx.conn, id)?;
                Ok((unsent, store::messages::find(cx.conn, id)?))
            })
            .await?;
        let (Some(unsent), Some(message)) = found else { return Ok(Vec::new()) };
        self.carried(system, message.conversation_id, message.kind, &unsent.writing, files).await
    }
}

fn because(error: &Error) -> String {
    match error {
        Error::Invalid(faults) => {
            let told: Vec<String> = faults.iter().map(|fault| fault.detail.clone()).collect();
            told.join("; ")
        }
        Error::Compose(inner) => inner.to_string(),
        Error::Lost(which) => {
            format!("a file of it is lost ({which}); it can leave without that, or with the file anew")
        }
        other => other.to_string(),
    }
}
