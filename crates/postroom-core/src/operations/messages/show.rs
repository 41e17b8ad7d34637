//! How a message is shown: raw, as a page, and by a link to that page.

use super::find;
use crate::Error;
use crate::actor::Actor;
use crate::desk::Desk;
use crate::id::MessageId;
use crate::message::Attachment;
use crate::ports::{SafeHtml, ShowHtml};
use crate::signed_link::{self, LONGEST_TTL, LinkPurpose, SignedLink};
use crate::time::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// A page that is opened in its link's last second has this long to load its pictures.
const PICTURES_LOAD: Duration = Duration::from_mins(1);

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
}
