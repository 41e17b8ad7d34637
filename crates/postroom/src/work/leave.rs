//! Lets messages leave that were held or scheduled, when their time has come.

use super::{keep_at_it, until};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::messages::leave;
use std::time::Duration;
use tokio::sync::watch;

/// Messages that are looked up at once.
const BATCH: i64 = 50;
/// Looks for due messages at least this often.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "messages whose time has come can't leave yet";
    let once = |desk: Desk, stopping| async move { once(&desk, &stopping).await };
    keep_at_it(desk, stopping, LOOK, failing, once).await;
}

/// Lets leave what is due. Until when nothing is.
async fn once(desk: &Desk, stopping: &watch::Receiver<bool>) -> Result<Duration, Error> {
    let system = Actor::system();
    let mut failed = None;
    loop {
        let due = desk.read(&system, |cx| leave::due(cx, BATCH)).await?;
        let count = due.len() as i64;
        for id in due {
            if *stopping.borrow() {
                return Ok(LOOK);
            }
            // One that fails for a reason of ours stays due, and must not keep the others.
            if let Err(error) = desk.leave(id).await {
                tracing::error!(message = %id, error = ?error, "a message can't leave yet");
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if count < BATCH {
            break;
        }
    }
    let next = desk.read(&system, leave::next_due).await?;
    Ok(until(desk, next, Duration::from_millis(20), LOOK))
}
