//! What HTML would cost a parser that builds a tree, known before one is built. The sanitiser's
//! tree grows with the square of the nesting, and formatting elements that are left open are
//! built again in every block (HTML standard section 13.2.4.3), so that 256 KB could become
//! millions of nodes.

use crate::tokens::{Name, Token, Tokens};

/// Tags, texts and entities of a mail: what stands in a table but in no cell is put before the table
/// one by one, each after a search, so that their number counts by its square.
const NODES: usize = 20_000;
/// Formatting elements that may be built again, all blocks of a mail together.
const REBUILT: usize = 100_000;
/// Attributes of one tag: each is compared with all before it.
const ATTRIBUTES: usize = 200;
/// Of formatting elements that are alike, only so many are built again (section 13.2.4.3).
const ALIKE: usize = 3;

/// Elements that have no content (section 13.1.2), and those that the next of their kind ends:
/// they can't nest without one of the others between them.
const SHALLOW: [&str; 32] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "option",
    "optgroup", "rp", "rt", "html", "head", "body",
];

/// Elements that are opened again in the next block when they were not closed.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// An element that was opened and not closed.
struct Open<'x> {
    name: Name,
    attributes: &'x str,
    /// It goes on in the next block.
    is_formatting: bool,
    /// And would be built again there.
    is_rebuilt: bool,
}

/// What the HTML of one mail may still cost, all its parts together: a thousand small ones would
/// otherwise cost a thousand times what one may.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// Bytes that are looked at.
    bytes: usize,
    nodes: usize,
    rebuilt: usize,
}

impl Allowance {
    /// For a mail whose HTML may have so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, nodes: NODES, rebuilt: REBUILT }
    }

    /// Whether a tree of this HTML stays within `depth` elements inside one another and can be built
    /// in bearable time: with all that was borne before it about a fifth of a second at worst. What
    /// lies at the edge may be refused though a browser would bear it, and what is refused has cost
    /// its bytes all the same.
    pub fn bears(&mut self, html: &str, depth: usize) -> bool {
        if html.len() > self.bytes {
            return false;
        }
        self.bytes -= html.len();
        let Some((nodes, rebuilt)) = cost(html, depth, self.nodes, self.rebuilt) else { return false };
        self.nodes -= nodes;
        self.rebuilt -= rebuilt;
        true
    }
}

/// The nodes and the formatting that is built again, where there are not more of each than this.
fn cost(html: &str, depth: usize, most_nodes: usize, most_rebuilt: usize) -> Option<(usize, usize)> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut formatting = 0;
    let mut rebuilt = 0;
    let mut paragraphs = 0_usize;
    let mut nodes = html.bytes().filter(|b| *b == b'&').count();
    let mut tokens = Tokens::new(html);
    for token in tokens.by_ref() {
        rebuilt += formatting;
        if nodes > most_nodes || rebuilt > most_rebuilt {
            return None;
        }
        match token {
            Token::Text(_) => nodes += 1,
            Token::Open { name, attributes } => {
                nodes += 1;
                paragraphs += usize::from(name.as_str() == "p");
                if SHALLOW.contains(&name.as_str()) {
                    continue;
                }
                let is_formatting = FORMATTING.contains(&name.as_str());
                let alike = || open.iter().filter(|o| o.name == name && o.attributes == attributes).count();
                let is_rebuilt = is_formatting && alike() < ALIKE;
                formatting += usize::from(is_rebuilt);
                open.push(Open { name, attributes, is_formatting, is_rebuilt });
                if open.len() > depth {
                    return None;
                }
            }
            Token::Close { name } => {
                // These two make an element where there is none to close (section 13.2.6.4.7).
                match name.as_str() {
                    "br" => nodes += 1,
                    "p" if paragraphs == 0 => nodes += 1,
                    "p" => paragraphs -= 1,
                    _ => {}
                }
                // An end tag reaches no further than the table it stands in.
                let found = open.iter().rposition(|o| o.name == name || o.name.as_str() == "table");
                let Some((found, element)) = found.and_then(|at| Some((at, open.get(at)?))) else { continue };
                if element.name != name {
                    continue;
                }
                if name.as_str() == "table" {
                    open.truncate(found);
                } else if element.is_formatting {
                    open.remove(found);
                } else {
                    // What stood in it goes with it, but formatting goes on behind it.
                    let mut at = 0;
                    open.retain(|element| {
                        at += 1;
                        at <= found || element.is_formatting
                    });
                }
                formatting = open.iter().filter(|o| o.is_rebuilt).count();
            }
        }
    }
    (nodes <= most_nodes && rebuilt <= most_rebuilt && tokens.most_attributes <= ATTRIBUTES)
        .then_some((nodes, rebuilt))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_bearable(html: &str, depth: usize) -> bool {
        Allowance::new(usize::MAX).bears(html, depth)
    }

    #[test]
    fn what_was_borne_before_counts() {
        let mut left = Allowance::new(usize::MAX);
        let half = "x<br>".repeat(NODES / 4);
        assert!(left.bears(&half, 256) && left.bears(&half, 256));
        assert!(!left.bears("x", 256), "no node is left");
        let open: String = (0..100).map(|i| format!("<font size={i}>")).collect::<Vec<_>>().concat();
        let part = format!("{open}{}", "<p>x".repeat(240));
        let mut left = Allowance::new(usize::MAX);
        assert!(left.bears(&part, 256), "48,000 and those of the beginning are built again");
        assert!(!left.bears(&part, 256), "more than half of what may be was built again before");
    }

    #[test]
    fn bytes_count_whether_they_are_borne_or_not() {
        let mut left = Allowance::new(20);
        assert!(left.bears("<p>12345</p>", 256));
        assert!(left.bears("12345678", 256));
        assert!(!left.bears("x", 256), "all bytes are used");
        assert!(!Allowance::new(20).bears(&"x".repeat(21), 256));
        assert!(Allowance::new(20).bears(&"x".repeat(20), 256));
        let mut left = Allowance::new(20);
        assert!(!left.bears("<div><div>", 1), "too deep");
        assert!(left.bears("0123456789", 1) && !left.bears("x", 1), "and paid for");
    }

    #[test]
    fn ordinary_html_is_bearable() {
        let row = "<tr><td><p><font color=x>a <b>b</b></font><div>c</div><br></td></tr>";
        assert!(is_bearable(&format!("<table>{}</table>", row.repeat(1500)), 256));
        assert!(is_bearable(&"<p><ul><li>a<li>b</ul>".repeat(1000), 256));
        // Left open in a cell, gone with its table.
        assert!(is_bearable(&"<table><tr><td><font><div>a</table>".repeat(1000), 256));
    }

    #[test]
    fn nesting_is_measured() {
        assert!(is_bearable(&"<div>".repeat(256), 256));
        assert!(!is_bearable(&"<div>".repeat(257), 256));
        assert!(!is_bearable(&"<div><!--</div>-->".repeat(300), 256));
        assert!(!is_bearable(&"<div><table><td></div>".repeat(300), 256));
        assert!(!is_bearable(&"<div><a title='</div></a>'>".repeat(300), 256));
        assert!(!is_bearable(&"<b><i></b>".repeat(300), 256));
        assert!(!is_bearable(&"<div><svg><![CDATA[></div></svg>]]>".repeat(300), 256));
        assert!(!is_bearable(&"<x-y>".repeat(300), 256));
    }

    #[test]
    fn formatting_that_is_built_again_is_counted() {
        let open: String = (0..200).map(|i| format!("<font size={i}>")).collect::<Vec<_>>().concat();
        assert!(!is_bearable(&format!("{open}{}", "<p>x".repeat(20_000)), 256));
        assert!(is_bearable(&format!("{open}{}", "</font>".repeat(200)), 256));
    }

    #[test]
    fn nodes_are_counted() {
        assert!(is_bearable(&"x<br>".repeat(NODES / 2), 256));
        assert!(!is_bearable(&"x<br>".repeat(NODES / 2 + 1), 256));
        assert!(!is_bearable(&"&".repeat(NODES + 1), 256));
        assert!(!is_bearable(&"</br>".repeat(NODES + 1), 256));
        assert!(!is_bearable(&"</p>".repeat(NODES + 1), 256));
        assert!(is_bearable(&"</i>".repeat(NODES + 1), 256));
        // Left open again and again, but alike.
        assert!(is_bearable(&"<p><font size=2>a".repeat(200), 256));
    }

    #[test]
    fn attributes_are_counted() {
        let tag = |n: usize| format!("<p{}", (0..n).map(|i| format!(" a{i}=1")).collect::<Vec<_>>().concat());
        assert!(is_bearable(&format!("{}>", tag(ATTRIBUTES)), 256));
        assert!(!is_bearable(&format!("{}>", tag(ATTRIBUTES + 1)), 256));
        assert!(!is_bearable(&tag(ATTRIBUTES + 1), 256));
    }
}
