//! Mails that went out whole and whose reply was lost (RFC 1047). For a quarter of an hour it is looked
//! for what shows that they arrived; then they are sent once more, with the same bytes under the same
//! Message-ID, or held: as the mailbox is set up.

use super::finish::taken;
use super::{CLOCKS, Refusal, copies, end, lost_claim, note_refusals, tell};
use crate::cx::Cx;
use crate::event::EventType;
use crate::id::MessageId;
use crate::mailbox::OnUncertain;
use crate::message::{DeliveryState, Outbound, RecipientState};
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::{Error, store};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// How long evidence is waited for: a copy in the Sent folder is there at once or within minutes, a
/// bounce of a dead address too.
const EVIDENCE: Duration = Duration::from_mins(15);
/// When a Sent folder that could not be looked at is looked at again.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// After this time it is decided without it.
const BLIND: Duration = Duration::from_hours(1);
/// What somebody can do about a mail that stays uncertain.
const WHAT_TO_DO: &str =
    "ask the recipient, then POST /messages/{id}/retry to send it again or /cancel to leave it";

/// What shows that a mail was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The server's own copy of it.
    SentFolder,
    /// It came back into one of our own mailboxes.
    Echo,
    /// A bounce, a receipt or a complaint names it.
    Report,
    /// Somebody answered it.
    Answer,
}

impl Evidence {
    fn word(self) -> &'static str {
        match self {
            Self::SentFolder => "sent_folder",
            Self::Echo => "echo",
            Self::Report => "report",
            Self::Answer => "answer",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::SentFolder => "the reply was lost, but the mail was taken: a copy lies in the Sent folder",
            Self::Echo => "the reply was lost, but the mail was taken: it came to a mailbox of ours",
            Self::Report => "the reply was lost, but the mail was taken: a report names it",
            Self::Answer => "the reply was lost, but the mail was taken: it was answered",
        }
    }
}

/// What a look into the Sent folder has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It lies there.
    Found,
    /// It does not, or there is no such folder to look into.
    NotFound,
    /// The folder could not be looked at; why.
    Unknown(String),
}

/// An attempt's reply was lost. What is to be told besides.
pub(super) fn lost(
    cx: &Cx<'_>,
    after: &mut Outbound,
    reason: &str,
    refused: &[Refusal],
) -> Vec<(&'static str, Value)> {
    note_refusals(after, refused);
    if after.may_be_double {
        end(cx, after, DeliveryState::Uncertain, Some(reason));
        return vec![("what_to_do", json!(WHAT_TO_DO))];
    }
    let until = cx.now.plus(EVIDENCE);
    after.state = DeliveryState::Uncertain;
    after.next_attempt_at = until;
    after.last_error = Some(crate::text::one_line(reason, 500));
    vec![("uncertain_until", json!(until))]
}

/// The messages that evidence would settle.
pub(in crate::operations) fn doubtful(cx: &mut Cx<'_>) -> Result<HashSet<MessageId>, Error> {
    Ok(store::outbox::doubtful(cx.conn)?.into_iter().collect())
}

/// Something shows that a message was taken, however long it took to. One that is being sent just now is
/// left to whoever sends it.
pub(in crate::operations) fn prove(
    cx: &mut Cx<'_>,
    message: MessageId,
    evidence: Evidence,
) -> Result<(), Error> {
    let Some(before) = store::outbox::of_messages(cx.conn, &[message])?.remove(&message) else {
        return Ok(());
    };
    let is_in_doubt = match before.state {
        DeliveryState::Uncertain => true,
        DeliveryState::Queued | DeliveryState::Deferred => before.may_be_double,
        _ => was_cancelled_in_doubt(&before),
    };
    if is_in_doubt && is_of_lost_attempt(&before) {
        // A retry that was claimed meanwhile has its own end.
        settle_as_sent(cx, &before, evidence)?;
    }
    Ok(())
}

/// Whether somebody gave it up while nobody knew whether it had arrived: of all that failed, its bytes alone
/// may be there.
fn was_cancelled_in_doubt(mail: &Outbound) -> bool {
    mail.state == DeliveryState::Failed && mail.data_sent_at.is_some()
}

/// Whether what shows that the mail was taken can only mean the attempt whose reply was lost. Where some had
/// it before, or a person had it tried again, it may come from the earlier one, and those who are still
/// waited for would never get it.
fn is_of_lost_attempt(mail: &Outbound) -> bool {
    let had_it = |state| matches!(state, RecipientState::Accepted | RecipientState::Bounced);
    mail.tried_from.is_none() && !mail.recipients.iter().any(|result| had_it(result.state))
}

fn settle_as_sent(cx: &mut Cx<'_>, before: &Outbound, evidence: Evidence) -> Result<bool, Error> {
    let mut after = before.clone();
    after.finished_at = None;
    if was_cancelled_in_doubt(before) {
        let mut results = after.recipients.to_vec();
        // Those whom the server itself refused have its own words.
        for result in results.iter_mut().filter(|result| result.response == before.last_error) {
            result.state = RecipientState::Waiting;
        }
        after.recipients = Json::new(results);
    }
    let refused: Vec<Refusal> = after
        .recipients
        .iter()
        .filter(|result| result.state == RecipientState::Deferred)
        .map(|result| Refusal {
            email: result.email.clone(),
            permanent: false,
            response: result.response.clone().unwrap_or_default(),
        })
        .collect();
    let kind = taken(cx, &mut after, evidence.sentence(), &refused);
    if evidence != Evidence::SentFolder {
        copies::want(cx, &after)?;
    }
    let Some(written) = store::outbox::update(cx.conn, before, &after)? else { return Ok(false) };
    tell(cx, kind, &written, &[("evidence", json!(evidence.word()))])?;
    Ok(true)
}

/// Uncertain mails whose time is up: the Sent folder is looked into, then [`decide`].
pub fn undecided(cx: &mut Cx<'_>, limit: i64) -> Result<Vec<Outbound>, Error> {
    let latest = cx.now.plus(EVIDENCE).plus(CLOCKS);
    Ok(store::outbox::undecided(cx.conn, cx.now, latest, limit)?)
}

/// When the next uncertain mail's time is up.
pub fn next_undecided(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    Ok(store::outbox::next_undecided(cx.conn)?)
}

/// Decides an uncertain mail, as it was read, by what a last look has shown. Where somebody was faster
/// nothing happens.
pub fn decide(cx: &mut Cx<'_>, before: &Outbound, look: &Look) -> Result<(), Error> {
    if !before.is_looked_for() {
        return Ok(());
    }
    let mailbox = store::mailboxes::find(cx.conn, before.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    let mut after = before.clone();
    match look {
        Look::Found if is_of_lost_attempt(before) => {
            settle_as_sent(cx, before, Evidence::SentFolder)?;
            return Ok(());
        }
        Look::Unknown(_) if before.data_sent_at.is_some_and(|sent| cx.now < sent.plus(BLIND)) => {
            after.next_attempt_at = cx.now.plus(LOOK_AGAIN);
            store::outbox::update(cx.conn, before, &after)?;
            return Ok(());
        }
        Look::Found | Look::NotFound | Look::Unknown(_) => {}
    }
    let (kind, more) = match mailbox.on_uncertain {
        OnUncertain::RetryOnce => {
            after.state = DeliveryState::Queued;
            after.may_be_double = true;
            after.next_attempt_at = cx.now;
            after.data_sent_at = None;
            (EventType::MessageQueued, ("again", json!(true)))
        }
        OnUncertain::Hold => {
            after.finished_at = Some(cx.now);
            (EventType::MessageUncertain, ("what_to_do", json!(WHAT_TO_DO)))
        }
    };
    let Some(written) = store::outbox::update(cx.conn, before, &after)? else { return Ok(()) };
    cx.wake();
    tell(cx, kind, &written, &[more])
}

/// Leaves a mail uncertain until somebody decides: nothing sends it again by itself.
pub fn settle_for_good(cx: &mut Cx<'_>, before: &Outbound, why: &str) -> Result<(), Error> {
    let mut after = Outbound { claimed_until: None, ..before.clone() };
    end(cx, &mut after, DeliveryState::Uncertain, Some(why));
    let written = store::outbox::update(cx.conn, before, &after)?.ok_or_else(lost_claim)?;
    tell(cx, EventType::MessageUncertain, &written, &[("what_to_do", json!(WHAT_TO_DO))])
}
