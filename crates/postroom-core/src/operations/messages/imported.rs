//! History by API: a message that was written at another desk is kept under its own date and in its author's
//! name. It leaves nowhere, asks for no answer, opens nothing and is news to nobody; the log alone tells of it,
//! marked as imported.

use super::write::{check_content, check_files, check_writing};
use super::{MessageCard, NewMessage, Row, attach, cards, reply};
use crate::access::Scope;
use crate::conversation::{Conversation, Status, WaitingOn};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AgentId, ConversationId, MessageId};
use crate::mail::Address;
use crate::mailbox::Mailbox;
use crate::message::{AuthorType, MessageKind, Recipients};
use crate::operations::conversations::{about, changeable, of_address, save};
use crate::operations::require_version;
use crate::outgoing::TextFormat;
use crate::store::threads::KnownId;
use crate::store::types::Json;
use crate::text::{TEXT_BYTES, fold_address};
use crate::threading::keys::normalise_id;
use crate::threading::{Flag, IdKind, ParticipantClass};
use crate::time::Timestamp;
use crate::unsent::When;
use crate::{Error, store};

/// The longest Message-ID, in bytes: what is longer is one that no mail refers to.
const ID_BYTES: usize = 512;
/// So many messages are looked at to say since when somebody waits.
const TURNS: i64 = 200;

/// What a message was at the desk that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// When it was written: between 1970 and now.
    pub at: Timestamp,
    /// Who wrote it.
    pub author: ImportedAuthor,
    /// Its Message-ID, with or without angle brackets: mail that answers it finds the conversation by it.
    pub message_id: Option<String>,
}

/// Who wrote an imported message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportedAuthor {
    /// Nobody is named: the conversation's customer wrote what came in, the mailbox all else.
    Unnamed,
    /// An agent of this desk, be they still at it or not.
    Agent(AgentId),
    /// Somebody by name, address or both: of what came in a customer, of all else an agent, who need not be
    /// one of this desk.
    Person {
        /// Their name.
        name: Option<String>,
        /// Their address.
        email: Option<String>,
    },
}

/// An imported message, and whether it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The message.
    pub card: MessageCard,
    /// It was written just now, and not here before.
    pub is_new: bool,
}

/// Fails where the caller may not bring history here. Nobody's name is lent for it: it names its authors.
pub(in crate::operations) fn require_imports(cx: &Cx<'_>) -> Result<(), Error> {
    cx.access().require(Scope::ConversationsImport)?;
    cx.access().require(Scope::ConversationsWrite)?;
    if cx.actor.customer().is_some() {
        return Err(Error::Forbidden(
            "history is imported in nobody's name: its messages name their authors",
        ));
    }
    Ok(())
}

/// Says of all that was told since `told` that it is history: it is in the log, and no webhook is told of it.
pub(in crate::operations) fn mark(cx: &mut Cx<'_>, told: usize) {
    for event in &mut cx.events[told..] {
        event.data.insert("imported".to_owned(), true.into());
    }
}

/// Adds a message of long ago to a conversation. One that is there already, by its Message-ID or by kind, date
/// and text, is not added again, so that an import that broke off can begin anew.
pub fn import(
    cx: &mut Cx<'_>,
    id: ConversationId,
    expected: Option<&str>,
    new: &NewMessage,
) -> Result<Kept, Error> {
    require_imports(cx)?;
    let history = new.imported.as_ref().ok_or(Error::Forbidden("only history is imported"))?;
    let conversation = changeable(cx, id)?;
    require_version("conversation", expected, conversation.etag())?;
    let mailbox =
        store::mailboxes::find(cx.conn, conversation.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    let mut faults = Faults::default();
    check(cx, &mailbox, new, history, "", &mut faults)?;
    faults.check()?;
    let there = there_already(cx, &conversation, &mailbox, new, history)?;
    let is_new = there.is_none();
    let message_id = match there {
        Some(message) => message,
        None => append(cx, conversation, &mailbox, new, history)?.1,
    };
    let message = store::messages::find(cx.conn, message_id)?.ok_or(Error::NotFound("message"))?;
    let card = cards(cx, vec![message])?.pop().ok_or(Error::NotFound("message"))?;
    Ok(Kept { card, is_new })
}

/// Notes what is wrong with a message that is to be imported, which stands at `at` in the input.
pub(super) fn check(
    cx: &mut Cx<'_>,
    mailbox: &Mailbox,
    new: &NewMessage,
    history: &Imported,
    at: &str,
    faults: &mut Faults,
) -> Result<(), Error> {
    require_imports(cx)?;
    check_date(cx.now, history.at, &format!("{at}/created_at"), faults);
    let (kind, writing) = (new.kind, &new.writing);
    if !matches!(kind, MessageKind::Inbound | MessageKind::Reply | MessageKind::Note) {
        let detail = "what is imported is inbound, reply or note";
        faults.add(format!("{at}/kind"), "not_allowed", detail);
    }
    let unfit = [
        ("draft", new.when == When::Never),
        ("undo_seconds", matches!(new.when, When::After(_))),
        ("send_at", matches!(new.when, When::At(_))),
        ("quote", writing.quote.is_some()),
        ("forward_message_ids", !writing.forward_message_ids.is_empty()),
        ("mentions", !new.mentions.is_empty()),
        ("expected_last_message_id", new.expected_last.is_some()),
    ];
    for (member, is_given) in unfit {
        if is_given {
            let detail = "what was written long ago neither leaves nor calls anybody";
            faults.add(format!("{at}/{member}"), "not_allowed", detail);
        }
    }
    if writing.format != TextFormat::Text {
        faults.add(format!("{at}/format"), "not_allowed", "history is imported as text");
    }
    check_content(cx, writing, &new.files, at, faults);
    check_files(cx, &new.files, at, faults);
    check_writing(mailbox, kind, writing, at, faults);
    check_author(cx, kind, &history.author, at, faults)?;
    if let Some(given) = &history.message_id {
        let known = normalise_id(given).filter(|_| given.len() <= ID_BYTES);
        if kind == MessageKind::Note {
            faults.add(format!("{at}/message_id"), "not_allowed", "a note is no mail and has none");
        } else if known.is_none() {
            let detail = "is a Message-ID, such as <a1@example.org>, of at most 512 bytes";
            faults.add(format!("{at}/message_id"), "invalid", detail);
        }
    }
    Ok(())
}

/// Notes that a date is none at which anything of a desk can have been.
pub(in crate::operations) fn check_date(now: Timestamp, date: Timestamp, at: &str, faults: &mut Faults) {
    if date > now {
        faults.add(at, "future", "must not lie in the future");
    } else if date < Timestamp(0) {
        faults.add(at, "too_old", "must not lie before 1970");
    }
}

fn check_author(
    cx: &mut Cx<'_>,
    kind: MessageKind,
    author: &ImportedAuthor,
    at: &str,
    faults: &mut Faults,
) -> Result<(), Error> {
    match author {
        ImportedAuthor::Unnamed => {}
        ImportedAuthor::Agent(_) if kind == MessageKind::Inbound => {
            let detail = "what came in was written by a customer";
            faults.add(format!("{at}/author/agent_id"), "not_allowed", detail);
        }
        ImportedAuthor::Agent(id) => {
            if store::people::find_agent(cx.conn, *id)?.is_none() {
                faults.add(format!("{at}/author/agent_id"), "not_found", "there is no such agent");
            }
        }
        ImportedAuthor::Person { name, email } => {
            if let Some(name) = name {
                faults.line(&format!("{at}/author/name"), name, 200);
            }
            if let Some(email) = email {
                faults.email(&format!("{at}/author/email"), email);
            }
        }
    }
    Ok(())
}

/// The message of the conversation that this one is.
fn there_already(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
    history: &Imported,
) -> Result<Option<MessageId>, Error> {
    let Some(name) = name(history) else {
        let (text, _) = crate::text::many_lines(&new.writing.text, TEXT_BYTES);
        return Ok(store::imported::find_alike(cx.conn, conversation.id, new.kind, history.at, &text)?);
    };
    let bearers = bearers(cx, mailbox, &name)?;
    Ok(bearers.into_iter().find(|(_, at)| *at == conversation.id).map(|(message, _)| message))
}

/// The Message-ID as it is kept and compared.
fn name(history: &Imported) -> Option<String> {
    history.message_id.as_deref().and_then(normalise_id)
}

/// The messages that bear a Message-ID, and where they are. Nobody else brings one of this name before the transaction
/// has ended.
fn bearers(
    cx: &mut Cx<'_>,
    mailbox: &Mailbox,
    name: &str,
) -> Result<Vec<(MessageId, ConversationId)>, Error> {
    store::conn::lock_group(cx.conn, &mailbox.group)?;
    let known = store::threads::known_ids(cx.conn, &mailbox.group, &[name.to_owned()])?;
    let own = known.into_iter().filter(|known| known.kind != IdKind::Ghost);
    Ok(own.filter_map(|known| Some((known.message_id?, known.conversation_id))).collect())
}

/// Keeps a checked message of long ago in a conversation. Returns the conversation as it is afterwards.
pub(super) fn append(
    cx: &mut Cx<'_>,
    before: Conversation,
    mailbox: &Mailbox,
    new: &NewMessage,
    history: &Imported,
) -> Result<(Conversation, MessageId), Error> {
    let told = cx.events.len();
    let name = name(history);
    if let Some(name) = &name
        && !bearers(cx, mailbox, name)?.is_empty()
    {
        let detail = "a message of another conversation has this message_id already".to_owned();
        return Err(Error::AlreadyExists { detail, existing_id: None });
    }
    let author = author(cx, &before, mailbox, new.kind, &history.author)?;
    let recipients = match new.kind {
        MessageKind::Reply => recipients(cx, &before, new)?,
        _ => Recipients::default(),
    };
    let (text, _) = crate::text::many_lines(&new.writing.text, TEXT_BYTES);
    let is_inbound = new.kind == MessageKind::Inbound;
    let row = Row {
        author_type: author.kind,
        author_id: author.id,
        author_name: author.name.as_deref(),
        sender: author.sender.clone().map(Json::new),
        recipients: Json::new(recipients.clone()),
        subject: new.writing.subject.as_deref().unwrap_or(&before.subject),
        internet_message_id: name.as_deref(),
        sent_at: (new.kind != MessageKind::Note).then_some(history.at),
        received_at: is_inbound.then_some(history.at),
        flags: Json::new(vec![Flag::Imported]),
        ..super::row(&before, new.kind, &text, history.at)
    };
    let id = store::messages::insert(cx.conn, &row)?;
    store::imported::insert(cx.conn, id, cx.now)?;
    attach(cx, id, &new.files)?;
    if let Some(name) = name {
        claim(cx, &before, mailbox, id, name)?;
    }
    if new.kind == MessageKind::Reply {
        reply::invite(cx, &before, &recipients)?;
    }
    if let (true, Some(sender)) = (is_inbound, &author.sender) {
        // The program vouches for whoever wrote at the other desk, as an agent does for whom they write to.
        let who = [(fold_address(&sender.email), ParticipantClass::Copied)];
        store::threads::insert_participants(cx.conn, before.id, &who, cx.now)?;
    }
    let after = grown(cx, &before, id, history.at)?;
    let written = save(cx, &before, &after, true)?;
    let event = match new.kind {
        MessageKind::Inbound => EventType::MessageReceived,
        MessageKind::Reply => EventType::MessageSent,
        _ => EventType::MessageNoteAdded,
    };
    let about = About { message_id: Some(id), ..about(&written) };
    cx.tell(NewEvent::new(event, about).with("kind", new.kind.as_str()).with("quiet", true));
    mark(cx, told);
    Ok((written, id))
}

/// The conversation with one message more, of long ago. As long as it holds history alone, it is what its
/// messages say by their dates; what has come since stays the newest, and whose turn it is hangs on that.
fn grown(
    cx: &mut Cx<'_>,
    before: &Conversation,
    id: MessageId,
    at: Timestamp,
) -> Result<Conversation, Error> {
    let mut after = before.clone();
    after.message_count += 1;
    let is_history = match before.last_message_id {
        None => true,
        Some(last) => store::imported::is_imported(cx.conn, last)?,
    };
    if !is_history {
        return Ok(after);
    }
    if before.last_message_id.is_none() || at >= before.last_message_at {
        after.last_message_id = Some(id);
        after.last_message_at = at;
    }
    // It was done when the last of its messages had been dealt with.
    after.closed_at = before.closed_at.map(|closed| closed.max(at));
    if matches!(before.status, Status::Open | Status::Pending | Status::Snoozed) {
        let turns = store::imported::turns(cx.conn, before.id, TURNS)?;
        let newest = turns.first().map(|(kind, _)| *kind);
        let since = turns.iter().take_while(|(kind, _)| Some(*kind) == newest).last().map(|(_, at)| *at);
        after.waiting_on = newest.map(|kind| match kind {
            MessageKind::Inbound => WaitingOn::Us,
            _ => WaitingOn::Customer,
        });
        after.waiting_since = since;
    }
    Ok(after)
}

/// Who wrote a message, as its row has it.
struct Author {
    kind: AuthorType,
    id: Option<i64>,
    name: Option<String>,
    sender: Option<Address>,
}

fn author(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    kind: MessageKind,
    named: &ImportedAuthor,
) -> Result<Author, Error> {
    if kind == MessageKind::Inbound {
        return customer(cx, conversation, named);
    }
    let (kind_of, id, name, email) = match named {
        ImportedAuthor::Unnamed => (AuthorType::System, None, Some(mailbox.name.clone()), None),
        ImportedAuthor::Agent(id) => {
            let agent = store::people::find_agent(cx.conn, *id)?.ok_or(Error::NotFound("agent"))?;
            (AuthorType::Agent, Some(id.0), Some(agent.name), None)
        }
        ImportedAuthor::Person { name, email } => {
            let agent = match email {
                Some(email) => store::people::find_agent_by_email(cx.conn, &fold_address(email))?,
                None => None,
            };
            let called = name.clone().or_else(|| agent.as_ref().map(|agent| agent.name.clone()));
            let called = called.or_else(|| email.clone());
            (AuthorType::Agent, agent.map(|agent| agent.id.0), called, email.clone())
        }
    };
    let sender = match kind {
        MessageKind::Note => email,
        _ => email.or_else(|| Some(mailbox.address.clone())),
    };
    let sender = sender.map(|email| Address { name: name.clone(), email: email.trim().to_owned() });
    Ok(Author { kind: kind_of, id, name, sender })
}

fn customer(cx: &mut Cx<'_>, conversation: &Conversation, named: &ImportedAuthor) -> Result<Author, Error> {
    let (name, email) = match named {
        ImportedAuthor::Person { name, email } => (name.clone(), email.clone()),
        _ => (None, None),
    };
    let (id, sender) = match email {
        Some(email) => {
            let id = of_address(cx, email.trim(), name.as_deref())?;
            (id, Some(Address { name: name.clone(), email: email.trim().to_owned() }))
        }
        None => (conversation.customer_id, reply::customer_address(cx, conversation)?.pop()),
    };
    let name = name.or_else(|| sender.as_ref().and_then(|sender| sender.name.clone()));
    let sender = sender.map(|sender| Address { name: name.clone(), ..sender });
    Ok(Author { kind: AuthorType::Customer, id: Some(id.0), name, sender })
}

/// Whom an answer went to: those named, or else the customer.
fn recipients(cx: &mut Cx<'_>, conversation: &Conversation, new: &NewMessage) -> Result<Recipients, Error> {
    let writing = &new.writing;
    let to =
        if writing.to.is_empty() { reply::customer_address(cx, conversation)? } else { writing.to.clone() };
    Ok(Recipients { to, cc: writing.cc.clone(), bcc: writing.bcc.clone(), reply_to: Vec::new() })
}

/// Remembers what a message is called, so that mail which answers it comes here.
fn claim(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    mailbox: &Mailbox,
    id: MessageId,
    name: String,
) -> Result<(), Error> {
    let own = KnownId {
        share_group: mailbox.group.clone(),
        rfc_id: name,
        conversation_id: conversation.id,
        message_id: Some(id),
        kind: IdKind::Real,
        created_at: cx.now,
    };
    // What others here have only referred to so far is this one.
    if !store::threads::embody(cx.conn, &own)? {
        store::threads::insert_ids(cx.conn, &[own])?;
    }
    Ok(())
}
