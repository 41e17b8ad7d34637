//! A transfer: messages that went from one conversation to another at once, with all it takes to
//! bring them back.

use crate::conversation::{Conversation, Status, WaitingOn};
use crate::id::{AgentId, ConversationId, MessageId, TransferId};
use crate::store::schema::transfers;
use crate::store::types::Json;
use crate::threading::IdKind;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

words! {
    /// Why messages went elsewhere.
    pub enum TransferReason {
        /// Somebody mended where a message was.
        Moved = "moved",
        /// Somebody accepted a suggested link: the whole conversation went, and who wrote in it is
        /// part of the other one now.
        Accepted = "accepted",
        /// Somebody merged a conversation into another: all of it went, and who wrote in it is part of
        /// the other one now.
        Merged = "merged",
        /// Somebody gave messages a conversation of their own.
        Split = "split",
        /// A mail showed two conversations of one customer to be one, and nobody had worked on
        /// this one.
        Joined = "joined",
    }
}

/// What of a conversation a transfer can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    pub status: Status,
    /// Whose turn it is.
    pub waiting_on: Option<WaitingOn>,
    /// Since when.
    pub waiting_since: Option<Timestamp>,
    /// When it wakes.
    pub snoozed_until: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How many messages are in it.
    pub message_count: i32,
    /// The newest of them.
    pub last_message_id: Option<MessageId>,
}

impl State {
    /// As a conversation is now.
    pub fn of(conversation: &Conversation) -> Self {
        Self {
            status: conversation.status,
            waiting_on: conversation.waiting_on,
            waiting_since: conversation.waiting_since,
            snoozed_until: conversation.snoozed_until,
            closed_at: conversation.closed_at,
            message_count: conversation.message_count,
            last_message_id: conversation.last_message_id,
        }
    }

    /// Puts a conversation's status back to what it was; what its messages tell stays.
    pub fn restore_status(&self, conversation: &mut Conversation) {
        conversation.status = self.status;
        conversation.waiting_on = self.waiting_on;
        conversation.waiting_since = self.waiting_since;
        conversation.snoozed_until = self.snoozed_until;
        conversation.closed_at = self.closed_at;
    }
}

/// A name that a message brought along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Without brackets.
    pub rfc_id: String,
    /// What it is.
    pub kind: IdKind,
    /// Of which message.
    pub message_id: Option<MessageId>,
    /// The conversation that the messages went to had waited for it.
    pub was_awaited: bool,
}

/// What it takes to bring the messages back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What went.
    pub message_ids: Vec<MessageId>,
    /// What it is known by.
    pub names: Vec<Name>,
    /// What belonged to a side conversation and, as mail of the other one's customer, no longer does: which
    /// side.
    #[serde(default)]
    pub sides: Vec<(MessageId, MessageId)>,
    /// Who became part of the other conversation by it, by folded address.
    pub invited: Vec<String>,
    /// Who follows the other conversation by it.
    #[serde(default)]
    pub followers: Vec<AgentId>,
    /// The one they left: before, and after.
    pub from: [State; 2],
    /// The one they went to: before, and after.
    pub to: [State; 2],
}

/// Messages that went from one conversation to another.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = transfers)]
pub struct Transfer {
    /// Its number.
    pub id: TransferId,
    /// Why.
    pub reason: TransferReason,
    /// What they left.
    pub from_id: ConversationId,
    /// Where they went.
    pub to_id: ConversationId,
    /// The rest.
    pub details: Json<Details>,
    /// When.
    pub created_at: Timestamp,
    /// When it was taken back.
    pub undone_at: Option<Timestamp>,
}
