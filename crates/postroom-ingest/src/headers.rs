//! The header block of a mail or of a part, cut into fields and otherwise left as it came:
//! threading reads ids itself, so nothing is decoded here.

use crate::cut::Cut;
use crate::limits::Limits;
use std::borrow::Cow;

/// No header in use has a longer name; the bound keeps a line without a colon cheap.
const NAME_BYTES: usize = 200;

/// One header field.
#[derive(Debug, Clone, Copy)]
struct Field<'x> {
    name: &'x [u8],
    /// What follows the colon, line breaks of folding included, the last one not.
    value: &'x [u8],
}

/// A header block.
#[derive(Debug, Default)]
pub(crate) struct Headers<'x> {
    fields: Vec<Field<'x>>,
    /// There were more or longer headers than the limits allow.
    pub(crate) is_cut: bool,
}

impl<'x> Headers<'x> {
    /// Reads the block that begins at `start`; also says where the body begins.
    ///
    /// `is_top` is the block of the mail itself: there a stray line between two headers is passed
    /// over, for broken gateways leave some. In a part such a line is the body already.
    pub(crate) fn read(raw: &'x [u8], start: usize, is_top: bool, limits: &Limits) -> (Self, usize) {
        let mut headers = Self::default();
        // Where the value of the field under way begins and ends.
        let mut open: Option<(&'x [u8], usize, usize)> = None;
        let mut at = start;
        while at < raw.len() {
            let (line, next) = line_at(raw, at);
            if line.is_empty() {
                at = next;
                break;
            }
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                if let Some((_, _, end)) = &mut open {
                    *end = at + line.len();
                } else if !is_top {
                    break;
                }
            } else if let Some(name) = field_name(line) {
                headers.keep(raw, open.take(), start, limits);
                let colon = at + line.iter().position(|b| *b == b':').unwrap_or(name.len());
                open = Some((name, colon + 1, at + line.len()));
            } else if !is_top || line.starts_with(b"--") || !is_field(line_at(raw, next).0) {
                break;
            }
            at = next;
        }
        headers.keep(raw, open, start, limits);
        (headers, at.min(raw.len()))
    }

    fn keep(
        &mut self,
        raw: &'x [u8],
        field: Option<(&'x [u8], usize, usize)>,
        start: usize,
        limits: &Limits,
    ) {
        let Some((name, from, to)) = field else { return };
        let end = to.min(start + limits.header_bytes);
        self.is_cut |= end < to;
        if self.fields.len() < limits.fields && from <= end {
            self.fields.push(Field { name, value: raw.head(end).tail(from) });
        } else {
            self.is_cut = true;
        }
    }

    /// Nothing that looks like a header was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Every value of a header as it came, in order; `name` in any case.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'x [u8]> + 'a {
        self.fields.iter().filter(move |f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| f.value)
    }

    /// The first value of a header as it came.
    pub(crate) fn first(&self, name: &str) -> Option<&'x [u8]> {
        self.all(name).next()
    }

    /// Whether the header is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The first value, unfolded and trimmed.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(unfolded)
    }

    /// Every header, its name as written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'x [u8], &'x [u8])> + '_ {
        self.fields.iter().map(|f| (f.name, f.value))
    }
}

/// The line at `start` without its end, and where the next one begins.
pub(crate) fn line_at(raw: &[u8], start: usize) -> (&[u8], usize) {
    let rest = raw.get(start..).unwrap_or_default();
    let (line, next) = match rest.iter().position(|b| *b == b'\n') {
        Some(end) => (rest.head(end), start + end + 1),
        None => (rest, raw.len()),
    };
    // Some gateways end lines with CR CR LF.
    let kept = line.iter().rposition(|b| *b != b'\r').map_or(0, |last| last + 1);
    (line.head(kept), next)
}

/// The name of the field that this line begins (RFC 5322 section 2.2), if it begins one.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().take(NAME_BYTES).position(|b| *b == b':')?;
    let name = line.head(colon).trim_ascii_end();
    let is_name = !name.is_empty() && !line.starts_with(b"--") && name.iter().all(u8::is_ascii_graphic);
    is_name.then_some(name)
}

fn is_field(line: &[u8]) -> bool {
    field_name(line).is_some()
}

/// A value on one line (RFC 5322 section 2.2.3), as UTF-8, trimmed.
pub(crate) fn unfolded(value: &[u8]) -> String {
    let mut text = decoded(value).into_owned();
    text.retain(|c| c != '\r' && c != '\n' && c != '\0');
    let trimmed = text.trim();
    if trimmed.len() == text.len() { text } else { trimmed.to_owned() }
}

/// Header bytes as text: UTF-8 where they are (RFC 6532), otherwise Windows-1252, which is what
/// programs that send raw 8-bit headers mostly mean.
pub(crate) fn decoded(value: &[u8]) -> Cow<'_, str> {
    crate::charset::utf8_or_western(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str, is_top: bool) -> (Vec<(String, String)>, String) {
        let (headers, body) = Headers::read(raw.as_bytes(), 0, is_top, &Limits::default());
        let fields = headers.iter().map(|(n, v)| (String::from_utf8_lossy(n).into_owned(), unfolded(v)));
        (fields.collect(), raw[body..].to_owned())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn fields_are_cut_and_unfolded() {
        let (fields, body) = read("A: 1\r\nB :two\r\n\tthree\r\n\r\nbody", true);
        assert_eq!(fields, [pair("A", "1"), pair("B", "two\tthree")]);
        assert_eq!(body, "body");
    }

    #[test]
    fn a_stray_line_is_passed_over_in_a_mail_and_is_the_body_in_a_part() {
        let raw = "A: 1\nstray line\nB: 2\n\nbody";
        assert_eq!(read(raw, true), (vec![pair("A", "1"), pair("B", "2")], "body".into()));
        assert_eq!(read(raw, false), (vec![pair("A", "1")], "stray line\nB: 2\n\nbody".into()));
    }

    #[test]
    fn a_body_without_an_empty_line_before_it_is_found() {
        assert_eq!(read("A: 1\nHello there\nyou", true), (vec![pair("A", "1")], "Hello there\nyou".into()));
        assert_eq!(read("A: 1\n--b\nB: 2\n", false), (vec![pair("A", "1")], "--b\nB: 2\n".into()));
    }

    #[test]
    fn limits_cut_headers_but_find_the_body() {
        let limits = Limits { fields: 2, ..Limits::default() };
        let raw = b"A: 1\nB: 2\nC: 3\n\nbody";
        let (headers, body) = Headers::read(raw, 0, true, &limits);
        assert!(headers.is_cut && headers.has("b") && !headers.has("c"));
        assert_eq!(&raw[body..], b"body");
        let two = b"A: 1\nB: 2\n\nbody";
        assert!(!Headers::read(two, 0, true, &limits).0.is_cut);
        let limits = Limits { header_bytes: 9, ..Limits::default() };
        assert!(!Headers::read(two, 0, true, &limits).0.is_cut);
        let limits = Limits { header_bytes: 8, ..Limits::default() };
        let (cut, _) = Headers::read(two, 0, true, &limits);
        assert!(cut.is_cut && cut.text("B").as_deref() == Some(""));
    }

    #[test]
    fn raw_bytes_become_text() {
        assert_eq!(decoded("Grüße".as_bytes()), "Grüße");
        assert_eq!(decoded(b"Gr\xFC\xDFe"), "Grüße");
    }
}
