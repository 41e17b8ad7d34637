//! Many conversations begun at once: one transaction, in which each is made or refused by itself.

use super::{ConversationCard, NewConversation, create};
use crate::Error;
use crate::access::Scope;
use crate::cx::Cx;
use crate::store::conn;

/// The most conversations of one batch.
pub const AT_ONCE: usize = 100;

/// Begins conversations, in their order. Each is made or refused by itself; `None` was refused before, and
/// stays so.
pub fn create_many(
    cx: &mut Cx<'_>,
    all: &[Option<NewConversation>],
) -> Result<Vec<Option<Result<ConversationCard, Error>>>, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let mut names: Vec<String> =
        all.iter().flatten().filter_map(|new| new.external_id.as_ref()).map(ToString::to_string).collect();
    // In one order, so that two batches with the same names don't wait for each other.
    names.sort_unstable();
    for name in names {
        conn::lock_external(cx.conn, &name)?;
    }
    let mut done = Vec::with_capacity(all.len());
    for new in all {
        done.push(match new {
            Some(new) => Some(cx.attempt(|cx| create(cx, new))?),
            None => None,
        });
    }
    Ok(done)
}
