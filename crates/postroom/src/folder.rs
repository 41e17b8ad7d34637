//! Large files in a folder of this machine. A file is whole and safe on the disk before its name is
//! there, and what the disk says about that is told apart: full, or not to be trusted any more.

use postroom_core::object_name::ObjectName;
use postroom_core::ports::{KeepError, KeptObject, PortError};
use postroom_core::time::Timestamp;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

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

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.group()).join(name.as_str())
    }

    /// Keeps bytes under a name.
    pub fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), KeepError> {
        let path = self.path(name);
        let draft = draft_path(&path, rand::random());
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

    /// The bytes under a name.
    pub fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PortError> {
        let path = self.path(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PortError::because(format!("reading {}", path.display()), error)),
        }
    }

    /// What lies in a group under names of ours, drafts that nobody finished among it.
    pub fn list(&self, group: &str) -> Result<Vec<KeptObject>, PortError> {
        let folder = self.root.join(group);
        let failed = |error| PortError::because(format!("listing {}", folder.display()), error);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            let Some((name, draft)) = file_name.to_str().and_then(ours) else { continue };
            match entry.metadata() {
                Ok(meta) if meta.is_file() && name.group() == group => found.push(KeptObject {
                    name,
                    draft,
                    written_at: written_at(&meta).map_err(failed)?,
                    bytes: meta.len(),
                }),
                Ok(_) => {}
                // It was a draft a moment ago, or another daemon deleted it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(found)
    }

    /// Deletes a file, or a draft of it.
    pub fn delete(&self, name: &ObjectName, draft: Option<u64>) -> Result<(), PortError> {
        let path = self.path(name);
        let path = draft.map_or(path.clone(), |number| draft_path(&path, number));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(PortError::because(format!("deleting {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }
}

/// What stands between the name of a file and the number of a draft of it.
const DRAFT: &str = ".draft-";

fn draft_path(path: &Path, number: u64) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!("{DRAFT}{number:016x}"));
    draft.into()
}

/// The name that a file in the folder has, or the name and the number that its draft has.
fn ours(file: &str) -> Option<(ObjectName, Option<u64>)> {
    match file.split_once(DRAFT) {
        None => Some((ObjectName::parse(file)?, None)),
        Some((name, number)) => {
            let name = ObjectName::parse(name)?;
            let read = u64::from_str_radix(number, 16).ok()?;
            (number == format!("{read:016x}")).then_some((name, Some(read)))
        }
    }
}

fn written_at(meta: &Metadata) -> io::Result<Timestamp> {
    // What is older than 1970 is old enough.
    let since = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
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

    fn name(first: &str) -> ObjectName {
        ObjectName::fresh(&format!("{first}{}", "0".repeat(62)), "0123456789abcdef")
    }

    #[test]
    fn what_is_kept_is_read_again_and_nobody_else_may() {
        let folder = folder();
        let name = name("ab");
        assert!(folder.read(&name).unwrap().is_none());
        folder.put(&name, b"bytes").unwrap();
        assert_eq!(folder.read(&name).unwrap().unwrap(), b"bytes");
        let names: Vec<_> = std::fs::read_dir(folder.root.join("ab")).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "no draft is left: {names:?}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.root.join("ab")), 0o700);
        assert_eq!(mode(&folder.path(&name)), 0o600);
        std::fs::remove_dir_all(&folder.root).unwrap();
    }

    #[test]
    fn what_bears_a_name_of_ours_is_listed_and_deleted_and_nothing_else() {
        let folder = folder();
        let (one, other) = (name("ab"), name("ab"));
        folder.put(&one, b"bytes").unwrap();
        let draft = draft_path(&folder.path(&other), 0xfe);
        std::fs::write(&draft, b"half").unwrap();
        let foreign = [
            format!("ab/{}", one.hash()),
            format!("ab/{}", name("cd")),
            format!("ab/{one}.draft-1"),
            format!("ab/{one}.draft-00000000000000FE"),
            format!("ab/{one}.bak"),
            "ab/notes.txt".to_owned(),
            "notes.txt".to_owned(),
        ];
        for path in &foreign {
            std::fs::write(folder.root.join(path), b"mine").unwrap();
        }
        std::fs::create_dir(folder.path(&name("ab"))).unwrap();
        let mut found = folder.list("ab").unwrap();
        found.sort_by_key(|kept| kept.draft);
        let told: Vec<_> = found.iter().map(|kept| (&kept.name, kept.draft, kept.bytes)).collect();
        assert_eq!(told, [(&one, None, 5), (&other, Some(0xfe), 4)]);
        assert_eq!(folder.list("cd").unwrap(), []);
        for kept in &found {
            folder.delete(&kept.name, kept.draft).unwrap();
            folder.delete(&kept.name, kept.draft).unwrap();
        }
        assert_eq!(folder.list("ab").unwrap(), []);
        assert!(foreign.iter().all(|path| folder.root.join(path).exists()));
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
