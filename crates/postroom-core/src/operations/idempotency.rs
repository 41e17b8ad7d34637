//! A request that is sent again is not done again: its caller gives it a key, and what it made is
//! kept under that key in the very transaction that makes it
//! (draft-ietf-httpapi-idempotency-key-header-07).

use super::overtaken;
use crate::cx::Cx;
use crate::id::{ConversationId, MessageId};
use crate::{Error, store};
use std::time::Duration;

/// How long a key is known at least.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// A caller's name for one request. Every token has names of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub key: String,
    /// What tells this request from another under the same name.
    pub request_hash: String,
}

/// What a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The conversation begun, or written into.
    pub conversation_id: ConversationId,
    /// The message written.
    pub message_id: MessageId,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once<T> {
    /// What was made.
    pub value: T,
    /// It was made before, by the same request.
    pub replayed: bool,
}

/// Does `make` unless the same request was done under this key before: then it is `again` that
/// says what there is. Where there is no key, or the caller has no token that keys could belong
/// to, it is `make` every time.
///
/// The key is taken before anything is read: a twin that runs at the same time waits here, and
/// is not told that its uploads or its version are gone, which the first has just used up. What
/// fails gives its key back with everything else.
pub fn once<T>(
    cx: &mut Cx<'_>,
    key: Option<&Key>,
    make: impl FnOnce(&mut Cx<'_>) -> Result<(T, Made), Error>,
    again: impl FnOnce(&mut Cx<'_>, Made) -> Result<T, Error>,
) -> Result<Once<T>, Error> {
    let (Some(key), Some(token)) = (key, cx.actor.token_id.as_ref()) else {
        return Ok(Once { value: make(cx)?.0, replayed: false });
    };
    if store::idempotency::claim(cx.conn, token, &key.key, &key.request_hash, cx.now)? {
        let (value, made) = make(cx)?;
        store::idempotency::settle(cx.conn, token, &key.key, made.conversation_id, made.message_id)?;
        return Ok(Once { value, replayed: false });
    }
    // Forgotten between that look and this one: the key's day was over just then.
    let made = find(cx, key)?.ok_or_else(overtaken)?;
    Ok(Once { value: again(cx, made)?, replayed: true })
}

/// What the same request made before under this key.
pub fn find(cx: &mut Cx<'_>, key: &Key) -> Result<Option<Made>, Error> {
    let Some(token) = &cx.actor.token_id else { return Ok(None) };
    let Some(kept) = store::idempotency::find(cx.conn, token, &key.key)? else { return Ok(None) };
    if kept.request_hash != key.request_hash {
        return Err(Error::KeyReused);
    }
    match (kept.conversation_id, kept.message_id) {
        (Some(conversation_id), Some(message_id)) => Ok(Some(Made { conversation_id, message_id })),
        // Nobody else sees a key before what was made under it.
        _ => Err(overtaken()),
    }
}

/// Forgets the keys whose day is over. Returns how many.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    Ok(store::idempotency::delete_before(cx.conn, cx.now.minus(KEPT_FOR))?)
}
