//! The workers. Each is told nothing: what is due is in the store, so that a wake-up, a timer
//! and a restart run the same code.

mod answer;
mod authorize;
pub(crate) mod batch;
mod copies;
mod distribute;
mod due;
mod fetch;
mod gate;
mod jobs;
mod keep;
mod lease;
mod leave;
mod maildir;
mod news;
mod notify;
mod poll;
mod room;
mod send;
mod settle;
mod wake;
mod watchdogs;
mod webhooks;

use crate::config::Config;
use crate::receivers::Receivers;
use postroom_core::Error;
use postroom_core::desk::Desk;
use postroom_core::time::Timestamp;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Starts all of them. They end when `stopping` says so.
pub fn start(
    desk: &Desk,
    config: &Config,
    receivers: Receivers,
    stopping: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(fetch::run(desk.clone(), config.ingest.watched_folders(), stopping.clone())),
        tokio::spawn(answer::run(desk.clone(), stopping.clone())),
        tokio::spawn(leave::run(desk.clone(), stopping.clone())),
        tokio::spawn(send::run(desk.clone(), stopping.clone())),
        tokio::spawn(settle::run(desk.clone(), stopping.clone())),
        tokio::spawn(wake::run(desk.clone(), stopping.clone())),
        tokio::spawn(distribute::run(desk.clone(), stopping.clone())),
        tokio::spawn(watchdogs::run(desk.clone(), stopping.clone())),
        tokio::spawn(notify::run(desk.clone(), stopping.clone())),
        tokio::spawn(copies::run(desk.clone(), stopping.clone())),
        tokio::spawn(webhooks::run(desk.clone(), receivers, stopping.clone())),
        tokio::spawn(jobs::run(desk.clone(), stopping.clone())),
        tokio::spawn(authorize::run(desk.clone(), stopping.clone())),
        tokio::spawn(keep::run(desk.clone(), stopping.clone())),
        tokio::spawn(room::run(desk.clone(), stopping.clone())),
    ]
}

/// Does what is due, again and again until the daemon stops: after each change at the desk and whenever `once`
/// says that the next is due. What fails is told as `failing`, and tried again after `most`.
async fn keep_at_it<F: Future<Output = Result<Duration, Error>>>(
    desk: Desk,
    mut stopping: watch::Receiver<bool>,
    most: Duration,
    failing: &'static str,
    once: impl Fn(Desk, watch::Receiver<bool>) -> F,
) {
    let mut changes = desk.changes();
    loop {
        changes.borrow_and_update();
        let pause = once(desk.clone(), stopping.clone()).await.unwrap_or_else(|error| {
            tracing::error!(error = ?error, "{failing}");
            most
        });
        if !rest(&mut changes, &mut stopping, pause).await {
            return;
        }
    }
}

/// Breaks off when the daemon stops: for what waits for servers, and begins anew the next time.
async fn unless_stopped(
    mut stopping: watch::Receiver<bool>,
    most: Duration,
    work: impl Future<Output = Result<Duration, Error>>,
) -> Result<Duration, Error> {
    tokio::select! {
        done = work => done,
        () = ended(&mut stopping) => Ok(most),
    }
}

/// So long until something is due, from `least` to `most`; `None`: nothing is.
fn until(desk: &Desk, due: Option<Timestamp>, least: Duration, most: Duration) -> Duration {
    due.map_or(most, |due| due.since(desk.now())).clamp(least, most)
}

/// Waits for a change at the desk, for a time to pass, or for the end. `false` is the end.
async fn rest(
    changes: &mut watch::Receiver<u64>,
    stopping: &mut watch::Receiver<bool>,
    most: Duration,
) -> bool {
    tokio::select! {
        // The desk outlives its workers, so its channel stays open.
        _ = changes.changed() => {}
        () = tokio::time::sleep(most) => {}
        () = ended(stopping) => return false,
    }
    !*stopping.borrow()
}

/// Comes back when the daemon stops, or whoever could stop it is gone.
async fn ended(stopping: &mut watch::Receiver<bool>) {
    while !*stopping.borrow_and_update() {
        if stopping.changed().await.is_err() {
            return;
        }
    }
}
