//! What agents want to be notified of, and how.

use super::tokens::require_whole_sight;
use super::{overtaken, require_version};
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::AgentId;
use crate::notification::NotificationReason;
use crate::notification_settings::NotificationSettings;
use crate::store::types::Json;
use crate::{Error, store};

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationSettingsChange {
    /// Of what they want to hear nothing.
    pub muted: Option<Vec<NotificationReason>>,
    /// Of what they want to hear by mail, too.
    pub mailed: Option<Vec<NotificationReason>>,
}

/// What an agent wants: their own to read, and of those who set the desk up.
pub fn find(cx: &mut Cx<'_>, id: AgentId) -> Result<NotificationSettings, Error> {
    require_own(cx, id, Scope::AdminRead)?;
    known(cx, id)
}

fn require_own(cx: &Cx<'_>, id: AgentId, others: Scope) -> Result<(), Error> {
    if cx.actor.agent_id == Some(id) {
        return cx.access().require(Scope::ConversationsRead);
    }
    cx.access().require(others)?;
    require_whole_sight(cx)
}

fn known(cx: &mut Cx<'_>, id: AgentId) -> Result<NotificationSettings, Error> {
    store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    let found = store::notification_settings::of(cx.conn, &[id])?.remove(&id);
    Ok(found.unwrap_or_else(|| NotificationSettings::unchanged(id)))
}

/// Changes it. What is in the feed already stays there.
pub fn update(
    cx: &mut Cx<'_>,
    id: AgentId,
    expected: Option<&str>,
    change: &NotificationSettingsChange,
) -> Result<NotificationSettings, Error> {
    require_own(cx, id, Scope::AdminWrite)?;
    let before = known(cx, id)?;
    require_version("notification settings", expected, before.etag())?;
    let list = |new: &Option<Vec<NotificationReason>>, old: &[NotificationReason]| {
        let mut all = new.clone().unwrap_or_else(|| old.to_vec());
        all.sort_unstable();
        all.dedup();
        all
    };
    let (muted, mailed) = (list(&change.muted, &before.muted), list(&change.mailed, &before.mailed));
    let mut faults = Faults::default();
    if let Some(both) = mailed.iter().find(|reason| muted.contains(reason)) {
        let detail = format!("{} is muted: what is not in the feed goes by no mail either", both.as_str());
        faults.add(if change.mailed.is_some() { "/mailed" } else { "/muted" }, "not_allowed", detail);
    }
    faults.check()?;
    let mut changes = Changes::default();
    changes.note("muted", &before.muted.to_vec(), &muted);
    changes.note("mailed", &before.mailed.to_vec(), &mailed);
    if changes.is_empty() {
        return Ok(before);
    }
    let after = NotificationSettings {
        muted: Json::new(muted),
        mailed: Json::new(mailed),
        version: before.version + 1,
        updated_at: cx.now,
        ..before.clone()
    };
    if !store::notification_settings::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    let event = NewEvent::new(EventType::AgentUpdated, About::default()).with("agent_id", id.0);
    cx.tell(event.changing(changes));
    Ok(after)
}
