//! Message-IDs of our own making: they name their conversation and carry a seal, so that an
//! answer finds home and nobody can make one up.
//!
//! `<c.CONVERSATION.MESSAGE.RANDOM.SEAL@domain>` is a message, `<t.CONVERSATION.SEAL@domain>` a
//! whole conversation (it stands first in References, where clients that trim keep it). The
//! seal is the first 80 bits of HMAC-SHA-256 under a key of this installation. Dots, not the
//! dashes and runs of digits that spam filters know as a forged id (FreeScout #5245).

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::id::{ConversationId, MessageId};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What a sealed id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnId {
    /// One message of ours.
    Message {
        /// Its conversation when it was sent.
        conversation_id: ConversationId,
        /// The message.
        message_id: MessageId,
    },
    /// A conversation.
    Conversation {
        /// The conversation.
        conversation_id: ConversationId,
    },
}

impl OwnId {
    /// The conversation it names.
    pub fn conversation_id(self) -> ConversationId {
        match self {
            Self::Message { conversation_id, .. } | Self::Conversation { conversation_id } => conversation_id,
        }
    }
}

/// What an id turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Ours, seal unbroken.
    Ours(OwnId),
    /// Of our shape, but not sealed by this installation: forged, or another's.
    Unsealed,
    /// Not of our shape.
    Foreign,
}

/// Seals and reads our own ids.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// Crockford's base 32, lower case: no letter that can be taken for a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The first 80 bits as 16 characters.
fn spell(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(16);
    for chunk in bytes.get(..10).unwrap_or(bytes).chunks(5) {
        let group = chunk.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        for shift in (0..8).rev() {
            text.extend(ALPHABET.get(((group >> (shift * 5)) & 31) as usize).copied().map(char::from));
        }
    }
    text
}

impl Signer {
    /// Seals with this key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn seal(&self, sealed: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(sealed.as_bytes());
        spell(&mac.finalize().into_bytes())
    }

    /// The Message-ID of a message, with angle brackets. `random` makes it unguessable.
    pub fn message_id(
        &self,
        conversation: ConversationId,
        message: MessageId,
        random: [u8; 10],
        domain: &str,
    ) -> String {
        let body = format!("c.{conversation}.{message}.{}", spell(&random));
        format!("<{body}.{}@{domain}>", self.seal(&body))
    }

    /// The id that stands for a whole conversation, with angle brackets.
    pub fn conversation_reference(&self, conversation: ConversationId, domain: &str) -> String {
        format!("<{}@{domain}>", self.plus(conversation))
    }

    /// What stands behind the plus of a mailbox's address, so that answers to it find a conversation:
    /// `support+t.12.SEAL@example.org`. [`Signer::read_plus`] reads it.
    pub fn plus(&self, conversation: ConversationId) -> String {
        let body = format!("t.{conversation}");
        format!("{body}.{}", self.seal(&body))
    }

    /// The Message-ID of a mail of a mailbox to itself, with angle brackets. It names no conversation, so
    /// that nothing but [`Signer::read_round_trip`] knows it.
    pub fn round_trip_id(&self, id: i64, random: [u8; 10], domain: &str) -> String {
        let body = format!("p.{id}.{}", spell(&random));
        format!("<{body}.{}@{domain}>", self.seal(&body))
    }

    /// Which mail to oneself bears this id, with or without angle brackets; `None`: none of ours.
    pub fn read_round_trip(&self, id: &str) -> Option<i64> {
        let local = id.trim().trim_start_matches('<').split('@').next()?;
        let (body, seal) = local.rsplit_once('.')?;
        let mut parts = body.split('.');
        let (Some("p"), Some(number), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_ours = bool::from(self.seal(body).as_bytes().ct_eq(seal.as_bytes()));
        number.parse().ok().filter(|_| is_ours)
    }

    /// What an id is, with or without angle brackets. The domain is not looked at: a relay may
    /// have changed it, and the seal tells.
    pub fn read(&self, id: &str) -> Reading {
        let bare = id.trim().trim_start_matches('<').trim_end_matches('>');
        let local = bare.split('@').next().unwrap_or_default();
        self.read_local(local)
    }

    /// What a plus part of an address is: `support+t.12.SEAL@example.org`.
    pub fn read_plus(&self, address: &str) -> Reading {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        local.split_once('+').map_or(Reading::Foreign, |(_, token)| self.read_local(token))
    }

    fn read_local(&self, local: &str) -> Reading {
        let parts: Vec<&str> = local.split('.').collect();
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if digits { text.parse::<i64>().ok() } else { None }
        };
        let spelt = |text: &str| text.len() == 16 && text.bytes().all(|b| ALPHABET.contains(&b));
        let (body, seal, own) = match parts.as_slice() {
            ["c", conversation, message, random, seal] if spelt(random) && spelt(seal) => {
                let (Some(conversation), Some(message)) = (number(conversation), number(message)) else {
                    return Reading::Foreign;
                };
                let own = OwnId::Message {
                    conversation_id: ConversationId(conversation),
                    message_id: MessageId(message),
                };
                (format!("c.{conversation}.{message}.{random}"), seal, own)
            }
            ["t", conversation, seal] if spelt(seal) => {
                let Some(conversation) = number(conversation) else { return Reading::Foreign };
                let own = OwnId::Conversation { conversation_id: ConversationId(conversation) };
                (format!("t.{conversation}"), seal, own)
            }
            _ => return Reading::Foreign,
        };
        if bool::from(self.seal(&body).as_bytes().ct_eq(seal.as_bytes())) {
            Reading::Ours(own)
        } else {
            Reading::Unsealed
        }
    }

    /// The value of X-Postroom-Instance: it detects loops and routes nothing.
    pub fn instance_mark(&self) -> String {
        format!("1.{}", self.seal("instance"))
    }

    /// Whether a mark is this installation's.
    pub fn is_own_mark(&self, mark: &str) -> bool {
        bool::from(self.instance_mark().as_bytes().ct_eq(mark.trim().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new([7; 32])
    }

    #[test]
    fn what_is_sealed_is_read_again() {
        let id = signer().message_id(ConversationId(12), MessageId(345), [9; 10], "example.org");
        let own = OwnId::Message { conversation_id: ConversationId(12), message_id: MessageId(345) };
        assert_eq!(signer().read(&id), Reading::Ours(own));
        let elsewhere = id.replace("example.org", "relay.example");
        assert_eq!(signer().read(&elsewhere), Reading::Ours(own));
        let reference = signer().conversation_reference(ConversationId(12), "example.org");
        let whole = OwnId::Conversation { conversation_id: ConversationId(12) };
        assert_eq!(signer().read(&reference), Reading::Ours(whole));
    }

    #[test]
    fn what_is_not_sealed_by_us_is_not_ours() {
        let id = signer().message_id(ConversationId(12), MessageId(345), [9; 10], "example.org");
        assert_eq!(Signer::new([8; 32]).read(&id), Reading::Unsealed);
        assert_eq!(signer().read(&id.replace(".345.", ".346.")), Reading::Unsealed);
        assert_eq!(signer().read("<abc@example.org>"), Reading::Foreign);
        assert_eq!(signer().read("<c.1.2.3.4@example.org>"), Reading::Foreign);
        assert_eq!(signer().read(""), Reading::Foreign);
    }

    #[test]
    fn a_plus_part_is_read() {
        let reference = signer().conversation_reference(ConversationId(12), "x");
        let token = reference.trim_start_matches('<').split('@').next().expect("has a local part");
        let address = format!("support+{token}@example.org");
        assert!(matches!(signer().read_plus(&address), Reading::Ours(_)));
        assert_eq!(signer().read_plus("support@example.org"), Reading::Foreign);
    }

    #[test]
    fn the_instance_mark_is_known_again() {
        assert!(signer().is_own_mark(&signer().instance_mark()));
        assert!(!signer().is_own_mark(&Signer::new([8; 32]).instance_mark()));
    }
}
