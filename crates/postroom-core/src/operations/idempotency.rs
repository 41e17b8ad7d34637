//! A request that is sent again is not done again: its caller gives it a key, and what was answered
//! is kept under that key in the very transaction that does the work
//! (draft-ietf-httpapi-idempotency-key-header-07).

use super::overtaken;
use crate::access::{Access, Sight};
use crate::cx::Cx;
use crate::id::TokenId;
use crate::keys::sha256_hex;
use crate::{Error, store};
use serde::{Deserialize, Serialize};
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

/// An answer as it went out: what a replay says again, byte for byte. It may hold a secret that is
/// shown once, so `Debug` tells its status alone and the store has it sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Where what was made is.
    pub location: Option<String>,
    /// The version of what is shown, without quotes.
    pub etag: Option<String>,
    /// The body: JSON.
    pub body: String,
}

impl std::fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptAnswer({})", self.status)
    }
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What is answered.
    pub answer: KeptAnswer,
    /// It was answered before, to the same request.
    pub replayed: bool,
}

/// Does `work` unless the same request was done under this key before: then its answer is given
/// again. Where there is no key, or the caller has no token that keys could belong to, `work` is done
/// every time.
///
/// The key is taken before anything is read: a twin that runs at the same time waits here, and
/// is not told that its uploads or its version are gone, which the first has just used up. What
/// fails gives its key back with everything else.
pub fn once(
    cx: &mut Cx<'_>,
    key: Option<&Key>,
    work: impl FnOnce(&mut Cx<'_>) -> Result<KeptAnswer, Error>,
) -> Result<Once, Error> {
    let (Some(key), Some(token)) = (key, cx.actor.token_id.clone()) else {
        return Ok(Once { answer: work(cx)?, replayed: false });
    };
    if store::idempotency::claim(cx.conn, &token, &key.key, &key.request_hash, cx.now)? {
        let answer = work(cx)?;
        let text = serde_json::to_string(&answer).expect("a number and strings can be written as JSON");
        let sealed = cx.keys.seal(&place(cx, &token, key), &text);
        store::idempotency::settle(cx.conn, &token, &key.key, &sealed)?;
        return Ok(Once { answer, replayed: false });
    }
    // Forgotten between that look and this one: the key's day was over just then.
    find(cx, key)?.ok_or_else(overtaken)
}

/// What the same request was answered before under this key.
pub fn find(cx: &mut Cx<'_>, key: &Key) -> Result<Option<Once>, Error> {
    let Some(token) = cx.actor.token_id.clone() else { return Ok(None) };
    let Some(kept) = store::idempotency::find(cx.conn, &token, &key.key)? else { return Ok(None) };
    if kept.request_hash != key.request_hash {
        return Err(Error::KeyReused);
    }
    // Nobody else sees a key before what was answered under it.
    let sealed = kept.answer.ok_or_else(overtaken)?;
    let changed = |_| {
        Error::Forbidden(
            "what you may do has changed since this was done: it is not done again, and its answer is not told",
        )
    };
    let text = cx.keys.open(&place(cx, &token, key), &sealed).map_err(changed)?;
    let broken = |_| Error::Lost("the answer that was kept under this Idempotency-Key".to_owned());
    let answer = serde_json::from_str(&text).map_err(broken)?;
    Ok(Some(Once { answer, replayed: true }))
}

/// Forgets the keys whose day is over. Returns how many.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    Ok(store::idempotency::delete_before(cx.conn, cx.now.minus(KEPT_FOR))?)
}

/// What an answer is sealed for: the key, and the rights it was given to. With other rights it does
/// not open, so that a right that was taken away is not had back by a replay.
fn place(cx: &Cx<'_>, token: &TokenId, key: &Key) -> String {
    let customer = cx.actor.customer().map(|address| format!("{address}/")).unwrap_or_default();
    format!("idempotency_keys/{token}/{customer}{}/{}", rights(cx.access()), key.key)
}

fn rights(access: &Access) -> String {
    let mut scopes: Vec<&str> = access.scopes().iter().map(|scope| scope.as_str()).collect();
    scopes.sort_unstable();
    let mut sight = match access.sight() {
        Sight::All => vec!["all".to_owned()],
        Sight::Only(grants) => grants
            .iter()
            .map(|grant| {
                let category = grant.category_id.map(|id| id.0);
                format!("{}/{category:?}/{}/{}", grant.mailbox_id, grant.assigned_only, grant.level.as_str())
            })
            .collect(),
    };
    sight.sort_unstable();
    sha256_hex(format!("{:?}\n{}\n{}", access.agent_id(), scopes.join(" "), sight.join(" ")).as_bytes())
}
