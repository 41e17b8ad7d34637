//! Where the signature of an answer begins: behind `-- ` (RFC 3676 section 4.3), or where a telephone
//! or a program says that the mail was sent by it.

use crate::cut::Cut;
use crate::quote::{has_words, is_rule};
use crate::quote_words::SENT_FROM;

/// Lines and bytes of a signature at most: a longer one is somebody's text.
const LINES: usize = 20;
const BYTES: usize = 2000;
/// Lines at the end among which a telephone's line may be.
const LAST_LINES: usize = 4;
/// Bytes of such a line at most.
const LINE_BYTES: usize = 160;

/// The line that a signature begins at; `None` where there is none, or nothing but it.
pub(crate) fn begin(lines: &[&str]) -> Option<usize> {
    let end = lines.iter().rposition(|line| !line.trim().is_empty())? + 1;
    let first = end.saturating_sub(LINES + 1);
    let lines = lines.get(..end)?;
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    let delimiter = (first..end).find(|&at| is_delimiter(line(at)) && is_signature(lines.tail(at + 1)));
    let footer = || {
        let last = end.saturating_sub(LAST_LINES)..end;
        let begins = last.into_iter().find(|&at| is_sent_from(line(at)))?;
        // Everything behind it belongs to it: a link to the program, an empty line.
        let is_all = lines.tail(begins + 1).iter().all(|line| line.trim().is_empty() || is_link(line));
        is_all.then_some(begins)
    };
    let mut at = delimiter.or_else(footer)?;
    while at > 0 && (line(at - 1).trim().is_empty() || is_rule(line(at - 1)) || line(at - 1).trim() == "--") {
        at -= 1;
    }
    Some(at)
}

/// `-- `; mail programs on the way take the space away.
fn is_delimiter(line: &str) -> bool {
    matches!(line, "-- " | "--" | "--\u{A0}" | "—" | "— ")
}

/// What stands behind the delimiter can be one: short, and without an afterthought.
fn is_signature(behind: &[&str]) -> bool {
    let is_afterthought = |line: &&str| {
        let line = line.trim_start().to_lowercase();
        ["ps:", "p.s.", "p.s:", "ps.", "ps "].iter().any(|begin| line.starts_with(begin))
    };
    let bytes: usize = behind.iter().map(|line| line.len()).sum();
    bytes > 0 && bytes <= BYTES && !behind.iter().any(is_afterthought) && has_words(&behind.join("\n"))
}

/// `Sent from my iPhone` in many languages.
fn is_sent_from(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['[', '<', '-', '—', '_', '*', ' ']);
    if line.is_empty() || line.len() > LINE_BYTES {
        return false;
    }
    let line = line.to_lowercase().replace('’', "'");
    SENT_FROM.iter().any(|(begin, end)| line.starts_with(begin) && line.contains(end))
}

fn is_link(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['<', '[', '(']);
    line.starts_with("https://") || line.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<usize> {
        begin(&text.split('\n').collect::<Vec<_>>())
    }

    #[test]
    fn delimiters_begin_one() {
        assert_eq!(at("Yes.\n-- \nAda"), Some(1));
        assert_eq!(at("Yes.\n\n--\nAda\nLondon\n"), Some(1));
        assert_eq!(at("Yes.\n--\n"), None);
        assert_eq!(at("Yes.\n-- \nAda\nPS: call me"), None);
        assert_eq!(at("a -- b\n--- \nAda"), None);
        let long = |n: usize| format!("Yes.\n-- \n{}", vec!["x"; n].join("\n"));
        assert_eq!((at(&long(20)), at(&long(21))), (Some(1), None));
    }

    #[test]
    fn telephones_and_programs_sign() {
        for line in [
            "Sent from my iPhone",
            "Sent from Outlook for Android<https://aka.ms/x>",
            "Get Outlook for iOS",
            "Von meinem iPhone gesendet",
            "Envoyé de mon iPhone",
            "Enviado desde mi iPhone",
            "Inviato da iPhone",
            "Verstuurd vanaf mijn iPhone",
            "Wysłane z iPhone'a",
            "Enviado do meu iPhone",
            "Skickat från min iPhone",
            "Sendt fra min iPhone",
            "Lähetetty iPhonesta",
            "Отправлено с iPhone",
            "Надіслано з iPhone",
            "Odesláno z iPhonu",
            "发自我的iPhone",
            "iPhoneから送信",
            "나의 iPhone에서 보냄",
            "נשלח מה-iPhone שלי",
            "أُرسلت من الـ iPhone",
            "iPhone'umdan gönderildi",
            "Išsiųsta iš mano iPhone",
        ] {
            assert_eq!(at(&format!("Yes.\n\n{line}")), Some(1), "{line}");
        }
        assert_eq!(at("Yes.\n\nGet Outlook for iOS\n<https://aka.ms/x>"), Some(1));
        assert_eq!(at("Sent from my iPhone, which is broken.\nPlease help me with it."), None);
        assert_eq!(at("Envoyé le lundi, pas reçu."), None);
    }
}
