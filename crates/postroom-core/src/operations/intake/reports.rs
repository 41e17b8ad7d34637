//! Bounces, receipts and complaints: what they say of a mail that left from here, and what
//! follows from it for the address that it went to.

use super::{Circumstances, Known, Read};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{CustomerId, MessageId};
use crate::mail::{Class, FailedRecipient, SenderAuth};
use crate::mailbox::FolderRole;
use crate::message::{Message, MessageKind};
use crate::operations::bounces;
use crate::operations::conversations::about;
use crate::store::customers::AddressFact;
use crate::text::fold_address;
use crate::{Error, store};
use std::collections::HashSet;

/// The status of an address that there is not (RFC 3463 section 3.2).
const NO_SUCH_ADDRESS: &str = "5.1.1";

/// A mail that is about a mail of ours.
pub(super) struct Report {
    /// Which one.
    message: Message,
    /// Somebody whom it went to will never get it.
    is_permanent: bool,
}

impl Report {
    /// What a mail reports on, if it is a report and that left from here.
    pub(super) fn read(cx: &mut Cx<'_>, known: &Known, read: &Read<'_>) -> Result<Option<Self>, Error> {
        let Some(about) = known.about(read.mail, &read.keys) else { return Ok(None) };
        let is_permanent =
            read.class == Class::Bounce && read.mail.failed_recipients.iter().any(|r| r.permanent);
        let found = store::messages::find(cx.conn, about)?;
        let left = |message: &Message| {
            matches!(message.kind, MessageKind::Reply | MessageKind::Forward | MessageKind::AutoReply)
        };
        Ok(found.filter(left).map(|message| Self { message, is_permanent }))
    }

    /// Which message that is.
    pub(super) fn of(&self) -> MessageId {
        self.message.id
    }

    /// An agent's answer will never arrive: somebody has to know. A desk's own answer was no work
    /// of anybody's.
    pub(super) fn is_lost(&self) -> bool {
        self.is_permanent && self.message.kind != MessageKind::AutoReply
    }

    /// Whom the mail went to, folded. What a report says of others it may have made up.
    fn recipients(&self) -> HashSet<String> {
        let recipients = &*self.message.recipients;
        let all = recipients.to.iter().chain(&recipients.cc).chain(&recipients.bcc);
        all.map(|address| fold_address(&address.email)).collect()
    }
}

/// Tells what a report says, and notes it on the addresses that it is about. `joined`: it is in
/// the conversation of the mail that it is about, so that it can be believed.
pub(super) fn follow(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    read: &Read<'_>,
    conversation: &Conversation,
    message: MessageId,
    report: Option<&Report>,
    joined: bool,
) -> Result<(), Error> {
    let report = report.filter(|_| joined);
    // What happened happened to the mail that left.
    let of = report.map_or(message, |report| report.message.id);
    let about = About { message_id: Some(of), ..about(conversation) };
    let event = |kind| NewEvent::new(kind, about).with("report_id", message.0);
    match read.class {
        Class::Bounce => {
            let failed = &read.mail.failed_recipients;
            let recipients: Vec<_> = failed.iter().map(told).collect();
            let bounced = event(EventType::MessageBounced)
                .with("permanent", failed.iter().any(|recipient| recipient.permanent))
                .with("assignee_id", conversation.assignee_id.map(|agent| agent.0))
                .with("recipients", recipients);
            cx.tell(bounced);
            if let Some(report) = report {
                bounces::note(cx, &report.message, failed)?;
                // What is history was told in its own time, and what lies among junk may be anybody's.
                let is_news = here.history.is_none() && !read.arrival.is_history;
                if is_news && read.role == FolderRole::Inbox && report.is_lost() {
                    bounces::tell_assignee(cx, conversation, &report.message, failed)?;
                }
            }
        }
        Class::Receipt if report.is_some() => cx.tell(event(EventType::MessageRead)),
        Class::Complaint if report.is_some() => cx.tell(event(EventType::MessageComplained)),
        _ => {}
    }
    let Some(report) = report else { return Ok(()) };
    let went_to = report.recipients();
    match read.class {
        Class::Bounce => {
            let gone = read
                .mail
                .failed_recipients
                .iter()
                .filter(|recipient| recipient.permanent && recipient.status == NO_SUCH_ADDRESS);
            let gone: HashSet<String> = gone.map(|recipient| fold_address(recipient.addressed())).collect();
            note(cx, gone.intersection(&went_to), AddressFact::Undeliverable)
        }
        // A provider does not always say who complained; of several it could be any.
        Class::Complaint if went_to.len() == 1 => note(cx, went_to.iter(), AddressFact::Complained),
        _ => Ok(()),
    }
}

fn note<'a>(
    cx: &mut Cx<'_>,
    addresses: impl Iterator<Item = &'a String>,
    fact: AddressFact,
) -> Result<(), Error> {
    for address in addresses {
        if !store::customers::note_fact(cx.conn, address, fact, cx.now)? {
            continue;
        }
        let Some(customer) = store::customers::find_by_address(cx.conn, address)? else { continue };
        let word = match fact {
            AddressFact::Undeliverable => "undeliverable",
            AddressFact::Complained => "complained",
        };
        changed(cx, customer, word)?;
    }
    Ok(())
}

/// Whoever writes from an address can be reached there again.
pub(super) fn reached(cx: &mut Cx<'_>, here: &Circumstances, mails: &[Read<'_>]) -> Result<(), Error> {
    if here.history.is_some() {
        return Ok(());
    }
    let writes = |read: &&Read<'_>| {
        read.role == FolderRole::Inbox
            && read.class == Class::Human
            && read.mail.sender_auth != SenderAuth::Fail
            && !read.sender.is_empty()
    };
    let senders: HashSet<&str> = mails.iter().filter(writes).map(|read| read.sender.as_str()).collect();
    let senders: Vec<&str> = senders.into_iter().collect();
    if senders.is_empty() {
        return Ok(());
    }
    for customer in store::customers::reached(cx.conn, &senders)? {
        changed(cx, customer, "reached")?;
    }
    Ok(())
}

/// Tells that something is known of an address of a customer's that was not.
fn changed(cx: &mut Cx<'_>, customer: CustomerId, word: &str) -> Result<(), Error> {
    for before in store::customers::find_many(cx.conn, &[customer])? {
        let name = before.name.as_deref();
        store::customers::update(cx.conn, &before, name, cx.now)?.ok_or_else(crate::operations::overtaken)?;
        let about = About { customer_id: Some(customer), ..About::default() };
        cx.tell(NewEvent::new(EventType::CustomerUpdated, about).with("address", word));
    }
    Ok(())
}

fn told(recipient: &FailedRecipient) -> serde_json::Value {
    serde_json::json!({
        "email": recipient.addressed(), "action": recipient.action, "status": recipient.status,
        "diagnostic": recipient.diagnostic, "permanent": recipient.permanent,
    })
}
