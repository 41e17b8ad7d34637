//! What the store knows of a batch's mails: looked up together, kept up to date while the
//! batch is taken in, written together at its end.

use super::ledger::Ledger;
use super::people::People;
use super::{Circumstances, Read};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::{AttachmentId, ConversationId, CustomerId, MessageId};
use crate::intake::Arrival;
use crate::mail::{Address, Class, Mail};
use crate::mailbox::FolderRole;
use crate::message::Attachment;
use crate::operations::outbox::{self, Evidence};
use crate::operations::transfers;
use crate::own_id::OwnId;
use crate::store::blobs::Blob;
use crate::store::threads::KnownId;
use crate::text::fold_address;
use crate::threading::identity;
use crate::threading::keys::Keys;
use crate::threading::{Decision, Flag, IdKind};
use crate::time::Timestamp;
use crate::transfer::TransferReason;
use crate::{Error, store};
use std::collections::{HashMap, HashSet};

mod facts;

/// How many conversations may claim one id: a mail that everybody names must not cost more and more.
const CLAIMS: usize = 20;

/// A mail about another mail.
fn is_report(class: Class) -> bool {
    matches!(class, Class::Bounce | Class::Receipt | Class::Complaint)
}

/// What is known, and what is new and not written yet.
pub(super) struct Known {
    /// By id; who claimed it first first.
    ids: HashMap<String, Vec<KnownId>>,
    raws: HashMap<String, (MessageId, ConversationId)>,
    /// What says the same, by fingerprint: an id alone does not tell, since many a sender uses one
    /// for all its mails.
    fingerprints: HashMap<Vec<u8>, Vec<store::messages::Alike>>,
    customers: HashMap<String, CustomerId>,
    conversations: HashMap<ConversationId, Conversation>,
    people: People,
    /// Messages of ours of which nobody knows whether they arrived.
    doubtful: HashSet<MessageId>,
    new_ids: Vec<KnownId>,
    displaced: Vec<KnownId>,
    embodied: Vec<KnownId>,
    blobs: Vec<Blob>,
    attachments: Vec<Attachment>,
}

impl Known {
    /// Looks up what all the mails of a batch name, at once.
    pub(super) fn load(cx: &mut Cx<'_>, here: &Circumstances, mails: &[Read<'_>]) -> Result<Self, Error> {
        let named: HashSet<&str> = mails.iter().flat_map(|read| read.keys.ids()).collect();
        let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
        let ids = store::threads::known_ids(cx.conn, &here.mailbox.group, &named)?;
        let hashes: Vec<&str> = mails.iter().map(|read| read.arrival.raw.hash.as_str()).collect();
        let raws = store::messages::find_by_raw(cx.conn, &hashes, &here.group)?;
        let fingerprints: Vec<&[u8]> = mails
            .iter()
            .map(|read| read.mail.fingerprint.as_slice())
            .filter(|fingerprint| identity::tells(fingerprint))
            .collect();
        let fingerprints = store::messages::find_by_fingerprint(cx.conn, &fingerprints, &here.group)?;
        let mut wanted: HashSet<ConversationId> =
            mails.iter().flat_map(|read| read.keys.conversations()).collect();
        wanted.extend(ids.iter().map(|id| id.conversation_id));
        let mut by_id: HashMap<String, Vec<KnownId>> = HashMap::new();
        for id in ids {
            by_id.entry(id.rfc_id.clone()).or_default().push(id);
        }
        let mut known = Self {
            ids: by_id,
            raws,
            fingerprints,
            customers: HashMap::new(),
            conversations: HashMap::new(),
            people: People::default(),
            doubtful: outbox::doubtful(cx)?,
            new_ids: Vec::new(),
            displaced: Vec::new(),
            embodied: Vec::new(),
            blobs: Vec::new(),
            attachments: Vec::new(),
        };
        // What the mails name is nearly all that will be asked for.
        let followed = known.follow(cx, &wanted)?;
        known.look_up_people(cx, &followed)?;
        Ok(known)
    }

    /// The message that a mail is already, and why that is so (R1).
    pub(super) fn same(
        &mut self,
        cx: &mut Cx<'_>,
        here: &Circumstances,
        read: &Read<'_>,
    ) -> Result<Option<(MessageId, ConversationId, &'static str)>, Error> {
        if let Some((message, conversation)) = self.raws.get(&read.arrival.raw.hash) {
            return Ok(Some((*message, self.at(*conversation), "the same bytes are here already")));
        }
        if read.role == FolderRole::Sent
            && let Some((message, conversation)) = super::sent::copy_of(cx, self, read)?
        {
            self.learn_names(here, read, message, conversation, cx.now);
            return Ok(Some((message, conversation, "our own mail, as the server keeps it")));
        }
        let Some(id) = &read.keys.message_id else { return Ok(None) };
        let is_echo = read.is_echo && here.own_addresses.contains(&read.sender);
        if is_echo {
            let bearers = self.bearers(id);
            let messages: Vec<MessageId> = bearers.iter().map(|(message, _)| *message).collect();
            let ours = store::messages::outgoing_of(cx.conn, &messages)?;
            if let Some((message, conversation)) = bearers.into_iter().find(|(m, _)| ours.contains(m)) {
                // A list may have changed its text; its mark, its id and its sender are ours.
                return Ok(Some((message, conversation, "our own mail came back")));
            }
        }
        let alike = self.fingerprints.get(read.mail.fingerprint.as_slice()).into_iter().flatten();
        let same = alike.clone().find(|(known, _, _)| known == id);
        Ok(same.map(|(_, message, at)| (*message, self.at(*at), "the same mail is here already")))
    }

    /// A mail shows that one of ours was taken, if that was in doubt.
    pub(super) fn settle(
        &mut self,
        cx: &mut Cx<'_>,
        message: MessageId,
        evidence: Evidence,
    ) -> Result<(), Error> {
        if self.doubtful.remove(&message) { outbox::prove(cx, message, evidence) } else { Ok(()) }
    }

    /// Whoever answers a mail of ours has got it. (What else it refers to may be the work of ours that the
    /// answered one named.)
    pub(super) fn settle_answered(&mut self, cx: &mut Cx<'_>, read: &Read<'_>) -> Result<(), Error> {
        if self.doubtful.is_empty() {
            return Ok(());
        }
        let sealed = |id: &String| {
            let mut seals = read.keys.seals.iter();
            seals.any(|(place, own)| place == id && matches!(own, OwnId::Message { .. }))
        };
        let named = read.keys.candidates.iter().take(read.keys.answered).filter(|id| sealed(id));
        let named: Vec<MessageId> = named.filter_map(|id| Some(self.owner(id)?.0)).collect();
        named.into_iter().try_for_each(|message| self.settle(cx, message, Evidence::Answer))
    }

    /// A provider gave a mail of ours another name: who answers it will use that one.
    fn learn_names(
        &mut self,
        here: &Circumstances,
        read: &Read<'_>,
        message: MessageId,
        conversation: ConversationId,
        now: Timestamp,
    ) {
        for name in read.keys.message_id.iter().chain(&read.keys.aliases) {
            let alias = KnownId {
                share_group: here.mailbox.group.clone(),
                rfc_id: name.clone(),
                conversation_id: conversation,
                message_id: Some(message),
                kind: IdKind::Alias,
                created_at: now,
            };
            self.claim(alias);
        }
    }

    /// The message that bears an id, and where it belongs: the first that did.
    pub(super) fn owner(&self, id: &str) -> Option<(MessageId, ConversationId)> {
        let mut real = self.claims(id).filter(|known| known.kind == IdKind::Real);
        real.find_map(|known| Some((known.message_id?, self.at(known.conversation_id))))
    }

    /// The messages that bear an id as their own, and where they belong.
    fn bearers(&self, id: &str) -> Vec<(MessageId, ConversationId)> {
        let claims = self.ids.get(id).into_iter().flatten();
        let own = claims.filter(|known| matches!(known.kind, IdKind::Real | IdKind::Disowned));
        own.filter_map(|known| Some((known.message_id?, self.at(known.conversation_id)))).collect()
    }

    /// Where a conversation went, as far as those are known that were merged.
    pub(super) fn at(&self, id: ConversationId) -> ConversationId {
        merged(&self.conversations, id)
    }

    /// Whether a mail that is new bears an id that another message has.
    pub(super) fn is_reused(&self, keys: &Keys) -> bool {
        keys.message_id.as_ref().is_some_and(|id| !self.bearers(id).is_empty())
    }

    /// Who claims an id and may be found by it.
    fn claims(&self, id: &str) -> impl Iterator<Item = &KnownId> {
        self.ids.get(id).into_iter().flatten().filter(|known| known.kind != IdKind::Disowned)
    }

    /// Loads conversations and follows those that were merged. Which one each has become.
    fn follow(
        &mut self,
        cx: &mut Cx<'_>,
        wanted: &HashSet<ConversationId>,
    ) -> Result<HashMap<ConversationId, ConversationId>, Error> {
        let missing: Vec<_> =
            wanted.iter().copied().filter(|id| !self.conversations.contains_key(id)).collect();
        self.conversations.extend(store::conversations::find_many(cx.conn, &missing)?);
        let mut followed = HashMap::new();
        for id in wanted {
            let mut at = *id;
            // A chain of merges is short; the bound keeps a broken one from going round.
            for _ in 0..20 {
                let Some(target) = self.conversations.get(&at).and_then(|c| c.merged_into) else { break };
                if !self.conversations.contains_key(&target) {
                    self.conversations.extend(store::conversations::find_many(cx.conn, &[target])?);
                }
                at = target;
            }
            if self.conversations.contains_key(&at) {
                followed.insert(*id, at);
            }
        }
        Ok(followed)
    }

    fn look_up_people(
        &mut self,
        cx: &mut Cx<'_>,
        followed: &HashMap<ConversationId, ConversationId>,
    ) -> Result<(), Error> {
        let ids: HashSet<&ConversationId> = followed.values().collect();
        let found: Vec<&Conversation> = ids.into_iter().filter_map(|id| self.conversations.get(id)).collect();
        self.people.look_up(cx, &found)
    }

    /// A conversation that threading chose.
    pub(super) fn conversation(
        &mut self,
        cx: &mut Cx<'_>,
        id: ConversationId,
    ) -> Result<Conversation, Error> {
        if let Some(conversation) = self.conversations.get(&id) {
            return Ok(conversation.clone());
        }
        let mut found = store::conversations::find_many(cx.conn, &[id])?;
        found.remove(&id).ok_or(Error::NotFound("conversation"))
    }

    /// A conversation as it was just written.
    pub(super) fn put(&mut self, conversation: Conversation) {
        self.conversations.insert(conversation.id, conversation);
    }

    /// The customer with an address, made if nobody has it. Mail without any sender gets a
    /// customer of its own: it must not lie among somebody else's.
    pub(super) fn customer(
        &mut self,
        cx: &mut Cx<'_>,
        address: Option<&Address>,
    ) -> Result<CustomerId, Error> {
        let Some(address) = address else {
            return Ok(super::super::customers::insert(cx, Some("(unknown sender)"))?.id);
        };
        let folded = fold_address(&address.email);
        if let Some(id) = self.customers.get(&folded) {
            return Ok(*id);
        }
        let id = super::super::conversations::of_address(cx, address.email.trim(), address.name.as_deref())?;
        self.customers.insert(folded, id);
        Ok(id)
    }

    /// Which customer wrote a mail, if its address is a customer's.
    pub(super) fn author(&mut self, cx: &mut Cx<'_>, sender: &str) -> Result<Option<CustomerId>, Error> {
        if sender.is_empty() {
            return Ok(None);
        }
        if let Some(id) = self.customers.get(sender) {
            return Ok(Some(*id));
        }
        let found = store::customers::find_by_address(cx.conn, sender)?;
        if let Some(id) = found {
            self.customers.insert(sender.to_owned(), id);
        }
        Ok(found)
    }

    /// The message of ours that a bounce, a receipt or a complaint is about.
    pub(super) fn about(&self, mail: &Mail, keys: &Keys) -> Option<MessageId> {
        if !is_report(mail.class) {
            return None;
        }
        keys.candidates.iter().find_map(|id| self.messages_of(id).next())
    }

    /// Everybody who is part of a conversation that was looked up, folded.
    pub(super) fn people_of(&self, conversation: ConversationId) -> impl Iterator<Item = String> {
        self.people.of(conversation).into_keys()
    }

    /// The messages that an id names.
    fn messages_of(&self, id: &str) -> impl Iterator<Item = MessageId> {
        self.claims(id).filter_map(|known| known.message_id)
    }

    /// Notes a mail's bytes and files.
    pub(super) fn keep(&mut self, arrival: &Arrival, message: MessageId, now: Timestamp) {
        self.blobs.push(crate::blobs::row(&arrival.raw, now));
        for part in &arrival.mail.parts {
            self.attachments.push(Attachment {
                id: AttachmentId::fresh(),
                message_id: Some(message),
                part: Some(part.part),
                blob_hash: None,
                filename: part.filename.clone(),
                content_type: part.content_type.clone(),
                size: part.size,
                inline: part.inline,
                content_id: part.content_id.clone(),
                token_id: None,
                created_at: now,
                expires_at: None,
            });
        }
    }

    /// Notes the bytes of a mail that is here already in other bytes: what counts as the same was
    /// reckoned, and the bytes can prove it wrong.
    pub(super) fn keep_bytes(&mut self, arrival: &Arrival, now: Timestamp) {
        if !self.raws.contains_key(&arrival.raw.hash) {
            self.blobs.push(crate::blobs::row(&arrival.raw, now));
        }
    }

    /// Notes what a mail that was taken in is known by from now on.
    pub(super) fn remember(
        &mut self,
        here: &Circumstances,
        read: &Read<'_>,
        decision: &Decision,
        conversation: &Conversation,
        message: MessageId,
        now: Timestamp,
    ) {
        self.raws.insert(read.arrival.raw.hash.clone(), (message, conversation.id));
        if let Some(id) = read.keys.message_id.clone().filter(|_| identity::tells(&read.mail.fingerprint)) {
            let alike = self.fingerprints.entry(read.mail.fingerprint.to_vec()).or_default();
            alike.push((id, message, conversation.id));
        }
        let suspicious = decision.flags.contains(&Flag::Suspicious);
        for (name, kind) in read.keys.names() {
            // An absence notice may come before the mail it answers; it must not own that mail. Nor
            // may junk.
            let is_apart = read.class.is_automatic() || read.role == FolderRole::Junk;
            if kind == IdKind::Ghost && is_apart {
                continue;
            }
            // What the sender's domain disowns is known again by its first name, and claims nothing.
            if suspicious && kind != IdKind::Real {
                continue;
            }
            let kind = if suspicious { IdKind::Disowned } else { kind };
            let id = KnownId {
                share_group: here.mailbox.group.clone(),
                rfc_id: name.to_owned(),
                conversation_id: conversation.id,
                message_id: (kind != IdKind::Ghost).then_some(message),
                kind,
                created_at: now,
            };
            self.claim(id);
        }
    }

    /// A conversation claims an id. Each does so for itself: who guesses one that others refer to
    /// draws nothing away from them. A ghost becomes what has come.
    fn claim(&mut self, id: KnownId) {
        let at = id.conversation_id;
        let claims = self.ids.entry(id.rfc_id.clone()).or_default();
        let own = claims.iter().position(|known| merged(&self.conversations, known.conversation_id) == at);
        match own {
            None if claims.len() < CLAIMS => {
                self.new_ids.push(id.clone());
                claims.push(id);
            }
            None if id.kind != IdKind::Ghost => {
                // What has come counts for more than what was only named, by however many.
                let Some(last) = claims.iter().rposition(|known| known.kind == IdKind::Ghost) else { return };
                let ghost = claims.remove(last);
                self.new_ids.retain(|new| *new != ghost);
                self.displaced.push(ghost);
                self.new_ids.push(id.clone());
                claims.push(id);
            }
            Some(index) if claims[index].kind == IdKind::Ghost && id.kind != IdKind::Ghost => {
                let id = KnownId { conversation_id: claims[index].conversation_id, ..id };
                claims[index] = id.clone();
                self.embodied.push(id);
            }
            _ => {}
        }
    }

    /// Conversations that became one with another: what is known of them is known there now.
    pub(super) fn join(
        &mut self,
        cx: &mut Cx<'_>,
        ledger: &mut Ledger,
        into: Conversation,
        joined: &[ConversationId],
    ) -> Result<Conversation, Error> {
        let mut into = into;
        for id in joined {
            let from = self.conversation(cx, *id)?;
            // What was only noted so far must be there to go along.
            self.write_ids(cx)?;
            let people: Vec<_> = self.people.of(*id).into_iter().collect();
            let messages = store::transfers::messages_of(cx.conn, *id)?;
            let shifted = transfers::shift(cx, TransferReason::Joined, &from, &into, &messages, &people)?;
            for known in self.ids.values_mut().flatten() {
                if known.conversation_id == *id && known.message_id.is_some() {
                    known.conversation_id = into.id;
                }
            }
            self.people.follow(*id, into.id);
            ledger.follow(*id, into.id);
            self.put(shifted.from);
            into = shifted.to;
            self.put(into.clone());
        }
        Ok(into)
    }

    /// Who belongs to the conversations.
    pub(super) fn people(&mut self) -> &mut People {
        &mut self.people
    }

    /// Writes what is new.
    pub(super) fn write(mut self, cx: &mut Cx<'_>) -> Result<(), Error> {
        self.people.write(cx)?;
        store::blobs::insert(cx.conn, &self.blobs)?;
        self.write_ids(cx)?;
        store::attachments::insert(cx.conn, &self.attachments)?;
        Ok(())
    }

    fn write_ids(&mut self, cx: &mut Cx<'_>) -> Result<(), Error> {
        for ghost in std::mem::take(&mut self.displaced) {
            store::threads::delete_id(cx.conn, &ghost)?;
        }
        store::threads::insert_ids(cx.conn, &std::mem::take(&mut self.new_ids))?;
        for id in std::mem::take(&mut self.embodied) {
            store::threads::embody(cx.conn, &id)?;
        }
        Ok(())
    }
}

/// Where a conversation went, as far as those are known that were merged.
fn merged(known: &HashMap<ConversationId, Conversation>, mut id: ConversationId) -> ConversationId {
    // A chain of merges is short; the bound keeps a broken one from going round.
    for _ in 0..20 {
        let Some(target) = known.get(&id).and_then(|conversation| conversation.merged_into) else { break };
        id = target;
    }
    id
}
