//! Snoozing: a conversation rests until its time comes, somebody wakes it, or the customer writes.

use super::{ConversationCard, about, card, changeable, save, set_status, tell_status};
use crate::access::Scope;
use crate::conversation::{Conversation, SnoozeUntil, Status};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{EventType, NewEvent};
use crate::id::ConversationId;
use crate::operations::{require_version, schedules};
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// The longest time that something is snoozed for: five years.
pub const LONGEST: Duration = Duration::from_hours(5 * 366 * 24);

/// Has a conversation rest. One that rests already does so until the new time.
///
/// Fails for one that is done: who wants to see it again opens it first.
pub fn snooze(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    until: SnoozeUntil,
) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let before = changeable(cx, id)?;
    require_version("conversation", expected, before.etag())?;
    require_snoozable(&before)?;
    let until = end(cx, until)?;
    let mut after = before.clone();
    set_status(&mut after, Status::Snoozed, cx.now);
    after.snoozed_until = until;
    let written = save(cx, &before, &after, false)?;
    if written != before {
        cx.tell(
            NewEvent::new(EventType::ConversationSnoozed, about(&written))
                .with("until", serde_json::json!(until)),
        );
    }
    card(cx, written)
}

/// Fails for a conversation that is done.
pub(in crate::operations) fn require_snoozable(conversation: &Conversation) -> Result<(), Error> {
    match conversation.status {
        Status::Open | Status::Pending | Status::Snoozed => Ok(()),
        done => {
            Err(Error::StateConflict(format!("this conversation is {done}; open it before you snooze it")))
        }
    }
}

fn end(cx: &mut Cx<'_>, until: SnoozeUntil) -> Result<Option<Timestamp>, Error> {
    let mut faults = Faults::default();
    let end = match until {
        SnoozeUntil::Reply => None,
        SnoozeUntil::Time(until) => {
            if until <= cx.now {
                faults.add("/until", "in_the_past", "must be in the future");
            } else if until > cx.now.plus(LONGEST) {
                faults.add("/until", "too_late", "must be within five years");
            }
            Some(until)
        }
        SnoozeUntil::Opening(id) => match store::schedules::find(cx.conn, id)? {
            None => {
                faults.add("/schedule_id", "not_found", "there is no such schedule");
                None
            }
            Some(schedule) => {
                let opening = schedules::timetable(&schedule)?.next_opening(cx.now);
                if opening.is_none() {
                    faults.add("/schedule_id", "never_opens", "this schedule opens at no time that is known");
                }
                opening
            }
        },
    };
    faults.check()?;
    Ok(end)
}

/// Opens a conversation that rests. Any other stays as it is.
pub fn unsnooze(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let before = changeable(cx, id)?;
    require_version("conversation", expected, before.etag())?;
    let written = if before.status == Status::Snoozed {
        save(cx, &before, &woken(&before, cx.now), false)?
    } else {
        before
    };
    card(cx, written)
}

fn woken(before: &Conversation, now: Timestamp) -> Conversation {
    let mut after = before.clone();
    set_status(&mut after, Status::Open, now);
    after
}

/// Opens those whose time has come, so many at once. Says how many were due.
pub fn wake(cx: &mut Cx<'_>, limit: i64) -> Result<usize, Error> {
    let due = store::conversations::due_to_wake(cx.conn, cx.now, limit)?;
    let count = due.len();
    for before in due {
        // Somebody else was first: they left it as they wanted it.
        let after = woken(&before, cx.now);
        if let Some(written) = store::conversations::update(cx.conn, &before, &after, cx.now)? {
            tell_status(cx, &before, &written, "snooze_over");
        }
    }
    Ok(count)
}

/// When the next one's time comes.
pub fn next_wake(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    Ok(store::conversations::next_wake(cx.conn)?)
}
