//! A folder for one test that removes itself.

use crate::leash::Owner;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs, io, process};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Reads paths until its input closes, which it does when the test process ends in whatever way.
/// By then servers are stopping, and may still write for a moment.
const SWEEPER: &str = r#"
set --
while read -r folder; do set -- "$@" "$folder"; done
for try in 1 2 3 4 5 6; do
  left=
  for folder do
    rm -rf -- "$folder" 2>/dev/null || left=yes
  done
  if [ -z "$left" ]; then exit; fi
  sleep 2
done
"#;

/// A new empty folder under the system's temporary folder, removed with all it holds on drop.
///
/// `POSTROOM_TEST_KEEP=1` keeps the folders, for looking into one after a failure.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Makes the folder. `name` says what it is for; keep it short, since Unix sockets inside it
    /// may have paths of 107 bytes at most.
    ///
    /// # Panics
    /// If the temporary folder can't be written to.
    pub fn new(name: &str) -> Self {
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("pr-{name}-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    sweep_later(&path);
                    return Self { path };
                }
                // An earlier process of the same id was killed before it could tidy up.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("can't make the folder {}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something inside.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file inside, making the folders above it, and returns its path.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the work folder can be written to");
        }
        fs::write(&path, content).expect("the work folder can be written to");
        path
    }

    /// Makes a folder inside that belongs to `owner`, and returns its path.
    ///
    /// # Panics
    /// If it can't be made, or not be given away.
    pub fn folder(&self, name: impl AsRef<Path>, owner: Option<Owner>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).expect("the work folder can be written to");
        Owner::give(owner, &path);
        path
    }
}

/// Has the folder removed at the process' end, if nobody has done it before: statics are not
/// dropped, and neither is anything when the process is killed.
fn sweep_later(folder: &Path) {
    static RUNNING: OnceLock<Mutex<Child>> = OnceLock::new();
    if keeps() {
        return;
    }
    let sweeper = RUNNING.get_or_init(|| {
        let mut sweeper = Command::new("/bin/sh");
        sweeper.args(["-c", SWEEPER]).current_dir("/").process_group(0);
        sweeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Mutex::new(sweeper.spawn().expect("every Linux has a shell"))
    });
    let mut sweeper = sweeper.lock().unwrap_or_else(PoisonError::into_inner);
    let input = sweeper.stdin.as_mut().expect("stdin is a pipe");
    writeln!(input, "{}", folder.display()).expect("the sweeper reads as long as this process lives");
}

fn keeps() -> bool {
    env::var_os("POSTROOM_TEST_KEEP").is_some()
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if keeps() {
            eprintln!("kept {}", self.path.display());
            return;
        }
        // A test that panics may leave something busy; the system's own tidying gets it then.
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_away_with_all_it_holds() {
        let dir = WorkDir::new("tidy");
        let file = dir.write("deep/inside/file", "x");
        let folder = dir.path().to_path_buf();
        assert!(file.exists());
        drop(dir);
        assert!(!folder.exists());
    }
}
