//! A content type or disposition and its parameters (RFC 2045 section 5.1, RFC 2183), with the
//! values that are cut into pieces and carry a charset (RFC 2231).

use crate::cut::Cut;
use crate::encoded_words;
use crate::headers::decoded;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Parameters of one header that are read, each piece of a value counted.
const PIECES: usize = 2000;

/// The value before the first semicolon without white space and comments, as written, and the
/// parameters in order, names in lower case, values decoded.
pub(crate) fn read(value: &[u8]) -> (String, Vec<(String, String)>) {
    let (kind, mut rest) = piece(value);
    let kind = String::from_utf8_lossy(&kind).split_whitespace().collect();
    let mut plain = Vec::new();
    let mut cut: BTreeMap<String, Sections> = BTreeMap::new();
    let mut left = PIECES;
    while !rest.is_empty() && left > 0 {
        left -= 1;
        let (parameter, behind) = piece(rest);
        rest = behind;
        let Some(at) = parameter.iter().position(|b| *b == b'=') else { continue };
        let (name, value) = (parameter.head(at).trim_ascii(), parameter.tail(at + 1).trim_ascii());
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let (base, section, is_extended) = sectioned(&name);
        match section {
            None => plain.push((name, text(value))),
            Some(section) => {
                let pieces = &mut cut.entry(base.to_owned()).or_default().pieces;
                pieces.entry(section).or_insert((is_extended, unquoted(value)));
            }
        }
    }
    // A sender that says a value in both ways means the better one (RFC 6266 section 4.3).
    let mut parameters: Vec<_> = cut.into_iter().map(|(name, cut)| (name, cut.joined())).collect();
    parameters.extend(plain);
    (kind, parameters)
}

/// The bytes up to the next semicolon outside quotation marks, comments left out, and what follows.
fn piece(value: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_usize);
    let mut kept: Option<Vec<u8>> = None;
    let mut end = value.len();
    for (at, &byte) in value.iter().enumerate() {
        let is_comment = depth > 0 || (byte == b'(' && !is_quoted);
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted || depth > 0,
            b'"' if depth == 0 => is_quoted = !is_quoted,
            b'(' if !is_quoted => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b';' if !is_quoted && depth == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
        if is_comment {
            kept.get_or_insert_with(|| value.head(at).to_vec());
        } else if let Some(kept) = &mut kept {
            kept.push(byte);
        }
    }
    let rest = value.get(end + 1..).unwrap_or_default();
    (kept.map_or(Cow::Borrowed(value.head(end)), Cow::Owned), rest)
}

/// `filename*1*` is piece 1 of `filename`, extended; `filename*` is its only piece.
fn sectioned(name: &str) -> (&str, Option<u32>, bool) {
    let Some((base, behind)) = name.split_once('*') else { return (name, None, false) };
    let (number, is_extended) = behind.strip_suffix('*').map_or((behind, behind.is_empty()), |n| (n, true));
    match (number.is_empty(), number.parse()) {
        // The whole value in one piece stands before all others.
        (true, _) => (base, Some(0), true),
        (false, Ok(section)) => (base, Some(section), is_extended),
        (false, Err(_)) => (name, None, false),
    }
}

/// The pieces of one value.
#[derive(Default)]
struct Sections {
    pieces: BTreeMap<u32, (bool, Vec<u8>)>,
}

impl Sections {
    /// Joined first and decoded then: a piece may end inside a character.
    fn joined(self) -> String {
        let mut bytes = Vec::new();
        let mut charset = None;
        for (at, (is_extended, piece)) in self.pieces.into_values().enumerate() {
            let mut piece = piece.as_slice();
            if at == 0 && is_extended {
                let mut fields = piece.splitn(3, |b| *b == b'\'');
                if let (Some(name), Some(_), Some(value)) = (fields.next(), fields.next(), fields.next()) {
                    charset = Some(String::from_utf8_lossy(name).into_owned());
                    piece = value;
                }
            }
            if is_extended {
                percent_decoded(piece, &mut bytes);
            } else {
                bytes.extend_from_slice(piece);
            }
        }
        crate::charset::decode(Cow::Owned(bytes), charset.as_deref()).into_owned()
    }
}

fn percent_decoded(mut piece: &[u8], out: &mut Vec<u8>) {
    while let [first, rest @ ..] = piece {
        let hex = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                piece = rest.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                piece = rest;
            }
        }
    }
}

/// A value without its quotation marks, folding undone.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\r' | b'\n' => {}
            // `C:\file.txt` is what some senders write; only these two have to be escaped.
            b'\\' => out.push(bytes.next_if(|next| matches!(next, b'"' | b'\\')).unwrap_or(byte)),
            byte => out.push(byte),
        }
    }
    out
}

/// A value in the plain way; RFC 2047 forbids encoded words here, and half the world writes them.
fn text(value: &[u8]) -> String {
    let bytes = unquoted(value);
    let holds_words = bytes.windows(2).any(|two| two == b"=?");
    if holds_words { encoded_words::decoded(&bytes) } else { decoded(&bytes).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn value(header: &str, name: &str) -> Option<String> {
        let (_, parameters) = read(header.as_bytes());
        parameters.into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    #[test]
    fn every_spelling_is_read() {
        for (header, expected) in [
            ("a; filename=bill.pdf", "bill.pdf"),
            ("a;filename=\"my; bill.pdf\" ; x=y", "my; bill.pdf"),
            ("a; FileName = \"a \\\"b\\\" \\\\c\"", "a \"b\" \\c"),
            ("a; filename=\"C:\\temp\\x.txt\"", "C:\\temp\\x.txt"),
            ("a; filename=bill.pdf (the bill; yes)", "bill.pdf"),
            ("a; filename=my bill.pdf; x=y", "my bill.pdf"),
            ("a; filename=\"=?utf-8?q?Gr=C3=BC=C3=9Fe.pdf?=\"", "Grüße.pdf"),
            ("a; filename*=iso-8859-1'de'Gr%FC%DFe.pdf", "Grüße.pdf"),
            ("a; filename=x; filename*=utf-8''y", "y"),
            ("a; filename*1=\" b.pdf\"; filename*0*=utf-8''%e2%82%ac", "€ b.pdf"),
            ("a; filename*0*=utf-8''M%C3; filename*1*=%A4rz", "März"),
            ("a; filename*0=a; filename*1=b; filename*0=c", "ab"),
            ("a; filename*=plain%20text", "plain text"),
            ("a; filename*=utf-8''100%", "100%"),
            ("a; filename=\"unclosed", "unclosed"),
            ("a; x; filename=y", "y"),
        ] {
            assert_eq!(value(header, "filename").as_deref(), Some(expected), "{header}");
        }
        assert_eq!(value("a; filename", "filename"), None);
        assert_eq!(value("a; b*x=c", "b*x").as_deref(), Some("c"));
    }

    #[test]
    fn the_kind_stands_alone() {
        assert_eq!(read(b" text / plain (that is (all)); charset=x").0, "text/plain");
        assert_eq!(read(b"").0, "");
    }

    #[test]
    fn pieces_are_limited() {
        let many = |n: usize| (1..n).map(|at| format!(";f*{at}=x")).collect::<Vec<_>>().concat();
        assert_eq!(value(&format!("a{};f*0=x", many(2000)), "f").map(|v| v.len()), Some(2000));
        assert_eq!(value(&format!("a{};f*0=x", many(2001)), "f").map(|v| v.len()), Some(2000));
        assert_eq!(value(&format!("a{};g=x", many(2001)), "g"), None);
    }
}
