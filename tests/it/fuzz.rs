//! Five readers that take bytes from strangers, fed with the corpus that is kept in `tests/fuzz` and
//! with mutations of it: a few hundred rounds each in every run, the same seed giving the same bytes. The
//! long run lets libFuzzer search with the same assertions and words (`tests/run --long`); what made one of
//! them fail goes into the corpus, so that it can't come back.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../fuzz/targets/headers.rs"]
mod headers;
#[path = "../fuzz/targets/html.rs"]
mod html;
#[path = "../fuzz/targets/imap.rs"]
mod imap;
#[path = "../fuzz/targets/parse.rs"]
mod parse;
#[path = "../fuzz/targets/query.rs"]
mod query;

/// Rounds of mutations of a target.
const ROUNDS: u64 = 300;
/// The largest input, in bytes.
const LARGEST: usize = 64 * 1024;

/// A generator that always gives the same numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Every file below a folder of this package, in the order of their names.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("can be listed").path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("can be read")).filter(|bytes| !bytes.is_empty()).collect()
}

/// One of the corpus with a few changes: bytes flipped, cut, doubled, taken from another, and what
/// the format is sensitive to put in.
fn mutated(corpus: &[Vec<u8>], words: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(bytes.len() + 1).min(bytes.len());
        let end = (at + numbers.below(300)).min(bytes.len());
        match numbers.below(7) {
            0 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            1 => bytes.truncate(at.max(1)),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].repeat(1 + numbers.below(20));
                drop(bytes.splice(at..at, piece));
            }
            4 => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len());
                let to = (from + numbers.below(400)).min(other.len());
                drop(bytes.splice(at..at, other[from..to].iter().copied()));
            }
            _ => {
                let word = words[numbers.below(words.len())].repeat(1 + numbers.below(40));
                drop(bytes.splice(at..at, word));
            }
        }
    }
    bytes.truncate(LARGEST);
    bytes
}

/// The words that a format is sensitive to, out of libFuzzer's dictionary: one quoted string a line.
fn words(target: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/words/{target}.dict"));
    let text = fs::read_to_string(file).expect("every target has its words");
    let words: Vec<_> =
        text.lines().map(|line| unescaped(line).unwrap_or_else(|| panic!("{line}"))).collect();
    assert!(words.len() >= 20, "{target}: {} words", words.len());
    words
}

/// What a line of a dictionary says: `\\`, `\"` and `\xAB` are escapes.
fn unescaped(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    while let Some((plain, escape)) = rest.split_once('\\') {
        word.extend_from_slice(plain.as_bytes());
        let (byte, length) = match escape.strip_prefix('x') {
            Some(digits) => (u8::from_str_radix(digits.get(..2)?, 16).ok()?, 3),
            None => (*escape.as_bytes().first().filter(|byte| matches!(byte, b'\\' | b'"'))?, 1),
        };
        word.push(byte);
        rest = escape.get(length..)?;
    }
    word.extend_from_slice(rest.as_bytes());
    (!word.is_empty()).then_some(word)
}

/// Feeds a target: its kept corpus and `more` first, then mutations of them.
fn fuzz(target: &str, more: Vec<Vec<u8>>, check: fn(&[u8])) {
    let mut corpus = files(&format!("fuzz/corpus/{target}"));
    assert!(!corpus.is_empty(), "{target}: its corpus is gone");
    corpus.extend(more);
    let words = words(target);
    for round in 1..=ROUNDS + corpus.len() as u64 {
        let mut numbers = Numbers(round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mutation = mutated(&corpus, &words, &mut numbers);
        let bytes = corpus.get(round as usize - 1).unwrap_or(&mutation);
        let done = catch_unwind(AssertUnwindSafe(|| check(bytes)));
        assert!(done.is_ok(), "round {round} failed over {:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn mails_are_parsed() {
    let mut mails = files("../crates/postroom-ingest/corpus");
    let replies = files("../crates/postroom-ingest/corpus/replies");
    mails.extend(replies.into_iter().filter(|bytes| bytes.starts_with(b"From: ")));
    fuzz("parse", mails, parse::check);
}

#[test]
fn html_is_made_safe() {
    fuzz("html", Vec::new(), html::check);
}

#[test]
fn threading_headers_are_read() {
    fuzz("headers", Vec::new(), headers::check);
}

#[test]
fn imap_answers_are_read() {
    fuzz("imap", Vec::new(), imap::check);
}

#[test]
fn queries_are_read() {
    fuzz("query", Vec::new(), query::check);
}
