//! Encoded words (RFC 2047) that were cut in the wrong place, mended before they are decoded.

use crate::decode::{self, Encoding};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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
        let word = &line[at + 2..line.len().min(at + WORD_BYTES)];
        // The end is looked for behind the charset and the encoding: `=?utf-8?q?…?=`.
        let data = word.iter().enumerate().filter(|(_, b)| **b == b'?').nth(1).map(|(at, _)| at + 1);
        if !data.is_some_and(|data| word[data..].windows(2).any(|two| two == b"?=")) {
            line[at] = b' ';
        }
    }
    line
}

#[cfg(test)]
mod tests {
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
