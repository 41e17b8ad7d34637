//! A whole mail from its bytes. Every part is decoded once; what can't be read is left out and
//! said.

use crate::automatic::{self, Facts};
use crate::body::{self, Roles};
use crate::cut::Cut;
use crate::fingerprint::Fingerprint;
use crate::headers::{Headers, line_at, unfolded};
use crate::limits::Limits;
use crate::mime::{self, Tree};
use crate::{bounce, dkim, fields, files, quote, quote_html, sender_auth};
use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use postroom_core::mail::{Address, AnswerHints, Class, Mail, THREAD_INDEX_BYTES, TextParts};
use postroom_core::ports::ReadContext;
use postroom_core::text::{self, SUBJECT_CHARS, TEXT_BYTES};
use std::borrow::Cow;
use std::collections::HashSet;

/// Ids and marks kept of one header that may stand several times.
const REPEATS: usize = 50;
/// Characters of a List-Id or an instance mark.
const WORD_CHARS: usize = 255;
/// Bytes of References kept from the start: the first id is the root of the conversation.
const ROOT_BYTES: usize = 2048;
/// The part of Thread-Index that all mails of a conversation share (MS-OXOMSG 2.2.1.3).
const SHARED_BYTES: usize = 22;

/// The bytes as a mail begins: without marks that mail stores put before it, with line ends.
pub(crate) fn normalised(raw: &[u8]) -> Cow<'_, [u8]> {
    let mut bytes = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    // The line that an mbox puts before each mail.
    let is_envelope = |b: &[u8]| b.starts_with(b"From ") || b.starts_with(b">From ");
    if bytes.contains(&b'\n') {
        while is_envelope(bytes) {
            bytes = bytes.tail(line_at(bytes, 0).1);
        }
        return Cow::Borrowed(bytes);
    }
    // Old Macintosh line ends, throughout.
    let levelled: Vec<u8> = bytes.iter().map(|b| if *b == b'\r' { b'\n' } else { *b }).collect();
    let start = if is_envelope(&levelled) { line_at(&levelled, 0).1 } else { 0 };
    if bytes.contains(&b'\r') { Cow::Owned(levelled.tail(start).to_vec()) } else { Cow::Borrowed(bytes) }
}

/// Reads a mail whose bytes are [`normalised`].
pub(crate) fn mail(raw: &[u8], context: &ReadContext, limits: &Limits) -> Mail {
    let tree = mime::read(raw, limits);
    let mut problems: Vec<String> = tree.cuts.iter().map(|cut| format!("it has {cut}")).collect();
    let mut mail = envelope(&tree.top().headers, limits, &mut problems);
    let headers = &tree.top().headers;

    let sender = mail.sender().map(|a| text::fold_address(&a.email)).unwrap_or_default();
    let date = headers.text("Date").unwrap_or_default();
    let mut print = Fingerprint::new(&sender, &date, &mail.subject);
    let roles = body::roles(&tree, limits);
    let shown = read_texts(&tree, &roles, limits, &mut mail, &mut print);
    read_files(&tree, &roles, limits, &shown.pictures, &mut mail, &mut print, &mut problems);
    mail.fingerprint = print.finish();

    let recipients: Vec<Address> = mail.to.iter().chain(&mail.cc).cloned().collect();
    mail.calendar_method = automatic::calendar_method(&tree, limits);
    let (class, signals) = automatic::classify(&Facts {
        tree: &tree,
        from: &mail.from,
        recipients: &recipients,
        delivered_to: &mail.delivered_to,
        subject: &mail.subject,
        text: &mail.text,
        calendar: mail.calendar_method,
        received: limits.received,
    });
    mail.class = class;
    mail.signals = signals;
    if matches!(class, Class::Bounce | Class::Complaint | Class::Receipt) {
        let report = bounce::read(class, &tree, &mail.text, limits);
        mail.about_ids = report.about_ids;
        mail.failed_recipients = report.failed_recipients;
    } else {
        let parts = quote::parts(&mail.text, &mail.subject, shown.fresh.as_deref(), limits.quote_bytes);
        if let Some(parts) = parts {
            mail.reply_text = mail.text.get(parts.reply).map(str::to_owned);
            mail.parts_of_text = TextParts { signature: parts.signature, quoted: parts.quoted };
        }
    }
    // Only what came from here is shown with what servers said of it (round trips).
    if !mail.instance_marks.is_empty() {
        mail.authentication = sender_auth::stated(headers, context);
    }
    let author = sender_auth::author_domain(headers, &mail.from);
    match (sender_auth::judge(headers, author.as_deref(), context), author) {
        (Some(word), _) => mail.sender_auth = word,
        (None, Some(author)) => mail.claims = dkim::claims(raw, headers, &author, limits),
        (None, None) => {}
    }
    if raw.trim_ascii().is_empty() {
        problems.push("it is empty".to_owned());
    } else if headers.is_empty() {
        problems.push("it has no header".to_owned());
    }
    mail.problem = (!problems.is_empty()).then(|| problems.join("; "));
    mail
}

/// What the headers say, and nothing of the content.
pub(crate) fn envelope(headers: &Headers<'_>, limits: &Limits, problems: &mut Vec<String>) -> Mail {
    let mut mail = Mail::unreadable("");
    mail.problem = None;
    let texts = |name: &str| -> Vec<String> {
        headers.all(name).take(REPEATS).map(unfolded).filter(|id| !id.is_empty()).collect()
    };
    mail.message_id = texts("Message-ID");
    mail.in_reply_to = clipped(texts("In-Reply-To").join(" "), limits.field_bytes);
    mail.references = clipped(texts("References").join(" "), limits.field_bytes);
    mail.other_ids = [texts("Resent-Message-ID"), texts("X-Microsoft-Original-Message-ID")].concat();

    let mut left = limits.addresses;
    let mut is_cut = false;
    let mut addresses = |name: &str| {
        let mut all = Vec::new();
        for value in headers.all(name).take(REPEATS) {
            let (found, cut) = fields::addresses(value, limits.field_bytes, &mut left);
            is_cut |= cut;
            all.extend(found);
        }
        all
    };
    mail.from = addresses("From");
    mail.reply_to = addresses("Reply-To");
    mail.original_from = addresses("X-Original-From").into_iter().next();
    let delivered = ["Delivered-To", "X-Original-To", "Envelope-To"].map(&mut addresses);
    mail.to = addresses("To");
    mail.cc = addresses("Cc");
    if is_cut {
        problems.push(format!("it has more than {} addresses", limits.addresses));
    }
    for address in delivered.into_iter().flatten() {
        if !mail.delivered_to.contains(&address.email) {
            mail.delivered_to.push(address.email);
        }
    }
    let list_id = headers.first("List-Id").map(|value| text::one_line(&fields::bracketed(value), WORD_CHARS));
    mail.list_id = list_id.filter(|id| !id.is_empty());
    mail.return_path = fields::return_path(headers).map(|path| text::one_line(&path, WORD_CHARS));
    mail.answer_hints = answer_hints(headers);
    let subject = headers.first("Subject").map(fields::unstructured).unwrap_or_default();
    mail.subject = text::one_line(&subject, SUBJECT_CHARS);
    mail.date = headers.first("Date").and_then(fields::date);
    mail.instance_marks =
        texts("X-Postroom-Instance").iter().map(|mark| text::one_line(mark, WORD_CHARS)).collect();
    if let Some((shared, whole)) = headers.text("Thread-Index").and_then(|value| thread_index(&value)) {
        (mail.thread_index, mail.whole_thread_index) = (Some(shared), Some(whole));
    }
    mail
}

/// Languages of a mail that are kept, and the longest that is one (RFC 5646 section 4.4.1).
const LANGUAGES: usize = 10;
const LANGUAGE_BYTES: usize = 35;

/// What the headers say about automatic answers.
fn answer_hints(headers: &Headers<'_>) -> AnswerHints {
    let word = |name: &str| headers.text(name).unwrap_or_default().trim().to_ascii_lowercase();
    let suppressed = word("X-Auto-Response-Suppress");
    let declines = |word: &str| matches!(word.trim(), "all" | "autoreply" | "oof");
    let languages = word("Content-Language");
    let languages = languages.split(',').map(str::trim);
    AnswerHints {
        has_null_path: fields::return_path(headers).as_deref() == Some(""),
        is_declined: suppressed.split([',', ';']).any(declines),
        is_marked_spam: ["X-Spam-Flag", "X-Spam-Status", "X-Spam"].iter().any(|n| word(n).starts_with("yes")),
        languages: languages
            .filter(|tag| !tag.is_empty() && tag.len() <= LANGUAGE_BYTES && tag.is_ascii())
            .take(LANGUAGES)
            .map(str::to_owned)
            .collect(),
    }
}

/// A list of ids that is too long keeps its first and its last: the root and the nearest.
fn clipped(value: String, max: usize) -> String {
    if value.len() <= max {
        return value;
    }
    let root = value
        .find('>')
        .map(|at| value.head(at + 1))
        .filter(|root| root.len() <= ROOT_BYTES)
        .unwrap_or_default();
    let mut from = value.len() - max;
    while !value.is_char_boundary(from) {
        from += 1;
    }
    let tail = value.tail(from);
    let tail = tail.find('<').map(|at| tail.tail(at)).unwrap_or_default();
    format!("{root} {tail}")
}

/// The part of Thread-Index that a whole conversation shares, and as much of it as is kept: as base64.
fn thread_index(value: &str) -> Option<(String, String)> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bare: String = value.split_whitespace().collect();
    let bytes = GeneralPurpose::new(&ALPHABET, lenient).decode(bare).ok()?;
    let shared = bytes.get(..SHARED_BYTES)?;
    let written = |bytes: &[u8]| general_purpose::STANDARD.encode(bytes);
    Some((written(shared), written(bytes.head(THREAD_INDEX_BYTES))))
}

/// Pictures that the HTML of a mail is known to show, all its parts together.
const PICTURES: usize = 1000;

/// What only the HTML of a mail tells.
#[derive(Default)]
struct Shown {
    /// The Content-IDs of the pictures it shows.
    pictures: HashSet<String>,
    /// The new text, where it marks the quote.
    fresh: Option<String>,
}

/// Reads the texts into the mail and the fingerprint; gives back what the HTML tells.
fn read_texts(
    tree: &Tree<'_>,
    roles: &Roles,
    limits: &Limits,
    mail: &mut Mail,
    print: &mut Fingerprint,
) -> Shown {
    let mut shown = Shown::default();
    let mut whole = String::new();
    let (mut looked, mut is_left_out) = (0, false);
    let mut seen: Vec<usize> = roles.text.iter().chain(&roles.html).copied().collect();
    seen.sort_unstable();
    seen.dedup();
    for index in seen {
        let Some(node) = tree.nodes.get(index) else { continue };
        let decoded = node.text(limits);
        print.add_text(&decoded);
        if node.media.kind == "text/html" {
            let left = PICTURES - shown.pictures.len();
            shown.pictures.extend(shown_pictures(&decoded).take(left));
            // Of several texts, or a long one, the end is not known to be the quote's.
            if roles.html.len() == 1 && roles.text.len() == 1 && decoded.len() <= limits.quote_bytes {
                shown.fresh = quote_html::fresh(&decoded, limits.quote_bytes);
            }
        }
        if !roles.text.contains(&index) || whole.len() > TEXT_BYTES {
            continue;
        }
        // What gives no text costs as much to look at as what does.
        if looked >= limits.text_bytes {
            is_left_out = true;
            continue;
        }
        looked += decoded.len();
        let plain = body::plain(node, &decoded, TEXT_BYTES + 1);
        if !plain.trim().is_empty() {
            if !whole.is_empty() {
                whole.push('\n');
            }
            whole.push_str(&plain);
        }
    }
    let (kept, is_cut) = text::many_lines(&whole, TEXT_BYTES);
    mail.text = kept;
    mail.has_html = roles.has_html;
    mail.is_shortened = is_cut || is_left_out;
    shown
}

/// The Content-IDs that HTML refers to (RFC 2392).
fn shown_pictures(html: &str) -> impl Iterator<Item = String> + '_ {
    html.match_indices("cid:").take(PICTURES).filter_map(|(at, _)| {
        let rest = html.tail(at + "cid:".len());
        // An id without an end within bounds is none.
        let is_end = |c: char| c.is_whitespace() || "\"'<>)".contains(c);
        let end = rest.char_indices().take(WORD_CHARS).find(|(_, c)| is_end(*c)).map(|(end, _)| end);
        end.filter(|end| *end > 0).map(|end| unescaped(rest.head(end)))
    })
}

/// `%40` for `@` and the like, which RFC 2392 asks of a reference.
fn unescaped(id: &str) -> String {
    let mut bytes = Vec::with_capacity(id.len());
    let mut rest = id.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.tail(2);
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read_files(
    tree: &Tree<'_>,
    roles: &Roles,
    limits: &Limits,
    pictures: &HashSet<String>,
    mail: &mut Mail,
    print: &mut Fingerprint,
    problems: &mut Vec<String>,
) {
    for &index in &roles.files {
        let Some(node) = tree.nodes.get(index) else { continue };
        let part = files::describe(index, node, print, limits, |id| pictures.contains(id));
        if mail.parts.len() < limits.files {
            mail.parts.push(part);
        }
    }
    if roles.files.len() > limits.files {
        problems.push(format!("it has {} files, of which {} are listed", roles.files.len(), limits.files));
    }
    let is_mail = |index: &usize| files::MAIL.contains(&tree.kind(*index));
    mail.is_wrapped_mail = mail.text.trim().is_empty()
        && roles.files.len() == 1
        && roles.files.iter().all(is_mail)
        && tree.top().media.kind != "multipart/report";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Mail {
        mail(&normalised(raw.as_bytes()), &ReadContext::default(), &Limits::default())
    }

    #[test]
    fn marks_of_mail_stores_are_taken_off() {
        for raw in
            ["From a@b Mon Jan  5\nSubject: x\n\nb", "\r\n\nSubject: x\n\nb", "\u{FEFF}Subject: x\n\nb"]
        {
            assert_eq!((read(raw).subject.as_str(), read(raw).text.as_str()), ("x", "b"), "{raw:?}");
        }
        let old = read("From a@b Mon\rSubject: x\rX: y\r\rb\rc");
        assert_eq!((old.subject.as_str(), old.text.as_str()), ("x", "b\nc"));
    }

    #[test]
    fn what_speaks_against_an_automatic_answer_is_read() {
        let hints = |raw: &str| read(&format!("{raw}\n\nb")).answer_hints;
        assert_eq!(hints("Subject: x"), AnswerHints::default());
        assert!(hints("Return-Path: <>").has_null_path);
        assert!(hints("Return-Path: <MAILER-DAEMON>").has_null_path);
        assert!(!hints("Return-Path: <ada@x.example>").has_null_path);
        let path = |raw: &str| read(&format!("{raw}\n\nb")).return_path;
        assert_eq!(path("Subject: x"), None);
        assert_eq!(path("Return-Path: <>").as_deref(), Some(""));
        for null in ["mailer-daemon", "MAILER-DAEMON@x.example", "#@[]", "unknown"] {
            assert_eq!(path(&format!("Return-Path: <{null}>")).as_deref(), Some(""), "{null}");
        }
        for sender in ["postmaster@x.example", "not-mailer-daemon@x.example", "x#@x.example"] {
            assert_eq!(path(&format!("Return-Path: <{sender}>")).as_deref(), Some(sender));
        }
        for declined in ["All", "DR, OOF", "DR, RN, NRN, OOF, AutoReply", "autoreply"] {
            assert!(hints(&format!("X-Auto-Response-Suppress: {declined}")).is_declined, "{declined}");
        }
        for other in ["DR, RN, NRN", "None", ""] {
            assert!(!hints(&format!("X-Auto-Response-Suppress: {other}")).is_declined, "{other}");
        }
        for spam in ["X-Spam-Flag: YES", "X-Spam-Status: Yes, score=9.1", "X-Spam: Yes"] {
            assert!(hints(spam).is_marked_spam, "{spam}");
        }
        assert!(!hints("X-Spam-Status: No, score=0.1").is_marked_spam);
        assert_eq!(hints("Content-Language: de-AT, en").languages, ["de-at", "en"]);
        let many = format!("Content-Language: {}", ["de"; 11].join(","));
        assert_eq!(hints(&many).languages.len(), 10);
        let long = format!("Content-Language: {}, {}", "a".repeat(35), "a".repeat(36));
        assert_eq!(hints(&long).languages.len(), 1);
    }

    #[test]
    fn ids_are_left_as_written() {
        let mail = read(
            "Message-ID: <a b@x>\nMessage-Id: two\nIn-Reply-To: Your mail\n of <c@x>\nReferences: <r@x>\n\t<s@x>\n\
             References: <t@x>\nResent-Message-ID: <u@x>\nX-Microsoft-Original-Message-ID: <v@x>\n\n",
        );
        assert_eq!(mail.message_id, ["<a b@x>", "two"]);
        assert_eq!(mail.in_reply_to, "Your mail of <c@x>");
        assert_eq!(mail.references, "<r@x>\t<s@x> <t@x>");
        assert_eq!(mail.other_ids, ["<u@x>", "<v@x>"]);
    }

    #[test]
    fn too_many_references_keep_both_ends() {
        let ids: String = (0..20_000).map(|i| format!(" <{i}@x.example>")).collect::<Vec<_>>().concat();
        let kept = read(&format!("References:{ids}\n\n")).references;
        assert!(kept.starts_with("<0@x.example> <") && kept.ends_with("<19999@x.example>"));
        assert!(kept.len() < 110 * 1024, "{}", kept.len());
    }

    #[test]
    fn where_it_went_is_found_once() {
        let mail =
            read("Delivered-To: a@x.example\nX-Original-To: <A@x.example>\nEnvelope-To: a@x.example\n\n");
        assert_eq!(mail.delivered_to, ["a@x.example", "A@x.example"]);
    }

    #[test]
    fn addresses_are_limited_over_all_headers() {
        let many =
            |n: usize, host: &str| (0..n).map(|i| format!("u{i}@{host}")).collect::<Vec<_>>().join(",");
        let raw = |to: usize| format!("From: f@x.example\nTo: {}\n\n", many(to, "t.example"));
        assert_eq!((read(&raw(999)).to.len(), read(&raw(999)).problem), (999, None));
        let more = read(&raw(1000));
        assert_eq!((more.to.len(), more.problem.as_deref()), (999, Some("it has more than 1000 addresses")));
    }

    #[test]
    fn files_are_limited_and_texts_are_cut() {
        let files = |n: usize| {
            let part = "--b\nContent-Type: image/png\n\nx\n".repeat(n);
            format!("Content-Type: multipart/mixed; boundary=b\n\n{part}--b--\n")
        };
        assert_eq!((read(&files(200)).parts.len(), read(&files(200)).problem), (200, None));
        let more = read(&files(201));
        assert_eq!(more.parts.len(), 200);
        assert_eq!(more.problem.as_deref(), Some("it has 201 files, of which 200 are listed"));
        let long = read(&format!("A: b\n\n{}", "x".repeat(TEXT_BYTES + 1)));
        assert_eq!((long.text.len(), long.is_shortened, long.problem), (TEXT_BYTES, true, None));
        assert_eq!(read(&format!("A: b\n\n{}", "x".repeat(TEXT_BYTES))).problem, None);
    }

    #[test]
    fn a_wrapped_mail_is_known() {
        let inner = "--b\nContent-Type: message/rfc822\n\nSubject: in\n\nhi\n";
        let mixed = |parts: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n");
        assert!(read(&mixed(inner)).is_wrapped_mail);
        assert!(read("Content-Type: message/rfc822\n\nSubject: in\n\nhi\n").is_wrapped_mail);
        assert!(!read(&mixed(&format!("--b\n\nSee below\n{inner}"))).is_wrapped_mail);
        assert!(!read(&mixed(&inner.repeat(2))).is_wrapped_mail);
    }

    #[test]
    fn pictures_shown_in_the_html_are_known() {
        let raw = "Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n\
            <img src=\"cid:logo%40x\"><img src='cid:two'>\n--b\nContent-ID: <logo@x>\nContent-Type: image/png\n\nx\n\
            --b\nContent-ID: <other>\nContent-Type: image/png\n\nx\n--b--\n";
        let inline: Vec<bool> = read(raw).parts.iter().map(|p| p.inline).collect();
        assert_eq!(inline, [true, false]);
    }

    #[test]
    fn no_more_pictures_are_known_than_a_mail_may_show() {
        let mail = |parts: usize| {
            let part = |i: usize| {
                let shown = (0..500).map(|n| format!("<img src=cid:{i}.{n}@x>")).collect::<Vec<_>>().concat();
                format!("--b\nContent-Type: text/html\n\n{shown}\n")
            };
            let parts = (0..parts).map(part).collect::<Vec<_>>().concat();
            let last = "--b\nContent-Type: text/html\n\n<img src=cid:last@x>\n";
            let picture = "--b\nContent-ID: <last@x>\nContent-Type: image/png\n\nx\n";
            read(&format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}{last}{picture}--b--\n"))
        };
        assert!(mail(1).parts[0].inline, "501");
        assert!(!mail(2).parts[0].inline, "1,001");
    }

    #[test]
    fn thread_indexes_are_shortened() {
        let child = general_purpose::STANDARD.encode([7_u8; 27]);
        let root = general_purpose::STANDARD.encode([7_u8; 22]);
        let mail = read(&format!("Thread-Index: {child}\n\n"));
        assert_eq!((mail.thread_index, mail.whole_thread_index), (Some(root), Some(child)));
        for (length, kept) in [(512, 512), (513, 512)] {
            let written = |length| general_purpose::STANDARD.encode(vec![7_u8; length]);
            let mail = read(&format!("Thread-Index: {}\n\n", written(length)));
            assert_eq!(mail.whole_thread_index, Some(written(kept)));
        }
        assert_eq!(read("Thread-Index: AAAA\n\n").thread_index, None);
        assert_eq!(read("Thread-Index: ***\n\n").thread_index, None);
    }

    #[test]
    fn an_empty_mail_is_read() {
        assert_eq!(read("").problem.as_deref(), Some("it is empty"));
        assert_eq!(read("\u{1}\u{2}garbage").problem.as_deref(), Some("it has no header"));
        assert_eq!(read("garbage").text, "garbage");
        assert_eq!(read("Subject: x").subject, "x");
    }
}
