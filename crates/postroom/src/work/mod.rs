//! The workers. Each is told nothing: what is due is in the store, so that a wake-up, a timer
//! and a restart run the same code.

mod answer;
mod authorize;
pub(crate) mod batch;
mod copies;
mod due;
mod fetch;
mod gate;
mod keep;
mod lease;
mod leave;
mod maildir;
mod news;
mod poll;
mod room;
mod send;
mod settle;

use crate::config::Ingest;
use postroom_core::desk::Desk;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Starts all of them. They end when `stopping` says so.
pub fn start(desk: &Desk, ingest: &Ingest, stopping: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(fetch::run(desk.clone(), ingest.watched_folders(), stopping.clone())),
        tokio::spawn(answer::run(desk.clone(), stopping.clone())),
        tokio::spawn(leave::run(desk.clone(), stopping.clone())),
        tokio::spawn(send::run(desk.clone(), stopping.clone())),
        tokio::spawn(settle::run(desk.clone(), stopping.clone())),
        tokio::spawn(copies::run(desk.clone(), stopping.clone())),
        tokio::spawn(authorize::run(desk.clone(), stopping.clone())),
        tokio::spawn(keep::run(desk.clone(), stopping.clone())),
        tokio::spawn(room::run(desk.clone(), stopping.clone())),
    ]
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
