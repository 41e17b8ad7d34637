//! Bytes of a text part or a header as text, whatever they claim to be.

use crate::cut::Cut;
use crate::decode::{self, Encoding};
use mail_parser::decoders::charsets::map::charset_decoder;
use std::borrow::Cow;

/// Text in a charset (RFC 2978 name). A name nobody knows counts as no name.
pub(crate) fn decode<'x>(bytes: Cow<'x, [u8]>, charset: Option<&str>) -> Cow<'x, str> {
    let name = charset.unwrap_or_default().trim().to_ascii_lowercase();
    if bytes.is_ascii() && !shifts(&name, &bytes) {
        return utf8_or_western(bytes);
    }
    // Much UTF-8 is labelled ASCII, for a program that sends ASCII alone never looked.
    let says_nothing =
        matches!(name.as_str(), "" | "us-ascii" | "ascii" | "ansi_x3.4-1968" | "utf-8" | "utf8");
    if says_nothing {
        return utf8_or_western(bytes);
    }
    match name.as_str() {
        // The web gave these up, mail has them still.
        "iso-2022-kr" | "csiso2022kr" => charset_decoder(b"euc-kr").map(|decoder| decoder(&shifted(&bytes))),
        "hz-gb-2312" | "hz" => charset_decoder(b"gb2312").map(|decoder| decoder(&tilded(&bytes))),
        // mail-parser 0.11.9 has some characters of these wrong.
        "macintosh" | "mac" | "x-mac-roman" | "csmacintosh" => Some(macintosh(&bytes)),
        "utf-7" | "csutf7" | "unicode-1-1-utf-7" => Some(utf_7(&bytes)),
        _ if GREEK.contains(&name.as_str()) => {
            charset_decoder(b"iso-8859-7").map(|decoder| mended(&bytes, decoder))
        }
        _ => charset_decoder(name.as_bytes()).map(|decoder| decoder(&bytes)),
    }
    // What mail-parser does not decode any more is one such sign, whatever it is.
    .filter(|text| text != "\u{FFFD}")
    .map_or_else(|| utf8_or_western(bytes), Cow::Owned)
}

/// Charsets that spell other characters with ASCII bytes.
fn shifts(name: &str, bytes: &[u8]) -> bool {
    name.starts_with("utf-7") || name.starts_with("utf-16") || name.contains("ucs-2") || {
        shifts_at_all(name) && bytes.iter().any(|b| matches!(b, 0x1B | 0x0E | b'~'))
    }
}

/// Charsets in which a byte means what a byte before it says.
pub(crate) fn shifts_at_all(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("utf-") && name != "utf-8"
        || name.contains("2022")
        || name.contains("ucs-2")
        || name.starts_with("hz")
}

/// ISO-2022-KR (RFC 1557) as EUC-KR: between SO and SI the eighth bit is meant.
fn shifted(bytes: &[u8]) -> Vec<u8> {
    let mut is_out = false;
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        // What names the charset is no text: ESC $ ) C.
        rest = rest.strip_prefix(b"\x1B$)C").unwrap_or(tail);
        match *byte {
            0x1B if rest.len() < tail.len() => {}
            0x0E => is_out = true,
            0x0F => is_out = false,
            0x21..=0x7E if is_out => out.push(byte | 0x80),
            byte => out.push(byte),
        }
    }
    out
}

/// HZ (RFC 1843) as GB 2312: between `~{` and `~}` the eighth bit is meant.
fn tilded(bytes: &[u8]) -> Vec<u8> {
    let mut is_wide = false;
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail.first()) {
            (b'~', Some(b'{')) if !is_wide => is_wide = true,
            (b'~', Some(b'}')) if is_wide => is_wide = false,
            (b'~', Some(b'~')) if !is_wide => out.push(b'~'),
            (b'~', Some(b'\n')) if !is_wide => {}
            (0x21..=0x7E, _) if is_wide => {
                out.push(first | 0x80);
                continue;
            }
            _ => {
                // No line leaves the mode open for the next.
                is_wide = is_wide && *first != b'\n';
                out.push(*first);
                continue;
            }
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    out
}

/// The upper half of Apple's Roman set (RFC 1345, with the euro sign of 1998).
const MACINTOSH: &str = concat!(
    "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü",
    "†°¢£§•¶ß®©™\u{B4}\u{A8}≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø",
    "¿¡¬√ƒ≈∆«»…\u{A0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ",
    "‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{F8FF}ÒÚÛÙı\u{2C6}\u{2DC}\u{AF}\u{2D8}\u{2D9}\u{2DA}\u{B8}\u{2DD}\u{2DB}\u{2C7}",
);

fn macintosh(bytes: &[u8]) -> String {
    let upper: Vec<char> = MACINTOSH.chars().collect();
    let one =
        |byte: &u8| upper.get(usize::from(*byte).wrapping_sub(0x80)).copied().unwrap_or(char::from(*byte));
    bytes.iter().map(one).collect()
}

/// Names of ISO 8859-7.
const GREEK: [&str; 10] = [
    "iso-8859-7",
    "iso8859-7",
    "iso88597",
    "iso_8859-7",
    "iso_8859-7:1987",
    "csisolatingreek",
    "ecma-118",
    "elot_928",
    "greek",
    "iso-ir-126",
];

/// ISO 8859-7 with the three characters that it was given in 2003.
fn mended(bytes: &[u8], decoder: fn(&[u8]) -> String) -> String {
    let mut out = String::with_capacity(bytes.len());
    for piece in bytes.split_inclusive(|b| matches!(b, 0xA4 | 0xA5 | 0xAA)) {
        let (last, start) = piece.split_last().map_or((0, piece), |(last, start)| (*last, start));
        let new = match last {
            0xA4 => '€',
            0xA5 => '₯',
            0xAA => '\u{37A}',
            _ => {
                out.push_str(&decoder(piece));
                continue;
            }
        };
        out.push_str(&decoder(start));
        out.push(new);
    }
    out
}

/// UTF-7 (RFC 2152): between `+` and what is not base64, UTF-16.
fn utf_7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| *b == b'+') {
        out.push_str(&String::from_utf8_lossy(rest.head(at)));
        rest = rest.tail(at + 1);
        let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        let end = rest.iter().position(|b| !is_base64(b)).unwrap_or(rest.len());
        let mut units = Vec::new();
        decode::stream(Encoding::Base64, rest.head(end), &mut |piece| units.extend_from_slice(piece));
        if end == 0 && rest.first() == Some(&b'-') {
            out.push('+');
        }
        let units = units.as_chunks().0.iter().map(|two| u16::from_be_bytes(*two));
        out.extend(char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')));
        // The dash only says that it is over.
        rest = rest.tail(end);
        rest = rest.strip_prefix(b"-").unwrap_or(rest);
    }
    out.push_str(&String::from_utf8_lossy(rest));
    out
}

/// UTF-8 where it is mostly that, otherwise Windows-1252.
pub(crate) fn utf8_or_western(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    let bytes = match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return Cow::Borrowed(text),
            Err(_) => Cow::Borrowed(bytes),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Cow::Owned(text),
            Err(error) => Cow::Owned(error.into_bytes()),
        },
    };
    let lossy = String::from_utf8_lossy(&bytes);
    let holds_utf8 = lossy.chars().any(|c| !c.is_ascii() && c != '\u{FFFD}');
    match charset_decoder(b"windows-1252") {
        Some(decoder) if !holds_utf8 => Cow::Owned(decoder(&bytes)),
        _ => Cow::Owned(lossy.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], charset: Option<&str>) -> String {
        decode(Cow::Borrowed(bytes), charset).into_owned()
    }

    #[test]
    fn known_charsets_are_decoded() {
        assert_eq!(text(b"\xCF\xF0\xE8\xE2\xE5\xF2", Some("Windows-1251")), "Привет");
        assert_eq!(text(b"\x1B$B%O%m!<\x1B(B", Some("ISO-2022-JP")), "ハロー");
        assert_eq!(text(b"\xFE\xF0", Some("windows-1254")), "şğ");
        assert_eq!(text(b"a\xA4", Some("iso-8859-15")), "a€");
        assert_eq!(text(b"a\xF6b\xF7\x8A", Some("Macintosh")), "aˆb˜ä");
        assert_eq!(text(b"\x80\xCD\xDB\xFF", Some("mac")), "ÄÕ€ˇ");
        assert_eq!(text(b"\xA4\xAA\xC1", Some("iso-8859-7")), "€\u{37A}Α");
        assert_eq!(text(b"+AOQ-b +- c+2D3cgw d +AOQ", Some("UTF-7")), "äb + c💃 d ä");
        assert_eq!(text(b"\x1B$)C\x0EGQ19\x0F ok \x0EGQ\x0F", Some("ISO-2022-KR")), "한국 ok 한");
        assert_eq!(text(b"a~~ ~{VPND~} b\n~{VP\nc", Some("HZ-GB-2312")), "a~ 中文 b\n中\nc");
    }

    #[test]
    fn what_is_not_said_or_wrong_is_guessed() {
        assert_eq!(text("Grüße".as_bytes(), None), "Grüße");
        assert_eq!(text("Grüße".as_bytes(), Some("us-ascii")), "Grüße");
        assert_eq!(text(b"Gr\xFC\xDFe", None), "Grüße");
        assert_eq!(text(b"Gr\xFC\xDFe", Some("utf-8")), "Grüße");
        assert_eq!(text(b"Gr\xFC\xDFe", Some("x-no-such")), "Grüße");
        assert_eq!(text(b"\xC3\xBC \xFC", Some("utf-8")), "ü \u{FFFD}");
        assert_eq!(text(b"plain", Some("iso-2022-kr")), "plain");
    }
}
