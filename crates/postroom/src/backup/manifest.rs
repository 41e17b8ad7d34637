//! What a backup says of itself.

use super::{MANIFEST, OBJECT_LIST, Object, digest};
use anyhow::{Context, bail, ensure};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The way backups are laid out that this build writes and reads.
const FORMAT: u32 = 1;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How it is laid out.
    pub format: u32,
    /// The version that made it.
    pub postroom: String,
    /// When. What came after is not in it.
    pub taken_at: Timestamp,
    /// `sqlite` or `postgres`: it can be restored to the same kind alone.
    pub database: String,
    /// The file that holds it.
    pub file: String,
    /// The file's SHA-256.
    pub sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// The migrations that were applied.
    pub migrations: Vec<String>,
    /// Tells which key file belongs to it and gives nothing of the key away.
    pub key_check: String,
    /// Large files that belong to it.
    pub objects: usize,
    /// The SHA-256 of their list, which says what each must be.
    pub objects_sha256: String,
}

impl Manifest {
    /// The format this build writes.
    pub fn current_format() -> u32 {
        FORMAT
    }

    /// Reads the manifest of a dated folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("{} is no whole backup: its {MANIFEST} can't be read", folder.display())
        })?;
        let manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if manifest.format != FORMAT {
            bail!("the backup was made in format {}; this postroom reads {FORMAT}", manifest.format);
        }
        ensure!(!manifest.file.contains('/'), "{} is damaged: its file lies elsewhere", path.display());
        Ok(manifest)
    }

    /// The large files that belong to the backup in a dated folder.
    pub fn objects(&self, folder: &Path) -> anyhow::Result<Vec<Object>> {
        let path = folder.join(OBJECT_LIST);
        ensure!(
            digest(&path)?.0 == self.objects_sha256,
            "the backup is damaged: {} is not what was written",
            path.display()
        );
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        let objects: Option<Vec<Object>> = text.lines().map(Object::parse).collect();
        objects
            .filter(|objects| objects.len() == self.objects)
            .with_context(|| format!("{} is damaged", path.display()))
    }
}
