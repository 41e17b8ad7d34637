//! A job as callers see it.

use postroom_core::id::{AgentId, ConversationId, JobId};
use postroom_core::job::{Job, JobItem, JobItemState, JobKind, JobStatus};
use postroom_core::operations::jobs::JobCard;
use postroom_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Work that goes on after its request was answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job, example = json!({
    "id": "job_019aaaaa0000700080000000000000aa", "kind": "conversations.bulk", "status": "running", "dry_run": false,
    "total": 812, "succeeded": 400, "changed": 397, "failed": 1, "selecting": false, "reason": null,
    "errors": [{"conversation_id": 91, "code": "state_conflict", "detail": "this conversation is in the trash"}],
    "results_url": "/api/v1/jobs/job_019aaaaa0000700080000000000000aa/items", "agent_id": 7, "created_by": "Amy",
    "created_at": "2026-11-22T08:00:00.123456Z", "started_at": "2026-11-22T08:00:00.200000Z", "finished_at": null
}))]
pub struct JobView {
    /// Its name.
    id: JobId,
    /// What it does.
    kind: JobKind,
    /// How far it is.
    status: JobStatus,
    /// It says what would be done, and does nothing.
    dry_run: bool,
    /// How many conversations it works on; while `selecting`, as far as they are looked up.
    total: i64,
    /// How many were not refused.
    succeeded: i64,
    /// How many of those were changed, or with `dry_run` would be; the others were so already.
    changed: i64,
    /// How many were refused.
    failed: i64,
    /// What it works on is still being looked up.
    selecting: bool,
    /// Of a failed job: why it was broken off.
    reason: Option<String>,
    /// The first twenty that were refused. Left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<JobErrorView>>,
    /// Where all that it works on is listed, with what came of each.
    results_url: String,
    /// Which agent began it; `null`: a token that speaks for nobody.
    agent_id: Option<AgentId>,
    /// By what name people know who began it.
    created_by: String,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it began.
    started_at: Option<Timestamp>,
    /// When it came to its end. It is kept for seven days after that.
    finished_at: Option<Timestamp>,
}

/// A conversation that a job was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobError)]
pub struct JobErrorView {
    /// Which one.
    conversation_id: ConversationId,
    /// A word for programs, as problems have it.
    code: String,
    /// A sentence for people.
    detail: String,
}

/// One conversation of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobItem, example = json!({"conversation_id": 91, "state": "failed", "code": "state_conflict",
    "detail": "this conversation is in the trash"}))]
pub struct JobItemView {
    /// Which one.
    conversation_id: ConversationId,
    /// What came of it.
    state: JobItemState,
    /// Why it was refused: a word for programs, as problems have it.
    code: Option<String>,
    /// Why, in a sentence.
    detail: Option<String>,
}

impl JobView {
    /// As it stands in a list.
    pub fn listed(job: Job) -> Self {
        Self {
            results_url: format!("/api/v1/jobs/{}/items", job.id),
            id: job.id,
            kind: job.kind,
            status: job.status,
            dry_run: job.dry_run,
            total: job.total,
            succeeded: job.succeeded,
            changed: job.changed,
            failed: job.failed,
            selecting: job.selecting,
            reason: job.reason,
            errors: None,
            agent_id: job.agent_id,
            created_by: job.actor_name,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }

    /// As it is answered alone.
    pub fn alone(card: JobCard) -> Self {
        let error = |item: JobItem| JobErrorView {
            conversation_id: item.conversation_id,
            code: item.code.unwrap_or_default(),
            detail: item.detail.unwrap_or_default(),
        };
        Self { errors: Some(card.errors.into_iter().map(error).collect()), ..Self::listed(card.job) }
    }
}

impl From<JobItem> for JobItemView {
    fn from(item: JobItem) -> Self {
        Self {
            conversation_id: item.conversation_id,
            state: item.state,
            code: item.code,
            detail: item.detail,
        }
    }
}
