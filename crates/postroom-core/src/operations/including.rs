//! What a list names by numbers, read beside it: one query for each kind, however long the page is.

use super::{agents, capabilities, customers, mailboxes, messages, read_marks, teams};
use crate::access::Scope;
use crate::capability::Capabilities;
use crate::conversation::{Conversation, ConversationInclude};
use crate::cx::Cx;
use crate::id::{AgentId, CustomerId, MailboxId, MessageId, TeamId};
use crate::mailbox::Mailbox;
use crate::message::{AuthorType, Message, MessageInclude};
use crate::operations::mailboxes::HasPasswords;
use crate::operations::messages::MessageCard;
use crate::people::{AgentCard, CustomerCard, TeamCard};
use crate::read_mark::ReadMark;
use crate::{Error, store};

/// What was asked for; what was not is `None`. Each thing stands there once, in the order of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Included {
    /// The customers.
    pub customers: Option<Vec<CustomerCard>>,
    /// The agents.
    pub agents: Option<Vec<AgentCard>>,
    /// The teams.
    pub teams: Option<Vec<TeamCard>>,
    /// The mailboxes, and which of their passwords are kept.
    pub mailboxes: Option<Vec<(Mailbox, HasPasswords)>>,
    /// The messages.
    pub messages: Option<Vec<MessageCard>>,
    /// How far the caller has read, in the order of what names them.
    pub read_marks: Option<Vec<ReadMark>>,
    /// What the caller may do to them, in their order.
    pub capabilities: Option<Vec<Capabilities>>,
}

/// Numbers without repeats, in order.
fn each<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What conversations name that the caller has found: whoever sees a conversation sees whose it is, where it is
/// and who takes care of it. Customers are shown with all their addresses, so that they need their scope.
pub fn of_conversations(
    cx: &mut Cx<'_>,
    wanted: &[ConversationInclude],
    of: &[&Conversation],
) -> Result<Option<Included>, Error> {
    if wanted.is_empty() {
        return Ok(None);
    }
    cx.access().require(Scope::ConversationsRead)?;
    let mut included = Included::default();
    for one in each(wanted.iter().copied()) {
        match one {
            ConversationInclude::Customer => {
                cx.access().require(Scope::CustomersRead)?;
                let ids: Vec<CustomerId> = each(of.iter().map(|one| one.customer_id));
                included.customers = Some(customers::of(cx, &ids)?);
            }
            ConversationInclude::Assignee => {
                let ids: Vec<AgentId> = each(of.iter().filter_map(|one| one.assignee_id));
                included.agents = Some(agents::of(cx, &ids)?);
            }
            ConversationInclude::Team => {
                let ids: Vec<TeamId> = each(of.iter().filter_map(|one| one.team_id));
                included.teams = Some(teams::of(cx, &ids)?);
            }
            ConversationInclude::Mailbox => {
                let ids: Vec<MailboxId> = each(of.iter().map(|one| one.mailbox_id));
                included.mailboxes = Some(mailboxes::of(cx, &ids)?);
            }
            ConversationInclude::Capabilities => included.capabilities = Some(capabilities::of(cx, of)?),
            ConversationInclude::ReadMark => included.read_marks = Some(read_marks::of(cx, of)?),
            ConversationInclude::LastMessage => {
                let ids: Vec<MessageId> = each(of.iter().filter_map(|one| one.last_message_id));
                let found = store::messages::find_many(cx.conn, &ids)?;
                included.messages = Some(messages::cards(cx, found)?);
            }
        }
    }
    Ok(Some(included))
}

/// Who wrote messages that the caller has found.
pub fn of_messages(
    cx: &mut Cx<'_>,
    wanted: &[MessageInclude],
    of: &[&Message],
) -> Result<Option<Included>, Error> {
    if wanted.is_empty() {
        return Ok(None);
    }
    cx.access().require(Scope::ConversationsRead)?;
    let authors = |kind: AuthorType| {
        each(of.iter().filter(|one| one.author_type == kind).filter_map(|one| one.author_id))
    };
    let mut included = Included::default();
    for one in each(wanted.iter().copied()) {
        match one {
            MessageInclude::Agent => {
                let ids: Vec<AgentId> = authors(AuthorType::Agent).into_iter().map(AgentId).collect();
                included.agents = Some(agents::of(cx, &ids)?);
            }
            MessageInclude::Customer => {
                cx.access().require(Scope::CustomersRead)?;
                let ids: Vec<CustomerId> =
                    authors(AuthorType::Customer).into_iter().map(CustomerId).collect();
                // Somebody else's customer may have written in a conversation that this one sees.
                let access = cx.access().clone();
                let seen = store::customers::visible(cx.conn, &access, &ids)?;
                let ids: Vec<CustomerId> = ids.into_iter().filter(|id| seen.contains(id)).collect();
                included.customers = Some(customers::of(cx, &ids)?);
            }
        }
    }
    Ok(Some(included))
}
