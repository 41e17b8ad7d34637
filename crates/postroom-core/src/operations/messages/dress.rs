//! What is put around what somebody writes: the name it comes from, the signature, head and foot, and what
//! it quotes.

use super::readers::Readers;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::id::{AgentId, MessageId};
use crate::mailbox::Mailbox;
use crate::mailbox_outgoing::MailboxOutgoing;
use crate::message::{AuthorType, Message, MessageKind, Recipients};
use crate::outgoing::{Layout, Logo, Outgoing, QUOTED_MESSAGES, Quoted, Rendered, TextFormat, Written};
use crate::ports::ShowHtml;
use crate::store::types::Json;
use crate::template::{self, Filling, Placeholder};
use crate::unsent::Writing;
use crate::{Error, store};

/// Among so many of the newest messages those are looked for that may be quoted or referred to.
pub(super) const QUOTABLE: i64 = 30;

/// Of a raw mail that is larger the text is quoted, in bytes.
const QUOTED_RAW_BYTES: i64 = 256 * 1024;

/// Who a mail goes to that only shows how a mailbox's mail looks.
pub(super) const EXAMPLE_CUSTOMER: &str = "Ada Example";
/// What it is about.
pub(super) const EXAMPLE_SUBJECT: &str = "An example";

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Author {
    name: String,
    agent: Option<AgentId>,
}

impl Author {
    /// The caller.
    pub(super) fn caller(cx: &Cx<'_>) -> Self {
        Self { name: cx.actor.name.clone(), agent: cx.actor.agent_id }
    }

    /// Whoever wrote a message.
    pub(super) fn of(message: &Message) -> Self {
        let is_agent = message.author_type == AuthorType::Agent;
        Self {
            name: message.author_name.clone().unwrap_or_default(),
            agent: message.author_id.filter(|_| is_agent).map(AgentId),
        }
    }
}

/// What is known for the placeholders of one mail.
pub(super) struct Dress {
    outgoing: MailboxOutgoing,
    logo: Option<Logo>,
    author: Author,
    signature: Option<Written>,
    mailbox: (String, String),
    customer: String,
    conversation: (i64, String),
}

impl Dress {
    /// Reads what a mail of this author's needs.
    pub(super) fn of(
        cx: &mut Cx<'_>,
        conversation: &Conversation,
        mailbox: &Mailbox,
        author: Author,
    ) -> Result<Self, Error> {
        let customers = store::customers::find_many(cx.conn, &[conversation.customer_id])?;
        let customer = customers.into_iter().next().and_then(|customer| customer.name);
        let conversation = (conversation.id.0, conversation.subject.clone());
        Self::made(cx, mailbox, author, customer.unwrap_or_default(), conversation)
    }

    /// The same for somebody whom neither the customer's name nor their subject is any business of.
    pub(super) fn for_third_party(mut self) -> Self {
        self.customer.clear();
        self.conversation.1.clear();
        self
    }

    /// What a mail of this author's to somebody made up needs.
    pub(super) fn example(cx: &mut Cx<'_>, mailbox: &Mailbox, author: Author) -> Result<Self, Error> {
        Self::made(cx, mailbox, author, EXAMPLE_CUSTOMER.to_owned(), (1, EXAMPLE_SUBJECT.to_owned()))
    }

    fn made(
        cx: &mut Cx<'_>,
        mailbox: &Mailbox,
        author: Author,
        customer: String,
        conversation: (i64, String),
    ) -> Result<Self, Error> {
        let outgoing = crate::operations::mailbox_outgoing::known(cx, mailbox.id)?;
        let agent = match author.agent {
            Some(id) => store::people::find_agent(cx.conn, id)?,
            None => None,
        };
        Ok(Self {
            outgoing,
            logo: store::mailbox_outgoing::find_logo(cx.conn, mailbox.id)?
                .map(|logo| logo.as_outgoing(&mailbox.name)),
            author,
            signature: agent.and_then(|agent| agent.signature).map(Json::into_inner),
            mailbox: (mailbox.name.clone(), mailbox.address.clone()),
            customer,
            conversation,
        })
    }

    /// Of a mail that the desk itself writes: nothing stands around it, for what can stand there may hold
    /// what the customer wrote.
    pub(super) fn bare(conversation: &Conversation, mailbox: &Mailbox, author: Author) -> Self {
        Self {
            outgoing: MailboxOutgoing::unchanged(mailbox.id),
            logo: None,
            author,
            signature: None,
            mailbox: (mailbox.name.clone(), mailbox.address.clone()),
            customer: String::new(),
            conversation: (conversation.id.0, String::new()),
        }
    }

    /// The name that the mail comes from.
    pub(super) fn sender_name(&self) -> String {
        let filled = template::line(&self.outgoing.from_name, |known| self.value(known));
        crate::text::short_line(&filled, 200)
    }

    /// What a placeholder stands for, but for the agent's signature.
    fn value(&self, placeholder: Placeholder) -> Filling {
        Filling::Text(match placeholder {
            Placeholder::AgentName => self.author.name.clone(),
            // They stand elsewhere.
            Placeholder::AgentSignature | Placeholder::Logo | Placeholder::NextOpening => String::new(),
            Placeholder::MailboxName => self.mailbox.0.clone(),
            Placeholder::MailboxAddress => self.mailbox.1.clone(),
            Placeholder::CustomerName => self.customer.clone(),
            Placeholder::ConversationId => self.conversation.0.to_string(),
            Placeholder::ConversationSubject => self.conversation.1.clone(),
        })
    }

    fn filled(&self, template: &Written, signature: &Filling) -> Written {
        let value = |known| match known {
            Placeholder::AgentSignature => signature.clone(),
            other => self.value(other),
        };
        template::fill(template, value)
    }

    /// Head and foot.
    fn layout(&self) -> Layout {
        let logo = self.logo.as_ref().map(|logo| Rendered { text: String::new(), html: logo.as_html() });
        let value = |known| match known {
            Placeholder::Logo => Filling::Rendered(logo.clone().unwrap_or_default()),
            other => self.value(other),
        };
        let filled = |text: &Option<Json<Written>>| text.as_ref().map(|text| template::fill(text, value));
        Layout {
            head: filled(&self.outgoing.head),
            foot: filled(&self.outgoing.foot),
            logo: self.logo.clone(),
        }
    }

    /// The mailbox's signature, in which the agent's own may stand; the agent's own where the mailbox has
    /// none.
    fn signature(&self, cx: &Cx<'_>) -> Result<Option<Written>, Error> {
        let none = Filling::Text(String::new());
        let own = self.signature.as_ref().map(|own| self.filled(own, &none));
        let Some(template) = &self.outgoing.signature else { return Ok(own) };
        let own = match own {
            Some(own) => as_filling(cx, &own, template.format)?,
            None => none,
        };
        Ok(Some(self.filled(template, &own)))
    }

    /// A mail in its dress: what was written, with all that stands around it.
    pub(super) fn put_on(
        &self,
        cx: &Cx<'_>,
        body: Written,
        is_unsigned: bool,
        mail: Outgoing,
    ) -> Result<Outgoing, Error> {
        let signature = if is_unsigned { None } else { self.signature(cx)? };
        Ok(Outgoing { body, signature, layout: self.layout(), ..mail })
    }

    /// Whether such a mail quotes what it answers.
    pub(super) fn quotes(&self, writing: &Writing) -> bool {
        writing.quote.unwrap_or(self.outgoing.quote_history)
    }
}

/// A text as it stands inside another one of that format.
fn as_filling(cx: &Cx<'_>, text: &Written, inside: TextFormat) -> Result<Filling, Error> {
    if text.format == inside {
        return Ok(Filling::Alike(text.clone()));
    }
    let rendered = cx.ports.composer.render(text).map_err(|fault| {
        Error::invalid("/signature", "invalid_markup", format!("the agent's signature: {fault}"))
    })?;
    Ok(Filling::Rendered(rendered))
}

/// The newest messages that every recipient was party to, the newest first: nobody learns anything from a
/// quote. Notes, drafts, other side conversations, and what the sender's domain disowns or a server took
/// for junk are never among them.
pub(super) fn quoted(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    side: Option<MessageId>,
    own: Option<MessageId>,
    recipients: &Recipients,
) -> Result<Vec<Quoted>, Error> {
    let readers = Readers::of(recipients);
    let recent = store::messages::recent_mails(cx.conn, conversation.id, side, QUOTABLE)?;
    let may = |message: &Message| {
        Some(message.id) != own && !message.class.is_automatic() && readers.know(&message.party())
    };
    let mut quoted = Vec::new();
    for message in recent.into_iter().filter(may).take(QUOTED_MESSAGES) {
        let Some(who) = message.sender.as_deref().cloned() else { continue };
        quoted.push(Quoted {
            who,
            when: message.sent_at.or(message.received_at).unwrap_or(message.created_at),
            html: html_of(cx, &message)?,
            text: message.reply_content.unwrap_or(message.content),
        });
    }
    Ok(quoted)
}

/// A message's HTML as it may be shown, without its pictures; `None`: its text is quoted. That is so for
/// what quotes something itself, which would be told twice; for our own, whose HTML has all that stands
/// around it; and where the raw mail is large or has to be fetched: not inside a transaction.
fn html_of(cx: &mut Cx<'_>, message: &Message) -> Result<Option<String>, Error> {
    let quotes = message.text_parts.quoted.is_some();
    if message.kind != MessageKind::Inbound || !message.has_html || quotes {
        return Ok(None);
    }
    let Some(hash) = &message.raw_hash else { return Ok(None) };
    let Some(blob) = store::blobs::find(cx.conn, hash)? else { return Ok(None) };
    let stored = blob.content.clone().filter(|_| blob.size <= QUOTED_RAW_BYTES);
    let raw = match stored.map(|stored| crate::blobs::unpack(&blob, stored)) {
        Some(Ok(raw)) => raw,
        Some(Err(error)) => {
            tracing::warn!(message = %message.id, error = ?error, "a damaged mail is quoted as text");
            return Ok(None);
        }
        None => return Ok(None),
    };
    let safe = cx.ports.reader.html(&raw, &ShowHtml::default());
    Ok((!safe.is_shortened).then_some(safe.html))
}
