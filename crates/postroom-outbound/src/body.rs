//! The body of a mail as SMTP wants it: whatever bytes come in, they can't end early.

/// A mail as it goes over the wire.
pub(crate) struct Body {
    /// With CRLF line ends, each leading dot doubled (RFC 5321 section 4.5.2), ending in CRLF.
    pub(crate) stuffed: Vec<u8>,
    /// Bytes before doubling, as SIZE counts them (RFC 1870 section 3).
    pub(crate) size: usize,
    /// No byte is above 127.
    pub(crate) is_ascii: bool,
    /// No byte of the header block is.
    pub(crate) header_is_ascii: bool,
}

impl Body {
    pub(crate) fn of(raw: &[u8]) -> Self {
        let mut stuffed = Vec::with_capacity(raw.len() + raw.len() / 64 + 2);
        let mut doubled = 0;
        let mut at_line_start = true;
        let mut after_cr = false;
        let mut in_header = true;
        let mut header_is_ascii = true;
        for &byte in raw {
            if matches!(byte, b'\r' | b'\n') {
                // the LF of a CRLF has been written with its CR
                if byte == b'\r' || !after_cr {
                    in_header &= !at_line_start;
                    stuffed.extend_from_slice(b"\r\n");
                }
                after_cr = byte == b'\r';
                at_line_start = true;
                continue;
            }
            if byte == b'.' && at_line_start {
                stuffed.push(b'.');
                doubled += 1;
            }
            header_is_ascii &= byte.is_ascii() || !in_header;
            stuffed.push(byte);
            after_cr = false;
            at_line_start = false;
        }
        if !at_line_start {
            stuffed.extend_from_slice(b"\r\n");
        }
        let size = stuffed.len() - doubled;
        Self { stuffed, size, is_ascii: raw.is_ascii(), header_is_ascii }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_outside_ascii_is_told_from_a_text() {
        assert!(Body::of("Subject: x\r\n\r\nä\r\n".as_bytes()).header_is_ascii);
        assert!(Body::of("Subject: x\n\nä\n".as_bytes()).header_is_ascii);
        assert!(!Body::of("To: ä@b\r\n\r\nx\r\n".as_bytes()).header_is_ascii);
    }

    /// What a server makes of a body: dots undone, final dot gone.
    fn undone(wire: &[u8]) -> Vec<u8> {
        let lines = wire.split_inclusive(|b| *b == b'\n');
        lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect()
    }

    fn normalised(raw: &[u8]) -> Vec<u8> {
        let text: Vec<char> = raw.iter().map(|b| char::from(*b)).collect();
        let text: String = text.into_iter().collect();
        let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.replace('\n', "\r\n").chars().map(|c| c as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_body_ends_early(raw in proptest::collection::vec(
            prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..60,
        )) {
            let body = Body::of(&raw);
            let text: String = body.stuffed.iter().map(|b| char::from(*b)).collect();
            prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
            let ends_early = text.starts_with(".\r\n") || text.contains("\r\n.\r\n");
            prop_assert!(!ends_early);
            prop_assert_eq!(undone(&body.stuffed), normalised(&raw));
            prop_assert_eq!(body.size, normalised(&raw).len());
        }
    }
}
