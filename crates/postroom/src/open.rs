//! Opens the desk that a configuration describes: for the daemon and for every command.

use crate::config::{Config, Objects};
use crate::{key_file, outside};
use anyhow::{Context, bail};
use postroom_core::desk::{Desk, Parts, Settings};
use postroom_core::keys::Keys;
use postroom_core::operations::breaker;
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::{self, migrate};
use postroom_core::time::Clock;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// More only fight for SQLite's one write lock.
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 10;

/// Opens the desk: makes the data folder, the key and the database where there are none, and
/// brings the database up to date. Must be called within a runtime, on a thread that may block.
pub fn open_desk(config: &Config) -> anyhow::Result<Desk> {
    open_desk_at(config, Clock::System)
}

/// [`open_desk`] for those who have nothing to do where there is no desk. A folder that was mistyped
/// stays as it is: a desk in it would look like one whose mail is gone, and `restore` would refuse the
/// place.
pub(crate) fn open_existing_desk(config: &Config) -> anyhow::Result<Desk> {
    let database = config.database_url()?;
    let data_dir = &config.storage.data_dir;
    let none = |why: &str| {
        anyhow::anyhow!(
            "there is no desk at {}: {why}; look at storage.data_dir and database.url, or make one there \
             with `postroom serve` or `postroom mailbox add`",
            data_dir.display()
        )
    };
    if let DatabaseUrl::Sqlite(path) = &database
        && !is_there(path)?
    {
        return Err(none(&format!("{} is not there", path.display())));
    }
    // Large mails would go to a folder that nobody else knows.
    if config.storage.objects == Objects::Folder && !is_there(data_dir)? {
        return Err(none("the folder is not there"));
    }
    if !holds_desk(&database)? {
        return Err(none("the database is empty"));
    }
    open_desk(config)
}

/// Whether a file is there. Not to be allowed to look is not to know.
fn is_there(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| format!("{} can't be looked at", path.display()))
}

/// Whether a database belongs to a key already, and so is somebody's desk.
fn holds_desk(database: &DatabaseUrl) -> anyhow::Result<bool> {
    let mut conn =
        conn::open(database).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"))?;
    if store::whole::is_empty(&mut conn)? || migrate::state(&mut conn)?.0.is_empty() {
        return Ok(false);
    }
    Ok(store::settings::find(&mut conn, "key_check")?.is_some())
}

/// [`open_desk`] with a clock of one's own.
pub fn open_desk_at(config: &Config, clock: Clock) -> anyhow::Result<Desk> {
    let database = config.database_url()?;
    if let DatabaseUrl::Postgres(_) = &database {
        // What can't be opened is told by the desk itself.
        let restoring = conn::open(&database).ok().map(|mut conn| store::whole::is_restoring(&mut conn));
        if restoring.transpose()? == Some(true) {
            bail!("a backup was being restored to this database, and that did not end; run it again");
        }
    }
    desk(config, clock, database)
}

/// Opens the desk that a database holds, even where it is being restored.
pub(crate) fn desk(config: &Config, clock: Clock, database: DatabaseUrl) -> anyhow::Result<Desk> {
    let key_path = config.key_file();
    let is_new = match &database {
        DatabaseUrl::Sqlite(path) => !is_there(path)?,
        DatabaseUrl::Postgres(_) => false,
    };
    if !is_new && !is_there(&key_path)? && holds_desk(&database)? {
        bail!(
            "there is no key file at {0}, and this database was made with one; put that one there (without \
             it no stored password can be read) and run: chmod 600 {0}",
            key_path.display()
        );
    }
    key_file::make_data_dir(&config.storage.data_dir)?;
    let key = key_file::read_or_make(&key_path)?;
    let connections = match (&database, config.database.connections) {
        (DatabaseUrl::Sqlite(path), set) => {
            make_database_file(path)?;
            if set == 0 { SQLITE_CONNECTIONS } else { set }
        }
        (DatabaseUrl::Postgres(_), 0) => POSTGRES_CONNECTIONS,
        (DatabaseUrl::Postgres(_), set) => set,
    };
    let parts = Parts {
        database,
        connections,
        keys: Keys::new(&key),
        ports: outside::ports(config)?,
        clock,
        settings: settings(config),
    };
    Ok(Desk::open(parts)?)
}

/// Makes the file of a SQLite database where there is none, for its owner alone; SQLite gives its
/// side files the same mode.
pub(crate) fn make_database_file(path: &Path) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the database {} can't be opened", path.display()))?;
    Ok(())
}

fn settings(config: &Config) -> Settings {
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 60 * 60);
    Settings {
        inline_blob_bytes: config.storage.inline_kib * 1024,
        reopen_within: hours(config.keep.reopen_days * 24),
        keep_events: hours(config.keep.events_days * 24),
        keep_uploads: hours(config.keep.uploads_hours),
        upload_bytes: config.limits.upload_mib * 1024 * 1024,
        query_time: Duration::from_secs(config.limits.query_seconds),
        mail_bytes: config.limits.mail_mib * 1024 * 1024,
        ingest_tries: config.limits.ingest_tries,
        send_for: hours(config.keep.send_hours),
        claim_for: claim_for(),
        notices_mailbox: config.notices.mailbox.clone(),
        automatic: breaker::Limits {
            domain_hour: config.automatic.domain_per_hour,
            rule_hour: config.automatic.rule_per_hour,
            mailbox_hour: config.automatic.mailbox_per_hour,
            desk_ten_minutes: config.automatic.desk_per_ten_minutes,
        },
        webhooks: config.webhooks.reach(),
        sign_in: config.sign_in.settings(),
        keep_deliveries: hours(config.keep.deliveries_days * 24),
        error_after: Duration::from_secs(u64::from(config.ingest.error_after_minutes) * 60),
    }
}

#[cfg(feature = "chaos")]
use crate::chaos::claim_for;

/// How long a worker has a mail to itself: only builds for tests have another time.
#[cfg(not(feature = "chaos"))]
fn claim_for() -> Duration {
    Settings::default().claim_for
}
