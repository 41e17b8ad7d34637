//! Views.

use crate::id::{AgentId, ViewId};
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::{team_members, views};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use crate::view::{Form, View, Visibility};
use diesel::prelude::*;
use diesel::sql_types::Bool;

/// Every view there is, whoever sees it.
pub fn all(conn: &mut Conn) -> Result<Vec<View>, StoreError> {
    Ok(views::table.order(views::id.asc()).select(View::as_select()).load(conn)?)
}

/// Who looks: an agent's own and their teams' views, those of everyone, and, of who sets the desk up, all teams'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// Which agent.
    pub agent_id: Option<AgentId>,
    /// Whether all teams' views are seen.
    pub all_teams: bool,
}

type Seen = Box<dyn BoxableExpression<views::table, MultiBackend, SqlType = Bool>>;

fn seen(by: Viewer) -> Seen {
    // An agent's number is never 0.
    let me = by.agent_id.unwrap_or(AgentId(0));
    let own = views::visibility.eq(Visibility::Me).and(views::owner_id.assume_not_null().eq(me));
    let everyone = views::visibility.eq(Visibility::Everyone);
    let teams = team_members::table.filter(team_members::agent_id.eq(me)).select(team_members::team_id);
    let of_team = views::visibility.eq(Visibility::Team);
    if by.all_teams {
        Box::new(everyone.or(own).or(of_team))
    } else {
        Box::new(everyone.or(own).or(of_team.and(views::team_id.assume_not_null().eq_any(teams))))
    }
}

/// Those that somebody sees, in their order.
pub fn list(conn: &mut Conn, by: Viewer) -> Result<Vec<View>, StoreError> {
    Ok(views::table
        .filter(seen(by))
        .order((views::position.asc(), views::id.asc()))
        .select(View::as_select())
        .load(conn)?)
}

/// One of them.
pub fn find(conn: &mut Conn, by: Viewer, id: ViewId) -> Result<Option<View>, StoreError> {
    Ok(views::table
        .filter(seen(by))
        .filter(views::id.eq(id))
        .select(View::as_select())
        .first(conn)
        .optional()?)
}

/// How many views an agent has for themselves; of nobody: how many are shared.
pub fn count(conn: &mut Conn, of: Option<AgentId>) -> Result<i64, StoreError> {
    let query = views::table.into_boxed();
    let query = match of {
        Some(agent) => query
            .filter(views::visibility.eq(Visibility::Me))
            .filter(views::owner_id.assume_not_null().eq(agent)),
        None => query.filter(views::visibility.ne(Visibility::Me)),
    };
    Ok(query.count().get_result(conn)?)
}

/// Whether an agent is a member of a team.
pub fn is_member(conn: &mut Conn, agent: AgentId, team: crate::id::TeamId) -> Result<bool, StoreError> {
    let found = team_members::table
        .filter(team_members::team_id.eq(team))
        .filter(team_members::agent_id.eq(agent))
        .select(team_members::agent_id)
        .first::<AgentId>(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Makes a view.
pub fn insert(
    conn: &mut Conn,
    owner: Option<AgentId>,
    form: &Form,
    now: Timestamp,
) -> Result<View, StoreError> {
    Ok(diesel::insert_into(views::table)
        .values((
            views::owner_id.eq(owner),
            views::team_id.eq(form.team_id),
            views::visibility.eq(form.visibility),
            views::name.eq(&form.name),
            views::query.eq(&form.query),
            views::sort.eq(form.sort),
            views::shown_columns.eq(Json::new(form.columns.clone())),
            views::position.eq(form.position),
            views::color.eq(&form.color),
            views::icon.eq(&form.icon),
            views::version.eq(1_i64),
            views::created_at.eq(now),
            views::updated_at.eq(now),
        ))
        .returning(returning::<View>())
        .get_result(conn)?)
}

/// Writes a form over `before`, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &View,
    form: &Form,
    now: Timestamp,
) -> Result<Option<View>, StoreError> {
    let same = views::table.find(before.id).filter(views::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            views::team_id.eq(form.team_id),
            views::visibility.eq(form.visibility),
            views::name.eq(&form.name),
            views::query.eq(&form.query),
            views::sort.eq(form.sort),
            views::shown_columns.eq(Json::new(form.columns.clone())),
            views::position.eq(form.position),
            views::color.eq(&form.color),
            views::icon.eq(&form.icon),
            views::version.eq(before.version + 1),
            views::updated_at.eq(now),
        ))
        .returning(returning::<View>())
        .get_result(conn)
        .optional()?)
}

/// Removes a view. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &View) -> Result<bool, StoreError> {
    let same = views::table.find(before.id).filter(views::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}
