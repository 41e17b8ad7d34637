//! Keeps house: uploads nobody attached, events that are no longer served, keys of requests that
//! nobody sends again, automatic mail that no longer counts, what webhooks were told long ago, jobs that ended, what agents were notified of long ago, blobs that are too large for the database, blobs that nothing names, conversations that
//! must be put into the full-text index anew, and calendars whose events go on.

use super::rest;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::collecting::{Collected, Round};
use postroom_core::operations::{
    attachments, breaker, events, idempotency, indexing, intake, jobs, notifications, presences, schedules,
    sign_in, webhooks,
};
use postroom_core::ports::KeptObject;
use std::time::Duration;
use tokio::sync::watch;

/// How often.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// Blobs that are looked at each time: half a million in a day.
const BLOBS: usize = 4_000;

/// So many times make a day. Once in it the large files are listed, an hour after the start: who only
/// starts and ends has not the time to look at each.
const DAY: usize = 24 * 6;
/// The time of the day, counted from the start, at which files without a blob are looked for.
const LISTING: usize = 6;
/// The time at which those are deleted that still are without one: an hour later.
const SWEEPING: usize = 12;

/// Runs until the daemon stops.
pub async fn run(desk: Desk, mut stopping: watch::Receiver<bool>) {
    // Nothing here hurries: changes at the desk don't wake it.
    let (_never, mut changes) = watch::channel(0);
    let mut collector = Collector::begin();
    loop {
        if let Err(error) = once(&desk).await {
            tracing::error!(error = ?error, "keeping house failed");
        }
        collector = collect(&desk, collector).await;
        if !rest(&mut changes, &mut stopping, EVERY).await {
            return;
        }
    }
}

async fn once(desk: &Desk) -> Result<(), postroom_core::Error> {
    let system = Actor::system();
    let uploads = desk.write(&system, attachments::expire).await?;
    desk.write(&system, events::expire).await?;
    desk.write(&system, idempotency::expire).await?;
    desk.write(&system, intake::expire).await?;
    desk.write(&system, presences::expire).await?;
    desk.write(&system, breaker::expire).await?;
    desk.write(&system, webhooks::expire).await?;
    desk.write(&system, jobs::expire).await?;
    desk.write(&system, sign_in::expire).await?;
    desk.write(&system, notifications::expire).await?;
    while desk.write(&system, indexing::catch_up).await? > 0 {}
    let moved = desk.move_large_blobs().await?;
    let calendars = schedules::read_on(desk).await?;
    if uploads > 0 || moved > 0 || calendars > 0 {
        tracing::info!(uploads, moved, calendars, "kept house");
    }
    Ok(())
}

/// What is collected, and how far that has come.
struct Collector {
    round: Round,
    /// The time of the day.
    time: usize,
    /// Files that were without a blob an hour ago.
    suspects: Vec<KeptObject>,
}

impl Collector {
    fn begin() -> Self {
        Self { round: Round::begin(), time: 0, suspects: Vec::new() }
    }

    /// One time of the day. What fails is told, and tried again the next time or the next day.
    fn once(&mut self, desk: &Desk) {
        let collected = desk.look_for_unused_here(&mut self.round, BLOBS).and_then(|_| desk.collect_here());
        tell(collected, "blobs that nothing names were deleted");
        if self.time == LISTING {
            match desk.suspect_objects_here() {
                Ok(found) => self.suspects = found,
                Err(error) => tracing::error!(error = ?error, "the large files could not be listed"),
            }
        }
        if self.time == SWEEPING {
            let swept = desk.sweep_objects_here(std::mem::take(&mut self.suspects));
            tell(swept, "large files that no blob names were deleted");
        }
        self.time = (self.time + 1) % DAY;
    }
}

fn tell(collected: Result<Collected, postroom_core::Error>, what: &'static str) {
    match collected {
        Ok(Collected { count: 0, left: 0, .. }) => {}
        Ok(Collected { count, bytes, left }) => tracing::info!(count, bytes, left, "{what}"),
        Err(error) => tracing::error!(error = ?error, "collecting what nothing names failed"),
    }
}

/// Off the thread, since files are listed and deleted. A panic costs the memory of how far it has come.
async fn collect(desk: &Desk, collector: Collector) -> Collector {
    let desk = desk.clone();
    let work = move || {
        let mut collector = collector;
        collector.once(&desk);
        collector
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(collector) => collector,
        Err(error) => {
            tracing::error!(%error, "collecting what nothing names failed");
            Collector::begin()
        }
    }
}
