//! Sending: who may send what when, and what came of it.

use super::conversations;
use crate::blobs;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{MailboxId, MessageId, OutboxId};
use crate::message::{DeliveryState, Outbound, RecipientResult, RecipientState};
use crate::outgoing::Composed;
use crate::store::outbox::NewOutbound;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// How long one worker has a mail to itself. One that takes longer loses it, and finds so before
/// the bytes go ([`data_goes`]); one that had sent them by then leaves it uncertain.
const CLAIM: Duration = Duration::from_secs(30 * 60);

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
    /// The connection was lost after the bytes had gone.
    Uncertain(String),
}

/// A mail that was put into the outbox.
pub(super) struct Queued {
    /// Its row.
    pub(super) id: OutboxId,
    /// Where its bytes are kept.
    pub(super) raw_hash: String,
}

/// Puts a composed mail into the outbox: from here on its bytes are final.
pub(super) fn queue(
    cx: &mut Cx<'_>,
    mailbox_id: MailboxId,
    message_id: Option<MessageId>,
    composed: &Composed,
) -> Result<Queued, Error> {
    let raw = blobs::for_database(&composed.raw)?;
    store::blobs::insert(cx.conn, &[blobs::row(&raw, cx.now)])?;
    let waiting = composed.envelope_to.iter().map(|email| RecipientResult {
        email: email.clone(),
        state: RecipientState::Waiting,
        response: None,
    });
    let queued = NewOutbound {
        message_id,
        mailbox_id,
        state: DeliveryState::Queued,
        raw_hash: &raw.hash,
        envelope_from: &composed.envelope_from,
        recipients: Json::new(waiting.collect()),
        attempts: 0,
        next_attempt_at: cx.now,
        captured: false,
        may_be_double: false,
        copy_attempts: 0,
        version: 1,
        created_at: cx.now,
    };
    let id = store::outbox::insert(cx.conn, &queued)?;
    Ok(Queued { id, raw_hash: raw.hash })
}

/// Takes mails that are due to send them: each is claimed by one worker alone. How long goes by the
/// database's clock, which is one for all daemons.
pub fn claim(cx: &mut Cx<'_>, limit: i64) -> Result<Vec<Outbound>, Error> {
    let until = store::leases::now(cx.conn)?.plus(CLAIM);
    let mut claimed = Vec::new();
    let latest = |pause| cx.now.plus(Duration::from_secs(pause)).plus(CLOCKS);
    let mut longest: Vec<(i32, Timestamp)> =
        (1..).zip(PAUSES).map(|(attempts, pause)| (attempts, latest(pause))).collect();
    if let Some((attempts, _)) = longest.last_mut() {
        *attempts = i32::MAX;
    }
    for before in store::outbox::due(cx.conn, cx.now, &longest, limit)? {
        let after = Outbound {
            state: DeliveryState::Sending,
            attempts: before.attempts + 1,
            claimed_until: Some(until),
            data_sent_at: None,
            ..before.clone()
        };
        claimed.extend(store::outbox::update(cx.conn, &before, &after)?);
    }
    Ok(claimed)
}

/// When the next mail is due, if one waits.
pub fn next_due(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    Ok(store::outbox::next_due(cx.conn)?)
}

/// Notes, before the bytes go, that they go: if the worker dies now, nobody knows whether they
/// arrived. Fails if the claim was lost.
pub fn data_goes(cx: &mut Cx<'_>, claimed: &Outbound) -> Result<Outbound, Error> {
    let after = Outbound { data_sent_at: Some(cx.now), ..claimed.clone() };
    store::outbox::update(cx.conn, claimed, &after)?.ok_or_else(lost_claim)
}

fn lost_claim() -> Error {
    Error::StateConflict("another worker has this mail now".to_owned())
}

/// Notes what came of an attempt and tells it.
pub fn finish(cx: &mut Cx<'_>, claimed: &Outbound, outcome: &Outcome) -> Result<(), Error> {
    let mut after = Outbound { claimed_until: None, ..claimed.clone() };
    let kind = match outcome {
        Outcome::Captured => sent(cx, &mut after, "captured by the sink; nothing left", &[], true),
        Outcome::Sent { response, refused } => sent(cx, &mut after, response, refused, false),
        Outcome::Deferred { reason, refused } => {
            note_refusals(&mut after, refused);
            defer(cx, &mut after, reason)
        }
        Outcome::Failed { reason, refused } => {
            note_refusals(&mut after, refused);
            settle(&mut after, RecipientState::Refused, reason);
            end(cx, &mut after, DeliveryState::Failed, Some(reason));
            EventType::MessageFailed
        }
        Outcome::Uncertain(why) => {
            end(cx, &mut after, DeliveryState::Uncertain, Some(why));
            EventType::MessageUncertain
        }
    };
    let written = store::outbox::update(cx.conn, claimed, &after)?.ok_or_else(lost_claim)?;
    tell(cx, kind, &written)
}

/// [`finish`] for a worker that does not know which of these the row is by now.
pub fn finish_any(cx: &mut Cx<'_>, rows: &[Outbound], outcome: &Outcome) -> Result<(), Error> {
    for row in rows {
        if store::outbox::find(cx.conn, row.id)?.as_ref() == Some(row) {
            return finish(cx, row, outcome);
        }
    }
    Err(lost_claim())
}

/// Some or all of the recipients were accepted, or none and not all for good.
fn sent(cx: &Cx<'_>, after: &mut Outbound, response: &str, refused: &[Refusal], captured: bool) -> EventType {
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
    after.captured = captured;
    after.response = Some(crate::text::one_line(response, 500));
    if waiting {
        return defer(cx, after, last_refusal.as_deref().unwrap_or(response));
    }
    end(cx, after, DeliveryState::Sent, last_refusal.as_deref());
    EventType::MessageSent
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

fn waits(state: RecipientState) -> bool {
    matches!(state, RecipientState::Waiting | RecipientState::Deferred)
}

/// The addresses that a mail still has to reach.
pub fn waiting_recipients(outbound: &Outbound) -> Vec<String> {
    let waiting = outbound.recipients.iter().filter(|result| waits(result.state));
    waiting.map(|result| result.email.clone()).collect()
}

/// Tried again later, or given up when its time is over.
fn defer(cx: &Cx<'_>, after: &mut Outbound, why: &str) -> EventType {
    let pause = PAUSES[usize::try_from(after.attempts - 1).unwrap_or(0).min(PAUSES.len() - 1)];
    let next = cx.now.plus(Duration::from_secs(pause));
    if next > after.created_at.plus(cx.settings.send_for) {
        let why = format!("given up after {} attempts: {why}", after.attempts);
        settle(after, RecipientState::Refused, &why);
        end(cx, after, DeliveryState::Failed, Some(&why));
        return EventType::MessageFailed;
    }
    after.state = DeliveryState::Deferred;
    after.next_attempt_at = next;
    after.data_sent_at = None;
    after.last_error = Some(crate::text::one_line(why, 500));
    EventType::MessageDeferred
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

fn tell(cx: &mut Cx<'_>, kind: EventType, outbound: &Outbound) -> Result<(), Error> {
    let Some(message_id) = outbound.message_id else {
        let why = outbound.last_error.as_deref().unwrap_or_default();
        match outbound.state {
            DeliveryState::Failed | DeliveryState::Uncertain => {
                tracing::error!(outbox = %outbound.id, why, "a notice to the administrators may not arrive");
            }
            state => tracing::info!(outbox = %outbound.id, %state, why, "a notice to the administrators"),
        }
        return Ok(());
    };
    let message = store::messages::find(cx.conn, message_id)?.ok_or(Error::NotFound("message"))?;
    let found = store::conversations::find_many(cx.conn, &[message.conversation_id])?;
    let conversation = found.get(&message.conversation_id).ok_or(Error::NotFound("conversation"))?;
    let about = About { message_id: Some(message.id), ..conversations::about(conversation) };
    let event = NewEvent::new(kind, about)
        .with("state", outbound.state.as_str())
        .with("attempts", outbound.attempts)
        .with("captured", outbound.captured)
        .with("error", outbound.last_error.clone());
    cx.tell(event);
    Ok(())
}

/// Lets go of a mail whose bytes have not gone, so that another daemon need not wait for the claim to
/// run out. The attempt was none.
pub fn give_back(cx: &mut Cx<'_>, claimed: &Outbound) -> Result<(), Error> {
    let queued = Outbound {
        state: DeliveryState::Queued,
        claimed_until: None,
        attempts: claimed.attempts - 1,
        ..claimed.clone()
    };
    store::outbox::update(cx.conn, claimed, &queued)?.map(drop).ok_or_else(lost_claim)
}

/// Gives back what a worker may have claimed when it was not told whether its claim was committed. A row
/// that is not in every part what the claim made of it is not its own, and stays as it is.
pub fn give_back_unsure(cx: &mut Cx<'_>, claimed: &[Outbound]) -> Result<usize, Error> {
    let mut given = 0;
    for mail in claimed {
        if store::outbox::find(cx.conn, mail.id)?.as_ref() == Some(mail) {
            give_back(cx, mail)?;
            given += 1;
        }
    }
    Ok(given)
}

/// Settles mails whose worker died over them: one whose bytes had not gone is tried again, one
/// whose bytes had may have arrived, and is not sent blindly a second time.
pub fn recover(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let now = store::leases::now(cx.conn)?;
    let abandoned = store::outbox::abandoned(cx.conn, now)?;
    for claimed in &abandoned {
        if claimed.data_sent_at.is_some() {
            let why = "the daemon stopped while the mail was going out; it may or may not have arrived";
            finish(cx, claimed, &Outcome::Uncertain(why.to_owned()))?;
        } else {
            let queued = Outbound {
                state: DeliveryState::Queued,
                claimed_until: None,
                next_attempt_at: cx.now,
                ..claimed.clone()
            };
            store::outbox::update(cx.conn, claimed, &queued)?;
        }
    }
    Ok(abandoned.len())
}

/// Lets go of every claim at once: for a daemon that starts and knows itself alone.
pub fn recover_all(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let now = store::leases::now(cx.conn)?;
    store::outbox::expire_claims(cx.conn, now.minus(Duration::from_secs(1)))?;
    recover(cx)
}
