//! What header values say: names, addresses, dates, content types. Each is read by its grammar, one
//! value at a time; what follows none is read by mail-parser, which is lenient, and mended.

use crate::cut::Cut;
use crate::headers::{Headers, decoded, unfolded};
use crate::{addresses, encoded_words, parameters};
use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address as Parsed, HeaderValue};
use postroom_core::mail::Address;
use postroom_core::text;
use postroom_core::time::Timestamp;

/// The longest display name that is kept, in characters.
const NAME_CHARS: usize = 256;
/// Bytes of a date that are looked at: 31 are usual.
const DATE_BYTES: usize = 512;
/// Bytes of an unstructured header that are looked at: far more than any subject keeps.
const UNSTRUCTURED_BYTES: usize = 16 * 1024;

/// A content type or disposition: `text/plain; charset=utf-8`, `attachment; filename=a.pdf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Media {
    /// The value before the parameters, lower case: `text/plain`, `attachment`.
    pub(crate) kind: String,
    parameters: Vec<(String, String)>,
}

impl Media {
    /// A type without parameters.
    pub(crate) fn plain(kind: &str) -> Self {
        Self { kind: kind.to_owned(), parameters: Vec::new() }
    }

    /// A parameter, decoded (RFC 2231); `name` in lower case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether the type is of this family: `text`, `multipart`, `image`.
    pub(crate) fn is_a(&self, family: &str) -> bool {
        self.kind.split('/').next() == Some(family)
    }

    /// Whether the parameter has this value, in any case.
    pub(crate) fn says(&self, name: &str, value: &str) -> bool {
        self.parameter(name).is_some_and(|v| v.trim().eq_ignore_ascii_case(value))
    }
}

/// Has mail-parser read a value, and once more, mended, where a character of it was lost.
fn read<T>(value: &[u8], read: impl Fn(&[u8]) -> T, is_sound: impl Fn(&T) -> bool) -> T {
    let mut line = value.to_vec();
    // mail-parser waits for the end of the line.
    line.push(b'\n');
    let line = encoded_words::tamed(line);
    let first = read(&line);
    if is_sound(&first) {
        return first;
    }
    // Raw 8-bit bytes become UTF-8, and words that were cut inside a character are joined. Not at
    // once: raw bytes inside an encoded word are of the charset that the word names.
    read(&encoded_words::joined(&decoded(&line)))
}

/// Every character of it could be decoded.
fn is_sound(text: &str) -> bool {
    !text.contains('\u{FFFD}')
}

/// A content type or a disposition; `None` where the value is neither.
pub(crate) fn media(value: &[u8], max: usize) -> Option<Media> {
    let (kind, parameters) = parameters::read(value.head(max));
    let token = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"!#$&^_.+-".contains(c));
        text.head(end.unwrap_or(text.len())).to_ascii_lowercase()
    };
    let kind = match kind.split_once('/') {
        Some((kind, subtype)) => format!("{}/{}", token(kind), token(subtype)),
        None => token(&kind),
    };
    (!kind.is_empty() || !parameters.is_empty()).then_some(Media { kind, parameters })
}

/// An unstructured header decoded (RFC 2047), trimmed.
pub(crate) fn unstructured(value: &[u8]) -> String {
    let text = encoded_words::decoded(value.head(UNSTRUCTURED_BYTES));
    let trimmed = text.trim();
    if trimmed.len() == text.len() { text } else { trimmed.to_owned() }
}

/// The addresses of a header, groups taken apart, at most `left` of them; `left` is counted down.
/// The flag says whether there were more.
pub(crate) fn addresses(value: &[u8], max: usize, left: &mut usize) -> (Vec<Address>, bool) {
    let value = value.head(max);
    let strict = std::str::from_utf8(value).ok().and_then(addresses::parse);
    let mut found = strict.map_or_else(|| mended(value), |found| found.into_iter().map(named).collect());
    let is_cut = found.len() > *left;
    found.truncate(*left);
    *left -= found.len();
    (found, is_cut)
}

/// Addresses of a header that does not follow the grammar: mail-parser is lenient.
fn mended(value: &[u8]) -> Vec<Address> {
    let is_good = |found: &Vec<Address>| {
        found.iter().all(|a| is_whole(a) && a.name.as_deref().is_none_or(is_sound)) && !found.is_empty()
    };
    let mut found = read(value, address_line, is_good);
    if found.is_empty() || !found.iter().all(is_whole) {
        found.retain(is_whole);
        // mail-parser joins what only spaces divide: look for the addresses themselves, and take
        // those where they are more than it saw.
        let salvaged = salvaged(value);
        if salvaged.len() > found.len() {
            found = salvaged;
        }
    }
    found
}

/// An address with its name as it is kept.
fn named(address: Address) -> Address {
    let name = address.name.map(|name| text::one_line(&name, NAME_CHARS));
    // Outlook puts quotes around a name that looks like an address.
    let bare = |name: String| {
        let bare = name.strip_prefix('\'').and_then(|n| n.strip_suffix('\'')).unwrap_or(&name).trim();
        (!bare.is_empty()).then(|| bare.to_owned())
    };
    Address { name: name.and_then(bare), ..address }
}

fn address_line(line: &[u8]) -> Vec<Address> {
    let parsed = match MessageStream::new(line).parse_address() {
        HeaderValue::Address(Parsed::List(list)) => list,
        HeaderValue::Address(Parsed::Group(groups)) => groups.into_iter().flat_map(|g| g.addresses).collect(),
        _ => Vec::new(),
    };
    parsed.iter().filter_map(address).collect()
}

fn address(parsed: &Addr<'_>) -> Option<Address> {
    let name = parsed.name.as_ref().map(|name| name.clone().into_owned());
    let Address { name, .. } = named(Address { name, email: String::new() });
    if let Some(email) = &parsed.address {
        let email = email.trim().trim_matches(['<', '>', '\'', '"']).trim();
        return (!email.is_empty()).then(|| Address { name, email: email.to_owned() });
    }
    // A sender that encodes the whole value puts the address where the name belongs.
    let name = name?;
    let (before, email) = match (name.rfind('<'), name.ends_with('>')) {
        (Some(at), true) => (name.head(at).trim(), name.head(name.len() - 1).tail(at + 1)),
        _ => ("", name.as_str()),
    };
    let name = (!before.is_empty()).then(|| before.trim_matches('"').to_owned());
    text::address_fault(email).is_none().then(|| Address { name, email: email.to_owned() })
}

fn is_whole(address: &Address) -> bool {
    text::address_fault(&address.email).is_none()
}

/// Whatever looks like an address in a broken header.
fn salvaged(value: &[u8]) -> Vec<Address> {
    let text = decoded(value);
    let words = text.split(|c: char| c.is_whitespace() || "<>,;:()[]\"'".contains(c));
    let words = words.filter(|word| word.contains('@') && text::address_fault(word).is_none());
    words.map(|word| Address { name: None, email: word.to_owned() }).collect()
}

/// The Date header; `None` where it is not a date between 1900 and 3000.
pub(crate) fn date(value: &[u8]) -> Option<Timestamp> {
    let line = without_comments(value.head(DATE_BYTES));
    // mail-parser takes no time without seconds before a zone's name, and waits for the end of the line.
    let is_short = |word: &[u8]| {
        word.split(|b| *b == b':').count() == 2 && word.iter().all(|b| b.is_ascii_digit() || *b == b':')
    };
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let line: Vec<u8> = words
        .flat_map(|word| [word, if is_short(word) { b":00 " } else { b" " }].concat())
        .chain([b'\n'])
        .collect();
    match MessageStream::new(&line).parse_date() {
        // 60 is a leap second (RFC 5322 section 3.3); the clock of the epoch has none.
        HeaderValue::DateTime(mut date) => {
            date.second = date.second.min(59);
            date.is_valid().then(|| Timestamp::from_seconds(date.to_timestamp()))
        }
        _ => None,
    }
}

/// A date without comments and folding, which may stand between any two words of it.
fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut depth = 0_usize;
    let mut kept = Vec::with_capacity(value.len());
    for &byte in value {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'\r' | b'\n' => {}
            byte if depth == 0 => kept.push(byte),
            _ => {}
        }
    }
    kept
}

/// What stands between angle brackets, or the whole value: Content-ID, List-Id, Return-Path.
pub(crate) fn bracketed(value: &[u8]) -> String {
    let text = unfolded(value);
    let inside = text.rsplit_once('<').map_or(text.as_str(), |(_, rest)| rest);
    inside.split('>').next().unwrap_or_default().trim().to_owned()
}

/// Whom a mail that can't be delivered goes back to: empty for `<>`, `None` where the receiving server wrote no
/// Return-Path. A null path is written in other ways, too: `MAILER-DAEMON` by procmail and in mbox, with the
/// machine's name by some, `#@[]` by qmail for the bounce of a bounce, `unknown` by getmail.
pub(crate) fn return_path(headers: &Headers<'_>) -> Option<String> {
    let path = headers.first("Return-Path").map(bracketed)?;
    let is_null = match path.rsplit_once('@') {
        Some((local, _)) => local == "#" || local.eq_ignore_ascii_case("MAILER-DAEMON"),
        None => true,
    };
    Some(if is_null { String::new() } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100 * 1024;

    fn all(value: &str) -> Vec<(Option<String>, String)> {
        let (found, _) = addresses(value.as_bytes(), MAX, &mut 1000);
        found.into_iter().map(|a| (a.name, a.email)).collect()
    }

    fn one(name: &str, email: &str) -> Vec<(Option<String>, String)> {
        vec![((!name.is_empty()).then(|| name.to_owned()), email.to_owned())]
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(all(" Ada <ada@x.example>"), one("Ada", "ada@x.example"));
        assert_eq!(all("ada@x.example (Ada)"), one("Ada", "ada@x.example"));
        assert_eq!(all("\"Lovelace, Ada\" <ada@x.example>"), one("Lovelace, Ada", "ada@x.example"));
        assert_eq!(all("'Ada' <ada@x.example>"), one("Ada", "ada@x.example"));
        assert_eq!(
            all("=?utf-8?q?J=C3=BCrgen?=\r\n =?utf-8?q?_M=C3=BC?= <j@x.example>"),
            one("Jürgen Mü", "j@x.example")
        );
        assert_eq!(all("undisclosed-recipients:;"), []);
        assert_eq!(all("Friends: a@x.example, b@x.example;").len(), 2);
        assert_eq!(all("<a..b@docomo.example>"), one("", "a..b@docomo.example"));
    }

    #[test]
    fn broken_addresses_are_mended() {
        assert_eq!(all("a@x.example b@y.example"), [one("", "a@x.example"), one("", "b@y.example")].concat());
        assert_eq!(all("=?utf-8?q?Ada_=3Cada=40x.example=3E?="), one("Ada", "ada@x.example"));
        assert_eq!(all("ada@x.example>"), one("", "ada@x.example"));
        assert_eq!(all("nobody"), []);
        let latin = addresses(b"J\xFCrgen <j@x.example>", MAX, &mut 9).0;
        assert_eq!(latin[0].name.as_deref(), Some("Jürgen"));
        assert_eq!(all("=?utf-8?q?J=C3?= <j@x.example>"), one("JÃ", "j@x.example"));
        assert_eq!(all("J\u{202E}im <jim@x.example>"), one("Jim", "jim@x.example"));
    }

    #[test]
    fn addresses_are_counted_down() {
        let mut left = 3;
        let (first, cut) = addresses(b"a@x.example, b@x.example", MAX, &mut left);
        assert_eq!((first.len(), cut, left), (2, false, 1));
        let (second, cut) = addresses(b"a@x.example, b@x.example", MAX, &mut left);
        assert_eq!((second.len(), cut, left), (1, true, 0));
    }

    #[test]
    fn subjects_are_decoded() {
        assert_eq!(unstructured(b" =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?IQ==?="), "Grüße!");
        assert_eq!(unstructured(b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?="), "Grüße");
        assert_eq!(unstructured(b"Gr\xFC\xDFe"), "Grüße");
        assert_eq!(unstructured(b"=?iso-8859-1?q?Gr\xFC=DFe?="), "Grüße");
        assert_eq!(unstructured(b"plain  =?broken"), "plain  =?broken");
        assert_eq!(unstructured(b""), "");
    }

    #[test]
    fn content_types_are_read() {
        let html = media(b" Text/HTML; Charset=\"UTF-8\"; format=flowed", MAX).expect("is a type");
        assert_eq!((html.kind.as_str(), html.parameter("charset")), ("text/html", Some("UTF-8")));
        assert!(html.is_a("text") && html.says("format", "Flowed") && !html.says("delsp", "yes"));
        let file = media(b"attachment; filename*0*=utf-8''%e2%82%ac; filename*1=\" rates.pdf\"", MAX);
        assert_eq!(file.expect("is a disposition").parameter("filename"), Some("€ rates.pdf"));
        assert_eq!(media(b"text", MAX).map(|m| m.kind), Some("text".into()));
        assert_eq!(media(b"image/svg+xml<x>", MAX).map(|m| m.kind), Some("image/svg+xml".into()));
    }

    #[test]
    fn dates_are_read() {
        let at = |text: &str| date(text.as_bytes()).map(|t| t.to_string());
        let expected = Some("2026-01-05T09:00:00.000000Z".to_owned());
        assert_eq!(at("Mon, 5 Jan 2026 10:00:00 +0100 (CET)"), expected);
        assert_eq!(at("5 Jan 26 10:00 +0100"), expected);
        assert_eq!(at("Mon, 5 Jan\r\n (winter (here)) 2026 01:00 PST"), expected);
        assert_eq!(at("Sat, 31 Dec 2016 23:59:60 +0000"), Some("2016-12-31T23:59:59.000000Z".into()));
        assert_eq!(at("yesterday"), None);
        assert_eq!(at("99 Foo 2026"), None);
    }

    #[test]
    fn brackets_are_taken_off() {
        assert_eq!(bracketed(b" The list <list.x.example>"), "list.x.example");
        assert_eq!(bracketed(b"bare"), "bare");
        assert_eq!(bracketed(b"<>"), "");
    }
}
