//! How mailboxes' mail looks.

use crate::id::MailboxId;
use crate::mailbox_outgoing::{MailboxLogo, MailboxOutgoing};
use crate::store::conn::Conn;
use crate::store::schema::{mailbox_logos, mailbox_outgoing};
use crate::store::{StoreError, put_one};
use diesel::prelude::*;

/// How a mailbox's mail looks; `None`: nobody has changed it yet.
pub fn find(conn: &mut Conn, id: MailboxId) -> Result<Option<MailboxOutgoing>, StoreError> {
    Ok(mailbox_outgoing::table.find(id).select(MailboxOutgoing::as_select()).first(conn).optional()?)
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(conn: &mut Conn, before: &MailboxOutgoing, after: &MailboxOutgoing) -> Result<bool, StoreError> {
    put_one!(conn, mailbox_outgoing, mailbox_id, before, after)
}

/// A mailbox's logo, if it has one.
pub fn find_logo(conn: &mut Conn, id: MailboxId) -> Result<Option<MailboxLogo>, StoreError> {
    Ok(mailbox_logos::table.find(id).select(MailboxLogo::as_select()).first(conn).optional()?)
}

/// Gives a mailbox this logo or none. Whoever changes it has [written](put) how its mail looks before.
pub fn put_logo(conn: &mut Conn, id: MailboxId, logo: Option<&MailboxLogo>) -> Result<(), StoreError> {
    diesel::delete(mailbox_logos::table.find(id)).execute(conn)?;
    if let Some(logo) = logo {
        diesel::insert_into(mailbox_logos::table).values(logo).execute(conn)?;
    }
    Ok(())
}
