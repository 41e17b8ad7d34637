//! Maildirs as delivery agents write them and readers leave them.

use crate::leash::Owner;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

static DELIVERED: AtomicU64 = AtomicU64::new(0);

/// A mail as it lies in a Maildir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The file's name without the folder and without flags.
    pub name: String,
    /// Its flags, sorted: `S` seen, `T` to be deleted, `F` flagged, `R` answered.
    pub flags: String,
    /// Still in `new/`: no reader has looked at the folder since it came.
    pub is_new: bool,
    /// The mail.
    pub raw: Vec<u8>,
}

/// Makes a Maildir with its three folders, or does nothing where there is one. The folders belong
/// to `owner`.
///
/// # Panics
/// If it can't be made.
pub fn make(path: &Path, owner: Option<Owner>) {
    if path.join("new").is_dir() {
        return;
    }
    fs::create_dir_all(path).expect("the mail folder can be written to");
    Owner::give(owner, path);
    for part in ["tmp", "cur", "new"] {
        fs::create_dir_all(path.join(part)).expect("the mail folder can be written to");
        Owner::give(owner, &path.join(part));
    }
}

/// Delivers a mail: written in `tmp/`, then renamed into `new/`. Names sort in the order of
/// delivery, so that servers number the mails in that order.
///
/// # Panics
/// If there is no Maildir at `path`.
pub fn deliver(path: &Path, raw: &[u8], owner: Option<Owner>) {
    let number = DELIVERED.fetch_add(1, Ordering::Relaxed);
    // The first part is seconds in a real name; a count from a fixed second keeps the order.
    let name = format!("{}.P{}.test", 1_700_000_000 + number, std::process::id());
    let (draft, place) = (path.join("tmp").join(&name), path.join("new").join(&name));
    fs::write(&draft, raw).expect("the mail folder can be written to");
    Owner::give(owner, &draft);
    fs::rename(draft, place).expect("tmp and new lie side by side");
}

/// All mails of a Maildir, by name.
///
/// # Panics
/// If there is no Maildir at `path`.
pub fn stored(path: &Path) -> Vec<Stored> {
    let mut mails = Vec::new();
    for (part, is_new) in [("new", true), ("cur", false)] {
        for entry in fs::read_dir(path.join(part)).expect("a Maildir has new and cur").flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let (name, flags) = file.split_once(":2,").unwrap_or((&file, ""));
            // Dovecot notes the size in the name.
            let name = name.split(',').next().unwrap_or(name).to_owned();
            // A reader may rename the file between the two calls; then it is not in this list.
            let Ok(raw) = fs::read(entry.path()) else { continue };
            let mut flags: Vec<char> = flags.chars().collect();
            flags.sort_unstable();
            mails.push(Stored { name, flags: flags.into_iter().collect(), is_new, raw });
        }
    }
    mails.sort_by(|one, other| one.name.cmp(&other.name));
    mails
}
