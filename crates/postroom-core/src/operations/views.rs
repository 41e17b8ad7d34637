//! Views: questions that are kept, for oneself, a team or everyone. What one finds is what whoever looks may see.

use super::{conversations, custom_fields, overtaken, require_version};
use crate::access::Scope;
use crate::conversation::{ConversationFilter, ConversationSort};
use crate::custom_field::CustomField;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{TeamId, ViewId};
use crate::query::{Condition, Query, QueryError};
use crate::store::views::Viewer;
use crate::view::{COUNTED, Form, LAST_POSITION, NAME_CHARS, VIEWS_EACH, VIEWS_SHARED, View, Visibility};
use crate::{Error, store};

/// A view to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewView {
    /// All of it but its place.
    pub form: Form,
    /// Its place; `None` is behind the others.
    pub position: Option<i32>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewChange {
    /// Who sees it.
    pub visibility: Option<Visibility>,
    /// Which team; `Some(None)` is none.
    pub team_id: Option<Option<TeamId>>,
    /// What people read.
    pub name: Option<String>,
    /// What is asked.
    pub query: Option<String>,
    /// In which order.
    pub sort: Option<ConversationSort>,
    /// All columns.
    pub columns: Option<Vec<String>>,
    /// Its place.
    pub position: Option<i32>,
    /// A colour; `Some(None)` is none.
    pub color: Option<Option<String>>,
    /// A picture; `Some(None)` is none.
    pub icon: Option<Option<String>>,
}

/// A view with what is said beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewCard {
    /// The view.
    pub view: View,
    /// Why it finds nothing any more: a field that it asks for is gone.
    pub broken: Option<QueryError>,
    /// The caller may change it.
    pub is_changeable: bool,
    /// How much it finds for the caller, where that was asked for.
    pub count: Option<Counted>,
}

/// How many conversations there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// So many, or more.
    pub count: usize,
    /// Just so many.
    pub is_exact: bool,
}

/// The views that the caller sees, in their order.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<ViewCard>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let by = viewer(cx);
    let all = store::views::list(cx.conn, by)?;
    cards(cx, all)
}

/// One view.
pub fn find(cx: &mut Cx<'_>, id: ViewId) -> Result<ViewCard, Error> {
    let view = visible(cx, id)?;
    card(cx, view)
}

/// How many conversations the caller sees through a view; counted no further than [`COUNTED`].
pub fn count(cx: &mut Cx<'_>, id: ViewId) -> Result<Counted, Error> {
    let view = visible(cx, id)?;
    count_of(cx, &view)
}

/// The same. A view that finds nothing any more is an error.
pub fn count_of(cx: &mut Cx<'_>, view: &View) -> Result<Counted, Error> {
    let filter = ConversationFilter { query: view.asks()?, ..ConversationFilter::default() };
    let found = conversations::count_up_to(cx, &filter, COUNTED + 1)?;
    Ok(Counted { count: found.min(COUNTED), is_exact: found <= COUNTED })
}

/// A view that the caller sees.
pub fn visible(cx: &mut Cx<'_>, id: ViewId) -> Result<View, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let by = viewer(cx);
    store::views::find(cx.conn, by, id)?.ok_or(Error::NotFound("view"))
}

fn viewer(cx: &Cx<'_>) -> Viewer {
    Viewer { agent_id: cx.access().agent_id(), all_teams: sets_up(cx) }
}

fn sets_up(cx: &Cx<'_>) -> bool {
    cx.access().has(Scope::AdminWrite) && cx.access().sees_all()
}

/// Makes a view. It is the caller's own unless it is shared.
pub fn create(cx: &mut Cx<'_>, new: &NewView) -> Result<ViewCard, Error> {
    cx.access().require(Scope::NotesWrite)?;
    let by = viewer(cx);
    let last = store::views::list(cx.conn, by)?.iter().map(|view| view.position).max();
    let behind = last.map_or(0, |last| (last + 1).min(LAST_POSITION));
    let form = Form { position: new.position.unwrap_or(behind), ..new.form.clone() };
    let form = checked(cx, form)?;
    require_share(cx, form.visibility, form.team_id)?;
    require_room(cx, form.visibility)?;
    let view = store::views::insert(cx.conn, by.agent_id, &form, cx.now)?;
    cx.tell(about(EventType::ViewCreated, &view));
    card(cx, view)
}

/// Changes a view.
pub fn update(
    cx: &mut Cx<'_>,
    id: ViewId,
    expected: Option<&str>,
    change: &ViewChange,
) -> Result<ViewCard, Error> {
    cx.access().require(Scope::NotesWrite)?;
    let before = visible(cx, id)?;
    require_change(cx, &before)?;
    require_version("view", expected, before.etag())?;
    let visibility = change.visibility.unwrap_or(before.visibility);
    // A view that is no team's any more needs nobody to say so.
    let kept = before.team_id.filter(|_| visibility == Visibility::Team);
    let had = Form::of(&before);
    let form = Form {
        visibility,
        team_id: change.team_id.unwrap_or(kept),
        name: change.name.clone().unwrap_or(had.name),
        query: change.query.clone().unwrap_or(had.query),
        sort: change.sort.unwrap_or(had.sort),
        columns: change.columns.clone().unwrap_or(had.columns),
        position: change.position.unwrap_or(had.position),
        color: change.color.clone().unwrap_or(had.color),
        icon: change.icon.clone().unwrap_or(had.icon),
    };
    let form = checked(cx, form)?;
    if (form.visibility, form.team_id) != (before.visibility, before.team_id) {
        if form.visibility == Visibility::Me && before.owner_id != cx.access().agent_id() {
            return Err(Error::Forbidden("somebody else made this view: it can't become your own"));
        }
        require_share(cx, form.visibility, form.team_id)?;
        if (form.visibility == Visibility::Me) != (before.visibility == Visibility::Me) {
            require_room(cx, form.visibility)?;
        }
    }
    let mut changes = Changes::default();
    changes.note("name", &before.name, &form.name);
    changes.note("q", &before.query, &form.query);
    changes.note("sort", &before.sort, &form.sort);
    changes.note("visibility", &before.visibility, &form.visibility);
    changes.note("team_id", &before.team_id, &form.team_id);
    changes.note("columns", &before.shown_columns.to_vec(), &form.columns);
    changes.note("position", &before.position, &form.position);
    changes.note("color", &before.color, &form.color);
    changes.note("icon", &before.icon, &form.icon);
    if changes.is_empty() {
        return card(cx, before);
    }
    let after = store::views::update(cx.conn, &before, &form, cx.now)?.ok_or_else(overtaken)?;
    let mut event = about(EventType::ViewUpdated, &after);
    // What somebody keeps for themselves, or kept until now, is nobody else's to read.
    if before.visibility != Visibility::Me && after.visibility != Visibility::Me {
        event = event.changing(changes);
    }
    cx.tell(event);
    card(cx, after)
}

/// Removes a view; no conversation changes by it.
pub fn delete(cx: &mut Cx<'_>, id: ViewId, expected: Option<&str>) -> Result<(), Error> {
    cx.access().require(Scope::NotesWrite)?;
    let before = visible(cx, id)?;
    require_change(cx, &before)?;
    require_version("view", expected, before.etag())?;
    if !store::views::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    cx.tell(about(EventType::ViewDeleted, &before));
    Ok(())
}

/// Has all views whose query `reword` finds other words for ask by those.
pub(super) fn reword(
    cx: &mut Cx<'_>,
    reword: &impl Fn(&str) -> Result<Option<String>, Error>,
) -> Result<(), Error> {
    for before in store::views::all(cx.conn)? {
        let Some(query) = reword(&before.query)? else { continue };
        let mut changes = Changes::default();
        changes.note("q", &before.query, &query);
        let form = Form { query, ..Form::of(&before) };
        let after = store::views::update(cx.conn, &before, &form, cx.now)?.ok_or_else(overtaken)?;
        let event = about(EventType::ViewUpdated, &after);
        cx.tell(if after.visibility == Visibility::Me { event } else { event.changing(changes) });
    }
    Ok(())
}

fn about(kind: EventType, view: &View) -> NewEvent {
    let event = NewEvent::new(kind, About::default())
        .with("view_id", view.id.0)
        .with("visibility", view.visibility.as_str())
        .with("owner_id", view.owner_id.map(|id| id.0))
        .with("team_id", view.team_id.map(|id| id.0));
    if view.visibility == Visibility::Me { event } else { event.with("name", view.name.clone()) }
}

fn card(cx: &mut Cx<'_>, view: View) -> Result<ViewCard, Error> {
    cards(cx, vec![view])?.pop().ok_or(Error::NotFound("view"))
}

fn cards(cx: &mut Cx<'_>, views: Vec<View>) -> Result<Vec<ViewCard>, Error> {
    let asked: Vec<Result<Query, QueryError>> = views.iter().map(View::asks).collect();
    let fields = if asked.iter().flatten().any(asks_for_fields) {
        store::custom_fields::list(cx.conn, None)?
    } else {
        Vec::new()
    };
    let each = views.into_iter().zip(asked).map(|(view, asked)| ViewCard {
        broken: asked.and_then(|query| settled(query, &fields)).err(),
        is_changeable: cx.access().has(Scope::NotesWrite) && require_change(cx, &view).is_ok(),
        count: None,
        view,
    });
    Ok(each.collect())
}

fn asks_for_fields(query: &Query) -> bool {
    query.terms.iter().any(|term| matches!(term.condition, Condition::Field(_)))
}

fn settled(query: Query, fields: &[CustomField]) -> Result<(), QueryError> {
    for term in query.terms {
        if let Condition::Field(field) = term.condition {
            field.settle(fields)?;
        }
    }
    Ok(())
}

/// Fails where the caller sees a view and may not change it.
fn require_change(cx: &Cx<'_>, view: &View) -> Result<(), Error> {
    let is_own = view.owner_id.is_some() && view.owner_id == cx.access().agent_id();
    let may = match view.visibility {
        Visibility::Me => is_own,
        Visibility::Team => is_own || sets_up(cx),
        Visibility::Everyone => sets_up(cx),
    };
    if may { Ok(()) } else { Err(Error::Forbidden("this view is shared with you, not yours to change")) }
}

/// Fails where the caller may not share a view so.
fn require_share(cx: &mut Cx<'_>, visibility: Visibility, team: Option<TeamId>) -> Result<(), Error> {
    let me = cx.access().agent_id();
    match (visibility, team) {
        (Visibility::Me, _) if me.is_none() => Err(Error::invalid(
            "/visibility",
            "not_allowed",
            "this token speaks for no agent: share the view",
        )),
        (Visibility::Me, _) => Ok(()),
        (Visibility::Team, Some(team)) => {
            if store::people::find_team(cx.conn, team)?.is_none() {
                return Err(Error::invalid("/team_id", "not_found", "there is no such team"));
            }
            let is_member = match me {
                Some(me) => store::views::is_member(cx.conn, me, team)?,
                None => false,
            };
            if is_member || sets_up(cx) {
                Ok(())
            } else {
                Err(Error::Forbidden("only its members share views with a team, and who sets the desk up"))
            }
        }
        _ if sets_up(cx) => Ok(()),
        _ => Err(Error::Forbidden("only who sets the desk up shares views with everyone")),
    }
}

fn require_room(cx: &mut Cx<'_>, visibility: Visibility) -> Result<(), Error> {
    let own = cx.access().agent_id().filter(|_| visibility == Visibility::Me);
    let most = if own.is_some() { VIEWS_EACH } else { VIEWS_SHARED };
    if store::views::count(cx.conn, own)? >= i64::try_from(most).unwrap_or(i64::MAX) {
        return Err(Error::StateConflict(format!("there are {most} such views already: delete one first")));
    }
    Ok(())
}

fn checked(cx: &mut Cx<'_>, mut form: Form) -> Result<Form, Error> {
    let mut faults = Faults::default();
    form.check(&mut faults);
    match form.query.parse::<Query>() {
        Err(error) => faults.add("/q", "bad_query", error.to_string()),
        Ok(query) => {
            let looks_for_words = query.looks_for_words();
            match custom_fields::settle_query(cx, query) {
                Err(Error::BadQuery(error)) => faults.add("/q", "bad_query", error.to_string()),
                other => other.map(drop)?,
            }
            if form.sort == ConversationSort::Relevance && !looks_for_words {
                faults.add("/sort", "invalid", "relevance needs words in q to look for");
            }
        }
    }
    faults.check()?;
    form.name = crate::text::one_line(&form.name, NAME_CHARS);
    Ok(form)
}
