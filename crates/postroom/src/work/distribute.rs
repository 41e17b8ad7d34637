//! Gives teams' conversations out, and takes back those of agents who have gone.

use super::{keep_at_it, until};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::distributions;
use std::time::Duration;
use tokio::sync::watch;

/// Conversations that change hands in one transaction.
const BATCH: usize = 100;
/// Looks for them at least this often.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "conversations can't be given out yet";
    keep_at_it(desk, stopping, LOOK, failing, |desk, stopping| async move { once(&desk, &stopping).await })
        .await;
}

/// Gives out what can be. Until when nothing can.
async fn once(desk: &Desk, stopping: &watch::Receiver<bool>) -> Result<Duration, Error> {
    let system = Actor::system();
    loop {
        let (is_due, next) = desk.read(&system, distributions::look).await?;
        if *stopping.borrow() || !is_due {
            return Ok(until(desk, next, Duration::from_millis(20), LOOK));
        }
        desk.write(&system, |cx| distributions::step(cx, BATCH)).await?;
    }
}
