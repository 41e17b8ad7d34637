//! One daemon to one SQLite database: a second one refuses at once.

use anyhow::{Context, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held as long as the daemon lives; the system lets go of it however the daemon ends.
#[derive(Debug)]
pub struct DaemonLock(File);

/// A process that was just begun from this one may hold a copy of the file for a moment longer,
/// so closing it is not enough for the next daemon to start at once.
impl Drop for DaemonLock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock could not be let go of; it goes with the process");
        }
    }
}

/// Takes the lock, or says in one sentence that somebody has it.
pub fn take(data_dir: &Path) -> anyhow::Result<DaemonLock> {
    let path = data_dir.join("daemon.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} can't be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DaemonLock(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another postroom daemon is running on {}; two can share a PostgreSQL database, not a folder",
            data_dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} can't be locked", path.display()))
        }
    }
}
