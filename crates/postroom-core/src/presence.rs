//! Who is at a conversation just now: so that two agents don't answer it at once.

use crate::id::AgentId;
use crate::store::schema::presences;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;

words! {
    /// What an agent does at a conversation.
    pub enum PresenceState {
        /// They read it.
        Viewing = "viewing",
        /// They write an answer.
        Replying = "replying",
    }
}

/// An agent at a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = presences)]
pub struct Presence {
    /// Who.
    pub agent_id: AgentId,
    /// What they do there.
    pub state: PresenceState,
    /// Until when that counts, unless they say it again.
    pub expires_at: Timestamp,
}
