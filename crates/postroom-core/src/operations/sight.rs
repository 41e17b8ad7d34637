//! What a caller may know of conversations that something else names: a decision, a receipt, a row of
//! the ledger, a mail that is only tried.

use crate::cx::Cx;
use crate::id::ConversationId;
use crate::threading::{Decision, SenderClass};
use crate::{Error, store};
use std::collections::HashSet;

/// Which of these conversations the caller may see.
pub(super) fn known(
    cx: &mut Cx<'_>,
    named: &HashSet<ConversationId>,
) -> Result<HashSet<ConversationId>, Error> {
    let access = cx.access().clone();
    Ok(store::conversations::visible_of(cx.conn, &access, named)?)
}

/// The conversations that a decision names.
pub(super) fn named(decision: &Decision) -> HashSet<ConversationId> {
    let mut named: HashSet<ConversationId> =
        decision.candidates.iter().map(|weighed| weighed.conversation_id).collect();
    named.extend(decision.conversation_id);
    named.extend(&decision.also_references);
    named.extend(&decision.joined);
    named.extend(decision.moved_from);
    named
}

/// A decision as somebody may see it who may see only these conversations of those it names.
pub(super) fn without_hidden(mut decision: Decision, seen: &HashSet<ConversationId>) -> Decision {
    let hides = named(&decision).iter().any(|id| !seen.contains(id));
    decision.candidates.retain(|weighed| seen.contains(&weighed.conversation_id));
    decision.also_references.retain(|other| seen.contains(other));
    decision.joined.retain(|other| seen.contains(other));
    decision.moved_from = decision.moved_from.filter(|other| seen.contains(other));
    if decision.conversation_id.is_some_and(|other| !seen.contains(&other)) {
        (decision.conversation_id, decision.key) = (None, None);
    }
    if hides {
        // The rule names what was passed over, and what the sender is to it.
        "decided over conversations that you may not see".clone_into(&mut decision.rule);
        decision.sender_class = SenderClass::P0;
        decision.strength = None;
    }
    decision
}
