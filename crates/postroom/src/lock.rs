//! One daemon to one SQLite database and to one data folder: a second one refuses at once. Two files
//! are locked, since two data folders may name one database.

use anyhow::{Context, bail};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// Takes the lock of a data folder, or says in one sentence that somebody has it.
pub fn take(data_dir: &Path) -> anyhow::Result<DaemonLock> {
    lock(&data_dir.join("daemon.lock"), data_dir)
}

/// Takes the lock of a SQLite database, whatever path leads to it. Its folder must be there.
pub fn take_database(database: &Path) -> anyhow::Result<DaemonLock> {
    let whole = canonical(database)
        .with_context(|| format!("the database {} can't be looked for", database.display()))?;
    let mut name = whole.into_os_string();
    name.push(".lock");
    lock(Path::new(&name), database)
}

/// Where a file is, or would be, behind all links.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    loop {
        match fs::canonicalize(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => return outcome,
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
        match fs::read_link(&path) {
            // It leads to a file that is not there yet. A circle of links is told above as an error.
            Ok(target) => path = folder.join(target),
            Err(_) => return Ok(path.file_name().map_or(folder.clone(), |name| folder.join(name))),
        }
    }
}

fn lock(path: &Path, on: &Path) -> anyhow::Result<DaemonLock> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} can't be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DaemonLock(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another postroom daemon is running on {}; two can share a PostgreSQL database, not a folder or \
             a SQLite database",
            on.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} can't be locked", path.display()))
        }
    }
}
