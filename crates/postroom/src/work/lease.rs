//! The mailboxes that this daemon has to itself: taken where they are free, renewed while they are
//! polled, given back at the end.

use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::lease::{Lease, Owner};
use postroom_core::operations::leases;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Leases are renewed this often: two renewals may fail before one runs out.
const RENEW: Duration = Duration::from_secs(10);
/// Of mailboxes that are taken together, as at the start, the first is polled at once and each
/// other this much after the one before …
const STEP: Duration = Duration::from_millis(200);
/// … and the last at most this much after the first.
const SPREAD: Duration = Duration::from_secs(30);

/// A mailbox of this daemon's.
#[derive(Debug)]
pub struct Held {
    /// The right to poll it.
    pub lease: Lease,
    /// It is not polled of itself before.
    pub first_poll: Instant,
    /// It is not polled at all before: what came of its last poll could not be written down.
    pub hold_off: Option<Instant>,
    /// When its last poll began.
    pub last_poll: Option<Instant>,
    /// One of its polls went well since it was taken.
    pub went_well: bool,
}

/// All mailboxes of this daemon's.
#[derive(Debug)]
pub struct Leases {
    owner: Owner,
    held: HashMap<MailboxId, Held>,
    renewed: Instant,
}

impl Leases {
    /// None, for a daemon that was never there before.
    pub fn new() -> Self {
        Self { owner: Owner::new(), held: HashMap::new(), renewed: Instant::now() }
    }

    /// A mailbox, if it is ours.
    pub fn held(&mut self, id: MailboxId) -> Option<&mut Held> {
        self.held.get_mut(&id)
    }

    /// A mailbox turned out to be somebody else's.
    pub fn forget(&mut self, id: MailboxId) {
        self.held.remove(&id);
    }

    /// Takes what is free of `wanted`, renews what is ours when its time has come, and gives back
    /// what nobody wants any more and no poll is busy with.
    pub async fn settle(
        &mut self,
        desk: &Desk,
        wanted: &[MailboxId],
        free: &[MailboxId],
        is_busy: impl Fn(MailboxId) -> bool,
    ) -> Result<(), Error> {
        self.renew(desk).await?;
        let unwanted: Vec<MailboxId> =
            self.held.keys().copied().filter(|id| !wanted.contains(id) && !is_busy(*id)).collect();
        let unwanted = unwanted.into_iter().filter_map(|id| self.held.remove(&id)).collect();
        release(desk, unwanted).await?;
        let open: Vec<MailboxId> =
            free.iter().copied().filter(|id| wanted.contains(id) && !self.held.contains_key(id)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let owner = self.owner.clone();
        let take = move |cx: &mut postroom_core::cx::Cx<'_>| {
            let mut taken = Vec::new();
            for id in &open {
                taken.extend(leases::take(cx, *id, &owner)?);
            }
            Ok(taken)
        };
        let before = Instant::now();
        let taken = desk.write(&Actor::system(), take).await?;
        if self.held.is_empty() {
            self.renewed = before;
        }
        let step = step(taken.len());
        for (lease, place) in taken.into_iter().zip(0..) {
            tracing::debug!(mailbox = %lease.mailbox_id(), fence = lease.fence(), "this mailbox is ours");
            let held = Held {
                first_poll: before + step * place,
                lease,
                hold_off: None,
                last_poll: None,
                went_well: false,
            };
            self.held.insert(held.lease.mailbox_id(), held);
        }
        Ok(())
    }

    /// Renews all leases, and forgets those that are lost. Out of reach of the database for as
    /// long as a lease lasts, all of them are: another daemon may reach it.
    async fn renew(&mut self, desk: &Desk) -> Result<(), Error> {
        if self.held.is_empty() || self.renewed.elapsed() < RENEW {
            return Ok(());
        }
        let all: Vec<Lease> = self.held.values().map(|held| held.lease.clone()).collect();
        let renew = move |cx: &mut postroom_core::cx::Cx<'_>| {
            let mut lost = Vec::new();
            for lease in &all {
                if !leases::renew(cx, lease)? {
                    lost.push(lease.mailbox_id());
                }
            }
            Ok(lost)
        };
        let before = Instant::now();
        let lost = match desk.write(&Actor::system(), renew).await {
            Ok(lost) => {
                self.renewed = before;
                lost
            }
            Err(error) => {
                if self.renewed.elapsed() >= leases::LENGTH {
                    self.held.clear();
                }
                return Err(error);
            }
        };
        for id in lost {
            tracing::info!(mailbox = %id, "another daemon has taken this mailbox over");
            self.held.remove(&id);
        }
        Ok(())
    }

    /// Gives everything back, so that another daemon can go on at once.
    pub async fn give_back(self, desk: &Desk) -> Result<(), Error> {
        release(desk, self.held.into_values().collect()).await
    }
}

async fn release(desk: &Desk, given: Vec<Held>) -> Result<(), Error> {
    if given.is_empty() {
        return Ok(());
    }
    let release = move |cx: &mut postroom_core::cx::Cx<'_>| {
        given.iter().try_for_each(|held| leases::release(cx, &held.lease))
    };
    desk.write(&Actor::system(), release).await
}

/// How far apart the first polls of so many mailboxes are.
fn step(mailboxes: usize) -> Duration {
    let gaps = u32::try_from(mailboxes.saturating_sub(1)).unwrap_or(u32::MAX).max(1);
    STEP.min(SPREAD / gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_polls_are_spread_within_a_bound() {
        assert_eq!((step(0), step(1), step(2)), (STEP, STEP, STEP));
        // 151 mailboxes have 150 gaps of 200 ms.
        assert_eq!(step(151), STEP);
        assert!(step(152) < STEP);
        for mailboxes in [152_u32, 1_000, 100_000] {
            let last = step(mailboxes as usize) * (mailboxes - 1);
            assert!(last <= SPREAD && last + STEP > SPREAD, "{mailboxes}: {last:?}");
        }
    }
}
