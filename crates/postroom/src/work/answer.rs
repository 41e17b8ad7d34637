//! Decides about mails that may get an automatic answer, soon after they came in.

use super::keep_at_it;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::auto_replies::answer;
use std::time::Duration;
use tokio::sync::watch;

/// Mails that are looked up at once.
const BATCH: i64 = 100;
/// Looks for such mails at least this often.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "automatic answers can't be written yet";
    let once = |desk: Desk, stopping| async move { once(&desk, &stopping).await };
    keep_at_it(desk, stopping, LOOK, failing, once).await;
}

/// Decides about all there are. What fails stays for the next time, and must not keep the others.
async fn once(desk: &Desk, stopping: &watch::Receiver<bool>) -> Result<Duration, Error> {
    let mut failed = None;
    loop {
        let wanted = desk.read(&Actor::system(), |cx| answer::wanted(cx, BATCH)).await?;
        let count = wanted.len() as i64;
        for id in wanted {
            if *stopping.borrow() {
                return Ok(LOOK);
            }
            if let Err(error) = desk.answer(id).await {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if count < BATCH {
            return Ok(LOOK);
        }
    }
}
