//! Mail from a Maildir that a mail server on this machine delivers to (https://cr.yp.to/proto/maildir.html).
//!
//! Nothing is created, moved or renamed there: others may be reading it too.

use crate::cut::Cut;
use crate::error::SourceError;
use crate::measure::{Measured, measure};
use postroom_core::time::Timestamp;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A Maildir.
#[derive(Debug, Clone)]
pub struct Maildir {
    path: PathBuf,
}

/// A mail in a Maildir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What stays the same while others move the mail from `new` to `cur` or change its flags: the
    /// file's name up to `:`. Bytes that are not UTF-8, control characters and `%` are written as
    /// `%` and two hex digits, so that no two names share a key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When its file was last written: when it arrived.
    pub modified: Timestamp,
    /// When its file was last put here or renamed, which nobody can set.
    pub changed: Timestamp,
    /// The name it had when it was listed, below the Maildir.
    name: Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    folder: &'static str,
    /// From `:` on.
    info: OsString,
}

/// Where delivered mail is, in the order in which it is looked through: a mail goes from the first
/// to the second, and so is never missed on its way.
const FOLDERS: [&str; 2] = ["new", "cur"];

impl Maildir {
    /// A Maildir at a path.
    ///
    /// # Errors
    /// [`SourceError::Maildir`] where `new` or `cur` is missing or no folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let path = path.into();
        for folder in FOLDERS {
            let folder = path.join(folder);
            match fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(failed(&folder, "it is not a folder", None)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(failed(&path, "it holds no folders new and cur, so it is no Maildir", None));
                }
                Err(error) => return Err(failed(&folder, "it can't be looked at", Some(error))),
            }
        }
        Ok(Self { path })
    }

    /// Every mail, in the order of arrival. Links and hidden files are left out.
    ///
    /// # Errors
    /// [`SourceError::Maildir`] where a folder can't be read; a file that goes away meanwhile is no
    /// error.
    pub fn list(&self) -> Result<Vec<Entry>, SourceError> {
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        for folder in FOLDERS {
            self.each_file(folder, |name, found| {
                let (base, info) = split(name);
                let key = to_key(base);
                if seen.insert(key.clone()) {
                    let modified = time(found.mtime(), found.mtime_nsec());
                    let changed = time(found.ctime(), found.ctime_nsec());
                    let name = Name { folder, info: info.to_owned() };
                    entries.push(Entry { key, size: found.len(), modified, changed, name });
                }
            })?;
        }
        entries.sort_unstable_by(|one, other| (one.modified, &one.key).cmp(&(other.modified, &other.key)));
        Ok(entries)
    }

    /// A mail by its key, where it is still there. This looks through the whole Maildir; what comes
    /// from [`list`](Self::list) need not be looked for.
    pub fn find(&self, key: &str) -> Result<Option<Entry>, SourceError> {
        Ok(self.list()?.into_iter().find(|entry| entry.key == key))
    }

    /// The first `most` bytes of a mail; `None` where it is gone. That others have meanwhile moved
    /// it or changed its flags does not matter.
    ///
    /// # Errors
    /// [`SourceError::Maildir`] where the file is there and can't be read.
    pub fn read(&self, entry: &Entry, most: u64) -> Result<Option<Vec<u8>>, SourceError> {
        self.with_file(entry, |file| {
            let size = usize::try_from(file.metadata()?.len().min(most)).unwrap_or(0);
            let mut raw = Vec::with_capacity(size);
            file.take(most).read_to_end(&mut raw)?;
            Ok(raw)
        })
    }

    /// A mail with the hash and the size of all of it, of which `most` bytes are kept; `None` where it
    /// is gone, as for [`read`](Self::read).
    ///
    /// # Errors
    /// [`SourceError::Maildir`] where the file is there and can't be read.
    pub fn measure(&self, entry: &Entry, most: usize) -> Result<Option<Measured>, SourceError> {
        self.with_file(entry, |file| measure(file, most))
    }

    fn with_file<T>(
        &self,
        entry: &Entry,
        read: impl Fn(File) -> io::Result<T>,
    ) -> Result<Option<T>, SourceError> {
        let path = self.path_of(entry);
        match open_file(&path).and_then(&read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, "a mail in it can't be read", Some(error))),
            Ok(mail) => return Ok(Some(mail)),
        }
        let Some(moved) = self.find(&entry.key)? else { return Ok(None) };
        let path = self.path_of(&moved);
        match open_file(&path).and_then(&read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, "a mail in it can't be read", Some(error))),
            Ok(mail) => Ok(Some(mail)),
        }
    }

    fn path_of(&self, entry: &Entry) -> PathBuf {
        let mut name = from_key(&entry.key);
        name.push(&entry.name.info);
        self.path.join(entry.name.folder).join(name)
    }

    /// Calls for every regular file of one folder.
    fn each_file(&self, folder: &str, mut call: impl FnMut(&OsStr, &Metadata)) -> Result<(), SourceError> {
        let folder = self.path.join(folder);
        let unreadable = |error| failed(&folder, "it can't be listed", Some(error));
        for file in fs::read_dir(&folder).map_err(unreadable)? {
            let file = file.map_err(unreadable)?;
            let name = file.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            // This does not follow links.
            match file.metadata() {
                Ok(found) if found.is_file() => call(&name, &found),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&file.path(), "it can't be looked at", Some(error))),
            }
        }
        Ok(())
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000).saturating_add(nanoseconds / 1000))
}

fn failed(path: &Path, why: &str, source: Option<io::Error>) -> SourceError {
    SourceError::Maildir { path: path.display().to_string(), why: why.to_owned(), source }
}

/// Opens a regular file; what is a link or anything else counts as not there.
fn open_file(path: &Path) -> io::Result<File> {
    let not_there = || io::Error::from(io::ErrorKind::NotFound);
    let looked_at = fs::symlink_metadata(path)?;
    if !looked_at.is_file() {
        return Err(not_there());
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    // Somebody put another file or a link in its place in between.
    if (opened.dev(), opened.ino()) != (looked_at.dev(), looked_at.ino()) {
        return Err(not_there());
    }
    Ok(file)
}

/// A file's name up to `:`, and the rest.
fn split(name: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = name.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
    (OsStr::from_bytes(bytes.head(colon)), OsStr::from_bytes(bytes.tail(colon)))
}

fn to_key(base: &OsStr) -> String {
    let mut key = String::with_capacity(base.len());
    for chunk in base.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                let mut bytes = [0; 4];
                escape(&mut key, c.encode_utf8(&mut bytes).as_bytes());
            } else {
                key.push(c);
            }
        }
        escape(&mut key, chunk.invalid());
    }
    key
}

fn escape(key: &mut String, bytes: &[u8]) {
    for byte in bytes {
        key.push('%');
        key.extend(
            [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(u32::from(digit), 16)),
        );
    }
}

fn from_key(key: &str) -> OsString {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { after.tail(2) } else { after };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    /// A Maildir in a folder of its own, gone with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("postroom-maildir-{}-{name}", std::process::id()));
            for folder in ["new", "cur", "tmp"] {
                fs::create_dir_all(path.join(folder)).unwrap();
            }
            Self(path)
        }

        fn put(&self, name: &[u8], text: &str, second: u64) -> PathBuf {
            let path = self.0.join(OsStr::from_bytes(name));
            fs::write(&path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn mails_come_in_the_order_of_arrival_whatever_their_flags() {
        let scratch = Scratch::new("order");
        scratch.put(b"new/1.b", "third", 30);
        scratch.put(b"cur/1.c:2,RS", "first", 10);
        scratch.put(b"cur/1.a:2,", "second", 20);
        scratch.put(b"new/.hidden", "no mail", 5);
        scratch.put(b"tmp/1.d", "not delivered yet", 5);
        // On its way from new to cur, a mail may be seen in both.
        scratch.put(b"cur/1.b:2,S", "third", 30);
        std::os::unix::fs::symlink("/etc/passwd", scratch.0.join("new/1.link")).unwrap();
        fs::create_dir(scratch.0.join("new/folder")).unwrap();

        let maildir = Maildir::open(&scratch.0).unwrap();
        let list = maildir.list().unwrap();
        let keys: Vec<_> = list.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["1.c", "1.a", "1.b"]);
        assert_eq!((list[0].size, list[0].modified), (5, Timestamp::from_seconds(10)));
        let texts: Vec<_> = list.iter().map(|entry| maildir.read(entry, 100).unwrap().unwrap()).collect();
        assert_eq!(texts, [b"first".as_slice(), b"second", b"third"]);
        assert_eq!(maildir.read(&list[0], 2).unwrap().unwrap(), b"fi");
        let measured = maildir.measure(&list[0], 2).unwrap().unwrap();
        assert_eq!((measured.raw.as_slice(), measured.size), (b"fi".as_slice(), 5));
        assert_eq!(measured.hash, postroom_core::keys::sha256_hex(b"first"));
    }

    #[test]
    fn a_mail_is_found_again_where_others_moved_it_and_gone_is_gone() {
        let scratch = Scratch::new("moved");
        let arrived = scratch.put(b"new/1.a", "hello", 1);
        let maildir = Maildir::open(&scratch.0).unwrap();
        let entry = maildir.list().unwrap().remove(0);

        let read = scratch.0.join("cur/1.a:2,FS");
        fs::rename(arrived, &read).unwrap();
        assert_eq!(maildir.read(&entry, 100).unwrap().unwrap(), b"hello");
        assert_eq!(maildir.find("1.a").unwrap().unwrap().key, "1.a");

        fs::remove_file(&read).unwrap();
        assert_eq!(maildir.read(&entry, 100).unwrap(), None);
        // A link in its place is not followed.
        std::os::unix::fs::symlink("/etc/passwd", &read).unwrap();
        assert_eq!(maildir.read(&entry, 100).unwrap(), None);
        assert_eq!(maildir.find("1.a").unwrap(), None);
    }

    #[test]
    fn odd_names_have_keys_of_their_own() {
        let scratch = Scratch::new("odd");
        for name in [&b"new/a\xff"[..], b"new/a%ff", b"new/a\n", "new/ä".as_bytes(), b"cur/a\xfe:2,S"] {
            scratch.put(name, &String::from_utf8_lossy(name), 1);
        }
        let maildir = Maildir::open(&scratch.0).unwrap();
        let list = maildir.list().unwrap();
        let keys: Vec<_> = list.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["a%0a", "a%25ff", "a%fe", "a%ff", "ä"]);
        assert_eq!(maildir.read(&list[3], 100).unwrap().unwrap(), "new/a\u{fffd}".as_bytes());
        assert_eq!(maildir.read(&list[1], 100).unwrap().unwrap(), b"new/a%ff");
    }

    #[test]
    fn what_is_no_maildir_is_said_to_be_none_and_nothing_is_created() {
        let scratch = Scratch::new("none");
        let error = Maildir::open(scratch.0.join("cur")).unwrap_err();
        assert!(
            error.to_string().ends_with("it holds no folders new and cur, so it is no Maildir"),
            "{error}"
        );
        assert_eq!(fs::read_dir(scratch.0.join("cur")).unwrap().count(), 0);
        fs::remove_dir(scratch.0.join("cur")).unwrap();
        fs::write(scratch.0.join("cur"), "").unwrap();
        let error = Maildir::open(&scratch.0).unwrap_err();
        assert!(error.to_string().ends_with("cur can't be read: it is not a folder"), "{error}");
    }
}
