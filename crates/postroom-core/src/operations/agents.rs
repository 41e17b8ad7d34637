//! Agents: the people who answer.

use super::mailbox_outgoing::check_template;
use super::tokens::require_whole_sight;
use super::{overtaken, require_version, roles};
use crate::access::{Grant, Role, Scope};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{AgentId, RoleId};
use crate::listing::Words;
use crate::outgoing::Written;
use crate::page::Page;
use crate::people::{Agent, AgentCard};
use crate::role::RoleChoice;
use crate::store::people::Holder;
use crate::store::types::Json;
use crate::template::Placeholder;
use crate::text::fold_address;
use crate::{Error, store};
use std::collections::HashMap;

/// An agent to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    /// The name customers see.
    pub name: String,
    /// Where the desk reaches them; unique.
    pub email: String,
    /// What they are.
    pub role: RoleChoice,
    /// What they may do where.
    pub grants: Vec<Grant>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentChange {
    /// The name.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The role.
    pub role: Option<RoleChoice>,
    /// What stands below what they write; `Some(None)`: nothing.
    pub signature: Option<Option<Written>>,
    /// Whether they are told by mail what came back in their conversations.
    pub bounce_notices: Option<bool>,
    /// Whether they have stopped.
    pub disabled: Option<bool>,
    /// All of their own grants.
    pub grants: Option<Vec<Grant>>,
}

/// Every agent with these words in the name or the address. Any caller who reads conversations may know who is who.
pub fn list(cx: &mut Cx<'_>, words: &Words) -> Result<Vec<AgentCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let agents = named(cx, words)?;
    cards(cx, agents)
}

/// A page of [`list`], which `cut` takes out of all of them: the grants of the others are not read.
pub fn page(
    cx: &mut Cx<'_>,
    words: &Words,
    cut: impl FnOnce(Vec<Agent>) -> Page<Agent>,
) -> Result<Page<AgentCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let Page { items, next, total } = cut(named(cx, words)?);
    Ok(Page { items: cards(cx, items)?, next, total })
}

fn named(cx: &mut Cx<'_>, words: &Words) -> Result<Vec<Agent>, Error> {
    let mut agents = store::people::agents(cx.conn)?;
    agents.retain(|agent| words.stand_in(&[&agent.name, &agent.email]));
    Ok(agents)
}

/// Several agents.
pub(super) fn of(cx: &mut Cx<'_>, ids: &[AgentId]) -> Result<Vec<AgentCard>, Error> {
    let agents = store::people::agents_of(cx.conn, ids)?;
    cards(cx, agents)
}

fn cards(cx: &mut Cx<'_>, agents: Vec<Agent>) -> Result<Vec<AgentCard>, Error> {
    let mut grants = if shows_grants(cx) {
        let ids: Vec<AgentId> = agents.iter().map(|agent| agent.id).collect();
        store::people::grants_of_agents(cx.conn, &ids)?
    } else {
        HashMap::new()
    };
    Ok(agents
        .into_iter()
        .map(|agent| AgentCard { grants: grants.remove(&agent.id).unwrap_or_default(), agent })
        .collect())
}

/// One agent.
pub fn find(cx: &mut Cx<'_>, id: AgentId) -> Result<AgentCard, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let agent = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    card(cx, agent)
}

/// Grants are the business of those who set the desk up.
fn shows_grants(cx: &Cx<'_>) -> bool {
    cx.access().has(Scope::AdminRead) && cx.access().sees_all()
}

pub(super) fn card(cx: &mut Cx<'_>, agent: Agent) -> Result<AgentCard, Error> {
    cards(cx, vec![agent])?.pop().ok_or(Error::NotFound("agent"))
}

/// Makes an agent. Nobody gives a role that allows more than they may do themselves.
pub fn create(cx: &mut Cx<'_>, new: &NewAgent) -> Result<AgentCard, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    roles::require_role(cx, new.role)?;
    let mut faults = Faults::default();
    faults.line("/name", &new.name, 200);
    faults.email("/email", &new.email);
    check_grants(cx, &new.grants, &mut faults)?;
    faults.check()?;
    let name = crate::text::one_line(&new.name, 200);
    let Some(agent) = store::people::insert_agent(cx.conn, &name, &new.email, new.role, cx.now)? else {
        return Err(taken(cx, &new.email)?);
    };
    store::people::set_grants(cx.conn, Holder::Agent(agent.id), &new.grants)?;
    let event = NewEvent::new(EventType::AgentCreated, About::default())
        .with("agent_id", agent.id.0)
        .with("name", agent.name.clone());
    cx.tell(event);
    Ok(AgentCard { agent, grants: new.grants.clone() })
}

pub(super) fn taken(cx: &mut Cx<'_>, email: &str) -> Result<Error, Error> {
    let other = store::people::find_agent_by_email(cx.conn, &fold_address(email))?;
    Ok(Error::AlreadyExists {
        detail: "another agent has this address".to_owned(),
        existing_id: other.map(|agent| agent.id.0),
    })
}

/// Changes an agent. Disabling ends every token that speaks for them at once. Whoever may do less than the agent
/// changes nothing of them, since with an agent's address comes what they may do.
pub fn update(
    cx: &mut Cx<'_>,
    id: AgentId,
    expected: Option<&str>,
    change: &AgentChange,
) -> Result<AgentCard, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    roles::require_role(cx, before.role_choice())?;
    if let Some(role) = change.role {
        roles::require_role(cx, role)?;
    }
    require_version("agent", expected, before.etag())?;
    let mut faults = Faults::default();
    if let Some(name) = &change.name {
        faults.line("/name", name, 200);
    }
    if let Some(email) = &change.email {
        faults.email("/email", email);
    }
    check_signature(cx, change.signature.as_ref(), &mut faults);
    if let Some(grants) = &change.grants {
        check_grants(cx, grants, &mut faults)?;
    }
    faults.check()?;

    let mut after = before.clone();
    if let Some(name) = &change.name {
        after.name = crate::text::one_line(name, 200);
    }
    if let Some(email) = &change.email {
        let folded = fold_address(email);
        let other = store::people::find_agent_by_email(cx.conn, &folded)?;
        if other.is_some_and(|other| other.id != id) {
            return Err(taken(cx, email)?);
        }
        after.email.clone_from(email);
    }
    let role = change.role.unwrap_or_else(|| before.role_choice());
    (after.role, after.custom_role_id) = (role.word(), role.custom_id());
    after.disabled_at = match change.disabled {
        Some(true) => after.disabled_at.or(Some(cx.now)),
        Some(false) => None,
        None => after.disabled_at,
    };
    if let Some(signature) = &change.signature {
        after.signature = signature.clone().map(Json::new);
    }
    after.bounce_notices = change.bounce_notices.unwrap_or(after.bounce_notices);
    require_an_owner(cx, &before, &after)?;
    let is_signed_anew = after.signature != before.signature;
    let held = store::people::grants_of(cx.conn, Holder::Agent(id))?;
    let grants = change.grants.clone().unwrap_or_else(|| held.clone());
    let mut changes = Changes::default();
    changes.note("name", &before.name, &after.name);
    changes.note("email", &before.email, &after.email);
    changes.note("role", &before.role, &after.role);
    changes.note("role_id", &role_id(&before), &role_id(&after));
    changes.note("bounce_notices", &before.bounce_notices, &after.bounce_notices);
    changes.note("disabled_at", &before.disabled_at, &after.disabled_at);
    if changes.is_empty() && held == grants && !is_signed_anew {
        return Ok(AgentCard { agent: before, grants });
    }
    let written = store::people::update_agent(cx.conn, &before, &after, cx.now)?.ok_or_else(overtaken)?;
    if held != grants {
        store::people::set_grants(cx.conn, Holder::Agent(id), &grants)?;
    }
    if before.disabled_at.is_none() && after.disabled_at.is_some() {
        // Enabled again, they sign in again; and no link that they were sent opens anything.
        super::sessions::end_all(cx, id, None, "the agent was disabled")?;
        store::sign_in::delete_one_time(cx.conn, id, None)?;
    }
    if fold_address(&before.email) != fold_address(&after.email) {
        // Nor does one that lies in a mailbox which is not theirs any more, or never was.
        store::sign_in::delete_one_time(cx.conn, id, None)?;
    }
    let event = NewEvent::new(EventType::AgentUpdated, About::default())
        .with("agent_id", id.0)
        .with("grants_changed", held != grants)
        .with("signature_changed", is_signed_anew)
        .changing(changes);
    cx.tell(event);
    Ok(AgentCard { agent: written, grants })
}

fn role_id(agent: &Agent) -> Option<RoleId> {
    agent.custom_role_id.or_else(|| agent.role.id())
}

/// The last owner stays one: nobody else could make another.
fn require_an_owner(cx: &mut Cx<'_>, before: &Agent, after: &Agent) -> Result<(), Error> {
    let is_owner = |agent: &Agent| agent.role == Role::Owner && agent.disabled_at.is_none();
    if is_owner(before) && !is_owner(after) && store::people::hold_owners(cx.conn)? <= 1 {
        return Err(Error::StateConflict(
            "this is the last owner; make somebody else an owner first".to_owned(),
        ));
    }
    Ok(())
}

pub(super) fn check_signature(cx: &Cx<'_>, signature: Option<&Option<Written>>, faults: &mut Faults) {
    if let Some(Some(signature)) = signature {
        let allowed = |known: Placeholder| known.stands_anywhere();
        check_template(cx, "/signature", signature, allowed, faults);
    }
}

/// Notes grants that name what is not there.
pub(super) fn check_grants(cx: &mut Cx<'_>, grants: &[Grant], faults: &mut Faults) -> Result<(), Error> {
    if grants.len() > 1_000 {
        faults.add("/grants", "too_many", "has at most 1,000 members");
        return Ok(());
    }
    for (index, grant) in grants.iter().enumerate() {
        if store::mailboxes::find(cx.conn, grant.mailbox_id)?.is_none() {
            faults.add(format!("/grants/{index}/mailbox_id"), "not_found", "there is no such mailbox");
        }
        if let Some(category) = grant.category_id
            && store::people::find_category(cx.conn, category)?.is_none()
        {
            faults.add(format!("/grants/{index}/category_id"), "not_found", "there is no such category");
        }
    }
    Ok(())
}
