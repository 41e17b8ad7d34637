//! Mail out of a mailbox's own Sent folder: what agents wrote with other programs, and our own
//! answers that the server keeps a copy of.

use super::{Circumstances, Known, Read};
use crate::cx::Cx;
use crate::id::{ConversationId, MessageId};
use crate::mail::{Address, Class};
use crate::message::MessageKind;
use crate::own_id::OwnId;
use crate::text::{address_fault, fold_address};
use crate::{Error, store};

/// Whom it went to besides ourselves, in order.
pub(super) fn outside<'a>(here: &'a Circumstances, read: &'a Read<'_>) -> impl Iterator<Item = &'a Address> {
    read.mail.to.iter().chain(&read.mail.cc).filter(|address| {
        let folded = fold_address(&address.email);
        address_fault(&folded).is_none()
            && !here.own_addresses.contains(&folded)
            && !here.agent_addresses.contains(&folded)
    })
}

/// What kind of message it is.
pub(super) fn kind(read: &Read<'_>) -> MessageKind {
    match read.class {
        Class::AutoReply => MessageKind::AutoReply,
        _ if read.keys.is_forward && !read.keys.is_reply => MessageKind::Forward,
        _ => MessageKind::Reply,
    }
}

/// The answer of ours that this is a copy of. A provider may have given it another Message-ID
/// (outlook.com does, and keeps ours in X-Microsoft-Original-Message-ID); then it bears our mark,
/// which no answer to it does, and its own old id stands last in its References.
pub(super) fn copy_of(
    cx: &mut Cx<'_>,
    known: &Known,
    read: &Read<'_>,
) -> Result<Option<(MessageId, ConversationId)>, Error> {
    let names = read.keys.message_id.iter().chain(&read.keys.aliases);
    let nearest = read.keys.candidates.get(read.keys.answered).filter(|_| read.own_marks > 0);
    let is_message = |id: &&String| {
        let mut seals = read.keys.seals.iter();
        seals.any(|(place, own)| place == *id && matches!(own, OwnId::Message { .. }))
    };
    for id in names.chain(nearest.filter(is_message)) {
        let Some(owner) = known.owner(id) else { continue };
        if store::messages::outgoing_of(cx.conn, &[owner.0])?.contains(&owner.0) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}
