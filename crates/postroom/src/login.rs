//! The one place where polls and watches log in to a mailbox's IMAP server, so that every session brings
//! what the mailbox logs in with. Who only looks asks the desk for the same, and tries once.

use postroom_core::desk::Desk;
use postroom_core::mailbox::{Credential, End};
use postroom_core::operations::mailboxes::Connection;
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{self, ImapSession};
use postroom_ingest::transport::Timeouts;

/// Logs in to where a mailbox's mail comes from; blocks, at most for the time limits and for one
/// question to the token server. A token that is refused is renewed once; refused again, the login
/// is left alone for a while.
pub fn imap(desk: &Desk, connection: &Connection, timeouts: &Timeouts) -> Result<ImapSession, SourceError> {
    let (id, source) = (connection.mailbox.id, &connection.mailbox.source);
    let no_login = |error: &dyn std::fmt::Display| SourceError::NoLogin { why: error.to_string() };
    let mut rejected: Option<Credential> = None;
    loop {
        let access =
            desk.access_here(connection, End::Source, rejected.as_ref()).map_err(|error| no_login(&error))?;
        let credential = access.credential.unwrap_or_else(|| Credential::Password(String::new()));
        let error = match imap::connect(source, &credential, timeouts) {
            Ok(session) => {
                if access.on_trial {
                    desk.login_accepted_here(id, End::Source).map_err(|error| no_login(&error))?;
                }
                return Ok(session);
            }
            Err(error) => error,
        };
        if !error.refuses_login() || !matches!(credential, Credential::Bearer(_)) {
            return Err(error);
        }
        // On trial there is one try.
        if rejected.replace(credential).is_some() || access.on_trial {
            desk.login_refused_here(id, End::Source, &error.to_string()).map_err(|error| no_login(&error))?;
            return Err(error);
        }
    }
}
