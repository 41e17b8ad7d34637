//! Jobs: begun, looked at, broken off. What they do is done by a worker, a piece in each transaction.

use super::{conversations, overtaken};
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{ConversationId, JobId};
use crate::job::{BulkPatch, BulkTask, Job, JobItem, JobItemState, JobKind, JobStatus, KEPT_FOR};
use crate::page::{Page, PageRequest};
use crate::store::jobs::{NewJob, Whose};
use crate::store::types::Json;
use crate::{Error, store};

mod step;
pub use step::{Next, step};

/// The most conversations that are named.
pub const NAMED: usize = 100;
/// So many refusals are shown with a job.
const SHOWN: u16 = 20;

/// Which conversations a job works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// These.
    Ids(Vec<ConversationId>),
    /// What a query finds when the job begins, as far as its caller sees it.
    Query(String),
}

/// Changes of many conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Of which.
    pub select: Select,
    /// What changes.
    pub patch: BulkPatch,
    /// Say what would change, and change nothing.
    pub dry_run: bool,
}

/// A job with the first of its refusals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCard {
    /// The job.
    pub job: Job,
    /// What was refused.
    pub errors: Vec<JobItem>,
}

/// Begins to change many conversations. Where they are named each is looked at now, and again when its turn
/// comes: one that the caller may not change, and nothing is begun.
pub fn begin(cx: &mut Cx<'_>, bulk: &Bulk) -> Result<JobCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let Some(token_id) = cx.actor.token_id.clone() else {
        return Err(Error::Forbidden("a job works in the name of a token"));
    };
    if cx.actor.on_behalf_of.is_some() {
        // Later there is the token alone, which may do more than the two together.
        return Err(Error::Forbidden("a job can't be begun in somebody else's name"));
    }
    let mut faults = Faults::default();
    conversations::check_bulk(cx, &bulk.patch, &mut faults)?;
    let (query, named) = match &bulk.select {
        Select::Ids(ids) => {
            check_ids(cx, ids, &mut faults)?;
            (None, ids.clone())
        }
        Select::Query(text) => {
            if text.trim().is_empty() {
                faults.add("/select/q", "required", "must not be empty: it would be every conversation");
            }
            step::look(cx, text, None, cx.now, 1)?;
            (Some(text.clone()), Vec::new())
        }
    };
    faults.check()?;
    let new = NewJob {
        id: JobId::fresh(),
        kind: JobKind::ConversationsBulk,
        status: JobStatus::Queued,
        token_id,
        agent_id: cx.actor.agent_id,
        actor_name: cx.actor.name.clone(),
        dry_run: bulk.dry_run,
        selecting: query.is_some(),
        task: Json::new(BulkTask { query, patch: bulk.patch.clone() }),
        total: named.len() as i64,
        succeeded: 0,
        changed: 0,
        failed: 0,
        version: 1,
        created_at: cx.now,
    };
    let job = store::jobs::insert(cx.conn, &new)?;
    store::jobs::insert_items(cx.conn, &job.id, &named)?;
    cx.wake();
    Ok(JobCard { job, errors: Vec::new() })
}

fn check_ids(cx: &mut Cx<'_>, ids: &[ConversationId], faults: &mut Faults) -> Result<(), Error> {
    if ids.is_empty() {
        faults.add("/select/ids", "required", "has at least one member");
    }
    if ids.len() > NAMED {
        faults.add("/select/ids", "too_many", format!("has at most {NAMED} members; use q for more"));
        return Ok(());
    }
    let access = cx.access().clone();
    let seen = store::conversations::visible_of(cx.conn, &access, &ids.iter().copied().collect())?;
    let found = store::conversations::find_many(cx.conn, ids)?;
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("/select/ids/{index}");
        if ids[..index].contains(id) {
            faults.add(pointer, "duplicate", "is named twice");
        } else if let Some(conversation) = found.get(id).filter(|_| seen.contains(id)) {
            if conversations::require_reply(cx, conversation).is_err() {
                faults.add(pointer, "forbidden", "you may read this conversation, not change it");
            }
        } else {
            faults.add(pointer, "not_found", "there is no such conversation");
        }
    }
    Ok(())
}

/// Whose jobs the caller sees: their own, and who sees the whole desk and its set-up everybody's.
fn whose(cx: &Cx<'_>) -> Result<Whose, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    if cx.access().has(Scope::AdminRead) && cx.access().sees_all() {
        return Ok(Whose::All);
    }
    Ok(match (cx.actor.agent_id, &cx.actor.token_id) {
        (Some(agent), _) => Whose::Agent(agent),
        (None, Some(token)) => Whose::Token(token.clone()),
        (None, None) => Whose::All,
    })
}

fn visible(cx: &mut Cx<'_>, id: &JobId) -> Result<Job, Error> {
    let whose = whose(cx)?;
    store::jobs::find(cx.conn, &whose, id)?.ok_or(Error::NotFound("job"))
}

/// One page of the jobs that the caller may see, newest first.
pub fn list(cx: &mut Cx<'_>, statuses: &[JobStatus], page: PageRequest) -> Result<Page<Job>, Error> {
    let whose = whose(cx)?;
    Ok(store::jobs::list(cx.conn, &whose, statuses, page)?)
}

/// One job.
pub fn find(cx: &mut Cx<'_>, id: &JobId) -> Result<JobCard, Error> {
    let job = visible(cx, id)?;
    card(cx, job)
}

fn card(cx: &mut Cx<'_>, job: Job) -> Result<JobCard, Error> {
    let errors = match job.failed {
        0 => Vec::new(),
        _ => store::jobs::items(cx.conn, &job.id, &[JobItemState::Failed], PageRequest::first(SHOWN))?.items,
    };
    Ok(JobCard { job, errors })
}

/// One page of what a job works on, and what came of each.
pub fn items(
    cx: &mut Cx<'_>,
    id: &JobId,
    states: &[JobItemState],
    page: PageRequest,
) -> Result<Page<JobItem>, Error> {
    let job = visible(cx, id)?;
    Ok(store::jobs::items(cx.conn, &job.id, states, page)?)
}

/// Breaks a job off: what it has done stays. One that was broken off before stays as it is.
pub fn cancel(cx: &mut Cx<'_>, id: &JobId, expected: Option<&str>) -> Result<JobCard, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let before = visible(cx, id)?;
    super::require_version("job", expected, before.etag())?;
    let job = match before.status {
        JobStatus::Cancelled => before,
        status if status.is_over() => {
            return Err(Error::StateConflict("this job has come to its end already".to_owned()));
        }
        _ => end(cx, &before, JobStatus::Cancelled, None)?,
    };
    card(cx, job)
}

/// The jobs there is something to do for.
pub fn open(cx: &mut Cx<'_>) -> Result<Vec<Job>, Error> {
    Ok(store::jobs::open(cx.conn)?)
}

/// Ends a job that has been through all there was.
pub fn complete(cx: &mut Cx<'_>, id: &JobId) -> Result<(), Error> {
    end_open(cx, id, JobStatus::Completed, None)
}

/// Breaks off a job whose token opens nothing any more, or not this.
pub fn refuse(cx: &mut Cx<'_>, id: &JobId, reason: &str) -> Result<(), Error> {
    end_open(cx, id, JobStatus::Failed, Some(reason.to_owned()))
}

fn end_open(cx: &mut Cx<'_>, id: &JobId, status: JobStatus, reason: Option<String>) -> Result<(), Error> {
    match store::jobs::find(cx.conn, &Whose::All, id)? {
        Some(job) if !job.status.is_over() => end(cx, &job, status, reason).map(drop),
        _ => Ok(()),
    }
}

fn end(cx: &mut Cx<'_>, before: &Job, status: JobStatus, reason: Option<String>) -> Result<Job, Error> {
    let after = Job { status, reason, finished_at: Some(cx.now), ..before.clone() };
    let job = store::jobs::update(cx.conn, before, &after)?.ok_or_else(overtaken)?;
    cx.tell(
        NewEvent::new(EventType::JobFinished, About::default())
            .with("job_id", job.id.0.clone())
            .with("kind", job.kind.as_str())
            .with("status", job.status.as_str())
            .with("dry_run", job.dry_run)
            .with("total", job.total)
            .with("succeeded", job.succeeded)
            .with("changed", job.changed)
            .with("failed", job.failed),
    );
    Ok(job)
}

/// Forgets the jobs that came to their end a week ago. Returns how many.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    Ok(store::jobs::delete_before(cx.conn, cx.now.minus(KEPT_FOR))?)
}
