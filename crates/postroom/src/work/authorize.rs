//! Asks providers about the device codes that people have been given, as often as each provider
//! says, until one agrees or the code runs out.

use super::rest;
use postroom_core::desk::Desk;
use std::time::Duration;
use tokio::sync::watch;

/// Looks for codes at least this often: a command may have begun one.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, mut stopping: watch::Receiver<bool>) {
    let mut changes = desk.changes();
    loop {
        changes.borrow_and_update();
        let pause = match desk.poll_device_codes().await {
            Ok(Some(due)) => {
                let micros = due.0.saturating_sub(desk.now().0).max(0);
                Duration::from_micros(micros.unsigned_abs()).clamp(Duration::from_millis(50), LOOK)
            }
            Ok(None) => LOOK,
            Err(error) => {
                tracing::error!(error = ?error, "device codes can't be asked about");
                LOOK
            }
        };
        if !rest(&mut changes, &mut stopping, pause).await {
            return;
        }
    }
}
