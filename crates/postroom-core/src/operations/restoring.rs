//! What a desk that comes out of a backup must settle before it does anything else.

use super::messages;
use super::outbox;
use crate::blobs::OBJECTS_MARK;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::object_name::ObjectName;
use crate::time::Timestamp;
use crate::{Error, store};

/// Numbers that are left out at the least.
const GAP: i64 = 1_000_000;
/// Numbers that are left out besides, for each second since the backup: more than a desk uses.
const GAP_A_SECOND: i64 = 20;

/// What was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Answers that had not left when the backup was made: nobody knows whether they did since.
    pub uncertain: usize,
    /// So many numbers of everything are left out.
    pub numbers_left_out: i64,
}

/// Settles a desk that was restored from a backup of `taken_at`.
///
/// An answer that had not left then may have left since: it is uncertain, and nothing sends it again by
/// itself; nor is one sent again that was uncertain then. What
/// was made after the backup is gone, but its numbers are out in the world: in Message-IDs that
/// customers answer, in frontends, in cursors of the event log. They are never given out again.
/// Its large files were put under the names that its new mark gives them ([`ObjectName::restored`]).
pub fn settle(cx: &mut Cx<'_>, taken_at: Timestamp, mark: &str) -> Result<Settled, Error> {
    let seconds = cx.now.0.saturating_sub(taken_at.0).max(0) / 1_000_000;
    let gap = GAP + GAP_A_SECOND * seconds;
    store::whole::skip_numbers(cx.conn, gap)?;
    let why = format!("the desk was restored from a backup of {taken_at}; it may have left since");
    let unfinished = store::outbox::unfinished(cx.conn)?;
    for mail in &unfinished {
        outbox::settle_for_good(cx, mail, &why)?;
    }
    messages::unsent::stop_all(cx, &why)?;
    // Whoever wrote then has got an automatic answer since.
    store::auto_replies::forget_wanted(cx.conn)?;
    cx.tell(
        NewEvent::new(EventType::DeskRestored, About::default())
            .with("backup_taken_at", taken_at.to_string())
            .with("uncertain", unfinished.len()),
    );
    store::settings::set(cx.conn, OBJECTS_MARK, mark)?;
    store::blobs::rename_objects(cx.conn, &ObjectName::restored_end(mark))?;
    store::whole::end_restore(cx.conn)?;
    Ok(Settled { uncertain: unfinished.len(), numbers_left_out: gap })
}
