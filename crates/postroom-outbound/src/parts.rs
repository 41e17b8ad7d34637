//! The MIME parts of a mail: `mixed(alternative(text, related(html, pictures…)), files…)`, each container only
//! where there is something for it.
//!
//! Pictures are related to the HTML, not to the alternative: it is what RFC 2046 section 5.1.4 and RFC 2387
//! mean (a picture is part of the one form that shows it), and what Apple Mail and Thunderbird write
//! themselves. Outlook and Gmail, which write it the other way round, show both alike; who reads the text
//! alone is not shown the pictures as files.

use crate::disposition::Disposition;
use crate::layout::{self, Texts};
use crate::policy::Pictures;
use lettre::message::header::{ContentId, ContentTransferEncoding, ContentType};
use lettre::message::{Body, MultiPart, SinglePart};
use postroom_core::outgoing::{Outgoing, OutgoingFile, is_content_id};
use postroom_core::ports::{ComposeError, PortError};
use postroom_core::text::file_name;
use std::collections::HashSet;

/// The parts of a mail.
pub(crate) struct Made {
    /// The outermost.
    pub(crate) root: MultiPart,
    /// Which file each file part is, in order; `None` is the logo.
    pub(crate) files: Vec<Option<usize>>,
    /// What the texts say.
    pub(crate) texts: Texts,
}

/// Text and HTML, its pictures beside it, and around them the files where there are any.
pub(crate) fn parts(mail: &Outgoing) -> Result<Made, ComposeError> {
    let logo = mail.layout.logo.as_ref().and_then(|logo| Some((picture_id(&logo.file)?, logo)));
    let mut ids = HashSet::new();
    ids.extend(logo.map(|(id, _)| id));
    // of two with one id the first is meant
    let offered: Vec<Option<&str>> =
        mail.files.iter().map(|file| picture_id(file).filter(|id| ids.insert(id))).collect();
    let pictures = Pictures::of(ids.iter().map(|id| (*id).to_owned()));
    let texts = layout::texts(mail, &pictures, logo.map(|(_, logo)| logo))?;

    let mut inline = Vec::new();
    let mut beside = Vec::new();
    for (index, (file, id)) in mail.files.iter().zip(offered).enumerate() {
        match id.filter(|id| pictures.is_named(id)) {
            Some(id) => inline.push((Some(index), picture_part(id, file)?)),
            None => beside.push((Some(index), file_part(file)?)),
        }
    }
    if let Some((id, logo)) = logo {
        inline.push((None, picture_part(id, &logo.file)?));
    }
    let files = inline.iter().chain(&beside).map(|(index, _)| *index).collect();

    let text = text_part(ContentType::TEXT_PLAIN, &texts.text)?;
    let html = text_part(ContentType::TEXT_HTML, &texts.html)?;
    let alternative = MultiPart::alternative().singlepart(text);
    let alternative = if inline.is_empty() {
        alternative.singlepart(html)
    } else {
        let mut related = MultiPart::related().singlepart(html);
        for (_, part) in inline {
            related = related.singlepart(part);
        }
        alternative.multipart(named_related(related)?)
    };
    let root = beside.into_iter().fold(None, |mixed: Option<MultiPart>, (_, part)| {
        let mixed = mixed.unwrap_or_else(|| MultiPart::mixed().multipart(alternative.clone()));
        Some(mixed.singlepart(part))
    });
    Ok(Made { root: root.unwrap_or(alternative), files, texts })
}

/// The Content-ID by which the text may name a file as a picture.
fn picture_id(file: &OutgoingFile) -> Option<&str> {
    let id = file.content_id.as_deref().filter(|id| is_content_id(id))?;
    let kind = content_type(&file.content_type, &file.content)?;
    kind.starts_with("image/").then_some(id)
}

/// RFC 2387 section 3.1 wants the type of what is shown first.
fn named_related(mut related: MultiPart) -> Result<MultiPart, PortError> {
    let boundary = related.boundary();
    let named = format!("multipart/related; type=\"text/html\"; boundary=\"{boundary}\"");
    let named = ContentType::parse(&named)
        .map_err(|error| PortError::because("compose a mail: name what is shown", error))?;
    related.headers_mut().set(named);
    Ok(related)
}

/// Always quoted-printable: servers may change the ends of lines that go out as they are, or
/// a `From ` at their start.
fn text_part(content_type: ContentType, text: &str) -> Result<SinglePart, PortError> {
    let text = text.replace('\n', "\r\n");
    let body = encoded(text.into_bytes(), ContentTransferEncoding::QuotedPrintable)?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

/// Bytes rather than a string: lettre would turn line ends of a string one by one, moving the
/// rest of it each time.
fn encoded(content: Vec<u8>, encoding: ContentTransferEncoding) -> Result<Body, PortError> {
    Body::new_with_encoding(content, encoding)
        .map_err(|_| PortError::new(format!("compose a mail: a part can't be encoded as {encoding}")))
}

/// A picture that stands in the text.
fn picture_part(id: &str, file: &OutgoingFile) -> Result<SinglePart, PortError> {
    let kind = content_type(&file.content_type, &file.content).unwrap_or_default();
    let kind = ContentType::parse(&kind)
        .map_err(|error| PortError::because("compose a mail: name a picture's type", error))?;
    let builder = SinglePart::builder()
        .header(kind)
        .header(Disposition::inline(&file_name(&file.filename)))
        .header(ContentId::from(format!("<{id}>")));
    Ok(builder.body(encoded(file.content.clone(), ContentTransferEncoding::Base64)?))
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
    let builder = SinglePart::builder().header(Disposition::attachment(&file_name(&file.filename)));
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
pub(crate) fn content_type(named: &str, content: &[u8]) -> Option<String> {
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
pub(crate) fn is_seven_bit(content: &[u8]) -> bool {
    let text = std::str::from_utf8(content).unwrap_or_default();
    !text.is_empty()
        && text.is_ascii()
        && !text.contains('\0')
        && text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
}
