//! Sending: who may send what when, and what came of it. A row of the outbox is a mail whose bytes and
//! Message-ID are final; how it gets on is decided here, and nothing of it is done here.

use super::conversations;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::message::{DeliveryState, Outbound, RecipientState};
use crate::store::types::Json;
use crate::{Error, store};
use serde_json::json;
use std::time::Duration;

mod aliases;
mod by_hand;
mod claim;
mod copies;
mod delays;
mod finish;
mod held_up;
mod queue;
mod slots;
mod uncertain;

pub use by_hand::{cancel, retry};
pub use claim::{claim, data_goes, give_back, give_back_unsure, next_due, recover, recover_all, renew};
pub use copies::{CopyEnd, claim_copies, end_copy, next_copy};
pub use delays::tell_delays;
pub use finish::{finish, finish_any};
pub(super) use held_up::held_up;
pub(super) use queue::queue;
pub use slots::Slots;
pub use uncertain::{Evidence, Look, decide, next_undecided, settle_for_good, undecided};
pub(super) use uncertain::{doubtful, prove};

/// What a sink says of what it takes.
const CAPTURED: &str = "captured by the sink; nothing left";

/// When a mail is tried again after each failure; the last goes on to the end.
const PAUSES: [u64; 6] = [60, 5 * 60, 15 * 60, 60 * 60, 3 * 60 * 60, 6 * 60 * 60];

/// By so much the clocks of two daemons may differ, or one be set back, before a mail that should wait
/// for longer than its pause is taken to be due. A clock that is set back must not stop what leaves.
const CLOCKS: Duration = Duration::from_mins(15);

/// What the next server said of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The address.
    pub email: String,
    /// It need not be tried again.
    pub permanent: bool,
    /// What it said.
    pub response: String,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next server has it, for all recipients but these.
    Sent {
        /// What it said.
        response: String,
        /// Whom it did not take it for.
        refused: Vec<Refusal>,
    },
    /// A sink kept it.
    Captured,
    /// Nothing was taken; the same bytes may be tried again.
    Deferred {
        /// Why.
        reason: String,
        /// Who was refused before it came to that; some of them for good.
        refused: Vec<Refusal>,
    },
    /// It will never be taken.
    Failed {
        /// Why.
        reason: String,
        /// Who was refused, each with its own answer.
        refused: Vec<Refusal>,
    },
    /// The mailbox is not let in, or nobody has authorized it: that is no fault of the mail, and costs
    /// it no attempt.
    NotLetIn {
        /// Why.
        reason: String,
        /// The server has refused the login, now or before; else there is none to try.
        refused: bool,
    },
    /// The connection was lost after the bytes had gone.
    Uncertain {
        /// What is known.
        reason: String,
        /// Who was refused before they went.
        refused: Vec<Refusal>,
    },
}

/// The addresses that a mail still has to reach.
pub fn waiting_recipients(outbound: &Outbound) -> Vec<String> {
    let waiting = outbound.recipients.iter().filter(|result| waits(result.state));
    waiting.map(|result| result.email.clone()).collect()
}

fn waits(state: RecipientState) -> bool {
    matches!(state, RecipientState::Waiting | RecipientState::Deferred)
}

fn lost_claim() -> Error {
    Error::StateConflict("another worker has this mail now".to_owned())
}

/// Writes down who was refused, for now or for good.
fn note_refusals(after: &mut Outbound, refused: &[Refusal]) {
    let mut results = after.recipients.to_vec();
    for result in results.iter_mut().filter(|result| waits(result.state)) {
        if let Some(refusal) = refused.iter().find(|refusal| refusal.email == result.email) {
            let state = if refusal.permanent { RecipientState::Refused } else { RecipientState::Deferred };
            result.state = state;
            result.response = Some(crate::text::one_line(&refusal.response, 500));
        }
    }
    after.recipients = Json::new(results);
}

/// What holds for every recipient who was still waited for.
fn settle(after: &mut Outbound, state: RecipientState, why: &str) {
    let mut results = after.recipients.to_vec();
    for result in results.iter_mut().filter(|result| waits(result.state)) {
        result.state = state;
        result.response = Some(crate::text::one_line(why, 500));
    }
    after.recipients = Json::new(results);
}

fn end(cx: &Cx<'_>, after: &mut Outbound, state: DeliveryState, error: Option<&str>) {
    after.state = state;
    after.last_error = error.map(|why| crate::text::one_line(why, 500));
    after.finished_at = Some(cx.now);
}

/// Tried again later, or given up when its time is over.
fn defer(cx: &Cx<'_>, after: &mut Outbound, why: &str) -> EventType {
    let pause = PAUSES[usize::try_from(after.attempts - 1).unwrap_or(0).min(PAUSES.len() - 1)];
    let next = cx.now.plus(Duration::from_secs(pause));
    let waited = Duration::from_secs(u64::try_from(after.waited_seconds).unwrap_or(0));
    let from = after.tried_from.unwrap_or(after.created_at).plus(waited);
    // What the server said is known: it has not got it.
    after.data_sent_at = None;
    if next > from.plus(cx.settings.send_for) {
        let why = format!("given up after {} attempts: {why}", after.attempts);
        settle(after, RecipientState::Refused, &why);
        end(cx, after, DeliveryState::Failed, Some(&why));
        return EventType::MessageFailed;
    }
    after.state = DeliveryState::Deferred;
    after.next_attempt_at = next;
    after.last_error = Some(crate::text::one_line(why, 500));
    EventType::MessageDeferred
}

/// Tells how a mail stands, with what else there is to say of it.
fn tell(
    cx: &mut Cx<'_>,
    kind: EventType,
    outbound: &Outbound,
    more: &[(&str, serde_json::Value)],
) -> Result<(), Error> {
    let Some(message_id) = outbound.message_id else {
        let why = outbound.last_error.as_deref().unwrap_or_default();
        match outbound.state {
            DeliveryState::Failed | DeliveryState::Uncertain => {
                tracing::error!(outbox = %outbound.id, why, "a notice to the administrators or an agent may not arrive");
            }
            state => {
                tracing::info!(outbox = %outbound.id, %state, why, "a notice to the administrators or an agent");
            }
        }
        return Ok(());
    };
    let message = store::messages::find(cx.conn, message_id)?.ok_or(Error::NotFound("message"))?;
    let found = store::conversations::find_many(cx.conn, &[message.conversation_id])?;
    let conversation = found.get(&message.conversation_id).ok_or(Error::NotFound("conversation"))?;
    let about = About { message_id: Some(message.id), ..conversations::about(conversation) };
    let mut event = NewEvent::new(kind, about)
        .with("state", outbound.state.as_str())
        .with("attempts", outbound.attempts)
        .with("captured", outbound.captured)
        .with("may_be_double", outbound.may_be_double)
        .with("error", outbound.last_error.clone());
    let refused = outbound.recipients.iter().filter(|result| result.state == RecipientState::Refused);
    let refused: Vec<_> =
        refused.map(|result| json!({"email": result.email, "response": result.response})).collect();
    if !refused.is_empty() {
        event =
            event.with("assignee_id", conversation.assignee_id.map(|agent| agent.0)).with("refused", refused);
    }
    for (name, value) in more {
        event = event.with(name, value.clone());
    }
    cx.tell(event);
    Ok(())
}
