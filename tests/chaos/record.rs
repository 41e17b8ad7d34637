//! What strace saw a daemon do to its data folder, call by call: enough to do all of it again on a disk of
//! our own (`disk_model.rs`). A call that changes files in a way that is not known here ends the test.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Calls that change files, or let bytes leave through a socket. Not every machine has all of them.
const CALLS: &str = "openat,openat2,?open,?creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,\
                     truncate,ftruncate,fallocate,?rename,?renameat,renameat2,?unlink,unlinkat,?link,linkat,\
                     ?symlink,symlinkat,?mkdir,mkdirat,?rmdir,mmap,copy_file_range,sendfile,splice,\
                     io_uring_setup,sendto,sendmsg";
/// More than any call of ours writes at once: nothing is cut short.
const BYTES: &str = "20000000";

/// How strace is called for a record in this file. Paths stand beside descriptors, all text is in hex.
pub fn strace(out: &str) -> Vec<String> {
    let calls = format!("trace={CALLS}");
    let words = ["strace", "-f", "-qq", "-y", "-xx", "-s", BYTES, "-o", out, "-e", &calls];
    words.map(str::to_owned).to_vec()
}

/// One thing that happened. Paths are below the data folder, which is "" itself.
#[derive(Debug)]
pub enum Step {
    /// A file is there after this; it is empty if it was to be cut.
    Opened {
        path: String,
        emptied: bool,
    },
    Wrote {
        path: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Resized {
        path: String,
        length: usize,
    },
    MadeFolder {
        path: String,
    },
    Renamed {
        from: String,
        to: String,
    },
    Linked {
        from: String,
        to: String,
    },
    Removed {
        path: String,
    },
    /// A thread asks that what was written to a file, or which names a folder has, is safe.
    SyncBegins {
        thread: String,
        path: String,
    },
    /// It is.
    SyncEnds {
        thread: String,
    },
    /// A mail that was pushed in is being acknowledged: from here on its sender may have forgotten it.
    Acknowledged,
}

/// Reads a record of a daemon whose data folder is `root`, which has no symbolic link in its path.
pub fn read(text: &str, root: &Path) -> Vec<Step> {
    let reader = Reader {
        root: root.to_str().expect("our folders have plain names"),
        acknowledged: hex("\"verdict\":\""),
    };
    let mut steps = Vec::new();
    let mut begun: HashMap<&str, &str> = HashMap::new();
    for line in text.lines() {
        let (thread, seen) = line.split_once(' ').expect("strace -f names the thread first");
        let seen = seen.trim_start();
        if seen.starts_with("---") || seen.starts_with("+++") {
            continue;
        }
        if let Some(head) = seen.strip_suffix(" <unfinished ...>") {
            steps.extend(reader.begins(thread, head));
            begun.insert(thread, head);
        } else if let Some(resumed) = seen.strip_prefix("<... ") {
            let head = begun.remove(thread).expect("a call that is resumed has begun");
            let (_, tail) = resumed.split_once(" resumed>").expect("strace says so");
            steps.extend(reader.ends(thread, &Cow::Owned(format!("{head}{tail}"))));
        } else {
            steps.extend(reader.begins(thread, seen));
            steps.extend(reader.ends(thread, &Cow::Borrowed(seen)));
        }
    }
    steps
}

struct Reader<'a> {
    root: &'a str,
    /// What only an answer to a mail that was pushed in holds.
    acknowledged: String,
}

impl Reader<'_> {
    /// What counts from the moment the kernel is asked.
    fn begins(&self, thread: &str, seen: &str) -> Option<Step> {
        let (call, args) = seen.split_once('(').expect("a call has arguments");
        match call {
            "fsync" | "fdatasync" => {
                let path = self.of_descriptor(first(args))?;
                Some(Step::SyncBegins { thread: thread.to_owned(), path })
            }
            "write" | "writev" | "sendto" | "sendmsg" => {
                let to_socket = first(args).contains(&hex("socket:["));
                (to_socket && args.contains(&self.acknowledged)).then_some(Step::Acknowledged)
            }
            _ => None,
        }
    }

    /// What counts when the kernel has done it.
    fn ends(&self, thread: &str, seen: &str) -> Option<Step> {
        let (call, rest) = seen.split_once('(').expect("a call has arguments");
        // A call amid which the process ends has no result.
        let (args, result) = rest.rsplit_once(" = ")?;
        let result: usize = digits(result).parse().ok()?;
        let args = args.trim_end();
        let args: Vec<&str> = args.strip_suffix(')').unwrap_or(args).split(", ").collect();
        match call {
            "openat" => {
                let (path, flags) = (self.at(args[0], args[1])?, args[2]);
                assert!(!flags.contains("O_TMPFILE"), "a file without a name: {flags}");
                let emptied = flags.contains("O_TRUNC");
                (emptied || flags.contains("O_CREAT")).then_some(Step::Opened { path, emptied })
            }
            "pwrite64" => {
                let path = self.of_descriptor(args[0])?;
                let mut bytes = unquoted(args[1]);
                assert!(bytes.len() >= result, "strace cut a write short");
                bytes.truncate(result);
                Some(Step::Wrote { path, at: number(args[3]), bytes })
            }
            "ftruncate" => {
                Some(Step::Resized { path: self.of_descriptor(args[0])?, length: number(args[1]) })
            }
            "fsync" | "fdatasync" => {
                self.of_descriptor(args[0])?;
                Some(Step::SyncEnds { thread: thread.to_owned() })
            }
            "mkdir" => Some(Step::MadeFolder { path: self.named(args[0])? }),
            "mkdirat" => Some(Step::MadeFolder { path: self.at(args[0], args[1])? }),
            "unlink" | "rmdir" => Some(Step::Removed { path: self.named(args[0])? }),
            "unlinkat" => Some(Step::Removed { path: self.at(args[0], args[1])? }),
            "rename" | "link" => self.two(call, self.named(args[0]), self.named(args[1])),
            "renameat" | "renameat2" | "linkat" => {
                assert!(!seen.contains("RENAME_EXCHANGE"), "two names change places");
                self.two(call, self.at(args[0], args[1]), self.at(args[2], args[3]))
            }
            // Only what SQLite keeps in memory is written to through a map, and that is no file of ours.
            "mmap" if !(seen.contains("PROT_WRITE") && seen.contains("MAP_SHARED")) => None,
            "io_uring_setup" => panic!("io_uring writes unseen"),
            _ => {
                let touched = args.iter().find_map(|arg| self.of_descriptor(arg).or_else(|| self.named(arg)));
                assert!(touched.is_none(), "{call} on {touched:?} is not known here");
                None
            }
        }
    }

    fn two(&self, call: &str, from: Option<String>, to: Option<String>) -> Option<Step> {
        let (from, to) = match (from, to) {
            (None, None) => return None,
            (Some(from), Some(to)) => (from, to),
            one => panic!("{call} over the edge of {}: {one:?}", self.root),
        };
        Some(if call.starts_with("link") { Step::Linked { from, to } } else { Step::Renamed { from, to } })
    }

    /// The file below the data folder that a descriptor such as `5<path>` is of. One without a name is
    /// nobody's after a power loss.
    fn of_descriptor(&self, descriptor: &str) -> Option<String> {
        let (_, path) = descriptor.split_once('<')?;
        self.below(&unhex(path.strip_suffix('>')?))
    }

    /// The file that a path in quotes names.
    fn named(&self, quoted: &str) -> Option<String> {
        self.below(&unquoted(quoted))
    }

    /// The file that a path names which may begin at an open folder.
    fn at(&self, folder: &str, quoted: &str) -> Option<String> {
        let name = unquoted(quoted);
        if name.first() == Some(&b'/') {
            return self.below(&name);
        }
        let (_, folder) = folder.split_once('<')?;
        let mut path = unhex(folder.strip_suffix('>')?);
        path.push(b'/');
        path.extend(name);
        self.below(&path)
    }

    fn below(&self, path: &[u8]) -> Option<String> {
        let path = String::from_utf8_lossy(path);
        let below = path.strip_prefix(self.root)?;
        // SQLite's index of the WAL is memory that has a name.
        let is_ours = (below.is_empty() || below.starts_with('/')) && !below.ends_with("-shm");
        is_ours.then(|| below.trim_start_matches('/').to_owned())
    }
}

fn first(args: &str) -> &str {
    args.split([',', ')']).next().unwrap_or_default()
}

fn digits(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// Text as `strace -xx` writes it.
fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| format!("{hex}\\x{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_else(|| panic!("no hex: {text}")) as u8;
    let bytes = text.as_bytes().chunks(4).map(|four| match four {
        [b'\\', b'x', high, low] => digit(*high) << 4 | digit(*low),
        _ => panic!("no hex: {text}"),
    });
    bytes.collect()
}

/// The bytes of a text in quotes; of anything else, none.
fn unquoted(text: &str) -> Vec<u8> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.map_or_else(Vec::new, unhex)
}
