//! Categories: kinds of matter, for visibility.

use crate::answer::{self, Answer};
use crate::extract::Caller;
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{get, post};
use postroom_core::cx::Cx;
use postroom_core::id::CategoryId;
use postroom_core::operations::categories;
use postroom_core::people::Category;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_categories).service(create_category);
}

/// A kind of matter. Grants may open conversations of one category alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Category)]
struct CategoryView {
    /// Its number.
    id: CategoryId,
    /// Its name; unique.
    name: String,
    /// When it was added.
    created_at: Timestamp,
}

page_of!(
    /// A page of categories.
    CategoryPage of CategoryView
);

/// A category to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCategory {
    /// Its name; unique.
    #[schema(max_length = 100)]
    name: String,
}

impl From<Category> for CategoryView {
    fn from(category: Category) -> Self {
        Self { id: category.id, name: category.name, created_at: category.created_at }
    }
}

/// List categories
///
/// Oldest first. Needs `conversations:read`.
#[utoipa::path(tag = "categories", params(PageQuery),
    responses((status = OK, body = CategoryPage, description = "A page of categories.")))]
#[get("/categories")]
async fn list_categories(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let found = api.desk.read(&caller, categories::list).await?;
    let page = paging.cut(found, |category| by_id(category.id.0)).map(CategoryView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| CategoryPage { data, page }))
}

/// Make a category
///
/// Needs `admin:write`.
#[utoipa::path(tag = "categories", params(IdempotencyKey),
    request_body(content = NewCategory, description = "The category.", example = json!({"name": "Payroll"})),
    responses(
        (status = CREATED, body = CategoryView, description = "The category."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name.")))]
#[post("/categories")]
async fn create_category(api: Data<Api>, caller: Caller, body: Keyed<NewCategory>) -> Answer {
    let Keyed { once, body } = body;
    let create = move |cx: &mut Cx<'_>, _: &Links| {
        Ok(answer::made_here(&CategoryView::from(categories::create(cx, &body.name)?)))
    };
    Ok(once.write(&api, &caller, create).await?)
}
