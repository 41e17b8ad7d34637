//! Exports: everything of a kind by pages, and later what has changed.

use super::conversations::shape::ConversationView;
use super::customers::CustomerView;
use crate::answer::Answer;
use crate::extract::Caller;
use crate::problem::{Problem, ProblemDocument, log_inside};
use crate::query::Query;
use crate::routing::AskedByHead;
use crate::shapes::event::EventView;
use crate::shapes::message::MessageView;
use crate::state::Api;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, get};
use postroom_core::Error;
use postroom_core::cx::Cx;
use postroom_core::export::{Exported, Place};
use postroom_core::operations::exports;
use postroom_core::page::{self, Position};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(export_conversations)
        .service(export_messages)
        .service(export_customers)
        .service(export_activity);
}

/// Rows of a page where the caller does not say.
const DEFAULT_LIMIT: u16 = exports::MOST;
const NDJSON: &str = "application/x-ndjson";
/// Stands in a cursor where a number would for an export that follows the log.
const FOLLOWS: i64 = -1;

/// Which page of an export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// Where to go on: `page.cursor` of the page before. Left out, the export begins.
    cursor: Option<String>,
    /// Rows at the most.
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<u16>,
}

/// Where an export stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"cursor": "AAAAAAAAAAE", "end_of_stream": true}))]
struct ExportInfo {
    /// Where to go on: at once, or, at the end of the stream, whenever one wants to know what has changed.
    cursor: String,
    /// All that there is was told.
    end_of_stream: bool,
}

/// A line of NDJSON for what is there no more.
#[derive(Debug, Serialize)]
struct Tombstone {
    deleted: bool,
    id: i64,
}

macro_rules! export_page {
    ($(#[$doc:meta])* $name:ident of $row:ty) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        struct $name {
            /// What is there, as it is now.
            data: Vec<$row>,
            /// Numbers of what is there no more.
            deleted: Vec<i64>,
            /// Where the export stands.
            page: ExportInfo,
        }
    };
}

export_page!(
    /// A page of exported conversations.
    ConversationExport of ConversationView
);
export_page!(
    /// A page of exported messages.
    MessageExport of MessageView
);
export_page!(
    /// A page of exported customers.
    CustomerExport of CustomerView
);
export_page!(
    /// A page of the exported event log.
    ActivityExport of EventView
);

/// One of the core's exports.
type Export<T> = fn(&mut Cx<'_>, Option<Place>, u16) -> Result<Exported<T>, Error>;

/// What a request asks for.
struct Asked {
    path: String,
    place: Option<Place>,
    limit: u16,
    is_ndjson: bool,
    /// Nothing of the page leaves: nothing is exported.
    is_head: bool,
}

impl Asked {
    fn read(api: &Api, request: &HttpRequest, query: ExportQuery) -> Result<Self, Problem> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=exports::MOST).contains(&limit) {
            return Err(Problem::bad_parameter("limit: must be 1 to 100"));
        }
        let path = request.path().to_owned();
        let place = match &query.cursor {
            Some(cursor) => Some(read_cursor(api, &path, cursor)?),
            None => None,
        };
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let is_ndjson = accept.is_some_and(|accept| accept.contains(NDJSON));
        let is_head = request.extensions().get::<AskedByHead>().is_some();
        Ok(Self { path, place, limit, is_ndjson, is_head })
    }

    /// Reads the page. The first one is a write, unless it is asked for by HEAD: the audit log says that it was told.
    async fn run<T: Send + 'static>(
        &self,
        api: &Api,
        caller: &Caller,
        export: Export<T>,
    ) -> Result<Exported<T>, Problem> {
        let (place, limit) = (self.place, self.limit);
        let op = move |cx: &mut Cx<'_>| export(cx, place, limit);
        Ok(match place {
            None if !self.is_head => api.desk.write(caller, op).await?,
            // What a read notes is not kept.
            _ => api.desk.read(caller, op).await?,
        })
    }

    fn answer<T, V: Serialize, B: Serialize>(
        &self,
        api: &Api,
        found: Exported<T>,
        view: impl FnMut(T) -> V,
        body: impl FnOnce(Vec<V>, Vec<i64>, ExportInfo) -> B,
    ) -> Answer {
        let at = match found.next {
            Place::Walk { start, after } => Position { key: start, id: after },
            Place::Follow { seq } => Position { key: seq, id: FOLLOWS },
        };
        let cursor = api.desk.keys().cursor(&self.path, &at.into());
        let page = ExportInfo { cursor, end_of_stream: found.is_end };
        let rows: Vec<V> = found.rows.into_iter().map(view).collect();
        let mut answer = HttpResponse::Ok();
        answer.insert_header((header::VARY, "Accept"));
        if !self.is_ndjson {
            return Ok(answer.json(body(rows, found.gone, page)));
        }
        let mut lines = String::new();
        for row in &rows {
            add_line(&mut lines, row)?;
        }
        for id in found.gone {
            add_line(&mut lines, &Tombstone { deleted: true, id })?;
        }
        add_line(&mut lines, &page)?;
        Ok(answer.content_type(NDJSON).body(lines))
    }
}

fn add_line(lines: &mut String, row: &impl Serialize) -> Result<(), Problem> {
    let line = serde_json::to_string(row).map_err(|error| {
        log_inside(&error);
        Problem::internal()
    })?;
    lines.push_str(&line);
    lines.push('\n');
    Ok(())
}

fn read_cursor(api: &Api, path: &str, cursor: &str) -> Result<Place, Problem> {
    let told = "the cursor does not belong to this export; begin anew, without one";
    let at = api.desk.keys().read_cursor(path, cursor);
    let Some(page::Place::Number(at)) = at else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", told));
    };
    Ok(match at.id {
        FOLLOWS => Place::Follow { seq: at.key },
        after => Place::Walk { start: at.key, after },
    })
}

/// Export conversations
///
/// Begin without a cursor, and go on with `page.cursor` of each page until `end_of_stream`: then all of it was told. Keep
/// the last cursor: with it, later, comes what has changed since. Those in the trash
/// (`deleted_at`) and those that were merged (`merged_into`) are among them.
/// A row that comes again is as it is then; it takes the place of the one before. Needs `export:read` and
/// `conversations:read`, and the sight of the whole desk. That an export begins is in the audit log.
#[utoipa::path(tag = "export", params(ExportQuery),
    responses(
        (status = OK, description = "A page. As NDJSON each line is a row as it stands in `data`, or `{\"deleted\":true,\"id\":…}`, and the last one `page`.",
         content((ConversationExport = "application/json"), (String = "application/x-ndjson"))),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: begin anew, without a cursor.")))]
#[get("/export/conversations")]
async fn export_conversations(
    api: Data<Api>,
    caller: Caller,
    request: HttpRequest,
    query: Query<ExportQuery>,
) -> Answer {
    let asked = Asked::read(&api, &request, query.0)?;
    let found = asked.run(&api, &caller, exports::conversations).await?;
    asked.answer(&api, found, ConversationView::listed, |data, deleted, page| ConversationExport {
        data,
        deleted,
        page,
    })
}

/// Export messages
///
/// Begin without a cursor, and go on with `page.cursor` of each page until `end_of_stream`: then all of it was told. Keep
/// the last cursor: with it, later, comes what has changed since. Notes and drafts are
/// among them. How a mail fares on its way is told with its next event.
/// A row that comes again is as it is then; it takes the place of the one before. Needs `export:read` and
/// `conversations:read`, and the sight of the whole desk. That an export begins is in the audit log.
#[utoipa::path(tag = "export", params(ExportQuery),
    responses(
        (status = OK, description = "A page. As NDJSON each line is a row as it stands in `data`, or `{\"deleted\":true,\"id\":…}`, and the last one `page`.",
         content((MessageExport = "application/json"), (String = "application/x-ndjson"))),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: begin anew, without a cursor.")))]
#[get("/export/messages")]
async fn export_messages(
    api: Data<Api>,
    caller: Caller,
    request: HttpRequest,
    query: Query<ExportQuery>,
) -> Answer {
    let asked = Asked::read(&api, &request, query.0)?;
    let found = asked.run(&api, &caller, exports::messages).await?;
    let links = &api.links;
    asked.answer(
        &api,
        found,
        |card| MessageView::new(card, links),
        |data, deleted, page| MessageExport { data, deleted, page },
    )
}

/// Export customers
///
/// Begin without a cursor, and go on with `page.cursor` of each page until `end_of_stream`: then all of it was told. Keep
/// the last cursor: with it, later, comes what has changed since.
/// A row that comes again is as it is then; it takes the place of the one before. Needs `export:read` and
/// `customers:read`, and the sight of the whole desk. That an export begins is in the audit log.
#[utoipa::path(tag = "export", params(ExportQuery),
    responses(
        (status = OK, description = "A page. As NDJSON each line is a row as it stands in `data`, or `{\"deleted\":true,\"id\":…}`, and the last one `page`.",
         content((CustomerExport = "application/json"), (String = "application/x-ndjson"))),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: begin anew, without a cursor.")))]
#[get("/export/customers")]
async fn export_customers(
    api: Data<Api>,
    caller: Caller,
    request: HttpRequest,
    query: Query<ExportQuery>,
) -> Answer {
    let asked = Asked::read(&api, &request, query.0)?;
    let found = asked.run(&api, &caller, exports::customers).await?;
    asked.answer(&api, found, CustomerView::from, |data, deleted, page| CustomerExport {
        data,
        deleted,
        page,
    })
}

/// Export the event log
///
/// Begin without a cursor, and go on with `page.cursor` of each page until `end_of_stream`: then all of it was told. Keep
/// the last cursor: with it, later, comes what has changed since. What belongs to a
/// conversation is kept as long as that is, longer than by `/events`: with `conversation.purged` drop what you have of
/// that conversation.
/// A row that comes again is as it is then; it takes the place of the one before. Needs `export:read` and
/// `events:read`, and the sight of the whole desk. That an export begins is in the audit log.
#[utoipa::path(tag = "export", params(ExportQuery),
    responses(
        (status = OK, description = "A page. As NDJSON each line is a row as it stands in `data`, or `{\"deleted\":true,\"id\":…}`, and the last one `page`.",
         content((ActivityExport = "application/json"), (String = "application/x-ndjson"))),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: begin anew, without a cursor.")))]
#[get("/export/activity")]
async fn export_activity(
    api: Data<Api>,
    caller: Caller,
    request: HttpRequest,
    query: Query<ExportQuery>,
) -> Answer {
    let asked = Asked::read(&api, &request, query.0)?;
    let found = asked.run(&api, &caller, exports::activity).await?;
    asked.answer(&api, found, EventView::from, |data, deleted, page| ActivityExport { data, deleted, page })
}
