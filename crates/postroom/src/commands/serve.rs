//! `postroom serve`: the daemon, until it is told to stop.

use crate::config::{Config, Log, LogFormat};
use crate::daemon::Daemon;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Threads for the workers' own waiting; what blocks has threads of its own.
const WORKER_THREADS: usize = 2;
/// What blocks has this long to end once everything else has.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Runs the daemon until SIGTERM or SIGINT; a second one ends it at once.
pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    start_log(&config.log);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_WORDS);
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        tracing::warn!("postroom runs as root, which it does not need; give it a user of its own");
    }
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let mut daemon = Daemon::start(config).await?;
    tracing::info!("postroom {} listens on {scheme}://{}", env!("CARGO_PKG_VERSION"), daemon.address);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = daemon.wait() => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; a second signal ends at once");
    tokio::select! {
        () = daemon.stop() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Starts the log on standard error. A second call changes nothing.
pub(super) fn start_log(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for eyes: a journal or a file would keep the codes.
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}
