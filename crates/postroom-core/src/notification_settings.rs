//! What an agent wants to be notified of, and how.

use crate::id::AgentId;
use crate::notification::NotificationReason;
use crate::store::schema::notification_settings;
use crate::store::types::Json;
use crate::time::Timestamp;
use diesel::prelude::*;

/// The most notifications that one agent gets by mail in an hour; the others stand in their feed alone.
pub const MAILS_AN_HOUR: i64 = 60;

/// What an agent wants to be notified of, and how.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = notification_settings, treat_none_as_default_value = false)]
pub struct NotificationSettings {
    /// Whose.
    pub agent_id: AgentId,
    /// Of what they want to hear nothing.
    pub muted: Json<Vec<NotificationReason>>,
    /// Of what they want to hear by mail, too.
    pub mailed: Json<Vec<NotificationReason>>,
    /// Counts changes; 0: nobody has said anything.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl NotificationSettings {
    /// How it is before anybody has said anything: all but what comes for a whole team, and nothing by mail.
    pub fn unchanged(agent_id: AgentId) -> Self {
        Self {
            agent_id,
            muted: Json::new(vec![NotificationReason::TeamReceived]),
            mailed: Json::new(Vec::new()),
            version: 0,
            updated_at: Timestamp(0),
        }
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("ns{}-{}", self.agent_id, self.version)
    }
}
