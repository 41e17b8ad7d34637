//! `postroom migrate`: the database brought up to date, shown, or taken one step back.

use super::{Output, table};
use crate::config::Config;
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::migrate;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show what is applied and what is missing, and change nothing. Exit code 1: something is missing.
    #[arg(long, conflicts_with = "down")]
    status: bool,
    /// Take the last migration back, with all that is in the tables it made.
    #[arg(long, requires = "yes")]
    down: bool,
    /// You mean it: what is taken back is gone. Stop the daemon and take a backup before.
    #[arg(long, requires = "down")]
    yes: bool,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::quiet_log(config);
    let url = config.database_url()?;
    if let DatabaseUrl::Sqlite(path) = &url {
        if arguments.status && !path.exists() {
            anyhow::bail!("there is no database at {} yet; the first start makes it", path.display());
        }
        crate::key_file::make_data_dir(&config.storage.data_dir)?;
        crate::open::make_database_file(path)?;
    }
    let mut conn =
        conn::open(&url).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"))?;
    if arguments.status {
        let (applied, missing) = migrate::state(&mut conn)?;
        match arguments.output {
            Output::Json => println!("{}", serde_json::json!({ "applied": applied, "missing": missing })),
            Output::Table => {
                let row = |state: &str, name: &String| vec![name.clone(), state.to_owned()];
                let mut rows: Vec<_> = applied.iter().map(|name| row("applied", name)).collect();
                rows.extend(missing.iter().map(|name| row("missing", name)));
                print!("{}", table::lay_out(&["migration", "state"], &rows));
            }
        }
        return Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let changed = if arguments.down {
        migrate::down(&mut conn)?.into_iter().collect()
    } else {
        migrate::up(&mut conn)?
    };
    let word = if arguments.down { "taken back" } else { "applied" };
    match arguments.output {
        Output::Json => println!("{}", serde_json::json!({ word.replace(' ', "_"): changed })),
        Output::Table if changed.is_empty() => println!("the database is up to date"),
        Output::Table => changed.iter().for_each(|name| println!("{word}: {name}")),
    }
    Ok(ExitCode::SUCCESS)
}
