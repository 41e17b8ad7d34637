//! One piece of a job: a transaction in which some of it is looked up or done, and noted. Whoever comes second
//! finds it noted, so that a piece is done once however many daemons there are, and whenever one dies.

use crate::access::Scope;
use crate::conversation::{ConversationFilter, ConversationSort};
use crate::cx::Cx;
use crate::id::{ConversationId, JobId};
use crate::job::{Job, JobItem, JobItemState, JobStatus};
use crate::operations::{conversations, overtaken};
use crate::page::{PageRequest, Position};
use crate::query;
use crate::store::jobs::Whose;
use crate::time::Timestamp;
use crate::{Error, store};

/// Conversations that are looked up in one piece.
const LOOKED_UP: u16 = 500;
/// Conversations that are worked on in one piece: others wait no longer than that.
const WORKED_ON: i64 = 20;

/// Faults of one refusal that are told.
const TOLD: usize = 10;

/// What comes after a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another piece.
    Piece,
    /// Its end, in the desk's own name: [`super::complete`].
    End,
    /// Its end, since its token may not do this: [`super::refuse`].
    Refusal,
    /// Nothing: it has come to its end.
    Nothing,
}

/// Does the next piece of a job in its caller's name.
pub fn step(cx: &mut Cx<'_>, id: &JobId) -> Result<Next, Error> {
    let found = store::jobs::find(cx.conn, &Whose::All, id)?;
    let Some(before) = found.filter(|job| !job.status.is_over()) else { return Ok(Next::Nothing) };
    if !cx.access().has(Scope::ConversationsWrite) {
        return Ok(Next::Refusal);
    }
    let begun =
        Job { status: JobStatus::Running, started_at: before.started_at.or(Some(cx.now)), ..before.clone() };
    // First of all, for it holds the row: another daemon that is at the same waits, and finds it moved on.
    let job = store::jobs::update(cx.conn, &before, &begun)?.ok_or_else(overtaken)?;
    if job.selecting {
        return look_up(cx, &job).map(|()| Next::Piece);
    }
    let waiting = store::jobs::waiting(cx.conn, id, WORKED_ON)?;
    if waiting.is_empty() {
        return Ok(Next::End);
    }
    let mut after = job.clone();
    for item in waiting {
        let state = work_on(cx, &job, item)?;
        match state {
            JobItemState::Failed => after.failed += 1,
            state => {
                after.succeeded += 1;
                after.changed += i64::from(state == JobItemState::Changed);
            }
        }
    }
    store::jobs::update(cx.conn, &job, &after)?.ok_or_else(overtaken)?;
    Ok(Next::Piece)
}

/// Notes the next conversations that the query finds.
fn look_up(cx: &mut Cx<'_>, job: &Job) -> Result<(), Error> {
    let text = job.task.query.clone().unwrap_or_default();
    let found = look(cx, &text, job.selected_up_to, job.created_at, LOOKED_UP)?;
    store::jobs::insert_items(cx.conn, &job.id, &found)?;
    let after = Job {
        selecting: found.len() == usize::from(LOOKED_UP),
        selected_up_to: found.last().copied().or(job.selected_up_to),
        total: job.total + found.len() as i64,
        ..job.clone()
    };
    store::jobs::update(cx.conn, job, &after)?.map(drop).ok_or_else(overtaken)
}

/// What a query finds of what the caller may see, newest first, before `before`. Times in it that are told from
/// now are told from `asked_at`.
pub(super) fn look(
    cx: &mut Cx<'_>,
    text: &str,
    before: Option<ConversationId>,
    asked_at: Timestamp,
    limit: u16,
) -> Result<Vec<ConversationId>, Error> {
    let query = query::parse(text)?.asked_at(asked_at);
    let filter = ConversationFilter { query, ..ConversationFilter::default() };
    let after = before.map(|id| Position { key: id.0, id: id.0 });
    let page = PageRequest { limit, after, count: false };
    let found = conversations::list(cx, &filter, ConversationSort::IdDescending, page)?;
    Ok(found.items.into_iter().map(|card| card.conversation.id).collect())
}

/// Changes one conversation, or says what would change, and notes what came of it.
fn work_on(cx: &mut Cx<'_>, job: &Job, item: JobItem) -> Result<JobItemState, Error> {
    let (id, patch) = (item.conversation_id, &job.task.patch);
    let done = if job.dry_run {
        let (done, told) = cx.rehearse(|cx| conversations::apply(cx, id, patch))?;
        done.map(|()| !told.is_empty())
    } else {
        let before = cx.events.len();
        cx.attempt(|cx| conversations::apply(cx, id, patch))?.map(|()| cx.events.len() > before)
    };
    let item = match done {
        Ok(true) => JobItem { state: JobItemState::Changed, ..item },
        Ok(false) => JobItem { state: JobItemState::Unchanged, ..item },
        Err(error) => JobItem {
            state: JobItemState::Failed,
            code: error.refusal().map(str::to_owned),
            detail: Some(told(&error)),
            ..item
        },
    };
    if !store::jobs::settle(cx.conn, &item)? {
        return Err(overtaken());
    }
    Ok(item.state)
}

/// A refusal in a sentence, with its first faults where it has any.
fn told(error: &Error) -> String {
    match error {
        Error::Invalid(faults) => {
            let each = faults.iter().take(TOLD).map(|fault| format!("{}: {}", fault.pointer, fault.detail));
            each.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}
