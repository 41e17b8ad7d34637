//! What a watchdog sees, and whom it tells.

use super::about;
use crate::access::Access;
use crate::conversation::{ConversationFilter, Status, WaitingOn};
use crate::cx::Cx;
use crate::event::EventType;
use crate::operations::{custom_fields, notices, schedules};
use crate::query::{Condition, Moment, Span, Term, TimeField};
use crate::time::Timestamp;
use crate::watchdog::{COUNTED, EscalationStep, Overdue, Watchdog, WatchdogState};
use crate::{Error, store};
use std::time::Duration;

/// What waits for an answer of ours for longer than this watchdog allows.
///
/// Fails with [`Error::BadQuery`] where a custom field that it asks for is gone, and with
/// [`Error::StateConflict`] where this machine does not know its schedule's time zone.
pub fn overdue(cx: &mut Cx<'_>, watchdog: &Watchdog) -> Result<Overdue, Error> {
    // A schedule that is hardly ever open may not have been open for so long as far as it is known.
    let Some(since) = latest(cx, watchdog)? else {
        return Ok(Overdue { is_exact: true, ..Overdue::default() });
    };
    let mut query = watchdog.asks()?.asked_at(cx.now);
    query.terms.extend(waits_since(since));
    let query = custom_fields::settle_query(cx, query)?;
    let filter = ConversationFilter { query, ..ConversationFilter::default() };
    let access = Access::system();
    let waiting = store::conversations::waiting_longest(cx.conn, &access, &filter, COUNTED + 1)?;
    Ok(Overdue {
        count: waiting.len().min(COUNTED),
        is_exact: waiting.len() <= COUNTED,
        oldest: waiting.first().copied(),
    })
}

/// What waits for an answer of ours since then or longer, in the words of the index.
pub fn waits_since(since: Timestamp) -> impl Iterator<Item = Term> {
    let until = Span { since: None, before: Some(Moment::At(Timestamp(since.0 + 1))) };
    let conditions = [
        Condition::WaitingOn(vec![WaitingOn::Us]),
        Condition::Status(vec![Status::Open, Status::Pending]),
        Condition::Time(TimeField::Waiting, until),
    ];
    conditions.into_iter().map(|condition| Term { is_negated: false, condition })
}

/// Since when at the latest somebody waits who waits too long.
fn latest(cx: &mut Cx<'_>, watchdog: &Watchdog) -> Result<Option<Timestamp>, Error> {
    let time = Duration::from_secs(u64::from(watchdog.wait_seconds.unsigned_abs()));
    let Some(id) = watchdog.schedule_id else { return Ok(Some(cx.now.minus(time))) };
    let schedule = store::schedules::find(cx.conn, id)?.ok_or(Error::NotFound("schedule"))?;
    Ok(schedules::timetable(&schedule)?.open_since(cx.now, time))
}

/// What becomes of a watchdog by what it sees.
#[derive(Debug, Clone)]
pub struct Turn {
    before: Watchdog,
    after: Watchdog,
    seen: Overdue,
    /// Steps that are due.
    due: Vec<EscalationStep>,
}

/// Has every watchdog look. What becomes of those that something becomes of.
pub fn look(cx: &mut Cx<'_>) -> Result<Vec<Turn>, Error> {
    let mut turns = Vec::new();
    for watchdog in store::watchdogs::at_work(cx.conn)? {
        let seen = if watchdog.enabled { overdue(cx, &watchdog) } else { Ok(Overdue::default()) };
        match seen {
            Ok(seen) => turns.extend(becomes(watchdog, seen, cx.now)),
            Err(error @ (Error::BadQuery(_) | Error::StateConflict(_))) => {
                tracing::error!(watchdog = watchdog.name, %error, "a watchdog can't look");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(turns)
}

/// The next moment at which a step is due.
pub fn next_step(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    let all = store::watchdogs::at_work(cx.conn)?;
    Ok(all.iter().filter_map(next_of).map(|(at, _)| at).min())
}

/// The next step of one that is alarmed, and when it is due.
fn next_of(watchdog: &Watchdog) -> Option<(Timestamp, &EscalationStep)> {
    if watchdog.state != WatchdogState::Alarmed {
        return None;
    }
    let told = usize::try_from(watchdog.steps_told).unwrap_or(0);
    let step = watchdog.steps.get(told)?;
    let after = Duration::from_secs(u64::from(step.after_seconds.unsigned_abs()));
    Some((watchdog.alarmed_at?.plus(after), step))
}

fn becomes(before: Watchdog, seen: Overdue, now: Timestamp) -> Option<Turn> {
    let mut after = before.clone();
    match (seen.count, before.state) {
        (0, WatchdogState::Quiet) => return None,
        (0, _) => {
            (after.state, after.alarmed_at, after.acknowledged_by) = (WatchdogState::Quiet, None, None);
            after.steps_told = 0;
        }
        (_, WatchdogState::Quiet) => (after.state, after.alarmed_at) = (WatchdogState::Alarmed, Some(now)),
        _ => {}
    }
    let mut due = Vec::new();
    while let Some((_, step)) = next_of(&after).filter(|(at, _)| *at <= now) {
        due.push(step.clone());
        after.steps_told += 1;
    }
    (after != before).then_some(Turn { before, after, seen, due })
}

/// Writes down what became of a watchdog, and tells whom it has to. Where somebody else was first, they did so.
pub fn turn(cx: &mut Cx<'_>, turn: &Turn) -> Result<(), Error> {
    let Turn { before, after, seen, due } = turn;
    let Some(after) = store::watchdogs::turn(cx.conn, before, after)? else { return Ok(()) };
    if before.state != after.state {
        let kind = match after.state {
            WatchdogState::Quiet => EventType::WatchdogCleared,
            _ => EventType::WatchdogAlarmed,
        };
        tell(cx, kind, &after, seen);
    }
    for step in due {
        tell(cx, EventType::WatchdogEscalated, &after, seen);
        mail(cx, &after, seen, step)?;
    }
    Ok(())
}

fn tell(cx: &mut Cx<'_>, kind: EventType, watchdog: &Watchdog, seen: &Overdue) {
    let event = about(kind, watchdog)
        .with("count", seen.count)
        .with("oldest_conversation_id", seen.oldest.map(|(id, _)| id.0))
        .with("steps_told", watchdog.steps_told);
    cx.tell(event);
}

/// Tells a step's people by mail. It says nothing of what customers wrote.
fn mail(cx: &mut Cx<'_>, watchdog: &Watchdog, seen: &Overdue, step: &EscalationStep) -> Result<(), Error> {
    let Some((oldest, since)) = seen.oldest else { return Ok(()) };
    let many = if seen.is_exact { seen.count.to_string() } else { format!("more than {COUNTED}") };
    let subject = format!("{}: {many} waiting for an answer", watchdog.name);
    let hours = if watchdog.schedule_id.is_some() { " of opening hours" } else { "" };
    let text = format!(
        "{many} of the conversations that the watchdog \"{}\" looks after have waited for an answer for longer \
         than {} minutes{hours}.\n\nThe one that waits longest is {oldest}, since {since}.\n\nSay that you know \
         (POST /api/v1/watchdogs/{}/acknowledge), and nobody else is told.\n",
        watchdog.name,
        watchdog.wait_seconds / 60,
        watchdog.id,
    );
    if step.administrators {
        notices::mail(cx, None, &subject, &text)?;
    }
    for agent in store::people::agents_of(cx.conn, &step.agent_ids)? {
        if agent.disabled_at.is_none() {
            notices::mail_person(cx, &agent, &subject, &text)?;
        }
    }
    Ok(())
}
