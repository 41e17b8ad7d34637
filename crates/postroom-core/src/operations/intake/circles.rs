//! Mail that goes round in circles is put aside: it was here before, and whatever followed from
//! it would send it round again.

use super::{Circumstances, Known, Ledger, Read};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// A mail that came through this installation more often than this goes round.
pub(super) const MARKS: usize = 2;
/// How often it is told of a mailbox at the most: a circle turns fast.
const TOLD: Duration = Duration::from_secs(60 * 60);

/// Keeps the mail and lists it, in nobody's way.
pub(super) fn break_off(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    ledger: &mut Ledger,
    read: &Read<'_>,
) -> Result<(), Error> {
    let why = if read.own_marks > MARKS {
        format!("it goes round in circles: it came through here {} times", read.own_marks)
    } else {
        "it goes round in circles: too many servers passed it on".to_owned()
    };
    known.keep_bytes(read.arrival, cx.now);
    ledger.quarantine(read.arrival, &why);
    let key = format!("circle_told/{}", here.mailbox.id);
    let last = store::settings::find(cx.conn, &key)?.and_then(|told| told.parse().ok()).map(Timestamp);
    if last.is_some_and(|last| cx.now < last.plus(TOLD)) {
        return Ok(());
    }
    store::settings::set(cx.conn, &key, &cx.now.0.to_string())?;
    let about = About { mailbox_id: Some(here.mailbox.id), ..About::default() };
    let event = NewEvent::new(EventType::MailQuarantined, about)
        .with("location", read.arrival.location.clone())
        .with("reason", why);
    cx.tell(event);
    Ok(())
}
