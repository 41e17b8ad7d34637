//! A backup is taken: first the database, then the large files that it names. Those never change,
//! and none goes as long as the database names it.

use super::{MANIFEST, Manifest, OBJECT_LIST, OBJECTS, digest, object_path, sync, write_file};
use crate::config::Config;
use crate::{key_file, outside};
use anyhow::{Context, bail};
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::{self, migrate};
use postroom_core::time::Clock;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files that are looked up together.
const PAGE: i64 = 500;

/// What came of it.
#[derive(Debug)]
pub struct Taken {
    /// The dated folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Large files that were not there from an earlier backup.
    pub copied: usize,
    /// Large files that are missing or damaged here, and so in the backup.
    pub faults: Vec<String>,
}

/// Takes a backup into a dated folder under `to`, while the daemon runs. `progress` is told how
/// many large files were looked at.
pub fn take(
    config: &Config,
    to: &Path,
    postgres_programs: Option<&Path>,
    progress: &mut dyn FnMut(usize),
) -> anyhow::Result<Taken> {
    let url = config.database_url()?;
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.exists()
    {
        bail!("there is no database at {} to take a backup of", path.display());
    }
    let open = || conn::open(&url).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"));
    let mut database = open()?;
    let migrations = migrate::state(&mut database)?.0;
    if migrations.is_empty() {
        bail!("the database holds no desk yet");
    }
    key_file::make_data_dir(to)?;
    let _lock = lock(to)?;
    let taken_at = Clock::System.now();
    let name: String = taken_at.to_string().chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    let folder = to.join(format!("{name}Z"));
    std::fs::create_dir(&folder).with_context(|| format!("the folder {} can't be made", folder.display()))?;
    let file = match &url {
        DatabaseUrl::Sqlite(path) => {
            let copy = folder.join("postroom.db");
            crate::open::make_database_file(&copy)?;
            store::whole::copy_sqlite(path, &copy).context("the database can't be copied")?;
            copy
        }
        DatabaseUrl::Postgres(url) => {
            let dump = folder.join("postroom.pgdump");
            crate::open::make_database_file(&dump)?;
            super::postgres::dump(url, postgres_programs, &dump)?;
            dump
        }
    };
    sync(&file)?;
    let (sha256, bytes) = digest(&file)?;
    // What waits for pg_dump may have been closed by the server.
    let mut database = open()?;
    let objects = Objects { pool: to.join(OBJECTS), keeper: outside::ports(config)?.keeper };
    let (hashes, copied, faults) = objects.copy(&mut database, progress)?;
    let key_check = store::settings::find(&mut database, "key_check")?.unwrap_or_default();
    let manifest = Manifest {
        format: Manifest::current_format(),
        postroom: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        database: kind(&url).to_owned(),
        file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256,
        bytes,
        migrations,
        key_check,
        objects: hashes.len(),
    };
    write_file(&folder.join(OBJECT_LIST), hashes.concat().as_bytes())?;
    write_file(&folder.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    sync(to)?;
    Ok(Taken { folder, manifest, copied, faults })
}

/// The word for a kind of database.
pub(super) fn kind(url: &DatabaseUrl) -> &'static str {
    match url {
        DatabaseUrl::Sqlite(_) => "sqlite",
        DatabaseUrl::Postgres(_) => "postgres",
    }
}

/// One backup at a time: old ones are forgotten, and what only they name goes with them.
fn lock(to: &Path) -> anyhow::Result<File> {
    let path = to.join("backup.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} can't be opened", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another backup to {} is under way", to.display());
    }
    Ok(file)
}

/// The large files on both sides.
struct Objects {
    pool: PathBuf,
    keeper: std::sync::Arc<dyn postroom_core::ports::KeepBlob>,
}

impl Objects {
    /// Copies what the pool does not have yet. Returns the hashes of all, each with an end of line,
    /// how many were copied, and what is wrong.
    fn copy(
        &self,
        database: &mut conn::Conn,
        progress: &mut dyn FnMut(usize),
    ) -> anyhow::Result<(Vec<String>, usize, Vec<String>)> {
        let (mut hashes, mut copied, mut faults) = (Vec::new(), 0, Vec::new());
        let mut after = String::new();
        loop {
            let page = store::blobs::list_after(database, &after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok((hashes, copied, faults)) };
            after.clone_from(last);
            for (hash, _) in page.iter().filter(|(_, is_object)| *is_object) {
                if !object_path(&self.pool, hash).exists() {
                    match self.copy_one(database, hash)? {
                        None => copied += 1,
                        Some(fault) => {
                            faults.push(fault);
                            continue;
                        }
                    }
                }
                hashes.push(format!("{hash}\n"));
                progress(hashes.len());
            }
        }
    }

    /// Copies one, if it is what its hash says. Otherwise what is wrong with it.
    fn copy_one(&self, database: &mut conn::Conn, hash: &str) -> anyhow::Result<Option<String>> {
        let Some(blob) = store::blobs::find(database, hash)? else { return Ok(None) };
        let Some(stored) = self.keeper.get(hash)? else { return Ok(Some(format!("blob {hash} is missing"))) };
        if let Err(error) = postroom_core::blobs::unpack(&blob, stored.clone()) {
            return Ok(Some(crate::commands::sentence(&error)));
        }
        let path = object_path(&self.pool, hash);
        key_file::make_data_dir(path.parent().unwrap_or(&self.pool))?;
        write_file(&path, &stored)?;
        Ok(None)
    }
}

/// Removes all but the newest backups, and the large files that none of the others needs. Returns
/// the folders that went.
pub fn forget_old(to: &Path, keep: usize) -> anyhow::Result<Vec<PathBuf>> {
    let _lock = lock(to)?;
    let mut whole: Vec<PathBuf> =
        entries(to)?.into_iter().filter(|path| path.join(MANIFEST).exists()).collect();
    whole.sort();
    let stays = whole.split_off(whole.len().saturating_sub(keep.max(1)));
    for folder in &whole {
        // Without its manifest it is no backup any more: it can't be taken for one half gone.
        std::fs::remove_file(folder.join(MANIFEST))
            .and_then(|()| std::fs::remove_dir_all(folder))
            .with_context(|| format!("{} can't be removed", folder.display()))?;
    }
    let mut needed = HashSet::new();
    for folder in &stays {
        needed.extend(Manifest::read(folder)?.objects(folder)?);
    }
    for group in entries(&to.join(OBJECTS))? {
        for object in entries(&group)? {
            let name = object.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !needed.contains(&name) {
                std::fs::remove_file(&object)
                    .with_context(|| format!("{} can't be removed", object.display()))?;
            }
        }
    }
    Ok(whole)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let context = || format!("{} can't be read", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        found.push(entry.with_context(context)?.path());
    }
    Ok(found)
}
