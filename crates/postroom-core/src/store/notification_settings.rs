//! What agents want to be notified of.

use crate::id::AgentId;
use crate::notification_settings::NotificationSettings;
use crate::store::conn::Conn;
use crate::store::schema::notification_settings;
use crate::store::{StoreError, put_one};
use diesel::prelude::*;
use std::collections::HashMap;

/// What these agents want; those who said nothing are left out.
pub fn of(conn: &mut Conn, ids: &[AgentId]) -> Result<HashMap<AgentId, NotificationSettings>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<NotificationSettings> = notification_settings::table
        .filter(notification_settings::agent_id.eq_any(ids))
        .select(NotificationSettings::as_select())
        .load(conn)?;
    Ok(found.into_iter().map(|one| (one.agent_id, one)).collect())
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(
    conn: &mut Conn,
    before: &NotificationSettings,
    after: &NotificationSettings,
) -> Result<bool, StoreError> {
    put_one!(conn, notification_settings, agent_id, before, after)
}
