//! What a view finds: a list as that of conversations, whose filter and order are kept.

use super::show::{HighlightQuery, IncludeQuery};
use super::{ConversationPage, listed};
use crate::answer::Answer;
use crate::extract::{Caller, Id};
use crate::paging::{PageQuery, Paging};
use crate::query::Query;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpRequest, get};
use postroom_core::conversation::{ConversationFilter, ConversationSort};
use postroom_core::cx::Cx;
use postroom_core::id::ViewId;
use postroom_core::operations::{conversations, views};
use postroom_core::view::View;
use serde::Deserialize;

/// In which order.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// Another order than the view's own.
    #[param(inline)]
    sort: Option<ConversationSort>,
}

/// List what a view finds
///
/// Of what you may see, whoever made the view; a page as of `GET /conversations`. Where the view was changed, a cursor of
/// before is `bad_cursor`; where it finds nothing any more, `bad_query` says why. Needs `conversations:read`, what its
/// `q` needs, and `customers:read` for `include=customer`.
#[utoipa::path(tag = "views", params(Id<ViewId>, OrderQuery, IncludeQuery, HighlightQuery, PageQuery),
    responses((status = OK, body = ConversationPage, description = "A page of conversations.")))]
#[get("/views/{id}/conversations")]
pub async fn list_view_conversations(
    api: Data<Api>,
    caller: Caller,
    id: Id<ViewId>,
    order: Query<OrderQuery>,
    include: Query<IncludeQuery>,
    highlights: Query<HighlightQuery>,
    req: HttpRequest,
) -> Answer {
    let view: View = api.desk.read(&caller, move |cx| views::visible(cx, id.0)).await?;
    let paging = Paging::of_course(&api, &req, &view.course())?;
    let sort = order.0.sort.unwrap_or(view.sort);
    let request = paging.request;
    let list = move |cx: &mut Cx<'_>| {
        let filter = ConversationFilter { query: view.asks()?, ..ConversationFilter::default() };
        let found = conversations::list(cx, &filter, sort, request)?;
        let beside = highlights.0.beside(cx, &include.0.include, &filter.query, &found.items)?;
        Ok((found, beside))
    };
    let (found, beside) = api.desk.read(&caller, list).await?;
    Ok(listed(&api, &paging, found, beside))
}
