//! Content-Disposition with a file's name, which arrives as it is.
//!
//! lettre's own is taken but for names that look like an encoded word: in quotes they leave as they are, and
//! many readers decode them there, though RFC 2047 section 5 forbids it.

use lettre::message::header::{ContentDisposition, Header, HeaderName, HeaderValue};
use std::fmt::Write as _;

/// How much of an encoded name stands in one line.
const PIECE: usize = 55;

/// Where a part stands, and what it is called.
#[derive(Debug, Clone)]
pub(crate) struct Disposition(HeaderValue);

impl Disposition {
    /// It is shown inside the text.
    pub(crate) fn inline(filename: &str) -> Self {
        Self::named("inline", filename, ContentDisposition::inline_with_name)
    }

    /// It stands beside the text.
    pub(crate) fn attachment(filename: &str) -> Self {
        Self::named("attachment", filename, ContentDisposition::attachment)
    }

    fn named(kind: &str, filename: &str, usual: impl Fn(&str) -> ContentDisposition) -> Self {
        if !filename.contains("=?") {
            return Self(usual(filename).display());
        }
        let mut encoded = kind.to_owned();
        for (index, piece) in pieces(filename).iter().enumerate() {
            let charset = if index == 0 { "utf-8''" } else { "" };
            // writing to a String can't fail
            let _ = write!(encoded, ";\r\n filename*{index}*={charset}{piece}");
        }
        Self(HeaderValue::dangerous_new_pre_encoded(Self::name(), encoded.clone(), encoded))
    }
}

impl Header for Disposition {
    fn name() -> HeaderName {
        ContentDisposition::name()
    }

    fn parse(written: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(ContentDisposition::parse(written)?.display()))
    }

    fn display(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// A name as RFC 2231 section 4 writes it, in pieces of whole characters.
fn pieces(name: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in name.chars() {
        let mut bytes = [0; 4];
        let encoded = c.encode_utf8(&mut bytes).bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        });
        let encoded: String = encoded.collect();
        match pieces.last_mut() {
            Some(last) if last.len() + encoded.len() <= PIECE => last.push_str(&encoded),
            _ => pieces.push(encoded),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_encoded_are_encoded() {
        let shown = |name: &str| {
            let mut headers = lettre::message::header::Headers::new();
            headers.set(Disposition::attachment(name));
            headers.to_string()
        };
        let written = shown("=?utf-8?q?a?=.pdf");
        assert_eq!(
            written,
            "Content-Disposition: attachment;\r\n filename*0*=utf-8''%3D%3Futf-8%3Fq%3Fa%3F%3D.pdf\r\n"
        );
        let long = format!("=?{}", "é".repeat(198));
        assert!(shown(&long).lines().all(|line| line.len() <= 78), "{:?}", shown(&long));
        assert_eq!(shown("a.pdf"), "Content-Disposition: attachment; filename=\"a.pdf\"\r\n");
    }
}
