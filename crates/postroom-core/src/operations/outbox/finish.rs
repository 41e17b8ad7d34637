//! What came of an attempt, written down with what follows from it.

use super::{
    CAPTURED, Outcome, Refusal, aliases, copies, defer, end, lost_claim, note_refusals, settle, tell,
    uncertain, waits,
};
use crate::cx::Cx;
use crate::event::EventType;
use crate::mailbox::End;
use crate::message::{DeliveryState, Outbound, RecipientState};
use crate::store::types::Json;
use crate::{Error, store};
use std::time::Duration;

/// When a mail is looked at again whose mailbox nobody has authorized.
const NOT_LET_IN: Duration = Duration::from_mins(1);

/// Notes what came of an attempt and tells it.
pub fn finish(cx: &mut Cx<'_>, claimed: &Outbound, outcome: &Outcome) -> Result<(), Error> {
    let mut after = Outbound { claimed_until: None, ..claimed.clone() };
    let mut more = Vec::new();
    let kind = match outcome {
        Outcome::Captured => {
            after.captured = true;
            taken(cx, &mut after, CAPTURED, &[])
        }
        Outcome::Sent { response, refused } => {
            let is_first = !after.recipients.iter().any(|result| result.state == RecipientState::Accepted);
            let kind = taken(cx, &mut after, response, refused);
            if is_first {
                aliases::learn(cx, &after, response)?;
                copies::want(cx, &after)?;
            }
            kind
        }
        Outcome::Deferred { reason, refused } => {
            note_refusals(&mut after, refused);
            defer(cx, &mut after, reason)
        }
        Outcome::Failed { reason, refused } => {
            note_refusals(&mut after, refused);
            settle(&mut after, RecipientState::Refused, reason);
            // What the server said is known: it has not got it.
            after.data_sent_at = None;
            end(cx, &mut after, DeliveryState::Failed, Some(reason));
            EventType::MessageFailed
        }
        Outcome::NotLetIn { reason, refused } => return let_wait(cx, claimed, reason, *refused),
        Outcome::Uncertain { reason, refused } => {
            more = uncertain::lost(cx, &mut after, reason, refused);
            EventType::MessageUncertain
        }
    };
    let written = store::outbox::update(cx.conn, claimed, &after)?.ok_or_else(lost_claim)?;
    tell(cx, kind, &written, &more)
}

/// [`finish`] for a worker that does not know which of these the row is by now: as its claim made it, or as
/// it made it itself when the bytes went.
///
/// A worker that stood still until its claim ran out, with its host, may hear the answer after all. Nobody
/// else knows it: it settles the mail that is uncertain since.
pub fn finish_any(cx: &mut Cx<'_>, rows: &[Outbound], outcome: &Outcome) -> Result<(), Error> {
    let Some(id) = rows.first().map(|row| row.id) else { return Err(lost_claim()) };
    let found = store::outbox::find(cx.conn, id)?.ok_or_else(lost_claim)?;
    // Only its worker writes a row that is being sent, but for the end of its claim: the version says it.
    let is_own = |row: &&Outbound| (row.version, row.state) == (found.version, found.state);
    if let Some(row) = rows.iter().find(is_own) {
        return finish(cx, row, outcome);
    }
    let is_of_attempt =
        rows.iter().any(|row| row.data_sent_at.is_some_and(|at| found.data_sent_at == Some(at)));
    if found.state == DeliveryState::Uncertain
        && is_of_attempt
        && !matches!(outcome, Outcome::Uncertain { .. })
    {
        return finish(cx, &Outbound { finished_at: None, ..found }, outcome);
    }
    Err(lost_claim())
}

/// The mail waits, as it was before the attempt. Nobody is told of it beside what is told of the mailbox.
fn let_wait(cx: &mut Cx<'_>, claimed: &Outbound, reason: &str, refused: bool) -> Result<(), Error> {
    // Queued is due as soon as the mailbox may be let in again, which claims look at: somebody may have had
    // it tried again just now. That nobody has authorized one they don't see.
    let refusals = store::authorizations::refusals(cx.conn, claimed.mailbox_id)?;
    let is_seen = refused || refusals.iter().any(|refusal| refusal.login_end == End::Delivery);
    let after = Outbound {
        state: if is_seen { DeliveryState::Queued } else { DeliveryState::Deferred },
        next_attempt_at: cx.now.plus(NOT_LET_IN),
        waited_seconds: claimed.waited_seconds + i64::try_from(NOT_LET_IN.as_secs()).unwrap_or(0),
        attempts: claimed.attempts - 1,
        claimed_until: None,
        last_error: Some(crate::text::one_line(reason, 500)),
        ..claimed.clone()
    };
    store::outbox::update(cx.conn, claimed, &after)?.map(drop).ok_or_else(lost_claim)
}

/// Some or all of the recipients were accepted, or none and not all for good.
pub(super) fn taken(cx: &Cx<'_>, after: &mut Outbound, response: &str, refused: &[Refusal]) -> EventType {
    let mut results = after.recipients.to_vec();
    let is_refused = |email: &str| refused.iter().any(|refusal| refusal.email == email);
    for result in results.iter_mut().filter(|result| waits(result.state) && !is_refused(&result.email)) {
        result.state = RecipientState::Accepted;
        result.response = Some(crate::text::one_line(response, 500));
    }
    after.recipients = Json::new(results);
    note_refusals(after, refused);
    let waiting = after.recipients.iter().any(|result| waits(result.state));
    let last_refusal = refused.last().map(|refusal| format!("{}: {}", refusal.email, refusal.response));
    after.response = Some(crate::text::one_line(response, 500));
    if waiting {
        return defer(cx, after, last_refusal.as_deref().unwrap_or(response));
    }
    // It may have come back from one while it still went to another.
    let came_back = after.recipients.iter().any(|result| result.state == RecipientState::Bounced);
    let why = last_refusal.or_else(|| after.last_error.clone().filter(|_| came_back));
    let state = if came_back { DeliveryState::Bounced } else { DeliveryState::Sent };
    end(cx, after, state, why.as_deref());
    EventType::MessageSent
}
