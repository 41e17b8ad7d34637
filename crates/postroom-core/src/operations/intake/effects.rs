//! What a mail does to its conversation: by its class and the folder it lay in, and nothing else.
//! Nothing that a machine wrote reopens, wakes, assigns or answers; the one exception is a bounce
//! that says that an agent's answer will never arrive.

use super::{Circumstances, Read, reports::Report};
use crate::conversation::{Conversation, Status, WaitingOn};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::MessageId;
use crate::mail::{CalendarMethod, Class, Mail};
use crate::mailbox::FolderRole;
use crate::operations::conversations::{about, set_status, tell_changes};
use crate::{Error, store};

/// What a mail does to the conversation that it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is our turn: what was closed, pending or asleep is open. Spam stays spam.
    Ours,
    /// An agent answered with another program: it is the customer's turn, and nothing reopens.
    Theirs,
    /// It is there to be read.
    Quiet,
}

/// The table. `is_lost`: a report says that an agent's answer will never arrive.
pub(super) fn effect(role: FolderRole, class: Class, mail: &Mail, is_lost: bool) -> Effect {
    match (role, class) {
        (FolderRole::Sent, Class::Human | Class::Calendar | Class::List | Class::Notification) => {
            Effect::Theirs
        }
        (FolderRole::Inbox, Class::Human) => Effect::Ours,
        (FolderRole::Inbox, Class::Calendar) if !answers_invitation(mail) => Effect::Ours,
        (FolderRole::Inbox, Class::Bounce) if is_lost => Effect::Ours,
        _ => Effect::Quiet,
    }
}

/// A program's yes or no to an invitation (RFC 5546 section 3.2.3).
fn answers_invitation(mail: &Mail) -> bool {
    mail.calendar_method == Some(CalendarMethod::Reply)
}

/// Where a conversation begins that a mail of this kind begins: what a machine wrote is there for
/// whoever looks for it, and no work for anybody.
pub(super) fn beginning(role: FolderRole, class: Class, mail: &Mail) -> (Status, Option<WaitingOn>) {
    let is_quiet = class.is_automatic() || class == Class::Calendar && answers_invitation(mail);
    match role {
        FolderRole::Junk => (Status::Spam, None),
        _ if is_quiet => (Status::Closed, None),
        FolderRole::Sent => (Status::Pending, Some(WaitingOn::Customer)),
        FolderRole::Inbox => (Status::Open, Some(WaitingOn::Us)),
    }
}

/// Counts a message in its conversation and does to it what the table says.
pub(super) fn touch(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    read: &Read<'_>,
    before: &Conversation,
    message: MessageId,
    is_new: bool,
    report: Option<&Report>,
) -> Result<Conversation, Error> {
    let mut after = before.clone();
    let received = read.arrival.internal_date.unwrap_or(cx.now).min(cx.now);
    after.message_count += 1;
    // History belongs between what is there.
    if here.history.is_none() || is_new || received >= before.last_message_at {
        after.last_message_id = Some(message);
    }
    after.last_message_at = before.last_message_at.max(received);
    let is_lost = report.is_some_and(Report::is_lost);
    let wanted = match effect(read.role, read.class, read.mail, is_lost) {
        _ if here.history.is_some() => {
            // It was closed when the last of its mails had been dealt with.
            after.closed_at = before.closed_at.map(|closed_at| closed_at.max(received));
            None
        }
        _ if is_new || after.status == Status::Spam => None,
        Effect::Quiet => None,
        Effect::Theirs if after.status == Status::Closed => None,
        Effect::Theirs => Some(WaitingOn::Customer),
        Effect::Ours => {
            set_status(&mut after, Status::Open, cx.now);
            Some(WaitingOn::Us)
        }
    };
    if wanted.is_some() && after.waiting_on != wanted {
        after.waiting_on = wanted;
        after.waiting_since = Some(received);
    }
    let written = store::conversations::update(cx.conn, before, &after, cx.now)?
        .ok_or_else(crate::operations::overtaken)?;
    tell_changes(cx, before, &written);
    Ok(written)
}

/// Tells that a mail is here. `quiet` in it says that nothing automatic may follow; so does `true`.
pub(super) fn tell(
    cx: &mut Cx<'_>,
    read: &Read<'_>,
    conversation: &Conversation,
    message: MessageId,
    is_flood: bool,
) -> bool {
    let about = About { message_id: Some(message), ..about(conversation) };
    let is_quiet = read.role != FolderRole::Inbox || read.arrival.is_history || is_flood;
    let mut event = if read.role == FolderRole::Sent {
        NewEvent::new(EventType::MessageSent, about).with("folder", "sent")
    } else {
        let name = read.mail.sender().and_then(|sender| sender.name.clone());
        let mut event = NewEvent::new(EventType::MessageReceived, about).with("class", read.class.as_str());
        event.by_customer = Some((conversation.customer_id, name));
        event
    };
    if is_quiet {
        event = event.with("quiet", true);
    }
    cx.tell(event);
    is_quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_written() {
        let mail = Mail::unreadable("");
        for class in Class::ALL {
            let ours = matches!(class, Class::Human | Class::Calendar);
            let expected = if ours { Effect::Ours } else { Effect::Quiet };
            assert_eq!(effect(FolderRole::Inbox, *class, &mail, false), expected, "{class}");
            assert_eq!(effect(FolderRole::Junk, *class, &mail, true), Effect::Quiet, "{class}");
            let expected = if class.is_automatic() { Effect::Quiet } else { Effect::Theirs };
            assert_eq!(effect(FolderRole::Sent, *class, &mail, false), expected, "{class}");
        }
        assert_eq!(effect(FolderRole::Inbox, Class::Bounce, &mail, true), Effect::Ours);
        assert_eq!(effect(FolderRole::Inbox, Class::Complaint, &mail, true), Effect::Quiet);
    }

    #[test]
    fn only_a_program_that_answers_an_invitation_is_quiet() {
        let mut mail = Mail::unreadable("");
        for method in CalendarMethod::ALL {
            mail.calendar_method = Some(*method);
            let is_reply = *method == CalendarMethod::Reply;
            let expected = if is_reply { Effect::Quiet } else { Effect::Ours };
            assert_eq!(effect(FolderRole::Inbox, Class::Calendar, &mail, false), expected, "{method}");
            let status = if is_reply { Status::Closed } else { Status::Open };
            assert_eq!(beginning(FolderRole::Inbox, Class::Calendar, &mail).0, status, "{method}");
            assert_eq!(effect(FolderRole::Inbox, Class::Human, &mail, false), Effect::Ours, "{method}");
        }
    }

    #[test]
    fn what_begins_a_conversation_says_where_it_begins() {
        let mail = Mail::unreadable("");
        let begins = |role, class| beginning(role, class, &mail);
        assert_eq!(begins(FolderRole::Inbox, Class::Human), (Status::Open, Some(WaitingOn::Us)));
        assert_eq!(begins(FolderRole::Inbox, Class::List), (Status::Open, Some(WaitingOn::Us)));
        assert_eq!(begins(FolderRole::Inbox, Class::Bounce), (Status::Closed, None));
        assert_eq!(begins(FolderRole::Junk, Class::Human), (Status::Spam, None));
        assert_eq!(begins(FolderRole::Junk, Class::AutoReply), (Status::Spam, None));
        assert_eq!(begins(FolderRole::Sent, Class::Human), (Status::Pending, Some(WaitingOn::Customer)));
        assert_eq!(begins(FolderRole::Sent, Class::AutoReply), (Status::Closed, None));
    }
}
