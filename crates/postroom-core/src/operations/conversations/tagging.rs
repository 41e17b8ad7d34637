//! The tags of a conversation.

use super::{ConversationCard, about, card, changeable, save};
use crate::access::Scope;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{Changes, EventType, NewEvent};
use crate::id::ConversationId;
use crate::operations::{require_version, tags};
use crate::{Error, store};
use std::collections::HashMap;

/// The most tags of one conversation.
pub(super) const TAGS: usize = 50;

/// Adds and removes tags without touching others.
pub fn tag(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    add: &[String],
    remove: &[String],
) -> Result<ConversationCard, Error> {
    cx.access().require(Scope::NotesWrite)?;
    let before = changeable(cx, id)?;
    require_version("conversation", expected, before.etag())?;
    let mut faults = Faults::default();
    for (index, name) in add.iter().enumerate() {
        tags::check_name(&format!("/add/{index}"), name, &mut faults);
    }
    faults.check()?;
    let had = store::tags::of_conversations(cx.conn, &[id])?.remove(&id).unwrap_or_default();
    let fold = |name: &String| crate::text::fold(name);
    let removed: Vec<String> = remove.iter().map(fold).collect();
    let mut wanted: Vec<String> = had.iter().filter(|name| !removed.contains(&fold(name))).cloned().collect();
    wanted.extend(add.iter().cloned());
    let mut faults = Faults::default();
    if wanted.len() > TAGS {
        faults.add("/add", "too_many", format!("a conversation has at most {TAGS} tags"));
    }
    faults.check()?;
    let retagged = set_tags(cx, &before, &had, &wanted)?;
    let after = before.clone();
    let written = save(cx, &before, &after, retagged)?;
    card(cx, written)
}

/// Writes the tags over those there are and tells it. Says whether anything changed.
pub(super) fn set_tags(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    had: &[String],
    wanted: &[String],
) -> Result<bool, Error> {
    let fold = |name: &String| crate::text::fold(&crate::text::one_line(name, tags::NAME_CHARS));
    let had_by: HashMap<String, &String> = had.iter().map(|name| (fold(name), name)).collect();
    let mut new = Vec::new();
    let mut kept = Vec::new();
    for name in wanted {
        let folded = fold(name);
        if had_by.contains_key(&folded) {
            kept.push(folded);
        } else {
            let (tag, _) = tags::ensure(cx, &crate::text::one_line(name, tags::NAME_CHARS))?;
            new.push(tag);
        }
    }
    let mut gone = Vec::new();
    for (folded, name) in &had_by {
        if !kept.contains(folded)
            && let Some(tag) = store::tags::find_by_name(cx.conn, name)?
        {
            gone.push(tag);
        }
    }
    if new.is_empty() && gone.is_empty() {
        return Ok(false);
    }
    let ids = |tags: &[store::tags::Tag]| tags.iter().map(|tag| tag.id).collect::<Vec<_>>();
    store::tags::attach(cx.conn, conversation.id, &ids(&new))?;
    store::tags::detach(cx.conn, conversation.id, &ids(&gone))?;
    let now_has = store::tags::of_conversations(cx.conn, &[conversation.id])?
        .remove(&conversation.id)
        .unwrap_or_default();
    let mut changes = Changes::default();
    changes.note("tags", &had.to_vec(), &now_has);
    cx.tell(NewEvent::new(EventType::ConversationTagged, about(conversation)).changing(changes));
    Ok(true)
}

pub(super) fn check_tags(names: &[String], faults: &mut Faults) {
    if names.len() > TAGS {
        faults.add("/tags", "too_many", format!("has at most {TAGS} members"));
    }
    for (index, name) in names.iter().take(TAGS).enumerate() {
        tags::check_name(&format!("/tags/{index}"), name, faults);
    }
}
