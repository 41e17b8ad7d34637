//! Where a mail is put down: the conversation it begins, the message it is, and who belongs to
//! the conversation by it.

use super::{Circumstances, Known, Read, effects, sent};
use crate::conversation::{Channel, Conversation, Priority, Status};
use crate::cx::Cx;
use crate::id::MessageId;
use crate::mail::{Address, Class};
use crate::mailbox::FolderRole;
use crate::message::{AuthorType, MessageKind, Recipients};
use crate::operations::conversations;
use crate::store::conversations::NewConversation;
use crate::store::messages::NewMessage;
use crate::store::types::Json;
use crate::text::{SUBJECT_CHARS, fold_address};
use crate::threading::decide::customer_address;
use crate::threading::identity::internal_id;
use crate::threading::{Decision, Flag, Outcome, ParticipantClass};
use crate::{Error, store};

/// Begins a conversation for a mail that joins none.
pub(super) fn begin(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
) -> Result<Conversation, Error> {
    let customer = match read.role {
        FolderRole::Sent => sent::outside(here, read).next().cloned(),
        _ => customer_address(read.mail, &here.policy, &here.own_addresses),
    };
    let customer_id = known.customer(cx, customer.as_ref())?;
    let (mut status, mut waiting_on) = effects::beginning(read.role, read.class, read.mail);
    if here.history.is_some_and(|history| !history.open) && status != Status::Spam {
        (status, waiting_on) = (Status::Closed, None);
    }
    let at = here.at(read.arrival, cx.now);
    let received = read.arrival.internal_date.unwrap_or(cx.now).min(cx.now);
    let subject = crate::text::one_line(&read.mail.subject, SUBJECT_CHARS);
    let row = NewConversation {
        mailbox_id: here.mailbox.id,
        customer_id,
        subject: if subject.is_empty() { "(no subject)".to_owned() } else { subject },
        status,
        priority: Priority::Normal,
        channel: Channel::Email,
        assignee_id: None,
        // What is history was nobody's of today.
        team_id: here.team_id.filter(|_| here.history.is_none()),
        category_id: None,
        waiting_on,
        waiting_since: waiting_on.map(|_| received),
        message_count: 0,
        last_message_at: received,
        version: 1,
        created_at: at,
        updated_at: cx.now,
        closed_at: (status == Status::Closed).then_some(at),
        external_source: None,
        external_id: None,
    };
    let conversation = store::conversations::insert(cx.conn, &row)?;
    conversations::tell_created(cx, &conversation);
    known.people().begin(&conversation);
    if let Some(address) = customer {
        known.people().join(conversation.id, fold_address(&address.email), ParticipantClass::Customer);
    }
    Ok(conversation)
}

/// Who wrote a mail.
pub(super) struct Author {
    pub(super) kind: AuthorType,
    pub(super) id: Option<i64>,
    pub(super) name: Option<String>,
}

pub(super) fn author(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
) -> Result<Author, Error> {
    if read.role == FolderRole::Sent {
        let agent = store::people::find_agent_by_email(cx.conn, &read.sender)?;
        return Ok(match agent {
            Some(agent) => Author { kind: AuthorType::Agent, id: Some(agent.id.0), name: Some(agent.name) },
            None => Author { kind: AuthorType::System, id: None, name: Some(here.mailbox.name.clone()) },
        });
    }
    let customer = known.author(cx, &read.sender)?;
    Ok(Author {
        kind: if customer.is_some() { AuthorType::Customer } else { AuthorType::Unknown },
        id: customer.map(|id| id.0),
        name: read.mail.sender().and_then(|sender| sender.name.clone()),
    })
}

/// Keeps a mail as a message of a conversation.
pub(super) fn keep_message(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
    conversation: &Conversation,
    decision: &Decision,
) -> Result<MessageId, Error> {
    let mail = read.mail;
    let author = author(cx, here, known, read)?;
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
        kind: if read.role == FolderRole::Sent { sent::kind(read) } else { MessageKind::Inbound },
        class: read.class,
        author_type: author.kind,
        author_id: author.id,
        author_name: author.name.as_deref(),
        sender: mail.sender().cloned().map(Json::new),
        recipients: Json::new(recipients),
        subject: &mail.subject,
        content: &mail.text,
        reply_content: mail.reply_text.as_deref(),
        text_parts: Json::new(mail.parts_of_text.clone()),
        has_html: mail.has_html,
        internet_message_id: Some(read.keys.message_id.as_deref().unwrap_or(&internal)),
        thread_index: mail.whole_thread_index.as_deref(),
        fingerprint: Some(&mail.fingerprint),
        raw_hash: Some(&read.arrival.raw.hash),
        raw_size: Some(read.arrival.raw.size),
        sender_auth: mail.sender_auth,
        flags: Json::new(decision.flags.clone()),
        signals: Json::new(mail.signals.clone()),
        threading: Some(Json::new(decision.clone())),
        failed_recipients: Json::new(mail.failed_recipients.clone()),
        about_message_id: about,
        side_id: side(cx, known, read, conversation)?,
        sent_at: mail.date,
        released_at: None,
        received_at: Some(read.arrival.internal_date.unwrap_or(cx.now)),
        version: 1,
        created_at: cx.now,
    };
    let id = store::messages::insert(cx.conn, &row)?;
    if row.kind == MessageKind::Forward {
        store::messages::begin_side(cx.conn, id)?;
    }
    known.keep(read.arrival, id, cx.now);
    Ok(id)
}

/// The side conversation with a third party that a mail answers in: that of the nearest mail it refers to.
/// What the customer writes belongs to none.
fn side(
    cx: &mut Cx<'_>,
    known: &mut Known,
    read: &Read<'_>,
    conversation: &Conversation,
) -> Result<Option<MessageId>, Error> {
    let people = known.people().of(conversation.id);
    if people.get(&read.sender) == Some(&ParticipantClass::Customer) {
        return Ok(None);
    }
    let owners = read.keys.candidates.iter().filter_map(|id| known.owner(id));
    match owners.into_iter().find(|(_, owner)| *owner == conversation.id) {
        Some((answered, _)) => Ok(store::messages::side_of(cx.conn, answered)?),
        None => Ok(None),
    }
}

/// Lets in whom the sender wrote to as well, and the sender: only from a mail that passed the
/// gate, or begins a conversation of its own. Whom an agent wrote to is let in always.
pub(super) fn add_participants(
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
    conversation: &Conversation,
    decision: &Decision,
) {
    if read.role == FolderRole::Sent {
        for address in sent::outside(here, read).take(100) {
            let email = fold_address(&address.email);
            known.people().join(conversation.id, email, ParticipantClass::Invited);
        }
        return;
    }
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
    let is_somebody = |address: &&Address| {
        let folded = fold_address(&address.email);
        crate::text::address_fault(&folded).is_none() && !here.is_own(&folded)
    };
    for address in read.mail.to.iter().chain(&read.mail.cc).take(100).filter(is_somebody) {
        join(fold_address(&address.email));
    }
}
