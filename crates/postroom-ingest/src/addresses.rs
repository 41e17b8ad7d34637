//! Address headers by their grammar (RFC 5322 section 3.4, RFC 6532), in one pass and without
//! recursion. What does not follow it is left to [`crate::fields`], which makes the best of it.

use crate::encoded_words;
use postroom_core::mail::Address;

/// Bytes of one address at most: 64 and 255 of RFC 5321 section 4.5.3.1, and the `@`.
const ADDRESS_BYTES: usize = 320;

/// The addresses of a header, groups taken apart; `None` where it does not follow the grammar.
/// Names are as written: nothing in them is shortened yet.
pub(crate) fn parse(value: &str) -> Option<Vec<Address>> {
    let mut parser = Parser { rest: value, comment: String::new() };
    let mut found = Vec::new();
    let mut in_group = false;
    loop {
        parser.comment.clear();
        parser.skip();
        let Some(next) = parser.peek() else { break };
        match next {
            ',' => parser.take(next),
            ';' if in_group => {
                parser.take(next);
                in_group = false;
            }
            _ => {
                let phrase = parser.phrase()?;
                match parser.peek() {
                    Some(':') if !in_group => {
                        parser.take(':');
                        in_group = true;
                    }
                    Some('<') => {
                        let email = parser.angle_address()?;
                        found.push(Address { name: phrase.name(), email });
                    }
                    Some('@') => {
                        let email = parser.address_behind(phrase.local_part()?)?;
                        parser.skip();
                        let name = encoded_words::decoded(parser.comment.as_bytes());
                        found.push(Address { name: Some(name).filter(|n| !n.trim().is_empty()), email });
                    }
                    _ => return None,
                }
                parser.skip();
                if !matches!(parser.peek(), None | Some(',' | ';')) && !in_group {
                    return None;
                }
            }
        }
    }
    Some(found)
}

/// One word of a phrase.
enum Word {
    /// As it stands in the header, maybe an encoded word.
    Atom(String),
    /// What stood between quotation marks.
    Quoted(String),
}

/// The words before an `@`, a `<` or a `:`.
struct Phrase {
    words: Vec<Word>,
    /// Something stood between two of them.
    has_gaps: bool,
}

impl Phrase {
    /// As a display name: encoded words decoded, neighbouring ones as one.
    fn name(&self) -> Option<String> {
        let mut name = String::new();
        let mut atoms = String::new();
        let mut gap = "";
        for word in &self.words {
            match word {
                Word::Atom(atom) => {
                    if !atoms.is_empty() {
                        atoms.push(' ');
                    }
                    atoms.push_str(atom);
                }
                Word::Quoted(text) => {
                    for piece in [std::mem::take(&mut atoms), text.clone()] {
                        if !piece.is_empty() {
                            name.push_str(gap);
                            name.push_str(&encoded_words::decoded(piece.as_bytes()));
                            gap = " ";
                        }
                    }
                }
            }
        }
        if !atoms.is_empty() {
            name.push_str(gap);
            name.push_str(&encoded_words::decoded(atoms.as_bytes()));
        }
        (!name.trim().is_empty()).then_some(name)
    }

    /// As the part before an `@`, quotation marks included.
    fn local_part(&self) -> Option<String> {
        match self.words.as_slice() {
            [Word::Atom(atom)] if !self.has_gaps => Some(atom.clone()),
            [Word::Quoted(text)] => Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
            _ => None,
        }
    }
}

struct Parser<'x> {
    rest: &'x str,
    /// The comment that was passed over last.
    comment: String,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, c: char) {
        self.rest = self.rest.strip_prefix(c).unwrap_or(self.rest);
    }

    /// Passes over white space and comments, which may hold comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            if !self.rest.starts_with('(') {
                return;
            }
            let (mut depth, mut is_escaped, mut end) = (0_usize, false, self.rest.len());
            let mut text = String::new();
            for (at, c) in self.rest.char_indices() {
                match c {
                    _ if is_escaped => is_escaped = false,
                    '\\' => {
                        is_escaped = true;
                        continue;
                    }
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    end = at + 1;
                    break;
                }
                if at > 0 && !matches!(c, '\r' | '\n') {
                    text.push(c);
                }
            }
            self.comment = text;
            self.rest = self.rest.get(end..).unwrap_or_default();
        }
    }

    /// Words up to something that is none.
    fn phrase(&mut self) -> Option<Phrase> {
        let mut phrase = Phrase { words: Vec::new(), has_gaps: false };
        loop {
            let before = self.rest.len();
            self.skip();
            // White space before an `@` is obsolete, and harmless behind the last word.
            let had_gap = self.rest.len() < before && !phrase.words.is_empty();
            let word = match self.peek() {
                Some('"') => Word::Quoted(self.quoted()?),
                Some(c) if is_atom(c) => Word::Atom(self.atom()),
                _ => break,
            };
            phrase.has_gaps |= had_gap;
            phrase.words.push(word);
        }
        Some(phrase)
    }

    /// An atom, dots included (RFC 5322 section 4.1 lets names have them); an encoded word as one,
    /// for many hold characters that RFC 2047 section 5 forbids in names.
    fn atom(&mut self) -> String {
        let word = encoded_words::length(self.rest.as_bytes());
        let end = match word {
            Some(length) if self.rest.is_char_boundary(length) => length,
            _ => self.rest.find(|c| !is_atom(c)).unwrap_or(self.rest.len()),
        };
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        atom.to_owned()
    }

    /// What stands between quotation marks, folding undone.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut is_escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if is_escaped => {
                    is_escaped = false;
                    text.push(c);
                }
                '\\' => is_escaped = true,
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Some(text);
                }
                '\r' | '\n' => {}
                c => text.push(c),
            }
        }
        None
    }

    /// `<ada@x.example>`, the obsolete route before it passed over.
    fn angle_address(&mut self) -> Option<String> {
        self.take('<');
        self.skip();
        if self.peek() == Some('@') {
            let (_, behind) = self.rest.split_once(':')?;
            self.rest = behind;
        }
        let local = self.phrase()?.local_part()?;
        let email = self.address_behind(local)?;
        self.skip();
        if self.peek() != Some('>') {
            return None;
        }
        self.take('>');
        Some(email)
    }

    /// The address whose part before the `@` was read.
    fn address_behind(&mut self, local: String) -> Option<String> {
        if self.peek() != Some('@') {
            return None;
        }
        self.take('@');
        self.skip();
        let end = if self.rest.starts_with('[') {
            self.rest.find(']').map(|end| end + 1)?
        } else {
            self.rest.find(|c| !is_atom(c)).unwrap_or(self.rest.len())
        };
        let (domain, rest) = self.rest.split_at(end);
        let is_bare = !domain.is_empty() && !domain.contains(|c: char| c.is_whitespace() || c.is_control());
        self.rest = rest;
        let email = format!("{local}@{domain}");
        (is_bare && email.len() <= ADDRESS_BYTES).then_some(email)
    }
}

/// A character of an atom or a dot: no special, no white space, no control.
fn is_atom(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !"()<>[]:;@\\,\"".contains(c)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn all(value: &str) -> Option<Vec<(String, String)>> {
        let found = parse(value)?.into_iter();
        Some(found.map(|a| (a.name.unwrap_or_default(), a.email)).collect())
    }

    fn one(value: &str) -> (String, String) {
        let mut found = all(value).unwrap_or_else(|| panic!("{value} follows the grammar"));
        assert_eq!(found.len(), 1, "{value}");
        found.remove(0)
    }

    #[test]
    fn every_form_is_read() {
        for (value, name, email) in [
            ("ada@x.example", "", "ada@x.example"),
            ("<ada@x.example>", "", "ada@x.example"),
            ("Ada Lovelace\r\n <ada@x.example>", "Ada Lovelace", "ada@x.example"),
            ("\"Lovelace, Ada \\\"A\\\"\" < ada@x.example >", "Lovelace, Ada \"A\"", "ada@x.example"),
            (
                "J. \"the first\" =?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe?= <j@x>",
                "J. the first Grüße",
                "j@x",
            ),
            ("=?utf-8?q?Ada,_Inc.?= <a@x.example>", "Ada, Inc.", "a@x.example"),
            ("ada@x.example (Ada (at) home\\))", "Ada (at) home)", "ada@x.example"),
            ("Ada (home) <ada(a)@(b)x.example> (work)", "Ada", "ada@x.example"),
            ("\"john doe\"@x.example", "", "\"john doe\"@x.example"),
            ("\"a@b\\\"c\"@x.example", "", "\"a@b\\\"c\"@x.example"),
            ("Ada <ada@[192.0.2.1]>", "Ada", "ada@[192.0.2.1]"),
            ("用户 <用户@例え.example>", "用户", "用户@例え.example"),
            ("<@a.example,@b.example:ada@x.example>", "", "ada@x.example"),
            ("a..b@docomo.example", "", "a..b@docomo.example"),
            ("Group: ada@x.example;", "", "ada@x.example"),
        ] {
            assert_eq!(one(value), (name.to_owned(), email.to_owned()), "{value}");
        }
    }

    #[test]
    fn lists_and_groups_are_taken_apart() {
        let emails = |value: &str| -> Option<Vec<String>> {
            Some(all(value)?.into_iter().map(|(_, email)| email).collect())
        };
        let some = |all: &[&str]| Some(all.iter().map(|&email| email.to_owned()).collect::<Vec<_>>());
        assert_eq!(emails("a@x, , B <b@x>,\n c@x"), some(&["a@x", "b@x", "c@x"]));
        assert_eq!(emails("G:a@x, B <b@x>;, \"H\": c@x; , d@x"), some(&["a@x", "b@x", "c@x", "d@x"]));
        assert_eq!(emails("undisclosed-recipients:;"), some(&[]));
        assert_eq!(emails("undisclosed recipients: ;"), some(&[]));
        assert_eq!(emails(""), some(&[]));
    }

    #[test]
    fn what_breaks_the_grammar_is_not_guessed_here() {
        for value in [
            "nobody",
            "a@x b@y",
            "ada@x.example>",
            "<ada@x.example",
            "\"Ada <ada@x.example>",
            "a b@x",
            "A <a@x> b",
            "a@",
            "@x",
            "a@[192.0.2.1",
            "a:b:c@x;",
        ] {
            assert_eq!(all(value), None, "{value}");
        }
        assert_eq!(all(&format!("a@{}", "x".repeat(318))).map(|found| found.len()), Some(1));
        assert_eq!(all(&format!("a@{}", "x".repeat(319))), None);
    }
}
