//! Mail comes in: one transaction a batch, with its blobs, ledger, messages, threading and
//! events. Whatever dies, a mail is there with all that belongs to it, or not at all.

use super::conversations::{self, about, set_status, tell_changes};
use super::leases;
use crate::conversation::{Channel, Conversation, LinkReason, Priority, Status, WaitingOn};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{MailboxId, MessageId};
use crate::intake::{Arrival, Batch, Receipt};
use crate::mail::{Class, Mail};
use crate::mailbox::{AfterIngest, Mailbox, Source};
use crate::message::{AuthorType, MessageKind, Recipients};
use crate::own_id::Reading;
use crate::store::conversations::NewConversation;
use crate::store::messages::NewMessage;
use crate::store::types::Json;
use crate::text::{SUBJECT_CHARS, fold_address};
use crate::threading::decide::{Arriving, customer_address, decide};
use crate::threading::identity::internal_id;
use crate::threading::keys::{self, Keys};
use crate::threading::{Decision, Flag, Outcome, ParticipantClass, Policy};
use crate::{Error, store};
use std::collections::HashSet;

mod desk;
mod known;
mod ledger;
mod people;
mod senders;
use known::Known;
use ledger::Ledger;

/// What holds for every mail of a batch.
struct Circumstances {
    mailbox: Mailbox,
    group: Vec<MailboxId>,
    own_addresses: HashSet<String>,
    agent_addresses: HashSet<String>,
    policy: Policy,
}

/// A mail with everything that is found out about it before it is placed.
struct Read<'a> {
    arrival: &'a Arrival,
    mail: &'a Mail,
    class: Class,
    keys: Keys,
    sender: String,
    /// It bears a Message-ID and a mark of ours.
    is_echo: bool,
}

/// Takes a batch in. Mails that are in the ledger already are left as they are; the receipts
/// are those of the others, in their order.
pub fn receive(cx: &mut Cx<'_>, batch: &Batch) -> Result<Vec<Receipt>, Error> {
    hold(cx, batch)?;
    let here = circumstances(cx, batch.mailbox_id)?;
    store::conn::lock_group(cx.conn, &here.mailbox.group)?;
    let locations: Vec<&str> = batch.arrivals.iter().map(|a| a.location.as_str()).collect();
    let seen = store::ledger::known_locations(cx.conn, batch.mailbox_id, &batch.folder, &locations)?;
    let mut taken = HashSet::new();
    let fresh: Vec<Read<'_>> = batch
        .arrivals
        .iter()
        .filter(|arrival| !seen.contains(&arrival.location) && taken.insert(arrival.location.as_str()))
        .map(|arrival| read(cx, &here, arrival))
        .collect();
    let mut known = Known::load(cx, &here, &fresh)?;
    let mut ledger = Ledger::new(batch, cx.now);
    for mail in &fresh {
        take_in(cx, &here, &mut known, &mut ledger, mail)?;
    }
    known.write(cx)?;
    ledger.write(cx, &here.mailbox)
}

/// What a poll fetched counts only as long as the mailbox is its daemon's.
fn hold(cx: &mut Cx<'_>, batch: &Batch) -> Result<(), Error> {
    batch.lease.as_ref().map_or(Ok(()), |lease| leases::hold(cx, lease))
}

fn circumstances(cx: &mut Cx<'_>, id: MailboxId) -> Result<Circumstances, Error> {
    let all = store::mailboxes::list(cx.conn)?;
    let mailbox = all.iter().find(|mailbox| mailbox.id == id).ok_or(Error::NotFound("mailbox"))?.clone();
    let policy = Policy {
        strangers: mailbox.strangers,
        same_domain_joins: true,
        reopen_within: cx.settings.reopen_within,
        relay_addresses: mailbox.relay_addresses.iter().map(|a| fold_address(a)).collect(),
    };
    Ok(Circumstances {
        group: all.iter().filter(|other| other.group == mailbox.group).map(|other| other.id).collect(),
        own_addresses: all.iter().flat_map(Mailbox::own_addresses).collect(),
        agent_addresses: store::people::agent_addresses(cx.conn, id)?.into_iter().collect(),
        policy,
        mailbox,
    })
}

fn read<'a>(cx: &Cx<'_>, here: &Circumstances, arrival: &'a Arrival) -> Read<'a> {
    let signer = cx.keys.signer();
    let mail = &arrival.mail;
    let own_marks = mail.instance_marks.iter().filter(|mark| signer.is_own_mark(mark)).count();
    let keys = keys::read(mail, &here.own_addresses, signer);
    let has_own_id = keys.message_id.as_deref().is_some_and(|id| matches!(signer.read(id), Reading::Ours(_)));
    Read {
        class: if own_marks > 2 { Class::Loop } else { mail.class },
        is_echo: has_own_id && own_marks > 0,
        keys,
        sender: mail.sender().map(|sender| fold_address(&sender.email)).unwrap_or_default(),
        arrival,
        mail,
    }
}

fn take_in(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    ledger: &mut Ledger,
    read: &Read<'_>,
) -> Result<(), Error> {
    if let Some((message, conversation, reason)) = known.same(cx, here, read)? {
        ledger.duplicate(read.arrival, message, conversation, reason);
        known.keep_bytes(read.arrival, cx.now);
        return Ok(());
    }
    let facts = known.facts(cx, here, read)?;
    let arriving = Arriving {
        mail: read.mail,
        keys: &read.keys,
        sender: &read.sender,
        from_sent_folder: false,
        own_addresses: &here.own_addresses,
        agent_addresses: &here.agent_addresses,
        now: cx.now,
    };
    let mut decision = decide(&arriving, &facts, &here.policy);
    add_flags(&mut decision, read, known.is_reused(&read.keys));
    let joined = match (decision.outcome, decision.conversation_id) {
        (Outcome::Append, Some(id)) => Some(known.conversation(cx, id)?),
        _ => None,
    };
    let is_new = joined.is_none();
    let conversation = match joined {
        Some(conversation) => conversation,
        None => begin(cx, here, known, read)?,
    };
    let message_id = keep_message(cx, here, known, read, &conversation, &decision)?;
    let written = touch(cx, read, &conversation, message_id, is_new)?;
    add_participants(here, known, read, &written, &decision);
    link(cx, &written, &decision, message_id)?;
    known.remember(here, read, &decision, &written, message_id);
    ledger.accept(read.arrival, message_id, written.id);
    tell(cx, read, &written, message_id);
    known.put(written);
    Ok(())
}

fn add_flags(decision: &mut Decision, read: &Read<'_>, reused: bool) {
    let more = [
        (reused, Flag::ReusedId),
        (read.mail.problem.is_some(), Flag::Unreadable),
        (read.arrival.oversized, Flag::Oversized),
        (read.mail.is_shortened, Flag::Shortened),
    ];
    for (applies, flag) in more {
        if applies && !decision.flags.contains(&flag) {
            decision.flags.push(flag);
        }
    }
}

/// Begins a conversation for a mail that joins none. Automatic mail that answers nothing of
/// ours begins one that is closed: there for whoever looks for it, and no work for anybody.
fn begin(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
) -> Result<Conversation, Error> {
    let customer = customer_address(read.mail, &here.policy, &here.own_addresses);
    let customer_id = known.customer(cx, customer.as_ref())?;
    let quiet = read.class.is_automatic();
    let received = read.arrival.internal_date.unwrap_or(cx.now).min(cx.now);
    let subject = crate::text::one_line(&read.mail.subject, SUBJECT_CHARS);
    let row = NewConversation {
        mailbox_id: here.mailbox.id,
        customer_id,
        subject: if subject.is_empty() { "(no subject)".to_owned() } else { subject },
        status: if quiet { Status::Closed } else { Status::Open },
        priority: Priority::Normal,
        channel: Channel::Email,
        assignee_id: None,
        team_id: None,
        category_id: None,
        waiting_on: (!quiet).then_some(WaitingOn::Us),
        waiting_since: (!quiet).then_some(received),
        message_count: 0,
        last_message_at: received,
        version: 1,
        created_at: cx.now,
        updated_at: cx.now,
        closed_at: quiet.then_some(cx.now),
    };
    let conversation = store::conversations::insert(cx.conn, &row)?;
    conversations::tell_created(cx, &conversation);
    known.people().begin(&conversation);
    if let Some(address) = customer {
        known.people().join(conversation.id, fold_address(&address.email), ParticipantClass::Customer);
    }
    Ok(conversation)
}

fn keep_message(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
    conversation: &Conversation,
    decision: &Decision,
) -> Result<MessageId, Error> {
    let mail = read.mail;
    let sender = mail.sender();
    let author = known.author(cx, &read.sender)?;
    let about = known.about(mail, &read.keys);
    let recipients = Recipients {
        to: mail.to.clone(),
        cc: mail.cc.clone(),
        bcc: Vec::new(),
        reply_to: mail.reply_to.clone(),
    };
    let internal = internal_id(&read.arrival.raw.hash);
    let row = NewMessage {
        conversation_id: conversation.id,
        mailbox_id: here.mailbox.id,
        kind: MessageKind::Inbound,
        class: read.class,
        author_type: if author.is_some() { AuthorType::Customer } else { AuthorType::Unknown },
        author_id: author.map(|id| id.0),
        author_name: sender.and_then(|sender| sender.name.as_deref()),
        sender: sender.cloned().map(Json::new),
        recipients: Json::new(recipients),
        subject: &mail.subject,
        content: &mail.text,
        reply_content: mail.reply_text.as_deref(),
        text_parts: Json::new(mail.parts_of_text.clone()),
        has_html: mail.has_html,
        internet_message_id: Some(read.keys.message_id.as_deref().unwrap_or(&internal)),
        fingerprint: Some(&mail.fingerprint),
        raw_hash: Some(&read.arrival.raw.hash),
        raw_size: Some(read.arrival.raw.size),
        sender_auth: mail.sender_auth,
        flags: Json::new(decision.flags.clone()),
        signals: Json::new(mail.signals.clone()),
        threading: Some(Json::new(decision.clone())),
        failed_recipients: Json::new(mail.failed_recipients.clone()),
        about_message_id: about,
        sent_at: mail.date,
        received_at: Some(read.arrival.internal_date.unwrap_or(cx.now)),
        version: 1,
        created_at: cx.now,
    };
    let id = store::messages::insert(cx.conn, &row)?;
    known.keep(read.arrival, id, cx.now);
    Ok(id)
}

/// What a message does to its conversation: somebody who wrote reopens and wakes it, a machine
/// does not.
fn touch(
    cx: &mut Cx<'_>,
    read: &Read<'_>,
    before: &Conversation,
    message: MessageId,
    is_new: bool,
) -> Result<Conversation, Error> {
    let mut after = before.clone();
    let received = read.arrival.internal_date.unwrap_or(cx.now).min(cx.now);
    after.message_count += 1;
    after.last_message_id = Some(message);
    after.last_message_at = before.last_message_at.max(received);
    if !is_new && matches!(read.class, Class::Human | Class::Calendar) && after.status != Status::Spam {
        set_status(&mut after, Status::Open, cx.now);
        if after.waiting_on != Some(WaitingOn::Us) {
            after.waiting_on = Some(WaitingOn::Us);
            after.waiting_since = Some(received);
        }
    }
    let written =
        store::conversations::update(cx.conn, before, &after, cx.now)?.ok_or_else(super::overtaken)?;
    tell_changes(cx, before, &written);
    Ok(written)
}

/// Lets in whom the sender wrote to as well, and the sender: only from a mail that passed the
/// gate, or begins a conversation of its own.
fn add_participants(
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
    conversation: &Conversation,
    decision: &Decision,
) {
    if decision.flags.contains(&Flag::Suspicious) || read.class != Class::Human {
        return;
    }
    let mut join = |email: String| known.people().join(conversation.id, email, ParticipantClass::Copied);
    if decision.outcome == Outcome::Append
        && !here.own_addresses.contains(&read.sender)
        && !read.sender.is_empty()
    {
        join(read.sender.clone());
    }
    for address in read.mail.to.iter().chain(&read.mail.cc).take(100) {
        let folded = fold_address(&address.email);
        if crate::text::address_fault(&folded).is_none() && !here.own_addresses.contains(&folded) {
            join(folded);
        }
    }
}

fn link(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    decision: &Decision,
    message: MessageId,
) -> Result<(), Error> {
    let reason = match decision.outcome {
        Outcome::Link => Some(LinkReason::Suggested),
        Outcome::FollowUp => Some(LinkReason::FollowUp),
        Outcome::Append | Outcome::New => None,
    };
    if let (Some(reason), Some(other)) = (reason, decision.conversation_id) {
        store::conversations::insert_link(cx.conn, conversation.id, other, reason, message, cx.now)?;
    }
    for other in decision.also_references.iter().filter(|other| **other != conversation.id) {
        let reason = LinkReason::References;
        store::conversations::insert_link(cx.conn, conversation.id, *other, reason, message, cx.now)?;
    }
    Ok(())
}

fn tell(cx: &mut Cx<'_>, read: &Read<'_>, conversation: &Conversation, message: MessageId) {
    let about = About { message_id: Some(message), ..about(conversation) };
    let name = read.mail.sender().and_then(|sender| sender.name.clone());
    let mut event = NewEvent::new(EventType::MessageReceived, about).with("class", read.class.as_str());
    event.by_customer = Some((conversation.customer_id, name));
    cx.tell(event);
    if read.class == Class::Bounce {
        let emails: Vec<&str> = read.mail.failed_recipients.iter().map(|r| r.email.as_str()).collect();
        cx.tell(
            NewEvent::new(EventType::MessageBounced, about).with("recipients", serde_json::json!(emails)),
        );
    }
}

/// Puts a mail aside that could not be taken in: kept, listed, in nobody's way.
pub fn quarantine(cx: &mut Cx<'_>, batch: &Batch, arrival: &Arrival, why: &str) -> Result<(), Error> {
    hold(cx, batch)?;
    let mailbox = store::mailboxes::find(cx.conn, batch.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    store::blobs::insert(cx.conn, &[crate::blobs::row(&arrival.raw, cx.now)])?;
    let mut ledger = Ledger::new(batch, cx.now);
    ledger.quarantine(arrival, &crate::text::one_line(why, 500));
    ledger.write(cx, &mailbox)?;
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    let event = NewEvent::new(EventType::MailQuarantined, about)
        .with("folder", batch.folder.clone())
        .with("location", arrival.location.clone())
        .with("reason", why);
    cx.tell(event);
    Ok(())
}

/// What is done on the server to a mail that came in, by the mailbox's set-up.
fn action(source: &Source) -> Option<(String, u64)> {
    const DAY: u64 = 24 * 60 * 60;
    let Source::Imap { after_ingest, .. } = source else { return None };
    match after_ingest {
        AfterIngest::Leave => None,
        AfterIngest::Seen => Some(("seen".to_owned(), 0)),
        AfterIngest::Move { folder } => Some((format!("move:{folder}"), 0)),
        AfterIngest::Delete { after_days } => Some(("delete".to_owned(), u64::from(*after_days) * DAY)),
    }
}
