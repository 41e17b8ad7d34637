//! Content-Transfer-Encoding (RFC 2045 section 6) undone, whatever is wrong with it: a damaged
//! file is better than none.

use crate::cut::Cut;
use std::array;
use std::borrow::Cow;
use std::sync::LazyLock;

/// How the bytes of a part were made fit for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// They were not: 7bit, 8bit, binary, or a name nobody knows.
    #[default]
    Identity,
    /// Base64.
    Base64,
    /// Quoted-printable.
    QuotedPrintable,
}

impl Encoding {
    /// By the header's value.
    pub(crate) fn named(value: &str) -> Self {
        // Some senders put a comment or a semicolon behind the word.
        let word = value.split([';', ' ', '(']).next().unwrap_or_default();
        if word.eq_ignore_ascii_case("base64") {
            Self::Base64
        } else if word.eq_ignore_ascii_case("quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }
}

/// Bytes handed on at a time: a large file is never held whole to be measured.
const CHUNK: usize = 6 * 1024;

/// The decoded bytes of a text, at most `max` of them; line ends stay as they are.
pub(crate) fn text(encoding: Encoding, body: &[u8], max: usize) -> Cow<'_, [u8]> {
    if encoding == Encoding::Identity {
        return Cow::Borrowed(body.head(max));
    }
    let mut kept = Vec::with_capacity(body.len().min(max));
    stream(encoding, body, &mut |bytes| {
        kept.extend_from_slice(bytes.head(max - kept.len()));
    });
    Cow::Owned(kept)
}

/// Hands the decoded bytes of a file to `sink`, piece by piece.
///
/// Line ends are the transport's, not the file's, unless base64 protected them: they become `\n`,
/// so that a mail from IMAP and the same from a Maildir hold the same file. A file with NUL is
/// left alone: it was never lines.
pub(crate) fn stream(encoding: Encoding, body: &[u8], sink: &mut dyn FnMut(&[u8])) {
    match encoding {
        Encoding::Base64 => base64(body, sink),
        Encoding::QuotedPrintable => quoted_printable(body, sink),
        Encoding::Identity if body.contains(&0) => sink(body),
        Encoding::Identity => {
            let mut rest = body;
            while let Some(found) = rest.windows(2).position(|two| two == b"\r\n") {
                sink(rest.head(found));
                rest = rest.tail(found + 1);
            }
            sink(rest);
        }
    }
}

/// The value of each byte in base64's alphabet; 64 where it is not in it.
static SIXTETS: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |byte: usize| alphabet.iter().position(|letter| usize::from(*letter) == byte);
    array::from_fn(|byte| value(byte).map_or(64, |value| value as u8))
});

fn base64(body: &[u8], sink: &mut dyn FnMut(&[u8])) {
    let mut out = Vec::with_capacity(CHUNK + 3);
    let mut group = 0_u32;
    let mut count = 0;
    let sixtets: &[u8; 256] = &SIXTETS;
    for &byte in body {
        let sixtet = sixtets.get(usize::from(byte)).copied().unwrap_or(64);
        if sixtet < 64 {
            group = (group << 6) | u32::from(sixtet);
            count += 1;
            if count == 4 {
                out.extend_from_slice(&group.to_be_bytes()[1..]);
                count = 0;
                group = 0;
                if out.len() >= CHUNK {
                    sink(&out);
                    out.clear();
                }
            }
        } else if byte == b'=' {
            // Padding ends a group; a second base64 text may have been put behind the first.
            out.extend_from_slice(remainder(group, count, &mut [0; 4]));
            count = 0;
            group = 0;
        }
    }
    out.extend_from_slice(remainder(group, count, &mut [0; 4]));
    sink(&out);
}

/// The bytes of a group that has fewer than four letters, padded or not.
fn remainder(group: u32, count: u32, space: &mut [u8; 4]) -> &[u8] {
    if count < 2 {
        return &[];
    }
    *space = (group << (6 * (4 - count))).to_be_bytes();
    space.head(count as usize).tail(1)
}

fn quoted_printable(body: &[u8], sink: &mut dyn FnMut(&[u8])) {
    let mut out = Vec::with_capacity(CHUNK);
    let mut lines = body.split(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        // Spaces at the end of a line were put there on the way (RFC 2045 section 6.7, rule 3).
        let line = line.trim_ascii_end();
        let (line, is_soft) = line.strip_suffix(b"=").map_or((line, false), |line| (line, true));
        let mut rest = line;
        while let Some(at) = rest.iter().position(|b| *b == b'=') {
            out.extend_from_slice(rest.head(at));
            let pair = (rest.get(at + 1).copied().and_then(hex), rest.get(at + 2).copied().and_then(hex));
            if let (Some(high), Some(low)) = pair {
                out.push(high << 4 | low);
                rest = rest.tail(at + 3);
            } else {
                out.push(b'=');
                rest = rest.tail(at + 1);
            }
        }
        out.extend_from_slice(rest);
        if !is_soft && lines.peek().is_some() {
            out.push(b'\n');
        }
        if out.len() >= CHUNK {
            sink(&out);
            out.clear();
        }
    }
    sink(&out);
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        stream(encoding, body, &mut |bytes| all.extend_from_slice(bytes));
        all
    }

    #[test]
    fn base64_is_forgiving() {
        let base64 =
            |body: &str| String::from_utf8_lossy(&decoded(Encoding::Base64, body.as_bytes())).into_owned();
        assert_eq!(base64("SGVsbG8h"), "Hello!");
        assert_eq!(base64("SGVs\r\nbG8="), "Hello");
        assert_eq!(base64("SGVsbG8"), "Hello");
        assert_eq!(base64("SGVsbG\n"), "Hell");
        assert_eq!(base64("SGVs*bG8=SGk="), "HelloHi");
        assert_eq!(base64("S"), "");
        let long = "QUJD".repeat(5000);
        assert_eq!(base64(&long), "ABC".repeat(5000));
    }

    #[test]
    fn quoted_printable_is_forgiving() {
        let printable = |body: &str| {
            String::from_utf8_lossy(&decoded(Encoding::QuotedPrintable, body.as_bytes())).into_owned()
        };
        assert_eq!(printable("Gr=C3=BC=C3=9Fe"), "Grüße");
        assert_eq!(printable("a=  \r\nb \r\nc"), "ab\nc");
        assert_eq!(printable("a=3D=zz=="), "a==zz=");
        assert_eq!(printable("=e4"), "\u{FFFD}");
    }

    #[test]
    fn line_ends_of_the_transport_are_levelled() {
        assert_eq!(decoded(Encoding::Identity, b"a\r\nb\r\n\r\nc\rd\r"), b"a\nb\n\nc\rd\r");
        assert_eq!(decoded(Encoding::Identity, b"a\r\n\0"), b"a\r\n\0");
        assert_eq!(decoded(Encoding::Base64, b"DQo="), b"\r\n");
    }

    #[test]
    fn text_is_capped() {
        assert_eq!(text(Encoding::Identity, b"abcdef", 3).as_ref(), b"abc");
        assert_eq!(text(Encoding::Base64, b"SGVsbG8h", 3).as_ref(), b"Hel");
    }

    #[test]
    fn names_are_known() {
        assert_eq!(Encoding::named("BASE64 (x)"), Encoding::Base64);
        assert_eq!(Encoding::named("quoted-printable; x"), Encoding::QuotedPrintable);
        assert_eq!(Encoding::named("8bit"), Encoding::Identity);
    }
}
