//! The one place where a mailbox's IMAP server is logged in to, so that every session, for a poll,
//! for waiting or for comparing, brings what the mailbox logs in with.

use postroom_core::mailbox::Credential;
use postroom_core::operations::mailboxes::Connection;
use postroom_core::store::mailboxes::PasswordOf;
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{self, ImapSession};
use postroom_ingest::transport::Timeouts;

/// Logs in to where a mailbox's mail comes from; blocks, at most for the time limits.
pub fn imap(connection: &Connection, timeouts: &Timeouts) -> Result<ImapSession, SourceError> {
    let credential =
        connection.credential(PasswordOf::Source).unwrap_or_else(|| Credential::Password(String::new()));
    imap::connect(&connection.mailbox.source, &credential, timeouts)
}
