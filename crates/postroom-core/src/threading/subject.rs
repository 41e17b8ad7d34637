//! Subjects: what is left of one without the prefixes that answering and forwarding add, in
//! the languages that mail programs speak, and the number that it may carry.

use crate::id::ConversationId;

/// What a prefix says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Reply,
    Forward,
    /// An answer in one language, a forward in another.
    Either,
}

/// Words before a colon that say "answer", in lower case.
const REPLY: &[&str] = &[
    "re",
    "aw",
    "antw",
    "antwort",
    "sv",
    "rif",
    "r",
    "odp",
    "res",
    "resp",
    "rép",
    "vá",
    "atb",
    "ats",
    "odg",
    "bls",
    "απ",
    "σχετ",
    "отв",
    "ответ",
    "відп",
    "відповідь",
    "תגובה",
    "رد",
    "回复",
    "回覆",
    "答复",
    "答覆",
    "回信",
    "返信",
    "회신",
    "답장",
    "trả lời",
];

/// Words before a colon that say "forward". `tr` is French alone: Turkish writes `ynt` and `ilt`.
pub const FORWARD: &[&str] = &[
    "fwd",
    "fw",
    "wg",
    "tr",
    "rv",
    "enc",
    "i",
    "fs",
    "vb",
    "vl",
    "i̇lt",
    "ilt",
    "doorst",
    "pd",
    "trs",
    "yml",
    "továbbítás",
    "πρθ",
    "пересл",
    "переслано",
    "הועבר",
    "إعادة توجيه",
    "转发",
    "轉寄",
    "轉發",
    "転送",
    "전달",
    "chuyển tiếp",
];

/// `vs` is an answer in Finnish and Estonian and a forward in Danish and Norwegian; `ynt` is the
/// Turkish answer, which some programs list among the forwards. Nobody can tell from the
/// subject, so both are said, and the reader does what is safe for either: what the references
/// say counts as for an answer, guesses are left alone as for a forward.
const EITHER: &[&str] = &["vs", "ynt"];

/// Words that say nothing about the matter, in lower case, a space between two.
const GENERIC: &str = "\
    a about account an anfrage anliegen asunto ayuda bestelling bestellung beställning betreff bitte \
    bonjour cancel change commande complaint consulta contact das de den der die domanda dringend \
    ein eine el email error factura facture faktura fattura feedback for frage from fråga fyi für \
    hallo hello help hi hilfe hola i important information inquiry invoice issue kein keine kysymys \
    kündigung la lasku le mail mein meine message mi my nachricht need new no objet of offer oggetto \
    on order ordine our payment pedido please pregunta problem problema problème pytanie question \
    quote rechnung refund request return returns sans sin status storno subject sujet support termin \
    test thank thanks the ticket tilaus to update urgent vraag wichtig with you your zamówienie zu \
    zum zur без вопрос заказ помощь срочно счет счёт темы お問い合わせ お問い合わせの件 发票 咨询 帮助 您好 注文 請求書 订单 请求 \
    質問 问题 문의 주문";

/// The subject as it is compared (lower case, without prefixes, list tags and numbers), whether
/// it says "answer", and whether it says "forward". The outermost prefix speaks: `Re: Fwd: x`
/// answers a forward. Both where the prefix means either, depending on the language.
pub fn base(subject: &str) -> (String, bool, bool) {
    let mut rest = subject.trim();
    let mut outermost = None;
    loop {
        if let Some((prefix, after)) = leading_prefix(rest) {
            outermost.get_or_insert(prefix);
            rest = after.trim_start();
        } else if let Some(inner) = wrapped_forward(rest) {
            outermost.get_or_insert(Prefix::Forward);
            rest = inner.trim();
        } else if let Some(after) = leading_tag(rest) {
            rest = after;
        } else if let Some(before) = trailing_forward(rest) {
            outermost.get_or_insert(Prefix::Forward);
            rest = before;
        } else {
            break;
        }
    }
    let mut base = String::with_capacity(rest.len());
    for word in rest.split_whitespace() {
        if number(word).is_some_and(|n| word.len() == n.to_string().len() + 3) {
            continue;
        }
        if !base.is_empty() {
            base.push(' ');
        }
        base.extend(word.chars().flat_map(char::to_lowercase));
    }
    let is_reply = matches!(outermost, Some(Prefix::Reply | Prefix::Either));
    (base, is_reply, matches!(outermost, Some(Prefix::Forward | Prefix::Either)))
}

/// The subject as written without its leading prefixes, for composing an answer: tags stay.
pub fn stem(subject: &str) -> &str {
    let mut rest = subject.trim();
    while let Some((_, after)) = leading_prefix(rest) {
        rest = after.trim_start();
    }
    rest
}

/// The conversation that a subject names: the first `[#123]`.
pub fn number(subject: &str) -> Option<ConversationId> {
    subject.split("[#").skip(1).find_map(|after| {
        let (digits, _) = after.split_once(']')?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if plain { digits.parse().ok().map(ConversationId) } else { None }
    })
}

/// Whether a compared subject is too common to tell one matter from another (R3 E): fewer than
/// two words, or none that says anything.
pub fn is_generic(base: &str) -> bool {
    let mut words = 0;
    let mut telling = false;
    for word in base.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if word.is_empty() {
            continue;
        }
        // Scripts without spaces: a run of six characters says as much as two words.
        words += if word.chars().filter(|c| is_spaceless(*c)).count() >= 6 { 2 } else { 1 };
        telling |= !GENERIC.split(' ').any(|generic| generic == word);
    }
    words < 2 || !telling
}

fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0E7F}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}')
}

/// `Re:`, `RE :`, `Re[2]:`, `Re (2):`, `Re^2:`, `回复：` and what follows.
fn leading_prefix(text: &str) -> Option<(Prefix, &str)> {
    let (at, _) = text.char_indices().take(24).find(|(_, c)| matches!(c, ':' | '：'))?;
    let (word, rest) = text.split_at_checked(at)?;
    let word = without_counter(word.trim_end());
    let folded = word.to_lowercase();
    let prefix = [(REPLY, Prefix::Reply), (FORWARD, Prefix::Forward), (EITHER, Prefix::Either)]
        .into_iter()
        .find_map(|(words, prefix)| words.contains(&folded.as_str()).then_some(prefix))?;
    Some((prefix, rest.strip_prefix([':', '：'])?))
}

/// A prefix's word without how often it was added.
fn without_counter(word: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    for (open, close) in [('[', "]"), ('(', ")"), ('^', ""), ('*', "")] {
        if let Some((before, count)) = word.strip_suffix(close).and_then(|word| word.rsplit_once(open))
            && is_number(count.trim())
        {
            return before.trim_end();
        }
    }
    word
}

/// `[list]` in front of more.
fn leading_tag(text: &str) -> Option<&str> {
    let (tag, after) = text.strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start();
    (tag.len() <= 64 && !tag.contains('[') && !after.is_empty()).then_some(after)
}

/// `[Fwd: subject]` (RFC 5256 section 2.1).
fn wrapped_forward(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    let (head, subject) = inside.split_at_checked(4)?;
    head.eq_ignore_ascii_case("fwd:").then_some(subject)
}

/// `subject (fwd)` (RFC 5256 section 2.1).
fn trailing_forward(text: &str) -> Option<&str> {
    let at = text.len().checked_sub(5)?;
    let (subject, tail) = text.split_at_checked(at)?;
    tail.eq_ignore_ascii_case("(fwd)").then(|| subject.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subject: &str, base_subject: &str, is_reply: bool, is_forward: bool) {
        assert_eq!(base(subject), (base_subject.to_owned(), is_reply, is_forward), "{subject:?}");
    }

    #[test]
    fn prefixes_of_answers_go() {
        for prefix in [
            "Re:",
            "RE:",
            "re :",
            "AW:",
            "Antw:",
            "SV:",
            "R:",
            "RIF:",
            "Odp:",
            "RES:",
            "Vá:",
            "ATB:",
            "回复：",
            "返信:",
            "Re[2]:",
            "Re (2):",
            "Re^3:",
            "RE*2:",
            "Re: AW:",
            "Re: [list] Re:",
            "[list] Re:",
            "Отв:",
            "ΑΠ:",
            "답장:",
            "Trả lời:",
            "רד",
            "Rép :",
        ] {
            if prefix.ends_with([':', '：']) {
                check(&format!("{prefix} Printer  BROKEN"), "printer broken", true, false);
            } else {
                check(prefix, prefix, false, false);
            }
        }
    }

    #[test]
    fn prefixes_of_forwards_go() {
        for prefix in [
            "Fwd:",
            "FW:",
            "WG:",
            "TR :",
            "RV:",
            "ENC:",
            "I:",
            "FS:",
            "VB:",
            "VL:",
            "İLT:",
            "ilt:",
            "Doorst:",
            "PD:",
            "转发：",
            "転送:",
            "Fwd: Re:",
            "[list] Fwd:",
            "Fwd[2]:",
        ] {
            check(&format!("{prefix} Printer broken"), "printer broken", false, true);
        }
        check("[Fwd: Printer broken]", "printer broken", false, true);
        check("Printer broken (fwd)", "printer broken", false, true);
        check("Re: Printer broken (fwd)", "printer broken", true, false);
    }

    #[test]
    fn what_means_either_says_both() {
        check("VS: Tulostin rikki", "tulostin rikki", true, true);
        check("YNT: Yazıcı bozuk", "yazıcı bozuk", true, true);
    }

    #[test]
    fn what_only_looks_like_a_prefix_stays() {
        check("Ref: 4711", "ref: 4711", false, false);
        check("Report: all is well", "report: all is well", false, false);
        check("", "", false, false);
        check("Re:", "", true, false);
        check(":", ":", false, false);
        check("[urgent]", "[urgent]", false, false);
        check("Résumé: ça va", "résumé: ça va", false, false);
    }

    #[test]
    fn numbers_and_tags_do_not_count_when_comparing() {
        check("Re: [#12] [list] Printer broken [#12]", "printer broken", true, false);
        check("Printer [#12]x broken", "printer [#12]x broken", false, false);
        assert_eq!(stem("Re: AW: [list] Printer Broken"), "[list] Printer Broken");
        assert_eq!(stem("Printer"), "Printer");
    }

    #[test]
    fn a_number_is_read() {
        assert_eq!(number("Re: x [#123]"), Some(ConversationId(123)));
        assert_eq!(number("[#x] [#7]"), Some(ConversationId(7)));
        for none in
            ["#123", "[123]", "[#]", "[#12", "[#012]", "[#-1]", "[#1 2]", "[#99999999999999999999]", "[#0]"]
        {
            assert_eq!(number(none), None, "{none}");
        }
    }

    #[test]
    fn common_subjects_are_known() {
        for common in [
            "",
            "printer",
            "invoice",
            "my order",
            "(no subject)",
            "kein betreff",
            "eine frage",
            "sans objet",
            "help please!",
            "question about my order",
            "frage zur rechnung",
            "订单",
            "お問い合わせの件",
            "без темы",
        ] {
            assert!(is_generic(common), "{common:?}");
        }
        for telling in ["printer broken", "invoice 4711", "rechnung vom mai", "プリンターが壊れました"]
        {
            assert!(!is_generic(telling), "{telling:?}");
        }
    }
}
