//! `postroom check`: whether a start would succeed, without changing anything.

use crate::config::Config;
use anyhow::bail;
use postroom_core::operations::mailboxes;
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::{self, migrate};
use std::process::ExitCode;

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    super::quiet_log(config);
    let mut notes = vec![format!("listens on {}", config.server.listen)];
    let mut resolved = Vec::with_capacity(config.mailboxes.len());
    for mailbox in &config.mailboxes {
        let new = mailbox.resolve()?;
        mailboxes::check(&new)
            .map_err(|error| anyhow::anyhow!("mailbox {:?}: {}", mailbox.name, super::sentence(&error)))?;
        resolved.push(new);
    }
    mailboxes::check_together(&resolved).map_err(super::failed)?;
    if !config.mailboxes.is_empty() {
        notes.push(format!("{} mailboxes in the configuration", config.mailboxes.len()));
    }
    if let Some(s3) = &config.storage.s3 {
        s3.secret()?;
    }
    if let Some(tls) = &config.server.tls {
        crate::daemon::tls_config(tls)?;
    }
    let key = config.key_file();
    if key.exists() {
        crate::key_file::read_or_make(&key)?;
    }
    notes.push(database(config)?);
    notices(config)?;
    for note in notes {
        println!("{note}");
    }
    println!("the configuration is good");
    Ok(ExitCode::SUCCESS)
}

/// A mailbox that notices leave from must be one: nobody would miss them until they are needed.
fn notices(config: &Config) -> anyhow::Result<()> {
    let Some(name) = &config.notices.mailbox else { return Ok(()) };
    if config.mailboxes.iter().any(|mailbox| mailbox.name == *name) {
        return Ok(());
    }
    let url = config.database_url()?;
    let is_there = match &url {
        DatabaseUrl::Sqlite(path) => path.exists(),
        DatabaseUrl::Postgres(_) => true,
    };
    let mut known = None;
    if is_there {
        let mut conn =
            conn::open(&url).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"))?;
        if migrate::state(&mut conn)?.1.is_empty() {
            known = store::mailboxes::find_by_name(&mut conn, name)?;
        }
    }
    if known.is_none() {
        bail!(
            "notices.mailbox: there is no mailbox {name:?}, neither in the configuration nor in the database"
        );
    }
    Ok(())
}

fn database(config: &Config) -> anyhow::Result<String> {
    let url = config.database_url()?;
    let name = match &url {
        DatabaseUrl::Sqlite(path) if !path.exists() => {
            return Ok(format!("SQLite at {}, which the first start will make", path.display()));
        }
        DatabaseUrl::Sqlite(path) => format!("SQLite at {}", path.display()),
        DatabaseUrl::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let mut conn =
        conn::open(&url).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"))?;
    let (applied, missing) = migrate::state(&mut conn)?;
    if applied.is_empty() && missing.is_empty() {
        bail!("this build knows no migrations");
    }
    Ok(if missing.is_empty() {
        format!("{name}, up to date")
    } else {
        format!("{name}, {} migrations to be applied by the next start", missing.len())
    })
}
