//! What stands between a server and the `imap` crate: it keeps out what the crate can't bear, and
//! takes the mails out of the stream before the crate sees them.
//!
//! An IMAP answer is lines with literals in them (`{n}`, line break, n bytes; RFC 3501
//! section 4.3). The crate looks at an unfinished answer anew with every line that comes, also
//! with every line *of a mail*, and copies it twice: 80 µs and more for a mail of 16 KB. So
//! literals are put on a [`Shelf`] as they are, and the crate gets a short quoted string that says
//! where. What is left are lines, which are made harmless: 8-bit bytes, which end a session there,
//! become `?`; warnings and farewells, which make it panic, are noted and kept back; what is too
//! long, too deep or too much ends the connection.

use crate::cut::Cut;
use crate::error::clean;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much a server may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one literal, which is one mail or a piece of one: 70 MiB.
    pub literal: usize,
    /// Bytes of one line, literals not counted: 1 MiB.
    pub line: usize,
    /// Bytes of everything that comes in answer to one command: 96 MiB.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { literal: 70 << 20, line: 1 << 20, answer: 96 << 20 }
    }
}

/// Parentheses open at once. What we ask for needs three; the crate's parser recurses, and a
/// server could have it overrun its stack.
const DEPTH: usize = 32;

/// Begins a string that stands for a literal. It can't come from the server: outside literals
/// control characters are masked.
const MARK: u8 = 0x01;

/// Bytes read from the connection at once.
const INPUT: usize = 64 << 10;

/// Bytes of a line that are kept to be quoted.
const QUOTED: usize = 1024;

/// Where literals lie until they are asked for, and what the server said last. Shared by the
/// stream and the session that reads from it.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    literals: Vec<Option<Vec<u8>>>,
    answered: usize,
    last_line: Vec<u8>,
    farewell: Option<Vec<u8>>,
    has_grown: bool,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing in here can be left half done by a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room: what follows answers a new command.
    pub fn clear(&self) {
        let mut contents = self.lock();
        contents.literals.clear();
        contents.answered = 0;
        contents.last_line.clear();
        contents.has_grown = false;
    }

    /// The bytes that a string in an answer stands for. A literal can be taken once; the second
    /// time, and where there is none by this number, it is `None`.
    pub fn take(&self, string: &[u8]) -> Option<Vec<u8>> {
        let Some((&MARK, number)) = string.split_first() else {
            return Some(unescape(string));
        };
        let number: usize = std::str::from_utf8(number).ok()?.parse().ok()?;
        self.lock().literals.get_mut(number)?.take()
    }

    /// The server said `EXISTS` (RFC 3501 section 7.3.1) since the last command was begun.
    pub fn has_grown(&self) -> bool {
        self.lock().has_grown
    }

    /// The last line the server sent, as it was but for its end, at most 1,024 bytes of it.
    pub fn last_line(&self) -> Vec<u8> {
        self.lock().last_line.clone()
    }

    /// What the server said when it hung up (`BYE`, RFC 3501 section 7.1.5), cleaned.
    pub fn farewell(&self) -> Option<String> {
        self.lock().farewell.as_deref().map(clean)
    }
}

/// `* 23 EXISTS`.
fn is_growth(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    words.next() == Some(b"*")
        && words.next().is_some_and(|count| !count.is_empty() && count.iter().all(u8::is_ascii_digit))
        && words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"EXISTS"))
}

/// Undoes the escapes of a quoted string, which the crate leaves in place.
fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == b'\\' { *bytes.next().unwrap_or(&byte) } else { byte });
    }
    plain
}

/// A stream to an IMAP server, made fit for the crate.
#[derive(Debug)]
pub struct Shield<S> {
    stream: S,
    shelf: Shelf,
    limits: Limits,
    input: Box<[u8]>,
    unread: Range<usize>,
    /// The line so far, literals replaced.
    line: Vec<u8>,
    /// Where in `line` that begins which has not been masked yet.
    fresh: usize,
    /// A literal and how many bytes it still lacks.
    literal: Option<(Vec<u8>, usize)>,
    /// Lines for the crate, and how far it has read them.
    ready: Vec<u8>,
    given: usize,
    /// The server has hung up, or must not be listened to any longer.
    is_over: bool,
}

impl<S> Shield<S> {
    /// Puts a shield before a stream. What it takes out of it goes on the shelf.
    pub fn new(stream: S, limits: Limits, shelf: Shelf) -> Self {
        Self {
            stream,
            shelf,
            limits,
            input: vec![0; INPUT].into_boxed_slice(),
            unread: 0..0,
            line: Vec::new(),
            fresh: 0,
            literal: None,
            ready: Vec::new(),
            given: 0,
            is_over: false,
        }
    }

    /// The stream behind it.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Works on what was read, up to the end of a line or of a literal.
    fn digest(&mut self) -> io::Result<()> {
        let unread = self.input.get(self.unread.clone()).unwrap_or_default();
        if let Some((literal, lacking)) = &mut self.literal {
            let now = unread.len().min(*lacking);
            literal.extend_from_slice(unread.head(now));
            *lacking -= now;
            self.unread.start += now;
            return self.end_literal();
        }
        let end = unread.iter().position(|byte| *byte == b'\n');
        let now = end.map_or(unread.len(), |end| end + 1);
        self.line.extend_from_slice(unread.head(now));
        self.unread.start += now;
        if self.line.len() > self.limits.line {
            return Err(refused(format!("a line of more than {} bytes", self.limits.line)));
        }
        if end.is_some() { self.end_line() } else { Ok(()) }
    }

    /// A line break: either a literal follows, or the answer is whole.
    fn end_line(&mut self) -> io::Result<()> {
        if let Some((digits, size)) = literal_announced(&self.line) {
            let size = size.filter(|size| *size <= self.limits.literal).ok_or_else(|| {
                let digits =
                    String::from_utf8_lossy(self.line.get(digits.clone()).unwrap_or_default()).into_owned();
                refused(format!("a literal of {digits} bytes, and {} is the most", self.limits.literal))
            })?;
            self.line.truncate(digits.start - 1);
            mask(self.line.get_mut(self.fresh..).unwrap_or_default());
            self.literal = Some((Vec::with_capacity(size), size));
            return self.end_literal();
        }
        {
            let mut contents = self.shelf.lock();
            contents.last_line.clear();
            let text = self.line.trim_ascii_end();
            contents.last_line.extend_from_slice(text.head(QUOTED));
            contents.has_grown |= is_growth(text);
            match untagged_status(&self.line) {
                // A warning, or greetings at the wrong time.
                Some(b"no" | b"bad" | b"preauth") => {
                    self.line.clear();
                    self.fresh = 0;
                    return Ok(());
                }
                Some(b"bye") => {
                    contents.farewell = Some(text.get(b"* BYE".len()..).unwrap_or_default().to_vec());
                    self.is_over = true;
                    return Ok(());
                }
                _ => {}
            }
        }
        let end = self.line.len() - if self.line.ends_with(b"\r\n") { 2 } else { 1 };
        mask(self.line.get_mut(self.fresh.min(end)..end).unwrap_or_default());
        if is_deeper_than(DEPTH, &self.line) {
            return Err(refused(format!("more than {DEPTH} parentheses open at once")));
        }
        clamp_size(&mut self.line);
        self.ready.append(&mut self.line);
        self.fresh = 0;
        Ok(())
    }

    /// Puts a literal on the shelf once it is whole.
    fn end_literal(&mut self) -> io::Result<()> {
        if let Some((literal, _)) = self.literal.take_if(|(_, lacking)| *lacking == 0) {
            let number = {
                let mut contents = self.shelf.lock();
                contents.literals.push(Some(literal));
                contents.literals.len() - 1
            };
            self.line.push(b'"');
            self.line.push(MARK);
            write!(self.line, "{number}\"")?;
            self.fresh = self.line.len();
        }
        Ok(())
    }
}

impl<S: Read> Shield<S> {
    fn refill(&mut self) -> io::Result<usize> {
        let read = self.stream.read(&mut self.input)?;
        self.unread = 0..read;
        let mut contents = self.shelf.lock();
        contents.answered = contents.answered.saturating_add(read);
        if contents.answered > self.limits.answer {
            return Err(refused(format!("more than {} bytes in answer to one command", self.limits.answer)));
        }
        Ok(read)
    }

    /// Reads until there is a line to give.
    fn advance(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        while self.ready.is_empty() && !self.is_over {
            if self.unread.is_empty() && self.refill()? == 0 {
                self.is_over = true;
                if self.literal.is_some() || !self.line.is_empty() {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
            } else {
                self.digest()?;
            }
        }
        Ok(())
    }
}

impl<S: Read> Read for Shield<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            // What was late may still come, where somebody only waited for news.
            let is_late = |error: &io::Error| {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            };
            self.advance().inspect_err(|error| self.is_over |= !is_late(error))?;
        }
        let now = self.ready.tail(self.given).read(buf)?;
        self.given += now;
        Ok(now)
    }
}

impl<S: Write> Write for Shield<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What a server sent and must not: never an answer, always the end of the connection.
fn refused(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}

/// Whether a line announces a literal: where its digits stand, and how many bytes it has (`None`
/// where that is beyond any number). Only data has literals; the free text of a status may end in
/// anything.
fn literal_announced(line: &[u8]) -> Option<(Range<usize>, Option<usize>)> {
    let head = line.strip_suffix(b"}\r\n")?;
    let digits = head.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let start = head.len() - digits;
    if digits == 0 || !head.head(start).ends_with(b"{") || !line.starts_with(b"* ") {
        return None;
    }
    if matches!(untagged_status(line), Some(b"ok" | b"no" | b"bad" | b"bye" | b"preauth")) {
        return None;
    }
    let size = std::str::from_utf8(head.tail(start)).ok().and_then(|digits| digits.parse().ok());
    Some((start..head.len(), size))
}

/// The status that an untagged line gives, in lower case (RFC 3501 section 7.1).
fn untagged_status(line: &[u8]) -> Option<&'static [u8]> {
    const STATUSES: [&[u8]; 5] = [b"ok", b"no", b"bad", b"bye", b"preauth"];
    let word = line.strip_prefix(b"* ")?.split(u8::is_ascii_whitespace).next()?;
    STATUSES.into_iter().find(|status| status.eq_ignore_ascii_case(word))
}

/// What is neither printable ASCII nor a tab becomes `?`: the parser takes nothing else.
fn mask(text: &mut [u8]) {
    for byte in text {
        if !matches!(byte, b' '..=b'~' | b'\t') {
            *byte = b'?';
        }
    }
}

fn is_deeper_than(limit: usize, line: &[u8]) -> bool {
    let mut depth = 0_usize;
    line.iter().any(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > limit
    })
}

/// A size beyond 32 bits, which the parser can't read, becomes the largest that it can: such a
/// mail is too large in any case, and must not keep the others from being listed.
fn clamp_size(line: &mut Vec<u8>) {
    const ITEM: &[u8] = b"RFC822.SIZE ";
    let Some(at) = line.windows(ITEM.len()).position(|item| item == ITEM) else { return };
    let start = at + ITEM.len();
    let digits = line.tail(start).iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = start..start + digits;
    let fits =
        std::str::from_utf8(line.tail(start).head(digits)).is_ok_and(|digits| digits.parse::<u32>().is_ok());
    if digits > 0 && !fits {
        line.splice(number, u32::MAX.to_string().into_bytes());
    }
}
