//! How automatic answers look in the API.

use crate::patch::{Patch, given};
use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use postroom_core::auto_reply::{AnswerKind, AnswerText, MailboxAutoReply, language, texts};
use postroom_core::id::{MailboxId, ScheduleId};
use postroom_core::outgoing::Written;
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};
use utoipa::ToSchema;

/// Which automatic answers a mailbox gives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutoReply)]
pub(super) struct AutoReplyView {
    /// Whose.
    mailbox_id: MailboxId,
    /// Counts changes; 0: nobody has changed it yet.
    version: i64,
    /// A mail that begins a conversation is acknowledged.
    acknowledge: bool,
    /// One that comes while the schedule is closed is told when it opens, in place of the acknowledgement.
    out_of_hours: bool,
    /// The schedule that out of hours goes by.
    schedule_id: Option<ScheduleId>,
    /// The language for a mail that names none there is a text in.
    default_language: String,
}

impl From<MailboxAutoReply> for AutoReplyView {
    fn from(settings: MailboxAutoReply) -> Self {
        Self {
            mailbox_id: settings.mailbox_id,
            version: settings.version,
            acknowledge: settings.acknowledge,
            out_of_hours: settings.out_of_hours,
            schedule_id: settings.schedule_id,
            default_language: settings.default_language,
        }
    }
}

/// What is to change of a mailbox's automatic answers; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AutoReplyPatch {
    /// Whether a mail that begins a conversation is acknowledged.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub(super) acknowledge: Option<bool>,
    /// Whether one that comes while the schedule is closed is told when it opens.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub(super) out_of_hours: Option<bool>,
    /// The schedule that out of hours goes by.
    #[serde(default)]
    #[schema(value_type = Option<ScheduleId>)]
    pub(super) schedule_id: Patch<ScheduleId>,
    /// The language for a mail that names none there is a text in: a tag (BCP 47).
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 35)]
    pub(super) default_language: Option<String>,
}

/// What an automatic answer says in one language.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutoReplyText)]
pub(super) struct TextView {
    /// Which answer.
    kind: AnswerKind,
    /// The language.
    language: String,
    /// Its subject.
    subject: String,
    /// What it says.
    body: Written,
    /// The mailbox has none of its own: it is the text that the program brings along.
    is_built_in: bool,
    /// Counts changes; 0 where it is built in.
    version: i64,
}

impl From<AnswerText> for TextView {
    fn from(text: AnswerText) -> Self {
        Self {
            subject: texts::subject(&text).to_owned(),
            kind: text.kind,
            language: text.language,
            body: text.body.into_inner(),
            is_built_in: text.version == 0,
            version: text.version,
        }
    }
}

/// What a mailbox's automatic answers say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutoReplyTexts)]
pub(super) struct TextsView {
    /// The texts, by kind and language.
    pub(super) data: Vec<TextView>,
}

/// What an automatic answer is to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAutoReplyText)]
pub(super) struct NewTextBody {
    /// Its subject; left out: the one that the program brings along.
    #[serde(default)]
    pub(super) subject: Option<String>,
    /// What it says, in at most 10,000 characters.
    pub(super) body: Written,
}

/// The text that a path names. A kind or a language that is none is 404, like a text that is not there.
#[derive(Debug)]
pub(super) struct Which {
    pub(super) kind: AnswerKind,
    pub(super) language: String,
}

impl FromRequest for Which {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let kind = req.match_info().get("kind").and_then(|kind| kind.parse().ok());
        let language = req.match_info().get("language").and_then(language::canonical);
        let which = kind.zip(language).map(|(kind, language)| Self { kind, language });
        ready(which.ok_or_else(|| Problem::not_found("there is no such text".to_owned())))
    }
}
