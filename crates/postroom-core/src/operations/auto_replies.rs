//! Automatic answers of mailboxes: which they give and what those say. What becomes of one mail stands in
//! [`answer`].

use super::mailbox_outgoing::check_template;
use super::mailboxes::{find as find_mailbox, manageable};
use super::messages::{SHOWS_NOTHING, shows_nothing};
use super::{overtaken, require_version};
use crate::auto_reply::language::canonical;
use crate::auto_reply::texts::{LANGUAGES, allows, brought};
use crate::auto_reply::{AnswerKind, AnswerText, BODY_CHARS, MailboxAutoReply, TEXTS};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{MailboxId, ScheduleId};
use crate::outgoing::Written;
use crate::store::types::Json;
use crate::template;
use crate::text::SUBJECT_CHARS;
use crate::{Error, store};

pub mod answer;
mod gate;

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoReplyChange {
    /// Whether mail is acknowledged.
    pub acknowledge: Option<bool>,
    /// Whether mail out of hours is told when it opens.
    pub out_of_hours: Option<bool>,
    /// When somebody is there; `Some(None)` takes the schedule away.
    pub schedule_id: Option<Option<ScheduleId>>,
    /// The language where a mail names none.
    pub default_language: Option<String>,
}

/// What an answer is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewText {
    /// Its subject; `None`: the one that the program brings along.
    pub subject: Option<String>,
    /// The text.
    pub body: Written,
}

/// Which answers a mailbox gives.
pub fn find(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxAutoReply, Error> {
    find_mailbox(cx, id)?;
    known(cx, id)
}

/// The same, of a mailbox that was found before.
pub(super) fn known(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxAutoReply, Error> {
    Ok(store::auto_replies::find(cx.conn, id)?.unwrap_or_else(|| MailboxAutoReply::unchanged(id)))
}

/// Changes which answers a mailbox gives. Mail that is here already gets none by it.
pub fn update(
    cx: &mut Cx<'_>,
    id: MailboxId,
    expected: Option<&str>,
    change: &AutoReplyChange,
) -> Result<MailboxAutoReply, Error> {
    let mailbox = manageable(cx, id)?;
    let before = known(cx, id)?;
    require_version("auto-reply", expected, before.etag())?;
    let mut after = MailboxAutoReply {
        acknowledge: change.acknowledge.unwrap_or(before.acknowledge),
        out_of_hours: change.out_of_hours.unwrap_or(before.out_of_hours),
        schedule_id: change.schedule_id.unwrap_or(before.schedule_id),
        ..before.clone()
    };
    let mut faults = Faults::default();
    if let Some(language) = &change.default_language {
        match canonical(language) {
            Some(language) => after.default_language = language,
            None => faults.add("/default_language", "invalid_language", NO_LANGUAGE),
        }
    }
    if let Some(schedule) = after.schedule_id
        && store::schedules::find(cx.conn, schedule)?.is_none()
    {
        faults.add("/schedule_id", "not_found", "there is no such schedule");
    }
    if after.out_of_hours && after.schedule_id.is_none() {
        faults.add("/schedule_id", "required", "out_of_hours goes by a schedule; name one");
    }
    faults.check()?;
    if after == before {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = cx.now;
    if !store::auto_replies::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    let mut changes = Changes::default();
    changes.note("acknowledge", &before.acknowledge, &after.acknowledge);
    changes.note("out_of_hours", &before.out_of_hours, &after.out_of_hours);
    changes.note("schedule_id", &before.schedule_id, &after.schedule_id);
    changes.note("default_language", &before.default_language, &after.default_language);
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    let event = NewEvent::new(EventType::MailboxUpdated, about).with("auto_reply_changed", true);
    cx.tell(event.changing(changes));
    Ok(after)
}

const NO_LANGUAGE: &str = "must be a language tag (BCP 47), such as de or pt-BR";

/// Every text of a mailbox: its own, and those that the program brings along and that none of its own
/// stands for.
pub fn texts(cx: &mut Cx<'_>, id: MailboxId) -> Result<Vec<AnswerText>, Error> {
    find_mailbox(cx, id)?;
    let mut all = store::auto_replies::texts(cx.conn, id)?;
    for kind in AnswerKind::ALL {
        for tag in LANGUAGES {
            if !all.iter().any(|text| text.kind == *kind && text.language == tag) {
                all.extend(brought(id, *kind, tag));
            }
        }
    }
    all.sort_by(|a, b| (a.kind, &a.language).cmp(&(b.kind, &b.language)));
    Ok(all)
}

/// One text: the mailbox's own, or the one that the program brings along.
pub fn text(cx: &mut Cx<'_>, id: MailboxId, kind: AnswerKind, language: &str) -> Result<AnswerText, Error> {
    find_mailbox(cx, id)?;
    known_text(cx, id, kind, language)?.ok_or(Error::NotFound("text"))
}

fn known_text(
    cx: &mut Cx<'_>,
    id: MailboxId,
    kind: AnswerKind,
    language: &str,
) -> Result<Option<AnswerText>, Error> {
    let own = store::auto_replies::text(cx.conn, id, kind, language)?;
    Ok(own.or_else(|| brought(id, kind, language)))
}

/// Writes a text. `language` is as [`canonical`] writes it.
pub fn put_text(
    cx: &mut Cx<'_>,
    id: MailboxId,
    kind: AnswerKind,
    language: &str,
    expected: Option<&str>,
    new: &NewText,
) -> Result<AnswerText, Error> {
    manageable(cx, id)?;
    let there = known_text(cx, id, kind, language)?;
    let own = there.as_ref().filter(|text| text.version > 0);
    match &there {
        Some(text) => require_version("text", expected, text.etag())?,
        // There is none that a version could be of.
        None => require_version("text", expected, String::new())?,
    }
    check(cx, kind, new)?;
    if own.is_some_and(|own| own.subject == new.subject && *own.body == new.body) {
        return there.ok_or(Error::NotFound("text"));
    }
    if own.is_none() && store::auto_replies::texts(cx.conn, id)?.len() >= TEXTS {
        return Err(Error::StateConflict(format!("a mailbox has at most {TEXTS} texts of its own")));
    }
    let after = AnswerText {
        mailbox_id: id,
        kind,
        language: language.to_owned(),
        subject: new.subject.clone(),
        body: Json::new(new.body.clone()),
        version: own.map_or(1, |own| own.version + 1),
        updated_at: cx.now,
    };
    if !store::auto_replies::put_text(cx.conn, own, &after)? {
        return Err(overtaken());
    }
    tell_text(cx, &after);
    Ok(after)
}

/// Takes a text of the mailbox's own away; the one that the program brings along stands for it again.
pub fn delete_text(
    cx: &mut Cx<'_>,
    id: MailboxId,
    kind: AnswerKind,
    language: &str,
    expected: Option<&str>,
) -> Result<(), Error> {
    manageable(cx, id)?;
    let own = store::auto_replies::text(cx.conn, id, kind, language)?.ok_or(Error::NotFound("text"))?;
    require_version("text", expected, own.etag())?;
    if !store::auto_replies::delete_text(cx.conn, &own)? {
        return Err(overtaken());
    }
    tell_text(cx, &own);
    Ok(())
}

fn tell_text(cx: &mut Cx<'_>, text: &AnswerText) {
    let about = About { mailbox_id: Some(text.mailbox_id), ..About::default() };
    let event = NewEvent::new(EventType::MailboxUpdated, about)
        .with("auto_reply_changed", true)
        .with("kind", text.kind.as_str())
        .with("language", text.language.clone());
    cx.tell(event);
}

fn check(cx: &Cx<'_>, kind: AnswerKind, new: &NewText) -> Result<(), Error> {
    let mut faults = Faults::default();
    let allowed = |known| allows(kind, known);
    if let Some(subject) = &new.subject {
        faults.line("/subject", subject, SUBJECT_CHARS);
        if let Some(detail) = template::fault(subject, allowed) {
            faults.add("/subject", "invalid_template", detail);
        }
    }
    faults.lines("/body/text", &new.body.text, BODY_CHARS);
    check_template(cx, "/body", &new.body, allowed, &mut faults);
    if !new.body.text.trim().is_empty() && shows_nothing(cx, &new.body) {
        faults.add("/body/text", "empty", SHOWS_NOTHING);
    }
    faults.check()
}
