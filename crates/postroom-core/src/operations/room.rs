//! That a daemon's disk is almost full, or that there is room again: told in the log of events and by
//! mail to those who run the desk.

use super::notices;
use crate::Error;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};

/// Tells it. `shortage` is why nothing is written, `None` that everything goes on; `host` is the name of
/// the machine whose disk it is.
pub fn tell(cx: &mut Cx<'_>, shortage: Option<&'static str>, host: &str) -> Result<(), Error> {
    let kind = if shortage.is_some() { EventType::StorageFull } else { EventType::StorageRecovered };
    cx.tell(NewEvent::new(kind, About::default()).with("host", host).with("reason", shortage));
    let (subject, text) = match shortage {
        Some(why) => (
            format!("postroom on {host} can't write"),
            format!("Since {} postroom on {host} takes nothing in:\n\n{why}.\n", cx.now),
        ),
        None => (
            format!("postroom on {host} can write again"),
            format!(
                "Since {} there is room again on {host}. What waited meanwhile is being fetched.\n",
                cx.now
            ),
        ),
    };
    notices::mail(cx, None, &subject, &text)
}
