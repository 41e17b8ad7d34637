//! A backup is taken: most large files, then the database, then the large files that its copy names and
//! that came meanwhile. None of them changes. What the desk forgets while this goes on is still named
//! by the copy, and was copied before.

use super::pool::{Pool, Reread};
use super::{MANIFEST, Manifest, OBJECT_LIST, OBJECTS, Object, digest, sync, write_file};
use crate::config::Config;
use crate::{key_file, outside};
use anyhow::{Context, bail};
use postroom_core::keys::sha256_hex;
use postroom_core::store::blobs::Blob;
use postroom_core::store::conn::{self, DatabaseUrl, Mode};
use postroom_core::store::{self, StoreError, migrate};
use postroom_core::time::Clock;
use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Large files that are looked up together.
const PAGE: i64 = 500;

/// What came of it.
#[derive(Debug)]
pub struct Taken {
    /// The dated folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Large files that were not there from an earlier backup, or not whole.
    pub copied: usize,
    /// Of those, so many as were there and had gone bad.
    pub replaced: usize,
    /// Large files that are missing or damaged here, and so in the backup.
    pub faults: Vec<String>,
}

/// Takes a backup into a dated folder under `to`, while the daemon runs. Of large files from earlier
/// backups a seventh is read again, or all of them; of the others only the length is looked at.
/// `progress` is told how many were looked at.
pub fn take(
    config: &Config,
    to: &Path,
    postgres_programs: Option<&Path>,
    reread_all: bool,
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
    // Its owner's alone, also where the folder around it was there before and is open.
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("the folder {} can't be made", folder.display()))?;
    let key_check = store::settings::find(&mut database, "key_check")?.unwrap_or_default();
    let mut pool = Pool {
        folder: to.join(OBJECTS),
        keeper: outside::ports(config)?.keeper,
        noted: noted(to)?,
        reread: if reread_all { Reread::All } else { Reread::at(taken_at) },
        whole: HashMap::new(),
        copied: 0,
        replaced: 0,
    };
    // What is wrong with one that is named still is found again below.
    pool.fill(&named_by(&mut database)?, progress)?;
    let (file, named) = match &url {
        DatabaseUrl::Sqlite(path) => {
            let copy = folder.join("postroom.db");
            crate::open::make_database_file(&copy)?;
            store::whole::copy_sqlite(path, &copy).context("the database can't be copied")?;
            let mut copied = store::whole::open_copy(&copy)
                .map_err(|error| anyhow::anyhow!("the copy of the database can't be opened: {error}"))?;
            let named = named_by(&mut copied)?;
            (copy, named)
        }
        DatabaseUrl::Postgres(url) => {
            let dump = folder.join("postroom.pgdump");
            crate::open::make_database_file(&dump)?;
            let named = conn::transaction(&mut database, Mode::Read, |conn| {
                let snapshot = store::whole::export_snapshot(conn)?;
                let named = named_by(conn)?;
                super::postgres::dump(url, postgres_programs, snapshot.as_deref(), &dump)?;
                anyhow::Ok(named)
            })?;
            (dump, named)
        }
    };
    sync(&file)?;
    let (sha256, bytes) = digest(&file)?;
    let (objects, faults) = pool.fill(&named, progress)?;
    let list: String = objects.iter().map(Object::line).collect();
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
        objects: objects.len(),
        objects_sha256: sha256_hex(list.as_bytes()),
    };
    write_file(&folder.join(OBJECT_LIST), list.as_bytes())?;
    write_file(&folder.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    sync(to)?;
    Ok(Taken { folder, manifest, copied: pool.copied, replaced: pool.replaced, faults })
}

/// The large files that a database names.
fn named_by(database: &mut conn::Conn) -> Result<Vec<Blob>, StoreError> {
    let mut named: Vec<Blob> = Vec::new();
    loop {
        let after = named.last().map(|blob| blob.hash.clone()).unwrap_or_default();
        let page = store::blobs::objects_after(database, &after, PAGE)?;
        if page.is_empty() {
            return Ok(named);
        }
        named.extend(page);
    }
}

/// What the newest backup says of its large files; nothing where it can't be read, so that they are
/// read instead.
fn noted(to: &Path) -> anyhow::Result<HashMap<String, Object>> {
    let newest = entries(to)?.into_iter().filter(|path| path.join(MANIFEST).exists()).max();
    let listed = newest.map(|folder| Manifest::read(&folder).and_then(|manifest| manifest.objects(&folder)));
    Ok(match listed.transpose() {
        Ok(objects) => objects.into_iter().flatten().map(|object| (object.hash.clone(), object)).collect(),
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "the last backup can't be gone by");
            HashMap::new()
        }
    })
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
        needed.extend(Manifest::read(folder)?.objects(folder)?.into_iter().map(|object| object.hash));
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
