//! Mail from an mbox file (RFC 4155, and the mboxo and mboxrd ways of quoting `From ` lines), one at
//! a time, however large the file is.
//!
//! Where a mail ends is told by the next `From ` line alone. `Content-Length` is not believed: many
//! programs leave a wrong one behind.

use crate::cut::Cut;
use crate::measure::Measuring;
use jiff::civil::DateTime;
use postroom_core::time::Timestamp;
use std::io::{self, BufRead, Read};

/// Bytes of a line that are looked at together: no line is long enough to fill the memory.
const PIECE: u64 = 64 * 1024;

/// How lines of a mail that begin with `From ` were changed so that they end no mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Quoting {
    /// One `>` before every line of any number of `>` and `From `: nothing is lost.
    #[default]
    Mboxrd,
    /// One `>` before lines that begin with `From `. A line that began with `>From ` when it was
    /// written can't be told apart.
    Mboxo,
}

/// One mail of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its place among the mails of the file, from 1.
    pub number: u64,
    /// Hex SHA-256 of the whole mail, also where not all of it is in `raw`.
    pub hash: String,
    /// Bytes of the whole mail.
    pub size: u64,
    /// The mail without its `From ` line and without the quoting; at most as much as was asked for.
    pub raw: Vec<u8>,
    /// When it was delivered, as the `From ` line has it.
    pub delivered: Option<Timestamp>,
    /// Bytes of the file up to its end.
    pub read: u64,
}

/// The mails of a file, in order.
#[derive(Debug)]
pub struct Mbox<R> {
    reader: R,
    quoting: Quoting,
    most: usize,
    read: u64,
    number: u64,
    /// The `From ` line of the mail to come.
    from_line: Option<Vec<u8>>,
    /// A piece that was looked at ahead of its turn.
    peeked: Option<Piece>,
    at_line_start: bool,
    is_over: bool,
}

/// A line, or a part of a very long one.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    begins_line: bool,
}

impl Piece {
    fn is_blank(&self) -> bool {
        self.begins_line && matches!(self.bytes.as_slice(), b"\n" | b"\r\n")
    }

    fn is_from(&self) -> bool {
        self.begins_line && self.bytes.starts_with(b"From ")
    }
}

impl<R: BufRead> Mbox<R> {
    /// The mails of a file, each with `most` bytes at the most.
    pub fn new(reader: R, quoting: Quoting, most: usize) -> Self {
        Self {
            reader,
            quoting,
            most,
            read: 0,
            number: 0,
            from_line: None,
            peeked: None,
            at_line_start: true,
            is_over: false,
        }
    }

    fn piece(&mut self) -> io::Result<Option<Piece>> {
        if let Some(piece) = self.peeked.take() {
            return Ok(Some(piece));
        }
        let mut bytes = Vec::new();
        let length = self.reader.by_ref().take(PIECE).read_until(b'\n', &mut bytes)?;
        if length == 0 {
            return Ok(None);
        }
        self.read += length as u64;
        let begins_line = std::mem::replace(&mut self.at_line_start, bytes.ends_with(b"\n"));
        Ok(Some(Piece { bytes, begins_line }))
    }

    /// Whether a line that begins with `From ` begins a mail. Text may begin so too, where whoever
    /// wrote the file did not quote it: a mail's line has a time, or a header behind it.
    fn begins_mail(&mut self, line: &[u8], after_blank: bool) -> io::Result<bool> {
        let has_time = delivered(line).is_some() || has_clock(line);
        if after_blank && has_time {
            return Ok(true);
        }
        if !after_blank && !has_time {
            return Ok(false);
        }
        let next = self.piece()?;
        let header_follows = next.as_ref().is_some_and(|piece| piece.begins_line && is_header(&piece.bytes));
        self.peeked = next;
        Ok(header_follows)
    }

    /// Goes to the first mail.
    fn begin(&mut self) -> io::Result<()> {
        while let Some(piece) = self.piece()? {
            if piece.is_from() {
                self.from_line = Some(piece.bytes);
                return Ok(());
            }
            if !piece.is_blank() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file is no mbox: it does not begin with a line \"From …\"",
                ));
            }
        }
        Ok(())
    }

    fn mail(&mut self) -> io::Result<Option<Found>> {
        if self.number == 0 {
            self.begin()?;
        }
        let Some(from_line) = self.from_line.take() else { return Ok(None) };
        self.number += 1;
        let mut mail = Measuring::new(self.most);
        // The empty line before the next mail belongs to the file, not to this one.
        let mut held: Option<Vec<u8>> = None;
        while let Some(piece) = self.piece()? {
            if piece.is_from() && self.begins_mail(&piece.bytes, held.is_some())? {
                self.from_line = Some(piece.bytes);
                break;
            }
            if let Some(blank) = held.take() {
                mail.add(&blank);
            }
            if piece.is_blank() {
                held = Some(piece.bytes);
            } else {
                mail.add(unquoted(&piece, self.quoting));
            }
        }
        let ahead = self.from_line.as_ref().map_or(0, Vec::len)
            + self.peeked.as_ref().map_or(0, |piece| piece.bytes.len());
        let mail = mail.end();
        Ok(Some(Found {
            number: self.number,
            hash: mail.hash,
            size: mail.size,
            raw: mail.raw,
            delivered: delivered(&from_line),
            read: self.read - ahead as u64,
        }))
    }
}

impl<R: BufRead> Iterator for Mbox<R> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mail = self.mail().transpose();
        self.is_over = !matches!(mail, Some(Ok(_)));
        mail
    }
}

fn unquoted(piece: &Piece, quoting: Quoting) -> &[u8] {
    let marks = piece.bytes.iter().take_while(|byte| **byte == b'>').count();
    let is_quoted = piece.begins_line
        && piece.bytes.tail(marks).starts_with(b"From ")
        && match quoting {
            Quoting::Mboxrd => marks > 0,
            Quoting::Mboxo => marks == 1,
        };
    piece.bytes.tail(usize::from(is_quoted))
}

/// A mail without the `From ` line that a mail server's pipe may have put before it. That line has
/// the time of this very attempt, and would make every attempt another mail.
pub fn without_from_line(raw: &[u8]) -> &[u8] {
    if !raw.starts_with(b"From ") {
        return raw;
    }
    let end = raw.iter().position(|byte| *byte == b'\n').map_or(raw.len(), |end| end + 1);
    raw.tail(end)
}

fn is_header(line: &[u8]) -> bool {
    if line.starts_with(b">From ") {
        return true;
    }
    let name = line.iter().take_while(|byte| matches!(byte, b'!'..=b'9' | b';'..=b'~')).count();
    name > 0 && line.tail(name).trim_ascii_start().starts_with(b":")
}

/// A token like `10:31` or `10:31:07`.
fn clock(token: &str) -> Option<(i8, i8, i8)> {
    let mut parts = token.split(':');
    let mut part = |most: i8| {
        let part = parts.next()?;
        let fits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|number: &i8| fits && *number <= most)
    };
    let (hour, minute) = (part(23)?, part(59)?);
    let second = part(60).unwrap_or(0).min(59);
    Some((hour, minute, second))
}

fn has_clock(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let is_year = |token: &str| token.len() == 4 && token.bytes().all(|byte| byte.is_ascii_digit());
    line.split_ascii_whitespace().any(|token| clock(token).is_some())
        && line.split_ascii_whitespace().any(is_year)
}

/// The time of a `From ` line: `From x@y Thu Jan  1 12:34:56 2026`, a zone before or behind the
/// year or none, which then counts as UTC.
fn delivered(line: &[u8]) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let line = String::from_utf8_lossy(line);
    let tokens: Vec<&str> = line.split_ascii_whitespace().collect();
    let at = tokens.iter().rposition(|token| MONTHS.contains(token))?;
    let month = MONTHS.iter().position(|month| Some(month) == tokens.get(at))? + 1;
    let day: i8 = tokens.get(at + 1)?.parse().ok()?;
    let (hour, minute, second) = clock(tokens.get(at + 2)?)?;
    let rest = tokens.get(at + 3..)?;
    let year: i16 = rest.iter().find(|token| token.len() == 4).and_then(|token| token.parse().ok())?;
    let time = DateTime::new(year, i8::try_from(month).ok()?, day, hour, minute, second, 0).ok()?;
    let seconds = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let zone = rest.iter().find_map(|token| zone(token)).unwrap_or(0);
    Some(Timestamp::from_seconds(seconds - zone))
}

/// Seconds east of Greenwich of `+0100`.
fn zone(token: &str) -> Option<i64> {
    let sign = match token.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = token.get(1..).filter(|digits| digits.len() == 4)?;
    let (hours, minutes): (i64, i64) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Vec<Found> {
        read_as(file, Quoting::Mboxrd, 1 << 20)
    }

    fn read_as(file: &[u8], quoting: Quoting, most: usize) -> Vec<Found> {
        Mbox::new(io::BufReader::with_capacity(7, file), quoting, most).map(|mail| mail.unwrap()).collect()
    }

    fn texts(file: &str) -> Vec<String> {
        read(file.as_bytes()).into_iter().map(|mail| String::from_utf8(mail.raw).unwrap()).collect()
    }

    const LINE: &str = "From a@x.example Thu Jan  1 12:34:56 2026";

    #[test]
    fn mails_are_cut_out_as_they_were() {
        let file = format!("{LINE}\nA: 1\n\nbody\n\n{LINE}\nB: 2\n\n\nend\n\n\n");
        assert_eq!(texts(&file), ["A: 1\n\nbody\n", "B: 2\n\n\nend\n\n"]);
        let file = file.replace('\n', "\r\n");
        assert_eq!(texts(&file), ["A: 1\r\n\r\nbody\r\n", "B: 2\r\n\r\n\r\nend\r\n\r\n"]);
        let mails = read(file.as_bytes());
        assert_eq!((mails[0].number, mails[1].number), (1, 2));
        assert_eq!(mails[1].read, file.len() as u64);
        assert_eq!(&file.as_bytes()[usize::try_from(mails[0].read).unwrap()..][..4], b"From");
        assert_eq!(mails[0].hash, postroom_core::keys::sha256_hex(&mails[0].raw));
    }

    #[test]
    fn a_broken_tail_is_a_mail_as_far_as_it_goes() {
        assert_eq!(texts(&format!("{LINE}\nA: 1\n\nbo")), ["A: 1\n\nbo"]);
        assert_eq!(texts(&format!("{LINE}\nA: 1\n\nx\n\n{LINE}")), ["A: 1\n\nx\n", ""]);
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("\n\r\n"), [""; 0]);
    }

    #[test]
    fn quoting_is_taken_back() {
        let file = format!("{LINE}\nA: 1\n\n>From me\n>>From you\n> From x\n>Fro\n");
        let of = |quoting| String::from_utf8(read_as(file.as_bytes(), quoting, 999).remove(0).raw).unwrap();
        assert_eq!(of(Quoting::Mboxrd), "A: 1\n\nFrom me\n>From you\n> From x\n>Fro\n");
        assert_eq!(of(Quoting::Mboxo), "A: 1\n\nFrom me\n>>From you\n> From x\n>Fro\n");
    }

    #[test]
    fn text_that_begins_with_from_ends_no_mail() {
        let file = format!("{LINE}\nA: 1\n\nHello\n\nFrom tomorrow on\nwe are closed\n\n{LINE}\nB: 2\n\nx\n");
        assert_eq!(texts(&file), ["A: 1\n\nHello\n\nFrom tomorrow on\nwe are closed\n", "B: 2\n\nx\n"]);
        // A length that is wrong changes nothing.
        let file = format!("{LINE}\nContent-Length: 9000\n\nx\n\n{LINE}\nContent-Length: 0\n\ny\n");
        assert_eq!(texts(&file).len(), 2);
    }

    #[test]
    fn lines_of_other_programs_begin_mails_too() {
        for line in [
            "From ",
            "From -",
            "From - Thu, 1 Jan 2026 12:34",
            "From 1234@xxx Thu Jan 01 12:34:56 +0000 2026",
        ] {
            let file = format!("{line}\nA: 1\n\nx\n\n{line}\nB: 2\n\ny\n");
            assert_eq!(texts(&file), ["A: 1\n\nx\n", "B: 2\n\ny\n"], "{line}");
        }
        // Some write no empty line before it.
        assert_eq!(texts(&format!("{LINE}\nA: 1\n\nx\n{LINE}\nB: 2\n\ny\n")).len(), 2);
        assert_eq!(texts(&format!("{LINE}\nA: 1\n\nx\n\n{LINE}\n\nonly text\n")).len(), 2);
    }

    #[test]
    fn what_is_no_mbox_is_said_to_be_none() {
        let mut mails = Mbox::new(&b"Subject: a mail\n\nx\n"[..], Quoting::Mboxrd, 99);
        assert!(mails.next().unwrap().unwrap_err().to_string().contains("no mbox"));
        assert!(mails.next().is_none());
    }

    #[test]
    fn no_more_than_asked_for_is_kept_of_a_mail() {
        let body = "x".repeat(200_000);
        let file = format!("{LINE}\nA: 1\n\n{body}\n\n{LINE}\nB: 2\n\ny\n");
        for (most, kept) in [(200_007, 200_007), (200_006, 200_006), (10, 10), (300_000, 200_007)] {
            let mails = read_as(file.as_bytes(), Quoting::Mboxrd, most);
            assert_eq!((mails.len(), mails[0].raw.len(), mails[0].size), (2, kept, 200_007), "{most}");
            assert_eq!(
                mails[0].hash,
                postroom_core::keys::sha256_hex(format!("A: 1\n\n{body}\n").as_bytes())
            );
        }
    }

    #[test]
    fn the_time_is_read() {
        let at = |line: &str| delivered(line.as_bytes()).map(|at| at.to_string());
        assert_eq!(at(LINE).as_deref(), Some("2026-01-01T12:34:56.000000Z"));
        let google = "From 1234@xxx Thu Jan 01 12:34:56 +0100 2026";
        assert_eq!(at(google).as_deref(), Some("2026-01-01T11:34:56.000000Z"));
        for none in
            ["From ", "From - Thu", "From x Thu Jan 41 12:34:56 2026", "From x Jan 1 2026", "From Jan"]
        {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn a_line_before_the_mail_is_left_out() {
        assert_eq!(without_from_line(b"From a b\nA: 1\n"), b"A: 1\n");
        assert_eq!(without_from_line(b"From: a\n"), b"From: a\n");
        assert_eq!(without_from_line(b"From a"), b"");
    }
}
