//! Tells webhooks of events: hands on what is new in the event log, and sends what is due. Each delivery is
//! claimed by one worker alone, and what came of it is written down before its conversation's next one goes.

use super::{ended, rest, until};
use crate::receivers::Receivers;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::WebhookId;
use postroom_core::operations::webhook_deliveries::{self, Claimed};
use postroom_core::operations::webhooks::hand_on;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Deliveries that are sent at the same time; one webhook alone has two.
const AT_ONCE: usize = 16;
/// Looks for work at least this often.
const LOOK: Duration = Duration::from_secs(30);
/// What is due is looked for at most this often.
const LEAST: Duration = Duration::from_millis(20);
/// A receiver has so long to answer when the daemon stops. What it did not answer is sent again, under the
/// same id.
const LAST_WORD: Duration = Duration::from_secs(5);
/// How often an outcome is written down before it is left to the claim to run out.
const WRITES: u32 = 5;
/// The pause between that.
const AGAIN: Duration = Duration::from_millis(500);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, receivers: Receivers, mut stopping: watch::Receiver<bool>) {
    let mut changes = desk.changes();
    let mut sending = JoinSet::new();
    let mut under_way = UnderWay::default();
    loop {
        changes.borrow_and_update();
        let pause = match once(&desk, &under_way).await {
            Ok((claimed, more)) => {
                for claimed in claimed {
                    let webhook = claimed.delivery.webhook_id;
                    let task = send(desk.clone(), receivers.clone(), claimed, stopping.clone());
                    under_way.begin(sending.spawn(task).id(), webhook);
                }
                if more { LEAST } else { pause(&desk, &under_way).await }
            }
            Err(error) => {
                tracing::error!(error = ?error, "webhooks can't be looked through");
                LOOK
            }
        };
        tokio::select! {
            Some(done) = sending.join_next_with_id() => {
                under_way.end(done.map_or_else(|panicked| panicked.id(), |(task, ())| task));
            }
            goes_on = rest(&mut changes, &mut stopping, pause) => {
                if !goes_on {
                    break;
                }
            }
        }
    }
    while sending.join_next().await.is_some() {}
}

/// What is being sent, and to whom.
#[derive(Debug, Default)]
struct UnderWay {
    tasks: HashMap<tokio::task::Id, WebhookId>,
    webhooks: HashMap<WebhookId, usize>,
}

impl UnderWay {
    fn begin(&mut self, task: tokio::task::Id, webhook: WebhookId) {
        self.tasks.insert(task, webhook);
        *self.webhooks.entry(webhook).or_default() += 1;
    }

    fn end(&mut self, task: tokio::task::Id) {
        let Some(webhook) = self.tasks.remove(&task) else { return };
        if let Some(count) = self.webhooks.get_mut(&webhook) {
            *count -= 1;
            if *count == 0 {
                self.webhooks.remove(&webhook);
            }
        }
    }

    fn free(&self) -> usize {
        AT_ONCE.saturating_sub(self.tasks.len())
    }
}

/// Hands on what is new and claims what is due. `true`: there is more to hand on.
async fn once(desk: &Desk, under_way: &UnderWay) -> Result<(Vec<Claimed>, bool), Error> {
    let system = Actor::system();
    let mut more = false;
    for id in desk.read(&system, hand_on::behind).await? {
        // One page of each in turn, so that none waits for the backlog of another.
        more |= desk.write(&system, move |cx| hand_on::hand_on(cx, id)).await?;
    }
    let free = under_way.free();
    let busy = under_way.webhooks.clone();
    if free == 0 || !desk.read(&system, move |cx| webhook_deliveries::is_due(cx, &busy)).await? {
        return Ok((Vec::new(), more));
    }
    let busy = under_way.webhooks.clone();
    let claimed = desk.write(&system, move |cx| webhook_deliveries::claim(cx, free, &busy)).await?;
    Ok((claimed, more))
}

/// Until the next delivery is due that there is room for.
async fn pause(desk: &Desk, under_way: &UnderWay) -> Duration {
    if under_way.free() == 0 {
        return LOOK;
    }
    let busy = under_way.webhooks.clone();
    match desk.read(&Actor::system(), move |cx| webhook_deliveries::next_due(cx, &busy)).await {
        Ok(next) => until(desk, next, LEAST, LOOK),
        Err(error) => {
            tracing::error!(error = ?error, "webhooks can't be looked through");
            LOOK
        }
    }
}

/// Sends one delivery, and writes down what came of it.
async fn send(desk: Desk, receivers: Receivers, claimed: Claimed, mut stopping: watch::Receiver<bool>) {
    let (id, webhook) = (claimed.delivery.id.clone(), claimed.delivery.webhook_id);
    let now = desk.now();
    let outcome = tokio::select! {
        outcome = receivers.send(&claimed, now) => outcome,
        () = async { ended(&mut stopping).await; tokio::time::sleep(LAST_WORD).await } => {
            let given = desk.write(&Actor::system(), move |cx| webhook_deliveries::give_back(cx, &claimed)).await;
            if let Err(error) = given {
                tracing::error!(delivery = %id, error = ?error, "a delivery could not be given back");
            }
            return;
        }
    };
    if outcome.is_success() {
        die_at("before-delivered");
    }
    tracing::info!(%webhook, delivery = %id, status = outcome.status, error = outcome.error, "a webhook was called");
    for write in 1..=WRITES {
        let (known, outcome) = (claimed.clone(), outcome.clone());
        let share: f64 = rand::random();
        let written = desk
            .write(&Actor::system(), move |cx| webhook_deliveries::finish(cx, &known, &outcome, share))
            .await;
        match written {
            Ok(true) => return,
            Ok(false) => {
                tracing::warn!(delivery = %id, "what came of a delivery is no longer ours to write down");
                return;
            }
            Err(error) if write == WRITES => {
                tracing::error!(delivery = %id, error = ?error, "what came of a delivery can't be written down");
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

#[cfg(feature = "chaos")]
use crate::chaos::die_at;

/// Does nothing: only builds for tests may end here.
#[cfg(not(feature = "chaos"))]
fn die_at(_: &str) {}
