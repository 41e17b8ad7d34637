//! The parts of a mail (RFC 2046), found in one pass and kept in a flat list.
//!
//! mail-parser's own tree of parts is not used: it parses nested mails into nested values, and a
//! mail of 300 KB with 10,000 of them inside one another overflows the stack when that value is
//! dropped, which no `catch_unwind` stops. Here a nested mail is a file, nothing recurses, and
//! depth and number are held within the limits while reading.

use crate::cut::Cut;
use crate::decode::{self, Encoding};
use crate::fields::{self, Media};
use crate::headers::{Headers, line_at, unfolded};
use crate::limits::Limits;
use std::borrow::Cow;
use std::collections::HashMap;

/// One part: the mail itself, a multipart, or something with content.
#[derive(Debug)]
pub(crate) struct Node<'x> {
    /// Its header block.
    pub(crate) headers: Headers<'x>,
    /// Its type, as declared or implied (RFC 2046 section 5.1.5).
    pub(crate) media: Media,
    /// How to show it, where it says so.
    pub(crate) disposition: Option<Media>,
    /// How its bytes are encoded.
    pub(crate) encoding: Encoding,
    /// The multipart it stands in.
    pub(crate) parent: Option<usize>,
    /// The first part of its multipart, or the only part.
    pub(crate) is_first: bool,
    /// It only holds other parts.
    pub(crate) is_container: bool,
    /// Its bytes, still encoded.
    pub(crate) body: &'x [u8],
}

impl<'x> Node<'x> {
    /// The decoded text, at most `limits.text_bytes` bytes of it.
    pub(crate) fn text(&self, limits: &Limits) -> Cow<'x, str> {
        let bytes = decode::text(self.encoding, self.body, limits.text_bytes);
        let charset = self.media.parameter("charset").map(str::to_owned);
        let charset =
            charset.or_else(|| (self.media.kind == "text/html").then(|| html_charset(&bytes)).flatten());
        crate::charset::decode(bytes, charset.as_deref())
    }

    /// Hands the decoded bytes to `sink`, piece by piece.
    pub(crate) fn stream(&self, sink: &mut dyn FnMut(&[u8])) {
        decode::stream(self.encoding, self.body, sink);
    }

    /// Content-ID without angle brackets.
    pub(crate) fn content_id(&self) -> Option<String> {
        self.headers.first("Content-ID").map(fields::bracketed).filter(|id| !id.is_empty())
    }

    /// The name it is sent under, as sent.
    pub(crate) fn name(&self) -> Option<&str> {
        let disposition = self.disposition.as_ref().and_then(|d| d.parameter("filename"));
        disposition.or_else(|| self.media.parameter("name")).filter(|name| !name.trim().is_empty())
    }

    /// It asks to be shown beside the text.
    pub(crate) fn is_attachment(&self) -> bool {
        self.disposition.as_ref().is_some_and(|d| d.kind != "inline")
    }
}

/// The charset that HTML itself names, for mails whose header does not.
fn html_charset(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.head(1024)).to_ascii_lowercase();
    let at = head.find("charset=")? + "charset=".len();
    let name = head.tail(at).trim_start_matches(['"', '\'', ' ']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).unwrap_or(name.len());
    (end > 0).then(|| name.head(end).to_owned())
}

/// A mail cut into its parts; the first is the mail itself.
#[derive(Debug)]
pub(crate) struct Tree<'x> {
    /// All parts, in the order they stand in the mail.
    pub(crate) nodes: Vec<Node<'x>>,
    /// Which limits left something out, in words.
    pub(crate) cuts: Vec<&'static str>,
}

impl<'x> Tree<'x> {
    /// The mail's own part.
    pub(crate) fn top(&self) -> &Node<'x> {
        self.nodes.first().expect("reading makes a part of the mail itself before all others")
    }

    /// The type of a part; of none where there is no such part.
    pub(crate) fn kind(&self, of: usize) -> &str {
        self.nodes.get(of).map_or("", |node| node.media.kind.as_str())
    }

    /// The nearest multipart/alternative around a part.
    pub(crate) fn alternative(&self, of: usize) -> Option<usize> {
        let mut parent = self.nodes.get(of)?.parent?;
        loop {
            let node = self.nodes.get(parent)?;
            if node.media.kind == "multipart/alternative" {
                return Some(parent);
            }
            parent = node.parent?;
        }
    }

    /// The first part of one of these types.
    pub(crate) fn first_of(&self, kinds: &[&str]) -> Option<&Node<'x>> {
        self.nodes.iter().find(|n| !n.is_container && kinds.contains(&n.media.kind.as_str()))
    }
}

/// A multipart whose end has not come yet.
struct Open {
    node: usize,
    boundary: Vec<u8>,
    /// One of its delimiters was seen: it really is a multipart.
    is_begun: bool,
    /// The outer one with the same boundary, which can't be seen as long as this is open.
    hidden: Option<usize>,
}

/// The multiparts that are open, the innermost last.
#[derive(Default)]
struct Stack {
    open: Vec<Open>,
    /// The level of each boundary: a mail may hold a delimiter in every line, and none that fits.
    levels: HashMap<Vec<u8>, usize>,
}

impl Stack {
    fn push(&mut self, node: usize, boundary: &[u8]) {
        let hidden = self.levels.insert(boundary.to_vec(), self.open.len());
        self.open.push(Open { node, boundary: boundary.to_vec(), is_begun: false, hidden });
    }

    fn pop(&mut self) -> Option<Open> {
        let last = self.open.pop()?;
        match last.hidden {
            Some(level) => self.levels.insert(last.boundary.clone(), level),
            None => self.levels.remove(&last.boundary),
        };
        Some(last)
    }

    /// The multipart that this line behind its two dashes is a delimiter of, and whether it is
    /// the last one.
    fn level(&self, line: &[u8]) -> Option<(usize, bool)> {
        let found = |boundary: &[u8]| self.levels.get(boundary).copied();
        let last = || line.strip_suffix(b"--").and_then(found).map(|level| (level, true));
        found(line).map(|level| (level, false)).or_else(last)
    }
}

/// A line that ends a part.
struct Delimiter {
    level: usize,
    is_last: bool,
    /// Where the line begins, and where the next one does.
    start: usize,
    next: usize,
}

/// Cuts a mail into parts. `raw` begins with its first header.
pub(crate) fn read<'x>(raw: &'x [u8], limits: &Limits) -> Tree<'x> {
    let mut tree = Tree { nodes: Vec::new(), cuts: Vec::new() };
    let mut stack = Stack::default();
    let mut at = 0;
    'parts: loop {
        let index = tree.nodes.len();
        let parent = stack.open.last().map(|o| o.node);
        let (headers, body) = Headers::read(raw, at, index == 0, limits);
        note(&mut tree.cuts, headers.is_cut, "more headers than are read");
        let is_first = parent.is_none_or(|p| p + 1 == index);
        let in_digest = parent.is_some_and(|p| tree.kind(p) == "multipart/digest");
        let mut node = new_node(headers, in_digest, limits);
        node.parent = parent;
        node.is_first = is_first;
        if node.media.is_a("multipart")
            && let Some(boundary) = node.media.parameter("boundary").map(str::trim_end)
            && !boundary.is_empty()
        {
            if stack.open.len() < limits.depth {
                stack.push(index, boundary.as_bytes());
                node.is_container = true;
            } else {
                note(&mut tree.cuts, true, "parts nested deeper than is read");
            }
        }
        let mut found = delimiter(raw, body, &stack);
        let end = found.as_ref().map_or(raw.len(), |d| end_before(raw, body, d.start));
        node.body = raw.head(end).tail(body);
        tree.nodes.push(node);
        loop {
            let level = found.as_ref().map(|d| d.level);
            // A multipart whose delimiter never came was none: what it holds is its text.
            while stack.open.last().is_some_and(|o| !o.is_begun) && level != Some(stack.open.len() - 1) {
                if let Some(node) = stack.pop().and_then(|none| tree.nodes.get_mut(none.node)) {
                    node.is_container = false;
                    node.media = Media::plain("text/plain");
                }
            }
            let Some(hit) = found else { break 'parts };
            while stack.open.len() > hit.level + 1 {
                stack.pop();
            }
            if !hit.is_last {
                if let Some(current) = stack.open.last_mut() {
                    current.is_begun = true;
                }
                at = hit.next;
                break;
            }
            stack.pop();
            if stack.open.is_empty() {
                break 'parts;
            }
            found = delimiter(raw, hit.next, &stack);
        }
        if tree.nodes.len() >= limits.parts {
            note(&mut tree.cuts, true, "more parts than are read");
            break;
        }
    }
    tree
}

fn note(cuts: &mut Vec<&'static str>, is_cut: bool, what: &'static str) {
    if is_cut && !cuts.contains(&what) {
        cuts.push(what);
    }
}

fn new_node<'x>(headers: Headers<'x>, in_digest: bool, limits: &Limits) -> Node<'x> {
    let declared = headers.first("Content-Type").and_then(|value| fields::media(value, limits.field_bytes));
    let media = match declared {
        Some(mut media) => {
            if !media.kind.contains('/') {
                let kind = if media.kind == "text" { "text/plain" } else { "application/octet-stream" };
                kind.clone_into(&mut media.kind);
            }
            media
        }
        None if in_digest => Media::plain("message/rfc822"),
        None => Media::plain("text/plain"),
    };
    let disposition =
        headers.first("Content-Disposition").and_then(|value| fields::media(value, limits.field_bytes));
    let encoding = headers.first("Content-Transfer-Encoding").map(|value| Encoding::named(&unfolded(value)));
    Node {
        headers,
        media,
        disposition,
        encoding: encoding.unwrap_or_default(),
        parent: None,
        is_first: true,
        is_container: false,
        body: &[],
    }
}

/// The next line from `at` on that is a delimiter of an open multipart (RFC 2046 section 5.1.1).
/// A delimiter of an outer one ends the inner ones that were left open.
fn delimiter(raw: &[u8], mut at: usize, stack: &Stack) -> Option<Delimiter> {
    if stack.open.is_empty() {
        return None;
    }
    while at < raw.len() {
        let (line, next) = line_at(raw, at);
        // Spaces behind a boundary were put there on the way.
        let behind = line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end);
        if let Some((level, is_last)) = behind.and_then(|line| stack.level(line)) {
            return Some(Delimiter { level, is_last, start: at, next });
        }
        at = next;
    }
    None
}

/// Where a body ends that stands before a delimiter line: the line break belongs to the delimiter.
fn end_before(raw: &[u8], body: usize, delimiter: usize) -> usize {
    let kept = raw.head(delimiter).tail(body).strip_suffix(b"\n").map(|b| b.strip_suffix(b"\r").unwrap_or(b));
    kept.map_or(delimiter, |kept| body + kept.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(raw: &str, limits: &Limits) -> Vec<(String, String, Option<usize>)> {
        let tree = read(raw.as_bytes(), limits);
        let part = |n: &Node<'_>| {
            let body =
                if n.is_container { String::new() } else { String::from_utf8_lossy(n.body).into_owned() };
            (n.media.kind.clone(), body, n.parent)
        };
        tree.nodes.iter().map(part).collect()
    }

    fn part(kind: &str, body: &str, parent: usize) -> (String, String, Option<usize>) {
        (kind.to_owned(), body.to_owned(), Some(parent))
    }

    #[test]
    fn parts_are_found_in_order() {
        let raw = "Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a\n\
            Content-Type: multipart/alternative; boundary=\"a1\"\n\n--a1\n\nplain\n--a1\n\
            Content-Type: text/html\n\n<p>html\n--a1--\n\n--a\nContent-Type: image/png\n\nPNG\n--a--\nepilogue";
        for raw in [raw.to_owned(), raw.replace('\n', "\r\n")] {
            let found = shape(&raw, &Limits::default());
            assert_eq!(found[1].0, "multipart/alternative");
            assert_eq!(
                found[2..],
                [
                    part("text/plain", "plain", 1),
                    part("text/html", "<p>html", 1),
                    part("image/png", "PNG", 0)
                ]
            );
        }
    }

    #[test]
    fn an_outer_delimiter_ends_what_was_left_open() {
        let raw = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\
            Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--a\n\ntwo";
        let found = shape(raw, &Limits::default());
        assert_eq!(found[2..], [part("text/plain", "one", 1), part("text/plain", "two", 0)]);
    }

    #[test]
    fn a_multipart_without_delimiters_is_text() {
        let raw = "Content-Type: multipart/mixed; boundary=a\n\nHello\n";
        assert_eq!(shape(raw, &Limits::default()), [("text/plain".into(), "Hello\n".into(), None)]);
        let raw = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\
            Content-Type: multipart/mixed; boundary=b\n\nHello\n--a--\n";
        assert_eq!(shape(raw, &Limits::default())[1], part("text/plain", "Hello", 0));
        let raw = "Content-Type: multipart/mixed\n\nHello\n";
        assert_eq!(shape(raw, &Limits::default())[0].1, "Hello\n");
    }

    #[test]
    fn a_nested_mail_is_one_part() {
        let raw = "Content-Type: multipart/digest; boundary=a\n\n--a\n\n\
            Subject: inner\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--a--\n";
        let found = shape(raw, &Limits::default());
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].0, "message/rfc822");
        assert!(found[1].1.starts_with("Subject: inner") && found[1].1.ends_with("--b--"));
    }

    #[test]
    fn part_without_headers_or_content() {
        let raw =
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\n\n--a\nContent-Type: image/png\n--a--\n";
        let found = shape(raw, &Limits::default());
        assert_eq!(
            found[1..],
            [part("text/plain", "", 0), part("text/plain", "", 0), part("image/png", "", 0)]
        );
    }

    #[test]
    fn limits_hold_at_the_edge() {
        let nested = |depth: usize| -> String {
            (0..depth)
                .map(|i| format!("Content-Type: multipart/mixed; boundary=b{i}x\n\n--b{i}x\n"))
                .collect::<Vec<_>>()
                .concat()
        };
        let limits = Limits { depth: 3, ..Limits::default() };
        let three = nested(3);
        let four = nested(4);
        assert!(read(three.as_bytes(), &limits).cuts.is_empty());
        let deeper = read(four.as_bytes(), &limits);
        assert_eq!(deeper.cuts, ["parts nested deeper than is read"]);
        assert!(!deeper.nodes[3].is_container);
        let parts = |n: usize| {
            format!("Content-Type: multipart/mixed; boundary=a\n\n{}--a--\n", "--a\n\nx\n".repeat(n))
        };
        let limits = Limits { parts: 4, ..Limits::default() };
        let whole = parts(3);
        assert_eq!(read(whole.as_bytes(), &limits).nodes.len(), 4);
        let more = parts(4);
        let cut = read(more.as_bytes(), &limits);
        assert_eq!((cut.nodes.len(), cut.cuts), (4, vec!["more parts than are read"]));
    }

    #[test]
    fn html_may_name_its_charset() {
        let raw = b"Content-Type: text/html\n\n<meta charset=\"windows-1251\">\xCF\xF0\xE8\xE2\xE5\xF2";
        assert!(read(raw, &Limits::default()).top().text(&Limits::default()).ends_with("Привет"));
    }
}
