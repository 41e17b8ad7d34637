//! A message leaves: it is composed, kept and put into the outbox in one transaction. Its bytes and its
//! Message-ID are final from then on.

use super::dress::{Author, Dress, QUOTABLE, quoted};
use super::forward::Freight;
use super::readers::Readers;
use super::{NewMessage, Row, attach, author, row};
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::MessageId;
use crate::mail::{Address, Part};
use crate::mailbox::Mailbox;
use crate::message::{Attachment, Message, MessageKind, Recipients};
use crate::operations::{outbox, round_trips};
use crate::outgoing::{Automatic, Composed, Outgoing, TextFormat};
use crate::ports::ReadContext;
use crate::store::threads::KnownId;
use crate::store::types::Json;
use crate::text::{SUBJECT_CHARS, TEXT_BYTES, address_fault, domain_of, fold_address, without_plus};
use crate::threading::{IdKind, ParticipantClass};
use crate::unsent::Writing;
use crate::{Error, store};

/// How many earlier mails an answer refers to, besides the root.
const REFERENCES: usize = 10;

/// Among so many of the newest mails the one that is answered is looked for.
const ANSWERABLE: i64 = 50;
/// Of so many of them it is asked whether all recipients got them, where none of those has written.
const LOOKED_AT: usize = 10;

/// What a message will be when it leaves, as far as that hangs on the conversation.
pub(super) struct Prepared {
    kind: MessageKind,
    pub(super) from: Address,
    pub(super) recipients: Recipients,
    pub(super) subject: String,
    /// The Message-ID of what it answers, in brackets.
    in_reply_to: Option<String>,
    /// Outlook's thread, as what it answers has it.
    thread_index: Option<String>,
    pub(super) text: String,
    /// What stands around it.
    dress: Dress,
}

/// Writes a message and puts it into the outbox.
pub(super) fn write(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
) -> Result<MessageId, Error> {
    let author_of = Author::caller(cx);
    let prepared = prepare(cx, conversation, mailbox, new.kind, &new.writing, author_of)?;
    let (author_type, author_id) = author(cx.actor);
    let id = store::messages::insert(
        cx.conn,
        &Row {
            author_type,
            author_id,
            author_name: Some(&cx.actor.name),
            sender: Some(Json::new(prepared.from.clone())),
            recipients: Json::new(prepared.recipients.clone()),
            subject: &prepared.subject,
            side_id: new.writing.side_id,
            sent_at: Some(cx.now),
            released_at: Some(cx.now),
            ..row(conversation, new.kind, &prepared.text, cx.now)
        },
    )?;
    attach(cx, id, &new.files)?;
    freeze(cx, conversation, mailbox, id, &new.writing, prepared, new.freight())?;
    Ok(id)
}

/// Settles whom a message goes to, what it answers and what it is about.
pub(super) fn prepare(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    kind: MessageKind,
    writing: &Writing,
    author: Author,
) -> Result<Prepared, Error> {
    if let Some(from) = &writing.from
        && !is_own(mailbox, from)
    {
        return Err(Error::invalid("/from", "not_own", NOT_OWN));
    }
    let dress = match kind {
        MessageKind::AutoReply => Dress::bare(conversation, mailbox, author),
        MessageKind::Forward => Dress::of(cx, conversation, mailbox, author)?.for_third_party(),
        _ => Dress::of(cx, conversation, mailbox, author)?,
    };
    let recipients = recipients(cx, conversation, mailbox, kind, writing)?;
    if recipients.to.len() + recipients.cc.len() + recipients.bcc.len() > super::write::RECIPIENTS {
        let detail = format!(
            "with those it goes to by itself it has more than {} recipients",
            super::write::RECIPIENTS
        );
        return Err(Error::invalid("/to", "too_many", detail));
    }
    let (answered, goes_on) = match kind {
        MessageKind::Forward => (None, false),
        _ => answered(cx, conversation, kind, &recipients)?,
    };
    let subject = match (&writing.subject, kind) {
        (Some(subject), _) => crate::text::one_line(subject, SUBJECT_CHARS),
        (None, MessageKind::Forward) => side_subject(cx, conversation, writing)?,
        (None, MessageKind::AutoReply) => format!("[#{}]", conversation.id),
        (None, _) => match &answered {
            Some(answered) => subject(&answered.subject),
            None if goes_on => subject(&conversation.subject),
            None => conversation.subject.clone(),
        },
    };
    let thread_index = match &answered {
        // The desk's own answers hold as little of what others wrote as they can.
        Some(answered) if kind != MessageKind::AutoReply => {
            store::messages::thread_index(cx.conn, answered.id)?
        }
        _ => None,
    };
    let in_reply_to = match writing.side_id {
        Some(side) => seen_ids(cx, conversation, Some(side), &recipients, 1)?.pop(),
        None => answered.and_then(|message| message.internet_message_id),
    };
    let rendered = cx.ports.composer.render(&writing.written());
    let rendered = rendered.map_err(|fault| Error::invalid("/text", "invalid_markup", fault))?;
    let (text, _) = crate::text::many_lines(&rendered.text, TEXT_BYTES);
    Ok(Prepared {
        kind,
        from: Address { name: Some(dress.sender_name()), ..sender(mailbox, writing) },
        recipients,
        subject,
        in_reply_to: in_reply_to.as_deref().and_then(in_brackets),
        thread_index,
        text,
        dress,
    })
}

/// What is said of an address to come from that is somebody else's.
pub(super) const NOT_OWN: &str = "from must be one of the mailbox's own addresses";

/// Whether a mailbox's mail may come from this address.
pub(super) fn is_own(mailbox: &Mailbox, from: &str) -> bool {
    mailbox.own_addresses().any(|own| own == fold_address(from))
}

/// The mailbox, by the one of its addresses that was asked for.
pub(super) fn sender(mailbox: &Mailbox, writing: &Writing) -> Address {
    let asked = writing.from.as_deref().map(fold_address);
    let aliases = mailbox.aliases.iter().find(|alias| Some(fold_address(alias)) == asked);
    Address { name: Some(mailbox.name.clone()), email: aliases.unwrap_or(&mailbox.address).clone() }
}

/// A mail as it leaves now, under these ids; nothing is kept of it. `side` is the side conversation that it
/// belongs to.
fn compose(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    id: Option<MessageId>,
    writing: &Writing,
    prepared: Prepared,
    freight: Freight<'_>,
) -> Result<(String, Composed), Error> {
    if !freight.is_for(writing) {
        return Err(Error::Busy);
    }
    let folded = fold_address(&mailbox.address);
    let domain = domain_of(&folded);
    let mut random = [0_u8; 10];
    rand::fill(&mut random);
    let own = id.unwrap_or(MessageId(0));
    let message_id = cx.keys.signer().message_id(conversation.id, own, random, domain);
    let side = (prepared.kind == MessageKind::Forward).then(|| writing.side_id.unwrap_or(own));
    let is_automatic = prepared.kind == MessageKind::AutoReply;
    let Prepared { from, recipients, subject, in_reply_to, thread_index, dress, .. } = prepared;
    let history = if !is_automatic && dress.quotes(writing) {
        quoted(cx, conversation, side, id, &recipients)?
    } else {
        Vec::new()
    };
    // A side conversation is known by its mails alone: an address names the whole conversation.
    let token = cx.keys.signer().plus(conversation.id);
    let reply_to = match side {
        // Only the mailbox's first address was tried.
        None if fold_address(&from.email) == folded => round_trips::answers_to(cx, mailbox, &token)?,
        _ => None,
    };
    let references = if is_automatic {
        let seal = cx.keys.signer().conversation_reference(conversation.id, domain);
        [Some(seal), in_reply_to.clone(), Some(message_id.clone())].into_iter().flatten().collect()
    } else {
        references(cx, conversation, side, &recipients, domain, (in_reply_to.as_deref(), &message_id))?
    };
    let outgoing = Outgoing {
        automatic: is_automatic.then_some(Automatic::Replied),
        reply_to: reply_to.map(|email| Address { name: from.name.clone(), email }),
        forwarded: freight.forwarded(),
        quoted: history,
        cc: recipients.cc,
        bcc: recipients.bcc,
        in_reply_to,
        references,
        thread_index,
        files: freight.outgoing(),
        ..Outgoing::plain(
            from,
            recipients.to,
            subject,
            "",
            &message_id,
            cx.now,
            cx.keys.signer().instance_mark(),
        )
    };
    let outgoing = dress.put_on(cx, writing.written(), writing.is_unsigned, outgoing)?;
    let composed = cx.ports.composer.compose(&outgoing)?;
    Ok((message_id, composed))
}

/// How a message would leave now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// From.
    pub from: Address,
    /// To, Cc and Bcc.
    pub recipients: Recipients,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part: a whole document.
    pub html: String,
}

/// Shows how a checked message would leave now.
pub(super) fn preview(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
) -> Result<Preview, Error> {
    let author = Author::caller(cx);
    let prepared = prepare(cx, conversation, mailbox, new.kind, &new.writing, author)?;
    let (from, recipients) = (prepared.from.clone(), prepared.recipients.clone());
    let subject = prepared.subject.clone();
    let (_, composed) = compose(cx, conversation, mailbox, None, &new.writing, prepared, new.freight())?;
    Ok(Preview { from, recipients, subject, text: composed.text, html: composed.html })
}

/// Composes a message whose row and files are there, and puts it into the outbox: from here on its bytes
/// and its Message-ID are final.
pub(super) fn freeze(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    id: MessageId,
    writing: &Writing,
    prepared: Prepared,
    freight: Freight<'_>,
) -> Result<(), Error> {
    if prepared.kind == MessageKind::Forward {
        store::messages::begin_side(cx.conn, id)?;
    }
    let recipients = prepared.recipients.clone();
    let is_automatic = prepared.kind == MessageKind::AutoReply;
    let (message_id, composed) = compose(cx, conversation, mailbox, Some(id), writing, prepared, freight)?;
    let bare = message_id.trim_start_matches('<').trim_end_matches('>').to_owned();
    let read = cx.ports.reader.read(&composed.raw, &ReadContext::default());
    let queued = outbox::queue(cx, mailbox.id, Some(id), &composed)?;
    let size = composed.raw.len() as i64;
    let has_html = writing.format != TextFormat::Text || !freight.carried.is_empty();
    store::messages::set_raw(cx.conn, id, &bare, &queued.raw_hash, size, &read.fingerprint, has_html)?;
    let known = KnownId {
        share_group: mailbox.group.clone(),
        rfc_id: bare,
        conversation_id: conversation.id,
        message_id: Some(id),
        kind: IdKind::Real,
        created_at: cx.now,
    };
    store::threads::insert_ids(cx.conn, &[known])?;
    if !is_automatic {
        invite(cx, conversation, &recipients)?;
    }
    point_into_raw(cx, id, &read.parts, &composed.files, freight)
}

/// The mail that is answered: the newest by somebody whom the answer goes to, whose subject and id they
/// know; only where none of them has written, the newest that all of them got. The desk itself answers the
/// first. And whether anything came in at all.
fn answered(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    kind: MessageKind,
    recipients: &Recipients,
) -> Result<(Option<Message>, bool), Error> {
    let recent = store::messages::recent_inbound(cx.conn, conversation.id, ANSWERABLE)?;
    let to: Vec<String> =
        recipients.to.iter().chain(&recipients.cc).map(|address| fold_address(&address.email)).collect();
    let is_theirs = |sender: &Option<Json<Address>>| {
        sender.as_ref().is_some_and(|sender| to.contains(&fold_address(&sender.email)))
    };
    let theirs = match kind {
        MessageKind::AutoReply => recent.iter().rfind(|(_, sender)| is_theirs(sender)),
        _ => recent.iter().find(|(_, sender)| is_theirs(sender)),
    };
    if let Some((id, _)) = theirs {
        return Ok((store::messages::find(cx.conn, *id)?, true));
    }
    let readers = Readers::of(recipients);
    for (id, _) in recent.iter().take(LOOKED_AT) {
        let found = store::messages::find(cx.conn, *id)?;
        if found.as_ref().is_some_and(|message| readers.know(&message.party())) {
            return Ok((found, true));
        }
    }
    Ok((None, !recent.is_empty()))
}

/// Whom it goes to: those named, or else the customer. Our own addresses never (a loop would
/// begin: FreeScout #1768).
fn recipients(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    kind: MessageKind,
    writing: &Writing,
) -> Result<Recipients, Error> {
    let own: Vec<String> = mailbox.own_addresses().collect();
    let mut seen: Vec<String> = Vec::new();
    let mut keep = |list: &[Address]| -> Vec<Address> {
        let fresh = list.iter().filter(|address| {
            let folded = fold_address(&address.email);
            let is_own = own.contains(&folded) || own.contains(&without_plus(&folded));
            let is_new = !is_own && !seen.contains(&folded);
            if is_new {
                seen.push(folded);
            }
            is_new
        });
        fresh.cloned().collect()
    };
    let to = match (writing.to.is_empty(), kind, writing.side_id) {
        (false, ..) => writing.to.clone(),
        (true, MessageKind::Forward, Some(side)) => side_recipients(cx, conversation, side)?,
        (true, MessageKind::Forward, None) => Vec::new(),
        (true, ..) => customer_address(cx, conversation)?,
    };
    let to = keep(&to);
    let cc = keep(&writing.cc);
    let bcc = keep(&writing.bcc);
    if to.is_empty() {
        if !writing.to.is_empty() {
            let detail = "this mailbox does not write to its own addresses; name somebody else";
            return Err(Error::invalid("/to", "own_address", detail));
        }
        let detail = match kind {
            MessageKind::Forward => "a forward goes to somebody outside; name them",
            _ => "the customer has no address that a reply could go to; name one",
        };
        return Err(Error::invalid("/to", "required", detail));
    }
    // Those that were named are checked; a customer has the address that their mail had.
    if let Some(fault) = to.iter().find_map(|address| address_fault(&address.email)) {
        let detail = format!("it goes to an address that can't be written to ({fault}); name another");
        return Err(Error::invalid("/to", "invalid_email", detail));
    }
    Ok(Recipients { to, cc, bcc, reply_to: Vec::new() })
}

/// The address the customer began this conversation with. Only where there is none (it was filed
/// from a call, say) is it the customer's first address: what somebody adds to the customer later
/// must not draw answers elsewhere.
pub(super) fn customer_address(cx: &mut Cx<'_>, conversation: &Conversation) -> Result<Vec<Address>, Error> {
    let customers = store::customers::find_many(cx.conn, &[conversation.customer_id])?;
    let name = customers.first().and_then(|customer| customer.name.clone());
    let addresses = store::customers::addresses(cx.conn, &[conversation.customer_id])?;
    let people = store::threads::participants(cx.conn, &[conversation.id])?.remove(&conversation.id);
    let begun_with = people
        .into_iter()
        .flatten()
        .find_map(|(email, class)| (class == ParticipantClass::Customer).then_some(email));
    let email = match begun_with {
        Some(folded) => {
            let written = addresses.iter().find(|address| fold_address(&address.email) == folded);
            Some(written.map_or(folded, |address| address.email.clone()))
        }
        None => addresses.first().map(|address| address.email.clone()),
    };
    Ok(email.map(|email| Address { name, email }).into_iter().collect())
}

/// `Re:` and the subject of what is answered.
fn subject(answered: &str) -> String {
    crate::text::one_line(&format!("Re: {}", crate::threading::subject::stem(answered)), SUBJECT_CHARS)
}

/// An id that a header can carry; a synthetic one never leaves.
fn in_brackets(id: &str) -> Option<String> {
    let sendable =
        !id.starts_with("sha256:") && id.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    sendable.then(|| format!("<{id}>"))
}

/// Whom a side conversation began with.
fn side_recipients(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    side: MessageId,
) -> Result<Vec<Address>, Error> {
    Ok(begin_of_side(cx, conversation, side)?.recipients.into_inner().to)
}

/// The first forward of a side conversation that is in this conversation.
fn begin_of_side(cx: &mut Cx<'_>, conversation: &Conversation, side: MessageId) -> Result<Message, Error> {
    // Where the very first was moved away, the side goes on from the next.
    let begun = store::messages::begin_of_side(cx.conn, conversation.id, side)?;
    let detail = "there is no forward in this conversation that began one under this number";
    begun.ok_or_else(|| Error::invalid("/side_id", "not_found", detail))
}

/// `Fwd:` and the conversation's subject for a first mail to a third party, `Re:` and that mail's own for
/// what follows.
fn side_subject(cx: &mut Cx<'_>, conversation: &Conversation, writing: &Writing) -> Result<String, Error> {
    let (prefix, about) = match writing.side_id {
        Some(side) => ("Re", begin_of_side(cx, conversation, side)?.subject),
        None => ("Fwd", conversation.subject.clone()),
    };
    let stem = crate::threading::subject::stem(&about);
    Ok(crate::text::one_line(&format!("{prefix}: {stem}"), SUBJECT_CHARS))
}

/// The conversation's seal first, the root, the last mails, and our own id: a relay that
/// rewrites Message-ID leaves References alone (Amazon SES, outlook.com). A side conversation has a
/// line of its own: neither side hears of the other's mails. Nor does anybody hear of a mail that not all
/// who get this one were party to (who got a blind copy may have answered), but for the one that is answered.
fn references(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    side: Option<MessageId>,
    recipients: &Recipients,
    domain: &str,
    ids: (Option<&str>, &str),
) -> Result<Vec<String>, Error> {
    let (answered, own) = ids;
    let mut recent = seen_ids(cx, conversation, side, recipients, REFERENCES)?;
    recent.reverse();
    let mut references = Vec::new();
    let mut root = None;
    // What stands for the whole conversation would lead a third party's answer out of its side.
    if side.is_none() {
        references.push(cx.keys.signer().conversation_reference(conversation.id, domain));
        let first = store::messages::first_letter(cx.conn, conversation.id)?;
        root = first.filter(|first| Readers::of(recipients).know(&first.party())).map(|first| first.rfc_id);
    }
    let seen = root.into_iter().chain(recent).filter_map(|id| in_brackets(&id));
    let answered = answered.map(str::to_owned);
    // RFC 5322 section 3.6.4: what is answered stands among them, and last of those of others.
    let seen = seen.filter(|id| Some(id) != answered.as_ref()).collect::<Vec<_>>();
    for id in seen.into_iter().chain(answered.clone()).chain([own.to_owned()]) {
        if !references.contains(&id) {
            references.push(id);
        }
    }
    Ok(references)
}

/// The Message-IDs of the newest mails that all who get this one were party to, the newest first.
fn seen_ids(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    side: Option<MessageId>,
    recipients: &Recipients,
    most: usize,
) -> Result<Vec<String>, Error> {
    let readers = Readers::of(recipients);
    let letters = store::messages::recent_letters(cx.conn, conversation.id, side, QUOTABLE)?;
    let seen = letters.into_iter().filter(|letter| readers.know(&letter.party()));
    Ok(seen.map(|letter| letter.rfc_id).take(most).collect())
}

/// Whoever an agent writes to is part of the conversation.
pub(super) fn invite(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    recipients: &Recipients,
) -> Result<(), Error> {
    let all = recipients.to.iter().chain(&recipients.cc).chain(&recipients.bcc);
    let people: Vec<_> =
        all.map(|address| (fold_address(&address.email), ParticipantClass::Invited)).collect();
    Ok(store::threads::insert_participants(cx.conn, conversation.id, &people, cx.now)?)
}

/// The files stand in the composed mail now, and are served from there.
fn point_into_raw(
    cx: &mut Cx<'_>,
    id: MessageId,
    parts: &[Part],
    order: &[Option<usize>],
    freight: Freight<'_>,
) -> Result<(), Error> {
    if parts.len() != order.len() {
        // The uploads stay where they are: kept twice is better than lost.
        return Ok(());
    }
    let mut forwarded = Vec::new();
    for (part, index) in parts.iter().zip(order) {
        let Some(index) = *index else { continue };
        if let Some(file) = freight.files.get(index) {
            store::attachments::move_into_raw(cx.conn, &file.attachment.id, part.part)?;
        } else if let Some(file) = freight.all_files().nth(index) {
            let attachment = file.attachment.clone();
            let (message_id, part) = (Some(id), Some(part.part));
            forwarded.push(Attachment { message_id, part, created_at: cx.now, ..attachment });
        }
    }
    store::attachments::insert(cx.conn, &forwarded)?;
    Ok(())
}
