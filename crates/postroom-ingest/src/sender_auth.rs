//! What the receiving server says of the sender: Authentication-Results (RFC 8601), and of those
//! only the topmost that a trusted server wrote. Anybody can write one into a mail.

use crate::headers::{Headers, unfolded};
use postroom_core::mail::SenderAuth;
use postroom_core::ports::ReadContext;
use postroom_core::text;

/// Bytes of the header that are looked at: real ones have a few hundred.
const VALUE_BYTES: usize = 16 * 1024;

/// Judges the sender by the domain of the first From address.
pub(crate) fn judge(headers: &Headers<'_>, from: Option<&str>, context: &ReadContext) -> SenderAuth {
    let Some(from) = from else { return SenderAuth::None };
    let folded = text::fold_address(from);
    let domain = text::domain_of(&folded);
    let trusted = |id: &str| context.trusted_authserv_ids.iter().any(|t| t.trim().eq_ignore_ascii_case(id));
    for value in headers.all("Authentication-Results") {
        let value = unfolded(&value[..value.len().min(VALUE_BYTES)]);
        let statements = statements(&value);
        // The first statement is the server's name, a version may follow it.
        let id = statements.first().and_then(|words| words.first());
        if id.is_some_and(|id| trusted(id)) {
            return verdict(&statements[1..], domain);
        }
    }
    SenderAuth::None
}

/// The words of a header so far, one list for each statement between semicolons.
struct Words {
    statements: Vec<Vec<String>>,
    /// The word under way; `None` between words.
    word: Option<String>,
    /// The next word belongs to the one before: an equals sign stood between them.
    joins: bool,
}

impl Words {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        let (Some(word), Some(words)) = (self.word.take(), self.statements.last_mut()) else { return };
        match words.last_mut() {
            Some(last) if self.joins => last.push_str(&word),
            _ => words.push(word),
        }
        self.joins = false;
    }

    fn equals(&mut self) {
        self.end_word();
        if let Some(last) = self.statements.last_mut().and_then(|words| words.last_mut()) {
            last.push('=');
            self.joins = true;
        }
    }

    fn end_statement(&mut self) {
        self.end_word();
        self.joins = false;
        self.statements.push(Vec::new());
    }
}

/// The words of each statement, comments left out, quoted strings as part of a word. `a=b` is one
/// word, however many spaces and comments stand around the sign.
fn statements(value: &str) -> Vec<Vec<String>> {
    let mut words = Words { statements: vec![Vec::new()], word: None, joins: false };
    let mut depth = 0_usize;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if depth > 0 => drop(chars.next()),
            '(' => {
                words.end_word();
                depth += 1;
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            '"' => {
                words.word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '\\' => chars.next().into_iter().for_each(|c| words.push(c)),
                        c => words.push(c),
                    }
                }
            }
            ';' => words.end_statement(),
            '=' => words.equals(),
            c if c.is_whitespace() => words.end_word(),
            c => words.push(c),
        }
    }
    words.end_word();
    words.statements
}

/// What the statements of one server come to.
fn verdict(statements: &[Vec<String>], from: &str) -> SenderAuth {
    let mut passes = false;
    for words in statements {
        let Some((method, result)) = words.first().and_then(|word| word.split_once('=')) else { continue };
        // A method may carry a version: `dkim/1=pass`.
        let method = method.split('/').next().unwrap_or_default().trim().to_ascii_lowercase();
        let property = |name: &str| {
            words[1..].iter().find_map(|word| {
                let (key, value) = word.split_once('=')?;
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let is_pass = result.eq_ignore_ascii_case("pass");
        match method.as_str() {
            // A server that judged another From than ours said nothing of our sender.
            "dmarc" if property("header.from").is_none_or(|d| is_aligned(d, from)) => {
                if is_pass {
                    passes = true;
                } else if result.eq_ignore_ascii_case("fail") {
                    return SenderAuth::Fail;
                }
            }
            "dkim" if is_pass => {
                let signer = property("header.d").or_else(|| property("header.i"));
                passes |= signer.is_some_and(|d| is_aligned(d, from));
            }
            "spf" if is_pass => passes |= property("smtp.mailfrom").is_some_and(|d| is_aligned(d, from)),
            _ => {}
        }
    }
    if passes { SenderAuth::Pass } else { SenderAuth::None }
}

/// Whether two domains are of one organisation, by one being the other or standing under it
/// (RFC 7489 section 3.1, without a list of public suffixes: a domain of one label counts for
/// nothing).
fn is_aligned(domain_or_address: &str, from: &str) -> bool {
    let folded =
        text::fold_address(&format!("x@{}", domain_or_address.rsplit('@').next().unwrap_or_default()));
    let domain = text::domain_of(&folded).trim_end_matches('.');
    let under = |low: &str, high: &str| {
        high.contains('.')
            && low.strip_suffix(high).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !from.is_empty() && (under(domain, from) || under(from, domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn judged(results: &[&str]) -> SenderAuth {
        let raw: String = results
            .iter()
            .map(|value| format!("Authentication-Results: {value}\n"))
            .collect::<Vec<_>>()
            .concat();
        let (headers, _) = Headers::read(raw.as_bytes(), 0, true, &Limits::default());
        let context = ReadContext { trusted_authserv_ids: vec!["mx.example.org".into()] };
        judge(&headers, Some("Ada@Mail.Shop.example"), &context)
    }

    #[test]
    fn only_the_topmost_trusted_header_counts() {
        assert_eq!(judged(&[]), SenderAuth::None);
        assert_eq!(judged(&["evil.example; dmarc=pass"]), SenderAuth::None);
        assert_eq!(judged(&["other.example; dmarc=fail", "MX.example.org; dmarc=pass"]), SenderAuth::Pass);
        assert_eq!(judged(&["mx.example.org; dmarc=fail", "mx.example.org; dmarc=pass"]), SenderAuth::Fail);
        assert_eq!(judged(&["mx.example.org; none", "mx.example.org; dmarc=pass"]), SenderAuth::None);
        assert_eq!(judged(&["mx.example.org 1; dmarc=pass"]), SenderAuth::Pass);
        assert_eq!(judged(&["mx.example.org.evil.example; dmarc=pass"]), SenderAuth::None);
    }

    #[test]
    fn nothing_is_trusted_by_default() {
        let raw = b"Authentication-Results: ; dmarc=pass\n";
        let (headers, _) = Headers::read(raw, 0, true, &Limits::default());
        assert_eq!(judge(&headers, Some("a@b.example"), &ReadContext::default()), SenderAuth::None);
    }

    #[test]
    fn dkim_and_spf_count_where_they_are_aligned() {
        let one = |statement: &str| judged(&[&format!("mx.example.org; {statement}")]);
        assert_eq!(one("dkim=pass header.d=mail.shop.example"), SenderAuth::Pass);
        assert_eq!(one("dkim=pass header.d=shop.example"), SenderAuth::Pass);
        assert_eq!(one("dkim=pass header.i=@shop.example header.s=k"), SenderAuth::Pass);
        assert_eq!(one("dkim=pass header.d=x.mail.shop.example"), SenderAuth::Pass);
        assert_eq!(one("dkim=pass header.d=evilshop.example"), SenderAuth::None);
        assert_eq!(one("dkim=pass header.d=example"), SenderAuth::None);
        assert_eq!(one("dkim=fail header.d=shop.example"), SenderAuth::None);
        assert_eq!(one("dkim=fail header.d=shop.example; dkim=pass header.d=shop.example"), SenderAuth::Pass);
        assert_eq!(one("spf=pass smtp.mailfrom=bounce@shop.example"), SenderAuth::Pass);
        assert_eq!(one("spf=pass smtp.mailfrom=esp.example; dkim=none"), SenderAuth::None);
        assert_eq!(one("spf=pass smtp.helo=shop.example"), SenderAuth::None);
        assert_eq!(one("spf=fail smtp.mailfrom=shop.example"), SenderAuth::None);
    }

    #[test]
    fn dmarc_counts_for_the_from_it_names() {
        let one = |statement: &str| judged(&[&format!("mx.example.org; {statement}")]);
        assert_eq!(one("dmarc=pass header.from=mail.shop.example"), SenderAuth::Pass);
        assert_eq!(one("dmarc=pass header.from=other.example"), SenderAuth::None);
        assert_eq!(
            one("dkim=pass header.d=shop.example; dmarc=fail header.from=shop.example"),
            SenderAuth::Fail
        );
        assert_eq!(one("dmarc=none"), SenderAuth::None);
    }

    #[test]
    fn comments_and_quotes_hide_nothing() {
        let one = |statement: &str| judged(&[&format!("mx.example.org; {statement}")]);
        assert_eq!(one("spf=none (x; dmarc=pass (y) \\) ; dmarc=pass)"), SenderAuth::None);
        assert_eq!(one("dkim=none reason=\"; dmarc=pass\""), SenderAuth::None);
        assert_eq!(one("dmarc (p=reject) = (x) pass"), SenderAuth::Pass);
        assert_eq!(one("dkim/1 = pass header.d = \"shop.example\""), SenderAuth::Pass);
        assert_eq!(one("x=(dmarc=pass"), SenderAuth::None);
        assert_eq!(judged(&["(a) mx.example.org (b) ; (c) dmarc=pass"]), SenderAuth::Pass);
        assert_eq!(judged(&["mx.example.org;\r\n\tdmarc=pass\r\n (x)"]), SenderAuth::Pass);
    }
}
