//! What a caller may do to a conversation just now: the very checks that operations begin with, asked without doing
//! anything.

use super::conversations::{
    require_changeable, require_movable, require_purge_scopes, require_purgeable, require_snoozable,
};
use super::messages::{require_speaks, scope};
use super::read_marks;
use crate::Error;
use crate::access::Scope;
use crate::capability::{Action, Capabilities, Refusal};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::message::MessageKind;
use crate::unsent::When;

/// What the caller may do to conversations that it has found, in their order.
pub(super) fn of(cx: &Cx<'_>, of: &[&Conversation]) -> Result<Vec<Capabilities>, Error> {
    of.iter().map(|conversation| of_one(cx, conversation)).collect()
}

fn of_one(cx: &Cx<'_>, conversation: &Conversation) -> Result<Capabilities, Error> {
    let mut found =
        Capabilities { conversation_id: conversation.id, allowed: Vec::new(), refused: Vec::new() };
    for action in Action::ALL.iter().copied() {
        match gate(cx, action, conversation) {
            Ok(()) => found.allowed.push(action),
            Err(error) => match error.refusal() {
                Some(code) => found.refused.push(Refusal { action, code, detail: error.to_string() }),
                None => return Err(error),
            },
        }
    }
    Ok(found)
}

/// Fails as the operation would that does this.
fn gate(cx: &Cx<'_>, action: Action, conversation: &Conversation) -> Result<(), Error> {
    let written = |kind, when| {
        cx.access().require(scope(kind, when))?;
        require_speaks(cx, kind)?;
        require_changeable(cx, conversation)
    };
    match action {
        Action::Note => written(MessageKind::Note, When::Now),
        Action::Draft => written(MessageKind::Reply, When::Never),
        Action::Reply => written(MessageKind::Reply, When::Now),
        Action::Forward => written(MessageKind::Forward, When::Now),
        Action::File => written(MessageKind::Inbound, When::Now),
        Action::Tag => {
            cx.access().require(Scope::NotesWrite)?;
            require_changeable(cx, conversation)
        }
        Action::Update | Action::Spam | Action::NotSpam | Action::Merge | Action::Split => {
            cx.access().require(Scope::ConversationsWrite)?;
            require_changeable(cx, conversation)
        }
        Action::Snooze => {
            cx.access().require(Scope::ConversationsWrite)?;
            require_changeable(cx, conversation)?;
            require_snoozable(conversation)
        }
        Action::Trash | Action::Restore => {
            cx.access().require(Scope::ConversationsWrite)?;
            require_movable(cx, conversation)
        }
        Action::Purge => {
            require_purge_scopes(cx)?;
            require_purgeable(cx, conversation)
        }
        Action::Read => read_marks::agent(cx).map(drop),
    }
}
