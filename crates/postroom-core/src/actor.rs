//! Who does something: an agent, a token that belongs to nobody, or the desk itself.

use crate::access::Access;
use crate::audit::Origin;
use crate::id::{AgentId, TokenId};
use crate::network::Networks;
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
    /// The networks that the token is bound to.
    pub networks: Option<Networks>,
    /// In whose name the token's holder acts, who is somebody else.
    pub on_behalf_of: Option<Behalf>,
}

/// Somebody in whose name another acts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Behalf {
    /// An agent, with what both the token and the agent may do.
    Agent(AgentId),
    /// The customer with this address, who files what they say and no more.
    Customer(String),
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
            networks: None,
            on_behalf_of: None,
        }
    }

    /// The token through which somebody else acts in the caller's name.
    pub fn through(&self) -> Option<&TokenId> {
        self.on_behalf_of.as_ref().and(self.token_id.as_ref())
    }

    /// The customer's address, where somebody acts in a customer's name.
    pub fn customer(&self) -> Option<&str> {
        match &self.on_behalf_of {
            Some(Behalf::Customer(address)) => Some(address),
            _ => None,
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
