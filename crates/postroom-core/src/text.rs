//! Text as it may be kept: without NUL, without marks that deceive the eye, never too long.

use unicode_segmentation::UnicodeSegmentation;

/// The longest subject that is kept, in characters.
pub const SUBJECT_CHARS: usize = 512;
/// The longest text of one message that is kept, in bytes.
pub const TEXT_BYTES: usize = 1024 * 1024;

/// Characters that may stand in no name, subject or file name: controls, bidirectional
/// overrides and zero-width marks, which make one text look like another.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Whether nothing of a text would be seen: white space and what has no width, or shows as nothing (Unicode's
/// default ignorable code points, and the blank of Braille).
pub fn is_blank(text: &str) -> bool {
    let is_unseen = |c: char| {
        matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
    };
    text.chars().all(|c| c.is_whitespace() || deceives(c) || is_unseen(c))
}

/// One line without deceiving characters, white space folded, at most `max` characters.
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max * 4));
    let mut count = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = !line.is_empty();
        } else if !deceives(c) {
            if gap {
                if count + 1 >= max {
                    break;
                }
                line.push(' ');
                count += 1;
                gap = false;
            }
            if count >= max {
                break;
            }
            line.push(c);
            count += 1;
        }
    }
    line
}

/// The same, and where it is too long it ends with a whole word, or with a whole grapheme (UAX 29) where one
/// word takes up more than half of it.
pub fn short_line(text: &str, max: usize) -> String {
    let line = one_line(text, text.len());
    let Some((end, _)) = line.char_indices().nth(max) else { return line };
    let whole = line.grapheme_indices(true).map(|(at, _)| at).take_while(|at| *at <= end).last();
    let whole = whole.filter(|at| *at > 0).unwrap_or(end);
    let word = if line[whole..].starts_with(' ') { Some(whole) } else { line[..whole].rfind(' ') };
    let cut = word.filter(|at| *at > whole / 2).unwrap_or(whole);
    line[..cut].trim_end().to_owned()
}

/// Many lines without NUL and with `\n` ends, cut at `max` bytes on a character's edge.
/// The flag says whether something was cut.
pub fn many_lines(text: &str, max: usize) -> (String, bool) {
    let mut kept = String::with_capacity(text.len().min(max));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\0' => continue,
            '\r' => {
                if chars.peek() == Some(&'\n') {
                    chars.next();
                }
                '\n'
            }
            other => other,
        };
        if kept.len() + c.len_utf8() > max {
            return (kept, true);
        }
        kept.push(c);
    }
    (kept, false)
}

/// A file name that can harm nobody: no path, no controls, no leading dot, at most 200 characters.
pub fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let line = one_line(last, 200);
    let trimmed = line.trim_matches([' ', '.']);
    if trimmed.is_empty() { "file".to_owned() } else { trimmed.to_owned() }
}

/// A folded address without what stands behind a plus in its local part (RFC 5233): for our own
/// addresses, of which every such form is ours.
pub fn without_plus(folded: &str) -> String {
    match folded.rsplit_once('@') {
        Some((local, domain)) => {
            let local = local.split_once('+').map_or(local, |(user, _)| user);
            format!("{local}@{domain}")
        }
        None => folded.to_owned(),
    }
}

/// An address as it is compared: lower case, the domain as A-labels.
///
/// RFC 5321 lets the local part be case-sensitive; no provider in use is, and two customers
/// who differ in case alone are one.
pub fn fold_address(address: &str) -> String {
    let address = address.trim();
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase());
            // After the A-labels, for other dots become dots only there (UTS 46: `。`).
            let domain = domain.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
            format!("{}@{domain}", unquoted(local).to_lowercase())
        }
        None => address.to_lowercase(),
    }
}

/// A local part without quotes that it does not need: `"ada"` is `ada` (RFC 5321 section 4.1.2).
fn unquoted(local: &str) -> &str {
    let inner = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_plain = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    inner.filter(|inner| !inner.is_empty() && inner.chars().all(is_plain)).unwrap_or(local)
}

/// The part after the `@` of a folded address; empty where there is none.
pub fn domain_of(folded: &str) -> &str {
    folded.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// What is wrong with an address, in words; `None` where it can be written to.
///
/// Looser than RFC 5321 on purpose: `a..b@example.org` exists and must be answerable, and so must local parts
/// of more than 64 bytes (section 4.5.3.1.1; marketplaces and mailing systems give them out), domains with an
/// underscore, and the root's dot behind a domain. Mail servers take all of these; the dot is left out on the wire.
pub fn address_fault(address: &str) -> Option<&'static str> {
    if address.len() > 254 {
        return Some("an address has at most 254 bytes");
    }
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Some("an address looks like name@example.org");
    };
    if local.is_empty() {
        return Some("the part before the @ is empty");
    }
    if !is_quoted(local)
        && local.chars().any(|c| c.is_whitespace() || deceives(c) || "<>()[]\\,;:\"@".contains(c))
    {
        return Some("the part before the @ has a character that an address can't have");
    }
    if wire_domain(domain).is_none() { Some("the part after the @ is not a domain name") } else { None }
}

/// A domain as it goes on the wire: A-labels (RFC 5891), without the root's dot. `None` where it is none.
pub fn wire_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_host)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then(|| name.to_owned())
}

/// Whether a local part is a quoted string that is whole: `"ada lovelace"` (RFC 5321 section 4.1.2).
fn is_quoted(local: &str) -> bool {
    let inner = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut is_escaped = false;
    let is_whole = inner.is_some_and(|inner| {
        inner.chars().all(|c| {
            let is_fit = c == ' ' || !(c.is_whitespace() || deceives(c));
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_fit && !ends
        })
    });
    is_whole && !is_escaped && local.len() > 2
}

/// Lower case for comparing and searching: done here, because SQLite folds ASCII only.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Text that stands for itself in a LIKE pattern.
pub(crate) fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_drops_what_deceives_and_folds_white_space() {
        assert_eq!(one_line("a\u{202E}b\r\n c\0d ", 99), "ab cd");
        assert_eq!(one_line("abc", 3), "abc");
        assert_eq!(one_line("abcd", 3), "abc");
        assert_eq!(one_line("ab cd", 3), "ab");
    }

    #[test]
    fn short_lines_end_with_a_word_or_a_grapheme() {
        assert_eq!(short_line("Ada Lovelace of Ockham", 22), "Ada Lovelace of Ockham");
        assert_eq!(short_line("Ada Lovelace of Ockham", 21), "Ada Lovelace of");
        assert_eq!(short_line("Ada Lovelace of Ockham", 15), "Ada Lovelace of");
        assert_eq!(short_line("Ada Lovelace", 7), "Ada Lov", "more than half");
        assert_eq!(short_line("Zoe\u{308}", 3), "Zo", "no letter without its marks");
        assert_eq!(short_line("xx🇩🇪🇫🇷", 5), "xx🇩🇪", "no half of a flag");
        assert_eq!(short_line("e\u{308}\u{301}", 2), "e\u{308}", "a grapheme that is too long is cut");
        assert_eq!(short_line("", 0), "");
    }

    #[test]
    fn many_lines_keeps_lines_and_cuts_on_an_edge() {
        assert_eq!(many_lines("a\r\nb\rc\0", 99), ("a\nb\nc".into(), false));
        assert_eq!(many_lines("aé", 2), ("a".into(), true));
        assert_eq!(many_lines("aé", 3), ("aé".into(), false));
    }

    #[test]
    fn file_names_are_no_paths() {
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name("C:\\x\\bill.pdf"), "bill.pdf");
        assert_eq!(file_name("\u{200B}.htaccess"), "htaccess");
        assert_eq!(file_name(".."), "file");
        assert_eq!(file_name(&"x".repeat(201)).len(), 200);
    }

    #[test]
    fn addresses_fold() {
        assert_eq!(fold_address(" Ada@EXAMPLE.org "), "ada@example.org");
        assert_eq!(fold_address("ada@bücher.example"), "ada@xn--bcher-kva.example");
        assert_eq!(domain_of("ada@example.org"), "example.org");
        // The root's dot says nothing, however it is written, and what is folded stays as it is.
        for written in
            ["ada@x.example.", "ada@x.example。", "Ada@X.example...", "ada@x.example .", "ada@x.example"]
        {
            assert_eq!(fold_address(written), "ada@x.example", "{written}");
        }
    }

    #[test]
    fn addresses_are_judged() {
        for good in [
            "a@b",
            "a..b@docomo.ne.jp",
            ".a@b.de",
            "ada+x@example.org",
            "ädä@bücher.example",
            "\"a b\"@x.example",
            "\"a@b\"@x.example",
            "\"a\\\"<b>\\\\\"@x.example",
            "a@mail_1.example.org",
            "a@_x.b.example",
            "a@x.example.",
            "a@x.example。",
        ] {
            assert_eq!(address_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.c",
            "a@",
            "a b@c.d",
            "a\r\n@c.d",
            "a@b..c",
            "a@b c",
            "a@b.example..",
            "a@.",
            "a@-b.example",
            "a@b!c.example",
            "a@[192.0.2.1]",
            "\"@b.c",
            "\"\"@b.c",
            "\"a@b.c",
            "\"a\"b\"@b.c",
            "\"a\\\"@b.c",
            "\"a\r\nb\"@b.c",
            "\"a\tb\"@b.c",
        ] {
            assert!(address_fault(bad).is_some(), "{bad:?}");
        }
        let local = "x".repeat(254 - "@b.example".len());
        assert_eq!(address_fault(&format!("{local}@b.example")), None);
        assert!(address_fault(&format!("{local}x@b.example")).is_some());
        let label = "x".repeat(63);
        assert_eq!(address_fault(&format!("a@{label}.example")), None);
        assert!(address_fault(&format!("a@{label}x.example")).is_some());
    }

    #[test]
    fn what_shows_nothing_is_blank() {
        for blank in ["", " \n\t", "\u{200B}\u{FEFF}\u{2060}", "\u{AD}\u{3164}\u{2800}\u{FE0F}", "\u{E0041}"]
        {
            assert!(is_blank(blank), "{blank:?}");
        }
        for text in ["a", ".", "\u{200B}a", "\u{2764}\u{FE0F}", "ㅤ가"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
