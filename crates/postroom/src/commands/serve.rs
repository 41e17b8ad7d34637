//! `postroom serve`: the daemon, until it is told to stop.

use crate::config::Config;
use crate::daemon::Daemon;
use crate::log;
use postroom_core::desk::Broken;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Threads for the workers' own waiting; what blocks has threads of its own.
const WORKER_THREADS: usize = 2;
/// What blocks has this long to end once everything else has.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Where a disk did not keep what was written, the rest may take this long to end in good order.
const LAST_ORDER: Duration = Duration::from_secs(5);
/// The exit code then (sysexits.h: EX_SOFTWARE).
const EX_SOFTWARE: u8 = 70;

/// Runs the daemon until SIGTERM or SIGINT; a second one ends it at once. Ends by itself, with 70, where
/// the disk did not keep what was written to it.
pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    log::start(&config.log);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_WORDS);
    served
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        tracing::warn!("postroom runs as root, which it does not need; give it a user of its own");
    }
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let mut daemon = Daemon::start(config).await?;
    tracing::info!("postroom {} listens on {scheme}://{}", env!("CARGO_PKG_VERSION"), daemon.address);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut broken = daemon.desk.broken();
    tokio::select! {
        ended = daemon.wait() => return ended.map(|()| ExitCode::SUCCESS),
        Ok(what) = broken.wait_for(Option::is_some) => {
            let what = match *what {
                Some(Broken::Files) => "a large file",
                Some(Broken::Database) | None => "the database",
            };
            tracing::error!(
                "the disk did not keep what was written to {what} (fsync failed): what was being written is \
                 not acknowledged, and postroom ends with 70; look at the disk, then start it again"
            );
            // Nothing more goes to that file. Leases that lie elsewhere are given back.
            if tokio::time::timeout(LAST_ORDER, daemon.stop()).await.is_err() {
                tracing::warn!("not everything could end in good order");
            }
            return Ok(ExitCode::from(EX_SOFTWARE));
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; a second signal ends at once");
    tokio::select! {
        () = daemon.stop() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}
