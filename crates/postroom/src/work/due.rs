//! When a mailbox is polled: at its interval, after a pause where it fails, and at once where
//! somebody asks for it or changed it. Who shares an account shares its pauses.

use super::lease::Held;
use postroom_core::backoff;
use postroom_core::mailbox::{Mailbox, Source, Trouble};
use postroom_core::store::mailboxes::PollState;
use postroom_core::time::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Polls for news are this far apart at least, whatever a server calls news.
const NEWS: Duration = Duration::from_secs(2);

/// The account that a mailbox logs in to.
fn account(source: &Source) -> Option<(String, u16, &str)> {
    match source {
        Source::Imap { host, port, username, .. } => Some((host.to_ascii_lowercase(), *port, username)),
        _ => None,
    }
}

/// Until when nobody need try a mailbox's account: a server that is out of reach, says "not now" or
/// refuses the login does so for every mailbox that is read from there (mail.md 2.7).
pub fn gate(mailbox: &Mailbox, all: &[Mailbox], states: &[PollState]) -> Option<Timestamp> {
    let own = account(&mailbox.source)?;
    let is_same = |other: &&Mailbox| account(&other.source).as_ref() == Some(&own);
    let neighbours = all.iter().filter(is_same);
    let states = neighbours.filter_map(|other| states.iter().find(|state| state.mailbox_id == other.id));
    states.filter(|state| is_accounts(state.trouble)).filter_map(|state| state.retry_at).max()
}

fn is_accounts(trouble: Option<Trouble>) -> bool {
    matches!(trouble, Some(Trouble::Server | Trouble::Login))
}

/// Whether a mailbox's time has come.
pub fn is_due(
    mailbox: &Mailbox,
    state: &PollState,
    gate: Option<Timestamp>,
    held: &Held,
    has_news: bool,
    now: Timestamp,
) -> bool {
    if held.hold_off.is_some_and(|until| Instant::now() < until) {
        return false;
    }
    let is_changed = state.polled_version.is_some_and(|polled| polled != mailbox.version);
    if state.sync_requested_at.is_some() || is_changed {
        return true;
    }
    if Instant::now() < held.first_poll || gate.max(state.retry_at).is_some_and(|until| waits(now, until)) {
        return false;
    }
    if has_news && held.last_poll.is_none_or(|last| last.elapsed() >= NEWS) {
        return true;
    }
    let Some(last) = state.last_attempt_at.filter(|_| held.last_poll.is_some() && state.failures == 0) else {
        return true;
    };
    let interval = Duration::from_secs(u64::from(mailbox.poll_interval_seconds.unsigned_abs()));
    // A clock that was set back must not stop the polls.
    now >= last.plus(interval) || now < last
}

/// No pause is longer than the longest: what says so was written by a clock that ran ahead.
pub fn waits(now: Timestamp, until: Timestamp) -> bool {
    now < until && until <= now.plus(backoff::LONGEST)
}
