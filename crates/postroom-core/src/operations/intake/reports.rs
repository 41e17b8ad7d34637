//! Bounces, receipts and complaints: what they say of a mail that left from here, and what
//! follows from it for the address that it went to.

use super::{Circumstances, Known, Read};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{CustomerId, MessageId};
use crate::mail::{Class, FailedRecipient, Mail, SenderAuth};
use crate::mailbox::{Delivery, FolderRole};
use crate::message::{Message, MessageKind};
use crate::operations::bounces;
use crate::operations::conversations::about;
use crate::store::customers::AddressFact;
use crate::text::{domain_of, fold_address};
use crate::{Error, store};
use std::collections::HashSet;

/// The status of an address that there is not (RFC 3463 section 3.2).
const NO_SUCH_ADDRESS: &str = "5.1.1";
/// Who writes for Amazon SES what it could not deliver, where that is told by mail (SNS).
const SES_NOTIFIER: &str = "no-reply@sns.amazonaws.com";

/// A mail that is about a mail of ours.
pub(super) struct Report {
    /// Which one.
    message: Message,
    /// It is in the conversation of the mail that it is about.
    joined: bool,
    /// Whom a bounce names, as far as it is believed.
    failed: Vec<FailedRecipient>,
    /// It is a bounce of which nothing is believed.
    pub(super) is_doubtful: bool,
}

impl Report {
    /// What a mail reports on, if it is a report and that left from here. `joined`: the conversation that it
    /// joins.
    pub(super) fn read(
        cx: &mut Cx<'_>,
        here: &Circumstances,
        known: &Known,
        read: &Read<'_>,
        joined: Option<&Conversation>,
    ) -> Result<Option<Self>, Error> {
        let Some(about) = known.about(read.mail, &read.keys) else { return Ok(None) };
        let found = store::messages::find(cx.conn, about)?;
        let left = |message: &Message| {
            matches!(message.kind, MessageKind::Reply | MessageKind::Forward | MessageKind::AutoReply)
        };
        let Some(message) = found.filter(left) else { return Ok(None) };
        let people: Vec<String> = joined.iter().flat_map(|joined| known.people_of(joined.id)).collect();
        let is_bounce = read.class == Class::Bounce;
        let is_known_to_one = is_bounce && is_known_to_one(here, &message, &people);
        let is_believed = |recipient: &FailedRecipient| {
            is_known_to_one || is_vouched_for(here, read.mail, &message, recipient)
        };
        let named = &read.mail.failed_recipients;
        let failed: Vec<FailedRecipient> = if is_bounce && has_sender(read.mail) {
            named.iter().filter(|recipient| is_believed(recipient)).cloned().collect()
        } else {
            named.clone()
        };
        let is_doubtful = is_bounce && failed.len() < named.len() && failed.is_empty();
        Ok(Some(Self { message, joined: joined.is_some(), failed, is_doubtful }))
    }

    /// Which message that is.
    pub(super) fn of(&self) -> MessageId {
        self.message.id
    }

    /// An agent's answer will never arrive: somebody has to know. A desk's own answer was no work
    /// of anybody's.
    pub(super) fn is_lost(&self) -> bool {
        let is_permanent = self.failed.iter().any(|recipient| recipient.permanent);
        is_permanent && self.message.kind != MessageKind::AutoReply
    }

    /// Whom the mail went to, folded. What a report says of others it may have made up.
    fn recipients(&self) -> HashSet<String> {
        recipients_of(&self.message)
    }
}

/// Whom a mail of ours went to, folded.
fn recipients_of(message: &Message) -> HashSet<String> {
    let recipients = &*message.recipients;
    let all = recipients.to.iter().chain(&recipients.cc).chain(&recipients.bcc);
    all.map(|address| fold_address(&address.email)).collect()
}

/// Reports leave from `<>` (RFC 3464 section 2, RFC 5321 section 4.5.5). One that has a sender may be of
/// anybody's making who has seen our Message-ID; where the receiving server notes no path, nothing can be said.
fn has_sender(mail: &Mail) -> bool {
    mail.return_path.as_deref().is_some_and(|path| !path.is_empty())
}

/// Whether all who could know our Message-ID are one and the same outside: whoever forges a report then could
/// only say that of themselves. Later mails of a conversation name the earlier ones (References), so all of its
/// people count.
fn is_known_to_one(here: &Circumstances, message: &Message, people: &[String]) -> bool {
    let mut outside = recipients_of(message);
    outside.extend(people.iter().cloned());
    outside.retain(|email| !here.is_own(email) && !here.agent_addresses.contains(email));
    outside.len() <= 1
}

/// Whether somebody is proven to have sent a report who has to know of this recipient: the postmaster of the
/// recipient's domain, of the mailbox's, or of the server that its mail leaves by. The report's own words for
/// the recipient are anybody's: what counts is whom the mail went to.
fn is_vouched_for(here: &Circumstances, mail: &Mail, message: &Message, recipient: &FailedRecipient) -> bool {
    let Some(sender) = mail.sender().filter(|_| mail.sender_auth == SenderAuth::Pass) else { return false };
    let sender = fold_address(&sender.email);
    let relay = match &here.mailbox.delivery {
        Delivery::Smtp { host, .. } => host.to_ascii_lowercase(),
        Delivery::Sink {} => String::new(),
    };
    if sender == SES_NOTIFIER {
        return is_below(&relay, "amazonaws.com");
    }
    let Some((local, domain)) = sender.rsplit_once('@') else { return false };
    let named = fold_address(recipient.addressed());
    let theirs = if recipients_of(message).contains(&named) { domain_of(&named) } else { "" };
    let own = fold_address(&here.mailbox.address);
    // Only down from the sender's domain, which is proven: above it there may be a public suffix.
    is_postmaster(local)
        && [theirs, domain_of(&own), &relay]
            .into_iter()
            .any(|of| is_below(of, domain) || is_below(domain, of) && of.contains('.'))
}

/// Local parts that no user is given (RFC 2142 section 5, RFC 5321 section 4.5.1); Exchange has one of its own.
fn is_postmaster(local: &str) -> bool {
    let exchange = local.strip_prefix("microsoftexchange");
    matches!(local, "postmaster" | "mailer-daemon" | "mailerdaemon")
        || exchange.is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a domain is another or below it.
fn is_below(domain: &str, of: &str) -> bool {
    !of.is_empty() && domain.strip_suffix(of).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Tells what a report says, and notes it on the addresses that it is about.
pub(super) fn follow(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    read: &Read<'_>,
    conversation: &Conversation,
    message: MessageId,
    report: Option<&Report>,
) -> Result<(), Error> {
    if report.is_some_and(|report| report.is_doubtful) {
        return Ok(());
    }
    let report = report.filter(|report| report.joined);
    // What happened happened to the mail that left.
    let of = report.map_or(message, |report| report.message.id);
    let about = About { message_id: Some(of), ..about(conversation) };
    let event = |kind| NewEvent::new(kind, about).with("report_id", message.0);
    match read.class {
        Class::Bounce => {
            let failed = report.map_or(&read.mail.failed_recipients, |report| &report.failed);
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
            let gone = report
                .failed
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_below_others_by_whole_labels() {
        assert!(is_below("mx.example.net", "example.net") && is_below("example.net", "example.net"));
        assert!(is_below("email-smtp.eu-west-1.amazonaws.com", "amazonaws.com"));
        for (domain, of) in [("evilexample.net", "example.net"), ("example.net", "mx.example.net"), ("a", "")]
        {
            assert!(!is_below(domain, of), "{domain} {of}");
        }
    }

    #[test]
    fn postmasters_have_names_that_nobody_is_given() {
        let exchange = "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e";
        for local in ["postmaster", "mailer-daemon", "mailerdaemon", exchange] {
            assert!(is_postmaster(local), "{local}");
        }
        for local in ["postmaster2", "eve", "mailer-daemon-eve", "microsoftexchange", &format!("{exchange}0")]
        {
            assert!(!is_postmaster(local), "{local}");
        }
    }
}
