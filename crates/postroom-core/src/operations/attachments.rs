//! Files: uploaded before they are sent, cut out of the raw mail when they are read.

use super::messages;
use crate::access::Scope;
use crate::actor::{Actor, ActorType};
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::id::AttachmentId;
use crate::message::Attachment;
use crate::outgoing::is_content_id;
use crate::signed_link::{self, LinkPurpose, SignedLink};
use crate::{Error, store};

/// A file that the caller may see: one of a message that they may see, or their own upload. Whoever
/// comes by a signed link is the desk itself here: its maker was asked.
pub fn find(cx: &mut Cx<'_>, id: &AttachmentId) -> Result<Attachment, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let missing = || Error::NotFound("attachment");
    let attachment = store::attachments::find(cx.conn, id)?.ok_or_else(missing)?;
    match attachment.message_id {
        Some(message) => {
            messages::find(cx, message).map_err(|error| match error {
                Error::NotFound(_) => missing(),
                other => other,
            })?;
        }
        None if cx.actor.kind == ActorType::System => {}
        None if attachment.token_id != cx.actor.token_id => return Err(missing()),
        None => {}
    }
    Ok(attachment)
}

/// Drops uploads that nobody attached in time. Returns how many.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    Ok(store::attachments::delete_expired(cx.conn, cx.now)?)
}

impl Desk {
    /// Keeps an upload until a message takes it, or its time is over.
    pub async fn upload(
        &self,
        actor: &Actor,
        filename: &str,
        content_type: &str,
        content_id: Option<&str>,
        content: Vec<u8>,
    ) -> Result<Attachment, Error> {
        actor
            .access
            .require(Scope::NotesWrite)
            .or_else(|_| actor.access.require(Scope::ConversationsCreate))?;
        let limit = self.settings().upload_bytes;
        if content.len() > limit {
            return Err(Error::TooLarge(format!("a file has at most {limit} bytes")));
        }
        let mut faults = Faults::default();
        faults.line("/filename", filename, 255);
        if content_id.is_some_and(|id| !is_content_id(id)) {
            let detail = "has 1 to 100 characters, letters, digits and . _ @ + = - alone";
            faults.add("/content_id", "invalid", detail);
        }
        faults.check()?;
        let size = content.len() as i64;
        let desk = self.clone();
        let raw = crate::desk::off_thread(move || desk.keep_here(&content)).await?;
        let filename = crate::text::file_name(filename);
        let content_type = media_type(content_type);
        let content_id = content_id.map(str::to_owned);
        self.write(actor, move |cx| {
            crate::blobs::require_recent(raw.put_at, cx.now)?;
            store::blobs::insert(cx.conn, &[crate::blobs::row(&raw, cx.now)])?;
            let attachment = Attachment {
                id: AttachmentId::fresh(),
                message_id: None,
                part: None,
                blob_hash: Some(raw.hash.clone()),
                filename: filename.clone(),
                content_type: content_type.clone(),
                size,
                inline: content_id.is_some(),
                content_id: content_id.clone(),
                token_id: cx.actor.token_id.clone(),
                created_at: cx.now,
                expires_at: Some(cx.now.plus(cx.settings.keep_uploads)),
            };
            store::attachments::insert(cx.conn, std::slice::from_ref(&attachment))?;
            Ok(attachment)
        })
        .await
    }

    /// What is known of a file.
    pub async fn attachment(&self, actor: &Actor, id: &AttachmentId) -> Result<Attachment, Error> {
        let id = id.clone();
        self.read(actor, move |cx| find(cx, &id)).await
    }

    /// A link to a file that needs no token. Whether the caller may see it is asked now, not when
    /// the link is used.
    pub async fn link_to_file(
        &self,
        actor: &Actor,
        id: &AttachmentId,
        ttl: u32,
    ) -> Result<SignedLink, Error> {
        let lives = signed_link::lifetime(ttl)?;
        let file = self.attachment(actor, id).await?;
        Ok(signed_link::to_file(self.keys(), &file.id, LinkPurpose::Download, self.now(), lives))
    }

    /// A file and its bytes.
    pub async fn attachment_content(
        &self,
        actor: &Actor,
        id: &AttachmentId,
    ) -> Result<(Attachment, Vec<u8>), Error> {
        let id = id.clone();
        let (attachment, raw_hash) = self
            .read(actor, move |cx| {
                let attachment = find(cx, &id)?;
                let raw = match (attachment.part, attachment.message_id) {
                    (Some(_), Some(message)) => messages::find(cx, message)?.message.raw_hash,
                    _ => attachment.blob_hash.clone(),
                };
                Ok((attachment, raw.ok_or(Error::NotFound("attachment"))?))
            })
            .await?;
        let kept = self.load(raw_hash).await?;
        let Some(part) = attachment.part else { return Ok((attachment, kept)) };
        let reader = self.ports().reader.clone();
        let content = crate::desk::off_thread(move || {
            reader
                .part(&kept, part)
                .ok_or_else(|| Error::Lost(format!("part {part} is not in its raw mail any more")))
        })
        .await?;
        Ok((attachment, content))
    }
}

/// `type/subtype` in lower case, without parameters; what is not one is plain bytes.
fn media_type(given: &str) -> String {
    let bare = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match bare.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) && bare.len() <= 127 => bare,
        _ => "application/octet-stream".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn media_types_are_judged_after_parsing() {
        assert_eq!(media_type("Image/PNG; x=y"), "image/png");
        assert_eq!(media_type("image/svg+xml; x"), "image/svg+xml");
        assert_eq!(media_type("text"), "application/octet-stream");
        assert_eq!(media_type("text/<b>"), "application/octet-stream");
        assert_eq!(media_type(""), "application/octet-stream");
    }
}
