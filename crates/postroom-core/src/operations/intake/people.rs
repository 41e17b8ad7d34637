//! Who belongs to the conversations that a batch touches: looked up together, kept up to date,
//! written together at its end.

use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::{ConversationId, CustomerId};
use crate::store::threads::NewParticipant;
use crate::threading::ParticipantClass;
use crate::{Error, store};
use std::collections::{HashMap, HashSet};

/// Participants and confirmed addresses, as far as they were asked for.
#[derive(Default)]
pub(super) struct People {
    participants: HashMap<ConversationId, HashMap<String, ParticipantClass>>,
    confirmed: HashMap<CustomerId, HashSet<String>>,
    new: Vec<(ConversationId, String, ParticipantClass)>,
}

impl People {
    /// Looks up who belongs to these conversations, unless that was done before.
    pub(super) fn look_up(&mut self, cx: &mut Cx<'_>, of: &[&Conversation]) -> Result<(), Error> {
        let conversations: Vec<ConversationId> =
            of.iter().map(|c| c.id).filter(|id| !self.participants.contains_key(id)).collect();
        let mut found = store::threads::participants(cx.conn, &conversations)?;
        for id in conversations {
            self.participants.insert(id, found.remove(&id).unwrap_or_default());
        }
        let customers: Vec<CustomerId> =
            of.iter().map(|c| c.customer_id).filter(|id| !self.confirmed.contains_key(id)).collect();
        let found = store::customers::confirmed_addresses(cx.conn, &customers)?;
        self.confirmed.extend(customers.into_iter().map(|id| (id, HashSet::new())));
        for (id, email) in found {
            self.confirmed.entry(id).or_default().insert(email);
        }
        Ok(())
    }

    /// Notes a conversation that was begun just now: nobody belongs to it yet.
    pub(super) fn begin(&mut self, conversation: &Conversation) {
        self.participants.insert(conversation.id, HashMap::new());
    }

    /// Makes somebody part of a conversation; who is part of it already stays what they are.
    pub(super) fn join(&mut self, conversation: ConversationId, email: String, class: ParticipantClass) {
        let there = self.participants.entry(conversation).or_default();
        if !there.contains_key(&email) {
            there.insert(email.clone(), class);
            self.new.push((conversation, email, class));
        }
    }

    /// Everybody of one conversation is part of another one, as was written already.
    pub(super) fn follow(&mut self, from: ConversationId, to: ConversationId) {
        let gone = self.participants.get(&from).cloned().unwrap_or_default();
        let there = self.participants.entry(to).or_default();
        for (email, class) in gone {
            there.entry(email).or_insert(class);
        }
    }

    /// Who is part of a conversation that was looked up.
    pub(super) fn of(&self, conversation: ConversationId) -> HashMap<String, ParticipantClass> {
        self.participants.get(&conversation).cloned().unwrap_or_default()
    }

    /// The confirmed addresses of a customer, one of whose conversations was looked up.
    pub(super) fn confirmed(&self, customer: CustomerId) -> HashSet<String> {
        self.confirmed.get(&customer).cloned().unwrap_or_default()
    }

    /// Writes who is new.
    pub(super) fn write(&self, cx: &mut Cx<'_>) -> Result<(), Error> {
        let rows: Vec<NewParticipant<'_>> = self
            .new
            .iter()
            .map(|(conversation, email, class)| NewParticipant {
                conversation_id: *conversation,
                email_folded: email,
                class: *class,
                created_at: cx.now,
            })
            .collect();
        Ok(store::threads::insert_all_participants(cx.conn, &rows)?)
    }
}
