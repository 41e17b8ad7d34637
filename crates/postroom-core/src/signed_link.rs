//! Links that open one thing for a few minutes without a token: for frames and pictures, where a
//! browser can't send a header. A link holds the right of whoever made it; taking that right away
//! ends it with the link's own time, after ten minutes at the most.

use crate::Error;
use crate::id::{AttachmentId, MessageId};
use crate::keys::Keys;
use crate::time::Timestamp;
use crate::word::words;
use std::time::Duration;

/// The longest that a link opens anything, in seconds.
pub const LONGEST_TTL: u32 = 600;

words! {
    /// What a signed link opens: it is of no use for anything else.
    pub enum LinkPurpose {
        /// The page that shows a message.
        Page = "page",
        /// That page with the images of other sites.
        PageWithImages = "page_with_images",
        /// A picture inside that page.
        Inline = "inline",
        /// A file, to be kept.
        Download = "download",
    }
}

/// A link and the end of its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLink {
    /// Path and query. Whoever has them is let in: they belong in no log.
    pub path: String,
    /// Until when it opens.
    pub expires_at: Timestamp,
}

/// What a link to a message's page is signed for.
pub fn message_thing(id: MessageId) -> String {
    format!("messages/{id}")
}

/// Refuses a time to live that is none or too long.
pub(crate) fn lifetime(ttl: u32) -> Result<Duration, Error> {
    if (1..=LONGEST_TTL).contains(&ttl) {
        return Ok(Duration::from_secs(u64::from(ttl)));
    }
    Err(Error::invalid("/ttl", "out_of_range", format!("must be 1 to {LONGEST_TTL} seconds")))
}

/// The page of a message.
pub(crate) fn to_page(
    keys: &Keys,
    id: MessageId,
    remote_images: bool,
    now: Timestamp,
    lives: Duration,
) -> SignedLink {
    let (purpose, query) = if remote_images {
        (LinkPurpose::PageWithImages, "remote_images=true&")
    } else {
        (LinkPurpose::Page, "")
    };
    let (proof, expires_at) = proof(keys, purpose, &message_thing(id), now, lives);
    SignedLink { path: format!("/api/v1/messages/{id}/html?{query}{proof}"), expires_at }
}

/// The bytes of a file: `Inline` or `Download`.
pub(crate) fn to_file(
    keys: &Keys,
    id: &AttachmentId,
    purpose: LinkPurpose,
    now: Timestamp,
    lives: Duration,
) -> SignedLink {
    let (proof, expires_at) = proof(keys, purpose, &id.0, now, lives);
    SignedLink { path: format!("/api/v1/attachments/{id}/content?purpose={purpose}&{proof}"), expires_at }
}

fn proof(
    keys: &Keys,
    purpose: LinkPurpose,
    thing: &str,
    now: Timestamp,
    lives: Duration,
) -> (String, Timestamp) {
    // Whole seconds, so that the link says exactly what is signed.
    let expires_at = Timestamp::from_seconds(now.plus(lives).as_seconds());
    let seconds = expires_at.as_seconds();
    let signature = keys.sign_link(purpose, thing, seconds);
    (format!("expires={seconds}&signature={signature}"), expires_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_334_400_500_000);

    fn parts(link: &SignedLink) -> (i64, String) {
        let value = |name: &str| {
            let found = link.path.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            found.expect("it is there").to_owned()
        };
        (value("expires").parse().expect("a number"), value("signature"))
    }

    #[test]
    fn a_link_opens_one_thing_for_one_purpose_until_its_end() {
        let keys = Keys::new(&[1; 32]);
        let lives = lifetime(300).expect("in range");
        let link = to_page(&keys, MessageId(7), false, NOW, lives);
        let (expires, signature) = parts(&link);
        assert_eq!(expires, NOW.as_seconds() + 300);
        let thing = message_thing(MessageId(7));
        let holds = |keys: &Keys, purpose, thing: &str, expires, signature: &str, now| {
            keys.link_holds(purpose, thing, expires, signature, now)
        };
        let page = LinkPurpose::Page;
        assert!(holds(&keys, page, &thing, expires, &signature, NOW));
        let last = Timestamp(link.expires_at.0 - 1);
        assert!(holds(&keys, page, &thing, expires, &signature, last));
        assert!(!holds(&keys, page, &thing, expires, &signature, link.expires_at));
        assert!(!holds(&keys, page, &thing, expires + 1, &signature, NOW));
        assert!(!holds(&keys, page, "messages/8", expires, &signature, NOW));
        assert!(!holds(&Keys::new(&[2; 32]), page, &thing, expires, &signature, NOW));
        for other in LinkPurpose::ALL.iter().filter(|other| **other != page) {
            assert!(!holds(&keys, *other, &thing, expires, &signature, NOW));
        }
        let mut forged = signature.clone().into_bytes();
        forged[3] = if forged[3] == b'A' { b'B' } else { b'A' };
        for wrong in ["", &signature[1..], "%%%", std::str::from_utf8(&forged).expect("ASCII")] {
            assert!(!holds(&keys, page, &thing, expires, wrong, NOW));
        }
    }

    #[test]
    fn no_link_lives_longer_than_ten_minutes() {
        assert!(lifetime(0).is_err() && lifetime(601).is_err());
        assert!(lifetime(1).is_ok() && lifetime(600).is_ok());
        // One that was signed for longer, by whatever mistake, does not hold either.
        let keys = Keys::new(&[1; 32]);
        let far = NOW.as_seconds() + 601;
        let signature = keys.sign_link(LinkPurpose::Inline, "att_x", far);
        assert!(!keys.link_holds(LinkPurpose::Inline, "att_x", far, &signature, NOW));
        let near = NOW.as_seconds() + 600;
        let signature = keys.sign_link(LinkPurpose::Inline, "att_x", near);
        assert!(keys.link_holds(LinkPurpose::Inline, "att_x", near, &signature, NOW));
    }
}
