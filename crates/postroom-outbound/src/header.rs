//! Header fields, encoded and folded.
//!
//! lettre's own header encoder is not used: it panics on CR or LF in a display name, loses the
//! From field on NUL, and lets `=?utf-8?…?=` typed by a person through as if it were encoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroom_core::text::{SUBJECT_CHARS, short_line};

/// Where a line is folded if it can be (RFC 5322 section 2.1.1 asks for at most 78).
const FOLD_AT: usize = 76;
/// The longest word that goes out unencoded: longer ones could not be folded.
const LONGEST_PLAIN: usize = 60;
/// The longest display name, in characters.
const NAME_CHARS: usize = 200;
/// The longest Message-ID that is quoted; with its field name it stays below the 998 octets of
/// RFC 5322 section 2.1.1.
const LONGEST_ID: usize = 900;

/// One line without controls, bidirectional marks and zero-width characters.
pub(crate) fn clean(text: &str, max_chars: usize) -> String {
    // the Arabic letter mark steers direction like the others (Unicode UAX 9) and is no control
    let without_mark: String = text.chars().filter(|c| *c != '\u{61C}').collect();
    short_line(&without_mark, max_chars)
}

/// A field from words that may stand on lines of their own.
pub(crate) fn fold(name: &str, words: &[String]) -> String {
    let mut field = format!("{name}:");
    let mut column = field.len();
    for (position, word) in words.iter().enumerate() {
        // the first word stays beside the name: a line of white space alone confuses readers
        if position > 0 && column + 1 + word.len() > FOLD_AT {
            field.push_str("\r\n");
            column = 0;
        }
        field.push(' ');
        field.push_str(word);
        column += 1 + word.len();
    }
    field.push_str("\r\n");
    field
}

/// Whether a text means itself in a header: printable ASCII that nobody takes for encoded.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains("=?")
}

/// Encoded words (RFC 2047): 75 characters at most each, cut between characters.
fn encoded_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        // the first word shares its line with the field's name
        let room = if words.is_empty() { 30 } else { 45 };
        if chunk.len() + c.len_utf8() > room {
            words.push(encoded_word(&chunk));
            chunk.clear();
        }
        chunk.push(c);
    }
    if !chunk.is_empty() {
        words.push(encoded_word(&chunk));
    }
    words
}

fn encoded_word(chunk: &str) -> String {
    format!("=?utf-8?B?{}?=", STANDARD.encode(chunk))
}

/// A field of free text, such as the subject.
pub(crate) fn unstructured(name: &str, text: &str) -> String {
    let text = clean(text, SUBJECT_CHARS);
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if is_plain(&text) && words.iter().all(|word| word.len() <= LONGEST_PLAIN) {
        fold(name, &words)
    } else {
        fold(name, &encoded_words(&text))
    }
}

/// A field of addresses: display name and checked address each.
pub(crate) fn addresses(name: &str, entries: &[(Option<&str>, String)]) -> String {
    let mut words = Vec::new();
    for (position, (display, email)) in entries.iter().enumerate() {
        let comma = if position + 1 < entries.len() { "," } else { "" };
        let display = clean(display.unwrap_or_default(), NAME_CHARS);
        if display.is_empty() {
            // outside of brackets some readers stumble over what is no dot-atom
            let bare = is_dot_atom(email);
            words.push(if bare { format!("{email}{comma}") } else { format!("<{email}>{comma}") });
            continue;
        }
        if is_plain(&display) && display.len() <= LONGEST_PLAIN {
            words.push(quoted(&display));
        } else {
            words.extend(encoded_words(&display));
        }
        words.push(format!("<{email}>{comma}"));
    }
    fold(name, &words)
}

/// Whether the part before the @ is dot-separated atoms (RFC 5322 section 3.2.3), as almost all are.
fn is_dot_atom(email: &str) -> bool {
    let local = email.rsplit_once('@').map_or(email, |(local, _)| local);
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.split('.').all(is_atom)
}

/// A quoted string (RFC 5322 section 3.2.4).
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Whether a Message-ID can stand in a header as it is.
pub(crate) fn is_quotable_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    id.len() <= LONGEST_ID
        && inner.is_some_and(|inner| {
            !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> String {
        unstructured("Subject", text)
    }

    #[test]
    fn plain_subjects_stay_readable() {
        assert_eq!(subject("Re: Your order 12"), "Subject: Re: Your order 12\r\n");
        assert_eq!(subject(""), "Subject: \r\n");
    }

    #[test]
    fn line_breaks_and_marks_leave_subjects() {
        assert_eq!(subject("Hi\r\nBcc: x@y.z\u{202E}\u{61C}\0"), "Subject: Hi Bcc: x@y.z\r\n");
    }

    #[test]
    fn what_looks_encoded_is_encoded_once_more() {
        let field = subject("=?utf-8?q?a=0D=0ABcc:_x?=");
        assert!(!field.contains("?q?"), "{field}");
        assert!(field.starts_with("Subject: =?utf-8?B?"), "{field}");
    }

    #[test]
    fn long_fields_fold_and_keep_their_words() {
        let words: Vec<String> = (0..40).map(|n| format!("<{n}.aaaaaaaaaaaaaaaaaaaa@example.org>")).collect();
        let field = fold("References", &words);
        assert!(field.lines().all(|line| line.len() <= 78));
        assert_eq!(field.replace("\r\n ", " "), format!("References: {}\r\n", words.join(" ")));
    }

    #[test]
    fn names_are_quoted_or_encoded() {
        let entry = |name| [(Some(name), "a@b.example".to_owned())];
        assert_eq!(
            addresses("To", &entry("O'Hara, \"Al\" \\")),
            "To: \"O'Hara, \\\"Al\\\" \\\\\" <a@b.example>\r\n"
        );
        assert_eq!(addresses("To", &entry("Ä")), "To: =?utf-8?B?w4Q=?= <a@b.example>\r\n");
        assert_eq!(addresses("To", &entry("\r\n\0")), "To: a@b.example\r\n");
    }

    #[test]
    fn ids_are_judged() {
        assert!(is_quotable_id("<c.1.2@example.org>"));
        for bad in ["", "<>", "a@b", "<a b@c>", "<a@b>\r\n", "<a><b>", "<ä@b>"] {
            assert!(!is_quotable_id(bad), "{bad:?}");
        }
        assert!(!is_quotable_id(&format!("<{}>", "x".repeat(900))));
    }
}
