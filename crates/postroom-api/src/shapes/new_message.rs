//! A message as callers write it.

use crate::problem::Problem;
use crate::shapes::new_author::NewAuthorBody;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::{AgentId, AttachmentId, MessageId};
use postroom_core::mail::Address;
use postroom_core::message::MessageKind;
use postroom_core::operations::messages::{Imported, ImportedAuthor, NewMessage};
use postroom_core::outgoing::TextFormat;
use postroom_core::time::Timestamp;
use postroom_core::unsent::{When, Writing};
use serde::Deserialize;
use utoipa::ToSchema;

/// A message to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessage)]
pub struct NewMessageBody {
    /// `reply` goes to the customer by mail, `forward` to a third party, `note` to nobody; `inbound` files
    /// what the customer said elsewhere.
    pub kind: NewMessageKind,
    /// What it says. May be empty where there are attachments.
    #[serde(default)]
    pub text: String,
    /// What that is written in.
    #[serde(default)]
    pub format: TextFormat,
    /// Whether the signature of mailbox and agent stands below it.
    #[serde(default = "yes")]
    pub signature: bool,
    /// Whether it quotes the newest messages, of those that everybody it goes to was party to; left out, as
    /// the mailbox's `quote_history` has it.
    #[serde(default)]
    pub quote: Option<bool>,
    /// Which of the mailbox's addresses it comes from; left out, its first.
    #[serde(default)]
    pub from: Option<String>,
    /// Its subject; left out, that of what it answers.
    #[serde(default)]
    #[schema(max_length = 512)]
    pub subject: Option<String>,
    /// Whom it goes to; left out, a reply goes to the customer, and a forward to those of its side
    /// conversation.
    #[serde(default)]
    pub to: Vec<Address>,
    /// Who gets a copy.
    #[serde(default)]
    pub cc: Vec<Address>,
    /// Who gets a copy that the others don't see.
    #[serde(default)]
    pub bcc: Vec<Address>,
    /// Of a forward: the side conversation it goes on with, by the forward that began it. Left out, it
    /// begins one.
    #[serde(default)]
    pub side_id: Option<MessageId>,
    /// Of a forward: messages of this conversation that stand below its text, each with From, Date, Subject
    /// and To. No notes, and nothing that has not left.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub forward_message_ids: Vec<MessageId>,
    /// Whether the files of those messages go along, 50 in all with its own.
    #[serde(default = "yes")]
    pub forward_files: bool,
    /// Uploads of the caller's own, as `POST /attachments` answered them.
    #[serde(default)]
    pub attachment_ids: Vec<AttachmentId>,
    /// Of a note: agents who are to look at it. Whom its text names (`@ada`, `@"Ada Lovelace"`: a whole name, the part before
    /// the @ of an address, or a first name) is among them by that, as long as the name is one agent's alone who may see the
    /// conversation; the answer's `mentions` has all. They follow it from then on.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub mentions: Vec<AgentId>,
    /// Keep it as a draft, which does not leave before somebody sends it.
    #[serde(default)]
    pub draft: bool,
    /// When it leaves; left out, at once. Not with `draft`.
    #[serde(default)]
    pub send_at: Option<Timestamp>,
    /// For so many seconds it can be taken back before it leaves; left out, as the mailbox has it. Neither
    /// with `draft` nor with `send_at`.
    #[serde(default)]
    #[schema(maximum = 600)]
    pub undo_seconds: Option<u32>,
    /// The newest message that the caller has seen: where others came since, nothing is written.
    #[serde(default)]
    pub expected_last_message_id: Option<MessageId>,
    /// It was written at another desk, and is kept as it was: it leaves nowhere, opens nothing, and nobody is told.
    /// Needs `conversations:import`. Of a conversation's first message the conversation's own `imported` says so.
    #[serde(default)]
    pub imported: bool,
    /// With `imported`: when it was written, from 1970 to now. Of a conversation's first message left out, when the
    /// conversation began.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// With `imported`: who wrote it; left out, the customer, or, of a reply or a note, the mailbox.
    #[serde(default)]
    pub author: Option<NewAuthorBody>,
    /// With `imported`: the Message-ID of the mail it was, so that answers to that mail find it. One that the
    /// conversation has already is not added again.
    #[serde(default)]
    #[schema(min_length = 3, max_length = 512, example = "<a1@example.org>")]
    pub message_id: Option<String>,
}

/// What somebody may write. The desk alone writes automatic answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewMessageKind {
    /// An answer to the customer.
    Reply,
    /// To a third party.
    Forward,
    /// To nobody outside.
    Note,
    /// What the customer said elsewhere.
    Inbound,
}

impl From<NewMessageKind> for MessageKind {
    fn from(kind: NewMessageKind) -> Self {
        match kind {
            NewMessageKind::Reply => Self::Reply,
            NewMessageKind::Forward => Self::Forward,
            NewMessageKind::Note => Self::Note,
            NewMessageKind::Inbound => Self::Inbound,
        }
    }
}

fn yes() -> bool {
    true
}

impl NewMessageBody {
    /// When it is to leave. `at` is where the message stands in the body.
    pub fn when(&self, at: &str) -> Result<When, Problem> {
        let clash = |member: &str, detail: &str| {
            Err(Problem::invalid_member(format!("{at}/{member}"), "not_allowed", detail))
        };
        match (self.draft, self.send_at, self.undo_seconds) {
            (false, None, None) => Ok(When::Now),
            (false, None, Some(seconds)) => Ok(When::After(seconds)),
            (false, Some(time), None) => Ok(When::At(time)),
            (true, None, None) => Ok(When::Never),
            (true, Some(_), _) => clash("send_at", "a draft has no time to leave at"),
            (_, _, Some(_)) => clash("undo_seconds", "what does not leave at once can be taken back anyhow"),
        }
    }

    /// What it was where it comes from. `at` is where the message stands in the body.
    fn history(&mut self, at: &str) -> Result<Option<Imported>, Problem> {
        let (author, message_id) = (self.author.take(), self.message_id.take());
        if !self.imported {
            let given = [
                ("created_at", self.created_at.is_some()),
                ("author", author.is_some()),
                ("message_id", message_id.is_some()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                Some((member, _)) => {
                    let told = "only what is imported has one of its own";
                    Err(Problem::invalid_member(format!("{at}/{member}"), "not_allowed", told))
                }
                None => Ok(None),
            };
        }
        let Some(written) = self.created_at else {
            let told = "say when it was written";
            return Err(Problem::invalid_member(format!("{at}/created_at"), "required", told));
        };
        let author = author.map_or(Ok(ImportedAuthor::Unnamed), |one| one.read(&format!("{at}/author")))?;
        Ok(Some(Imported { at: written, author, message_id }))
    }

    /// As the core takes it: the uploads are read now, outside of any transaction. `at` is where
    /// the message stands in the body.
    pub async fn read(mut self, desk: &Desk, caller: &Actor, at: &str) -> Result<NewMessage, Problem> {
        let when = self.when(at)?;
        let imported = self.history(at)?;
        let files = desk.files(caller, &self.attachment_ids).await.map_err(|error| match error {
            Error::Invalid(mut faults) => {
                for fault in &mut faults {
                    fault.pointer.insert_str(0, at);
                }
                Error::Invalid(faults)
            }
            other => other,
        })?;
        let writing = Writing {
            plain: None,
            text: self.text,
            format: self.format,
            is_unsigned: !self.signature,
            quote: self.quote,
            from: self.from,
            subject: self.subject,
            to: self.to,
            cc: self.cc,
            bcc: self.bcc,
            side_id: self.side_id,
            forward_message_ids: self.forward_message_ids,
            without_files: !self.forward_files,
        };
        Ok(NewMessage {
            kind: self.kind.into(),
            writing,
            files,
            carried: Vec::new(),
            mentions: self.mentions,
            when,
            expected_last: self.expected_last_message_id,
            imported,
        })
    }
}
