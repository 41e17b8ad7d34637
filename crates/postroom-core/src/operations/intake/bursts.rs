//! How much each sender wrote in the last minutes. Above a bound mail is taken in as ever, but
//! nothing automatic may follow from it: two machines that answer each other end there.

use super::{Circumstances, Read};
use crate::cx::Cx;
use crate::mailbox::FolderRole;
use crate::store::bursts::Burst;
use crate::{Error, store};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How long mails of one sender are counted together.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How many of them are no flood yet.
const CALM: i32 = 20;

/// The counts of a batch's senders. By the time at which a server got a mail: what waited there
/// for days did not come at once.
#[derive(Default)]
pub(super) struct Bursts {
    counts: BTreeMap<String, Burst>,
    changed: HashSet<String>,
}

impl Bursts {
    pub(super) fn load(cx: &mut Cx<'_>, here: &Circumstances, mails: &[Read<'_>]) -> Result<Self, Error> {
        if here.role != FolderRole::Inbox {
            return Ok(Self::default());
        }
        let senders: HashSet<&str> = mails.iter().map(|read| read.sender.as_str()).collect();
        let senders: Vec<&str> = senders.into_iter().filter(|sender| !sender.is_empty()).collect();
        let found = store::bursts::find(cx.conn, &senders)?;
        let counts = found.into_iter().map(|burst| (burst.email_folded.clone(), burst)).collect();
        Ok(Self { counts, changed: HashSet::new() })
    }

    /// Counts a mail. Whether its sender writes far too much.
    pub(super) fn count(&mut self, cx: &Cx<'_>, here: &Circumstances, read: &Read<'_>) -> bool {
        if here.role != FolderRole::Inbox || read.sender.is_empty() || read.arrival.is_history {
            return false;
        }
        let came = read.arrival.internal_date.unwrap_or(cx.now).min(cx.now);
        let burst = self.counts.entry(read.sender.clone()).or_insert_with(|| Burst {
            email_folded: read.sender.clone(),
            since: came,
            mails: 0,
        });
        if came < burst.since || came >= burst.since.plus(WINDOW) {
            burst.since = came;
            burst.mails = 0;
        }
        burst.mails = burst.mails.saturating_add(1);
        self.changed.insert(read.sender.clone());
        burst.mails > CALM
    }

    /// Writes what was counted.
    pub(super) fn write(&self, cx: &mut Cx<'_>) -> Result<(), Error> {
        // In the order of addresses, so that two transactions never wait for one another.
        let changed: Vec<Burst> = self
            .counts
            .values()
            .filter(|burst| self.changed.contains(&burst.email_folded))
            .cloned()
            .collect();
        Ok(store::bursts::set(cx.conn, &changed)?)
    }
}

/// Forgets counts that are too old to count. For the house-keeper.
pub fn expire(cx: &mut Cx<'_>) -> Result<(), Error> {
    Ok(store::bursts::delete_before(cx.conn, cx.now.minus(WINDOW))?)
}
