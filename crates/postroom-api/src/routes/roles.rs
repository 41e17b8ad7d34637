//! Roles.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::patch::given;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::access::{Role, Scope};
use postroom_core::cx::Cx;
use postroom_core::id::RoleId;
use postroom_core::operations::roles::{self, NewRole, RoleChange};
use postroom_core::role::CustomRole;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_roles)
        .service(create_role)
        .service(get_role)
        .service(update_role)
        .service(delete_role);
}

/// What agents may do, apart from where.
#[derive(Debug, Serialize, ToSchema)]
// `Role` is the word that agents have.
#[schema(as = RoleDefinition)]
struct RoleView {
    /// The number: up to 100 for those that come with the desk.
    id: RoleId,
    /// Counts changes.
    version: i64,
    /// Its name.
    name: String,
    /// It comes with the desk and never changes.
    built_in: bool,
    /// What it allows. A token of an agent's never does more, whatever scopes it was given.
    scopes: Vec<Scope>,
    /// It opens all mailboxes; otherwise grants do.
    sees_all: bool,
    /// When it was added; `null` for those that come with the desk.
    created_at: Option<Timestamp>,
    /// When it last changed.
    updated_at: Option<Timestamp>,
}

impl RoleView {
    fn built_in(role: Role) -> Option<Self> {
        let rights = role.rights()?;
        Some(Self {
            id: role.id()?,
            version: 1,
            name: role.as_str().to_owned(),
            built_in: true,
            scopes: rights.scopes,
            sees_all: rights.sees_all,
            created_at: None,
            updated_at: None,
        })
    }
}

impl From<CustomRole> for RoleView {
    fn from(role: CustomRole) -> Self {
        Self {
            id: role.id,
            version: role.version,
            name: role.name,
            built_in: false,
            scopes: role.scopes.into_inner(),
            sees_all: role.sees_all,
            created_at: Some(role.created_at),
            updated_at: Some(role.updated_at),
        }
    }
}

page_of!(
    /// A page of roles.
    RolePage of RoleView
);

/// A role to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRole)]
struct NewRoleBody {
    /// Its name; unique, whatever its case.
    #[schema(max_length = 100)]
    name: String,
    /// What it allows, of what you hold yourself.
    scopes: Vec<Scope>,
    /// Whether it opens all mailboxes; otherwise grants do.
    #[serde(default)]
    sees_all: bool,
}

/// What is to change of a role; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolePatch {
    /// Its name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 100)]
    name: Option<String>,
    /// All that it allows.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    scopes: Option<Vec<Scope>>,
    /// Whether it opens all mailboxes.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    sees_all: Option<bool>,
}

/// List roles
///
/// First those that come with the desk, then its own, oldest first. Needs `conversations:read`.
#[utoipa::path(tag = "roles", params(PageQuery),
    responses((status = OK, body = RolePage, description = "A page of roles.")))]
#[get("/roles")]
async fn list_roles(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let own = api.desk.read(&caller, roles::list).await?;
    let built_in = Role::BUILT_IN.iter().filter_map(|role| RoleView::built_in(*role));
    let found: Vec<RoleView> = built_in.chain(own.into_iter().map(RoleView::from)).collect();
    let page = paging.cut(found, |role| by_id(role.id.0));
    Ok(paging.answer(&api, page, |data, page: PageInfo| RolePage { data, page }))
}

/// Make a role
///
/// Nobody can give more than they hold, and `impersonate` is the owners' alone. Needs `admin:write`.
#[utoipa::path(tag = "roles", params(IdempotencyKey),
    request_body(content = NewRoleBody, description = "The role.", example = json!({
        "name": "Reader", "scopes": ["conversations:read", "customers:read"], "sees_all": true
    })),
    responses(
        (status = CREATED, body = RoleView, description = "The role."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name; `existing_id` says which.")))]
#[post("/roles")]
async fn create_role(api: Data<Api>, caller: Caller, body: Keyed<NewRoleBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewRole { name: body.name, scopes: body.scopes, sees_all: body.sees_all };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let role = roles::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/roles/{}", role.id), role.etag());
        Ok(answer::made(links, &RoleView::from(role), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a role
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "roles", params(Id<RoleId>, IfNoneMatch),
    responses((status = OK, body = RoleView, description = "The role.")))]
#[get("/roles/{id}")]
async fn get_role(api: Data<Api>, caller: Caller, id: Id<RoleId>, held: IfNoneMatch) -> Answer {
    caller.access.require(Scope::ConversationsRead)?;
    if let Some(view) = Role::of_id(id.0).and_then(RoleView::built_in) {
        let etag = format!("r{}-1", view.id);
        return Ok(answer::one(&view, &etag, &held));
    }
    let role = api.desk.read(&caller, move |cx| roles::find(cx, id.0)).await?;
    let etag = role.etag();
    Ok(answer::one(&RoleView::from(role), &etag, &held))
}

/// Change a role
///
/// Whoever has it may do more or less from their next request on, and streams that they may not follow any more
/// end. Nobody changes one that allows more than they may do themselves. Needs `admin:write`.
#[utoipa::path(tag = "roles", params(Id<RoleId>, IfMatch),
    request_body(content = RolePatch, description = "What is to change.", example = json!({"name": "Auditor"})),
    responses(
        (status = OK, body = RoleView, description = "The role as it is now."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name. `state_conflict`: it comes with the desk.")))]
#[patch("/roles/{id}")]
async fn update_role(
    api: Data<Api>,
    caller: Caller,
    id: Id<RoleId>,
    seen: IfMatch,
    body: Body<RolePatch>,
) -> Answer {
    let body = body.0;
    let change = RoleChange { name: body.name, scopes: body.scopes, sees_all: body.sees_all };
    let role = api.desk.write(&caller, move |cx| roles::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = role.etag();
    Ok(answer::changed(&RoleView::from(role), &etag))
}

/// Delete a role
///
/// One that somebody has stays. Needs `admin:write`.
#[utoipa::path(tag = "roles", params(Id<RoleId>, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: somebody has it, or it comes with the desk.")))]
#[delete("/roles/{id}")]
async fn delete_role(api: Data<Api>, caller: Caller, id: Id<RoleId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| roles::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}
