//! HTML cut into tags and text in one pass, without a tree: its cost is linear whatever is in it.
//! The states of a tag follow the HTML standard's tokenizer (section 13.2.5), so that a tag ends
//! here where it ends in a browser.

use crate::cut::Cut;

/// A tag's name in lower case. Names longer than any element's are empty: nobody asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Name::LONGEST],
    length: usize,
}

impl Name {
    const LONGEST: usize = 12;

    fn of(name: &[u8]) -> Self {
        let mut bytes = [0; Self::LONGEST];
        let length = if name.len() <= Self::LONGEST { name.len() } else { 0 };
        for (to, from) in bytes.iter_mut().take(length).zip(name) {
            *to = from.to_ascii_lowercase();
        }
        Self { bytes, length }
    }

    /// The name padded with zeros, for comparing.
    pub fn bytes(self) -> [u8; Self::LONGEST] {
        self.bytes
    }

    /// The name; empty where it is too long or not ASCII.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes.head(self.length)).unwrap_or_default()
    }
}

/// A piece of HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'x> {
    /// Characters, entities not yet resolved.
    Text(&'x str),
    /// `<name attributes>`.
    Open {
        /// The element.
        name: Name,
        /// All behind the name.
        attributes: &'x str,
    },
    /// `</name>`.
    Close {
        /// The element.
        name: Name,
    },
}

/// Elements whose content is no markup (sections 13.2.5.2 to 13.2.5.5); of these only the
/// content is passed over. What is not closed swallows the rest, as it does in a browser.
const RAW: [&str; 9] =
    ["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"];

/// The tokens of HTML; comments, declarations and the content of scripts and styles are left out.
#[derive(Debug)]
pub struct Tokens<'x> {
    html: &'x str,
    at: usize,
    /// The most attributes of one tag so far, one that never ends included.
    pub most_attributes: usize,
}

impl<'x> Tokens<'x> {
    /// Reads from the start.
    pub fn new(html: &'x str) -> Self {
        Self { html, at: 0, most_attributes: 0 }
    }

    /// Where the tag ends whose attributes begin at `at`.
    fn tag_end(&mut self, at: usize) -> Option<usize> {
        let mut count = 0;
        let end = tag_end(self.html.as_bytes(), at, &mut count);
        self.most_attributes = self.most_attributes.max(count);
        end
    }

    /// The position behind the first `mark` from `from` on; the end where there is none.
    fn behind(&self, from: usize, mark: &str) -> usize {
        let rest = self.html.get(from..).unwrap_or_default();
        rest.find(mark).map_or(self.html.len(), |found| from + found + mark.len())
    }

    /// Passes over the content of a raw element, up to its closing tag. That of `plaintext` has
    /// none.
    fn skip_raw(&mut self, name: &str) {
        let bytes = self.html.as_bytes();
        let mut at = self.at;
        self.at = bytes.len();
        if name == "plaintext" {
            return;
        }
        while let Some(found) = self.html.get(at..).and_then(|rest| rest.find("</")) {
            at += found + 2;
            let end = at + name.len();
            let is_end = bytes.get(at..end).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
            if is_end && bytes.get(end).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>')) {
                self.at = at - 2;
                return;
            }
        }
    }
}

/// Where a tag ends whose attributes begin at `at`: behind its `>`; `None` where it never does.
/// Counts its attributes in `count`.
fn tag_end(bytes: &[u8], mut at: usize, count: &mut usize) -> Option<usize> {
    let blank = |b: u8| b.is_ascii_whitespace() || b == b'/';
    let ends_name = |b: u8| blank(b) || matches!(b, b'>' | b'=');
    let ends_value = |b: u8| b.is_ascii_whitespace() || b == b'>';
    loop {
        while blank(*bytes.get(at)?) {
            at += 1;
        }
        if bytes.get(at) == Some(&b'>') {
            return Some(at + 1);
        }
        // An attribute's name; an equals sign at its start belongs to it.
        *count += 1;
        at += 1;
        while !ends_name(*bytes.get(at)?) {
            at += 1;
        }
        while bytes.get(at)?.is_ascii_whitespace() {
            at += 1;
        }
        if bytes.get(at) != Some(&b'=') {
            continue;
        }
        at += 1;
        while bytes.get(at)?.is_ascii_whitespace() {
            at += 1;
        }
        match *bytes.get(at)? {
            quote @ (b'"' | b'\'') => at += 2 + bytes.tail(at + 1).iter().position(|b| *b == quote)?,
            b'>' => return Some(at + 1),
            _ => {
                while !ends_value(*bytes.get(at)?) {
                    at += 1;
                }
            }
        }
    }
}

impl<'x> Iterator for Tokens<'x> {
    type Item = Token<'x>;

    fn next(&mut self) -> Option<Token<'x>> {
        let bytes = self.html.as_bytes();
        while let Some(first) = bytes.get(self.at) {
            let start = self.at;
            let rest = self.html.tail(start);
            if *first != b'<' {
                let text = rest.head(rest.find('<').unwrap_or(rest.len()));
                self.at = start + text.len().max(1);
                return Some(Token::Text(text));
            }
            match bytes.get(start + 1) {
                Some(b'!') if rest.starts_with("<!--") => {
                    let comment = rest.tail(4);
                    self.at = if comment.starts_with('>') || comment.starts_with("->") {
                        self.behind(start + 4, ">")
                    } else {
                        self.behind(start + 4, "-->")
                    };
                }
                Some(b'!') if rest.starts_with("<![CDATA[") => {
                    self.at = self.behind(start, "]]>");
                }
                Some(b'/') if bytes.get(start + 2).is_some_and(u8::is_ascii_alphabetic) => {
                    let end = name_end(bytes, start + 2);
                    self.at = self.tag_end(end).unwrap_or(bytes.len());
                    return Some(Token::Close {
                        name: Name::of(bytes.get(start + 2..end).unwrap_or_default()),
                    });
                }
                Some(b'!' | b'?' | b'/') => self.at = self.behind(start, ">"),
                Some(letter) if letter.is_ascii_alphabetic() => {
                    let end = name_end(bytes, start + 1);
                    let name = Name::of(bytes.get(start + 1..end).unwrap_or_default());
                    let close = self.tag_end(end);
                    self.at = close.unwrap_or(bytes.len());
                    // A tag that never ends is none.
                    let attributes = self.html.get(end..close?.saturating_sub(1)).unwrap_or_default();
                    if RAW.contains(&name.as_str()) {
                        self.skip_raw(name.as_str());
                    }
                    return Some(Token::Open { name, attributes });
                }
                _ => {
                    // A lone `<` is text, up to the next one.
                    let text = rest.head(rest.tail(1).find('<').map_or(rest.len(), |found| 1 + found));
                    self.at = start + text.len();
                    return Some(Token::Text(text));
                }
            }
        }
        None
    }
}

fn name_end(bytes: &[u8], start: usize) -> usize {
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>');
    bytes.tail(start).iter().position(ends).map_or(bytes.len(), |found| start + found)
}

/// The value of one attribute among a tag's, entities not resolved; `name` in lower case.
pub fn attribute<'x>(attributes: &'x str, name: &str) -> Option<&'x str> {
    let bytes = attributes.as_bytes();
    let is = |at: usize, wanted: fn(&u8) -> bool| bytes.get(at).is_some_and(wanted);
    let mut at = 0;
    while at < bytes.len() {
        while is(at, |b| b.is_ascii_whitespace() || *b == b'/') {
            at += 1;
        }
        let start = at;
        while is(at, |b| !(b.is_ascii_whitespace() || matches!(b, b'/' | b'='))) {
            at += 1;
        }
        // An equals sign at the start belongs to the name; never stand still.
        at = at.max(start + 1);
        let found = attributes.get(start..at.min(bytes.len())).unwrap_or_default();
        while is(at, u8::is_ascii_whitespace) {
            at += 1;
        }
        let mut value = "";
        if bytes.get(at) == Some(&b'=') {
            at += 1;
            while is(at, u8::is_ascii_whitespace) {
                at += 1;
            }
            let (from, to, next) = if let Some(quote @ (b'"' | b'\'')) = bytes.get(at) {
                let length = bytes.tail(at + 1).iter().position(|b| b == quote);
                let end = length.map_or(bytes.len(), |l| at + 1 + l);
                (at + 1, end, end + 1)
            } else {
                let length = bytes.tail(at).iter().position(u8::is_ascii_whitespace);
                let end = length.map_or(bytes.len(), |l| at + l);
                (at, end, end)
            };
            value = attributes.get(from..to).unwrap_or_default();
            at = next;
        }
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(html: &str) -> String {
        let one = |token| match token {
            Token::Text(text) => format!("'{text}'"),
            Token::Open { name, attributes } => format!("<{}|{attributes}>", name.as_str()),
            Token::Close { name } => format!("</{}>", name.as_str()),
        };
        Tokens::new(html).map(one).collect()
    }

    #[test]
    fn tags_and_text() {
        assert_eq!(spelled("a<P Class=x>b</p >c"), "'a'<p| Class=x>'b'</p>'c'");
        assert_eq!(spelled("<br/>1 < 2"), "<br|/>'1 ''< 2'");
        assert_eq!(spelled("<a href='x>y' b=\">\">z"), "<a| href='x>y' b=\">\">'z'");
        assert_eq!(spelled("<a =x> <a b=>"), "<a| =x>' '<a| b=>");
        assert_eq!(spelled("<a href=\"never"), "");
        assert_eq!(spelled("<o:p>x</o:p>"), "<o:p|>'x'</o:p>");
    }

    #[test]
    fn what_is_no_content_is_left_out() {
        assert_eq!(spelled("a<!-- <b> -->c<!doctype html><?x?></ x>d"), "'a''c''d'");
        assert_eq!(spelled("<!-->a<!--->b"), "'a''b'");
        assert_eq!(spelled("<style>p > b {}</STYLE>x"), "<style|></style>'x'");
        assert_eq!(spelled("<script>'</scripts>'</script >x"), "<script|></script>'x'");
        assert_eq!(spelled("<title>never"), "<title|>");
        assert_eq!(spelled("a<!-- never"), "'a'");
        assert_eq!(spelled("<![CDATA[<b>]]>x"), "'x'");
    }

    #[test]
    fn attributes_are_counted() {
        let most = |html: &str| {
            let mut tokens = Tokens::new(html);
            while tokens.next().is_some() {}
            tokens.most_attributes
        };
        assert_eq!(most("<p><a b c=1 d='e f'g=\"h\"/i></p x y>"), 5);
        assert_eq!(most("</p x/y>"), 2);
        assert_eq!(most("<p a b c"), 3);
        assert_eq!(most("a b=c"), 0);
    }

    #[test]
    fn attributes_are_found() {
        let tag = " href=\"a b\" Class='c' x y=z/w disabled";
        assert_eq!(attribute(tag, "href"), Some("a b"));
        assert_eq!(attribute(tag, "class"), Some("c"));
        assert_eq!(attribute(tag, "y"), Some("z/w"));
        assert_eq!(attribute(tag, "disabled"), Some(""));
        assert_eq!(attribute(tag, "z"), None);
        assert_eq!(attribute(" a='' b=c", "b"), Some("c"));
        assert_eq!(attribute(" = =b c=d", "c"), Some("d"));
        assert_eq!(attribute("é=ü x=1", "x"), Some("1"));
    }
}
