//! The event feed: what happened, from any number that is still kept.

use crate::access::Scope;
use crate::cx::Cx;
use crate::event::Event;
use crate::{Error, store};

/// Where the feed begins: everything up to here is gone from it.
const FLOOR: &str = "events_floor";

/// One page of the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Where to go on: everything up to here was looked at.
    pub next_after: i64,
    /// More is there already.
    pub has_more: bool,
}

/// The events behind `after` that the caller may see now. `kinds` are names, or prefixes that
/// end in a dot; none means all.
pub fn feed(cx: &mut Cx<'_>, after: i64, kinds: &[String], limit: u16) -> Result<Feed, Error> {
    cx.access().require(Scope::EventsRead)?;
    let floor = floor(cx)?;
    if after < floor {
        return Err(Error::Expired { floor });
    }
    let access = cx.access().clone();
    let found = store::events::list_after(cx.conn, &access, after, kinds, i64::from(limit))?;
    let last = store::events::last_seq(cx.conn)?;
    let next_after = if found.events.len() < usize::from(limit) && found.seen_up_to == after {
        // Nothing of these kinds behind `after`: the whole log was looked at.
        last.max(after)
    } else {
        found.seen_up_to
    };
    Ok(Feed { has_more: next_after < last, events: found.events, next_after })
}

/// The newest number there is.
pub fn last_seq(cx: &mut Cx<'_>) -> Result<i64, Error> {
    cx.access().require(Scope::EventsRead)?;
    Ok(store::events::last_seq(cx.conn)?)
}

/// Everything up to here is gone from the feed.
pub(super) fn floor(cx: &mut Cx<'_>) -> Result<i64, Error> {
    let kept = store::settings::find(cx.conn, FLOOR)?;
    Ok(kept.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Takes out of the feed what is older than it is kept. What belongs to a conversation stays
/// in its activity. Returns the new floor.
pub fn expire(cx: &mut Cx<'_>) -> Result<i64, Error> {
    let before = cx.now.minus(cx.settings.keep_events);
    let up_to = store::events::last_seq_before(cx.conn, before)?;
    let floor = floor(cx)?;
    if up_to > floor {
        store::settings::set(cx.conn, FLOOR, &up_to.to_string())?;
        store::events::delete_loose(cx.conn, up_to)?;
    }
    Ok(up_to.max(floor))
}
