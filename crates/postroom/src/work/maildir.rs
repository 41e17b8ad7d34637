//! One poll of a Maildir: what is not in the ledger is taken in; the files stay as they are.

use super::batch::{BATCH_BYTES, BATCH_MAILS, HEAD_BYTES};
use crate::commands::sentence;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::intake::{Arrival, Batch};
use postroom_core::lease::Lease;
use postroom_core::mailbox::{FolderRole, MAILDIR, Mailbox};
use postroom_core::operations::fetching;
use postroom_core::ports::ReadContext;
use postroom_core::store::mailboxes::PollEnd;
use postroom_ingest::maildir::{Entry, Maildir};
use std::time::Duration;
use tokio::sync::watch;

/// A file's time may tell no more than the second.
const SECOND: Duration = Duration::from_secs(1);

/// Takes in what is new.
pub fn poll(
    desk: &Desk,
    mailbox: &Mailbox,
    lease: &Lease,
    path: &str,
    stopping: &watch::Receiver<bool>,
) -> PollEnd {
    match read(desk, mailbox, lease, path, stopping) {
        Ok(None) => PollEnd::Well,
        Ok(Some(why)) => PollEnd::Partly(why),
        Err(why) => PollEnd::Failed(why),
    }
}

fn read(
    desk: &Desk,
    mailbox: &Mailbox,
    lease: &Lease,
    path: &str,
    stopping: &watch::Receiver<bool>,
) -> Result<Option<String>, String> {
    let maildir = Maildir::open(path).map_err(|error| error.to_string())?;
    let entries = maildir.list().map_err(|error| error.to_string())?;
    let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    let id = mailbox.id;
    let unknown = desk
        .read_here(&Actor::system(), |cx| fetching::unknown(cx, id, MAILDIR, &keys))
        .map_err(|error| sentence(&error))?;
    let fresh: Vec<Entry> = entries.into_iter().filter(|entry| unknown.contains(&entry.key)).collect();
    let mut rest = fresh.as_slice();
    let mut fault = None;
    while !rest.is_empty() && !*stopping.borrow() && desk.shortage().is_none() {
        let (batch, others) = rest.split_at(batch_length(rest));
        rest = others;
        if let Some(why) = take_in(desk, mailbox, lease, &maildir, batch)? {
            fault = Some(why);
        }
    }
    Ok(fault)
}

fn batch_length(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.size;
        bytes <= BATCH_BYTES.unsigned_abs()
    };
    entries.iter().take(BATCH_MAILS).take_while(fits).count().max(1)
}

/// Takes a batch in. A file that can't be read stays for the next poll; why is said.
fn take_in(
    desk: &Desk,
    mailbox: &Mailbox,
    lease: &Lease,
    maildir: &Maildir,
    batch: &[Entry],
) -> Result<Option<String>, String> {
    let context = ReadContext { trusted_authserv_ids: mailbox.trusted_authserv_ids.clone() };
    let most = desk.settings().mail_bytes;
    let mut fault = None;
    let mut arrivals = Vec::with_capacity(batch.len());
    for entry in batch {
        let mut raw = match maildir.read(entry, most as u64 + 1) {
            Ok(Some(raw)) => raw,
            // Somebody deleted it between our look and our read.
            Ok(None) => continue,
            Err(error) => {
                fault = Some(error.to_string());
                continue;
            }
        };
        let oversized = raw.len() > most;
        if oversized {
            raw.truncate(HEAD_BYTES as usize);
        }
        arrivals.push(Arrival {
            location: entry.key.clone(),
            uid: None,
            internal_date: Some(entry.modified),
            size: if oversized { i64::try_from(entry.size).unwrap_or(i64::MAX) } else { raw.len() as i64 },
            mail: desk.ports().reader.read(&raw, &context),
            raw: desk.keep_here(&raw).map_err(|error| sentence(&error))?,
            oversized,
            is_history: entry.modified.plus(SECOND) <= mailbox.created_at,
            asked_for: false,
        });
    }
    let batch = Batch {
        mailbox_id: mailbox.id,
        lease: Some(lease.clone()),
        folder: MAILDIR.to_owned(),
        role: FolderRole::Inbox,
        uidvalidity: None,
        history: None,
        arrivals,
    };
    super::batch::receive(desk, None, batch).map_err(|error| sentence(&error))?;
    Ok(fault)
}
