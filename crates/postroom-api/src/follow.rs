//! Following the event log for one caller: by long poll and by stream alike.

use crate::extract::Caller;
use crate::problem::Problem;
use crate::state::Api;
use actix_web::web::Data;
use postroom_core::Error;
use postroom_core::operations::events::{self, Feed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Looks anew at least this often: another daemon on the same database wakes nobody here, and a token
/// that was revoked there must end what it had begun.
const LOOK: Duration = Duration::from_secs(5);

/// Where somebody stands in the event log.
pub struct Follower {
    api: Data<Api>,
    caller: Caller,
    kinds: Arc<[String]>,
    /// `None`: before the oldest event that is kept.
    after: Option<i64>,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

impl Follower {
    /// Begins behind `after`. `kinds` are as [`events::feed`] takes them.
    pub fn new(api: &Data<Api>, caller: Caller, kinds: Vec<String>, after: Option<i64>) -> Self {
        Self {
            caller,
            kinds: kinds.into(),
            after,
            // Subscribed before the first look, so that nothing falls between look and wait.
            changes: api.desk.changes(),
            stopping: api.stopping.clone(),
            api: api.clone(),
        }
    }

    /// What comes next, `limit` events at the most. It is empty if nothing came until `deadline`, or the
    /// daemon stops. What a caller may see is what they may see now.
    pub async fn next(&mut self, limit: u16, deadline: Instant) -> Result<Feed, Problem> {
        loop {
            self.changes.mark_unchanged();
            let feed = self.look(limit).await?;
            self.after = Some(feed.next_after);
            if !feed.events.is_empty() || feed.has_more || !self.wait(deadline).await {
                return Ok(feed);
            }
            // A token may have been revoked, a grant taken away, while the caller waited.
            self.renew().await?;
        }
    }

    /// Makes sure that the caller may still follow, and as who.
    pub async fn renew(&mut self) -> Result<(), Problem> {
        self.caller = Caller(crate::routing::renewed(&self.api, &self.caller).await?);
        Ok(())
    }

    /// The daemon stops.
    pub fn is_over(&self) -> bool {
        *self.stopping.borrow()
    }

    async fn look(&self, limit: u16) -> Result<Feed, Problem> {
        let (kinds, after) = (Arc::clone(&self.kinds), self.after);
        let found = self.api.desk.read(&self.caller, move |cx| {
            match events::feed(cx, after.unwrap_or(0), &kinds, limit) {
                Err(Error::Expired { floor }) if after.is_none() => events::feed(cx, floor, &kinds, limit),
                found => found,
            }
        });
        Ok(found.await?)
    }

    /// Until there may be something new. `false`: there is no time left.
    async fn wait(&mut self, deadline: Instant) -> bool {
        let look = Instant::now() + LOOK;
        tokio::select! {
            // The desk outlives its API, so its channel stays open.
            _ = self.changes.changed() => true,
            () = sleep_until(look.min(deadline)) => look < deadline,
            _ = self.stopping.wait_for(|stops| *stops) => false,
        }
    }
}
