//! What a forward carries: messages of its conversation and their files. They are read before its
//! transaction, since a file is cut out of raw mail that may have to be fetched.

use super::write::FILES;
use super::{File, outgoing};
use crate::access::Scope;
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::id::{AttachmentId, ConversationId, MessageId};
use crate::mail::Address;
use crate::mailbox::Mailbox;
use crate::message::{Attachment, Message, MessageKind};
use crate::operations::conversations::visible;
use crate::outgoing::{FORWARDED_MESSAGES, Forwarded, OutgoingFile};
use crate::ports::{ReadMail, ShowHtml};
use crate::text::{fold_address, without_plus};
use crate::unsent::Writing;
use crate::{Error, store};

/// A message that a forward carries, and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    id: MessageId,
    mail: Forwarded,
    files: Vec<File>,
}

/// The bytes that a message takes along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freight<'a> {
    /// Its own files.
    pub(super) files: &'a [File],
    /// What it carries, as its writing has it.
    pub(super) carried: &'a [Carried],
}

impl<'a> Freight<'a> {
    /// All of its files: its own first.
    pub(super) fn all_files(self) -> impl Iterator<Item = &'a File> {
        self.files.iter().chain(self.carried.iter().flat_map(|carried| &carried.files))
    }

    /// As the composer takes the files.
    pub(super) fn outgoing(self) -> Vec<OutgoingFile> {
        self.all_files().map(outgoing).collect()
    }

    /// As the composer takes the messages.
    pub(super) fn forwarded(self) -> Vec<Forwarded> {
        self.carried.iter().map(|carried| carried.mail.clone()).collect()
    }

    /// Whether it is what this writing wants.
    pub(super) fn is_for(self, writing: &Writing) -> bool {
        writing.forward_message_ids.iter().eq(self.carried.iter().map(|carried| &carried.id))
            && (!writing.without_files || self.carried.iter().all(|carried| carried.files.is_empty()))
    }
}

/// How much a message's own files are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    pub(super) count: usize,
    pub(super) bytes: i64,
}

impl Weight {
    pub(super) fn of(files: &[File]) -> Self {
        Self { count: files.len(), bytes: files.iter().map(|file| file.attachment.size).sum() }
    }
}

/// Notes what is wrong with the messages that a forward is to carry, and gives back those that it may, with
/// their files. Whoever asks sees the conversation. A forward is its writer's choice, so that nobody need
/// have been party to what it carries; notes, and what has not left, stay inside all the same.
pub(super) fn check(
    cx: &mut Cx<'_>,
    conversation: Option<ConversationId>,
    kind: MessageKind,
    writing: &Writing,
    own: Weight,
    at: &str,
    faults: &mut Faults,
) -> Result<Vec<(Message, Vec<Attachment>)>, Error> {
    let ids = &writing.forward_message_ids;
    let list = format!("{at}/forward_message_ids");
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    if kind != MessageKind::Forward {
        faults.add(list, "not_allowed", "only a forward carries messages");
        return Ok(Vec::new());
    }
    if ids.len() > FORWARDED_MESSAGES {
        faults.add(list, "too_many", format!("has at most {FORWARDED_MESSAGES} members"));
        return Ok(Vec::new());
    }
    let unsent = store::unsent::of_messages(cx.conn, ids)?;
    let mut files = store::attachments::of_messages(cx.conn, ids)?;
    let mut all = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let found = store::messages::find(cx.conn, *id)?;
        let Some(message) = found.filter(|message| Some(message.conversation_id) == conversation) else {
            let detail = "there is no such message in this conversation";
            faults.add(format!("{list}/{index}"), "not_found", detail);
            continue;
        };
        if message.kind == MessageKind::Note || unsent.contains_key(id) {
            let detail = "notes, and what has not left, are not forwarded";
            faults.add(format!("{list}/{index}"), "not_allowed", detail);
        }
        if ids.iter().take(index).any(|before| before == id) {
            faults.add(format!("{list}/{index}"), "duplicate", "stands here twice");
        }
        let files = files.remove(id).filter(|_| !writing.without_files).unwrap_or_default();
        all.push((message, files));
    }
    let files = || all.iter().flat_map(|(_, files)| files);
    if own.count + files().count() > FILES {
        let detail = format!("with their files it has more than {FILES} files");
        faults.add(list.clone(), "too_many_files", detail);
    }
    let most = cx.settings.mail_bytes as i64;
    if own.bytes.saturating_add(files().map(|file| file.size).sum()) > most {
        faults.add(list, "too_large", format!("with their files it has more than {most} bytes of files"));
    }
    Ok(all)
}

impl Desk {
    /// Reads what a forward is to carry. Fails where it may not.
    pub async fn carried(
        &self,
        actor: &Actor,
        conversation: ConversationId,
        kind: MessageKind,
        writing: &Writing,
        own: &[File],
    ) -> Result<Vec<Carried>, Error> {
        if writing.forward_message_ids.is_empty() {
            return Ok(Vec::new());
        }
        let (wanted, own) = (writing.clone(), Weight::of(own));
        let (mailbox, all) = self
            .read(actor, move |cx| {
                cx.access()
                    .require(Scope::ConversationsWrite)
                    .or_else(|_| cx.access().require(Scope::MessagesSend))?;
                let found = visible(cx, conversation)?;
                let mailbox =
                    store::mailboxes::find(cx.conn, found.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
                let mut faults = Faults::default();
                let all = check(cx, Some(conversation), kind, &wanted, own, "", &mut faults)?;
                faults.check()?;
                Ok((mailbox, all))
            })
            .await?;
        let mut carried = Vec::with_capacity(all.len());
        for (message, attachments) in all {
            carried.push(self.carry(&mailbox, message, attachments).await?);
        }
        Ok(carried)
    }

    async fn carry(
        &self,
        mailbox: &Mailbox,
        message: Message,
        attachments: Vec<Attachment>,
    ) -> Result<Carried, Error> {
        // Ours are shown as they were written: their HTML holds what was put around it, quotes too.
        let shows_html = message.has_html && message.kind == MessageKind::Inbound;
        let needs_raw = shows_html || attachments.iter().any(|file| file.part.is_some());
        let raw = match &message.raw_hash {
            Some(hash) if needs_raw => self.load(hash.clone()).await?,
            _ => Vec::new(),
        };
        let mut kept = Vec::with_capacity(attachments.len());
        for attachment in attachments {
            let content = match (&attachment.part, &attachment.blob_hash) {
                (None, Some(hash)) => self.load(hash.clone()).await?,
                _ => Vec::new(),
            };
            kept.push((attachment, content));
        }
        let reader = self.ports().reader.clone();
        let mail = forwarded(mailbox, &message);
        crate::desk::off_thread(move || {
            let html = shows_html.then(|| reader.html(&raw, &ShowHtml::default()));
            let html = html.filter(|safe| !safe.is_shortened).map(|safe| safe.html);
            let files = kept.into_iter().map(|(file, content)| cut(&*reader, &raw, file, content));
            let files = files.collect::<Result<Vec<File>, Error>>()?;
            Ok(Carried { id: message.id, mail: Forwarded { html, ..mail }, files })
        })
        .await
    }
}

/// A file of another message as one of its own: what was shown inside that one's text goes as any other.
fn cut(reader: &dyn ReadMail, raw: &[u8], file: Attachment, content: Vec<u8>) -> Result<File, Error> {
    let content = match file.part {
        Some(part) => reader
            .part(raw, part)
            .ok_or_else(|| Error::Lost(format!("part {part} is not in its raw mail any more")))?,
        None => content,
    };
    let attachment = Attachment {
        id: AttachmentId::fresh(),
        message_id: None,
        part: None,
        blob_hash: None,
        inline: false,
        content_id: None,
        token_id: None,
        expires_at: None,
        ..file
    };
    Ok(File { attachment, content })
}

/// A message as it is forwarded: without Bcc, and our own addresses without the token that names the
/// conversation, which is for those who were written to.
fn forwarded(mailbox: &Mailbox, message: &Message) -> Forwarded {
    let own: Vec<String> = mailbox.own_addresses().collect();
    let plain = |address: &Address| {
        let bare = without_plus(&fold_address(&address.email));
        let email = if own.contains(&bare) { bare } else { address.email.clone() };
        Address { name: address.name.clone(), email }
    };
    let list = |addresses: &[Address]| addresses.iter().map(plain).collect();
    Forwarded {
        from: message.sender.as_deref().map(plain),
        date: message.sent_at.or(message.received_at).unwrap_or(message.created_at),
        subject: message.subject.clone(),
        to: list(&message.recipients.to),
        cc: list(&message.recipients.cc),
        text: message.content.clone(),
        html: None,
    }
}
