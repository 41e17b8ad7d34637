//! Messages: read, answered, noted, filed.

use super::conversations::{about, changeable, save, set_status, visible};
use super::{require_version, sight};
use crate::access::Scope;
use crate::actor::{Actor, ActorType};
use crate::conversation::{Conversation, Status, WaitingOn};
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AttachmentId, ConversationId, MessageId};
use crate::mail::{Address, Class, OutgoingFile, SenderAuth, TextParts};
use crate::mailbox::Mailbox;
use crate::message::{Attachment, AuthorType, Message, MessageKind, Outbound, Recipients};
use crate::page::{Page, PageRequest};
use crate::ports::{SafeHtml, ShowHtml};
use crate::signed_link::{self, LONGEST_TTL, LinkPurpose, SignedLink};
use crate::store::messages::NewMessage as Row;
use crate::store::types::Json;
use crate::text::TEXT_BYTES;
use crate::threading::Decision;
use crate::time::Timestamp;
use crate::{Error, store};
use std::collections::HashMap;
use std::time::Duration;

pub mod reparse;
mod reply;

/// A page that is opened in its link's last second has this long to load its pictures.
const PICTURES_LOAD: Duration = Duration::from_mins(1);

/// A message with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageCard {
    /// The message.
    pub message: Message,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// How far it has got, if it leaves.
    pub delivery: Option<Outbound>,
}

impl MessageCard {
    /// What an ETag says of it, without quotes. How far an outgoing one has got changes without the
    /// message itself changing, so both versions count.
    pub fn etag(&self) -> String {
        match &self.delivery {
            Some(delivery) => format!("{}.{}", self.message.etag(), delivery.version),
            None => self.message.etag(),
        }
    }
}

/// A message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// `reply`, `note` or `inbound`.
    pub kind: MessageKind,
    /// What it says.
    pub text: String,
    /// Whom a reply goes to; empty is the customer.
    pub to: Vec<Address>,
    /// Who gets a copy.
    pub cc: Vec<Address>,
    /// Who gets a copy that others don't see.
    pub bcc: Vec<Address>,
    /// Uploads of the caller's.
    pub files: Vec<File>,
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

/// The most recipients of one reply.
const RECIPIENTS: usize = 50;
/// The most files of one message.
const FILES: usize = 50;

/// One page of a conversation's messages, oldest first or newest first.
pub fn list(
    cx: &mut Cx<'_>,
    id: ConversationId,
    newest_first: bool,
    page: PageRequest,
) -> Result<Page<MessageCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    visible(cx, id)?;
    let found = store::messages::list(cx.conn, id, newest_first, page)?;
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

/// A message that the caller wrote before, as it is now. It takes the scope that writing it took,
/// since its answer was given for that alone.
pub fn written(cx: &mut Cx<'_>, kind: MessageKind, id: MessageId) -> Result<MessageCard, Error> {
    require_scope(cx, kind)?;
    find_visible(cx, id)
}

pub(super) fn find_visible(cx: &mut Cx<'_>, id: MessageId) -> Result<MessageCard, Error> {
    let message = store::messages::find(cx.conn, id)?.ok_or(Error::NotFound("message"))?;
    visible(cx, message.conversation_id).map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound("message"),
        other => other,
    })?;
    cards(cx, vec![message])?.pop().ok_or(Error::NotFound("message"))
}

fn cards(cx: &mut Cx<'_>, messages: Vec<Message>) -> Result<Vec<MessageCard>, Error> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    let mut attachments = store::messages::attachments(cx.conn, &ids)?;
    let mut deliveries = store::outbox::of_messages(cx.conn, &ids)?;
    Ok(messages
        .into_iter()
        .map(|message| MessageCard {
            attachments: attachments.remove(&message.id).unwrap_or_default(),
            delivery: deliveries.remove(&message.id),
            message,
        })
        .collect())
}

/// Writes a message into a conversation. A reply is composed, kept and put into the outbox in
/// this one transaction; a note never leaves; `inbound` files what the customer said elsewhere.
///
/// `expected` is the version of the conversation that the caller saw: an answer to what has
/// moved on is refused.
pub fn add(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    new: &NewMessage,
) -> Result<MessageCard, Error> {
    require_scope(cx, new.kind)?;
    let conversation = changeable(cx, id)?;
    require_version("conversation", expected, conversation.etag())?;
    let mut faults = Faults::default();
    check(cx, new, "", &mut faults)?;
    faults.check()?;
    let mailbox =
        store::mailboxes::find(cx.conn, conversation.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    let (_, message_id) = append(cx, conversation, &mailbox, new)?;
    let message = store::messages::find(cx.conn, message_id)?.ok_or(Error::NotFound("message"))?;
    cards(cx, vec![message])?.pop().ok_or(Error::NotFound("message"))
}

fn require_scope(cx: &Cx<'_>, kind: MessageKind) -> Result<(), Error> {
    match kind {
        MessageKind::Reply => cx.access().require(Scope::MessagesSend),
        _ => cx.access().require(Scope::ConversationsWrite),
    }
}

/// Notes what is wrong with a message that stands at `at` in the input.
pub(super) fn check(cx: &mut Cx<'_>, new: &NewMessage, at: &str, faults: &mut Faults) -> Result<(), Error> {
    require_scope(cx, new.kind)?;
    if !matches!(new.kind, MessageKind::Reply | MessageKind::Note | MessageKind::Inbound) {
        faults.add(format!("{at}/kind"), "not_allowed", "must be reply, note or inbound");
    }
    if new.text.trim().is_empty() && new.files.is_empty() {
        faults.add(format!("{at}/text"), "required", "must not be empty");
    }
    if new.text.len() > TEXT_BYTES {
        faults.add(format!("{at}/text"), "too_long", format!("has at most {TEXT_BYTES} bytes"));
    }
    if new.text.contains('\0') {
        faults.add(format!("{at}/text"), "nul_character", "must not hold U+0000");
    }
    if new.files.len() > FILES {
        faults.add(format!("{at}/attachment_ids"), "too_many", format!("has at most {FILES} members"));
    }
    let lists = [("to", &new.to), ("cc", &new.cc), ("bcc", &new.bcc)];
    if new.kind != MessageKind::Reply {
        for (name, list) in lists {
            if !list.is_empty() {
                faults.add(format!("{at}/{name}"), "not_allowed", "only a reply goes to somebody");
            }
        }
        return Ok(());
    }
    if new.to.len() + new.cc.len() + new.bcc.len() > RECIPIENTS {
        faults.add(
            format!("{at}/to"),
            "too_many",
            format!("to, cc and bcc have at most {RECIPIENTS} members in all"),
        );
    }
    for (name, list) in lists {
        for (index, address) in list.iter().take(RECIPIENTS).enumerate() {
            faults.email(&format!("{at}/{name}/{index}/email"), &address.email);
            if let Some(name_of) = &address.name {
                faults.header_name(&format!("{at}/{name}/{index}/name"), name_of, 200);
            }
        }
    }
    Ok(())
}

/// Writes a checked message into a conversation that may be changed. Returns the conversation
/// as it is afterwards.
pub(super) fn append(
    cx: &mut Cx<'_>,
    before: Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
) -> Result<(Conversation, MessageId), Error> {
    let mut after = before.clone();
    let (id, event) = match new.kind {
        MessageKind::Reply => {
            let id = reply::write(cx, &before, mailbox, new)?;
            after.waiting_on = Some(WaitingOn::Customer);
            after.waiting_since = Some(cx.now);
            (id, EventType::MessageQueued)
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
        _ => (write_note(cx, &before, new)?, EventType::MessageNoteAdded),
    };
    if new.kind != MessageKind::Reply {
        attach(cx, id, &new.files)?;
    }
    after.message_count += 1;
    after.last_message_id = Some(id);
    after.last_message_at = cx.now;
    let written = save(cx, &before, &after, true)?;
    let about = About { message_id: Some(id), ..about(&written) };
    cx.tell(NewEvent::new(event, about).with("kind", new.kind.as_str()));
    Ok((written, id))
}

/// Gives uploads to a message. One that was taken meanwhile is a fault of the input.
fn attach(cx: &mut Cx<'_>, id: MessageId, files: &[File]) -> Result<(), Error> {
    for (index, file) in files.iter().enumerate() {
        if !store::messages::attach(cx.conn, &file.attachment.id, id)? {
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
        fingerprint: None,
        raw_hash: None,
        raw_size: None,
        sender_auth: SenderAuth::None,
        flags: Json::new(Vec::new()),
        signals: Json::new(Vec::new()),
        threading: None,
        failed_recipients: Json::new(Vec::new()),
        about_message_id: None,
        sent_at: None,
        received_at: None,
        version: 1,
        created_at: now,
    }
}

fn write_note(cx: &mut Cx<'_>, conversation: &Conversation, new: &NewMessage) -> Result<MessageId, Error> {
    let (author_type, author_id) = author(cx.actor);
    let (text, _) = crate::text::many_lines(&new.text, TEXT_BYTES);
    let row = Row {
        author_type,
        author_id,
        author_name: Some(&cx.actor.name),
        ..row(conversation, MessageKind::Note, &text, cx.now)
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
    let (text, _) = crate::text::many_lines(&new.text, TEXT_BYTES);
    let row = Row {
        author_type: AuthorType::Customer,
        author_id: Some(conversation.customer_id.0),
        author_name: name.as_deref(),
        sender,
        received_at: Some(cx.now),
        ..row(conversation, MessageKind::Inbound, &text, cx.now)
    };
    Ok(store::messages::insert(cx.conn, &row)?)
}

impl Desk {
    /// The raw mail of a message, byte for byte as it came or left.
    pub async fn raw_mail(&self, actor: &Actor, id: MessageId) -> Result<Vec<u8>, Error> {
        let card = self.read(actor, move |cx| find(cx, id)).await?;
        match card.message.raw_hash {
            Some(hash) => self.load(hash).await,
            None => Err(Error::NotFound("raw mail of this message: it never was one")),
        }
    }

    /// A message as HTML that may be shown. Remote images are dropped unless asked for; pictures
    /// that came with it get signed links under `base`, which end with the link that the page itself
    /// was opened by, if one was (`until`).
    pub async fn message_html(
        &self,
        actor: &Actor,
        id: MessageId,
        remote_images: bool,
        base: &str,
        until: Option<Timestamp>,
    ) -> Result<SafeHtml, Error> {
        let card = self.read(actor, move |cx| find(cx, id)).await?;
        let how = ShowHtml { remote_images, pictures: self.pictures(&card.attachments, base, until) };
        let raw = match (&card.message.raw_hash, card.message.has_html) {
            (Some(hash), true) => Some(self.load(hash.clone()).await?),
            _ => None,
        };
        let reader = self.ports().reader.clone();
        let text = card.message.content;
        crate::desk::off_thread(move || {
            Ok(match raw {
                Some(raw) => reader.html(&raw, &how),
                None => reader.text_as_html(&text),
            })
        })
        .await
    }

    /// Links by Content-ID to files that may be pictures inside the text; what a file truly is
    /// shows when it is asked for.
    fn pictures(
        &self,
        files: &[Attachment],
        base: &str,
        until: Option<Timestamp>,
    ) -> HashMap<String, String> {
        let (now, longest) = (self.now(), Duration::from_secs(u64::from(LONGEST_TTL)));
        let left = until.map_or(longest, |until| until.since(now));
        let lives = left.clamp(PICTURES_LOAD, longest);
        let link = |file: &Attachment| {
            let link = signed_link::to_file(self.keys(), &file.id, LinkPurpose::Inline, now, lives);
            format!("{base}{}", link.path)
        };
        files.iter().filter_map(|file| Some((file.content_id.clone()?, link(file)))).collect()
    }

    /// A link to the page of a message, for a frame, and what is to be said beside that frame.
    pub async fn link_to_page(
        &self,
        actor: &Actor,
        id: MessageId,
        remote_images: bool,
        ttl: u32,
    ) -> Result<(SignedLink, SafeHtml), Error> {
        let lives = signed_link::lifetime(ttl)?;
        let safe = self.message_html(actor, id, remote_images, "", None).await?;
        Ok((signed_link::to_page(self.keys(), id, remote_images, self.now(), lives), safe))
    }

    /// Reads the uploads that a message is to carry.
    pub async fn files(&self, actor: &Actor, ids: &[AttachmentId]) -> Result<Vec<File>, Error> {
        let mut files = Vec::with_capacity(ids.len().min(FILES));
        for (index, id) in ids.iter().take(FILES + 1).enumerate() {
            let wanted = id.clone();
            let token = actor.token_id.clone();
            let found =
                self.read(actor, move |cx| Ok(store::messages::find_attachment(cx.conn, &wanted)?)).await?;
            let waiting = found.filter(|upload| upload.message_id.is_none() && upload.token_id == token);
            let upload = waiting.ok_or_else(|| no_upload(index))?;
            let hash = upload.blob_hash.clone().ok_or_else(|| no_upload(index))?;
            let content = self.load(hash).await?;
            files.push(File { attachment: upload, content });
        }
        Ok(files)
    }
}

/// A file as the composer takes it.
fn outgoing(file: &File) -> OutgoingFile {
    OutgoingFile {
        filename: file.attachment.filename.clone(),
        content_type: file.attachment.content_type.clone(),
        content: file.content.clone(),
    }
}
