//! Backups: a folder that holds one dated folder for each backup and, shared by all of them, the
//! large files by their hash. What is there already is not copied again.
//!
//! The key file is never in it: who has a backup alone can open no password.

mod manifest;
mod pool;
mod postgres;
mod restore;
mod take;

pub use manifest::Manifest;
pub use pool::Object;
pub use restore::restore;
pub use take::{forget_old, take};

use anyhow::Context;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The folder of large files, beside the dated ones.
const OBJECTS: &str = "objects";
/// The large files that a backup needs, one a line: name, SHA-256 of the file, length.
const OBJECT_LIST: &str = "objects.txt";
/// Written last: a dated folder without it is no backup.
const MANIFEST: &str = "manifest.json";

/// Where a large file lies in a backup folder.
fn object_path(pool: &Path, hash: &str) -> PathBuf {
    pool.join(hash.get(..2).unwrap_or(hash)).join(hash)
}

/// The hex SHA-256 and the length of a file, read in pieces.
fn digest(path: &Path) -> anyhow::Result<(String, u64)> {
    let context = || format!("{} can't be read", path.display());
    let mut file = File::open(path).with_context(context)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0_u8; 256 * 1024];
    let mut length = 0;
    loop {
        let read = file.read(&mut piece).with_context(context)?;
        if read == 0 {
            return Ok((postroom_core::keys::hex(&hasher.finalize()), length));
        }
        hasher.update(piece.get(..read).unwrap_or_default());
        length += read as u64;
    }
}

/// Writes a file for its owner alone: under another name until it is whole and on the disk.
fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let context = || format!("{} can't be written", path.display());
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .with_context(context)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(context)?;
    std::fs::rename(&draft, path).with_context(context)?;
    sync(path.parent().unwrap_or(path))
}

/// Makes sure that a file or folder is on the disk.
fn sync(path: &Path) -> anyhow::Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .with_context(|| format!("{} can't be brought to the disk", path.display()))
}
