//! What a mail is told by that was deleted for good. Each digest answers one of the questions that intake asks of a mail that
//! may be here already (R1): the same bytes, the same Message-ID with the same words, or our own mail that comes
//! back under an id that it is known by.

use super::{Circumstances, Read};
use crate::cx::Cx;
use crate::keys::Keys;
use crate::mailbox::FolderRole;
use crate::store::purged::Known;
use crate::threading::identity;
use crate::{Error, store};
use std::collections::HashSet;

fn of_bytes(keys: &Keys, hash: &str) -> String {
    keys.purged("bytes", &[hash.as_bytes()])
}

fn of_words(keys: &Keys, id: &str, fingerprint: &[u8]) -> Option<String> {
    identity::tells(fingerprint).then(|| keys.purged("words", &[id.as_bytes(), fingerprint]))
}

fn of_name(keys: &Keys, id: &str) -> String {
    keys.purged("name", &[id.as_bytes()])
}

/// Those of a message that is going to be deleted; `names` are the ids that it is known by, if it left from here.
pub(in crate::operations) fn of_message<'a>(
    keys: &Keys,
    message: &Known,
    names: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let bytes = message.raw_hash.as_deref().map(|hash| of_bytes(keys, hash));
    let words = message.internet_message_id.as_deref().zip(message.fingerprint.as_deref());
    let words = words.and_then(|(id, fingerprint)| of_words(keys, id, fingerprint));
    bytes.into_iter().chain(words).chain(names.map(|id| of_name(keys, id))).collect()
}

/// Those of a mail that comes in. By its name alone it is told only as one of ours that comes back, as intake tells
/// those that are here: in the Sent folder, or with a mark of ours and from one of our addresses. Only what left from here
/// leaves its names behind.
fn of_mail(keys: &Keys, here: &Circumstances, read: &Read<'_>) -> Vec<String> {
    let id = read.keys.message_id.as_deref();
    let words = id.and_then(|id| of_words(keys, id, &read.mail.fingerprint));
    let is_echo = read.is_echo && here.own_addresses.contains(&read.sender);
    let is_ours = read.role == FolderRole::Sent || is_echo;
    let names = read.keys.message_id.iter().chain(&read.keys.aliases).filter(|_| is_ours);
    let bytes = std::iter::once(of_bytes(keys, &read.arrival.raw.hash));
    bytes.chain(words).chain(names.map(|id| of_name(keys, id))).collect()
}

/// Of a batch's mails, those that were deleted for good.
pub(super) struct Purged(HashSet<String>);

impl Purged {
    pub(super) fn load(cx: &mut Cx<'_>, here: &Circumstances, mails: &[Read<'_>]) -> Result<Self, Error> {
        let digests: Vec<String> = mails.iter().flat_map(|read| of_mail(cx.keys, here, read)).collect();
        Ok(Self(store::purged::known(cx.conn, &here.group, &digests)?))
    }

    /// Whether this one was.
    pub(super) fn has(&self, cx: &Cx<'_>, here: &Circumstances, read: &Read<'_>) -> bool {
        !self.0.is_empty() && of_mail(cx.keys, here, read).iter().any(|digest| self.0.contains(digest))
    }
}
