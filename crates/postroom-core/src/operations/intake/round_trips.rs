//! A mailbox's mail to itself comes back: it is noted, and leaves no message and no conversation.

use super::{Circumstances, Ledger, Read};
use crate::cx::Cx;
use crate::mail::Class;
use crate::mailbox::FolderRole;
use crate::store::round_trips::Arrival;
use crate::{Error, store};

/// Which mail to oneself this is, or, of a bounce, is about. A relay may have given it another Message-ID;
/// its own stands in References, too. What answers it, a vacation notice, bears no mark of ours.
pub(super) fn of(cx: &Cx<'_>, read: &Read<'_>) -> Option<i64> {
    if read.own_marks == 0 && read.class != Class::Bounce {
        return None;
    }
    let signer = cx.keys.signer();
    let ids = read.keys.message_id.iter().chain(&read.keys.aliases).chain(&read.keys.candidates);
    ids.into_iter().find_map(|id| signer.read_round_trip(id))
}

/// Notes that it is back, or that it never will be. A copy that a provider keeps among what was sent says
/// nothing.
pub(super) fn note(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    ledger: &mut Ledger,
    read: &Read<'_>,
    trip: i64,
) -> Result<(), Error> {
    ledger.ignore(read.arrival, "a mail of a mailbox to itself, or about one");
    if read.class == Class::Bounce {
        let failed = read.mail.failed_recipients.iter().find(|recipient| recipient.permanent);
        if let Some(failed) = failed {
            let why = format!("it bounced: {} {}", failed.status, failed.diagnostic);
            store::round_trips::failed(cx.conn, trip, &crate::text::one_line(&why, 500))?;
        }
        return Ok(());
    }
    if here.role == FolderRole::Sent {
        return Ok(());
    }
    let folder = ledger.folder().to_owned();
    let arrival = Arrival {
        at: cx.now,
        received_at: read.arrival.internal_date,
        folder: &folder,
        authentication: read.mail.authentication.clone(),
    };
    Ok(store::round_trips::arrived(cx.conn, trip, arrival)?)
}
