//! What answers name by numbers, given beside them: each thing once.

use super::agents::AgentView;
use super::customers::CustomerView;
use super::mailboxes::MailboxView;
use super::read_marks::ReadMarkView;
use super::teams::TeamView;
use crate::links::Links;
use crate::shapes::capabilities::CapabilitiesView;
use crate::shapes::message::MessageView;
use postroom_core::operations::including::Included;
use serde::Serialize;
use utoipa::ToSchema;

/// What was asked for with `include`; what was not is left out. Each thing stands here once, in the order of
/// numbers, as its own operation would answer it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Included)]
pub struct IncludedView {
    /// The customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    customers: Option<Vec<CustomerView>>,
    /// The agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    agents: Option<Vec<AgentView>>,
    /// The teams.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    teams: Option<Vec<TeamView>>,
    /// The mailboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    mailboxes: Option<Vec<MailboxView>>,
    /// The messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    messages: Option<Vec<MessageView>>,
    /// How far you have read each of the conversations, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    read_marks: Option<Vec<ReadMarkView>>,
    /// What you may do to each of the conversations, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    capabilities: Option<Vec<CapabilitiesView>>,
}

impl IncludedView {
    /// With links under our public address.
    pub fn new(included: Included, links: &Links) -> Self {
        fn all<T, V>(of: Option<Vec<T>>, view: impl FnMut(T) -> V) -> Option<Vec<V>> {
            of.map(|all| all.into_iter().map(view).collect())
        }
        Self {
            customers: all(included.customers, CustomerView::from),
            agents: all(included.agents, AgentView::from),
            teams: all(included.teams, TeamView::from),
            mailboxes: all(included.mailboxes, |(mailbox, has)| MailboxView::new(mailbox, has)),
            messages: all(included.messages, |card| MessageView::new(card, links)),
            read_marks: all(included.read_marks, ReadMarkView::from),
            capabilities: all(included.capabilities, CapabilitiesView::from),
        }
    }
}
