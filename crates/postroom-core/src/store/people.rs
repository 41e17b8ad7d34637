//! Agents, teams, categories, and the grants that agents and teams hold.

use crate::access::{Grant, Level, Role};
use crate::id::{AgentId, CategoryId, MailboxId, TeamId};
use crate::people::{Agent, Category, Team};
use crate::role::RoleChoice;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{agents, categories, conversations, grants, roles, team_members, teams};
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// Every agent, in the order of their numbers.
pub fn agents(conn: &mut Conn) -> Result<Vec<Agent>, StoreError> {
    Ok(agents::table.order(agents::id.asc()).select(Agent::as_select()).load(conn)?)
}

/// Several agents, in the order of their numbers.
pub fn agents_of(conn: &mut Conn, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(agents::table
        .filter(agents::id.eq_any(ids))
        .order(agents::id.asc())
        .select(Agent::as_select())
        .load(conn)?)
}

/// One agent.
pub fn find_agent(conn: &mut Conn, id: AgentId) -> Result<Option<Agent>, StoreError> {
    Ok(agents::table.find(id).select(Agent::as_select()).first(conn).optional()?)
}

/// The agent with this folded address.
pub fn find_agent_by_email(conn: &mut Conn, folded: &str) -> Result<Option<Agent>, StoreError> {
    Ok(agents::table
        .filter(agents::email_folded.eq(folded))
        .select(Agent::as_select())
        .first(conn)
        .optional()?)
}

/// Makes an agent. `None`: the address is another agent's.
pub fn insert_agent(
    conn: &mut Conn,
    name: &str,
    email: &str,
    role: RoleChoice,
    now: Timestamp,
) -> Result<Option<Agent>, StoreError> {
    let folded = crate::text::fold_address(email);
    if find_agent_by_email(conn, &folded)?.is_some() {
        return Ok(None);
    }
    Ok(Some(
        diesel::insert_into(agents::table)
            .values((
                agents::name.eq(name),
                agents::email.eq(email),
                agents::email_folded.eq(folded),
                agents::role.eq(role.word()),
                agents::custom_role_id.eq(role.custom_id()),
                agents::bounce_notices.eq(true),
                agents::version.eq(1_i64),
                agents::created_at.eq(now),
                agents::updated_at.eq(now),
            ))
            .returning(returning::<Agent>())
            .get_result(conn)?,
    ))
}

/// Writes `after` over `before`, one version on. `None`: somebody else changed it first.
pub fn update_agent(
    conn: &mut Conn,
    before: &Agent,
    after: &Agent,
    now: Timestamp,
) -> Result<Option<Agent>, StoreError> {
    let same = agents::table.find(before.id).filter(agents::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            agents::name.eq(&after.name),
            agents::email.eq(&after.email),
            agents::email_folded.eq(crate::text::fold_address(&after.email)),
            agents::role.eq(after.role),
            agents::custom_role_id.eq(after.custom_role_id),
            agents::signature.eq(&after.signature),
            agents::bounce_notices.eq(after.bounce_notices),
            agents::disabled_at.eq(after.disabled_at),
            agents::version.eq(before.version + 1),
            agents::updated_at.eq(now),
        ))
        .returning(returning::<Agent>())
        .get_result(conn)
        .optional()?)
}

/// How many owners there are who were not disabled. Until the transaction ends nobody else can change an
/// owner: two who take each other's role away at the same time would leave none.
pub fn hold_owners(conn: &mut Conn) -> Result<i64, StoreError> {
    let owners = agents::table.filter(agents::role.eq(Role::Owner)).filter(agents::disabled_at.is_null());
    diesel::update(owners).set(agents::version.eq(agents::version)).execute(conn)?;
    Ok(owners.count().get_result(conn)?)
}

/// Every team, in the order of their numbers.
pub fn teams(conn: &mut Conn) -> Result<Vec<Team>, StoreError> {
    Ok(teams::table.order(teams::id.asc()).select(Team::as_select()).load(conn)?)
}

/// Several teams, in the order of their numbers.
pub fn teams_of(conn: &mut Conn, ids: &[TeamId]) -> Result<Vec<Team>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(teams::table
        .filter(teams::id.eq_any(ids))
        .order(teams::id.asc())
        .select(Team::as_select())
        .load(conn)?)
}

/// One team.
pub fn find_team(conn: &mut Conn, id: TeamId) -> Result<Option<Team>, StoreError> {
    Ok(teams::table.find(id).select(Team::as_select()).first(conn).optional()?)
}

/// The team of this name.
pub fn find_team_by_name(conn: &mut Conn, name: &str) -> Result<Option<Team>, StoreError> {
    Ok(teams::table.filter(teams::name.eq(name)).select(Team::as_select()).first(conn).optional()?)
}

/// Makes a team.
pub fn insert_team(conn: &mut Conn, name: &str, now: Timestamp) -> Result<Team, StoreError> {
    Ok(diesel::insert_into(teams::table)
        .values((
            teams::name.eq(name),
            teams::version.eq(1_i64),
            teams::created_at.eq(now),
            teams::updated_at.eq(now),
        ))
        .returning(returning::<Team>())
        .get_result(conn)?)
}

/// Names a team anew, one version on. `None`: somebody else changed it first.
pub fn update_team(
    conn: &mut Conn,
    before: &Team,
    name: &str,
    now: Timestamp,
) -> Result<Option<Team>, StoreError> {
    let same = teams::table.find(before.id).filter(teams::version.eq(before.version));
    Ok(diesel::update(same)
        .set((teams::name.eq(name), teams::version.eq(before.version + 1), teams::updated_at.eq(now)))
        .returning(returning::<Team>())
        .get_result(conn)
        .optional()?)
}

/// Removes a team with its members' list and grants. `false`: somebody else changed it first.
pub fn delete_team(conn: &mut Conn, before: &Team) -> Result<bool, StoreError> {
    let same = teams::table.find(before.id).filter(teams::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// Takes a team off conversations that nobody works on: those in the trash, and those that went into others.
pub fn forget_team(conn: &mut Conn, id: TeamId) -> Result<(), StoreError> {
    let at_rest = conversations::deleted_at.is_not_null().or(conversations::merged_into.is_not_null());
    diesel::update(conversations::table.filter(conversations::team_id.eq(id)).filter(at_rest))
        .set((
            conversations::team_id.eq(None::<TeamId>),
            conversations::version.eq(conversations::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}

/// Who is in a team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// All of them, in the order of their numbers.
    pub all: Vec<AgentId>,
    /// Who of them leads it.
    pub leads: Vec<AgentId>,
}

/// The members of several teams.
pub fn members(conn: &mut Conn, of: &[TeamId]) -> Result<HashMap<TeamId, Members>, StoreError> {
    let mut found: HashMap<TeamId, Members> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(TeamId, AgentId, bool)> = team_members::table
        .filter(team_members::team_id.eq_any(of))
        .order((team_members::team_id.asc(), team_members::agent_id.asc()))
        .select((team_members::team_id, team_members::agent_id, team_members::is_lead))
        .load(conn)?;
    for (team, agent, is_lead) in rows {
        let members = found.entry(team).or_default();
        members.all.push(agent);
        if is_lead {
            members.leads.push(agent);
        }
    }
    Ok(found)
}

/// Writes a team's members over those there are.
pub fn set_members(conn: &mut Conn, team: TeamId, members: &Members) -> Result<(), StoreError> {
    diesel::delete(team_members::table.filter(team_members::team_id.eq(team))).execute(conn)?;
    let row = |agent: &AgentId| {
        (
            team_members::team_id.eq(team),
            team_members::agent_id.eq(*agent),
            team_members::is_lead.eq(members.leads.contains(agent)),
        )
    };
    let rows: Vec<_> = members.all.iter().map(row).collect();
    if !rows.is_empty() {
        each_backend!(conn => diesel::insert_into(team_members::table).values(&rows).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// The teams of an agent, in the order of their numbers.
pub fn teams_with(conn: &mut Conn, agent: AgentId) -> Result<Vec<Team>, StoreError> {
    let of = team_members::table.filter(team_members::agent_id.eq(agent)).select(team_members::team_id);
    Ok(teams::table
        .filter(teams::id.eq_any(of))
        .order(teams::id.asc())
        .select(Team::as_select())
        .load(conn)?)
}

/// Who holds grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// An agent in person.
    Agent(AgentId),
    /// Every member of a team.
    Team(TeamId),
}

type GrantRow = (MailboxId, Option<CategoryId>, bool, Level);

fn grant((mailbox_id, category_id, assigned_only, level): GrantRow) -> Grant {
    Grant { mailbox_id, category_id, assigned_only, level }
}

const GRANT_COLUMNS: (grants::mailbox_id, grants::category_id, grants::assigned_only, grants::level) =
    (grants::mailbox_id, grants::category_id, grants::assigned_only, grants::level);

/// What a holder holds.
pub fn grants_of(conn: &mut Conn, holder: Holder) -> Result<Vec<Grant>, StoreError> {
    let query = grants::table.into_boxed();
    let query = match holder {
        Holder::Agent(agent) => query.filter(grants::agent_id.eq(agent)),
        Holder::Team(team) => query.filter(grants::team_id.eq(team)),
    };
    let rows: Vec<GrantRow> = query.order(grants::id.asc()).select(GRANT_COLUMNS).load(conn)?;
    Ok(rows.into_iter().map(grant).collect())
}

/// What several agents hold in person.
pub fn grants_of_agents(conn: &mut Conn, of: &[AgentId]) -> Result<HashMap<AgentId, Vec<Grant>>, StoreError> {
    let mut found: HashMap<AgentId, Vec<Grant>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(Option<AgentId>, GrantRow)> = grants::table
        .filter(grants::agent_id.assume_not_null().eq_any(of))
        .order(grants::id.asc())
        .select((grants::agent_id, GRANT_COLUMNS))
        .load(conn)?;
    for (agent, row) in rows {
        if let Some(agent) = agent {
            found.entry(agent).or_default().push(grant(row));
        }
    }
    Ok(found)
}

/// What several teams hold.
pub fn grants_of_teams(conn: &mut Conn, of: &[TeamId]) -> Result<HashMap<TeamId, Vec<Grant>>, StoreError> {
    let mut found: HashMap<TeamId, Vec<Grant>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(Option<TeamId>, GrantRow)> = grants::table
        .filter(grants::team_id.assume_not_null().eq_any(of))
        .order(grants::id.asc())
        .select((grants::team_id, GRANT_COLUMNS))
        .load(conn)?;
    for (team, row) in rows {
        if let Some(team) = team {
            found.entry(team).or_default().push(grant(row));
        }
    }
    Ok(found)
}

/// What an agent may do through grants, in person or as a member of a team.
pub fn effective_grants(conn: &mut Conn, agent: AgentId) -> Result<Vec<Grant>, StoreError> {
    let teams: Vec<TeamId> = team_members::table
        .filter(team_members::agent_id.eq(agent))
        .select(team_members::team_id)
        .load(conn)?;
    let rows: Vec<GrantRow> = grants::table
        .filter(
            grants::agent_id.assume_not_null().eq(agent).or(grants::team_id.assume_not_null().eq_any(teams)),
        )
        .order(grants::id.asc())
        .select(GRANT_COLUMNS)
        .load(conn)?;
    Ok(rows.into_iter().map(grant).collect())
}

/// Writes a holder's grants over those there are.
pub fn set_grants(conn: &mut Conn, holder: Holder, new: &[Grant]) -> Result<(), StoreError> {
    let (agent, team) = match holder {
        Holder::Agent(agent) => {
            diesel::delete(grants::table.filter(grants::agent_id.eq(agent))).execute(conn)?;
            (Some(agent), None)
        }
        Holder::Team(team) => {
            diesel::delete(grants::table.filter(grants::team_id.eq(team))).execute(conn)?;
            (None, Some(team))
        }
    };
    for grant in new {
        diesel::insert_into(grants::table)
            .values((
                grants::agent_id.eq(agent),
                grants::team_id.eq(team),
                grants::mailbox_id.eq(grant.mailbox_id),
                grants::category_id.eq(grant.category_id),
                grants::assigned_only.eq(grant.assigned_only),
                grants::level.eq(grant.level),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The folded addresses of agents who work in a mailbox: whose role opens all of them, and who holds a
/// grant on it. Others who write to it are customers there.
pub fn agent_addresses(conn: &mut Conn, mailbox: MailboxId) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(AgentId, String, Role, Option<bool>)> = agents::table
        .left_join(roles::table)
        .filter(agents::disabled_at.is_null())
        .select((agents::id, agents::email_folded, agents::role, roles::sees_all.nullable()))
        .load(conn)?;
    let holders: Vec<(Option<AgentId>, Option<TeamId>)> = grants::table
        .filter(grants::mailbox_id.eq(mailbox))
        .select((grants::agent_id, grants::team_id))
        .load(conn)?;
    let teams: Vec<TeamId> = holders.iter().filter_map(|(_, team)| *team).collect();
    let mut granted: Vec<AgentId> = holders.iter().filter_map(|(agent, _)| *agent).collect();
    granted.extend(members(conn, &teams)?.into_values().flat_map(|members| members.all));
    Ok(rows
        .into_iter()
        .filter(|(id, _, role, own)| {
            role.rights().map_or(*own == Some(true), |rights| rights.sees_all) || granted.contains(id)
        })
        .map(|(_, email, ..)| email)
        .collect())
}

/// Every category, in the order of their numbers.
pub fn categories(conn: &mut Conn) -> Result<Vec<Category>, StoreError> {
    Ok(categories::table.order(categories::id.asc()).select(Category::as_select()).load(conn)?)
}

/// One category.
pub fn find_category(conn: &mut Conn, id: CategoryId) -> Result<Option<Category>, StoreError> {
    Ok(categories::table.find(id).select(Category::as_select()).first(conn).optional()?)
}

/// Makes a category. `None`: there is one of this name.
pub fn insert_category(conn: &mut Conn, name: &str, now: Timestamp) -> Result<Option<Category>, StoreError> {
    let same = categories::table.filter(categories::name.eq(name)).select(categories::id);
    if same.first::<CategoryId>(conn).optional()?.is_some() {
        return Ok(None);
    }
    Ok(Some(
        diesel::insert_into(categories::table)
            .values((categories::name.eq(name), categories::created_at.eq(now)))
            .returning(returning::<Category>())
            .get_result(conn)?,
    ))
}
