//! What keeps mails from being tried at all: not anything about them, but how their mailbox stands.

use crate::cx::Cx;
use crate::id::MailboxId;
use crate::mailbox::End;
use crate::message::{HeldUp, HeldUpBy, Outbound};
use crate::{Error, store};
use std::collections::{HashMap, HashSet};

/// What holds up the mails of these that wait, by mailbox. A mail may have come into line after the login
/// of another was refused: nothing is written down of it then, and yet it waits.
pub(in crate::operations) fn held_up<'a>(
    cx: &mut Cx<'_>,
    mails: impl Iterator<Item = &'a Outbound>,
) -> Result<HashMap<MailboxId, HeldUp>, Error> {
    let waiting: HashSet<MailboxId> =
        mails.filter(|mail| mail.waits_in_line()).map(|mail| mail.mailbox_id).collect();
    let mut held = HashMap::new();
    for id in waiting {
        if store::mailboxes::find(cx.conn, id)?.is_some_and(|mailbox| mailbox.paused) {
            held.insert(id, HeldUp { by: HeldUpBy::MailboxPaused, until: None, why: None });
            continue;
        }
        let refusals = store::authorizations::refusals(cx.conn, id)?;
        if let Some(refusal) = refusals.into_iter().find(|refusal| refusal.login_end == End::Delivery) {
            let (until, why) = (Some(refusal.retry_at), Some(refusal.error));
            held.insert(id, HeldUp { by: HeldUpBy::LoginRefused, until, why });
        }
    }
    Ok(held)
}
