//! Keeps house: uploads nobody attached, events that are no longer served, keys of requests that
//! nobody sends again, blobs that are too large for the database.

use super::rest;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::{attachments, events, idempotency, intake};
use std::time::Duration;
use tokio::sync::watch;

/// How often.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, mut stopping: watch::Receiver<bool>) {
    // Nothing here hurries: changes at the desk don't wake it.
    let (_never, mut changes) = watch::channel(0);
    loop {
        if let Err(error) = once(&desk).await {
            tracing::error!(error = ?error, "keeping house failed");
        }
        if !rest(&mut changes, &mut stopping, EVERY).await {
            return;
        }
    }
}

async fn once(desk: &Desk) -> Result<(), postroom_core::Error> {
    let system = Actor::system();
    let uploads = desk.write(&system, attachments::expire).await?;
    desk.write(&system, events::expire).await?;
    desk.write(&system, idempotency::expire).await?;
    desk.write(&system, intake::expire).await?;
    let moved = desk.move_large_blobs().await?;
    if uploads > 0 || moved > 0 {
        tracing::info!(uploads, moved, "kept house");
    }
    Ok(())
}
