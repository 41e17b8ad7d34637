//! Does jobs: a piece of each in turn, in the name of whoever began it and by what they may do now. Each piece is
//! one transaction, so that a daemon that dies leaves a job between two of them.

use super::keep_at_it;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::{JobId, TokenId};
use postroom_core::operations::jobs::{self, Next};
use postroom_core::operations::tokens::AuthError;
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

/// Until there is nothing more to do, or all that there is fails.
async fn once(desk: Desk, stopping: watch::Receiver<bool>) -> Result<Duration, Error> {
    loop {
        let open = desk.read(&Actor::system(), jobs::open).await?;
        let (mut failed, count) = (0, open.len());
        for job in open {
            if *stopping.borrow() {
                return Ok(LOOK);
            }
            if let Err(error) = piece(&desk, job.id.clone(), job.token_id).await {
                tracing::error!(job = %job.id, error = ?error, "a job can't go on");
                failed += 1;
            }
        }
        if failed == count {
            return Ok(if count == 0 { LOOK } else { AGAIN });
        }
    }
}

async fn piece(desk: &Desk, id: JobId, token: TokenId) -> Result<(), Error> {
    let told = match desk.bearer_of(token).await {
        Ok(actor) => {
            let this = id.clone();
            match desk.write(&actor, move |cx| jobs::step(cx, &this)).await? {
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
