//! Jobs and what they work on.

use crate::id::{AgentId, ConversationId, JobId, TokenId};
use crate::job::{BulkTask, Job, JobItem, JobItemState, JobKind, JobStatus, NewJobItem};
use crate::page::{Page, PageRequest, Position};
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{job_items, jobs};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;

/// Rows of one statement.
const ROWS_AT_ONCE: usize = 1_000;

/// A job to be made.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = jobs, treat_none_as_default_value = false)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Queued.
    pub status: JobStatus,
    /// By which token.
    pub token_id: TokenId,
    /// By which agent.
    pub agent_id: Option<AgentId>,
    /// By what name.
    pub actor_name: String,
    /// What it has to do.
    pub task: Json<BulkTask>,
    /// It only says what would be done.
    pub dry_run: bool,
    /// What it works on has to be looked up.
    pub selecting: bool,
    /// How many, as far as that is known.
    pub total: i64,
    /// None.
    pub succeeded: i64,
    /// None.
    pub changed: i64,
    /// None.
    pub failed: i64,
    /// 1.
    pub version: i64,
    /// Now.
    pub created_at: Timestamp,
}

/// Whose jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    All,
    /// What this agent began, by whichever token.
    Agent(AgentId),
    /// What this token began, which speaks for nobody.
    Token(TokenId),
}

/// Makes one.
pub fn insert(conn: &mut Conn, new: &NewJob) -> Result<Job, StoreError> {
    Ok(diesel::insert_into(jobs::table).values(new).returning(returning::<Job>()).get_result(conn)?)
}

fn of(whose: &Whose) -> jobs::BoxedQuery<'static, MultiBackend> {
    let query = jobs::table.into_boxed();
    match whose {
        Whose::All => query,
        Whose::Agent(id) => query.filter(jobs::agent_id.eq(*id)),
        Whose::Token(id) => query.filter(jobs::agent_id.is_null()).filter(jobs::token_id.eq(id.clone())),
    }
}

/// One job.
pub fn find(conn: &mut Conn, whose: &Whose, id: &JobId) -> Result<Option<Job>, StoreError> {
    Ok(of(whose).filter(jobs::id.eq(id)).select(Job::as_select()).first(conn).optional()?)
}

/// One page of jobs, newest first.
pub fn list(
    conn: &mut Conn,
    whose: &Whose,
    statuses: &[JobStatus],
    page: PageRequest,
) -> Result<Page<Job>, StoreError> {
    let matching = || {
        let query = of(whose);
        if statuses.is_empty() { query } else { query.filter(jobs::status.eq_any(statuses.to_vec())) }
    };
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    let mut query = matching();
    if let Some(after) = page.after {
        query = query.filter(jobs::number.lt(after.id));
    }
    let rows = query.order(jobs::number.desc()).limit(page.fetch()).select(Job::as_select()).load(conn)?;
    Ok(Page { total, ..Page::cut(rows, page, |row: &Job| Position { key: row.number, id: row.number }) })
}

/// The jobs there is something to do for, oldest first.
pub fn open(conn: &mut Conn) -> Result<Vec<Job>, StoreError> {
    Ok(jobs::table
        .filter(jobs::status.eq_any([JobStatus::Queued, JobStatus::Running]))
        .order(jobs::number.asc())
        .limit(100)
        .select(Job::as_select())
        .load(conn)?)
}

/// Writes a job over what it was, one version on. `None`: somebody else changed it first.
pub fn update(conn: &mut Conn, before: &Job, after: &Job) -> Result<Option<Job>, StoreError> {
    let same = jobs::table.find(before.number).filter(jobs::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            jobs::status.eq(after.status),
            jobs::selecting.eq(after.selecting),
            jobs::selected_up_to.eq(after.selected_up_to),
            jobs::total.eq(after.total),
            jobs::succeeded.eq(after.succeeded),
            jobs::changed.eq(after.changed),
            jobs::failed.eq(after.failed),
            jobs::reason.eq(&after.reason),
            jobs::version.eq(before.version + 1),
            jobs::started_at.eq(after.started_at),
            jobs::finished_at.eq(after.finished_at),
        ))
        .returning(returning::<Job>())
        .get_result(conn)
        .optional()?)
}

/// Notes what a job is to work on, in this order.
pub fn insert_items(conn: &mut Conn, id: &JobId, all: &[ConversationId]) -> Result<(), StoreError> {
    let new = |conversation_id: &ConversationId| NewJobItem {
        job_id: id.clone(),
        conversation_id: *conversation_id,
        state: JobItemState::Waiting,
    };
    for rows in all.chunks(ROWS_AT_ONCE) {
        let rows: Vec<NewJobItem> = rows.iter().map(new).collect();
        each_backend!(conn => diesel::insert_into(job_items::table).values(rows).execute(conn))?;
    }
    Ok(())
}

/// What a job has to do next.
pub fn waiting(conn: &mut Conn, id: &JobId, limit: i64) -> Result<Vec<JobItem>, StoreError> {
    Ok(job_items::table
        .filter(job_items::job_id.eq(id))
        .filter(job_items::state.eq(JobItemState::Waiting))
        .order(job_items::id.asc())
        .limit(limit)
        .select(JobItem::as_select())
        .load(conn)?)
}

/// Notes what came of one. `false`: it was noted before.
pub fn settle(conn: &mut Conn, item: &JobItem) -> Result<bool, StoreError> {
    let waiting = job_items::table.find(item.id).filter(job_items::state.eq(JobItemState::Waiting));
    let rows = diesel::update(waiting)
        .set((
            job_items::state.eq(item.state),
            job_items::code.eq(&item.code),
            job_items::detail.eq(&item.detail),
        ))
        .execute(conn)?;
    Ok(rows == 1)
}

/// One page of what a job works on, in its order.
pub fn items(
    conn: &mut Conn,
    id: &JobId,
    states: &[JobItemState],
    page: PageRequest,
) -> Result<Page<JobItem>, StoreError> {
    let matching = || {
        let query = job_items::table.into_boxed::<MultiBackend>().filter(job_items::job_id.eq(id.clone()));
        if states.is_empty() { query } else { query.filter(job_items::state.eq_any(states.to_vec())) }
    };
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    let mut query = matching();
    if let Some(after) = page.after {
        query = query.filter(job_items::id.gt(after.id));
    }
    let rows =
        query.order(job_items::id.asc()).limit(page.fetch()).select(JobItem::as_select()).load(conn)?;
    Ok(Page { total, ..Page::cut(rows, page, |row: &JobItem| Position { key: row.id, id: row.id }) })
}

/// Forgets what came to its end before this moment. Returns how many jobs.
pub fn delete_before(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(jobs::table.filter(jobs::finished_at.lt(before))).execute(conn)?)
}
