//! The shield by itself: what it gives does not depend on how the bytes came in.

use postroom_ingest::shield::{Limits, Shelf, Shield};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io::{Cursor, Read};

/// Gives its pieces one by one.
struct Pieces(VecDeque<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
        let now = piece.len().min(buf.len());
        buf[..now].copy_from_slice(&piece[..now]);
        if now < piece.len() {
            self.0.push_front(piece.split_off(now));
        }
        Ok(now)
    }
}

fn through(stream: impl Read, limits: Limits) -> (Result<Vec<u8>, String>, Shelf) {
    let shelf = Shelf::default();
    let mut lines = Vec::new();
    let read = Shield::new(stream, limits, shelf.clone()).read_to_end(&mut lines);
    (read.map(|_| lines).map_err(|error| error.to_string()), shelf)
}

const ANSWER: &[u8] = b"* OK hell\xc3\xb6 {3}\r\n* 1 FETCH (UID 1 BODY[] {6}\r\n\xff\r\n{1})\0 X {0}\r\n)\r\n\
    * NO careful\r\n* LIST () \"/\" {3}\r\na\xe4b\r\na1 OK [X] {2}\r\n* BYE tsch\xc3\xbc\xc3\x9f\r\nnot heard any more\r\n";

const LINES: &[u8] =
    b"* OK hell?? {3}\r\n* 1 FETCH (UID 1 BODY[] \"\x010\"\0 X \"\x011\")\r\n* LIST () \"/\" \"\x012\"\r\na1 OK [X] {2}\r\n";

#[test]
fn literals_go_on_the_shelf_and_lines_become_harmless() {
    let mut lines = LINES.to_vec();
    // Control characters outside literals are masked as well.
    let nul = lines.iter().position(|byte| *byte == 0).unwrap();
    lines[nul] = b'?';
    let mut answer = ANSWER.to_vec();
    let stray = answer.windows(3).position(|bytes| bytes == b")\0 ").unwrap();
    answer.remove(stray);

    let (read, shelf) = through(Cursor::new(answer), Limits::default());
    assert_eq!(String::from_utf8(read.unwrap()).unwrap(), String::from_utf8(lines).unwrap());
    assert_eq!(shelf.take(b"\x010").unwrap(), b"\xff\r\n{1}");
    assert_eq!(shelf.take(b"\x010"), None);
    assert_eq!(shelf.take(b"\x011").unwrap(), b"");
    assert_eq!(shelf.take(b"\x012").unwrap(), b"a\xe4b");
    assert_eq!(shelf.take(b"\x013"), None);
    assert_eq!(shelf.take(b"\x01x"), None);
    assert_eq!(shelf.take(b"pl\\\"ain").unwrap(), b"pl\"ain");
    assert_eq!(shelf.farewell().unwrap(), "tschüß");
    assert_eq!(shelf.last_line(), "* BYE tschüß".as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_the_bytes_are_cut_does_not_matter(cuts in prop::collection::vec(0..ANSWER.len(), 0..30)) {
        let (whole, _) = through(Cursor::new(ANSWER), Limits::default());
        let mut cuts = cuts;
        cuts.extend([0, ANSWER.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let pieces = cuts.windows(2).map(|cut| ANSWER[cut[0]..cut[1]].to_vec()).collect();
        let (cut, shelf) = through(Pieces(pieces), Limits::default());
        prop_assert_eq!(cut, whole);
        prop_assert_eq!(shelf.take(b"\x012").unwrap(), b"a\xe4b");
    }

    #[test]
    fn what_comes_out_is_ascii_and_within_the_limits(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let limits = Limits { literal: 20, line: 100, answer: 1500 };
        let (read, _) = through(Cursor::new(bytes.clone()), limits);
        match read {
            Ok(lines) => prop_assert!(lines.iter().all(|byte| matches!(byte, 1 | b'\t' | b'\r' | b'\n' | b' '..=b'~'))),
            Err(error) => prop_assert!(
                error.starts_with("the server sent") || error.contains("end of file") || bytes.len() > 1500,
                "{}", error
            ),
        }
    }
}

#[test]
fn the_limits_hold_at_the_limit_and_break_one_beyond() {
    let limits = Limits { literal: 5, line: 20, answer: 60 };
    let try_one = |bytes: &[u8]| through(Cursor::new(bytes.to_vec()), limits).0.map(|lines| lines.len());
    assert_eq!(try_one(b"* X {5}\r\n01234\r\n"), Ok(4 + 4 + 2));
    assert_eq!(
        try_one(b"* X {6}\r\n"),
        Err("the server sent a literal of 6 bytes, and 5 is the most".to_owned())
    );
    assert_eq!(try_one(b"012345678901234567\r\n"), Ok(20));
    assert_eq!(
        try_one(b"0123456789012345678\r\n"),
        Err("the server sent a line of more than 20 bytes".to_owned())
    );
    assert_eq!(try_one("* X\r\n".repeat(12).as_bytes()), Ok(60));
    let beyond = try_one("* X\r\n".repeat(13).as_bytes());
    assert_eq!(beyond, Err("the server sent more than 60 bytes in answer to one command".to_owned()));
    let open = |depth: usize| "(".repeat(depth) + "\r\n";
    let deep = Limits::default();
    assert!(through(Cursor::new(open(32)), deep).0.is_ok());
    assert_eq!(
        through(Cursor::new(open(33)), deep).0.unwrap_err(),
        "the server sent more than 32 parentheses open at once"
    );
}
