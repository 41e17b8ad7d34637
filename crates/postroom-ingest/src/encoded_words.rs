//! Encoded words (RFC 2047): decoded here, and mended for mail-parser where it has to make the best
//! of a header that follows no grammar.

use crate::cut::Cut;
use crate::decode::{self, Encoding};
use crate::{charset, headers};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Bytes of an encoded word's text at most; RFC 2047 allows 75 for the whole.
const DATA_BYTES: usize = 4096;
/// Bytes of a charset's name at most, its language (RFC 2231 section 5) included.
const CHARSET_BYTES: usize = 80;

/// A header's text: encoded words decoded, white space between two of them dropped, folding undone.
/// Bytes outside them are guessed as [`headers::decoded`] guesses.
pub(crate) fn decoded(value: &[u8]) -> String {
    let line: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect();
    let mut out = String::with_capacity(line.len());
    let mut run: Option<Run<'_>> = None;
    let mut ends = Ends::default();
    // What is written, and where the next word is looked for.
    let (mut from, mut at) = (0, 0);
    while let Some(found) = position(&line, at, *b"=?") {
        at = found + 2;
        let Some(word) = Found::read(&line, found, &mut ends) else { continue };
        let before = line.head(found).tail(from);
        let is_gap = before.iter().all(|b| matches!(b, b' ' | b'\t'));
        (from, at) = (word.end, word.end);
        match &mut run {
            Some(run) if is_gap && run.takes(word.charset) => run.bytes.extend(word.bytes()),
            _ => {
                let was_open = run.take().map(|run| run.write(&mut out)).is_some();
                if !(was_open && is_gap) {
                    out.push_str(&headers::decoded(before));
                }
                run = Some(Run { charset: word.charset, bytes: word.bytes() });
            }
        }
    }
    if let Some(run) = run {
        run.write(&mut out);
    }
    out.push_str(&headers::decoded(line.tail(from)));
    out
}

/// How long the encoded word is that `text` begins with.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    let text = text.head(DATA_BYTES + CHARSET_BYTES + 8);
    let word = text.starts_with(b"=?").then(|| Found::read(text, 0, &mut Ends::default())).flatten()?;
    let is_one_line = !text.head(word.end).iter().any(|b| matches!(b, b'\r' | b'\n'));
    is_one_line.then_some(word.end)
}

fn position(line: &[u8], from: usize, what: [u8; 2]) -> Option<usize> {
    let rest = line.get(from..)?;
    rest.windows(2).position(|two| *two == what).map(|at| from + at)
}

/// Where the next `?=` is: looked for once, however many words wait for it.
#[derive(Default)]
struct Ends {
    next: usize,
    is_over: bool,
}

impl Ends {
    fn behind(&mut self, line: &[u8], at: usize) -> Option<usize> {
        if self.next < at && !self.is_over {
            let found = position(line, at, *b"?=");
            self.is_over = found.is_none();
            self.next = found.unwrap_or(self.next);
        }
        (self.next >= at).then_some(self.next)
    }
}

/// An encoded word as it stands in a line.
struct Found<'x> {
    charset: &'x [u8],
    is_base64: bool,
    data: &'x [u8],
    end: usize,
}

impl<'x> Found<'x> {
    /// The word whose `=?` is at `start`, if it is one.
    fn read(line: &'x [u8], start: usize, ends: &mut Ends) -> Option<Self> {
        let inside = line.get(start + 2..)?;
        let named = inside.iter().take(CHARSET_BYTES).position(|b| *b == b'?')?;
        let charset = inside.get(..named)?;
        let is_name = !charset.is_empty() && charset.iter().all(u8::is_ascii_graphic);
        let is_base64 = match inside.get(named + 1..named + 3)? {
            [b'b' | b'B', b'?'] => true,
            [b'q' | b'Q', b'?'] => false,
            _ => return None,
        };
        let from = start + 2 + named + 3;
        let to = ends.behind(line, from)?;
        let data = line.get(from..to).filter(|data| data.len() <= DATA_BYTES)?;
        // A word without an end does not swallow the next one.
        let is_whole = is_name && !data.windows(2).any(|two| two == b"=?");
        is_whole.then_some(Self { charset, is_base64, data, end: to + 2 })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.data.len());
        if self.is_base64 {
            decode::stream(Encoding::Base64, self.data, &mut |piece| bytes.extend_from_slice(piece));
            return bytes;
        }
        let mut rest = self.data;
        while let [first, tail @ ..] = rest {
            let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let hex = hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'=');
            bytes.push(hex.unwrap_or(if *first == b'_' { b' ' } else { *first }));
            rest = if hex.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
        }
        bytes
    }
}

/// Neighbouring words of one charset: senders that cut a text by bytes put half a character into
/// each (RFC 2047 section 5 forbids it).
struct Run<'x> {
    charset: &'x [u8],
    bytes: Vec<u8>,
}

impl Run<'_> {
    /// Charsets that shift begin anew in each word.
    fn takes(&self, charset: &[u8]) -> bool {
        self.charset.eq_ignore_ascii_case(charset) && !charset::shifts_at_all(&charset_name(charset))
    }

    fn write(self, out: &mut String) {
        out.push_str(&charset::decode(Cow::Owned(self.bytes), Some(&charset_name(self.charset))));
    }
}

/// The name without the language behind it.
fn charset_name(charset: &[u8]) -> String {
    let name = charset.split(|b| *b == b'*').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// One encoded word, its bytes still in their charset. Those of a `Q` word stay spelled as they
/// are: two such spellings behind each other are one again.
struct Word<'x> {
    charset: &'x str,
    encoding: &'x str,
    bytes: Vec<u8>,
}

impl<'x> Word<'x> {
    /// The word that begins behind `=?`, and what follows it.
    fn read(text: &'x str) -> Option<(Self, &'x str)> {
        let mut fields = text.splitn(3, '?');
        let (charset, encoding, tail) = (fields.next()?, fields.next()?, fields.next()?);
        let (data, behind) = tail.split_once("?=")?;
        let mut bytes = Vec::new();
        match encoding {
            "b" | "B" => {
                decode::stream(Encoding::Base64, data.as_bytes(), &mut |piece| {
                    bytes.extend_from_slice(piece);
                });
            }
            "q" | "Q" => bytes.extend_from_slice(data.as_bytes()),
            _ => return None,
        }
        Some((Self { charset, encoding, bytes }, behind))
    }

    fn write(&self, out: &mut String) {
        let data = if self.encoding.eq_ignore_ascii_case("b") {
            STANDARD.encode(&self.bytes)
        } else {
            String::from_utf8_lossy(&self.bytes).into_owned()
        };
        for piece in ["=?", self.charset, "?", self.encoding, "?", &data, "?="] {
            out.push_str(piece);
        }
    }
}

/// A header line in which neighbouring encoded words of one charset and encoding are one: senders
/// that cut a text by bytes put half a character into each (RFC 2047 section 5 forbids it).
pub(crate) fn joined(line: &str) -> Vec<u8> {
    let mut out = String::with_capacity(line.len());
    let mut open: Option<Word<'_>> = None;
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("=?") {
        let Some((word, tail)) = Word::read(behind) else {
            if let Some(word) = open.take() {
                word.write(&mut out);
            }
            out.push_str(before);
            out.push_str("=?");
            rest = behind;
            continue;
        };
        rest = tail;
        match &mut open {
            Some(last)
                if before.trim().is_empty()
                    && last.charset == word.charset
                    && last.encoding == word.encoding =>
            {
                last.bytes.extend_from_slice(&word.bytes);
            }
            _ => {
                if let Some(last) = open.replace(word) {
                    last.write(&mut out);
                }
                out.push_str(before);
            }
        }
    }
    if let Some(word) = open {
        word.write(&mut out);
    }
    out.push_str(rest);
    out.into_bytes()
}

/// Encoded words that a header may hold before they are looked at one by one.
const WORDS: usize = 64;
/// Bytes of an encoded word at most; RFC 2047 allows 75.
const WORD_BYTES: usize = 1000;

/// A header line in which no encoded word goes on without an end: the decoder would look for the
/// end of each up to the end of the line.
pub(crate) fn tamed(mut line: Vec<u8>) -> Vec<u8> {
    let starts: Vec<usize> =
        line.windows(2).enumerate().filter(|(_, two)| two == b"=?").map(|(at, _)| at).collect();
    if starts.len() <= WORDS {
        return line;
    }
    for at in starts {
        let word = line.head(at + WORD_BYTES).tail(at + 2);
        // The end is looked for behind the charset and the encoding: `=?utf-8?q?…?=`.
        let data = word.iter().enumerate().filter(|(_, b)| **b == b'?').nth(1).map(|(at, _)| at + 1);
        let is_endless = !data.is_some_and(|data| word.tail(data).windows(2).any(|two| two == b"?="));
        if let Some(mark) = line.get_mut(at).filter(|_| is_endless) {
            *mark = b' ';
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{DATA_BYTES, decoded, length};

    #[test]
    fn words_are_decoded() {
        for (value, expected) in [
            ("plain", "plain"),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            ("=?UTF-8*de?Q?Gr=c3=bc=C3=9Fe_an_=3d?= x", "Grüße an = x"),
            ("a =?utf-8?q?b?=\r\n =?utf-8?b?Yw==?= d", "a bc d"),
            ("=?utf-8?q?Gr=C3?=\n\t=?utf-8?q?=BC=C3=9Fe?=", "Grüße"),
            ("=?utf-8?b?R3LDvMM=?= =?utf-8?b?n2U=?=", "Grüße"),
            ("=?utf-8?q?a?= =?koi8-r?q?=C2?=", "aб"),
            ("=?utf-7?q?+AOQ-?= =?utf-7?q?+APY-?=", "äö"),
            ("=?iso-2022-jp?b?GyRCJWcbKEI=?= =?iso-2022-jp?b?GyRCJWcbKEI=?=", "ョョ"),
            ("=?utf-8?q?a b?=c", "a bc"),
            ("=?broken =?utf-8?q?a?=", "=?broken a"),
            ("=?utf-8?q?open =?utf-8?q?a?=", "=?utf-8?q?open a"),
            ("=?utf-8?x?a?= =?u?q?b", "=?utf-8?x?a?= =?u?q?b"),
            ("=??q?a?=", "=??q?a?="),
            ("=?utf-8?q??=a", "a"),
            ("", ""),
        ] {
            assert_eq!(decoded(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(decoded(b"=?iso-8859-1?q?Gr\xFC=DFe?= \xFC"), "Grüße ü");
    }

    #[test]
    fn words_are_limited() {
        let word = |n: usize| format!("=?utf-8?q?{}?=", "a".repeat(n));
        assert_eq!(decoded(word(DATA_BYTES).as_bytes()).len(), DATA_BYTES);
        assert_eq!(decoded(word(DATA_BYTES + 1).as_bytes()), word(DATA_BYTES + 1));
        assert_eq!(length(word(3).as_bytes()), Some(15));
        assert_eq!(length(b"=?utf-8?q?a"), None);
        assert_eq!(length(b"a =?utf-8?q?a?="), None);
        // Words without an end, and ends without a word: each byte is looked at a few times.
        let open = "=?utf-8?q?".repeat(8000);
        assert_eq!(decoded(open.as_bytes()), open);
    }

    fn joined(line: &str) -> String {
        String::from_utf8_lossy(&super::joined(line)).into_owned()
    }

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(joined("=?utf-8?b?R3LDvMM=?=\r\n =?utf-8?b?n2U=?="), "=?utf-8?b?R3LDvMOfZQ==?=");
        assert_eq!(joined("a =?u?q?x=C3?= =?u?q?=BC?= b\n"), "a =?u?q?x=C3=BC?= b\n");
    }

    #[test]
    fn others_stay_as_they_are() {
        for line in [
            "=?u?q?a?= x =?u?q?b?=",
            "=?u?q?a?= =?v?q?b?=",
            "=?u?q?a?= =?u?b?YQ==?=",
            "=?broken",
            "=?a?x?b?=",
            "a",
        ] {
            assert_eq!(joined(line), line);
        }
    }

    #[test]
    fn words_without_an_end_are_none() {
        let tamed =
            |line: &str| String::from_utf8_lossy(&super::tamed(line.as_bytes().to_vec())).into_owned();
        assert_eq!(tamed("=?utf-8?q?a"), "=?utf-8?q?a");
        assert_eq!(tamed(&"=?u?q?a?= ".repeat(100)), "=?u?q?a?= ".repeat(100));
        let wild = tamed(&"=?u?q?a ".repeat(1000));
        assert!(!wild.contains("=?"), "{wild:.40}");
    }
}
