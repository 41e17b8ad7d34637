//! Views: questions that are kept, and what they find.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::patch::{Patch, given};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::shapes::count::CountView;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use postroom_core::conversation::ConversationSort;
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, TeamId, ViewId};
use postroom_core::operations::views::{self, NewView, ViewCard, ViewChange};
use postroom_core::page::Position;
use postroom_core::time::Timestamp;
use postroom_core::view::{Form, ViewInclude, Visibility};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_views)
        .service(create_view)
        .service(get_view)
        .service(update_view)
        .service(delete_view)
        .service(count_view);
}

/// A question that is kept under a name. What it finds is what whoever looks may see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = View)]
struct ViewView {
    /// Its number.
    id: ViewId,
    /// Counts changes.
    version: i64,
    /// What people read.
    name: String,
    /// What is asked, as in `GET /conversations`; empty is everything. `assignee:me` is whoever looks.
    q: String,
    /// In which order.
    sort: ConversationSort,
    /// What a frontend shows of each conversation, in this order: its own words, or `field.KEY` and `customer.KEY`.
    columns: Vec<String>,
    /// Who sees it.
    visibility: Visibility,
    /// Which team, where a team does.
    team_id: Option<TeamId>,
    /// Who made it; `null`: a program that speaks for no agent.
    owner_id: Option<AgentId>,
    /// Its place among views: the lowest first.
    position: i32,
    /// A colour.
    color: Option<String>,
    /// A frontend's word for a picture.
    icon: Option<String>,
    /// Why it finds nothing any more, in a sentence: a custom field that `q` asks for is gone. `null`: it works.
    broken: Option<String>,
    /// You may change it.
    changeable: bool,
    /// With `include=count`: how many conversations you see through it. `null` where it is
    /// broken or asks for what you may not ask: for `me` as a token that speaks for no agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = true)]
    #[expect(clippy::option_option, reason = "left out, none to tell, or a count")]
    count: Option<Option<CountView>>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

page_of!(
    /// A page of views.
    ViewPage of ViewView
);

impl From<ViewCard> for ViewView {
    fn from(card: ViewCard) -> Self {
        let view = card.view;
        Self {
            id: view.id,
            version: view.version,
            name: view.name,
            q: view.query,
            sort: view.sort,
            columns: view.shown_columns.into_inner(),
            visibility: view.visibility,
            team_id: view.team_id,
            owner_id: view.owner_id,
            position: view.position,
            color: view.color,
            icon: view.icon,
            broken: card.broken.map(|error| error.to_string()),
            changeable: card.is_changeable,
            count: card.count.map(|count| Some(CountView::from(count))),
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

/// A view to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewView)]
struct NewViewBody {
    /// What people read.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What is asked, as in `GET /conversations`; empty is everything.
    #[schema(max_length = 2000)]
    q: String,
    /// In which order; left out, `-id`.
    #[serde(default)]
    sort: Option<ConversationSort>,
    /// What is shown of each conversation.
    #[serde(default)]
    #[schema(max_items = 50)]
    columns: Vec<String>,
    /// Who sees it; left out, whoever makes it.
    #[serde(default)]
    visibility: Option<Visibility>,
    /// Which team, with `visibility` `team`.
    #[serde(default)]
    team_id: Option<TeamId>,
    /// Its place; left out, behind those you see.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10_000)]
    position: Option<i32>,
    /// A colour.
    #[serde(default)]
    #[schema(pattern = "^#[0-9a-f]{6}$")]
    color: Option<String>,
    /// A frontend's word for a picture.
    #[serde(default)]
    #[schema(max_length = 60)]
    icon: Option<String>,
}

/// What is to change of a view; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ViewPatch {
    /// What people read.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What is asked.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 2000)]
    q: Option<String>,
    /// In which order.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    sort: Option<ConversationSort>,
    /// All columns.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 50)]
    columns: Option<Vec<String>>,
    /// Who sees it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    visibility: Option<Visibility>,
    /// Which team; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<TeamId>)]
    team_id: Patch<TeamId>,
    /// Its place.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 0, maximum = 10_000)]
    position: Option<i32>,
    /// A colour; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^#[0-9a-f]{6}$")]
    color: Patch<String>,
    /// A frontend's word for a picture; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 60)]
    icon: Patch<String>,
}

/// What stands beside views.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ViewIncludeQuery {
    /// `count`: how many conversations you see through each, counted to 1,000.
    #[serde(default)]
    #[param(inline, style = Form, explode = false, example = json!(["count"]))]
    include: Vec<ViewInclude>,
}

fn place(card: &ViewCard) -> Position {
    Position { key: i64::from(card.view.position), id: card.view.id.0 }
}

/// List views
///
/// Your own, those of your teams and those of everyone, by `position`. Who may set the desk up sees those of all teams.
/// Needs `conversations:read`.
#[utoipa::path(tag = "views", params(ViewIncludeQuery, PageQuery),
    responses((status = OK, body = ViewPage, description = "A page of views.")))]
#[get("/views")]
async fn list_views(
    api: Data<Api>,
    caller: Caller,
    include: Query<ViewIncludeQuery>,
    paging: Paging,
) -> Answer {
    let counts = include.0.include.contains(&ViewInclude::Count);
    let cut = paging.clone();
    let list = move |cx: &mut Cx<'_>| {
        let mut page = cut.cut(views::list(cx)?, place);
        // Those of this page alone, and none that finds nothing any more.
        for card in page.items.iter_mut().filter(|card| counts && card.broken.is_none()) {
            card.count = match views::count_of(cx, &card.view) {
                Ok(counted) => Some(counted),
                // What this caller may not ask has no count; others have theirs.
                Err(error) if error.refusal().is_some() => None,
                Err(error) => return Err(error),
            };
        }
        Ok(page)
    };
    let page = api.desk.read(&caller, list).await?.map(|card| {
        let view = ViewView::from(card);
        let count = view.count.or(counts.then_some(None));
        ViewView { count, ..view }
    });
    Ok(paging.answer(&api, page, |data, page: PageInfo| ViewPage { data, page }))
}

/// Make a view
///
/// Your own, unless `visibility` says otherwise: members share with their teams, and with everyone who may set the desk
/// up (`admin:write`). `q` is held against the grammar and the desk's custom fields. At most 100 of your own, and 500
/// that are shared. Needs `notes:write`.
#[utoipa::path(tag = "views", params(IdempotencyKey),
    request_body(content = NewViewBody, description = "The view.", example = json!({
        "name": "Late orders", "q": "is:open tag:order waiting:<-1d", "sort": "updated_at", "visibility": "everyone",
        "columns": ["subject", "customer", "waiting_since"], "color": "#d04437"})),
    responses(
        (status = CREATED, body = ViewView, description = "The view."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there are too many already.")))]
#[post("/views")]
async fn create_view(api: Data<Api>, caller: Caller, body: Keyed<NewViewBody>) -> Answer {
    let Keyed { once, body } = body;
    let form = Form {
        visibility: body.visibility.unwrap_or(Visibility::Me),
        team_id: body.team_id,
        name: body.name,
        query: body.q,
        sort: body.sort.unwrap_or(ConversationSort::IdDescending),
        columns: body.columns,
        position: 0,
        color: body.color,
        icon: body.icon,
    };
    let new = NewView { form, position: body.position };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let card = views::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/views/{}", card.view.id), card.view.etag());
        Ok(answer::made(links, &ViewView::from(card), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a view
///
/// One that you don't see is 404. Needs `conversations:read`.
#[utoipa::path(tag = "views", params(Id<ViewId>, IfNoneMatch),
    responses((status = OK, body = ViewView, description = "The view.")))]
#[get("/views/{id}")]
async fn get_view(api: Data<Api>, caller: Caller, id: Id<ViewId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| views::find(cx, id.0)).await?;
    let etag = card.view.etag();
    Ok(answer::one(&ViewView::from(card), &etag, &held))
}

/// Change a view
///
/// Your own; one of a team you made, and, as who may set the desk up, all that are shared. Needs `notes:write`.
#[utoipa::path(tag = "views", params(Id<ViewId>, IfMatch),
    request_body(content = ViewPatch, description = "What is to change.", example = json!({"name": "Very late orders"})),
    responses((status = OK, body = ViewView, description = "The view as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there are too many that are seen so already.")))]
#[patch("/views/{id}")]
async fn update_view(
    api: Data<Api>,
    caller: Caller,
    id: Id<ViewId>,
    seen: IfMatch,
    body: Body<ViewPatch>,
) -> Answer {
    let body = body.0;
    let change = ViewChange {
        visibility: body.visibility,
        team_id: body.team_id.change(),
        name: body.name,
        query: body.q,
        sort: body.sort,
        columns: body.columns,
        position: body.position,
        color: body.color.change(),
        icon: body.icon.change(),
    };
    let card = api.desk.write(&caller, move |cx| views::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = card.view.etag();
    Ok(answer::changed(&ViewView::from(card), &etag))
}

/// Delete a view
///
/// As it is changed; no conversation changes by it. Needs `notes:write`.
#[utoipa::path(tag = "views", params(Id<ViewId>, IfMatch),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/views/{id}")]
async fn delete_view(api: Data<Api>, caller: Caller, id: Id<ViewId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| views::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Count what a view finds
///
/// Of what you may see, to 1,000. Needs `conversations:read`, and what its `q` needs.
#[utoipa::path(tag = "views", params(Id<ViewId>),
    responses((status = OK, body = CountView, description = "How many conversations there are.")))]
#[get("/views/{id}/count")]
async fn count_view(api: Data<Api>, caller: Caller, id: Id<ViewId>) -> Answer {
    let counted = api.desk.read(&caller, move |cx| views::count(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(CountView::from(counted)))
}
