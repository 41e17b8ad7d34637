//! Puts copies of what has left into the Sent folders of mailboxes whose provider does not. It never
//! delays what is sent, and looks before it puts one there, so that a try that broke off leaves one copy.

use super::{keep_at_it, unless_stopped, until};
use crate::login;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::message::Outbound;
use postroom_core::operations::mailboxes::{self, Connection};
use postroom_core::operations::messages;
use postroom_core::operations::outbox::{self, CopyEnd};
use postroom_core::store::StoreError;
use postroom_ingest::error::SourceError;
use postroom_ingest::source::MailSource;
use postroom_ingest::transport::Timeouts;
use std::time::Duration;
use tokio::sync::watch;

/// Looks at least this often.
const LOOK: Duration = Duration::from_secs(60);
/// Copies that are made in one session at the most.
const AT_ONCE: i64 = 50;

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "copies for Sent folders can't be made";
    let once = |desk: Desk, stopping| async move { unless_stopped(stopping, LOOK, once(&desk)).await };
    keep_at_it(desk, stopping, LOOK, failing, once).await;
}

/// Makes all copies that are due. Until the next is.
async fn once(desk: &Desk) -> Result<Duration, Error> {
    let system = Actor::system();
    loop {
        let claimed = desk.write(&system, |cx| outbox::claim_copies(cx, AT_ONCE)).await?;
        if claimed.is_empty() {
            // Those of mailboxes that can't be read are looked at no more often than all.
            let next = desk.read(&system, outbox::next_copy).await?.filter(|due| *due > desk.now());
            return Ok(until(desk, next, Duration::from_secs(1), LOOK));
        }
        for of_one in claimed.chunk_by(|one, next| one.mailbox_id == next.mailbox_id) {
            // What goes wrong with one mailbox must not keep the copies of others.
            if let Err(error) = copy(desk, of_one.to_vec()).await {
                tracing::error!(error = ?error, "copies can't be put into a Sent folder");
                for row in of_one {
                    let row = row.clone();
                    let end = CopyEnd::Later(error.to_string());
                    desk.write(&system, move |cx| outbox::end_copy(cx, &row, &end)).await?;
                }
            }
        }
    }
}

/// A mail to be copied.
struct Mail {
    row: Outbound,
    message_id: String,
    raw: Vec<u8>,
}

/// Copies mails of one mailbox in one session.
async fn copy(desk: &Desk, rows: Vec<Outbound>) -> Result<(), Error> {
    let system = Actor::system();
    let Some(mailbox) = rows.first().map(|row| row.mailbox_id) else { return Ok(()) };
    let connection = desk.read(&system, move |cx| mailboxes::connection(cx, mailbox)).await?;
    let mut mails = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(message) = row.message_id else { continue };
        let found = desk.read(&system, move |cx| messages::find(cx, message)).await?;
        let raw = desk.load(row.raw_hash.clone()).await?;
        let message_id = found.message.internet_message_id.unwrap_or_default();
        mails.push(Mail { row, message_id, raw });
    }
    let here = desk.clone();
    let copied = tokio::task::spawn_blocking(move || copy_here(&here, &connection, &mails)).await;
    let copied = copied.map_err(|_| Error::Store { doing: "copying mails", source: StoreError::Died })?;
    for (row, end) in copied {
        if let CopyEnd::Later(why) | CopyEnd::Never(why) = &end {
            tracing::warn!(%mailbox, outbox = %row.id, why, "a copy could not be put into the Sent folder");
        }
        desk.write(&system, move |cx| outbox::end_copy(cx, &row, &end)).await?;
    }
    Ok(())
}

fn copy_here(desk: &Desk, connection: &Connection, mails: &[Mail]) -> Vec<(Outbound, CopyEnd)> {
    let all = |end: &CopyEnd| mails.iter().map(|mail| (mail.row.clone(), end.clone())).collect();
    let opened = login::imap(desk, connection, &Timeouts::default()).and_then(|mut session| {
        let folder = session.sent_folder(&connection.mailbox.source)?;
        Ok((session, folder))
    });
    let (mut session, folder) = match opened {
        Ok((session, Some(folder))) => (session, folder),
        Ok((_, None)) => {
            let why = "the server names no Sent folder; give its name (source.sent_folder)";
            return all(&CopyEnd::Never(why.to_owned()));
        }
        Err(error) => return all(&CopyEnd::Later(error.to_string())),
    };
    let mut put = |mail: &Mail| {
        if session.holds(&folder, &mail.message_id)? {
            return Ok(());
        }
        session.append(&folder, &mail.raw, mail.row.created_at)
    };
    let ends = mails.iter().map(|mail| {
        let end = match put(mail) {
            Ok(()) => CopyEnd::Done,
            Err(error @ SourceError::NotImap) => CopyEnd::Never(error.to_string()),
            Err(error) => CopyEnd::Later(error.to_string()),
        };
        (mail.row.clone(), end)
    });
    let ends = ends.collect();
    session.logout();
    ends
}
