//! `postroom restore`: a backup becomes a desk again, in an empty place.

use super::{Output, progress::Progress};
use crate::backup;
use crate::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The dated folder of a backup.
    #[arg(value_name = "FOLDER")]
    from: PathBuf,
    /// Only look whether the backup is whole, and change nothing. Exit code 1: it is not.
    #[arg(long)]
    check: bool,
    /// The folder with pg_restore, where the database is PostgreSQL and it is not found by itself.
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
    let restored = backup::restore(
        config,
        &arguments.from,
        arguments.postgres_programs.as_deref(),
        arguments.check,
        &mut |done| progress.at(done),
    )?;
    progress.end();
    let taken_at = restored.manifest.taken_at;
    match (arguments.output, restored.settled) {
        (Output::Json, settled) => println!(
            "{}",
            serde_json::json!({
                "taken_at": taken_at,
                "restored": settled.is_some(),
                "uncertain": settled.map(|settled| settled.uncertain),
                "numbers_left_out": settled.map(|settled| settled.numbers_left_out),
            })
        ),
        (Output::Table, None) => println!("the backup of {taken_at} is whole"),
        (Output::Table, Some(settled)) => {
            println!("restored to what it was at {taken_at}; the next start fetches what came since");
            println!("new numbers begin {} above the old ones", settled.numbers_left_out);
            if settled.uncertain > 0 {
                println!(
                    "{} answers had not left then and may have left since: they are marked as uncertain \
                     and are not sent again",
                    settled.uncertain
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
