//! A job: work that goes on after its request was answered, piece by piece, and whose state is in the store.

use crate::conversation::{Priority, Status};
use crate::id::{AgentId, CategoryId, ConversationId, JobId, TeamId, TokenId};
use crate::store::schema::{job_items, jobs};
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::{Insertable, Queryable, Selectable};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A job that came to its end is kept so long.
pub const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

words! {
    /// What a job does.
    pub enum JobKind {
        /// It changes many conversations.
        ConversationsBulk = "conversations.bulk",
    }

    /// How far a job is.
    pub enum JobStatus {
        /// It has not begun.
        Queued = "queued",
        /// It is at work.
        Running = "running",
        /// It has been through all there was; what of it was refused, its items say.
        Completed = "completed",
        /// It was broken off by the desk: `reason` says why.
        Failed = "failed",
        /// Somebody broke it off.
        Cancelled = "cancelled",
    }

    /// What came of one conversation.
    pub enum JobItemState {
        /// Its turn has not come; after the job's end: it never did.
        Waiting = "waiting",
        /// It was changed, or would be.
        Changed = "changed",
        /// It was so already, or would stay so.
        Unchanged = "unchanged",
        /// It was refused.
        Failed = "failed",
    }
}

impl JobStatus {
    /// Whether nothing more comes of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What is to be done to each conversation; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkPatch {
    /// Where it stands; not snoozed.
    pub status: Option<Status>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Who takes care of it; `Some(None)` is nobody.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<Option<AgentId>>,
    /// Which team does; `Some(None)` is none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub team_id: Option<Option<TeamId>>,
    /// What kind of matter it is; `Some(None)` is none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub category_id: Option<Option<CategoryId>>,
    /// Tags to be added, by name.
    pub add_tags: Vec<String>,
    /// Tags to be removed, by name.
    pub remove_tags: Vec<String>,
    /// Custom fields; `null` takes a value away.
    #[serde(default)]
    pub custom_fields: BTreeMap<String, Value>,
    /// Into the trash, or out of it.
    pub trash: Option<bool>,
    /// Deleted for good; nothing else then.
    pub purge: bool,
}

/// What a job has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkTask {
    /// Which conversations, as a query; `None`: they were named.
    pub query: Option<String>,
    /// What is done to each.
    pub patch: BulkPatch,
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub struct Job {
    /// Its place in the list.
    pub number: i64,
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub status: JobStatus,
    /// By which token it was begun: it works in its name.
    pub token_id: TokenId,
    /// By which agent, if one.
    pub agent_id: Option<AgentId>,
    /// By what name people know who began it.
    pub actor_name: String,
    /// What it has to do.
    pub task: Json<BulkTask>,
    /// It says what would be done, and does nothing.
    pub dry_run: bool,
    /// What it works on is still being looked up.
    pub selecting: bool,
    /// The last conversation that was looked up.
    pub selected_up_to: Option<ConversationId>,
    /// How many conversations it works on, as far as they are looked up.
    pub total: i64,
    /// How many were not refused.
    pub succeeded: i64,
    /// How many of those were changed, or would be.
    pub changed: i64,
    /// How many were refused.
    pub failed: i64,
    /// Why it was broken off.
    pub reason: Option<String>,
    /// Counts changes.
    pub version: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

impl Job {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("{}-{}", self.id, self.version)
    }
}

/// One conversation of a job.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = job_items)]
pub struct JobItem {
    /// Its place.
    pub id: i64,
    /// Of which job.
    pub job_id: JobId,
    /// Which conversation.
    pub conversation_id: ConversationId,
    /// What came of it.
    pub state: JobItemState,
    /// Why it was refused: a word of the contract.
    pub code: Option<String>,
    /// Why, in a sentence.
    pub detail: Option<String>,
}

/// A conversation that a job is to work on.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = job_items)]
pub struct NewJobItem {
    /// Of which job.
    pub job_id: JobId,
    /// Which one.
    pub conversation_id: ConversationId,
    /// Waiting.
    pub state: JobItemState,
}

/// A member that may be null, and that is left out where it stays.
#[expect(clippy::option_option, reason = "three states, as changes have them")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_was_written() {
        let patch = BulkPatch {
            status: Some(Status::Closed),
            assignee_id: Some(None),
            team_id: Some(Some(TeamId(3))),
            add_tags: vec!["a".to_owned()],
            trash: Some(false),
            ..BulkPatch::default()
        };
        let task = BulkTask { query: Some("is:open".to_owned()), patch };
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<BulkTask>(&text).unwrap(), task, "{text}");
        assert!(!text.contains("category_id"), "{text}");
    }
}
