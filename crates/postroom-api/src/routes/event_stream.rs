//! The event feed as a stream (server-sent events): for frontends, and programs that want no polling.

use super::events::kinds;
use crate::answer::Answer;
use crate::body::Body;
use crate::extract::Caller;
use crate::follow::Follower;
use crate::observe::RequestId;
use crate::problem::{Problem, ProblemDocument, log_inside};
use crate::query::Query;
use crate::routing::AskedByHead;
use crate::seats::{Full, Lost, Seat};
use crate::shapes::event::EventView;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentEncoding, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, get, post};
use bytes::Bytes;
use postroom_core::operations::event_tickets::Admitted;
use postroom_core::operations::events::{self, Feed};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(stream_events).service(create_event_ticket);
}

/// Streams that are open at the same time. Each costs a look into the log at every change.
pub const STREAMS: usize = 1_000;
/// Streams of one token, unless the daemon is set up otherwise.
pub const STREAMS_EACH: usize = 5;
/// Events of one piece: as much as a reader that does not read costs memory.
const AT_ONCE: u16 = 50;
/// Something is sent at least this often: proxies cut what is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A browser that lost the stream waits this long before it comes again, in milliseconds.
const RETRY: u32 = 3_000;

const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Those behind this number. Left out, and without `Last-Event-ID`: those that come from now on.
    #[param(minimum = 0)]
    after: Option<i64>,
    /// Of these types; `conversation.*` is all that begin so. Left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false, example = json!(["conversation.*", "message.received"]))]
    types: Vec<String>,
}

/// What a ticket is to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEventTicket)]
struct NewTicketBody {
    /// Events of these types alone; `conversation.*` is all that begin so. Left out, all.
    #[serde(default)]
    #[schema(max_items = 50)]
    types: Vec<String>,
}

/// A ticket for the event stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTicket)]
struct EventTicketView {
    /// The stream's address with the ticket in it, for `new EventSource(url)`; `&after=` may be added. Whoever
    /// has it is let in.
    url: String,
    /// Until when it opens.
    expires_at: Timestamp,
}

/// Follow what happens as it happens
///
/// Server-sent events: of each, `id` is its `seq`, `event` its type, `data` the event as JSON in one line.
/// Who comes again with `Last-Event-ID`, as browsers do by themselves, gets all that came meanwhile, each
/// once and in order; it weighs more than `after`. An `id` without data says how far the log was looked
/// through. A caller sees the events of what they may see at that moment. When they may follow no longer
/// (the token was revoked), the stream ends with the event `stream.closed`, whose data is the problem. A
/// stream that ends without a word was cut: come again. A token has as many streams as the daemon is set up for: one more takes the place of
/// the oldest, which ends with `stream.closed` and `stream_replaced`. Browsers bring a ticket in place of a token
/// (`POST /events/ticket`). Needs `events:read`.
#[utoipa::path(tag = "events", security(("bearer" = []), ("event_ticket" = [])),
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The `id` that came last."),
        ("ticket" = Option<String>, Query, description = "In place of a token, for browsers: what `POST /events/ticket` gave.")),
    responses(
        (status = OK, body = String, content_type = "text/event-stream", description = "The stream.",
         example = "id: 918273\nevent: conversation.status_changed\ndata: {\"seq\":918273,\"type\":\"conversation.status_changed\"}\n\n"),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: events up to `oldest_after` are no longer kept; go on from there, knowing that some were missed."),
        (status = TOO_MANY_REQUESTS, body = ProblemDocument, content_type = "application/problem+json",
         description = "`rate_limited`: too many of this token's streams that were closed are still there, for nobody reads them; close some, or come again after `Retry-After`."),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`overloaded`: too many streams are open; come again after `Retry-After`.")))]
#[get("/events/stream")]
async fn stream_events(
    api: Data<Api>,
    caller: Caller,
    query: Query<StreamQuery>,
    request: HttpRequest,
) -> Answer {
    let admitted = request.extensions_mut().remove::<Admitted>();
    let (ticket, types) = match admitted {
        Some(admitted) if !admitted.types.is_empty() => {
            if !query.0.types.is_empty() {
                return Err(Problem::bad_parameter("types: this ticket says already which"));
            }
            (Some(admitted.ticket), admitted.types)
        }
        admitted => (admitted.map(|admitted| admitted.ticket), query.0.types),
    };
    let kinds = kinds(types)?;
    let begun = begin(&request, query.0.after)?;
    let is_head = request.extensions().get::<AskedByHead>().is_some();
    let after = match begun {
        Some(after) => after,
        None => api.desk.read(&caller, events::last_seq).await?,
    };
    let mut follower = Follower::new(&api, caller.clone(), kinds, Some(after));
    // What can be refused is refused before the stream begins.
    let first = follower.next(AT_ONCE, Instant::now()).await?;
    // Who only looks takes nobody's seat.
    let seat = if is_head { None } else { Some(api.streams.take(&caller, ticket.as_deref()).map_err(full)?) };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/event-stream")
        // Compressed, an event would wait for others.
        .insert_header(ContentEncoding::Identity)
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"));
    let Some(seat) = seat else { return Ok(answer.finish()) };
    let mut opening = format!("retry: {RETRY}\nid: {after}\n\n");
    let said = first.next_after;
    write_events(&mut opening, first, after)?;
    let request_id = RequestId::of(&request.extensions());
    let stream = Stream { follower, opening: Some(opening), said, is_over: false, request_id, seat };
    Ok(answer.streaming(futures_util::stream::unfold(stream, |mut stream| async {
        let piece = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(piece), stream))
    })))
}

/// Make a ticket for a browser's event stream
///
/// `EventSource` sends no `Authorization`: give it the `url` of the answer. It opens for 60 seconds, as often as the
/// browser comes again by itself (with `Last-Event-ID`), and one stream at a time: one opened by the same ticket ends
/// the one before it. A stream that is open goes on when the ticket's time is over; whoever comes too late is told 401,
/// which is final for an `EventSource`: ask for a new ticket and add `&after=` and the last `id`. A ticket shows
/// what its token may see at that moment, dies when the token does, and holds in the token's networks alone. Treat it
/// like a token. Needs `events:read`.
#[utoipa::path(tag = "events",
    request_body(content = NewTicketBody, description = "What it is to open.",
        example = json!({"types": ["conversation.*", "message.received"]})),
    responses((status = OK, body = EventTicketView, description = "The ticket.")))]
#[post("/events/ticket")]
async fn create_event_ticket(api: Data<Api>, caller: Caller, body: Body<NewTicketBody>) -> Answer {
    let types = body.0.types;
    // What it names is checked now, and read again when it is shown.
    if kinds(types.clone()).is_err() {
        let told = "each must be the name of an event type, or how some begin: conversation.*";
        return Err(Problem::invalid_member("/types", "unknown_type", told));
    }
    let ticket = api.desk.event_ticket(&caller, types)?;
    let url = api.links.to(&format!("/api/v1/events/stream?ticket={}", ticket.secret));
    Ok(HttpResponse::Ok().json(EventTicketView { url, expires_at: ticket.expires_at }))
}

/// What a stream is told that lost its seat.
fn replaced(lost: Lost) -> Problem {
    let told = match lost {
        Lost::ToNewer { each } => format!(
            "streams that this token has opened since: {each}, and that is all it may have; this one, the oldest, ends"
        ),
        Lost::ToSameTicket => "this ticket came again, and opens one stream at a time".to_owned(),
    };
    Problem::new(StatusCode::CONFLICT, "stream_replaced", told)
}

fn full(full: Full) -> Problem {
    let problem = match full {
        Full::InAll => {
            let told = format!("{STREAMS} streams are open, and that is all there can be");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", told)
        }
        Full::Own => {
            let told =
                "too many streams of this token were closed and are still there, for nobody reads them";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", told)
        }
    };
    problem.header(header::RETRY_AFTER, HeaderValue::from_static("30"))
}

/// Where the caller wants to begin, if they say so.
fn begin(request: &HttpRequest, after: Option<i64>) -> Result<Option<i64>, Problem> {
    if after.is_some_and(|after| after < 0) {
        return Err(Problem::bad_parameter("after: must not be negative"));
    }
    let Some(last) = request.headers().get(LAST_EVENT_ID) else { return Ok(after) };
    // A browser that got no id yet sends none, or an empty one.
    match last.to_str().map(str::trim) {
        Ok("") => Ok(after),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => match text.parse() {
            Ok(seq) => Ok(Some(seq)),
            Err(_) => Err(no_id()),
        },
        _ => Err(no_id()),
    }
}

fn no_id() -> Problem {
    Problem::bad_parameter(format!("{LAST_EVENT_ID}: must be the id of an event of this stream"))
}

/// One caller's stream. It reads on as it is read: who does not read costs one piece.
struct Stream {
    follower: Follower,
    /// What is sent before anything else.
    opening: Option<String>,
    /// The number said last.
    said: i64,
    is_over: bool,
    request_id: String,
    seat: Seat,
}

impl Stream {
    /// What is sent next; `None` is the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening.into());
        }
        if self.is_over {
            return None;
        }
        let mut lost = self.seat.lost();
        let followed = tokio::select! {
            // First, so that a log that never rests keeps nobody from being told.
            biased;
            lost = lost.wait_for(Option::is_some) => match lost.as_deref() {
                Ok(Some(lost)) => Err(replaced(*lost)),
                // Its place is not gone before the seat is.
                _ => Err(Problem::internal()),
            },
            followed = self.follow() => followed,
        };
        match followed {
            Ok(piece) => piece.map(Bytes::from),
            Err(problem) => {
                self.is_over = true;
                // What is no fault of the caller's is over when they come again.
                problem.status_code().is_client_error().then(|| self.farewell(&problem))
            }
        }
    }

    async fn follow(&mut self) -> Result<Option<String>, Problem> {
        // They may have let the piece before this one lie for an hour.
        self.follower.renew().await?;
        let feed = self.follower.next(AT_ONCE, Instant::now() + HEARTBEAT).await?;
        if feed.events.is_empty() && self.follower.is_over() {
            return Ok(None);
        }
        let (mut piece, before) = (String::new(), self.said);
        self.said = feed.next_after;
        write_events(&mut piece, feed, before)?;
        if piece.is_empty() {
            piece.push_str(":\n\n");
        }
        Ok(Some(piece))
    }

    /// Why it ends.
    fn farewell(&self, problem: &Problem) -> Bytes {
        let document = serde_json::to_string(&problem.document(&self.request_id)).unwrap_or_default();
        format!("event: stream.closed\ndata: {document}\n\n").into()
    }
}

/// The events, and how far the log was looked through for them, where `said` is not that already.
fn write_events(piece: &mut String, feed: Feed, mut said: i64) -> Result<(), Problem> {
    for event in feed.events {
        let event = EventView::from(event);
        said = event.seq;
        let data = serde_json::to_string(&event).map_err(internal)?;
        write!(piece, "id: {said}\nevent: {}\ndata: {data}\n\n", event.r#type).map_err(internal)?;
    }
    if feed.next_after != said {
        write!(piece, "id: {}\n\n", feed.next_after).map_err(internal)?;
    }
    Ok(())
}

fn internal(error: impl std::error::Error) -> Problem {
    log_inside(&error);
    Problem::internal()
}
