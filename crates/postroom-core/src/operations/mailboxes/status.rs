//! How mailboxes are doing, and the wish to be polled now.

use super::{find, visible};
use crate::access::Scope;
use crate::authorization::LoginRefusal;
use crate::cx::Cx;
use crate::id::MailboxId;
use crate::mailbox::{End, Mailbox, MailboxState, MailboxStatus, Source, Tally};
use crate::operations::authorizations;
use crate::store::mailboxes::PollState;
use crate::{Error, store};

/// How a mailbox is doing.
pub fn status(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxStatus, Error> {
    let mailbox = find(cx, id)?;
    let state = store::mailboxes::state(cx.conn, id)?.ok_or(Error::NotFound("mailbox"))?;
    let waiting = store::pending::waiting(cx.conn, id)?;
    let needed = authorizations::what_is_needed(cx, &mailbox)?;
    let refusals: Vec<LoginRefusal> =
        store::authorizations::refusals(cx.conn, id)?.into_iter().map(LoginRefusal::from).collect();
    let kept_from_sending = refusals.iter().find(|refusal| refusal.end == End::Delivery);
    let why = kept_from_sending.map(|refusal| format!("its answers wait: {}", refusal.error));
    Ok(MailboxStatus {
        state: word(&mailbox, &state, needed.is_some(), waiting.retried > 0 || why.is_some()),
        last_success_at: state.last_success_at,
        last_attempt_at: state.last_attempt_at,
        last_error: state.last_error.or(needed).or(why).or(waiting.last_error),
        refusals,
        failing_since: state.failing_since,
        retry_at: state.retry_at,
        syncing: state.sync_requested_at.is_some(),
        pending: waiting.all,
        retrying: waiting.retried,
        next_try_at: waiting.next_try_at,
        accepted: state.accepted,
        duplicates: state.duplicates,
        failed: state.failed,
        reconciled_at: state.reconciled_at,
        missing: state.missing,
        folders: store::mailboxes::folders(cx.conn, id)?,
    })
}

/// Whether the polls of a mailbox fail: then nobody else need log in there.
pub fn is_failing(cx: &mut Cx<'_>, id: MailboxId) -> Result<bool, Error> {
    Ok(store::mailboxes::state(cx.conn, id)?.is_some_and(|state| state.trouble.is_some()))
}

fn word(mailbox: &Mailbox, state: &PollState, needs_somebody: bool, is_stuck: bool) -> MailboxState {
    if mailbox.paused {
        MailboxState::Paused
    } else if needs_somebody {
        MailboxState::NeedsAuthorization
    } else if state.failing_since.is_some() {
        MailboxState::Failing
    } else if state.last_error.is_some() || is_stuck {
        MailboxState::Degraded
    } else if state.last_success_at.is_none() && !matches!(mailbox.source, Source::Push {}) {
        MailboxState::New
    } else {
        MailboxState::Ok
    }
}

/// How many mailboxes are doing how: no names, since anybody may ask.
pub fn tally(cx: &mut Cx<'_>) -> Result<Tally, Error> {
    let states = store::mailboxes::states(cx.conn)?;
    let stuck = store::pending::stuck(cx.conn)?;
    let mut tally = Tally::default();
    let needy = authorizations::needy(cx)?;
    for mailbox in store::mailboxes::list(cx.conn)? {
        let Some(state) = states.iter().find(|state| state.mailbox_id == mailbox.id) else { continue };
        let needs_somebody = needy.needs(&mailbox);
        let is_stuck = stuck.contains(&mailbox.id) || needy.is_kept_from_sending(&mailbox);
        *match word(&mailbox, state, needs_somebody, is_stuck) {
            MailboxState::New => &mut tally.new,
            MailboxState::Ok => &mut tally.ok,
            MailboxState::Degraded => &mut tally.degraded,
            MailboxState::Failing => &mut tally.failing,
            MailboxState::NeedsAuthorization => &mut tally.needs_authorization,
            MailboxState::Paused => &mut tally.paused,
        } += 1;
    }
    Ok(tally)
}

/// Asks for a poll now, and has a login tried that was refused where mail leaves. The status says when the
/// poll is through.
pub fn request_sync(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxStatus, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let mailbox = visible(cx, id)?;
    if mailbox.paused {
        return Err(Error::StateConflict(
            "this mailbox is at rest; wake it with {\"paused\": false}".to_owned(),
        ));
    }
    let is_tried = store::authorizations::try_at_once(cx.conn, id, End::Delivery, cx.now)?;
    if !matches!(mailbox.source, Source::Push {}) {
        store::mailboxes::request_sync(cx.conn, id, cx.now)?;
    } else if !is_tried {
        return Err(Error::StateConflict(
            "mail is pushed into this mailbox; there is nothing to poll".to_owned(),
        ));
    }
    cx.wake();
    status(cx, id)
}
