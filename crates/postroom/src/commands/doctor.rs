//! `postroom doctor`: is everything whole that the desk remembers? It reads all of it, while the
//! daemon runs or not, and changes nothing; it may be told to have lost mail fetched again, and to make the
//! full-text index anew.

use super::{Output, failed, progress::Progress, table};
use crate::config::Config;
use anyhow::{Context, bail};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::{doctor, indexing};
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::doctor::Found;
use postroom_core::store::migrate;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
    /// Have mail whose bytes are missing or damaged fetched again where its IMAP server still has it: the
    /// daemon does so with its next polls.
    #[arg(long)]
    refetch: bool,
    /// Make the full-text index anew first, while the daemon runs or not: a hundred conversations at a time.
    #[arg(long)]
    reindex: bool,
}

/// Makes the full-text index anew. Says of how many conversations: a daemon that runs does some of them.
fn reindex(desk: &Desk) -> anyhow::Result<usize> {
    let system = Actor::system();
    let all = desk.write_here(&system, indexing::renew).map_err(failed)?;
    let mut progress = Progress::new("conversations");
    let mut done = 0;
    loop {
        let some = desk.write_here(&system, indexing::catch_up).map_err(failed)?;
        if some == 0 {
            break;
        }
        done += some;
        progress.at(done);
    }
    progress.end();
    Ok(all)
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    check_there(config)?;
    super::with_desk(config, |desk| {
        let reindexed = if arguments.reindex { Some(reindex(desk)?) } else { None };
        let mut found = desk.read_here(&Actor::system(), doctor::examine).map_err(failed)?;
        let mut progress = Progress::new("blobs");
        let blobs = desk.examine_blobs_here(|read| progress.at(read)).map_err(failed)?;
        progress.end();
        let read = blobs.read;
        found.push(blobs.found);
        let refetch =
            if arguments.refetch { Some(desk.fetch_lost_here(&blobs.lost).map_err(failed)?) } else { None };
        found.push(modes(config)?);
        let unused = desk.read_here(&Actor::system(), doctor::unused).map_err(failed)?;
        let well = found.iter().all(|found| found.count == 0);
        match arguments.output {
            Output::Json => {
                let entry = |found: &Found| serde_json::json!({"check": found.what, "count": found.count, "examples": found.examples});
                let all: Vec<_> = found.iter().map(entry).collect();
                println!(
                    "{}",
                    serde_json::json!({
                        "well": well, "checks": all, "blobs_read": read,
                        "reindexed": reindexed,
                        "refetch": refetch.map(|(asked, left)| serde_json::json!({"asked": asked, "left": left})),
                        "unused": {"count": unused.count, "bytes": unused.bytes, "waiting": unused.waiting},
                    })
                );
            }
            Output::Table => {
                let row = |found: &Found| vec![found.what.to_owned(), found.count.to_string()];
                let rows: Vec<_> = found.iter().map(row).collect();
                print!("{}", table::lay_out(&["check", "found"], &rows));
                for found in found.iter().filter(|found| found.count > 0) {
                    println!("{}:", found.what);
                    found.examples.iter().for_each(|example| println!("  {example}"));
                    let more = found.count - found.examples.len() as i64;
                    if more > 0 {
                        println!("  and {more} more");
                    }
                }
                println!(
                    "{read} blobs were read; {} of them, of {} bytes, are named by nothing, and for {} the day \
                     runs after which they are deleted",
                    unused.count, unused.bytes, unused.waiting
                );
                if let Some(all) = reindexed {
                    println!("the full-text index was made anew, of {all} conversations");
                }
                if let Some((asked, left)) = refetch {
                    println!(
                        "{asked} of what was lost is fetched again by the next polls; for {left} no server can be asked"
                    );
                }
                println!("{}", if well { "everything is whole" } else { "not everything is whole" });
            }
        }
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Opening a desk would make what is missing: a doctor must not.
fn check_there(config: &Config) -> anyhow::Result<()> {
    let key = config.key_file();
    if !key.exists() {
        bail!("there is no key file at {}", key.display());
    }
    let url = config.database_url()?;
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.exists()
    {
        bail!("there is no database at {}", path.display());
    }
    let mut conn =
        conn::open(&url).map_err(|error| anyhow::anyhow!("the database can't be opened: {error}"))?;
    let (_, missing) = migrate::state(&mut conn)?;
    if !missing.is_empty() {
        bail!("the database is not up to date; run: postroom migrate");
    }
    Ok(())
}

/// Files that others on the machine can read.
fn modes(config: &Config) -> anyhow::Result<Found> {
    let mut found = Found { what: "files that others can read", count: 0, examples: Vec::new() };
    let mut paths = vec![config.storage.data_dir.clone(), config.key_file()];
    if let DatabaseUrl::Sqlite(path) = config.database_url()? {
        paths.push(path);
    }
    for path in paths {
        if is_open(&path)? {
            found.count += 1;
            found.examples.push(path.display().to_string());
        }
    }
    Ok(found)
}

fn is_open(path: &Path) -> anyhow::Result<bool> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("{} can't be looked at", path.display()))?;
    Ok(metadata.permissions().mode() & 0o077 != 0)
}
