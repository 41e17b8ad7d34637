//! What other systems call conversations: found by it, and made or changed by it, so that a program that
//! keeps two systems alike needs no list of its own.

use super::{ConversationCard, ConversationChange, NewConversation, card, create, update};
use crate::access::Scope;
use crate::conversation::{Conversation, ExternalId};
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::ConversationId;
use crate::operations::{messages, require_version};
use crate::store::conn;
use crate::{Error, store};
use std::collections::HashSet;

/// What a conversation is to be, be it there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationUpsert {
    /// Where there is none; `None`: then there is nothing to make one of.
    pub make: Option<NewConversation>,
    /// Where there is one.
    pub change: ConversationChange,
    /// It is history: where there is one it stays as it is, for what was done since at this desk counts.
    pub is_imported: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upserted {
    /// The conversation as it is now.
    pub card: ConversationCard,
    /// It was made just now.
    pub is_new: bool,
}

/// The conversation that another system calls so.
pub fn find_by_external(cx: &mut Cx<'_>, key: &ExternalId) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    let found = store::conversations::find_by_external(cx.conn, key)?;
    let found = found.ok_or(Error::NotFound("conversation"))?;
    let conversation = super::visible(cx, found.id)?;
    card(cx, conversation)
}

/// Changes the conversation that another system calls so, or makes it: of many who do so at once, one makes it.
///
/// `expected` is the version that the caller saw, `*` any: with it none is made. `holds` says whether the
/// caller wants nothing done where there is this version. Where it has to be made and there is nothing to make
/// it of, it is not found.
pub fn upsert(
    cx: &mut Cx<'_>,
    key: &ExternalId,
    expected: Option<&str>,
    holds: impl Fn(&str) -> bool,
    wanted: &ConversationUpsert,
) -> Result<Upserted, Error> {
    if wanted.is_imported {
        messages::require_imports(cx)?;
    }
    cx.access().require(Scope::ConversationsWrite)?;
    conn::lock_external(cx.conn, &key.to_string())?;
    let Some(before) = store::conversations::find_by_external(cx.conn, key)? else {
        if expected.is_some() {
            let detail = "there is no such conversation that could be changed";
            return Err(Error::Unmet { detail, etag: None });
        }
        let new = wanted.make.as_ref().ok_or(Error::NotFound("conversation"))?;
        let new = NewConversation { external_id: Some(key.clone()), ..new.clone() };
        return Ok(Upserted { card: create(cx, &new)?, is_new: true });
    };
    if !is_seen(cx, &before)? {
        return Err(taken(None));
    }
    if holds(&before.etag()) {
        let detail = "the conversation is there already";
        return Err(Error::Unmet { detail, etag: Some(before.etag()) });
    }
    if wanted.is_imported {
        require_version("conversation", expected, before.etag())?;
        return Ok(Upserted { card: card(cx, before)?, is_new: false });
    }
    Ok(Upserted { card: update(cx, before.id, expected, &wanted.change)?, is_new: false })
}

/// Notes what is wrong with such a name.
pub(super) fn check(key: Option<&ExternalId>, faults: &mut Faults) {
    let Some(key) = key else { return };
    if let Some(fault) = key.source_fault() {
        faults.add("/external_id/source", "invalid", fault);
    }
    if let Some(fault) = key.id_fault() {
        faults.add("/external_id/id", "invalid", fault);
    }
}

/// Fails where another conversation than `own` has the name; nobody else can take it until the transaction
/// ends.
pub(super) fn require_free(
    cx: &mut Cx<'_>,
    key: &ExternalId,
    own: Option<ConversationId>,
) -> Result<(), Error> {
    conn::lock_external(cx.conn, &key.to_string())?;
    match store::conversations::find_by_external(cx.conn, key)? {
        Some(other) if Some(other.id) != own => {
            let seen = is_seen(cx, &other)?;
            Err(taken(seen.then_some(other.id)))
        }
        _ => Ok(()),
    }
}

/// Gives a conversation its name in another system, or takes it away.
pub(super) fn name(
    cx: &mut Cx<'_>,
    conversation: &mut Conversation,
    key: Option<&ExternalId>,
) -> Result<(), Error> {
    if let Some(key) = key {
        require_free(cx, key, Some(conversation.id))?;
    }
    conversation.external_source = key.map(|key| key.source.clone());
    conversation.external_id = key.map(|key| key.id.clone());
    Ok(())
}

fn is_seen(cx: &mut Cx<'_>, conversation: &Conversation) -> Result<bool, Error> {
    let access = cx.access().clone();
    Ok(!store::conversations::visible_of(cx.conn, &access, &HashSet::from([conversation.id]))?.is_empty())
}

/// A name is one conversation's in the whole desk. Who does not see that one is told no more than this.
fn taken(existing: Option<ConversationId>) -> Error {
    Error::AlreadyExists {
        detail: "a conversation has this external_id already".to_owned(),
        existing_id: existing.map(|id| id.0),
    }
}
