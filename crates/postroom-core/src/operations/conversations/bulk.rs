//! The same change of many conversations: what is asked of it, and how it is done to one.

use super::{
    ConversationChange, TAGS, check_people, purge, require_purge_scopes, restore, tag, trash, update,
};
use crate::Error;
use crate::conversation::Status;
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::ConversationId;
use crate::job::BulkPatch;
use crate::operations::custom_fields::{self, Holder};
use crate::operations::tags;

/// Notes what is wrong with a change, whichever conversation it is made to.
pub(in crate::operations) fn check_bulk(
    cx: &mut Cx<'_>,
    patch: &BulkPatch,
    faults: &mut Faults,
) -> Result<(), Error> {
    if *patch == BulkPatch::default() {
        faults.add("/patch", "required", "says at least one thing that is to change");
    }
    if patch.purge {
        require_purge_scopes(cx)?;
        if *patch != (BulkPatch { purge: true, ..BulkPatch::default() }) {
            faults.add("/patch/purge", "ambiguous", "what is deleted for good can't be changed besides");
        }
    }
    if patch.status == Some(Status::Snoozed) {
        faults.add("/patch/status", "not_settable", "must be open, pending, closed or spam");
    }
    for (at, names) in [("add", &patch.add_tags), ("remove", &patch.remove_tags)] {
        if names.len() > TAGS {
            faults.add(format!("/patch/tags/{at}"), "too_many", format!("has at most {TAGS} members"));
        }
        for (index, name) in names.iter().take(TAGS).enumerate() {
            tags::check_name(&format!("/patch/tags/{at}/{index}"), name, faults);
        }
    }
    // Whether a value will do where there is none yet: what one conversation has may stay as it is.
    let mut fields = Faults::default();
    custom_fields::settle(cx, Holder::Conversation(None), &patch.custom_fields, false, &mut fields)?;
    if let Err(Error::Invalid(all)) = fields.check().map_err(|error| error.below("/patch")) {
        for fault in all {
            faults.add(fault.pointer, fault.code, fault.detail);
        }
    }
    let mut people = Faults::default();
    let (assignee, team, category) =
        (patch.assignee_id.flatten(), patch.team_id.flatten(), patch.category_id.flatten());
    check_people(cx, assignee, team, category, &mut people)?;
    if let Err(Error::Invalid(all)) = people.check().map_err(|error| error.below("/patch")) {
        for fault in all {
            faults.add(fault.pointer, fault.code, fault.detail);
        }
    }
    Ok(())
}

/// Makes a change to one conversation: out of the trash first, and into it last.
pub(in crate::operations) fn apply(
    cx: &mut Cx<'_>,
    id: ConversationId,
    patch: &BulkPatch,
) -> Result<(), Error> {
    if patch.purge {
        return purge(cx, id, None);
    }
    if patch.trash == Some(false) {
        restore(cx, id, None)?;
    }
    let change = ConversationChange {
        status: patch.status,
        priority: patch.priority,
        assignee_id: patch.assignee_id,
        team_id: patch.team_id,
        category_id: patch.category_id,
        custom_fields: patch.custom_fields.clone(),
        ..ConversationChange::default()
    };
    if change != ConversationChange::default() {
        update(cx, id, None, &change)?;
    }
    if !patch.add_tags.is_empty() || !patch.remove_tags.is_empty() {
        tag(cx, id, None, &patch.add_tags, &patch.remove_tags)?;
    }
    if patch.trash == Some(true) {
        trash(cx, id, None)?;
    }
    Ok(())
}
