//! Polls every mailbox, each at its own interval, each on a thread of its own: one that hangs
//! holds up nobody.

use super::{maildir, poll, rest};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{Mailbox, Source};
use postroom_core::operations::{fetching, mailboxes};
use postroom_core::store::mailboxes::{PollEnd, PollState};
use postroom_core::time::Timestamp;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Looks for due mailboxes at least this often: a command may have added one.
const LOOK: Duration = Duration::from_secs(2);
/// The longest pause between two attempts at a mailbox that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The mailboxes that are being polled right now.
type Busy = Arc<Mutex<HashSet<MailboxId>>>;

/// Runs until the daemon stops.
pub async fn run(desk: Desk, mut stopping: watch::Receiver<bool>) {
    let busy = Busy::default();
    let mut changes = desk.changes();
    loop {
        match due(&desk, &busy).await {
            Ok(due) => {
                for id in due {
                    start(&desk, &busy, id, &stopping);
                }
            }
            Err(error) => tracing::error!(error = ?error, "the mailboxes can't be looked through"),
        }
        if !rest(&mut changes, &mut stopping, LOOK).await {
            return;
        }
    }
}

async fn due(desk: &Desk, busy: &Busy) -> Result<Vec<MailboxId>, postroom_core::Error> {
    let now = desk.now();
    let (mailboxes, states) =
        desk.read(&Actor::system(), |cx| Ok((mailboxes::list(cx)?, fetching::states(cx)?))).await?;
    let busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = |mailbox: &&Mailbox| {
        let state = states.iter().find(|state| state.mailbox_id == mailbox.id);
        !busy.contains(&mailbox.id) && state.is_some_and(|state| is_due(mailbox, state, now))
    };
    Ok(mailboxes.iter().filter(is_due).map(|mailbox| mailbox.id).collect())
}

/// Whether a mailbox's time has come. One that fails is left alone for as long as it has failed
/// already, within bounds: often at first, seldom later.
fn is_due(mailbox: &Mailbox, state: &PollState, now: Timestamp) -> bool {
    if mailbox.paused || matches!(mailbox.source, Source::Push {}) {
        return false;
    }
    let Some(last) = state.last_attempt_at else { return true };
    if state.sync_requested_at.is_some_and(|asked| asked >= last) || mailbox.updated_at > last {
        return true;
    }
    let interval = Duration::from_secs(u64::from(mailbox.poll_interval_seconds.unsigned_abs()));
    let failed_for = state.failing_since.map_or(0, |since| last.0.saturating_sub(since.0));
    let pause = Duration::from_micros(failed_for.unsigned_abs()).min(LONGEST_PAUSE).max(interval);
    // A clock that was set back must not stop the polls.
    now >= last.plus(pause) || now < last
}

fn start(desk: &Desk, busy: &Busy, id: MailboxId, stopping: &watch::Receiver<bool>) {
    busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    let (desk, busy, stopping) = (desk.clone(), busy.clone(), stopping.clone());
    tokio::task::spawn_blocking(move || {
        let _done = Done { busy, id };
        if let Err(error) = poll_once(&desk, id, &stopping) {
            tracing::error!(mailbox = %id, error = ?error, "a poll could not be written down");
        }
    });
}

/// Takes a mailbox off the list however its poll ends, a panic included.
struct Done {
    busy: Busy,
    id: MailboxId,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

fn poll_once(
    desk: &Desk,
    id: MailboxId,
    stopping: &watch::Receiver<bool>,
) -> Result<(), postroom_core::Error> {
    let system = Actor::system();
    let began = desk.write_here(&system, |cx| fetching::begin_poll(cx, id))?;
    let end = match desk.read_here(&system, |cx| mailboxes::connection(cx, id)) {
        Ok(connection) => match &connection.mailbox.source {
            Source::Imap { .. } => poll::imap(desk, &connection, stopping),
            Source::Maildir { path } => maildir::poll(desk, &connection.mailbox, path, stopping),
            Source::Push {} => PollEnd::Well,
        },
        Err(error) => PollEnd::Failed(error.to_string()),
    };
    match &end {
        PollEnd::Well => tracing::debug!(mailbox = %id, "polled"),
        PollEnd::Partly(why) => tracing::warn!(mailbox = %id, why, "polled in part"),
        PollEnd::Failed(why) => tracing::warn!(mailbox = %id, why, "the poll failed"),
    }
    desk.write_here(&system, |cx| fetching::end_poll(cx, id, began, &end))
}
