//! The people: customers who write, agents and teams who answer, tokens that speak for them.

use crate::access::{Grant, Role, Scope};
use crate::id::{
    AgentId, CategoryId, CustomerAddressId, CustomerId, CustomerPhoneId, MailboxId, RoleId, TeamId, TokenId,
};
use crate::network::Networks;
use crate::outgoing::Written;
use crate::role::RoleChoice;
use crate::store::schema::{agents, categories, customer_addresses, customer_phones, customers, teams};
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;

/// A person who writes.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = customers)]
pub struct Customer {
    /// The number.
    pub id: CustomerId,
    /// The name, if known.
    pub name: Option<String>,
    /// Counts changes.
    pub version: i64,
    /// First seen.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
}

impl Customer {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("p{}-{}", self.id, self.version)
    }
}

/// One of a customer's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = customer_addresses)]
pub struct CustomerAddress {
    /// The number.
    pub id: CustomerAddressId,
    /// Whose.
    pub customer_id: CustomerId,
    /// As written.
    pub email: String,
    /// When somebody made sure that it is theirs; mail from it then counts as the customer's.
    pub confirmed_at: Option<Timestamp>,
    /// Since when a bounce says that there is no such address.
    pub undeliverable_at: Option<Timestamp>,
    /// When its holder took a mail of ours for spam: they get nothing that no agent wrote.
    pub complained_at: Option<Timestamp>,
}

/// One of a customer's telephone numbers.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = customer_phones)]
pub struct CustomerPhone {
    /// The number of the row.
    pub id: CustomerPhoneId,
    /// Whose.
    pub customer_id: CustomerId,
    /// As written.
    pub phone: String,
}

/// A customer with everything that belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerCard {
    /// The customer.
    pub customer: Customer,
    /// The addresses, oldest first.
    pub addresses: Vec<CustomerAddress>,
    /// The telephone numbers, oldest first.
    pub phones: Vec<CustomerPhone>,
    /// The custom fields by their keys, but for those without a value.
    pub custom_fields: serde_json::Map<String, serde_json::Value>,
}

/// A person who answers.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = agents)]
pub struct Agent {
    /// The number.
    pub id: AgentId,
    /// The name customers see.
    pub name: String,
    /// Where the desk reaches them.
    pub email: String,
    /// What they are.
    pub role: Role,
    /// Which role of the desk's own, where `role` is `custom`.
    pub custom_role_id: Option<RoleId>,
    /// What stands below what they write, where the mailbox says so or has none.
    pub signature: Option<Json<Written>>,
    /// They are told by mail that an answer in a conversation of theirs came back.
    pub bounce_notices: bool,
    /// When they stopped; their tokens no longer work.
    pub disabled_at: Option<Timestamp>,
    /// Counts changes.
    pub version: i64,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they last changed.
    pub updated_at: Timestamp,
}

impl Agent {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("a{}-{}", self.id, self.version)
    }

    /// Which role they have.
    pub fn role_choice(&self) -> RoleChoice {
        self.custom_role_id.map_or(RoleChoice::BuiltIn(self.role), RoleChoice::Custom)
    }
}

/// An agent with the grants held in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCard {
    /// The agent.
    pub agent: Agent,
    /// What they may do where; an owner or admin needs none.
    pub grants: Vec<Grant>,
}

/// A group of agents.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = teams)]
pub struct Team {
    /// The number.
    pub id: TeamId,
    /// Its name; unique.
    pub name: String,
    /// Counts changes.
    pub version: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Team {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("t{}-{}", self.id, self.version)
    }
}

/// A team with its members and the grants they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamCard {
    /// The team.
    pub team: Team,
    /// Who is in it.
    pub member_ids: Vec<AgentId>,
    /// Who of them leads it.
    pub lead_ids: Vec<AgentId>,
    /// What every member may do where.
    pub grants: Vec<Grant>,
}

/// A kind of matter, for visibility.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = categories)]
pub struct Category {
    /// The number.
    pub id: CategoryId,
    /// Its name; unique.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
}

words! {
    /// How somebody came by a token.
    pub enum TokenKind {
        /// It was made.
        Token = "token",
        /// They signed in: it ends when it is not used for a while.
        Session = "session",
    }
}

/// An access token without its secret, which nobody has but its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its public name.
    pub id: TokenId,
    /// How somebody came by it.
    pub kind: TokenKind,
    /// What people call it.
    pub name: String,
    /// Whom it speaks for; `None` for a script of its own.
    pub agent_id: Option<AgentId>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Only in these mailboxes.
    pub mailbox_ids: Option<Vec<MailboxId>>,
    /// Only for callers from these networks.
    pub allowed_networks: Option<Networks>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Until when the secret before this one opens as well; `None`: it doesn't.
    pub previous_until: Option<Timestamp>,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Token {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("{}-{}", self.id, self.version)
    }
}
