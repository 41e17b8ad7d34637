//! How much mail is taken in at once: what fits into the memory of one batch and one transaction.

use postroom_core::Error;
use postroom_core::desk::Desk;
use postroom_core::intake::{Batch, Receipt};
use postroom_core::store::pending::Pending;
use postroom_ingest::source::MailSource;

/// Mails of one batch at the most.
pub const BATCH_MAILS: usize = 100;
/// Bytes of one batch at the most, unless one mail alone is larger.
pub const BATCH_BYTES: i64 = 8 * 1024 * 1024;
/// A larger mail is fetched in pieces.
pub const LARGE_BYTES: i64 = 16 * 1024 * 1024;
/// The size of a mail whose server could not say it; such a mail goes alone and in pieces.
pub const UNKNOWN_SIZE: i64 = -1;

/// The first mails that fit into one batch. One that failed before goes alone, as does a large one.
pub fn next_batch(waiting: &[Pending], alone_above: i64) -> &[Pending] {
    let mut bytes = 0;
    let mut count = 0;
    for mail in waiting.iter().take(BATCH_MAILS) {
        let alone = mail.attempts > 0 || mail.size > alone_above || mail.size == UNKNOWN_SIZE;
        bytes += mail.size;
        if count > 0 && (alone || bytes > BATCH_BYTES) {
            break;
        }
        count += 1;
        if alone {
            break;
        }
    }
    &waiting[..count]
}

/// Takes a batch in. Blocks. `session` is where it came from: a build with fault switches may do to
/// it what must never be done.
#[cfg(feature = "chaos")]
pub fn receive(
    desk: &Desk,
    session: Option<&mut dyn MailSource>,
    batch: Batch,
) -> Result<Vec<Receipt>, Error> {
    let (batch, _late) = crate::chaos::before_commit(desk, session, batch);
    desk.receive_here(&batch)
}

/// Takes a batch in. Blocks.
#[cfg(not(feature = "chaos"))]
pub fn receive(desk: &Desk, _: Option<&mut dyn MailSource>, batch: Batch) -> Result<Vec<Receipt>, Error> {
    desk.receive_here(&batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::id::MailboxId;

    fn waiting(sizes: &[(i64, i32)]) -> Vec<Pending> {
        sizes
            .iter()
            .enumerate()
            .map(|(uid, (size, attempts))| Pending {
                mailbox_id: MailboxId(1),
                folder: "INBOX".into(),
                uidvalidity: 1,
                uid: uid as i64 + 1,
                size: *size,
                attempts: *attempts,
                last_error: None,
                asked_for: false,
            })
            .collect()
    }

    #[test]
    fn a_batch_holds_what_fits() {
        assert_eq!(next_batch(&waiting(&[]), LARGE_BYTES).len(), 0);
        assert_eq!(next_batch(&waiting(&[(10, 0); 150]), LARGE_BYTES).len(), BATCH_MAILS);
        assert_eq!(next_batch(&waiting(&[(BATCH_BYTES / 2, 0); 3]), LARGE_BYTES).len(), 2);
        assert_eq!(next_batch(&waiting(&[(BATCH_BYTES / 2 + 1, 0); 3]), LARGE_BYTES).len(), 1);
        assert_eq!(next_batch(&waiting(&[(BATCH_BYTES + 1, 0); 3]), LARGE_BYTES).len(), 1);
    }

    #[test]
    fn large_and_failed_mails_go_alone() {
        assert_eq!(next_batch(&waiting(&[(10, 0), (LARGE_BYTES + 1, 0)]), LARGE_BYTES).len(), 1);
        assert_eq!(next_batch(&waiting(&[(LARGE_BYTES + 1, 0), (10, 0)]), LARGE_BYTES).len(), 1);
        assert_eq!(next_batch(&waiting(&[(10, 1), (10, 0)]), LARGE_BYTES).len(), 1);
        assert_eq!(next_batch(&waiting(&[(10, 0), (10, 1)]), LARGE_BYTES).len(), 1);
        // Above the limit of what is taken in, only the beginning is fetched.
        assert_eq!(next_batch(&waiting(&[(10, 0), (11, 0)]), 10).len(), 1);
        assert_eq!(next_batch(&waiting(&[(11, 0), (10, 0)]), 10).len(), 1);
        assert_eq!(next_batch(&waiting(&[(10, 0), (UNKNOWN_SIZE, 0)]), LARGE_BYTES).len(), 1);
        assert_eq!(next_batch(&waiting(&[(UNKNOWN_SIZE, 0), (10, 0)]), LARGE_BYTES).len(), 1);
    }
}
