//! What threading has to know of a mail's keys: who claims them, and what those conversations are.

use super::{Known, is_report};
use crate::conversation::{Channel, Status};
use crate::cx::Cx;
use crate::id::{ConversationId, MessageId};
use crate::mailbox::FolderRole;
use crate::operations::intake::{Circumstances, Read};
use crate::threading::{Candidate, Facts, IdKind, IdOwner};
use crate::{Error, store};
use std::collections::{HashMap, HashSet};

impl Known {
    /// What threading has to know of a mail's keys.
    pub(in crate::operations::intake) fn facts(
        &mut self,
        cx: &mut Cx<'_>,
        here: &Circumstances,
        read: &Read<'_>,
    ) -> Result<Facts, Error> {
        let mut wanted: HashSet<ConversationId> = read.keys.conversations().collect();
        wanted.extend(read.keys.ids().flat_map(|id| self.claims(id)).map(|known| known.conversation_id));
        let recent = recent_of_sender(cx, here, read)?;
        wanted.extend(&recent);
        let mut followed = self.follow(cx, &wanted)?;
        let mut ids: HashMap<String, Vec<IdOwner>> = HashMap::new();
        for id in read.keys.ids() {
            let mut owners: Vec<IdOwner> = Vec::new();
            for known in self.claims(id) {
                let Some(at) = followed.get(&known.conversation_id) else { continue };
                match owners.iter_mut().find(|owner| owner.conversation_id == *at) {
                    // Two that became one: it has come where either of them had it.
                    Some(owner) if owner.kind == IdKind::Ghost => owner.kind = known.kind,
                    Some(_) => {}
                    None => owners.push(IdOwner { conversation_id: *at, kind: known.kind }),
                }
            }
            ids.insert(id.to_owned(), owners);
        }
        let targets: HashSet<ConversationId> = followed.values().copied().collect();
        followed.extend(targets.iter().map(|id| (*id, *id)));
        let writers = if targets.len() > 1 || !recent.is_empty() {
            let targets: Vec<ConversationId> = targets.into_iter().collect();
            store::messages::writers(cx.conn, &targets)?
        } else {
            HashMap::new()
        };
        let conversations = self.candidates(cx, here, &followed)?;
        let ids_of_ours = self.ids_of_ours(cx, read)?;
        let reached: HashSet<ConversationId> =
            ids.values().flatten().map(|owner| owner.conversation_id).collect();
        let reached: Vec<ConversationId> = reached.into_iter().collect();
        // One alone has nothing to become one with.
        let untouched = if reached.len() < 2 { HashSet::new() } else { self.untouched(cx, &reached)? };
        Ok(Facts { ids, conversations, recent_of_sender: recent, untouched, writers, ids_of_ours })
    }

    /// Which of these conversations nobody has worked on.
    pub(in crate::operations::intake) fn untouched(
        &self,
        cx: &mut Cx<'_>,
        reached: &[ConversationId],
    ) -> Result<HashSet<ConversationId>, Error> {
        let mut worked_on = store::events::worked_on(cx.conn, reached)?;
        // An agent's answer out of a Sent folder is told by the desk.
        worked_on.extend(store::transfers::with_more_than_inbound(cx.conn, reached)?);
        // A team is the mailbox's, or stands in the log.
        let is_plain = |id: &ConversationId| {
            self.conversations.get(id).is_some_and(|c| {
                c.channel == Channel::Email
                    && c.assignee_id.is_none()
                    && c.category_id.is_none()
                    && c.deleted_at.is_none()
            })
        };
        Ok(reached.iter().copied().filter(|id| !worked_on.contains(id) && is_plain(id)).collect())
    }

    /// Which of the ids that a report is about name mail that left from here.
    fn ids_of_ours(&self, cx: &mut Cx<'_>, read: &Read<'_>) -> Result<HashSet<String>, Error> {
        if !is_report(read.mail.class) {
            return Ok(HashSet::new());
        }
        let named: Vec<(&String, MessageId)> =
            read.keys.candidates.iter().flat_map(|id| self.messages_of(id).map(move |m| (id, m))).collect();
        let messages: Vec<MessageId> = named.iter().map(|(_, message)| *message).collect();
        let ours: HashSet<MessageId> = store::messages::outgoing_of(cx.conn, &messages)?;
        Ok(named
            .into_iter()
            .filter(|(_, message)| ours.contains(message))
            .map(|(id, _)| id.clone())
            .collect())
    }

    fn candidates(
        &mut self,
        cx: &mut Cx<'_>,
        here: &Circumstances,
        followed: &HashMap<ConversationId, ConversationId>,
    ) -> Result<HashMap<ConversationId, Candidate>, Error> {
        self.look_up_people(cx, followed)?;
        let junk = self.junk(cx, here, followed)?;
        let candidates = followed.iter().filter_map(|(named, target)| {
            let conversation = self.conversations.get(target)?;
            let candidate = Candidate {
                id: conversation.id,
                customer_id: conversation.customer_id,
                same_group: here.group.contains(&conversation.mailbox_id),
                closed_at: conversation.closed_at,
                deleted: conversation.deleted_at.is_some(),
                spam: conversation.status == Status::Spam,
                junk: junk.contains(target),
                last_activity_at: conversation.last_message_at,
                subject: conversation.subject.clone(),
                participants: self.people.of(*target),
                confirmed_addresses: self.people.confirmed(conversation.customer_id),
            };
            Some((*named, candidate))
        });
        Ok(candidates.collect())
    }

    /// Which conversations a junk folder alone says are spam: asked for mail from elsewhere.
    fn junk(
        &self,
        cx: &mut Cx<'_>,
        here: &Circumstances,
        followed: &HashMap<ConversationId, ConversationId>,
    ) -> Result<HashSet<ConversationId>, Error> {
        let is_spam = |id: &ConversationId| {
            self.conversations.get(id).is_some_and(|conversation| conversation.status == Status::Spam)
        };
        let mut spam: HashSet<ConversationId> = followed.values().copied().filter(is_spam).collect();
        if here.role == FolderRole::Junk || spam.is_empty() {
            return Ok(HashSet::new());
        }
        let named: Vec<ConversationId> = spam.iter().copied().collect();
        for said_by_somebody in store::events::worked_on(cx.conn, &named)? {
            spam.remove(&said_by_somebody);
        }
        Ok(spam)
    }
}

/// The sender's recent conversations: only asked where nothing else could tell.
fn recent_of_sender(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    read: &Read<'_>,
) -> Result<Vec<ConversationId>, Error> {
    if !read.keys.is_reply || !read.keys.candidates.is_empty() || read.sender.is_empty() {
        return Ok(Vec::new());
    }
    let Some(customer) = store::customers::find_by_address(cx.conn, &read.sender)? else {
        return Ok(Vec::new());
    };
    let recent = store::conversations::recent_of_customer(cx.conn, customer, &here.group)?;
    Ok(recent.into_iter().map(|conversation| conversation.id).collect())
}
