//! Mail out of a mailbox's own Sent folder: what agents wrote with other programs, and our own
//! answers that the server keeps a copy of.

use super::{Circumstances, Known, Ledger, Read, effects, place, placing};
use crate::cx::Cx;
use crate::id::{ConversationId, MessageId};
use crate::mail::{Address, Class, Mail};
use crate::message::MessageKind;
use crate::own_id::OwnId;
use crate::store::messages::Recognised;
use crate::store::types::Json;
use crate::text::{address_fault, fold_address};
use crate::threading::{Decision, Outcome};
use crate::{Error, store};

/// Whom it went to besides ourselves, in order.
pub(super) fn outside<'a>(here: &'a Circumstances, read: &'a Read<'_>) -> impl Iterator<Item = &'a Address> {
    outside_of(here, read.mail)
}

/// [`outside`] of a mail that is only being read.
pub(super) fn outside_of<'a>(here: &'a Circumstances, mail: &'a Mail) -> impl Iterator<Item = &'a Address> {
    mail.to.iter().chain(&mail.cc).filter(|address| {
        let folded = fold_address(&address.email);
        address_fault(&folded).is_none() && !here.is_own(&folded) && !here.agent_addresses.contains(&folded)
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

/// An agent's mail that came to an inbox first, because the agent sent us a copy: there it was
/// anybody's, in a conversation of its own. The Sent folder proves whose it is, so it goes where the
/// agent answered, unless somebody has worked on it since. Where it is now.
pub(super) fn recognise(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    ledger: &mut Ledger,
    read: &Read<'_>,
    id: MessageId,
    at: ConversationId,
) -> Result<ConversationId, Error> {
    let before = store::messages::find(cx.conn, id)?;
    let is_anybodys = |kind| kind == MessageKind::Inbound && here.own_addresses.contains(&read.sender);
    let Some(before) = before.filter(|message| is_anybodys(message.kind)) else { return Ok(at) };
    let alone = known.conversation(cx, at)?;
    if alone.message_count != 1
        || known.untouched(cx, &[at])?.is_empty()
        || outside(here, read).next().is_none()
    {
        return Ok(at);
    }
    let mut decision: Decision = place(cx, here, known, read)?;
    // What it began is no place for it, nor anything that is joined to others.
    decision.joined.clear();
    decision.also_references.retain(|other| *other != at);
    let target = decision.conversation_id.filter(|id| decision.outcome == Outcome::Append && *id != at);
    let into = match target {
        Some(target) => known.conversation(cx, target)?,
        None => placing::begin(cx, here, known, read)?,
    };
    let author = placing::author(cx, here, known, read)?;
    let after = Recognised {
        kind: kind(read),
        author_type: author.kind,
        author_id: author.id,
        author_name: author.name.as_deref(),
        flags: Json::new(decision.flags.clone()),
        threading: Some(Json::new(decision.clone())),
        version: before.version + 1,
    };
    if !store::messages::recognise(cx.conn, &before, &after)? {
        return Err(crate::operations::overtaken());
    }
    // Whom a stranger let in is not who belongs to the agent's answer.
    let people: Vec<String> = known.people().of(at).into_keys().collect();
    store::threads::delete_participants(cx.conn, at, &people)?;
    known.people().begin(&alone);
    let into = known.join(cx, ledger, into, &[at])?;
    placing::add_participants(here, known, read, &into, &decision);
    effects::tell(cx, read, &into, id, false);
    Ok(into.id)
}
