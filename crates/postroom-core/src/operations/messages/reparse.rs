//! A kept mail is read anew, for whoever reads mail better than the program that took it in. What
//! its message says is mended; where it is, who is in it, what it is known by, and who vouches for
//! its sender were decided when it came and stay.

use super::{MessageCard, find_visible};
use crate::access::Scope;
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AttachmentId, MailboxId, MessageId};
use crate::mail::{Mail, Part};
use crate::message::{Attachment, AuthorType, Message, MessageKind, ReadField, Recipients};
use crate::operations::conversations::{about, require_reply, visible};
use crate::operations::ledger::feedable;
use crate::operations::{overtaken, require_version};
use crate::ports::ReadContext;
use crate::store::messages::Reread;
use crate::store::types::Json;
use crate::text::fold_address;
use crate::threading::Flag;
use crate::time::Timestamp;
use crate::{Error, store};
use serde::{Deserialize, Serialize};

/// A message after its mail was read anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reparsed {
    /// The message as it is now, or would be.
    pub card: MessageCard,
    /// What it says otherwise; empty where it was right.
    pub changed: Vec<ReadField>,
}

/// A message that may be read anew by the caller.
fn changeable(cx: &mut Cx<'_>, id: MessageId, expected: Option<&str>) -> Result<MessageCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let card = find_visible(cx, id)?;
    // Trash is no obstacle: whoever takes a conversation out of it wants its mail read as well.
    let conversation = visible(cx, card.message.conversation_id)?;
    require_reply(cx, &conversation)?;
    require_version("message", expected, card.etag())?;
    if card.message.kind != MessageKind::Inbound || card.message.raw_hash.is_none() {
        return Err(Error::StateConflict("only mail that came in can be read anew".to_owned()));
    }
    Ok(card)
}

/// What a message is by today's reading.
///
/// Fails where today's reader can't make out what an older one could: what is there is better.
fn reread(before: MessageCard, mail: &Mail, now: Timestamp) -> Result<Reparsed, Error> {
    let MessageCard { message: before, attachments: files, delivery, held_up, unsent, mentions } = before;
    let was_readable = !before.flags.contains(&Flag::Unreadable);
    let is_poorer = was_readable || (mail.text.is_empty() && !before.content.is_empty());
    if let Some(problem) = mail.problem.as_ref().filter(|_| is_poorer) {
        return Err(Error::StateConflict(format!(
            "this mail can't be read in full today, so its message stays as it is: {problem}"
        )));
    }
    let mut after = Message {
        class: mail.class,
        recipients: Json::new(Recipients {
            to: mail.to.clone(),
            cc: mail.cc.clone(),
            bcc: before.recipients.bcc.clone(),
            reply_to: mail.reply_to.clone(),
        }),
        subject: mail.subject.clone(),
        content: mail.text.clone(),
        reply_content: mail.reply_text.clone(),
        text_parts: Json::new(mail.parts_of_text.clone()),
        has_html: mail.has_html,
        fingerprint: Some(mail.fingerprint.to_vec()),
        flags: Json::new(flags(&before, mail)),
        signals: Json::new(mail.signals.clone()),
        failed_recipients: Json::new(mail.failed_recipients.clone()),
        sent_at: mail.date,
        ..before.clone()
    };
    name_sender(&mut after, mail);
    let attachments = match_files(after.id, &files, &mail.parts, now);
    let mut changed = differences(&before, &after);
    if attachments != files {
        changed.push(ReadField::Attachments);
    }
    if !changed.is_empty() {
        after.version += 1;
    }
    Ok(Reparsed {
        card: MessageCard { message: after, attachments, delivery, held_up, unsent, mentions },
        changed,
    })
}

/// What is shown beside a message, as far as reading it decides.
fn flags(before: &Message, mail: &Mail) -> Vec<Flag> {
    let mut flags = before.flags.clone().into_inner();
    for (applies, flag) in [(mail.problem.is_some(), Flag::Unreadable), (mail.is_shortened, Flag::Shortened)]
    {
        if !applies {
            flags.retain(|known| *known != flag);
        } else if !flags.contains(&flag) {
            flags.push(flag);
        }
    }
    flags
}

/// The sender's name may be read better. An address that is read otherwise is somebody else, whom
/// nobody has vouched for and who was not asked for when the mail was placed: it stays.
fn name_sender(message: &mut Message, mail: &Mail) {
    let (Some(before), Some(now)) = (message.sender.as_deref(), mail.sender()) else { return };
    if fold_address(&before.email) != fold_address(&now.email) {
        return;
    }
    let is_outside = matches!(message.author_type, AuthorType::Customer | AuthorType::Unknown);
    if is_outside && message.author_name == before.name {
        message.author_name.clone_from(&now.name);
    }
    message.sender = Some(Json::new(now.clone()));
}

/// What a message says otherwise than before.
fn differences(before: &Message, after: &Message) -> Vec<ReadField> {
    let (was, is) = (&before.recipients, &after.recipients);
    let (parts, now) = (&before.text_parts, &after.text_parts);
    [
        (ReadField::From, before.sender != after.sender || before.author_name != after.author_name),
        (ReadField::To, was.to != is.to),
        (ReadField::Cc, was.cc != is.cc),
        (ReadField::ReplyTo, was.reply_to != is.reply_to),
        (ReadField::Subject, before.subject != after.subject),
        (ReadField::Text, before.content != after.content),
        (ReadField::ReplyText, before.reply_content != after.reply_content),
        (ReadField::QuotedText, parts.quoted != now.quoted),
        (ReadField::Signature, parts.signature != now.signature),
        (ReadField::HasHtml, before.has_html != after.has_html),
        (ReadField::Class, before.class != after.class),
        (ReadField::Signals, before.signals != after.signals),
        (ReadField::Flags, before.flags != after.flags),
        (ReadField::FailedRecipients, before.failed_recipients != after.failed_recipients),
        (ReadField::SentAt, before.sent_at != after.sent_at),
        (ReadField::Fingerprint, before.fingerprint != after.fingerprint),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

/// The files of a message by today's reading. A part that was known keeps its id, whatever else is
/// read of it otherwise: links and frontends have it.
fn match_files(id: MessageId, known: &[Attachment], parts: &[Part], now: Timestamp) -> Vec<Attachment> {
    type Alike = fn(&Attachment, &Part) -> bool;
    fn same_name(file: &Attachment, part: &Part) -> bool {
        file.filename == part.filename || (part.content_id.is_some() && file.content_id == part.content_id)
    }
    // The surest first: a reader may count parts otherwise, decode more of them, or name them better.
    let alike: [Alike; 4] = [
        |file, part| file.part == Some(part.part) && file.size == part.size && same_name(file, part),
        |file, part| file.size == part.size && same_name(file, part),
        |file, part| file.part == Some(part.part) && (file.size == part.size || same_name(file, part)),
        |file, part| file.part == Some(part.part) && file.content_type == part.content_type,
    ];
    let mut left: Vec<&Attachment> = known.iter().collect();
    let mut ids: Vec<Option<&Attachment>> = vec![None; parts.len()];
    for is_alike in alike {
        for (part, found) in parts.iter().zip(&mut ids).filter(|(_, found)| found.is_none()) {
            if let Some(at) = left.iter().position(|file| is_alike(file, part)) {
                *found = Some(left.remove(at));
            }
        }
    }
    let file = |(part, known): (&Part, Option<&Attachment>)| Attachment {
        id: known.map_or_else(AttachmentId::fresh, |known| known.id.clone()),
        message_id: Some(id),
        part: Some(part.part),
        blob_hash: None,
        filename: part.filename.clone(),
        content_type: part.content_type.clone(),
        size: part.size,
        inline: part.inline,
        content_id: part.content_id.clone(),
        token_id: None,
        created_at: known.map_or(now, |known| known.created_at),
        expires_at: None,
    };
    let mut files: Vec<Attachment> = parts.iter().zip(ids).map(file).collect();
    // As they are kept and listed.
    files.sort_by(|a, b| a.id.0.cmp(&b.id.0));
    files
}

/// Writes what is read otherwise, and tells of it.
fn write(cx: &mut Cx<'_>, before: &Message, reparsed: &Reparsed) -> Result<(), Error> {
    let message = &reparsed.card.message;
    let after = Reread {
        class: message.class,
        author_name: message.author_name.as_deref(),
        sender: message.sender.clone(),
        recipients: message.recipients.clone(),
        subject: &message.subject,
        content: &message.content,
        reply_content: message.reply_content.as_deref(),
        text_parts: message.text_parts.clone(),
        has_html: message.has_html,
        fingerprint: message.fingerprint.as_deref(),
        flags: message.flags.clone(),
        signals: message.signals.clone(),
        failed_recipients: message.failed_recipients.clone(),
        sent_at: message.sent_at,
        version: message.version,
    };
    if !store::messages::reread(cx.conn, before, &after)? {
        return Err(overtaken());
    }
    if reparsed.changed.contains(&ReadField::Attachments) {
        store::attachments::set(cx.conn, message.id, &reparsed.card.attachments)?;
    }
    let conversation = visible(cx, message.conversation_id)?;
    let about = About { message_id: Some(message.id), ..about(&conversation) };
    let fields: Vec<&str> = reparsed.changed.iter().map(|field| field.as_str()).collect();
    cx.tell(NewEvent::new(EventType::MessageReparsed, about).with("fields", fields));
    Ok(())
}

/// How far reading a whole mailbox anew had come when it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bookmark {
    /// By which program: another one reads from the start.
    version: String,
    /// The last message that was read.
    after: MessageId,
}

fn bookmark(id: MailboxId) -> String {
    format!("reparse_mailbox_{id}")
}

/// Where to go on with a mailbox that this version of the program was reading anew when it was
/// stopped. Takes what taking mail in takes.
pub fn stopped_after(cx: &mut Cx<'_>, id: MailboxId) -> Result<Option<MessageId>, Error> {
    feedable(cx, id)?;
    let kept = store::settings::find(cx.conn, &bookmark(id))?;
    let kept = kept.and_then(|kept| serde_json::from_str::<Bookmark>(&kept).ok());
    Ok(kept.filter(|kept| kept.version == env!("CARGO_PKG_VERSION")).map(|kept| kept.after))
}

/// Notes how far a mailbox is read anew; `None`: to its end.
pub fn note_progress(cx: &mut Cx<'_>, id: MailboxId, after: Option<MessageId>) -> Result<(), Error> {
    feedable(cx, id)?;
    match after {
        Some(after) => {
            let kept = serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "after": after});
            store::settings::set(cx.conn, &bookmark(id), &kept.to_string())?;
        }
        None => store::settings::delete(cx.conn, &bookmark(id))?,
    }
    Ok(())
}

/// The next mails of a mailbox that are kept, in their order.
pub fn mails_after(
    cx: &mut Cx<'_>,
    id: MailboxId,
    after: MessageId,
    limit: i64,
) -> Result<Vec<MessageId>, Error> {
    feedable(cx, id)?;
    Ok(store::messages::kept_mails(cx.conn, id, after, limit)?)
}

impl Desk {
    /// Reads the kept mail of a message anew and writes what it says otherwise; a dry run only tells.
    /// A message that was read right stays untouched, and nobody is told of it.
    ///
    /// `expected` is the version of the message that the caller saw. Fails with
    /// [`Error::StateConflict`] where the message is no mail that came in, where its mail is lost, or
    /// where today's reader can't read it.
    pub async fn reparse(
        &self,
        actor: &Actor,
        id: MessageId,
        expected: Option<String>,
        dry_run: bool,
    ) -> Result<Reparsed, Error> {
        let (desk, actor) = (self.clone(), actor.clone());
        crate::desk::off_thread(move || desk.reparse_here(&actor, id, expected.as_deref(), dry_run)).await
    }

    /// [`Desk::reparse`] for a caller that is on a thread that may block.
    pub fn reparse_here(
        &self,
        actor: &Actor,
        id: MessageId,
        expected: Option<&str>,
        dry_run: bool,
    ) -> Result<Reparsed, Error> {
        let card = self.read_here(actor, |cx| changeable(cx, id, expected))?;
        let hash = card.message.raw_hash.clone().unwrap_or_default();
        let raw = self.find_here(&hash)?.map_err(|loss| {
            tracing::error!(message = id.0, blob = hash, "the raw mail of a message is {loss}");
            Error::StateConflict(format!(
                "the raw mail of this message is {loss}, so it can't be read anew; `postroom doctor` names \
                 everything that is"
            ))
        })?;
        // Who vouches for the sender is all that the context decides, and that stays as it is.
        let mail = self.ports().reader.read(&raw, &ReadContext::default());
        let reparsed = reread(card, &mail, self.now())?;
        if dry_run || reparsed.changed.is_empty() {
            return Ok(reparsed);
        }
        self.write_here(actor, |cx| {
            let card = changeable(cx, id, expected)?;
            if card.message.raw_hash.as_ref() != Some(&hash) {
                return Err(Error::Stale { noun: "message", etag: card.etag() });
            }
            let before = card.message.clone();
            let reparsed = reread(card, &mail, cx.now)?;
            if !reparsed.changed.is_empty() {
                write(cx, &before, &reparsed)?;
            }
            Ok(reparsed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: i32, filename: &str, size: i64) -> Part {
        let (filename, content_type) = (filename.to_owned(), "image/png".to_owned());
        Part { part, filename, content_type, size, inline: false, content_id: None }
    }

    fn matched(known: &[Attachment], parts: &[Part]) -> Vec<Attachment> {
        match_files(MessageId(1), known, parts, Timestamp(7))
    }

    #[test]
    fn parts_that_were_known_keep_their_ids() {
        let first = matched(&[], &[part(1, "a.png", 5), part(2, "a.png", 5), part(3, "b", 9)]);
        assert_eq!(first.len(), 3);
        let as_it_was: Vec<Part> =
            first.iter().map(|file| part(file.part.unwrap(), &file.filename, file.size)).collect();
        assert_eq!(matched(&first, &as_it_was), first);
        let id = |files: &[Attachment], part: i32| {
            files.iter().find(|file| file.part == Some(part)).map(|file| file.id.clone()).unwrap()
        };
        // Counted otherwise, the order stays; of one more, the others are themselves.
        let later =
            matched(&first, &[part(2, "a.png", 5), part(3, "a.png", 5), part(4, "b", 9), part(5, "new", 1)]);
        assert_eq!(later.len(), 4);
        assert_eq!((id(&later, 2), id(&later, 4)), (id(&first, 2), id(&first, 3)));
        assert_eq!(id(&later, 3), id(&first, 1), "two that are alike are each known once");
        assert!(first.iter().all(|file| later.iter().any(|other| other.id == file.id)));
        // Named better, decoded further, and gone.
        let mended = matched(&first, &[part(1, "plan.png", 5), part(3, "b", 12)]);
        assert_eq!((id(&mended, 1), id(&mended, 3)), (id(&first, 1), id(&first, 3)));
        assert_eq!(mended.len(), 2);
        let other = matched(&first, &[part(9, "c", 1)]);
        assert!(first.iter().all(|file| file.id != other[0].id));
        assert_eq!(other[0].created_at, Timestamp(7));
    }
}
