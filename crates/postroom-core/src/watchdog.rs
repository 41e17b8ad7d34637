//! Watchdogs: nothing waits for an answer longer than this.

use crate::error::Faults;
use crate::id::{AgentId, ConversationId, ScheduleId, WatchdogId};
use crate::query::{Query, QueryError};
use crate::store::schema::watchdogs;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::{Queryable, Selectable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most watchdogs of a desk.
pub const WATCHDOGS: usize = 100;
/// The longest name, in characters.
pub const NAME_CHARS: usize = 100;
/// The longest wait that is watched for and the latest step, in seconds: thirty days.
pub const LONGEST: i32 = 30 * 86_400;
/// The most steps.
pub const STEPS: usize = 10;
/// The most agents that one step tells.
pub const TOLD: usize = 50;
/// How far what waits is counted.
pub const COUNTED: usize = 1_000;

words! {
    /// How a watchdog is.
    pub enum WatchdogState {
        /// Nothing waits too long.
        Quiet = "quiet",
        /// Something does.
        Alarmed = "alarmed",
        /// Something does, and somebody has said that they know.
        Acknowledged = "acknowledged",
    }
}

/// Whom an alarm is told to by mail, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// Seconds after the alarm began, by the clock; 0 is at once. Each step is later than the one before it.
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub after_seconds: i32,
    /// These agents.
    #[serde(default)]
    pub agent_ids: Vec<AgentId>,
    /// All owners and admins.
    #[serde(default)]
    pub administrators: bool,
}

/// Somebody who sees to it that nothing waits too long.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = watchdogs)]
pub struct Watchdog {
    /// The number.
    pub id: WatchdogId,
    /// What people call it; unique.
    pub name: String,
    /// Of which conversations, in the words of `q`.
    pub query: String,
    /// Seconds that one of them may wait for an answer of ours.
    pub wait_seconds: i32,
    /// Only the time counts in which this schedule is open; `None`: all of it.
    pub schedule_id: Option<ScheduleId>,
    /// Who is told, and when.
    pub steps: Json<Vec<EscalationStep>>,
    /// It looks.
    pub enabled: bool,
    /// How it is.
    pub state: WatchdogState,
    /// Since when it is alarmed.
    pub alarmed_at: Option<Timestamp>,
    /// Who knows of it.
    pub acknowledged_by: Option<String>,
    /// How many steps were told.
    pub steps_told: i32,
    /// Counts what the worker and whoever acknowledges write.
    pub turn: i64,
    /// Counts changes of how it is set up.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last set up otherwise.
    pub updated_at: Timestamp,
}

/// How a watchdog is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What people call it.
    pub name: String,
    /// Of which conversations.
    pub query: String,
    /// How long one may wait.
    pub wait_seconds: i32,
    /// Only while this is open.
    pub schedule_id: Option<ScheduleId>,
    /// Who is told, and when.
    pub steps: Vec<EscalationStep>,
    /// It looks.
    pub enabled: bool,
}

/// What a watchdog sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overdue {
    /// So many wait too long, or more.
    pub count: usize,
    /// Just so many.
    pub is_exact: bool,
    /// The one that waits longest, and since when.
    pub oldest: Option<(ConversationId, Timestamp)>,
}

impl Watchdog {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("wd{}-{}", self.id, self.version)
    }

    /// What it asks; an error where that is no query any more.
    pub fn asks(&self) -> Result<Query, QueryError> {
        self.query.parse()
    }
}

impl Form {
    /// How it is set up now.
    pub fn of(watchdog: &Watchdog) -> Self {
        Self {
            name: watchdog.name.clone(),
            query: watchdog.query.clone(),
            wait_seconds: watchdog.wait_seconds,
            schedule_id: watchdog.schedule_id,
            steps: watchdog.steps.to_vec(),
            enabled: watchdog.enabled,
        }
    }

    /// Notes what is wrong with it, but for its query and whatever it names.
    pub fn check(&self, faults: &mut Faults) {
        faults.line("/name", &self.name, NAME_CHARS);
        if !(60..=LONGEST).contains(&self.wait_seconds) {
            faults.add("/wait_seconds", "out_of_range", format!("must be 60 to {LONGEST}"));
        }
        if self.steps.len() > STEPS {
            faults.add("/steps", "too_many", format!("has at most {STEPS} members"));
        }
        let mut before = -1;
        for (index, step) in self.steps.iter().take(STEPS).enumerate() {
            let at = format!("/steps/{index}");
            if !(0..=LONGEST).contains(&step.after_seconds) {
                faults.add(format!("{at}/after_seconds"), "out_of_range", format!("must be 0 to {LONGEST}"));
            } else if step.after_seconds <= before {
                faults.add(format!("{at}/after_seconds"), "too_early", "must be later than the step before");
            }
            before = step.after_seconds;
            if step.agent_ids.len() > TOLD {
                faults.add(format!("{at}/agent_ids"), "too_many", format!("has at most {TOLD} members"));
            } else if step.agent_ids.is_empty() && !step.administrators {
                faults.add(at, "required", "names nobody: give agent_ids, or administrators");
            }
        }
    }
}
