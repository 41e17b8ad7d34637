//! Whose the conversations of mailboxes are from the start.

use crate::id::{MailboxId, TeamId};
use crate::mailbox_routing::MailboxRouting;
use crate::store::conn::Conn;
use crate::store::schema::mailbox_routings;
use crate::store::{StoreError, put_one};
use diesel::prelude::*;

/// Whose a mailbox's are; `None`: nobody has said so yet.
pub fn find(conn: &mut Conn, id: MailboxId) -> Result<Option<MailboxRouting>, StoreError> {
    Ok(mailbox_routings::table.find(id).select(MailboxRouting::as_select()).first(conn).optional()?)
}

/// The team that a mailbox's conversations belong to from the start.
pub fn team_of(conn: &mut Conn, id: MailboxId) -> Result<Option<TeamId>, StoreError> {
    Ok(find(conn, id)?.and_then(|routing| routing.team_id))
}

/// The first mailbox whose conversations go to this team.
pub fn mailbox_of(conn: &mut Conn, team: TeamId) -> Result<Option<MailboxId>, StoreError> {
    Ok(mailbox_routings::table
        .filter(mailbox_routings::team_id.eq(team))
        .order(mailbox_routings::mailbox_id.asc())
        .select(mailbox_routings::mailbox_id)
        .first(conn)
        .optional()?)
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(conn: &mut Conn, before: &MailboxRouting, after: &MailboxRouting) -> Result<bool, StoreError> {
    put_one!(conn, mailbox_routings, mailbox_id, before, after)
}
