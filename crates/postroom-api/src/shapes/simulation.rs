//! What would become of a mail, as callers see it.

use postroom_core::event::EventType;
use postroom_core::id::{ConversationId, CustomerId, MessageId};
use postroom_core::intake::Verdict;
use postroom_core::mail::{Address, Class, SenderAuth};
use postroom_core::operations::intake::simulate::{Simulation, WouldTell};
use postroom_core::threading::{Decision, Flag};
use serde::Serialize;
use utoipa::ToSchema;

/// What would become of a mail. Every number in it is of something that is there now: what the mail
/// would make has none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Simulation)]
pub struct SimulationView {
    /// What would become of it.
    pub verdict: Verdict,
    /// The message that it is already (`duplicate`); `null` too where you may not see it.
    pub message_id: Option<MessageId>,
    /// The conversation that it would join; `null` where it would begin one, or join one that you
    /// may not see (`threading.outcome` tells which).
    pub conversation_id: Option<ConversationId>,
    /// Whose that conversation is; `null` for a customer who would be made, or whom you may not see.
    pub customer_id: Option<CustomerId>,
    /// The conversation's subject; `null` where it would be put into none, or into one that you may
    /// not see.
    pub conversation_subject: Option<String>,
    /// Why it would be there, as `GET /messages/{id}/threading` tells it of a message.
    pub threading: Option<Decision>,
    /// What kind of mail it is.
    pub class: Class,
    /// Why it has its class.
    pub signals: Vec<String>,
    /// What a server that the mailbox trusts says of the sender.
    pub sender_auth: SenderAuth,
    /// What would stand beside it.
    pub flags: Vec<Flag>,
    /// The From address.
    pub from: Option<Address>,
    /// Its subject.
    pub subject: String,
    /// The whole text.
    pub text: String,
    /// Only what is new in it.
    pub reply_text: String,
    /// Its files.
    pub attachments: Vec<SimulatedAttachment>,
    /// What would be told, in order.
    pub events: Vec<SimulatedEvent>,
}

/// A file of a mail that is tried.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimulatedAttachment {
    /// A harmless name.
    pub filename: String,
    /// What its sender says it is.
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// Shown inside the text.
    pub inline: bool,
}

/// An event that would be told.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimulatedEvent {
    /// What would happen.
    pub r#type: EventType,
    /// The conversation it would be about; `null` for one that would begin.
    pub conversation_id: Option<ConversationId>,
}

impl From<Simulation> for SimulationView {
    fn from(simulation: Simulation) -> Self {
        let Simulation { mail, decision, .. } = simulation;
        let flags = decision.as_ref().map(|decision| decision.flags.clone()).unwrap_or_default();
        let from = mail.sender().cloned();
        let attachments = mail.parts.into_iter().map(|part| SimulatedAttachment {
            filename: part.filename,
            content_type: part.content_type,
            size: part.size,
            inline: part.inline,
        });
        let events = simulation
            .events
            .into_iter()
            .map(|WouldTell { kind, conversation_id }| SimulatedEvent { r#type: kind, conversation_id });
        Self {
            verdict: simulation.verdict,
            message_id: simulation.message_id,
            conversation_id: simulation.conversation_id,
            customer_id: simulation.customer_id,
            conversation_subject: simulation.conversation_subject,
            threading: decision,
            class: simulation.class,
            signals: mail.signals,
            sender_auth: mail.sender_auth,
            flags,
            from,
            subject: mail.subject,
            reply_text: mail.reply_text.unwrap_or_else(|| mail.text.clone()),
            text: mail.text,
            attachments: attachments.collect(),
            events: events.collect(),
        }
    }
}
