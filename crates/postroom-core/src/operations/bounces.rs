//! What came back is tied to what left: the mail's own row says who did not get it and why, and whoever
//! takes care of the conversation is told.

use super::overtaken;
use crate::cx::Cx;
use crate::mail::FailedRecipient;
use crate::message::{DeliveryState, Message, Outbound, RecipientResult, RecipientState};
use crate::store::types::Json;
use crate::text::{fold_address, one_line};
use crate::{Error, store};

/// Notes on a mail that left here whom it never reached. `false`: nothing that was not known before, or it
/// left by another program.
pub(super) fn note(cx: &mut Cx<'_>, message: &Message, failed: &[FailedRecipient]) -> Result<bool, Error> {
    let Some(before) = store::outbox::of_messages(cx.conn, &[message.id])?.remove(&message.id) else {
        return Ok(false);
    };
    // Whoever hands it over just now writes the whole row when it is done, guarded by what it was: a change
    // would cost what came of the attempt. The event tells all the same.
    if before.state == DeliveryState::Sending {
        return Ok(false);
    }
    let mut after = before.clone();
    let mut results = before.recipients.to_vec();
    let alone = results.len() == 1;
    for recipient in failed.iter().filter(|recipient| recipient.permanent) {
        // A server that passed it on may name somebody we never wrote to.
        let Some(result) = results.iter_mut().find(|result| alone || is_named(result, recipient)) else {
            continue;
        };
        if matches!(result.state, RecipientState::Refused | RecipientState::Bounced) {
            continue;
        }
        result.state = RecipientState::Bounced;
        result.response = Some(why(recipient));
        after.last_error = Some(format!("{}: {}", result.email, why(recipient)));
    }
    after.recipients = Json::new(results);
    if after.recipients == before.recipients {
        return Ok(false);
    }
    settle(cx, &mut after);
    store::outbox::update(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    Ok(true)
}

/// What is on its way to others goes on; the rest is settled: somebody did not get it.
fn settle(cx: &Cx<'_>, after: &mut Outbound) {
    let waits = |state| matches!(state, RecipientState::Waiting | RecipientState::Deferred);
    let is_under_way = matches!(after.state, DeliveryState::Queued | DeliveryState::Deferred)
        && after.recipients.iter().any(|result| waits(result.state));
    if !is_under_way {
        after.state = DeliveryState::Bounced;
        after.finished_at = after.finished_at.or(Some(cx.now));
    }
}

fn is_named(result: &RecipientResult, recipient: &FailedRecipient) -> bool {
    let email = fold_address(&result.email);
    email == fold_address(recipient.addressed()) || email == fold_address(&recipient.email)
}

fn why(recipient: &FailedRecipient) -> String {
    let told = format!("{} {}", recipient.status, recipient.diagnostic);
    let told = one_line(told.trim(), 500);
    if told.is_empty() { "the receiving server gave it up and did not say why".to_owned() } else { told }
}
