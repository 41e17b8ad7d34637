//! Does jobs: a piece of each in turn, in the name of whoever began it and by what they may do now. Each piece is
//! one transaction, so that a daemon that dies leaves a job between two of them.

use super::keep_at_it;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::cx::Cx;
use postroom_core::desk::Desk;
use postroom_core::id::{JobId, TokenId};
use postroom_core::operations::jobs::{self, Next};
use postroom_core::operations::tokens::AuthError;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::watch;

/// Looks for jobs at least this often: another daemon on the same database wakes nobody here.
const LOOK: Duration = Duration::from_secs(30);
/// The pause after a piece that failed.
const AGAIN: Duration = Duration::from_secs(2);

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    keep_at_it(desk, stopping, LOOK, "jobs can't be looked through", once).await;
}

/// Until there is nothing more to do but what has failed, which is not tried again before a pause.
async fn once(desk: Desk, stopping: watch::Receiver<bool>) -> Result<Duration, Error> {
    let mut failed = HashSet::new();
    loop {
        let mut open = desk.read(&Actor::system(), jobs::open).await?;
        open.retain(|job| !failed.contains(&job.id));
        if open.is_empty() {
            return Ok(if failed.is_empty() { LOOK } else { AGAIN });
        }
        for job in open {
            if *stopping.borrow() {
                return Ok(LOOK);
            }
            if let Err(error) = piece(&desk, job.id.clone(), job.token_id).await {
                tracing::error!(job = %job.id, error = ?error, "a job can't go on");
                failed.insert(job.id);
            }
        }
    }
}

async fn piece(desk: &Desk, id: JobId, token: TokenId) -> Result<(), Error> {
    let told = match desk.bearer_of(token).await {
        Ok(actor) => {
            let this = id.clone();
            let step = move |cx: &mut Cx<'_>| {
                let next = jobs::step(cx, &this)?;
                die_at("in-piece");
                Ok(next)
            };
            let next = desk.write(&actor, step).await?;
            die_at("after-piece");
            match next {
                Next::Piece | Next::Nothing => return Ok(()),
                Next::End => return desk.write(&Actor::system(), move |cx| jobs::complete(cx, &id)).await,
                Next::Refusal => "its token may not change conversations any more",
            }
        }
        Err(AuthError::Store(error)) => return Err(error),
        Err(AuthError::Unknown) => "its token was revoked, or its agent has stopped",
        Err(AuthError::Expired) => "its token has expired",
    };
    desk.write(&Actor::system(), move |cx| jobs::refuse(cx, &id, told)).await
}

#[cfg(feature = "chaos")]
use crate::chaos::die_at;

/// The fault switches are no part of what is built for use.
#[cfg(not(feature = "chaos"))]
fn die_at(_: &str) {}
