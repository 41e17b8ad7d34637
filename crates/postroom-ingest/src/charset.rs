//! Bytes of a text part or a header as text, whatever they claim to be.

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
    match charset_decoder(name.as_bytes()) {
        Some(decoder) if !says_nothing => {
            let text = decoder(&bytes);
            // The name is known, but nobody decodes it any more (ISO-2022-KR, HZ).
            if text == "\u{FFFD}" { utf8_or_western(bytes) } else { Cow::Owned(text) }
        }
        _ => utf8_or_western(bytes),
    }
}

/// Charsets that spell other characters with ASCII bytes.
fn shifts(name: &str, bytes: &[u8]) -> bool {
    name.starts_with("utf-7") || name.starts_with("utf-16") || name.contains("ucs-2") || {
        name.contains("2022") && bytes.contains(&0x1B)
    }
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
