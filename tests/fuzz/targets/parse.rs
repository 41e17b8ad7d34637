//! A whole mail: it is read within the limits, its files are found again, and what the parts of its text
//! are is part of it.

use postroom_core::mail::Mail;
use postroom_core::ports::{ReadContext, ReadMail};
use postroom_core::text::{SUBJECT_CHARS, TEXT_BYTES, file_name};
use postroom_ingest::limits::Limits;
use postroom_ingest::reader::Reader;

/// Fails where something does not hold of these bytes.
pub fn check(raw: &[u8]) {
    let reader = Reader::default();
    let context = ReadContext { trusted_authserv_ids: vec!["mx.shop.example".into()] };
    let mail = reader.read(raw, &context);
    assert!(!mail.problem.as_deref().is_some_and(|problem| problem.contains("stumbled")));
    is_bounded(&mail);
    for part in &mail.parts {
        assert_eq!(reader.part(raw, part.part).map(|bytes| bytes.len() as i64), Some(part.size));
        assert_eq!(file_name(&part.filename), part.filename, "a name that can harm nobody");
    }
    let parts = &mail.parts_of_text;
    assert_eq!(parts.signature.is_some(), parts.signature_in(&mail.text).is_some());
    assert_eq!(parts.quoted.is_some(), parts.quoted_in(&mail.text).is_some());
    if let Some(reply) = &mail.reply_text {
        assert!(mail.text.contains(reply.as_str()) && !reply.trim().is_empty());
    }
    assert_eq!(reader.read(raw, &context), mail, "the same bytes are read the same");
}

fn is_bounded(mail: &Mail) {
    let limits = Limits::default();
    assert!(mail.text.len() <= TEXT_BYTES && mail.subject.chars().count() <= SUBJECT_CHARS);
    let addresses = [&mail.from, &mail.reply_to, &mail.to, &mail.cc].map(Vec::len).iter().sum::<usize>();
    assert!(addresses <= limits.addresses && mail.parts.len() <= limits.files);
    assert!(mail.failed_recipients.len() <= 100 && mail.about_ids.len() <= 20 && mail.signals.len() <= 40);
    // PostgreSQL takes no NUL.
    let shown = [Some(&mail.text), mail.reply_text.as_ref(), Some(&mail.subject)];
    assert!(!shown.into_iter().flatten().any(|text| text.contains('\0')));
}
