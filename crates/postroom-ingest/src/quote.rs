//! Where the new text of an answer ends and the text it answers begins, in
//! plain text. What is cut is only a view: the whole text is kept. When in doubt nothing
//! is cut, and an answer between the quoted lines, a forward, or an answer that would vanish
//! never is.

use crate::quote_words::{FORWARD_PREFIXES, FORWARDED, LABELS, Label, ON, ORIGINAL, WROTE};

/// Lines of `On Monday …, Ada … wrote:` at most: programs wrap them.
const ATTRIBUTION_LINES: usize = 4;
/// Characters of such a line at most, all its lines together.
const ATTRIBUTION_CHARS: usize = 500;
/// Bytes of such a line at least: `5.1. A a écrit:`.
const SHORTEST: usize = 12;
/// Answered quotes after which no other is looked for.
const ANSWERED: usize = 50;
/// Lines behind the quote that may be a signature or a list's footer rather than an answer.
const FOOTER_LINES: usize = 12;

/// Only what is new in `text`; `None` where that is all of it, or where it can't be told.
/// At most the first `max` bytes are looked at: a quote that begins behind them stays.
pub(crate) fn reply(text: &str, subject: &str, max: usize) -> Option<String> {
    if is_forward(subject) {
        return None;
    }
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let lines: Vec<&str> = text[..end].lines().collect();
    let whole = text.trim();
    let kept = cut(&lines, end < text.len())?;
    let kept = kept.trim();
    (!kept.is_empty() && kept != whole && has_words(kept)).then(|| kept.to_owned())
}

/// A forward by its subject: `Fwd: …`, `WG: …`. `Re: Fwd: …` is an answer to one.
fn is_forward(subject: &str) -> bool {
    let mut rest = subject.trim_start();
    // `[EXTERN] Fwd: …`: gateways put marks before.
    while let Some(behind) = rest.strip_prefix('[').and_then(|tag| tag.split_once(']')) {
        rest = behind.1.trim_start();
    }
    rest.split_once([':', '：'])
        .is_some_and(|(prefix, _)| FORWARD_PREFIXES.contains(&prefix.trim().to_lowercase().as_str()))
}

/// Something a person would see: a letter, a digit, an emoji; not only dashes and marks.
fn has_words(text: &str) -> bool {
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

/// The lines before the quote, and the footer behind it if there is one.
fn cut(lines: &[&str], is_partial: bool) -> Option<String> {
    let kinds: Vec<Kind> = lines.iter().map(|line| kind(line)).collect();
    // Quotes that somebody answered below: from the second on, only one that is announced is cut.
    let mut answered = 0;
    for (at, line) in lines.iter().enumerate() {
        let mut announced = 0;
        match kinds[at] {
            Kind::Blank => continue,
            Kind::Text => {
                if is_forwarded(line) {
                    return None;
                }
                if is_original(line) || is_header_block(&lines[at..]) {
                    return Some(before(lines, at));
                }
                let Some(length) = attribution(&lines[at..]) else { continue };
                announced = length;
            }
            Kind::Quoted if answered > 0 => continue,
            Kind::Quoted => {}
        }
        let behind = next_visible(&kinds, at + announced);
        if behind.is_some_and(|b| kinds[b] == Kind::Quoted) {
            let kept = without_quotes(lines, &kinds, at, is_partial);
            answered += 1;
            if kept.is_some() || answered > ANSWERED {
                return kept;
            }
        } else if is_strong(&lines[at..at + announced]) {
            // Programs that do not mark quoted lines put them behind a dated line.
            return Some(before(lines, at));
        }
    }
    None
}

/// Cuts at `from` if from there on all is quote; `None` where somebody answered in between.
fn without_quotes(lines: &[&str], kinds: &[Kind], from: usize, is_partial: bool) -> Option<String> {
    let last = kinds.iter().rposition(|kind| *kind == Kind::Quoted)?;
    let mut at = from;
    while at < last {
        if kinds[at] == Kind::Text {
            let length = attribution(&lines[at..])?;
            at += length;
        } else {
            at += 1;
        }
    }
    let rest = &lines[last + 1..];
    let Some(first) = rest.iter().position(|line| kind(line) != Kind::Blank) else {
        return Some(before(lines, from));
    };
    // Behind the quote a signature or a list's footer may stand; anything else is an answer.
    let footer = &rest[first..];
    let begins = footer[0].trim_end();
    let is_footer = matches!(begins, "--" | "-- ") || is_rule(begins);
    if is_partial || !is_footer || footer.len() > FOOTER_LINES {
        return None;
    }
    let mut kept = before(lines, from);
    if begins == "--" && has_words(&kept) {
        kept = format!("{}\n\n{}", kept.trim_end(), footer.join("\n"));
    }
    Some(kept)
}

fn next_visible(kinds: &[Kind], from: usize) -> Option<usize> {
    kinds.iter().skip(from).position(|kind| *kind != Kind::Blank).map(|found| from + found)
}

/// The lines before `at`, without the rule that Outlook draws above a quote.
fn before(lines: &[&str], at: usize) -> String {
    let mut kept = &lines[..at];
    while let Some((last, others)) = kept.split_last() {
        if !(last.trim().is_empty() || is_rule(last)) {
            break;
        }
        kept = others;
    }
    kept.join("\n")
}

/// A line of underscores, dashes or equals signs.
fn is_rule(line: &str) -> bool {
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
fn is_forwarded(line: &str) -> bool {
    let bare = line.trim();
    if bare.len() > 200 || !(bare.starts_with("--") || bare.ends_with([':', '：'])) {
        return false;
    }
    let middle = bare.trim_matches(['-', ' ', ':', '：', '*', '\u{A0}']).to_lowercase();
    FORWARDED.iter().any(|words| middle.starts_with(words))
}

/// `From: …`, `Sent: …`, `To: …`, `Subject: …`, as Outlook puts them above what it quotes.
fn is_header_block(lines: &[&str]) -> bool {
    if lines.first().and_then(|line| label(line)) != Some(Label::From) {
        return false;
    }
    let mut seen = (false, false, false);
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

/// The label that a line begins with: `*Gesendet:* …`, `发件人：…`.
fn label(line: &str) -> Option<Label> {
    let bare = line.trim_start_matches([' ', '\t', '*', '\u{A0}', '|', '\u{200E}', '\u{200F}']);
    let colon = bare.char_indices().take(30).find(|(_, c)| matches!(c, ':' | '：')).map(|(at, _)| at)?;
    let word = bare[..colon].trim_matches([' ', '*', '\u{A0}', '\t']);
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
        let bare = bare.trim_end_matches(['\u{200E}', '\u{200F}', '\u{202C}', '*', ' ', '\u{A0}']);
        if !bare.ends_with([':', '：']) {
            continue;
        }
        let joined = lines[..=at].join(" ").to_lowercase();
        let is_dated = joined.contains(|c: char| c.is_ascii_digit() || c == '@');
        if !is_dated || joined.len() < SHORTEST || (at > 0 && !begins(lines[0])) {
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
    let line = line.trim().to_lowercase();
    let is_sentence = line.ends_with(['.', '!', '?']);
    let has_digit = line.contains(|c: char| c.is_ascii_digit());
    let is_dated = has_digit && (ON.iter().any(|on| line.starts_with(on)) || is_dated_start(&line));
    !is_sentence && (is_dated || (line.contains('@') && line.contains('<')))
}

/// Whether `word` stands in `text` on its own, where its script has spaces.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphabetic());
        let is_spaced = word.chars().all(|c| c < '\u{2E80}');
        let behind = text[at + word.len()..].chars().next();
        // `написал(а)`, `napsal/a`, `napsala`: an ending may follow.
        let ends = is_edge(behind) || matches!(behind, Some('а' | 'a' | 'o' | 'i' | 'ה'));
        !is_spaced || (is_edge(text[..at].chars().next_back()) && ends)
    })
}

/// The first words hold a date: `2026-01-05 10:00 GMT+01:00 Ada <…>:`, `5 Oca 2026 … yazdı:`.
fn is_dated_start(line: &str) -> bool {
    line.split_whitespace().take(4).any(|word| word.starts_with(|c: char| c.is_ascii_digit()))
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
        w[0].is_ascii_digit()
            && w[1].is_ascii_digit()
            && matches!(w[2], b':' | b'.')
            && w[3].is_ascii_digit()
            && w[4].is_ascii_digit()
    });
    (has_year(&joined) && has_time) || (joined.contains('@') && (has_year(&joined) || has_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 256 * 1024;

    fn reply_to(text: &str) -> Option<String> {
        reply(text, "Re: Order", MAX)
    }

    #[test]
    fn a_quote_below_is_cut_in_many_languages() {
        let lines = [
            "On Mon, Jan 5, 2026 at 10:00 AM Ada Lovelace <ada@x.example> wrote:",
            "On 5 Jan 2026, at 10:00, Ada Lovelace\n<ada@x.example> wrote:",
            "Am Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Ada Lovelace <\nada@x.example>:",
            "Ada Lovelace <ada@x.example> schrieb am Mo., 5. Jan. 2026, 10:00:",
            "Le lun. 5 janv. 2026 à 10:00, Ada Lovelace <ada@x.example> a écrit :",
            "El lun, 5 ene 2026 a las 10:00, Ada Lovelace (<ada@x.example>) escribió:",
            "Il giorno lun 5 gen 2026 alle ore 10:00 Ada Lovelace <ada@x.example> ha scritto:",
            "Op ma 5 jan 2026 om 10:00 schreef Ada Lovelace <ada@x.example>:",
            "Em seg., 5 de jan. de 2026 às 10:00, Ada Lovelace <ada@x.example> escreveu:",
            "pon., 5 sty 2026 o 10:00 Ada Lovelace <ada@x.example> napisał(a):",
            "W dniu 5.01.2026 o 10:00, Ada Lovelace pisze:",
            "Ada Lovelace <ada@x.example>, 5 Oca 2026 Pzt, 10:00 tarihinde şunu yazdı:",
            "Den mån 5 jan. 2026 kl 10:00 skrev Ada Lovelace <ada@x.example>:",
            "пн, 5 янв. 2026 г. в 10:00, Ada Lovelace <ada@x.example>:",
            "5 января 2026 г., в 10:00, Ada Lovelace <ada@x.example> написал(а):",
            "ma 5. tammik. 2026 klo 10.00 Ada Lovelace (ada@x.example) kirjoitti:",
            "po 5. 1. 2026 v 10:00 odesílatel Ada Lovelace <ada@x.example> napsal:",
            "пн, 5 січ. 2026 р. о 10:00 Ada Lovelace <ada@x.example> пише:",
            "Ada Lovelace <ada@x.example> 于2026年1月5日周一 10:00写道：",
            "2026年1月5日(月) 10:00 Ada Lovelace <ada@x.example>:",
            "2026년 1월 5일 (월) 오전 10:00, Ada Lovelace <ada@x.example>님이 작성:",
        ];
        for line in lines {
            let text = format!("Yes, please.\nThank you\n\n{line}\n\n> Shall we?\n>\n> > Old\n");
            assert_eq!(reply_to(&text).as_deref(), Some("Yes, please.\nThank you"), "{line}");
            let text = format!("Yes, please.\n{line}\n> Shall we?\n");
            assert_eq!(reply_to(&text).as_deref(), Some("Yes, please."), "close: {line}");
        }
    }

    #[test]
    fn outlook_blocks_are_cut_in_many_languages() {
        let blocks = [
            "From: Ada <ada@x.example>\nSent: Monday, January 5, 2026 10:00 AM\nTo: Shop\nSubject: Order",
            "*From:* Ada\n*Sent:* Monday\n*To:* Shop\n*Subject:* Order",
            "Von: Ada\nGesendet: Montag, 5. Januar 2026 10:00\nAn: Shop\nBetreff: Bestellung",
            "De : Ada\nEnvoyé : lundi 5 janvier 2026 10:00\nÀ : Shop\nObjet : Commande",
            "De: Ada\nEnviado el: lunes, 5 de enero de 2026\nPara: Shop\nAsunto: Pedido",
            "Da: Ada\nInviato: lunedì 5 gennaio 2026\nA: Shop\nOggetto: Ordine",
            "Van: Ada\nVerzonden: maandag 5 januari 2026\nAan: Shop\nOnderwerp: Bestelling",
            "De: Ada\nEnviada em: segunda-feira\nPara: Shop\nAssunto: Pedido",
            "Od: Ada\nWysłano: poniedziałek\nDo: Shop\nTemat: Zamówienie",
            "Kimden: Ada\nGönderildi: 5 Ocak 2026 Pazartesi\nKime: Shop\nKonu: Sipariş",
            "Från: Ada\nSkickat: den 5 januari 2026\nTill: Shop\nÄmne: Order",
            "От: Ada\nОтправлено: 5 января 2026 г.\nКому: Shop\nТема: Заказ",
            "发件人: Ada\n发送时间: 2026年1月5日\n收件人: Shop\n主题: 订单",
            "-----Original Message-----\nFrom: Ada\n",
            "-----Ursprüngliche Nachricht-----\nirgendwas",
            "-------- Message d'origine --------\n",
        ];
        for block in blocks {
            for rule in ["", "________________________________\n", "---\n"] {
                let text = format!("Yes.\n\n{rule}{block}\n\nShall we?\n");
                assert_eq!(reply_to(&text).as_deref(), Some("Yes."), "{block}");
            }
        }
    }

    #[test]
    fn answers_between_the_lines_are_kept() {
        assert_eq!(reply_to("On 5 Jan 2026 Ada wrote:\n> One?\nYes.\n> Two?\nNo.\n"), None);
        assert_eq!(reply_to("> One?\n\nYes.\n"), None);
        assert_eq!(reply_to("Hi\nOn 5 Jan 2026 Ada wrote:\n> One?\n\nYes.\n"), None);
        assert_eq!(reply_to("> One?\nYes.\n> Two?\n"), None);
        // But the whole mail that stands below them once more is cut.
        let text = "> One?\nYes.\n\nOn 5 Jan 2026 Ada wrote:\n> One?\n> Two?\n";
        assert_eq!(reply_to(text).as_deref(), Some("> One?\nYes."));
    }

    #[test]
    fn nothing_is_lost_whole() {
        assert_eq!(reply_to("On 5 Jan 2026 Ada <a@x.example> wrote:\n> all of it\n"), None);
        assert_eq!(reply_to("-----Original Message-----\nFrom: Ada\n\nShall we?"), None);
        assert_eq!(reply_to("\n  \n--\n> all of it\n"), None);
        assert_eq!(reply_to("👍\n\n> Shall we?\n").as_deref(), Some("👍"));
        assert_eq!(reply_to(""), None);
        assert_eq!(reply_to("Only text.\n"), None);
        assert_eq!(reply_to("Only text.\n>From here on too.\n"), None);
    }

    #[test]
    fn signatures_stay() {
        let text = "Yes.\n\n-- \nAda\n\nOn 5 Jan 2026, at 10:00, Bob <b@x.example> wrote:\n> Shall we?\n";
        assert_eq!(reply_to(text).as_deref(), Some("Yes.\n\n-- \nAda"));
        let text = "Yes.\n\n> Shall we?\n\n-- \nAda\nLondon\n";
        assert_eq!(reply_to(text).as_deref(), Some("Yes.\n\n-- \nAda\nLondon"));
        let text = "Yes.\n\n> Shall we?\n_______________\nusers mailing list\n";
        assert_eq!(reply_to(text).as_deref(), Some("Yes."));
    }

    #[test]
    fn forwards_are_kept() {
        let quote = "FYI\n\nOn 5 Jan 2026 Ada wrote:\n> Shall we?\n";
        for subject in ["Fwd: Order", "WG: Auftrag", "[EXT] FW: Order", "İLT: Sipariş", "转发：订单"] {
            assert_eq!(reply(quote, subject, MAX), None, "{subject}");
        }
        assert!(reply(quote, "Re: Fwd: Order", MAX).is_some());
        for line in [
            "---------- Forwarded message ---------",
            "Begin forwarded message:",
            "Anfang der weitergeleiteten Nachricht:",
        ] {
            assert_eq!(
                reply_to(&format!("FYI\n\n{line}\nFrom: Ada\nDate: today\nSubject: x\n\nHi\n")),
                None,
                "{line}"
            );
        }
    }

    #[test]
    fn prose_is_no_announcement() {
        let prose = [
            "On page 3 you wrote:\nPay in 5 days.\nIs that right?",
            "The list I wrote:\n1. apples\n2. pears",
            "From: where do I send 3 parcels?\nTo: whom?",
            "I need:\n- 2 cables\n- 1 box",
            "Ada@x.example wrote: hello, and I said 5:\nno",
        ];
        for text in prose {
            assert_eq!(reply_to(text), None, "{text}");
        }
    }

    #[test]
    fn unmarked_quotes_behind_a_dated_line_are_cut() {
        let text = "Yes.\n\nOn Monday, January 5, 2026 at 10:00:00 AM GMT+1, Ada <a@x.example> wrote:\n\nShall we?\n";
        assert_eq!(reply_to(text).as_deref(), Some("Yes."));
    }

    #[test]
    fn only_so_much_is_looked_at() {
        let text = format!("Yes.\n\n{}\n", "> quoted line\n".repeat(100));
        assert_eq!(reply(&text, "", MAX).as_deref(), Some("Yes."));
        assert_eq!(reply(&text, "", 200).as_deref(), Some("Yes."));
        let text = format!("{}\n> Shall we?\n", "ä".repeat(200));
        assert_eq!(reply(&text, "", 101), None);
    }
}
