//! A message that has not left yet: a draft, one that is held back, or one whose time will come.
//! It has no bytes and no Message-ID before it leaves, so that it can be changed until then.

use crate::id::MessageId;
use crate::mail::Address;
use crate::outgoing::{Filled, TextFormat, Written};
use crate::store::schema::unsent;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

words! {
    /// Why a message has not left.
    pub enum UnsentState {
        /// It is being written: it leaves when somebody sends it.
        Draft = "draft",
        /// It is held back: for a moment, so that it can be taken back, or until somebody lets it go.
        Held = "held",
        /// It leaves at its time.
        Scheduled = "scheduled",
    }
}

/// What was written, as its writer gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Writing {
    /// What it says.
    pub text: String,
    /// What that is written in.
    #[serde(default)]
    pub format: TextFormat,
    /// The same as text, where it was made by filling a Markdown template in.
    #[serde(default)]
    pub plain: Option<String>,
    /// Without a signature below it.
    #[serde(default)]
    pub is_unsigned: bool,
    /// Whether it quotes what its recipients know already; `None`: as the mailbox has it.
    #[serde(default)]
    pub quote: Option<bool>,
    /// The one of the mailbox's addresses that it comes from; `None` is the first.
    #[serde(default)]
    pub from: Option<String>,
    /// Its subject, where it is not that of what it answers.
    #[serde(default)]
    pub subject: Option<String>,
    /// Whom it goes to; empty is the customer.
    #[serde(default)]
    pub to: Vec<Address>,
    /// Who gets a copy.
    #[serde(default)]
    pub cc: Vec<Address>,
    /// Who gets a copy that others don't see.
    #[serde(default)]
    pub bcc: Vec<Address>,
    /// The side conversation that a forward goes on with; `None` begins one.
    #[serde(default)]
    pub side_id: Option<MessageId>,
    /// The messages of its conversation that a forward carries.
    #[serde(default)]
    pub forward_message_ids: Vec<MessageId>,
    /// It carries them without their files.
    #[serde(default)]
    pub without_files: bool,
}

impl Writing {
    /// What it says, as the composer takes it.
    pub fn written(&self) -> Written {
        let filled = self.plain.clone().map(|plain| Box::new(Filled { plain, inside: None }));
        Written { filled, ..Written::new(self.text.clone(), self.format) }
    }
}

/// When a message is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As soon as the mailbox lets it: at once, or when it can't be taken back any more.
    Now,
    /// After so many seconds, in which it can be taken back.
    After(u32),
    /// At this time.
    At(Timestamp),
    /// When somebody sends it.
    Never,
}

/// A message that has not left.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = unsent, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Unsent {
    /// Which.
    pub message_id: MessageId,
    /// Why it has not left.
    pub state: UnsentState,
    /// What was written.
    pub writing: Json<Writing>,
    /// When it leaves by itself; `None`: when somebody lets it.
    pub leaves_at: Option<Timestamp>,
    /// Why the desk does not let it go, in words.
    pub reason: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
