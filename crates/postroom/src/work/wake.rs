//! Opens snoozed conversations when their time has come.

use super::{keep_at_it, until};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::conversations::snooze;
use std::time::Duration;
use tokio::sync::watch;

/// Conversations that wake in one transaction.
const BATCH: i64 = 100;
/// Looks for them at least this often.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "conversations whose time has come can't wake yet";
    keep_at_it(desk, stopping, LOOK, failing, |desk, stopping| async move { once(&desk, &stopping).await })
        .await;
}

/// Wakes what is due. Until when nothing is.
async fn once(desk: &Desk, stopping: &watch::Receiver<bool>) -> Result<Duration, Error> {
    let system = Actor::system();
    loop {
        let next = desk.read(&system, snooze::next_wake).await?;
        if *stopping.borrow() || next.is_none_or(|next| next > desk.now()) {
            return Ok(until(desk, next, Duration::from_millis(20), LOOK));
        }
        desk.write(&system, |cx| snooze::wake(cx, BATCH)).await?;
    }
}
