//! Who does something: an agent, a token that belongs to nobody, or the desk itself.

use crate::access::Access;
use crate::audit::Origin;
use crate::id::{AgentId, TokenId};
use crate::word::words;

words! {
    /// What kind of caller it is.
    pub enum ActorType {
        /// A person who answers.
        Agent = "agent",
        /// A script's token.
        Token = "token",
        /// A customer, by mail.
        Customer = "customer",
        /// The desk itself.
        System = "system",
    }
}

/// A caller whose name is known and whose rights are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind of caller.
    pub kind: ActorType,
    /// Which agent, if one.
    pub agent_id: Option<AgentId>,
    /// Through which token, if any.
    pub token_id: Option<TokenId>,
    /// The name people know the caller by.
    pub name: String,
    /// The agent's address, if an agent.
    pub email: Option<String>,
    /// What the caller may see and do.
    pub access: Access,
    /// Where the request came from; nowhere for the desk itself.
    pub origin: Origin,
}

impl Actor {
    /// The desk itself: workers and commands.
    pub fn system() -> Self {
        Self {
            kind: ActorType::System,
            agent_id: None,
            token_id: None,
            name: "postroom".to_owned(),
            email: None,
            access: Access::system(),
            origin: Origin::default(),
        }
    }

    /// The id that the event log keeps of the caller.
    pub fn event_id(&self) -> Option<String> {
        match (self.agent_id, &self.token_id) {
            (Some(agent), _) => Some(agent.to_string()),
            (None, Some(token)) => Some(token.to_string()),
            (None, None) => None,
        }
    }
}
