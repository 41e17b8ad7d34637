//! Polls the mailboxes that are this daemon's, each when its time has come and on a thread of its
//! own: one that hangs holds up nobody.

use super::lease::Leases;
use super::news::{Bell, Place, Watches, watched};
use super::{due, maildir, poll, rest};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::backoff;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::lease::Lease;
use postroom_core::mailbox::{Mailbox, Source};
use postroom_core::operations::{fetching, leases, mailboxes};
use postroom_core::store::mailboxes::{PollEnd, PollState};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

/// Looks for due mailboxes at least this often: a command may have added one, or another daemon
/// may be gone.
const LOOK: Duration = Duration::from_secs(2);
/// How long polls may take to end when the daemon stops. What one writes later is refused.
const LAST_POLLS: Duration = Duration::from_secs(5);

/// Runs until the daemon stops. Of every mailbox, so many folders are watched.
pub async fn run(desk: Desk, watched_folders: usize, mut stopping: watch::Receiver<bool>) {
    let bell = Bell::default();
    let mut fetcher = Fetcher {
        watches: Watches::new(bell.clone()),
        watched_folders,
        bell: bell.clone(),
        leases: Leases::new(),
        busy: HashSet::new(),
        polls: JoinSet::new(),
        stopping: stopping.clone(),
        desk,
    };
    let mut changes = fetcher.desk.changes();
    loop {
        if let Err(error) = fetcher.look().await {
            tracing::error!(error = ?error, "the mailboxes can't be looked through");
        }
        tokio::select! {
            goes_on = rest(&mut changes, &mut stopping, LOOK) => {
                if !goes_on {
                    break;
                }
            }
            () = bell.rung() => {}
            Some(ended) = fetcher.polls.join_next() => fetcher.note(ended),
        }
    }
    fetcher.end().await;
}

/// What the store says of all mailboxes.
struct Sight {
    mailboxes: Vec<Mailbox>,
    states: Vec<PollState>,
    /// Those that no daemon has.
    free: Vec<MailboxId>,
    /// Those that fail for so long that it is to be made known.
    overdue: Vec<MailboxId>,
}

struct Fetcher {
    desk: Desk,
    leases: Leases,
    watches: Watches,
    watched_folders: usize,
    bell: Bell,
    /// The mailboxes that are being polled right now.
    busy: HashSet<MailboxId>,
    polls: JoinSet<(MailboxId, Noted)>,
    stopping: watch::Receiver<bool>,
}

impl Fetcher {
    /// Starts every poll that is due.
    async fn look(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.polls.try_join_next() {
            self.note(ended);
        }
        let sight = self.desk.read(&Actor::system(), sight).await?;
        // Without room nothing is fetched; another daemon may have some.
        let has_room = self.desk.shortage().is_none();
        let is_wanted = |mailbox: &&Mailbox| has_room && is_polled(mailbox);
        let wanted: Vec<MailboxId> =
            sight.mailboxes.iter().filter(is_wanted).map(|mailbox| mailbox.id).collect();
        let busy = &self.busy;
        self.leases.settle(&self.desk, &wanted, &sight.free, |id| busy.contains(&id)).await?;
        let now = self.desk.now();
        let mut places = Vec::new();
        for mailbox in &sight.mailboxes {
            let Some(state) = sight.states.iter().find(|state| state.mailbox_id == mailbox.id) else {
                continue;
            };
            let Some(held) = self.leases.held(mailbox.id) else { continue };
            if is_polled(mailbox) && held.went_well && state.failing_since.is_none() {
                places.extend(watched(mailbox, self.watched_folders).into_iter().map(|folder| Place {
                    mailbox_id: mailbox.id,
                    version: mailbox.version,
                    folder,
                }));
            }
            let has_news = self.bell.has_news(mailbox.id);
            let gate = due::gate(mailbox, &sight.mailboxes, &sight.states);
            if has_room
                && is_polled(mailbox)
                && !self.busy.contains(&mailbox.id)
                && due::is_due(mailbox, state, gate, held, has_news, now)
            {
                held.last_poll = Some(Instant::now());
                self.bell.heard(mailbox.id);
                let (desk, lease, stopping) = (self.desk.clone(), held.lease.clone(), self.stopping.clone());
                self.busy.insert(mailbox.id);
                self.polls.spawn_blocking(move || (lease.mailbox_id(), poll_noted(&desk, &lease, &stopping)));
            }
        }
        self.watches.settle(&self.desk, places);
        for id in sight.overdue {
            if let Some(held) = self.leases.held(id) {
                let lease = held.lease.clone();
                self.desk.write(&Actor::system(), move |cx| fetching::raise_error(cx, &lease)).await?;
            }
        }
        Ok(())
    }

    /// A poll has ended.
    fn note(&mut self, ended: Result<(MailboxId, Noted), JoinError>) {
        // No poll panics: what could is caught within.
        let Ok((id, noted)) = ended else { return };
        self.busy.remove(&id);
        if noted == Noted::Lost {
            self.leases.forget(id);
        }
        if let Some(held) = self.leases.held(id) {
            held.went_well |= noted == Noted::Well;
            let comes_again = matches!(noted, Noted::Not | Noted::CutShort);
            held.hold_off = comes_again.then(|| Instant::now() + backoff::SHORTEST);
            if comes_again {
                // News or a request may have led to it, and nothing says so any more.
                held.last_poll = None;
            }
        }
    }

    /// Waits a moment for the polls that are under way, and gives the mailboxes back.
    async fn end(mut self) {
        self.watches.settle(&self.desk, Vec::new());
        let ended =
            tokio::time::timeout(LAST_POLLS, async { while self.polls.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!(left = self.polls.len(), "some polls hang; what they still write is refused");
        }
        self.polls.detach_all();
        if let Err(error) = self.leases.give_back(&self.desk).await {
            tracing::warn!(error = ?error, "the mailboxes can't be given back; another daemon takes them in time");
        }
    }
}

fn is_polled(mailbox: &Mailbox) -> bool {
    !mailbox.paused && !matches!(mailbox.source, Source::Push {})
}

fn sight(cx: &mut postroom_core::cx::Cx<'_>) -> Result<Sight, Error> {
    let states = fetching::states(cx)?;
    let overdue = states.iter().filter(|state| fetching::is_error_due(cx, state));
    Ok(Sight {
        overdue: overdue.map(|state| state.mailbox_id).collect(),
        mailboxes: mailboxes::list(cx)?,
        free: leases::free(cx)?,
        states,
    })
}

/// What came of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// It is written down, and something could be read.
    Well,
    /// It is written down, and nothing could be read.
    Failed,
    /// There was no room for all of it: it comes again as soon as there is, and not at its interval.
    CutShort,
    /// It could not be written down.
    Not,
    /// The mailbox is another daemon's now.
    Lost,
}

fn poll_noted(desk: &Desk, lease: &Lease, stopping: &watch::Receiver<bool>) -> Noted {
    let mailbox = lease.mailbox_id();
    match poll_once(desk, lease, stopping) {
        Ok(noted) => noted,
        Err(Error::LeaseLost) => {
            tracing::info!(%mailbox, "another daemon has this mailbox now; this poll ends");
            Noted::Lost
        }
        Err(error) => {
            tracing::error!(%mailbox, error = ?error, "a poll could not be written down");
            Noted::Not
        }
    }
}

fn poll_once(desk: &Desk, lease: &Lease, stopping: &watch::Receiver<bool>) -> Result<Noted, Error> {
    let system = Actor::system();
    let id = lease.mailbox_id();
    let begun = desk.write_here(&system, |cx| fetching::begin_poll(cx, lease))?;
    let polled = catch_unwind(AssertUnwindSafe(|| poll(desk, lease, begun.is_asked_for(), stopping)));
    // The panic itself is in the log already.
    let end =
        polled.unwrap_or_else(|_| PollEnd::Failed("the poll made the daemon panic; see its log".to_owned()));
    // A full disk is not the mailbox's fault: it must not have to wait when there is room again.
    let is_cut_short = desk.shortage().is_some();
    let end = match (end, desk.shortage()) {
        (PollEnd::Failed(why) | PollEnd::Unreachable(why), Some(_)) => PollEnd::Partly(why),
        (end, _) => end,
    };
    match &end {
        PollEnd::Well => tracing::debug!(mailbox = %id, "polled"),
        PollEnd::Partly(why) => tracing::warn!(mailbox = %id, why, "polled in part"),
        PollEnd::Failed(why) | PollEnd::Unreachable(why) | PollEnd::LoginRefused(why) => {
            tracing::warn!(mailbox = %id, why, "the poll failed");
        }
    }
    desk.write_here(&system, |cx| fetching::end_poll(cx, lease, begun, &end))?;
    Ok(match end.failure() {
        _ if is_cut_short => Noted::CutShort,
        None => Noted::Well,
        Some(_) => Noted::Failed,
    })
}

fn poll(desk: &Desk, lease: &Lease, is_asked_for: bool, stopping: &watch::Receiver<bool>) -> PollEnd {
    let id = lease.mailbox_id();
    match desk.read_here(&Actor::system(), |cx| mailboxes::connection(cx, id)) {
        Ok(connection) => match &connection.mailbox.source {
            Source::Imap { .. } => poll::imap(desk, &connection, lease, is_asked_for, stopping),
            Source::Maildir { path } => maildir::poll(desk, &connection.mailbox, lease, path, stopping),
            Source::Push {} => PollEnd::Well,
        },
        Err(error) => PollEnd::Failed(crate::commands::sentence(&error)),
    }
}
