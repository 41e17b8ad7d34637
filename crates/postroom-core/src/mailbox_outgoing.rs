//! How a mailbox's mail looks: the name it comes from, its signature, what stands around it, and whether it
//! quotes what it answers.

use crate::id::MailboxId;
use crate::keys::sha256_hex;
use crate::outgoing::Written;
use crate::outgoing::{Logo, OutgoingFile};
use crate::picture;
use crate::store::schema::{mailbox_logos, mailbox_outgoing};
use crate::store::types::Json;
use crate::time::Timestamp;
use diesel::prelude::*;

/// The name that mail comes from where nobody has said otherwise.
pub const FROM_NAME: &str = "{{mailbox.name}}";

/// The largest logo, in bytes. It goes with every mail.
pub const LOGO_BYTES: usize = 256 * 1024;
/// The longest text in its place, in characters.
pub const ALT_CHARS: usize = 200;

/// How a mailbox's mail looks. All texts are templates (see [`crate::template`]).
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = mailbox_outgoing, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MailboxOutgoing {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// The name that customers see.
    pub from_name: String,
    /// What stands below what agents write; `None`: the agent's own signature, if there is one.
    pub signature: Option<Json<Written>>,
    /// What stands above it.
    pub head: Option<Json<Written>>,
    /// What stands below it all, above what is quoted.
    pub foot: Option<Json<Written>>,
    /// An answer quotes what its recipients know already, unless it says otherwise.
    pub quote_history: bool,
    /// Counts changes; 0: nobody has changed it.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl MailboxOutgoing {
    /// How it is before anybody has changed it.
    pub fn unchanged(mailbox_id: MailboxId) -> Self {
        Self {
            mailbox_id,
            from_name: FROM_NAME.to_owned(),
            signature: None,
            head: None,
            foot: None,
            quote_history: false,
            version: 0,
            updated_at: Timestamp(0),
        }
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("bo{}-{}", self.mailbox_id, self.version)
    }
}

/// The picture that a mailbox's mail brings along.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = mailbox_logos)]
pub struct MailboxLogo {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// What it begins like: `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
    pub content_type: String,
    /// What is read in its place; `None`: the mailbox's name.
    pub alt: Option<String>,
    /// Its Content-ID. Another picture has another one: mail programs keep what they have shown.
    pub content_id: String,
    /// The bytes.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for MailboxLogo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MailboxLogo").field(&self.content_id).finish()
    }
}

impl MailboxLogo {
    /// A logo of these bytes; `None`: they are none of the pictures that every mail program shows.
    pub fn new(mailbox_id: MailboxId, alt: Option<String>, content: Vec<u8>) -> Option<Self> {
        let content_type = picture::content_type(&content)?.to_owned();
        let mut digest = sha256_hex(&content);
        digest.truncate(24);
        Some(Self { mailbox_id, content_type, alt, content_id: format!("logo.{digest}@postroom"), content })
    }

    /// What it is called.
    pub fn filename(&self) -> String {
        format!("logo.{}", self.content_type.trim_start_matches("image/"))
    }

    /// As the composer takes it, in the mail of a mailbox of this name.
    pub fn as_outgoing(&self, mailbox_name: &str) -> Logo {
        let file = OutgoingFile {
            filename: self.filename(),
            content_type: self.content_type.clone(),
            content: self.content.clone(),
            content_id: Some(self.content_id.clone()),
        };
        Logo { file, alt: self.alt.clone().unwrap_or_else(|| mailbox_name.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_known_by_its_bytes() {
        let logo = |content: &[u8]| MailboxLogo::new(MailboxId(1), None, content.to_vec());
        let png = logo(b"\x89PNG\r\n\x1a\n1").expect("a picture");
        assert_eq!((png.content_type.as_str(), png.filename().as_str()), ("image/png", "logo.png"));
        assert!(crate::outgoing::is_content_id(&png.content_id));
        assert_ne!(Some(&png.content_id), logo(b"\x89PNG\r\n\x1a\n2").as_ref().map(|logo| &logo.content_id));
        assert_eq!(logo(b"<svg/>"), None);
        assert_eq!(png.as_outgoing("Shop").alt, "Shop");
    }
}
