//! Words as they are searched for: text of any language cut up and folded by ourselves, so that SQLite and
//! PostgreSQL, which know different things about Unicode, keep and find the same.
//!
//! Letters and digits in a row are a word, without case and without accents. Where words are not set apart
//! (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each two neighbours are one, so that any run of signs is
//! found anywhere.

use std::ops::Range;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The longest word that is kept, in folded characters: what is longer is found by its beginning.
pub const WORD_CHARS: usize = 40;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is searched for.
    pub folded: String,
    /// Where it stands, in bytes of the text.
    pub at: Range<usize>,
    /// It is two neighbours, or the last, of a run without gaps.
    pub is_dense: bool,
}

/// What somebody looks for: words that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phrase {
    /// Folded; at least one.
    pub words: Vec<String>,
    /// The last word may go on: `order` finds `orders`.
    pub is_open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Dense,
    Silent,
    Gap,
}

/// Signs of scripts that set no gap between words.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0E01..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17DD | 0x19E0..=0x19FF | 0xA9E0..=0xA9FE | 0xAA60..=0xAA7F
        | 0x2E80..=0x2FD5 | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3041..=0x3096 | 0x309D..=0x309F | 0x30A1..=0x30FA
        | 0x30FC..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA000..=0xA48C
        | 0xF900..=0xFAFF | 0xFF66..=0xFF9D | 0x1B000..=0x1B16F | 0x20000..=0x3FFFF)
}

/// Marks that many leave out: accents, points, what joins or breaks lines unseen.
fn is_silent(c: char) -> bool {
    matches!(u32::from(c),
        0x00AD | 0x0300..=0x036F | 0x0483..=0x0487 | 0x0591..=0x05BD | 0x05BF | 0x05C1..=0x05C2 | 0x05C4..=0x05C5
        | 0x05C7 | 0x0610..=0x061A | 0x0640 | 0x064B..=0x065F | 0x0670 | 0x06D6..=0x06DC | 0x06DF..=0x06E8
        | 0x06EA..=0x06ED | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x2064
        | 0x2066..=0x2069 | 0x20D0..=0x20FF | 0x3099..=0x309A | 0xFE00..=0xFE0F | 0xFE20..=0xFE2F | 0xFEFF
        | 0xFF9E..=0xFF9F)
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Kind::Letter } else { Kind::Gap };
    }
    if is_silent(c) {
        Kind::Silent
    } else if is_dense(c) && (c.is_alphanumeric() || is_combining_mark(c)) {
        Kind::Dense
    } else if c.is_alphanumeric() || is_combining_mark(c) {
        Kind::Letter
    } else {
        Kind::Gap
    }
}

/// Adds a character as it is compared: taken apart (NFKD), without silent marks, in lower case.
fn fold(c: char, into: &mut String) {
    if c.is_ascii() {
        into.push(c.to_ascii_lowercase());
        return;
    }
    decompose_compatible(c, |part| {
        if is_silent(part) {
            return;
        }
        for small in part.to_lowercase() {
            match small {
                'ß' => into.push_str("ss"),
                'æ' => into.push_str("ae"),
                'œ' => into.push_str("oe"),
                'þ' => into.push_str("th"),
                'ø' => into.push('o'),
                'ł' => into.push('l'),
                'đ' | 'ð' => into.push('d'),
                'ı' => into.push('i'),
                'ς' => into.push('σ'),
                // Some signs stand for several with a gap between them, or for none that is written.
                other if (other.is_alphanumeric() || is_combining_mark(other)) && !is_silent(other) => {
                    into.push(other);
                }
                _ => {}
            }
        }
    });
}

/// Cuts a text into its words, in their order.
pub fn words(text: &str, mut each: impl FnMut(Word)) {
    let mut folded = String::new();
    let mut begin = 0;
    let mut end = 0;
    let mut dense: Option<(String, Range<usize>)> = None;
    let close = |folded: &mut String, at: Range<usize>, each: &mut dyn FnMut(Word)| {
        if !folded.is_empty() {
            if let Some((cut, _)) = folded.char_indices().nth(WORD_CHARS) {
                folded.truncate(cut);
            }
            each(Word { folded: std::mem::take(folded), at, is_dense: false });
        }
    };
    for (index, c) in text.char_indices() {
        let after = index + c.len_utf8();
        match kind(c) {
            Kind::Letter => {
                last_of_run(&mut dense, &mut each);
                if folded.is_empty() {
                    begin = index;
                }
                fold(c, &mut folded);
                end = after;
            }
            Kind::Dense => {
                close(&mut folded, begin..end, &mut each);
                let mut sign = String::new();
                fold(c, &mut sign);
                if sign.is_empty() {
                    continue;
                }
                if let Some((before, at)) = dense.take() {
                    each(Word { folded: format!("{before}{sign}"), at: at.start..after, is_dense: true });
                }
                dense = Some((sign, index..after));
            }
            Kind::Silent => {}
            Kind::Gap => {
                close(&mut folded, begin..end, &mut each);
                last_of_run(&mut dense, &mut each);
            }
        }
    }
    close(&mut folded, begin..end, &mut each);
    last_of_run(&mut dense, &mut each);
}

/// The last sign of a run is a word of its own, so that each sign begins one.
fn last_of_run(dense: &mut Option<(String, Range<usize>)>, each: &mut impl FnMut(Word)) {
    if let Some((sign, at)) = dense.take() {
        each(Word { folded: sign, at, is_dense: true });
    }
}

impl Phrase {
    /// What is meant by a word or, where `is_exact`, by something in quotes. `None`: it has neither letters
    /// nor digits, and nothing could be found by it.
    ///
    /// A word that nobody quoted may go on, which stands in for the endings of all languages and finds what
    /// begins a compound; a number may not, and neither may a single letter.
    pub fn of(text: &str, is_exact: bool) -> Option<Self> {
        let mut found = Vec::new();
        words(text, |word| found.push(word));
        let last = found.last()?;
        let mut is_open = !is_exact
            && !last.is_dense
            && last.folded.chars().nth(1).is_some()
            && !last.folded.chars().all(char::is_numeric);
        if last.is_dense {
            // In a text more signs may follow: then the last one is part of a word of two.
            let begins = found.len().checked_sub(2).and_then(|before| found.get(before));
            if begins.is_some_and(|before| before.is_dense && before.at.end == last.at.end) {
                found.pop();
            } else {
                is_open = true;
            }
        }
        Some(Self { words: found.into_iter().map(|word| word.folded).collect(), is_open })
    }

    /// Whether these words begin with the phrase.
    fn begins<W: AsRef<str>>(&self, words: &[W]) -> bool {
        let last = self.words.len().saturating_sub(1);
        words.len() >= self.words.len()
            && self.words.iter().zip(words).enumerate().all(|(index, (wanted, word))| {
                let word = word.as_ref();
                if self.is_open && index == last { word.starts_with(wanted.as_str()) } else { word == wanted }
            })
    }
}

/// Where any of the phrases stands in a text, in bytes: in order, none within another.
pub fn find(text: &str, phrases: &[Phrase]) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    words(text, |word| all.push(word));
    let folded: Vec<&str> = all.iter().map(|word| word.folded.as_str()).collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for index in 0..all.len() {
        for phrase in phrases.iter().filter(|phrase| phrase.begins(&folded[index..])) {
            let end = all[index + phrase.words.len() - 1].at.end;
            let start = all[index].at.start;
            match found.last_mut() {
                Some(before) if start < before.end => before.end = before.end.max(end),
                _ => found.push(start..end),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        words(text, |word| all.push(word.folded));
        all
    }

    fn finds(text: &str, asked: &str) -> bool {
        let phrase = Phrase::of(asked, false).expect("there is something to look for");
        !find(text, &[phrase]).is_empty()
    }

    #[test]
    fn words_have_neither_case_nor_accents() {
        assert_eq!(cut("Größe, ÉTÉ & naïve: ΌΡΟΣ!"), ["grosse", "ete", "naive", "οροσ"]);
        assert_eq!(cut("ada@example.org #4711-b"), ["ada", "example", "org", "4711", "b"]);
        assert_eq!(cut("Ｆｕｌｌ ﬁne"), ["full", "fine"]);
        assert_eq!(cut("   -- ** "), Vec::<String>::new());
        // What is composed and what is not is the same word.
        assert_eq!(cut("caf\u{e9}"), cut("cafe\u{301}"));
        assert_eq!(cut("한국"), cut("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"));
    }

    #[test]
    fn what_has_no_gaps_is_cut_into_neighbours() {
        assert_eq!(cut("注文番号"), ["注文", "文番", "番号", "号"]);
        assert_eq!(cut("iPhone手机x"), ["iphone", "手机", "机", "x"]);
        for (text, asked) in [
            ("ご注文番号は４７１１です", "番号"),
            ("ご注文番号は４７１１です", "文"),
            ("ご注文番号は４７１１です", "4711"),
            ("我的订单在哪里", "订单"),
            ("我的订单", "单"),
            ("我的iPhone手机坏了", "iphone手机"),
            ("คำสั่งซื้อของฉันอยู่ที่ไหน", "สั่งซื้อ"),
            ("ﾊﾞｽ", "バス"),
            ("주문이 늦었습니다", "주문"),
        ] {
            assert!(finds(text, asked), "{asked} in {text}");
        }
        assert!(!finds("我的订单", "单订"));
    }

    #[test]
    fn a_word_may_go_on_and_what_is_quoted_may_not() {
        assert!(finds("Rechnungsnummer fehlt", "rechnung"));
        assert!(!finds("Die Abrechnung", "rechnung"));
        assert!(finds("two orders", "Order"));
        assert!(!finds("item 47110", "4711"));
        let exact = Phrase::of("late order", true).unwrap();
        let found = find("a Late ORDER, later", std::slice::from_ref(&exact));
        assert_eq!((found.len(), &found[0]), (1, &(2..12)));
        assert!(find("late orders", &[exact]).is_empty());
        assert_eq!(Phrase::of("?!", false), None);
    }

    proptest! {
        #[test]
        fn any_text_is_found_in_itself(text in "\\PC{1,40}") {
            if let Some(phrase) = Phrase::of(&text, false) {
                prop_assert!(!find(&text, std::slice::from_ref(&phrase)).is_empty());
                for word in &phrase.words {
                    // The databases cut at blanks alone, and know no letters but these.
                    prop_assert!(!word.is_empty() && word.chars().count() <= WORD_CHARS + 3);
                    prop_assert!(word.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase() || !c.is_ascii()));
                    prop_assert!(!word.chars().any(char::is_whitespace));
                }
            }
        }
    }
}
