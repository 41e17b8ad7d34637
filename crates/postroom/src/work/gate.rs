//! Logins at the SMTP server of one mailbox, one after the other: a password that has become wrong is
//! tried by one mail, and not by all that leave at the same time, for servers lock accounts out for that.

use postroom_core::Error;
use postroom_core::id::MailboxId;
use postroom_outbound::Entry;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The gates of all mailboxes that have sent since the start.
#[derive(Debug, Default)]
pub(super) struct Gates(HashMap<MailboxId, Arc<Gate>>);

impl Gates {
    pub(super) fn of(&mut self, mailbox: MailboxId) -> Arc<Gate> {
        Arc::clone(self.0.entry(mailbox).or_default())
    }
}

/// A mailbox's.
#[derive(Debug, Default)]
pub(super) struct Gate {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How often a login was refused and that was written down.
    refusals: AtomicU64,
}

/// Whose turn it is to log in.
pub(super) type Turn = OwnedMutexGuard<()>;

/// One mail before the gate.
#[derive(Debug)]
pub(super) struct Visit {
    gate: Arc<Gate>,
    /// What it knew when it came.
    refusals: u64,
    turned_away: AtomicBool,
    let_in: AtomicBool,
    /// Kept after a refusal until that is written down: who comes next must see it.
    held: Mutex<Option<Turn>>,
}

impl Visit {
    pub(super) fn new(gate: &Arc<Gate>) -> Self {
        Self {
            gate: Arc::clone(gate),
            refusals: gate.refusals.load(Ordering::SeqCst),
            turned_away: AtomicBool::new(false),
            let_in: AtomicBool::new(false),
            held: Mutex::new(None),
        }
    }

    /// Waits for its turn. Fails where another's login was refused since it came.
    pub(super) async fn turn(&self) -> Result<Turn, Error> {
        let turn = Arc::clone(&self.gate.turn).lock_owned().await;
        if self.gate.refusals.load(Ordering::SeqCst) == self.refusals {
            return Ok(turn);
        }
        self.turned_away.store(true, Ordering::SeqCst);
        Err(Error::StateConflict("the server has just refused the login of another mail".to_owned()))
    }

    /// The login was answered.
    pub(super) fn end(&self, turn: Turn, entry: Entry) {
        self.let_in.store(entry == Entry::LetIn, Ordering::SeqCst);
        if entry == Entry::Refused {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        }
    }

    /// The refusal is written down: whoever waits is turned away.
    pub(super) fn close(&self) {
        self.gate.refusals.fetch_add(1, Ordering::SeqCst);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// It never tried, for another was refused.
    pub(super) fn is_turned_away(&self) -> bool {
        self.turned_away.load(Ordering::SeqCst)
    }

    /// The server let this one in.
    pub(super) fn is_let_in(&self) -> bool {
        self.let_in.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_is_refused_and_those_who_wait_are_turned_away() {
        let gate = Gates::default().of(MailboxId(1));
        let (first, second) = (Visit::new(&gate), Visit::new(&gate));
        let turn = first.turn().await.unwrap();
        first.end(turn, Entry::Refused);
        let waiting = second.turn();
        first.close();
        assert!(waiting.await.is_err());
        assert!(second.is_turned_away() && !second.is_let_in());
        // Who comes afterwards knows by the desk whether it is worth a try.
        let third = Visit::new(&gate);
        let turn = third.turn().await.unwrap();
        third.end(turn, Entry::LetIn);
        assert!(third.is_let_in());
        assert!(Visit::new(&gate).turn().await.is_ok());
    }
}
