//! Large files in a folder of this machine. A file is whole and safe on the disk before its name is
//! there, and what the disk says about that is told apart: full, or not to be trusted any more.

use postroom_core::ports::{KeepError, PortError};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder.
pub struct Folder {
    root: PathBuf,
}

/// What was being done when the disk refused.
enum Step {
    /// It only took bytes and names.
    Write,
    /// It was to say that they are safe.
    Sync,
}

impl Folder {
    /// A folder that is there.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Keeps bytes under a path of ours (`ab/abcd…`).
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<(), KeepError> {
        let path = self.root.join(path);
        // Two that keep the same bytes at once must not write into one draft.
        let draft = path.with_extension(format!("draft-{:016x}", rand::random::<u64>()));
        self.write(&draft, &path, bytes).map_err(|(step, error)| {
            // It is no use to anybody. Where it can't be removed the house-keeper will.
            drop(std::fs::remove_file(&draft));
            refused(&step, PortError::because(format!("keeping {}", path.display()), error))
        })
    }

    fn write(&self, draft: &Path, path: &Path, bytes: &[u8]) -> Result<(), (Step, io::Error)> {
        let written = |error| (Step::Write, error);
        let synced = |error| (Step::Sync, error);
        let folder = path.parent().unwrap_or(&self.root);
        let file = match draft_file(draft) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(written)?;
                File::open(&self.root).map_err(written)?.sync_all().map_err(synced)?;
                draft_file(draft).map_err(written)?
            }
            opened => opened.map_err(written)?,
        };
        file.write_all_at(bytes, 0).map_err(written)?;
        file.sync_data().map_err(synced)?;
        drop(file);
        std::fs::rename(draft, path).map_err(written)?;
        File::open(folder).map_err(written)?.sync_all().map_err(synced)
    }

    /// The bytes under a path of ours.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, PortError> {
        match std::fs::read(self.root.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PortError::because(format!("reading {path}"), error)),
        }
    }
}

fn draft_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn refused(step: &Step, why: PortError) -> KeepError {
    let kind = why.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    match (step, kind) {
        (Step::Sync, _) => KeepError::Unsynced(why),
        (
            Step::Write,
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem),
        ) => KeepError::Full(why),
        (Step::Write, _) => KeepError::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder() -> Folder {
        let root = std::env::temp_dir().join(format!("pr-folder-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&root).unwrap();
        Folder::new(root)
    }

    #[test]
    fn what_is_kept_is_read_again_and_nobody_else_may() {
        let folder = folder();
        assert!(folder.read("ab/abc").unwrap().is_none());
        folder.put("ab/abc", b"bytes").unwrap();
        // The same again is the same.
        folder.put("ab/abc", b"bytes").unwrap();
        assert_eq!(folder.read("ab/abc").unwrap().unwrap(), b"bytes");
        let names: Vec<_> = std::fs::read_dir(folder.root.join("ab")).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "no draft is left: {names:?}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.root.join("ab")), 0o700);
        assert_eq!(mode(&folder.root.join("ab/abc")), 0o600);
        std::fs::remove_dir_all(&folder.root).unwrap();
    }

    #[test]
    fn a_disk_that_is_full_is_told_from_one_that_is_broken() {
        let why = |kind: ErrorKind| PortError::because("keeping", io::Error::from(kind));
        assert!(matches!(refused(&Step::Write, why(ErrorKind::StorageFull)), KeepError::Full(_)));
        assert!(matches!(refused(&Step::Write, why(ErrorKind::PermissionDenied)), KeepError::Failed(_)));
        // An fsync that finds no room has lost bytes as well.
        assert!(matches!(refused(&Step::Sync, why(ErrorKind::StorageFull)), KeepError::Unsynced(_)));
        let other = PortError::because("keeping", io::Error::from_raw_os_error(5));
        assert!(matches!(refused(&Step::Sync, other), KeepError::Unsynced(_)));
    }
}
