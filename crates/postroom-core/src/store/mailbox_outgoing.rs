//! How mailboxes' mail looks.

use crate::id::MailboxId;
use crate::mailbox_outgoing::MailboxOutgoing;
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::mailbox_outgoing;
use diesel::prelude::*;

/// How a mailbox's mail looks; `None`: nobody has changed it yet.
pub fn find(conn: &mut Conn, id: MailboxId) -> Result<Option<MailboxOutgoing>, StoreError> {
    Ok(mailbox_outgoing::table.find(id).select(MailboxOutgoing::as_select()).first(conn).optional()?)
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(conn: &mut Conn, before: &MailboxOutgoing, after: &MailboxOutgoing) -> Result<bool, StoreError> {
    if before.version == 0 {
        // a second first one breaks the key, and is run again as whoever comes second
        diesel::insert_into(mailbox_outgoing::table).values(after).execute(conn)?;
        return Ok(true);
    }
    let same =
        mailbox_outgoing::table.find(before.mailbox_id).filter(mailbox_outgoing::version.eq(before.version));
    Ok(diesel::update(same).set(after).execute(conn)? == 1)
}
