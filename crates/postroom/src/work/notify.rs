//! Notifies agents of what happens.

use super::keep_at_it;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::notifications::hand_on;
use std::time::Duration;
use tokio::sync::watch;

/// Looks at the event log at least this often.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "agents can't be notified yet";
    keep_at_it(desk, stopping, LOOK, failing, |desk, stopping| async move { once(&desk, &stopping).await })
        .await;
}

async fn once(desk: &Desk, stopping: &watch::Receiver<bool>) -> Result<Duration, Error> {
    let system = Actor::system();
    while !*stopping.borrow() && desk.read(&system, hand_on::is_behind).await? {
        desk.write(&system, hand_on::hand_on).await?;
    }
    Ok(LOOK)
}
