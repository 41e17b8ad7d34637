//! What header values say: names, addresses, dates, content types. mail-parser knows the grammar
//! of each (RFC 5322, 2045, 2047, 2231); this file feeds it one value at a time and mends what
//! it leaves.

use crate::encoded_words;
use crate::headers::{decoded, unfolded};
use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address as Parsed, HeaderValue};
use postroom_core::mail::Address;
use postroom_core::text;
use postroom_core::time::Timestamp;
use std::borrow::Cow;

/// The longest display name that is kept, in characters.
const NAME_CHARS: usize = 256;
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

/// Reads at most `max` bytes of a value, and once more, mended, where a character of it was lost.
fn read<T>(value: &[u8], max: usize, read: impl Fn(&[u8]) -> T, is_sound: impl Fn(&T) -> bool) -> T {
    let mut line = value[..value.len().min(max)].to_vec();
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
    let is_sound = |media: &Option<Media>| {
        media.as_ref().is_none_or(|m| m.parameters.iter().all(|(_, value)| is_sound(value)))
    };
    read(value, max, media_line, is_sound)
}

fn media_line(line: &[u8]) -> Option<Media> {
    let HeaderValue::ContentType(parsed) = MessageStream::new(line).parse_content_type() else {
        return None;
    };
    let token = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"!#$&^_.+-".contains(c));
        text[..end.unwrap_or(text.len())].to_ascii_lowercase()
    };
    let kind = match &parsed.c_subtype {
        Some(subtype) => format!("{}/{}", token(&parsed.c_type), token(subtype)),
        None => token(&parsed.c_type),
    };
    let parameters = parsed.attributes.unwrap_or_default().into_iter();
    let parameters = parameters.map(|a| (a.name.to_ascii_lowercase(), a.value.into_owned())).collect();
    Some(Media { kind, parameters })
}

/// An unstructured header decoded (RFC 2047), white space as it came.
pub(crate) fn unstructured(value: &[u8]) -> String {
    let line = |line: &[u8]| match MessageStream::new(line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        HeaderValue::TextList(texts) => texts.concat(),
        _ => String::new(),
    };
    read(value, UNSTRUCTURED_BYTES, line, |text| is_sound(text))
}

/// The addresses of a header, groups taken apart, at most `left` of them; `left` is counted down.
/// The flag says whether there were more.
pub(crate) fn addresses(value: &[u8], max: usize, left: &mut usize) -> (Vec<Address>, bool) {
    let is_good = |found: &Vec<Address>| {
        found.iter().all(|a| is_whole(a) && a.name.as_deref().is_none_or(is_sound)) && !found.is_empty()
    };
    let mut found = read(value, max, address_line, is_good);
    if found.is_empty() || !found.iter().all(is_whole) {
        found.retain(is_whole);
        // mail-parser joins what only spaces divide: look for the addresses themselves, and take
        // those where they are more than it saw.
        let salvaged = salvaged(&value[..value.len().min(max)]);
        if salvaged.len() > found.len() {
            found = salvaged;
        }
    }
    let is_cut = found.len() > *left;
    found.truncate(*left);
    *left -= found.len();
    (found, is_cut)
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
    let clean = |name: &Cow<'_, str>| {
        let name = text::one_line(name, NAME_CHARS);
        // Outlook puts quotes around a name that looks like an address.
        let bare = name.strip_prefix('\'').and_then(|n| n.strip_suffix('\'')).unwrap_or(&name).trim();
        (!bare.is_empty()).then(|| bare.to_owned())
    };
    let name = parsed.name.as_ref().and_then(clean);
    if let Some(email) = &parsed.address {
        let email = email.trim().trim_matches(['<', '>', '\'', '"']).trim();
        return (!email.is_empty()).then(|| Address { name, email: email.to_owned() });
    }
    // A sender that encodes the whole value puts the address where the name belongs.
    let name = name?;
    let (before, email) = match (name.rfind('<'), name.ends_with('>')) {
        (Some(at), true) => (name[..at].trim(), &name[at + 1..name.len() - 1]),
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
pub(crate) fn date(value: &[u8], max: usize) -> Option<Timestamp> {
    let line = |line: &[u8]| match MessageStream::new(line).parse_date() {
        // 60 is a leap second (RFC 5322 section 3.3); the clock of the epoch has none.
        HeaderValue::DateTime(mut date) => {
            date.second = date.second.min(59);
            date.is_valid().then(|| Timestamp::from_seconds(date.to_timestamp()))
        }
        _ => None,
    };
    read(value, max, line, |_| true)
}

/// What stands between angle brackets, or the whole value: Content-ID, List-Id, Return-Path.
pub(crate) fn bracketed(value: &[u8]) -> String {
    let text = unfolded(value);
    let inside = text.rsplit_once('<').map_or(text.as_str(), |(_, rest)| rest);
    inside.split('>').next().unwrap_or_default().trim().to_owned()
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
        assert_eq!(all("=?utf-8?q?J=C3?= <j@x.example>"), one("J\u{FFFD}", "j@x.example"));
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
        let at = |text: &str| date(text.as_bytes(), MAX).map(|t| t.to_string());
        let expected = Some("2026-01-05T09:00:00.000000Z".to_owned());
        assert_eq!(at("Mon, 5 Jan 2026 10:00:00 +0100 (CET)"), expected);
        assert_eq!(at("5 Jan 26 10:00 +0100"), expected);
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
