//! A mail of which only the beginning was here, and that has come whole: its message is filled where
//! it is, so that nobody has it twice.

use super::Read;

use super::known::Known;
use super::ledger::Ledger;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::MessageId;
use crate::operations::conversations::about;
use crate::store::messages::Completed;
use crate::store::types::Json;
use crate::threading::Flag;
use crate::{Error, store};

/// Fills a message. `false`: it is whole already, or gone, and the mail is one like any other.
pub(super) fn complete(
    cx: &mut Cx<'_>,
    known: &mut Known,
    ledger: &mut Ledger,
    read: &Read<'_>,
    id: MessageId,
) -> Result<bool, Error> {
    let before = store::messages::find(cx.conn, id)?;
    let Some(before) = before.filter(|message| message.flags.contains(&Flag::Oversized)) else {
        return Ok(false);
    };
    if read.arrival.oversized {
        // Its beginning may be another one this time.
        known.keep_bytes(read.arrival, cx.now);
        ledger.still_oversized(read.arrival, id, before.conversation_id);
        return Ok(true);
    }
    let mail = read.mail;
    let mut flags = before.flags.clone().into_inner();
    flags.retain(|flag| !matches!(flag, Flag::Oversized | Flag::Unreadable | Flag::Shortened));
    flags.extend(mail.problem.is_some().then_some(Flag::Unreadable));
    flags.extend(mail.is_shortened.then_some(Flag::Shortened));
    let after = Completed {
        content: &mail.text,
        reply_content: mail.reply_text.as_deref(),
        text_parts: Json::new(mail.parts_of_text.clone()),
        has_html: mail.has_html,
        fingerprint: &mail.fingerprint,
        raw_hash: &read.arrival.raw.hash,
        raw_size: read.arrival.raw.size,
        flags: Json::new(flags),
        version: before.version + 1,
    };
    if !store::messages::complete(cx.conn, &before, &after)? {
        return Err(super::super::overtaken());
    }
    known.keep(read.arrival, id, cx.now);
    ledger.completed(read.arrival, id, before.conversation_id);
    let conversation = known.conversation(cx, before.conversation_id)?;
    let about = About { message_id: Some(id), ..about(&conversation) };
    cx.tell(NewEvent::new(EventType::MessageCompleted, about));
    Ok(true)
}
