//! Messages: read, answered, noted, filed.

use super::conversations::visible;
use super::{outbox, sight};
use crate::access::Scope;
use crate::actor::{Actor, ActorType};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::{AgentId, ConversationId, MessageId};
use crate::mail::{Class, SenderAuth, TextParts};
use crate::message::{
    Attachment, AuthorType, HeldUp, Message, MessageKind, MessageSort, Outbound, Recipients,
};
use crate::outgoing::OutgoingFile;
use crate::page::{Page, PageRequest};
use crate::store::messages::NewMessage as Row;
use crate::store::types::Json;
use crate::threading::Decision;
use crate::time::Timestamp;
use crate::unsent::{Unsent, When, Writing};
use crate::{Error, store};

pub(super) mod automatic;
mod dress;
mod files;
mod forward;
mod imported;
pub mod leave;
mod look;
mod mentions;
mod readers;
pub mod reparse;
mod reply;
mod show;
pub mod unsent;
mod write;
pub use forward::Carried;
pub use imported::{Imported, ImportedAuthor, Kept, import};
pub(super) use imported::{check_date, mark, require_imports};
pub use look::look;
pub use reply::Preview;
pub(super) use write::{SHOWS_NOTHING, append, check, require_speaks, scope, shows_nothing};
pub use write::{UNDO_SECONDS, add, preview};

/// A message with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageCard {
    /// The message.
    pub message: Message,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// How far it has got, if it leaves.
    pub delivery: Option<Outbound>,
    /// What keeps it from being tried, beside anything about itself.
    pub held_up: Option<HeldUp>,
    /// Why it has not left yet, if it is to.
    pub unsent: Option<Unsent>,
    /// The agents whom a note names.
    pub mentions: Vec<AgentId>,
}

impl MessageCard {
    /// What an ETag says of it, without quotes. How far an outgoing one has got changes without the
    /// message itself changing, so both versions count; and what holds it up, without either.
    pub fn etag(&self) -> String {
        match (&self.delivery, &self.held_up) {
            (Some(delivery), Some(held)) => {
                let until = held.until.map_or(0, |until| until.0);
                format!("{}.{}.{}.{until}", self.message.etag(), delivery.etag(), held.by)
            }
            (Some(delivery), None) => format!("{}.{}", self.message.etag(), delivery.etag()),
            (None, _) => self.message.etag(),
        }
    }
}

/// A message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// `reply`, `forward`, `note` or `inbound`.
    pub kind: MessageKind,
    /// What it says, and to whom.
    pub writing: Writing,
    /// Uploads of the caller's.
    pub files: Vec<File>,
    /// What a forward that leaves at once carries, as [`Desk::carried`](crate::desk::Desk::carried) reads it.
    pub carried: Vec<Carried>,
    /// Agents whom a note names, beside those whom its text does.
    pub mentions: Vec<AgentId>,
    /// When it leaves; of a note, `Now`.
    pub when: When,
    /// The newest message that the caller has seen: where others came since, nothing is written.
    pub expected_last: Option<MessageId>,
    /// It was written elsewhere, long ago: it is kept as it was, and nothing follows from it.
    pub imported: Option<Imported>,
}

/// An upload and its bytes, read before the transaction: no network inside of one.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// The upload.
    pub attachment: Attachment,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.attachment.id).finish()
    }
}

/// One page of a conversation's messages.
pub fn list(
    cx: &mut Cx<'_>,
    id: ConversationId,
    sort: MessageSort,
    page: PageRequest,
) -> Result<Page<MessageCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    let found = store::messages::list(cx.conn, id, sort, page)?;
    let items = cards(cx, found.items)?;
    Ok(Page { items, next: found.next, total: found.total })
}

/// One message.
pub fn find(cx: &mut Cx<'_>, id: MessageId) -> Result<MessageCard, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    find_visible(cx, id)
}

/// Why a message is where it is, as far as the caller may know. `None`: nothing was decided, it was
/// written here.
pub fn decision(cx: &mut Cx<'_>, id: MessageId) -> Result<Option<Decision>, Error> {
    let Some(decision) = find(cx, id)?.message.threading else { return Ok(None) };
    let decision = decision.into_inner();
    let seen = sight::known(cx, &sight::named(&decision))?;
    Ok(Some(sight::without_hidden(decision, &seen)))
}

pub(super) fn find_visible(cx: &mut Cx<'_>, id: MessageId) -> Result<MessageCard, Error> {
    let message = store::messages::find(cx.conn, id)?.ok_or(Error::NotFound("message"))?;
    visible(cx, message.conversation_id).map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound("message"),
        other => other,
    })?;
    cards(cx, vec![message])?.pop().ok_or(Error::NotFound("message"))
}

/// Messages of conversations that the caller has found, with what is shown beside them.
pub(super) fn cards(cx: &mut Cx<'_>, messages: Vec<Message>) -> Result<Vec<MessageCard>, Error> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    let mut attachments = store::attachments::of_messages(cx.conn, &ids)?;
    let mut deliveries = store::outbox::of_messages(cx.conn, &ids)?;
    let mut unsent = store::unsent::of_messages(cx.conn, &ids)?;
    let held_up = outbox::held_up(cx, deliveries.values())?;
    let notes = messages.iter().filter(|message| message.kind == MessageKind::Note);
    let notes: Vec<MessageId> = notes.map(|note| note.id).collect();
    let mut mentions = store::mentions::of_messages(cx.conn, &notes)?;
    let card = |message: Message| {
        let delivery = deliveries.remove(&message.id);
        let waiting = delivery.as_ref().filter(|mail| mail.waits_in_line());
        MessageCard {
            attachments: attachments.remove(&message.id).unwrap_or_default(),
            held_up: waiting.and_then(|mail| held_up.get(&mail.mailbox_id).cloned()),
            delivery,
            unsent: unsent.remove(&message.id),
            mentions: mentions.remove(&message.id).unwrap_or_default(),
            message,
        }
    };
    Ok(messages.into_iter().map(card).collect())
}

/// Gives uploads to a message. One that was taken meanwhile is a fault of the input.
fn attach(cx: &mut Cx<'_>, id: MessageId, files: &[File]) -> Result<(), Error> {
    for (index, file) in files.iter().enumerate() {
        if !store::attachments::attach(cx.conn, &file.attachment.id, id)? {
            return Err(no_upload(index));
        }
    }
    Ok(())
}

fn no_upload(index: usize) -> Error {
    Error::invalid(
        format!("/attachment_ids/{index}"),
        "not_found",
        "there is no upload of yours with this id that waits for a message",
    )
}

/// Who the caller is as an author.
fn author(actor: &Actor) -> (AuthorType, Option<i64>) {
    match (actor.kind, actor.agent_id) {
        (_, Some(agent)) => (AuthorType::Agent, Some(agent.0)),
        (ActorType::System, None) => (AuthorType::System, None),
        _ => (AuthorType::Token, None),
    }
}

/// A row with everything that a message written here has in common.
fn row<'a>(conversation: &'a Conversation, kind: MessageKind, text: &'a str, now: Timestamp) -> Row<'a> {
    Row {
        conversation_id: conversation.id,
        mailbox_id: conversation.mailbox_id,
        kind,
        class: Class::Human,
        author_type: AuthorType::System,
        author_id: None,
        author_name: None,
        sender: None,
        recipients: Json::new(Recipients::default()),
        subject: &conversation.subject,
        content: text,
        reply_content: None,
        text_parts: Json::new(TextParts::default()),
        has_html: false,
        internet_message_id: None,
        thread_index: None,
        fingerprint: None,
        raw_hash: None,
        raw_size: None,
        sender_auth: SenderAuth::None,
        flags: Json::new(Vec::new()),
        signals: Json::new(Vec::new()),
        threading: None,
        failed_recipients: Json::new(Vec::new()),
        about_message_id: None,
        side_id: None,
        sent_at: None,
        released_at: None,
        received_at: None,
        version: 1,
        created_at: now,
    }
}

/// A file as the composer takes it.
fn outgoing(file: &File) -> OutgoingFile {
    OutgoingFile {
        filename: file.attachment.filename.clone(),
        content_type: file.attachment.content_type.clone(),
        content: file.content.clone(),
        content_id: file.attachment.content_id.clone(),
    }
}
