//! How far an agent has read a conversation.

use crate::id::{ConversationId, MessageId};
use crate::time::Timestamp;

/// How far an agent has read a conversation. A conversation is unread while its newest message, note or automatic
/// answer lies behind the mark; one without a mark is unread if it moved since the agent joined the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMark {
    /// Of which conversation.
    pub conversation_id: ConversationId,
    /// The newest message that was read; `None` is none of them.
    pub message_id: Option<MessageId>,
    /// When that was noted; `None`: never.
    pub read_at: Option<Timestamp>,
    /// Something in it is newer.
    pub unread: bool,
}
