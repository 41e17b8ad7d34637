//! Links that may lead elsewhere than they seem to: found in HTML that is safe already, and only
//! listed. The HTML itself is not touched any more.

use crate::cut::Cut;
use crate::domains;
use crate::html_tokens::{Token, Tokens, attribute};
use postroom_core::ports::{LinkFault, MisleadingLink};
use postroom_core::text::one_line;
use url::Url;

/// The most that are listed.
const LINKS: usize = 100;
/// Characters of a link's text that are listed.
const TEXT_CHARS: usize = 200;
/// Bytes of a link's text that are looked at.
const TEXT_BYTES: usize = 2000;

/// The links of safe HTML that may mislead.
pub(crate) fn misleading(html: &str) -> Vec<MisleadingLink> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for token in Tokens::new(html) {
        match token {
            Token::Open { name, attributes } if name.as_str() == "a" => {
                open = attribute(attributes, "href").map(|href| (resolved(href), String::new()));
            }
            Token::Close { name } if name.as_str() == "a" => {
                if let Some((href, text)) = open.take()
                    && let Some(reason) = fault(&href, &text)
                {
                    found.push(MisleadingLink { href, text: one_line(&text, TEXT_CHARS), reason });
                }
            }
            Token::Text(piece) => {
                if let Some((_, text)) = &mut open
                    && text.len() < TEXT_BYTES
                {
                    text.push_str(&resolved(piece));
                }
            }
            _ => {}
        }
        if found.len() == LINKS {
            break;
        }
    }
    found
}

/// The entities that the sanitiser writes, resolved (HTML standard section 13.3).
fn resolved(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, meant) in
        [("&nbsp;", "\u{a0}"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        if text.contains(entity) {
            text = text.replace(entity, meant);
        }
    }
    text
}

fn fault(href: &str, text: &str) -> Option<LinkFault> {
    let url = Url::parse(href).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?;
    if !url.username().is_empty() || url.password().is_some() {
        return Some(LinkFault::UserInfo);
    }
    if domains::mixes_scripts(host) {
        return Some(LinkFault::MixedScripts);
    }
    let shown = shown_host(text)?;
    (shown != host && !domains::are_of_one(&shown, host)).then_some(LinkFault::OtherPlace)
}

/// The host that a link's text names, if it names one: an address with its scheme anywhere in it,
/// or a text that is nothing but a host and what may follow one.
fn shown_host(text: &str) -> Option<String> {
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control() || "<>\"'()".contains(c));
    let with_scheme = words.clone().find_map(|word| {
        let start = word.find("http://").or_else(|| word.find("https://"))?;
        Url::parse(word.tail(start)).ok()?.host_str().map(str::to_owned)
    });
    if with_scheme.is_some() {
        return with_scheme;
    }
    let mut alone = words.by_ref().filter(|word| !word.is_empty());
    let (word, None) = (alone.next()?, alone.next()) else { return None };
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let host = host.trim_matches(['.', ',', ';', '!', '»', '«', '→']);
    domains::ascii(host).filter(|host| domains::is_likely_host(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkFault::{MixedScripts, OtherPlace, UserInfo};

    #[test]
    fn what_a_link_shows_is_compared_with_where_it_leads() {
        for (href, text, expected) in [
            ("https://bank.com/login", "https://bank.com/login", None),
            ("https://www.bank.com/", "bank.com", None),
            ("https://login.bank.com/", "www.bank.com/start", None),
            ("https://evil.com/", "https://bank.com/", Some(OtherPlace)),
            ("https://evil.com/", "Visit http://bank.com now", Some(OtherPlace)),
            ("https://evil.com/", "bank.com", Some(OtherPlace)),
            ("https://evil.com/", " bank.com. ", Some(OtherPlace)),
            ("https://bank.com.evil.com/", "bank.com", Some(OtherPlace)),
            ("https://b.github.io/", "a.github.io", Some(OtherPlace)),
            ("https://evil.com/", "Our offers", None),
            ("https://evil.com/", "see bank.com for more", None),
            ("https://evil.com/", "v1.2", None),
            ("mailto:a@b.com", "bank.com", None),
            ("https://bank.com@evil.com/", "click", Some(UserInfo)),
            ("https://p\u{430}ypal.com/", "click", Some(MixedScripts)),
            ("https://xn--pypal-4ve.com/", "paypal.com", Some(MixedScripts)),
            ("https://bücher.de/", "Bücher.de", None),
            ("no address", "bank.com", None),
        ] {
            assert_eq!(fault(href, text), expected, "{text} -> {href}");
        }
    }

    #[test]
    fn they_are_found_in_html() {
        let html = "<p><a href=\"https://evil.com/?a=1&amp;b\" rel=\"x\">see <b>https://bank.com</b></a> \
            <a href=\"https://fine.com/\">fine.com</a> https://bank.com <a href=\"https://e.com/\">x</a></p>";
        let found = misleading(html);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].href.as_str(), found[0].text.as_str()),
            ("https://evil.com/?a=1&b", "see https://bank.com")
        );
        let many = "<a href=\"https://evil.com/\">bank.com</a>".repeat(101);
        assert_eq!(misleading(&many).len(), LINKS);
    }
}
