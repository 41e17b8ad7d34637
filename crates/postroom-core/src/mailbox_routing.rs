//! Whose the conversations of a mailbox are from the start.

use crate::id::{MailboxId, TeamId};
use crate::store::schema::mailbox_routings;
use crate::time::Timestamp;
use diesel::prelude::*;

/// Whose the conversations of a mailbox are from the start.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = mailbox_routings, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MailboxRouting {
    /// Which mailbox.
    pub mailbox_id: MailboxId,
    /// The team that gets what begins there; `None`: no team does.
    pub team_id: Option<TeamId>,
    /// Counts changes; 0: nobody has changed it.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl MailboxRouting {
    /// How it is before anybody has changed it.
    pub fn unchanged(mailbox_id: MailboxId) -> Self {
        Self { mailbox_id, team_id: None, version: 0, updated_at: Timestamp(0) }
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("br{}-{}", self.mailbox_id, self.version)
    }
}
