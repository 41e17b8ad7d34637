//! Roles: those that come with the desk, and those of its own. Nobody makes or changes one that allows more
//! than they may do themselves.

use super::tokens::require_whole_sight;
use super::{overtaken, require_version};
use crate::access::{Access, Role, Scope, Sight};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::RoleId;
use crate::people::Agent;
use crate::role::{CustomRole, Rights, RoleChoice};
use crate::store::types::Json;
use crate::{Error, store};

/// The longest name, in characters.
pub const NAME_CHARS: usize = 100;

/// A role to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    /// Its name; unique.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Whether it opens all mailboxes.
    pub sees_all: bool,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleChange {
    /// The name.
    pub name: Option<String>,
    /// All scopes.
    pub scopes: Option<Vec<Scope>>,
    /// Whether it opens all mailboxes.
    pub sees_all: Option<bool>,
}

/// The desk's own roles. Whoever reads conversations may know what is what.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<CustomRole>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    Ok(store::roles::list(cx.conn)?)
}

/// One role of the desk's own.
pub fn find(cx: &mut Cx<'_>, id: RoleId) -> Result<CustomRole, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    existing(cx, id)
}

fn existing(cx: &mut Cx<'_>, id: RoleId) -> Result<CustomRole, Error> {
    store::roles::find(cx.conn, id)?.ok_or(Error::NotFound("role"))
}

/// Makes a role.
pub fn create(cx: &mut Cx<'_>, new: &NewRole) -> Result<CustomRole, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let mut faults = Faults::default();
    faults.line("/name", &new.name, NAME_CHARS);
    check_scopes(cx, &new.scopes, &mut faults);
    faults.check()?;
    let name = crate::text::one_line(&new.name, NAME_CHARS);
    require_free_name(cx, &name, None)?;
    let role = store::roles::insert(cx.conn, &name, &in_order(&new.scopes), new.sees_all, cx.now)?;
    let event = NewEvent::new(EventType::RoleCreated, About::default())
        .with("role_id", role.id.0)
        .with("name", role.name.clone());
    cx.tell(event);
    Ok(role)
}

/// Changes a role. Whoever has it may do more or less from their next request on.
///
/// `expected` is the version that the caller saw.
pub fn update(
    cx: &mut Cx<'_>,
    id: RoleId,
    expected: Option<&str>,
    change: &RoleChange,
) -> Result<CustomRole, Error> {
    let before = changeable(cx, id, expected)?;
    let mut faults = Faults::default();
    if let Some(name) = &change.name {
        faults.line("/name", name, NAME_CHARS);
    }
    if let Some(scopes) = &change.scopes {
        check_scopes(cx, scopes, &mut faults);
    }
    faults.check()?;
    let mut after = before.clone();
    if let Some(name) = &change.name {
        after.name = crate::text::one_line(name, NAME_CHARS);
        require_free_name(cx, &after.name, Some(id))?;
    }
    if let Some(scopes) = &change.scopes {
        after.scopes = Json::new(in_order(scopes));
    }
    after.sees_all = change.sees_all.unwrap_or(after.sees_all);
    let mut changes = Changes::default();
    changes.note("name", &before.name, &after.name);
    changes.note("scopes", &before.scopes.to_vec(), &after.scopes.to_vec());
    changes.note("sees_all", &before.sees_all, &after.sees_all);
    if changes.is_empty() {
        return Ok(before);
    }
    let written = store::roles::update(cx.conn, &before, &after, cx.now)?.ok_or_else(overtaken)?;
    let event =
        NewEvent::new(EventType::RoleUpdated, About::default()).with("role_id", id.0).changing(changes);
    cx.tell(event);
    Ok(written)
}

/// Removes a role that nobody has, disabled agents included: one of them may come back.
///
/// `expected` is the version that the caller saw.
pub fn delete(cx: &mut Cx<'_>, id: RoleId, expected: Option<&str>) -> Result<(), Error> {
    let before = changeable(cx, id, expected)?;
    if let Some(agent) = store::roles::holder(cx.conn, id)? {
        return Err(Error::StateConflict(format!(
            "agent {agent} has this role; give them another one first"
        )));
    }
    if !store::roles::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    let event = NewEvent::new(EventType::RoleDeleted, About::default())
        .with("role_id", id.0)
        .with("name", before.name);
    cx.tell(event);
    Ok(())
}

/// A role that the caller may change: one of the desk's own that allows no more than they may do.
fn changeable(cx: &mut Cx<'_>, id: RoleId, expected: Option<&str>) -> Result<CustomRole, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    if Role::of_id(id).is_some() {
        return Err(Error::StateConflict("this role comes with the desk and stays as it is".to_owned()));
    }
    let before = existing(cx, id)?;
    require_held(cx, &before.rights())?;
    require_version("role", expected, before.etag())?;
    Ok(before)
}

fn check_scopes(cx: &Cx<'_>, scopes: &[Scope], faults: &mut Faults) {
    if scopes.is_empty() {
        faults.add("/scopes", "required", "name at least one scope; a role without any could do nothing");
    }
    for (index, scope) in scopes.iter().enumerate() {
        let at = format!("/scopes/{index}");
        if *scope == Scope::Impersonate {
            faults.add(at, "not_allowed", "only owners act for others");
        } else if !cx.access().has(*scope) {
            faults.add(at, "not_held", format!("you do not hold {scope} yourself"));
        }
    }
}

fn in_order(scopes: &[Scope]) -> Vec<Scope> {
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn require_free_name(cx: &mut Cx<'_>, name: &str, own: Option<RoleId>) -> Result<(), Error> {
    let taken =
        |existing_id| Error::AlreadyExists { detail: "another role has this name".to_owned(), existing_id };
    let folded = crate::text::fold(name);
    if let Some(built_in) = Role::ALL.iter().find(|role| role.as_str() == folded) {
        return Err(taken(built_in.id().map(|id| id.0)));
    }
    match store::roles::find_by_name(cx.conn, name)? {
        Some(other) if Some(other.id) != own => Err(taken(Some(other.id.0))),
        _ => Ok(()),
    }
}

/// What an agent's role allows.
pub(super) fn of_agent(cx: &mut Cx<'_>, agent: &Agent) -> Result<Rights, Error> {
    rights(cx, agent.role_choice())
}

/// What an agent may see and do by their role and their grants.
pub(super) fn access_of(cx: &mut Cx<'_>, agent: &Agent) -> Result<Access, Error> {
    let rights = of_agent(cx, agent)?;
    let sight = if rights.sees_all {
        Sight::All
    } else {
        Sight::Only(store::people::effective_grants(cx.conn, agent.id)?)
    };
    Ok(Access::new(Some(agent.id), rights.scopes, sight))
}

/// What a role allows. One that is not there allows nothing.
fn rights(cx: &mut Cx<'_>, choice: RoleChoice) -> Result<Rights, Error> {
    let found = match choice {
        RoleChoice::BuiltIn(role) => role.rights(),
        RoleChoice::Custom(id) => store::roles::find(cx.conn, id)?.map(|role| role.rights()),
    };
    Ok(found.unwrap_or(Rights { scopes: Vec::new(), sees_all: false }))
}

/// Fails where the caller may not do all that these rights allow.
pub(super) fn require_held(cx: &Cx<'_>, rights: &Rights) -> Result<(), Error> {
    if rights.sees_all {
        require_whole_sight(cx)?;
    }
    rights.scopes.iter().try_for_each(|scope| cx.access().require(*scope))
}

/// Fails where an agent may do more than the caller: how they come in is theirs alone.
pub(super) fn require_no_more(cx: &mut Cx<'_>, agent: &Agent) -> Result<(), Error> {
    let rights = of_agent(cx, agent)?;
    require_held(cx, &rights)
}

/// Fails where the caller may not do all that a role allows: they can neither give it nor take it away. A
/// role that is not there is a fault of the input.
pub(super) fn require_role(cx: &mut Cx<'_>, choice: RoleChoice) -> Result<(), Error> {
    if let RoleChoice::Custom(id) = choice
        && store::roles::find(cx.conn, id)?.is_none()
    {
        return Err(Error::invalid("/role_id", "not_found", "there is no such role"));
    }
    let rights = rights(cx, choice)?;
    require_held(cx, &rights)
}

/// The scopes that a token of an agent's can use at the most.
pub fn scopes_of(cx: &mut Cx<'_>, id: crate::id::AgentId) -> Result<Vec<Scope>, Error> {
    cx.access().require(Scope::AdminWrite)?;
    let agent = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    Ok(of_agent(cx, &agent)?.scopes)
}
