//! Lists: `limit`, `cursor` and `count`, the `page` member and the link to what follows.

use crate::links::Links;
use crate::problem::Problem;
use crate::query;
use crate::state::Api;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use postroom_core::page::{Page, PageRequest, Place, Position};
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};
use utoipa::{IntoParams, ToSchema};

/// Rows of a page where the caller does not say.
const DEFAULT_LIMIT: u16 = 25;

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows at the most.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u16>,
    /// Where to go on: `page.next_cursor` of the page before. It belongs to the filter and the
    /// order it was given for.
    cursor: Option<String>,
    /// Count all rows as well: `page.total`. It costs as much as there are.
    #[param(default = false)]
    count: Option<bool>,
}

/// What a list says of itself beside its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageInfo {
    /// For the next page's `cursor`; `null` on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// With `count=true`: all rows there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<i64>,
    /// With `count=true`: `total` is exact and no estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total_exact: Option<bool>,
}

/// The page that a request asks for.
#[derive(Debug, Clone)]
pub struct Paging {
    /// As the core takes it.
    pub request: PageRequest,
    /// Behind this one, in whatever order; `request.after` where that is by numbers.
    pub after: Option<Place>,
    /// What a cursor of this list is bound to: path, filter and order.
    binding: String,
    path: String,
    others: Vec<(String, String)>,
    limit: Option<u16>,
}

impl FromRequest for Paging {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let api = req.app_data::<Data<Api>>();
        ready(match api {
            Some(api) => read(api, req.path(), req.query_string(), ""),
            None => Err(Problem::internal()),
        })
    }
}

fn read(api: &Api, path: &str, query: &str, course: &str) -> Result<Paging, Problem> {
    let pairs = query::pairs(query);
    let (own, mut others): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(name, _)| matches!(name.as_str(), "limit" | "cursor" | "count"));
    let asked: PageQuery = query::parse(own)?;
    others.sort();
    let choosing: Vec<_> =
        others.iter().filter(|(name, _)| !SHOWING.contains(&name.as_str())).cloned().collect();
    // A blank stands in no path: what a list is without a course stays apart from one that has it.
    let binding = format!("{path}?{}{course}", encode(&choosing));
    if asked.limit.is_some_and(|limit| !(1..=PageRequest::MAX).contains(&limit)) {
        return Err(Problem::bad_parameter("limit: must be 1 to 100"));
    }
    let after = match &asked.cursor {
        Some(cursor) => Some(api.desk.keys().read_cursor(&binding, cursor).ok_or_else(bad_cursor)?),
        None => None,
    };
    Ok(Paging {
        request: PageRequest {
            limit: asked.limit.unwrap_or(DEFAULT_LIMIT),
            after: after.as_ref().and_then(Place::number),
            count: asked.count.unwrap_or_default(),
        },
        after,
        binding,
        path: path.to_owned(),
        others,
        limit: asked.limit,
    })
}

fn bad_cursor() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad_cursor",
        "the cursor does not belong to this list, filter and order; start again without one",
    )
}

fn encode(pairs: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl Paging {
    /// The page of a list whose filter and order are kept elsewhere: its cursors end when `course` changes.
    pub fn of_course(api: &Api, req: &HttpRequest, course: &str) -> Result<Self, Problem> {
        read(api, req.path(), req.query_string(), &format!(" {course}"))
    }

    /// The `page` member for a page.
    fn info<T>(&self, api: &Api, page: &Page<T>) -> PageInfo {
        PageInfo {
            next_cursor: page.next.as_ref().map(|at| api.desk.keys().cursor(&self.binding, at)),
            has_more: page.next.is_some(),
            total: page.total,
            total_exact: page.total.map(|_| true),
        }
    }

    /// Answers with a page. `body` puts the rows and the `page` member together.
    pub fn answer<T, B: Serialize>(
        &self,
        api: &Api,
        page: Page<T>,
        body: impl FnOnce(Vec<T>, PageInfo) -> B,
    ) -> HttpResponse {
        let info = self.info(api, &page);
        let link = info.next_cursor.as_deref().and_then(|cursor| self.next_link(&api.links, cursor));
        let mut response = HttpResponse::Ok();
        if let Some(link) = link {
            response.insert_header((header::LINK, link));
        }
        response.json(body(page.items, info))
    }

    fn next_link(&self, links: &Links, cursor: &str) -> Option<HeaderValue> {
        let mut pairs = self.others.clone();
        if let Some(limit) = self.limit {
            pairs.push(("limit".to_owned(), limit.to_string()));
        }
        pairs.push(("cursor".to_owned(), cursor.to_owned()));
        let target = links.to(&format!("{}?{}", self.path, encode(&pairs)));
        HeaderValue::from_str(&format!("<{target}>; rel=\"next\"")).ok()
    }

    /// One page of a list that is short enough to be read whole: in the order of `position`,
    /// which is another for every row.
    pub fn cut<T>(&self, rows: Vec<T>, position: impl Fn(&T) -> Position) -> Page<T> {
        self.cut_by(rows, false, |row| position(row).into())
    }

    /// [`Paging::cut`] in any order.
    pub fn cut_by<T>(&self, rows: Vec<T>, is_descending: bool, place: impl Fn(&T) -> Place) -> Page<T> {
        let total = self.request.count.then(|| i64::try_from(rows.len()).unwrap_or(i64::MAX));
        let mut rows: Vec<(Place, T)> = rows.into_iter().map(|row| (place(&row), row)).collect();
        let compared = |one: &Place, other: &Place| {
            if is_descending { other.cmp(one) } else { one.cmp(other) }
        };
        rows.sort_by(|(one, _), (other, _)| compared(one, other));
        if let Some(after) = &self.after {
            rows.retain(|(place, _)| compared(place, after).is_gt());
        }
        let limit = usize::from(self.request.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(|(place, _)| place.clone()) } else { None };
        Page { items: rows.into_iter().map(|(_, row)| row).collect(), next, total }
    }
}

/// The position of a row that is ordered by its number.
pub fn by_id(id: i64) -> Position {
    Position { key: id, id }
}

/// Parameters that change what is shown of a row, and neither which rows there are nor their order.
const SHOWING: [&str; 2] = ["include", "highlights"];

/// Declares the body of a list. A type of its own for each keeps the document free of copies.
macro_rules! page_of {
    ($(#[$doc:meta])* $name:ident of $row:ty) => {
        $(#[$doc])*
        #[derive(Debug, serde::Serialize, utoipa::ToSchema)]
        struct $name {
            /// The rows.
            data: Vec<$row>,
            /// Where this page stands in the list.
            page: crate::paging::PageInfo,
        }
    };
    ($(#[$doc:meta])* $name:ident of $row:ty, with $included:ty) => {
        $(#[$doc])*
        #[derive(Debug, serde::Serialize, utoipa::ToSchema)]
        struct $name {
            /// The rows.
            data: Vec<$row>,
            /// With `include`: what the rows name.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            included: Option<$included>,
            /// Where this page stands in the list.
            page: crate::paging::PageInfo,
        }
    };
}
pub(crate) use page_of;
