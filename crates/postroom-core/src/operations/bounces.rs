//! What came back is tied to what left: the mail's own row says who did not get it and why, and whoever
//! takes care of the conversation is told by mail.

use super::breaker::{self, Automatic, Notice};
use super::{notices, overtaken};
use crate::conversation::{Conversation, Status};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::mail::FailedRecipient;
use crate::mailbox::Mailbox;
use crate::message::{DeliveryState, Message, Outbound, RecipientResult, RecipientState};
use crate::people::Agent;
use crate::store::types::Json;
use crate::text::{address_fault, fold_address, one_line, without_plus};
use crate::{Error, store};

/// What the breaker counts the notices under.
const RULE: &str = "bounce_notice";
/// The most addresses that a notice names.
const NAMED: usize = 10;

/// Notes on a mail that left here whom it never reached. `false`: nothing that was not known before, or it
/// left by another program.
pub(super) fn note(cx: &mut Cx<'_>, message: &Message, failed: &[FailedRecipient]) -> Result<bool, Error> {
    let Some(before) = store::outbox::of_messages(cx.conn, &[message.id])?.remove(&message.id) else {
        return Ok(false);
    };
    // Whoever hands it over just now writes the whole row when it is done, guarded by what it was: a change
    // would cost what came of the attempt. The event tells all the same.
    if before.state == DeliveryState::Sending {
        return Ok(false);
    }
    let mut after = before.clone();
    let mut results = before.recipients.to_vec();
    let alone = results.len() == 1;
    for recipient in failed.iter().filter(|recipient| recipient.permanent) {
        // A server that passed it on may name somebody we never wrote to.
        let Some(result) = results.iter_mut().find(|result| alone || is_named(result, recipient)) else {
            continue;
        };
        if matches!(result.state, RecipientState::Refused | RecipientState::Bounced) {
            continue;
        }
        result.state = RecipientState::Bounced;
        result.response = Some(why(recipient));
        after.last_error = Some(format!("{}: {}", result.email, why(recipient)));
    }
    after.recipients = Json::new(results);
    if after.recipients == before.recipients {
        return Ok(false);
    }
    settle(cx, &mut after);
    store::outbox::update(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    Ok(true)
}

/// What is on its way to others goes on; the rest is settled: somebody did not get it.
fn settle(cx: &Cx<'_>, after: &mut Outbound) {
    let waits = |state| matches!(state, RecipientState::Waiting | RecipientState::Deferred);
    let is_under_way = matches!(after.state, DeliveryState::Queued | DeliveryState::Deferred)
        && after.recipients.iter().any(|result| waits(result.state));
    if !is_under_way {
        after.state = DeliveryState::Bounced;
        after.finished_at = after.finished_at.or(Some(cx.now));
    }
}

fn is_named(result: &RecipientResult, recipient: &FailedRecipient) -> bool {
    let email = fold_address(&result.email);
    email == fold_address(recipient.addressed()) || email == fold_address(&recipient.email)
}

fn why(recipient: &FailedRecipient) -> String {
    let told = format!("{} {}", recipient.status, recipient.diagnostic);
    let told = one_line(told.trim(), 500);
    if told.is_empty() { "the receiving server gave it up and did not say why".to_owned() } else { told }
}

/// Tells the assignee by mail that an answer came back for good. Nothing that the report says stands in it but
/// a status code; addresses are those that we wrote to.
pub(super) fn tell_assignee(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    message: &Message,
    failed: &[FailedRecipient],
) -> Result<(), Error> {
    if conversation.status == Status::Spam || conversation.deleted_at.is_some() {
        return Ok(());
    }
    let Some(assignee) = conversation.assignee_id else { return Ok(()) };
    let Some(agent) = store::people::find_agent(cx.conn, assignee)? else { return Ok(()) };
    if !can_be_told(cx, &agent, failed)? {
        return Ok(());
    }
    let recipient = fold_address(&agent.email);
    let notice = Automatic {
        mailbox: conversation.mailbox_id,
        conversation: conversation.id,
        recipient: &recipient,
        rule: RULE,
    };
    match breaker::ask_for_notice(cx, &notice)? {
        Notice::Enough => Ok(()),
        Notice::Tripped(why) => {
            let about = About { message_id: Some(message.id), ..super::conversations::about(conversation) };
            let event = NewEvent::new(EventType::NoticeWithheld, about)
                .with("message", EventType::MessageBounced.as_str())
                .with("agent_id", agent.id.0)
                .with("reason", why);
            cx.tell(event);
            Ok(())
        }
        Notice::Go { is_last } => {
            let subject = format!("postroom: an answer in conversation {} came back", conversation.id);
            let text = text(conversation, message, failed, is_last);
            notices::mail_agent(cx, conversation.mailbox_id, &agent, &subject, &text).map(drop)
        }
    }
}

/// Nobody is written to who wants nothing of it or is no longer there, nor a mailbox of ours, where it would
/// be a conversation, nor an address that mail just came back from.
fn can_be_told(cx: &mut Cx<'_>, agent: &Agent, failed: &[FailedRecipient]) -> Result<bool, Error> {
    if !agent.bounce_notices || agent.disabled_at.is_some() || address_fault(&agent.email).is_some() {
        return Ok(false);
    }
    let one = without_plus(&fold_address(&agent.email));
    let is_theirs = |email: &str| without_plus(&fold_address(email)) == one;
    if failed.iter().any(|recipient| is_theirs(&recipient.email) || is_theirs(recipient.addressed())) {
        return Ok(false);
    }
    let mailboxes = store::mailboxes::list(cx.conn)?;
    Ok(!mailboxes.iter().flat_map(Mailbox::own_addresses).any(|own| own == one))
}

fn text(conversation: &Conversation, message: &Message, failed: &[FailedRecipient], is_last: bool) -> String {
    let recipients = &*message.recipients;
    let all = || recipients.to.iter().chain(&recipients.cc).chain(&recipients.bcc);
    let mut lost = Vec::new();
    for address in all() {
        let folded = fold_address(&address.email);
        let alone = all().count() == 1;
        let why = failed.iter().filter(|recipient| recipient.permanent).find(|recipient| {
            alone || folded == fold_address(recipient.addressed()) || folded == fold_address(&recipient.email)
        });
        if let Some(why) = why {
            lost.push(format!("{}{}", shown(&address.email), status(&why.status)));
        }
    }
    let more = lost.len().saturating_sub(NAMED);
    lost.truncate(NAMED);
    if more > 0 {
        lost.push(format!("{more} more"));
    }
    if lost.is_empty() {
        // A server that passed it on names whom it passed it on to.
        lost.push("somebody whom it was passed on to".to_owned());
    }
    let lost = lost.join(", ");
    let last = if is_last {
        "\nThis is the last such notice within the hour, whatever else comes back: look at your conversations.\n"
    } else {
        ""
    };
    format!(
        "An answer in a conversation that is assigned to you did not arrive, and will not be tried again.\n\n\
         Conversation: {}\nMessage: {}\nNot delivered to: {lost}\n\n\
         The conversation is open. What the other server said stands at the message (delivery).\n{last}\
         \nWho wants no such mail turns it off with bounce_notices.\n",
        conversation.id, message.id
    )
}

/// An address as it may stand in a notice: it is the customer's to choose, and could hold a link.
fn shown(email: &str) -> &str {
    let is_plain = |c: char| c.is_alphanumeric() || "@.+-_='~".contains(c);
    if email.chars().all(is_plain) { email } else { "an address that is not shown here" }
}

/// A status code, if it is one (RFC 3463 section 2).
fn status(code: &str) -> String {
    let numbers = || code.split('.');
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if numbers().count() == 3 && numbers().all(is_number) { format!(" ({code})") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_named_that_could_be_more_than_an_address_and_a_code() {
        assert_eq!(shown("Ada.L+x@example.net"), "Ada.L+x@example.net");
        assert_eq!(shown("jörg@bücher.example"), "jörg@bücher.example");
        for evil in ["\"http://evil.example\"@x.example", "a b@x.example", "a@x\nb", "a/b@x.example", "<a@x>"]
        {
            assert_eq!(shown(evil), "an address that is not shown here", "{evil}");
        }
        assert_eq!(status("5.1.1"), " (5.1.1)");
        assert_eq!(status("5.123.999"), " (5.123.999)");
        for evil in ["", "5.1", "5.1.1.1", "5.1.1000", "5.1.x", "5.1.", "see http://evil.example"] {
            assert_eq!(status(evil), "", "{evil}");
        }
    }
}
