//! The files of a message that is written, read before its transaction: no network inside of one.

use super::write::FILES;
use super::{File, no_upload};
use crate::actor::Actor;
use crate::desk::Desk;
use crate::id::{AttachmentId, MessageId};
use crate::message::Attachment;
use crate::{Error, store};

impl Desk {
    /// Reads the uploads that a message is to carry.
    pub async fn files(&self, actor: &Actor, ids: &[AttachmentId]) -> Result<Vec<File>, Error> {
        let mut files = Vec::with_capacity(ids.len().min(FILES));
        for (index, id) in ids.iter().take(FILES + 1).enumerate() {
            let wanted = id.clone();
            let token = actor.token_id.clone();
            let found = self.read(actor, move |cx| Ok(store::attachments::find(cx.conn, &wanted)?)).await?;
            let waiting = found.filter(|upload| upload.message_id.is_none() && upload.token_id == token);
            let upload = waiting.ok_or_else(|| no_upload(index))?;
            let hash = upload.blob_hash.clone().ok_or_else(|| no_upload(index))?;
            let content = self.load(hash).await?;
            files.push(File { attachment: upload, content });
        }
        Ok(files)
    }

    /// Reads files that a message that has not left carries, or is to carry: those that are its own, and
    /// uploads of the caller's.
    pub(super) async fn files_of(
        &self,
        actor: &Actor,
        id: MessageId,
        wanted: Option<&[AttachmentId]>,
    ) -> Result<Vec<File>, Error> {
        let own = self.read(actor, move |cx| Ok(store::attachments::of_messages(cx.conn, &[id])?)).await?;
        let own: Vec<Attachment> = own.into_values().flatten().collect();
        let Some(wanted) = wanted else {
            let mut files = Vec::with_capacity(own.len());
            for (index, attachment) in own.into_iter().enumerate() {
                files.push(self.file(attachment, index).await?);
            }
            return Ok(files);
        };
        let mut files = Vec::with_capacity(wanted.len().min(FILES));
        for (index, wanted) in wanted.iter().take(FILES + 1).enumerate() {
            if let Some(attachment) = own.iter().find(|file| file.id == *wanted) {
                files.push(self.file(attachment.clone(), index).await?);
                continue;
            }
            let upload = self.files(actor, std::slice::from_ref(wanted)).await;
            files.append(&mut upload.map_err(|error| match error {
                Error::Invalid(_) => no_upload(index),
                other => other,
            })?);
        }
        Ok(files)
    }

    async fn file(&self, attachment: Attachment, index: usize) -> Result<File, Error> {
        let hash = attachment.blob_hash.clone().ok_or_else(|| no_upload(index))?;
        let content = self.load(hash).await.map_err(|error| match error {
            Error::Lost(why) => {
                let name = &attachment.filename;
                Error::Lost(format!("“{name}”: {why}"))
            }
            other => other,
        })?;
        Ok(File { attachment, content })
    }
}
