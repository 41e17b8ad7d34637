//! Decides what became of mails whose reply was lost, once the time for evidence is up, and tells of mails
//! that take long. The last evidence is looked for: the mail in the Sent folder, where providers put
//! what they were given.

use super::{keep_at_it, unless_stopped, until};
use crate::login;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::mailbox::Source;
use postroom_core::message::Outbound;
use postroom_core::operations::mailboxes::{self, Connection};
use postroom_core::operations::messages;
use postroom_core::operations::outbox::{self, Look};
use postroom_core::store::StoreError;
use postroom_ingest::error::SourceError;
use postroom_ingest::source::MailSource;
use postroom_ingest::transport::Timeouts;
use std::time::Duration;
use tokio::sync::watch;

/// Looks at least this often.
const LOOK: Duration = Duration::from_secs(60);
/// Mails that are decided at once, one after the other: there are few.
const AT_ONCE: i64 = 20;
/// Mails of which it is told at once that they take long.
const TOLD: i64 = 200;

/// Runs until the daemon stops.
pub async fn run(desk: Desk, stopping: watch::Receiver<bool>) {
    let failing = "mails whose reply was lost can't be looked through";
    let once = |desk: Desk, stopping| async move { unless_stopped(stopping, LOOK, once(&desk)).await };
    keep_at_it(desk, stopping, LOOK, failing, once).await;
}

/// Decides what is to be decided. Until the next is.
async fn once(desk: &Desk) -> Result<Duration, Error> {
    let system = Actor::system();
    desk.write(&system, |cx| outbox::tell_delays(cx, TOLD)).await?;
    for mail in desk.read(&system, |cx| outbox::undecided(cx, AT_ONCE)).await? {
        // What goes wrong with one must not keep the others undecided.
        let looked = match look(desk, &mail).await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(outbox = %mail.id, error = ?error, "a lost reply can't be looked into");
                Look::Unknown(error.to_string())
            }
        };
        tracing::info!(outbox = %mail.id, mailbox = %mail.mailbox_id, look = ?looked, "a lost reply is decided");
        let id = mail.id;
        if let Err(error) = desk.write(&system, move |cx| outbox::decide(cx, &mail, &looked)).await {
            tracing::error!(outbox = %id, error = ?error, "a lost reply can't be decided");
        }
    }
    let next = desk.read(&system, outbox::next_undecided).await?;
    Ok(until(desk, next, Duration::from_secs(1), LOOK))
}

/// Looks for a mail in its mailbox's Sent folder.
async fn look(desk: &Desk, mail: &Outbound) -> Result<Look, Error> {
    let (mailbox, message) = (mail.mailbox_id, mail.message_id);
    let found = desk
        .read(&Actor::system(), move |cx| {
            let connection = mailboxes::connection(cx, mailbox)?;
            let is_failing = mailboxes::is_failing(cx, mailbox)?;
            let id = match message {
                Some(message) => messages::find(cx, message)?.message.internet_message_id,
                None => None,
            };
            Ok((connection, is_failing, id))
        })
        .await?;
    let (connection, is_failing, message_id) = found;
    let (Some(message_id), Source::Imap { .. }) = (message_id, &connection.mailbox.source) else {
        return Ok(Look::NotFound);
    };
    if is_failing {
        // Its polls pause: nobody else need log in there either.
        return Ok(Look::Unknown("the mailbox can't be read just now".to_owned()));
    }
    let desk = desk.clone();
    let looked = tokio::task::spawn_blocking(move || look_here(&desk, &connection, &message_id)).await;
    let looked =
        looked.map_err(|_| Error::Store { doing: "looking for a mail", source: StoreError::Died })?;
    Ok(match looked {
        Ok(true) => Look::Found,
        Ok(false) | Err(SourceError::FolderMissing { .. }) => Look::NotFound,
        Err(error) => Look::Unknown(error.to_string()),
    })
}

fn look_here(desk: &Desk, connection: &Connection, message_id: &str) -> Result<bool, SourceError> {
    let mut session = login::imap(desk, connection, &Timeouts::default())?;
    let found = match session.sent_folder(&connection.mailbox.source)? {
        Some(folder) => session.holds(&folder, message_id)?,
        None => false,
    };
    session.logout();
    Ok(found)
}
