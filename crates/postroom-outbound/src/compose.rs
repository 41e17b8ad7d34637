//! An [`Outgoing`] becomes RFC 5322 bytes and an envelope: the one place where mail is written.
//!
//! The header block is made here field by field and holds nothing that is not listed in
//! [`Composer::compose`]; lettre builds the MIME parts. Text goes as quoted-printable and files
//! as base64, so no line is longer than 998 octets and no CR or LF stands alone.

use crate::address::on_the_wire;
use crate::header::{addresses, fold, is_quotable_id, subject};
use crate::html;
use lettre::message::header::{ContentDisposition, ContentTransferEncoding, ContentType, Date, Headers};
use lettre::message::{Body, MultiPart, SinglePart};
use postroom_core::mail::{Address, Composed, Outgoing, OutgoingFile};
use postroom_core::ports::{ComposeMail, PortError};
use postroom_core::text::{file_name, fold_address, many_lines, one_line};
use postroom_core::time::Timestamp;
use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

/// The most recipients one mail may have: To, Cc and Bcc together, each counted once.
pub const MAX_RECIPIENTS: usize = 50;

/// The end of the year 9999: the last second that RFC 5322 can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// What mail says that no person wrote (RFC 3834 section 5, and what Exchange and others go by), so
/// that no machine answers it.
const AUTOMATIC: &str =
    "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nPrecedence: auto_reply\r\n";

/// Writes mail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Composer;

impl ComposeMail for Composer {
    /// Date, From, To, Cc, Subject, Message-ID, In-Reply-To, References, X-Postroom-Instance,
    /// for automatic mail Auto-Submitted, X-Auto-Response-Suppress and Precedence, MIME-Version and
    /// Content-Type, in this order; empty ones are left out but for Subject.
    ///
    /// Fails where an address can't be written to, where there is no recipient or more than
    /// [`MAX_RECIPIENTS`], and where Message-ID, instance mark or date can't stand in a header.
    fn compose(&self, mail: &Outgoing) -> Result<Composed, PortError> {
        let from = checked(&mail.from)?;
        let to = all_checked(&mail.to)?;
        let cc = all_checked(&mail.cc)?;
        let bcc = all_checked(&mail.bcc)?;
        let envelope_to = each_once(to.iter().chain(&cc).chain(&bcc).map(|(_, email)| email));
        if envelope_to.is_empty() {
            return Err(PortError::new("compose a mail: it has no recipient"));
        }
        if envelope_to.len() > MAX_RECIPIENTS {
            let count = envelope_to.len();
            return Err(PortError::new(format!(
                "compose a mail: it has {count} recipients, more than {MAX_RECIPIENTS}"
            )));
        }

        let mut raw = date(mail.date)?;
        raw.push_str(&addresses("From", std::slice::from_ref(&from)));
        for (name, entries) in [("To", &to), ("Cc", &cc)] {
            if !entries.is_empty() {
                raw.push_str(&addresses(name, entries));
            }
        }
        raw.push_str(&subject(&mail.subject));
        raw.push_str(&own_ids(mail)?);
        if mail.is_automatic {
            raw.push_str(AUTOMATIC);
        }
        raw.push_str("MIME-Version: 1.0\r\n");

        let mut raw = raw.into_bytes();
        raw.append(&mut parts(mail)?.formatted());
        Ok(Composed { raw, envelope_from: from.1, envelope_to })
    }
}

/// A display name and an address that has been checked.
type Entry<'a> = (Option<&'a str>, String);

fn checked(address: &Address) -> Result<Entry<'_>, PortError> {
    let email = on_the_wire(&address.email).map_err(|fault| {
        PortError::new(format!("compose a mail to or from {:?}: {fault}", one_line(&address.email, 254)))
    })?;
    Ok((address.name.as_deref(), email))
}

fn all_checked(addresses: &[Address]) -> Result<Vec<Entry<'_>>, PortError> {
    addresses.iter().map(checked).collect()
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

/// Message-ID, In-Reply-To, References and X-Postroom-Instance.
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
    fields.push_str(&fold("X-Postroom-Instance", std::slice::from_ref(mark)));
    Ok(fields)
}

/// Text and HTML, and around them the files where there are any.
fn parts(mail: &Outgoing) -> Result<MultiPart, PortError> {
    let (text, _) = many_lines(&mail.text, usize::MAX);
    let alternative = MultiPart::alternative()
        .singlepart(text_part(ContentType::TEXT_PLAIN, text.replace('\n', "\r\n"))?)
        .singlepart(text_part(ContentType::TEXT_HTML, html::document(&text))?);
    if mail.files.is_empty() {
        return Ok(alternative);
    }
    let mut mixed = MultiPart::mixed().multipart(alternative);
    for file in &mail.files {
        mixed = mixed.singlepart(file_part(file)?);
    }
    Ok(mixed)
}

/// Always quoted-printable: servers may change the ends of lines that go out as they are, or
/// a `From ` at their start.
fn text_part(content_type: ContentType, text: String) -> Result<SinglePart, PortError> {
    let body = encoded(text.into_bytes(), ContentTransferEncoding::QuotedPrintable)?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

/// Bytes rather than a string: lettre would turn line ends of a string one by one, moving the
/// rest of it each time.
fn encoded(content: Vec<u8>, encoding: ContentTransferEncoding) -> Result<Body, PortError> {
    Body::new_with_encoding(content, encoding)
        .map_err(|_| PortError::new(format!("compose a mail: a part can't be encoded as {encoding}")))
}

fn file_part(file: &OutgoingFile) -> Result<SinglePart, PortError> {
    let content_type = content_type(&file.content_type, &file.content);
    let is_mail = content_type.as_deref() == Some("message/rfc822");
    let parsed = content_type.and_then(|text| ContentType::parse(&text).ok());
    let body = if is_mail {
        // RFC 2046 section 5.2.1 forbids to encode it
        Body::dangerous_pre_encoded(file.content.clone(), ContentTransferEncoding::SevenBit)
    } else {
        encoded(file.content.clone(), ContentTransferEncoding::Base64)?
    };
    let builder = SinglePart::builder().header(ContentDisposition::attachment(&file_name(&file.filename)));
    let builder = match parsed {
        Some(parsed) => builder.header(parsed),
        None => builder.header(
            ContentType::parse("application/octet-stream")
                .map_err(|error| PortError::because("compose a mail: name a file's type", error))?,
        ),
    };
    Ok(builder.body(body))
}

/// `type/subtype` if it may be named: registered names (RFC 6838 section 4.2) that can be sent
/// encoded. Others go as plain bytes, which loses nothing.
fn content_type(named: &str, content: &[u8]) -> Option<String> {
    let named = named.trim().to_ascii_lowercase();
    let (kind, subtype) = named.split_once('/')?;
    let is_name = |part: &str| {
        part.len() <= 127
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    if !is_name(kind) || !is_name(subtype) {
        return None;
    }
    // multipart can't be base64, and these bytes have no boundary to name; other message types
    // are fragments and pointers to elsewhere (RFC 2046 section 5.2)
    let can_travel = match (kind, subtype) {
        ("message", "rfc822") => is_seven_bit(content),
        ("message" | "multipart", _) => false,
        _ => true,
    };
    can_travel.then_some(named)
}

/// Fit to travel unencoded through any server (RFC 2045 section 2.7).
///
/// Eight-bit mail is not: whether a server takes it is known only when it is sent.
fn is_seven_bit(content: &[u8]) -> bool {
    let text = std::str::from_utf8(content).unwrap_or_default();
    !text.is_empty()
        && text.is_ascii()
        && !text.contains('\0')
        && text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
}

#[cfg(test)]
mod tests;
