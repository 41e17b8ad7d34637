//! What a person decides about a mail that has not arrived: try it again, or leave it.

use super::{CAPTURED, settle, tell, waits};
use crate::access::Scope;
use crate::cx::Cx;
use crate::event::EventType;
use crate::id::MessageId;
use crate::message::{DeliveryState, Outbound, RecipientState};
use crate::operations::messages::find_visible;
use crate::operations::{conversations, overtaken};
use crate::store::types::Json;
use crate::{Error, store};
use serde_json::json;

/// A message's mail, for somebody who may answer in its conversation.
fn changeable(cx: &mut Cx<'_>, id: MessageId) -> Result<Outbound, Error> {
    cx.access().require(Scope::MessagesSend)?;
    let card = find_visible(cx, id)?;
    conversations::changeable(cx, card.message.conversation_id)?;
    card.delivery.ok_or_else(|| Error::StateConflict("this message does not leave by mail".to_owned()))
}

/// Has a mail tried now that failed, came back, waits after a failure, stays uncertain or was only captured:
/// the same bytes, to those who have not got it. Of an uncertain one it may be the second that arrives, and
/// it is marked so.
pub fn retry(cx: &mut Cx<'_>, id: MessageId) -> Result<Outbound, Error> {
    let before = changeable(cx, id)?;
    match before.state {
        DeliveryState::Failed | DeliveryState::Deferred | DeliveryState::Bounced | DeliveryState::Sent => {}
        DeliveryState::Uncertain if !before.is_looked_for() => {}
        DeliveryState::Uncertain => {
            let until = before.next_attempt_at;
            let why =
                format!("it may have arrived, and until {until} it is looked for what shows that it did");
            return Err(Error::StateConflict(why));
        }
        state => return Err(Error::StateConflict(format!("a message that is {state} is not tried again"))),
    }
    let mut results = before.recipients.to_vec();
    for result in &mut results {
        use RecipientState::{Accepted, Bounced, Deferred, Refused};
        // What a sink took nobody has; others may have had it before.
        let was_captured = result.state == Accepted && result.response.as_deref() == Some(CAPTURED);
        if matches!(result.state, Refused | Deferred | Bounced) || was_captured {
            result.state = RecipientState::Waiting;
        }
    }
    if !results.iter().any(|result| waits(result.state)) {
        return Err(Error::StateConflict("it was sent: everybody it goes to has it".to_owned()));
    }
    let after = Outbound {
        state: DeliveryState::Queued,
        captured: false,
        recipients: Json::new(results),
        attempts: 0,
        next_attempt_at: cx.now,
        data_sent_at: None,
        finished_at: None,
        delayed_at: None,
        tried_from: Some(cx.now),
        waited_seconds: 0,
        // One that was cancelled while nobody knew may have arrived all the same.
        may_be_double: before.may_be_double
            || before.state == DeliveryState::Uncertain
            || (before.state == DeliveryState::Failed && before.data_sent_at.is_some()),
        ..before.clone()
    };
    let written = store::outbox::update(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    cx.wake();
    tell(cx, EventType::MessageQueued, &written, &[("again", json!(true))])?;
    Ok(written)
}

/// Gives a mail up that waits or is uncertain. What is being sent just now can't be held back.
pub fn cancel(cx: &mut Cx<'_>, id: MessageId) -> Result<Outbound, Error> {
    let before = changeable(cx, id)?;
    let why = format!("cancelled by {}", cx.actor.name);
    let why = match before.state {
        DeliveryState::Queued | DeliveryState::Deferred if before.may_be_double => {
            format!("{why}; it may have arrived before")
        }
        DeliveryState::Queued | DeliveryState::Deferred => why,
        DeliveryState::Uncertain => format!("{why}; it may have arrived all the same"),
        DeliveryState::Sending => {
            return Err(Error::StateConflict("it is being sent just now; look again in a moment".to_owned()));
        }
        state => return Err(Error::StateConflict(format!("a message that is {state} can't be cancelled"))),
    };
    let mut after = before.clone();
    settle(&mut after, RecipientState::Refused, &why);
    super::end(cx, &mut after, DeliveryState::Failed, Some(&why));
    let written = store::outbox::update(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    tell(cx, EventType::MessageFailed, &written, &[("cancelled", json!(true))])?;
    Ok(written)
}
