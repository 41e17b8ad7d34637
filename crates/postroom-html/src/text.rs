//! The text of HTML, for search, for lists and for people who read plain text: one pass over the
//! tags. html2text builds a tree and lays it out, which takes a millisecond for a mail of 15 KB
//! and grows with the square of the nesting; this takes a fraction and does not.

use crate::cut::Cut;
use crate::tokens::{Name, Token, Tokens, attribute};
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::add_html_token;

/// Quote marks before a line at most: deeper quotes look like this depth.
const QUOTE_DEPTH: usize = 20;
/// The longest link that is spelled out behind its text; longer ones are for machines.
const LINK_BYTES: usize = 120;
/// The longest entity is `&CounterClockwiseContourIntegral;`.
const ENTITY_BYTES: usize = 33;

/// The text of HTML, lines ending in `\n`, quotes marked with `> `. Stops near `max` bytes.
pub fn text(html: &str, max: usize) -> String {
    watched(html, max, |_, _| {})
}

/// The same; `watch` is told of each tag, and how much text stands before it.
pub fn watched(html: &str, max: usize, mut watch: impl FnMut(Token<'_>, usize)) -> String {
    let mut page = Page::default();
    for token in Tokens::new(html) {
        match token {
            Token::Text(text) => page.characters(text),
            Token::Open { name, attributes } => page.open(name, attributes),
            Token::Close { name } => page.close(name),
        }
        if !matches!(token, Token::Text(_)) {
            watch(token, page.out.len());
        }
        if page.out.len() > max {
            break;
        }
    }
    page.end_line();
    page.out
}

/// What an element does to the lines around it.
enum Breaks {
    /// Nothing.
    None,
    /// It begins and ends on a line of its own.
    Line,
    /// An empty line stands before and after it.
    Paragraph,
}

fn breaks(name: &str) -> Breaks {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "pre" | "ul" | "ol" | "dl" => {
            Breaks::Paragraph
        }
        "div" | "li" | "tr" | "table" | "center" | "section" | "article" | "header" | "footer" | "main"
        | "nav" | "aside" | "address" | "figure" | "figcaption" | "form" | "fieldset" | "dt" | "dd"
        | "caption" | "body" | "html" | "head" | "hr" | "option" => Breaks::Line,
        _ => Breaks::None,
    }
}

/// A list under way: the next number, or `None` for bullets.
type List = Option<usize>;

#[derive(Default)]
struct Page {
    out: String,
    line: String,
    /// White space that is written if something follows on this line.
    gap: bool,
    /// Empty lines wanted before the next text.
    paragraph: bool,
    /// Whether each open blockquote marks its lines: those that only indent do not.
    quotes: Vec<bool>,
    depth: usize,
    /// The quote depth of the line written last.
    last_depth: usize,
    lists: Vec<List>,
    preformatted: usize,
    /// The link under way and where its text begins on the line.
    link: Option<(String, usize)>,
}

impl Page {
    fn open(&mut self, name: Name, attributes: &str) {
        let name = name.as_str();
        self.break_lines(name);
        match name {
            "br" => self.hard_break(),
            "hr" => {
                self.line.push_str("---");
                self.end_line();
            }
            "td" | "th" => self.gap = self.gap || !self.line.is_empty(),
            "blockquote" => {
                // Gmail and Outlook indent with a quote without a border.
                let style = attribute(attributes, "style").unwrap_or_default();
                let indents = style.contains("border:none") && style.contains("margin");
                self.quotes.push(!indents);
                self.depth += usize::from(!indents);
            }
            "ul" => self.lists.push(None),
            "ol" => self.lists.push(Some(1)),
            "li" => match self.lists.last_mut() {
                Some(Some(number)) => {
                    self.line = format!("{number}. ");
                    *number += 1;
                }
                _ => "- ".clone_into(&mut self.line),
            },
            "pre" => self.preformatted += 1,
            "img" => {
                let alt = attribute(attributes, "alt").map(|alt| resolved(alt.trim())).unwrap_or_default();
                if !alt.is_empty() {
                    self.characters(&format!("[{alt}]"));
                }
            }
            "a" => {
                let href =
                    attribute(attributes, "href").map(|href| resolved(href.trim())).unwrap_or_default();
                let is_web = href.starts_with("http://") || href.starts_with("https://");
                self.link = (is_web && href.len() <= LINK_BYTES).then_some((href, self.line.len()));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: Name) {
        let name = name.as_str();
        match name {
            "a" => self.end_link(),
            "br" => return self.hard_break(),
            _ => {}
        }
        self.break_lines(name);
        match name {
            "blockquote" => {
                if let Some(marks) = self.quotes.pop() {
                    self.depth -= usize::from(marks);
                }
            }
            "ul" | "ol" => {
                self.lists.pop();
            }
            "pre" => self.preformatted = self.preformatted.saturating_sub(1),
            _ => {}
        }
    }

    /// Writes the address of a link behind its text, unless the text is the address.
    fn end_link(&mut self) {
        let Some((href, start)) = self.link.take() else { return };
        let bare = |url: &str| {
            let url = url.trim().trim_end_matches('/');
            let url = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
            url.strip_prefix("www.").unwrap_or(url).to_lowercase()
        };
        let label = self.line.get(start..).unwrap_or_default();
        if !label.trim().is_empty() && bare(label) != bare(&href) {
            self.line.push_str(" <");
            self.line.push_str(&href);
            self.line.push('>');
        }
    }

    fn break_lines(&mut self, name: &str) {
        match breaks(name) {
            Breaks::None => {}
            Breaks::Line => self.end_line(),
            Breaks::Paragraph => {
                self.end_line();
                self.paragraph = true;
            }
        }
    }

    /// Ends the line if there is anything on it.
    fn end_line(&mut self) {
        if !self.line.trim().is_empty() {
            self.write_line();
        }
        self.line.clear();
        self.gap = false;
        if let Some((_, start)) = &mut self.link {
            *start = 0;
        }
    }

    /// Ends the line; an empty one becomes an empty line.
    fn hard_break(&mut self) {
        if self.line.trim().is_empty() {
            self.paragraph = true;
        }
        self.end_line();
    }

    fn write_line(&mut self) {
        if self.paragraph && !self.out.is_empty() {
            self.mark(self.depth.min(self.last_depth));
            self.out.push('\n');
        }
        self.paragraph = false;
        self.last_depth = self.depth;
        self.mark(self.depth);
        if self.depth > 0 {
            self.out.push(' ');
        }
        self.out.push_str(self.line.trim_end());
        self.out.push('\n');
    }

    fn mark(&mut self, depth: usize) {
        for _ in 0..depth.min(QUOTE_DEPTH) {
            self.out.push('>');
        }
    }

    fn characters(&mut self, text: &str) {
        if !text.contains('&') {
            return self.words(text);
        }
        let text = resolved(text);
        self.words(&text);
    }

    /// Puts characters on the line, white space folded (CSS Text section 4.1.1).
    fn words(&mut self, text: &str) {
        if self.preformatted > 0 {
            let mut lines = text.split('\n');
            self.line.push_str(lines.next().unwrap_or_default());
            for line in lines {
                self.write_line();
                self.line.clear();
                self.line.push_str(line.trim_end_matches('\r'));
            }
            return;
        }
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| !c.is_ascii_whitespace()) {
            self.gap = self.gap || start > 0;
            let word = rest.tail(start);
            let end = word.find(|c: char| c.is_ascii_whitespace()).unwrap_or(word.len());
            if self.gap && !self.line.is_empty() && !self.line.ends_with(' ') {
                self.line.push(' ');
            }
            self.gap = false;
            for c in word.head(end).chars() {
                match c {
                    '\u{A0}' => self.line.push(' '),
                    // Soft hyphens and joiners that newsletters fill their preview text with.
                    '\u{AD}' | '\u{34F}' | '\u{200B}' | '\u{FEFF}' | '\0' => {}
                    c => self.line.push(c),
                }
            }
            rest = word.tail(end);
        }
        self.gap = self.gap || !rest.is_empty();
    }
}

/// Text with its entities resolved.
pub fn resolved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(rest.head(at));
        rest = rest.tail(at);
        let bytes = rest.as_bytes();
        let length =
            bytes.iter().skip(1).take(ENTITY_BYTES).position(|b| !(b.is_ascii_alphanumeric() || *b == b'#'));
        let length = length.map_or(bytes.len().min(ENTITY_BYTES), |l| l + 1);
        let has_end = bytes.get(length) == Some(&b';');
        let entity = rest.head(length);
        if let Some(c) = number(entity) {
            out.push(c);
        } else if has_end {
            add_html_token(&mut out, bytes.head(length + 1), false);
        } else {
            out.push_str(match entity {
                "&nbsp" => "\u{A0}",
                "&amp" => "&",
                "&lt" => "<",
                "&gt" => ">",
                "&quot" => "\"",
                other => other,
            });
        }
        rest = rest.tail(length + usize::from(has_end));
    }
    out.push_str(rest);
    out
}

/// The character of `&#8364` or `&#x20ac`. The numbers 128 to 159 mean Windows-1252 (HTML
/// standard section 13.2.5.80).
fn number(entity: &str) -> Option<char> {
    let digits = entity.strip_prefix("&#")?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    match (u8::try_from(code), charset_decoder(b"windows-1252")) {
        (Ok(byte @ 0x80..=0x9F), Some(decoder)) => decoder(&[byte]).chars().next(),
        _ => char::from_u32(code).or(Some('\u{FFFD}')),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    fn all(html: &str) -> String {
        text(html, 1 << 20)
    }

    #[test]
    fn blocks_make_lines() {
        assert_eq!(all("<p>One\n  two</p><p>Three<br>four</p>"), "One two\n\nThree\nfour\n");
        assert_eq!(all("<div>a</div><div><br></div><div>b</div>"), "a\n\nb\n");
        assert_eq!(all("<div>a</div>\n<div>b</div>"), "a\nb\n");
        assert_eq!(all("a <b>b</b> c<i>d</i>"), "a b cd\n");
        assert_eq!(all("<p>a</p><p>&nbsp;</p><p>b</p>"), "a\n\nb\n");
        assert_eq!(all("a<hr>b"), "a\n---\nb\n");
        assert_eq!(all(""), "");
    }

    #[test]
    fn lists_tables_and_code() {
        assert_eq!(all("<ul><li>a<li>b</ul><ol><li>c</li><li>d</li></ol>"), "- a\n- b\n\n1. c\n2. d\n");
        assert_eq!(all("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"), "a b\nc\n");
        assert_eq!(all("<pre>a\n  b\n\nc</pre>"), "a\n  b\n\nc\n");
    }

    #[test]
    fn quotes_are_marked() {
        let html = "Yes<blockquote type=cite>No?<br><blockquote>Old</blockquote></blockquote>";
        assert_eq!(all(html), "Yes\n\n> No?\n>\n>> Old\n");
        let indented = "<blockquote style=\"margin:0 0 0 40px;border:none\">a</blockquote>";
        assert_eq!(all(indented), "a\n");
        assert_eq!(all("</blockquote>a"), "a\n");
    }

    #[test]
    fn links_and_pictures() {
        assert_eq!(all("<a href='https://x.example/'>x.example</a>"), "x.example\n");
        assert_eq!(
            all("See <a href='https://x.example/?a=1&amp;b'>this</a>."),
            "See this <https://x.example/?a=1&b>.\n"
        );
        assert_eq!(all("<a href='mailto:a@b.c'>Ada</a>"), "Ada\n");
        assert_eq!(all("<img src=x><img alt='Our logo'>"), "[Our logo]\n");
    }

    #[test]
    fn entities_are_resolved() {
        assert_eq!(
            all("&lt;b&gt; &amp;amp; &euro;&#8364;&#x20AC;&#128; &nosuch; a&b"),
            "<b> &amp; €€€€ &nosuch; a&b\n"
        );
        assert_eq!(all("a&nbsp;b &amp c & d &"), "a b & c & d &\n");
        assert_eq!(all("&#xFFFFFFF;&#;"), "\u{FFFD}&#;\n");
        assert_eq!(all("a&shy;b&#8203;c"), "abc\n");
    }

    #[test]
    fn what_is_not_shown_is_left_out() {
        assert_eq!(
            all("<head><title>T</title><style>p{}</style></head><body>a<script>b</script></body>"),
            "a\n"
        );
    }

    #[test]
    fn output_is_bounded() {
        assert!(text(&"<p>abc".repeat(1000), 100).len() < 200);
        assert!(all(&format!("{}x", "<blockquote>".repeat(5000))).len() < 100);
    }
}
