//! Who may see and do what: the one type that every read of mailbox-bound data takes.

use crate::id::{AgentId, CategoryId, MailboxId};
use crate::word::words;

words! {
    /// What a token may be used for.
    pub enum Scope {
        /// See conversations, messages and files.
        ConversationsRead = "conversations:read",
        /// Change conversations, write notes, file messages.
        ConversationsWrite = "conversations:write",
        /// Write notes and tag conversations, and no more.
        NotesWrite = "notes:write",
        /// Begin conversations with what a customer said, for forms and scripts: nothing is shown in return
        /// but the new conversation's number.
        ConversationsCreate = "conversations:create",
        /// Bring conversations here from another desk (`imported`), under their own dates and in their authors' names.
        /// It takes `conversations:write` as well; agents who are no administrators never hold it.
        ConversationsImport = "conversations:import",
        /// Answer customers.
        MessagesSend = "messages:send",
        /// See customers.
        CustomersRead = "customers:read",
        /// Change customers.
        CustomersWrite = "customers:write",
        /// See how the desk is set up.
        AdminRead = "admin:read",
        /// Set the desk up: mailboxes, agents, tokens.
        AdminWrite = "admin:write",
        /// Rename and remove tags.
        TagsManage = "tags:manage",
        /// Set up who is told of events by HTTP. Agents who are no administrators never hold it.
        WebhooksManage = "webhooks:manage",
        /// Follow the event log.
        EventsRead = "events:read",
        /// Take all of what the desk holds along (`/export/…`). It needs the scope of what is exported as well.
        ExportRead = "export:read",
        /// Act for agents and customers (`X-On-Behalf-Of`). Only owners hold it, and tokens of the desk's own.
        Impersonate = "impersonate",
    }

    /// How much a grant allows; each level holds those before it.
    pub enum Level {
        /// See.
        Read = "read",
        /// See, answer and change.
        Reply = "reply",
        /// Everything, the mailbox's set-up included.
        Manage = "manage",
    }

    /// What an agent is, apart from grants.
    pub enum Role {
        /// Everything; only owners make owners, and there is always one.
        Owner = "owner",
        /// Everything but what is the owners': making owners, and acting for others.
        Admin = "admin",
        /// Sees and answers everything in all mailboxes, manages tags and sees the set-up, but changes none of it.
        Supervisor = "supervisor",
        /// Reads, answers and changes what the grants open.
        Agent = "agent",
        /// Reads what the grants open; writes notes and tags where a grant says `reply`, and changes nothing else.
        LightAgent = "light_agent",
        /// What a role of the desk's own says; `role_id` names it.
        Custom = "custom",
    }
}

impl Scope {
    /// The weaker scopes that this one brings along.
    fn implies(self) -> &'static [Self] {
        match self {
            Self::ConversationsWrite => {
                &[Self::ConversationsRead, Self::NotesWrite, Self::ConversationsCreate]
            }
            Self::MessagesSend | Self::NotesWrite => &[Self::ConversationsRead],
            Self::CustomersWrite => &[Self::CustomersRead],
            Self::AdminWrite => &[Self::AdminRead, Self::TagsManage],
            _ => &[],
        }
    }
}

/// Whether `held` holds a scope, itself or through a stronger one.
pub fn holds(held: &[Scope], scope: Scope) -> bool {
    held.iter().any(|held| *held == scope || held.implies().contains(&scope))
}

/// What both lists hold, as `given` words it: a scope of it that `allowed` does not hold leaves behind what it
/// brings along and `allowed` holds.
pub fn narrowed(given: &[Scope], allowed: &[Scope]) -> Vec<Scope> {
    let mut narrow: Vec<Scope> = Vec::with_capacity(given.len());
    for scope in given {
        if holds(allowed, *scope) {
            narrow.push(*scope);
        } else {
            narrow.extend(scope.implies().iter().filter(|weaker| holds(allowed, **weaker)));
        }
    }
    narrow.sort_unstable();
    narrow.dedup();
    narrow
}

/// What a holder (an agent or a team) may do in one mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Where.
    pub mailbox_id: MailboxId,
    /// Only in conversations of this category; `None` is all.
    pub category_id: Option<CategoryId>,
    /// Only in conversations assigned to the agent.
    pub assigned_only: bool,
    /// How much.
    pub level: Level,
}

/// Which conversations can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// All there are.
    All,
    /// What any of these grants opens.
    Only(Vec<Grant>),
}

/// What one caller may see and do. Made when the caller is known, asked at every query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    agent_id: Option<AgentId>,
    scopes: Vec<Scope>,
    sight: Sight,
}

impl Access {
    /// The desk itself: its workers and commands.
    pub fn system() -> Self {
        Self { agent_id: None, scopes: Scope::ALL.to_vec(), sight: Sight::All }
    }

    /// A caller with these scopes and this sight; `agent_id` is whose "me" is meant.
    pub fn new(agent_id: Option<AgentId>, scopes: Vec<Scope>, sight: Sight) -> Self {
        Self { agent_id, scopes, sight }
    }

    /// The agent behind the caller.
    pub fn agent_id(&self) -> Option<AgentId> {
        self.agent_id
    }

    /// What can be seen.
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// The scopes as given.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whether a scope is held, itself or through a stronger one.
    pub fn has(&self, scope: Scope) -> bool {
        holds(&self.scopes, scope)
    }

    /// Fails with the scope's name where it is not held.
    pub fn require(&self, scope: Scope) -> Result<(), crate::Error> {
        if self.has(scope) { Ok(()) } else { Err(crate::Error::MissingScope(scope)) }
    }

    /// Whether everything can be seen: what customers and settings without a mailbox ask.
    pub fn sees_all(&self) -> bool {
        self.sight == Sight::All
    }

    /// Whether a mailbox can be seen at all.
    pub fn sees_mailbox(&self, mailbox_id: MailboxId) -> bool {
        match &self.sight {
            Sight::All => true,
            Sight::Only(grants) => grants.iter().any(|g| g.mailbox_id == mailbox_id),
        }
    }

    /// The highest level that holds for all of a mailbox, not only for some of its conversations.
    pub fn whole_mailbox_level(&self, mailbox_id: MailboxId) -> Option<Level> {
        match &self.sight {
            Sight::All => Some(Level::Manage),
            Sight::Only(grants) => grants
                .iter()
                .filter(|g| g.mailbox_id == mailbox_id && g.category_id.is_none() && !g.assigned_only)
                .map(|g| g.level)
                .max(),
        }
    }

    /// The highest level in one conversation; `None` is: it does not exist for this caller.
    pub fn level(
        &self,
        mailbox_id: MailboxId,
        category_id: Option<CategoryId>,
        assignee_id: Option<AgentId>,
    ) -> Option<Level> {
        match &self.sight {
            Sight::All => Some(Level::Manage),
            Sight::Only(grants) => grants
                .iter()
                .filter(|g| g.mailbox_id == mailbox_id)
                .filter(|g| g.category_id.is_none() || g.category_id == category_id)
                .filter(|g| !g.assigned_only || (assignee_id.is_some() && assignee_id == self.agent_id))
                .map(|g| g.level)
                .max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(mailbox: i64, category: Option<i64>, assigned_only: bool, level: Level) -> Grant {
        Grant { mailbox_id: MailboxId(mailbox), category_id: category.map(CategoryId), assigned_only, level }
    }

    #[test]
    fn a_stronger_scope_brings_the_weaker() {
        let access = Access::new(None, vec![Scope::ConversationsWrite], Sight::All);
        assert!(access.has(Scope::ConversationsRead));
        assert!(!access.has(Scope::CustomersRead));
        assert!(matches!(
            access.require(Scope::AdminRead),
            Err(crate::Error::MissingScope(Scope::AdminRead))
        ));
    }

    #[test]
    fn grants_open_just_what_they_name() {
        let sight = Sight::Only(vec![
            grant(1, None, true, Level::Reply),
            grant(1, Some(5), false, Level::Read),
            grant(2, None, false, Level::Manage),
        ]);
        let access = Access::new(Some(AgentId(7)), vec![], sight);
        let level =
            |m, c: Option<i64>, a: Option<i64>| access.level(MailboxId(m), c.map(CategoryId), a.map(AgentId));
        assert_eq!(level(1, None, None), None);
        assert_eq!(level(1, None, Some(7)), Some(Level::Reply));
        assert_eq!(level(1, None, Some(8)), None);
        assert_eq!(level(1, Some(5), None), Some(Level::Read));
        assert_eq!(level(1, Some(5), Some(7)), Some(Level::Reply));
        assert_eq!(level(2, None, None), Some(Level::Manage));
        assert_eq!(level(3, None, None), None);
    }

    #[test]
    fn nobody_is_not_the_assignee_of_nothing() {
        let access = Access::new(None, vec![], Sight::Only(vec![grant(1, None, true, Level::Read)]));
        assert_eq!(access.level(MailboxId(1), None, None), None);
    }
}
