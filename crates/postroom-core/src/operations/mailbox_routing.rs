//! Whose the conversations of mailboxes are from the start.

use super::mailboxes::{find as find_mailbox, manageable};
use super::{overtaken, require_version};
use crate::cx::Cx;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{MailboxId, TeamId};
use crate::mailbox_routing::MailboxRouting;
use crate::{Error, store};

/// What is to change; `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoutingChange {
    /// The team; `Some(None)` is none.
    pub team_id: Option<Option<TeamId>>,
}

/// Whose a mailbox's conversations are.
pub fn find(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxRouting, Error> {
    find_mailbox(cx, id)?;
    known(cx, id)
}

fn known(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxRouting, Error> {
    Ok(store::mailbox_routing::find(cx.conn, id)?.unwrap_or_else(|| MailboxRouting::unchanged(id)))
}

/// Changes it. What is there already stays whose it is.
pub fn update(
    cx: &mut Cx<'_>,
    id: MailboxId,
    expected: Option<&str>,
    change: RoutingChange,
) -> Result<MailboxRouting, Error> {
    let mailbox = manageable(cx, id)?;
    let before = known(cx, id)?;
    require_version("routing", expected, before.etag())?;
    if let Some(team) = change.team_id.flatten()
        && store::people::find_team(cx.conn, team)?.is_none()
    {
        return Err(Error::invalid("/team_id", "not_found", "there is no such team"));
    }
    let team_id = change.team_id.unwrap_or(before.team_id);
    if team_id == before.team_id {
        return Ok(before);
    }
    let after = MailboxRouting { team_id, version: before.version + 1, updated_at: cx.now, ..before.clone() };
    if !store::mailbox_routing::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    let mut changes = Changes::default();
    changes.note("team_id", &before.team_id, &after.team_id);
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    cx.tell(NewEvent::new(EventType::MailboxUpdated, about).changing(changes));
    Ok(after)
}
