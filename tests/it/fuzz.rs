//! Four readers that take bytes from strangers, fed with mutations of a kept corpus: mails, HTML, what
//! threading reads, and what an IMAP server says. The same seed gives the same bytes. A few hundred
//! rounds each in every run, five minutes each in the long one. What made one of them fail goes into
//! `tests/fuzz/`.

use postroom_core::own_id::Signer;
use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};
use postroom_core::text::TEXT_BYTES;
use postroom_core::threading::keys;
use postroom_ingest::reader::Reader;
use postroom_ingest::shield::{Limits, Shelf, Shield};
use std::collections::HashSet;
use std::io::{self, Cursor, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

/// Rounds of an ordinary run.
const ROUNDS: u64 = 300;
/// How long each target goes on in the long run.
const LONG: Duration = Duration::from_secs(300);
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
fn mutated(corpus: &[Vec<u8>], words: &[&str], numbers: &mut Numbers) -> Vec<u8> {
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
                drop(bytes.splice(at..at, word.into_bytes()));
            }
        }
    }
    bytes.truncate(LARGEST);
    bytes
}

/// Feeds `target` until the rounds are over, or the time of the long run.
fn fuzz(corpus: &[Vec<u8>], words: &[&str], target: impl Fn(&[u8])) {
    let is_long = env::var_os("POSTROOM_TEST_LONG").is_some();
    let began = Instant::now();
    let mut round = 0;
    while if is_long { began.elapsed() < LONG } else { round < ROUNDS } {
        round += 1;
        let mut numbers = Numbers(round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let bytes = mutated(corpus, words, &mut numbers);
        // The corpus itself comes first.
        let bytes = corpus.get(round as usize - 1).unwrap_or(&bytes);
        let done = catch_unwind(AssertUnwindSafe(|| target(bytes)));
        assert!(done.is_ok(), "round {round} failed over {:?}", String::from_utf8_lossy(bytes));
    }
    println!("{round} rounds");
}

fn mails() -> Vec<Vec<u8>> {
    let mut mails = files("../crates/postroom-ingest/corpus");
    let replies = files("../crates/postroom-ingest/corpus/replies");
    mails.extend(replies.into_iter().filter(|bytes| bytes.starts_with(b"From: ")));
    mails
}

#[test]
fn mails_are_parsed() {
    let words = [
        "\r\n\r\n",
        "\n--",
        "--=_alt",
        "=?utf-8?b?",
        "?=",
        "\0",
        "(",
        "\"",
        "<",
        ";",
        "*0*=",
        "%",
        "=\n",
        "boundary=",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        "Content-Transfer-Encoding: base64\n",
        "charset=utf-7",
        "\u{202E}",
        "\n> ",
        " wrote:\n",
        "-- \n",
        "Final-Recipient: rfc822;a@b\n",
        "{\"Message\":",
        "+AGE",
        "\u{1B}$B",
    ];
    let reader = Reader::default();
    let context = ReadContext { trusted_authserv_ids: vec!["mx.shop.example".into()] };
    fuzz(&mails(), &words, |raw| {
        let mail = reader.read(raw, &context);
        let stumbled = mail.problem.as_deref().is_some_and(|problem| problem.contains("stumbled"));
        assert!(!stumbled && mail.text.len() <= TEXT_BYTES);
        for part in &mail.parts {
            assert_eq!(reader.part(raw, part.part).map(|bytes| bytes.len() as i64), Some(part.size));
        }
        let parts = &mail.parts_of_text;
        assert_eq!(parts.signature.is_some(), parts.signature_in(&mail.text).is_some());
        assert_eq!(parts.quoted.is_some(), parts.quoted_in(&mail.text).is_some());
        if let Some(reply) = &mail.reply_text {
            assert!(mail.text.contains(reply.as_str()) && !reply.trim().is_empty());
        }
    });
}

#[test]
fn html_is_made_safe() {
    let words = [
        "<script>",
        "</script>",
        "<style>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<svg>",
        "<math>",
        "<table>",
        "<a href=",
        "javascript:",
        "onerror=",
        "'",
        "\"",
        ">",
        "&#x",
        "&lt;",
        "<div class=gmail_quote>",
        "<blockquote type=cite>",
        "</div>",
        "<img src=x ",
        "<plaintext>",
        "<textarea>",
        "<template>",
        "\0",
        "style='position:fixed'",
    ];
    let reader = Reader::default();
    fuzz(&files("fuzz/html"), &words, |html| {
        let raw = [&b"Content-Type: text/html; charset=utf-8\n\n"[..], html].concat();
        let shown = reader
            .html(&raw, &ShowHtml { remote_images: true, ..ShowHtml::default() })
            .html
            .to_ascii_lowercase();
        for bad in
            ["<script", "<style", "<iframe", "<svg", "<math", "<object", "<embed", "<form", "<base", "<meta"]
        {
            assert!(!shown.contains(bad), "{bad} in {shown}");
        }
        assert!(!reader.read(&raw, &ReadContext::default()).problem.unwrap_or_default().contains("stumbled"));
    });
}

#[test]
fn threading_headers_are_read() {
    let words = [
        "<",
        ">",
        "@",
        " ",
        "\n ",
        "<a@b>",
        "Re: ",
        "Fwd: ",
        "[#12]",
        "support+c.",
        "c.12.345.0123456789abcdef.",
        "Message-ID: ",
        "References: ",
        "In-Reply-To: ",
        "Subject: ",
        "\u{1F4E6}",
        "\0",
        "\u{FF}",
        "=?utf-8?q?=5B=2312=5D?=",
        "Thread-Index: AQ==\n",
    ];
    let (reader, signer) = (Reader::default(), Signer::new([7; 32]));
    let own = HashSet::from(["support@shop.example".to_owned()]);
    fuzz(&files("fuzz/headers"), &words, |raw| {
        let mail = reader.read(raw, &ReadContext::default());
        let keys = keys::read(&mail, &own, &signer);
        assert!(keys.candidates.len() <= 300 && keys.ghosts.len() <= keys.candidates.len() + 1);
        for id in keys.ids() {
            assert!(!id.is_empty() && id.len() <= keys::ID_BYTES && !id.contains(['\n', '\0']), "{id:?}");
        }
        assert!(keys.seals.is_empty(), "nobody can guess a seal");
    });
}

/// A server that says what is in a file, whatever it is asked.
struct Script(Cursor<Vec<u8>>);

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn imap_answers_are_read() {
    let words = [
        "* ",
        "\r\n",
        "{5}\r\n",
        "{99999999999}\r\n",
        "(",
        ")",
        "\"",
        "\\",
        "NIL",
        "FETCH (UID 1 BODY[] ",
        "a3 OK done\r\n",
        "* BYE x\r\n",
        "[ALERT]",
        "[UNAVAILABLE]",
        "\u{E9}",
        "\0",
        "\u{1}1",
        "18446744073709551616",
        "* 1 EXPUNGE\r\n",
        "+ go\r\n",
        "OK [UIDNEXT 5]",
    ];
    fuzz(&files("fuzz/imap"), &words, |said| {
        let shelf = Shelf::default();
        let stream = Shield::new(Script(Cursor::new(said.to_vec())), Limits::default(), shelf.clone());
        let mut client = imap::Client::new(stream);
        if client.read_greeting().is_err() {
            return;
        }
        let Ok(mut session) = client.login("support", "secret") else { return };
        if session.examine("INBOX").is_err() {
            return;
        }
        shelf.clear();
        let Ok(fetched) = session.uid_fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])") else {
            return;
        };
        for answer in fetched.iter() {
            let taken = answer.body().and_then(|body| shelf.take(body));
            assert!(taken.is_none_or(|mail| mail.len() <= said.len()));
        }
    });
}
