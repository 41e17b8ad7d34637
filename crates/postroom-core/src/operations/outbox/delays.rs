//! Mails that take long: whoever waits for an answer should know before it is given up.

use super::{tell, waiting_recipients};
use crate::cx::Cx;
use crate::event::EventType;
use crate::message::Outbound;
use crate::{Error, store};
use serde_json::json;
use std::time::Duration;

/// After this time a mail that has not left is told of, once (mail.md section 5).
const LONG: Duration = Duration::from_hours(4);

/// Tells of mails that have waited for long, `limit` at the most. How many it were.
pub fn tell_delays(cx: &mut Cx<'_>, limit: i64) -> Result<usize, Error> {
    let slow = store::outbox::slow(cx.conn, cx.now.minus(LONG), limit)?;
    for before in &slow {
        let after = Outbound { delayed_at: Some(cx.now), ..before.clone() };
        // One that is claimed just now may leave after all; if not, it is told of next time.
        if let Some(written) = store::outbox::update(cx.conn, before, &after)? {
            let recipients = json!(waiting_recipients(&written));
            tell(cx, EventType::MessageDelayed, &written, &[("recipients", recipients)])?;
        }
    }
    Ok(slow.len())
}
