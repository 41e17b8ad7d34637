//! An [`Outgoing`] becomes RFC 5322 bytes and an envelope: the one place where mail is written.
//!
//! The header block is made here field by field and holds nothing that is not listed in
//! [`Composer::compose`]; lettre builds the MIME parts. Text goes as quoted-printable and files
//! as base64, so no line is longer than 998 octets and no CR or LF stands alone.

use crate::address::on_the_wire;
use crate::header::{addresses, fold, is_quotable_id, unstructured};
use crate::markup::Markup;
use crate::parts::parts;
use crate::policy::Pictures;
use crate::thread_index;
use lettre::message::header::{Date, Headers};
use postroom_core::mail::Address;
use postroom_core::outgoing::{Automatic, Composed, Outgoing, Rendered, Written};
use postroom_core::ports::{ComposeError, ComposeMail, MailPart, PortError};
use postroom_core::text::{fold_address, one_line};
use postroom_core::threading::subject::stem;
use postroom_core::time::Timestamp;
use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

/// The most recipients one mail may have: To, Cc and Bcc together, each counted once.
pub const MAX_RECIPIENTS: usize = 50;

/// The end of the year 9999: the last second that RFC 5322 can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// What mail says that no person wrote, besides which kind it is: what Exchange and others go by, so
/// that no machine answers it.
const AUTOMATIC: &str = "X-Auto-Response-Suppress: All\r\nPrecedence: auto_reply\r\n";

/// Writes mail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Composer;

impl ComposeMail for Composer {
    /// Date, From, Reply-To, To, Cc, Subject, Message-ID, In-Reply-To, References, Thread-Topic and
    /// Thread-Index where what is answered has the latter, X-Postroom-Instance, for automatic mail
    /// Auto-Submitted, X-Auto-Response-Suppress and Precedence, MIME-Version and Content-Type, in this
    /// order; empty ones are left out but for Subject.
    ///
    /// Fails where an address can't be written to, where there is no recipient or more than
    /// [`MAX_RECIPIENTS`], where Message-ID, instance mark or date can't stand in a header, and where a
    /// text can't be [rendered](ComposeMail::render).
    fn compose(&self, mail: &Outgoing) -> Result<Composed, ComposeError> {
        let from = checked(&mail.from, MailPart::From)?;
        let to = all_checked(&mail.to)?;
        let cc = all_checked(&mail.cc)?;
        let bcc = all_checked(&mail.bcc)?;
        let envelope_to = each_once(to.iter().chain(&cc).chain(&bcc).map(|(_, email)| email));
        if envelope_to.is_empty() {
            return Err(unfit(MailPart::Recipients, "required", "it goes to nobody"));
        }
        if envelope_to.len() > MAX_RECIPIENTS {
            let detail = format!("it has {} recipients, more than {MAX_RECIPIENTS}", envelope_to.len());
            return Err(unfit(MailPart::Recipients, "too_many", detail));
        }

        let mut raw = date(mail.date)?;
        raw.push_str(&addresses("From", std::slice::from_ref(&from)));
        let reply_to = mail.reply_to.as_ref().map(|address| checked(address, MailPart::From)).transpose()?;
        let reply_to: Vec<Entry<'_>> = reply_to.into_iter().collect();
        for (name, entries) in [("Reply-To", &reply_to), ("To", &to), ("Cc", &cc)] {
            if !entries.is_empty() {
                raw.push_str(&addresses(name, entries));
            }
        }
        raw.push_str(&unstructured("Subject", &mail.subject));
        raw.push_str(&own_ids(mail)?);
        if let Some(kind) = mail.automatic {
            raw.push_str(&fold("Auto-Submitted", &[kind.to_string()]));
            raw.push_str(AUTOMATIC);
        }
        raw.push_str("MIME-Version: 1.0\r\n");

        let made = parts(mail)?;
        let mut raw = raw.into_bytes();
        raw.append(&mut made.root.formatted());
        let is_answer = mail.automatic == Some(Automatic::Replied);
        Ok(Composed {
            raw,
            envelope_from: if is_answer { String::new() } else { from.1 },
            envelope_to,
            files: made.files,
            written: made.texts.written,
            text: made.texts.text,
            html: made.texts.html,
        })
    }

    fn render(&self, text: &Written) -> Result<Rendered, &'static str> {
        Markup::new(&Pictures::default()).render(text)
    }
}

/// A display name and an address that has been checked.
type Entry<'a> = (Option<&'a str>, String);

fn checked(address: &Address, part: MailPart) -> Result<Entry<'_>, ComposeError> {
    let email = on_the_wire(&address.email).map_err(|fault| {
        unfit(part, "invalid_email", format!("{:?}: {fault}", one_line(&address.email, 254)))
    })?;
    Ok((address.name.as_deref(), email))
}

fn all_checked(addresses: &[Address]) -> Result<Vec<Entry<'_>>, ComposeError> {
    addresses.iter().map(|address| checked(address, MailPart::Recipients)).collect()
}

/// What a mail's writer can mend.
pub(crate) fn unfit(part: MailPart, code: &'static str, detail: impl Into<String>) -> ComposeError {
    ComposeError::Unfit { part, code, detail: detail.into() }
}

fn each_once<'a>(emails: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    emails.filter(|email| seen.insert(fold_address(email))).cloned().collect()
}

/// The Date field, in UTC and to the second.
fn date(at: Timestamp) -> Result<String, PortError> {
    let seconds = u64::try_from(at.as_seconds()).ok().filter(|seconds| *seconds <= LAST_SECOND);
    let Some(seconds) = seconds else {
        // lettre would panic
        return Err(PortError::new(format!("compose a mail: no mail is dated {at}")));
    };
    let mut headers = Headers::new();
    headers.set(Date::new(UNIX_EPOCH + Duration::from_secs(seconds)));
    Ok(headers.to_string())
}

/// Message-ID, In-Reply-To, References, Outlook's thread and X-Postroom-Instance.
fn own_ids(mail: &Outgoing) -> Result<String, PortError> {
    if !is_quotable_id(&mail.message_id) {
        return Err(PortError::new("compose a mail: its Message-ID can't stand in a header"));
    }
    let mark = &mail.instance_mark;
    if mark.is_empty() || mark.len() > 200 || !mark.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(PortError::new("compose a mail: its instance mark can't stand in a header"));
    }
    let mut fields = fold("Message-ID", std::slice::from_ref(&mail.message_id));
    // ids of other people's mail can hold anything; one that can't be quoted is left out, and
    // the rest still find the conversation
    if let Some(id) = mail.in_reply_to.as_ref().filter(|id| is_quotable_id(id)) {
        fields.push_str(&fold("In-Reply-To", std::slice::from_ref(id)));
    }
    let references: Vec<String> = mail.references.iter().filter(|id| is_quotable_id(id)).cloned().collect();
    if !references.is_empty() {
        fields.push_str(&fold("References", &references));
    }
    let index = mail.thread_index.as_deref();
    if let Some(index) = index.and_then(|parent| thread_index::child(parent, mail.date, &mail.message_id)) {
        fields.push_str(&unstructured("Thread-Topic", stem(&mail.subject)));
        // Outlook writes it as one word, too; white space inside is no part of it
        fields.push_str(&fold("Thread-Index", &pieces(&index)));
    }
    fields.push_str(&fold("X-Postroom-Instance", std::slice::from_ref(mark)));
    Ok(fields)
}

/// A long word in pieces that can be folded.
fn pieces(word: &str) -> Vec<String> {
    // base64: every character is one byte
    word.as_bytes().chunks(60).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
}

#[cfg(test)]
mod tests;
