//! What the receiving server says of the sender: Authentication-Results (RFC 8601), and of those
//! only the topmost that a trusted server wrote. Anybody can write one into a mail; section 5 has a
//! server take out those that bear its own name, and trusting it means that it does.

use crate::cut::Cut;
use crate::domains;
use crate::headers::{Headers, unfolded};
use postroom_core::mail::{Address, SenderAuth};
use postroom_core::ports::ReadContext;
use postroom_core::round_trip::Authentication;
use postroom_core::text::one_line;

/// Bytes of the header that are looked at: real ones have a few hundred.
const VALUE_BYTES: usize = 16 * 1024;
/// So many of these headers are looked at to be shown: each server on the way writes one.
const HEADERS: usize = 20;

/// The domain of the one author of a mail, in the form that DNS has. A mail with two From headers,
/// or two addresses in one, has nobody whom anything could speak for: what is judged and what is
/// shown could be different people.
pub(crate) fn author_domain(headers: &Headers<'_>, from: &[Address]) -> Option<String> {
    let [author] = from else { return None };
    if headers.all("From").count() != 1 {
        return None;
    }
    domains::ascii(author.email.rsplit_once('@')?.1)
}

/// What a trusted server says of an author at `from`; `None` where there is none, or it says of
/// DMARC, DKIM and SPF nothing at all.
pub(crate) fn judge(headers: &Headers<'_>, from: Option<&str>, context: &ReadContext) -> Option<SenderAuth> {
    let trusted = |id: &str| context.trusted_authserv_ids.iter().any(|t| t.trim().eq_ignore_ascii_case(id));
    for value in headers.all("Authentication-Results") {
        let value = unfolded(value.head(VALUE_BYTES));
        let statements = statements(&value);
        // The first statement is the server's name, a version may follow it.
        let id = statements.first().and_then(|words| words.first());
        if id.is_some_and(|id| trusted(id)) {
            return verdict(statements.tail(1), from);
        }
    }
    None
}

/// What a server says of SPF, DKIM and DMARC, to be shown: a trusted one, or else whichever wrote last.
pub(crate) fn stated(headers: &Headers<'_>, context: &ReadContext) -> Option<Authentication> {
    let mut all = headers.all("Authentication-Results").take(HEADERS).map(|value| {
        let value = unfolded(value.head(VALUE_BYTES));
        told(&statements(&value))
    });
    let first = all.next()?;
    let trusted = |told: &Authentication| {
        context.trusted_authserv_ids.iter().any(|id| id.trim().eq_ignore_ascii_case(&told.server))
    };
    if trusted(&first) {
        return Some(first);
    }
    Some(all.find(trusted).unwrap_or(first))
}

fn told(statements: &[Vec<String>]) -> Authentication {
    let name = statements.first().and_then(|words| words.first()).map(String::as_str);
    let result_of = |wanted: &str| {
        let results = statements.tail(1).iter().filter_map(|words| {
            let (method, result) = words.first()?.split_once('=')?;
            let method = method.split('/').next().unwrap_or_default().trim();
            method.eq_ignore_ascii_case(wanted).then(|| one_line(&result.to_ascii_lowercase(), 40))
        });
        // A mail may be signed more than once, and one signature that holds suffices.
        let results: Vec<String> = results.collect();
        results.iter().find(|result| *result == "pass").or(results.first()).cloned()
    };
    Authentication {
        server: one_line(name.unwrap_or_default(), 255),
        spf: result_of("spf"),
        dkim: result_of("dkim"),
        dmarc: result_of("dmarc"),
    }
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
fn verdict(statements: &[Vec<String>], from: Option<&str>) -> Option<SenderAuth> {
    let mut word = None;
    let is_aligned = |domain: &str| from.is_some_and(|from| is_aligned(domain, from));
    for words in statements {
        let Some((method, result)) = words.first().and_then(|word| word.split_once('=')) else { continue };
        // A method may carry a version: `dkim/1=pass`.
        let method = method.split('/').next().unwrap_or_default().trim().to_ascii_lowercase();
        let property = |name: &str| {
            words.iter().skip(1).find_map(|word| {
                let (key, value) = word.split_once('=')?;
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        if !matches!(method.as_str(), "dmarc" | "dkim" | "spf") {
            continue;
        }
        let is_pass = result.eq_ignore_ascii_case("pass");
        let vouches = match method.as_str() {
            // A server that judged another From than ours said nothing of our sender.
            "dmarc" => {
                let is_ours = from.is_none() || property("header.from").is_none_or(is_aligned);
                if is_ours && result.eq_ignore_ascii_case("fail") {
                    return Some(SenderAuth::Fail);
                }
                is_pass && is_ours && from.is_some()
            }
            "dkim" => {
                is_pass && property("header.d").or_else(|| property("header.i")).is_some_and(is_aligned)
            }
            _ => is_pass && property("smtp.mailfrom").is_some_and(is_aligned),
        };
        if vouches {
            word = Some(SenderAuth::Pass);
        }
        word = word.or(Some(SenderAuth::None));
    }
    word
}

/// Whether a domain, or an address's, is of one organisation with the author's.
fn is_aligned(domain_or_address: &str, from: &str) -> bool {
    let domain = domain_or_address.rsplit('@').next().unwrap_or_default();
    domains::ascii(domain).is_some_and(|domain| domains::are_of_one(&domain, from))
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
        judge(&headers, Some("mail.shop.example"), &context).unwrap_or(SenderAuth::None)
    }

    #[test]
    fn what_a_server_says_is_shown() {
        let raw = b"Authentication-Results: mx.example 1; spf=Softfail (x=y) smtp.mailfrom=a@b;\r\n dkim=fail; dkim=pass header.d=b; dmarc=none\r\nAuthentication-Results: inner.example; spf=pass\r\n\r\n";
        let (headers, _) = Headers::read(raw, 0, true, &Limits::default());
        let stated = |trusted: &[&str]| {
            let ids = trusted.iter().map(|id| (*id).to_owned()).collect();
            stated(&headers, &ReadContext { trusted_authserv_ids: ids }).unwrap()
        };
        let last = stated(&[]);
        let words = [last.spf.as_deref(), last.dkim.as_deref(), last.dmarc.as_deref()];
        assert_eq!(
            (last.server.as_str(), words),
            ("mx.example", [Some("softfail"), Some("pass"), Some("none")])
        );
        let trusted = stated(&["INNER.example"]);
        assert_eq!((trusted.server.as_str(), trusted.dmarc), ("inner.example", None));
        assert_eq!(stated(&["other.example"]).server, "mx.example");
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
        assert_eq!(judge(&headers, Some("b.example"), &ReadContext::default()), None);
    }

    #[test]
    fn a_server_that_says_nothing_leaves_the_question_open() {
        let word = |value: &str| {
            let raw = format!("Authentication-Results: {value}\n");
            let (headers, _) = Headers::read(raw.as_bytes(), 0, true, &Limits::default());
            let context = ReadContext { trusted_authserv_ids: vec!["mx.example.org".into()] };
            judge(&headers, Some("shop.example"), &context)
        };
        assert_eq!(word("mx.example.org; none"), None);
        assert_eq!(word("mx.example.org; iprev=pass policy.iprev=192.0.2.1"), None);
        assert_eq!(word("evil.example; dmarc=pass"), None);
        assert_eq!(word("mx.example.org; dkim=fail header.d=shop.example"), Some(SenderAuth::None));
        assert_eq!(word("mx.example.org; dkim=none"), Some(SenderAuth::None));
        assert_eq!(word("mx.example.org; spf=none; dkim=pass header.d=shop.example"), Some(SenderAuth::Pass));
    }

    #[test]
    fn one_author_alone_can_be_vouched_for() {
        let domain = |raw: &str, from: &[&str]| {
            let (headers, _) = Headers::read(raw.as_bytes(), 0, true, &Limits::default());
            let from: Vec<Address> =
                from.iter().map(|email| Address { name: None, email: (*email).to_owned() }).collect();
            author_domain(&headers, &from)
        };
        assert_eq!(domain("From: a\n", &["a@Shop.example"]).as_deref(), Some("shop.example"));
        assert_eq!(domain("From: a\n", &["a@bücher.example"]).as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(domain("From: a\nFrom: b\n", &["a@shop.example"]), None);
        assert_eq!(domain("From: a, b\n", &["a@shop.example", "b@shop.example"]), None);
        assert_eq!(domain("From: a\n", &[]), None);
        assert_eq!(domain("From: a\n", &["a"]), None);
        // A word of a trusted server does not help such a mail either.
        let context = ReadContext { trusted_authserv_ids: vec!["mx.example.org".into()] };
        let raw = b"Authentication-Results: mx.example.org; dmarc=pass\n";
        let (headers, _) = Headers::read(raw, 0, true, &Limits::default());
        assert_eq!(judge(&headers, None, &context), Some(SenderAuth::None));
        let raw = b"Authentication-Results: mx.example.org; dmarc=fail header.from=shop.example\n";
        let (headers, _) = Headers::read(raw, 0, true, &Limits::default());
        assert_eq!(judge(&headers, None, &context), Some(SenderAuth::Fail));
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
