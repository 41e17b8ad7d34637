//! How much mail is taken in at once: what fits into the memory of one batch and one transaction.

use postroom_core::Error;
use postroom_core::desk::Desk;
use postroom_core::intake::{Batch, Receipt};
use postroom_core::store::pending::{Pending, UNKNOWN_SIZE};
use postroom_ingest::source::MailSource;
use std::collections::HashSet;

/// Mails of one batch at the most.
pub const BATCH_MAILS: usize = 100;
/// Bytes of one batch at the most, unless one mail alone is larger.
pub const BATCH_BYTES: i64 = 8 * 1024 * 1024;
/// A larger mail is fetched in pieces.
pub const LARGE_BYTES: i64 = 16 * 1024 * 1024;
/// Of a mail that is too large to be taken in (`limits.mail_mib`), this much is kept; of what a server
/// sends, this much of the text besides the header.
pub const HEAD_BYTES: u32 = 64 * 1024;

/// The first mails that fit into one batch. One that failed before goes alone, as does a large one and
/// one of a batch that broke the connection in this poll (`doubtful`).
pub fn next_batch<'a>(waiting: &'a [Pending], alone_above: i64, doubtful: &HashSet<i64>) -> &'a [Pending] {
    let mut bytes = 0;
    let mut count = 0;
    for mail in waiting.iter().take(BATCH_MAILS) {
        let is_doubtful =
            mail.attempts > 0 || mail.breaks > 0 || mail.was_aside || doubtful.contains(&mail.uid);
        let alone = is_doubtful || mail.size > alone_above || mail.size == UNKNOWN_SIZE;
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
    use postroom_core::time::Timestamp;

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
                breaks: 0,
                last_error: None,
                asked_for: false,
                next_try_at: Timestamp(0),
                was_aside: false,
                unseen: false,
                found_anew: false,
                was_there: false,
            })
            .collect()
    }

    fn length(waiting: &[Pending], alone_above: i64) -> usize {
        next_batch(waiting, alone_above, &HashSet::new()).len()
    }

    #[test]
    fn what_is_doubtful_goes_alone() {
        let three = || waiting(&[(10, 0); 3]);
        assert_eq!(next_batch(&three(), LARGE_BYTES, &HashSet::from([1])).len(), 1);
        assert_eq!(next_batch(&three(), LARGE_BYTES, &HashSet::from([3])).len(), 2);
        let (mut broke, mut aside) = (three(), three());
        broke[0].breaks = 1;
        aside[1].was_aside = true;
        assert_eq!((length(&broke, LARGE_BYTES), length(&aside, LARGE_BYTES)), (1, 1));
    }

    #[test]
    fn a_batch_holds_what_fits() {
        assert_eq!(length(&waiting(&[]), LARGE_BYTES), 0);
        assert_eq!(length(&waiting(&[(10, 0); 150]), LARGE_BYTES), BATCH_MAILS);
        assert_eq!(length(&waiting(&[(BATCH_BYTES / 2, 0); 3]), LARGE_BYTES), 2);
        assert_eq!(length(&waiting(&[(BATCH_BYTES / 2 + 1, 0); 3]), LARGE_BYTES), 1);
        assert_eq!(length(&waiting(&[(BATCH_BYTES + 1, 0); 3]), LARGE_BYTES), 1);
    }

    #[test]
    fn large_and_failed_mails_go_alone() {
        assert_eq!(length(&waiting(&[(10, 0), (LARGE_BYTES + 1, 0)]), LARGE_BYTES), 1);
        assert_eq!(length(&waiting(&[(LARGE_BYTES + 1, 0), (10, 0)]), LARGE_BYTES), 1);
        assert_eq!(length(&waiting(&[(10, 1), (10, 0)]), LARGE_BYTES), 1);
        assert_eq!(length(&waiting(&[(10, 0), (10, 1)]), LARGE_BYTES), 1);
        // Above the limit of what is taken in, only the beginning is fetched.
        assert_eq!(length(&waiting(&[(10, 0), (11, 0)]), 10), 1);
        assert_eq!(length(&waiting(&[(11, 0), (10, 0)]), 10), 1);
        assert_eq!(length(&waiting(&[(10, 0), (UNKNOWN_SIZE, 0)]), LARGE_BYTES), 1);
        assert_eq!(length(&waiting(&[(UNKNOWN_SIZE, 0), (10, 0)]), LARGE_BYTES), 1);
    }
}
