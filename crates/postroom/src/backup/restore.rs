//! A backup becomes a desk again, in an empty place. Until everything is settled nothing is there
//! that a daemon would start on: a restore that dies is begun anew.

use super::{Manifest, OBJECTS, digest, object_path, take};
use crate::config::Config;
use crate::{key_file, lock, open, outside};
use anyhow::{Context, ensure};
use postroom_core::actor::Actor;
use postroom_core::keys::Keys;
use postroom_core::object_name::{self, ObjectName};
use postroom_core::operations::restoring::{self, Settled};
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::{self, migrate};
use postroom_core::time::Clock;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What came of it.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What was settled; `None` where the backup was only looked through.
    pub settled: Option<Settled>,
}

/// Restores the backup in a dated folder to where the configuration says, or only looks through
/// all of it. `progress` is told how many large files are done.
pub fn restore(
    config: &Config,
    from: &Path,
    postgres_programs: Option<&Path>,
    only_check: bool,
    progress: &mut dyn FnMut(usize),
) -> anyhow::Result<Restored> {
    let manifest = Manifest::read(from)?;
    let file = from.join(&manifest.file);
    ensure!(
        digest(&file)? == (manifest.sha256.clone(), manifest.bytes),
        "the backup is damaged: {} is not what was written",
        file.display()
    );
    let objects = manifest.objects(from)?;
    let pool = from.parent().unwrap_or(from).join(OBJECTS);
    for object in &objects {
        let path = object_path(&pool, &object.hash);
        ensure!(path.exists(), "the backup is not whole: {} is missing", path.display());
    }
    if only_check {
        check_database(&manifest, &file)?;
        for (done, object) in objects.iter().enumerate() {
            object.check(&pool)?;
            progress(done + 1);
        }
        return Ok(Restored { manifest, settled: None });
    }
    let url = config.database_url()?;
    ensure!(
        manifest.database == take::kind(&url),
        "the backup is of a {} database, and the configuration names one of {}",
        manifest.database,
        take::kind(&url)
    );
    key_file::make_data_dir(&config.storage.data_dir)?;
    let _folder_lock = lock::take(&config.storage.data_dir)?;
    let _database_lock = match &url {
        DatabaseUrl::Sqlite(path) => Some(lock::take_database(path)?),
        DatabaseUrl::Postgres(_) => None,
    };
    check_key(config, &manifest)?;
    claim(config, &url)?;
    let keeper = outside::ports(config)?.keeper;
    let (mark, mark_file) = mark(&config.storage.data_dir)?;
    for (done, object) in objects.iter().enumerate() {
        keeper.put(&ObjectName::restored(&object.hash, &mark), object.read(&pool)?)?;
        progress(done + 1);
    }
    let settled = match &url {
        DatabaseUrl::Sqlite(path) => sqlite(config, &manifest, &file, path, &mark)?,
        DatabaseUrl::Postgres(address) => {
            postgres(config, &manifest, &file, &url, address, postgres_programs, &mark)?
        }
    };
    std::fs::remove_file(&mark_file)
        .with_context(|| format!("the desk is restored, but {} can't be removed", mark_file.display()))?;
    Ok(Restored { manifest, settled: Some(settled) })
}

/// The mark that the desk's large files get, and the file that keeps it until all is settled: a restore
/// that is begun anew gives the same names again, and leaves nothing behind that is nobody's.
///
/// The desk that the backup was taken of may live on and have the same bucket. With a mark of its own
/// this one never deletes what that one names.
fn mark(data_dir: &Path) -> anyhow::Result<(String, PathBuf)> {
    let file = data_dir.join("restoring");
    let begun = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().to_owned()).filter(|mark| object_name::is_mark(mark)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", file.display())),
    };
    if let Some(mark) = begun {
        return Ok((mark, file));
    }
    let mark = object_name::fresh_mark();
    super::write_file(&file, mark.as_bytes())?;
    Ok((mark, file))
}

/// The key must be there before: without it no password opens, and a new one would be made.
fn check_key(config: &Config, manifest: &Manifest) -> anyhow::Result<()> {
    let path = config.key_file();
    ensure!(
        path.exists(),
        "there is no key file at {0}; backups don't hold it. Put the one that belongs to this desk there \
         and run: chmod 600 {0}",
        path.display()
    );
    let keys = Keys::new(&key_file::read_or_make(&path)?);
    ensure!(
        keys.check_mark() == manifest.key_check,
        "the key file {} is not the one that this backup was made with",
        path.display()
    );
    Ok(())
}

/// The place must be empty. A PostgreSQL database is marked, so that it stays so: daemons and commands are
/// kept off from here on, and a restore that is cut off is begun anew.
fn claim(config: &Config, url: &DatabaseUrl) -> anyhow::Result<()> {
    match url {
        DatabaseUrl::Sqlite(path) => check_nothing_at(path)?,
        DatabaseUrl::Postgres(_) => {
            let mut conn =
                conn::open(url).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"))?;
            let not_empty = "the database is not empty; a backup is restored to an empty one alone";
            ensure!(store::whole::is_empty(&mut conn)?, not_empty);
            store::whole::begin_restore(&mut conn)?;
            // Somebody may have been quicker.
            if !store::whole::is_empty(&mut conn)? {
                store::whole::end_restore(&mut conn)?;
                anyhow::bail!(not_empty);
            }
        }
    }
    tracing::debug!(data_dir = %config.storage.data_dir.display(), "the place is empty");
    Ok(())
}

/// What a SQLite database keeps beside its file, by the ends of the names.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Neither a database nor what one leaves beside it: SQLite would play an old `-wal` or `-journal` into
/// the restored file, and answers that had left would leave again.
fn check_nothing_at(path: &Path) -> anyhow::Result<()> {
    let is_there = |path: &Path| match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{} can't be looked for", path.display())),
    };
    ensure!(
        !is_there(path)?,
        "there is a database at {} already; a backup is restored to an empty place alone",
        path.display()
    );
    for end in SIDE_FILES {
        let side_file = beside(path, end);
        ensure!(
            !is_there(&side_file)?,
            "{} is left of another database; move it away with whatever else is left of that, for SQLite \
             would mix the two",
            side_file.display()
        );
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Removes a database of our own that nobody uses any more.
fn remove(database: &Path) -> anyhow::Result<()> {
    let side_files = SIDE_FILES.iter().map(|end| beside(database, end));
    for leftover in side_files.chain([database.to_owned()]).filter(|leftover| leftover.exists()) {
        std::fs::remove_file(&leftover)
            .with_context(|| format!("{} can't be removed", leftover.display()))?;
    }
    Ok(())
}

/// Settles on a copy under another name; the database gets its own when it is done.
fn sqlite(
    config: &Config,
    manifest: &Manifest,
    file: &Path,
    path: &Path,
    mark: &str,
) -> anyhow::Result<Settled> {
    let (settling, whole) = (beside(path, ".settling"), beside(path, ".restored"));
    remove(&settling)?;
    remove(&whole)?;
    open::make_database_file(&settling)?;
    std::fs::copy(file, &settling).with_context(|| format!("{} can't be copied", file.display()))?;
    let settled = settle(config, manifest, DatabaseUrl::Sqlite(settling.clone()), mark)?;
    open::make_database_file(&whole)?;
    store::whole::copy_sqlite(&settling, &whole).context("the database can't be written")?;
    super::sync(&whole)?;
    // A command may have been run here meanwhile.
    check_nothing_at(path)?;
    std::fs::rename(&whole, path).with_context(|| format!("{} can't be written", path.display()))?;
    super::sync(path.parent().unwrap_or(path))?;
    remove(&settling)?;
    Ok(settled)
}

/// A mark in the database keeps daemons off until it is settled; it goes in the same transaction.
fn postgres(
    config: &Config,
    manifest: &Manifest,
    file: &Path,
    url: &DatabaseUrl,
    address: &str,
    programs: Option<&Path>,
    mark: &str,
) -> anyhow::Result<Settled> {
    super::postgres::restore(address, programs, file)?;
    settle(config, manifest, url.clone(), mark)
}

fn settle(config: &Config, manifest: &Manifest, url: DatabaseUrl, mark: &str) -> anyhow::Result<Settled> {
    let desk = open::desk(config, Clock::System, url)?;
    let taken_at = manifest.taken_at;
    desk.write_here(&Actor::system(), |cx| restoring::settle(cx, taken_at, mark))
        .map_err(|error| anyhow::Error::msg(crate::commands::sentence(&error)))
}

/// Looks through a backup of SQLite. PostgreSQL's lies in a dump, where it can't be asked.
fn check_database(manifest: &Manifest, file: &Path) -> anyhow::Result<()> {
    if manifest.database != "sqlite" {
        return Ok(());
    }
    let mut database = store::whole::open_copy(file)
        .map_err(|error| anyhow::anyhow!("the backup's database can't be opened: {error}"))?;
    let found = store::whole::integrity(&mut database)?;
    ensure!(found.count == 0, "the backup's database is damaged: {}", found.examples.join("; "));
    migrate::state(&mut database)?;
    Ok(())
}
