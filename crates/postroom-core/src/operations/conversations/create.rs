//! Conversations that somebody begins by the API.

use super::{
    ConversationCard, card, check_people, check_tags, external, is_same_address, save, set_status, set_tags,
    tell_all, tell_created,
};
use crate::access::{Level, Scope};
use crate::conversation::{Channel, ExternalId, Priority, Status, WaitingOn};
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::{AgentId, CategoryId, CustomerId, MailboxId, TeamId};
use crate::message::MessageKind;
use crate::operations::custom_fields::{self, Given, Holder};
use crate::operations::messages::{self, NewMessage};
use crate::operations::{customers, mailboxes};
use crate::text::SUBJECT_CHARS;
use crate::time::Timestamp;
use crate::{Error, store};

/// Whose conversation is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A customer who is known.
    Known(CustomerId),
    /// Whoever has this address; made if nobody has.
    Address {
        /// The address.
        email: String,
        /// The name, for one who is made.
        name: Option<String>,
    },
}

/// A conversation to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversation {
    /// Where.
    pub mailbox_id: MailboxId,
    /// About what.
    pub subject: String,
    /// Whose.
    pub whose: Whose,
    /// The first message: `inbound` files what came by another way, `reply` writes first.
    pub message: NewMessage,
    /// Labels.
    pub tags: Vec<String>,
    /// Custom fields.
    pub custom_fields: Given,
    /// How it came; `api` unless said otherwise.
    pub channel: Option<Channel>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Who takes care of it.
    pub assignee_id: Option<AgentId>,
    /// Which team does.
    pub team_id: Option<TeamId>,
    /// What kind of matter.
    pub category_id: Option<CategoryId>,
    /// Where it stands; `None` is open.
    pub status: Option<Status>,
    /// What another system calls it.
    pub external_id: Option<ExternalId>,
    /// It comes from another desk, and its message with it: both are kept as they were.
    pub imported: Option<ImportedConversation>,
}

/// What a conversation was at the desk that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedConversation {
    /// When it began.
    pub created_at: Timestamp,
    /// When it was closed; `None`, of one that is: with its last message.
    pub closed_at: Option<Timestamp>,
}

/// Begins a conversation with its first message.
pub fn create(cx: &mut Cx<'_>, new: &NewConversation) -> Result<ConversationCard, Error> {
    if new.imported.is_some() {
        messages::require_imports(cx)?;
    }
    cx.access().require(Scope::ConversationsCreate)?;
    let told = cx.events.len();
    let theirs = |address: &str| match &new.whose {
        Whose::Address { email, .. } => is_same_address(email, address),
        Whose::Known(_) => false,
    };
    if cx.actor.customer().is_some_and(|address| new.message.kind != MessageKind::Inbound || !theirs(address))
    {
        return Err(Error::Forbidden(
            "in a customer's name what they say themselves is filed, and nothing else",
        ));
    }
    let mailbox = mailboxes::visible(cx, new.mailbox_id)?;
    let level = cx.access().level(mailbox.id, new.category_id, new.assignee_id);
    if level < Some(Level::Reply) {
        return Err(Error::Forbidden("you may read this mailbox, not begin conversations in it"));
    }
    let mut faults = Faults::default();
    faults.line("/subject", &new.subject, SUBJECT_CHARS);
    check_tags(&new.tags, &mut faults);
    if new.status == Some(Status::Snoozed) {
        faults.add("/status", "not_settable", "must be open, pending, closed or spam");
    }
    external::check(new.external_id.as_ref(), &mut faults);
    check_people(cx, new.assignee_id, new.team_id, new.category_id, &mut faults)?;
    if let Whose::Address { email, name } = &new.whose {
        faults.email("/customer/email", email);
        if let Some(name) = name {
            faults.header_name("/customer/name", name, 200);
        }
    }
    if let Some(history) = &new.imported {
        check_dates(cx.now, new, history, &mut faults);
    }
    messages::check(cx, None, &mailbox, &new.message, "/message", &mut faults)?;
    if new.message.kind == MessageKind::Forward {
        faults.add("/message/kind", "not_allowed", "there is nothing yet that could be forwarded");
    }
    if new.message.expected_last.is_some() {
        let detail = "a conversation that begins has no message yet";
        faults.add("/message/expected_last_message_id", "not_allowed", detail);
    }
    // History is kept as it was.
    let closing = new.status == Some(Status::Closed) && new.imported.is_none();
    let fields =
        custom_fields::settle(cx, Holder::Conversation(None), &new.custom_fields, closing, &mut faults)?;
    faults.check()?;
    if let Some(key) = &new.external_id {
        external::require_free(cx, key, None)?;
    }

    let (customer_id, address) = whose(cx, &new.whose)?;
    let began = new.imported.map_or(cx.now, |history| history.created_at);
    // History is done unless it says otherwise, and its messages tell whose turn it is.
    let status = match new.imported {
        Some(_) => new.status.unwrap_or(Status::Closed),
        None => Status::Open,
    };
    let row = store::conversations::NewConversation {
        mailbox_id: mailbox.id,
        customer_id,
        subject: crate::text::one_line(&new.subject, SUBJECT_CHARS),
        status,
        priority: new.priority.unwrap_or(Priority::Normal),
        channel: new.channel.unwrap_or(Channel::Api),
        assignee_id: new.assignee_id,
        team_id: team(cx, new)?,
        category_id: new.category_id,
        waiting_on: new.imported.is_none().then_some(WaitingOn::Us),
        waiting_since: new.imported.is_none().then_some(cx.now),
        message_count: 0,
        last_message_at: began,
        version: 1,
        created_at: began,
        updated_at: cx.now,
        closed_at: new
            .imported
            .filter(|_| status == Status::Closed)
            .map(|history| history.closed_at.unwrap_or(history.created_at)),
        external_source: new.external_id.as_ref().map(|key| key.source.clone()),
        external_id: new.external_id.as_ref().map(|key| key.id.clone()),
    };
    let conversation = store::conversations::insert(cx.conn, &row)?;
    tell_created(cx, &conversation);
    if let Some(address) = address {
        let class = crate::threading::ParticipantClass::Customer;
        store::threads::insert_participants(cx.conn, conversation.id, &[(address, class)], cx.now)?;
    }
    set_tags(cx, &conversation, &[], &new.tags)?;
    custom_fields::write(cx, Holder::Conversation(Some(conversation.id)), &fields)?;
    tell_all(cx, &conversation, &conversation, &fields);
    let (conversation, _) = messages::append(cx, conversation, &mailbox, &new.message)
        .map_err(|error| error.below("/message"))?;
    let conversation = if new.imported.is_some() {
        messages::mark(cx, told);
        conversation
    } else {
        let mut after = conversation.clone();
        set_status(&mut after, new.status.unwrap_or(conversation.status), cx.now);
        save(cx, &conversation, &after, false)?
    };
    card(cx, conversation)
}

/// The team that was named, or else the mailbox's; history is its own.
fn team(cx: &mut Cx<'_>, new: &NewConversation) -> Result<Option<TeamId>, Error> {
    match new.team_id {
        None if new.imported.is_none() => Ok(store::mailbox_routing::team_of(cx.conn, new.mailbox_id)?),
        named => Ok(named),
    }
}

/// Notes what is wrong with the dates of a conversation that is imported.
fn check_dates(now: Timestamp, new: &NewConversation, history: &ImportedConversation, faults: &mut Faults) {
    messages::check_date(now, history.created_at, "/created_at", faults);
    let Some(closed_at) = history.closed_at else { return };
    messages::check_date(now, closed_at, "/closed_at", faults);
    if new.status.is_some_and(|status| status != Status::Closed) {
        faults.add("/closed_at", "not_allowed", "only what is closed was closed");
    }
    if closed_at < history.created_at {
        faults.add("/closed_at", "too_early", "must not lie before created_at");
    }
}

/// The customer meant, and the folded address they are written to at.
fn whose(cx: &mut Cx<'_>, whose: &Whose) -> Result<(CustomerId, Option<String>), Error> {
    match whose {
        Whose::Known(id) => {
            // Who may see nothing learns of no customer either.
            let is_blind = !cx.access().has(Scope::ConversationsRead);
            if is_blind || store::customers::find_many(cx.conn, &[*id])?.is_empty() {
                return Err(Error::invalid("/customer/id", "not_found", "there is no such customer"));
            }
            let access = cx.access().clone();
            if !store::customers::visible(cx.conn, &access, &[*id])?.contains(id) {
                return Err(Error::invalid("/customer/id", "not_found", "there is no such customer"));
            }
            let addresses = store::customers::addresses(cx.conn, &[*id])?;
            Ok((*id, addresses.first().map(|address| crate::text::fold_address(&address.email))))
        }
        Whose::Address { email, name } => {
            let folded = crate::text::fold_address(email);
            let id = of_address(cx, email.trim(), name.as_deref())?;
            Ok((id, Some(folded)))
        }
    }
}

/// The customer with this address, made if nobody has it.
pub(in crate::operations) fn of_address(
    cx: &mut Cx<'_>,
    email: &str,
    name: Option<&str>,
) -> Result<CustomerId, Error> {
    let folded = crate::text::fold_address(email);
    if let Some(id) = store::customers::find_by_address(cx.conn, &folded)? {
        return Ok(id);
    }
    let customer = customers::insert(cx, name)?;
    if store::customers::insert_address(cx.conn, customer.id, email, None, cx.now)?.is_none() {
        // Another transaction made one with this address between our look and our write.
        return Err(Error::Store { doing: "finding a customer", source: store::StoreError::Again });
    }
    Ok(customer.id)
}
