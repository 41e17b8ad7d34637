//! What webhooks are told: claimed by one worker alone, tried for three days, and kept with each try.

use super::webhooks::hand_on::again;
use super::{notices, overtaken, webhooks};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{WebhookDeliveryId, WebhookId};
use crate::page::{Page, PageRequest};
use crate::store::webhook_deliveries::{NewWebhookDelivery, WebhookDeliveryFilter};
use crate::time::Timestamp;
use crate::webhook::{DisabledReason, Webhook, payload, secret, secret_place};
use crate::webhook_delivery::{
    ANSWER_CHARS, FAILS_FOR, LONGEST_PAUSE, LONGEST_RETRY_AFTER, Outcome, WebhookAttempt, WebhookDelivery,
    WebhookDeliveryState, pause,
};
use crate::{Error, store};
use std::collections::HashMap;
use std::time::Duration;

/// Deliveries to one webhook at the same time.
pub const AT_ONCE: usize = 2;
/// How long a worker has a delivery to itself: longer than any try lasts.
const CLAIM: Duration = Duration::from_mins(3);

/// A delivery with its tries, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDeliveryCard {
    /// The delivery.
    pub delivery: WebhookDelivery,
    /// The last of its tries.
    pub attempts: Vec<WebhookAttempt>,
}

/// What a webhook was told, newest first.
pub fn list(
    cx: &mut Cx<'_>,
    id: WebhookId,
    filter: &WebhookDeliveryFilter,
    page: PageRequest,
) -> Result<Page<WebhookDeliveryCard>, Error> {
    webhooks::manageable(cx, id)?;
    let found = store::webhook_deliveries::list(cx.conn, id, filter, page)?;
    let ids: Vec<WebhookDeliveryId> = found.items.iter().map(|row| row.id.clone()).collect();
    let mut attempts = store::webhook_deliveries::attempts(cx.conn, &ids)?;
    Ok(found.map(|delivery| WebhookDeliveryCard {
        attempts: attempts.remove(&delivery.id).unwrap_or_default(),
        delivery,
    }))
}

/// One delivery of a webhook.
pub fn find(
    cx: &mut Cx<'_>,
    webhook: WebhookId,
    id: &WebhookDeliveryId,
) -> Result<WebhookDeliveryCard, Error> {
    webhooks::manageable(cx, webhook)?;
    let found = store::webhook_deliveries::find(cx.conn, id)?;
    let delivery =
        found.filter(|row| row.webhook_id == webhook).ok_or(Error::NotFound("delivery of this webhook"))?;
    let mut attempts = store::webhook_deliveries::attempts(cx.conn, std::slice::from_ref(id))?;
    Ok(WebhookDeliveryCard { attempts: attempts.remove(id).unwrap_or_default(), delivery })
}

/// Has a webhook sent a ping, even where it is turned off. It is tried once.
pub fn ping(cx: &mut Cx<'_>, id: WebhookId) -> Result<WebhookDeliveryCard, Error> {
    webhooks::manageable(cx, id)?;
    let new = NewWebhookDelivery::of(id, None, payload::PING, payload::ping(cx.now), cx.now);
    store::webhook_deliveries::insert(cx.conn, std::slice::from_ref(&new))?;
    cx.wake();
    find(cx, id, &new.id)
}

/// Has a delivery tried once more at once, whatever became of it: the same bytes under the same id.
pub fn redeliver(
    cx: &mut Cx<'_>,
    webhook: WebhookId,
    id: &WebhookDeliveryId,
) -> Result<WebhookDeliveryCard, Error> {
    let known = find(cx, webhook, id)?;
    let is_enabled = webhooks::manageable(cx, webhook)?.is_enabled();
    if !is_enabled && known.delivery.seq.is_some() {
        return Err(Error::StateConflict("the webhook is turned off; turn it on first".to_owned()));
    }
    again(cx, &known.delivery)?;
    cx.wake();
    find(cx, webhook, id)
}

/// A delivery that is a worker's, with all that it takes to send it.
#[derive(Clone)]
pub struct Claimed {
    /// As it is kept.
    pub delivery: WebhookDelivery,
    /// Where to.
    pub url: String,
    /// When it is sent: `webhook-timestamp`.
    pub sent_at: Timestamp,
    /// `webhook-signature`.
    pub signature: String,
    /// Its receiver had taken nothing for a while when it was claimed.
    pub was_failing: bool,
}

impl std::fmt::Debug for Claimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claimed({})", self.delivery.id)
    }
}

/// Gives due deliveries to a worker that has `free` places, and of each webhook so many under way.
pub fn claim(
    cx: &mut Cx<'_>,
    free: usize,
    under_way: &HashMap<WebhookId, usize>,
) -> Result<Vec<Claimed>, Error> {
    let now = store::leases::now(cx.conn)?;
    for row in store::webhook_deliveries::abandoned(cx.conn, now)? {
        // What came of it nobody knows: it may have arrived, and arrives again under its id.
        store::webhook_deliveries::update(cx.conn, &row, &queued(&row, cx.now))?;
    }
    let mut claimed = Vec::new();
    for webhook in store::webhooks::list(cx.conn)? {
        let busy = under_way.get(&webhook.id).copied().unwrap_or(0);
        let room = AT_ONCE.saturating_sub(busy).min(free - claimed.len());
        if room == 0 {
            continue;
        }
        let due = store::webhook_deliveries::due(cx.conn, webhook.id, webhook.is_enabled(), cx.now, room)?;
        for row in due {
            let taken = WebhookDelivery {
                state: WebhookDeliveryState::Sending,
                claimed_until: Some(now.plus(CLAIM)),
                ..row.clone()
            };
            // `None`: another daemon was first.
            if let Some(taken) = store::webhook_deliveries::update(cx.conn, &row, &taken)? {
                claimed.push(made_out(cx, &webhook, taken)?);
            }
        }
    }
    Ok(claimed)
}

/// Whether there is something to claim: what is due, or what a worker died over.
pub fn is_due(cx: &mut Cx<'_>, under_way: &HashMap<WebhookId, usize>) -> Result<bool, Error> {
    let next = next_due(cx, under_way)?;
    if next.is_some_and(|next| next <= cx.now || next > cx.now.plus(LONGEST_PAUSE)) {
        return Ok(true);
    }
    let now = store::leases::now(cx.conn)?;
    Ok(!store::webhook_deliveries::abandoned(cx.conn, now)?.is_empty())
}

fn made_out(cx: &Cx<'_>, webhook: &Webhook, delivery: WebhookDelivery) -> Result<Claimed, Error> {
    let open = |sealed: &[u8]| {
        cx.keys.open(&secret_place(webhook.id), sealed).map_err(|_| {
            Error::StateConflict("the secret of a webhook can't be opened with this key file".to_owned())
        })
    };
    let mut secrets = vec![open(&webhook.secret)?];
    if let (Some(sealed), Some(until)) = (&webhook.previous_secret, webhook.previous_until)
        && until > cx.now
    {
        secrets.push(open(sealed)?);
    }
    let seconds = cx.now.as_seconds();
    let signature = secret::signatures(&secrets, &delivery.id.0, seconds, &delivery.payload);
    Ok(Claimed {
        url: webhook.url.clone(),
        sent_at: cx.now,
        signature,
        was_failing: webhook.failing_since.is_some(),
        delivery,
    })
}

fn queued(row: &WebhookDelivery, next_at: Timestamp) -> WebhookDelivery {
    WebhookDelivery { state: WebhookDeliveryState::Queued, claimed_until: None, next_at, ..row.clone() }
}

/// When the next delivery is due to a webhook that has a place free; `None`: none waits.
pub fn next_due(cx: &mut Cx<'_>, under_way: &HashMap<WebhookId, usize>) -> Result<Option<Timestamp>, Error> {
    let mut next: Option<Timestamp> = None;
    for webhook in store::webhooks::list(cx.conn)? {
        if under_way.get(&webhook.id).copied().unwrap_or(0) >= AT_ONCE {
            continue;
        }
        let due = store::webhook_deliveries::next_due(cx.conn, webhook.id, webhook.is_enabled())?;
        next = match (next, due) {
            (Some(next), Some(due)) => Some(next.min(due)),
            (next, due) => next.or(due),
        };
    }
    Ok(next)
}

/// Lets go of a delivery that was not sent, or of which nobody waits for an answer any more.
pub fn give_back(cx: &mut Cx<'_>, claimed: &Claimed) -> Result<(), Error> {
    let row = &claimed.delivery;
    store::webhook_deliveries::update(cx.conn, row, &queued(row, cx.now))?;
    Ok(())
}

/// Lets go of every delivery: for a daemon that starts and knows itself alone.
pub fn release_all(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let now = store::leases::now(cx.conn)?;
    Ok(store::webhook_deliveries::expire_claims(cx.conn, now.minus(Duration::from_secs(1)))?)
}

/// Writes down what came of a try. `share`, from 0 to 1, is drawn by lot. `false`: the delivery is another
/// worker's by now, or gone with its webhook, and nothing is written.
pub fn finish(cx: &mut Cx<'_>, claimed: &Claimed, outcome: &Outcome, share: f64) -> Result<bool, Error> {
    let before = &claimed.delivery;
    let Some(webhook) = store::webhooks::find(cx.conn, before.webhook_id)? else { return Ok(false) };
    let is_ping = before.seq.is_none();
    // Between the try before and the beginning of this one.
    let took_others = match (webhook.last_success_at, before.last_attempt_at) {
        (Some(success), Some(attempt)) => success >= attempt && success <= claimed.sent_at,
        _ => false,
    };
    let mut after = WebhookDelivery {
        attempts: before.attempts + 1,
        tries: before.tries + 1,
        passed: before.passed + i32::from(took_others && !outcome.is_success()),
        claimed_until: None,
        last_attempt_at: Some(cx.now),
        ..before.clone()
    };
    let is_gone = outcome.status == Some(410);
    let wait = pause(after.tries, share).filter(|_| !is_gone && !is_ping);
    (after.state, after.finished_at) = match wait {
        _ if outcome.is_success() => (WebhookDeliveryState::Delivered, Some(cx.now)),
        Some(wait) => {
            let asked = outcome.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
            // The receiver came back while this was on its way: it was not there yet to be told that
            // everything is due.
            let is_back = claimed.was_failing
                && after.passed == 0
                && webhook.last_success_at.is_some_and(|success| success > claimed.sent_at);
            after.next_at = cx.now.plus(if is_back { asked } else { wait.max(asked) });
            (WebhookDeliveryState::Queued, None)
        }
        None => (WebhookDeliveryState::Failed, Some(cx.now)),
    };
    let Some(after) = store::webhook_deliveries::update(cx.conn, before, &after)? else { return Ok(false) };
    let attempt = WebhookAttempt {
        delivery_id: after.id.clone(),
        number: after.attempts,
        started_at: claimed.sent_at,
        duration_ms: i64::try_from(outcome.duration.as_millis()).unwrap_or(i64::MAX),
        status: outcome.status.map(i32::from),
        error: outcome.fault().map(|fault| crate::text::one_line(&fault, 500)),
        answer: outcome.answer.as_ref().map(|answer| {
            answer.chars().map(|c| if c == '\0' { '\u{FFFD}' } else { c }).take(ANSWER_CHARS).collect()
        }),
    };
    store::webhook_deliveries::insert_attempt(cx.conn, &attempt)?;
    if outcome.is_success() {
        if store::webhooks::note_success(cx.conn, webhook.id, cx.now)? {
            // It is back: what waited for it need not wait for its turn in hours. What it refused while it took
            // others is not tried oftener for that: its tries would be over in no time.
            store::webhook_deliveries::make_due(cx.conn, webhook.id, cx.now, true)?;
        }
        return Ok(true);
    }
    if !is_ping {
        store::webhooks::note_failure(cx.conn, webhook.id, cx.now)?;
    }
    let fails_for_long = webhook.failing_since.is_some_and(|since| cx.now.since(since) >= FAILS_FOR);
    if is_gone {
        disable(cx, &webhook, DisabledReason::Gone, &attempt)?;
    } else if fails_for_long && !is_ping {
        disable(cx, &webhook, DisabledReason::Failing, &attempt)?;
    }
    Ok(true)
}

fn disable(
    cx: &mut Cx<'_>,
    webhook: &Webhook,
    reason: DisabledReason,
    last: &WebhookAttempt,
) -> Result<(), Error> {
    if !webhook.is_enabled() {
        return Ok(());
    }
    let Some(off) = store::webhooks::disable(cx.conn, webhook, reason, cx.now)? else {
        return Err(overtaken());
    };
    let last_error = last.error.clone().unwrap_or_default();
    let event = NewEvent::new(EventType::WebhookDisabled, About::default())
        .with("webhook_id", off.id.0)
        .with("name", off.name.clone())
        .with("version", off.version)
        .with("reason", reason.as_str())
        .with("last_error", last_error.clone());
    cx.tell(event);
    let why = match reason {
        DisabledReason::Gone => "answered 410: it is gone.",
        _ => "has taken nothing for five days.",
    };
    let (name, id) = (&off.name, off.id);
    let text = format!(
        "The webhook \"{name}\" (number {id}) {why}\n\nThe last try: {last_error}.\n\nIt is told nothing any more. \
         What it has not been told is kept as long as the event log goes back; PATCH /api/v1/webhooks/{id} \
         {{\"enabled\": true}} goes on where it stood.\n"
    );
    notices::mail(cx, None, &format!("A webhook is turned off: {name}"), &text)
}
