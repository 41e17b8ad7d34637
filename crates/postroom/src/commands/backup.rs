//! `postroom backup`: the desk as it is now, in a folder, while everything runs.

use super::{Output, progress::Progress};
use crate::backup;
use crate::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder for backups. Each gets a dated folder in it; large files are shared by all.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Keep so many backups, this one included, and remove older ones. Without it all stay.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Read all large files of earlier backups again, to replace what went bad; otherwise a seventh of
    /// them, each day another.
    #[arg(long)]
    check: bool,
    /// The folder with pg_dump, where the database is PostgreSQL and it is not found by itself.
    #[arg(long, value_name = "FOLDER")]
    postgres_programs: Option<PathBuf>,
    /// How to answer.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::quiet_log(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _entered = runtime.enter();
    let mut progress = Progress::new("large files");
    let taken = backup::take(
        config,
        &arguments.to,
        arguments.postgres_programs.as_deref(),
        arguments.check,
        &mut |done| progress.at(done),
    )?;
    progress.end();
    // What is missing here may still be whole in an older backup: none goes then.
    let removed = match arguments.keep {
        Some(keep) if taken.faults.is_empty() => backup::forget_old(&arguments.to, usize::from(keep))?,
        _ => Vec::new(),
    };
    match arguments.output {
        Output::Json => println!(
            "{}",
            serde_json::json!({
                "folder": taken.folder,
                "taken_at": taken.manifest.taken_at,
                "database": taken.manifest.database,
                "bytes": taken.manifest.bytes,
                "objects": taken.manifest.objects,
                "objects_copied": taken.copied,
                "objects_replaced": taken.replaced,
                "faults": taken.faults,
                "removed": removed,
            })
        ),
        Output::Table => {
            println!("backup:      {}", taken.folder.display());
            println!("database:    {}, {} bytes", taken.manifest.database, taken.manifest.bytes);
            println!("large files: {}, of which {} are new", taken.manifest.objects, taken.copied);
            if taken.replaced > 0 {
                println!("replaced:    {} large files of earlier backups had gone bad", taken.replaced);
            }
            if !removed.is_empty() {
                println!("removed:     {} older backups", removed.len());
            }
            println!("The key file {} is not in it; keep it elsewhere.", config.key_file().display());
        }
    }
    if taken.faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "postroom: {} large files could not be saved, for they are missing or damaged here: {}",
        taken.faults.len(),
        taken.faults.iter().take(10).cloned().collect::<Vec<_>>().join("; ")
    );
    Ok(ExitCode::FAILURE)
}
