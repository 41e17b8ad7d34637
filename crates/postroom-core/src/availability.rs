//! Whether agents take work: what they say themselves, their hours, and when they are absent.

use crate::id::{AbsenceId, AgentId, ScheduleId};
use crate::store::schema::{absences, availabilities};
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;

/// The most conversations that an agent may be limited to.
pub const OPEN_LIMIT: i32 = 10_000;
/// The longest note of an absence, in characters.
pub const NOTE_CHARS: usize = 200;
/// Absences of one agent that are not over.
pub const ABSENCES: usize = 100;

words! {
    /// What an agent says of themselves.
    pub enum AvailabilityState {
        /// They take work.
        Online = "online",
        /// They keep what they have and get nothing new.
        Away = "away",
        /// They get nothing new, and what is open goes back to its team.
        AwayReassign = "away_reassign",
    }

    /// Why an agent gets no work just now.
    pub enum Unavailable {
        /// They have stopped.
        Disabled = "disabled",
        /// They said so.
        Away = "away",
        /// They are absent.
        Absent = "absent",
        /// It is not their time.
        OutOfHours = "out_of_hours",
    }
}

/// Whether an agent takes work, as far as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = availabilities, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Availability {
    /// Whose.
    pub agent_id: AgentId,
    /// What they say.
    pub state: AvailabilityState,
    /// Until when that holds; then they are online again. `None`: until they say otherwise.
    pub until: Option<Timestamp>,
    /// Their hours; `None`: at any time.
    pub schedule_id: Option<ScheduleId>,
    /// Open conversations that they have at the most before they get no more; `None`: what their team says.
    pub open_limit: Option<i32>,
    /// Counts changes; 0: nobody has said anything.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Availability {
    /// How it is before anybody has said anything.
    pub fn unchanged(agent_id: AgentId) -> Self {
        Self {
            agent_id,
            state: AvailabilityState::Online,
            until: None,
            schedule_id: None,
            open_limit: None,
            version: 0,
            updated_at: Timestamp(0),
        }
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("av{}-{}", self.agent_id, self.version)
    }

    /// What holds at a moment.
    pub fn state_at(&self, now: Timestamp) -> AvailabilityState {
        if self.until.is_some_and(|until| until <= now) { AvailabilityState::Online } else { self.state }
    }
}

/// A time in which an agent is not there.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = absences)]
pub struct Absence {
    /// Its number.
    pub id: AbsenceId,
    /// Whose.
    pub agent_id: AgentId,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// What is open of theirs goes back to its team meanwhile.
    pub reassign: bool,
    /// What for.
    pub note: Option<String>,
    /// When it was entered.
    pub created_at: Timestamp,
}
