//! A message as callers see it, with its files and how far it has got.

use crate::links::Links;
use postroom_core::id::{AgentId, AttachmentId, ConversationId, MailboxId, MessageId};
use postroom_core::mail::{Address, Class, FailedRecipient, SenderAuth};
use postroom_core::message::{
    Attachment, AuthorType, CopyState, DeliveryState, HeldUp, HeldUpBy, Message, MessageKind, Outbound,
    RecipientResult,
};
use postroom_core::operations::messages::{MessageCard, Preview};
use postroom_core::outgoing::TextFormat;
use postroom_core::threading::Flag;
use postroom_core::time::Timestamp;
use postroom_core::unsent::{Unsent, UnsentState};
use serde::Serialize;
use utoipa::ToSchema;

/// A message as it would leave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessagePreview)]
pub struct PreviewView {
    /// From.
    pub from: Address,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc.
    pub bcc: Vec<Address>,
    /// The subject.
    pub subject: String,
    /// The text part, with all that stands around what was written.
    pub text: String,
    /// The HTML part: a whole document, made safe; its pictures stand there as `cid:`.
    pub html: String,
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        let Preview { from, recipients, subject, text, html } = preview;
        Self { from, to: recipients.to, cc: recipients.cc, bcc: recipients.bcc, subject, text, html }
    }
}

/// A message that has not left, as it was written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unsent)]
pub struct UnsentView {
    /// Why it has not left.
    pub state: UnsentState,
    /// When it leaves by itself; `null`: when somebody lets it.
    pub leaves_at: Option<Timestamp>,
    /// Why the desk did not let it leave, in words.
    pub reason: Option<String>,
    /// What was written.
    pub text: String,
    /// What that is written in.
    pub format: TextFormat,
    /// Whether it is to be signed.
    pub signature: bool,
    /// Whether it is to quote; `null`: as the mailbox has it.
    pub quote: Option<bool>,
    /// The one of the mailbox's addresses that was asked for.
    pub from: Option<String>,
    /// The subject that was asked for.
    pub subject: Option<String>,
    /// Whom it is to go to, as named; empty is the customer.
    pub to: Vec<Address>,
    /// Who is to get a copy.
    pub cc: Vec<Address>,
    /// Who is to get a copy that the others don't see.
    pub bcc: Vec<Address>,
    /// The messages that a forward is to carry.
    pub forward_message_ids: Vec<MessageId>,
    /// Whether their files are to go along.
    pub forward_files: bool,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<Unsent> for UnsentView {
    fn from(unsent: Unsent) -> Self {
        let writing = unsent.writing.into_inner();
        Self {
            state: unsent.state,
            leaves_at: unsent.leaves_at,
            reason: unsent.reason,
            text: writing.text,
            format: writing.format,
            signature: !writing.is_unsigned,
            quote: writing.quote,
            from: writing.from,
            subject: writing.subject,
            to: writing.to,
            cc: writing.cc,
            bcc: writing.bcc,
            forward_message_ids: writing.forward_message_ids,
            forward_files: !writing.without_files,
            updated_at: unsent.updated_at,
        }
    }
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Its number.
    pub id: MessageId,
    /// Counts changes.
    pub version: i64,
    /// Where it belongs.
    pub conversation_id: ConversationId,
    /// The mailbox it came to or leaves from.
    pub mailbox_id: MailboxId,
    /// Which way it goes.
    pub kind: MessageKind,
    /// What kind of mail it was; of inbound messages alone.
    pub class: Option<Class>,
    /// Why it has its class: `header:auto-submitted` …
    pub signals: Vec<String>,
    /// Who wrote it.
    pub author: Author,
    /// The From address.
    pub from: Option<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc, of our own messages alone.
    pub bcc: Vec<Address>,
    /// Reply-To.
    pub reply_to: Vec<Address>,
    /// Its own subject.
    pub subject: String,
    /// The whole text.
    pub text: String,
    /// Only what is new in it, without what it quotes and without its signature.
    pub reply_text: String,
    /// What it quotes, with the line that announces it.
    pub quoted_text: Option<String>,
    /// Its signature, and what programs put below.
    pub signature: Option<String>,
    /// Whether it has HTML of its own. `html_url` shows the text otherwise.
    pub has_html: bool,
    /// A page that shows it and can harm nobody.
    pub html_url: String,
    /// Its files.
    pub attachments: Vec<AttachmentView>,
    /// Its Message-ID header.
    pub internet_message_id: Option<String>,
    /// How far it has got; of outgoing messages alone, and not of drafts.
    pub delivery: Option<DeliveryView>,
    /// What was written, as long as it has not left: a draft, or what is held or scheduled.
    pub unsent: Option<UnsentView>,
    /// The side conversation with a third party that it belongs to, by the forward that began it. The
    /// customer is told nothing of it.
    pub side_id: Option<MessageId>,
    /// The agents whom a note names.
    pub mentions: Vec<AgentId>,
    /// What a server that the mailbox trusts says of the sender.
    pub sender_auth: SenderAuth,
    /// What to show beside it.
    pub flags: Vec<Flag>,
    /// Whom a bounce is about.
    pub failed_recipients: Vec<FailedRecipient>,
    /// The message of ours that a bounce, receipt or complaint is about.
    pub about_message_id: Option<MessageId>,
    /// When it came into the desk; of what was imported (`flags`), when it was written.
    pub created_at: Timestamp,
    /// When the mail server got it.
    pub received_at: Option<Timestamp>,
    /// What its Date header says.
    pub sent_at: Option<Timestamp>,
}

/// Who wrote a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageAuthor)]
pub struct Author {
    /// What they are.
    pub r#type: AuthorType,
    /// Which customer or agent.
    pub id: Option<i64>,
    /// The name at the time.
    pub name: Option<String>,
    /// The address; of customers, unknown senders and agents of another desk alone.
    pub email: Option<String>,
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attachment)]
pub struct AttachmentView {
    /// Its id.
    pub id: AttachmentId,
    /// The message it belongs to; `null` while it waits for one.
    pub message_id: Option<MessageId>,
    /// A harmless name.
    pub filename: String,
    /// What its sender says it is: `type/subtype`.
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// Shown inside the text rather than beside it.
    pub inline: bool,
    /// Its Content-ID, by which the HTML names it.
    pub content_id: Option<String>,
    /// Where its bytes are.
    pub content_url: String,
    /// When it came.
    pub created_at: Timestamp,
    /// When it goes away unless a message takes it.
    pub expires_at: Option<Timestamp>,
}

impl AttachmentView {
    /// A file with its link.
    pub fn new(file: Attachment, links: &Links) -> Self {
        Self {
            content_url: links.to(&format!("/api/v1/attachments/{}/content", file.id)),
            id: file.id,
            message_id: file.message_id,
            filename: file.filename,
            content_type: file.content_type,
            size: file.size,
            inline: file.inline,
            content_id: file.content_id,
            created_at: file.created_at,
            expires_at: file.expires_at,
        }
    }
}

/// How far an outgoing message has got.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// In a word.
    pub state: DeliveryState,
    /// What became of each recipient.
    pub recipients: Vec<RecipientResult>,
    /// How often it was tried, since somebody had it tried anew (`/retry`): the pauses go by it.
    pub attempts: i32,
    /// When it is tried next, or, while it is held or scheduled, leaves; `null`: not by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// What keeps it from being tried, beside anything about itself; `last_error` says more.
    pub held_up_by: Option<HeldUpBy>,
    /// It was kept by a sink, and never left.
    pub captured: bool,
    /// Until when evidence is looked for that an uncertain one arrived; then it is sent once more or
    /// stays as it is, as the mailbox's `on_uncertain` says. `null`: nothing happens by itself.
    pub uncertain_until: Option<Timestamp>,
    /// It was sent again after a reply that was lost: it may have arrived twice, under one Message-ID.
    pub may_be_double: bool,
    /// What the server answered in the end, or what else shows that it was taken.
    pub response: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was told that it takes long (`message.delayed`).
    pub delayed_at: Option<Timestamp>,
    /// How far its copy in the mailbox's Sent folder has got; `null`: the desk makes none.
    pub sent_copy: Option<CopyState>,
    /// Why that copy could not be made yet, or at all.
    pub sent_copy_error: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub finished_at: Option<Timestamp>,
}

impl DeliveryView {
    fn new(outbound: Outbound, held_up: Option<HeldUp>) -> Self {
        let next = match &held_up {
            Some(held) if outbound.state == DeliveryState::Deferred => {
                held.until.map(|until| until.max(outbound.next_attempt_at))
            }
            Some(held) => held.until,
            None => outbound.waits_in_line().then_some(outbound.next_attempt_at),
        };
        let is_open = outbound.is_looked_for();
        Self {
            held_up_by: held_up.as_ref().map(|held| held.by),
            state: outbound.state,
            recipients: outbound.recipients.into_inner(),
            attempts: outbound.attempts,
            next_attempt_at: next,
            captured: outbound.captured,
            response: outbound.response,
            uncertain_until: is_open.then_some(outbound.next_attempt_at),
            may_be_double: outbound.may_be_double,
            last_error: held_up.and_then(|held| held.why).or(outbound.last_error),
            delayed_at: outbound.delayed_at,
            sent_copy: outbound.copy_state,
            sent_copy_error: outbound.copy_error,
            created_at: outbound.created_at,
            finished_at: outbound.finished_at,
        }
    }
}

/// How far a message has got; `None`: it is a draft, or does not leave at all.
pub fn delivery_of(card: &MessageCard) -> Option<DeliveryView> {
    let waits = |unsent: &Unsent| {
        let state = match unsent.state {
            UnsentState::Draft => return None,
            UnsentState::Held => DeliveryState::Held,
            UnsentState::Scheduled => DeliveryState::Scheduled,
        };
        Some(DeliveryView {
            state,
            recipients: Vec::new(),
            attempts: 0,
            next_attempt_at: unsent.leaves_at,
            held_up_by: None,
            captured: false,
            uncertain_until: None,
            may_be_double: false,
            response: None,
            last_error: unsent.reason.clone(),
            delayed_at: None,
            sent_copy: None,
            sent_copy_error: None,
            created_at: card.message.created_at,
            finished_at: None,
        })
    };
    match &card.delivery {
        Some(outbound) => Some(DeliveryView::new(outbound.clone(), card.held_up.clone())),
        None => card.unsent.as_ref().and_then(waits),
    }
}

impl MessageView {
    /// A message with its links.
    pub fn new(card: MessageCard, links: &Links) -> Self {
        let delivery = delivery_of(&card);
        let MessageCard { message, attachments, unsent, mentions, .. } = card;
        let author = author(&message);
        let recipients = message.recipients.into_inner();
        Self {
            id: message.id,
            version: message.version,
            conversation_id: message.conversation_id,
            mailbox_id: message.mailbox_id,
            kind: message.kind,
            class: (message.kind == MessageKind::Inbound).then_some(message.class),
            signals: message.signals.into_inner(),
            author,
            from: message.sender.as_deref().cloned(),
            to: recipients.to,
            cc: recipients.cc,
            bcc: recipients.bcc,
            reply_to: recipients.reply_to,
            subject: message.subject,
            quoted_text: message.text_parts.quoted_in(&message.content).map(str::to_owned),
            signature: message.text_parts.signature_in(&message.content).map(str::to_owned),
            reply_text: message.reply_content.unwrap_or_else(|| message.content.clone()),
            text: message.content,
            has_html: message.has_html,
            html_url: links.to(&format!("/api/v1/messages/{}/html", message.id)),
            attachments: attachments.into_iter().map(|file| AttachmentView::new(file, links)).collect(),
            internet_message_id: message.internet_message_id.as_deref().and_then(in_brackets),
            delivery,
            unsent: unsent.map(UnsentView::from),
            side_id: message.side_id,
            mentions,
            sender_auth: message.sender_auth,
            flags: message.flags.into_inner(),
            failed_recipients: message.failed_recipients.into_inner(),
            about_message_id: message.about_message_id,
            created_at: message.created_at,
            received_at: message.received_at,
            sent_at: message.sent_at,
        }
    }
}

/// As a header has it; what the desk made up for a mail without one is nobody's business.
fn in_brackets(id: &str) -> Option<String> {
    (!id.starts_with("sha256:")).then(|| format!("<{id}>"))
}

fn author(message: &Message) -> Author {
    let is_outside = match message.author_type {
        AuthorType::Customer | AuthorType::Unknown => true,
        AuthorType::Agent => message.author_id.is_none(),
        AuthorType::Token | AuthorType::System => false,
    };
    Author {
        r#type: message.author_type,
        id: message.author_id,
        name: message.author_name.clone(),
        email: message.sender.as_ref().filter(|_| is_outside).map(|sender| sender.email.clone()),
    }
}
