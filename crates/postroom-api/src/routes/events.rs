//! The event feed: everything that happened, in order, for programs that follow by pages.

use crate::answer::Answer;
use crate::extract::Caller;
use crate::follow::Follower;
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;
use crate::shapes::event::EventView;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use postroom_core::event::EventType;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_events);
}

/// Rows of a page where the caller does not say.
const DEFAULT_LIMIT: u16 = 25;
/// The longest wait, in seconds: proxies cut what is silent for a minute.
const LONGEST_WAIT: u16 = 30;

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Those behind this number: `page.next_after` of the page before. Left out, from the oldest
    /// that is kept.
    #[param(minimum = 0)]
    after: Option<i64>,
    /// Of these types; `conversation.*` is all that begin so. Left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false, example = json!(["conversation.*", "message.received"]))]
    types: Vec<String>,
    /// Rows at the most.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u16>,
    /// Where there is nothing yet, wait for it this many seconds.
    #[param(minimum = 0, maximum = 30, default = 0)]
    wait: Option<u16>,
}

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
struct EventPage {
    /// The events, oldest first.
    data: Vec<EventView>,
    /// Where to go on.
    page: FeedInfo,
}

/// Where a page of the feed stands.
#[derive(Debug, Serialize, ToSchema)]
struct FeedInfo {
    /// For the next page's `after`. Keep it: everything up to here was looked at.
    next_after: i64,
    /// More is there already.
    has_more: bool,
}

/// Exact names stay; `conversation.*` becomes the prefix that the core knows.
pub fn kinds(types: Vec<String>) -> Result<Vec<String>, Problem> {
    let known = |kind: &str| {
        if kind.ends_with('.') {
            EventType::ALL.iter().any(|known| known.as_str().starts_with(kind))
        } else {
            kind.parse::<EventType>().is_ok()
        }
    };
    let read = types.into_iter().map(|kind| {
        let name = kind.strip_suffix('*').filter(|prefix| prefix.ends_with('.')).unwrap_or(&kind).to_owned();
        if known(&name) && !(name == kind && name.ends_with('.')) {
            Ok(name)
        } else {
            let names: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
            Err(Problem::bad_parameter(format!(
                "types: there is no {kind:?}; there are {}",
                names.join(", ")
            )))
        }
    });
    read.collect()
}

/// Follow what happens
///
/// Oldest first, each event once. With `wait` the answer comes as soon as there is something, or
/// empty when the time is over. A caller sees the events of what they may see now. Needs
/// `events:read`.
#[utoipa::path(tag = "events", params(EventQuery),
    responses(
        (status = OK, body = EventPage, description = "A page of the feed."),
        (status = GONE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`cursor_expired`: events up to `oldest_after` are no longer kept; go on from there, knowing that some were missed.")))]
#[get("/events")]
async fn list_events(api: Data<Api>, caller: Caller, query: Query<EventQuery>) -> Answer {
    let query = query.0;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=100).contains(&limit) {
        return Err(Problem::bad_parameter("limit: must be 1 to 100"));
    }
    let wait = query.wait.unwrap_or_default();
    if wait > LONGEST_WAIT {
        return Err(Problem::bad_parameter("wait: must be 0 to 30 seconds"));
    }
    if query.after.is_some_and(|after| after < 0) {
        return Err(Problem::bad_parameter("after: must not be negative"));
    }
    let kinds = kinds(query.types)?;
    let deadline = Instant::now() + Duration::from_secs(wait.into());
    let feed = Follower::new(&api, caller, kinds, query.after).next(limit, deadline).await?;
    let page = FeedInfo { next_after: feed.next_after, has_more: feed.has_more };
    let data = feed.events.into_iter().map(EventView::from).collect();
    Ok(HttpResponse::Ok().json(EventPage { data, page }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_names_or_beginnings() {
        let read = |types: &[&str]| {
            kinds(types.iter().map(|&kind| kind.to_owned()).collect()).map_err(|problem| problem.code())
        };
        assert_eq!(
            read(&["conversation.*", "message.sent"]),
            Ok(vec!["conversation.".into(), "message.sent".into()])
        );
        assert_eq!(read(&[]), Ok(vec![]));
        for other in ["conversation", "conversation.", "*", "nothing.*", "conversation.created*", "x.y"] {
            assert_eq!(read(&[other]), Err("bad_parameter"), "{other}");
        }
    }
}
