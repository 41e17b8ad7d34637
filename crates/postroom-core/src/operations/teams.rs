//! Teams: agents who share grants and work.

use super::agents::check_grants;
use super::tokens::require_whole_sight;
use super::{overtaken, require_version};
use crate::access::{Grant, Scope};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{AgentId, TeamId};
use crate::people::{Team, TeamCard};
use crate::store::people::{Holder, Members};
use crate::{Error, store};
use std::collections::HashMap;

/// A team to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTeam {
    /// Its name; unique.
    pub name: String,
    /// Who is in it.
    pub member_ids: Vec<AgentId>,
    /// Who of them leads it.
    pub lead_ids: Vec<AgentId>,
    /// What every member may do where.
    pub grants: Vec<Grant>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamChange {
    /// The name.
    pub name: Option<String>,
    /// All members.
    pub member_ids: Option<Vec<AgentId>>,
    /// All who lead it. Left out, whoever led it and is still a member.
    pub lead_ids: Option<Vec<AgentId>>,
    /// All grants.
    pub grants: Option<Vec<Grant>>,
}

/// Every team.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<TeamCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let teams = store::people::teams(cx.conn)?;
    cards(cx, teams)
}

/// Several teams.
pub(super) fn of(cx: &mut Cx<'_>, ids: &[TeamId]) -> Result<Vec<TeamCard>, Error> {
    let teams = store::people::teams_of(cx.conn, ids)?;
    cards(cx, teams)
}

fn cards(cx: &mut Cx<'_>, teams: Vec<Team>) -> Result<Vec<TeamCard>, Error> {
    let ids: Vec<TeamId> = teams.iter().map(|team| team.id).collect();
    let mut members = store::people::members(cx.conn, &ids)?;
    let mut grants = if cx.access().has(Scope::AdminRead) && cx.access().sees_all() {
        store::people::grants_of_teams(cx.conn, &ids)?
    } else {
        HashMap::new()
    };
    Ok(teams
        .into_iter()
        .map(|team| {
            let of = members.remove(&team.id).unwrap_or_default();
            let grants = grants.remove(&team.id).unwrap_or_default();
            TeamCard { team, member_ids: of.all, lead_ids: of.leads, grants }
        })
        .collect())
}

/// One team.
pub fn find(cx: &mut Cx<'_>, id: TeamId) -> Result<TeamCard, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let team = store::people::find_team(cx.conn, id)?.ok_or(Error::NotFound("team"))?;
    let members = members_of(cx, id)?;
    card(cx, team, members)
}

fn members_of(cx: &mut Cx<'_>, id: TeamId) -> Result<Members, Error> {
    Ok(store::people::members(cx.conn, &[id])?.remove(&id).unwrap_or_default())
}

fn card(cx: &mut Cx<'_>, team: Team, members: Members) -> Result<TeamCard, Error> {
    let grants = if cx.access().has(Scope::AdminRead) && cx.access().sees_all() {
        store::people::grants_of(cx.conn, Holder::Team(team.id))?
    } else {
        Vec::new()
    };
    Ok(whole(team, members, grants))
}

fn whole(team: Team, members: Members, grants: Vec<Grant>) -> TeamCard {
    TeamCard { team, member_ids: members.all, lead_ids: members.leads, grants }
}

/// Makes a team.
pub fn create(cx: &mut Cx<'_>, new: &NewTeam) -> Result<TeamCard, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let mut faults = Faults::default();
    faults.line("/name", &new.name, 200);
    check_members(cx, &new.member_ids, &mut faults)?;
    check_leads(&new.lead_ids, &new.member_ids, &mut faults);
    check_grants(cx, &new.grants, &mut faults)?;
    faults.check()?;
    let name = crate::text::one_line(&new.name, 200);
    require_free_name(cx, &name, None)?;
    let team = store::people::insert_team(cx.conn, &name, cx.now)?;
    let members = Members { all: new.member_ids.clone(), leads: new.lead_ids.clone() };
    store::people::set_members(cx.conn, team.id, &members)?;
    store::people::set_grants(cx.conn, Holder::Team(team.id), &new.grants)?;
    let event = NewEvent::new(EventType::TeamCreated, About::default())
        .with("team_id", team.id.0)
        .with("name", team.name.clone());
    cx.tell(event);
    let members = members_of(cx, team.id)?;
    Ok(whole(team, members, new.grants.clone()))
}

/// Changes a team.
pub fn update(
    cx: &mut Cx<'_>,
    id: TeamId,
    expected: Option<&str>,
    change: &TeamChange,
) -> Result<TeamCard, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = store::people::find_team(cx.conn, id)?.ok_or(Error::NotFound("team"))?;
    require_version("team", expected, before.etag())?;
    let mut faults = Faults::default();
    if let Some(name) = &change.name {
        faults.line("/name", name, 200);
    }
    if let Some(members) = &change.member_ids {
        check_members(cx, members, &mut faults)?;
    }
    let had_members = members_of(cx, id)?;
    let members = changed(&had_members, change);
    if let Some(leads) = &change.lead_ids {
        check_leads(leads, &members.all, &mut faults);
    }
    if let Some(grants) = &change.grants {
        check_grants(cx, grants, &mut faults)?;
    }
    faults.check()?;

    let name = change.name.as_deref().map_or_else(|| before.name.clone(), |n| crate::text::one_line(n, 200));
    require_free_name(cx, &name, Some(id))?;
    let had_grants = store::people::grants_of(cx.conn, Holder::Team(id))?;
    let grants = change.grants.clone().unwrap_or_else(|| had_grants.clone());
    let mut changes = Changes::default();
    changes.note("name", &before.name, &name);
    changes.note("member_ids", &had_members.all, &members.all);
    changes.note("lead_ids", &had_members.leads, &members.leads);
    if changes.is_empty() && had_grants == grants {
        return Ok(whole(before, members, grants));
    }
    let team = store::people::update_team(cx.conn, &before, &name, cx.now)?.ok_or_else(overtaken)?;
    store::people::set_members(cx.conn, id, &members)?;
    store::people::set_grants(cx.conn, Holder::Team(id), &grants)?;
    let event = NewEvent::new(EventType::TeamUpdated, About::default())
        .with("team_id", id.0)
        .with("grants_changed", had_grants != grants)
        .changing(changes);
    cx.tell(event);
    Ok(whole(team, members, grants))
}

/// Removes a team. One that conversations are assigned to stays, and one that a mailbox's go to: move them first.
pub fn delete(cx: &mut Cx<'_>, id: TeamId, expected: Option<&str>) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = store::people::find_team(cx.conn, id)?.ok_or(Error::NotFound("team"))?;
    require_version("team", expected, before.etag())?;
    let filter = crate::conversation::ConversationFilter { team_id: vec![id], ..Default::default() };
    let sort = crate::conversation::ConversationSort::IdDescending;
    let page = crate::page::PageRequest::first(1);
    let access = cx.access().clone();
    if !store::conversations::list(cx.conn, &access, &filter, sort, page)?.items.is_empty() {
        return Err(Error::StateConflict(
            "conversations are assigned to this team; assign them elsewhere first".to_owned(),
        ));
    }
    if let Some(mailbox) = store::mailbox_routing::mailbox_of(cx.conn, id)? {
        return Err(Error::StateConflict(format!(
            "what begins in mailbox {mailbox} goes to this team; give it another one first"
        )));
    }
    store::people::forget_team(cx.conn, id)?;
    if !store::people::delete_team(cx.conn, &before)? {
        return Err(overtaken());
    }
    let event = NewEvent::new(EventType::TeamDeleted, About::default())
        .with("team_id", id.0)
        .with("name", before.name);
    cx.tell(event);
    Ok(())
}

fn require_free_name(cx: &mut Cx<'_>, name: &str, own: Option<TeamId>) -> Result<(), Error> {
    match store::people::find_team_by_name(cx.conn, name)? {
        Some(other) if Some(other.id) != own => Err(Error::AlreadyExists {
            detail: "another team has this name".to_owned(),
            existing_id: Some(other.id.0),
        }),
        _ => Ok(()),
    }
}

/// Who is in a team after a change, each once and in order.
fn changed(had: &Members, change: &TeamChange) -> Members {
    let in_order = |mut ids: Vec<AgentId>| {
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let all = in_order(change.member_ids.clone().unwrap_or_else(|| had.all.clone()));
    let mut leads = in_order(change.lead_ids.clone().unwrap_or_else(|| had.leads.clone()));
    leads.retain(|lead| all.contains(lead));
    Members { all, leads }
}

fn check_leads(leads: &[AgentId], members: &[AgentId], faults: &mut Faults) {
    for (index, lead) in leads.iter().enumerate().take(1_000) {
        if !members.contains(lead) {
            faults.add(format!("/lead_ids/{index}"), "not_a_member", "leads a team that they are not in");
        }
    }
}

fn check_members(cx: &mut Cx<'_>, members: &[AgentId], faults: &mut Faults) -> Result<(), Error> {
    if members.len() > 1_000 {
        faults.add("/member_ids", "too_many", "has at most 1,000 members");
        return Ok(());
    }
    for (index, agent) in members.iter().enumerate() {
        if store::people::find_agent(cx.conn, *agent)?.is_none() {
            faults.add(format!("/member_ids/{index}"), "not_found", "there is no such agent");
        }
    }
    Ok(())
}
