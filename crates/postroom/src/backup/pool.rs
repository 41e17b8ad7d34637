//! The large files beside the backups: what each must be, and whether it is. All backups share them, so
//! one that went bad is replaced in all of them at once.
//!
//! Here they are named by the hash of what they hold, whatever name the desk's object store has them
//! under: a restored desk gives new names, and what it holds need not be copied again for that.

use super::{digest, object_path, write_file};
use crate::key_file;
use anyhow::{Context, ensure};
use postroom_core::blobs::unpack;
use postroom_core::keys::sha256_hex;
use postroom_core::ports::KeepBlob;
use postroom_core::store::blobs::Blob;
use postroom_core::time::Timestamp;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A large file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name: the hash of the mail in it, which is compressed there.
    pub hash: String,
    /// The SHA-256 of the file itself, when it was known to be whole.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

impl Object {
    fn of(hash: &str, stored: &[u8]) -> Self {
        Self { hash: hash.to_owned(), sha256: sha256_hex(stored), bytes: stored.len() as u64 }
    }

    /// A line of a backup's list.
    pub(super) fn line(&self) -> String {
        format!("{} {} {}\n", self.hash, self.sha256, self.bytes)
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let is_hash = |text: &&str| {
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut parts = line.split(' ');
        let (hash, sha256) = (parts.next().filter(is_hash)?, parts.next().filter(is_hash)?);
        let bytes = parts.next()?.parse().ok()?;
        parts.next().is_none().then(|| Self { hash: hash.to_owned(), sha256: sha256.to_owned(), bytes })
    }

    /// Fails unless its file is what was written.
    pub(super) fn check(&self, pool: &Path) -> anyhow::Result<()> {
        let path = object_path(pool, &self.hash);
        self.require(&path, &digest(&path)?)
    }

    /// What is in its file, if that is what was written.
    pub(super) fn read(&self, pool: &Path) -> anyhow::Result<Vec<u8>> {
        let path = object_path(pool, &self.hash);
        let stored = std::fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?;
        self.require(&path, &(sha256_hex(&stored), stored.len() as u64))?;
        Ok(stored)
    }

    fn require(&self, path: &Path, (sha256, bytes): &(String, u64)) -> anyhow::Result<()> {
        ensure!(
            (&self.sha256, &self.bytes) == (sha256, bytes),
            "the backup is damaged: {} is not what was written",
            path.display()
        );
        Ok(())
    }
}

/// Which files from earlier backups are read again; of the others only the length is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reread {
    All,
    /// A seventh of them, each day another. The day of the week changes with the week, so that every
    /// file has its turn where backups are taken weekly as well.
    Share {
        /// From 0 to 6.
        turn: i64,
    },
}

impl Reread {
    /// The share of a day.
    pub(super) fn at(now: Timestamp) -> Self {
        let day = now.as_seconds().div_euclid(24 * 60 * 60);
        Self::Share { turn: (day + day.div_euclid(7)).rem_euclid(7) }
    }

    fn is_due(self, hash: &str) -> bool {
        match self {
            Self::All => true,
            Self::Share { turn } => {
                let start = hash.get(..8).and_then(|start| i64::from_str_radix(start, 16).ok());
                start.is_none_or(|start| start % 7 == turn)
            }
        }
    }
}

/// The folder of large files, while a backup fills it.
pub(super) struct Pool {
    pub folder: PathBuf,
    pub keeper: Arc<dyn KeepBlob>,
    /// What the newest backup says of its files.
    pub noted: HashMap<String, Object>,
    pub reread: Reread,
    /// Those that were found whole or copied.
    pub whole: HashMap<String, Object>,
    pub copied: usize,
    /// Of those, so many as were there and were not what they should be.
    pub replaced: usize,
}

impl Pool {
    /// Sees to it that files are there and whole. Returns them, and what is wrong with others. What
    /// waits to be collected may be gone: nothing names it, and nobody will ask for it.
    pub(super) fn fill(
        &mut self,
        named: &[Blob],
        progress: &mut dyn FnMut(usize),
    ) -> anyhow::Result<(Vec<Object>, Vec<String>)> {
        let (mut objects, mut faults) = (Vec::with_capacity(named.len()), Vec::new());
        for blob in named {
            let found = match self.whole.get(&blob.hash) {
                Some(object) => Ok(object.clone()),
                None => self.one(blob)?,
            };
            match found {
                Ok(object) => objects.push(object),
                Err(_) if blob.unused_since.is_some() => {}
                Err(fault) => faults.push(fault),
            }
            progress(self.whole.len());
        }
        Ok((objects, faults))
    }

    /// One that was not looked at yet; or what is wrong with it.
    fn one(&mut self, blob: &Blob) -> anyhow::Result<Result<Object, String>> {
        let path = object_path(&self.folder, &blob.hash);
        let is_there = path.try_exists().with_context(|| format!("{} can't be read", path.display()))?;
        let object = if is_there && let Some(object) = self.here(blob, &path) {
            object
        } else {
            let stored = match blob.object_name() {
                Some(name) => self.keeper.get(&name)?,
                None => None,
            };
            let Some(stored) = stored else {
                return Ok(Err(format!("blob {} is missing", blob.hash)));
            };
            if let Err(error) = unpack(blob, stored.clone()) {
                return Ok(Err(crate::commands::sentence(&error)));
            }
            key_file::make_data_dir(path.parent().unwrap_or(&self.folder))?;
            write_file(&path, &stored)?;
            self.copied += 1;
            self.replaced += usize::from(is_there);
            Object::of(&blob.hash, &stored)
        };
        self.whole.insert(blob.hash.clone(), object.clone());
        Ok(Ok(object))
    }

    /// What is there already, as far as it can be trusted. A file that can't be read can't.
    fn here(&self, blob: &Blob, path: &Path) -> Option<Object> {
        let Some(noted) = self.noted.get(&blob.hash) else {
            // A backup that did not end left it: nobody has said what it must be.
            let stored = std::fs::read(path).ok()?;
            let object = Object::of(&blob.hash, &stored);
            return unpack(blob, stored).is_ok().then_some(object);
        };
        let is_so_long = path.metadata().is_ok_and(|found| found.len() == noted.bytes);
        let is_whole = is_so_long
            && (!self.reread.is_due(&blob.hash)
                || digest(path).is_ok_and(|(sha256, _)| sha256 == noted.sha256));
        is_whole.then(|| noted.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_turn_by_day_and_by_week() {
        let hash = |start: i64| format!("{start:08x}{}", "0".repeat(56));
        let turns = |every: i64, count: i64| -> Vec<i64> {
            let due = |at: i64| {
                let reread = Reread::at(Timestamp::from_seconds(at * every * 86_400));
                let due: Vec<i64> = (0..7).filter(|start| reread.is_due(&hash(*start))).collect();
                assert_eq!(due.len(), 1, "a seventh");
                due[0]
            };
            let mut all: Vec<i64> = (20_000..20_000 + count).map(due).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let all: Vec<i64> = (0..7).collect();
        assert_eq!(turns(1, 14), all, "nightly: within two weeks");
        assert_eq!(turns(7, 7), all, "weekly: within seven");
        assert!((0..7).all(|start| Reread::All.is_due(&hash(start))));
    }

    #[test]
    fn a_line_is_read_as_it_was_written_and_no_other() {
        let object = Object::of(&"ab".repeat(32), b"stored");
        let line = object.line();
        assert_eq!(Object::parse(line.trim_end()), Some(object));
        let name = "ab".repeat(32);
        for odd in [
            String::new(),
            name.clone(),
            format!("{name} {name}"),
            format!("{name} {name} x"),
            format!("{name} {name} 1 2"),
            format!("../{} {name} 1", &name[3..]),
        ] {
            assert_eq!(Object::parse(&odd), None, "{odd}");
        }
    }
}
