//! A notification as a mail to the agent.

use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::event::Event;
use crate::message::Message;
use crate::notification::NotificationReason as Reason;
use crate::notification_settings::MAILS_AN_HOUR;
use crate::operations::notices;
use crate::people::Agent;
use crate::{Error, store};
use std::time::Duration;

/// So much of a message stands in the mail, in characters.
const TEXT_CHARS: usize = 4_000;

/// Tells an agent by mail. Whether it will leave: of a flood the rest stands in the feed alone, and so does what came back
/// where they hear of that anyhow (`bounce_notices`).
pub(super) fn send(
    cx: &mut Cx<'_>,
    agent: &Agent,
    conversation: &Conversation,
    event: &Event,
    reason: Reason,
) -> Result<bool, Error> {
    let is_told = event.kind == crate::event::EventType::MessageBounced.as_str() && agent.bounce_notices;
    let since = cx.now.minus(Duration::from_hours(1));
    let sent = store::notifications::count_mailed(cx.conn, agent.id, since)?;
    if is_told || sent >= MAILS_AN_HOUR {
        return Ok(false);
    }
    let message = match event.message_id {
        Some(id) => store::messages::find(cx.conn, id)?,
        None => None,
    };
    let who = event.actor_name.as_deref().unwrap_or("somebody");
    let told = headline(reason, who);
    let subject = format!("[#{}] {told}: {}", conversation.id, conversation.subject);
    let mut text = format!("{told}.\n");
    if let Some(message) = message.filter(|_| shows_text(reason)) {
        text.push('\n');
        text.push_str(&excerpt(&message));
        text.push('\n');
    }
    let (id, about) = (conversation.id, &conversation.subject);
    let foot = format!(
        "\n-- \nConversation {id}: {about}\nAnswer it at the desk: what answers this mail does not reach the customer.\n"
    );
    text.push_str(&foot);
    if sent + 1 == MAILS_AN_HOUR {
        text.push_str(
            "This is the last such mail for an hour; whatever else comes stands in your notifications.\n",
        );
    }
    notices::mail_agent(cx, conversation.mailbox_id, agent, &subject, &text)
}

/// What happened, in words.
fn headline(reason: Reason, who: &str) -> String {
    match reason {
        Reason::Mentioned => format!("{who} names you in a note"),
        Reason::Assigned => "This conversation is yours now".to_owned(),
        Reason::SendFailed => "An answer did not arrive, or may not have".to_owned(),
        Reason::Received => format!("{who} wrote"),
        Reason::SnoozeOver => "This conversation is awake again".to_owned(),
        Reason::Answered => format!("{who} answered"),
        Reason::Noted => format!("{who} wrote a note"),
        Reason::StatusChanged => format!("{who} changed the state of this conversation"),
        Reason::TeamReceived => "This conversation waits for somebody of your team".to_owned(),
    }
}

/// What came back says what a stranger's server wrote.
fn shows_text(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Mentioned | Reason::Received | Reason::Answered | Reason::Noted | Reason::TeamReceived
    )
}

fn excerpt(message: &Message) -> String {
    let whole = message.reply_content.as_deref().unwrap_or(&message.content).trim();
    let mut text: String = whole.chars().take(TEXT_CHARS).collect();
    if text.len() < whole.len() {
        text.push_str(" \u{2026}");
    }
    text
}
