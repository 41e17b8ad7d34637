//! Who sends a mail: one worker alone, who has it to itself for a while, and what becomes of a mail whose
//! worker died over it.

use super::{CLOCKS, Outcome, PAUSES, Refusal, Slots, finish, lost_claim, note_refusals};
use crate::cx::Cx;
use crate::id::MailboxId;
use crate::mailbox::End;
use crate::message::{DeliveryState, Outbound, RecipientState};
use crate::operations::authorizations::LONGEST_PAUSE;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// From here on a mail that is claimed was late: nobody could try it when it was due.
const LATE: Duration = Duration::from_mins(1);

/// Takes mails that are due to send them, as many as there are slots: each is claimed by one worker alone.
/// How long goes by the database's clock, which is one for all daemons ([`renew`]). Those of a mailbox that
/// is not let in wait.
pub fn claim(cx: &mut Cx<'_>, slots: &Slots) -> Result<Vec<Outbound>, Error> {
    let until = store::leases::now(cx.conn)?.plus(cx.settings.claim_for);
    let mut claimed = Vec::new();
    let latest = |pause| cx.now.plus(Duration::from_secs(pause)).plus(CLOCKS);
    let mut longest: Vec<(i32, Timestamp)> =
        (1..).zip(PAUSES).map(|(attempts, pause)| (attempts, latest(pause))).collect();
    if let Some((attempts, _)) = longest.last_mut() {
        *attempts = i32::MAX;
    }
    let mut slots = slots.clone();
    let left_out = not_let_in(cx)?.into_iter().map(|(id, _)| id).chain(slots.full());
    let left_out: Vec<MailboxId> = left_out.collect();
    for before in store::outbox::due(cx.conn, cx.now, &longest, &left_out, slots.free() as i64)? {
        if !slots.take(before.mailbox_id) {
            continue;
        }
        // What it waited for was no try of it: a mailbox at rest, a login, a daemon that was down.
        let late = cx.now.since(before.next_attempt_at);
        let late = if late > LATE { i64::try_from(late.as_secs()).unwrap_or(0) } else { 0 };
        let after = Outbound {
            state: DeliveryState::Sending,
            attempts: before.attempts + 1,
            // Given back it has not waited since it was due, but since now.
            next_attempt_at: cx.now,
            waited_seconds: before.waited_seconds + late,
            claimed_until: Some(until),
            data_sent_at: None,
            ..before.clone()
        };
        claimed.extend(store::outbox::update(cx.conn, &before, &after)?);
    }
    Ok(claimed)
}

/// The mailboxes whose server has refused the login, each with when that is tried again.
fn not_let_in(cx: &mut Cx<'_>) -> Result<Vec<(MailboxId, Timestamp)>, Error> {
    let latest = cx.now.plus(LONGEST_PAUSE).plus(CLOCKS);
    Ok(store::authorizations::left_alone(cx.conn, End::Delivery, cx.now, latest)?)
}

/// When the next mail is due that [`claim`] would take, if one waits, or a mailbox may be let in again.
pub fn next_due(cx: &mut Cx<'_>, slots: &Slots) -> Result<Option<Timestamp>, Error> {
    let not_let_in = not_let_in(cx)?;
    let next_try = not_let_in.iter().map(|(_, at)| *at).min();
    let left_out: Vec<MailboxId> = not_let_in.into_iter().map(|(id, _)| id).chain(slots.full()).collect();
    let next_due = store::outbox::next_due(cx.conn, &left_out)?;
    Ok([next_try, next_due].into_iter().flatten().min())
}

/// Has a worker keep the mail that it is at: [`Settings::claim_for`](crate::desk::Settings::claim_for) is
/// short, so that the mails of a daemon that died don't wait for long, and a server may take ten minutes to
/// answer. `false`: the claim is lost, and its worker must not send the mail any more.
pub fn renew(cx: &mut Cx<'_>, claimed: &Outbound) -> Result<bool, Error> {
    let until = store::leases::now(cx.conn)?.plus(cx.settings.claim_for);
    Ok(store::outbox::renew_claim(cx.conn, claimed, until)?)
}

/// Notes, before the bytes go, that they go, from whom, and whom the server refused: if the worker dies now,
/// nobody knows whether they arrived at the others. Fails if the claim was lost.
pub fn data_goes(
    cx: &mut Cx<'_>,
    claimed: &Outbound,
    from: &str,
    refused: &[Refusal],
) -> Result<Outbound, Error> {
    let until = store::leases::now(cx.conn)?.plus(cx.settings.claim_for);
    let mut after = Outbound {
        data_sent_at: Some(cx.now),
        claimed_until: Some(until),
        envelope_from: from.to_owned(),
        ..claimed.clone()
    };
    // Who is waited for from now on is who was named to the server; the others are known to lack it.
    let mut results = after.recipients.to_vec();
    for result in results.iter_mut().filter(|result| result.state == RecipientState::Deferred) {
        result.state = RecipientState::Waiting;
    }
    after.recipients = Json::new(results);
    note_refusals(&mut after, refused);
    store::outbox::update(cx.conn, claimed, &after)?.ok_or_else(lost_claim)
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
        if store::outbox::find(cx.conn, mail.id)?.is_some_and(|row| is_same_row(&row, mail)) {
            give_back(cx, mail)?;
            given += 1;
        }
    }
    Ok(given)
}

/// Whether a row is what a claim made of it: no other has the same end. Its copy in the Sent folder has another hand, and does not
/// count.
fn is_same_row(row: &Outbound, known: &Outbound) -> bool {
    let known = Outbound {
        copy_state: row.copy_state,
        copy_attempts: row.copy_attempts,
        copy_next_at: row.copy_next_at,
        copy_error: row.copy_error.clone(),
        ..known.clone()
    };
    *row == known
}

/// Settles mails whose worker died over them: one whose bytes had not gone is tried again, one
/// whose bytes had may have arrived, and is not sent blindly a second time.
pub fn recover(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let now = store::leases::now(cx.conn)?;
    let abandoned = store::outbox::abandoned(cx.conn, now)?;
    let mut settled = 0;
    for claimed in &abandoned {
        if !store::outbox::hold_abandoned(cx.conn, claimed)? {
            continue;
        }
        settled += 1;
        if claimed.data_sent_at.is_some() {
            let reason = "the daemon stopped while the mail was going out; it may or may not have arrived";
            finish(cx, claimed, &Outcome::Uncertain { reason: reason.to_owned(), refused: Vec::new() })?;
        } else {
            let queued = Outbound {
                state: DeliveryState::Queued,
                // Queued it is due whatever its time says, and by that the time is known in which nobody
                // could try it.
                claimed_until: None,
                ..claimed.clone()
            };
            store::outbox::update(cx.conn, claimed, &queued)?;
        }
    }
    Ok(settled)
}

/// Lets go of every claim at once: for a daemon that starts and knows itself alone.
pub fn recover_all(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let now = store::leases::now(cx.conn)?;
    store::outbox::expire_claims(cx.conn, now.minus(Duration::from_secs(1)))?;
    recover(cx)
}
