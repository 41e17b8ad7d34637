//! Fault switches for tests/chaos: ways to break the intake on purpose, to show that the tests
//! would see it. Only builds with the feature `chaos` have them.

use postroom_core::actor::Actor;
use postroom_core::desk::{Desk, Settings};
use postroom_core::id::MailboxId;
use postroom_core::intake::Batch;
use postroom_core::object_name::ObjectName;
use postroom_core::operations::fetching::{self, Folder};
use postroom_ingest::source::MailSource;
use postroom_ingest::transport::Timeouts;
use std::time::Duration;

/// The variable of the environment that names the fault; the program does as it should without it.
const SWITCH: &str = "POSTROOM_CHAOS";

/// The variable that says after how many milliseconds a silent IMAP server is given up.
const SILENCE: &str = "POSTROOM_CHAOS_SILENCE_MS";

/// The usual limits, or a shorter one for silence: a test of a server that stalls need not stall as long.
pub(crate) fn timeouts() -> Timeouts {
    let usual = Timeouts::default();
    let set = crate::config::variable(SILENCE).and_then(|text| text.parse().ok());
    Timeouts { io: set.map_or(usual.io, Duration::from_millis), ..usual }
}

/// The usual time that a worker has a mail to itself, or as many milliseconds as `POSTROOM_CHAOS_CLAIM_MS`
/// says: a test of a server that takes long need not take as long.
pub(crate) fn claim_for() -> Duration {
    let set = crate::config::variable("POSTROOM_CHAOS_CLAIM_MS").and_then(|text| text.parse().ok());
    set.map_or(Settings::default().claim_for, Duration::from_millis)
}

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Mail is deleted on the server before the commit that takes it in.
    DeleteFirst,
    /// What waits is forgotten in a transaction of its own, before the one with the rows.
    CursorFirst,
    /// The rows are committed before the bytes they name are kept.
    BlobLast,
}

fn fault() -> Option<Fault> {
    match crate::config::variable(SWITCH).as_deref() {
        Some("delete-first") => Some(Fault::DeleteFirst),
        Some("cursor-first") => Some(Fault::CursorFirst),
        Some("blob-last") => Some(Fault::BlobLast),
        _ => None,
    }
}

/// How many bytes are free, where a test says so: `POSTROOM_CHAOS_FREE` names a file with the number.
pub(crate) fn free_bytes() -> Option<u64> {
    let file = crate::config::variable("POSTROOM_CHAOS_FREE")?;
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Bytes that should have been kept before, put into the object store when this is dropped.
#[must_use]
pub(crate) struct LateBlobs {
    desk: Desk,
    blobs: Vec<(ObjectName, Vec<u8>)>,
}

impl Drop for LateBlobs {
    fn drop(&mut self) {
        for (name, bytes) in self.blobs.drain(..) {
            if let Err(error) = self.desk.ports().keeper.put(&name, bytes) {
                tracing::error!(error = ?error, "a late blob could not be kept");
            }
        }
    }
}

/// Does what a fault says just before a batch is taken in. What comes back goes when it is.
pub(crate) fn before_commit(
    desk: &Desk,
    session: Option<&mut dyn MailSource>,
    mut batch: Batch,
) -> (Batch, LateBlobs) {
    let mut late = LateBlobs { desk: desk.clone(), blobs: Vec::new() };
    let fault = fault();
    let done = match (fault, session) {
        (Some(Fault::DeleteFirst), Some(session)) => delete(session, &batch),
        (Some(Fault::CursorFirst), _) => forget(desk, &batch),
        _ => Ok(()),
    };
    if let Err(error) = done {
        tracing::error!(error, "a fault could not be made");
    }
    if fault == Some(Fault::BlobLast) {
        for arrival in &mut batch.arrivals {
            match desk.name_object_here(&arrival.raw.hash) {
                Ok(name) => {
                    let bytes = arrival.raw.compressed.take();
                    late.blobs.extend(bytes.map(|bytes| (name.clone(), bytes)));
                    arrival.raw.object.get_or_insert(name);
                }
                Err(error) => tracing::error!(error = ?error, "a fault could not be made"),
            }
        }
    }
    (batch, late)
}

fn delete(session: &mut dyn MailSource, batch: &Batch) -> Result<(), String> {
    let uids: Vec<u32> =
        batch.arrivals.iter().filter_map(|arrival| u32::try_from(arrival.uid?).ok()).collect();
    session.delete(&uids).map_err(|error| error.to_string())
}

/// Forgets all that waits in the folder; its cursor stays behind it.
fn forget(desk: &Desk, batch: &Batch) -> Result<(), String> {
    let (Some(uidvalidity), Some(lease)) = (batch.uidvalidity, &batch.lease) else { return Ok(()) };
    let (mailbox_id, name): (MailboxId, &str) = (batch.mailbox_id, &batch.folder);
    let folder =
        Folder { mailbox_id, lease: lease.clone(), name: name.to_owned(), uidvalidity, generation: 0 };
    let forgotten = desk.write_here(&Actor::system(), |cx| {
        let last = fetching::cursor(cx, mailbox_id, name)?.map_or(0, |cursor| cursor.last_uid);
        // What waited under a folder's numbers is dropped where it begins anew.
        let now = cx.now;
        fetching::begin_folder(cx, &folder, last, None, now)
    });
    forgotten.map_err(|error| error.to_string())
}

/// Ends the program on the spot where `POSTROOM_CHAOS` says `die-` and this point: what it leaves behind is
/// what a loss of power would, but for the disk.
pub(crate) fn die_at(point: &str) {
    let switch = crate::config::variable(SWITCH);
    if switch.as_deref().and_then(|switch| switch.strip_prefix("die-")) == Some(point) {
        std::process::abort();
    }
}
