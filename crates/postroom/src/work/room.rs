//! Makes it known that there is no room to write, and that there is again. What is held back meanwhile
//! looks for itself: polls, writes of the API, imports.

use super::rest;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::room;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often it is looked; a poll that was held back begins within two seconds of its own look.
const LOOK: Duration = Duration::from_secs(5);

/// There is room again when there was some for so long: a write that fails makes it known at once, and
/// where others fill a disk to its end every try looks like room for a moment.
const CALM: Duration = Duration::from_secs(20);

/// Runs until the daemon stops. A daemon that starts where there is no room tells it again.
pub async fn run(desk: Desk, mut stopping: watch::Receiver<bool>) {
    let (_never, mut changes) = watch::channel(0);
    let mut short_at: Option<Instant> = None;
    let (mut shortage, mut told) = (None, None);
    loop {
        if let Some(why) = desk.shortage() {
            short_at = Some(Instant::now());
            if shortage.is_none() {
                tracing::warn!("{why}");
                shortage = Some(why);
            }
        } else if shortage.is_some() && short_at.is_none_or(|last| last.elapsed() >= CALM) {
            tracing::info!("there is room on the disk again; everything goes on");
            shortage = None;
        }
        if shortage != told {
            let host = host();
            let tell = move |cx: &mut postroom_core::cx::Cx<'_>| room::tell(cx, shortage, &host);
            match desk.write(&Actor::system(), tell).await {
                Ok(()) => told = shortage,
                // On a disk that is full to its end not even this can be written: later, then.
                Err(error) => tracing::debug!(error = ?error, "that there is no room can't be told yet"),
            }
        }
        if !rest(&mut changes, &mut stopping, LOOK).await {
            return;
        }
    }
}

/// Which of several daemons it is whose disk is full.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
