//! What in a mail could name a conversation (R0): its ids made comparable, the seals that hold,
//! its subject. Header texts come as written, because the readers there are accept things as
//! ids that are none.

use super::{IdKind, subject};
use crate::id::ConversationId;
use crate::mail::{Address, Class, Mail};
use crate::own_id::{OwnId, Reading, Signer};
use crate::text::fold_address;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

/// The longest id that is kept as it is, in bytes; a longer one is kept as its SHA-256.
pub const ID_BYTES: usize = 512;
/// Of this many ids in one header the first and the last 99 are read: the root and the nearest.
const IDS_PER_HEADER: usize = 100;
/// Further names that one mail may claim for itself.
const ALIASES: usize = 20;

/// The keys of one mail. Every id is without angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// The mail's own id; `None` where it has none that can be used.
    pub message_id: Option<String>,
    /// Its other names: further Message-ID headers, and what relays left behind.
    pub aliases: Vec<String>,
    /// What it refers to, the nearest first: In-Reply-To, then References from right to left.
    /// For a bounce, a receipt and a complaint: what it is about, and nothing else (R2).
    pub candidates: Vec<String>,
    /// How many of `candidates` stand in In-Reply-To; a plus address counts as much as these.
    pub answered: usize,
    /// Those of `candidates` that may be remembered although nobody has seen them.
    pub ghosts: Vec<String>,
    /// Seals that hold, the nearest first, each with the id or the address it stands in.
    pub seals: Vec<(String, OwnId)>,
    /// Ids of our shape whose seal does not hold. They count as foreign ids.
    pub broken_seals: u32,
    /// The conversation that the subject names: `[#123]`.
    pub subject_number: Option<ConversationId>,
    /// The subject as it is compared.
    pub base_subject: String,
    /// The subject says that this is an answer.
    pub is_reply: bool,
    /// The subject, or a lone wrapped mail, says that this is a forward. With `is_reply` set as
    /// well the prefix means both, depending on the language.
    pub is_forward: bool,
    /// Outlook's thread, as a name to be kept and looked up among the ids. It has a space in
    /// it, which no id has, so that nobody can claim it in another header.
    pub thread_index: Option<String>,
}

impl Keys {
    /// Every id to look up for [`super::Facts::ids`].
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let own = self.message_id.iter().chain(&self.aliases);
        own.chain(&self.candidates).chain(&self.thread_index).map(String::as_str)
    }

    /// Every conversation that the mail names outright, for [`super::Facts::conversations`]:
    /// by seal, or by number in the subject. May name one twice.
    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> + '_ {
        self.seals.iter().map(|(_, own)| own.conversation_id()).chain(self.subject_number)
    }

    /// Every id to remember for the conversation the mail ends up in, each once.
    ///
    /// Several conversations may claim one id: who guesses an id that others refer to draws nothing
    /// away from them, and keeps nobody else from it. Of a mail that its sender's domain disowns
    /// only the first name is kept, as [`IdKind::Disowned`].
    pub fn names(&self) -> impl Iterator<Item = (&str, IdKind)> {
        let real = self.message_id.iter().map(|id| (id.as_str(), IdKind::Real));
        let alias = self.aliases.iter().chain(&self.thread_index).map(|id| (id.as_str(), IdKind::Alias));
        real.chain(alias).chain(self.ghosts.iter().map(|id| (id.as_str(), IdKind::Ghost)))
    }
}

/// Reads the keys of a mail. `own_addresses` are those of our mailboxes, folded.
#[expect(clippy::implicit_hasher, reason = "the sets of addresses are std's everywhere")]
pub fn read(mail: &Mail, own_addresses: &HashSet<String>, signer: &Signer) -> Keys {
    let (base_subject, is_reply, is_forward) = subject::base(&mail.subject);
    let mut keys = Keys {
        subject_number: subject::number(&mail.subject),
        base_subject,
        is_reply: is_reply && !mail.is_wrapped_mail,
        is_forward: is_forward || mail.is_wrapped_mail,
        thread_index: mail
            .thread_index
            .as_deref()
            .and_then(clean)
            .map(|index| format!("thread-index {index}")),
        ..Keys::default()
    };
    read_own_names(mail, &mut keys);
    if matches!(mail.class, Class::Bounce | Class::Receipt | Class::Complaint) {
        for id in mail.about_ids.iter().take(IDS_PER_HEADER) {
            if let Some(id) = normalise_id(id) {
                add(&mut keys, id, false, mail, own_addresses, signer);
            }
        }
        return keys;
    }
    let may_haunt = !has_text_outside(&mail.in_reply_to);
    for id in capped(bracketed(&mail.in_reply_to)) {
        if let Some(id) = clean(id) {
            add(&mut keys, id, may_haunt, mail, own_addresses, signer);
        }
    }
    keys.answered = keys.candidates.len();
    read_addresses(mail, &mut keys, signer);
    for id in capped(bracketed(&mail.references)).into_iter().rev() {
        if let Some(id) = clean(id) {
            add(&mut keys, id, true, mail, own_addresses, signer);
        }
    }
    keys
}

/// The id that a mail with these Message-ID headers is known by; `None` where it has none that can
/// be used.
pub fn own_id(headers: &[String]) -> Option<String> {
    headers.iter().find_map(|header| match bracketed(header).find_map(clean) {
        Some(id) => Some(id),
        None => normalise_id(header),
    })
}

/// An id as it is kept and compared, with or without angle brackets, as Message-ID may stand:
/// no brackets, no white space, its case kept; over 512 bytes `sha256:` and hexadecimal digits.
/// `None` where there is no id in it.
pub fn normalise_id(text: &str) -> Option<String> {
    bracketed(text).find_map(clean).or_else(|| {
        let has_group = bracketed(text).next().is_some();
        if has_group { None } else { clean(text.trim().trim_matches(['<', '>'])) }
    })
}

/// What stands in angle brackets, from left to right. An opening bracket without its end is
/// forgotten when the next one opens.
fn bracketed(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while let Some((head, tail)) = rest.split_once('>') {
            rest = tail;
            if let Some((_, id)) = head.rsplit_once('<') {
                return Some(id);
            }
        }
        None
    })
}

/// Whether anything but ids, white space and commas stands in a header: `Your message of …`.
fn has_text_outside(text: &str) -> bool {
    let mut rest = text;
    let says = |text: &str| text.chars().any(|c| !c.is_whitespace() && c != ',' && c != ';');
    while let Some((head, tail)) = rest.split_once('>') {
        let outside = head.rsplit_once('<').map_or(head, |(before, _)| before);
        if says(outside) {
            return true;
        }
        rest = tail;
    }
    says(rest)
}

/// The first and the last 99.
fn capped<'a>(ids: impl Iterator<Item = &'a str>) -> VecDeque<&'a str> {
    let mut kept = VecDeque::new();
    let mut first = None;
    for id in ids {
        if first.is_none() {
            first = Some(id);
            continue;
        }
        if kept.len() == IDS_PER_HEADER - 1 {
            kept.pop_front();
        }
        kept.push_back(id);
    }
    if let Some(first) = first {
        kept.push_front(first);
    }
    kept
}

/// The inside of the brackets as it is kept. Controls go as well: PostgreSQL takes no NUL.
fn clean(inside: &str) -> Option<String> {
    let is_kept = |c: &char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>');
    let id: String = inside.chars().filter(is_kept).collect();
    if names_nothing(&id) {
        return None;
    }
    if id.len() <= ID_BYTES {
        return Some(id);
    }
    let mut hashed = String::with_capacity(71);
    hashed.push_str("sha256:");
    for byte in Sha256::digest(id.as_bytes()) {
        for digit in [byte >> 4, byte & 15] {
            hashed.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    Some(hashed)
}

/// What programs write where they have no id: it would tie strangers together.
fn names_nothing(id: &str) -> bool {
    const EMPTY: [&str; 6] = ["none", "null", "nil", "undefined", "unknown", "n/a"];
    let starts_undisclosed = id.as_bytes().get(..11).is_some_and(|b| b.eq_ignore_ascii_case(b"undisclosed"));
    starts_undisclosed
        || !id.chars().any(char::is_alphanumeric)
        || EMPTY.iter().any(|empty| id.eq_ignore_ascii_case(empty))
}

/// The mail's own names: the first Message-ID counts, the others are aliases.
fn read_own_names(mail: &Mail, keys: &mut Keys) {
    for header in &mail.message_id {
        let mut groups = bracketed(header).filter_map(clean).peekable();
        if groups.peek().is_some() {
            groups.take(ALIASES + 1).for_each(|id| take_name(keys, id));
        } else if let Some(id) = normalise_id(header) {
            take_name(keys, id);
        }
    }
    for id in mail.other_ids.iter().filter_map(|id| normalise_id(id)) {
        if keys.aliases.len() < ALIASES
            && keys.message_id.as_ref() != Some(&id)
            && !keys.aliases.contains(&id)
        {
            keys.aliases.push(id);
        }
    }
}

fn take_name(keys: &mut Keys, id: String) {
    match &keys.message_id {
        None => keys.message_id = Some(id),
        Some(own) if *own != id && keys.aliases.len() < ALIASES && !keys.aliases.contains(&id) => {
            keys.aliases.push(id);
        }
        Some(_) => {}
    }
}

/// Adds what the mail refers to, unless it is known to say nothing.
fn add(
    keys: &mut Keys,
    id: String,
    may_haunt: bool,
    mail: &Mail,
    own_addresses: &HashSet<String>,
    signer: &Signer,
) {
    let is_own_name = keys.message_id.as_ref() == Some(&id) || keys.aliases.contains(&id);
    if is_own_name || is_address_of(&id, mail, own_addresses) {
        return;
    }
    if keys.candidates.contains(&id) {
        if may_haunt && !keys.ghosts.contains(&id) {
            keys.ghosts.push(id);
        }
        return;
    }
    if id.starts_with("c.") || id.starts_with("t.") {
        match signer.read(&id) {
            Reading::Ours(own) => keys.seals.push((id.clone(), own)),
            Reading::Unsealed => keys.broken_seals += 1,
            Reading::Foreign => {}
        }
    }
    if may_haunt {
        keys.ghosts.push(id.clone());
    }
    keys.candidates.push(id);
}

/// Whether an id is somebody's address: `In-Reply-To: Your message … <ada@example.org>`.
fn is_address_of(id: &str, mail: &Mail, own_addresses: &HashSet<String>) -> bool {
    if !id.contains('@') {
        return false;
    }
    let is_folded = id.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    let folded = if is_folded { Cow::Borrowed(id) } else { Cow::Owned(fold_address(id)) };
    let is_same = |address: &Address| {
        let written = address.email.trim();
        if written.is_ascii() {
            written.eq_ignore_ascii_case(&folded)
        } else {
            fold_address(written) == *folded
        }
    };
    own_addresses.contains(&*folded)
        || [&mail.from, &mail.to, &mail.cc, &mail.reply_to].into_iter().flatten().any(is_same)
        || mail.original_from.as_ref().is_some_and(is_same)
}

/// Seals in the plus part of the addresses that the mail went to.
fn read_addresses(mail: &Mail, keys: &mut Keys, signer: &Signer) {
    let headers = mail.to.iter().chain(&mail.cc).map(|address| address.email.as_str());
    let mut broken = Vec::new();
    for address in mail.delivered_to.iter().map(String::as_str).chain(headers) {
        if !address.contains('+') {
            continue;
        }
        // Seals are lower case, and some servers write addresses in capitals.
        let address = address.trim().trim_matches(['<', '>']).to_ascii_lowercase();
        if broken.contains(&address) || keys.seals.iter().any(|(known, _)| *known == address) {
            continue;
        }
        match signer.read_plus(&address) {
            Reading::Ours(own) => keys.seals.push((address, own)),
            Reading::Unsealed => broken.push(address),
            Reading::Foreign => {}
        }
    }
    keys.broken_seals += broken.len() as u32;
}

#[cfg(test)]
mod tests;
