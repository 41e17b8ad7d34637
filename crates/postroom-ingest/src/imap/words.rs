//! How things are written in IMAP: sets of numbers, folder names, strings.

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// Numbers as a set, runs written as ranges: `1:3,7`. Ascending; each once.
pub(super) fn uid_set(uids: &[u32]) -> String {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    let runs = uids.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let words: Vec<String> = runs
        .map(|run| match run {
            [first, .., last] => format!("{first}:{last}"),
            [only] => only.to_string(),
            [] => String::new(),
        })
        .collect();
    words.join(",")
}

/// A folder's name as it goes over the wire, in modified UTF-7 (RFC 3501 section 5.1.3).
pub(super) fn wire_name(folder: &str) -> String {
    const MODIFIED: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);
    let mut wire = String::with_capacity(folder.len());
    let mut shifted = Vec::new();
    let unshift = |wire: &mut String, shifted: &mut Vec<u8>| {
        if !shifted.is_empty() {
            wire.push('&');
            MODIFIED.encode_string(&*shifted, wire);
            wire.push('-');
            shifted.clear();
        }
    };
    for c in folder.chars() {
        if matches!(c, ' '..='~') {
            unshift(&mut wire, &mut shifted);
            wire.push(c);
            if c == '&' {
                wire.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    unshift(&mut wire, &mut shifted);
    wire
}

/// A folder's name out of modified UTF-7; what is none is taken as it stands.
pub(super) fn folder_name(wire: &str) -> String {
    const MODIFIED: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let Some((shifted, behind)) = shifted.split_once('-') else { return wire.to_owned() };
        rest = behind;
        if shifted.is_empty() {
            name.push('&');
            continue;
        }
        let Ok(bytes) = MODIFIED.decode(shifted) else { return wire.to_owned() };
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        let Ok(text) = String::from_utf16(&units) else { return wire.to_owned() };
        name.push_str(&text);
    }
    name.push_str(rest);
    name
}

/// A name on the wire as a quoted string.
pub(super) fn quoted(wire_name: &str) -> String {
    format!("\"{}\"", wire_name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A server's answer without its tag and status: `a3 NO [X] words` becomes `[X] words`.
pub(super) fn said(line: &[u8]) -> String {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let is_status = words.next().is_some() && words.next().is_some();
    crate::error::clean(if is_status { words.next().unwrap_or_default() } else { line })
}

/// The server says that it can't *now* (RFC 5530, and what large providers send besides).
pub(super) fn is_for_now(line: &[u8]) -> bool {
    const CODES: [&str; 6] = ["UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA", "THROTTLED", "SERVERBUG"];
    let line = String::from_utf8_lossy(line).to_ascii_uppercase();
    let Some((_, code)) = line.split_once('[') else { return false };
    CODES.iter().any(|known| code.strip_prefix(known).is_some_and(|rest| rest.starts_with([']', ' '])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_written_as_ranges() {
        assert_eq!(uid_set(&[7, 1, 2, 3, 3, 9, 10]), "1:3,7,9:10");
        assert_eq!(uid_set(&[u32::MAX, u32::MAX - 1]), "4294967294:4294967295");
        assert_eq!(uid_set(&[]), "");
    }

    #[test]
    fn folder_names_are_modified_utf_7() {
        // The example of RFC 3501 section 5.1.3, and names that people have.
        assert_eq!(wire_name("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(wire_name("Gelöscht"), "Gel&APY-scht");
        assert_eq!(wire_name("R&D"), "R&-D");
        assert_eq!(wire_name("a\u{1f600}"), "a&2D3eAA-");
        for name in ["~peter/mail/台北/日本語", "Gelöscht", "R&D", "a\u{1f600}", "Отправленные", "INBOX"]
        {
            assert_eq!(folder_name(&wire_name(name)), name);
        }
        assert_eq!(folder_name("&x"), "&x");
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
    }

    #[test]
    fn what_a_server_said_is_told_without_tag_and_status() {
        assert_eq!(said(b"a3 NO [X] no such thing"), "[X] no such thing");
        assert_eq!(said("a3 BAD Befehl ungültig".as_bytes()), "Befehl ungültig");
        assert_eq!(said(b"a3 NO"), "");
        assert!(is_for_now(b"a1 NO [UNAVAILABLE] later") && is_for_now(b"a1 NO [limit] later"));
        assert!(!is_for_now(b"a1 NO [AUTHENTICATIONFAILED] no") && !is_for_now(b"a1 NO UNAVAILABLE"));
    }
}
