//! Where the new text of an answer ends, where the text it answers begins, and where its signature
//! is, in plain text. What is found is only a view: the whole text is kept. When in doubt nothing is
//! cut, and an answer between the quoted lines, a forward, or an answer that would vanish never is.

use crate::cut::Cut;
use crate::quote_words::{FORWARDED, LABELS, Label, ON, ORIGINAL, WROTE};
use crate::signature;
use postroom_core::threading::subject::FORWARD;
use std::ops::Range;

/// Lines of `On Monday …, Ada … wrote:` at most: programs wrap them.
const ATTRIBUTION_LINES: usize = 4;
/// Characters of such a line at most, all its lines together.
const ATTRIBUTION_CHARS: usize = 500;
/// Marks of the direction of writing, which programs put around names and addresses.
const MARKS: [char; 9] = [
    '\u{200E}', '\u{200F}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}', '\u{202E}', '\u{2068}',
    '\u{2069}',
];
/// Bytes of such a line at least: `5.1. A a écrit:`.
const SHORTEST: usize = 12;
/// Answered quotes after which no other is looked for.
const ANSWERED: usize = 50;
/// Lines behind the quote that may be a signature or a list's footer rather than an answer.
const FOOTER_LINES: usize = 12;

/// The parts of a text, in bytes of it, white space at their ends left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    /// What is new.
    pub(crate) reply: Range<usize>,
    /// Who signs it, and what programs put below: before the quote or behind it.
    pub(crate) signature: Option<Range<usize>>,
    /// What it answers, with the line that announces it.
    pub(crate) quoted: Option<Range<usize>>,
}

/// Takes a text apart; `None` where all of it is new, or where it can't be told.
///
/// `fresh` is the text before the quote as the mail's HTML has it, where that tells (see
/// [`crate::quote_html`]). At most the first `max` bytes are looked at: a quote that begins behind
/// them stays.
pub(crate) fn parts(text: &str, subject: &str, fresh: Option<&str>, max: usize) -> Option<Parts> {
    if is_forward(subject) {
        return None;
    }
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let lines = Lines::of(text.get(..end).unwrap_or_default());
    let by_html = fresh.and_then(|fresh| cut_like(text, &lines, fresh));
    let found = by_html.or_else(|| cut(&lines.texts, end < text.len())).unwrap_or(Found {
        reply: lines.texts.len(),
        quoted: lines.texts.len(),
        footer: lines.texts.len(),
    });
    let has_quote = found.quoted < found.footer;
    let behind = lines.start(found.footer)..text.len();
    let mut reply = found.reply;
    let mut signature = None;
    let is_whole = end == text.len();
    if let Some(at) = signature::begin(lines.texts.head(reply)).filter(|_| has_quote || is_whole) {
        signature = Some(lines.start(at)..lines.start(reply));
        reply = at;
    }
    if has_quote && !text.tail(behind.start).trim().is_empty() {
        // One below the quote is a list's or a program's; the one above is the writer's.
        signature = signature.or(Some(behind));
    }
    let quoted = has_quote.then(|| {
        let to = if found.footer < lines.texts.len() { lines.start(found.footer) } else { text.len() };
        trimmed(text, lines.start(found.quoted)..to)
    });
    let reply = trimmed(text, 0..lines.start(reply));
    let is_kept = text.get(reply.clone()).is_some_and(has_words);
    let signature = signature.map(|range| trimmed(text, range)).filter(|range| !range.is_empty());
    let is_all = quoted.is_none() && signature.is_none();
    (is_kept && !is_all).then_some(Parts { reply, signature, quoted })
}

/// A range without the white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = text.get(range.clone()).unwrap_or_default();
    let from = range.start + (piece.len() - piece.trim_start().len());
    from..from + piece.trim().len()
}

/// Lines and where each begins.
struct Lines<'x> {
    texts: Vec<&'x str>,
    starts: Vec<usize>,
    end: usize,
}

impl<'x> Lines<'x> {
    fn of(text: &'x str) -> Self {
        let mut starts = Vec::new();
        let mut at = 0;
        let mut texts = Vec::new();
        for line in text.split_inclusive('\n') {
            starts.push(at);
            at += line.len();
            texts.push(line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line)));
        }
        Self { texts, starts, end: text.len() }
    }

    /// Where a line begins; the end where there is none.
    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.end)
    }

    /// The line that a byte stands in.
    fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }
}

/// Where a text is cut, in lines.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// The new text ends before this one.
    reply: usize,
    /// The quote begins here,
    quoted: usize,
    /// and ends here; what follows is a footer.
    footer: usize,
}

/// Cuts the text where the HTML beside it is cut: the letters and digits before are the same.
fn cut_like(text: &str, lines: &Lines<'_>, fresh: &str) -> Option<Found> {
    let mut wanted = fresh.chars().filter(|c| c.is_alphanumeric()).peekable();
    wanted.peek()?;
    let mut at = 0;
    for (start, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        let Some(next) = wanted.next() else { break };
        if next != c {
            return None;
        }
        at = start;
    }
    if wanted.next().is_some() {
        return None;
    }
    let mut quoted = lines.line_of(at) + 1;
    // Pictures are nothing in the HTML's text, and `[image: logo]` or `[cid:…]` beside it.
    let is_picture = |line: &str| line.starts_with('[') && line.ends_with(']');
    while lines.texts.get(quoted).is_some_and(|line| line.trim().is_empty() || is_picture(line.trim())) {
        quoted += 1;
    }
    let rest = lines.texts.get(quoted..).filter(|rest| !rest.is_empty())?;
    if rest.iter().take(3).any(|line| is_forwarded(line)) {
        return None;
    }
    // Apple's programs announce the quote above it.
    let above = quoted.saturating_sub(ATTRIBUTION_LINES + 2)..quoted;
    let announced = above.into_iter().find(|&line| {
        let between = lines.texts.head(quoted).tail(line);
        attribution(between)
            .is_some_and(|length| between.tail(length).iter().all(|line| line.trim().is_empty()))
    });
    let quoted = announced.unwrap_or(quoted);
    Some(Found { reply: before(&lines.texts, quoted), quoted, footer: lines.texts.len() })
}

/// A forward by its subject: `Fwd: …`, `WG: …`. `Re: Fwd: …` is an answer to one.
pub(crate) fn is_forward(subject: &str) -> bool {
    let mut rest = subject.trim_start();
    // `[EXTERN] Fwd: …`: gateways put marks before.
    while let Some(behind) = rest.strip_prefix('[').and_then(|tag| tag.split_once(']')) {
        rest = behind.1.trim_start();
    }
    rest.split_once([':', '：']).is_some_and(|(prefix, _)| {
        let prefix = prefix.trim().to_lowercase();
        // `vs` is an answer in Finnish: uncut, it shows too much, but a forward cut shows nothing.
        prefix == "vs" || FORWARD.contains(&prefix.as_str())
    })
}

/// Something a person would see: a letter, a digit, an emoji; not only dashes and marks.
pub(crate) fn has_words(text: &str) -> bool {
    text.chars().any(|c| c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace() && !c.is_control()))
}

/// What one line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Quoted,
    Text,
}

fn kind(line: &str) -> Kind {
    let bare = line.trim();
    if bare.is_empty() {
        Kind::Blank
    } else if bare.starts_with(['>', '＞']) && !bare.starts_with(">From ") {
        // `>From ` is what an mbox makes of a sentence that begins so.
        Kind::Quoted
    } else {
        Kind::Text
    }
}

/// Where the quote begins that ends the text, and the footer behind it if there is one.
fn cut(lines: &[&str], is_partial: bool) -> Option<Found> {
    let kinds: Vec<Kind> = lines.iter().map(|line| kind(line)).collect();
    let to_the_end = |at: usize| {
        let reply = before(lines, at);
        has_words(&lines.head(reply).join("\n")).then_some(Found { reply, quoted: at, footer: lines.len() })
    };
    // Quotes that somebody answered below: from the second on, only one that is announced is cut.
    let mut answered = 0;
    for (at, (line, kind)) in lines.iter().zip(&kinds).enumerate() {
        let mut announced = 0;
        match kind {
            Kind::Blank => continue,
            Kind::Text => {
                if is_forwarded(line) {
                    return None;
                }
                if is_original(line) || is_header_block(lines.tail(at)) {
                    return to_the_end(at);
                }
                let Some(length) = attribution(lines.tail(at)) else { continue };
                announced = length;
            }
            Kind::Quoted if answered > 0 => continue,
            Kind::Quoted => {}
        }
        let behind = next_visible(&kinds, at + announced);
        if behind.is_some_and(|b| kinds.get(b) == Some(&Kind::Quoted)) {
            let kept = without_quotes(lines, &kinds, at, is_partial);
            answered += 1;
            if kept.is_some() || answered > ANSWERED {
                return kept;
            }
        } else if is_strong(lines.tail(at).head(announced)) {
            // Programs that do not mark quoted lines put them behind a dated line.
            return to_the_end(at);
        }
    }
    None
}

/// Cuts at `from` if from there on all is quote; `None` where somebody answered in between.
fn without_quotes(lines: &[&str], kinds: &[Kind], from: usize, is_partial: bool) -> Option<Found> {
    let last = kinds.iter().rposition(|kind| *kind == Kind::Quoted)?;
    let mut at = from;
    while at < last {
        if kinds.get(at) == Some(&Kind::Text) {
            let length = attribution(lines.tail(at))?;
            at += length;
        } else {
            at += 1;
        }
    }
    let reply = before(lines, from);
    let Some(first) = next_visible(kinds, last + 1) else {
        return Some(Found { reply, quoted: from, footer: lines.len() });
    };
    // Behind the quote a signature or a list's footer may stand; anything else is an answer.
    let footer = lines.tail(first);
    let begins = footer.first()?.trim_end();
    let is_footer = begins == "--" || is_rule(begins) || signature::begin(footer) == Some(0);
    (!is_partial && is_footer && footer.len() <= FOOTER_LINES).then_some(Found {
        reply,
        quoted: from,
        footer: first,
    })
}

fn next_visible(kinds: &[Kind], from: usize) -> Option<usize> {
    kinds.iter().skip(from).position(|kind| *kind != Kind::Blank).map(|found| from + found)
}

/// Where the text before line `at` ends, without the rule that Outlook draws above a quote.
fn before(lines: &[&str], at: usize) -> usize {
    let last = lines.head(at).iter().rposition(|line| !(line.trim().is_empty() || is_rule(line)));
    last.map_or(0, |last| last + 1)
}

/// A line of underscores, dashes or equals signs.
pub(crate) fn is_rule(line: &str) -> bool {
    let line = line.trim();
    ["_", "-", "=", "—", "*"].iter().any(|mark| line.len() >= 3 && line.trim_start_matches(mark).is_empty())
}

/// `-----Original Message-----` in many languages.
fn is_original(line: &str) -> bool {
    dashed(line).is_some_and(|middle| ORIGINAL.contains(&middle.as_str()))
}

/// What stands between the dashes of a line that begins with two, lower case.
fn dashed(line: &str) -> Option<String> {
    let line = line.trim();
    if line.len() > 200 || !(line.starts_with("--") || line.starts_with("__")) {
        return None;
    }
    let middle = line.trim_matches(['-', '_', ' ', '\u{A0}', '*', ':']).to_lowercase();
    (!middle.is_empty()).then_some(middle)
}

/// `---------- Forwarded message ---------`, `Begin forwarded message:`.
pub(crate) fn is_forwarded(line: &str) -> bool {
    let bare = line.trim();
    if bare.len() > 200 || !(bare.starts_with("--") || bare.ends_with([':', '：'])) {
        return false;
    }
    let middle = bare.trim_matches(['-', ' ', ':', '：', '*', '\u{A0}']).to_lowercase();
    FORWARDED.iter().any(|words| middle.starts_with(words))
}

/// `From: …`, `Sent: …`, `To: …`, `Subject: …`, as Outlook puts them above what it quotes.
fn is_header_block(lines: &[&str]) -> bool {
    // GMX and Web.de put the date first.
    let first = lines.first().and_then(|line| label(line));
    let is_dated_first =
        first == Some(Label::Date) && lines.get(1).and_then(|line| label(line)) == Some(Label::From);
    if first != Some(Label::From) && !is_dated_first {
        return false;
    }
    let mut seen = (is_dated_first, false, false);
    // A long list of recipients goes on over lines without a label.
    for line in lines.iter().take(12).skip(1) {
        match label(line) {
            Some(Label::Date) => seen.0 = true,
            Some(Label::To) => seen.1 = true,
            Some(Label::Subject) => seen.2 = true,
            _ if line.trim().is_empty() && seen.2 => break,
            _ => {}
        }
    }
    // Two of the three, one of them the date or the subject: a text may have "From:" and "To:".
    seen.0 && (seen.1 || seen.2) || seen.1 && seen.2
}

/// Whether a text begins with such headers.
pub(crate) fn begins_with_headers(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().skip_while(|line| line.trim().is_empty()).take(12).collect();
    is_header_block(&lines)
}

/// The label that a line begins with: `*Gesendet:* …`, `发件人：…`.
fn label(line: &str) -> Option<Label> {
    let bare = line.trim_start_matches([' ', '\t', '*', '\u{A0}', '|']).trim_start_matches(MARKS);
    let colon = bare.char_indices().take(30).find(|(_, c)| matches!(c, ':' | '：')).map(|(at, _)| at)?;
    let word = bare.head(colon).trim_matches([' ', '*', '\u{A0}', '\t']);
    if word.is_empty() || word.len() > 40 {
        return None;
    }
    let word = word.to_lowercase();
    LABELS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(label, _)| *label)
}

/// How many lines of `lines` announce a quote: `On …, Ada <ada@x.example>\nwrote:`.
fn attribution(lines: &[&str]) -> Option<usize> {
    let mut chars = 0;
    for (at, line) in lines.iter().take(ATTRIBUTION_LINES).enumerate() {
        let bare = line.trim();
        chars += bare.len();
        if bare.is_empty() || chars > ATTRIBUTION_CHARS || kind(bare) == Kind::Quoted {
            return None;
        }
        let bare = bare.trim_end_matches(|c: char| MARKS.contains(&c) || matches!(c, '*' | ' ' | '\u{A0}'));
        if !bare.ends_with([':', '：']) {
            continue;
        }
        let joined = lines.head(at + 1).join(" ").to_lowercase().replace(MARKS, "");
        let is_dated = joined.contains(|c: char| c.is_numeric() || c == '@');
        if !is_dated || joined.len() < SHORTEST || (at > 0 && !lines.first().is_some_and(|line| begins(line)))
        {
            return None;
        }
        let wrote = WROTE.iter().any(|word| contains_word(&joined, word));
        // Japanese programs and some others only name the date and the person.
        let names = at == 0 && joined.contains('@') && joined.contains('<') && has_year(&joined);
        return (wrote || names).then_some(at + 1);
    }
    None
}

/// Whether a line can be the first of several that announce a quote: `On 5 Jan 2026, at 10:00,`.
fn begins(line: &str) -> bool {
    let line = line.to_lowercase().replace(MARKS, "");
    let line = line.trim();
    let is_sentence = line.ends_with(['.', '!', '?']);
    let has_digit = line.contains(char::is_numeric);
    let is_dated = has_digit && (ON.iter().any(|on| line.starts_with(on)) || is_dated_start(line));
    !is_sentence && (is_dated || (line.contains('@') && line.contains('<')))
}

/// Whether `word` stands in `text` on its own, where its script has spaces.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphabetic());
        let is_spaced = word.chars().all(|c| c < '\u{2E80}');
        let behind = text.tail(at + word.len()).chars().next();
        // `написал(а)`, `napsal/a`, `napsala`: an ending may follow.
        let ends = is_edge(behind) || matches!(behind, Some('а' | 'a' | 'o' | 'i' | 'ה'));
        !is_spaced || (is_edge(text.head(at).chars().next_back()) && ends)
    })
}

/// The first words hold a date: `2026-01-05 10:00 GMT+01:00 Ada <…>:`, `5 Oca 2026 … yazdı:`.
fn is_dated_start(line: &str) -> bool {
    line.split_whitespace().take(4).any(|word| word.starts_with(char::is_numeric))
}

/// A year between 1990 and 2099 stands in the text.
fn has_year(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit())
        .any(|run| run.len() == 4 && (run.starts_with("20") || run.starts_with("199")))
}

/// A line that can only announce a quote, even if no quote marks follow: it names a year or a
/// time of day, or an address.
fn is_strong(lines: &[&str]) -> bool {
    let joined = lines.join(" ");
    let has_time = joined.as_bytes().windows(5).any(|w| {
        let [a, b, b':' | b'.', c, d] = w else { return false };
        [a, b, c, d].iter().all(|digit| digit.is_ascii_digit())
    });
    (has_year(&joined) && has_time) || (joined.contains('@') && (has_year(&joined) || has_time))
}
