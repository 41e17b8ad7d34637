//! Who follows a conversation.

use crate::id::{AgentId, ConversationId};
use crate::store::schema::followers;
use crate::time::Timestamp;
use diesel::prelude::*;

/// The most followers of one conversation.
pub const FOLLOWERS: usize = 100;

/// An agent who follows a conversation: they are notified of what happens in it, whoever takes care of it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = followers)]
pub struct Follower {
    /// Which conversation.
    pub conversation_id: ConversationId,
    /// Which agent.
    pub agent_id: AgentId,
    /// Since when.
    pub created_at: Timestamp,
}
