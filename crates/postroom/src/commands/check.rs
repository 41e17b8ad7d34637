//! `postroom check`: whether a start would succeed, without changing anything.

use crate::config::Config;
use anyhow::bail;
use postroom_core::operations::mailboxes;
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::migrate;
use std::process::ExitCode;

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    super::quiet_log(config);
    let mut notes = vec![format!("listens on {}", config.server.listen)];
    for mailbox in &config.mailboxes {
        let new = mailbox.resolve()?;
        mailboxes::check(&new)
            .map_err(|error| anyhow::anyhow!("mailbox {:?}: {}", mailbox.name, super::sentence(&error)))?;
    }
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
    for note in notes {
        println!("{note}");
    }
    println!("the configuration is good");
    Ok(ExitCode::SUCCESS)
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
