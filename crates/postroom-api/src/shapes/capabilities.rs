//! What a caller may do to a conversation.

use postroom_core::capability::{Action, Capabilities, Refusal};
use postroom_core::id::ConversationId;
use serde::Serialize;
use utoipa::ToSchema;

/// What you may do to a conversation just now. Each action stands in one of the two lists.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Capabilities, example = json!({
    "conversation_id": 1042, "allowed": ["tag", "note", "read"],
    "refused": [{"action": "reply", "code": "insufficient_scope", "detail": "the token lacks the scope messages:send"}]
}))]
pub struct CapabilitiesView {
    /// To which.
    conversation_id: ConversationId,
    /// What would be taken, if the input is right.
    allowed: Vec<Action>,
    /// What would be refused, whatever the input.
    refused: Vec<RefusalView>,
}

/// Why something can't be done to a conversation, as its operation would answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refusal)]
struct RefusalView {
    /// What.
    action: Action,
    /// The `code` of the problem.
    code: &'static str,
    /// A sentence for people.
    detail: String,
}

impl From<Capabilities> for CapabilitiesView {
    fn from(found: Capabilities) -> Self {
        let refused = |Refusal { action, code, detail }| RefusalView { action, code, detail };
        Self {
            conversation_id: found.conversation_id,
            allowed: found.allowed,
            refused: found.refused.into_iter().map(refused).collect(),
        }
    }
}
