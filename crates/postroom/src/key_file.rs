//! The key file: 32 random bytes, made on the first start, readable by nobody else.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes the data folder if it is not there, for its owner alone.
pub fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the data folder {} can't be made", path.display()))
}

/// Reads the key, or makes one where there is none.
pub fn read_or_make(path: &Path) -> anyhow::Result<[u8; 32]> {
    match std::fs::read_to_string(path) {
        Ok(text) => read(path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(error).with_context(|| format!("the key file {} can't be read", path.display())),
    }
}

fn read(path: &Path, text: &str) -> anyhow::Result<[u8; 32]> {
    let mode = std::fs::metadata(path)
        .with_context(|| format!("the key file {} can't be read", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!("the key file {0} can be read by others; run: chmod 600 {0}", path.display());
    }
    let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.with_context(|| {
        format!("the key file {} is damaged: it must hold 32 bytes in base64", path.display())
    })
}

/// Two that start at once must not make two keys: the file is whole before it has its name, and
/// the first name stays.
fn make(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut key = [0_u8; 32];
    rand::fill(&mut key);
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let context = || format!("the key file {} can't be made", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .with_context(context)?;
    file.write_all(format!("{}\n", STANDARD.encode(key)).as_bytes()).with_context(context)?;
    file.sync_all().with_context(context)?;
    let named = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft).with_context(context)?;
    match named {
        Ok(()) => {
            if let Some(folder) = path.parent() {
                File::open(folder).and_then(|folder| folder.sync_all()).with_context(context)?;
            }
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read_or_make(path),
        Err(error) => Err(error).with_context(context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("postroom-key-{}", std::process::id()));
        make_data_dir(&folder).expect("can be made");
        let path = folder.join("postroom.key");
        let key = read_or_make(&path).expect("is made");
        assert_eq!(read_or_make(&path).expect("is read"), key);
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("is ours");
        let refused = read_or_make(&path).expect_err("others can read it").to_string();
        assert!(refused.contains("chmod 600"), "{refused}");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("is ours");
        std::fs::write(&path, "short").expect("is ours");
        assert!(read_or_make(&path).expect_err("damaged").to_string().contains("damaged"));
        std::fs::remove_dir_all(&folder).expect("is ours");
    }
}
