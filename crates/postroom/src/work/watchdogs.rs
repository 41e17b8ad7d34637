//! Has watchdogs look, and tells what they see.

use super::{keep_at_it, until};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::watchdogs;
use std::time::Duration;
use tokio::sync::watch;

/// They look at least this often: what nobody does is no change at the desk.
const LOOK: Duration = Duration::from_secs(10);
/// They look no more often than this, however much happens at the desk.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "watchdogs can't look";
    keep_at_it(desk, stopping, LOOK, failing, |desk, stopping| async move { once(&desk, stopping).await })
        .await;
}

async fn once(desk: &Desk, mut stopping: watch::Receiver<bool>) -> Result<Duration, Error> {
    let system = Actor::system();
    for turn in desk.read(&system, watchdogs::look).await? {
        desk.write(&system, move |cx| watchdogs::turn(cx, &turn)).await?;
    }
    let next = desk.read(&system, watchdogs::next_step).await?;
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => {}
        () = super::ended(&mut stopping) => {}
    }
    Ok(until(desk, next, Duration::from_millis(20), LOOK))
}
