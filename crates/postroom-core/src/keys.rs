//! The installation's key, and what is derived from it: sealed Message-IDs, authentic cursors,
//! passwords that lie in the database as cipher text.

use crate::own_id::Signer;
use crate::page::{Place, Position, TextPosition};
use crate::signed_link::{LONGEST_TTL, LinkPurpose};
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Everything that hangs on the one key file. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Keys {
    cursor: [u8; 32],
    secrets: [u8; 32],
    links: [u8; 32],
    audit: [u8; 32],
    purged: [u8; 32],
    signer: Signer,
    check: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// A password in the database can't be opened: the key file is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored secret can't be opened with this key file")]
pub struct WrongKey;

/// The kinds of cursors, which have a seal of their own each.
const BY_NUMBER: &[u8] = b"number";
const BY_TEXT: &[u8] = b"text";

/// What a sealed secret begins with: the way it was sealed.
const SEALED_BY: u8 = 1;

fn hmac(key: &[u8], data: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in data {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Keys {
    /// From the 32 bytes of the key file.
    pub fn new(master: &[u8; 32]) -> Self {
        let derive = |purpose: &str| hmac(master, &[b"postroom", purpose.as_bytes()]);
        let check = derive("check");
        Self {
            cursor: derive("cursor"),
            secrets: derive("secrets"),
            links: derive("link"),
            audit: derive("audit"),
            purged: derive("purged"),
            signer: Signer::new(derive("message-id")),
            check: URL_SAFE_NO_PAD.encode(&check[..12]),
        }
    }

    /// Seals and reads Message-IDs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// A mark that tells this key from another and gives nothing of it away: the database
    /// keeps it, so that a start with the wrong key file is refused.
    pub fn check_mark(&self) -> &str {
        &self.check
    }

    /// Seals a secret for one place (`mailboxes/7/source_password`): elsewhere it won't open.
    pub fn seal(&self, place: &str, secret: &str) -> Vec<u8> {
        let mut nonce = [0_u8; 24];
        rand::fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&Key::from(self.secrets));
        let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a password is far below the cipher's limit of 256 GiB");
        let mut kept = Vec::with_capacity(1 + nonce.len() + sealed.len());
        kept.push(SEALED_BY);
        kept.extend_from_slice(&nonce);
        kept.extend_from_slice(&sealed);
        kept
    }

    /// Opens what [`Keys::seal`] made for the same place.
    pub fn open(&self, place: &str, kept: &[u8]) -> Result<String, WrongKey> {
        let (version, rest) = kept.split_first().ok_or(WrongKey)?;
        if *version != SEALED_BY || rest.len() < 24 {
            return Err(WrongKey);
        }
        let (nonce, sealed) = rest.split_at(24);
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| WrongKey)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(self.secrets));
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let secret = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| WrongKey)?;
        String::from_utf8(secret).map_err(|_| WrongKey)
    }

    /// What makes a link to one thing, for one purpose and until a second since 1970, ours: an HMAC
    /// of 256 bits.
    pub fn sign_link(&self, purpose: LinkPurpose, thing: &str, expires: i64) -> String {
        URL_SAFE_NO_PAD.encode(self.link_mac(purpose, thing, expires))
    }

    /// Whether a link was made here, for just this, and its time is not over.
    pub fn link_holds(
        &self,
        purpose: LinkPurpose,
        thing: &str,
        expires: i64,
        signature: &str,
        now: Timestamp,
    ) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let is_ours = bool::from(self.link_mac(purpose, thing, expires).ct_eq(given.as_slice()));
        let left = expires.saturating_sub(now.as_seconds());
        is_ours && (1..=i64::from(LONGEST_TTL)).contains(&left)
    }

    fn link_mac(&self, purpose: LinkPurpose, thing: &str, expires: i64) -> [u8; 32] {
        hmac(&self.links, &[purpose.as_str().as_bytes(), thing.as_bytes(), &expires.to_be_bytes()])
    }

    /// What tells that a row was once the audit log's last: an HMAC over its number and hash.
    pub fn audit_seal(&self, id: i64, hash: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac(&self.audit, &[&id.to_be_bytes(), hash.as_bytes()]))
    }

    /// What tells a mail that was deleted for good when it comes again, and says nothing about it to whoever has
    /// the database alone: an HMAC over what it is known by, `kind` of its parts.
    pub(crate) fn purged(&self, kind: &str, parts: &[&[u8]]) -> String {
        let all: Vec<&[u8]> = std::iter::once(kind.as_bytes()).chain(parts.iter().copied()).collect();
        URL_SAFE_NO_PAD.encode(hmac(&self.purged, &all))
    }

    /// A cursor for one list, as `binding` (its filter and order) names it. What a list is ordered by
    /// can be read out of it.
    pub fn cursor(&self, binding: &str, at: &Place) -> String {
        let (mut bytes, kind) = match at {
            Place::Number(at) => ([at.key.to_be_bytes(), at.id.to_be_bytes()].concat(), BY_NUMBER),
            Place::Text(at) => ([&at.id.to_be_bytes(), at.text.as_bytes()].concat(), BY_TEXT),
        };
        let seal = hmac(&self.cursor, &[binding.as_bytes(), kind, &bytes]);
        bytes.extend_from_slice(&seal[..12]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor; `None` where it is not ours or belongs to another list.
    pub fn read_cursor(&self, binding: &str, cursor: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(12)?)?;
        let is_kind = |kind: &[u8]| {
            let expected = hmac(&self.cursor, &[binding.as_bytes(), kind, body]);
            bool::from(expected[..12].ct_eq(seal))
        };
        let (first, rest) = body.split_first_chunk()?;
        let first = i64::from_be_bytes(*first);
        if is_kind(BY_NUMBER) {
            return Some(Place::Number(Position {
                key: first,
                id: i64::from_be_bytes(rest.try_into().ok()?),
            }));
        }
        let text = String::from_utf8(rest.to_vec()).ok()?;
        is_kind(BY_TEXT).then_some(Place::Text(TextPosition { text, id: first }))
    }
}

/// The lower-case hex SHA-256 of some bytes: how blobs and tokens are found again.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// [`sha256_hex`] of what comes piece by piece.
#[derive(Debug, Clone, Default)]
pub struct RunningHash(Sha256);

impl RunningHash {
    /// The next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all pieces.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_in_its_place_alone() {
        let keys = Keys::new(&[1; 32]);
        let kept = keys.seal("mailboxes/1/source", "hunter2");
        assert_eq!(keys.open("mailboxes/1/source", &kept).as_deref(), Ok("hunter2"));
        assert_eq!(keys.open("mailboxes/2/source", &kept), Err(WrongKey));
        assert_eq!(Keys::new(&[2; 32]).open("mailboxes/1/source", &kept), Err(WrongKey));
        assert_eq!(keys.open("mailboxes/1/source", &kept[..10]), Err(WrongKey));
        assert!(!kept.windows(7).any(|w| w == b"hunter2"));
    }

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let keys = Keys::new(&[1; 32]);
        // The text is as long as a number.
        let by_text = TextPosition { text: "eightlet".to_owned(), id: 77 };
        for at in [Place::Number(Position { key: -5, id: 77 }), Place::Text(by_text)] {
            let cursor = keys.cursor("status=open", &at);
            assert_eq!(keys.read_cursor("status=open", &cursor), Some(at));
            assert_eq!(keys.read_cursor("status=closed", &cursor), None);
        }
        for bad in ["", "A", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(keys.read_cursor("status=open", bad), None);
        }
        assert_eq!(keys.read_cursor("status=open", "AAAA"), None);
    }
}
