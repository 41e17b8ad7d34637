//! Whose a domain is: its organisation by the list of public suffixes, and whether its letters
//! may be meant to be taken for others.

use std::collections::HashSet;
use unicode_script::{Script, UnicodeScript};

/// A domain in the form that DNS has: lower case, A-labels, no dot at its end. `None` where it is
/// no domain.
pub(crate) fn ascii(domain: &str) -> Option<String> {
    let domain = domain.trim().trim_end_matches('.');
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!ascii.is_empty() && ascii.len() <= 253 && ascii.bytes().all(is_host)).then_some(ascii)
}

/// The domain that an organisation registered (RFC 7489 section 3.2), from [`ascii`]'s form;
/// `None` for a public suffix such as `co.uk` itself.
fn organisational(domain: &str) -> Option<&str> {
    psl::domain_str(domain)
}

/// Whether two domains, in [`ascii`]'s form, are of one organisation (RFC 7489 section 3.1.1:
/// relaxed alignment). A public suffix is of the same as itself alone, a name without a dot of
/// none.
pub(crate) fn are_of_one(one: &str, other: &str) -> bool {
    let organisations = organisational(one).zip(organisational(other));
    (one == other && one.contains('.')) || organisations.is_some_and(|(one, other)| one == other)
}

/// Whether text is likely the name of a host: it ends in a suffix that is in use.
pub(crate) fn is_likely_host(ascii: &str) -> bool {
    ascii.contains('.')
        && ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && psl::suffix(ascii.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// Whether a label of a domain mixes scripts that nobody writes together, as a name does whose
/// letters are to be taken for others (UTS 39 section 5.2, "highly restrictive").
pub(crate) fn mixes_scripts(domain: &str) -> bool {
    let (unicode, _) = idna::domain_to_unicode(domain);
    unicode.split('.').any(label_mixes)
}

fn label_mixes(label: &str) -> bool {
    let scripts: HashSet<Script> = label
        .chars()
        .map(|c| c.script())
        .filter(|script| !matches!(script, Script::Common | Script::Inherited))
        .collect();
    // Japanese, Chinese and Korean are written in several, Latin letters among them.
    let together = [
        [Script::Latin, Script::Han, Script::Hiragana, Script::Katakana],
        [Script::Latin, Script::Han, Script::Bopomofo, Script::Bopomofo],
        [Script::Latin, Script::Han, Script::Hangul, Script::Hangul],
    ];
    scripts.len() > 1 && !together.iter().any(|set| scripts.iter().all(|script| set.contains(script)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisations_end_at_the_public_suffix() {
        for (one, other, same) in [
            ("shop.example", "shop.example", true),
            ("mail.shop.example", "shop.example", true),
            ("mail.shop.example", "news.shop.example", true),
            ("evilshop.example", "shop.example", false),
            ("a.co.uk", "b.co.uk", false),
            ("a.co.uk", "x.a.co.uk", true),
            ("co.uk", "a.co.uk", false),
            // Each of these is somebody else's, though one stands under the other.
            ("github.io", "evil.github.io", false),
            ("one.github.io", "two.github.io", false),
            ("github.io", "github.io", true),
            ("example", "shop.example", false),
            ("localhost", "localhost", false),
            ("", "", false),
        ] {
            assert_eq!(are_of_one(one, other), same, "{one} {other}");
            assert_eq!(are_of_one(other, one), same, "{other} {one}");
        }
    }

    #[test]
    fn domains_have_one_form() {
        assert_eq!(ascii(" Bücher.Example. ").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(ascii("a b.example"), None);
        assert_eq!(ascii(""), None);
        assert_eq!(ascii("[1.2.3.4]"), None);
    }

    #[test]
    fn letters_of_other_scripts_are_seen() {
        for (domain, mixes) in [
            ("paypal.com", false),
            ("p\u{430}ypal.com", true),
            ("\u{430}\u{440}\u{440}\u{4cf}\u{435}.com", false),
            ("xn--pypal-4ve.com", true),
            ("g\u{3bf}\u{3bf}gle.com", true),
            ("münchen.de", false),
            ("日本語abc.jp", false),
            ("한국abc.kr", false),
            // Korean is written with both (UTS 39 section 5.1), never with kana.
            ("日本語한국.jp", false),
            ("かな한국.jp", true),
            ("1-2-3.example", false),
        ] {
            assert_eq!(mixes_scripts(domain), mixes, "{domain}");
        }
    }

    #[test]
    fn hosts_are_told_from_words() {
        for (text, is_host) in
            [("shop.com", true), ("a.co.uk", true), ("e.g", false), ("word", false), ("a..com", false)]
        {
            assert_eq!(is_likely_host(text), is_host, "{text}");
        }
    }
}
